"""Spread and tail rules by hand, beside scipy, and at the edges where they must refuse."""

import numpy as np
import pytest
from scipy import stats

from calibration.errors import CalibrationError
from calibration.simultaneous import upper_bound_anywhere
from calibration.spread_rules import mean_sigma, median_mad, pot, tolerance_factor


def normal_logs(n: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(3.0, 0.2, n))


@pytest.mark.parametrize(
    ("n", "factors"),
    [(10, (2.91, 3.98, 5.20)), (20, (2.40, 3.30, 4.32)), (50, (2.07, 2.86, 3.77)), (100, (1.93, 2.68, 3.54))],
)
def test_tolerance_factors_of_the_notes_and_of_scipy(n, factors):
    found = [tolerance_factor(n, rate, 0.95) for rate in (0.05, 0.01, 0.001)]
    assert found == pytest.approx(factors, abs=6e-3)
    z = stats.norm.isf(0.01)
    assert found[1] == pytest.approx(stats.nct.ppf(0.95, n - 1, z * np.sqrt(n)) / np.sqrt(n), rel=1e-6)


def test_mean_sigma_by_hand():
    """Logs 0 and 1 alternating, ten each: mean 0.5, s = sqrt(5 / 19)."""
    ok = np.tile([1.0, np.e], 4)
    row = mean_sigma(ok, source="held-out")
    s = np.sqrt(8 * 0.25 / 7)
    assert row.value == pytest.approx(np.exp(0.5 + tolerance_factor(8, 0.05, 0.95) * s))
    assert row.params["p_value"] is None and "too few to test" in row.notes[0]
    assert row.expected_fpr is None and row.fpr_upper_95 == upper_bound_anywhere(0, 8)


def test_mean_sigma_refuses_what_is_not_normal_and_says_so():
    two_modes = np.r_[normal_logs(30), 5 * normal_logs(30, 1)]
    row = mean_sigma(two_modes, source="held-out")
    assert row.value is None and "not normal (Shapiro-Wilk, p = " in row.reason
    assert row.params["p_value"] == pytest.approx(stats.shapiro(np.log(two_modes)).pvalue)
    assert mean_sigma(normal_logs(60), source="held-out").value is not None


def test_normality_of_many_scores_does_not_depend_on_their_order():
    """Shapiro-Wilk takes 5,000: the first ones of sorted scores are the lower half of them, and never normal."""
    ok = np.sort(normal_logs(9000))
    rows = [
        mean_sigma(scores, source="held-out") for scores in (ok, ok[::-1], np.random.default_rng(1).permutation(ok))
    ]
    assert len({row.params["p_value"] for row in rows}) == 1 and rows[0].params["p_value"] > 0.05
    assert stats.shapiro(np.log(ok[:5000])).pvalue < 1e-6


def test_median_mad_is_scipys_and_resists_contamination():
    ok = normal_logs(101)
    logs = np.log(ok)
    row = median_mad(ok, source="held-out", k=2.5)
    assert row.value == pytest.approx(
        np.exp(np.median(logs) + 2.5 * stats.median_abs_deviation(logs, scale="normal")), rel=1e-12
    )
    spoilt = np.r_[ok, np.full(10, 500.0)]
    assert median_mad(spoilt, source="held-out").value < 1.2 * median_mad(ok, source="held-out").value


def test_median_mad_of_mostly_equal_scores_is_refused():
    row = median_mad(np.r_[np.full(20, 3.0), 4.0, 5.0], source="held-out")
    assert row.value is None and "more than half" in row.reason


@pytest.mark.parametrize("rule", [mean_sigma, median_mad])
@pytest.mark.parametrize(
    ("scores", "reason"),
    [(np.arange(1.0, 8.0), "at least 8 OK scores, has 7"), (np.full(9, 2.0), "all OK scores are equal")]
    + [(np.r_[np.full(9, 5.0), np.nextafter(np.full(9, 5.0), 9.0)], "equal to within rounding")]
    + [(np.arange(0.0, 9.0), "positive scores, the lowest is 0")],
)
def test_spread_refusals_name_the_reason(rule, scores, reason):
    row = rule(scores, source="held-out")
    assert row.value is None and reason in row.reason


def test_exponential_tail_by_hand():
    """100 scores 0..99: the tail starts at 90, its excesses 1..9 have mean 5; t = 90 + 5 ln(9 / (100 x 0.01))."""
    row = pot(np.arange(100.0), source="held-out", alpha=0.01)
    assert (row.params["u0"], row.params["n_excess"], row.params["xi"], row.params["sigma"]) == (90.0, 9, 0.0, 5.0)
    assert row.value == pytest.approx(90 + 5 * np.log(9))


def test_free_shape_is_scipys_and_a_bounded_tail_names_its_end():
    scores = 2.0 - np.sqrt(np.random.default_rng(3).uniform(size=1000))
    row = pot(scores, source="held-out", alpha=0.002)
    excess = scores[scores > row.params["u0"]] - row.params["u0"]
    xi, _, sigma = stats.genpareto.fit(excess, floc=0)
    assert (row.params["xi"], row.params["sigma"]) == pytest.approx((xi, sigma), rel=2e-3) and xi < 0
    tail = excess.size / scores.size
    model = stats.genpareto(row.params["xi"], row.params["u0"], row.params["sigma"])
    assert row.value == pytest.approx(model.isf(0.002 / tail))
    assert "tail ends at" in row.notes[0]


@pytest.mark.parametrize("unit", [1e-200, 1e-6, 1e6, 1e25])
def test_tail_follows_the_unit_of_the_scores(unit):
    scores = np.random.default_rng(3).gamma(30, 1 / 6, 1000)
    one, other = (pot(scale * scores, source="held-out", alpha=0.002) for scale in (1.0, unit))
    assert other.params["n_excess"] > 50 and other.params["xi"] == pytest.approx(one.params["xi"], abs=1e-3)
    assert other.value == pytest.approx(unit * one.value, rel=1e-3)


def test_a_tail_that_ends_in_tied_scores_is_refused():
    """Its likelihood grows without end; the fit that scipy stops at says 1 % and rejects the 8 % tied ones."""
    scores = np.r_[np.random.default_rng(0).uniform(size=917), np.full(83, 7.0)]
    row = pot(scores, source="held-out", alpha=0.01)
    assert row.value is None and "pile up" in row.reason and row.params["xi"] <= -1


@pytest.mark.parametrize(
    ("scores", "alpha", "reason"),
    [
        (np.arange(49.0), 0.01, "at least 50 OK scores, has 49"),
        (np.arange(100.0), 0.09, "inside the scores"),
        (np.arange(100.0), 0.0009, "ten times beyond"),
        (np.r_[np.arange(50.0), np.full(50, 60.0)], 0.01, "too many scores are equal"),
    ],
)
def test_tail_refusals_name_the_reason(scores, alpha, reason):
    row = pot(scores, source="held-out", alpha=alpha)
    assert row.value is None and reason in row.reason


@pytest.mark.parametrize("k", [0.0, -1.0, np.nan, "three"])
def test_k_must_be_a_number_above_0(k):
    with pytest.raises(CalibrationError, match="k: expected a number above 0"):
        median_mad(np.arange(1.0, 20.0), source="held-out", k=k)


@pytest.mark.promise
def test_tail_rule_has_the_fpr_measured_before():
    """Gamma(30, 1/6), n = 50, 0.1 % out of reach; 0.2 % is the least it may be asked: mean FPR about what it says."""
    rng = np.random.default_rng(5)
    values = [pot(rng.gamma(30, 1 / 6, 50), source="held-out", alpha=0.002).value for _ in range(2000)]
    assert 0.0005 < stats.gamma.sf(values, 30, scale=1 / 6).mean() < 0.006
