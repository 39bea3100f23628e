"""Plans by hand: what is proven, what is still to be collected."""

import pytest

from calibration.bounds import upper_bound
from calibration.collect import plan
from calibration.errors import CalibrationError


def test_nothing_seen_proves_nothing_and_takes_all():
    found = plan(0, 0, rate=0.05)
    assert (found.proven, found.needed, found.more, found.one_more) == (1.0, 59, 59, 93)


def test_one_miss_costs_more_parts():
    assert plan(1, 20, rate=0.10).more == 46 - 20
    assert plan(1, 20, rate=0.10).one_more == 61 - 20


def test_a_proven_claim_takes_nothing_more():
    found = plan(0, 29, rate=0.10)
    assert (found.more, found.one_more) == (0, 0) and found.proven <= 0.10


@pytest.mark.parametrize("wrong", [0, 1, 4])
@pytest.mark.parametrize("n", [5, 30, 200])
def test_what_is_asked_for_proves_the_claim_and_one_fewer_does_not(wrong, n):
    found = plan(wrong, n, rate=0.02, confidence=0.9)
    if found.more:
        assert upper_bound(wrong, n + found.more, 0.9) <= 0.02 < upper_bound(wrong, n + found.more - 1, 0.9)
        assert upper_bound(wrong + 1, n + found.one_more, 0.9) <= 0.02
    assert found.proven == upper_bound(wrong, n, 0.9)


def test_impossible_plans():
    for wrong, n, rate in ((3, 2, 0.1), (-1, 2, 0.1), (0, 5, 0.0), (1, 0, 0.1)):
        with pytest.raises(CalibrationError):
            plan(wrong, n, rate=rate)
