"""The mask of a defect: the map's blur is undone, a crack stays thin, no line is lost in resizing."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ias_core.defect_mask import cover_at_size, follow_edges, mask_of_stroke, propose
from ias_core.errors import ShapeError

S = 64
YX = np.mgrid[:S, :S]
DISC = np.hypot(YX[0] - 30, YX[1] - 34) < 14


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def blurred(mask: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    return gaussian_filter(mask.astype(np.float32), sigma)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_half_height_finds_the_edge_under_any_symmetric_blur(sigma):
    assert iou(propose(5 + 20 * blurred(DISC, sigma), floor=6.0).mask, DISC) > 0.94


def test_unit_and_zero_of_the_map_do_not_matter():
    one = propose(blurred(DISC), floor=0.1)
    other = propose(7 + 3 * blurred(DISC), floor=7 + 3 * 0.1)
    assert np.array_equal(one.mask, other.mask) and other.level == pytest.approx(7 + 3 * one.level, rel=1e-5)


def test_nothing_below_the_floor_belongs_to_it():
    map_ = blurred(DISC)
    free, held = propose(map_, floor=-1.0), propose(map_, floor=0.8)
    assert free.level == pytest.approx(0.5, abs=0.01) and held.level == 0.8
    assert held.mask.any() and (map_[held.mask] >= 0.8).all() and held.mask.sum() < free.mask.sum()
    nothing = propose(map_, floor=float(map_.max()))
    assert not nothing.mask.any() and "no higher than what good parts reach" in nothing.why_none


def test_only_the_piece_with_the_peak_counts_and_corners_hang_together():
    map_ = np.zeros((9, 9), np.float32)
    map_[1, 1], map_[2, 2], map_[7, 7] = 4, 3, 3.5
    assert np.argwhere(propose(map_, floor=1.0).mask).tolist() == [[1, 1], [2, 2]]


def test_a_person_may_cut_anywhere_up_to_the_peak():
    map_ = blurred(DISC)
    masks = [propose(map_, floor=9.0, level=level).mask for level in (0.2, 0.5, 0.9)]
    assert all((map_[mask] >= 0.2).all() and mask.any() for mask in masks)
    assert masks[0].sum() > masks[1].sum() > masks[2].sum() and not (masks[2] & ~masks[0]).any()
    above = propose(map_, floor=0.0, level=2.0)
    assert not above.mask.any() and "no place of it reaches 2.0" in above.why_none


@pytest.mark.parametrize(
    ("map_", "floor"),
    [(np.zeros((3, 4)), 0.0), (np.full((3, 3), np.nan), 0.0), (np.zeros((3, 3)), np.inf)],
    ids=["not square", "not a number", "no floor"],
)
def test_a_map_that_is_none_is_refused(map_, floor):
    with pytest.raises(ShapeError, match="expected"):
        propose(map_, floor=floor)


@pytest.mark.parametrize("shade", [0.2, 0.8], ids=["dark", "bright"])
def test_a_crack_in_a_band_stays_thin(shade):
    rng = np.random.default_rng(0)
    picture = (0.4 + 0.2 * YX[1] / S + rng.normal(0, 0.01, (S, S)))[..., None].repeat(3, 2).astype(np.float32)
    crack = np.abs(YX[0] - YX[1]) <= 1
    band = (np.abs(YX[0] - YX[1]) <= 9) & (YX.sum(0) > 30) & (YX.sum(0) < 96)
    picture[crack] = shade
    before = picture.copy()
    found = follow_edges(picture, band)
    assert not (found & ~band).any() and np.array_equal(picture, before)
    assert (found & crack).sum() >= 0.95 * (band & crack).sum()
    assert found.sum() < 2 * (band & crack).sum() < 0.5 * band.sum()


def test_edges_that_are_none_leave_the_mask_as_it_is():
    flat = np.full((S, S, 3), 0.5, np.float32)
    for mask in (DISC, np.zeros((S, S), bool), np.ones((S, S), bool)):
        kept = follow_edges(flat, mask)
        assert np.array_equal(kept, mask) and kept is not mask
    with pytest.raises(ShapeError, match="expected a picture"):
        follow_edges(flat[:-1], DISC)


def slow_cover(mask: np.ndarray, size: int) -> np.ndarray:
    (h, w), covered = mask.shape, np.zeros((size, size), bool)
    for y, x in np.ndindex(size, size):
        rows, columns = slice(y * h // size, -(-(y + 1) * h // size)), slice(x * w // size, -(-(x + 1) * w // size))
        covered[y, x] = mask[rows, columns].any()
    return covered


def test_every_pixel_that_the_mask_touches():
    rng = np.random.default_rng(1)
    for h, w, size in rng.integers(1, 50, (25, 3)):
        mask = rng.random((h, w)) < 0.1
        assert np.array_equal(cover_at_size(mask, int(size)), slow_cover(mask, int(size))), (h, w, size)


def test_a_line_of_one_pixel_is_lost_nowhere():
    for at in range(100):
        line = np.zeros((100, 100), bool)
        line[:, at] = True
        small = cover_at_size(line, 32)
        assert small.any(1).all() and small.sum(1).max() <= 2
    assert np.array_equal(cover_at_size(DISC, S), DISC)
    assert np.array_equal(cover_at_size(DISC.repeat(3, 0).repeat(3, 1), S), DISC)
    with pytest.raises(ShapeError, match="expected a mask bool"):
        cover_at_size(DISC.astype(np.uint8), 8)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_brush_paints_what_is_near_its_way(width):
    a, b = np.array([10.0, 12.0]), np.array([50.0, 40.0])  # x, y
    places = np.dstack([YX[1] + 0.5, YX[0] + 0.5])
    along = np.clip(((places - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    away = np.linalg.norm(places - (a + along[..., None] * (b - a)), axis=2)
    painted = mask_of_stroke(np.stack([a, b]), width_px=width, side_px=S)
    assert painted[away < width / 2 - 1].all() and not painted[away > width / 2 + 1.5].any() and painted.any()


@pytest.mark.parametrize(
    ("path", "width"),
    [(np.ones((1, 2)), 3), (np.full((2, 2), np.nan), 3), (np.ones((2, 3)), 3), (np.ones((2, 2)), 0)],
    ids=["one place", "no numbers", "three coordinates", "no brush"],
)
def test_a_brush_needs_a_way(path, width):
    with pytest.raises(ShapeError, match="expected 2 or more finite places"):
        mask_of_stroke(path, width_px=width, side_px=S)
