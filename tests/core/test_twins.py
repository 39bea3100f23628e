"""Near twins: copies of one photograph are found, photographs of equal parts are not."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from ias_core import twins
from ias_core.errors import ShapeError
from tests import hostile


def photograph(part: int, shot: int, side: int = 300) -> np.ndarray:
    """A photograph: the layout of the part, and grain that is new in every shot."""
    rng = np.random.default_rng(part)
    layout = cv2.resize(rng.uniform(40, 200, (9, 9)), (side, side), interpolation=cv2.INTER_CUBIC)
    layout[side // 3 : side // 3 + 6] = 20
    grain = cv2.GaussianBlur(np.random.default_rng([part, shot]).normal(0, 14, layout.shape), (0, 0), 1.2)
    return np.repeat(np.clip(layout + grain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(hostile.encoded(pixels, "JPEG", quality=quality))))


COPIES = {
    "re-encoded": lambda p: jpeg(p, 75),
    "half the size": lambda p: cv2.resize(p, (150, 150), interpolation=cv2.INTER_AREA),
    "twice the size": lambda p: cv2.resize(p, (600, 600), interpolation=cv2.INTER_CUBIC),
    "brighter": lambda p: np.clip(p * 1.2 + 8, 0, 255).astype(np.uint8),
    "darker": lambda p: (p * 0.6).astype(np.uint8),
    "turned": lambda p: jpeg(np.rot90(p).copy(), 85),
    "turned back": lambda p: np.rot90(p, 3).copy(),
    "cropped": lambda p: p[9:-6, 12:],
    "cropped and turned": lambda p: np.rot90(p[12:, 6:-6], 2).copy(),
    "mirrored": lambda p: p[:, ::-1].copy(),
    "upside down": lambda p: jpeg(p[::-1].copy(), 75),
    "mirrored and turned": lambda p: np.rot90(p[:, ::-1]).copy(),
    "cropped to half": lambda p: p[75:225, 75:225],
    "cropped unevenly, mirrored, smaller": lambda p: cv2.resize(p[5:260, 60:290, ::-1], (150, 166)),
    "16 bit": lambda p: p.astype(np.uint16) * 257,
}


@pytest.mark.parametrize("change", COPIES)
def test_copies_are_twins(change):
    originals = [photograph(part, 0) for part in range(4)]
    copies = [COPIES[change](pixels) for pixels in originals]
    found = twins.find_twins([twins.print_of(p) for p in originals], [twins.print_of(p) for p in copies])
    assert found == [(i, i) for i in range(4)]
    reverse = twins.find_twins([twins.print_of(p) for p in copies], [twins.print_of(p) for p in originals])
    assert reverse == found


def test_photographs_of_one_part_are_not_twins():
    shots = [twins.print_of(photograph(0, shot)) for shot in range(12)]
    assert twins.find_twins(shots) == []
    assert twins.agreement(shots[0], shots[1]) < twins.AGREEMENT_LEAST < twins.agreement(shots[0], shots[0])


def test_a_burnt_out_picture_is_no_twin_of_its_equals():
    shots = [twins.print_of(photograph(0, shot)) for shot in range(8)]
    burnt = twins.print_of(np.clip(photograph(0, 9) * 2.2, 0, 255).astype(np.uint8))
    assert twins.find_twins(shots, [burnt]) == []


def test_within_one_set_the_lower_place_comes_first():
    a, b = photograph(0, 0), photograph(1, 0)
    prints = [twins.print_of(p) for p in (a, b, jpeg(a, 90), np.rot90(b).copy())]
    assert twins.find_twins(prints) == [(0, 2), (1, 3)]


def test_blank_pictures_have_nothing_to_compare():
    blank = [twins.print_of(np.full((64, 64, 3), level, np.uint8)) for level in (0, 90)]
    assert twins.find_twins(blank) == []


def test_empty():
    assert twins.find_twins([]) == [] and twins.find_twins([], [twins.print_of(photograph(0, 0))]) == []


def test_bytes_and_back():
    before = twins.print_of(photograph(3, 1))
    after = twins.Print.from_bytes(before.to_bytes())
    np.testing.assert_array_equal(before.grey, after.grey)
    np.testing.assert_array_equal(before.detail, after.detail)
    assert before.view and before.view == after.view


def test_prints_from_before_there_were_views_are_compared_as_wholes():
    pixels = photograph(2, 0)
    old = twins.Print.from_bytes(twins.print_of(pixels).to_bytes()[:13312])
    whole, piece = twins.print_of(np.rot90(pixels)), twins.print_of(pixels[75:225, 75:225])
    assert old.view == b"" and twins.find_twins([old], [whole]) == [(0, 0)]
    assert twins.find_twins([old], [piece]) == [] and twins.find_twins([piece], [old]) == []


def test_good_parts_are_searched_for_slight_croppings_alone():
    pixels = photograph(1, 0)
    prints = [twins.print_of(p) for p in (pixels, pixels[9:-6, 12:], pixels[75:225, 75:225])]
    assert twins.find_twins(prints, thorough=False) == [(0, 1)]
    assert {(0, 1), (0, 2)} <= set(twins.find_twins(prints))


def test_shape_is_checked():
    with pytest.raises(ShapeError, match="uint8"):
        twins.print_of(np.zeros((64, 64, 3), np.float32))
