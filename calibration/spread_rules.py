"""Rules from the centre and spread of log-scores, and one from the tail above a high quantile.

Nearest-neighbour distances are skewed to the right: "mean + k sigma" of the raw scores rejects many times more good
parts than it says, so both spread rules work on logarithms.
"""

import math

import numpy as np
from scipy.special import nctdtrit, ndtri

from calibration.checks import checked_positive, checked_rate, checked_scores
from calibration.choices import choice_of, refusal_of
from calibration.rules import RULES, percent
from calibration.types import ThresholdChoice

_LEAST_TESTED = 20  # fewer scores reject almost no wrong model
_MOST_TESTED = 5000  # beyond, the p-value of the test is not accurate
_ROUNDING = 1e-6  # of the score: some steps of float32, in which scores are computed
_EXCESS_SHARE = 0.10  # of the scores lie above the threshold from which the tail is fitted
_FREE_SHAPE_FROM = 50  # excesses; with fewer a free shape collapses to the maximum


def tolerance_factor(n: int, max_fpr: float, confidence: float) -> float:
    """k such that mean + k s of n normal values has an upper tail of at most ``max_fpr`` with ``confidence``.

    Notes
    -----
    k = t'(confidence; n - 1, z sqrt(n)) / sqrt(n), t' the quantile of the noncentral t distribution and z the normal
    quantile of 1 - max_fpr. Source: D. B. Owen, "Factors for one-sided tolerance limits", Sandia SCR-607 (1963).

    Examples
    --------
    >>> [round(tolerance_factor(n, 0.01, 0.95), 2) for n in (10, 20, 50, 100)]
    [3.98, 3.3, 2.86, 2.68]
    """
    return float(nctdtrit(n - 1, -ndtri(max_fpr) * math.sqrt(n), confidence) / math.sqrt(n))


def mean_sigma(ok: np.ndarray, *, source: str, max_fpr: float = 0.05, confidence: float = 0.95) -> ThresholdChoice:
    """Mean + k sigma of the log-scores, k the normal tolerance factor instead of a bare 3.

    Parameters
    ----------
    ok : ndarray of shape (n_ok,)
        OK scores, positive.
    source : {"held-out", "leave-one-out"}
    max_fpr, confidence : float
        In (0, 1).

    Returns
    -------
    ThresholdChoice
        ``params``: max_fpr, confidence, k, p_value (Shapiro-Wilk, None below 20 scores). No value below 8 scores,
        where the scores are equal or not positive, or where log-scores are not normal (p < 0.05).

    Examples
    --------
    >>> choice = mean_sigma(np.geomspace(4.0, 6.0, 9), source="held-out")
    >>> round(choice.value, 2), round(choice.params["k"], 2)
    (7.46, 3.03)
    """
    ok = checked_scores(ok, "OK scores")
    max_fpr, confidence = checked_rate(max_fpr, "max_fpr"), checked_rate(confidence, "confidence")
    params = {"max_fpr": max_fpr, "confidence": confidence}
    if reason := _no_logs("mean_sigma", ok):
        return refusal_of("mean_sigma", ok, source=source, params=params, reason=reason)
    logs = np.log(ok.astype(np.float64))
    p_value = _normality(logs) if ok.size >= _LEAST_TESTED else None
    k = tolerance_factor(ok.size, max_fpr, confidence)
    params |= {"k": k, "p_value": p_value}
    if p_value is not None and p_value < 0.05:
        reason = f"log-scores are not normal (Shapiro-Wilk, p = {p_value:.3g}); use a rank rule: tolerance or conformal"
        return refusal_of("mean_sigma", ok, source=source, params=params, reason=reason)
    return choice_of(
        "mean_sigma",
        ok,
        _from_log(logs.mean() + k * logs.std(ddof=1)),
        source=source,
        params=params,
        promise=f"if log-scores are normal: FPR at most {percent(max_fpr)} with {percent(confidence)} confidence",
        expected_fpr=None,
        notes=() if p_value is not None else (f"{ok.size} scores: too few to test whether log-scores are normal",),
    )


def median_mad(ok: np.ndarray, *, source: str, k: float = 3.0) -> ThresholdChoice:
    """Median + k MAD of the log-scores, MAD scaled to sigma: a contaminated OK folder hardly moves it.

    It ignores the tail, so it promises no rate. Parameters and refusals as in ``mean_sigma``; also none where more
    than half of the scores are equal.

    Examples
    --------
    >>> clean, with_ng = np.geomspace(4.0, 6.0, 9), np.append(np.geomspace(4.0, 6.0, 9), 40.0)
    >>> [round(median_mad(ok, source="held-out").value, 2) for ok in (clean, with_ng)]
    [7.69, 8.83]
    """
    ok = checked_scores(ok, "OK scores")
    params = {"k": checked_positive(k, "k")}
    if reason := _no_logs("median_mad", ok):
        return refusal_of("median_mad", ok, source=source, params=params, reason=reason)
    logs = np.log(ok.astype(np.float64))
    mad = float(np.median(np.abs(logs - np.median(logs)))) / float(ndtri(0.75))
    if mad == 0.0:
        reason = "more than half of the OK scores are equal: their median deviation is 0"
        return refusal_of("median_mad", ok, source=source, params=params, reason=reason)
    return choice_of(
        "median_mad",
        ok,
        _from_log(np.median(logs) + k * mad),
        source=source,
        params=params,
        promise="no rate; a few defective parts among the good ones would hardly move it",
        expected_fpr=None,
    )


def pot(ok: np.ndarray, *, source: str, alpha: float = 0.01) -> ThresholdChoice:
    """Peaks over threshold: a generalised Pareto tail fitted to the highest tenth of the OK scores.

    Parameters
    ----------
    ok : ndarray of shape (n_ok,)
    source : {"held-out", "leave-one-out"}
    alpha : float
        FPR asked of the model, in (0, 1): below the tenth that is fitted, and not below 1 / (10 n).

    Returns
    -------
    ThresholdChoice
        ``params``: alpha, u0 (start of the tail), n_excess, xi, sigma. No value below 50 scores, where alpha is out
        of reach, where no score lies above u0, or where the likelihood has no maximum (it grows without end as xi
        falls below -1: scores that pile up at their highest one).

    Notes
    -----
    t = u0 + (sigma / xi) ((N_u / (n alpha))^xi - 1), for xi = 0: u0 + sigma ln(N_u / (n alpha)). The shape xi is free
    (maximum likelihood) from 50 excesses on, before that xi = 0 and sigma is their mean.
    Source: J. Pickands, Ann. Statist. 3 (1975), 119-131; S. Coles, An Introduction to Statistical Modeling of Extreme
    Values (2001), chapter 4.

    Examples
    --------
    >>> choice = pot(np.arange(100.0), source="held-out", alpha=0.01)
    >>> choice.params["n_excess"], choice.params["xi"], round(choice.value, 1)
    (9, 0.0, 101.0)
    """
    ok = checked_scores(ok, "OK scores")
    alpha = checked_rate(alpha, "alpha")
    n, params = ok.size, {"alpha": alpha}
    scores = np.sort(ok.astype(np.float64))
    u0 = float(np.quantile(scores, 1.0 - _EXCESS_SHARE, method="higher"))
    excess = scores[scores > u0] - u0
    reason = ""
    if n < RULES["pot"].least_n:
        reason = f"a tail fit needs at least {RULES['pot'].least_n} OK scores, has {n}"
    elif not excess.size:
        reason = "no score lies above the highest tenth: too many scores are equal"
    elif alpha >= excess.size / n:
        reason = f"an FPR of {percent(alpha)} lies inside the scores, not in their tail; use a rank rule"
    elif alpha < 1.0 / (10.0 * n):
        reason = f"an FPR of {percent(alpha)} is more than ten times beyond what {n} scores have seen"
    if reason:
        return refusal_of("pot", ok, source=source, params=params, reason=reason)
    xi, sigma = _tail(excess)
    params |= {"u0": u0, "n_excess": int(excess.size), "xi": xi, "sigma": sigma}
    if xi <= -1.0:
        reason = (
            "no tail is likeliest: the highest scores pile up at their end instead of thinning out, as tied scores do; "
            "use a rank rule"
        )
        return refusal_of("pot", ok, source=source, params=params, reason=reason)
    ratio = math.log(excess.size / (n * alpha))
    value = u0 + sigma * (math.expm1(xi * ratio) / xi if xi else ratio)
    notes = () if xi >= 0.0 else (f"the fitted tail ends at {u0 - sigma / xi:.4g}: no score beyond it is foreseen",)
    return choice_of(
        "pot",
        ok,
        value,
        source=source,
        params=params,
        promise=f"if the tail is generalised Pareto, {percent(alpha)} of good parts rejected",
        expected_fpr=alpha,
        notes=notes,
    )


def _tail(excess: np.ndarray) -> tuple[float, float]:
    """(xi, sigma) of excesses over u0."""
    if excess.size < _FREE_SHAPE_FROM:
        return 0.0, float(excess.mean())
    from scipy.stats import genpareto  # slow to import, and seldom needed

    unit = float(excess.mean())  # the search for the maximum takes steps that suit numbers near 1
    xi, _, sigma = genpareto.fit(excess / unit, floc=0)
    return float(xi), float(sigma) * unit


def _normality(logs: np.ndarray) -> float:
    from scipy.stats import shapiro  # slow to import

    if logs.size > _MOST_TESTED:  # the same part of them in whatever order they come
        logs = np.random.default_rng(0).choice(np.sort(logs), _MOST_TESTED, replace=False)
    return float(shapiro(logs).pvalue)


def _from_log(log: float) -> float:
    """Back to the scale of the scores; inf beyond any number."""
    with np.errstate(over="ignore"):
        return float(np.exp(log))


def _no_logs(key: str, ok: np.ndarray) -> str:
    """Why no spread of log-scores can be had, or nothing."""
    least = RULES[key].least_n
    if ok.size < least:
        return f"needs at least {least} OK scores, has {ok.size}; use the maximum of the OK scores"
    if ok.min() <= 0.0:
        return f"needs positive scores, the lowest is {ok.min():g}; two of the images may be copies"
    if ok.max() - ok.min() <= _ROUNDING * ok.max():
        return "all OK scores are equal to within rounding: there is no spread"
    return ""
