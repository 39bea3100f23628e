"""The promises themselves: many seeded calibrations on scores whose true FPR is known."""

import itertools

import numpy as np
import pytest
from scipy.stats import gamma, multinomial

from calibration.bounds import upper_bound
from calibration.rank_rules import conformal, percentile, tolerance
from calibration.rules import is_ng

DRAWS = 20_000
CONFORMAL_DRAWS = 4_000


def true_fpr(rule, n: int, draws: int, seed: int) -> np.ndarray:
    """Exact FPR of each calibration: uniform scores, so the share at or above t is 1 - t."""
    scores = np.random.default_rng(seed).uniform(size=(draws, n))
    return np.array([1.0 - rule(ok).value for ok in scores])


def three_sigma(rate: float, draws: int) -> float:
    return 3.0 * np.sqrt(rate * (1.0 - rate) / draws)


@pytest.mark.promise
@pytest.mark.parametrize("n", [59, 100])
def test_tolerance_fails_in_at_most_5_percent_of_calibrations(n):
    fpr = true_fpr(lambda ok: tolerance(ok, source="held-out"), n, DRAWS, seed=1)
    assert np.mean(fpr > 0.05) <= 0.05 + three_sigma(0.05, DRAWS)


@pytest.mark.parametrize(("n", "max_fpr"), [(19, 0.05), (50, 0.10)])
def test_conformal_mean_fpr_is_its_rank_over_n_plus_one(n, max_fpr):
    def rule(ok):
        return conformal(ok, source="held-out", max_fpr=max_fpr)

    fpr = true_fpr(rule, n, CONFORMAL_DRAWS, seed=2)
    sigma = fpr.std() / np.sqrt(CONFORMAL_DRAWS)
    expected = rule(np.arange(float(n))).expected_fpr
    assert expected <= max_fpr
    assert abs(fpr.mean() - expected) <= 3 * sigma


@pytest.mark.parametrize("n", [20, 100])
def test_percentile_limit_fails_in_5_percent_and_its_mean_is_what_the_row_says(n):
    fpr = true_fpr(lambda ok: percentile(ok, source="held-out"), n, CONFORMAL_DRAWS, seed=3)
    row = percentile(np.arange(float(n)), source="held-out")
    assert abs(np.mean(fpr > row.fpr_upper_95) - 0.05) <= three_sigma(0.05, CONFORMAL_DRAWS)
    assert abs(fpr.mean() - row.expected_fpr) <= 3 * fpr.std() / np.sqrt(CONFORMAL_DRAWS)


def test_limit_holds_with_ties_that_break_the_limit_of_the_count():
    """Scores 0, 1 and 2 with tails 4.8 % and 3.05 %, 100 parts, rank 3; exact, summed over all outcomes.

    With ties the scores choose how many lie above the threshold, and the limit of that count fails too often.
    """
    n, tails = 100, {1: 0.048, 2: 0.0305, 3: 0.0}  # P(score >= key)
    missed = missed_by_count = 0.0
    for twos, ones in itertools.product(range(15), repeat=2):  # more of either never misses or hardly ever occurs
        ok = np.repeat([0.0, 1.0, 2.0], [n - twos - ones, ones, twos])
        weight = multinomial.pmf([twos, ones, n - twos - ones], n, [0.0305, 0.0175, 0.952])
        row = percentile(ok, source="held-out", q=97 / 99)
        assert row.params["rank"] == 3
        fpr = tails[int(np.floor(row.value)) + 1]
        missed += weight * (fpr > row.fpr_upper_95)
        missed_by_count += weight * (fpr > upper_bound(int(is_ng(ok, row.value).sum()), n))
    assert missed <= 0.05 < missed_by_count


def leave_one_out(points: np.ndarray) -> np.ndarray:
    """Score of each image against the others: largest over its patches of the nearest distance; exact bank.

    points : (images, patches, 2)
    """
    gaps = np.linalg.norm(points[:, :, None, None] - points[None, None], axis=-1)  # (i, p, j, q)
    n = len(points)
    gaps[np.arange(n), :, np.arange(n)] = np.inf  # own patches masked
    return gaps.min(axis=(2, 3)).max(axis=1)


def test_conformal_keeps_its_mean_on_leave_one_out_scores_of_an_exact_bank():
    """19 images, 10 % asked: the next image is flagged in at most 10 % of draws."""
    rng = np.random.default_rng(6)
    draws, n = 2000, 19
    flagged = 0
    for _ in range(draws):
        points = rng.normal(size=(n + 1, 4, 2))
        bank, new = points[:n], points[n]
        row = conformal(leave_one_out(bank), source="leave-one-out", max_fpr=0.10)
        score = np.linalg.norm(new[:, None, None] - bank[None], axis=-1).min(axis=(1, 2)).max()
        flagged += score >= row.value
    assert flagged / draws <= 0.10 + three_sigma(0.10, draws)


@pytest.mark.parametrize(("n", "reported"), [(10, 0.09), (20, 0.048), (50, 0.019), (100, 0.011)])
def test_999_percentile_of_few_scores_has_the_fpr_measured_before(n, reported):
    rng = np.random.default_rng(9)
    values = [percentile(rng.gamma(30, 1 / 6, n), source="held-out").value for _ in range(2000)]
    assert gamma.sf(values, 30, scale=1 / 6).mean() == pytest.approx(reported, rel=0.12)
