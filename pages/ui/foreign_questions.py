"""The questions that only a person can answer about synthetic NG made elsewhere."""

from collections.abc import Sequence

import streamlit as st

from pages.services.foreign_lineage import Lineage, roles_of
from pages.services.foreign_set import ForeignSet
from pages.services.ledger import NG, ImageRecord, Ledger
from pages.services.workspace import Workspace

_SEEDS = {"named": "These", "none": "None of them", "unknown": "I do not know"}
_BACKGROUNDS = {
    "edited": "This line's own good parts, with a defect put in",
    "drawn": "Drawn by the generator, like the defect",
}
_IN_BANK = {"yes": "Yes, or some of them", "no": "No", "unknown": "I do not know"}


def ask(ws: Workspace, foreign: ForeignSet, good: Sequence[ImageRecord]) -> Lineage | None:
    """What was answered; None as long as a question is open."""
    real = Ledger(ws).records(label=NG)
    name_of = {record.sha256: record.name for record in real}
    at = foreign.digest[:12]
    generator = st.text_input(
        "1. Which generator made them?",
        max_chars=60,
        key=f"foreign-generator-{at}",
        placeholder="Stable Diffusion 1.5 inpainting with a LoRA, for instance",
    )
    named = [sha for sha in foreign.manifest.seeds if sha in name_of]
    seeds = st.radio(
        "2. Which real NG of this workspace did it learn from?",
        [key for key in _SEEDS if real or key != "named"],
        index=0 if named else None,
        format_func=_SEEDS.get,
        key=f"foreign-seeds-{at}",
        horizontal=True,
        help="Whether it was trained on them, adapted to them, or copied a defect out of them",
    )
    picked: list[str] = []
    if seeds == "named":
        picked = st.multiselect("These", list(name_of), named, format_func=name_of.get, key=f"foreign-picked-{at}")
    backgrounds = st.radio(
        "3. What is behind the defects?",
        list(_BACKGROUNDS),
        index=None,
        format_func=_BACKGROUNDS.get,
        key=f"foreign-backgrounds-{at}",
    )
    in_bank = _asked_in_bank(foreign, good, backgrounds, at)
    by = st.text_input("Answered by", key=f"foreign-by-{at}", help="Your name as you type it; it is kept unverified")
    answered = all((generator.strip(), seeds, picked or seeds != "named", backgrounds, in_bank, by.strip()))
    if not answered:
        return None
    return Lineage(
        generator=generator.strip(),
        seeds=seeds,
        seed_ng=tuple(sorted(picked)),
        backgrounds=backgrounds,
        in_bank=in_bank,
        asked=tuple(sorted(name_of)),
        by=by.strip(),
    )


def _asked_in_bank(foreign: ForeignSet, good: Sequence[ImageRecord], backgrounds: str | None, at: str) -> str | None:
    """Asked only where the ledger cannot know it."""
    if backgrounds is None:
        return None
    roles = roles_of(foreign, good)
    if backgrounds == "edited" and roles.total() == len(foreign.entries):
        return "yes" if roles["memory_bank"] else "no"
    which = "Were those good parts" if backgrounds == "edited" else "Were the good parts that it learnt from"
    return st.radio(
        f"4. {which} in the memory bank?",
        list(_IN_BANK),
        index=None,
        format_func=_IN_BANK.get,
        key=f"foreign-bank-{backgrounds}-{at}",
        horizontal=True,
        help="What the memory bank knows scores too low",
    )
