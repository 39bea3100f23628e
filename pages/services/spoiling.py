"""What may not verify: a picture that touched detector, generator or threshold, or any copy of one.

Copies are known by their grain and not by their names, see ``ias_core.twins``.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ias_core import twins
from ias_core.folders import OK
from pages.services.made_pictures import MadePicture, made_pictures
from pages.services.prints import load_prints
from pages.services.workspace import Workspace

SPOILS_VERIFICATION = ("generator_seed", "threshold_ng")
MADE = "made"
_DONE = {
    "generator_seed": "has seeded a generator",
    "threshold_ng": "has set a threshold",
    OK: "is one of the good parts that detector and thresholds rest on",
}
_OF_ONE_PART = 8
Moment = tuple[int, int]  # how long history and list of made pictures were when they were looked at


@dataclass(frozen=True, slots=True)
class Spoiler:
    """Why a picture may not verify: ``what`` the picture ``name``, itself or a copy of it, was or did.

    what : of SPOILS_VERIFICATION, OK, or MADE, where ``name`` is the method
    """

    name: str
    what: str

    def sentence(self, of: str) -> str:
        """Why ``of``, as the user calls it, is refused."""
        if self.what == MADE:
            why = f"it shows the same picture as a synthetic NG made here ({self.name})"
        else:
            why = f"{self.name}, the same picture or a near twin of it, {_DONE[self.what]}"
        return f"{of} cannot be used for verification: {why}; take a picture the detector has never seen."


def moment(db: sqlite3.Connection) -> Moment:
    """Where history and list of made pictures end."""
    last = db.execute("SELECT coalesce(max(id), 0) FROM history").fetchone()[0]
    return last, db.execute("SELECT count(*) FROM made").fetchone()[0]


def spoiling_pictures(
    ws: Workspace, sha256s: Sequence[str], new_prints: Sequence[twins.Print] | None = None
) -> tuple[dict[str, Spoiler], Moment]:
    """Which of these may not be verification, and why; and what was looked at.

    ``new_prints`` are those of pictures not stored yet: what they share with the dataset of now is for the caller to
    look for, as intake does.  The search takes seconds, so it holds no lock.
    """
    with ws.transaction() as db:
        seen = moment(db)
        spoiling = _spoiling(db)
        records = {row["sha256"]: row for row in db.execute('SELECT sha256, name, label, "group" FROM images')}
        made = made_pictures(db) if sha256s else []
    if not sha256s:
        return {}, seen
    was_made = {one.sha256: Spoiler(one.method, MADE) for one in made}
    known = was_made | spoiling
    found = {sha: known[sha] for sha in sha256s if sha in known}
    if new_prints is None:
        _look_in_groups(found, sha256s, records, spoiling)
    left = [i for i, sha in enumerate(sha256s) if sha not in found]
    if not left or not known:
        return found, seen
    ours = load_prints(ws, [sha256s[i] for i in left]) if new_prints is None else [new_prints[i] for i in left]
    for names, theirs in [(list(spoiling), load_prints(ws, list(spoiling))), *_batches(made)]:
        for k, j in twins.find_twins(ours, theirs):
            found.setdefault(sha256s[left[k]], known[names[j]])
    return found, seen


def _batches(made: Sequence[MadePicture]) -> list[tuple[list[str], list[twins.Print]]]:
    """Few of one good part in each: what looks like many pictures is taken for layout (``ias_core.registration``)."""
    batches: dict[int, list[MadePicture]] = {}
    of_part: Counter[str] = Counter()
    for one in made:
        part = one.parents[0] if one.parents else one.sha256
        batches.setdefault(of_part[part] // _OF_ONE_PART, []).append(one)
        of_part[part] += 1
    return [([one.sha256 for one in batch], [one.print for one in batch]) for batch in batches.values()]


def _spoiling(db: sqlite3.Connection) -> dict[str, Spoiler]:
    rows = db.execute("SELECT sha256, name, role FROM history WHERE role IN (?, ?) ORDER BY id", SPOILS_VERIFICATION)
    return {row["sha256"]: Spoiler(row["name"], row["role"]) for row in rows}


def _look_in_groups(
    found: dict[str, Spoiler],
    sha256s: Sequence[str],
    records: Mapping[str, sqlite3.Row],
    spoiling: Mapping[str, Spoiler],
) -> None:
    """Near twins of the dataset share a group: no new search for them."""
    of_group: dict[str, Spoiler] = {}
    for sha, row in records.items():
        if sha in spoiling:
            of_group[row["group"]] = spoiling[sha]
        elif row["label"] == OK:
            of_group.setdefault(row["group"], Spoiler(row["name"], OK))
    for sha in sha256s:
        if sha in records and records[sha]["group"] in of_group:
            found.setdefault(sha, of_group[records[sha]["group"]])
