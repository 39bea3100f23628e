"""Challenge parts: choices and verdicts by hand, Howe's factor against the exact one, and what limits promise."""

import numpy as np
import pytest
from scipy.stats import norm

from calibration.challenge import ChallengePart, Limits, choose, judge, limits_of
from calibration.errors import CalibrationError

T = 10.0


def test_the_parts_nearest_on_both_sides_and_a_plain_one():
    ok = np.array([3.0, 9.5, 10.0, 5.0, 9.0, 4.0, 12.0])  # 10 and 12 are rejected
    ng = np.array([11.0, 10.0, 40.0, 9.9, 20.0])  # 9.9 is missed
    assert choose(ok, ng, T) == ((1, 4, 3), (1, 0, 4))  # passed: 9.5 9 5 4 3; caught: 10 11 20 40


def test_few_parts_are_taken_once_and_none_from_the_wrong_side():
    assert choose(np.array([3.0]), np.array([]), T) == ((0,), ())
    assert choose(np.array([11.0, 4.0, 5.0]), np.array([2.0]), T, near=5) == ((2, 1), ())
    assert choose(np.array([11.0]), np.array([12.0]), T) == ((), (0,))


@pytest.mark.parametrize(("n", "exact"), [(5, 6.598), (10, 4.437), (20, 3.621)])
def test_the_factor_is_near_the_exact_one(n, exact):
    """Exact factors for 99 % of the shots at 95 %, by integrating over mean and spread."""
    logs = np.random.default_rng(n).normal(3, 0.1, n)
    found = limits_of(np.exp(logs))
    assert np.log(found.high / found.low) / 2 / logs.std(ddof=1) == pytest.approx(exact, rel=0.016)
    assert np.log(found.high * found.low) / 2 == pytest.approx(logs.mean())


def test_limits_follow_the_unit_and_widen_with_parts_and_doubt():
    shots = np.array([20.0, 21.0, 19.5, 20.4])
    found = limits_of(shots)
    scaled = limits_of(7 * shots)
    assert (scaled.low, scaled.high, scaled.n) == (pytest.approx(7 * found.low), pytest.approx(7 * found.high), 4)
    for wider in (limits_of(shots, parts=6), limits_of(shots, confidence=0.99), limits_of(shots, content=0.999)):
        assert wider.low < found.low and wider.high > found.high


@pytest.mark.promise
@pytest.mark.parametrize(("n", "parts"), [(3, 1), (10, 6)])
def test_with_the_stated_confidence_nearly_all_looks_to_come_lie_inside(n, parts):
    releases = 2500
    rng = np.random.default_rng(n)
    held = 0
    for _ in range(releases):
        found = limits_of(np.exp(rng.normal(3, 0.1, n)), parts=parts)
        low, high = (np.log([found.low, found.high]) - 3) / 0.1
        held += norm.cdf(high) - norm.cdf(low) >= 1 - 0.01 / parts
    assert abs(held / releases - 0.95) <= 0.012 + 3 * np.sqrt(0.95 * 0.05 / releases)  # Howe is near, not exact


def one(label: str, limits: Limits | None = None) -> ChallengePart:
    return ChallengePart("part", label, 9.0 if label == "ok" else 12.0, limits)


@pytest.mark.parametrize(
    ("part", "shots", "verdict", "alarm"),
    [
        (one("ng"), [T], "right side, limits unknown", False),  # at the threshold is NG
        (one("ng"), [np.nextafter(T, 0)], "wrong side of the threshold", True),
        (one("ok"), [T], "wrong side of the threshold", True),
        (one("ok"), [9.9], "right side, limits unknown", False),
        (one("ok", Limits(8.0, 9.5, 10)), [8.0], "as expected", False),
        (one("ok", Limits(8.0, 9.5, 10)), [9.6], "outside its limits", True),
        (one("ok", Limits(8.0, 9.5, 10)), [7.0], "outside its limits", True),
        (one("ok", Limits(8.0, 9.5, 10)), [9.6, 9.0, 9.1], "as expected", False),  # the median of shots
        (one("ng", Limits(9.0, 15.0, 10)), [11.0, 9.9, 12.0], "wrong side of the threshold", True),  # any shot
        (one("ng", Limits(9.0, 15.0, 10)), [], "not shown", False),
    ],
)
def test_verdicts(part, shots, verdict, alarm):
    (found,) = judge([part], [np.array(shots)], T)
    assert (found.verdict, found.alarm, found.n) == (verdict, alarm, len(shots))
    assert found.now == (np.median(shots) if shots else None)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: choose(np.array([1.0]), np.array([2.0]), T, near=0), "near: expected at least 1"),
        (lambda: choose(np.array([]), np.array([2.0]), T), "expected at least one score"),
        (lambda: limits_of(np.array([1.0])), "expected at least 2, got 1; take 10"),
        (lambda: limits_of(np.array([1.0, 0.0])), "expected scores above 0"),
        (lambda: limits_of(np.array([2.0, 2.0, 2.0])), "3 equal scores"),
        (lambda: limits_of(np.array([1.0, 2.0]), parts=0), "parts: expected at least 1"),
        (lambda: limits_of(np.array([1.0, 2.0]), content=1.0), "content: expected a rate"),
        (lambda: judge([one("ok")], [], T), "expected scores of 1 parts, got 0"),
        (lambda: judge([one("ok")], [np.array([np.nan])], T), "expected finite numbers"),
    ],
)
def test_bad_input(action, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        action()
