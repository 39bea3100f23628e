"""Sets made elsewhere with the answers to their questions: admitted, read back, removed.

The settings name a set by the digest of its content and its answers: ``images/foreign-<digest>.json``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ias_core.errors import IasError, ImageRefused
from ias_core.folders import NG
from ias_core.imaging import read_bytes
from pages.services.artifacts import digest_of
from pages.services.foreign_lineage import Lineage, barred, teachers, unanswered
from pages.services.foreign_set import ForeignSet, forget, load
from pages.services.ledger import ImageRecord, Ledger
from pages.services.workspace import Workspace

PREFIX = "imported-"
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Imported:
    """A set with its answers; ``digest`` names both."""

    digest: str
    set: ForeignSet
    lineage: Lineage


def key_of(name: str) -> str:
    """Key of a set among the synthetic NG, from what the user calls it.

    Examples
    --------
    >>> key_of("LoRA crack 2")
    'imported-lora-crack-2'
    """
    plain = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", name).lower())[:_LONGEST_NAME].strip("-")
    if not plain:
        raise IasError(f"expected a name with letters or digits for the set, got {name!r}")
    return PREFIX + plain


def admit(ws: Workspace, foreign: ForeignSet, lineage: Lineage) -> str:
    """Give the real NG that taught the generator their role, and keep the answers; returns the digest.

    Raises
    ------
    IasError
        A named NG is not in the dataset any more. Then nothing is kept.
    """
    ledger = Ledger(ws)
    real = ledger.records(label=NG)
    gone = len({*lineage.seed_ng} - {record.sha256 for record in real})
    if gone:
        raise IasError(f"{gone} of the named NG are not in the dataset any more: answer the questions again")
    seeds = [r.sha256 for r in teachers(real, foreign, lineage) if r.role != "generator_seed"]
    if seeds:
        why = f"taught {lineage.generator.strip()}, which made the imported set {foreign.name}"
        ledger.assign(seeds, "generator_seed", by=lineage.by.strip(), why=why)
    digest = _digest(foreign.digest, lineage)
    answers = asdict(lineage) | {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    text = json.dumps({"set": foreign.digest, "lineage": answers}, ensure_ascii=False)
    _path(ws, digest).write_text(text, encoding="utf-8")
    return digest


def imported(ws: Workspace, digest: str) -> Imported:
    """A set that was admitted.

    Raises
    ------
    IasError
        It is gone from the workspace, or was changed there.
    """
    path = _path(ws, digest)
    try:
        values = json.loads(read_bytes(path))
        lineage = Lineage(**{key: tuple(v) if isinstance(v, list) else v for key, v in values["lineage"].items()})
        unchanged = _digest(values["set"], lineage) == digest
    except (ImageRefused, ValueError, TypeError, KeyError) as error:
        raise IasError(f"the answers on the imported set {digest[:8]} cannot be read: import it again") from error
    if not unchanged:
        raise IasError(f"the answers on the imported set {digest[:8]} were changed in the workspace: import it again")
    return Imported(digest, load(ws, values["set"]), lineage)


def remove(ws: Workspace, digest: str, others: Sequence[str]) -> None:
    """Delete the pictures, unless one of the other imported sets (digests) shows the same; answers and roles stay."""
    content = _content(ws, digest)
    if content:
        discard(ws, content, others)


def discard(ws: Workspace, content: str, imported: Sequence[str]) -> None:
    """Delete a set (its own digest) that was taken and that none of the imported ones (digests) shows."""
    if content not in {_content(ws, digest) for digest in imported}:
        forget(ws, content)


def _content(ws: Workspace, digest: str) -> str:
    """Digest of the set alone; "" where nothing is known of it any more."""
    try:
        return json.loads(read_bytes(_path(ws, digest)))["set"]
    except (IasError, ValueError, TypeError, KeyError):
        return ""


def _digest(content: str, lineage: Lineage) -> str:
    """Of set and answers; who answered, and when, moves no score."""
    answers = asdict(lineage)
    del answers["by"], answers["at"]
    return digest_of(content, answers)


def _path(ws: Workspace, digest: str) -> Path:
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise IasError(f"setting imported: expected the digest of an imported set, 64 hex digits, got {digest!r}")
    return ws.images / f"foreign-{digest}.json"


def that_may_count(ws: Workspace, sets: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the sets (name -> digest) that their answers do not bar; one that cannot be read is left out."""
    return tuple(name for name, one in _readable(ws, sets).items() if not barred(ws, one.set, one.lineage))


def nobody_was_asked_about(ws: Workspace, sets: Mapping[str, str]) -> list[ImageRecord]:
    """Real NG free to verify, of which no answer says whether they taught one of these sets."""
    real = Ledger(ws).records(role="verification_ng")
    found = {record.sha256: record for one in _readable(ws, sets).values() for record in unanswered(real, one.lineage)}
    return list(found.values())


def _readable(ws: Workspace, sets: Mapping[str, str]) -> dict[str, Imported]:
    found = {}
    for name, digest in sets.items():
        with suppress(IasError):
            found[name] = imported(ws, digest)
    return found
