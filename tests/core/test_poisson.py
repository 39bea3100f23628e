"""Poisson blending: the formula by hand, a dense solve beside the sparse one, and what the equation promises."""

import numpy as np
import pytest

from ias_core.errors import ShapeError
from ias_core.synthesis.poisson import blend, solve
from tests.core.small import pictures

SIDE = 12
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def two(side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Target and source (side, side, 3), float32."""
    target, source = np.random.default_rng(0).uniform(0, 1, (2, side, side, 3)).astype(np.float32)
    return target, source


def blob(side: int = SIDE, *, seed: int = 0) -> np.ndarray:
    """Scattered pieces with holes, some on the outermost ring."""
    return np.random.default_rng(seed).uniform(size=(side, side)) < 0.6


def dense(target: np.ndarray, source: np.ndarray, mask: np.ndarray, *, mixed: bool) -> np.ndarray:
    """One equation a pixel and channel, written down one by one."""
    side = len(mask)
    unknown = [(row, column) for row in range(1, side - 1) for column in range(1, side - 1) if mask[row, column]]
    out = target.astype(np.float64)
    for channel in range(3):
        matrix, right = np.zeros((len(unknown), len(unknown))), np.zeros(len(unknown))
        for i, (row, column) in enumerate(unknown):
            for down, across in NEIGHBOURS:
                q = row + down, column + across
                step = float(source[row, column, channel]) - float(source[*q, channel])
                own = float(target[row, column, channel]) - float(target[*q, channel])
                right[i] += own if mixed and abs(own) > abs(step) else step
                matrix[i, i] += 1
                if q in unknown:
                    matrix[i, unknown.index(q)] -= 1
                else:
                    right[i] += target[*q, channel]
        for (row, column), value in zip(unknown, np.linalg.solve(matrix, right), strict=True):
            out[row, column, channel] = value
    return out


def test_one_pixel_is_the_formula():
    target, source = two()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[4, 7] = True
    around = [(3, 7), (5, 7), (4, 6), (4, 8)]
    by_hand = sum(target[q] + source[4, 7] - source[q] for q in around) / 4
    out = blend(target, source, mask)
    np.testing.assert_allclose(out[4, 7], by_hand, atol=1e-6)
    assert np.array_equal(out[~mask], target[~mask])


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_sparse_solve_is_the_dense_one(mixed, seed):
    target, source = two()
    mask = blob(seed=seed)
    out = blend(target, source, mask, mixed=mixed)
    np.testing.assert_allclose(out, dense(target, source, mask, mixed=mixed), atol=1e-6)
    assert np.abs(out - target)[mask].max() > 0.1


@pytest.mark.parametrize("mixed", [False, True])
def test_source_like_target_or_off_by_a_constant_changes_nothing(mixed):
    target, _ = two()
    for source in (target, target + np.float32(0.25)):
        np.testing.assert_allclose(blend(target, source, np.ones((SIDE, SIDE), bool), mixed=mixed), target, atol=1e-6)


def test_flat_source_smooths_and_mixed_with_it_leaves_the_target():
    target, _ = two()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[3:9, 2:10] = True
    flat = np.zeros_like(target)
    smooth = blend(target, flat, mask)
    rim = np.zeros((SIDE, SIDE), bool)
    rim[2:10, 2:10] = rim[3:9, 1:11] = True
    rim &= ~mask
    for channel in range(3):  # no new extremes between the values of the rim
        inside = smooth[..., channel][mask]
        assert target[..., channel][rim].min() <= inside.min() and inside.max() <= target[..., channel][rim].max()
    np.testing.assert_allclose(blend(target, flat, mask, mixed=True), target, atol=1e-6)


def test_second_differences_inside_are_the_sources():
    target, source = two(32)
    mask = np.zeros((32, 32), bool)
    mask[5:27, 8:20] = True

    def laplacian(x: np.ndarray) -> np.ndarray:
        return 4 * x - sum(np.roll(x, step, (0, 1)) for step in NEIGHBOURS)

    out = blend(target, source, mask)
    np.testing.assert_allclose(laplacian(out)[mask], laplacian(source)[mask], atol=1e-5)


def test_apart_pieces_do_not_know_each_other():
    target, source = two()
    first, second = np.zeros((2, SIDE, SIDE), bool)
    first[2:5, 2:5], second[7:10, 6:11] = True, True
    both = blend(target, source, first | second)
    np.testing.assert_allclose(both, blend(blend(target, source, first), source, second), atol=1e-6)


def test_outermost_ring_is_left_out_and_an_empty_mask_changes_nothing():
    target, source = two()
    out = blend(target, source, np.ones((SIDE, SIDE), bool))
    inner = np.zeros((SIDE, SIDE), bool)
    inner[1:-1, 1:-1] = True
    assert np.array_equal(out[~inner], target[~inner]) and (out[inner] != target[inner]).all()
    for mask in (np.zeros((SIDE, SIDE), bool), ~inner):
        same = blend(target, source, mask)
        assert np.array_equal(same, target) and not np.shares_memory(same, target)


def test_inputs_stay_unchanged_and_the_type_is_kept():
    target, source = two()
    mask = blob()
    kept = target.copy(), source.copy(), mask.copy()
    assert blend(target, source, mask).dtype == np.float32
    for now, before in zip((target, source, mask), kept, strict=True):
        assert np.array_equal(now, before)


def test_guide_is_asked_for_each_of_four_neighbours():
    target = pictures(1, 16)[0]
    mask = np.zeros((16, 16), bool)
    mask[5:8, 5:9] = True
    asked = []

    def guide(p, q):
        asked.append(sorted({(int(a), int(b)) for a, b in zip(q[0] - p[0], q[1] - p[1], strict=True)}))
        assert len(p[0]) == 12
        return np.zeros((12, 3))

    solve(target, mask, guide)
    assert sorted(step for steps in asked for step in steps) == sorted(NEIGHBOURS)


@pytest.mark.parametrize(
    ("target", "source", "mask"),
    [
        (np.zeros((8, 8, 3)), np.zeros((8, 9, 3)), np.zeros((8, 8), bool)),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), np.zeros((8, 9), bool)),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8)),
        (np.zeros((8, 8)), np.zeros((8, 8)), np.zeros((8, 8), bool)),
    ],
)
def test_input_that_does_not_fit_is_refused(target, source, mask):
    with pytest.raises(ShapeError, match="expected"):
        blend(target, source, mask)
