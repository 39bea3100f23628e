"""Rules on the ROC of OK against synthetic NG: worth as much as the synthetic NG are like real ones."""

import numpy as np

from calibration.checks import checked_rate, checked_scores
from calibration.choices import in_gap, largest_count, refusal_of
from calibration.curves import auroc, roc_curve
from calibration.rules import percent
from calibration.types import RocCurve, ThresholdChoice


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
        return refusal_of("youden", ok, source=source, params={}, reason=reason, n_ng=synthetic.size)
    curve = roc_curve(ok, synthetic)
    caught, flagged = _counts(curve, ok.size, synthetic.size)
    index = caught * ok.size - flagged * synthetic.size  # n_ok n_ng (recall - FPR), in whole numbers: ties are ties
    best = int(np.argmax(index))  # thresholds fall, so the first maximum is the highest threshold
    if index[best] <= 0:
        reason = "no threshold catches a larger share of synthetic NG than of OK"
        return refusal_of("youden", ok, source=source, params={}, reason=reason, n_ng=synthetic.size)
    return in_gap(
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
        return refusal_of("target_recall", ok, source=source, params=params, reason=reason, n_ng=n_ng)
    needed = n_ng - largest_count(n_ng, 1.0 - recall)
    curve = roc_curve(ok, synthetic)
    caught, _ = _counts(curve, ok.size, n_ng)
    notes = ()
    if needed == n_ng:
        notes = (f"a recall of {percent(recall)} of {n_ng} synthetic NG is all of them: the lowest one decides",)
    return in_gap(
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
