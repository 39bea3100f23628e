"""What one threshold does to a set of scores: the numbers beside the slider."""

import numpy as np

from calibration.bounds import rate_bound
from calibration.rules import is_ng
from calibration.types import RateBound


def counts_at(scores: np.ndarray, threshold: float, confidence: float = 0.95) -> RateBound:
    """Parts flagged NG at ``threshold``, with exact one-sided limits of their rate.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of one class: of OK parts the rate is the FPR, of NG parts the recall.
    threshold : float
        In the unit of the scores; NG means score >= threshold.
    confidence : float
        In (0, 1), for each limit on its own.

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
    return rate_bound(int(np.count_nonzero(flagged)), flagged.size, confidence)
