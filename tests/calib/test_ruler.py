"""Reading the ruler: recall per shift, and the smallest shift from which on enough is found."""

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.ruler import shift_recall, smallest_shift_found

SHIFTS = np.array([0.0, 1.0, 2.0, 3.0])


def scores_with(found: list[list[int]], n: int = 10) -> np.ndarray:
    """Scores 1 and 3, so many 3s per region and shift; the threshold is 2."""
    return np.array([[[3.0] * k + [1.0] * (n - k) for k in row] for row in found])


def test_recall_is_the_share_found():
    np.testing.assert_allclose(shift_recall(scores_with([[0, 3, 9, 10]]), 2.0), [[0, 0.3, 0.9, 1.0]])


def test_a_score_equal_to_the_threshold_is_found():
    assert shift_recall(np.full((1, 1, 4), 2.0), 2.0)[0, 0] == 1.0


def test_smallest_shift_with_recall_90_percent():
    assert smallest_shift_found(scores_with([[0, 3, 9, 10]]), SHIFTS, 2.0) == (2.0,)


def test_another_recall():
    assert smallest_shift_found(scores_with([[0, 3, 9, 10]]), SHIFTS, 2.0, recall=0.3) == (1.0,)
    assert smallest_shift_found(scores_with([[0, 3, 9, 10]]), SHIFTS, 2.0, recall=1.0) == (3.0,)


def test_a_shift_counts_only_if_every_larger_one_is_found_too():
    assert smallest_shift_found(scores_with([[0, 10, 5, 10]]), SHIFTS, 2.0) == (3.0,)


def test_none_where_the_largest_shift_is_missed():
    assert smallest_shift_found(scores_with([[0, 10, 10, 5]]), SHIFTS, 2.0) == (None,)


def test_each_region_on_its_own():
    found = scores_with([[0, 0, 0, 0], [0, 0, 9, 9], [10, 10, 10, 10]])
    assert smallest_shift_found(found, SHIFTS, 2.0) == (None, 2.0, 0.0)


def test_a_higher_threshold_never_finds_a_smaller_shift():
    scores = np.random.default_rng(0).normal(size=(3, 4, 50)) + SHIFTS[:, None]
    for low, high in zip(np.linspace(-2, 4, 20)[:-1], np.linspace(-2, 4, 20)[1:], strict=True):
        for easier, harder in zip(
            smallest_shift_found(scores, SHIFTS, low), smallest_shift_found(scores, SHIFTS, high), strict=True
        ):
            assert harder is None or (easier is not None and easier <= harder)


def test_score_that_is_no_number_stops():
    scores = scores_with([[0, 3, 9, 10]])
    scores[0, 0, 0] = np.nan
    with pytest.raises(CalibrationError):
        shift_recall(scores, 2.0)
