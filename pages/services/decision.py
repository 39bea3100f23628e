"""The threshold the engineer fixed, and what that choice does to the roles of the real NG in view.

A recommended threshold follows a rule stated before any score was seen. Any other value, fixed while real NG scores
were on screen or after they were used for verification, was set by those NG: they become threshold NG and can never
verify again. So is a recommended value, if the memory bank or the rules' settings were changed after the look.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pages.services.artifacts import DetectorResult, SynthesisResult, digest_of
from pages.services.ledger import Ledger
from pages.services.settings import RunConfig, to_dict
from pages.services.verification import basis_of, seen_ng
from pages.services.workspace import Workspace

Origin = Literal["recommended", "rule", "by hand"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A fixed threshold.

    value : float            feature distance; NG means score >= value
    rule : str               key of the rule, "" when set by hand
    origin : Origin
    real_in_view : bool      real NG scores were on screen when it was fixed, or had been before
    bank_id, detector, synthesis, settings   what it holds for; on another bank the number means nothing
    fixed_at : str           ISO time
    """

    value: float
    rule: str
    origin: Origin
    real_in_view: bool
    bank_id: str
    detector: str
    synthesis: str
    settings: dict[str, Any]
    fixed_at: str

    @property
    def digest(self) -> str:
        return digest_of(asdict(self))


def current_decision(ws: Workspace) -> Decision | None:
    stored = ws.get_choice("decision")
    return Decision(**stored) if stored else None


def fix_threshold(
    ws: Workspace,
    *,
    value: float,
    rule: str,
    origin: Origin,
    real_in_view: bool,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    now: str,
) -> tuple[Decision, int]:
    """Fix a threshold; returns it and how many real NG became threshold NG by that. ``now`` is an ISO time."""
    ledger = Ledger(ws)
    free = ledger.records(role="verification_ng")
    asked = to_dict(config)["thresholds"]
    if origin == "recommended":
        # The rule was stated beforehand, but the detector or the rule's settings may have been changed after a look.
        seen = seen_ng(ws, other_than=basis_of(detector.meta["bank_id"], asked))
    else:
        seen = {r.sha256 for r in free} if real_in_view else seen_ng(ws)
    groups = {r.group for r in free if r.sha256 in seen}
    spent = sorted(r.sha256 for r in free if r.group in groups)  # a near twin shows the same part
    if spent:
        why = "seen before another threshold than the one recommended then was fixed"
        ledger.assign(spent, "threshold_ng", by="thresholds page", why=why)
    decision = Decision(
        value=value,
        rule=rule,
        origin=origin,
        real_in_view=real_in_view or bool(seen_ng(ws)),
        bank_id=detector.meta["bank_id"],
        detector=detector.digest,
        synthesis=synthesis.digest,
        settings=asked,
        fixed_at=now,
    )
    ws.set_choice("decision", asdict(decision))
    return decision, len(spent)
