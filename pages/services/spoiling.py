"""What may not verify: a picture that touched detector, generator or threshold, or any copy of one.

Copies are known by their grain and not by their names, see ``ias_core.twins``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ias_core import twins
from ias_core.folders import OK
from pages.services.made_pictures import made_pictures
from pages.services.prints import load_prints
from pages.services.workspace import Workspace

SPOILS_VERIFICATION = ("generator_seed", "threshold_ng")
MADE = "made"
_DONE = {
    "generator_seed": "has seeded a generator",
    "threshold_ng": "has set a threshold",
    OK: "is one of the good parts that detector and thresholds rest on",
}
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
            why = f"it shows the same picture as a synthetic NG made here ({self.name}), or the good part below it"
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
        groups = {row["sha256"]: row for row in db.execute('SELECT sha256, name, label, "group" FROM images')}
        made = made_pictures(db) if sha256s else []
        printed = {row["sha256"] for row in db.execute("SELECT sha256 FROM prints")} if made else set()
    if not sha256s:
        return {}, seen
    found: dict[str, Spoiler] = {}
    for sha in sha256s:
        if sha in spoiling:
            found[sha] = spoiling[sha]
    by_sha = {one.sha256: Spoiler(one.method, MADE) for one in made}
    found |= {sha: by_sha[sha] for sha in sha256s if sha in by_sha and sha not in found}
    if new_prints is None:
        _look_in_groups(found, sha256s, groups, spoiling)
    open_ = [i for i, sha in enumerate(sha256s) if sha not in found]
    # Copies of a good part of now were looked for when it, or the candidate, came in.
    canvases = {one.canvas: Spoiler(one.method, MADE) for one in made if one.canvas in printed - groups.keys()}
    own = [one for one in made if not one.canvas]
    if not open_ or not (spoiling or made):
        return found, seen
    ours = load_prints(ws, [sha256s[i] for i in open_]) if new_prints is None else [new_prints[i] for i in open_]
    known = {**spoiling, **canvases}
    theirs = [*load_prints(ws, list(known)), *(one.print for one in own)]
    why = [*known.values(), *(by_sha[one.sha256] for one in own)]
    for k, j in twins.find_twins(ours, theirs):
        found.setdefault(sha256s[open_[k]], why[j])
    on_canvas = [one for one in made if one.canvas]
    for k, j in twins.whole_twins(ours, [one.print for one in on_canvas]):
        found.setdefault(sha256s[open_[k]], by_sha[on_canvas[j].sha256])
    return found, seen


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
