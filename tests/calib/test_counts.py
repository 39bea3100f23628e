"""The counts beside the slider: by hand, at ties, monotone, and quick enough to follow it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.bounds import rate_bound
from calibration.counts import counts_at
from calibration.errors import CalibrationError
from calibration.rules import is_ng


def test_a_score_equal_to_the_threshold_is_ng():
    assert is_ng(np.array([1.0, 2.0, 3.0]), 2.0).tolist() == [False, True, True]
    assert counts_at(np.array([1.0, 2.0, 2.0, 3.0]), 2.0) == rate_bound(3, 4)


def test_infinite_thresholds_flag_nothing_or_everything():
    scores = np.arange(4.0)
    assert counts_at(scores, np.inf).k == 0
    assert counts_at(scores, -np.inf).k == 4


def test_float32_scores_meet_a_float64_threshold_without_rounding():
    score = np.float32(0.1)
    just_above = np.nextafter(np.float64(score), np.inf)  # rounds back to the score in float32
    assert not is_ng(np.array([score]), just_above)[0]
    assert is_ng(np.array([score]), score)[0]


@given(st.lists(st.floats(0, 9), min_size=1), st.floats(0, 9), st.floats(0, 9))
def test_raising_the_threshold_never_flags_more(scores, one, other):
    scores = np.array(scores)
    assert counts_at(scores, max(one, other)).k <= counts_at(scores, min(one, other)).k


@pytest.mark.parametrize("threshold", [np.nan, None, "high"])
def test_a_threshold_that_is_no_number(threshold):
    with pytest.raises(CalibrationError, match="threshold: expected a number"):
        counts_at(np.arange(3.0), threshold)


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [[1.0]]])
def test_bad_scores(scores):
    with pytest.raises(CalibrationError):
        counts_at(np.array(scores), 1.0)
