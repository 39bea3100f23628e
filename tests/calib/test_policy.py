"""Which scores feed which rule, what is recommended, and when nothing is."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from calibration.bounds import rate_bound
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.policy import ThresholdConfig, all_choices, on_ok_alone, preferred, recommend
from calibration.rules import RULES
from calibration.types import Auroc, ThresholdChoice


def scores(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(30.0, 1.0 / 6.0, n)


def rows(held_out=None, loo=None, synthetic=None, **config) -> tuple[ThresholdChoice, ...]:
    return all_choices(
        ok_held_out=held_out,
        ok_loo=loo,
        synthetic=synthetic,
        rng=np.random.default_rng(0),
        config=ThresholdConfig(**config),
    )


def by_rule(choices) -> dict[str, ThresholdChoice]:
    return {choice.rule: choice for choice in choices}


GOOD_AUROC = Auroc(auroc=0.95, low=0.8, high=0.99, n_ok=100, n_ng=30, confidence=0.95)


@pytest.mark.parametrize(
    "given", [{}, {"held_out": scores(80)}, {"loo": scores(40)}, {"loo": scores(1)}, {"synthetic": scores(9)}]
)
def test_one_row_per_rule_in_the_order_of_the_table_refusals_included(given):
    found = rows(**given)
    assert [row.rule for row in found] == list(RULES)
    assert all(row.value is not None or row.reason for row in found)


def test_held_out_scores_are_used_from_60_on():
    few, enough = (by_rule(rows(scores(n), scores(40))) for n in (59, 60))
    for rule in ("percentile", "tolerance", "conformal"):
        assert (few[rule].source, few[rule].n_ok) == ("leave-one-out", 40)
        assert (enough[rule].source, enough[rule].n_ok) == ("held-out", 60)
    for found in (few, enough):
        assert (found["loo_beta"].source, found["loo_beta"].n_ok) == ("leave-one-out", 40)


@pytest.mark.parametrize("n", [2, 18, 19, 58, 59, 60, 200])
@pytest.mark.parametrize("source", ["held-out", "leave-one-out"])
def test_three_rows_on_ok_alone_recommend_what_all_rows_do(n, source):
    ok = scores(n)
    every = rows(**{"held_out" if source == "held-out" else "loo": ok}, percentile=0.5)
    few = on_ok_alone(ok, source=source, config=ThresholdConfig())
    one, other = recommend(few, synthetic_auroc=None), recommend(every, synthetic_auroc=None)
    assert (one.choice.rule, one.choice.value, one.why) == (other.choice.rule, other.choice.value, other.why)


def test_few_held_out_scores_are_used_where_there_are_no_others():
    found = by_rule(rows(held_out=scores(10)))
    assert (found["percentile"].source, found["percentile"].n_ok) == ("held-out", 10)
    assert "no leave-one-out scores" in found["loo_beta_prime"].reason


def test_tolerance_on_held_out_scores_comes_first():
    found = recommend(rows(scores(60), scores(60, 1), scores(30) + 9), synthetic_auroc=GOOD_AUROC)
    assert (found.choice.rule, found.choice.source) == ("tolerance", "held-out")
    assert "5 % with 95 % confidence" in found.why


def test_leave_one_out_scores_get_the_conformal_bound_however_many():
    for n in (19, 200):
        found = recommend(rows(loo=scores(n)), synthetic_auroc=None)
        assert (found.choice.rule, found.choice.source) == ("conformal", "leave-one-out")
        assert "untested" in found.why


def test_few_scores_get_their_maximum_and_the_fpr_within_reach():
    ok = scores(18)
    found = recommend(rows(loo=ok), synthetic_auroc=GOOD_AUROC)
    assert found.choice.rule == "percentile" and found.choice.value == np.nextafter(ok.max(), np.inf)
    assert "5.26 % on average" in found.why and "15.3 % with 95 % confidence, approximate" in found.why


def test_maximum_is_there_even_if_another_percentile_was_asked_for():
    ok = scores(18)
    found = rows(loo=ok, percentile=0.5)
    assert [row.rule for row in found] == [*RULES, "percentile"]
    assert recommend(found, synthetic_auroc=None).choice.value == np.nextafter(ok.max(), np.inf)
    assert len(rows(loo=scores(30), percentile=0.5)) == len(RULES)  # conformal needs no last resort


def test_settings_reach_their_rules():
    found = by_rule(
        rows(
            scores(200), scores(60, 1), scores(30) + 9,
            percentile=0.9, fit_alpha=0.03, max_fpr=0.1, confidence=0.9, target_recall=0.8,
        )
    )  # fmt: skip
    assert found["percentile"].params["q"] == 0.9
    assert found["loo_beta"].params["alpha"] == found["loo_beta_prime"].params["alpha"] == 0.03
    assert (found["tolerance"].params["max_fpr"], found["tolerance"].params["confidence"]) == (0.1, 0.9)
    assert found["conformal"].params["max_fpr"] == 0.1
    assert found["target_recall"].params["recall"] == 0.8


def test_synthetic_ng_move_their_own_rules_and_nothing_else():
    ok, loo = scores(80), scores(60, 1)
    choices = [rows(ok, loo, synthetic) for synthetic in (None, scores(20, 2) + 4, scores(50, 3) + 20)]
    for rule in RULES:
        values = {by_rule(found)[rule].value for found in choices}
        assert len(values) == (3 if RULES[rule].origin == "synthetic" else 1)
    assert len({recommend(found, synthetic_auroc=GOOD_AUROC).choice.value for found in choices}) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no OK scores"),
        ({"loo": np.array([])}, "no OK scores"),
        ({"loo": np.array([3.0])}, "at least 2"),
        ({"loo": np.full(40, 3.0)}, "all OK scores are equal"),
        ({"held_out": np.full(100, 3.0)}, "all OK scores are equal"),
    ],
)
def test_nothing_is_recommended_without_scores_that_vary(given, words):
    found = recommend(rows(**given), synthetic_auroc=None)
    assert found.choice.value is None and found.choice.promise == "" and found.choice.fpr_upper_95 is None
    assert words in found.why and found.choice.reason == found.why


def test_nothing_is_recommended_where_scores_do_not_tell_ng_from_ok():
    ok = scores(80)
    same = auroc(ok, scores(20, 5))
    found = recommend(rows(held_out=ok), synthetic_auroc=same)
    assert same.low <= 0.5 and found.choice.value is None
    for way_out in ("input size", "backbone", "Aligned", "More OK images"):
        assert any(way_out in advice for advice in found.advice)
    swapped = recommend(rows(held_out=ok), synthetic_auroc=auroc(ok, scores(20, 5) - 9))
    assert swapped.choice.value is None and "swapped" in swapped.why


def test_images_are_asked_for_first_where_only_their_number_is_missing():
    ok = scores(12)
    few = auroc(ok, scores(12, 1) + 0.3)
    found = recommend(rows(loo=ok), synthetic_auroc=few)
    assert 0.6 < few.auroc < 0.8 and found.choice.value is None and found.advice[0].startswith("More images")
    wanted = int(re.search(r"about (\d+) OK", found.advice[0])[1])
    enough, short = (auroc_interval_low(few.auroc, n) for n in (wanted, wanted - 1))
    assert enough > 0.5 >= short


def auroc_interval_low(area: float, n: int) -> float:
    """Lower Wilson limit of an AUROC, by hand."""
    z = 1.959963984540054
    centre, margin = area + z * z / (2 * n), z * np.sqrt(area * (1 - area) / n + z * z / (4 * n * n))
    return (centre - margin) / (1 + z * z / n)


def test_more_images_than_anybody_has_are_not_asked_for():
    barely = Auroc(auroc=0.5 + 1e-7, low=0.45, high=0.55, n_ok=80, n_ng=20, confidence=0.95)
    found = recommend(rows(held_out=scores(80)), synthetic_auroc=barely)
    assert found.advice and not any("More images" in advice for advice in found.advice)


def test_a_threshold_beyond_any_number_is_not_recommended_and_the_reason_says_so():
    found = recommend(rows(held_out=np.r_[scores(10), 65504.0].astype(np.float16)), synthetic_auroc=None)
    assert found.choice.value is None and "beyond any number" in found.why and found.advice


def test_nothing_is_recommended_where_the_bands_cross_at_the_threshold():
    """AUROC well above 0.5, but the threshold that good parts allow catches hardly any synthetic NG."""
    ok = scores(100)
    choices = rows(held_out=ok)
    threshold = preferred(choices).value
    found = recommend(choices, synthetic_auroc=GOOD_AUROC, caught=rate_bound(3, 30))
    assert threshold is not None and found.choice.value is None
    assert "bands cross" in found.why and "3 of 30" in found.why and found.advice
    assert recommend(choices, synthetic_auroc=GOOD_AUROC, caught=rate_bound(20, 30)).choice.value == threshold


def test_the_lowest_bound_within_reach_is_said_beside_the_one_asked_for():
    assert "100 scores can promise is 2.95 %" in recommend(rows(held_out=scores(100)), synthetic_auroc=None).why
    assert "can promise is" not in recommend(rows(held_out=scores(60)), synthetic_auroc=None).why


def test_same_seed_same_rows():
    assert rows(scores(80), scores(60, 1), scores(20) + 5) == rows(scores(80), scores(60, 1), scores(20) + 5)


def test_rows_are_ready_for_json():
    found = rows(scores(80).astype(np.float32), scores(60, 1), scores(20) + 5)
    for row in found:
        fields = asdict(row)
        assert json.loads(json.dumps(fields, allow_nan=False)) == fields | {
            "notes": list(row.notes),
            "gap": row.gap and list(row.gap),
        }


def test_bad_scores_and_settings_raise():
    with pytest.raises(CalibrationError, match="synthetic NG scores: expected finite"):
        rows(loo=scores(20), synthetic=np.array([1.0, np.nan]))
    with pytest.raises(CalibrationError, match="max_fpr"):
        ThresholdConfig(max_fpr=5.0)
    with pytest.raises(CalibrationError, match="expected the row"):
        recommend(rows(loo=scores(20))[1:], synthetic_auroc=None)


def test_a_choice_without_a_value_needs_a_reason_and_a_value_must_be_finite():
    fields = dict(
        rule="tolerance", params={}, source="held-out", promise="", n_ok=1, n_ng=0,
        expected_fpr=None, fpr_upper_95=None,
    )  # fmt: skip
    with pytest.raises(CalibrationError, match="needs a reason"):
        ThresholdChoice(value=None, **fields)
    with pytest.raises(CalibrationError, match="finite"):
        ThresholdChoice(value=np.inf, **fields)
