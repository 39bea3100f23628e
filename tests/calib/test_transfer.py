"""Transfer and regret: by hand, beside slow definitions, exact error rates of the gap, the verdict over many draws."""

import functools
import json
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, kstwobign, norm

from calibration import transfer as module
from calibration.bounds import rate_bound
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.rules import is_ng
from calibration.synthetic_rules import youden
from calibration.transfer import (
    CANNOT_TELL,
    DOES_NOT_TRANSFER,
    TRANSFERS,
    auroc_gap,
    losses,
    needed_real,
    recall_gap,
    regret,
    regret_interval,
    transfer,
)

SCORES = st.lists(st.integers(0, 9), min_size=1, max_size=15).map(lambda values: np.array(values, float))
WEIGHT = st.sampled_from([0.5, 0.1, 0.99, 1 / 3])
DRAWS = 2000


def three_sigma(rate: float, draws: int) -> float:
    return 3.0 * np.sqrt(rate * (1.0 - rate) / draws)


def loss_at(ok, ng, threshold, weight):
    return (1 - weight) * is_ng(ok, threshold).mean() + weight * (~is_ng(ng, threshold)).mean()


def fewer_draws(monkeypatch) -> None:
    """Simulations of the verdict: fewer draws and splits are noisier, so the rates tested are no easier to keep."""
    monkeypatch.setattr(module, "regret_interval", functools.partial(regret_interval, draws=200))
    monkeypatch.setattr(module, "_N_SPLITS", 15)


# Losses and regret


def test_regret_by_hand():
    ok, real = np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0])
    found = regret(ok, real, 5.0)  # misses the 4, flags no OK
    assert (found.value, found.loss, found.best_loss, found.best_threshold) == (0.25, 0.25, 0.0, 3.5)
    assert (found.n_ok, found.n_ng) == (3, 2)
    assert regret(ok, real, 4.0).value == 0.0  # the part that scores the threshold is NG
    assert regret(ok, real, 2.0).value == pytest.approx(0.5 * 2 / 3)
    assert regret(ok, real, 5.0, weight=0.9).value == pytest.approx(0.45)


def test_highest_of_equal_thresholds_and_flagging_nothing():
    ok, real = np.array([1.0, 5.0]), np.array([3.0, 7.0])  # 6: misses the 3; 2: flags the 5; equal losses
    assert regret(ok, real, 2.0).value == 0.0
    assert regret(ok, real, 2.0).best_threshold == 6.0
    below = regret(np.array([5.0, 6.0]), np.array([1.0]), 3.0)
    assert below.best_loss == 0.5
    assert below.best_threshold == np.nextafter(6.0, np.inf)
    assert below.value == pytest.approx(0.5)
    assert regret(np.array([5.0]), np.array([5.0]), -np.inf).value == 0.0  # one score: nothing is better than another


@settings(deadline=None)
@given(SCORES, SCORES, st.integers(-1, 10).map(lambda t: t + 0.5) | st.sampled_from([-np.inf, np.inf, 4.0]), WEIGHT)
def test_regret_is_that_of_trying_every_threshold(ok, real, threshold, weight):
    tried = np.r_[-np.inf, np.unique(np.r_[ok, real]), np.inf]
    all_losses = [loss_at(ok, real, t, weight) for t in tried]
    found = regret(ok, real, threshold, weight=weight)
    assert found.loss == pytest.approx(loss_at(ok, real, threshold, weight), abs=1e-12)
    assert found.best_loss == pytest.approx(min(all_losses), abs=1e-12)
    assert found.value == pytest.approx(found.loss - found.best_loss, abs=1e-11)
    assert found.value >= 0.0
    assert loss_at(ok, real, found.best_threshold, weight) == pytest.approx(found.best_loss, abs=1e-12)
    assert regret(ok, real, found.best_threshold, weight=weight).value == 0.0
    best = np.flatnonzero(np.array(all_losses) <= min(all_losses) + 1e-9)[-1]
    assert tried[best - 1] < found.best_threshold <= tried[best] or best == 0


@settings(deadline=None)
@given(SCORES, SCORES, st.lists(st.sampled_from([-np.inf, 2.0, 2.5, 9.0, np.inf]), min_size=1, max_size=9), WEIGHT)
def test_losses_are_those_of_is_ng(ok, ng, thresholds, weight):
    found = losses(ok, ng, np.array(thresholds), weight=weight)
    assert found == pytest.approx([loss_at(ok, ng, t, weight) for t in thresholds], abs=1e-12)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_balanced_regret_is_half_the_loss_of_youden_index(ok, ng):
    choice = youden(ok, ng, source="held-out")
    if choice.value is not None:
        found = regret(ok, ng, choice.value)
        assert found.value == 0.0
        assert found.best_loss == pytest.approx((1 - choice.params["youden_index"]) / 2)
        assert found.best_threshold == choice.value


@settings(deadline=None)
@given(SCORES, SCORES, st.integers(0, 9))
def test_regret_ignores_rising_transforms(ok, real, threshold):
    before = regret(ok, real, threshold)
    after = regret(np.exp(ok), np.exp(real), np.exp(threshold))
    assert (before.value, before.loss, before.best_loss) == (after.value, after.loss, after.best_loss)


def test_regret_seen_is_on_average_above_the_true_one():
    """OK N(0, 1), NG N(2, 1), judged at 1.8: the true regret is known."""
    rng = np.random.default_rng(0)
    truth = (norm.sf(1.8) + norm.cdf(-0.2)) / 2 - norm.sf(1.0)
    seen = [regret(rng.normal(size=100), rng.normal(2, 1, 25), 1.8).value for _ in range(DRAWS)]
    assert np.mean(seen) > truth + 3 * np.std(seen) / np.sqrt(DRAWS)


# Gaps


def test_hybrid_limits_are_those_newcombe_published():
    """56 of 70 against 48 of 80, Wilson's limits: Statist. Med. 17 (1998), 873-890, table II, method 10."""
    limits = []
    for k, n in ((56, 70), (48, 80)):
        wilson = binomtest(k, n).proportion_ci(0.95, "wilson")
        limits.append((k / n, wilson.low, wilson.high))
    assert module._hybrid(*limits) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_recall_gap_by_hand():
    gap = recall_gap((50, 50), (0, 1))
    synthetic_low, real_high = 0.025 ** (1 / 50), 0.975
    assert gap.value == 1.0
    assert gap.low == pytest.approx(1 - np.hypot(1 - synthetic_low, real_high))
    assert (gap.high, gap.confidence) == (1.0, 0.95)
    mirrored = recall_gap((0, 1), (50, 50))
    assert (mirrored.value, mirrored.low) == (-1.0, -1.0)
    assert mirrored.high == pytest.approx(-gap.low)


@pytest.mark.parametrize("margin", [0.05, 0.2])
@pytest.mark.parametrize("n_synthetic", [10, 50, 200])
@pytest.mark.parametrize("n_real", [1, 2, 3, 10, 50, 150])
def test_true_gap_at_the_margin_is_misjudged_at_the_nominal_rate(margin, n_synthetic, n_real):
    """Exact: all counts, weighted by their probability, at true recalls that differ by the margin."""
    ends = np.array(
        [
            [(gap.low, gap.high) for gap in (recall_gap((i, n_synthetic), (j, n_real)) for j in range(n_real + 1))]
            for i in range(n_synthetic + 1)
        ]
    )
    for recall in (margin, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0):
        weight = binom.pmf(np.arange(n_synthetic + 1), n_synthetic, recall)[:, None]
        weight = weight * binom.pmf(np.arange(n_real + 1), n_real, recall - margin)
        assert weight[ends[..., 0] > margin + 1e-12].sum() <= 0.025
        assert weight[ends[..., 1] <= margin].sum() <= 0.031  # the hybrid is approximate: ten synthetic NG, margin 20 %


@pytest.mark.parametrize("n_real", [1, 2, 5, 20, 100])
@pytest.mark.parametrize(("synthetic_shift", "real_shift"), [(6.0, 1.5), (2.0, 2.0), (6.0, 6.0), (1.0, 2.5)])
def test_auroc_gap_covers_the_true_difference(n_real, synthetic_shift, real_shift):
    rng = np.random.default_rng(4)
    truth = norm.cdf(synthetic_shift / np.sqrt(2)) - norm.cdf(real_shift / np.sqrt(2))
    missed = 0
    for _ in range(DRAWS):
        gap = auroc_gap(rng.normal(size=60), rng.normal(synthetic_shift, size=30), rng.normal(real_shift, size=n_real))
        missed += not gap.low <= truth <= gap.high
    assert missed / DRAWS <= 0.05 + three_sigma(0.05, DRAWS)


def test_auroc_gap_covers_where_few_real_ng_score_far_below_all_ok():
    rng = np.random.default_rng(14)
    missed = 0
    for _ in range(DRAWS):
        real = np.where(rng.uniform(size=5) < 0.05, -20.0, 20.0)  # AUROC 0.95
        gap = auroc_gap(rng.normal(size=60), rng.normal(20, 1, 30), real)
        missed += not gap.low <= 0.05 <= gap.high
    assert missed / DRAWS <= 0.05 + three_sigma(0.05, DRAWS)


def test_perfect_areas_leave_room():
    gap = auroc_gap(np.zeros(50), np.ones(20), np.ones(3))
    assert gap.value == 0.0
    assert gap.low == pytest.approx(auroc(np.zeros(50), np.ones(20)).low - 1)
    assert gap.high == pytest.approx(1 - auroc(np.zeros(50), np.ones(3)).low)


# How many real NG


@pytest.mark.parametrize("margin", [0.03, 0.05, 0.1])
def test_needed_real_is_the_fewest(margin):
    n = needed_real(margin, caught=40, n_synthetic=40)
    assert n > 20
    assert recall_gap((40, 40), (n, n)).high <= margin < recall_gap((40, 40), (n - 1, n - 1)).high


def test_needed_real_below_a_recall_of_one():
    n = needed_real(0.1, caught=180, n_synthetic=200)
    tenths = [k for k in range(n, n + 20) if k % 10 == 0]  # where 90 % of k is a whole number
    assert all(recall_gap((180, 200), (9 * k // 10, k)).high <= 0.1 for k in tenths)
    assert recall_gap((180, 200), (9 * (n // 10 - 1), n - n % 10 - 10)).high > 0.1
    assert needed_real(0.05, caught=18, n_synthetic=20) is None  # 18 of 20: up to 98.8 %, open by more than 5 %
    assert needed_real(0.9, caught=0, n_synthetic=5) == 20


# Everything together

OK = np.arange(1.0, 9.0)
SYNTHETIC = np.array([6.0, 10.0, 10.0, 12.0])
REAL = np.array([10.0, 5.0, 20.0])


def test_all_figures_by_hand():
    found = transfer(OK, SYNTHETIC, REAL, 8.0, rng=np.random.default_rng(0), confidence=0.9)
    assert (found.n_ok, found.n_synthetic, found.n_real, found.threshold) == (8, 4, 3, 8.0)
    assert found.ranks == (0.5, 0.0, 1.0)  # one below and two equal of four; none; all
    assert found.n_outside == 2
    assert (found.false_rejects.k, found.escapes.k, found.synthetic_recall.k) == (1, 1, 3)
    assert (found.false_rejects.n, found.escapes.n, found.synthetic_recall.n) == (8, 3, 4)
    assert found.recall_gap.value == pytest.approx(3 / 4 - 2 / 3)
    assert found.recall_gap == recall_gap((3, 4), (2, 3), 0.9)
    assert found.auroc_gap == auroc_gap(OK, SYNTHETIC, REAL, 0.9)
    assert (found.auroc_synthetic.auroc, found.auroc_real.auroc) == (29.5 / 32, 20.5 / 24)
    assert found.synthetic_above == (2 + 4 + 0) / 12  # pairs won against the 10, the 5 and the 20, ties half
    assert found.regret == regret(OK, REAL, 8.0)
    assert found.regret_interval is None
    assert any("at least 20 real NG" in note for note in found.notes)
    assert found.verdict == CANNOT_TELL


@settings(deadline=None)
@given(SCORES, SCORES, SCORES)
def test_distances_are_those_of_their_definitions(ok, synthetic, real):
    found = transfer(ok, synthetic, real, 4.5, rng=np.random.default_rng(0))
    pairs = synthetic[:, None] - real
    assert found.synthetic_above == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert found.ranks == pytest.approx(((pairs < 0) + 0.5 * (pairs == 0)).mean(axis=0))
    steps = np.arange(11.0)
    below = np.abs([(synthetic <= s).mean() - (real <= s).mean() for s in steps])
    assert found.ks_statistic == pytest.approx(max(below))
    iqr = np.quantile(ok, 0.75) - np.quantile(ok, 0.25)
    if iqr == 0:
        assert found.wasserstein is None
        assert any("no distance" in note for note in found.notes)
    else:
        assert found.wasserstein == pytest.approx(below.sum() / iqr)  # area between two step functions
    assert sum(not 0.05 <= rank <= 0.95 for rank in found.ranks) == found.n_outside


def test_ks_p_value_falls_with_the_distance():
    rng = np.random.default_rng(1)
    ok, synthetic = rng.normal(size=50), rng.normal(3, 1, 200)
    same = transfer(ok, synthetic, rng.normal(3, 1, 200), 1.5, rng=rng)
    other = transfer(ok, synthetic, rng.normal(4, 1, 200), 1.5, rng=rng)
    assert same.ks_p > 0.05 > other.ks_p
    assert other.ks_p == pytest.approx(
        kstwobign.sf(other.ks_statistic * 10), rel=0.5
    )  # large-sample law, n m / (n + m) = 100


def test_result_is_json_and_reproducible():
    rng = np.random.default_rng(2)
    ok, synthetic, real = rng.normal(size=80), rng.normal(4, 1, 40), rng.normal(3, 1, 30)
    copies = ok.copy(), synthetic.copy(), real.copy()
    first = transfer(ok, synthetic, real, 2.0, rng=np.random.default_rng(7))
    assert first == transfer(ok, synthetic, real, 2.0, rng=np.random.default_rng(7))
    assert json.loads(json.dumps(asdict(first), allow_nan=False))["verdict"] == first.verdict
    for before, after in zip(copies, (ok, synthetic, real), strict=True):
        np.testing.assert_array_equal(before, after)
    transformed = transfer(np.exp(ok), np.exp(synthetic), np.exp(real), np.exp(2.0), rng=np.random.default_rng(7))
    assert transformed.regret_interval == first.regret_interval
    assert (transformed.verdict, transformed.ranks) == (first.verdict, first.ranks)


def test_the_three_verdicts_and_their_reasons():
    rng = np.random.default_rng(3)
    ok, high = rng.normal(size=200), rng.normal(9, 1, 100)
    good = transfer(ok, high, rng.normal(9, 1, 80), 4.5, rng=rng)
    assert good.verdict == TRANSFERS
    assert good.why.startswith("On 80 real NG the recall gap is at most 4.51 %")
    missed = transfer(ok, high, np.zeros(3), 4.5, rng=rng)  # three real NG, all missed: enough
    assert missed.verdict == DOES_NOT_TRANSFER
    assert missed.why.startswith("Of 100 synthetic NG 100 % are caught, of 3 real NG 0 %")
    few = transfer(ok, high, np.full(10, 9.0), 4.5, rng=rng)
    assert few.verdict == CANNOT_TELL
    assert few.why.endswith("With no gap at all it takes at least 72 real NG.")
    # Synthetic NG harder than real ones: no recall is lost, but the threshold rejects far too many OK.
    low = transfer(ok, rng.normal(0.5, 1, 100), rng.normal(9, 1, 80), 0.3, rng=rng)
    assert low.recall_gap.high < 0
    assert low.verdict == DOES_NOT_TRANSFER
    assert low.why.startswith("On 200 OK and 80 real NG another threshold loses less, by at least")
    open_recall = transfer(ok, np.r_[high[:18], 0, 0], np.r_[np.full(450, 9.0), np.zeros(50)], 4.5, rng=rng)
    assert open_recall.why.endswith("20 synthetic NG are too few for this margin, with any number of real NG.")
    near = transfer(ok, high, np.r_[np.full(97, 9.0), np.zeros(3)], 4.5, rng=rng)
    assert near.verdict == CANNOT_TELL
    assert near.why.endswith("What was seen lies too near the margin: more real NG and OK narrow it.")


# Interval of the regret


def test_interval_needs_twenty_real_and_two_ok():
    rng = np.random.default_rng(0)
    assert regret_interval(np.arange(50.0), np.arange(19.0), 5.0, rng=rng) is None
    assert regret_interval(np.zeros(1), np.arange(20.0), 5.0, rng=rng) is None
    assert regret_interval(np.arange(2.0), np.arange(20.0), 5.0, rng=rng) is not None


def test_perfect_scores_still_have_room_for_what_was_not_seen():
    rng = np.random.default_rng(0)
    low, high = regret_interval(np.zeros(300), np.ones(20), 0.5, rng=rng)
    assert (low, high) == (0.0, pytest.approx(0.5 * (1 - 0.025 ** (1 / 20))))
    low, high = regret_interval(np.zeros(300), np.ones(20), 2.0, rng=rng)  # all real NG missed
    assert 0.3 < low < 0.5 == high


@pytest.mark.parametrize("weight", [0.5, 0.1, 0.9])
def test_interval_holds_the_regret_seen_and_hardly_depends_on_the_seed(weight):
    rng = np.random.default_rng(5)
    ok, real = np.round(rng.normal(size=150), 1), np.round(rng.normal(2, 1, 60), 1)  # with ties
    for threshold in (-1.0, 0.7, 1.0, 2.5, 9.0):
        ends = np.array(
            [regret_interval(ok, real, threshold, rng=np.random.default_rng(seed), weight=weight) for seed in range(6)]
        )
        seen = regret(ok, real, threshold, weight=weight).value
        assert (ends[:, 0] <= seen).all() and (seen <= ends[:, 1]).all()
        assert (np.ptp(ends, axis=0) < 0.03).all()


def test_high_end_is_a_percentile_of_plainly_resampled_regrets():
    rng = np.random.default_rng(6)
    ok, real, threshold = rng.normal(size=100), rng.normal(1.5, 1, 40), 2.0
    slow = [regret(rng.choice(ok, ok.size), rng.choice(real, real.size), threshold).value for _ in range(4000)]
    _, high = regret_interval(ok, real, threshold, rng=rng, draws=4000)
    assert high == pytest.approx(np.quantile(slow, 0.975), abs=0.01)


@pytest.mark.parametrize(("threshold", "weight"), [(-0.3, 0.5), (3.0, 0.5), (-0.3, 0.2), (2.5, 0.8)])
def test_low_end_is_the_median_limit_over_plain_splits(monkeypatch, threshold, weight):
    rng = np.random.default_rng(15)
    ok, real = np.round(rng.normal(size=90), 1), np.round(rng.normal(2, 1, 40), 1)
    level, splits = 0.975, 600
    saved = []
    for _ in range(splits):
        some_ok, rest_ok = np.split(rng.permutation(ok), [22])
        some_real, rest_real = np.split(rng.permutation(real), [10])
        tried = np.r_[-np.inf, np.sort(np.append(real, threshold)), np.inf]
        other = tried[np.argmin(losses(some_ok, some_real, tried, weight=weight))]
        between = [
            np.count_nonzero((min(other, threshold) <= s) & (s < max(other, threshold))) for s in (rest_ok, rest_real)
        ]
        of_ok, of_real = (
            [share * edge for edge in (bound.estimate, bound.low, bound.high)]
            for share, bound in (
                (1 - weight, rate_bound(between[0], rest_ok.size, level)),
                (weight, rate_bound(between[1], rest_real.size, level)),
            )
        )
        gain, price = (of_real, of_ok) if other < threshold else (of_ok, of_real)
        saved.append(gain[0] - price[0] - np.hypot(gain[0] - gain[1], price[2] - price[0]))
    monkeypatch.setattr(module, "_N_SPLITS", splits)
    low, _ = regret_interval(ok, real, threshold, rng=rng, weight=weight, draws=1)
    assert low == pytest.approx(np.median(saved), abs=0.01)
    assert low > 0.02


def test_blocks_of_draws_are_as_good_as_one(monkeypatch):
    rng = np.random.default_rng(8)
    ok, real = rng.normal(size=100), rng.normal(1.5, 1, 40)
    whole = regret_interval(ok, real, 2.0, rng=np.random.default_rng(0), draws=1001)
    monkeypatch.setattr(module, "_CELLS", 4100)  # a hundred draws in each block
    assert regret_interval(ok, real, 2.0, rng=np.random.default_rng(0), draws=1001) == pytest.approx(whole, abs=0.02)


def normal_loss(threshold: float, shift: float, weight: float) -> float:
    return (1 - weight) * norm.sf(threshold) + weight * norm.cdf(threshold - shift)


def threshold_with_regret(value: float, shift: float, weight: float, side: int) -> float:
    """Threshold above (side 1) or below (-1) the best one for OK N(0, 1), NG N(shift, 1)."""
    best = shift / 2 + np.log((1 - weight) / weight) / shift
    return brentq(
        lambda t: normal_loss(t, shift, weight) - normal_loss(best, shift, weight) - value, best, best + 6 * side
    )


@pytest.mark.promise
@pytest.mark.parametrize(("weight", "side"), [(0.5, 1), (0.5, -1), (0.9, 1), (0.9, -1), (0.1, -1)])
def test_true_regret_at_the_margin_is_misjudged_at_the_nominal_rate(monkeypatch, weight, side):
    """Where a bootstrap percentile as lower end fails in 4 to 46 % of samples; 30 real NG, 100 OK."""
    monkeypatch.setattr(module, "_N_SPLITS", 15)
    rng = np.random.default_rng(9)
    threshold = threshold_with_regret(0.05, 3.0, weight, side)
    too_high = too_low = 0
    for _ in range(DRAWS):
        ok, real = rng.normal(size=100), rng.normal(3, 1, 30)
        low, high = regret_interval(ok, real, threshold, rng=rng, weight=weight, draws=200)
        too_high += low > 0.05
        too_low += high < 0.05
    assert too_high / DRAWS <= 0.025 + three_sigma(0.025, DRAWS)
    assert too_low / DRAWS <= 0.025 + three_sigma(0.025, DRAWS)


# The verdict, over many draws


def verdicts(draw_synthetic, draw_real, *, n_synthetic: int, n_real: int, threshold=None, seed: int) -> Counter:
    rng = np.random.default_rng(seed)
    counted = Counter()
    for _ in range(DRAWS):
        ok, synthetic = rng.normal(size=100), draw_synthetic(rng, n_synthetic)
        value = youden(ok, synthetic, source="held-out").value if threshold is None else threshold
        counted[transfer(ok, synthetic, draw_real(rng, n_real), value, rng=rng).verdict] += 1
    return counted


def normal(shift: float):
    return lambda rng, n: rng.normal(shift, 1.0, n)


@pytest.mark.promise
@pytest.mark.parametrize("n_real", [2, 12, 40])
@pytest.mark.parametrize("shift", [2.0, 4.0])
def test_same_law_is_called_no_transfer_at_most_at_the_nominal_rate(monkeypatch, n_real, shift):
    """Threshold by Youden on the very synthetic NG, so their recall is in-sample; both ends 2.5 %, together 5 %."""
    fewer_draws(monkeypatch)
    counted = verdicts(normal(shift), normal(shift), n_synthetic=40, n_real=n_real, seed=10)
    assert counted[DOES_NOT_TRANSFER] / DRAWS <= 0.05 + three_sigma(0.05, DRAWS)


@pytest.mark.promise
def test_easy_synthetic_is_called_a_transfer_at_most_at_the_nominal_rate(monkeypatch):
    fewer_draws(monkeypatch)
    counted = verdicts(normal(7.0), normal(3.0), n_synthetic=40, n_real=90, seed=11)
    assert counted[TRANSFERS] / DRAWS <= 0.025
    assert counted[DOES_NOT_TRANSFER] / DRAWS >= 0.9  # and it is found out


@pytest.mark.promise
def test_a_gap_just_at_the_margin_is_called_a_transfer_at_most_at_the_nominal_rate(monkeypatch):
    """Threshold fixed; all synthetic and 95 % of real NG above it, with other OK scores far below: only escapes."""
    fewer_draws(monkeypatch)
    counted = verdicts(normal(20.0), normal(6.0 + norm.ppf(0.95)), n_synthetic=40, n_real=90, threshold=6.0, seed=12)
    assert counted[TRANSFERS] / DRAWS <= 0.025 + three_sigma(0.025, DRAWS)
    assert counted[DOES_NOT_TRANSFER] / DRAWS <= 0.025 + three_sigma(0.025, DRAWS)


# Impossible input


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf, 1.0], [[1.0]], ["a"], 3.0])
def test_bad_scores(bad):
    good, rng = np.array([1.0, 2.0]), np.random.default_rng(0)
    for place in range(3):
        scores = [good] * 3
        scores[place] = bad
        with pytest.raises(CalibrationError, match="scores: expected"):
            transfer(*scores, 1.5, rng=rng)
        with pytest.raises(CalibrationError, match="scores: expected"):
            auroc_gap(*scores)
    for ok, ng in ((bad, good), (good, bad)):
        for call in (
            lambda ok, ng: regret(ok, ng, 1.0),
            lambda ok, ng: losses(ok, ng, good),
            lambda ok, ng: regret_interval(ok, ng, 1.0, rng=rng),
        ):
            with pytest.raises(CalibrationError, match="scores: expected"):
                call(ok, ng)


@pytest.mark.parametrize("threshold", [np.nan, "high", None])
def test_bad_threshold(threshold):
    good, rng = np.array([1.0, 2.0]), np.random.default_rng(0)
    for call in (
        lambda: regret(good, good, threshold),
        lambda: regret_interval(good, good, threshold, rng=rng),
        lambda: transfer(good, good, good, threshold, rng=rng),
    ):
        with pytest.raises(CalibrationError, match="threshold: expected"):
            call()


def test_an_infinite_threshold_has_a_regret_but_no_transfer():
    good, rng = np.array([1.0, 2.0]), np.random.default_rng(0)
    for infinite in (np.inf, -np.inf):
        assert regret(good, good + 2, infinite).value == 0.5
        with pytest.raises(CalibrationError, match="finite"):
            transfer(good, good, good, infinite, rng=rng)
        with pytest.raises(CalibrationError, match="finite"):
            regret_interval(good, good, infinite, rng=rng)


@pytest.mark.parametrize("rate", [0.0, 1.0, -1, np.nan, "half"])
def test_bad_rates(rate):
    good, rng = np.arange(30.0), np.random.default_rng(0)
    for call in (
        lambda: regret(good, good, 1.0, weight=rate),
        lambda: losses(good, good, good, weight=rate),
        lambda: regret_interval(good, good, 1.0, rng=rng, weight=rate),
        lambda: regret_interval(good, good, 1.0, rng=rng, confidence=rate),
        lambda: transfer(good, good, good, 1.0, rng=rng, margin=rate),
        lambda: transfer(good, good, good, 1.0, rng=rng, weight=rate),
        lambda: transfer(good, good, good, 1.0, rng=rng, confidence=rate),
        lambda: recall_gap((1, 2), (1, 2), rate),
        lambda: needed_real(rate, caught=1, n_synthetic=2),
    ):
        with pytest.raises(CalibrationError, match="between 0 and 1"):
            call()


def test_bad_counts_and_thresholds():
    good, rng = np.arange(30.0), np.random.default_rng(0)
    for bad in ([[1.0]], [np.nan], ["a"], 1.0):
        with pytest.raises(CalibrationError, match="thresholds: expected"):
            losses(good, good, np.array(bad))
    with pytest.raises(CalibrationError, match="0 <= k <= n"):
        recall_gap((3, 2), (1, 2))
    with pytest.raises(CalibrationError, match="0 <= k <= n"):
        needed_real(0.05, caught=0, n_synthetic=0)
    with pytest.raises(CalibrationError, match="draws"):
        regret_interval(good, good, 1.0, rng=rng, draws=0)
