"""Drift alarm: scipy and every exchange listed as oracles, relations, and the promises about false alarms and power."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import anderson_ksamp, mannwhitneyu, norm, permutation_test

from calibration.drift import LOCATION, REJECTED, REVIEW, SHAPE, DriftTest, drift_test, pool, statistics
from calibration.drift_power import drift, needed_window, untied_statistics
from calibration.errors import CalibrationError

THRESHOLD, REVIEW_FROM = 26.0, 24.0


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def good(n: int, seed: int = 0) -> np.ndarray:
    return rng(seed).normal(20, 2, n)


def test_of(reference, window, threshold=THRESHOLD, seed=9, **how) -> DriftTest:
    return drift_test(np.array(reference), np.array(window), threshold, rng=rng(seed), **how)


test_of.__test__ = False


def named(reference, window, threshold=THRESHOLD, review_from=None) -> np.ndarray:
    """Statistics of the scores as they came."""
    scores = np.concatenate([reference, window])
    order = np.argsort(scores, kind="stable")
    return statistics(pool(scores[order], threshold, review_from), (order >= len(reference))[None])[0]


def p_of(found: DriftTest) -> dict[str, float]:
    return {change.key: change.p for change in found.changes}


# --- the statistics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [0, 6])
def test_without_a_part_above_the_threshold_rank_sum_and_anderson_darling_are_those_of_scipy(decimals):
    first, second = np.round(good(30, 1), decimals), np.round(good(22, 2) + 0.7, decimals)
    location, shape, rejected = named(first, second, np.inf)
    u = mannwhitneyu(second, first, use_continuity=False, method="asymptotic")
    assert location == pytest.approx(norm.isf(u.pvalue / 2), rel=1e-9)
    assert rejected == 0
    # scipy standardises A^2 of two samples by its mean 1 and a factor that only the sizes decide
    others = [(good(30, seed), good(22, seed + 50) + seed / 20) for seed in range(3, 9)]
    ratios = [(named(a, b, np.inf)[1] - 1) / anderson_ksamp([a, b], variant="right").statistic for a, b in others] + [
        (shape - 1) / anderson_ksamp([first, second], variant="right").statistic
    ]
    assert np.ptp(ratios) < 1e-6


def test_counts_by_hand():
    """4 reference and 4 window parts; of 8, 3 are at or above the threshold, 2 in the band."""
    reference, window = np.array([1.0, 2.0, 3.0, 7.0]), np.array([1.5, 3.5, 5.0, 9.0])
    _, _, rejected, review = named(reference, window, 5.0, 3.0)
    assert rejected == pytest.approx(0.5 / np.sqrt(3 * 4 / 8 * 5 / 8 * 4 / 7))  # 2 of 3 in the window, 1.5 expected
    assert review == pytest.approx(0.0)  # 1 of 2


def test_ng_among_the_lines_parts_leave_the_bulk_as_it_is():
    reference, window = good(60, 1), good(40, 2)
    alone, with_ng = named(reference, window), named(reference, np.concatenate([window, [40.0, 55.0, THRESHOLD]]))
    assert with_ng[:2].tolist() == alone[:2].tolist() and with_ng[2] > alone[2]


# --- the p-values -----------------------------------------------------------------------------------------------

FEW_REFERENCE, FEW_WINDOW = np.array([18.0, 19.0, 20.0, 21.0, 21.0, 23.0]), np.array([21.0, 22.5, 24.0, 27.0])


def test_p_of_the_location_is_that_of_scipys_permutation_test():
    reference, window = FEW_REFERENCE, FEW_WINDOW
    exact = permutation_test(
        (window, reference), lambda a, b: named(b, a)[0], vectorized=False, n_resamples=np.inf, alternative="greater"
    ).pvalue
    draws = 8000
    found = test_of(reference, window, draws=draws)
    assert 0.01 < exact < 0.9
    assert p_of(found)[LOCATION] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / draws))


def test_the_combined_p_is_that_of_every_exchange_listed():
    scores = np.concatenate([FEW_REFERENCE, FEW_WINDOW])
    every = []
    for places in combinations(range(10), 4):
        window = np.isin(np.arange(10), places)
        every.append(named(scores[~window], scores[window], THRESHOLD, REVIEW_FROM))
    every = np.array(every)
    each = (every[None] >= every[:, None]).mean(1)  # (210, 4)
    own = next(i for i, places in enumerate(combinations(range(10), 4)) if places == (6, 7, 8, 9))
    exact = float(np.mean(each.min(1) <= each[own].min() + 1e-12))
    draws = 8000
    found = test_of(FEW_REFERENCE, FEW_WINDOW, review_from=REVIEW_FROM, draws=draws)
    assert 0.01 < exact < 0.9
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / draws))
    assert found.p == min(change.adjusted_p for change in found.changes)
    assert all(change.adjusted_p >= change.p for change in found.changes)


def test_equal_samples_are_no_drift():
    found = test_of(good(50), good(50))
    assert not found.alarm and p_of(found) == {LOCATION: 1.0, SHAPE: 1.0, REJECTED: 1.0}


# --- relations --------------------------------------------------------------------------------------------------


def test_what_keeps_the_order_keeps_the_answer():
    reference, window = good(60, 1), good(40, 2) + 0.8
    plain = test_of(reference, window, review_from=REVIEW_FROM)
    bent = test_of(
        np.exp(reference / 5), np.exp(window / 5), np.exp(THRESHOLD / 5), review_from=np.exp(REVIEW_FROM / 5)
    )
    assert [(c.key, c.p, c.adjusted_p) for c in plain.changes] == [(c.key, c.p, c.adjusted_p) for c in bent.changes]
    assert [c.key for c in plain.changes] == [LOCATION, SHAPE, REJECTED, REVIEW]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_larger_shift_never_has_fewer_alarms(sign):
    shifts, looks = (0.0, 0.5, 1.0, 2.0, 9.0), 30
    alarms = [
        sum(test_of(good(80, i), good(40, 500 + i) + sign * shift, draws=299).alarm for i in range(looks))
        for shift in shifts
    ]
    print(dict(zip(shifts, alarms, strict=True)), "alarms of", looks)
    assert alarms == sorted(alarms) and alarms[0] <= 3 and alarms[-1] == looks


def test_all_parts_above_the_threshold_are_an_alarm_without_a_bulk():
    found = test_of(good(80), good(30, 1) + 30)
    assert found.alarm and found.changes[0].window is None and found.changes[0].direction == ""
    assert (found.changes[2].key, found.changes[2].window, found.changes[2].direction) == (REJECTED, 1.0, "higher")


def test_spread_alone_is_seen_as_shape():
    found = test_of(good(200), 20 + (good(200, 1) - 20) / 3)
    by_key = {change.key: change for change in found.changes}
    assert found.alarm and by_key[SHAPE].adjusted_p <= 0.01 < by_key[LOCATION].adjusted_p
    assert by_key[SHAPE].direction == "lower"


def test_same_seed_same_answer_and_inputs_stay():
    reference, window = good(20), good(10, 1)
    kept = reference.copy(), window.copy()
    first, second = (drift(reference, window, THRESHOLD, rng=rng(4)) for _ in range(2))
    assert first == second
    assert np.array_equal(reference, kept[0]) and np.array_equal(window, kept[1])


@pytest.mark.parametrize(("threshold", "review_from"), [(26.0, 24.0), (26.0, None), (14.0, 12.0), (99.0, 98.0)])
def test_the_simulators_statistics_are_those_of_the_alarm(threshold, review_from):
    ordered = np.sort(good(70))
    windows = np.array([rng(i).permutation(70) < 25 for i in range(40)])
    ends = [threshold] if review_from is None else [threshold, review_from]
    below = np.array([[(ordered < end).sum()] for end in ends])
    plain = statistics(pool(ordered, threshold, review_from), windows)
    np.testing.assert_allclose(untied_statistics(windows, below), plain, atol=1e-8)


# --- what a look can see ----------------------------------------------------------------------------------------


def test_too_few_parts_cannot_tell_and_as_many_as_needed_can():
    few = drift(good(60), good(1, 1), THRESHOLD, rng=rng())
    assert few.verdict == "cannot tell" and few.needed > 1
    assert few.margin == pytest.approx(THRESHOLD - np.median(good(60)))
    enough = drift(good(60), good(2 * few.needed, 1), THRESHOLD, rng=rng())
    assert enough.verdict == "nothing seen" and max(enough.up, enough.down) <= enough.margin


def test_with_this_reference_no_window_can_tell():
    """3 reference parts: windows differ in C(n + 3, 3) ways, and a shift of half a range hides among them."""
    few = drift(np.array([20.0, 21.0, 22.0]), np.array([20.5]), 21.5, rng=rng())
    assert (few.verdict, few.needed) == ("cannot tell", None)


def test_more_parts_see_smaller_shifts():
    seen = [drift(good(80), good(w, 1), THRESHOLD, rng=rng()).up for w in (10, 80)]
    assert seen[0] > 1.5 * seen[1]
    assert needed_window(good(80), 5.0, THRESHOLD, rng=rng()) < needed_window(good(80), 2.0, THRESHOLD, rng=rng())


def test_nine_of_ten_looks_see_the_smallest_shift():
    found = drift(good(100), good(40, 1), THRESHOLD, rng=rng(), review_from=REVIEW_FROM)
    looks = 50

    def seen(shift: float) -> float:
        draws = [
            test_of(good(100, i), good(40, 900 + i) + shift, review_from=REVIEW_FROM, draws=399) for i in range(looks)
        ]
        return np.mean([draw.alarm for draw in draws])

    for shift in (found.up, -found.down):
        assert seen(shift) >= 0.9 - 3 * np.sqrt(0.09 / looks) - 0.04  # the made-up law is not quite that of 100 parts
        assert seen(0.6 * shift) < 0.75


@pytest.mark.parametrize(
    ("reference", "window", "how", "sentence"),
    [
        ([], [1.0], {}, "reference scores: expected at least one"),
        ([1.0], [], {}, "scores of the line: expected at least one"),
        ([1.0], [np.nan], {}, "expected finite numbers"),
        ([1.0], [1.0], {"threshold": np.nan}, "threshold: expected a number"),
        ([1.0], [1.0], {"review_from": THRESHOLD}, "expected it to begin below the threshold"),
        ([1.0], [1.0], {"level": 1.0}, "level: expected a rate"),
        ([1.0], [1.0], {"draws": 0}, "draws: expected at least 1"),
    ],
)
def test_what_cannot_be_tested_is_refused(reference, window, how, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        test_of(reference, window, **how)


# --- the promise ------------------------------------------------------------------------------------------------


@pytest.mark.promise
@pytest.mark.parametrize(
    ("n", "w", "decimals", "review_from"),
    [(60, 8, 6, None), (50, 50, 6, REVIEW_FROM), (40, 80, 0, REVIEW_FROM), (100, 25, 1, None)],
)
def test_false_alarms_stay_within_the_level(n, w, decimals, review_from):
    """Good parts alone, exchangeable, with ties where scores are rounded; the threshold cuts a tail of 2 %."""
    looks, level = 600, 0.05
    alarms = 0
    for seed in range(looks):
        scores = np.round(rng(seed).gamma(20, 1, n + w), decimals)
        alarms += drift_test(
            scores[:n], scores[n:], 30.5, rng=rng(seed), review_from=review_from, level=level, draws=199
        ).alarm
    spread = 3 * np.sqrt(level * (1 - level) / looks)
    print(f"{alarms} of {looks} looks alarm at level {level}: n = {n}, w = {w}, {decimals} decimals")
    assert alarms / looks <= level + spread
    assert alarms / looks >= level - 0.025 - spread  # and it is no alarm that never rings
