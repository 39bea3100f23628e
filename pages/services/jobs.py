"""The job table on disk, and the one worker process that empties it.

A page submits a job and keeps only its id, so a refresh, a second tab and a second server see the same job.
Whether the worker lives is told by a file lock: the operating system frees it however the process ends, and
neither a laptop's sleep nor a long computation can make a living worker look dead, as a heartbeat would.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from ias_core.errors import IasError
from pages.services.workspace import Workspace

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
LOG_NAME = "worker.log"
WORKER_MODULE = "pages.services.worker"

_LOCK_NAME = "worker.lock"
_REPO_ROOT = Path(__file__).resolve().parents[2]
_INTERRUPTED = "The worker process ended while this job was running; start it again."
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    params TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    result TEXT,
    created REAL NOT NULL,
    started REAL,
    stage_started REAL,
    finished REAL
)
"""


class JobCancelled(Exception):
    """Raised inside a runner, by its ``progress``, once somebody asked to stop the job."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the job table, as it was when it was read.

    kind, params        what to run; ``params`` is what JSON gives back (tuples came in, lists come out)
    stage, done, total  where it stands: ``done`` of ``total`` steps of this stage, total 0 = not known
    message             a notice of the runner, e.g. that it went on on the CPU
    error               one sentence for the user if failed or interrupted, else ""
    result              what the runner returned if done, else None
    created, started, stage_started, finished : float or None
                        seconds since the epoch
    """

    id: int
    kind: str
    params: dict[str, Any]
    state: State
    stage: str
    done: int
    total: int
    message: str
    error: str
    result: dict[str, Any] | None
    created: float
    started: float | None
    stage_started: float | None
    finished: float | None

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs, so that looking again makes sense."""
        return self.state in ("queued", "running")


def eta_s(job: Job, now: float) -> float | None:
    """Seconds left in the job's present stage, if it goes on at its pace so far.

    Returns
    -------
    float or None
        None while nothing can be said: not running, no step done yet, or ``total`` not known.

    Examples
    --------
    >>> job = Job(1, "detector", {}, "running", "features", 20, 100, "", "", None, 0.0, 5.0, 10.0, None)
    >>> eta_s(job, now=15.0)                                   # 20 steps took 5 s, 80 are left
    20.0
    """
    if job.state != "running" or job.stage_started is None or job.done <= 0 or job.total <= 0:
        return None
    return max(0, job.total - job.done) * max(0.0, now - job.stage_started) / job.done


# --- what pages call ----------------------------------------------------------------------------------------


def submit(ws: Workspace, kind: str, params: Mapping[str, Any]) -> Job:
    """Queue a job, or return the one that already waits or runs with the same kind and parameters.

    ``params`` must be something JSON holds (TypeError otherwise).  Call :func:`ensure_worker` afterwards.
    A running job that was asked to stop does not count: who cancels and starts again gets a new job.
    """
    text = json.dumps(dict(params), sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()
    with _table(ws) as db:
        row = db.execute(
            "SELECT * FROM jobs WHERE digest = ? AND state IN ('queued', 'running') AND cancel_asked = 0",
            (digest,),
        ).fetchone()
        if row is None:
            new = db.execute(
                "INSERT INTO jobs (kind, params, digest, created) VALUES (?, ?, ?, ?)",
                (kind, text, digest, time.time()),
            )
            row = _row(db, new.lastrowid)
        return _job(row)


def get(ws: Workspace, job_id: int) -> Job | None:
    """The job, or None if this workspace has none of that id."""
    with _table(ws) as db:
        row = _row(db, job_id)
        return None if row is None else _job(row)


def latest(ws: Workspace, kind: str) -> Job | None:
    """The newest job of this kind in whatever state, or None."""
    with _table(ws) as db:
        row = db.execute("SELECT * FROM jobs WHERE kind = ? ORDER BY id DESC LIMIT 1", (kind,)).fetchone()
        return None if row is None else _job(row)


def active(ws: Workspace) -> tuple[Job, ...]:
    """The jobs that run or wait, in the order in which they were submitted."""
    with _table(ws) as db:
        rows = db.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY id").fetchall()
        return tuple(_job(row) for row in rows)


def cancel(ws: Workspace, job_id: int) -> Job:
    """Stop a job: at once while it waits, at its runner's next call of ``progress`` while it runs.

    A job that has already ended stays as it is.

    Raises
    ------
    IasError
        If this workspace has no job of that id.
    """
    with _table(ws) as db:
        db.execute(
            "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued'",
            (time.time(), job_id),
        )
        db.execute("UPDATE jobs SET cancel_asked = 1 WHERE id = ? AND state = 'running'", (job_id,))
        row = _row(db, job_id)
    if row is None:
        raise IasError(f"There is no job {job_id} in this workspace; reload the page.")
    return _job(row)


def cancel_within(ws: Workspace, job_id: int, *, patience_s: float = 0.8) -> None:
    """Cancel, and end the worker if it has not come to a point where it can stop by itself in time.

    What a runner has kept so far stays: it writes its files whole or not at all.
    """
    cancel(ws, job_id)
    deadline = time.monotonic() + patience_s
    while (job := get(ws, job_id)) is not None and job.is_active:
        if time.monotonic() > deadline:
            stop_worker(ws)
            return
        time.sleep(0.05)


def recover(ws: Workspace) -> int:
    """Mark running jobs whose worker is gone as interrupted; every other look at the table does it too.

    Returns
    -------
    int
        How many there were.
    """
    with ws.transaction() as db:
        db.execute(_SCHEMA)
        return _interrupt_orphans(ws, db)


# --- the worker process -------------------------------------------------------------------------------------

_workers: dict[Path, subprocess.Popen[bytes]] = {}  # started by this process, by workspace root
_workers_lock = threading.Lock()


def ensure_worker(ws: Workspace, *, module: str = WORKER_MODULE) -> None:
    """Start the worker of this workspace unless there is one.  Cheap enough for every run of a page.

    The worker reads from a pipe whose other end only this process holds, so it ends when this process ends,
    however that happens.  Should two servers start one each, the second finds the place taken and leaves.
    """
    with _workers_lock:
        own = _workers.get(ws.root)
        if (own is not None and own.poll() is None) or worker_alive(ws):
            return
        if own is not None and own.stdin is not None:
            own.stdin.close()
        # A group of its own: Ctrl+C in the terminal is for the server; the worker follows by the pipe.
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        else:
            apart = {"start_new_session": True}
        with (ws.root / LOG_NAME).open("ab") as log:
            _workers[ws.root] = subprocess.Popen(
                [sys.executable, "-u", "-X", "utf8", "-m", module, "--workspace", str(ws.root)],
                cwd=_REPO_ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                **apart,
            )


def stop_worker(ws: Workspace) -> None:
    """End the worker that this process started, at once; a job it was running becomes interrupted."""
    with _workers_lock:
        own = _workers.pop(ws.root, None)
        if own is None:
            return
        if own.stdin is not None:
            own.stdin.close()
        try:
            own.wait(timeout=10)
        except subprocess.TimeoutExpired:
            own.kill()
            own.wait()


def worker_alive(ws: Workspace) -> bool:
    """Whether some process holds the place of this workspace's worker."""
    with ws.transaction():
        return _place_taken(ws)


def take_place(ws: Workspace) -> IO[bytes] | None:
    """Become the worker of this workspace; for the worker process only.

    What still counts as running belonged to a worker that is gone, and becomes interrupted.

    Returns
    -------
    file or None
        The locked file, to be kept open as long as the process works; None if another worker has the place.
    """
    with ws.transaction() as db:  # no two processes try at the same time, and nobody looks meanwhile
        file = (ws.root / _LOCK_NAME).open("ab")
        if not _lock(file):
            file.close()
            return None
        db.execute(_SCHEMA)
        _interrupt_running(db)
        return file


# --- what the worker process calls --------------------------------------------------------------------------


def claim_next(ws: Workspace) -> Job | None:
    """Set the oldest waiting job running, or None if none waits.  Only for the holder of the place."""
    with _table(ws) as db:
        row = db.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1").fetchone()
        if row is None:
            return None
        now = time.time()
        db.execute(
            "UPDATE jobs SET state = 'running', started = ?, stage_started = ? WHERE id = ?",
            (now, now, row["id"]),
        )
        return _job(_row(db, row["id"]))


def report(
    ws: Workspace, job_id: int, *, stage: str, done: int, total: int, message: str, stage_started: float
) -> bool:
    """Write how far a running job is; True if somebody asked to stop it."""
    with _table(ws) as db:
        db.execute(
            "UPDATE jobs SET stage = ?, done = ?, total = ?, message = ?, stage_started = ? "
            "WHERE id = ? AND state = 'running'",
            (stage, done, total, message, stage_started, job_id),
        )
        return bool(_row(db, job_id)["cancel_asked"])


def finish(ws: Workspace, job_id: int, state: State, *, error: str = "", result: dict[str, Any] | None = None) -> None:
    """Write how a running job ended.  TypeError if ``result`` is nothing JSON holds."""
    text = None if result is None else json.dumps(result)
    with _table(ws) as db:
        db.execute(
            "UPDATE jobs SET state = ?, error = ?, result = ?, finished = ? WHERE id = ? AND state = 'running'",
            (state, error, text, time.time(), job_id),
        )


# --- inside -------------------------------------------------------------------------------------------------


@contextmanager
def _table(ws: Workspace) -> Iterator[sqlite3.Connection]:
    """A transaction in which no job is 'running' without a living worker."""
    with ws.transaction() as db:
        db.execute(_SCHEMA)
        _interrupt_orphans(ws, db)
        yield db


def _interrupt_orphans(ws: Workspace, db: sqlite3.Connection) -> int:
    if db.execute("SELECT 1 FROM jobs WHERE state = 'running'").fetchone() is None or _place_taken(ws):
        return 0
    return _interrupt_running(db)


def _interrupt_running(db: sqlite3.Connection) -> int:
    return db.execute(
        "UPDATE jobs SET state = iif(cancel_asked, 'cancelled', 'interrupted'), "
        "error = iif(cancel_asked, '', ?), finished = ? WHERE state = 'running'",
        (_INTERRUPTED, time.time()),
    ).rowcount


def _row(db: sqlite3.Connection, job_id: int | None) -> sqlite3.Row | None:
    return db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        params=json.loads(row["params"]),
        state=row["state"],
        stage=row["stage"],
        done=row["done"],
        total=row["total"],
        message=row["message"],
        error=row["error"],
        result=None if row["result"] is None else json.loads(row["result"]),
        created=row["created"],
        started=row["started"],
        stage_started=row["stage_started"],
        finished=row["finished"],
    )


def _place_taken(ws: Workspace) -> bool:
    """To be asked inside a transaction: finding the place free takes it for a moment."""
    with (ws.root / _LOCK_NAME).open("ab") as file:
        return not _lock(file)  # closing frees it


def _lock(file: IO[bytes]) -> bool:
    """Lock the file for this open handle, without waiting; False if another handle has it."""
    try:
        if sys.platform == "win32":
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
