"""Who is NG, and the ways to choose the threshold that says so.

``RULES`` names every rule once, for the app, the README and the JSON. "Just above s" is the next number in
the dtype of the scores, so that the part that scored s itself passes.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from calibration.bounds import needed_ok, smallest_fpr, upper_bound
from calibration.checks import checked_choice, checked_rate, checked_scores
from calibration.curves import auroc, roc_curve
from calibration.errors import CalibrationError
from calibration.fits import BETA, BETA_PRIME, Family, fit, fit_p_value
from calibration.types import OK_SOURCES, RocCurve, ThresholdChoice

ALL_EQUAL = "all OK scores are equal: they say nothing about how good parts vary"
_LEAVE_ONE_OUT = "leave-one-out scores depend on each other through the memory bank: the 95 % FPR limit is approximate"
_LEAST_TESTED = 20  # fewer scores reject almost no wrong model
_ROUNDING = 1e-6  # of the score: some steps of float32, in which scores are computed


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule is, in the words of the screen.

    least_n : OK scores below which the rule gives no threshold, at its default settings
    origin  : whose scores move the threshold: "ok" or "synthetic"
    """

    key: str
    title: str
    assumes: str
    least_n: int
    promises: str
    origin: str


RULES: dict[str, Rule] = {
    rule.key: rule
    for rule in (
        Rule(
            key="percentile",
            title="Percentile of OK scores",
            assumes="new good parts come from the process that gave the OK scores",
            least_n=2,
            promises="a mean FPR; below 999 OK scores the 99.9th percentile is just their maximum",
            origin="ok",
        ),
        Rule(
            key="loo_beta",
            title="Beta fit to leave-one-out scores",
            assumes="OK scores follow a beta distribution between 0 and twice their maximum",
            least_n=8,
            promises="the FPR its model says, no more than the model",
            origin="ok",
        ),
        Rule(
            key="loo_beta_prime",
            title="Beta-prime fit to leave-one-out scores",
            assumes="OK scores follow a beta-prime distribution, which has no upper end",
            least_n=8,
            promises="the FPR its model says, no more than the model",
            origin="ok",
        ),
        Rule(
            key="tolerance",
            title="Tolerance bound",
            assumes="held-out OK scores and new good parts come from one process; no shape assumed",
            least_n=59,
            promises="FPR at most the stated rate, at the stated confidence",
            origin="ok",
        ),
        Rule(
            key="conformal",
            title="Conformal bound",
            assumes="OK scores and the next good part are exchangeable; no shape assumed",
            least_n=19,
            promises="FPR at most the stated rate on average over calibrations",
            origin="ok",
        ),
        Rule(
            key="youden",
            title="Youden (synthetic NG)",
            assumes="synthetic NG score like real ones; escape cost x NG share = overkill cost x OK share",
            least_n=2,
            promises="the largest recall - FPR on the scores seen; nothing about real NG",
            origin="synthetic",
        ),
        Rule(
            key="target_recall",
            title="Target recall (synthetic NG)",
            assumes="synthetic NG score like real ones",
            least_n=2,
            promises="the stated recall of the synthetic NG seen; nothing about real NG",
            origin="synthetic",
        ),
    )
}


def is_ng(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Which parts are NG: score >= threshold. The one place that decides.

    Compared in float64, which holds every float32 score exactly, so no rounding moves a part across.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Image scores, higher = more anomalous.
    threshold : float
        In the unit of the scores; inf flags nothing.

    Returns
    -------
    ndarray of shape (n,) bool

    Raises
    ------
    CalibrationError
        If the scores are not 1-D, are empty or not finite, or the threshold is not a number.

    Examples
    --------
    >>> is_ng(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False,  True,  True])
    """
    scores = checked_scores(scores, "scores")
    try:
        threshold = float(threshold)
    except (TypeError, ValueError):
        raise CalibrationError(f"threshold: expected a number, got {threshold!r}") from None
    if math.isnan(threshold):
        raise CalibrationError("threshold: expected a number, got NaN")
    return scores.astype(np.float64) >= threshold


def title_of(choice: ThresholdChoice) -> str:
    """What a row is called: its rule's title, but a percentile that n makes the maximum is called that.

    Examples
    --------
    >>> title_of(percentile(np.arange(50.0), source="held-out"))
    'Maximum of 50 OK scores'
    >>> title_of(percentile(np.arange(50.0), source="held-out", q=0.5))
    'Percentile of OK scores'
    """
    if choice.rule == "percentile" and choice.params.get("rank") == 1:
        return f"Maximum of {choice.n_ok} OK scores"
    return RULES[choice.rule].title


def percentile(ok: np.ndarray, *, source: str, q: float = 0.999) -> ThresholdChoice:
    """Just above the q-th quantile of the OK scores, taken at a score and never between two.

    Parameters
    ----------
    ok : ndarray of shape (n_ok,)
        OK scores of images outside the memory bank, or leave-one-out scores.
    source : {"held-out", "leave-one-out"}
    q : float
        In (0, 1]; 1 is the maximum.

    Returns
    -------
    ThresholdChoice
        ``params["rank"]`` is r: the threshold is just above the r-th largest score. No value below 2 scores.

    Notes
    -----
    The mean FPR is r / (n + 1), ties only lower it. While 1 / (n + 1) > 1 - q the quantile cannot mean q and
    is called by its rank: a 99.9th percentile needs 999 scores to mean 99.9 %, until then it is the maximum.

    Examples
    --------
    >>> choice = percentile(np.arange(100.0), source="held-out")
    >>> choice.promise
    'above the maximum of 100 OK scores: on average at most 0.99 % of good parts rejected'
    """
    ok = checked_scores(ok, "OK scores")
    q = 1.0 if q == 1 else checked_rate(q, "q")
    n = ok.size
    if n < RULES["percentile"].least_n:
        return _refusal("percentile", ok, source=source, params={"q": q}, reason="needs at least 2 OK scores, has 1")
    rank = n - math.ceil((n - 1) * q)  # as np.quantile(ok, q, method="higher")
    what = f"maximum of {n} OK scores" if rank == 1 else f"{_ordinal(rank)} largest of {n} OK scores"
    notes = ()
    if q < 1.0 and 1.0 / (n + 1) > 1.0 - q:
        wanted = math.ceil(1.0 / (1.0 - q) - 1.0 - 1e-9)
        notes = (f"a percentile of {percent(q)} means that from {wanted} OK scores on, here it is the {what}",)
    return _ranked(
        "percentile",
        ok,
        rank,
        source=source,
        params={"q": q, "rank": rank},
        promise=f"above the {what}: on average at most {percent(rank / (n + 1))} of good parts rejected",
        notes=notes,
    )


def loo_beta(ok: np.ndarray, *, alpha: float = 0.01, rng: np.random.Generator) -> ThresholdChoice:
    """Beta fit by moments to leave-one-out scores over U = twice their maximum.

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

    Returns
    -------
    ThresholdChoice
        ``params``: alpha, a, b, scale (U), p_value (None below 20 scores). No value below 8 scores, where the
        scores are all equal or not positive, or where the fit is rejected (p < 0.05).

    Examples
    --------
    >>> choice = loo_beta(np.linspace(4.0, 6.0, 9), rng=np.random.default_rng(0))
    >>> round(choice.value, 2), choice.params["scale"], choice.notes[0]
    (6.62, 12.0, '9 scores: too few to test the fit')
    """
    return _fitted("loo_beta", ok, BETA, alpha, rng)


def loo_beta_prime(ok: np.ndarray, *, alpha: float = 0.01, rng: np.random.Generator) -> ThresholdChoice:
    """Beta-prime fit by moments to leave-one-out scores; scale c = their median, no upper end.

    X ~ BetaPrime(a, b) iff X / (1 + X) ~ Beta(a, b): u = s / (s + c), moments of u, t = c q / (1 - q) with q
    the 1 - alpha quantile of Beta(a, b). Parameters and refusals as in ``loo_beta``.

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
    return _fitted("loo_beta_prime", ok, BETA_PRIME, alpha, rng)


def tolerance_threshold(ok_scores: np.ndarray, *, max_fpr: float, confidence: float = 0.95) -> float | None:
    """Lowest threshold whose true FPR stays within ``max_fpr``, at the given confidence.

    Parameters
    ----------
    ok_scores : ndarray of shape (n_ok,)
        Image scores (feature distance, higher = more anomalous) of OK parts outside the bank set.
    max_fpr, confidence : float
        In (0, 1). ``confidence`` is over the draw of the calibration parts.

    Returns
    -------
    float or None
        In the unit of ``ok_scores``, to be used with ``>=``. None if ``n_ok`` is too small to
        promise this FPR with any threshold.

    Raises
    ------
    CalibrationError
        If ``ok_scores`` is not 1-D, is empty or holds a NaN, or a rate is outside (0, 1).

    Notes
    -----
    Just above the r-th largest of n OK scores the true FPR follows Beta(r, n - r + 1); the
    largest admissible r is taken. Source: S. S. Wilks, Ann. Math. Statist. 12 (1941), 91-96.

    Examples
    --------
    >>> tolerance_threshold(np.arange(299.0), max_fpr=0.01)         # just above the highest OK score
    298.00000000000006
    >>> tolerance_threshold(np.arange(298.0), max_fpr=0.01) is None              # one part too few
    True
    """
    ok_scores = checked_scores(ok_scores, "OK scores")
    rank = _tolerance_rank(ok_scores.size, max_fpr, confidence)
    return _just_above(ok_scores, rank) if rank else None


def tolerance(ok: np.ndarray, *, source: str, max_fpr: float = 0.05, confidence: float = 0.95) -> ThresholdChoice:
    """``tolerance_threshold`` as a choice: FPR at most ``max_fpr`` with ``confidence``.

    On leave-one-out scores the confidence is approximate, and the promise says so.

    Examples
    --------
    >>> tolerance(np.arange(30.0), source="held-out").reason
    'FPR at most 5 % with 95 % confidence needs at least 59 OK scores, has 30; 30 promise 9.5 %'
    """
    ok = checked_scores(ok, "OK scores")
    rank = _tolerance_rank(ok.size, max_fpr, confidence)
    params = {"max_fpr": max_fpr, "confidence": confidence, "rank": rank}
    promise = f"FPR at most {percent(max_fpr)} with {percent(confidence)} confidence"
    if not rank:
        reason = (
            f"{promise} needs at least {needed_ok(max_fpr, confidence)} OK scores, has {ok.size}; "
            f"{ok.size} promise {percent(smallest_fpr(ok.size, confidence))}"
        )
        return _refusal("tolerance", ok, source=source, params=params, reason=reason)
    if source == "leave-one-out":
        promise += ", approximate: the confidence is proven for held-out scores only"
    return _ranked("tolerance", ok, rank, source=source, params=params, promise=promise)


def conformal(ok: np.ndarray, *, source: str, max_fpr: float = 0.05) -> ThresholdChoice:
    """Just above the r-th largest OK score, r = floor((n + 1) max_fpr): FPR at most ``max_fpr`` on average.

    Notes
    -----
    The mean is over calibrations: the FPR of this one may be higher, see ``fpr_upper_95``. It holds for
    held-out scores, and for leave-one-out scores of an exact bank without neighbour weighting: the next part
    meets one image more in the bank than these did, which only lowers its score. With a coreset: approximate.
    Source: V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005), chapter 2.

    Examples
    --------
    >>> conformal(np.arange(19.0), source="held-out").promise
    'on average at most 5 % of good parts rejected'
    >>> conformal(np.arange(18.0), source="held-out").reason
    'on average at most 5 % of good parts rejected needs at least 19 OK scores, has 18; 18 promise 5.26 %'
    """
    ok = checked_scores(ok, "OK scores")
    max_fpr = checked_rate(max_fpr, "max_fpr")
    n = ok.size
    rank = _largest_count(n + 1, max_fpr)
    params = {"max_fpr": max_fpr, "rank": rank}
    promise = f"on average at most {percent(max_fpr)} of good parts rejected"
    if not rank:
        reason = (
            f"{promise} needs at least {math.ceil(1.0 / max_fpr - 1e-9) - 1} OK scores, has {n}; "
            f"{n} promise {percent(1.0 / (n + 1))}"
        )
        return _refusal("conformal", ok, source=source, params=params, reason=reason)
    if source == "leave-one-out":
        promise += " (approximate if the memory bank is a coreset)"
    return _ranked("conformal", ok, rank, source=source, params=params, promise=promise)


def youden(ok: np.ndarray, synthetic: np.ndarray, *, source: str) -> ThresholdChoice:
    """Middle of the score gap with the largest recall - FPR, recall being that of synthetic NG.

    Among equal maxima the highest threshold is taken: same index, fewer good parts rejected.

    Parameters
    ----------
    ok, synthetic : ndarray of shape (n_ok,), (n_ng,)
    source : {"held-out", "leave-one-out"}
        Where the OK scores came from.

    Returns
    -------
    ThresholdChoice
        With ``gap``. No value below 2 OK scores, or where synthetic NG score lower than OK (AUROC < 0.5).

    Notes
    -----
    The least expected cost where escape cost x NG share equals overkill cost x OK share: at 1 % NG, one
    escape is taken to cost as much as 99 rejected good parts. Source: W. J. Youden, Cancer 3 (1950), 32-35.

    Examples
    --------
    >>> choice = youden(np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0]), source="held-out")
    >>> choice.value, choice.gap
    (4.0, (3.0, 5.0))
    """
    ok, synthetic = checked_scores(ok, "OK scores"), checked_scores(synthetic, "synthetic NG scores")
    if reason := _no_use_of_synthetic(ok, synthetic):
        return _refusal("youden", ok, source=source, params={}, reason=reason, n_ng=synthetic.size)
    curve = roc_curve(ok, synthetic)
    caught, flagged = _counts(curve, ok.size, synthetic.size)
    index = caught * ok.size - flagged * synthetic.size  # n_ok n_ng (recall - FPR), in whole numbers: ties are ties
    best = int(np.argmax(index))  # thresholds fall, so the first maximum is the highest threshold
    if index[best] <= 0:
        reason = "no threshold catches a larger share of synthetic NG than of OK"
        return _refusal("youden", ok, source=source, params={}, reason=reason, n_ng=synthetic.size)
    return _in_gap(
        "youden",
        ok,
        curve,
        best,
        n_ng=synthetic.size,
        source=source,
        params={"youden_index": float(curve.recall[best] - curve.fpr[best])},
        promise=(
            f"on these scores {caught[best]} of {synthetic.size} synthetic NG caught and "
            f"{flagged[best]} of {ok.size} OK rejected; nothing about real NG"
        ),
        notes=("the threshold was picked on these very OK scores: its FPR limit is optimistic",),
    )


def target_recall(ok: np.ndarray, synthetic: np.ndarray, *, source: str, recall: float = 0.9) -> ThresholdChoice:
    """Middle of the highest score gap that still catches ``recall`` of the synthetic NG.

    The gap ends at the ceil(recall * n_ng)-th largest synthetic score. OK scores give the FPR and never the
    upper end of the gap. Parameters and refusals as in ``youden``.

    Examples
    --------
    >>> choice = target_recall(np.array([1.0, 2.0, 3.0]), np.arange(10.0, 20.0), source="held-out")
    >>> choice.value, choice.gap
    (10.5, (10.0, 11.0))
    """
    ok, synthetic = checked_scores(ok, "OK scores"), checked_scores(synthetic, "synthetic NG scores")
    recall = checked_rate(recall, "recall")
    n_ng = synthetic.size
    params = {"recall": recall}
    if reason := _no_use_of_synthetic(ok, synthetic):
        return _refusal("target_recall", ok, source=source, params=params, reason=reason, n_ng=n_ng)
    needed = n_ng - _largest_count(n_ng, 1.0 - recall)
    curve = roc_curve(ok, synthetic)
    caught, _ = _counts(curve, ok.size, n_ng)
    notes = ()
    if needed == n_ng:
        notes = (f"a recall of {percent(recall)} of {n_ng} synthetic NG is all of them: the lowest one decides",)
    return _in_gap(
        "target_recall",
        ok,
        curve,
        int(np.argmax(caught >= needed)),
        n_ng=n_ng,
        source=source,
        params=params,
        promise=f"at least {needed} of the {n_ng} synthetic NG seen are caught; nothing about real NG",
        notes=notes,
    )


def _fitted(key: str, ok: np.ndarray, family: Family, alpha: float, rng: np.random.Generator) -> ThresholdChoice:
    ok = checked_scores(ok, "leave-one-out OK scores").astype(np.float64)
    alpha = checked_rate(alpha, "alpha")
    source, params, n = "leave-one-out", {"alpha": alpha}, ok.size
    least = RULES[key].least_n
    reason = ""
    if n < least:
        reason = f"a fit needs at least {least} OK scores, has {n}; use the maximum of the OK scores"
    elif ok.max() - ok.min() <= _ROUNDING * ok.max():
        reason = "all OK scores are equal to within rounding: there is no spread to fit"
    elif ok.min() <= 0.0:
        reason = f"needs positive scores, the lowest is {ok.min():g}; two of the images may be copies"
    if reason:
        return _refusal(key, ok, source=source, params=params, reason=reason)

    found = fit(ok, family)
    value = found.threshold(alpha) if found else math.nan
    if not math.isfinite(value):
        reason = "no such distribution has the mean and spread of these scores; use a rank rule: the maximum"
        return _refusal(key, ok, source=source, params=params, reason=reason)
    p_value = fit_p_value(ok, found, rng) if n >= _LEAST_TESTED else None
    params |= {"a": found.a, "b": found.b, "scale": found.scale, "p_value": p_value}
    if p_value is not None and p_value < 0.05:
        reason = (
            f"the scores do not follow this distribution (Anderson-Darling, refitted, p = {p_value:.3g}); "
            "use a rank rule: tolerance, conformal or the maximum"
        )
        return _refusal(key, ok, source=source, params=params, reason=reason)

    notes = [f"{n} scores: too few to test the fit"] if p_value is None else []
    if alpha < 1.0 / (n + 1):
        notes.append(f"reaches beyond the {n} scores seen: only the model speaks there")
    return _choice(
        key,
        ok,
        value,
        n_at_or_above=int(np.count_nonzero(is_ng(ok, value))),
        source=source,
        params=params,
        promise=f"if the model holds, {percent(alpha)} of good parts rejected",
        expected_fpr=alpha,
        notes=tuple(notes),
    )


def _ranked(
    key: str,
    ok: np.ndarray,
    rank: int,
    *,
    source: str,
    params: dict,
    promise: str,
    notes: tuple[str, ...] = (),
) -> ThresholdChoice:
    """Just above the rank-th largest score: rank - 1 scores at or above it, fewer where scores tie.

    Expectation and limit use the rank, which was fixed before the scores were seen, and not the count: with
    ties the scores choose the count, and its limit would fail too often.
    """
    value = _just_above(ok, rank)
    if np.count_nonzero(is_ng(ok, value)) < rank - 1:
        notes += (f"tied scores: FPR as for {rank - 1} of {ok.size} rejected, which ties only lower",)
    return _choice(
        key,
        ok,
        value,
        n_at_or_above=rank - 1,
        source=source,
        params=params,
        promise=promise,
        expected_fpr=rank / (ok.size + 1),
        notes=notes,
    )


def _in_gap(
    key: str,
    ok: np.ndarray,
    curve: RocCurve,
    at: int,
    *,
    n_ng: int,
    source: str,
    params: dict,
    promise: str,
    notes: tuple[str, ...],
) -> ThresholdChoice:
    """Middle of (next lower score, score at ``at``]: all thresholds there decide the scores seen alike."""
    high = float(curve.thresholds[at])
    low = float(curve.thresholds[at + 1]) if at + 1 < curve.thresholds.size else high
    value = low / 2.0 + high / 2.0
    if not low < value <= high:  # neighbouring numbers have no middle
        value = high
    flagged = int(np.count_nonzero(is_ng(ok, value)))
    return _choice(
        key,
        ok,
        value,
        n_at_or_above=flagged,
        source=source,
        params=params,
        promise=promise,
        expected_fpr=(flagged + 1) / (ok.size + 1),
        n_ng=n_ng,
        notes=notes,
        gap=(low, high),
    )


def _choice(
    key: str,
    ok: np.ndarray,
    value: float,
    *,
    n_at_or_above: int,
    source: str,
    params: dict,
    promise: str,
    expected_fpr: float,
    n_ng: int = 0,
    notes: tuple[str, ...] = (),
    gap: tuple[float, float] | None = None,
) -> ThresholdChoice:
    return ThresholdChoice(
        rule=key,
        value=value,
        params=params,
        source=source,
        promise=promise,
        n_ok=int(ok.size),
        n_ng=int(n_ng),
        expected_fpr=expected_fpr,
        fpr_upper_95=upper_bound(n_at_or_above, ok.size),
        notes=notes + _notes_on(ok, source),
        gap=gap,
    )


def _refusal(key: str, ok: np.ndarray, *, source: str, params: dict, reason: str, n_ng: int = 0) -> ThresholdChoice:
    return ThresholdChoice(
        rule=key,
        value=None,
        params=params,
        source=source,
        promise="",
        n_ok=int(ok.size),
        n_ng=int(n_ng),
        expected_fpr=None,
        fpr_upper_95=None,
        reason=reason,
        notes=_notes_on(ok, source),
    )


def _notes_on(ok: np.ndarray, source: str) -> tuple[str, ...]:
    checked_choice(source, "source of the OK scores", OK_SOURCES)
    notes = (_LEAVE_ONE_OUT,) if source == "leave-one-out" else ()
    return notes + ((ALL_EQUAL,) if ok.size > 1 and _all_equal(ok) else ())


def _all_equal(ok: np.ndarray) -> bool:
    return bool(ok.min() == ok.max())


def _just_above(ok: np.ndarray, rank: int) -> float:
    """Next number after the rank-th largest score, in the dtype of the scores."""
    score = np.sort(ok)[ok.size - rank]
    return float(np.nextafter(score, np.array(np.inf, dtype=ok.dtype)))


def _tolerance_rank(n: int, max_fpr: float, confidence: float) -> int:
    """Largest r with P(Beta(r, n - r + 1) <= max_fpr) >= confidence; 0 if there is none."""
    max_fpr, confidence = checked_rate(max_fpr, "max_fpr"), checked_rate(confidence, "confidence")
    ranks = np.arange(1, n + 1)
    return int(np.count_nonzero(betainc(ranks, n - ranks + 1, max_fpr) >= confidence))  # falls with r


def _largest_count(n: int, rate: float) -> int:
    """Largest whole c with c <= n * rate, forgiving the rounding of ``rate`` (100 * 0.29 = 28.999...)."""
    return math.floor(n * rate + 1e-9)


def _counts(curve: RocCurve, n_ok: int, n_ng: int) -> tuple[np.ndarray, np.ndarray]:
    """NG caught and OK flagged at each threshold, as whole numbers."""
    return np.rint(curve.recall * n_ng).astype(np.int64), np.rint(curve.fpr * n_ok).astype(np.int64)


def _no_use_of_synthetic(ok: np.ndarray, synthetic: np.ndarray) -> str:
    if ok.size < 2:
        return f"needs at least 2 OK scores, has {ok.size}"
    area = auroc(ok, synthetic).auroc
    if area < 0.5:
        return f"synthetic NG score lower than OK (AUROC {area:.2f}): check that OK and NG are not swapped"
    return ""


def percent(rate: float) -> str:
    """A rate as the screen says it: 0.0362 -> "3.62 %"."""
    return f"{100.0 * rate:.3g} %"


def _ordinal(rank: int) -> str:
    suffix = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{suffix}"
