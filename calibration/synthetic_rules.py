"""Rules on the ROC of OK against synthetic NG: worth as much as the synthetic NG are like real ones."""

import numpy as np

from calibration.checks import checked_positive, checked_rate, checked_scores
from calibration.choices import choice_of, in_gap, largest_count, refusal_of
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
    )


def cost(
    ok: np.ndarray,
    synthetic: np.ndarray,
    *,
    source: str,
    cost_escape: float = 100.0,
    cost_overkill: float = 1.0,
    ng_share: float = 0.01,
) -> ThresholdChoice:
    """Middle of the score gap with the least expected cost per part, recall being that of synthetic NG.

    Parameters and refusals as in ``youden``; also none where rejecting nothing, or everything, is cheapest.

    Parameters
    ----------
    cost_escape, cost_overkill : float
        Above 0, in one currency: a defective part that passes, a good part that is rejected.
    ng_share : float
        Share of NG on the line, in (0, 1).

    Notes
    -----
    Minimises cost_overkill (1 - ng_share) FPR + cost_escape ng_share (1 - recall). Youden's rule is the case
    cost_escape ng_share = cost_overkill (1 - ng_share). Source: C. E. Metz, Semin. Nucl. Med. 8 (1978), 283-298.

    Examples
    --------
    >>> ok, ng = np.array([1.0, 2.0, 3.0, 8.0]), np.array([5.0, 10.0])
    >>> [cost(ok, ng, source="held-out", cost_escape=e).value for e in (30.0, 300.0)]
    [9.0, 4.0]
    """
    ok, synthetic = checked_scores(ok, "OK scores"), checked_scores(synthetic, "synthetic NG scores")
    cost_escape = checked_positive(cost_escape, "cost_escape")
    cost_overkill = checked_positive(cost_overkill, "cost_overkill")
    ng_share = checked_rate(ng_share, "ng_share")
    params = {"cost_escape": cost_escape, "cost_overkill": cost_overkill, "ng_share": ng_share}
    reason = _no_use_of_synthetic(ok, synthetic)
    if not reason:
        curve = roc_curve(ok, synthetic)
        per_part = cost_overkill * (1.0 - ng_share) * curve.fpr + cost_escape * ng_share * (1.0 - curve.recall)
        # Equal costs that differ by rounding are equal; thresholds fall, so the first is the highest threshold.
        best = int(np.argmax(per_part <= per_part.min() * (1.0 + 1e-12)))
        if best == 0:
            reason = "at these costs rejecting nothing is cheapest on these scores"
        elif best == curve.fpr.size - 1:
            reason = "at these costs rejecting every part is cheapest on these scores"
    if reason:
        return refusal_of("cost", ok, source=source, params=params, reason=reason, n_ng=synthetic.size)
    even = cost_overkill * (1.0 - ng_share) / ng_share
    return in_gap(
        "cost",
        ok,
        curve,
        best,
        n_ng=synthetic.size,
        source=source,
        params=params | {"cost_per_part": float(per_part[best])},
        promise=f"the least cost on these scores, {per_part[best]:.3g} per part; nothing about real NG",
        notes=(f"an escape taken to cost {even:.4g} would give Youden's threshold",),
    )


def f1_max(ok: np.ndarray, synthetic: np.ndarray, *, source: str) -> ThresholdChoice:
    """The NG score with the largest F1 of OK and synthetic NG pooled, as anomalib's ``F1AdaptiveThreshold`` picks it.

    For comparison only: F1 depends on how many OK and NG are in the set, so the threshold moves with that ratio. And
    anomalib flags with ``>``: the very NG that set the threshold passes there, here it is NG. Parameters and refusals
    as in ``youden``.

    Examples
    --------
    >>> choice = f1_max(np.array([1.0, 2.0, 3.0, 8.0]), np.array([5.0, 6.0]), source="held-out")
    >>> choice.value, choice.params["ng_in_set"]
    (5.0, 0.3333333333333333)
    """
    ok, synthetic = checked_scores(ok, "OK scores"), checked_scores(synthetic, "synthetic NG scores")
    params = {"ng_in_set": synthetic.size / (ok.size + synthetic.size)}
    if reason := _no_use_of_synthetic(ok, synthetic):
        return refusal_of("f1_max", ok, source=source, params=params, reason=reason, n_ng=synthetic.size)
    curve = roc_curve(ok, synthetic)
    caught, flagged = _counts(curve, ok.size, synthetic.size)
    f1 = 2.0 * caught / (caught + flagged + synthetic.size)
    best = f1.size - 1 - int(np.argmax(f1[::-1]))  # anomalib takes the lowest threshold among equals
    return choice_of(
        "f1_max",
        ok,
        float(curve.thresholds[best]),
        source=source,
        params=params | {"f1": float(f1[best])},
        promise=f"F1 {f1[best]:.3f} on these scores; nothing about real NG",
        expected_fpr=(int(flagged[best]) + 1) / (ok.size + 1),
        n_ng=synthetic.size,
        notes=(
            f"it follows the mixing ratio: {percent(params['ng_in_set'])} of this set are NG, on a line it is far less",
            "anomalib flags with > and would let the NG pass that set this threshold",
        ),
    )


def target_recall(ok: np.ndarray, synthetic: np.ndarray, *, source: str, recall: float = 0.9) -> ThresholdChoice:
    """Middle of the highest score gap that still catches ``recall`` of the synthetic NG.

    The gap ends at the ceil(recall * n_ng)-th largest synthetic score. OK scores never move that upper end; they may
    be the lower one, and so move the middle. Parameters and refusals as in ``youden``.

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
