"""The choice of where defects may lie: kept by content, read back at any size, used only after a look."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from ias_core.errors import IasError
from pages.services import foreground
from pages.services.ledger import Ledger
from pages.services.synthesis import synthesis_digest
from tests.app import small_run
from tests.app.browse import button_of, text_of

SIZE = 64
SQUARE = np.zeros((300, 400), bool)
SQUARE[75:225, 100:300] = True
DISC = np.hypot(*(np.mgrid[:SIZE, :SIZE] - 31.5)) < 20


def test_anywhere_is_no_mask(empty_ws):
    assert foreground.part_masks(empty_ws, "none", np.zeros((2, SIZE, SIZE, 3), np.float32)) is None
    assert foreground.part_masks_of(empty_ws, "none", [], SIZE) is None


def test_found_masks_are_each_pictures_own(empty_ws):
    pictures = np.stack([np.where(mask[..., None], 0.8, 0.2).repeat(3, 2) for mask in (DISC, DISC.T & DISC, ~DISC)])
    pictures[2] = 0.5
    found = foreground.part_masks(empty_ws, "found", pictures.astype(np.float32))
    assert found.shape == (3, SIZE, SIZE) and found.dtype == bool
    assert (found[0] & DISC).sum() > 0.9 * DISC.sum() and not found[0][~DISC].mean() > 0.05
    assert found[2].all()  # flat: a texture product


def test_a_given_mask_is_kept_by_its_content_and_serves_every_picture(empty_ws):
    choice = foreground.keep_mask(empty_ws, SQUARE)
    assert foreground.kind_of(choice) == "given" and foreground.choice_of(SQUARE) == choice
    assert foreground.keep_mask(empty_ws, SQUARE.copy()) == choice != foreground.keep_mask(empty_ws, ~SQUARE)
    assert np.array_equal(foreground.given_mask(empty_ws, choice), SQUARE)
    masks = foreground.part_masks(empty_ws, choice, np.zeros((3, SIZE, SIZE, 3), np.float32))
    assert masks.shape == (3, SIZE, SIZE) and (masks == masks[0]).all()
    assert np.array_equal(np.flatnonzero(masks[0].any(1)), np.arange(16, 48))
    assert np.array_equal(np.flatnonzero(masks[0].any(0)), np.arange(16, 48))


def test_the_synthesis_knows_a_mask_by_its_content(empty_ws):
    def digest(choice: str) -> str:
        synthesis = replace(small_run.CONFIG.synthesis, foreground=choice)
        return synthesis_digest("detector", replace(small_run.CONFIG, synthesis=synthesis))

    choices = ["none", "found", foreground.keep_mask(empty_ws, SQUARE), foreground.keep_mask(empty_ws, ~SQUARE)]
    assert len({digest(choice) for choice in choices}) == 4
    assert digest(foreground.choice_of(SQUARE)) == digest(choices[2])


def test_pictures_are_read_only_to_find_the_part_in_them(ws):
    records = Ledger(ws).records(role="calibration_ok")[:2]
    assert foreground.part_masks_of(ws, "found", records, SIZE).shape == (2, SIZE, SIZE)
    lost = [replace(record, path=Path("/nowhere")) for record in records]
    assert foreground.part_masks_of(ws, foreground.keep_mask(ws, SQUARE), lost, SIZE).shape == (2, SIZE, SIZE)
    with pytest.raises(IasError, match=records[0].name):
        foreground.part_masks_of(ws, "found", lost, SIZE)


@pytest.mark.parametrize("mask", [np.zeros((64, 64), bool), np.ones((64, 64), bool)], ids=["nothing", "everything"])
def test_a_mask_without_an_outline_is_not_kept(empty_ws, mask):
    with pytest.raises(IasError, match="expected a mask"):
        foreground.keep_mask(empty_ws, mask)
    assert not list(empty_ws.images.iterdir())


@pytest.mark.parametrize("choice", ["", "Found", "given", "given:", "given:../../secret", "given:" + 64 * "g"])
def test_an_unknown_choice_is_refused(empty_ws, choice):
    with pytest.raises(IasError, match="foreground"):
        foreground.part_masks(empty_ws, choice, np.zeros((1, SIZE, SIZE, 3), np.float32))


def test_a_mask_that_is_lost_changed_or_too_fine_says_so(empty_ws):
    pictures = np.zeros((1, 8, 8, 3), np.float32)
    fine = np.zeros((256, 256), bool)
    fine[0, 0] = True
    with pytest.raises(IasError, match="nothing of it is left at 8 px"):
        foreground.part_masks(empty_ws, foreground.keep_mask(empty_ws, fine), pictures)
    choice = foreground.keep_mask(empty_ws, SQUARE)
    (file,) = [path for path in empty_ws.images.iterdir() if path.stem in choice]
    Image.fromarray(~SQUARE).save(file)
    with pytest.raises(IasError, match="was changed"):
        foreground.part_masks(empty_ws, choice, pictures)
    file.unlink()
    with pytest.raises(IasError, match="not there"):
        foreground.part_masks(empty_ws, choice, pictures)


def view() -> None:
    from pages.services.ledger import Ledger
    from pages.ui import cached, foreground_view

    ws = cached.workspace()
    records = Ledger(ws).records(role="calibration_ok")[:3]
    foreground_view.show(
        ws, ws.get_choice("where", "none"), records, size=64, save=lambda choice: ws.set_choice("where", choice)
    )


def shown() -> AppTest:
    page = AppTest.from_function(view, default_timeout=30).run()
    assert not page.exception
    return page


def choose(page: AppTest, key: str, value: str) -> AppTest:
    page.segmented_control(key=key).set_value(value).run()
    assert not page.exception
    return page


def test_nothing_is_used_before_somebody_confirms(ws):
    page = choose(shown(), "foreground-kind", "found")
    assert "of 3 pictures look like a texture product" in text_of(page)  # plates without any background
    assert ws.get_choice("where") is None
    button_of(page, "Outline is right: use it").click().run()
    assert ws.get_choice("where") == "found" and "In use" in text_of(page)
    assert not page.button


def test_back_to_anywhere(ws):
    ws.set_choice("where", "found")
    page = choose(shown(), "foreground-kind", "none")
    button_of(page, "Let defects lie anywhere").click().run()
    assert ws.get_choice("where") == "none"


def test_an_uploaded_mask_is_looked_at_then_kept(ws, tmp_path):
    Image.fromarray((SQUARE * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    page = choose(choose(shown(), "foreground-kind", "given"), "foreground-way", "upload")
    before = set(ws.images.iterdir())
    page.file_uploader(key="foreground-file").upload("mask.png", (tmp_path / "mask.png").read_bytes()).run()
    assert not page.exception and "25 % of the picture is part" in text_of(page)
    assert set(ws.images.iterdir()) == before
    button_of(page, "Outline is right: use it").click().run()
    assert ws.get_choice("where") == foreground.choice_of(SQUARE)
    again = shown()
    assert "In use" in text_of(again) and "25 % of the picture is part" in text_of(again)


def test_a_mask_that_says_nothing_is_a_sentence(ws, tmp_path):
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "black.png")
    page = choose(choose(shown(), "foreground-kind", "given"), "foreground-way", "upload")
    page.file_uploader(key="foreground-file").upload("black.png", (tmp_path / "black.png").read_bytes()).run()
    assert not page.exception and "black all over" in text_of(page) and not page.button


def test_a_mask_that_is_gone_can_be_drawn_again(ws):
    ws.set_choice("where", "given:" + 64 * "0")
    page = shown()
    assert "upload or draw it again" in text_of(page)
    assert "Draw around the part" in text_of(choose(page, "foreground-way", "draw"))


def test_pictures_that_are_gone_are_told_and_left_out(ws):
    first = Ledger(ws).records(role="calibration_ok")[0]
    with ws.transaction() as db:
        db.execute("UPDATE images SET path = '/nowhere' WHERE sha256 = ?", (first.sha256,))
    from pages.ui import cached

    cached._thumbnail.clear()
    page = choose(shown(), "foreground-kind", "found")
    assert first.name in text_of(page) and "of 2 pictures" in text_of(page)
