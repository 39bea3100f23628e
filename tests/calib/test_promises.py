"""The promises themselves: many seeded calibrations on scores whose true FPR is known."""

import itertools
from functools import partial

import numpy as np
import pytest
from scipy.stats import betaprime, gamma, lognorm, multinomial

from calibration import fit_rules
from calibration.bounds import upper_bound
from calibration.fit_rules import loo_beta, loo_beta_prime
from calibration.rank_rules import conformal, percentile, target_fpr, tolerance
from calibration.rules import RULES, is_ng
from calibration.spread_rules import mean_sigma, median_mad, pot
from calibration.synthetic_rules import cost, f1_max, target_recall, youden
from tests.calib.laws import LAWS

DRAWS = 20_000
CONFORMAL_DRAWS = 4_000
LAW_DRAWS = 2_000
FREE_TAIL_DRAWS = 300  # of the generalised Pareto tail with a free shape: its fit takes as long as all other rules
HELD_OUT = {"source": "held-out"}
ML = {"estimator": "maximum likelihood"}
FROM_OK = {
    "percentile": partial(percentile, **HELD_OUT),
    "loo_beta": loo_beta,
    "loo_beta_ml": partial(loo_beta, **ML),
    "loo_beta_prime": loo_beta_prime,
    "loo_beta_prime_ml": partial(loo_beta_prime, **ML),
    "mean_sigma": partial(mean_sigma, **HELD_OUT),
    "median_mad": partial(median_mad, **HELD_OUT),
    "pot": partial(pot, **HELD_OUT),
    "tolerance": partial(tolerance, **HELD_OUT),
    "conformal": partial(conformal, **HELD_OUT),
    "target_fpr": partial(target_fpr, **HELD_OUT),
}
FROM_SYNTHETIC = {
    "youden": partial(youden, **HELD_OUT),
    "target_recall": partial(target_recall, **HELD_OUT),
    "cost": partial(cost, **HELD_OUT),
    "f1_max": partial(f1_max, **HELD_OUT),
}


def true_fpr(rule, n: int, draws: int, seed: int) -> np.ndarray:
    """Exact FPR of each calibration: uniform scores, so the share at or above t is 1 - t."""
    scores = np.random.default_rng(seed).uniform(size=(draws, n))
    return np.array([1.0 - rule(ok).value for ok in scores])


def three_sigma(rate: float, draws: int) -> float:
    return 3.0 * np.sqrt(rate * (1.0 - rate) / draws)


@pytest.mark.promise
@pytest.mark.parametrize("n", [59, 100])
def test_tolerance_fails_in_at_most_5_percent_of_calibrations(n):
    fpr = true_fpr(lambda ok: tolerance(ok, source="held-out"), n, DRAWS, seed=1)
    assert np.mean(fpr > 0.05) <= 0.05 + three_sigma(0.05, DRAWS)


@pytest.mark.parametrize(("n", "max_fpr"), [(19, 0.05), (50, 0.10)])
def test_conformal_mean_fpr_is_its_rank_over_n_plus_one(n, max_fpr):
    def rule(ok):
        return conformal(ok, source="held-out", max_fpr=max_fpr)

    fpr = true_fpr(rule, n, CONFORMAL_DRAWS, seed=2)
    sigma = fpr.std() / np.sqrt(CONFORMAL_DRAWS)
    expected = rule(np.arange(float(n))).expected_fpr
    assert expected <= max_fpr
    assert abs(fpr.mean() - expected) <= 3 * sigma


@pytest.mark.parametrize("n", [20, 100])
def test_percentile_limit_fails_in_5_percent_and_its_mean_is_what_the_row_says(n):
    fpr = true_fpr(lambda ok: percentile(ok, source="held-out"), n, CONFORMAL_DRAWS, seed=3)
    row = percentile(np.arange(float(n)), source="held-out")
    assert abs(np.mean(fpr > row.fpr_upper_95) - 0.05) <= three_sigma(0.05, CONFORMAL_DRAWS)
    assert abs(fpr.mean() - row.expected_fpr) <= 3 * fpr.std() / np.sqrt(CONFORMAL_DRAWS)


def test_limit_holds_with_ties_that_break_the_limit_of_the_count():
    """Scores 0, 1 and 2 with tails 4.8 % and 3.05 %, 100 parts, rank 3; exact, summed over all outcomes.

    With ties the scores choose how many lie above the threshold, and the limit of that count fails too often.
    """
    n, tails = 100, {1: 0.048, 2: 0.0305, 3: 0.0}  # P(score >= key)
    missed = missed_by_count = 0.0
    for twos, ones in itertools.product(range(15), repeat=2):  # more of either never misses or hardly ever occurs
        ok = np.repeat([0.0, 1.0, 2.0], [n - twos - ones, ones, twos])
        weight = multinomial.pmf([twos, ones, n - twos - ones], n, [0.0305, 0.0175, 0.952])
        row = percentile(ok, source="held-out", q=97 / 99)
        assert row.params["rank"] == 3
        fpr = tails[int(np.floor(row.value)) + 1]
        missed += weight * (fpr > row.fpr_upper_95)
        missed_by_count += weight * (fpr > upper_bound(int(is_ng(ok, row.value).sum()), n))
    assert missed <= 0.05 < missed_by_count


def leave_one_out(points: np.ndarray) -> np.ndarray:
    """Score of each image against the others: largest over its patches of the nearest distance; exact bank.

    points : (images, patches, 2)
    """
    gaps = np.linalg.norm(points[:, :, None, None] - points[None, None], axis=-1)  # (i, p, j, q)
    n = len(points)
    gaps[np.arange(n), :, np.arange(n)] = np.inf  # own patches masked
    return gaps.min(axis=(2, 3)).max(axis=1)


def test_conformal_keeps_its_mean_on_leave_one_out_scores_of_an_exact_bank():
    """19 images, 10 % asked: the next image is flagged in at most 10 % of draws."""
    rng = np.random.default_rng(6)
    draws, n = 2000, 19
    flagged = 0
    for _ in range(draws):
        points = rng.normal(size=(n + 1, 4, 2))
        bank, new = points[:n], points[n]
        row = conformal(leave_one_out(bank), source="leave-one-out", max_fpr=0.10)
        score = np.linalg.norm(new[:, None, None] - bank[None], axis=-1).min(axis=(1, 2)).max()
        flagged += score >= row.value
    assert flagged / draws <= 0.10 + three_sigma(0.10, draws)


@pytest.mark.parametrize(("n", "reported"), [(10, 0.09), (20, 0.048), (50, 0.019), (100, 0.011)])
def test_999_percentile_of_few_scores_has_the_fpr_measured_before(n, reported):
    rng = np.random.default_rng(9)
    values = [percentile(rng.gamma(30, 1 / 6, n), source="held-out").value for _ in range(2000)]
    assert gamma.sf(values, 30, scale=1 / 6).mean() == pytest.approx(reported, rel=0.12)


# --- every rule, every law ------------------------------------------------------------------------------------


def every_rule(ok: np.ndarray, rng: np.random.Generator, *, skip: str = "") -> list:
    """One row per rule but ``skip``; the synthetic NG overlap the OK scores: rules have something to search."""
    synthetic = rng.choice(ok, 40) * rng.uniform(1.0, 1.5, 40)
    fits = [FROM_OK[key](ok, rng=rng) for key in FROM_OK if key.startswith("loo_")]
    others = [FROM_OK[key](ok) for key in FROM_OK if not key.startswith("loo_") and key != skip]
    return fits + others + [rule(ok, synthetic) for rule in FROM_SYNTHETIC.values()]


@pytest.mark.promise
@pytest.mark.parametrize("n", [10, 60, 300, 3000])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_rule_keeps_its_printed_limit_on_every_law(law, n, monkeypatch):
    """Printed with 95 %, so broken in at most 5 % of calibrations plus three standard errors.

    The fits' own refusal is switched off: the limit must hold for them too where the model is wrong.
    """
    monkeypatch.setattr(fit_rules, "fit_p_value", lambda *_: 1.0)
    rng = np.random.default_rng(n)
    values = {rule: np.full(LAW_DRAWS, np.inf) for rule in RULES}
    limits = {rule: np.ones(LAW_DRAWS) for rule in RULES}
    expected = {rule: np.zeros(LAW_DRAWS) for rule in RULES}
    for i in range(LAW_DRAWS):
        for row in every_rule(law.draw(rng, n), rng, skip="pot" if n == 3000 and i >= FREE_TAIL_DRAWS else ""):
            if row.value is not None:
                values[row.rule][i], limits[row.rule][i] = row.value, row.fpr_upper_95
                expected[row.rule][i] = row.expected_fpr or 0.0
    for rule in RULES:
        draws = FREE_TAIL_DRAWS if rule == "pot" and n == 3000 else LAW_DRAWS
        true = law.fpr(values[rule])
        broken = np.mean(true[:draws] > limits[rule][:draws] + 1e-12)
        assert broken <= 0.05 + three_sigma(0.05, draws), (rule, broken)
        if RULES[rule].kind == "mean":
            assert true.mean() <= expected[rule].mean() + 3 * true.std() / np.sqrt(LAW_DRAWS), rule
        if RULES[rule].kind == "bound":
            assert np.mean(true > 0.05) <= 0.05 + three_sigma(0.05, LAW_DRAWS), rule


@pytest.mark.promise
@pytest.mark.parametrize("n", [10, 30, 300])
def test_mean_sigma_keeps_its_bound_where_its_assumption_holds_and_not_where_it_does_not(n):
    rng = np.random.default_rng(n)
    law = lognorm(0.2, scale=20.0)

    def share_broken(draw, fpr):
        found = [mean_sigma(draw(), **HELD_OUT).value for _ in range(LAW_DRAWS)]
        return np.mean([value is not None and fpr(value) > 0.05 for value in found])

    assert share_broken(lambda: law.rvs(n, random_state=rng), law.sf) <= 0.05 + three_sigma(0.05, LAW_DRAWS)
    if n == 10:  # too few to test normality, so nothing stops it
        bimodal = next(law for law in LAWS if law.name == "bimodal")
        assert share_broken(lambda: bimodal.draw(rng, n), bimodal.fpr) > 0.15


@pytest.mark.promise
@pytest.mark.parametrize("estimator", ["moments", "maximum likelihood"])
def test_a_fit_has_its_fpr_where_the_model_holds_and_not_where_it_does_not(estimator, monkeypatch):
    """Beta-prime scores, n = 60, 1 % asked: about 1 %. Two modes, refusal switched off: 4 times as much and more."""
    monkeypatch.setattr(fit_rules, "fit_p_value", lambda *_: 1.0)
    rng = np.random.default_rng(5)

    def mean_fpr(draw, fpr):
        return np.mean([fpr(loo_beta_prime(draw(), rng=rng, estimator=estimator).value) for _ in range(LAW_DRAWS)])

    model = betaprime(60, 60, scale=5.0)
    assert mean_fpr(lambda: model.rvs(60, random_state=rng), model.sf) == pytest.approx(0.01, abs=0.003)
    heavy = next(law for law in LAWS if law.name == "heavy-tailed")
    assert mean_fpr(lambda: heavy.draw(rng, 60), heavy.fpr) > 0.015


@pytest.mark.parametrize("rule", [key for key in RULES if RULES[key].kind == "none"])
def test_a_rule_that_promises_nothing_keeps_no_fpr(rule):
    """Same good parts, other NG (or, for the MAD, another law): the true FPR goes from under 1 % to over 10 %."""
    rng = np.random.default_rng(3)
    good = next(law for law in LAWS if law.name == "gamma")
    ok = good.draw(rng, 400)
    if rule == "median_mad":
        bimodal = next(law for law in LAWS if law.name == "bimodal")
        rates = [law.fpr(median_mad(law.draw(rng, 400), **HELD_OUT).value) for law in (good, bimodal)]
    else:
        rates = [good.fpr(FROM_SYNTHETIC[rule](ok, ok[:60] + shift).value) for shift in (0.6, 20.0)]
    assert min(rates) < 0.01 and max(rates) > 0.09


@pytest.mark.promise
@pytest.mark.parametrize("k", [1, 2, 5, 10, 59])
def test_recall_limit_of_real_ng_fails_at_most_at_its_nominal_rate(k):
    """True recall 0.8: the lower limit of c of k lies above it in at most 5 % of draws."""
    from calibration.bounds import lower_bound

    caught = np.random.default_rng(k).binomial(k, 0.8, LAW_DRAWS)
    limit = np.array([lower_bound(c, k) for c in range(k + 1)])
    assert np.mean(limit[caught] > 0.8) <= 0.05 + three_sigma(0.05, LAW_DRAWS)
