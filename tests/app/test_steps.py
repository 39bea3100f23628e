"""The state of every step, from nothing to signed, and back when something before it changes."""

from dataclasses import replace

import pytest

from calibration.policy import ThresholdConfig
from pages.services import intake, jobs
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.decision import current_decision
from pages.services.ledger import Ledger
from pages.services.steps import TITLES, load_config, save_config, steps
from pages.services.verification import verify
from pages.services.workspace import Workspace
from tests import hostile
from tests.app import small_run
from tests.app.conftest import NOW
from tests.app.signing import sign_all


def states(ws: Workspace) -> list[str]:
    found = steps(ws)
    assert list(found) == list(TITLES)
    for step in found.values():
        assert step.state != "empty" or (step.missing and step.needs in TITLES), f"{step.key} gives no reason"
    return [step.state for step in found.values()]


def test_from_nothing_to_signed(empty_ws):
    assert states(empty_ws) == ["ready", *["empty"] * 7]
    intake.import_uploads(empty_ws, [(f"{i}.png", hostile.encoded(hostile.part(i))) for i in range(8)])
    intake.assign_roles(empty_ws, seed=0)
    assert states(empty_ws) == ["done", "ready", *["empty"] * 6]
    found = steps(empty_ws)
    assert found["synthesis"].needs == found["thresholds"].needs == "detector"


def test_from_scores_to_signed(ws, fix):
    assert states(ws) == ["done", "done", "done", "ready", "ready", "empty", "empty", "empty"]
    assert steps(ws)["sign_off"].needs == "thresholds"
    decision, _ = fix()
    assert states(ws) == ["done", "done", "done", "done", "ready", "ready", "ready", "empty"]
    assert steps(ws)["line"].needs == "sign_off"
    verify(ws, load_result(ws, DETECTOR), decision)
    assert states(ws)[5:] == ["done", "ready", "empty"]
    sign_all(ws, now=NOW)
    assert states(ws) == [*["done"] * 4, "ready", "done", "done", "ready"]
    fix(14.0, origin="by hand")
    # the NG are spent: none is left to check it; what was approved once can still be watched
    assert states(ws)[3:] == ["done", "ready", "ready", "out of date", "out of date"]


def test_verification_without_free_ng_says_so(ws, fix):
    fix(14.0, origin="by hand", real_in_view=True)
    step = steps(ws)["verification"]
    assert (step.state, step.missing, step.needs) == ("ready", "no real NG is free for verification", "data")


def test_another_threshold_leaves_the_verification_behind(ws, fix):
    decision, _ = fix()
    verify(ws, load_result(ws, DETECTOR), decision)
    fix(now="2026-01-06T10:00:00+01:00")
    assert steps(ws)["verification"].state == "out of date"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pipeline", ["done", "running", "running", *["empty"] * 5]),
        ("detector", ["done", "running", *["empty"] * 6]),
        ("synthesis", ["done", "done", "running", *["empty"] * 5]),
        ("intake", ["running", *["empty"] * 7]),
    ],
)
def test_running(ws, kind, expected):
    job = jobs.submit(ws, kind, {})
    assert states(ws) == expected
    jobs.cancel(ws, job.id)
    assert states(ws)[:3] == ["done"] * 3


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (replace(small_run.CONFIG, seed=9), ["done", "out of date", *["empty"] * 6]),
        (
            replace(small_run.CONFIG, detector=replace(small_run.CONFIG.detector, coreset_ratio=0.1)),
            ["done", "out of date", *["empty"] * 6],
        ),
        (
            replace(small_run.CONFIG, synthesis=replace(small_run.CONFIG.synthesis, count=20)),
            ["done", "done", "out of date", *["empty"] * 5],
        ),
        (
            replace(small_run.CONFIG, thresholds=ThresholdConfig(max_fpr=0.1)),
            ["done", "done", "done", "out of date", "ready", *["empty"] * 3],
        ),
    ],
)
def test_a_changed_setting_marks_what_depends_on_it_and_undoing_it_heals(ws, fix, changed, expected):
    fix()
    save_config(ws, changed)
    assert load_config(ws) == changed
    assert states(ws) == expected
    save_config(ws, small_run.CONFIG)
    assert states(ws) == [*["done"] * 4, *["ready"] * 3, "empty"]


def test_changed_roles_and_pictures_mark_the_detector(ws):
    calibration = Ledger(ws).records(role="calibration_ok")
    Ledger(ws).assign([calibration[0].sha256], "memory_bank", by="test", why="test")
    assert states(ws)[:3] == ["done", "out of date", "empty"]
    Ledger(ws).assign([calibration[0].sha256], "calibration_ok", by="test", why="test")
    assert states(ws)[:3] == ["done"] * 3
    intake.add_verification_ng(ws, [("more.png", hostile.encoded(small_run.scratched(2000)))])
    assert states(ws)[:3] == ["done"] * 3  # they are scored against the bank as it is


def test_spending_real_ng_leaves_detector_and_synthesis_alone(ws, fix):
    """Their scores stay; only what they may be used for changes."""
    fix(14.0, origin="by hand", real_in_view=True)
    assert states(ws)[:4] == ["done"] * 4
    assert current_decision(ws).synthesis == load_result(ws, SYNTHESIS).digest


def test_lost_files_are_seen(ws):
    """Somebody cleaned the artifacts folder."""
    load_result(ws, DETECTOR).folder.rename(ws.root / "elsewhere")
    assert states(ws)[:3] == ["done", "ready", "empty"]
