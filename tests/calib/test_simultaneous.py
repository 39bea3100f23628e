"""Limits at every threshold at once: closed forms, brute force, and the promise for thresholds picked after a look."""

import numpy as np
import pytest
from scipy.special import betainc, betaincinv

from calibration.bounds import upper_bound
from calibration.errors import CalibrationError
from calibration.simultaneous import coverage, local_level, rate_bound_anywhere, upper_bound_anywhere


def smallest_tail_probabilities(n: int, draws: int, seed: int) -> np.ndarray:
    """Per draw the smallest local level at which one of the n limits fails: the Berk-Jones statistic itself."""
    true_fpr = np.sort(np.random.default_rng(seed).uniform(size=(draws, n)), axis=1)
    ranks = np.arange(1, n + 1)
    return (1.0 - betainc(ranks, n - ranks + 1, true_fpr)).min(axis=1)


@pytest.mark.parametrize("level", [0.2, 0.05, 0.003])
def test_coverage_of_one_and_of_two_scores_in_closed_form(level):
    """n = 2: P(U_(1) <= x, U_(2) <= y) = y^2 - (y - x)^2 for x <= y."""
    assert coverage(level, 1) == pytest.approx(1.0 - level, rel=1e-9)
    x, y = betaincinv(1, 2, 1 - level), betaincinv(2, 1, 1 - level)
    assert coverage(level, 2) == pytest.approx(y**2 - (y - x) ** 2, rel=1e-9)


@pytest.mark.parametrize("n", [3, 20, 150, 1500])
def test_coverage_agrees_with_brute_force(n):
    draws = 20_000 if n < 1000 else 4_000
    statistic = smallest_tail_probabilities(n, draws, seed=n)
    for level in (0.02, 0.003):
        kept = coverage(level, n)
        assert abs(np.mean(statistic >= level) - kept) <= 4 * np.sqrt(kept * (1 - kept) / draws)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 10, 147, 700])
def test_local_level_gives_the_confidence_asked_for(n, confidence):
    assert coverage(local_level(n, confidence), n) == pytest.approx(confidence, abs=(1 - confidence) / 100)


def test_limit_is_above_the_fixed_one_and_rises_with_the_count():
    found = [upper_bound_anywhere(k, 50) for k in range(51)]
    assert all(a < b for a, b in zip(found, found[1:], strict=False)) and found[-1] == 1.0
    assert all(upper_bound(k, 50) < found[k] for k in range(50))
    bound = rate_bound_anywhere(3, 50)
    assert (bound.k, bound.n, bound.high) == (3, 50, found[3]) and bound.low < bound.estimate < bound.high


def test_thresholds_searched_for_keep_their_limit_where_the_fixed_limit_fails():
    """The worst search: among all thresholds the one whose fixed limit is furthest below the true FPR."""
    n, draws = 100, 4_000
    statistic = smallest_tail_probabilities(n, draws, seed=7)
    assert np.mean(statistic < 0.05) > 0.3  # Clopper-Pearson at 95 %, picked after the look
    failed = np.mean(statistic < local_level(n))
    assert failed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_bad_counts_and_confidence():
    with pytest.raises(CalibrationError):
        upper_bound_anywhere(3, 2)
    with pytest.raises(CalibrationError):
        upper_bound_anywhere(0, 10, 1.0)
