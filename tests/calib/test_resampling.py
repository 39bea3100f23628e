"""Resampling beside slow loops that draw, sort and count."""

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.resampling import (
    bootstrap_band,
    counts_of_draws,
    rank_thresholds,
    youden_thresholds,
)
from calibration.rules import is_ng
from calibration.synthetic_rules import youden


def samples(scores: np.ndarray, draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [np.repeat(scores, counts) for counts in counts_of_draws(scores.size, draws, rng)]


def test_every_sample_has_n_images_and_each_is_as_likely():
    counts = counts_of_draws(7, 4000, np.random.default_rng(0))
    assert (counts.sum(axis=1) == 7).all()
    assert np.abs(counts.mean(axis=0) - 1).max() < 4 / np.sqrt(4000)


def test_rank_thresholds_beside_sorting_each_sample():
    ok = np.array([1.0, 5.0, 5.0, 2.0, 9.0, 7.0])
    found = rank_thresholds(ok, 2, rng=np.random.default_rng(3), draws=200)
    slow = [np.sort(s)[-2] for s in samples(np.sort(ok)[::-1], 200, np.random.default_rng(3))]
    np.testing.assert_array_equal(found, slow)


@pytest.mark.parametrize("shift", [0, 6, 30])
def test_youden_thresholds_are_the_rule_on_each_pair_of_samples(shift):
    rng = np.random.default_rng(1)
    ok, ng = rng.integers(0, 12, 25).astype(float), shift + rng.integers(0, 14, 15).astype(float)
    found = youden_thresholds(ok, ng, rng=np.random.default_rng(2), draws=100)
    again = np.random.default_rng(2)
    for t, a, b in zip(found, samples(ok, 100, again), samples(ng, 100, again), strict=True):
        row = youden(a, b, source="held-out")
        if "swapped" in row.reason:
            tried = {x: np.mean(b >= x) - np.mean(a >= x) for x in np.r_[a, b]}
            assert np.isnan(t) == (max(tried.values()) <= 1e-9)
        else:
            assert (None if np.isnan(t) else t) == row.value


def test_band_beside_reading_every_resampled_roc():
    rng = np.random.default_rng(4)
    ok, ng = rng.integers(0, 15, 30).astype(float), rng.integers(8, 25, 20).astype(float)
    band = bootstrap_band(ok, ng, rng=np.random.default_rng(5), draws=60, grid=12)
    again = np.random.default_rng(5)
    pairs = list(zip(samples(np.sort(ok), 60, again), samples(np.sort(ng), 60, again), strict=True))

    def recall_at(a, b, rate):
        just_above = [np.nextafter(x, np.inf) for x in np.unique(ok)]
        return max(np.mean(is_ng(b, t)) for t in just_above if np.mean(is_ng(a, t)) <= rate + 1e-12)

    for place in range(11):  # the last point is FPR 1
        drawn = [recall_at(a, b, band.fpr[place]) for a, b in pairs]
        low, high = np.quantile(drawn, [0.025, 0.975])
        assert band.low[place] == pytest.approx(min(low, band.recall[place]))
        assert band.high[place] == pytest.approx(max(high, band.recall[place]))
    assert band.recall[-1] == band.low[-1] == band.high[-1] == 1.0
    assert (np.diff(band.recall) >= 0).all()


def test_few_images_have_no_band_and_a_rank_must_exist():
    assert bootstrap_band(np.arange(50.0), np.arange(9.0), rng=np.random.default_rng(0)) is None
    with pytest.raises(CalibrationError, match="rank: expected 1 to 5, got 6"):
        rank_thresholds(np.arange(5.0), 6, rng=np.random.default_rng(0))


def test_no_draws_and_no_grid_are_no_band():
    scores = np.arange(20.0)
    for settings in ({"draws": 0}, {"grid": 1}):
        with pytest.raises(CalibrationError, match=f"{list(settings)[0]}: expected at least"):
            bootstrap_band(scores, scores, rng=np.random.default_rng(0), **settings)
    with pytest.raises(CalibrationError, match="draws: expected at least 1"):
        youden_thresholds(scores, scores, rng=np.random.default_rng(0), draws=0)


def test_same_seed_same_band():
    ok, ng = np.arange(40.0), np.arange(20.0, 60.0)
    a, b = (bootstrap_band(ok, ng, rng=np.random.default_rng(8), draws=50) for _ in range(2))
    np.testing.assert_array_equal(a.low, b.low)


@pytest.mark.promise
def test_pointwise_band_holds_the_true_recall_about_as_often_as_it_says():
    """Normal scores, 100 OK and 100 NG, at 10 % FPR: a percentile bootstrap is approximate, 90 % is asked."""
    from scipy.stats import norm

    rng = np.random.default_rng(6)
    draws = 300
    held = 0
    for _ in range(draws):
        band = bootstrap_band(rng.normal(0, 1, 100), rng.normal(1.5, 1, 100), rng=rng, draws=200, grid=41)
        place = int(np.argmin(np.abs(band.fpr - 0.1)))
        true = norm.sf(norm.isf(band.fpr[place]) - 1.5)
        held += band.low[place] <= true <= band.high[place]
    assert held / draws >= 0.90 - 3 * np.sqrt(0.9 * 0.1 / draws)
