"""Rules that set the threshold at a rank of the OK scores: no shape assumed, their limits exact.

"Just above s" is the next number in the dtype of the scores, so that the part that scored s itself passes.
"""

import math

import numpy as np
from scipy.special import betainc

from calibration.bounds import needed_ok, smallest_fpr
from calibration.checks import checked_rate, checked_scores
from calibration.choices import just_above, largest_count, ordinal, ranked, refusal_of
from calibration.rules import RULES, percent
from calibration.types import ThresholdChoice


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
        return refusal_of("percentile", ok, source=source, params={"q": q}, reason="needs at least 2 OK scores, has 1")
    rank = n - math.ceil((n - 1) * q)  # as np.quantile(ok, q, method="higher")
    what = f"maximum of {n} OK scores" if rank == 1 else f"{ordinal(rank)} largest of {n} OK scores"
    notes = ()
    if q < 1.0 and 1.0 / (n + 1) > 1.0 - q:
        wanted = math.ceil(1.0 / (1.0 - q) - 1.0 - 1e-9)
        notes = (f"a percentile of {percent(q)} means that from {wanted} OK scores on, here it is the {what}",)
    return ranked(
        "percentile",
        ok,
        rank,
        source=source,
        params={"q": q, "rank": rank},
        promise=(
            f"above the {what}: on average at most {percent(rank / (n + 1))} of good parts rejected{_mean_of(source)}"
        ),
        notes=notes,
    )


def target_fpr(ok: np.ndarray, *, source: str, max_fpr: float = 0.05) -> ThresholdChoice:
    """Lowest threshold just above a score that rejects at most ``max_fpr`` of the OK scores seen.

    What an ROC is read for. It is no promise for parts to come: their mean FPR is (c + 1) / (n + 1) with c the scores
    rejected here, which is above c / n. Synthetic NG cannot move it.

    Examples
    --------
    >>> choice = target_fpr(np.arange(50.0), source="held-out")
    >>> choice.value, choice.promise
    (47.00000000000001, 'at most 2 of the 50 OK scores seen rejected; on average at most 5.88 % of parts to come')
    """
    ok = checked_scores(ok, "OK scores")
    max_fpr = checked_rate(max_fpr, "max_fpr")
    n = ok.size
    params = {"max_fpr": max_fpr}
    if n < RULES["target_fpr"].least_n:
        return refusal_of("target_fpr", ok, source=source, params=params, reason="needs at least 2 OK scores, has 1")
    rank = largest_count(n, max_fpr) + 1
    return ranked(
        "target_fpr",
        ok,
        rank,
        source=source,
        params=params | {"rank": rank},
        promise=(
            f"at most {rank - 1} of the {n} OK scores seen rejected; on average at most {percent(rank / (n + 1))} "
            f"of parts to come{_mean_of(source)}"
        ),
    )


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
    max_fpr, confidence = checked_rate(max_fpr, "max_fpr"), checked_rate(confidence, "confidence")
    rank = _tolerance_rank(ok_scores.size, max_fpr, confidence)
    return just_above(ok_scores, rank) if rank else None


def tolerance(ok: np.ndarray, *, source: str, max_fpr: float = 0.05, confidence: float = 0.95) -> ThresholdChoice:
    """``tolerance_threshold`` as a choice: FPR at most ``max_fpr`` with ``confidence``.

    On leave-one-out scores the confidence is approximate, and the promise says so.

    Examples
    --------
    >>> tolerance(np.arange(30.0), source="held-out").reason
    'FPR at most 5 % with 95 % confidence needs at least 59 OK scores, has 30; 30 promise 9.5 %'
    """
    ok = checked_scores(ok, "OK scores")
    max_fpr, confidence = checked_rate(max_fpr, "max_fpr"), checked_rate(confidence, "confidence")
    rank = _tolerance_rank(ok.size, max_fpr, confidence)
    params = {"max_fpr": max_fpr, "confidence": confidence, "rank": rank}
    promise = f"FPR at most {percent(max_fpr)} with {percent(confidence)} confidence"
    if not rank:
        reason = (
            f"{promise} needs at least {needed_ok(max_fpr, confidence)} OK scores, has {ok.size}; "
            f"{ok.size} promise {percent(smallest_fpr(ok.size, confidence))}"
        )
        return refusal_of("tolerance", ok, source=source, params=params, reason=reason)
    if source == "leave-one-out":
        promise += ", approximate: the confidence is proven for held-out scores only"
    return ranked("tolerance", ok, rank, source=source, params=params, promise=promise)


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
    rank = largest_count(n + 1, max_fpr)
    params = {"max_fpr": max_fpr, "rank": rank}
    promise = f"on average at most {percent(max_fpr)} of good parts rejected"
    if not rank:
        reason = (
            f"{promise} needs at least {math.ceil(1.0 / max_fpr - 1e-9) - 1} OK scores, has {n}; "
            f"{n} promise {percent(1.0 / (n + 1))}"
        )
        return refusal_of("conformal", ok, source=source, params=params, reason=reason)
    promise += _mean_of(source)
    return ranked("conformal", ok, rank, source=source, params=params, promise=promise)


def _mean_of(source: str) -> str:
    """What limits a mean FPR from this source of OK scores."""
    return " (approximate if the memory bank is a coreset)" if source == "leave-one-out" else ""


def _tolerance_rank(n: int, max_fpr: float, confidence: float) -> int:
    """Largest r with P(Beta(r, n - r + 1) <= max_fpr) >= confidence; 0 if there is none."""
    ranks = np.arange(1, n + 1)
    return int(np.count_nonzero(betainc(ranks, n - ranks + 1, max_fpr) >= confidence))  # falls with r
