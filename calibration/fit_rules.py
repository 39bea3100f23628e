"""Rules that fit a distribution to leave-one-out scores and refuse where it does not fit."""

import math

import numpy as np

from calibration.checks import checked_rate, checked_scores
from calibration.choices import choice_of, refusal_of
from calibration.fits import BETA, BETA_PRIME, Family, fit, fit_p_value
from calibration.rules import RULES, percent
from calibration.types import ThresholdChoice

_LEAST_TESTED = 20  # fewer scores reject almost no wrong model
_ROUNDING = 1e-6  # of the score: some steps of float32, in which scores are computed


def loo_beta(
    ok: np.ndarray, *, alpha: float = 0.01, rng: np.random.Generator, estimator: str = "moments"
) -> ThresholdChoice:
    """Beta fit to leave-one-out scores over U = twice their maximum.

    The threshold cannot exceed U. The support decides more than the estimator: scaled by the maximum itself
    the fit has no room for the next part and its FPR is several times what it says.

    Parameters
    ----------
    ok : ndarray of shape (n_ok,)
        Leave-one-out scores, positive.
    alpha : float
        FPR asked of the model, in (0, 1).
    rng : numpy.random.Generator
        Drives the goodness-of-fit test.
    estimator : {"moments", "maximum likelihood"}
        Two rules: ``loo_beta`` and ``loo_beta_ml``.

    Returns
    -------
    ThresholdChoice
        ``params``: alpha, estimator, a, b, scale (U), p_value (None below 20 scores). No value below 8 scores,
        where the scores are all equal or not positive, or where the fit is rejected (p < 0.05).

    Examples
    --------
    >>> choice = loo_beta(np.linspace(4.0, 6.0, 9), rng=np.random.default_rng(0))
    >>> round(choice.value, 2), choice.params["scale"], choice.notes[0]
    (6.62, 12.0, '9 scores: too few to test the fit')
    """
    return _fitted("loo_beta", ok, BETA, estimator, alpha, rng)


def loo_beta_prime(
    ok: np.ndarray, *, alpha: float = 0.01, rng: np.random.Generator, estimator: str = "moments"
) -> ThresholdChoice:
    """Beta-prime fit to leave-one-out scores; scale c = their median, no upper end.

    X ~ BetaPrime(a, b) iff X / (1 + X) ~ Beta(a, b): u = s / (s + c), a fit to u, t = c q / (1 - q) with q
    the 1 - alpha quantile of Beta(a, b). Parameters and refusals as in ``loo_beta``; its two rules are
    ``loo_beta_prime`` and ``loo_beta_prime_ml``.

    Notes
    -----
    After Enhanced-PatchCore (A. Arodi et al., "CableInspect-AD", 2024), which fits location and scale freely
    by maximum likelihood.

    Examples
    --------
    >>> choice = loo_beta_prime(np.linspace(4.0, 6.0, 9), rng=np.random.default_rng(0))
    >>> round(choice.value, 2), choice.params["scale"]
    (6.85, 5.0)
    """
    return _fitted("loo_beta_prime", ok, BETA_PRIME, estimator, alpha, rng)


def fit_key(family: str, estimator: str) -> str:
    """Key of the rule that fits ``family`` ("loo_beta" or "loo_beta_prime") by ``estimator``."""
    return f"{family}_ml" if estimator == "maximum likelihood" else family


def _fitted(
    key: str, ok: np.ndarray, family: Family, estimator: str, alpha: float, rng: np.random.Generator
) -> ThresholdChoice:
    key = fit_key(key, estimator)
    ok = checked_scores(ok, "leave-one-out OK scores").astype(np.float64)
    alpha = checked_rate(alpha, "alpha")
    source, params, n = "leave-one-out", {"alpha": alpha, "estimator": estimator}, ok.size
    least = RULES[key].least_n
    reason = ""
    if n < least:
        reason = f"a fit needs at least {least} OK scores, has {n}; use the maximum of the OK scores"
    elif ok.max() - ok.min() <= _ROUNDING * ok.max():
        reason = "all OK scores are equal to within rounding: there is no spread to fit"
    elif ok.min() <= 0.0:
        reason = f"needs positive scores, the lowest is {ok.min():g}; two of the images may be copies"
    if reason:
        return refusal_of(key, ok, source=source, params=params, reason=reason)

    found = fit(ok, family, estimator)
    value = found.threshold(alpha) if found else math.nan
    if not math.isfinite(value):
        reason = (
            "no such distribution fits these scores: they lie too far apart or too close together; "
            "use a rank rule: the maximum"
        )
        return refusal_of(key, ok, source=source, params=params, reason=reason)
    p_value = fit_p_value(ok, found, rng) if n >= _LEAST_TESTED else None
    params |= {"a": found.a, "b": found.b, "scale": found.scale, "p_value": p_value}
    if p_value is not None and p_value < 0.05:
        reason = (
            f"the scores do not follow this distribution (Anderson-Darling, refitted, p = {p_value:.3g}); "
            "use a rank rule: tolerance, conformal or the maximum"
        )
        return refusal_of(key, ok, source=source, params=params, reason=reason)

    notes = [f"{n} scores: too few to test the fit"] if p_value is None else []
    if alpha < 1.0 / (n + 1):
        notes.append(f"reaches beyond the {n} scores seen: only the model speaks there")
    return choice_of(
        key,
        ok,
        value,
        source=source,
        params=params,
        promise=f"if the model holds, {percent(alpha)} of good parts rejected",
        expected_fpr=alpha,
        notes=tuple(notes),
    )
