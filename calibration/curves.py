"""ROC of OK against NG scores, its confidence band, and the area under it.

Every distinct score is a threshold and NG means score >= threshold, as in scikit-learn's ``roc_curve`` with
``drop_intermediate=False``; computed here because importing that module takes seconds while a page waits.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from calibration.by_source import checked_sources, independent
from calibration.checks import checked_rate, checked_scores
from calibration.types import Auroc, RocBand, RocCurve


def roc_curve(ok: np.ndarray, ng: np.ndarray) -> RocCurve:
    """ROC at every distinct score.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
        Image scores, higher = more anomalous.

    Returns
    -------
    RocCurve
        From (0, 0) at threshold inf to (1, 1) at the lowest score.

    Raises
    ------
    CalibrationError
        If either array is not 1-D, is empty, or holds a NaN or an infinity.

    Examples
    --------
    >>> curve = roc_curve(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0]))
    >>> curve.thresholds
    array([inf,  4.,  3.,  2.,  1.])
    >>> curve.recall
    array([0. , 0.5, 1. , 1. , 1. ])
    """
    ok = np.sort(checked_scores(ok, "OK scores").astype(np.float64))
    ng = np.sort(checked_scores(ng, "NG scores").astype(np.float64))
    distinct = np.unique(np.concatenate([ok, ng]))[::-1]
    return RocCurve(
        thresholds=np.concatenate([[np.inf], distinct]),
        fpr=np.concatenate([[0.0], (ok.size - np.searchsorted(ok, distinct, side="left")) / ok.size]),
        recall=np.concatenate([[0.0], (ng.size - np.searchsorted(ng, distinct, side="left")) / ng.size]),
    )


def roc_band(
    ok: np.ndarray, ng: np.ndarray, confidence: float = 0.95, *, sources: Sequence[str] | None = None
) -> RocBand:
    """ROC with rectangles that hold the true (FPR, recall) at all thresholds at once.

    ``sources``: the real NG that each synthetic one was made from; the recall is then as open as that many NG leave it
    (ours; the constant is proven for independent scores, not for shares of sources).

    Notes
    -----
    Each rate keeps within sqrt(ln(2 / delta) / (2 n)) of its estimate everywhere with probability 1 - delta;
    OK and NG are independent, so each gets 1 - delta = sqrt(confidence). Valid for every n; held-out scores
    only, and for the drawn set of NG: a synthetic set says nothing about real NG.
    Source: P. Massart, Ann. Probab. 18 (1990), 1269-1283 (Dvoretzky-Kiefer-Wolfowitz, tight constant).

    Examples
    --------
    >>> band = roc_band(np.arange(100.0), np.arange(90.0, 190.0))
    >>> round(float(band.fpr_high[0]), 3)
    0.148
    """
    confidence = checked_rate(confidence, "confidence")
    curve = roc_curve(ok, ng)
    delta = 1.0 - math.sqrt(confidence)
    n_ng = independent(checked_sources(sources, len(ng)), len(ng))
    ok_margin, ng_margin = (math.sqrt(math.log(2.0 / delta) / (2.0 * n)) for n in (len(ok), n_ng))
    return RocBand(
        curve=curve,
        fpr_low=np.maximum(curve.fpr - ok_margin, 0.0),
        fpr_high=np.minimum(curve.fpr + ok_margin, 1.0),
        recall_low=np.maximum(curve.recall - ng_margin, 0.0),
        recall_high=np.minimum(curve.recall + ng_margin, 1.0),
        confidence=confidence,
    )


def auroc(ok: np.ndarray, ng: np.ndarray, confidence: float = 0.95, *, sources: Sequence[str] | None = None) -> Auroc:
    """Area under the ROC with an approximate two-sided interval that stays honest at an area of 1.

    ``sources``: the real NG that each synthetic one was made from; the interval is then over these.

    Notes
    -----
    The estimate is a mean over matchings of OK with NG, and each matching is a mean of min(n_ok, n_ng)
    independent values in [0, 1] with the true area A as expectation. So its variance is at most
    A (1 - A) / min(n_ok, n_ng), for any two distributions and with ties; the Wilson score interval with that
    many trials follows. The variance bound is exact, the normal shape an approximation. With sources a value is the
    mean over a source's pictures, in [0, 1] as well, and the number of sources takes the place of n_ng.
    Sources: W. Hoeffding, J. Amer. Statist. Assoc. 58 (1963), 13-30, section 5 (matchings); Z. W. Birnbaum
    and O. M. Klose, Ann. Math. Statist. 28 (1957), 933-945 (variance); E. B. Wilson, J. Amer. Statist. Assoc.
    22 (1927), 209-212 (interval).

    Examples
    --------
    >>> area = auroc(np.array([20.0, 21.0, 22.0]), np.array([30.0, 31.0, 32.0]))
    >>> area.auroc, round(area.low, 3), area.high
    (1.0, 0.439, 1.0)
    """
    ok = np.sort(checked_scores(ok, "OK scores").astype(np.float64))
    ng = checked_scores(ng, "NG scores").astype(np.float64)
    confidence = checked_rate(confidence, "confidence")
    below = np.searchsorted(ok, ng, side="left")
    not_above = np.searchsorted(ok, ng, side="right")
    area = float((below + not_above).sum()) / (2.0 * ok.size * ng.size)  # ties count half

    n_eff = min(ok.size, independent(checked_sources(sources, ng.size), ng.size))
    z = float(ndtri(0.5 + confidence / 2.0))
    centre = area + z * z / (2.0 * n_eff)
    margin = z * math.sqrt(area * (1.0 - area) / n_eff + (z / (2.0 * n_eff)) ** 2)
    scale = 1.0 + z * z / n_eff
    return Auroc(
        auroc=area,
        low=max(0.0, (centre - margin) / scale) if area > 0.0 else 0.0,
        high=min(1.0, (centre + margin) / scale) if area < 1.0 else 1.0,
        n_ok=int(ok.size),
        n_ng=int(ng.size),
        confidence=confidence,
    )
