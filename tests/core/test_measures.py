"""Size and signal-to-noise ratio against closed forms, and against a slow ring written out plainly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias_core.errors import ShapeError
from ias_core.synthesis.measures import (
    contrast_to_noise,
    equivalent_diameter_px,
    signal_to_noise,
    surrounding_noise,
)
from tests.core.small import pictures

SIDE = 32


def square(side: int = 4, top: int = 14) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, 14 : 14 + side] = True
    return mask


def checks(step: float) -> np.ndarray:
    """Grey 0.5, plus and minus ``step`` in turn from pixel to pixel."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.repeat((0.5 + step * (1 - 2 * ((x + y) % 2)))[..., None], 3, 2).astype(np.float32)


def ring_by_definition(mask: np.ndarray, width: float) -> np.ndarray:
    """Every pixel outside whose nearest mask pixel is at most ``width`` away."""
    own = np.argwhere(mask)
    ring = np.zeros_like(mask)
    for y, x in np.argwhere(~mask):
        ring[y, x] = np.hypot(*(own - (y, x)).T).min() <= width
    return ring


@pytest.mark.parametrize(("side", "diameter"), [(1, 1.128379), (2, 2.256758), (16, 18.054067)])
def test_diameter_of_a_square(side, diameter):
    assert equivalent_diameter_px(np.ones((side, side), bool)) == pytest.approx(diameter, abs=1e-6)


def test_diameter_of_a_disc_is_its_own():
    y, x = np.mgrid[-60:61, -60:61]
    assert equivalent_diameter_px(x**2 + y**2 <= 50**2) == pytest.approx(100, rel=0.01)


def test_diameter_counts_pieces_together_and_nothing_is_0():
    assert equivalent_diameter_px(square(2, 2) | square(2, 20)) == pytest.approx(
        equivalent_diameter_px(square(2)) * 2**0.5
    )
    assert equivalent_diameter_px(np.zeros((5, 5), bool)) == 0


@pytest.mark.parametrize("step", [0.02, 0.1])
@pytest.mark.parametrize("lift", [-0.2, 0.05])
def test_ratio_on_checks_is_lift_over_step(step, lift):
    """As many pixels up as down in a ring around a square: their standard deviation is the step."""
    parent, mask = checks(step), square()
    child = parent + np.float32(lift) * mask[..., None]
    assert signal_to_noise(parent, child, mask) == pytest.approx(abs(lift) / step, rel=1e-3)


def test_root_mean_square_and_not_the_mean():
    """Half the pixels up, half down: the mean change is 0, the defect is not."""
    parent, mask = np.full((SIDE, SIDE, 3), 0.5, np.float32), square()
    child = np.where(mask[..., None], checks(20 / 255), parent)
    assert signal_to_noise(parent, child, mask) == pytest.approx(20, rel=1e-5)


def test_flat_surface_has_the_noise_of_one_grey_level():
    assert surrounding_noise(np.full((SIDE, SIDE, 3), 0.3, np.float32), square()) == 1 / 255


@pytest.mark.parametrize(("side", "top"), [(1, 0), (2, 15), (9, 3), (14, 18)])
def test_ring_as_defined_also_at_the_border(side, top):
    mask = square(side, top)
    assert mask.sum() == side**2
    width = max(3, side / np.pi**0.5)
    parent = np.random.default_rng(0).uniform(size=(SIDE, SIDE, 3)).astype(np.float32)
    expected = parent.mean(2)[ring_by_definition(mask, width)].std()
    assert surrounding_noise(parent, mask) == pytest.approx(expected, rel=1e-5)


def test_what_lies_under_or_far_from_the_mask_does_not_count():
    parent, mask = checks(0.05), square()
    other = parent.copy()
    other[mask] = other[:3] = 1.0
    assert surrounding_noise(other, mask) == surrounding_noise(parent, mask)


def test_a_mask_over_everything_is_measured_against_the_whole_picture():
    parent, mask = checks(0.1), np.ones((SIDE, SIDE), bool)
    assert surrounding_noise(parent, mask) == pytest.approx(0.1, rel=1e-5)
    assert signal_to_noise(parent, parent + np.float32(0.2), mask) == pytest.approx(2, rel=1e-4)


def test_nothing_changed_is_0_and_so_is_an_empty_mask():
    parent = pictures(1, SIDE)[0]
    assert signal_to_noise(parent, parent, square()) == 0
    assert signal_to_noise(parent, parent, np.zeros((SIDE, SIDE), bool)) == 0


def test_a_change_of_colour_alone_counts_as_none():
    parent, mask = np.full((SIDE, SIDE, 3), 0.5), square()
    assert signal_to_noise(parent, parent + mask[..., None] * [0.1, -0.1, 0], mask) == pytest.approx(0, abs=1e-9)


@given(times=st.floats(0.1, 4), seed=st.integers(0, 50))
def test_ratio_grows_in_step_with_the_change_and_ignores_its_sign(times, seed):
    parent, mask = pictures(1, SIDE, seed=seed)[0].astype(np.float64), square(6)
    change = np.random.default_rng(seed).normal(size=parent.shape) * mask[..., None] * 0.05
    once = signal_to_noise(parent, parent + change, mask)
    assert signal_to_noise(parent, parent - times * change, mask) == pytest.approx(times * once, rel=1e-6)


@pytest.mark.parametrize(
    ("parent", "child", "mask", "words"),
    [
        (np.zeros((8, 8)), np.zeros((8, 8)), np.ones((8, 8), bool), r"\(8, 8\)"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), np.ones((8, 9), bool), "bool mask"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), np.ones((8, 8)), "float64"),
        (np.zeros((8, 8, 3)), np.zeros((9, 8, 3)), np.ones((8, 8), bool), "of one shape"),
    ],
)
def test_what_does_not_fit_is_refused(parent, child, mask, words):
    with pytest.raises(ShapeError, match=words):
        signal_to_noise(parent, child, mask)


def test_nothing_has_no_surroundings():
    with pytest.raises(ShapeError, match="empty"):
        surrounding_noise(np.zeros((8, 8, 3)), np.zeros((8, 8), bool))


def test_contrast_to_noise_of_a_real_defect_in_closed_form():
    """Noise sigma 0.02 in the ring, the defect a flat 0.1 brighter than its mean: sqrt(0.1^2 - 0.02^2) / 0.02."""
    mask = square()
    picture = checks(0.02).astype(np.float64)
    picture[mask] = 0.6
    ring = ring_by_definition(mask, 3.0)
    around = picture[ring].mean(1)
    expected = np.sqrt((0.6 - around.mean()) ** 2 - around.std() ** 2) / around.std()
    assert contrast_to_noise(picture, mask) == pytest.approx(expected)
    assert expected == pytest.approx(np.sqrt(24), rel=0.02)


def test_a_mask_on_nothing_has_no_contrast():
    assert contrast_to_noise(checks(0.02), square()) < 0.2
    assert contrast_to_noise(checks(0.02), np.zeros((SIDE, SIDE), bool)) == 0.0


def test_both_measures_agree_on_a_spot_whose_parent_is_known():
    parent, mask = checks(0.02).astype(np.float64), square()
    child = parent + 0.2 * mask[..., None]
    assert contrast_to_noise(child, mask) == pytest.approx(signal_to_noise(parent, child, mask), rel=0.02)
