"""What is flagged, what is not, and how often a clean set is accused."""

import numpy as np
import pytest
from scipy import stats

from calibration.errors import CalibrationError
from calibration.outliers import outliers


def clean(n: int, seed: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(3.0, 0.2, n))


def test_by_hand():
    """Logs 0 (four), 1 (four) and 31: median 1, deviations 1 x 4, 0 x 4, 30, so MAD = 1 / 0.6745; 8 x 0.37 degrees."""
    ok = np.exp(np.r_[np.zeros(4), np.ones(4), 31.0])
    (found,) = outliers(ok)
    assert found.place == 8 and found.score == ok[8]
    assert found.p_value == pytest.approx(9 * stats.t.sf(30 * stats.norm.ppf(0.75), 8 * 0.37))


def test_highest_first_and_half_contaminated():
    ok = np.r_[clean(20, 0), 300.0, 900.0, 500.0]
    assert [one.place for one in outliers(ok)] == [21, 22, 20]
    low = np.r_[clean(20, 0), 0.01]
    assert outliers(low) == ()  # a low score is no reason to look


def test_scale_does_not_matter():
    ok = np.r_[clean(30, 1), 200.0]
    assert [one.place for one in outliers(ok)] == [one.place for one in outliers(1e-3 * ok)] == [30]


def test_where_nothing_can_stand_apart():
    for ok in (np.arange(1.0, 8.0), np.r_[np.full(9, 2.0), 50.0], np.r_[0.0, clean(20, 0), 900.0]):
        assert outliers(ok) == ()
    with pytest.raises(CalibrationError):
        outliers(np.array([1.0, np.nan]))


@pytest.mark.promise
@pytest.mark.parametrize("level", [0.05, 0.01])
@pytest.mark.parametrize("n", [8, 15, 30, 100, 1000])
def test_a_clean_set_is_accused_at_most_as_often_as_the_level_says(n, level):
    """Also where n is small and the MAD itself scatters; a fifth as often is the least seen, so it is not idle."""
    rng = np.random.default_rng(n)
    draws = 4000
    accused = np.mean([bool(outliers(np.exp(rng.normal(3.0, 0.2, n)), level=level)) for _ in range(draws)])
    assert accused <= level + 3 * np.sqrt(level * (1 - level) / draws)
    assert n < 30 or accused >= level / 5
