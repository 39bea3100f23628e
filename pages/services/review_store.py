"""Rounds of blind review and every decision in them: appended to tables that refuse changes, on disk before shown.

A round freezes its pictures, so that all reviewers judge the same ones whatever happens to the settings meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ias_core.errors import IasError
from pages.services.workspace import Workspace

Kind = Literal["ok", "synthetic", "real"]
KINDS: tuple[Kind, ...] = ("ok", "synthetic", "real")
VERDICTS = ("OK", "NG", "cannot tell")
LOOKS = ("real", "made", "")  # "" where the reviewer skipped the question
_JUDGED, _WITHDRAWN, _ENDED = "judged", "withdrawn", "ended"
_WHOLE_ROUND = ""  # stands in the place of an item where a reviewer ends the round

_TABLES = (
    "CREATE TABLE IF NOT EXISTS review_rounds (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS reviews (id INTEGER PRIMARY KEY AUTOINCREMENT, reviewer TEXT NOT NULL, "
    "round INTEGER NOT NULL, item TEXT NOT NULL, sequence INTEGER NOT NULL, action TEXT NOT NULL, "
    "verdict TEXT NOT NULL, look TEXT NOT NULL, at TEXT NOT NULL, UNIQUE (reviewer, round, item, sequence))",
)
# REPLACE deletes without asking the trigger on DELETE, so what is there already is refused by its keys.
_THERE = {
    "review_rounds": "number = NEW.number",
    "reviews": "id = NEW.id OR (reviewer, round, item, sequence) = (NEW.reviewer, NEW.round, NEW.item, NEW.sequence)",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to judge.

    key    : sha256 of a real picture, ``quality.picture_id`` of a synthetic NG
    kind   : Kind
    name   : what the engineer calls it; never shown while reviewing
    method : of a synthetic NG, else ""
    """

    key: str
    kind: Kind
    name: str
    method: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """Pictures that every reviewer judges, each in an order of their own.

    number    : 1, 2, ...
    at        : ISO time it began
    seed      : of the choice and of the orders
    made_from : what detector and synthetic NG were made from, without filters; see ``review_state.made_from``
    items     : in no meaningful order
    """

    number: int
    at: str
    seed: int
    made_from: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision that stands."""

    verdict: str
    look: str
    at: str


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What one reviewer has done in a round.

    choices   : item -> Choice, in the order they were made; withdrawn ones are not among them
    sequences : item -> number of entries about it so far
    ended     : ISO time at which the results were opened to this reviewer, "" while blind
    """

    name: str
    choices: dict[str, Choice]
    sequences: dict[str, int]
    ended: str


def reviewer_name(typed: str) -> str:
    """A typed name in one spelling: no spaces around or doubled, one Unicode form.

    Raises
    ------
    IasError
        If nothing is left.

    Examples
    --------
    >>> reviewer_name("  Anna   Groß ")
    'Anna Groß'
    """
    name = " ".join(unicodedata.normalize("NFC", typed).split())
    if not name or len(name) > 80:
        raise IasError("a review needs the reviewer's name, 1 to 80 characters: type it and begin again")
    return name


def open_round(ws: Workspace, items: Sequence[Item], *, seed: int, made_from: str, after: int = 0, now: str) -> Round:
    """Freeze the pictures of a new round and make it the current one.

    ``after``: number of the round that was current when it was asked for, 0 for none. Where another tab or a double
    click was faster, its round is the answer and no second one begins.

    Raises
    ------
    IasError
        No pictures, or the same one twice.
    """
    keys = [item.key for item in items]
    if not keys or len(set(keys)) < len(keys):
        raise IasError(f"a review needs different pictures, got {len(keys)} of which {len(set(keys))} differ")
    body = {"at": now, "seed": seed, "made_from": made_from, "items": [asdict(item) for item in items]}
    with ws.transaction(durable=True) as db:
        _ensure_tables(db)
        newest = _newest(db)
        if newest is not None and newest.number != after:
            return newest
        done = db.execute("INSERT INTO review_rounds (body) VALUES (?)", (json.dumps(body),))
        return _round(done.lastrowid, body)


def current_round(ws: Workspace) -> Round | None:
    """The newest round, or None before the first."""
    with ws.transaction() as db:
        _ensure_tables(db)
        return _newest(db)


def reviewers(ws: Workspace, number: int) -> tuple[Reviewer, ...]:
    """Everyone who judged something in a round, or ended it; in the order they came."""
    with ws.transaction() as db:
        _ensure_tables(db)
        rows = db.execute("SELECT * FROM reviews WHERE round = ? ORDER BY id", (number,)).fetchall()
    found: dict[str, Reviewer] = {}
    for row in rows:
        one = found.setdefault(row["reviewer"], Reviewer(row["reviewer"], {}, {}, ""))
        if row["action"] == _ENDED:
            found[one.name] = replace(one, ended=row["at"])
            continue
        one.sequences[row["item"]] = row["sequence"]
        one.choices.pop(row["item"], None)
        if row["action"] == _JUDGED:
            one.choices[row["item"]] = Choice(row["verdict"], row["look"], row["at"])
    return tuple(found.values())


def known_as(ws: Workspace, number: int, typed: str) -> str:
    """The name as this reviewer wrote it first in this round; capitals make no other person."""
    name = reviewer_name(typed)
    same = (one.name for one in reviewers(ws, number) if one.name.casefold() == name.casefold())
    return next(same, name)


def save(
    ws: Workspace, *, reviewer: str, number: int, item: str, sequence: int, verdict: str, look: str, now: str
) -> bool:
    """Store one decision; False if this very decision is there already, as after a double click.

    Parameters
    ----------
    item : str
        Key of an item of the round.
    sequence : int
        Number of this entry among the reviewer's entries about the item: 1, or two more for each withdrawal.
    verdict, look : str
        One of VERDICTS, one of LOOKS.

    Raises
    ------
    IasError
        A verdict, look or item that does not exist, a sequence out of turn, or a reviewer who has seen the results.
    """
    if verdict not in VERDICTS or look not in LOOKS:
        raise IasError(f"expected a verdict of {VERDICTS} and a look of {LOOKS}, got {verdict!r} and {look!r}")
    return _append(ws, _JUDGED, reviewer, number, item, sequence, now, verdict=verdict, look=look)


def withdraw(ws: Workspace, *, reviewer: str, number: int, item: str, sequence: int, now: str) -> bool:
    """Take a decision back by an entry of its own; as ``save``. What was withdrawn stays on record."""
    return _append(ws, _WITHDRAWN, reviewer, number, item, sequence, now)


def end(ws: Workspace, *, reviewer: str, number: int, now: str) -> bool:
    """From here on this reviewer is not blind: results are shown, and no decision is taken any more."""
    return _append(ws, _ENDED, reviewer, number, _WHOLE_ROUND, 1, now)


def _append(
    ws: Workspace,
    action: str,
    reviewer: str,
    number: int,
    item: str,
    sequence: int,
    now: str,
    *,
    verdict: str = "",
    look: str = "",
) -> bool:
    if reviewer != reviewer_name(reviewer):
        raise IasError(f"expected a reviewer's name in one spelling, got {reviewer!r}: use reviewer_name first")
    with ws.transaction(durable=True) as db:
        _ensure_tables(db)
        if action != _ENDED and item not in _keys(db, number):
            raise IasError("this picture is not part of the round: open the page again")
        so_far = db.execute(
            "SELECT coalesce(max(sequence), 0) FROM reviews WHERE (reviewer, round, item) = (?, ?, ?)",
            (reviewer, number, item),
        ).fetchone()[0]
        if 1 <= sequence <= so_far:
            return False
        if sequence != so_far + 1 or (action != _ENDED and (sequence % 2 == 1) != (action == _JUDGED)):
            raise IasError("this decision does not follow on what is stored: open the page again")
        over = "SELECT 1 FROM reviews WHERE (reviewer, round, item) = (?, ?, ?)"
        if action != _ENDED and db.execute(over, (reviewer, number, _WHOLE_ROUND)).fetchone():
            raise IasError(f"{reviewer} has seen the results of this round and is no longer blind: begin a new round")
        db.execute(
            "INSERT INTO reviews (reviewer, round, item, sequence, action, verdict, look, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (reviewer, number, item, sequence, action, verdict, look, now),
        )
    return True


def _newest(db: sqlite3.Connection) -> Round | None:
    row = db.execute("SELECT number, body FROM review_rounds ORDER BY number DESC LIMIT 1").fetchone()
    return _round(row["number"], json.loads(row["body"])) if row else None


def _keys(db: sqlite3.Connection, number: int) -> set[str]:
    row = db.execute("SELECT body FROM review_rounds WHERE number = ?", (number,)).fetchone()
    return {item["key"] for item in json.loads(row["body"])["items"]} if row else set()


def _round(number: int, body: dict[str, Any]) -> Round:
    return Round(number, body["at"], body["seed"], body["made_from"], tuple(Item(**item) for item in body["items"]))


def _ensure_tables(db: sqlite3.Connection) -> None:
    for statement in _TABLES:
        db.execute(statement)
    for table, there in _THERE.items():
        for event, when in (
            ("UPDATE", ""),
            ("DELETE", ""),
            ("INSERT", f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {there})"),
        ):
            db.execute(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{event.lower()} BEFORE {event} ON {table} {when} "
                "BEGIN SELECT RAISE(ABORT, 'reviews are append-only'); END"
            )
