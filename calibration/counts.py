"""What one threshold does to a set of scores: the numbers beside the slider."""

from collections.abc import Sequence

import numpy as np

from calibration.bounds import rate_bound
from calibration.by_source import checked_sources, flagged_by_source
from calibration.rules import is_ng
from calibration.types import RateBound


def counts_at(
    scores: np.ndarray, threshold: float, confidence: float = 0.95, *, sources: Sequence[str] | None = None
) -> RateBound:
    """Parts flagged NG at ``threshold``, with one-sided limits of their rate, exact where every part is its own.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of one class: of OK parts the rate is the FPR, of NG parts the recall.
    threshold : float
        In the unit of the scores; NG means score >= threshold.
    confidence : float
        In (0, 1), for each limit on its own.
    sources : sequence of str, optional
        The real NG that each score's picture was made from: the limits are then over these, see ``by_source``.

    Returns
    -------
    RateBound

    Raises
    ------
    CalibrationError
        If the scores are not 1-D, are empty or not finite, or the threshold is NaN.

    Examples
    --------
    >>> flagged = counts_at(np.arange(212.0), 209.0)
    >>> flagged.k, flagged.n, round(flagged.high, 3)
    (3, 212, 0.036)
    """
    flagged = is_ng(scores, threshold)
    place = checked_sources(sources, flagged.size)
    if place is not None:
        return flagged_by_source(flagged, place, confidence)
    return rate_bound(int(np.count_nonzero(flagged)), flagged.size, confidence)
