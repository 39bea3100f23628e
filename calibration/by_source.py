"""Synthetic NG made from real ones: a hundred pictures of one defect are one defect, seen from a hundred places.

What may be promised of such a set rests on the number of NG it was made from. Pictures of one NG are alike in whatever
makes that NG easy or hard; intervals over pictures would shrink with every copy, though nothing was learned.
"""

import math
from collections.abc import Sequence

import numpy as np

from calibration.bounds import lower_bound, upper_bound
from calibration.errors import CalibrationError
from calibration.types import RateBound


def checked_sources(sources: Sequence[str] | None, n: int) -> np.ndarray | None:
    """(n,) int, the same for scores of one source; None where every score has its own.

    Raises
    ------
    CalibrationError
        If there is not one source for each of ``n`` scores.
    """
    if sources is None:
        return None
    if len(sources) != n:
        raise CalibrationError(f"sources: expected one for each of {n} scores, got {len(sources)}")
    return np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)[1]


def independent(place: np.ndarray | None, n: int) -> float:
    """How many independent NG ``n`` scores are worth: the number of sources, fewer where their shares differ.

    One over the sum of squared shares: the variance of a mean over all scores is at most that of so many sources.
    Source: L. Kish, Survey Sampling (1965), section 8.2 (clusters whose members are all alike).

    Examples
    --------
    >>> independent(checked_sources(["a", "a", "b", "b"], 4), 4), independent(None, 4)
    (2.0, 4.0)
    """
    if place is None:
        return float(n)
    shares = np.bincount(place) / n
    return float(1.0 / np.sum(shares**2))


def flagged_by_source(flagged: np.ndarray, place: np.ndarray, confidence: float) -> RateBound:
    """Pictures flagged, with one-sided limits over the sources.

    Parameters
    ----------
    flagged : ndarray of shape (n,)
        bool
    place : ndarray of shape (n,)
        Of ``checked_sources``.

    Notes
    -----
    Each source gives a share in [0, 1]; the sum of m independent such shares reaches a whole number at most e times as
    likely as a binomial count of the same mean does. So the exact limits of m parts hold at a confidence that is
    stricter by the factor e. Source: V. Bentkus, Ann. Probab. 32 (2004), 1650-1673.

    Examples
    --------
    >>> one = flagged_by_source(np.ones(50, bool), np.zeros(50, int), 0.95)      # 50 pictures of one NG
    >>> one.k, one.n, round(one.low, 3)
    (50, 50, 0.018)
    """
    shares = np.bincount(place, flagged) / np.bincount(place)
    total, m = float(shares.sum()), shares.size
    strict = 1.0 - (1.0 - confidence) / math.e
    k, n = int(np.count_nonzero(flagged)), flagged.size
    low = lower_bound(math.floor(total + 1e-9), m, strict)
    high = upper_bound(math.ceil(total - 1e-9), m, strict)
    return RateBound(k, n, min(low, k / n), max(high, k / n), confidence)
