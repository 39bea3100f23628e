"""A hundred pictures of one NG are one NG: intervals over sources, known by hand and simulated."""

import math

import numpy as np
import pytest

from calibration.bounds import lower_bound, upper_bound
from calibration.by_source import checked_sources, independent
from calibration.counts import counts_at
from calibration.curves import auroc, roc_band
from calibration.errors import CalibrationError
from calibration.rank_rules import conformal
from calibration.resampling import bootstrap_band, counts_of_sources, youden_thresholds
from calibration.robustness import YOUDEN, robustness
from calibration.transfer import transfer

OK = np.arange(100.0)
STRICT = 1 - 0.05 / math.e


def test_every_score_its_own_source_is_worth_as_many_as_there_are():
    assert independent(checked_sources([str(i) for i in range(7)], 7), 7) == 7


def test_sources_of_unequal_size_are_worth_fewer():
    assert independent(checked_sources(["a", "a", "a", "b"], 4), 4) == pytest.approx(1 / (0.75**2 + 0.25**2))


def test_one_defect_seen_from_fifty_places_promises_next_to_nothing():
    caught = counts_at(np.full(50, 9.0), 5.0, sources=["one"] * 50)
    assert (caught.k, caught.n) == (50, 50)
    assert caught.low == pytest.approx(1 - STRICT) and caught.high == 1


def test_limits_are_those_of_the_sources_at_the_stricter_confidence():
    scores = np.array([9.0, 9.0, 9.0, 1.0, 1.0, 1.0])  # a: 2 of 2, b: 1 of 2, c: 0 of 2
    caught = counts_at(scores, 5.0, sources=["a", "a", "b", "b", "c", "c"])
    assert caught.low == pytest.approx(lower_bound(1, 3, STRICT))  # 1.5 sources caught, rounded down
    assert caught.high == pytest.approx(upper_bound(2, 3, STRICT))


@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_the_limit_holds_for_the_next_source(spread):
    """Recall of a source is Beta(spread 0.8, spread 0.2): the limit on its mean 0.8 fails in at most 5 % of draws."""
    rng, misses, runs, m = np.random.default_rng(0), 0, 1000, 6
    sources = np.repeat([f"s{j}" for j in range(m)], 10)
    for _ in range(runs):
        share = rng.beta(0.8 * spread, 0.2 * spread, m).repeat(10)
        caught = counts_at((rng.random(10 * m) < share).astype(float), 0.5, sources=sources)
        misses += caught.low > 0.8
    assert misses <= runs * 0.05 + 3 * math.sqrt(runs * 0.05 * 0.95)


def test_copies_of_a_picture_narrow_no_interval():
    ng = np.array([150.0, 90.0, 160.0])
    names = ["a", "b", "c"]
    for make in (auroc, roc_band):
        one, many = make(OK, ng, sources=names), make(OK, ng.repeat(40), sources=np.repeat(names, 40))
        bounds = ("low", "high") if make is auroc else ("recall_low", "recall_high", "fpr_high")
        for bound in bounds:
            np.testing.assert_allclose(getattr(one, bound), getattr(many, bound))
    assert auroc(OK, ng.repeat(40)).low > auroc(OK, ng.repeat(40), sources=np.repeat(names, 40)).low


def test_the_band_of_one_source_is_open_from_0_to_1():
    band = roc_band(OK, np.full(50, 500.0), sources=["one"] * 50)
    assert (band.recall_low == 0).all() and (band.recall_high == 1).all()


def test_whole_sources_are_drawn():
    place = np.array([0, 0, 1, 2, 2, 2])
    drawn = counts_of_sources(place, 50, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 3] == drawn[:, 5]).all()
    assert (drawn[:, [0, 2, 3]].sum(1) == 3).all()


def test_a_bootstrap_needs_ten_sources():
    ng = np.linspace(80, 180, 40)
    few, enough = np.arange(40) % 9, np.arange(40) % 10
    rng = np.random.default_rng(0)
    assert bootstrap_band(OK, ng, rng=rng, sources=few.astype(str)) is None
    band = bootstrap_band(OK, ng, rng=rng, sources=enough.astype(str))
    assert (band.low <= band.recall).all() and (band.recall <= band.high).all()


def test_each_its_own_source_is_the_plain_bootstrap():
    ng = np.linspace(80, 180, 25)
    own = [f"{i:02d}" for i in range(25)]
    plain, by_source = (youden_thresholds(OK, ng, rng=np.random.default_rng(3), sources=s) for s in (None, own))
    np.testing.assert_array_equal(plain, by_source)


def test_no_range_of_youdens_threshold_from_one_defect():
    ng = {"one-shot": np.linspace(80, 180, 40)}
    told = [
        robustness(
            conformal(OK, source="held-out"),
            OK,
            ng,
            primary="one-shot",
            severities={},
            rng=np.random.default_rng(0),
            sources=sources,
            draws=50,
        )
        for sources in (None, {"one-shot": ["a"] * 40})
    ]
    assert [any(row.quantity == YOUDEN for row in rows) for rows in told] == [True, False]


def test_one_defect_refutes_no_transfer():
    """50 of 50 pictures caught, 0 of 3 real NG: proof against 50 defects of their own, none against 50 of one."""
    synthetic, real = np.full(50, 300.0), np.array([10.0, 20.0, 30.0])
    told = [
        transfer(OK, synthetic, real, 200.0, rng=np.random.default_rng(0), sources=sources).recall_gap.low
        for sources in (None, ["one"] * 50)
    ]
    assert told[0] > 0.05 and told[1] < 0.05


def test_sources_that_do_not_fit_are_refused():
    with pytest.raises(CalibrationError, match="expected one for each of 2"):
        counts_at(np.array([1.0, 2.0]), 1.5, sources=["a"])
