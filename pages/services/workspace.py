"""One folder on disk that holds everything a user would be sad to lose.

``workspace.sqlite3`` keeps the ledger, the jobs and the user's choices; ``images/`` keeps pictures that came
without a folder of their own (uploads, zip files); ``artifacts/`` keeps what the jobs made.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ias_core.errors import IasError

BUSY_TIMEOUT_S = 10.0

_SCHEMA = "CREATE TABLE IF NOT EXISTS choices (key TEXT PRIMARY KEY, value TEXT NOT NULL)"


def default_root() -> Path:
    """Where the workspace lies if nobody says otherwise.

    ``$IAS_WORKSPACE`` if it is set, else the per-user data folder of the operating system.
    """
    chosen = os.environ.get("IAS_WORKSPACE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "ng0"


class Workspace:
    """The folder, and short transactions on its database from any thread or process.

    Parameters
    ----------
    root : path
        Made, with its subfolders, if it is not there.

    Raises
    ------
    IasError
        If the folder cannot be made or written, or its database is damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ws = Workspace(folder)
    ...     ws.set_choice("seed", 7)
    ...     Workspace(folder).get_choice("seed", 0)
    7
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser().absolute()
        self.images = self.root / "images"
        self.artifacts = self.root / "artifacts"
        self.database = self.root / "workspace.sqlite3"
        try:
            for folder in (self.root, self.images, self.artifacts):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IasError(
                f"The workspace folder {self.root} cannot be made ({error.strerror}); "
                "choose another one with the environment variable IAS_WORKSPACE."
            ) from error
        try:
            self._use_write_ahead_log()
            with self.transaction() as db:
                db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise IasError(
                f"The workspace database {self.database} cannot be used ({error}); "
                "check that the folder may be written, or choose another one with IAS_WORKSPACE."
            ) from error

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection inside one write transaction: committed at the end, undone on any exception.

        ``durable``: on the disk when it ends, even if the power fails; else only if the process dies.

        The lock is taken at once (BEGIN IMMEDIATE), so that what is read here still holds when it is
        written.  Keep it short: a second writer waits ``BUSY_TIMEOUT_S`` seconds and then fails.
        """
        db = sqlite3.connect(self.database, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            db.execute("PRAGMA foreign_keys=ON")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        finally:
            db.close()

    def _use_write_ahead_log(self) -> None:
        # Kept in the file, so once is enough.  SQLite does not wait for its lock here, so two processes that
        # open a new workspace at the same moment would fail: wait for it by hand.
        give_up = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            db = sqlite3.connect(self.database, timeout=BUSY_TIMEOUT_S)
            try:
                db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
            finally:
                db.close()

    def get_choice(self, key: str, default: Any = None) -> Any:
        """The value last stored under ``key`` (anything JSON holds), or ``default``."""
        with self.transaction() as db:
            row = db.execute("SELECT value FROM choices WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_choice(self, key: str, value: Any) -> None:
        """Store ``value`` (anything JSON holds) under ``key``."""
        text = json.dumps(value)
        with self.transaction() as db:
            db.execute(
                "INSERT INTO choices (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, text),
            )
