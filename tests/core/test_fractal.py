"""Fractals with a closed form, a slow second way, and what FractalAD promises beyond the contract."""

import numpy as np
import pytest

from ias_core.errors import IasError
from ias_core.synthesis.handcrafted import fractalad
from ias_core.synthesis.handcrafted.fractal import attractor, random_system, rasterised, singular_values
from ias_core.synthesis.handcrafted.fractalad import FractalAD
from ias_core.synthesis.measures import equivalent_diameter_px
from tests.core.small import pictures

SIDE = 64
POINT = np.array([[False] * 3, [False, True, False], [False] * 3])
SHAPES = range(25)


def towards(factor: float, *targets: float) -> np.ndarray:
    """Two maps x -> factor x + (1 - factor) target, the same down and across."""
    return np.stack([np.column_stack([factor * np.eye(2), np.full(2, (1 - factor) * t)]) for t in targets])


def box_counting_slope(shape: np.ndarray) -> float:
    """Slope of log(boxes that are hit) against log(boxes a side), for boxes of 1 to 1/4 of the side."""
    side, counts, per_side = len(shape), [], []
    box = 1
    while box <= side // 4:
        counts.append(shape.reshape(side // box, box, side // box, box).any((1, 3)).sum())
        per_side.append(side // box)
        box *= 2
    return float(np.polyfit(np.log(per_side), np.log(counts), 1)[0])


def test_singular_values_keep_their_order_and_their_sum():
    rng = np.random.default_rng(0)
    for factor in rng.uniform(3.5, 4, 500):
        values = singular_values(factor, rng)
        assert (values >= 0).all() and (values <= 1).all() and (values[:, 0] >= values[:, 1]).all()
        assert (values @ (1, 2)).sum() == pytest.approx(factor)


def test_maps_are_contractions_of_both_orientations():
    determinants = []
    for seed in range(100):
        system = random_system(np.random.default_rng(seed))
        stretch = np.linalg.svd(system[..., :2], compute_uv=False)
        assert stretch.max() < 1 and np.abs(system[..., 2]).max() <= 1
        assert 3.5 <= (stretch @ (1, 2)).sum() <= 4
        determinants.extend(np.linalg.det(system[..., :2]))
    assert 60 < (np.array(determinants) > 0).sum() < 140


@pytest.mark.parametrize("seed", range(8))
def test_all_points_lie_in_the_box_a_contraction_bounds(seed):
    """|x| <= s |x| + |t| on the attractor, so |x| <= max |t| / (1 - max s)."""
    rng = np.random.default_rng(seed)
    system = random_system(rng)
    radius = np.linalg.norm(system[..., 2], axis=1).max() / (1 - np.linalg.svd(system[..., :2], compute_uv=False).max())
    points = attractor(system, rng)
    assert points.shape == (2, 100_000)
    assert np.linalg.norm(points, axis=0).max() <= radius * (1 + 1e-9)


def test_points_are_those_of_the_maps_applied_one_by_one():
    rng = np.random.default_rng(3)
    system = random_system(rng)
    state = rng.bit_generator.state
    points = attractor(system, rng).reshape(2, 100, 1000)
    rng.bit_generator.state = state
    sizes = np.abs(np.linalg.det(system[..., :2]))
    second = rng.random((120, 1000)) >= sizes[0] / sizes.sum()
    for chain in (0, 17, 999):
        x = np.linalg.solve(np.eye(2) - system[0, :, :2], system[0, :, 2])
        for step in range(120):
            linear_and_shift = system[int(second[step, chain])]
            x = linear_and_shift[:, :2] @ x + linear_and_shift[:, 2]
            if step >= 20:
                np.testing.assert_allclose(points[:, step - 20, chain], x, atol=1e-9)


def test_two_halves_make_the_whole_segment_evenly():
    down, across = attractor(towards(0.5, 0, 1), np.random.default_rng(0))
    assert np.array_equal(down, across)
    share, _ = np.histogram(down, bins=8, range=(0, 1))
    np.testing.assert_allclose(share / 100_000, 1 / 8, atol=0.02)


def test_two_thirds_leave_cantors_gaps():
    down, _ = attractor(towards(1 / 3, 0, 1), np.random.default_rng(0))
    assert not ((down > 1 / 3 + 1e-9) & (down < 2 / 3 - 1e-9)).any()
    assert not ((down > 1 / 9 + 1e-9) & (down < 2 / 9 - 1e-9)).any()
    assert (down < 1 / 3 + 1e-9).mean() == pytest.approx(0.5, abs=0.02)


def test_maps_are_chosen_as_often_as_they_are_large():
    system = towards(0.5, 0, 1)
    system[1, :, :2] *= np.sqrt(3) / 2  # det 3/16 beside 1/4
    system[1, :, 2] = 3.0  # so far away that a point says which map came last
    down, _ = attractor(system, np.random.default_rng(1))
    assert (down > 2.9).mean() == pytest.approx(3 / 7, abs=0.01)


def test_raster_is_the_stamp_at_every_point():
    rng = np.random.default_rng(2)
    points = rng.uniform(-3, 5, (2, 40)) * [[1.0], [0.2]]
    low, high = points.min(1), points.max(1)
    for _ in range(5):
        stamp = rng.random((3, 3)) < 0.4
        stamp[0, 2] = True
        slow = np.zeros((32, 32), bool)
        for point in points.T:
            row, column = ((point - low) / (high - low) * 31 + 1e-12).astype(int)
            for r, c in np.argwhere(stamp) - 1:
                if 0 <= row + r < 32 and 0 <= column + c < 32:
                    slow[row + r, column + c] = True
        assert np.array_equal(rasterised(points, 32, stamp), slow)


def test_box_counting_knows_a_square_and_a_line():
    assert box_counting_slope(np.ones((SIDE, SIDE), bool)) == pytest.approx(2)
    assert box_counting_slope(np.eye(SIDE, dtype=bool)) == pytest.approx(1)


def test_fractals_that_are_taken_lie_between_a_line_and_a_surface():
    slopes, fills = [], []
    for seed in SHAPES:
        system, points, stamp = fractalad._fractal(128, np.random.default_rng(seed))
        assert system.shape == (2, 2, 3) and stamp.any()
        shape = rasterised(points, 128, stamp)
        slopes.append(box_counting_slope(shape))
        fills.append(shape.mean())
    assert min(slopes) > 1 and max(slopes) < 2, (min(slopes), max(slopes))
    assert np.std(slopes) > 0.05
    assert min(fills) >= 0.05 and max(fills) <= 0.60


def test_dust_and_blocks_end_in_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(fractalad, "_FILLS", (0.999, 1.0))
    monkeypatch.setattr(fractalad, "_SYSTEMS", 2)
    with pytest.raises(IasError, match="dust or a block"):
        FractalAD()(pictures(1, SIDE), count=1, seed=0)


def test_published_ranges_are_drawn():
    made = FractalAD()(pictures(4, SIDE), count=40, seed=0)
    sides = np.array([drawn["side_px"] for drawn in made.settings])
    assert sides.min() >= 6 and sides.max() <= 32 and sides.min() < 12 and sides.max() > 25
    assert all(15 <= drawn["degrees"] <= 75 for drawn in made.settings)
    assert {drawn["jitter"] for drawn in made.settings} == set(fractalad.JITTERS)
    assert 10 < sum(drawn["noisy"] for drawn in made.settings) < 30
    assert set(made.severities.tolist()) == {1.0}
    for drawn in made.settings:  # from the central 80 %, into it
        for edge in ("from_top_px", "from_left_px", "top_px", "left_px"):
            assert 6 <= drawn[edge] <= 58 - drawn["side_px"]


def test_the_mask_is_on_the_fractal_and_as_far_around_it_as_noise_goes():
    made = FractalAD()(pictures(4, SIDE), count=20, seed=1)
    for mask, drawn in zip(made.masks, made.settings, strict=True):
        rim = 1 if drawn["noisy"] else 0  # 3 px at 256
        top, left, side = drawn["top_px"], drawn["left_px"], drawn["side_px"]
        rows, columns = np.nonzero(mask)
        assert rows.min() >= top - rim and rows.max() < top + side + rim
        assert columns.min() >= left - rim and columns.max() < left + side + rim
        if not drawn["noisy"]:
            assert mask.sum() <= round(drawn["fill"] * side**2)


def test_noise_is_of_the_asked_strength_and_grey():
    images = np.full((1, SIDE, SIDE, 3), 0.5, np.float32)
    quiet, noisy = (FractalAD(noise_sigma=sigma)(images, count=16, seed=0) for sigma in (0, 10))
    grain = []
    for i in range(16):
        if quiet.settings[i] == noisy.settings[i] and noisy.settings[i]["noisy"]:
            both = quiet.masks[i] & noisy.masks[i] & (noisy.images[i].min(2) > 0) & (noisy.images[i].max(2) < 1)
            grain.append(255 * (noisy.images[i] - quiet.images[i])[both])
    grain = np.concatenate(grain)
    assert len(grain) > 500 and np.ptp(grain, axis=1).max() <= 1.01
    assert grain.std() == pytest.approx(10, rel=0.1) and abs(grain.mean()) < 1.5


def test_severities_of_one_seed_differ_in_opacity_alone():
    images = np.round(pictures(3, SIDE) * 255).astype(np.float32) / 255
    half, full = (FractalAD(noise_sigma=0)(images, count=10, seed=6, severity=s) for s in (0.5, 1.0))
    compared = 0
    for i, parent in enumerate(half.parents):
        if half.settings[i] == full.settings[i]:
            both = half.masks[i] & full.masks[i] & (full.images[i].min(2) > 0) & (full.images[i].max(2) < 1)
            between = (images[parent] + full.images[i]) / 2
            np.testing.assert_allclose(half.images[i][both], between[both], atol=0.51 / 255 + 0.25 / 255)
            compared += 1
    assert compared >= 5


@pytest.mark.parametrize("size_px", [8, 20, 60])
def test_sizes_are_kept_also_with_a_rim_of_noise(size_px):
    made = FractalAD()(pictures(2, 128), count=10, seed=2, severity=1.0, size_px=size_px)
    written = np.array([equivalent_diameter_px(mask) for mask in made.masks])
    assert written.max() <= size_px * np.sqrt(1.2) + 0.1
    assert np.median(written) > 0.85 * size_px
    assert {drawn["noisy"] for drawn in made.settings} == {True, False}


def test_a_fractal_that_no_square_on_the_picture_holds_is_refused():
    with pytest.raises(IasError, match="cannot be drawn 32 px large"):
        FractalAD()(pictures(1, 32), count=1, seed=0, size_px=32)


@pytest.mark.parametrize("sides", [(0.0, 0.5), (0.5, 0.1), (float("nan"), 0.5)])
def test_ranges_that_are_none_are_refused(sides):
    with pytest.raises(IasError, match="range of sides"):
        FractalAD(side_min=sides[0], side_max=sides[1])
