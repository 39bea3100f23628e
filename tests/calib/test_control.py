"""The control set against counts made by hand, and its error rate over many draws."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from calibration.control import DIFFERS, IDENTICAL, NOT_TOLD_APART, control
from calibration.errors import CalibrationError

OK = np.arange(100.0)  # the limit is 95: 96 to 99 lie above it


def test_the_limit_is_the_score_that_five_in_a_hundred_exceed():
    assert control(OK, OK, OK).limit == 95 and (OK > 95).sum() == 4


def test_sides_changed_are_counted_and_the_chance_is_the_exact_one():
    parents = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 97.0, 98.0])
    controls = np.array([99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 3.0, 99.0])
    found = control(parents, controls, OK)
    assert (found.lifted, found.lowered, found.n) == (6, 1, 8)
    assert found.p == pytest.approx(binomtest(6, 7, 0.5, alternative="greater").pvalue)
    assert found.verdict == NOT_TOLD_APART and found.median_shift == 94.5


def test_five_lifted_of_five_that_changed_differ_and_four_do_not():
    for lifted, verdict in ((4, NOT_TOLD_APART), (5, DIFFERS)):
        assert control(np.zeros(20), np.repeat([99.0, 0.0], [lifted, 20 - lifted]), OK).verdict == verdict


def test_a_lift_that_stays_among_good_parts_passes_and_is_told():
    found = control(OK[:20], OK[:20] + 5, OK)
    assert found.verdict == NOT_TOLD_APART and found.median_shift == 5


def test_the_same_pixels_are_identical():
    assert control(OK[:20], OK[:20], OK, unchanged=True).verdict == IDENTICAL


def test_a_generator_that_adds_nothing_is_blocked_in_at_most_one_of_twenty():
    rng = np.random.default_rng(0)
    ok, runs = rng.normal(size=200), 1000
    blocked = sum(
        control(*(rng.normal(0, 1, 40) + rng.normal(0, 1, 40) for _ in range(2)), ok).verdict == DIFFERS
        for _ in range(runs)
    )
    assert 0 < blocked <= runs * 0.05 + 3 * math.sqrt(runs * 0.05 * 0.95)


def test_scores_that_do_not_pair_are_refused():
    with pytest.raises(CalibrationError, match="expected one good part for each of 3"):
        control(OK[:2], OK[:3], OK)
