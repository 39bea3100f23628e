"""The part in a picture: found where it can be known, refused where it cannot, and outlines in closed form."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage.filters import threshold_otsu

from ias_core.errors import ImageRefused, ShapeError
from ias_core.foreground import find_part, mask_at_size, mask_of_outlines, read_mask
from ias_core.synthesis.perlin import perlin_noise

SIDE = 128
Y, X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
DISC = np.hypot(Y, X) < 40
BLUE, BROWN = (0.10, 0.12, 0.15), (0.35, 0.18, 0.12)


def picture(mask: np.ndarray, part, background, noise: float = 0.02) -> np.ndarray:
    """Two even colours and some grain."""
    clean = np.where(mask[..., None], np.broadcast_to(part, 3), np.broadcast_to(background, 3))
    return np.clip(clean + np.random.default_rng(0).normal(0, noise, clean.shape), 0, 1).astype(np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize(
    ("part", "background"), [(0.8, 0.1), (0.1, 0.8), (0.6, 0.4), (BROWN, BLUE), (BLUE, BROWN)], ids=str
)
def test_a_part_is_found_whether_brighter_darker_or_of_another_colour(part, background):
    found = find_part(picture(DISC, part, background))
    assert found.why_texture == "" and overlap(found.mask, DISC) > 0.93
    assert found.share == pytest.approx(DISC.mean(), rel=0.07)


def test_the_shaded_side_of_a_part_belongs_to_it():
    """Bright on one side, down to near the background on the other: the side that Otsu's threshold cuts off."""
    light = np.clip(0.5 + X / 80, 0, 1)  # 0 to 1 across the part
    lit = np.where(DISC, 0.22 + 0.68 * light**3, 0.12) + np.random.default_rng(0).normal(0, 0.005, DISC.shape)
    seen = lit[..., None].repeat(3, 2).astype(np.float32)
    assert overlap(find_part(seen).mask, DISC) > 0.93
    assert overlap(lit > threshold_otsu(lit), DISC) < 0.6


def test_a_part_that_fills_most_of_the_picture_is_not_its_background():
    large = np.hypot(Y, X) < 60
    assert large.mean() > 0.6
    found = find_part(picture(large, 0.7, 0.3))
    assert found.why_texture == "" and overlap(found.mask, large) > 0.95


def test_a_hole_stays_a_hole_and_dust_goes():
    ring = DISC & (np.hypot(Y, X) > 20)
    dusty = ring.copy()
    dusty[4:8, 4:8] = True  # 16 of 16,384 px
    dusty[60:64, 30:34] = False
    found = find_part(picture(dusty, 0.8, 0.2))
    assert not found.mask[64, 64] and not found.mask[:10, :10].any() and found.mask[60:64, 30:34].all()
    assert overlap(found.mask, ring) > 0.88


def test_several_parts_are_all_found():
    two = (np.hypot(Y, X - 32) < 20) | (np.hypot(Y, X + 32) < 20)
    assert overlap(find_part(picture(two, 0.8, 0.2)).mask, two) > 0.9


def test_a_part_may_leave_the_picture_on_one_side():
    half = (np.abs(X) < 30) & (Y > -20)
    assert overlap(find_part(picture(half, 0.8, 0.2)).mask, half) > 0.93


@pytest.mark.parametrize(
    "surface",
    [
        np.full((SIDE, SIDE), 0.5),
        0.5 + np.random.default_rng(1).normal(0, 0.1, (SIDE, SIDE)),
        0.5 + 0.2 * perlin_noise(SIDE, (8, 8), np.random.default_rng(2)),
        0.5 + 0.2 * perlin_noise(SIDE, (2, 2), np.random.default_rng(3)),
        0.5 + 0.1 * np.sign(np.sin(X)),
        0.3 + 0.4 * (X + SIDE / 2) / SIDE,
        np.where(np.hypot(Y, X) < 5, 0.8, 0.2),
    ],
    ids=["flat", "noise", "fine grain", "coarse grain", "stripes", "light from one side", "a speck"],
)
def test_a_texture_product_is_all_part_and_says_why(surface):
    found = find_part(np.clip(surface, 0, 1)[..., None].repeat(3, 2).astype(np.float32))
    assert found.why_texture and found.mask.all() and found.share == 1


def test_a_mirrored_or_turned_picture_has_the_mirrored_or_turned_part():
    shape = DISC & ((X < 10) | (Y < 0))
    seen = picture(shape, BROWN, BLUE)
    found = find_part(seen).mask
    for turn in (lambda a: a[:, ::-1], lambda a: a[::-1], lambda a: np.rot90(a)):
        assert overlap(find_part(np.ascontiguousarray(turn(seen))).mask, turn(found)) > 0.99


def test_input_stays_as_it_is_and_the_answer_is_the_same_again():
    seen = picture(DISC, BROWN, BLUE)
    seen.setflags(write=False)
    before = seen.copy()
    assert np.array_equal(find_part(seen).mask, find_part(before).mask) and np.array_equal(seen, before)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (1, 64, 3)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ShapeError, match="expected a picture"):
        find_part(np.zeros(shape, np.float32))


def file_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("white", [1, 255, 1000, 65535])
def test_a_mask_file_means_the_same_at_any_depth(white):
    mask = DISC[::2, 16:-16]  # 64 x 96: rows and columns are not mixed up
    pixels = (mask * white).astype(np.uint8 if white < 256 else np.uint16)
    assert np.array_equal(read_mask(file_of(pixels)), mask)


def test_what_jpeg_leaves_around_an_edge_is_no_part():
    buffer = io.BytesIO()
    Image.fromarray((DISC * 255).astype(np.uint8)).save(buffer, "JPEG", quality=10)
    stray = np.asarray(Image.open(buffer))[np.hypot(Y, X) > 43]
    assert stray.max() > 255 / 9  # there is some
    read = read_mask(buffer.getvalue())
    assert overlap(read, DISC) > 0.95 and not read[np.hypot(Y, X) > 43].any()


def test_a_coloured_mask_and_a_transparent_one():
    red = np.zeros((SIDE, SIDE, 3), np.uint8)
    red[DISC, 0] = 255
    clear = np.full((SIDE, SIDE, 4), 255, np.uint8)
    clear[..., 3] = DISC * 255
    assert np.array_equal(read_mask(file_of(red)), DISC) and np.array_equal(read_mask(file_of(clear)), DISC)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (file_of(np.zeros((SIDE, SIDE), np.uint8)), "black all over"),
        (file_of(np.full((SIDE, SIDE), 255, np.uint8)), "whole picture"),
        (b"white", "not a PNG"),
        (b"", "empty"),
    ],
)
def test_a_mask_that_says_nothing_is_refused(data, why):
    with pytest.raises(ImageRefused, match=why):
        read_mask(data)


def inside(outline: np.ndarray, x: float, y: float) -> bool:
    """Even-odd rule, one edge at a time."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            crossings += 1
    return crossings % 2 == 1


@pytest.mark.parametrize("seed", range(6))
def test_an_outline_holds_the_pixels_whose_centre_it_holds(seed):
    """Also one that crosses itself, or leaves the picture."""
    outline = np.random.default_rng(seed).uniform(-6, 38, (7, 2))
    mask = mask_of_outlines([outline], width=32, height=24)
    slow = [[inside(outline, x + 0.5, y + 0.5) for x in range(32)] for y in range(24)]
    assert np.array_equal(mask, slow)


def test_two_outlines_are_one_mask():
    first, second = np.array([(2, 2), (6, 2), (6, 6), (2, 6)]), np.array([(4, 4), (9, 4), (9, 9), (4, 9)])
    mask = mask_of_outlines([first, second], width=12, height=10)
    assert mask.sum() == 16 + 25 - 4 and mask.shape == (10, 12)


@pytest.mark.parametrize(
    "outlines",
    [
        [],
        [np.array([(1.0, 1.0), (5.0, 5.0)])],
        [np.array([(1, 1), (5, 5), (np.nan, 2)])],
        [np.array([(20, 20), (30, 20), (30, 30)])],
        [np.array([(1.1, 1.1), (1.3, 1.1), (1.2, 1.3)])],
    ],
    ids=["none", "a line", "not finite", "beside the picture", "between pixel centres"],
)
def test_an_outline_around_nothing_is_refused(outlines):
    with pytest.raises(ShapeError, match="expected"):
        mask_of_outlines(outlines, width=10, height=10)


def test_a_mask_keeps_its_share_at_another_size():
    mask = np.zeros((300, 400), bool)
    mask[60:240, 80:320] = True
    small = mask_at_size(mask, 50)
    assert small.dtype == bool and small.shape == (50, 50)
    assert np.array_equal(np.flatnonzero(small.any(1)), np.arange(10, 40))
    assert np.array_equal(np.flatnonzero(small.any(0)), np.arange(10, 40))
