"""Evidence class of a threshold: what stands behind it, and what may be released on that.

The classes and what may be done under each are this product's own convention; no standard defines them.
"""

from dataclasses import dataclass

from calibration.checks import checked_rate
from calibration.types import RateBound


@dataclass(frozen=True, slots=True)
class EvidenceClass:
    """One class, in the words of the screen.

    key      : "T0" to "T3"
    title    : a few words, printed beside the threshold
    stands_on: what was seen
    may      : what may be released on it
    """

    key: str
    title: str
    stands_on: str
    may: str


CLASSES: dict[str, EvidenceClass] = {
    found.key: found
    for found in (
        EvidenceClass(
            key="T0",
            title="OK only",
            stands_on="good parts alone; no NG of any kind was scored",
            may="Not for release. Record scores beside the present inspection; every part is inspected as before.",
        ),
        EvidenceClass(
            key="T1",
            title="synthetic NG",
            stands_on="good parts, and synthetic NG that somebody made; no real NG",
            may="Not for release. Run beside the present inspection and keep every NG found there for verification.",
        ),
        EvidenceClass(
            key="T2",
            title="real NG seen, too few",
            stands_on="real NG that nothing before has used, but too few to prove the target",
            may="Restricted release: parts it rejects may be taken out; parts it passes are still inspected as before.",
        ),
        EvidenceClass(
            key="T3",
            title="real NG verified to the target",
            stands_on="real NG that nothing before has used prove the target recall",
            may="Release for the stated recall, product, camera and light; verify again when one of them changes.",
        ),
    )
}
REFUTED_TITLE = "real NG refute the target"
REFUTED_BY = "real NG that nothing before has used; they show a recall below the target"
REFUTED = "Not for release. Lower the threshold, or improve the detector, and verify anew on other real NG."


@dataclass(frozen=True, slots=True)
class Evidence:
    """The class of one threshold.

    refuted : real NG show, at ``confidence``, that the recall is below the target; then title and ``may`` say so
    """

    key: str
    title: str
    stands_on: str
    may: str
    refuted: bool
    target_recall: float
    confidence: float


def evidence_class(
    caught: RateBound | None, *, n_synthetic: int, target_recall: float, confidence: float = 0.95
) -> Evidence:
    """Class of a threshold.

    Parameters
    ----------
    caught : RateBound or None
        Real NG at or above the threshold, of those that had no part in setting it; limits at ``confidence``. None
        where there are none.
    n_synthetic : int
        Synthetic NG that were scored.
    target_recall, confidence : float
        In (0, 1), stated before the real NG were looked at.

    Examples
    --------
    >>> from calibration.bounds import rate_bound
    >>> found = [evidence_class(rate_bound(k, n), n_synthetic=40, target_recall=0.9) for k, n in ((2, 2), (29, 29))]
    >>> [(one.key, one.refuted) for one in found], evidence_class(None, n_synthetic=0, target_recall=0.9).key
    ([('T2', False), ('T3', False)], 'T0')
    >>> evidence_class(rate_bound(0, 2), n_synthetic=40, target_recall=0.9).refuted
    True
    """
    target_recall, confidence = checked_rate(target_recall, "target_recall"), checked_rate(confidence, "confidence")
    refuted = caught is not None and caught.high < target_recall
    if caught is None:
        found = CLASSES["T1" if n_synthetic else "T0"]
    else:
        found = CLASSES["T3" if caught.low >= target_recall else "T2"]
    return Evidence(
        key=found.key,
        title=REFUTED_TITLE if refuted else found.title,
        stands_on=REFUTED_BY if refuted else found.stands_on,
        may=REFUTED if refuted else found.may,
        refuted=refuted,
        target_recall=target_recall,
        confidence=confidence,
    )
