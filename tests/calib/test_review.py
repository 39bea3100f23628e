"""Review band: every pair of thresholds tried one by one, the staffing promise over many draws, edges by hand."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from calibration.bounds import lower_bound, upper_bound
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.rank_rules import tolerance_threshold
from calibration.review import DECISIONS, ReviewBand, by_cost, by_staffing, decide
from calibration.synthetic_rules import youden

SCORES = st.lists(st.integers(0, 9), min_size=1, max_size=12).map(lambda values: np.array(values, float))
COST = st.sampled_from([0.01, 0.5, 1.0, 3.0, 100.0])
COSTS = st.fixed_dictionaries({"cost_escape": COST, "cost_overkill": COST, "cost_review": COST})
SHARE = st.sampled_from([0.5, 0.01, 0.9])
DRAWS = 2000


def cost_of(ok, ng, low, high, *, cost_escape, cost_overkill, cost_review, ng_share):
    """The cost as stated, part by part."""
    of_ok = [cost_overkill if s >= high else cost_review if s >= low else 0.0 for s in ok]
    of_ng = [0.0 if s >= high else cost_review if s >= low else cost_escape for s in ng]
    return (1 - ng_share) * np.mean(of_ok) + ng_share * np.mean(of_ng)


def three_sigma(rate: float, draws: int) -> float:
    return 3.0 * np.sqrt(rate * (1.0 - rate) / draws)


# By cost


@settings(deadline=None)
@given(SCORES, SCORES, COSTS, SHARE)
def test_no_pair_of_thresholds_costs_less(ok, ng, costs, share):
    assume(auroc(ok, ng).auroc >= 0.5)
    band = by_cost(ok, ng, **costs, ng_share=share)
    tried = np.r_[np.unique(np.r_[ok, ng]), np.inf]
    pairs = {
        (low, high): cost_of(ok, ng, low, high, **costs, ng_share=share)
        for low in tried
        for high in tried
        if low <= high
    }
    best, scale = min(pairs.values()), sum(costs.values())
    assert band.review_from <= band.ng_from
    assert band.expected_cost == pytest.approx(best, abs=1e-11 * scale)
    assert cost_of(ok, ng, band.review_from, band.ng_from, **costs, ng_share=share) == pytest.approx(
        best, abs=1e-11 * scale
    )
    single = min(cost for (low, high), cost in pairs.items() if low == high)
    assert band.params["cost_without_review"] == pytest.approx(single, abs=1e-11 * scale)
    empty = band.review_from == band.ng_from
    assert empty == (single <= best + 1e-9 * scale)
    assert (band.reason == "looking at parts never pays at these costs") == empty
    # Among equal costs: highest review_from, then lowest ng_from; one index per gap.
    equal = [pair for pair, cost in pairs.items() if cost <= best + 1e-9 * scale and (pair[0] == pair[1]) == empty]
    low = max(low for low, _ in equal)
    high = min(high for other, high in equal if other == low)
    assert np.searchsorted(tried, band.review_from) == np.searchsorted(tried, low)
    assert np.searchsorted(tried, band.ng_from) == np.searchsorted(tried, high)


@settings(deadline=None)
@given(SCORES, SCORES, st.sampled_from([-1.0, 0.0, 3.0, 4.5, 9.0, 20.0]), COSTS, SHARE)
def test_with_a_fixed_ng_threshold_no_lower_end_costs_less(ok, ng, ng_from, costs, share):
    assume(auroc(ok, ng).auroc >= 0.5)
    band = by_cost(ok, ng, ng_from, **costs, ng_share=share)
    tried = [t for t in np.r_[np.unique(np.r_[ok, ng]), ng_from] if t <= ng_from]
    all_costs = [cost_of(ok, ng, low, ng_from, **costs, ng_share=share) for low in tried]
    scale = sum(costs.values())
    assert band.ng_from == ng_from
    assert band.review_from <= ng_from
    assert band.expected_cost == pytest.approx(min(all_costs), abs=1e-11 * scale)
    assert cost_of(ok, ng, band.review_from, ng_from, **costs, ng_share=share) == pytest.approx(
        min(all_costs), abs=1e-11 * scale
    )
    assert (band.review_from == ng_from) == (all_costs[-1] <= min(all_costs) + 1e-9 * scale)


@settings(deadline=None)
@given(SCORES, SCORES, COSTS, SHARE)
def test_counts_in_the_band_are_those_of_decide(ok, ng, costs, share):
    assume(auroc(ok, ng).auroc >= 0.5)
    band = by_cost(ok, ng, **costs, ng_share=share)
    for scores, seen in ((ok, band.in_band_ok), (ng, band.in_band_ng)):
        looked_at = int((decide(scores, band) == 1).sum())
        if band.review_from == band.ng_from:
            assert seen is None and looked_at == 0
        else:
            assert (seen.k, seen.n) == (looked_at, scores.size)


def test_by_hand_with_an_overlap():
    ok, ng = np.array([1.0, 2.0, 3.0, 5.0]), np.array([4.0, 6.0, 7.0, 8.0])
    dear = {"cost_escape": 100.0, "cost_overkill": 100.0, "ng_share": 0.5}
    band = by_cost(ok, ng, cost_review=1.0, **dear)  # 4 and 5 are looked at: 1/8 + 1/8
    assert (band.review_from, band.ng_from, band.expected_cost) == (3.5, 5.5, 0.25)
    assert band.params["cost_without_review"] == 12.5  # one of four good parts at 100, half the line
    assert band.promise == (
        "on these scores a mean cost of 0.25 per part, 12.5 without review; 1 of 4 OK and 1 of 4 NG looked at"
    )
    assert any("right every time" in note for note in band.notes)
    assert by_cost(ok, ng, cost_review=200.0, **dear).review_from == by_cost(ok, ng, cost_review=200.0, **dear).ng_from


def test_among_equal_bands_the_highest_lower_and_the_lowest_upper_end():
    ok, ng = np.array([1.0, 3.0, 7.0]), np.array([2.0, 5.0, 6.0])
    # Dropping the 2 and the 3 from the band costs an escape minus two looks: nothing.
    costs = {"cost_escape": 2.0, "cost_overkill": 100.0, "cost_review": 1.0, "ng_share": 0.5}
    band = by_cost(ok, ng, **costs)
    assert cost_of(ok, ng, 1.5, band.ng_from, **costs) == pytest.approx(band.expected_cost)
    assert band.review_from == 4.0
    # The same from above: OK and NG trade places.
    mirrored = {"cost_escape": 100.0, "cost_overkill": 2.0, "cost_review": 1.0, "ng_share": 0.5}
    ok, ng = np.array([8.0, 5.0, 4.0]), np.array([9.0, 7.0, 3.0])
    band = by_cost(ok, ng, **mirrored)
    assert cost_of(ok, ng, band.review_from, 8.5, **mirrored) == pytest.approx(band.expected_cost)
    assert band.ng_from == 6.0


def test_youden_is_the_case_of_even_costs_without_review():
    rng = np.random.default_rng(0)
    ok, ng = rng.normal(size=60), rng.normal(2, 1, 40)
    band = by_cost(ok, ng, cost_escape=99.0, cost_overkill=1.0, cost_review=500.0, ng_share=0.01)
    assert band.ng_from == youden(ok, ng, source="held-out").value


def test_ends_of_the_scores():
    ok, ng = np.array([1.0, 3.0]), np.array([2.0, 4.0])
    free = {"cost_escape": 100.0, "cost_review": 1e-6, "ng_share": 0.5}
    # The 1 is passed: even a cheap look costs something. The 4 is rejected: so does looking at it.
    band = by_cost(ok, ng, cost_overkill=100.0, **free)
    assert (band.review_from, band.ng_from) == (1.5, 3.5)
    # NG below all OK, and overkill dear: everything from the lowest score on is looked at, up to the top.
    all_looked_at = by_cost(np.array([2.0, 5.0]), np.array([1.0, 5.0, 6.0, 5.0, 5.0]), cost_overkill=100.0, **free)
    assert all_looked_at.review_from == 1.0
    assert any("no part seen is passed" in note for note in all_looked_at.notes)
    # The highest score is an OK part: nothing is rejected unseen.
    topped = by_cost(np.array([1.0, 1.0, 1.0, 9.0]), np.array([5.0]), cost_overkill=100.0, **free)
    assert topped.ng_from == np.nextafter(9.0, np.inf)
    assert any("no part seen is rejected" in note for note in topped.notes)
    assert topped.review_from == 3.0


def test_a_look_dearer_than_one_mistake_but_not_the_other():
    ok, ng = np.array([1.0, 2.0, 3.0, 5.0]), np.array([4.0, 6.0])
    band = by_cost(ok, ng, cost_escape=100.0, cost_overkill=1.0, cost_review=2.0, ng_share=0.5)
    assert band.reason == "looking at parts never pays at these costs"
    assert band.review_from == band.ng_from == 3.5
    assert band.in_band_ok is None and band.in_band_ng is None


@pytest.mark.parametrize("extreme", [1e-100, 1e100])  # the amounts that are taken at all
@pytest.mark.parametrize("name", ["cost_escape", "cost_overkill", "cost_review"])
def test_extreme_costs_stay_numbers(name, extreme):
    costs = {"cost_escape": 1.0, "cost_overkill": 1.0, "cost_review": 0.1} | {name: extreme}
    band = by_cost(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0]), **costs, ng_share=0.3)
    assert np.isfinite([band.review_from, band.ng_from, band.expected_cost]).all()


def test_swapped_classes_get_no_band():
    band = by_cost(
        np.array([5.0, 6.0]), np.array([1.0, 2.0]), cost_escape=1, cost_overkill=1, cost_review=0.1, ng_share=0.5
    )
    assert band.review_from is band.ng_from is band.expected_cost is None
    assert "swapped" in band.reason
    with pytest.raises(CalibrationError, match="swapped"):
        decide(np.array([1.0]), band)


# By staffing


def test_lower_end_is_the_tolerance_threshold():
    ok = np.random.default_rng(1).normal(size=200)
    band = by_staffing(ok, 9.0, max_share=0.05, source="held-out")
    assert band.review_from == tolerance_threshold(ok, max_fpr=0.05)
    assert (band.ng_from, band.n_ok, band.n_ng, band.expected_cost) == (9.0, 200, 0, None)
    assert band.params == {
        "rule": "staffing",
        "max_share": 0.05,
        "confidence": 0.95,
        "source": "held-out",
        "rank": 5,
    }
    assert (band.in_band_ok.k, band.in_band_ok.low) == (4, 0.0)
    assert band.in_band_ok.high == upper_bound(4, 200) <= 0.05
    assert by_staffing(ok, 9.0, max_share=0.05, confidence=0.8, source="held-out").review_from < band.review_from


def test_too_few_scores_say_how_many_are_needed():
    band = by_staffing(np.arange(58.0), 99.0, max_share=0.05, source="held-out")
    assert band.review_from is None and band.in_band_ok is None
    assert "needs at least 59 OK scores, has 58" in band.reason
    with pytest.raises(CalibrationError, match="at least 59"):
        decide(np.array([1.0]), band)
    assert by_staffing(np.arange(59.0), 99.0, max_share=0.05, source="held-out").review_from == np.nextafter(58, 99)


def test_ng_threshold_that_rejects_more_than_people_can_look_at():
    band = by_staffing(np.arange(100.0), 90.0, max_share=0.05, source="held-out")
    assert band.review_from == band.ng_from == 90.0
    assert band.reason == (
        "no room for a band: 100 OK scores promise at most 5 % only from 98 on, "
        "and parts are NG from 90 on, 10 of the 100 OK among them"
    )
    assert band.in_band_ok is None and band.promise == ""
    assert set(decide(np.arange(100.0), band)) == {0, 2}
    touching = by_staffing(np.arange(100.0), np.nextafter(98.0, 99.0), max_share=0.05, source="held-out")
    assert touching.review_from == touching.ng_from and touching.reason


def test_parts_above_the_ng_threshold_are_not_counted_as_looked_at():
    band = by_staffing(np.arange(200.0), 198.0, max_share=0.05, source="held-out")  # rank 5: above 195
    assert band.review_from == np.nextafter(195.0, 200.0)
    assert band.in_band_ok.k == 2  # 196 and 197; 198 and 199 are NG
    assert band.in_band_ok.high == upper_bound(4, 200)


def test_leave_one_out_and_ties_are_said():
    approximate = by_staffing(np.arange(100.0), 200.0, max_share=0.05, source="leave-one-out")
    assert "approximate" in approximate.promise
    ties = by_staffing(np.repeat(np.arange(10.0), 20), 20.0, max_share=0.05, source="held-out")
    assert any("tied scores" in note for note in ties.notes)
    assert ties.in_band_ok.k == 0
    assert ties.in_band_ok.high == upper_bound(4, 200)


@pytest.mark.parametrize("max_share", [0.05, 0.2])
@pytest.mark.parametrize("chosen", ["fixed", "on the same scores"])
def test_true_share_is_above_the_limit_in_at_most_5_percent_of_draws(max_share, chosen):
    """Also where the NG threshold was picked on the very scores: just above the largest of them."""
    rng = np.random.default_rng(3)
    above = band_above = limit_below = 0
    for _ in range(DRAWS):
        ok = rng.normal(size=100)
        ng_from = 2.6 if chosen == "fixed" else float(np.nextafter(ok.max(), 9.0))
        band = by_staffing(ok, ng_from, max_share=max_share, source="held-out")
        share = norm.sf(band.review_from)
        in_band = share - norm.sf(band.ng_from)
        if not band.reason:
            above += share > max_share
            band_above += in_band > max_share
            limit_below += in_band > band.in_band_ok.high
    assert above / DRAWS <= 0.05 + three_sigma(0.05, DRAWS)
    assert band_above <= above and limit_below / DRAWS <= 0.05 + three_sigma(0.05, DRAWS)
    assert above > 0  # a promise that never fails would be wider than it says


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=59, max_size=90).map(lambda v: np.array(v, float)), st.integers(0, 7))
def test_band_never_holds_more_of_the_scores_seen_than_its_rank(ok, ng_from):
    band = by_staffing(ok, ng_from, max_share=0.05, source="held-out")
    assert (decide(ok, band) == 1).sum() <= band.params["rank"] - 1
    assert band.review_from <= band.ng_from == ng_from


def test_float32_scores_stay_below_the_band():
    ok = np.linspace(1.0, 2.0, 100, dtype=np.float32)
    band = by_staffing(ok, 5.0, max_share=0.05, source="held-out")
    assert decide(ok[[98, 99]], band).tolist() == [0, 1]
    assert lower_bound(1, 100) > 0 == band.in_band_ok.low


# Deciding


def test_a_score_equal_to_a_threshold_is_above_it():
    band = ReviewBand(2.0, 3.0, "", "", (), {}, 1, 0, None, None, None)
    codes = decide(np.array([1.9, 2.0, 2.9, 3.0, 3.1]), band)
    assert [DECISIONS[code] for code in codes] == ["OK", "review", "review", "NG", "NG"]
    assert codes.dtype == np.int8
    empty = ReviewBand(3.0, 3.0, "", "", (), {}, 1, 0, None, None, None)
    assert decide(np.array([2.9, 3.0]), empty).tolist() == [0, 2]


def test_band_is_checked_when_made():
    with pytest.raises(CalibrationError, match="review_from <= ng_from"):
        ReviewBand(4.0, 3.0, "", "", (), {}, 1, 0, None, None, None)
    with pytest.raises(CalibrationError, match="needs a reason"):
        ReviewBand(None, 3.0, "", "", (), {}, 1, 0, None, None, None)


def test_results_are_json_and_inputs_unchanged():
    ok, ng = np.arange(100.0)[::-1].copy(), np.array([120.0, 90.0])
    costs = {"cost_escape": 100.0, "cost_overkill": 5.0, "cost_review": 1.0, "ng_share": 0.1}
    for band in (by_staffing(ok, 110.0, max_share=0.05, source="held-out"), by_cost(ok, ng, **costs)):
        assert json.loads(json.dumps(asdict(band), allow_nan=False))["review_from"] == band.review_from
    assert ok[0] == 99.0 and ng.tolist() == [120.0, 90.0]


# Impossible input


@pytest.mark.parametrize("bad", [[], [np.nan], [[1.0]], ["a"], 3.0])
def test_bad_scores(bad):
    good = np.arange(60.0)
    costs = {"cost_escape": 1.0, "cost_overkill": 1.0, "cost_review": 1.0, "ng_share": 0.5}
    for call in (
        lambda: by_staffing(bad, 9.0, max_share=0.05, source="held-out"),
        lambda: by_cost(bad, good, **costs),
        lambda: by_cost(good, bad, **costs),
        lambda: decide(bad, by_staffing(good, 99.0, max_share=0.05, source="held-out")),
    ):
        with pytest.raises(CalibrationError, match="scores: expected"):
            call()


@pytest.mark.parametrize("cost", [0.0, -1.0, np.inf, np.nan, "dear", None])
@pytest.mark.parametrize("name", ["cost_escape", "cost_overkill", "cost_review"])
def test_bad_costs(name, cost):
    costs = {"cost_escape": 1.0, "cost_overkill": 1.0, "cost_review": 1.0} | {name: cost}
    with pytest.raises(CalibrationError, match=name):
        by_cost(np.arange(3.0), np.arange(3.0), **costs, ng_share=0.5)


@pytest.mark.parametrize("rate", [0.0, 1.0, 5, np.nan])
def test_bad_rates(rate):
    ok = np.arange(60.0)
    with pytest.raises(CalibrationError, match="max_share"):
        by_staffing(ok, 99.0, max_share=rate, source="held-out")
    with pytest.raises(CalibrationError, match="confidence"):
        by_staffing(ok, 99.0, max_share=0.05, confidence=rate, source="held-out")
    with pytest.raises(CalibrationError, match="ng_share"):
        by_cost(ok, ok, cost_escape=1.0, cost_overkill=1.0, cost_review=1.0, ng_share=rate)


@pytest.mark.parametrize("ng_from", [np.nan, np.inf, "high"])
def test_bad_ng_threshold(ng_from):
    ok = np.arange(60.0)
    with pytest.raises(CalibrationError, match="ng_from: expected a finite"):
        by_staffing(ok, ng_from, max_share=0.05, source="held-out")
    with pytest.raises(CalibrationError, match="ng_from: expected a finite"):
        by_cost(ok, ok, ng_from, cost_escape=1.0, cost_overkill=1.0, cost_review=1.0, ng_share=0.5)
    with pytest.raises(CalibrationError, match="source"):
        by_staffing(ok, 9.0, max_share=0.05, source="bank")
