"""Independent libraries, to machine precision where they compute the same thing: crepes, MAPIE, scikit-learn, scipy.

Beside their own modules stand: Clopper-Pearson and beta laws against scipy (``test_bounds``, ``test_rules``), beta fits
(``test_fits``), the noncentral t, Shapiro-Wilk, MAD and generalised Pareto (``test_spread_rules``), anomalib's F1
threshold (``test_rules``), logistic regression (``test_pod``), Kolmogorov-Smirnov and Wasserstein (``test_transfer``).
"""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.dummy import DummyRegressor
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score, roc_curve

from calibration import curves
from calibration.bounds import upper_bound
from calibration.counts import counts_at
from calibration.rank_rules import conformal, tolerance, tolerance_threshold
from calibration.rules import is_ng
from calibration.synthetic_rules import f1_max, youden

SEEDS = range(100)


def ok_scores(seed: int, *, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 300))
    drawn = rng.gamma(30.0, 1.0 / 6.0, n)
    scores = np.round(drawn, 1) if ties else drawn
    return scores.astype(np.float32 if seed % 2 else np.float64)


def ng_scores(seed: int, *, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(10_000 + seed)
    drawn = rng.gamma(30.0, 1.0 / 6.0, int(rng.integers(5, 80))) + 1.0
    return (np.round(drawn, 1) if ties else drawn).astype(np.float32 if seed % 2 else np.float64)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_conformal_flags_the_parts_whose_p_value_in_crepes_is_at_most_alpha(alpha, ties):
    """p = (1 + #{ok >= s}) / (n + 1) without smoothing; NG where p <= alpha, to the part, ties included."""
    from crepes import ConformalClassifier

    for seed in SEEDS:
        ok = ok_scores(seed, ties=ties)
        new = np.r_[ng_scores(seed, ties=ties), ok[:30]].astype(ok.dtype)
        p = ConformalClassifier().fit(ok).predict_p(new[:, None], smoothing=False)[:, 0]
        row = conformal(ok, source="held-out", max_fpr=alpha)
        np.testing.assert_array_equal(is_ng(new, row.value), p <= alpha + 1e-12, err_msg=f"seed {seed}")


@pytest.mark.parametrize("alpha", [0.0625, 0.125, 0.25])  # halves of halves: 1 - (1 - alpha) is alpha to the last digit
def test_conformal_sits_just_above_the_interval_of_crepes_and_refuses_where_it_is_infinite(alpha):
    from crepes import ConformalRegressor

    for n in range(1, 40):
        ok = np.random.default_rng(n).gamma(30.0, 1.0 / 6.0, n)
        row = conformal(ok, source="held-out", max_fpr=alpha)
        regressor = ConformalRegressor().fit(ok)
        if row.value is None:
            with pytest.warns(UserWarning, match="too small"):
                assert regressor.predict_int(np.zeros(1), confidence=1.0 - alpha)[0, 1] == np.inf
        else:
            assert np.nextafter(regressor.predict_int(np.zeros(1), confidence=1.0 - alpha)[0, 1], np.inf) == row.value


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_conformal_sits_just_above_the_quantile_of_mapie(alpha):
    """Absolute residuals to a model that always says 0 are the scores; MAPIE's half-width is their quantile."""
    from mapie.regression import SplitConformalRegressor

    for seed in list(SEEDS)[:30]:
        ok = ok_scores(seed).astype(np.float64)
        x = np.zeros((ok.size, 1))
        zero = DummyRegressor(strategy="constant", constant=0.0).fit(x, ok)
        model = SplitConformalRegressor(zero, confidence_level=1.0 - alpha, prefit=True).conformalize(x, ok)
        _, interval = model.predict_interval(np.zeros((1, 1)))
        row = conformal(ok, source="held-out", max_fpr=alpha)
        assert np.nextafter(interval[0, 1, 0], np.inf) == row.value, f"seed {seed}"


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_limit_is_the_rate_at_which_the_p_value_of_mapie_is_what_the_confidence_leaves(confidence):
    """Binary losses: its Hoeffding-Bentkus p-value is the binomial tail, whose equation Clopper and Pearson solve."""
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    for n in (20, 59, 147, 400):
        for k in range(0, n // 2, 3):
            seen = np.nextafter(k / n, 0.0)  # it rounds n x (k / n) up to a whole number, which can be k + 1
            p = compute_hoeffding_bentkus_p_value(np.array([seen]), n, upper_bound(k, n, confidence), binary=True)
            assert p[0, 0] == pytest.approx(1.0 - confidence, rel=1e-9), (k, n)


@pytest.mark.parametrize(("max_fpr", "confidence"), [(0.05, 0.95), (0.1, 0.9), (0.02, 0.8)])
def test_tolerance_threshold_is_the_lowest_that_mapies_risk_control_lets_through(max_fpr, confidence):
    """Learn-then-test of the FPR in a fixed sequence, from just above the highest OK score downwards."""
    from mapie.risk_control import BinaryClassificationController

    compared = 0
    for seed in SEEDS:
        ok = ok_scores(seed, ties=seed % 4 == 0).astype(np.float64)
        if any(math.ceil(ok.size * (k / ok.size)) > k for k in range(60)):
            continue  # there MAPIE counts one rejected part too many, by rounding
        controller = BinaryClassificationController(
            lambda x: np.c_[-x[:, 0], x[:, 0]],
            "fpr",
            max_fpr,
            confidence_level=confidence,
            list_predict_params=np.nextafter(np.unique(ok), np.inf),
            fwer_method="fixed_sequence",
        )
        ours = tolerance_threshold(ok, max_fpr=max_fpr, confidence=confidence)
        if ours is None:
            with pytest.warns(UserWarning, match="No predict parameters were found"):
                controller.calibrate(ok[:, None], np.zeros(ok.size, int))
            assert not len(controller.valid_predict_params)
        else:
            controller.calibrate(ok[:, None], np.zeros(ok.size, int))
            assert controller.valid_predict_params.min() == ours, seed
        compared += 1
    assert compared >= 20


def test_tolerance_rank_is_the_largest_whose_beta_law_keeps_the_rate():
    for n in (59, 93, 147, 400):
        for rate in (0.05, 0.1):
            kept = [r for r in range(1, n + 1) if stats.beta(r, n - r + 1).cdf(rate) >= 0.95]
            assert tolerance(np.arange(float(n)), source="held-out", max_fpr=rate).params["rank"] == max(kept)


@pytest.mark.parametrize("ties", [False, True])
def test_roc_and_its_area_are_those_of_scikit_learn_on_raw_scores(ties):
    for seed in SEEDS:
        ok, ng = ok_scores(seed, ties=ties), ng_scores(seed, ties=ties)
        labels, scores = np.r_[np.zeros(ok.size), np.ones(ng.size)], np.r_[ok, ng].astype(np.float64)
        fpr, recall, thresholds = roc_curve(labels, scores, drop_intermediate=False)
        ours = curves.roc_curve(ok, ng)
        np.testing.assert_array_equal(ours.thresholds, thresholds)
        np.testing.assert_allclose(ours.fpr, fpr, rtol=0, atol=1e-15)
        np.testing.assert_allclose(ours.recall, recall, rtol=0, atol=1e-15)
        area = curves.auroc(ok, ng).auroc
        assert area == pytest.approx(roc_auc_score(labels, scores), abs=1e-14)
        assert area == pytest.approx(stats.mannwhitneyu(ng, ok).statistic / (ok.size * ng.size), abs=1e-14)


def test_counts_are_the_confusion_matrix_of_scikit_learn():
    for seed in SEEDS:
        ok, ng = ok_scores(seed, ties=True), ng_scores(seed, ties=True)
        at = float(np.r_[ok, ng][seed % ok.size])  # a score of the set: >= decides
        said = np.r_[ok, ng].astype(np.float64) >= at
        (passed, rejected), (missed, caught) = confusion_matrix(np.r_[np.zeros(ok.size), np.ones(ng.size)], said)
        assert (counts_at(ok, at).k, counts_at(ok, at).n) == (rejected, passed + rejected)
        assert (counts_at(ng, at).k, counts_at(ng, at).n) == (caught, missed + caught)


def test_f1_and_youden_are_the_best_that_scikit_learn_finds():
    for seed in list(SEEDS)[:25]:
        ok, ng = ok_scores(seed, ties=True), ng_scores(seed, ties=True)
        labels, scores = np.r_[np.zeros(ok.size), np.ones(ng.size)], np.r_[ok, ng].astype(np.float64)
        best_f1 = max(f1_score(labels, scores >= t) for t in np.unique(scores))
        assert f1_max(ok, ng, source="held-out").params["f1"] == pytest.approx(best_f1, abs=1e-14)
        fpr, recall, _ = roc_curve(labels, scores)
        found = youden(ok, ng, source="held-out").params["youden_index"]
        assert found == pytest.approx((recall - fpr).max(), abs=1e-14)


@pytest.mark.parametrize("n", [10, 50, 1000])
def test_band_is_the_massart_bound_and_wider_than_the_exact_law(n):
    """sqrt(ln(2 / delta) / (2 n)) against scipy's exact two-sided Kolmogorov law, which it must exceed."""
    band = curves.roc_band(np.arange(float(n)), np.arange(float(n)) + 2 * n, confidence=0.95)
    delta = 1.0 - np.sqrt(0.95)
    margin = float(band.fpr_high[0])
    assert margin == pytest.approx(np.sqrt(np.log(2.0 / delta) / (2.0 * n)), rel=1e-12)
    assert 1.0 <= margin / stats.kstwo.ppf(1.0 - delta, n) < 1.08
