"""The page part that makes an NG a source: it warns first, shows the mask, and nothing is spent before the button."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.services import intake, ng_masks, ng_sources
from pages.services.artifacts import DETECTOR, load_result
from pages.services.ledger import ImageRecord, Ledger
from pages.services.steps import load_config, save_config
from pages.services.verification import free_ng, seen_ng
from pages.services.workspace import Workspace
from pages.ui.mask_editor import Stroke
from tests import hostile
from tests.app import small_run
from tests.app.browse import button_of, text_of

N_NG = small_run.N_NG


def view() -> None:
    from pages.services.steps import load_config
    from pages.ui import cached, ng_source_view

    ws = cached.workspace()
    ng_source_view.show(ws, load_config(ws), cached.detector(ws))


def shown(record: ImageRecord | None = None, way: str = "", strokes: tuple[Stroke, ...] = ()) -> AppTest:
    """The page; with an NG picked, a way to mark its defect chosen, and strokes drawn, if asked."""
    page = AppTest.from_function(view, default_timeout=30)
    if record is not None:
        page.session_state["kept/ng-source"] = record.sha256
        page.session_state[f"kept/strokes-{record.sha256}-{way}"] = strokes
        if way:
            page.session_state[f"ng-mask-way-{record.sha256}"] = way
    page.run()
    assert not page.exception
    return page


def used(ws: Workspace, page: AppTest) -> str:
    """The choice of mask after the button."""
    button_of(page, "Use this NG").click().run()
    assert not page.exception
    (choice,) = sources(ws).values()
    return choice


def sources(ws: Workspace) -> dict[str, str]:
    return load_config(ws).synthesis.sources


@pytest.fixture
def record(ws) -> ImageRecord:
    """A plain scratch."""
    return next(one for one in Ledger(ws).records(label="ng") if one.name == "ng_01.png")


def test_the_warning_stands_before_the_choice_and_nothing_is_spent_by_looking(ws, record):
    page = shown()
    page.button(key=f"ng-source-pick-{record.sha256}").click().run()
    text = text_of(page)
    assert not page.exception
    assert "This NG will teach a generator. It can never verify the threshold afterwards." in text
    assert f"It leaves {N_NG - 1} of {N_NG} NG for verification" in text and "at most 45.1 % missed" in text
    assert "Use this NG" not in text and not seen_ng(ws)  # no mask yet, and no score on screen
    page.button(key="ng-source-back").click().run()
    assert f"{N_NG} real NG" in text_of(page) and len(free_ng(ws)) == N_NG and not sources(ws)


def test_a_proposal_is_looked_at_then_used_and_the_card_says_what_it_is(ws, record):
    page = shown(record, "proposed")
    assert seen_ng(ws) == {record.sha256} and "it counts as seen" in text_of(page)
    assert "what the detector sees" in text_of(page)
    choice = used(ws, page)
    expected = ng_masks.proposal_for(load_result(ws, DETECTOR), record).mask
    assert ng_masks.kind_of(choice) == "proposed" and np.array_equal(ng_masks.mask_of(ws, record, choice), expected)
    text = text_of(page)
    assert f"**{record.name}**" in text and "1 chosen" in text and "can never verify" in text
    assert f"Proposed by the detector: {expected.sum()} px" in text
    assert record.sha256 not in free_ng(ws) and len(free_ng(ws)) == N_NG - 1


def test_a_lower_level_takes_more_and_what_a_hand_adds_counts_as_drawn(ws, record):
    corner = ((0.0, 0.0), (0.25, 0.0), (0.25, 0.25), (0.0, 0.25))
    page = shown(record, "proposed", (Stroke(True, 0.0, (corner,)),))
    level = page.slider(key=f"ng-mask-level-{record.sha256}")
    lower = level.min + 0.25 * (level.max - level.min)
    level.set_value(lower).run()
    choice = used(ws, page)
    first, expected = (ng_masks.proposal_for(load_result(ws, DETECTOR), record, level=at).mask for at in (None, lower))
    expected[:16, :16] = True
    mask = ng_masks.mask_at_size(ws, record, choice, 64)
    assert ng_masks.kind_of(choice) == "drawn" and np.array_equal(mask, expected) and mask.sum() > first.sum()


def test_an_upload_is_checked_against_the_picture(ws, record):
    page = shown(record, "uploaded")
    key = f"ng-mask-file-{record.sha256}"
    page.file_uploader(key=key).upload("m.png", hostile.encoded(np.zeros((50, 96), np.uint8))).run()
    assert not page.exception and "upload a mask of the whole picture" in text_of(page)
    square = np.zeros((96, 96), np.uint8)
    square[30:60, 30:60] = 255
    page.file_uploader(key=key).set_value(("m.png", hostile.encoded(square), "image/png")).run()
    choice = used(ws, page)
    assert ng_masks.kind_of(choice) == "uploaded" and ng_masks.mask_of(ws, record, choice).sum() == 900


def test_ground_truth_is_what_is_asked_first_where_there_is_any(ws, record, tmp_path):
    drawn = np.zeros((96, 96), np.uint8)
    drawn[40:50, 40:50] = 255
    Image.fromarray(drawn).save(tmp_path / "truth.png")
    with ws.transaction() as db:
        db.execute("UPDATE images SET mask_path = ? WHERE sha256 = ?", (str(tmp_path / "truth.png"), record.sha256))
    page = shown(record)
    assert "The mask that came with the picture" in text_of(page) and not seen_ng(ws)
    assert used(ws, page) == "truth" and set(sources(ws)) == {record.sha256}


def test_taken_out_it_still_cannot_verify_and_is_offered_first_for_nothing(ws, record):
    choice = ng_masks.keep_mask(ws, "drawn", np.eye(64, dtype=bool))
    save_config(ws, ng_sources.choose(ws, load_config(ws), record.sha256, choice, by="test", why="its look"))
    page = shown()
    button_of(page, "Take it out").click().run()
    assert not page.exception and not sources(ws) and record.sha256 not in free_ng(ws)
    assert "The first one cannot verify any more" in text_of(page)
    assert "starting from it costs nothing" in page.button(key=f"ng-source-pick-{record.sha256}").proto.help


def test_the_last_ng_says_what_it_would_leave(ws):
    *others, last = Ledger(ws).records(label="ng")
    Ledger(ws).assign([one.sha256 for one in others], "threshold_ng", by="test", why="spent")
    text = text_of(shown(last))
    assert "It leaves 0 of 1 NG for verification" in text and "would stay provisional" in text


def test_without_any_ng_the_page_teaches_and_a_new_picture_is_picked_at_once(ws):
    with ws.transaction() as db:
        db.execute("DELETE FROM images WHERE label = 'ng'")
    page = shown()
    assert "You have 0 NG" in text_of(page)
    page.file_uploader(key="ng-source-file").upload("bad.png", b"no picture").run()
    button_of(page, "Add it").click().run()
    assert not page.exception and "not a PNG" in text_of(page)
    new = ("new.png", hostile.encoded(small_run.scratched(2001)), "image/png")
    page.file_uploader(key="ng-source-file").set_value(new).run()
    button_of(page, "Add it").click().run()
    (new,) = Ledger(ws).records(label="ng")
    assert not page.exception and new.name == "new.png" and "**new.png**" in text_of(page)
    text = text_of(shown(new, "proposed"))
    assert "no scores of new.png yet" in text and "Score it" in text


def test_what_cannot_be_used_is_told(ws, record):
    """An NG of another size, a mask that is gone, a source that left the dataset."""
    small = np.asarray(Image.fromarray(small_run.scratched(2002)).resize((64, 64)))
    intake.add_verification_ng(ws, [("small.png", hostile.encoded(small))])
    (other,) = [one for one in Ledger(ws).records(label="ng") if one.name == "small.png"]
    config = load_config(ws)
    named = {record.sha256: "drawn:" + 64 * "0", 64 * "1": "truth"}
    save_config(ws, replace(config, synthesis=replace(config.synthesis, sources=named)))
    page = shown()
    text = text_of(page)
    assert page.button(key=f"ng-source-pick-{other.sha256}").disabled
    assert f"the mask of {record.name} cannot be read" in text and "not in the dataset any more" in text
    assert text.count("Take it out") == 2
