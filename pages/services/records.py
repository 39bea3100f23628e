"""Signed records: canonical JSON, appended to a table that refuses changes, each naming the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

from ias_core.errors import IasError
from pages.services.workspace import Workspace

MEANINGS = ("calibrated", "reviewed", "approved")

_SCHEMA = (
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


def canonical(body: dict[str, Any]) -> str:
    """One text for one content: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sign(
    ws: Workspace, *, name: str, meaning: str, reason: str, decision: str, report: dict[str, Any], now: str
) -> dict[str, Any]:
    """Append a signed record and return it with its hash.

    The name is typed and checked by nobody: the record says "unverified".

    Raises
    ------
    IasError
        Empty name or reason, or a meaning that is not one of ``MEANINGS``.
    """
    if not name.strip() or not reason.strip():
        raise IasError("a signature needs a name and a reason: fill in both")
    if meaning not in MEANINGS:
        raise IasError(f"expected one of {', '.join(MEANINGS)}, got {meaning!r}")
    with ws.transaction() as db:
        _ensure_table(db)
        last = db.execute("SELECT sha256 FROM records ORDER BY id DESC LIMIT 1").fetchone()
        body = {
            "schema": "ng0-record/1",
            "signed_by": name.strip(),
            "identity": "typed, unverified",
            "meaning": meaning,
            "reason": reason.strip(),
            "signed_at": now,
            "decision": decision,
            "report": report,
            "previous": last["sha256"] if last else None,
        }
        text = canonical(body)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        db.execute("INSERT INTO records (sha256, body) VALUES (?, ?)", (sha256, text))
    return body | {"sha256": sha256}


def signed_records(ws: Workspace) -> tuple[dict[str, Any], ...]:
    """All records, oldest first, each with its stored hash under "sha256"."""
    with ws.transaction() as db:
        _ensure_table(db)
        rows = db.execute("SELECT sha256, body FROM records ORDER BY id").fetchall()
    return tuple(json.loads(row["body"]) | {"sha256": row["sha256"]} for row in rows)


def last_signed(ws: Workspace) -> dict[str, Any] | None:
    records = signed_records(ws)
    return records[-1] if records else None


def _ensure_table(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        db.execute(statement)
