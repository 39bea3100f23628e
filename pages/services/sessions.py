"""Sessions: which pictures were taken in one go (a shift, a lot, a day), and what that does to their scores.

Pictures of one session look alike in ways that say nothing about defects, so leave-one-out scores, and those of
calibration pictures from the same sessions, are too low for the next session.  Leave-one-session-out shows by how
much: each bank picture is scored without every picture of its session.  That makes the bank smaller as well, which
raises scores by itself, so each is also scored without as many near-twin groups at random.

Where a session comes from, for OK and for NG pictures each on its own: a table with the columns file and session if
it names any of them, else the first folder below that of the OK pictures if any lies in one, else the day of its
EXIF date.  One source for all pictures of a label: the folder "monday" and the day "2026-01-05" may be the same
afternoon, and a session that goes by two names would not be hidden as a whole.

Pictures without a session, beside others with one, count as one session, "unknown".  They are hidden together; but
a picture of unknown session stays in the bank when its true session is hidden under its name, so the more there
are, the more the difference understates.  A night shift is two days by EXIF: then use a folder or a table.
Sessions change neither the dataset nor the roles nor the bank.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from calibration.sessions import SessionGap, session_gap
from ias_core.errors import ImageRefused, IntakeRefused
from ias_core.folders import FoundFile, is_sessions_file
from ias_core.imaging import read_bytes
from pages.services.artifacts import DetectorResult
from pages.services.ledger import ImageRecord

UNKNOWN = "unknown"
COLUMN, FOLDER, EXIF_DATE = "column", "folder", "EXIF date"
_TITLES = {COLUMN: "from the table of sessions", FOLDER: "from the folders", EXIF_DATE: "by EXIF date"}
BANK, BANK_BY_SESSION, BANK_AT_RANDOM = "bank", "bank_by_session", "bank_at_random"

_FILE, _SESSION = "file", "session"


def without_tables(found: Iterable[FoundFile]) -> tuple[list[FoundFile], list[FoundFile]]:
    """The pictures, and the tables of sessions among them."""
    found = list(found)
    tables = [file for file in found if is_sessions_file(file.name)]
    return [file for file in found if not is_sessions_file(file.name)], tables


def sessions_by_table(
    pictures: Sequence[FoundFile], tables: Sequence[FoundFile], given: str | os.PathLike[str] | None = None
) -> dict[Path, str]:
    """Path of a picture -> its session, as the tables say.

    Parameters
    ----------
    pictures : n FoundFile
    tables : FoundFile
        Those that lie among the pictures; each names pictures of its own label, relative to the folder it lies in.
    given : path, optional
        A table from elsewhere with names as the user knows them; then ``tables`` are not read.

    Raises
    ------
    IntakeRefused
        If a table cannot be read, lacks a column, names a file that is not there or is there twice (as OK and as
        NG), or gives one picture two sessions.
    """
    if given is not None:
        tables = [FoundFile(Path(given), Path(given).name, None)]
    found: dict[Path, str] = {}
    for table in tables:
        folder = "" if given is not None else table.name[: table.name.rfind("/") + 1]
        known: dict[str, list[Path]] = {}
        for picture in pictures:
            if table.label in (None, picture.label) and picture.name.startswith(folder):
                known.setdefault(picture.name.removeprefix(folder), []).append(picture.path)
        for line, name, session in _rows(table):
            paths = known.get(name) or known.get(name.replace("\\", "/"), [])
            if not paths:
                such = f" such as {min(known)!r}" if known else ""
                raise IntakeRefused(
                    f"{table.name}, line {line}: {name!r} is not among the pictures; use the names as they are listed"
                    f"{such}, relative and with /, or remove the line."
                )
            if len(paths) > 1:
                raise IntakeRefused(
                    f"{table.name}, line {line}: {name!r} is the name of {len(paths)} pictures; put a table named "
                    "sessions.csv into the folder of each instead, or rename them."
                )
            if found.setdefault(paths[0], session) != session:
                raise IntakeRefused(
                    f"{table.name}, line {line}: {name!r} already has the session {found[paths[0]]!r}; "
                    "keep one line for each picture."
                )
    return found


def _rows(table: FoundFile) -> list[tuple[int, str, str]]:
    """Line number, file and session of every row that is not blank."""
    try:
        text = read_bytes(table.path).decode("utf-8-sig")
    except ImageRefused as refusal:
        raise IntakeRefused(f"{table.name}: {refusal}") from refusal
    except UnicodeDecodeError as error:
        raise IntakeRefused(f"{table.name} is not UTF-8 text; save it as CSV UTF-8.") from error
    header = next(iter(text.splitlines()), "")
    delimiter = next((mark for mark in "\t;" if mark in header), ",")  # a spreadsheet may save CSV with semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise IntakeRefused(
            f"{table.name}, line {reader.line_num}: this is no CSV ({error}); save it again."
        ) from error
    columns = [cell.lower() for cell in rows[0][1]] if rows else []
    if columns.count(_FILE) != 1 or columns.count(_SESSION) != 1:
        raise IntakeRefused(
            f"{table.name}: expected a first line with the columns file and session, got "
            f"{', '.join(filter(None, columns)) or 'none'}; write that line first."
        )
    of_file, of_session = columns.index(_FILE), columns.index(_SESSION)
    found = []
    for line, cells in rows[1:]:
        if not any(cells):
            continue
        if any(cells[len(columns) :]):
            raise IntakeRefused(
                f"{table.name}, line {line}: expected {len(columns)} cells, got {len(cells)}; "
                f"put a name that holds {delimiter!r} in quotes."
            )
        cells += [""] * (len(columns) - len(cells))
        found.append((line, cells[of_file], " ".join(cells[of_session].split())))
    return found


def choose(by_table: Sequence[str], by_folder: Sequence[str], by_date: Sequence[str]) -> tuple[list[str], str]:
    """Sessions of n pictures of one label, from the first source that knows any, and that source.

    Examples
    --------
    >>> choose(["", ""], ["monday", ""], ["2026-01-05", "2026-01-05"])
    (['monday', ''], 'folder')
    >>> choose([""], [""], [""])
    ([''], '')
    """
    for source, sessions in ((COLUMN, by_table), (FOLDER, by_folder), (EXIF_DATE, by_date)):
        if any(sessions):
            return list(sessions), source
    return [""] * len(by_table), ""


def session_of(record: ImageRecord) -> str:
    """Its session, or "unknown"."""
    return record.session or UNKNOWN


def counts(records: Iterable[ImageRecord]) -> dict[str, int]:
    """Session -> pictures, sorted by name; those without are "unknown"."""
    return dict(sorted(Counter(map(session_of, records)).items()))


def groups_to_hide(records: Sequence[ImageRecord]) -> list[tuple[str, ...]]:
    """For each picture the near-twin groups that have a picture in its session: hidden in leave-one-session-out.

    A group that spans sessions is hidden with either, as the twin would answer for its picture.
    """
    of_session: dict[str, set[str]] = {}
    for record in records:
        of_session.setdefault(session_of(record), set()).add(record.group)
    hidden = {session: tuple(sorted(groups)) for session, groups in of_session.items()}
    return [hidden[session_of(record)] for record in records]


def as_many_at_random(
    to_hide: Sequence[tuple[str, ...]], groups: Sequence[str], rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """For each picture its own group and, at random, others: as many groups in all as ``to_hide`` has for it."""
    names = sorted(set(groups))
    place = {name: i for i, name in enumerate(names)}
    found = []
    for hidden, own in zip(to_hide, groups, strict=True):
        others = rng.choice(len(names) - 1, len(hidden) - 1, replace=False)
        others += others >= place[own]  # the place of its own is passed over
        found.append((own, *(names[i] for i in others)))
    return found


def badge(n_sessions: int) -> str:
    """What stands beside scores.

    Examples
    --------
    >>> badge(5)
    '5 sessions'
    """
    if n_sessions > 1:
        return f"{n_sessions} sessions"
    return "1 session: what a new shift, lot or camera set-up does to the scores is unknown"


def found_sentence(ok: Iterable[ImageRecord], source: str) -> str:
    """How many sessions the OK pictures come from and, of several, how that is known (`Intake.sessions_from`)."""
    n_sessions = len(counts(ok))
    return badge(n_sessions) if n_sessions == 1 else f"{badge(n_sessions)}, {_TITLES[source]}"


def n_sessions_of(detector: DetectorResult) -> int:
    """Sessions the bank images come from; a detector built before sessions were kept knows of one."""
    return detector.meta.get("n_sessions", 1)


def gap_of(detector: DetectorResult) -> SessionGap | None:
    """Leave-one-session-out beside leave-one-out; None where that was not scored.

    That is so with one session, and where hiding one would leave no memory bank.
    """
    if BANK_BY_SESSION not in detector.sets:
        return None
    loo, by_session, at_random = (detector.sets[name].image_scores for name in (BANK, BANK_BY_SESSION, BANK_AT_RANDOM))
    return session_gap(loo, by_session, n_sessions_of(detector), at_random)
