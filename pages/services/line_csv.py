"""Scores of the line as a table, in order of time: as ``cli.py score`` writes it, or as a spreadsheet saved it.

What can be read in one way only is read (semicolons, tabs, decimal commas, German dates); anything else is refused
with its line, for a score read wrongly looks like drift.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ias_core.errors import IntakeRefused

FILE, SCORE, VERDICT, AT = "file", "score", "verdict", "at"
VERDICTS = ("OK", "review", "NG")
UNREADABLE = "unreadable"
_BY_LOWER = {verdict.lower(): verdict for verdict in (*VERDICTS, UNREADABLE)}

_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_POINT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_LARGEST = 1e30
_GERMAN = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4}) ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


@dataclass(frozen=True, slots=True, eq=False)
class LineScores:
    """Scores of n parts, oldest first.

    source : name of the file or folder they came from
    files : n names
    scores : (n,) float64   each a float32, as the detector gives it
    verdicts : n of "OK", "review", "NG", as the table has them; "" where it has none
    at : n ISO times, or none at all
    unreadable : pictures without a score
    digest : sha256 of files, scores and times
    """

    source: str
    files: tuple[str, ...]
    scores: np.ndarray
    verdicts: tuple[str, ...]
    at: tuple[str, ...]
    unreadable: int
    digest: str


def line_scores(
    source: str,
    files: Sequence[str],
    scores: Sequence[float],
    *,
    verdicts: Sequence[str] = (),
    at: Sequence[datetime] = (),
    unreadable: int = 0,
) -> LineScores:
    """Put in order of time, where there are times; scores are rounded to float32, which nine digits stand for.

    Raises
    ------
    IntakeRefused
        No score at all, or times with and without a time zone.
    """
    if not len(scores):
        rest = f"; {unreadable} files could not be read" if unreadable else ""
        raise IntakeRefused(f"{source}: expected at least one score, got none{rest}.")
    order: Sequence[int] = range(len(scores))
    if at:
        if len({time.tzinfo is None for time in at}) > 1:
            raise IntakeRefused(
                f"{source}, column at: some times have a time zone and some have none; write all alike."
            )
        order = sorted(order, key=lambda i: at[i])
    names = tuple(files[i] for i in order)
    rounded = np.array(scores, np.float32).astype(np.float64)[list(order)]
    times = tuple(at[i].isoformat() for i in order) if at else ()
    told = tuple(verdicts[i] for i in order) if verdicts else ("",) * len(names)
    digest = hashlib.sha256("\n".join([*names, *times]).encode("utf-8", "surrogatepass") + rounded.tobytes())
    return LineScores(source, names, rounded, told, times, unreadable, digest.hexdigest())


def load_scores(path: Path) -> LineScores:
    """As ``read_scores``, from a file.

    Raises
    ------
    IntakeRefused
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntakeRefused(f"expected a CSV at {path}, it could not be read ({error.strerror}).") from error
    return read_scores(content, path.name)


def read_scores(content: bytes, name: str) -> LineScores:
    """A table with the columns file and score; verdict and at (time) where it has them, other columns are passed over.

    Rows whose verdict is "unreadable" have no score and are only counted.

    Parameters
    ----------
    content : bytes
        UTF-8, or UTF-16 with its mark. Columns parted by tab, semicolon or comma, as the first line has them. Decimal
        commas only where commas do not part columns, and then in the whole file.

    Raises
    ------
    IntakeRefused
        One sentence with the first line that does not fit.
    """
    header, delimiter, rows = _rows(content, name)
    columns = [cell.lower() for cell in header]
    for needed in (FILE, SCORE):
        if columns.count(needed) != 1:
            raise IntakeRefused(
                f"{name}: expected a first line with the columns file and score, got "
                f"{', '.join(filter(None, header)) or 'none'}; write that line first."
            )
    if twice := [column for column in (VERDICT, AT) if columns.count(column) > 1]:
        raise IntakeRefused(
            f"{name}: expected one column {twice[0]}, got {columns.count(twice[0])}; remove the others."
        )
    of_file, of_score = columns.index(FILE), columns.index(SCORE)
    of_verdict = columns.index(VERDICT) if VERDICT in columns else None
    of_at = columns.index(AT) if AT in columns else None
    number = _Numbers(name, commas=delimiter != ",")
    files, scores, verdicts, times, unreadable = [], [], [], [], 0
    for line, cells in rows:
        if len(cells) != len(columns):
            raise IntakeRefused(_cells_sentence(name, line, len(columns), cells, delimiter))
        verdict = "" if of_verdict is None else _verdict(cells[of_verdict], name, line)
        if verdict == UNREADABLE:
            unreadable += 1
            continue
        files.append(cells[of_file])
        scores.append(number(cells[of_score], line))
        verdicts.append(verdict)
        if of_at is not None:
            times.append(_time(cells[of_at], name, line))
    return line_scores(name, files, scores, verdicts=verdicts, at=times, unreadable=unreadable)


def _rows(content: bytes, name: str) -> tuple[list[str], str, list[tuple[int, list[str]]]]:
    """Header, delimiter, and line number with cells of every row that is not blank."""
    encoding = next((code for mark, code in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise IntakeRefused(f"{name} is not UTF-8 text; save it as CSV UTF-8.") from None
    if "\0" in text:
        raise IntakeRefused(f"{name} is no CSV, but holds zero bytes; save it as CSV UTF-8.")
    told = re.match(r"sep=(.)\r?\n", text)  # a spreadsheet's own first line
    skipped = 0
    if told:
        text, skipped = text[told.end() :], 1
    header = next(iter(text.splitlines()), "")
    delimiter = told[1] if told else next((mark for mark in "\t;" if mark in header), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num + skipped, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise IntakeRefused(
            f"{name}, line {reader.line_num + skipped}: this is no CSV ({error}); save it again."
        ) from None
    if not rows:
        raise IntakeRefused(f"{name} is empty: expected a first line with the columns file and score.")
    return rows[0][1], delimiter, [(line, cells) for line, cells in rows[1:] if any(cells)]


def _cells_sentence(name: str, line: int, expected: int, cells: list[str], delimiter: str) -> str:
    hint = f"put what holds {delimiter!r} in quotes"
    if delimiter == "," and len(cells) > expected:
        hint = "with decimal commas, part the columns by semicolons; a name that holds a comma goes in quotes"
    return f"{name}, line {line}: expected {expected} cells, got {len(cells)}; {hint}."


def _verdict(cell: str, name: str, line: int) -> str:
    found = _BY_LOWER.get(cell.lower(), "")
    if cell and not found:
        raise IntakeRefused(
            f"{name}, line {line}, verdict: expected OK, review, NG or unreadable, got {_short(cell)}; "
            "with decimal commas, part the columns by semicolons."
        )
    return found


class _Numbers:
    """Reads the scores of one file, which have one decimal mark."""

    def __init__(self, name: str, *, commas: bool) -> None:
        self._name, self._commas = name, commas
        self._mark = ""

    def __call__(self, cell: str, line: int) -> float:
        if not cell:
            raise self._refused(line, "got an empty cell", "score the picture again or remove the line")
        mark = "," if "," in cell else "." if "." in cell else ""
        if not (_COMMA if mark == "," else _POINT).fullmatch(cell):
            raise self._refused(line, f"got {_short(cell)}", "score the picture again or remove the line")
        if mark == "," and not self._commas:
            raise self._refused(line, f"got {_short(cell)}", "write decimal points, or part the columns by semicolons")
        if mark and self._mark and mark != self._mark:
            raise self._refused(
                line, f"got {_short(cell)} after numbers with {self._mark!r}", "use one decimal mark in the whole file"
            )
        self._mark = self._mark or mark
        score = float(cell.replace(",", "."))
        if not 0 <= score <= _LARGEST:
            raise self._refused(line, f"got {_short(cell)}", "a feature distance is never below 0, nor so large")
        return score

    def _refused(self, line: int, came: str, advice: str) -> IntakeRefused:
        return IntakeRefused(f"{self._name}, line {line}, score: expected a number, {came}; {advice}.")


def _time(cell: str, name: str, line: int) -> datetime:
    try:
        if found := _GERMAN.fullmatch(cell):
            return datetime(*(int(found[place] or 0) for place in (3, 2, 1, 4, 5, 6)))
        return datetime.fromisoformat(cell)
    except ValueError:
        pass
    raise IntakeRefused(
        f"{name}, line {line}, at: expected a time such as 2026-01-05 08:30:00, got {_short(cell)}; "
        "write all times like this, or leave the column out and sort the lines by time."
    )


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:39] + "…")
