"""Exact one-sided limits for a rate seen as k of n.

Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413, one side at a time.
"""

import operator

from scipy.special import betainc, betaincinv

from calibration.checks import checked_rate
from calibration.errors import CalibrationError
from calibration.types import RateBound


def _checked_counts(k: int, n: int) -> tuple[int, int]:
    try:
        k, n = operator.index(k), operator.index(n)
    except TypeError:
        raise CalibrationError(f"rate: expected whole numbers k and n, got {k!r} and {n!r}") from None
    if n < 1 or not 0 <= k <= n:
        raise CalibrationError(f"rate: expected 0 <= k <= n and n >= 1, got k = {k}, n = {n}")
    return k, n


def upper_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Upper limit of a rate of which k of n were seen.

    Parameters
    ----------
    k, n : int
        0 <= k <= n, n >= 1.
    confidence : float
        In (0, 1), one-sided: over many samples the limit is below the true rate in at most
        ``1 - confidence`` of them.

    Returns
    -------
    float
        In (0, 1]; 1 if k = n.

    Raises
    ------
    CalibrationError
        If the counts or the confidence are impossible, n = 0 included.

    Examples
    --------
    >>> round(upper_bound(0, 50), 4)
    0.0582
    >>> round(upper_bound(3, 212), 4)
    0.0362
    """
    k, n = _checked_counts(k, n)
    confidence = checked_rate(confidence, "confidence")
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, confidence))


def lower_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Lower limit of a rate of which k of n were seen; the mirror image of ``upper_bound``.

    Examples
    --------
    >>> [round(lower_bound(k, k), 2) for k in (1, 2, 3, 5, 10)]
    [0.05, 0.22, 0.37, 0.55, 0.74]
    """
    k, n = _checked_counts(k, n)
    confidence = checked_rate(confidence, "confidence")
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, 1.0 - confidence))


def rate_bound(k: int, n: int, confidence: float = 0.95) -> RateBound:
    """k of n with both one-sided limits, each at ``confidence``.

    Examples
    --------
    >>> rate_bound(1, 1).estimate, round(rate_bound(1, 1).low, 3), rate_bound(1, 1).high
    (1.0, 0.05, 1.0)
    """
    k, n = _checked_counts(k, n)
    return RateBound(
        k=k,
        n=n,
        low=lower_bound(k, n, confidence),
        high=upper_bound(k, n, confidence),
        confidence=float(confidence),
    )


def smallest_fpr(n: int, confidence: float = 0.95) -> float:
    """Smallest FPR that n OK scores can promise: the limit of 0 of n.

    Examples
    --------
    >>> round(smallest_fpr(59), 4), round(smallest_fpr(299), 4)
    (0.0495, 0.01)
    """
    return upper_bound(0, n, confidence)


def needed_ok(max_fpr: float, confidence: float = 0.95) -> int:
    """Fewest OK scores of which the maximum promises ``max_fpr`` at ``confidence``.

    The smallest n with 1 - (1 - max_fpr)^n >= confidence.

    Examples
    --------
    >>> [needed_ok(rate) for rate in (0.10, 0.05, 0.01, 0.001)]
    [29, 59, 299, 2995]
    """
    return needed_for(checked_rate(max_fpr, "max_fpr"), confidence)


def needed_ng(recall: float, confidence: float = 0.95, *, missed: int = 0) -> int:
    """Fewest real NG of which ``missed`` may be missed and a recall of ``recall`` is still proven.

    The smallest n whose lower limit of n - missed of n is at least ``recall``; with ``missed`` = 0 the smallest n with
    recall^n <= 1 - confidence.

    Examples
    --------
    >>> [needed_ng(recall) for recall in (0.5, 0.9, 0.95, 0.99)], needed_ng(0.9, missed=1)
    ([5, 29, 59, 299], 46)
    """
    recall = checked_rate(recall, "recall")
    return needed_for(1.0 - recall, confidence, seen=missed)


def needed_for(rate: float, confidence: float = 0.95, *, seen: int = 0) -> int:
    """Fewest parts of which ``seen`` may go wrong and the rate of going wrong is still at most ``rate``.

    Of OK parts the rate is the FPR, of NG parts the escape rate.

    Examples
    --------
    >>> [needed_for(0.05, seen=seen) for seen in (0, 1, 2)]
    [59, 93, 124]
    """
    rate, confidence = checked_rate(rate, "rate"), checked_rate(confidence, "confidence")
    seen, _ = _checked_counts(seen, max(int(seen), 1))
    low, high = seen, seen + 1  # the limit of seen of n falls as n grows: double, then halve
    while not _proven(seen, high, rate, confidence):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proven(seen, middle, rate, confidence) else (middle, high)
    return high


def _proven(seen: int, n: int, rate: float, confidence: float) -> bool:
    """P(more than ``seen`` of n | rate) >= confidence: the inequality behind the limit, without its rounding."""
    return bool(betainc(seen + 1, n - seen, rate) >= confidence)
