"""Exact limits: values known by hand or from tables, the library beside them, impossible counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from calibration.bounds import lower_bound, needed_for, needed_ng, needed_ok, rate_bound, smallest_fpr, upper_bound
from calibration.errors import CalibrationError

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_none_of_n_and_all_of_n_have_closed_forms():
    for n in (1, 2, 59, 1000):
        assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-12)
        assert lower_bound(n, n) == pytest.approx(0.05 ** (1 / n), rel=1e-12)
        assert lower_bound(0, n) == 0.0
        assert upper_bound(n, n) == 1.0


def test_published_counts():
    assert upper_bound(0, 50) == pytest.approx(0.058, abs=5e-4)
    assert upper_bound(3, 212) == pytest.approx(0.036, abs=5e-4)
    assert [round(lower_bound(k, k), 2) for k in (20, 59)] == [0.86, 0.95]


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_same_as_the_library(counts, confidence):
    k, n = counts
    above = binomtest(k, n, alternative="less").proportion_ci(confidence, "exact").high
    below = binomtest(k, n, alternative="greater").proportion_ci(confidence, "exact").low
    # scipy searches its limits to an absolute 2e-12; ours are held to the equation itself below
    assert upper_bound(k, n, confidence) == pytest.approx(above, rel=1e-9, abs=4e-12)
    assert lower_bound(k, n, confidence) == pytest.approx(below, rel=1e-9, abs=4e-12)
    if k < n:
        assert binom.cdf(k, n, upper_bound(k, n, confidence)) == pytest.approx(1 - confidence, rel=1e-9)
    if k > 0:
        assert binom.sf(k - 1, n, lower_bound(k, n, confidence)) == pytest.approx(1 - confidence, rel=1e-9)


@given(COUNTS)
def test_limits_enclose_the_estimate_and_mirror_each_other(counts):
    k, n = counts
    found = rate_bound(k, n)
    assert (found.k, found.n, found.confidence) == (k, n, 0.95)
    assert found.low <= found.estimate <= found.high
    assert found.low == pytest.approx(1 - upper_bound(n - k, n), abs=1e-12)


@given(COUNTS, st.floats(0.001, 0.999))
def test_upper_limit_is_below_the_true_rate_in_at_most_5_percent(counts, rate):
    """Exact: the binomial probability of all counts whose limit misses the rate."""
    _, n = counts
    missed = [k for k in range(n + 1) if upper_bound(k, n) < rate]
    assert binom.pmf(missed, n, rate).sum() <= 0.05 + 1e-9


def test_needed_ok_is_the_fewest():
    assert [needed_ok(rate) for rate in (0.10, 0.05, 0.01, 0.001)] == [29, 59, 299, 2995]
    for max_fpr in (0.5, 0.07, 0.013):
        for confidence in (0.75, 0.9, 0.99):
            n = needed_ok(max_fpr, confidence)
            assert smallest_fpr(n, confidence) <= max_fpr * (1 + 1e-12)
            assert n == 1 or smallest_fpr(n - 1, confidence) > max_fpr
    assert needed_ok(0.5, 0.75) == 2  # 1 - 0.5^2 = 0.75 exactly
    assert needed_ok(0.9, 0.5) == 1


def test_tabled_escape_rates_without_a_miss():
    """1, 2, 5, 10, 29, 59, 299 NG and none missed: what they prove at 95 %, in percent."""
    proven = {1: 95.0, 2: 77.6, 5: 45.1, 10: 25.9, 29: 9.8, 59: 4.95, 299: 1.0}
    for n, percent in proven.items():
        assert 100 * upper_bound(0, n) == pytest.approx(percent, abs=0.05)


@given(st.integers(0, 6), st.floats(0.004, 0.6), st.sampled_from([0.8, 0.95, 0.99]))
def test_needed_is_the_fewest_that_prove_the_rate(seen, rate, confidence):
    n = needed_for(rate, confidence, seen=seen)
    assert upper_bound(seen, n, confidence) <= rate * (1 + 1e-9)
    assert n == seen + 1 or upper_bound(seen, n - 1, confidence) > rate * (1 - 1e-9)
    assert needed_ng(1 - rate, confidence, missed=seen) in (n - 1, n, n + 1)  # 1 - rate rounds


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5), (1.5, 5), (math.nan, 5)])
def test_impossible_counts(k, n):
    for bound in (upper_bound, lower_bound, rate_bound):
        with pytest.raises(CalibrationError):
            bound(k, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 95, math.nan, "high"])
def test_impossible_confidence(confidence):
    for call in (lambda: rate_bound(1, 5, confidence), lambda: needed_ok(0.05, confidence)):
        with pytest.raises(CalibrationError, match="between 0 and 1"):
            call()


def test_numpy_integers_count():
    assert rate_bound(np.int64(2), np.int32(9)) == rate_bound(2, 9)
