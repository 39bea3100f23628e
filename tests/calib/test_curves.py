"""ROC, its band and its area: by hand, beside scikit-learn, and as promises over seeded draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstwo, norm
from sklearn import metrics

from calibration.curves import auroc, roc_band, roc_curve
from calibration.errors import CalibrationError
from calibration.rules import is_ng

SCORES = st.lists(st.integers(0, 12), min_size=1, max_size=30).map(lambda values: np.array(values, float))


def test_by_hand_with_a_tie_between_the_classes():
    curve = roc_curve(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0]))
    assert curve.thresholds.tolist() == [np.inf, 4, 3, 2, 1]
    assert curve.fpr.tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert curve.recall.tolist() == [0, 0.5, 1, 1, 1]
    assert auroc(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0])).auroc == pytest.approx(5.5 / 6)


@given(SCORES, SCORES)
def test_same_as_scikit_learn(ok, ng):
    labels = np.r_[np.zeros(ok.size), np.ones(ng.size)]
    fpr, recall, thresholds = metrics.roc_curve(labels, np.r_[ok, ng], drop_intermediate=False)
    curve = roc_curve(ok, ng)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall, atol=1e-12)
    assert auroc(ok, ng).auroc == pytest.approx(metrics.roc_auc_score(labels, np.r_[ok, ng]), abs=1e-12)


@given(SCORES, SCORES)
def test_every_point_is_what_is_ng_decides(ok, ng):
    curve = roc_curve(ok, ng)
    for threshold, fpr, recall in zip(curve.thresholds, curve.fpr, curve.recall, strict=True):
        assert fpr == is_ng(ok, threshold).mean()
        assert recall == is_ng(ng, threshold).mean()
    assert (np.diff(curve.fpr) >= 0).all() and (np.diff(curve.recall) >= 0).all()


@given(SCORES, SCORES)
def test_area_flips_with_the_labels_and_ignores_monotone_transforms(ok, ng):
    area = auroc(ok, ng)
    flipped = auroc(ng, ok)
    assert area.auroc == pytest.approx(1 - flipped.auroc, abs=1e-12)
    assert (area.low, area.high) == pytest.approx((1 - flipped.high, 1 - flipped.low), abs=1e-12)
    assert auroc(np.exp(ok), np.exp(ng)) == area


def test_scores_far_outside_0_1_are_not_squashed():
    """torchmetrics gives 0.5 here: it puts scores above 1 through a float32 sigmoid."""
    area = auroc(np.array([20, 21, 22], np.float32), np.array([30, 31, 32], np.float32))
    assert area.auroc == 1.0


@given(st.integers(1, 500), st.integers(1, 500))
def test_perfect_area_keeps_a_lower_limit_below_one(n_ok, n_ng):
    area = auroc(np.zeros(n_ok), np.ones(n_ng))
    z = norm.ppf(0.975)
    n = min(n_ok, n_ng)
    assert (area.auroc, area.high) == (1.0, 1.0)
    assert area.low == pytest.approx(n / (n + z * z))
    assert (area.n_ok, area.n_ng, area.confidence) == (n_ok, n_ng, 0.95)


@pytest.mark.parametrize(("n_ok", "n_ng", "shift"), [(30, 30, 1.0), (100, 20, 2.0), (12, 50, 0.0), (20, 20, 3.5)])
def test_area_interval_covers_the_true_area(n_ok, n_ng, shift):
    """Normal scores: the true area is Phi(shift / sqrt 2)."""
    rng = np.random.default_rng(3)
    truth = norm.cdf(shift / np.sqrt(2))
    draws = [auroc(rng.normal(size=n_ok), rng.normal(shift, size=n_ng)) for _ in range(2000)]
    missed = np.mean([not area.low <= truth <= area.high for area in draws])
    assert missed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_band_is_clipped_and_its_margin_is_the_dkw_one():
    band = roc_band(np.arange(100.0), np.arange(50.0, 70.0))
    assert band.curve.thresholds[0] == np.inf
    for low, rate, high in (
        (band.fpr_low, band.curve.fpr, band.fpr_high),
        (band.recall_low, band.curve.recall, band.recall_high),
    ):
        assert (low >= 0).all() and (low <= rate).all() and (rate <= high).all() and (high <= 1).all()
    exact = kstwo.ppf(np.sqrt(0.95), [100, 20])
    margins = np.array([band.fpr_high[0], band.recall_high[0]])
    assert (margins >= exact).all() and (margins <= 1.06 * exact).all()


def test_band_holds_the_true_curve_everywhere_at_once():
    rng = np.random.default_rng(5)
    draws = 2000
    missed = 0
    for _ in range(draws):
        band = roc_band(rng.uniform(size=40), rng.uniform(0.5, 1.5, size=25))
        # Between two scores the estimate stays while the true rate falls: look at both ends of each step.
        at = np.clip(np.r_[1.5, band.curve.thresholds[1:]], 0, 1.5)
        just_above_next = np.r_[at[1:], 0.0]
        for ends in (at, just_above_next):
            fpr, recall = np.clip(1 - ends, 0, 1), np.clip(1.5 - ends, 0, 1)
            inside = (band.fpr_low <= fpr) & (fpr <= band.fpr_high)
            inside &= (band.recall_low <= recall) & (recall <= band.recall_high)
            if not inside.all():
                missed += 1
                break
    assert missed / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf, 1.0], [[1.0]], ["a"], [True, False], 3.0])
def test_bad_scores(bad):
    good = np.array([1.0, 2.0])
    for call in (roc_curve, roc_band, auroc):
        for ok, ng in ((bad, good), (good, bad)):
            with pytest.raises(CalibrationError, match="scores: expected"):
                call(ok, ng)


def test_inputs_stay_unchanged():
    ok, ng = np.array([3.0, 1.0, 2.0]), np.array([5.0, 4.0])
    roc_band(ok, ng)
    auroc(ok, ng)
    assert ok.tolist() == [3, 1, 2] and ng.tolist() == [5, 4]
