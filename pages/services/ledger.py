"""The ledger: which picture has which role, and which roles it ever had.

A picture has one role at a time.  The history is append-only and outlives the dataset, so that a picture that
taught a generator or set the threshold can never come back as an impartial witness, under whatever name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from ias_core.errors import RoleConflict
from ias_core.folders import NG, OK
from ias_core.twins import Print
from pages.services import made_pictures
from pages.services.prints import load_prints
from pages.services.spoiling import SPOILS_VERIFICATION, moment, spoiling_pictures
from pages.services.workspace import Workspace

ROLES = (
    "memory_bank",
    "calibration_ok",
    "check_ok",
    "generator_seed",
    "threshold_ng",
    "verification_ng",
)
_LABEL_OF_ROLE = {
    "memory_bank": OK,
    "calibration_ok": OK,
    "check_ok": OK,
    "threshold_ng": NG,
    "verification_ng": NG,
}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, label TEXT NOT NULL, kind TEXT NOT NULL,
    part TEXT, mask_path TEXT, width INTEGER NOT NULL, height INTEGER NOT NULL, "group" TEXT NOT NULL,
    role TEXT, session TEXT NOT NULL DEFAULT '', added_by TEXT NOT NULL DEFAULT '', added_at TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS prints (sha256 TEXT PRIMARY KEY, print BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, sha256 TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
    by TEXT NOT NULL, why TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS history_by_picture ON history (sha256);
CREATE TRIGGER IF NOT EXISTS history_is_kept BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER IF NOT EXISTS history_is_fixed BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
CREATE TRIGGER IF NOT EXISTS history_is_not_replaced BEFORE INSERT ON history
    WHEN EXISTS (SELECT 1 FROM history WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One picture of the dataset.

    sha256        : of the file's content, the key everywhere
    name, path    : what the user calls it, and where it lies
    label         : "ok" or "ng"
    kind          : of defect; "good" for OK
    part          : "train" or "test" of an MVTec-style tree, else None
    mask_path     : ground truth of an NG, or None
    width, height : px, upright
    group         : the same for near twins: no split and no leave-one-out may part them
    role          : one of ROLES, or None as long as it has none
    session       : shift, lot or day it was taken in, "" if unknown; see ``pages.services.sessions``
    added_by, added_at : who added it, and when (ISO 8601, UTC); "" in a dataset from before they were kept
    """

    sha256: str
    name: str
    path: Path
    label: str
    kind: str
    part: str | None
    mask_path: Path | None
    width: int
    height: int
    group: str
    role: str | None
    session: str = ""
    added_by: str = ""
    added_at: str = ""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One role a picture was given; ``at`` is ISO 8601, UTC."""

    at: str
    sha256: str
    name: str
    role: str
    by: str
    why: str


class Ledger:
    """Roles of the workspace's pictures.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        with ws.transaction() as db:
            for statement in _statements(_SCHEMA + made_pictures.SCHEMA):
                db.execute(statement)
            columns = {row["name"] for row in db.execute("PRAGMA table_info(images)")}
            for name in ("session", "added_by", "added_at"):  # a workspace from before these were kept
                if name not in columns:
                    db.execute(f"ALTER TABLE images ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")

    def records(self, label: str | None = None, role: str | None = None) -> tuple[ImageRecord, ...]:
        """Pictures of the dataset, sorted by name; of one label or one role if asked."""
        with self._ws.transaction() as db:
            rows = db.execute(
                "SELECT * FROM images WHERE (?1 IS NULL OR label = ?1) AND (?2 IS NULL OR role = ?2) "
                "ORDER BY name, sha256",
                (label, role),
            ).fetchall()
        return tuple(_record(row) for row in rows)

    def history(self, sha256: str) -> tuple[HistoryEntry, ...]:
        """Every role this content ever had in this workspace, oldest first."""
        with self._ws.transaction() as db:
            rows = db.execute("SELECT * FROM history WHERE sha256 = ? ORDER BY id", (sha256,)).fetchall()
        return tuple(HistoryEntry(**{f.name: row[f.name] for f in fields(HistoryEntry)}) for row in rows)

    def assign(self, sha256s: Iterable[str], role: str, *, by: str, why: str) -> None:
        """Give pictures a role: all of them or, if one may not have it, none.

        Parameters
        ----------
        sha256s : iterable of str
        role : str
            One of ROLES.
        by, why : str
            Who decided it, and for what reason; kept in the history.

        Raises
        ------
        RoleConflict
            If a picture is not in the dataset, is of the other label, or, for ``verification_ng``, it or a
            copy of it ever seeded a generator or set a threshold, is a good part, or was made here.  Also if a
            picture is to seed or set while a near twin of it stands as verification.
        """
        self.assign_many({role: list(sha256s)}, by=by, why=why)

    def assign_many(self, sha256s_of_role: dict[str, list[str]], *, by: str, why: str) -> None:
        """`assign` for several roles in one step: all of it or none."""
        wanted = {sha: role for role, shas in sha256s_of_role.items() for sha in shas}
        witnesses = [sha for sha, role in wanted.items() if role == "verification_ng"]
        spoilt, seen = spoiling_pictures(self._ws, witnesses)
        with self._ws.transaction() as db:
            if moment(db) != seen:
                raise RoleConflict("Another process changed a role or made pictures at the same moment; try again.")
            known = {row["sha256"]: _record(row) for row in db.execute("SELECT * FROM images")}
            for role, shas in sha256s_of_role.items():
                _check_labels(shas, role, known)
            for sha, spoiler in spoilt.items():
                raise RoleConflict(spoiler.sentence(known[sha].name))
            _check_witnesses(wanted, known)
            at = datetime.now(UTC).isoformat(timespec="seconds")
            db.executemany("UPDATE images SET role = ? WHERE sha256 = ?", [(r, s) for s, r in wanted.items()])
            db.executemany(
                "INSERT INTO history (at, sha256, name, role, by, why) VALUES (?, ?, ?, ?, ?, ?)",
                [(at, sha, known[sha].name, role, by, why) for sha, role in wanted.items()],
            )

    def prints(self, sha256s: Sequence[str]) -> list[Print]:
        """Prints of pictures that are, or once were, in a dataset of this workspace."""
        return load_prints(self._ws, sha256s)


def _check_labels(sha256s: list[str], role: str, known: dict[str, ImageRecord]) -> None:
    if role not in ROLES:
        raise RoleConflict(f"Expected one of the roles {', '.join(ROLES)}, but got {role!r}.")
    for sha in sha256s:
        if sha not in known:
            raise RoleConflict(f"The picture {sha[:12]} is not in the dataset; import it first.")
        label = _LABEL_OF_ROLE.get(role, known[sha].label)
        if known[sha].label != label:
            raise RoleConflict(
                f"{known[sha].name} is labelled {known[sha].label.upper()}, and the role {role} is for "
                f"{label.upper()} pictures; correct the folder it lies in, or choose another role."
            )


def _check_witnesses(wanted: dict[str, str], known: dict[str, ImageRecord]) -> None:
    """No picture may begin to teach or to set while a near twin stays behind as verification."""
    for sha, role in wanted.items():
        if role not in SPOILS_VERIFICATION:
            continue
        for other in known.values():
            stays = wanted.get(other.sha256, other.role) == "verification_ng"
            if stays and other.group == known[sha].group and other.sha256 != sha:
                raise RoleConflict(
                    f"{known[sha].name} cannot be {role} while its near twin {other.name} is verification; "
                    "give both the same role."
                )


def _record(row: sqlite3.Row) -> ImageRecord:
    values = {f.name: row[f.name] for f in fields(ImageRecord)}
    values["path"] = Path(values["path"])
    values["mask_path"] = Path(values["mask_path"]) if values["mask_path"] else None
    return ImageRecord(**values)


def _statements(script: str) -> list[str]:
    """One by one, because ``executescript`` would commit the transaction it is called in."""
    found, so_far = [], ""
    for line in script.splitlines(keepends=True):
        so_far += line
        if sqlite3.complete_statement(so_far):
            found.append(so_far)
            so_far = ""
    return found
