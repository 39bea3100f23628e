"""Leave-one-session-out beside leave-one-out: by hand, relations, and what a true session effect and none look like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.bounds import rate_bound
from calibration.counts import counts_at
from calibration.errors import CalibrationError
from calibration.sessions import rejected_by_session, session_gap, worst_session

SCORES = st.lists(st.floats(0, 100), min_size=1, max_size=30).map(np.array)


def test_by_hand():
    loo = np.array([10.0, 14.0, 12.0, 16.0, 18.0])
    by_session = np.array([11.0, 14.0, 15.0, 18.0, 19.0])  # + 1, 0, 3, 2, 1
    at_random = np.array([10.5, 14.0, 12.5, 16.0, 18.5])
    gap = session_gap(loo, by_session, 3, at_random)
    assert (gap.difference, gap.in_iqr, gap.at_random) == (1.0, 0.25, 0.5)  # quartiles 12 and 16
    assert (gap.n_above, gap.n_above_at_random, gap.n, gap.n_sessions) == (1, 1, 5, 3)


def test_a_score_equal_to_the_highest_known_one_is_not_above_it():
    gap = session_gap(np.array([1.0, 2.0]), np.array([2.0, 2.0]), 2, np.array([1.0, 2.5]))
    assert (gap.n_above, gap.n_above_at_random) == (0, 1)


def test_without_the_control_its_fields_are_none():
    gap = session_gap(np.array([1.0, 2.0]), np.array([2.0, 3.0]), 2)
    assert (gap.difference, gap.at_random, gap.n_above, gap.n_above_at_random) == (1.0, None, 1, None)


def test_equal_leave_one_out_scores_have_no_range_to_measure_by():
    assert session_gap(np.ones(4), np.full(4, 3.0), 2).in_iqr is None


@given(SCORES, st.floats(-50, 50))
def test_a_constant_shift_is_the_difference(loo, shift):
    gap = session_gap(loo, loo + shift, 2, loo)
    assert gap.difference == pytest.approx(shift, abs=1e-9)
    assert gap.at_random == 0.0
    assert gap.n_above_at_random == 0


@given(SCORES, st.floats(0.1, 10))
def test_the_unit_cancels_in_iqr(loo, factor):
    by_session = loo + np.arange(loo.size)
    one = session_gap(loo, by_session, 2)
    other = session_gap(factor * loo, factor * by_session, 2)
    assert other.difference == pytest.approx(factor * one.difference)
    if one.in_iqr is not None and other.in_iqr is not None:
        assert other.in_iqr == pytest.approx(one.in_iqr, rel=1e-6)


def test_the_lowest_threshold_that_rejects_no_known_part_rejects_n_above():
    rng = np.random.default_rng(0)
    loo = rng.normal(10, 1, 200)
    by_session = loo + rng.exponential(1.0, 200)
    threshold = np.nextafter(loo.max(), np.inf)
    known, unknown = rejected_by_session(loo, by_session, threshold)
    assert known.k == 0
    assert unknown.k == session_gap(loo, by_session, 5).n_above > 0


def test_rejected_at_a_threshold_by_hand():
    known, unknown = rejected_by_session(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 3.0]), 2.0)
    assert (known, unknown) == (rate_bound(2, 3), rate_bound(3, 3))


def test_float32_scores_are_compared_in_float64():
    score = np.float32(0.1)
    just_above = np.nextafter(np.float64(score), np.inf)
    known, unknown = rejected_by_session(np.array([score]), np.array([score]), just_above)
    assert known.k == unknown.k == 0


def test_worst_session_by_hand():
    scores = np.array([1.0, 9.0, 1.0, 9.0, 9.0, 1.0])
    sessions = ["mon", "mon", "tue", "tue", "wed", "wed"]
    assert worst_session(scores, sessions, 5.0).session == "mon"  # all equal: the first by name
    worst = worst_session(np.array([9.0, 1.0, 9.0, 9.0, 1.0, 1.0]), ["mon", "mon", "tue", "tue", "tue", "tue"], 5.0)
    assert (worst.session, worst.rejected) == ("tue", rate_bound(2, 4))  # equal shares: the one with more parts
    worst = worst_session(np.array([9.0, 1.0, 1.0, 9.0]), ["mon", "tue", "tue", "tue"], 5.0, confidence=0.9)
    assert (worst.session, worst.rejected) == ("mon", rate_bound(1, 1, 0.9))
    assert worst_session(np.array([1.0]), ["only"], 5.0).rejected.k == 0


@given(st.lists(st.tuples(st.floats(0, 9), st.sampled_from("abc")), min_size=1), st.floats(0, 9))
def test_no_session_is_worse_than_the_worst(parts, threshold):
    scores, sessions = np.array([score for score, _ in parts]), [session for _, session in parts]
    worst = worst_session(scores, sessions, threshold)
    for name in set(sessions):
        own = np.array([score for score, session in parts if session == name])
        assert counts_at(own, threshold).estimate <= worst.rejected.estimate
    assert worst.rejected.estimate >= counts_at(scores, threshold).estimate


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ([1.0], [1.0, 2.0], [1.0], 2),
            "leave-one-session-out scores: expected 1, as many as leave-one-out scores, got 2",
        ),
        (([1.0, 2.0], [1.0, 2.0], [1.0], 2), "hidden at random: expected 2"),
        (([], [], [], 2), "expected at least one score"),
        (([1.0], [np.nan], [1.0], 2), "expected finite numbers"),
        (([1.0], [1.0], [1.0], 1), "sessions: expected at least 2, got 1"),
    ],
)
def test_bad_input(arguments, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        session_gap(*map(np.array, arguments[:2]), arguments[3], np.array(arguments[2]))


def test_one_session_for_each_score():
    with pytest.raises(CalibrationError, match="expected one for each of 2 scores, got 1"):
        worst_session(np.array([1.0, 2.0]), ["mon"], 1.0)
    with pytest.raises(CalibrationError, match="as many as leave-one-out"):
        rejected_by_session(np.array([1.0, 2.0]), np.array([1.0]), 1.0)


def nearest(parts: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Distance of each part to the nearest that is not hidden for it; ``hidden`` (n, n) bool."""
    distance = np.linalg.norm(parts[:, None] - parts[None], axis=2)
    return np.where(hidden, np.inf, distance).min(1)


@pytest.mark.parametrize("n_sessions", [2, 5])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_control_tells_a_session_effect_from_a_smaller_bank(n_sessions, shift):
    """Parts are points; sessions lie ``shift`` standard deviations apart, or not at all."""
    above, differences = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        session = np.arange(60) % n_sessions
        parts = rng.normal(size=(60, 4)) + shift * rng.normal(size=(n_sessions, 4))[session]
        own = np.eye(60, dtype=bool)
        mates = session[:, None] == session
        chance = own.copy()
        for i in range(60):
            chance[i, rng.choice(np.delete(np.arange(60), i), mates[i].sum() - 1, replace=False)] = True
        gap = session_gap(nearest(parts, own), nearest(parts, mates), n_sessions, nearest(parts, chance))
        assert gap.difference >= 0 and gap.at_random >= 0  # hiding more never lowers a distance
        above.append(gap.difference - gap.at_random)
        differences.append(gap.difference)
    if n_sessions == 2:
        assert np.mean(differences) > 0  # half of the bank is gone, with an effect of sessions or without
    spread = np.std(above) / np.sqrt(len(above))
    if shift:
        assert min(above) > 0
    else:
        assert abs(np.mean(above)) <= 4 * spread
