"""Rules by hand, at ties and at their limits; relations that hold for any scores."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta

from calibration.bounds import upper_bound
from calibration.choices import ALL_EQUAL
from calibration.errors import CalibrationError
from calibration.rank_rules import conformal, percentile, target_fpr, tolerance, tolerance_threshold
from calibration.rules import RULES, is_ng, percent
from calibration.simultaneous import upper_bound_anywhere
from calibration.spread_rules import mean_sigma, median_mad, pot
from calibration.synthetic_rules import cost, f1_max, target_recall, youden

RANKED = [
    lambda ok: percentile(ok, source="held-out", q=0.9),
    lambda ok: tolerance(ok, source="held-out", max_fpr=0.2, confidence=0.8),
    lambda ok: conformal(ok, source="held-out", max_fpr=0.2),
]
FROM_SYNTHETIC = [youden, target_recall, cost, f1_max]
SCORES = st.lists(st.integers(0, 40), min_size=2, max_size=60).map(lambda values: np.array(values, float))


# --- tolerance ----------------------------------------------------------------------------------------------


def test_299_scores_promise_one_percent_and_298_do_not():
    assert tolerance_threshold(np.arange(299.0), max_fpr=0.01) == np.nextafter(298.0, np.inf)
    assert tolerance_threshold(np.arange(298.0), max_fpr=0.01) is None


@pytest.mark.parametrize(
    ("max_fpr", "needed"),
    [(0.10, (29, 46, 61)), (0.05, (59, 93, 124)), (0.01, (299, 473, 628)), (0.001, (2995, 4742, 6294))],
)
def test_needed_scores_by_rank(max_fpr, needed):
    """The table of the methods notes: with these n the r-th largest score may set the threshold."""
    for rank, n in enumerate(needed, start=1):
        assert tolerance(np.arange(float(n)), source="held-out", max_fpr=max_fpr).params["rank"] == rank
        assert tolerance(np.arange(n - 1.0), source="held-out", max_fpr=max_fpr).params["rank"] == rank - 1


def test_tolerance_row():
    row = tolerance(np.arange(100.0), source="held-out")
    assert (row.rule, row.params["rank"], row.n_ok, row.n_ng) == ("tolerance", 2, 100, 0)
    assert row.value == np.nextafter(98.0, np.inf)
    assert row.expected_fpr == pytest.approx(2 / 101)
    assert row.fpr_upper_95 == pytest.approx(beta.ppf(0.95, 2, 99)) and row.fpr_upper_95 <= 0.05
    assert row.promise == "FPR at most 5 % with 95 % confidence" and row.notes == ()


def test_tolerance_refusal_says_what_is_needed_and_what_is_within_reach():
    row = tolerance(np.arange(30.0), source="held-out", max_fpr=0.01)
    assert row.value is None and row.promise == ""
    assert "at least 299 OK scores, has 30" in row.reason and "9.5 %" in row.reason


def test_leave_one_out_confidence_is_called_approximate():
    held_out, loo = (tolerance(np.arange(100.0), source=source) for source in ("held-out", "leave-one-out"))
    assert held_out.value == loo.value
    assert "approximate" in loo.promise and any("approximate" in note for note in loo.notes)
    assert "approximate" not in held_out.promise and held_out.notes == ()


@pytest.mark.parametrize("rule", [percentile, conformal, target_fpr])
def test_a_mean_on_leave_one_out_scores_is_called_approximate_with_a_coreset(rule):
    held_out, loo = (rule(np.arange(100.0), source=source) for source in ("held-out", "leave-one-out"))
    assert "approximate if the memory bank is a coreset" in loo.promise and "approximate" not in held_out.promise


# --- conformal and percentile -------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_fpr", "n"), [(0.10, 9), (0.05, 19), (0.01, 99), (0.001, 999)])
def test_conformal_needs_one_over_alpha_minus_one(max_fpr, n):
    row = conformal(np.arange(float(n)), source="held-out", max_fpr=max_fpr)
    assert row.value == np.nextafter(n - 1.0, np.inf) and row.params["rank"] == 1
    short = conformal(np.arange(n - 1.0), source="held-out", max_fpr=max_fpr)
    assert short.value is None and f"at least {n} OK scores, has {n - 1}" in short.reason


@given(st.integers(1, 400), st.integers(1, 99))
def test_conformal_rank_is_the_largest_admissible_whatever_the_rounding(n, percent):
    rank = conformal(np.arange(float(n)), source="held-out", max_fpr=percent / 100).params["rank"]
    assert rank == (n + 1) * percent // 100


@given(SCORES, st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]))
def test_percentile_is_just_above_numpys_higher_quantile(ok, q):
    row = percentile(ok, source="held-out", q=q)
    assert row.value == np.nextafter(np.quantile(ok, q, method="higher"), np.inf)


def test_percentile_is_called_the_maximum_where_it_is_one():
    row = percentile(np.arange(100.0), source="held-out")
    assert row.params == {"q": 0.999, "rank": 1}
    assert "maximum of 100 OK scores" in row.promise and "from 999 OK scores on" in row.notes[0]
    assert row.expected_fpr == pytest.approx(1 / 101)
    assert row.fpr_upper_95 == pytest.approx(1 - 0.05 ** (1 / 100))
    assert percentile(np.arange(999.0), source="held-out").notes == ()
    assert "2nd largest of 1001" in percentile(np.arange(1001.0), source="held-out").promise


def test_one_score_sets_no_threshold():
    assert "at least 2" in percentile(np.array([1.0]), source="held-out").reason
    for rule in FROM_SYNTHETIC:
        assert "at least 2" in rule(np.array([1.0]), np.array([2.0, 3.0]), source="held-out").reason


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_just_above_means_in_the_dtype_of_the_scores(dtype):
    ok = np.linspace(0.1, 0.7, 25, dtype=dtype)
    row = percentile(ok, source="held-out", q=1.0)
    assert row.value == np.nextafter(ok[-1], dtype(np.inf))
    assert not is_ng(ok, row.value).any()
    assert not (ok >= dtype(row.value)).any()  # nor for a reader who compares in the dtype of the scores


def test_equal_scores_keep_rank_rules_working_and_say_so():
    ok = np.full(80, 2.5)
    for row in (percentile(ok, source="held-out"), tolerance(ok, source="held-out")):
        assert row.value == np.nextafter(2.5, np.inf) and ALL_EQUAL in row.notes


def test_ties_keep_the_limit_of_the_rank_that_was_fixed_beforehand():
    ok = np.r_[np.arange(97.0), 200.0, 200.0, 200.0]  # rank 2 falls among three equal scores
    row = tolerance(ok, source="held-out")
    assert row.params["rank"] == 2 and row.value == np.nextafter(200.0, np.inf)
    assert row.fpr_upper_95 == pytest.approx(beta.ppf(0.95, 2, 99))
    assert any("tied scores" in note for note in row.notes)


@given(SCORES, st.sampled_from(RANKED))
def test_rank_rules_follow_strictly_increasing_transforms(ok, rule):
    stretched = np.exp(ok / 8.0) + ok
    one, other = rule(ok), rule(stretched)
    assert (one.value is None) == (other.value is None)
    if one.value is not None:
        np.testing.assert_array_equal(is_ng(ok, one.value), is_ng(stretched, other.value))
        assert (one.expected_fpr, one.fpr_upper_95) == (other.expected_fpr, other.fpr_upper_95)


@given(SCORES, st.randoms(use_true_random=False), st.sampled_from(RANKED))
def test_order_of_the_scores_does_not_matter_and_they_stay_unchanged(ok, random, rule):
    before = ok.copy()
    shuffled = ok.copy()
    random.shuffle(shuffled)
    assert rule(ok) == rule(shuffled)
    np.testing.assert_array_equal(ok, before)


@given(SCORES, st.sampled_from(RANKED))
def test_limit_is_above_expectation_and_expectation_covers_what_was_seen(ok, rule):
    row = rule(ok)
    assume(row.value is not None)
    k = is_ng(ok, row.value).sum()
    assert k <= row.params["rank"] - 1
    assert k / ok.size < row.fpr_upper_95 <= 1.0
    assert row.expected_fpr == row.params["rank"] / (ok.size + 1)


# --- rules on synthetic NG ----------------------------------------------------------------------------------


def test_youden_by_hand():
    row = youden(np.array([1.0, 2.0, 3.0, 6.0]), np.array([5.0, 7.0, 8.0]), source="held-out")
    assert row.gap == (3.0, 5.0) and row.value == 4.0  # recall 1, FPR 1/4
    assert row.params["youden_index"] == pytest.approx(0.75)
    assert (row.n_ok, row.n_ng) == (4, 3)
    assert row.expected_fpr == pytest.approx(2 / 5)
    assert row.fpr_upper_95 == upper_bound_anywhere(1, 4) > beta.ppf(0.95, 2, 3)
    assert "3 of 3 synthetic NG caught and 1 of 4 OK rejected" in row.promise


def test_youden_prefers_the_higher_of_two_equal_maxima():
    row = youden(np.array([1.0, 3.0]), np.array([2.0, 4.0]), source="held-out")
    assert row.gap == (3.0, 4.0)  # recall 1/2 and FPR 0, as good as recall 1 and FPR 1/2


def brute_force_youden(ok, synthetic):
    candidates = np.unique(np.r_[ok, synthetic])
    return max((is_ng(synthetic, t).mean() - is_ng(ok, t).mean() for t in candidates), default=0.0)


@given(SCORES, SCORES)
def test_youden_is_the_best_of_all_thresholds_and_its_gap_is_flat(ok, synthetic):
    row = youden(ok, synthetic, source="held-out")
    if row.value is None:
        assert "swapped" in row.reason or brute_force_youden(ok, synthetic) <= 0
        return
    low, high = row.gap
    assert low < row.value <= high and np.isfinite(row.value)
    assert row.params["youden_index"] == pytest.approx(brute_force_youden(ok, synthetic))
    for scores in (ok, synthetic):
        np.testing.assert_array_equal(is_ng(scores, row.value), is_ng(scores, high))
        np.testing.assert_array_equal(is_ng(scores, row.value), is_ng(scores, np.nextafter(low, np.inf)))


def test_one_ng_at_the_top_is_caught():
    """anomalib sets the threshold at that score, compares with > and lets it pass."""
    ok, ng = np.arange(10.0), np.array([12.0])
    for rule in FROM_SYNTHETIC:
        row = rule(ok, ng, source="held-out")
        assert is_ng(ng, row.value).all() and not is_ng(ok, row.value).any()
        assert row.gap == (None if rule is f1_max else (9.0, 12.0))


@given(SCORES, SCORES, st.integers(1, 99))
def test_target_recall_is_reached_and_by_no_higher_gap(ok, synthetic, percent):
    row = target_recall(ok, synthetic, source="held-out", recall=percent / 100)
    if row.value is None:
        assert "swapped" in row.reason
        return
    needed = -(-percent * synthetic.size // 100)  # ceil, in whole numbers
    assert is_ng(synthetic, row.value).sum() >= needed
    assert row.gap[1] == np.sort(synthetic)[synthetic.size - needed]
    assert is_ng(synthetic, np.nextafter(row.gap[1], np.inf)).sum() < needed
    for scores in (ok, synthetic):
        np.testing.assert_array_equal(is_ng(scores, row.value), is_ng(scores, row.gap[1]))
    k = is_ng(ok, row.value).sum()
    assert row.expected_fpr == (k + 1) / (ok.size + 1)
    assert row.fpr_upper_95 == upper_bound_anywhere(int(k), ok.size)


def test_target_recall_that_needs_every_synthetic_ng_says_so():
    row = target_recall(np.arange(10.0), np.arange(20.0, 25.0), source="held-out")
    assert "all of them" in row.notes[0]
    enough = target_recall(np.arange(10.0), np.arange(20.0, 40.0), source="held-out")
    assert not any("all of them" in note for note in enough.notes)


def test_limit_of_target_recall_holds_where_that_of_its_count_does_not():
    """One NG, at an FPR of 2.9 %; below it the OK scores spread out so fast that the middle is next to the OK score.

    The upper end is fixed by the NG, the middle is not: the limit of the count fails in about 8 % of draws.
    """
    rng = np.random.default_rng(0)
    n, draws, at, steep = 100, 2000, 0.029, 500.0
    missed = missed_by_count = 0
    for _ in range(draws):
        fpr = rng.uniform(size=n)  # of a threshold at each OK score; the score falls as it rises, and is 0 at the NG
        ok = -np.sinh(np.clip(steep * (fpr - at), -40.0, 40.0))
        row = target_recall(ok, np.array([0.0]), source="held-out")
        true = at + np.arcsinh(-row.value) / steep
        missed += true > row.fpr_upper_95
        missed_by_count += true > upper_bound(int(is_ng(ok, row.value).sum()), n)
    assert missed / draws <= 0.05 < 0.065 < missed_by_count / draws


def test_a_threshold_that_ok_scores_moved_needs_the_limit_at_every_threshold():
    ok, ng = np.arange(50.0), np.arange(40.0, 60.0)
    for rule in FROM_SYNTHETIC:
        row = rule(ok, ng, source="held-out")
        assert row.fpr_upper_95 == upper_bound_anywhere(int((ok >= row.value).sum()), 50)
        assert any("at every threshold at once" in note for note in row.notes)


# --- costs, F1, target FPR ----------------------------------------------------------------------------------


@given(SCORES, SCORES, st.floats(0.1, 1000.0), st.floats(0.001, 0.9))
def test_cost_is_the_least_of_all_thresholds(ok, synthetic, escape, share):
    row = cost(ok, synthetic, source="held-out", cost_escape=escape, ng_share=share)

    def per_part(t):
        return (1 - share) * np.mean(ok >= t) + escape * share * np.mean(synthetic < t)

    least = min(per_part(t) for t in [*ok, *synthetic, np.inf])
    if row.value is not None:
        assert per_part(row.value) == pytest.approx(least) == row.params["cost_per_part"]
    elif "rejecting nothing" in row.reason:
        assert per_part(np.inf) == pytest.approx(least)
    elif "rejecting every part" in row.reason:
        assert per_part(min(ok.min(), synthetic.min())) == pytest.approx(least)
    else:
        assert "swapped" in row.reason


def test_youden_is_the_cost_rule_at_its_costs():
    rng = np.random.default_rng(0)
    ok, synthetic = rng.normal(0, 1, 80), rng.normal(2, 1, 30)
    at_its_costs = cost(ok, synthetic, source="held-out", cost_escape=99.0, ng_share=0.01)
    assert at_its_costs.value == youden(ok, synthetic, source="held-out").value
    assert "an escape taken to cost 99 would" in at_its_costs.notes[0]


def test_f1_max_is_anomalibs_threshold_and_follows_the_mixing_ratio():
    from ias_core.torchvision_operators import ensure_torchvision

    ensure_torchvision()
    import torch
    from anomalib.metrics.threshold.f1_adaptive_threshold import _F1AdaptiveThreshold

    rng = np.random.default_rng(1)
    ok, synthetic = rng.normal(20, 1, 80).astype(np.float32), rng.normal(22, 1, 30).astype(np.float32)
    found = []
    for repeats in (1, 20):
        theirs = _F1AdaptiveThreshold()
        many = np.tile(ok, repeats)
        theirs.update(
            torch.tensor(np.r_[many, synthetic]), torch.tensor(np.r_[np.zeros(many.size), np.ones(30)], dtype=torch.int)
        )
        row = f1_max(many, synthetic, source="held-out")
        assert row.value == float(theirs.compute())
        assert row.value in synthetic
        found.append(row.value)
    assert found[1] > found[0]  # the same scores, twenty times the share of OK


@pytest.mark.parametrize(("n", "rejected"), [(10, 0), (19, 0), (20, 1), (59, 2), (100, 5)])
def test_target_fpr_rejects_what_the_rate_allows_on_the_scores_seen(n, rejected):
    row = target_fpr(np.arange(float(n)), source="held-out", max_fpr=0.05)
    assert int(is_ng(np.arange(float(n)), row.value).sum()) == rejected
    assert row.expected_fpr == (rejected + 1) / (n + 1)
    assert row.fpr_upper_95 == upper_bound(rejected, n)


def test_target_recall_at_the_lowest_score_of_all_flags_everything():
    row = target_recall(np.array([5.0, 6.0]), np.array([5.0, 9.0]), source="held-out", recall=0.95)
    assert row.value == 5.0 and row.gap == (5.0, 5.0) and row.fpr_upper_95 == 1.0


def test_neighbouring_numbers_have_no_middle():
    low = 1.0
    high = np.nextafter(low, 2.0)
    row = youden(np.array([low, low]), np.array([high]), source="held-out")
    assert row.value == high


@pytest.mark.parametrize("rule", FROM_SYNTHETIC)
def test_swapped_classes_give_no_threshold(rule):
    row = rule(np.arange(10.0, 20.0), np.arange(10.0), source="held-out")
    assert row.value is None and "swapped" in row.reason and row.n_ng == 10


# --- settings at their ends -----------------------------------------------------------------------------------


def test_nearly_all_rejected_is_the_lowest_score_and_not_the_highest():
    ok, nearly_one = np.arange(50.0), 1.0 - 1e-12
    for rule in (target_fpr, conformal):
        row = rule(ok, source="held-out", max_fpr=nearly_one)
        assert row.value == np.nextafter(0.0, np.inf) and row.params["rank"] == 50
    row = target_recall(ok, ok + 20.0, source="held-out", recall=1e-12)
    assert row.gap == (68.0, 69.0)  # one synthetic NG is the fewest


def test_a_threshold_beyond_any_number_is_refused():
    ok = np.geomspace(1.0, 9.0, 40)
    for row in (
        median_mad(ok, source="held-out", k=1e5),
        mean_sigma(np.geomspace(1e-30, 1e30, 8), source="held-out", max_fpr=1e-9, confidence=0.999),
        percentile(np.array([1.0, 65504.0], np.float16), source="held-out"),
    ):
        assert row.value is None and "beyond any number" in row.reason and row.fpr_upper_95 is None


@pytest.mark.parametrize("most", [1e31, -1e31, np.finfo(np.float32).max])
def test_scores_beyond_any_distance_raise(most):
    with pytest.raises(CalibrationError, match="OK scores: expected numbers up to 1e\\+30"):
        percentile(np.array([1.0, most]), source="held-out")


def test_numpy_settings_leave_rows_ready_for_json():
    ok, ng = np.arange(1.0, 200.0), np.arange(150.0, 250.0)
    setting = np.float32(0.05)
    for row in (
        tolerance(ok, source="held-out", max_fpr=setting, confidence=np.float32(0.95)),
        cost(ok, ng, source="held-out", cost_escape=np.float32(9.0), ng_share=setting),
        mean_sigma(ok, source="held-out", max_fpr=setting),
    ):
        json.dumps(asdict(row), allow_nan=False)


@pytest.mark.parametrize("text", ["0.05", "5", True, b"0.05"])
def test_text_and_truth_values_are_no_settings(text):
    ok, ng = np.arange(1.0, 80.0), np.arange(100.0, 110.0)
    for call in (
        lambda: tolerance(ok, source="held-out", max_fpr=text),
        lambda: median_mad(ok, source="held-out", k=text),
        lambda: cost(ok, ng, source="held-out", cost_escape=text),
    ):
        with pytest.raises(CalibrationError, match="expected a"):
            call()


def test_no_confidence_below_one_is_called_100_percent():
    row = tolerance(np.arange(20_000.0), source="held-out", confidence=0.9999)
    assert row.promise == "FPR at most 5 % with 99.99 % confidence"
    assert [percent(rate) for rate in (0.9994, 0.99951, 1.0 - 1e-9, 1.0)] == [
        "99.9 %", "99.95 %", "99.9999999 %", "100 %",
    ]  # fmt: skip


# --- inputs -------------------------------------------------------------------------------------------------


def test_the_table_names_every_rule_and_what_it_stands_on():
    assert list(RULES) == [
        "percentile", "loo_beta", "loo_beta_ml", "loo_beta_prime", "loo_beta_prime_ml", "mean_sigma", "median_mad",
        "pot", "tolerance", "conformal", "target_fpr", "youden", "target_recall", "cost", "f1_max",
    ]  # fmt: skip
    for key, rule in RULES.items():
        assert rule.key == key and rule.title and rule.assumes and rule.promises and rule.least_n >= 2
        assert rule.origin == ("synthetic" if key in ("youden", "target_recall", "cost", "f1_max") else "ok")
        assert rule.kind in ("bound", "mean", "model", "none")


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [np.inf, 1.0], [[1.0, 2.0]], ["a"], [1 + 2j], None])
def test_bad_scores_raise(bad):
    good = np.arange(1.0, 80.0)
    calls = [
        lambda: is_ng(bad, 1.0),
        lambda: percentile(bad, source="held-out"),
        lambda: tolerance(bad, source="held-out"),
        lambda: tolerance_threshold(bad, max_fpr=0.05),
        lambda: conformal(bad, source="held-out"),
        lambda: youden(bad, good, source="held-out"),
        lambda: youden(good, bad, source="held-out"),
        lambda: target_recall(good, bad, source="held-out"),
        lambda: cost(good, bad, source="held-out"),
        lambda: f1_max(bad, good, source="held-out"),
        lambda: target_fpr(bad, source="held-out"),
        lambda: mean_sigma(bad, source="held-out"),
        lambda: median_mad(bad, source="held-out"),
        lambda: pot(bad, source="held-out"),
    ]
    for call in calls:
        with pytest.raises(CalibrationError, match="scores: expected"):
            call()


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.5, 5, np.nan, None])
def test_rates_outside_0_1_raise(rate):
    ok, synthetic = np.arange(1.0, 80.0), np.arange(100.0, 110.0)
    calls = [
        lambda: tolerance(ok, source="held-out", max_fpr=rate),
        lambda: tolerance(ok, source="held-out", confidence=rate),
        lambda: conformal(ok, source="held-out", max_fpr=rate),
        lambda: target_recall(ok, synthetic, source="held-out", recall=rate),
        lambda: target_fpr(ok, source="held-out", max_fpr=rate),
        lambda: cost(ok, synthetic, source="held-out", ng_share=rate),
        lambda: mean_sigma(ok, source="held-out", max_fpr=rate),
        lambda: pot(ok, source="held-out", alpha=rate),
    ]
    if rate != 1.0:  # the percentile of 1 is the maximum
        calls.append(lambda: percentile(ok, source="held-out", q=rate))
    for call in calls:
        with pytest.raises(CalibrationError, match="between 0 and 1"):
            call()


def test_unknown_source_raises():
    with pytest.raises(CalibrationError, match="held-out, leave-one-out"):
        percentile(np.arange(9.0), source="memory bank")
