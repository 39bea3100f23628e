"""A chain of entries: canonical JSON, each naming the hash of the one before, in a table that refuses changes."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ias_core.errors import IasError

SCHEMA = "ng0-record/2"
CANNOT_DO = (
    "A hash chain shows that a record was changed, not that it was true. Whoever can rewrite the whole chain can forge "
    "it: keep the printed record hash elsewhere, on paper or in your quality system."
)

_TABLE = (
    "CREATE TABLE IF NOT EXISTS records "
    "(id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS records_no_update BEFORE UPDATE ON records "
    "BEGIN SELECT RAISE(ABORT, 'records are append-only'); END",
    # REPLACE deletes without asking the trigger on DELETE.
    "CREATE TRIGGER IF NOT EXISTS records_no_replace BEFORE INSERT ON records "
    "WHEN EXISTS (SELECT 1 FROM records WHERE id = NEW.id) "
    "BEGIN SELECT RAISE(ABORT, 'records are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS records_no_delete BEFORE DELETE ON records "
    "BEGIN SELECT RAISE(ABORT, 'records are append-only'); END",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its body, and the sha256 of the body's canonical text."""

    sha256: str
    body: dict[str, Any]


def canonical(value: Any) -> str:
    """One text for one content: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of(value: Any) -> str:
    """sha256 of the canonical text.

    Raises
    ------
    IasError
        A text in it is no Unicode (half of a surrogate pair).
    """
    try:
        return hashlib.sha256(canonical(value).encode()).hexdigest()
    except UnicodeEncodeError:
        raise IasError("expected text in Unicode, got half of a character: type it again") from None


def read(db: sqlite3.Connection) -> tuple[Entry, ...]:
    """All entries, oldest first, inside a transaction of the workspace."""
    for statement in _TABLE:
        db.execute(statement)
    rows = db.execute("SELECT sha256, body FROM records ORDER BY id").fetchall()
    return tuple(Entry(row["sha256"], json.loads(row["body"])) for row in rows)


def append(db: sqlite3.Connection, before: Sequence[Entry], body: dict[str, Any]) -> Entry:
    """Append one entry after ``before``, which is what ``read`` gave in this very transaction."""
    whole = body | {"schema": SCHEMA, "previous": before[-1].sha256 if before else None}
    entry = Entry(sha256_of(whole), whole)
    db.execute("INSERT INTO records (sha256, body) VALUES (?, ?)", (entry.sha256, canonical(whole)))
    return entry


def first_break(entries: Sequence[Entry]) -> str:
    """What is wrong with the first entry that does not fit; "" where all fit.

    Examples
    --------
    >>> body = {"kind": "note", "schema": SCHEMA, "previous": None}
    >>> first_break([Entry(sha256_of(body), body)]), first_break([Entry("0" * 64, body)])
    ('', 'entry 1 (note) was changed: its content does not have the hash that stands with it')
    """
    previous = None
    for number, entry in enumerate(entries, start=1):
        name = f"entry {number} ({entry.body.get('kind', 'signature of an older version')})"
        if sha256_of(entry.body) != entry.sha256:
            return f"{name} was changed: its content does not have the hash that stands with it"
        if entry.body.get("previous") != previous:
            return f"{name} does not follow the one before: an entry was removed, added or moved"
        previous = entry.sha256
    return ""
