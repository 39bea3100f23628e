"""The last check: a fixed threshold against real NG that nothing before has used, and OK parts kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.rules import is_ng
from calibration.types import RateBound
from ias_core.errors import IasError
from pages.services.artifacts import DetectorResult, ScoredSet, digest_of
from pages.services.ledger import Ledger
from pages.services.thresholds import evidence_of, real_result
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from pages.services.decision import Decision


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Counts with bounds, and the pictures behind the mistakes.

    caught_ng, rejected_ok : RateBound, or None where there was nothing to check on
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
    counts = real_result(evidence_of(detector, None, free), decision.value)
    used = [image in free for image in detector.sets["ng"].ids]
    result = Verification(
        caught_ng=counts.caught_ng,
        rejected_ok=counts.rejected_ok,
        missed=_list(detector.sets["ng"], decision.value, flagged=False, among=used),
        false_rejects=_list(detector.sets["check"], decision.value, flagged=True),
        ng=tuple(sorted(image for image, use in zip(detector.sets["ng"].ids, used, strict=True) if use)),
    )
    note_seen(ws, set(result.ng), basis=basis_of(decision.bank_id, decision.settings))
    ws.set_choice("verification", {"decision": decision.digest, "ng": list(result.ng), "status": result.status})
    return result


def last_verification(ws: Workspace) -> dict[str, Any] | None:
    """``decision`` (digest), ``ng`` and ``status`` of the last verification, or None."""
    return ws.get_choice("verification")


def _list(
    scored: ScoredSet, threshold: float, *, flagged: bool, among: list[bool] | None = None
) -> tuple[tuple[str, str, float], ...]:
    if not len(scored.image_scores):
        return ()
    wrong = is_ng(scored.image_scores, threshold) == flagged
    if among is not None:
        wrong &= np.array(among)
    places = sorted(np.flatnonzero(wrong), key=lambda i: scored.image_scores[i], reverse=flagged)
    return tuple((scored.names[i], scored.ids[i], float(scored.image_scores[i])) for i in places)
