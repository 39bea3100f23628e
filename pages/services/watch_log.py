"""Looks at the line as they were made, kept append-only in the workspace; and shots of challenge parts at release."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from calibration.challenge import ChallengePart, ChallengeResult, Limits
from calibration.drift import LOCATION, REJECTED, Change, DriftTest
from calibration.drift_power import Drift
from ias_core.errors import IasError
from pages.services.line_csv import UNREADABLE, LineScores, line_scores
from pages.services.line_watch import Look, Released, judged_parts, look, release_key
from pages.services.plain import plain
from pages.services.progress import Progress
from pages.services.record_file import read_record
from pages.services.workspace import Workspace

_RUN = ("window", "files", "times")  # long, and of no use in the history
_MOST = 200


def _append_only(table: str, columns: str) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
    return (
        f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        # REPLACE deletes without asking the trigger on DELETE.
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) {refuse}",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} {refuse}",
    )


_TABLES = (
    *_append_only("looks", "release TEXT NOT NULL, facts TEXT NOT NULL, run TEXT NOT NULL"),
    *_append_only("challenge_shots", "release TEXT NOT NULL, at TEXT NOT NULL, shots TEXT NOT NULL"),
)


@dataclass(frozen=True, slots=True)
class PastLook:
    """One look in the history.

    at : ISO time
    n : parts in its window
    median, median_before : of the parts below the threshold, in the window (None without one) and in the record
    rejected, rejected_before : share at or above the threshold
    up, down : smallest shifts that such a look sees; None if none
    challenge_alarms : challenge parts that failed
    """

    at: str
    source: str
    verdict: str
    n: int
    median: float | None
    median_before: float
    rejected: float
    rejected_before: float
    up: float | None
    down: float | None
    challenge_alarms: int


def keep(ws: Workspace, found: Look) -> None:
    """Append a look."""
    facts = plain(found)
    run = {key: facts.pop(key) for key in _RUN}
    with ws.transaction() as db:
        _ensure_tables(db)
        db.execute(
            "INSERT INTO looks (release, facts, run) VALUES (?, ?, ?)",
            (found.release, json.dumps(facts, ensure_ascii=False), json.dumps(run, ensure_ascii=False)),
        )


def look_and_keep(
    ws: Workspace,
    record: Released,
    scores: LineScores,
    *,
    challenge: LineScores | None,
    now: str,
    window: int | None,
    seed: int,
) -> Look:
    """A look with the limits that the workspace knows, kept before it is shown.

    Raises
    ------
    IntakeRefused, CalibrationError
        What ``look`` raises; nothing is kept then.
    """
    repeats = shots_at_release(ws, release_key(record))
    found = look(record, scores, now=now, challenge=challenge, repeats=repeats, window=window, seed=seed)
    keep(ws, found)
    return found


def newest(ws: Workspace, release: str) -> Look | None:
    """The last look at this release, or None."""
    with ws.transaction() as db:
        _ensure_tables(db)
        row = db.execute(
            "SELECT facts, run FROM looks WHERE release = ? ORDER BY id DESC LIMIT 1", (release,)
        ).fetchone()
    return None if row is None else _look(json.loads(row["facts"]) | json.loads(row["run"]))


def history(ws: Workspace, release: str) -> tuple[PastLook, ...]:
    """The newest 200 looks at this release, oldest first."""
    with ws.transaction() as db:
        _ensure_tables(db)
        rows = db.execute(
            "SELECT facts FROM looks WHERE release = ? ORDER BY id DESC LIMIT ?", (release, _MOST)
        ).fetchall()
    return tuple(_past(json.loads(row["facts"])) for row in reversed(rows))


def keep_shots(ws: Workspace, record: Released, shots: LineScores, *, now: str) -> int:
    """Keep shots of the challenge parts at release; returns how many parts have limits by them.

    Raises
    ------
    IntakeRefused, CalibrationError
        A row that is of no challenge part, or shots from which no limits follow.
    """
    judged = judged_parts(record, None, shots)
    rows = {"files": shots.files, "scores": shots.scores.tolist(), "source": shots.source}
    with ws.transaction() as db:
        _ensure_tables(db)
        db.execute(
            "INSERT INTO challenge_shots (release, at, shots) VALUES (?, ?, ?)",
            (release_key(record), now, json.dumps(rows, ensure_ascii=False)),
        )
    return sum(result.part.limits is not None for result in judged)


def shots_at_release(ws: Workspace, release: str) -> LineScores | None:
    """The shots kept last, or None."""
    with ws.transaction() as db:
        _ensure_tables(db)
        row = db.execute(
            "SELECT shots FROM challenge_shots WHERE release = ? ORDER BY id DESC LIMIT 1", (release,)
        ).fetchone()
    return None if row is None else line_scores(**json.loads(row["shots"]))


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Score folders with a record, look, keep the look. The job "watch".

    params : "record" (path of record.json), "images" (folder), "challenge" (folder, "" for none), "window" (int or
    None), "seed"
    """
    record = Path(params["record"])
    scores = scores_of_folder(record, Path(params["images"]), progress)
    challenge = scores_of_folder(record, Path(params["challenge"]), progress) if params["challenge"] else None
    signed = read_record(record)
    progress("look", 0, 1, "comparing with the record")
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    found = look_and_keep(
        ws, signed, scores, challenge=challenge, now=now, window=params["window"], seed=params["seed"]
    )
    return {"verdict": found.verdict}


def scores_of_folder(record: Path, images: Path, progress: Progress) -> LineScores:
    """Score pictures with a record, sorted by name, which is taken for their order in time.

    Raises
    ------
    IasError
        What ``score_folder`` raises, or no picture can be read.
    """
    from pages.services.line_score import score_folder  # with it comes torch

    rows = score_folder(record, images, progress=progress)
    scored = [row for row in rows if row.verdict != UNREADABLE]
    if not scored:
        raise IasError(f"expected pictures in {images}, none of {len(rows)} files can be read: {rows[0].reason}")
    return line_scores(
        images.name,
        [row.file for row in scored],
        [row.score for row in scored],
        verdicts=[row.verdict for row in scored],
        unreadable=len(rows) - len(scored),
    )


def _past(facts: dict[str, Any]) -> PastLook:
    changes = {change["key"]: change for change in facts["drift"]["test"]["changes"]}
    return PastLook(
        at=facts["at"],
        source=facts["source"],
        verdict=facts["verdict"],
        n=facts["drift"]["test"]["n_window"],
        median=changes[LOCATION]["window"],
        median_before=changes[LOCATION]["reference"],
        rejected=changes[REJECTED]["window"],
        rejected_before=changes[REJECTED]["reference"],
        up=facts["drift"]["up"],
        down=facts["drift"]["down"],
        challenge_alarms=sum(_result(one).alarm for one in facts["challenge"]),
    )


def _look(facts: dict[str, Any]) -> Look:
    test = facts["drift"]["test"]
    changes = tuple(Change(**change) for change in test["changes"])
    return Look(
        **facts
        | {
            "window": np.array(facts["window"], np.float64),
            "files": tuple(facts["files"]),
            "times": tuple(facts["times"]),
            "drift": Drift(**facts["drift"] | {"test": DriftTest(**test | {"changes": changes})}),
            "challenge": tuple(_result(one) for one in facts["challenge"]),
        }
    )


def _result(facts: dict[str, Any]) -> ChallengeResult:
    part = facts["part"]
    limits = None if part["limits"] is None else Limits(**part["limits"])
    return ChallengeResult(**facts | {"part": ChallengePart(**part | {"limits": limits})})


def _ensure_tables(db: sqlite3.Connection) -> None:
    for statement in _TABLES:
        db.execute(statement)
