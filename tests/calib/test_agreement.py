"""Agreement of raters: answers known by hand, statsmodels and scikit-learn beside it, and what a rare class does."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from calibration.agreement import many_raters, two_raters
from calibration.bounds import lower_bound
from calibration.errors import CalibrationError


def raters(a: int, b: int, c: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Verdicts of which both, the first alone, the second alone and neither say NG."""
    return np.repeat([True, True, False, False], [a, b, c, d]), np.repeat([True, False, True, False], [a, b, c, d])


def drawn(seed: int, n: int, share: float, wrong: float, m: int = 2) -> np.ndarray:
    """(n, m) verdicts: a truth, and raters who miss it now and then."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return truth[:, None] ^ (rng.random((n, m)) < wrong)


def test_textbook_table():
    found = two_raters(*raters(20, 5, 10, 15))  # seen 0.7, chance 0.5
    assert (found.both_ng, found.first_only, found.second_only, found.both_ok) == (20, 5, 10, 15)
    assert (found.agree.k, found.agree.n) == (35, 50)
    assert found.agree.low == lower_bound(35, 50)
    assert found.kappa == pytest.approx(0.4)
    assert found.kappa_max == pytest.approx((0.5 + 0.4 - 0.5) / 0.5)
    assert (found.positive, found.negative) == (pytest.approx(40 / 55), pytest.approx(30 / 45))
    assert (found.prevalence, found.bias, found.pabak) == (pytest.approx(0.1), pytest.approx(-0.1), pytest.approx(0.4))
    assert found.flag == ""


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
@pytest.mark.parametrize("n", [8, 300])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_same_as_the_libraries(share, n, confidence):
    compared = 0
    for seed in range(12):
        first, second = drawn(seed, n, share, 0.12).T
        found = two_raters(first, second, confidence)
        if found.kappa is None:
            continue
        assert found.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
        table = [[found.both_ng, found.first_only], [found.second_only, found.both_ok]]
        library = cohens_kappa(np.array(table))
        assert found.kappa_max == pytest.approx(library.kappa_max, abs=1e-12)
        if found.low is None:
            assert found.flag in ("one rater", "no spread")
            continue
        compared += 1
        reach = (library.kappa_upp - library.kappa_low) / 2
        if confidence != 0.95:  # the library's is at 95 %
            reach *= 1.6448536269514722 / 1.959963984540054
        wanted = np.clip([library.kappa - reach, library.kappa + reach], -1, 1)
        assert [found.low, found.high] == pytest.approx(wanted.tolist(), abs=1e-9)
    assert compared >= (1 if (n, share) == (8, 0.05) else 4)


@pytest.mark.parametrize("m", [2, 3, 5])
def test_fleiss_same_as_the_library(m):
    for seed in range(20):
        calls = drawn(seed, 40, 0.3, 0.1, m)
        ng = calls.sum(axis=1)
        found = many_raters(calls)
        assert found.kappa == pytest.approx(fleiss_kappa(np.stack([m - ng, ng], axis=1)), abs=1e-12)
        assert found.pabak == pytest.approx(fleiss_kappa(np.stack([m - ng, ng], axis=1), method="randolph"), abs=1e-12)
        assert found.agree.k == sum(len(set(row)) == 1 for row in calls.tolist())


def test_fleiss_error_is_that_of_leaving_pictures_out():
    calls = drawn(4, 200, 0.3, 0.1, 3)
    found = many_raters(calls)
    left_out = np.array([many_raters(np.delete(calls, i, axis=0)).kappa for i in range(200)])
    jackknife = np.sqrt(199 / 200 * np.sum((left_out - left_out.mean()) ** 2))
    assert found.standard_error == pytest.approx(jackknife, rel=0.02)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * found.standard_error)


def test_fleiss_error_is_the_spread_over_draws():
    found = [many_raters(drawn(seed, 150, 0.25, 0.1, 3)) for seed in range(250)]
    spread = np.std([one.kappa for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.15)


def test_two_raters_need_not_be_told_apart():
    first, second = drawn(7, 60, 0.3, 0.15).T
    one, other = two_raters(first, second), two_raters(second, first)
    assert (one.kappa, one.low, one.high, one.bias) == (other.kappa, other.low, other.high, -other.bias)
    turned = two_raters(~first, ~second)
    assert turned.kappa == pytest.approx(one.kappa)
    assert (turned.positive, turned.negative) == (one.negative, one.positive)
    assert turned.prevalence == -one.prevalence


@pytest.mark.parametrize("table", [(20, 5, 10, 15), (1, 2, 1, 46), (3, 0, 9, 12), (40, 3, 2, 1)])
def test_kappa_follows_from_prevalence_and_bias(table):
    """Byrt, Bishop and Carlin (1993), which the paradox rule stands on."""
    found = two_raters(*raters(*table))
    p2, b2 = found.prevalence**2, found.bias**2
    assert found.kappa == pytest.approx((found.pabak - p2 + b2) / (1 - p2 + b2))
    assert (found.kappa < found.pabak) == (p2 > b2)


@pytest.mark.parametrize(
    ("table", "flag"),
    [
        ((0, 0, 0, 30), "one class"),
        ((9, 0, 0, 0), "one class"),
        ((0, 0, 3, 27), "one rater"),
        ((10, 4, 0, 0), "one rater"),
        ((2, 1, 1, 3), "too few"),
        ((10, 0, 0, 12), "no spread"),
        ((0, 1, 1, 28), "rare class"),  # 28 of 30 the same, kappa below 0
        ((1, 1, 1, 27), "rare class"),  # 28 of 30 the same, kappa 0.46 that may be 0
        ((27, 1, 1, 1), "rare class"),  # OK may be the rare one
        ((10, 1, 1, 18), ""),  # as many the same, both classes there
        ((8, 7, 7, 8), ""),
        ((1, 6, 6, 17), ""),  # 18 of 30 the same: not proven above one half, so no paradox
        ((4, 0, 12, 14), ""),  # kappa is low because the two differ in how often they say NG
    ],
)
def test_what_kappa_cannot_tell(table, flag):
    found = two_raters(*raters(*table))
    assert found.flag == flag
    assert (found.kappa is None) == (flag == "one class")
    assert (found.low is None) == (found.high is None) == (flag not in ("", "rare class"))
    if flag == "one rater":
        assert found.kappa == pytest.approx(0.0) and found.kappa_max == pytest.approx(0.0)


def test_high_agreement_low_kappa_at_large_n():
    """940 of 1000 the same and kappa 0.22, of which n proves that it is not 0: the paradox all the same."""
    found = two_raters(*raters(10, 30, 30, 930))
    assert found.low > 0 and found.pabak > found.high
    assert found.flag == "rare class"


def test_nobody_used_the_class():
    assert two_raters(*raters(0, 0, 0, 12)).positive is None
    assert two_raters(*raters(0, 0, 0, 12)).negative == 1.0
    assert two_raters(*raters(12, 0, 0, 0)).negative is None


@pytest.mark.parametrize(
    ("calls", "flag"),
    [
        (np.zeros((9, 3), bool), "one class"),
        (np.ones((9, 3), bool), "one class"),
        (np.eye(7, 3, dtype=bool), "too few"),
        (np.repeat(np.arange(9) < 4, 3).reshape(9, 3), "no spread"),
        (np.arange(120).reshape(40, 3) < 1, "rare class"),
    ],
)
def test_what_fleiss_kappa_cannot_tell(calls, flag):
    found = many_raters(calls)
    assert found.flag == flag
    assert (found.kappa is None) == (flag == "one class")
    assert (found.standard_error is None) == (found.low is None) == (flag != "rare class")


@pytest.mark.parametrize(
    ("first", "second"),
    [([], []), ([True], [True, False]), ([1, 0], [0, 1]), ([[True]], [[True]]), (["NG"], ["OK"])],
)
def test_input_that_is_no_pair_of_raters(first, second):
    with pytest.raises(CalibrationError):
        two_raters(np.array(first), np.array(second))


@pytest.mark.parametrize("calls", [np.zeros(3, bool), np.zeros((3, 1), bool), np.zeros((0, 3), bool), np.eye(3)])
def test_input_that_is_no_table_of_raters(calls):
    with pytest.raises(CalibrationError):
        many_raters(calls)


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
def test_impossible_confidence(confidence):
    with pytest.raises(CalibrationError):
        two_raters(*raters(5, 1, 1, 5), confidence)
    with pytest.raises(CalibrationError):
        many_raters(np.eye(9, dtype=bool), confidence)
