"""The fast coreset against the plain greedy loop, and what k-center-greedy promises."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ias_core.errors import FeatureError
from ias_core.patchcore import coreset
from ias_core.patchcore.coreset import coreset_size, covering_radius, k_center_greedy


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, d: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64).to(dtype)


def plain_greedy(features: torch.Tensor, size: int, *, seed: int = 0) -> tuple[list[int], list[float]]:
    """One pick at a time by definition, in float64: indices, and the distance at which each was picked."""
    x = features.double()
    chosen, radii = [int(torch.randint(len(x), (1,), generator=generator(seed)))], [float("inf")]
    nearest = torch.linalg.norm(x - x[chosen[0]], dim=1)
    while len(chosen) < size:
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        radii.append(float(nearest[chosen[-1]]))
        nearest = torch.minimum(nearest, torch.linalg.norm(x - x[chosen[-1]], dim=1))
    return chosen, radii


@pytest.fixture
def small_pools(monkeypatch):
    """So small a pool that the choice outgrows it again and again."""
    monkeypatch.setattr(coreset, "_POOL", 12)
    monkeypatch.setattr(coreset, "_BLOCK", 5)
    monkeypatch.setattr(coreset, "_TILE_NUMBERS", 64)


@pytest.mark.parametrize(("n", "d", "size"), [(2, 1, 1), (5, 2, 4), (300, 2, 120), (300, 20, 40)])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_plain_loop_with_small_pools(small_pools, n, d, size, seed):
    x = points(n, d, seed=seed)
    assert k_center_greedy(x, size, generator=generator(seed)).tolist() == plain_greedy(x, size, seed=seed)[0]


def test_equals_the_plain_loop_past_the_real_pool():
    x = points(5000, 4)
    assert len(x) > coreset._POOL
    assert k_center_greedy(x, 560, generator=generator()).tolist() == plain_greedy(x, 560)[0]


def test_float32_picks_are_greedy_up_to_rounding():
    x = points(4500, 16, dtype=torch.float32) * 3 + 40  # far from the origin: cancellation would show
    picked = k_center_greedy(x, 150, generator=generator())
    exact = x.double()
    nearest = torch.linalg.norm(exact - exact[picked[0]], dim=1)
    for pick in picked[1:]:
        assert float(nearest[pick]) >= (1 - 1e-4) * float(nearest.max())
        nearest = torch.minimum(nearest, torch.linalg.norm(exact - exact[pick], dim=1))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=40),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_exact_size_no_duplicates_and_never_a_wasted_pick(rows, share, seed):
    """Integer grids: many equal points and ties. Ties may fall either way, the distance of each pick may not."""
    x = torch.tensor(rows, dtype=torch.float64)
    size = max(1, round(share * len(rows)))
    picked = k_center_greedy(x, size, generator=generator(seed)).tolist()
    assert len(picked) == len(set(picked)) == size
    distinct = len(set(rows))
    if size == len(rows):  # all are kept, order is of no use
        return
    nearest = torch.linalg.norm(x - x[picked[0]], dim=1)
    for place, pick in enumerate(picked[1:], start=1):
        assert float(nearest[pick]) == pytest.approx(float(nearest.max()), abs=1e-9)
        assert (float(nearest[pick]) > 1e-9) == (place < distinct)  # a copy only when nothing else is left
        nearest = torch.minimum(nearest, torch.linalg.norm(x - x[pick], dim=1))


def test_all_points_equal():
    picked = k_center_greedy(torch.ones(5000, 4), 600, generator=generator()).tolist()
    assert len(set(picked)) == 600


def test_same_seed_same_indices_and_another_seed_another_start():
    x = points(400, 6, dtype=torch.float32)
    runs = [k_center_greedy(x, 50, generator=generator(seed)).tolist() for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]


def test_features_stay_unchanged():
    x = points(200, 4, dtype=torch.float32)
    before = x.clone()
    k_center_greedy(x, 20, generator=generator())
    assert torch.equal(x, before)


def test_radius_never_grows_with_size():
    x = points(500, 3)
    radii = [covering_radius(x, k_center_greedy(x, m, generator=generator())) for m in (1, 2, 5, 20, 100, 400, 500)]
    assert all(b <= a + 1e-9 for a, b in zip(radii, radii[1:], strict=False))
    assert radii[-1] == pytest.approx(0, abs=1e-6)


def test_smaller_coreset_is_the_beginning_of_a_larger():
    x = points(300, 5)
    large = k_center_greedy(x, 90, generator=generator()).tolist()
    assert k_center_greedy(x, 30, generator=generator()).tolist() == large[:30]


@pytest.mark.parametrize("seed", range(6))
def test_radius_is_within_twice_the_optimum(seed):
    x = points(12, 2, seed=seed)
    distances = torch.cdist(x, x).numpy()
    optimum = min(distances[:, list(c)].min(1).max() for c in combinations(range(12), 4))
    assert covering_radius(x, k_center_greedy(x, 4, generator=generator(seed))) <= 2 * optimum + 1e-9


def test_covering_radius_known_by_hand():
    line = torch.tensor([[0.0], [1.0], [4.0], [9.0]])
    assert covering_radius(line, torch.tensor([0, 2])) == pytest.approx(5)
    assert covering_radius(line, torch.tensor([0])) == pytest.approx(9)


def test_told_about_progress_and_can_be_cancelled():
    told = []
    k_center_greedy(points(300, 2), 100, generator=generator(), on_pick=told.append)
    assert told == sorted(told) and told[0] == 1 and told[-1] == 100

    class Cancelled(Exception):
        pass

    def cancel(done):
        raise Cancelled

    with pytest.raises(Cancelled):
        k_center_greedy(points(300, 2), 100, generator=generator(), on_pick=cancel)


@pytest.mark.parametrize("size", [0, -1, 11])
def test_impossible_size_raises(size):
    with pytest.raises(FeatureError, match=f"expected a coreset size in 1..10, got {size}"):
        k_center_greedy(points(10, 2), size, generator=generator())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_feature_that_is_not_finite_raises(value):
    x = points(10, 2)
    x[3, 1] = value
    with pytest.raises(FeatureError, match="finite"):
        k_center_greedy(x, 2, generator=generator())


@pytest.mark.parametrize(("n", "ratio", "size"), [(100, 1.0, 100), (100, 0.019, 1), (78400, 0.01, 784), (7, 0.5, 3)])
def test_size_is_rounded_down_as_in_anomalib(n, ratio, size):
    assert coreset_size(n, ratio) == size


def test_ratio_that_keeps_nothing_says_the_smallest_that_would():
    with pytest.raises(FeatureError, match=r"keeps none of 50 patches: use at least 0.02"):
        coreset_size(50, 0.01)


@pytest.mark.parametrize("ratio", [0, -0.1, 1.01, float("nan")])
def test_ratio_outside_its_range_raises(ratio):
    with pytest.raises(FeatureError, match="ratio in"):
        coreset_size(50, ratio)
