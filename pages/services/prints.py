"""Prints of pictures as the workspace keeps them; those from before there were views are made anew if they can be."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ias_core import imaging
from ias_core.errors import ImageRefused
from ias_core.twins import Print, print_of
from pages.services.workspace import Workspace

QUERY_SIZE = 500  # SQLite takes at most 999 values in one statement on old builds


def load_prints(ws: Workspace, sha256s: Sequence[str]) -> list[Print]:
    """Prints of pictures that are, or once were, in a dataset of this workspace, in the order asked for.

    One without a view is replaced, for good, where its file is in the dataset, still lies there and did not change.
    """
    with ws.transaction() as db:
        found = _read(db, sha256s)
        old = [sha for sha, one in found.items() if not one.view]
        paths = dict(_rows(db, "SELECT sha256, path FROM images WHERE sha256 IN ({})", old))
    if paths:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the decoders work outside the interpreter's lock
            made = pool.map(_anew, paths, map(Path, paths.values()))
        fresh = {sha: one for sha, one in zip(paths, made, strict=True) if one is not None}
        with ws.transaction() as db:
            values = [(one.to_bytes(), sha) for sha, one in fresh.items()]
            db.executemany("UPDATE prints SET print = ? WHERE sha256 = ?", values)
        found |= fresh
    return [found[sha] for sha in sha256s]


def _anew(sha256: str, path: Path) -> Print | None:
    try:
        data = imaging.read_bytes(path)
        return print_of(imaging.decode(data)) if hashlib.sha256(data).hexdigest() == sha256 else None
    except ImageRefused:  # gone or no picture any more: the old print is what there is
        return None


def _read(db: sqlite3.Connection, sha256s: Sequence[str]) -> dict[str, Print]:
    rows = _rows(db, "SELECT sha256, print FROM prints WHERE sha256 IN ({})", sha256s)
    return {sha: Print.from_bytes(data) for sha, data in rows}


def _rows(db: sqlite3.Connection, statement: str, values: Sequence[str]) -> list[tuple]:
    found = []
    for start in range(0, len(values), QUERY_SIZE):
        part = list(values[start : start + QUERY_SIZE])
        found += [tuple(row) for row in db.execute(statement.format(",".join("?" * len(part))), part)]
    return found
