"""The ways in which the part can fail: a small PFMEA list that the engineer keeps, each line saved when it is made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ias_core.errors import IasError
from pages.services.ledger import NG, Ledger
from pages.services.workspace import Workspace

SEVERITIES = range(1, 11)  # of a PFMEA: 1 nobody notices, 10 somebody is hurt
LONGEST_NAME = 80
IN_NO_MODE = "in no failure mode"  # the row of NG whose kind belongs to none, so no mode may be called so

_SCHEMA = "CREATE TABLE IF NOT EXISTS failure_modes (name TEXT PRIMARY KEY, body TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode.

    name     : as the PFMEA calls it
    severity : 1 to 10, None where nobody has rated it yet
    kinds    : of real NG that show it, as the ledger names them
    methods  : of synthesis that stand for it, by key
    note     : whatever belongs beside it
    """

    name: str
    severity: int | None = None
    kinds: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name != " ".join(self.name.split()) or len(self.name) > LONGEST_NAME:
            raise IasError(
                f"A failure mode needs a name on one line, of at most {LONGEST_NAME} characters and with no space at "
                f"its ends, but got {self.name!r}; give it one."
            )
        if self.severity is not None and self.severity not in SEVERITIES:
            raise IasError(f"The severity of {self.name!r} goes from 1 to 10, but got {self.severity!r}; choose again.")


def modes(ws: Workspace) -> tuple[Mode, ...]:
    """Every failure mode, in the order in which they were added."""
    with ws.transaction() as db:
        return _stored(db)


def add_modes(ws: Workspace, new: Sequence[Mode]) -> None:
    """Add failure modes: all of them or, if one cannot be, none.

    Raises
    ------
    IasError
        If a name is taken, or a kind belongs to another mode: a part shows one thing once.
    """
    with ws.transaction() as db:
        known = _stored(db)
        for mode in new:
            _check_beside(mode, known)
            known = (*known, mode)
            db.execute("INSERT INTO failure_modes (name, body) VALUES (?, ?)", (mode.name, _body(mode)))


def change_mode(ws: Workspace, was: Mode, now: Mode) -> None:
    """Put ``now`` in the place of ``was``.

    Raises
    ------
    IasError
        As ``add_modes``; also if ``was`` no longer stands there, because another tab changed it.
    """
    with ws.transaction() as db:
        known = _stored(db)
        _check_still_there(was, known)
        _check_beside(now, tuple(mode for mode in known if mode != was))
        db.execute("UPDATE failure_modes SET name = ?, body = ? WHERE name = ?", (now.name, _body(now), was.name))


def remove_mode(ws: Workspace, was: Mode) -> None:
    """Take a failure mode off the list; its NG stay where they are.

    Raises
    ------
    IasError
        If it no longer stands there as it was.
    """
    with ws.transaction() as db:
        _check_still_there(was, _stored(db))
        db.execute("DELETE FROM failure_modes WHERE name = ?", (was.name,))


def proposed(ws: Workspace) -> tuple[Mode, ...]:
    """A mode for each kind of real NG that belongs to none; pictures that came without a kind propose nothing."""
    listed = modes(ws)
    taken = {kind for mode in listed for kind in mode.kinds}
    names = {_key(mode.name) for mode in listed}
    kinds = sorted({record.kind for record in Ledger(ws).records(label=NG)} - taken - {NG})
    found = []
    for kind in kinds:
        name = " ".join(kind.replace("_", " ").split())[:LONGEST_NAME].strip()
        if name and _key(name) not in names:
            names.add(_key(name))
            found.append(Mode(name, kinds=(kind,)))
    return tuple(found)


def _stored(db: sqlite3.Connection) -> tuple[Mode, ...]:
    db.execute(_SCHEMA)
    bodies = [json.loads(row["body"]) for row in db.execute("SELECT body FROM failure_modes ORDER BY rowid")]
    return tuple(Mode(**body | {name: tuple(body[name]) for name in ("kinds", "methods")}) for body in bodies)


def _body(mode: Mode) -> str:
    return json.dumps(asdict(mode), ensure_ascii=False)


def _key(name: str) -> str:
    return name.casefold()


def _check_beside(mode: Mode, others: Sequence[Mode]) -> None:
    if _key(mode.name).startswith(IN_NO_MODE):
        raise IasError(f"{mode.name!r} is how the table calls NG without a mode; choose another name.")
    for other in others:
        if _key(other.name) == _key(mode.name):
            raise IasError(f"There is a failure mode {other.name!r} already; change that one, or choose another name.")
        if both := sorted(set(mode.kinds) & set(other.kinds)):
            raise IasError(
                f"NG of kind {both[0]!r} belong to {other.name!r} already, and a part counts once; take the kind out "
                "there first."
            )


def _check_still_there(was: Mode, known: Sequence[Mode]) -> None:
    if was not in known:
        raise IasError(f"{was.name!r} was changed or removed in another tab; look at it again, then change it.")
