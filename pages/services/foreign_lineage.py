"""Where a set made elsewhere comes from, as a person answers it, and what follows from that: each rule a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ias_core.errors import IasError
from ias_core.folders import NG, OK
from pages.services.foreign_parents import EXACT, NAMED, NEAR
from pages.services.foreign_set import ForeignSet
from pages.services.ledger import ImageRecord, Ledger
from pages.services.workspace import Workspace

BARS, WARNS, TELLS = "bars", "warns", "tells"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a person says of the generator.

    generator   : in their words
    seeds       : whether it learnt from real NG of this workspace
    seed_ng     : sha256 of those, where they are named
    backgrounds : "edited": this line's own good parts; "drawn": the generator made them too
    in_bank     : whether those good parts, or those it learnt from, are in the memory bank
    asked       : sha256 of the real NG there were when it was answered
    by, at      : who answered, unverified, and when (ISO 8601, UTC)
    """

    generator: str
    seeds: Literal["named", "none", "unknown"]
    seed_ng: tuple[str, ...]
    backgrounds: Literal["edited", "drawn"]
    in_bank: Literal["yes", "no", "unknown"]
    asked: tuple[str, ...]
    by: str
    at: str = ""

    def __post_init__(self) -> None:
        if not self.generator.strip() or not self.by.strip():
            raise IasError("expected what the generator is and who answers: fill in both")
        if (self.seeds == "named") != bool(self.seed_ng):
            raise IasError("expected the real NG that taught the generator exactly where it is said to be known")


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from set and answers.

    kind : BARS (it may be looked at, but nothing counts it), WARNS or TELLS
    """

    kind: str
    sentence: str


def consequences(ws: Workspace, foreign: ForeignSet, lineage: Lineage) -> tuple[Consequence, ...]:
    """Everything that follows, before anything is done; what bars the set comes first."""
    ledger = Ledger(ws)
    found = _of_seeds(foreign, lineage, ledger.records(label=NG))
    if lineage.backgrounds == "drawn":
        found += _of_drawn(foreign, lineage)
    else:
        found += _of_edited(foreign, lineage, ledger.records(label=OK))
    coloured = sum(one.coloured for one in foreign.entries)
    if foreign.grey_line and coloured:
        found.append(
            Consequence(
                WARNS,
                f"The good parts are grey, and {coloured} of {len(foreign.entries)} pictures have colour: the detector "
                "may score the colour and not the defect.",
            )
        )
    return tuple(sorted(found, key=lambda one: (BARS, WARNS, TELLS).index(one.kind)))


def barred(ws: Workspace, foreign: ForeignSet, lineage: Lineage) -> str:
    """Why nothing may count the set, nor be primary by it; "" where it may.

    The scores of its control may bar it still, see ``pages.services.foreign_scores``.
    """
    return " ".join(one.sentence for one in consequences(ws, foreign, lineage) if one.kind == BARS)


def teachers(real: Sequence[ImageRecord], foreign: ForeignSet, lineage: Lineage) -> list[ImageRecord]:
    """The real NG that taught the generator, by the person's word or the manifest's, and their near twins."""
    named = {*lineage.seed_ng, *foreign.manifest.seeds}
    groups = {record.group for record in real if record.sha256 in named}
    return [record for record in real if record.group in groups]


def unanswered(real: Sequence[ImageRecord], lineage: Lineage) -> list[ImageRecord]:
    """Real NG that came after the questions were answered, and that the answers leave free to verify."""
    if lineage.seeds == "unknown":
        return []
    return [one for one in real if one.sha256 not in lineage.asked and one.role != "generator_seed"]


def _of_seeds(foreign: ForeignSet, lineage: Lineage, real: Sequence[ImageRecord]) -> list[Consequence]:
    found = []
    if lineage.seeds == "unknown":
        sentence = (
            "It is not known which real NG taught the generator, so any that verifies may have: the set can be looked "
            "at, but no rule counts it and it cannot be the primary one."
        )
        found.append(Consequence(BARS, sentence))
    late = unanswered(real, lineage)
    if late:
        sentence = (
            f"{len(late)} real NG ({_some([r.name for r in late])}) came after the questions were answered: answer "
            "again whether the generator learnt from them."
        )
        found.append(Consequence(BARS, sentence))
    elsewhere = foreign.manifest.seeds_elsewhere
    if elsewhere:
        sentence = (
            f"Its manifest names {len(elsewhere)} NG that this workspace does not have ({_some(elsewhere)}): should "
            "you load them later, they must not verify."
        )
        found.append(Consequence(WARNS, sentence))
    taught = teachers(real, foreign, lineage)
    against = [r.name for r in taught if r.sha256 in foreign.manifest.seeds and r.sha256 not in lineage.seed_ng]
    if against:
        sentence = f"Its manifest says that {_some(against)} taught the generator: that holds against your answer."
        found.append(Consequence(WARNS, sentence))
    free = sum(r.role == "verification_ng" for r in real if r not in taught)
    stay = f"{free} real NG stay free to verify." if free else "No real NG stays free to verify."
    if taught:
        sentence = (
            f"Generator seeds for good, near twins included: {_some([r.name for r in taught])} ({len(taught)} in all). "
            f"They can never verify again, also when the set is removed. {stay}"
        )
        found.append(Consequence(TELLS, sentence))
        sentence = f"What the {len(foreign.entries)} pictures prove is counted by real NG, not by picture."
        found.append(Consequence(TELLS, sentence))
    elif lineage.seeds == "none":
        found.append(
            Consequence(TELLS, f"By your word, no real NG of this workspace taught it{f'. {stay}' if real else '.'}")
        )
    return found


def _of_drawn(foreign: ForeignSet, lineage: Lineage) -> list[Consequence]:
    sentence = (
        "Drawn pictures have no good part behind them: the filters for what does not move, for borders and for "
        "near-duplicates skip all of them."
    )
    found = [Consequence(TELLS, sentence)]
    if lineage.in_bank != "no":
        sentence = "A generator that learnt from memory-bank parts may repeat them: its pictures then score too low."
        found.append(Consequence(WARNS, sentence))
    copies = sum(one.match in (EXACT, NEAR) for one in foreign.entries)
    if copies:
        sentence = (
            f"{copies} of {len(foreign.entries)} pictures match a good part outside their mask: were these not edited? "
            "Then answer so, and their filters and scores are the better for it."
        )
        found.append(Consequence(WARNS, sentence))
    n = len(foreign.control)
    if n:
        sentence = (
            f"Its {n} control pictures without a defect are scored too: the set counts only if they score like good "
            "parts."
        )
        found.append(Consequence(TELLS, sentence))
    else:
        sentence = (
            "A drawn background may score high where there is no defect, and no folder control/ of defect-free "
            "pictures by the same generator came along to tell: nothing counts the set."
        )
        found.append(Consequence(BARS, sentence))
    return found


def _of_edited(foreign: ForeignSet, lineage: Lineage, good: Sequence[ImageRecord]) -> list[Consequence]:
    n = len(foreign.entries)
    matched = Counter(one.match for one in foreign.entries)
    without = n - matched[EXACT] - matched[NEAR] - matched[NAMED]
    by_name = f", {matched[NAMED]} by the manifest's word alone" if matched[NAMED] else ""
    sentence = (
        f"The good part behind the picture is known for {n - without} of {n}: {matched[EXACT]} match exactly, "
        f"{matched[NEAR]} nearly{by_name}."
    )
    found = [Consequence(TELLS, sentence)]
    if without:
        low = " They may show memory-bank parts, and then score too low." if lineage.in_bank != "no" else ""
        sentence = (
            f"{without} of {n} pictures match no good part: the filters for what does not move, for borders and for "
            f"near-duplicates skip them.{low} If the generator redraws what is behind the defect, the answer is: drawn."
        )
        found.append(Consequence(WARNS, sentence))
    roles = roles_of(foreign, good)
    if roles["memory_bank"]:
        contrary = ", though you say that none is" if lineage.in_bank == "no" else ""
        sentence = (
            f"{roles['memory_bank']} of {n} are made on memory-bank parts{contrary}: their backgrounds would score "
            "too low, so each is scored without the patches of its own part."
        )
        found.append(Consequence(WARNS, sentence))
    if roles["check_ok"]:
        sentence = (
            f"{roles['check_ok']} of {n} are made on check parts, which judge the threshold: a rule that counts these "
            "pictures is no longer judged by strangers."
        )
        found.append(Consequence(WARNS, sentence))
    return found


def roles_of(foreign: ForeignSet, good: Sequence[ImageRecord]) -> Counter[str | None]:
    """Role of the good part behind a picture -> number of pictures."""
    role_of = {record.sha256: record.role for record in good}
    return Counter(role_of[one.parent] for one in foreign.entries if one.parent in role_of)


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
