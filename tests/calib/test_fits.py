"""Fits beside scipy's distributions, and what the goodness-of-fit test lets through."""

import numpy as np
import pytest
from scipy import stats

from calibration.fit_rules import loo_beta, loo_beta_prime
from calibration.fits import BETA, BETA_PRIME, ESTIMATORS, _anderson_darling, fit, fit_p_value
from calibration.simultaneous import upper_bound_anywhere

FITTED = [loo_beta, loo_beta_prime]
FAMILIES = [BETA, BETA_PRIME]


def gamma_scores(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(30.0, 1.0 / 6.0, n)


def test_beta_by_hand():
    """u = (1, 2, 3, 4) / 8: mean 5/16, variance 5/192, kappa = (5/16)(11/16) / (5/192) - 1 = 29/4."""
    found = fit(np.array([1.0, 2.0, 3.0, 4.0]), BETA)
    assert (found.scale, found.a, found.b) == pytest.approx((8.0, 145 / 64, 319 / 64))


def test_fitted_moments_are_the_sample_moments():
    scores = gamma_scores(40, 0)
    found = fit(scores, BETA)
    model = stats.beta(found.a, found.b, scale=found.scale)
    assert model.mean() == pytest.approx(scores.mean())
    assert model.var() == pytest.approx(scores.var(ddof=1))


@pytest.mark.parametrize("n", [8, 60, 2000])
def test_maximum_likelihood_equals_scipys(n):
    scores = gamma_scores(n, 4)
    beta, prime = (fit(scores, family, "maximum likelihood") for family in FAMILIES)
    for found, u in ((beta, scores / (2 * scores.max())), (prime, scores / (scores + np.median(scores)))):
        assert (found.a, found.b) == pytest.approx(stats.beta.fit(u, floc=0, fscale=1)[:2], rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_interpolated_distance_is_the_direct_one(family, estimator):
    """Scipy's own Anderson-Darling distance, beside the one read off 257 nodes."""
    scores = np.sort(gamma_scores(3000, 5))
    found = fit(scores, family, estimator)
    u = family.to_unit(scores, np.array(found.scale))
    z = stats.beta(found.a, found.b).cdf(u)
    i = np.arange(1, 3001)
    direct = -3000 - ((2 * i - 1) * (np.log(z) + np.log1p(-z[::-1]))).mean()
    read_off = _anderson_darling(u[None], np.array([found.a]), np.array([found.b]))[0]
    assert read_off == pytest.approx(direct, abs=2e-3)


@pytest.mark.parametrize("alpha", [0.2, 0.01, 0.001, 1e-6])
def test_thresholds_equal_scipys_quantiles(alpha):
    scores = gamma_scores(50, 1)
    beta, prime = fit(scores, BETA), fit(scores, BETA_PRIME)
    assert beta.threshold(alpha) == pytest.approx(stats.beta(beta.a, beta.b, scale=beta.scale).isf(alpha))
    assert prime.threshold(alpha) == pytest.approx(stats.betaprime(prime.a, prime.b, scale=prime.scale).isf(alpha))
    assert beta.threshold(alpha) < 2 * scores.max()


@pytest.mark.parametrize("rule", FITTED)
def test_threshold_and_test_follow_the_unit_of_the_scores(rule):
    scores = gamma_scores(60, 2)
    one, thousand = (rule(unit * scores, rng=np.random.default_rng(0)) for unit in (1.0, 1000.0))
    assert thousand.value == pytest.approx(1000 * one.value)
    assert thousand.params["p_value"] == one.params["p_value"]


@pytest.mark.parametrize("rule", FITTED)
def test_the_row_says_what_it_is(rule):
    scores = gamma_scores(60, 3)
    row = rule(scores, alpha=0.02, rng=np.random.default_rng(0))
    assert (row.rule, row.source, row.n_ok, row.n_ng) == (rule.__name__, "leave-one-out", 60, 0)
    assert row.expected_fpr == 0.02
    assert row.fpr_upper_95 == upper_bound_anywhere(int((scores >= row.value).sum()), 60)
    assert 0 < row.params["p_value"] <= 1
    assert row.value == rule(scores, alpha=0.02, rng=np.random.default_rng(9)).value


@pytest.mark.parametrize("rule", FITTED)
@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (gamma_scores(7, 0), "at least 8 OK scores, has 7"),
        (np.full(30, 2.5), "all OK scores are equal"),
        (2.5 + 1e-7 * gamma_scores(30, 0), "equal to within rounding"),
        (np.r_[0.0, gamma_scores(30, 0)], "positive scores"),
        (
            np.r_[np.full(25, 5.0) + np.linspace(0, 0.1, 25), np.full(25, 9.0) + np.linspace(0, 0.1, 25)],
            "p = ",
        ),
    ],
)
def test_refusals_name_the_reason(rule, scores, reason):
    row = rule(scores, rng=np.random.default_rng(0))
    assert row.value is None and row.expected_fpr is None and row.fpr_upper_95 is None
    assert reason in row.reason


def test_a_rejected_fit_names_the_way_out_and_keeps_its_p_value():
    two_modes = np.r_[np.linspace(5.0, 5.1, 25), np.linspace(9.0, 9.1, 25)]
    row = loo_beta_prime(two_modes, rng=np.random.default_rng(0))
    assert row.params["p_value"] < 0.05 and "rank rule: tolerance, conformal or the maximum" in row.reason


@pytest.mark.parametrize("rule", FITTED)
def test_few_scores_are_never_said_to_fit(rule):
    row = rule(gamma_scores(19, 0), rng=np.random.default_rng(0))
    assert row.params["p_value"] is None
    assert "19 scores: too few to test the fit" in row.notes
    assert rule(gamma_scores(20, 0), rng=np.random.default_rng(0)).params["p_value"] is not None


def test_extrapolation_is_named():
    notes = [loo_beta(gamma_scores(n, 0), alpha=0.01, rng=np.random.default_rng(0)).notes for n in (30, 120)]
    assert any("only the model speaks" in note for note in notes[0])
    assert not any("only the model speaks" in note for note in notes[1])


def test_a_spread_no_beta_distribution_has_is_refused():
    """u is nearly (0, 0, 0, 0, 2/3, 1, 1, 1): its variance 0.252 exceeds mean (1 - mean) = 0.248."""
    row = loo_beta_prime(np.r_[np.full(4, 1e-12), 1.0, np.full(3, 1e12)], rng=np.random.default_rng(0))
    assert row.value is None and "no such distribution" in row.reason and "too far apart" in row.reason


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scores_too_far_apart_for_a_likelihood_are_refused_and_not_fitted_anyhow(estimator):
    """s / (s + c) rounds to 1, ln(1 - 1) is minus infinity: Newton's steps ended 50 halvings from their start."""
    scores = np.geomspace(1e-18, 1e18, 20)
    found = fit(scores, BETA_PRIME, estimator)
    row = loo_beta_prime(scores, rng=np.random.default_rng(0), estimator=estimator)
    if estimator == "moments":
        assert found.a > 0.0 and found.b > 0.0
    else:
        assert found is None and row.value is None and "too far apart" in row.reason


@pytest.mark.parametrize("n", [60, 600])
def test_the_test_of_a_fit_has_a_number_also_where_scores_round_to_the_end(n):
    """Beyond 257 scores the distance is read off between logits, and that of 1 is infinite."""
    u = np.linspace(0.0, 1.0, n)[None]
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(_anderson_darling(u, np.array([0.2]), np.array([0.3]))).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-5])
def test_nearly_equal_scores_have_the_likelihood_of_a_normal_law(family, spread):
    """There the beta is normal, and the likeliest variance is the moment one times (n - 1) / n."""
    scores = 5.0 * (1.0 + spread * np.random.default_rng(0).uniform(size=60))
    by_moments, likeliest = fit(scores, family), fit(scores, family, "maximum likelihood")
    assert likeliest.a / by_moments.a == pytest.approx(60 / 59, rel=2 * spread**2 + 1e-2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_quantile_beyond_any_number_is_a_refusal(estimator):
    scores = np.exp(np.random.default_rng(0).normal(0.0, 4.0, 19))
    row = loo_beta_prime(scores, alpha=1e-15, rng=np.random.default_rng(0), estimator=estimator)
    assert row.value is None or np.isfinite(row.value)


@pytest.mark.promise
def test_goodness_of_fit_keeps_its_level_and_sees_two_modes():
    """Under its own model 4.5 % rejected: p < 0.05 is 9 of 200 multiples. Without refits: hardly any."""
    rng = np.random.default_rng(11)
    draws = 400
    rejected = seen = 0
    for _ in range(draws):
        scores = stats.betaprime.rvs(60, 60, scale=5.0, size=20, random_state=rng)
        rejected += fit_p_value(scores, fit(scores, BETA_PRIME), rng) < 0.05
    for _ in range(20):
        scores = np.r_[rng.gamma(30, 1 / 6, 20), 2.0 * rng.gamma(30, 1 / 6, 20)]
        seen += fit_p_value(scores, fit(scores, BETA_PRIME), rng) < 0.05
    assert abs(rejected / draws - 0.045) <= 3 * np.sqrt(0.045 * 0.955 / draws)
    assert seen >= 15


@pytest.mark.parametrize(("n", "alpha", "reported"), [(20, 0.01, 0.014), (50, 0.01, 0.009), (50, 0.001, 0.0008)])
def test_beta_prime_on_gamma_scores_gives_the_fpr_measured_before(n, alpha, reported):
    """Gamma(30, 1/6) scores, 600 draws: about the mean FPR of the methods notes."""
    rng = np.random.default_rng(7)
    thresholds = [fit(rng.gamma(30.0, 1.0 / 6.0, n), BETA_PRIME).threshold(alpha) for _ in range(600)]
    assert stats.gamma.sf(thresholds, 30, scale=1 / 6).mean() == pytest.approx(reported, rel=0.25)


def test_twice_the_maximum_is_a_support_the_next_part_fits_into():
    """Notes: n = 50, 0.1 % asked: 0.36 % with twice the maximum, against 1.8 % with a min-max scaling."""
    rng = np.random.default_rng(8)
    thresholds = [fit(rng.gamma(30.0, 1.0 / 6.0, 50), BETA).threshold(0.001) for _ in range(600)]
    assert stats.gamma.sf(thresholds, 30, scale=1 / 6).mean() == pytest.approx(0.0036, rel=0.25)
