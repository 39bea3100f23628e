"""Failure modes against evidence: what was caught of each, and which cells of the table are still empty.

Real NG count for a mode once the threshold was checked on them; until then the table gives away nothing. Synthetic NG
stand beside, and are never evidence of escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from calibration.bounds import needed_ng, rate_bound, upper_bound
from calibration.collect import plan
from calibration.rules import is_ng, percent
from calibration.types import RateBound
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.failure_modes import IN_NO_MODE, SEVERITIES, Mode, modes
from pages.services.ledger import NG, Ledger
from pages.services.thresholds import evidence_of
from pages.services.verification import last_verification
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from pages.services.decision import Decision

Found = Literal["none", "synthetic", "real"]
_RANK: dict[Found, int] = {"none": 0, "synthetic": 1, "real": 2}


@dataclass(frozen=True, slots=True)
class Row:
    """What stands behind one failure mode at a fixed threshold.

    mode    : the failure mode; ``listed`` is False for the row of all NG that belong to none
    real    : checked verification NG of its kinds that were caught, with limits; None where there are none
    caught_synthetic, n_synthetic : of the methods that stand for it, over all of them
    waiting : NG of its kinds that are free for verification and not checked yet
    spent   : NG of its kinds that taught a generator or set a threshold: they can never count
    """

    mode: Mode
    listed: bool
    real: RateBound | None
    caught_synthetic: int
    n_synthetic: int
    waiting: int
    spent: int

    @property
    def evidence(self) -> Found:
        """The best there is: "real", else "synthetic", else "none"."""
        return "real" if self.real is not None else "synthetic" if self.n_synthetic else "none"

    @property
    def urgency(self) -> float:
        """Severity x escape rate that is not excluded yet; a severity that nobody has rated counts as the highest."""
        severity = max(SEVERITIES) if self.mode.severity is None else self.mode.severity
        return severity * (1.0 - (self.real.low if self.real is not None else 0.0))


def coverage(
    ws: Workspace, detector: DetectorResult, synthesis: SynthesisResult, decision: Decision
) -> tuple[Row, ...]:
    """Evidence for every failure mode, the most urgent first; real NG that belong to none have a row of their own."""
    listed = modes(ws)
    ng = Ledger(ws).records(label=NG)
    free = {record.sha256 for record in ng if record.role == "verification_ng"}
    last = last_verification(ws)
    # As for the record: with other NG than those that are free now, the check has to be done again.
    checked = free if last and last["decision"] == decision.digest and set(last["ng"]) == free else set()
    scored = detector.sets["ng"]
    caught = dict(zip(scored.ids, is_ng(scored.image_scores, decision.value).tolist(), strict=True)) if checked else {}
    evidence = evidence_of(detector, synthesis, set())
    synthetic = {name: evidence.caught(name, decision.value) for name in evidence.synthetic}
    confidence = decision.settings["confidence"]

    def row(mode: Mode, is_listed: bool) -> Row:
        own = [record for record in ng if record.kind in mode.kinds]
        seen = [caught[record.sha256] for record in own if record.sha256 in checked]
        made = [synthetic[name] for name in mode.methods if name in synthetic]
        return Row(
            mode=mode,
            listed=is_listed,
            real=rate_bound(sum(seen), len(seen), confidence) if seen else None,
            caught_synthetic=sum(bound.k for bound in made),
            n_synthetic=sum(bound.n for bound in made),
            waiting=sum(record.sha256 in free - checked for record in own),
            spent=sum(record.sha256 not in free for record in own),
        )

    rows = [row(mode, True) for mode in listed]
    homeless = sorted({record.kind for record in ng} - {kind for mode in listed for kind in mode.kinds})
    if homeless:
        rows.append(row(Mode(IN_NO_MODE, kinds=tuple(homeless)), False))
    return tuple(sorted(rows, key=lambda one: (-one.urgency, _RANK[one.evidence], one.mode.name)))


def rows(found: Sequence[Row]) -> list[dict[str, Any]]:
    """The table as plain values, in the same order: ``content["coverage"]`` of a record."""
    return [
        {
            "mode": row.mode.name if row.listed else f"{IN_NO_MODE}: {_kinds(row.mode.kinds)}",
            "severity": row.mode.severity,
            "evidence": row.evidence,
            "n_real": row.real.n if row.real is not None else 0,
            "caught_real": row.real.k if row.real is not None else 0,
            "low_real": row.real.low if row.real is not None else None,
            "n_synthetic": row.n_synthetic,
            "caught_synthetic": row.caught_synthetic,
            "note": row.mode.note,
        }
        for row in found
    ]


def needed_to_refute(recall: float, confidence: float = 0.95) -> int:
    """Fewest real NG that show a recall below ``recall`` if every one of them is missed.

    One missed NG proves only a recall of at most ``confidence``, so it refutes no lower target.

    Examples
    --------
    >>> [needed_to_refute(recall) for recall in (0.5, 0.9, 0.99)]
    [5, 2, 1]
    """
    n = 1
    while upper_bound(0, n, confidence) >= recall:
        n += 1
    return n


def refuted(row: dict[str, Any], *, recall: float, confidence: float) -> bool:
    """Whether the real NG of one of ``rows`` show a recall below the target."""
    return row["n_real"] > 0 and rate_bound(row["caught_real"], row["n_real"], confidence).high < recall


def to_do(row: dict[str, Any], *, recall: float, confidence: float) -> str:
    """What to collect for one of ``rows`` in words; "" once the target is proven for it.

    Examples
    --------
    >>> row = {"mode": "bent lead", "n_real": 0, "caught_real": 0}
    >>> to_do(row, recall=0.9, confidence=0.95)
    "No NG of 'bent lead' checked yet: collect 2 to refute, 29 to prove 90 % at 95 %."
    >>> to_do(row | {"n_real": 3, "caught_real": 3}, recall=0.9, confidence=0.95)
    "3 NG of 'bent lead' cannot tell: collect 26 more without a miss to prove 90 % at 95 %."
    """
    name, n, k = row["mode"], row["n_real"], row["caught_real"]
    claim = f"{percent(recall)} at {percent(confidence)}"
    if name.startswith(IN_NO_MODE):
        return f"NG {name}. Say which mode they belong to."
    if not n:
        refute, prove = needed_to_refute(recall, confidence), needed_ng(recall, confidence)
        return f"No NG of '{name}' checked yet: collect {refute} to refute, {prove} to prove {claim}."
    if refuted(row, recall=recall, confidence=confidence):
        return f"'{name}' is refuted: {k} of {n} caught. Lower the threshold or improve the detector, then verify anew."
    more = plan(n - k, n, rate=1.0 - recall, confidence=confidence).more
    if not more:
        return ""
    return f"{n} NG of '{name}' cannot tell: collect {more} more without a miss to prove {claim}."


def to_dos(found: Sequence[dict[str, Any]], *, recall: float, confidence: float) -> list[str]:
    """The empty cells of ``rows`` as a list, the most urgent first."""
    said = [to_do(row, recall=recall, confidence=confidence) for row in found]
    return [sentence for sentence in said if sentence]


def _kinds(kinds: Sequence[str]) -> str:
    return ", ".join("without a kind" if kind == NG else kind for kind in kinds)
