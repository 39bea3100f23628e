"""The control of a generator that draws whole pictures: exact chances, and what it finds out."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import betabinom

from calibration.control import DIFFERS, NOT_TOLD_APART
from calibration.drawn_control import CANNOT_TELL, _needed, _tails, drawn_control
from calibration.errors import CalibrationError


def test_tails_count_every_order_of_the_scores():
    """Controls and good parts of one kind: every order is as likely, so all of them are counted."""
    m, n, r = 6, 3, 2
    ranks = range(m + n)
    counts = np.zeros(n + 1)
    for controls in combinations(ranks, n):
        ok = sorted(set(ranks) - set(controls))
        counts[sum(c > ok[m - 1 - r] for c in controls)] += 1
    np.testing.assert_allclose(_tails(n, r, m), np.cumsum(counts[::-1])[::-1] / counts.sum())


@pytest.mark.parametrize(("n", "r", "m"), [(1, 0, 9), (20, 3, 60), (300, 29, 600)])
def test_tails_are_scipys_beta_binomial(n, r, m):
    np.testing.assert_allclose(
        _tails(n, r, m), betabinom.sf(np.arange(n + 1) - 1, n, r + 1, m - r), rtol=1e-9, atol=1e-12
    )


def test_one_control_beyond_every_good_part_has_its_share_of_the_orders():
    found = drawn_control(np.array([100.0]), np.arange(9.0))
    assert found.p == pytest.approx(1 / 10) and (found.above, found.above_ok) == (1, 0)


def test_too_few_controls_are_no_pass_and_enough_are():
    ok = np.arange(100.0)
    needed = drawn_control(ok[:1], ok).needed
    assert needed == 11
    assert drawn_control(ok[:10], ok).verdict == CANNOT_TELL and drawn_control(ok[:11], ok).verdict == NOT_TOLD_APART
    assert drawn_control(ok[:3] + 200, ok).verdict == DIFFERS  # three beyond all good parts are enough to accuse


def test_needed_is_the_first_that_would_find_out_half_of_them_above():
    """The same by drawing: of 4 good parts above the limit among 100, halves of so many controls."""
    rng = np.random.default_rng(0)

    def found_out(n: int) -> float:
        above = rng.binomial(n, 0.5, 20_000)
        return float((_tails(n, 4, 100)[above] <= 0.05).mean())

    n = _needed(4, 100)
    assert found_out(n) > 0.94 and found_out(n - 1) < 0.96


def test_what_scores_low_passes_and_its_area_says_so():
    ok = np.random.default_rng(1).normal(10, 1, 60)
    found = drawn_control(ok[:30] - 5, ok)
    assert found.verdict == NOT_TOLD_APART and found.area.high < 0.5 and found.above == 0


@pytest.mark.parametrize("controls", [np.empty(0), np.array([np.nan]), np.zeros((2, 2))])
def test_scores_that_are_none_are_refused(controls):
    with pytest.raises(CalibrationError, match="control scores"):
        drawn_control(controls, np.arange(5.0))
