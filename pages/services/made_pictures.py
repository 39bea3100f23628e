"""Every synthetic NG this workspace ever wrote or took in, with what it was drawn from: none may ever verify.

The list is append-only, like the history of roles; the files themselves come and go with the runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ias_core import imaging
from ias_core.twins import Print, print_of
from pages.services.workspace import Workspace

SCHEMA = """
CREATE TABLE IF NOT EXISTS made (
    sha256 TEXT PRIMARY KEY, print BLOB NOT NULL, method TEXT NOT NULL, parents TEXT NOT NULL, made_at TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS made_is_kept BEFORE DELETE ON made
    BEGIN SELECT RAISE(ABORT, 'the list of made pictures is append-only'); END;
CREATE TRIGGER IF NOT EXISTS made_is_fixed BEFORE UPDATE ON made
    BEGIN SELECT RAISE(ABORT, 'the list of made pictures is append-only'); END;
CREATE TRIGGER IF NOT EXISTS made_is_not_replaced BEFORE INSERT ON made
    WHEN EXISTS (SELECT 1 FROM made WHERE sha256 = NEW.sha256)
    BEGIN SELECT RAISE(ABORT, 'the list of made pictures is append-only'); END;
"""


@dataclass(frozen=True, slots=True, eq=False)
class MadePicture:
    """A synthetic NG, by the content of its file.

    parents : sha256 of what it was drawn from: the good part below it first, where it is known, then real NG
    made_at : ISO 8601, UTC; when it was registered
    """

    sha256: str
    print: Print
    method: str
    parents: tuple[str, ...]
    made_at: str = ""


def of_files(paths: Sequence[Path], method: str, parents: Sequence[Sequence[str]]) -> list[MadePicture]:
    """Made pictures from their files; ``parents`` of each, where "" stands for one that is not known."""

    def one(path: Path, drawn_from: Sequence[str]) -> MadePicture:
        data = imaging.read_bytes(path)
        known = tuple(sha for sha in drawn_from if sha)
        return MadePicture(hashlib.sha256(data).hexdigest(), print_of(imaging.decode(data)), method, known)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the decoders work outside the interpreter's lock
        return list(pool.map(one, paths, parents))


def register(ws: Workspace, pictures: Sequence[MadePicture]) -> None:
    """Put made pictures on the list, all in one step; those that are on it stay as they are."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    rows = {one.sha256: (one.sha256, one.print.to_bytes(), one.method, json.dumps(one.parents), at) for one in pictures}
    with ws.transaction() as db:
        known = {row["sha256"] for row in db.execute("SELECT sha256 FROM made")}
        db.executemany(
            "INSERT INTO made (sha256, print, method, parents, made_at) VALUES (?, ?, ?, ?, ?)",
            [row for sha, row in rows.items() if sha not in known],
        )


def made_pictures(db: sqlite3.Connection) -> list[MadePicture]:
    """The list, in the order it was written."""
    return [
        MadePicture(
            row["sha256"],
            Print.from_bytes(row["print"]),
            row["method"],
            tuple(json.loads(row["parents"])),
            row["made_at"],
        )
        for row in db.execute("SELECT * FROM made ORDER BY rowid")
    ]
