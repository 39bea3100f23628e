"""Real NG that arrive after the threshold was fixed: they are scored and verify it, and nothing else changes."""

import io

import numpy as np
import pytest
from PIL import Image

from pages.services import intake
from pages.services.artifacts import DETECTOR, load_result
from pages.services.decision import current_decision
from pages.services.detection import score_added_ng, unscored_ng
from pages.services.progress import silent
from pages.services.steps import steps
from pages.services.verification import free_ng, verify
from tests.app import small_run
from tests.app.browse import open_page


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(small_run.scratched(seed)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def two_late(ws, fix):
    """A fixed and verified threshold, then two more NG."""
    fix()
    verify(ws, load_result(ws, DETECTOR), current_decision(ws))
    intake.add_verification_ng(ws, [("late 1.png", png(2001)), ("late 2.png", png(2002))])
    return ws


def test_added_ng_keep_detector_and_threshold_and_reopen_the_check(two_late):
    states = {key: step.state for key, step in steps(two_late).items()}
    assert states["detector"] == states["synthesis"] == states["thresholds"] == "done"
    assert states["verification"] == "out of date"
    names = [record.name for record in unscored_ng(two_late, load_result(two_late, DETECTOR))]
    assert names == ["late 1.png", "late 2.png"]


def test_scoring_them_leaves_every_other_score_as_it_was(two_late):
    before = load_result(two_late, DETECTOR)
    after = score_added_ng(two_late, small_run.CONFIG, silent)
    assert after.digest == before.digest and after.meta["bank_id"] == before.meta["bank_id"]
    for name in ("bank", "calibration", "check"):
        np.testing.assert_array_equal(after.sets[name].image_scores, before.sets[name].image_scores)
    n = len(before.sets["ng"].ids)
    np.testing.assert_array_equal(after.sets["ng"].image_scores[:n], before.sets["ng"].image_scores)
    assert after.sets["ng"].names[n:] == ("late 1.png", "late 2.png")
    assert (after.sets["ng"].image_scores[n:] > 0).all() and after.bank_path.is_file()
    assert unscored_ng(two_late, load_result(two_late, DETECTOR)) == []


def test_then_all_of_them_verify_the_same_threshold(two_late):
    threshold = current_decision(two_late)
    detector = score_added_ng(two_late, small_run.CONFIG, silent)
    result = verify(two_late, detector, current_decision(two_late))
    assert current_decision(two_late) == threshold
    assert result.caught_ng.n == small_run.N_NG + 2 == len(free_ng(two_late))
    assert steps(two_late)["verification"].state == "done"


def test_first_ng_of_a_set_that_had_none(empty_ws, tmp_path):
    from pages.services.pipeline import run_steps

    ok, _ = small_run.write_pictures(tmp_path / "pictures", n_ok=12, n_ng=1)
    intake.import_folders(empty_ws, ok)
    intake.assign_roles(empty_ws, seed=0)
    run_steps(empty_ws, small_run.CONFIG, silent)
    intake.add_verification_ng(empty_ws, [("late.png", png(2001))])
    detector = score_added_ng(empty_ws, small_run.CONFIG, silent)
    assert detector.sets["ng"].names == ("late.png",) and detector.sets["ng"].patch_scores.ndim == 3


def test_page_says_that_they_have_no_score_yet_and_offers_to_score_them(two_late):
    page = open_page("verification")
    assert not page.exception
    assert any("2 real NG were added and have no score yet" in warning.value for warning in page.warning)
    assert page.button(key="score")
