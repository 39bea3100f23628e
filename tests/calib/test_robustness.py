"""Ranges by hand: what is varied, what moves, and what must not."""

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.rank_rules import conformal, tolerance
from calibration.robustness import RECALL, RECOMMENDED, YOUDEN, SeedScores, robustness, weighted_youden
from calibration.spread_rules import median_mad
from calibration.synthetic_rules import youden

OK = np.random.default_rng(0).gamma(30.0, 1.0 / 6.0, 100)
EASY, HARD = np.linspace(8.0, 12.0, 30), np.linspace(5.0, 9.0, 30)


def rows(synthetic, *, chosen=None, severities=None, seeds=(), primary="hard"):
    chosen = chosen or tolerance(OK, source="held-out")
    found = robustness(
        chosen, OK, synthetic, primary=primary, severities=severities or {}, seeds=seeds,
        rng=np.random.default_rng(1), draws=300,
    )  # fmt: skip
    return {(row.quantity, row.varied): row for row in found}


def test_synthetic_ng_cannot_move_the_recommended_threshold():
    found = rows({"hard": HARD, "easy": EASY}, severities={"hard": HARD, "easy": EASY})
    assert [varied for quantity, varied in found if quantity == RECOMMENDED] == ["which OK images were drawn"]
    alone = rows({"hard": HARD})
    key = (RECOMMENDED, "which OK images were drawn")
    assert found[key] == alone[key]
    assert found[key].low <= found[key].at <= found[key].high and found[key].n == 300


def test_generators_are_compared_one_by_one():
    found = rows({"hard": HARD, "easy": EASY})
    chosen = tolerance(OK, source="held-out").value
    recall = found[RECALL, "generator"]
    assert (recall.low, recall.high) == (np.mean(chosen <= HARD), np.mean(chosen <= EASY))
    assert recall.ends == ("hard", "easy") and recall.at == recall.low and recall.n == 2
    threshold = found[YOUDEN, "generator"]
    assert {threshold.low, threshold.high} == {youden(OK, s, source="held-out").value for s in (HARD, EASY)}


def test_severities_are_thirds_of_each_generator():
    found = rows({"hard": HARD}, severities={"hard": np.arange(30.0)})
    row = found[RECALL, "generator and severity"]
    chosen = tolerance(OK, source="held-out").value
    assert row.ends == ("hard, weak", "hard, strong") and row.n == 3
    assert (row.low, row.high) == (np.mean(HARD[:10] >= chosen), np.mean(HARD[20:] >= chosen))
    assert (RECALL, "generator and severity") not in rows({"hard": HARD[:14]}, severities={"hard": np.arange(14.0)})


def test_mixtures_end_in_the_generators_themselves():
    row = rows({"hard": HARD, "easy": EASY})[YOUDEN, "shares in which two generators are mixed"]
    ends = [weighted_youden(OK, {name: 1.0}, {"hard": HARD, "easy": EASY}) for name in ("hard", "easy")]
    assert row.low <= min(ends) <= max(ends) <= row.high and row.n == 5


def test_weighted_youden_beside_trying_every_score():
    rng = np.random.default_rng(2)
    ok = rng.integers(0, 12, 25).astype(float)
    sets = {"a": rng.integers(6, 20, 15).astype(float), "b": rng.integers(4, 14, 9).astype(float)}
    tried = {
        t: 0.3 * np.mean(sets["a"] >= t) + 0.7 * np.mean(sets["b"] >= t) - np.mean(ok >= t)
        for t in np.unique(np.r_[ok, *sets.values()])
    }
    best = max(tried.values())
    high = max(t for t, v in tried.items() if v > best - 1e-12)
    low = max(t for t in tried if t < high)
    assert weighted_youden(ok, {"a": 0.3, "b": 0.7}, sets) == (low + high) / 2


@pytest.mark.parametrize("seed", range(20))
def test_a_mixture_of_one_generator_is_youdens_rule(seed):
    rng = np.random.default_rng(seed)
    ok, ng = rng.integers(0, 12, 25).astype(float), rng.integers(2, 14, 9).astype(float)
    row = youden(ok, ng, source="held-out")
    if "swapped" not in row.reason:
        assert weighted_youden(ok, {"a": 1.0, "b": 0.0}, {"a": ng, "b": ng + 0.25}) == row.value
    assert weighted_youden(ok + 20, {"a": 1.0}, {"a": ng}) is None


def test_only_a_rank_rule_with_a_value_has_ranges():
    for chosen in (conformal(OK[:5], source="held-out"), median_mad(OK, source="held-out")):
        with pytest.raises(CalibrationError, match="expected a rank rule with a value"):
            rows({"hard": HARD}, chosen=chosen)


def test_other_coreset_seeds_move_all_three():
    seeds = [
        SeedScores(seed=s, threshold=t, synthetic=HARD + shift, ok=OK + shift)
        for s, t, shift in ((1, 7.5, 0.0), (2, 8.5, 1.0), (3, None, 0.5))
    ]
    found = rows({"hard": HARD}, seeds=seeds)
    row = found[RECOMMENDED, "seed of the coreset"]
    at = tolerance(OK, source="held-out").value
    assert row.at == at and row.n == 3 and row.high == 8.5 and row.ends[1] == "seed 2"
    assert found[YOUDEN, "seed of the coreset"].n == 4
    assert found[RECALL, "seed of the coreset"].high == max(
        np.mean(at <= HARD), np.mean(HARD >= 7.5), np.mean(HARD + 1 >= 8.5)
    )


def test_no_range_where_nothing_can_be_varied():
    chosen = conformal(OK, source="held-out")
    assert set(rows({}, chosen=chosen)) == {(RECOMMENDED, "which OK images were drawn")}
    swapped = rows({"hard": OK[:20] - 50}, chosen=chosen)  # Youden has no threshold here
    assert not any(quantity == YOUDEN for quantity, _ in swapped)


@pytest.mark.parametrize("n", [30, 300])
def test_range_over_ok_images_shrinks_with_their_number(n):
    ok = np.random.default_rng(4).gamma(30.0, 1.0 / 6.0, n)
    chosen = conformal(ok, source="held-out")
    (row,) = robustness(chosen, ok, {}, primary="none", severities={}, rng=np.random.default_rng(5))
    assert (row.high - row.low) < (1.8 if n == 30 else 0.9)
