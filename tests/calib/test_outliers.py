"""What is flagged, what is not, and how often a clean set is accused."""

import numpy as np
import pytest
from scipy import stats

from calibration.errors import CalibrationError
from calibration.outliers import outliers


def clean(n: int, seed: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(3.0, 0.2, n))


def test_by_hand():
    """Logs 0 (four), 1 (four) and 8: median 1, deviations 1 x 4, 0 x 4, 7, so MAD = 1 / 0.6745."""
    ok = np.exp(np.r_[np.zeros(4), np.ones(4), 8.0])
    (found,) = outliers(ok)
    z = 7 * stats.norm.ppf(0.75)
    assert found.place == 8 and found.score == ok[8]
    assert found.p_value == pytest.approx(9 * stats.norm.sf(z))


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
@pytest.mark.parametrize("n", [100, 1000])
def test_a_clean_set_is_accused_about_as_often_as_the_level_says(n):
    """The MAD is estimated, so small sets are accused more often; from 1,000 on the level holds."""
    accused = np.mean([bool(outliers(clean(n, seed), level=0.05)) for seed in range(2000)])
    assert accused <= (0.05 if n == 1000 else 0.10) + 3 * np.sqrt(0.05 * 0.95 / 2000)
