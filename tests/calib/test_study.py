"""The study's own arithmetic: splits, what judges, and the share that an exact promise would keep."""

import numpy as np
import pytest
from scipy.stats import betabinom

from calibration.bounds import upper_bound
from calibration.errors import CalibrationError
from calibration.policy import ThresholdConfig
from calibration.study import RECOMMENDED, _kept_if_true, joined, split_study

RNG = np.random.default_rng(0)
OK = RNG.gamma(30.0, 1.0 / 6.0, 240)
NG = RNG.gamma(30.0, 1.0 / 6.0, 60) + 3.0
NAMES = [f"part {i}" for i in range(240)]


def study(splits=60, seed=1, ok_groups=NAMES, **changed):
    given = {"loo": OK[:60], "synthetic": NG[:40] + 0.5, "splits": splits, "seed": seed} | changed
    return split_study(OK, ok_groups, NG, NAMES[:60], **given)


def test_same_seed_same_study_and_another_seed_another():
    a, b, c = study(), study(), study(seed=2)
    np.testing.assert_array_equal(a["tolerance"].fpr, b["tolerance"].fpr)
    assert not np.array_equal(a["tolerance"].fpr, c["tolerance"].fpr)


def test_only_a_promised_bound_is_called_kept():
    found = study()
    assert {rule for rule, row in found.items() if row.bound_kept is not None} == {"tolerance", RECOMMENDED}
    assert all(row.limit_kept is not None for row in found.values() if row.fpr.size)
    np.testing.assert_array_equal(found["tolerance"].fpr, found[RECOMMENDED].fpr)


def test_splits_that_promise_no_bound_are_not_counted_as_a_broken_one():
    """Groups of one to four parts: now 59 parts calibrate and a bound is promised, now fewer, and only a mean is."""
    groups = [f"group {i}" for i in np.random.default_rng(0).integers(0, 45, 118)]
    found = split_study(OK[:118], groups, NG, NAMES[:60], loo=OK[:10], synthetic=NG, splits=60, seed=0)
    recommended, bound = found[RECOMMENDED], found["tolerance"]
    assert 0 < bound.fpr.size < recommended.fpr.size == 60
    assert (recommended.bound_kept, recommended.bound_kept_expected) == (bound.bound_kept, bound.bound_kept_expected)


def test_recommended_is_what_the_page_recommends_also_with_another_percentile():
    """Ten parts calibrate: neither bound is within reach, and the last resort is their maximum, not the median."""
    config = ThresholdConfig(percentile=0.5)
    found = split_study(OK[:20], NAMES[:20], NG, NAMES[:60], loo=OK[:10], synthetic=NG, splits=9, seed=0, config=config)
    assert (found[RECOMMENDED].limit == upper_bound(0, 10)).all()


def test_regret_is_never_negative_and_youden_on_real_ng_has_little():
    found = study(synthetic=NG)
    assert all((row.regret >= 0).all() for row in found.values())
    assert np.median(found["youden"].regret) <= min(
        np.median(found[rule].regret) for rule in ("percentile", "tolerance")
    )


def test_fits_have_one_threshold_for_all_splits():
    """Their leave-one-out scores do not change: the FPR differs only by which parts judge."""
    found = study()["loo_beta_prime"]
    assert found.fpr.size == 60 and len(set(found.limit)) == 1


def test_twins_stay_on_one_side():
    """Every part is there twice: were they split, some score would be seen by both sides."""
    twins = np.repeat(OK[:120], 2)
    groups = [f"pair {i // 2}" for i in range(240)]
    found = split_study(twins, groups, NG, NAMES[:60], loo=OK[:60], synthetic=NG, splits=5, seed=0)
    assert all(np.isclose(row * 60 % 1, 0).all() for row in (found["tolerance"].fpr,))  # 120 judge, in pairs


def test_share_that_an_exact_promise_keeps_beside_brute_force():
    rng = np.random.default_rng(3)
    n, m, rank = 120, 90, 2
    u = np.sort(rng.uniform(size=(20_000, n)), axis=1)[:, -rank]
    kept = np.mean(rng.binomial(m, 1 - u) <= 4)
    assert _kept_if_true(rank, n, m, 0.05) == pytest.approx(kept, abs=0.01)
    assert _kept_if_true(rank, n, m, 0.05) == betabinom.cdf(4, m, rank, n - rank + 1)


def test_expected_share_is_met_on_parts_that_are_exchangeable():
    """Fresh parts for every study: on average the share kept is what the beta-binomial law says."""
    rng = np.random.default_rng(4)
    kept, expected = [], []
    for _ in range(150):
        ok = rng.gamma(30.0, 1.0 / 6.0, 240)
        # ten leave-one-out scores: too few to test a fit, which would take longer than all the rest
        row = split_study(ok, NAMES, NG, NAMES[:60], loo=ok[:10], synthetic=NG, splits=2, seed=0)["tolerance"]
        kept.append(row.bound_kept)
        expected.append(row.bound_kept_expected)
    assert abs(np.mean(kept) - np.mean(expected)) <= 3 * np.std(kept) / np.sqrt(150)


def test_banks_are_joined_split_by_split():
    a, b = study(splits=3), study(splits=4, seed=5)
    both = joined([a, b])["tolerance"]
    assert both.splits == 7 and both.fpr.tolist() == [*a["tolerance"].fpr, *b["tolerance"].fpr]


def test_too_few_parts_and_wrong_groups():
    with pytest.raises(CalibrationError, match="OK: expected at least 4 different parts"):
        study(ok_groups=["one"] * 240)
    with pytest.raises(CalibrationError, match="OK groups: expected one per score"):
        study(ok_groups=NAMES[:3])
