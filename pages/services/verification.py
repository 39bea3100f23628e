"""The last check: a fixed threshold against real NG that nothing before has used, and OK parts kept apart.

The target is stated before: it is part of the settings with which the threshold was fixed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.bounds import lower_bound, needed_ng, rate_bound
from calibration.rules import is_ng
from calibration.types import RateBound
from ias_core.errors import IasError
from pages.services.artifacts import DetectorResult, ScoredSet, digest_of
from pages.services.ledger import Ledger
from pages.services.thresholds import evidence_of, real_result
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from pages.services.decision import Decision
    from pages.services.settings import RunConfig

PLANNED_MISSES = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Counts with bounds, and the pictures behind the mistakes.

    caught_ng, rejected_ok : RateBound at the stated confidence, or None where there was nothing to check on
    missed, false_rejects : (name, sha256, score), worst first
    ng : sha256 of the real NG used
    """

    caught_ng: RateBound | None
    rejected_ok: RateBound | None
    missed: tuple[tuple[str, str, float], ...]
    false_rejects: tuple[tuple[str, str, float], ...]
    ng: tuple[str, ...]

    @property
    def status(self) -> str:
        """Nothing is called checked that no real NG of its own has checked."""
        return "checked" if self.caught_ng is not None else "provisional"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stated target takes, and the most that the NG at hand can say; no score is looked at.

    needed : (misses, n): fewest real NG that prove the target with so many missed
    free : real NG that may verify
    may_miss : most of the free ones that may be missed for the target still to be proven, None if not even 0
    best : every free NG caught, with limits; None without any
    """

    target_recall: float
    confidence: float
    needed: tuple[tuple[int, int], ...]
    free: int
    may_miss: int | None
    best: RateBound | None


def statement(ws: Workspace, decision: Decision, config: RunConfig) -> dict[str, Any]:
    """The target as it was stated with the threshold: recall, confidence, when, and the fewest real NG that prove it.

    Raises
    ------
    IasError
        If the settings ask for another target now: then the threshold was fixed for another one.
    """
    stated = {name: decision.settings[name] for name in ("target_recall", "confidence")}
    asked = {name: getattr(config.thresholds, name) for name in stated}
    if asked != stated:
        raise IasError(
            f"the threshold was fixed for a recall of {stated['target_recall']:g} at {stated['confidence']:g}, but the "
            f"settings ask for {asked['target_recall']:g} at {asked['confidence']:g}: fix it again on the thresholds "
            "page"
        )
    return stated | {"at": decision.fixed_at, "needed_ng": needed_ng(stated["target_recall"], stated["confidence"])}


def plan_of(ws: Workspace, decision: Decision) -> Plan:
    """The plan of the verification: exact binomial limits, from counts alone; the free NG need no score yet."""
    stated, free = decision.settings, len(free_ng(ws))
    recall, confidence = stated["target_recall"], stated["confidence"]
    may_miss = 0
    while may_miss < free and lower_bound(free - may_miss, free, confidence) >= recall:
        may_miss += 1
    return Plan(
        target_recall=recall,
        confidence=confidence,
        needed=tuple((missed, needed_ng(recall, confidence, missed=missed)) for missed in PLANNED_MISSES),
        free=free,
        may_miss=may_miss - 1 if may_miss else None,
        best=rate_bound(free, free, confidence) if free else None,
    )


def recall_by_kind(
    detector: DetectorResult, decision: Decision, ng: Iterable[str]
) -> tuple[tuple[str, RateBound], ...]:
    """Caught of the real NG (sha256) of each kind, with limits at the stated confidence, kinds in order of their names.

    Each limit stands on its own: among many kinds some are off by chance.
    """
    scored, counted = detector.sets["ng"], set(ng)
    found: dict[str, list[bool]] = {}
    for image, flagged in zip(scored.ids, is_ng(scored.image_scores, decision.value).tolist(), strict=True):
        if image in counted:
            found.setdefault(detector.kinds.get(image, ""), []).append(flagged)
    confidence = decision.settings["confidence"]
    return tuple((kind, rate_bound(sum(seen), len(seen), confidence)) for kind, seen in sorted(found.items()))


def basis_of(bank_id: str, threshold_settings: dict[str, Any]) -> str:
    """What a recommended threshold follows from: with the same memory bank and rules it is the same number."""
    return digest_of(bank_id, threshold_settings)


def note_seen(ws: Workspace, ng: set[str], *, basis: str) -> None:
    """Remember for good that the scores of these real NG (sha256) were on screen; a toggle cannot unsee them."""
    seen = ws.get_choice("ng_seen", {})
    new = {image: sorted({*seen.get(image, []), basis}) for image in ng}
    if any(new[image] != seen.get(image) for image in ng):
        ws.set_choice("ng_seen", seen | new)


def seen_ng(ws: Workspace, *, other_than: str | None = None) -> set[str]:
    """sha256 of real NG whose scores have been on screen, on any basis or on another one than ``other_than``."""
    seen = ws.get_choice("ng_seen", {})
    return {image for image, bases in seen.items() if other_than is None or set(bases) - {other_than}}


def free_ng(ws: Workspace) -> set[str]:
    """sha256 of the real NG that may still verify."""
    return {record.sha256 for record in Ledger(ws).records(role="verification_ng")}


def verify(ws: Workspace, detector: DetectorResult, decision: Decision) -> Verification:
    """Check a fixed threshold and remember that these NG have been seen for it.

    Raises
    ------
    IasError
        If the threshold was fixed for another memory bank.
    """
    if decision.bank_id != detector.meta["bank_id"]:
        raise IasError("the threshold was fixed for another memory bank: fix it again on the thresholds page")
    free = free_ng(ws)
    counts = real_result(evidence_of(detector, None, free), decision.value, confidence=decision.settings["confidence"])
    used = [image in free for image in detector.sets["ng"].ids]
    result = Verification(
        caught_ng=counts.caught_ng,
        rejected_ok=counts.rejected_ok,
        missed=wrong_in(detector.sets["ng"], decision.value, flagged=False, among=used),
        false_rejects=wrong_in(detector.sets["check"], decision.value, flagged=True),
        ng=tuple(sorted(image for image, use in zip(detector.sets["ng"].ids, used, strict=True) if use)),
    )
    note_seen(ws, set(result.ng), basis=basis_of(decision.bank_id, decision.settings))
    ws.set_choice("verification", {"decision": decision.digest, "ng": list(result.ng), "status": result.status})
    return result


def last_verification(ws: Workspace) -> dict[str, Any] | None:
    """``decision`` (digest), ``ng`` and ``status`` of the last verification, or None."""
    return ws.get_choice("verification")


def wrong_in(
    scored: ScoredSet, threshold: float, *, flagged: bool, among: list[bool] | None = None
) -> tuple[tuple[str, str, float], ...]:
    if not len(scored.image_scores):
        return ()
    wrong = is_ng(scored.image_scores, threshold) == flagged
    if among is not None:
        wrong &= np.array(among)
    places = sorted(np.flatnonzero(wrong), key=lambda i: scored.image_scores[i], reverse=flagged)
    return tuple((scored.names[i], scored.ids[i], float(scored.image_scores[i])) for i in places)
