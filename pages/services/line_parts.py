"""Which challenge part a row of a table is of: a new shot of a part is a new file, so its name only begins like it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ias_core.errors import IntakeRefused
from pages.services.line_csv import LineScores


def shots_by_part(named: Sequence[dict[str, Any]], table: LineScores | None) -> list[np.ndarray]:
    """Scores of each challenge part's shots, in the order of ``named``; empty where the table has none, or is None.

    Parameters
    ----------
    named : n dictionaries
        Challenge parts as the record has them: "file", "label" and more.
    table : LineScores or None
        ``file`` is the part's name, with or without its ending and folders; or lies in a folder that is named like it.
        "ok/" or "ng/" before the name tells two parts of one name apart.

    Raises
    ------
    IntakeRefused
        A row that is of no part, or of more than one.
    """
    parts_of: dict[str, set[int]] = {}
    for place, part in enumerate(named):
        path = PurePosixPath(part["file"])
        plain = (str(path), str(path.with_suffix("")), path.name, path.stem)
        for key in (*plain, *(f"{part['label']}/{name}" for name in plain)):
            parts_of.setdefault(_folded(key), set()).add(place)
    shots: list[list[float]] = [[] for _ in named]
    if table is not None:
        for file, score in zip(table.files, table.scores.tolist(), strict=True):
            shots[_place(file, parts_of, named, table.source)].append(score)
    return [np.array(scores) for scores in shots]


def _place(file: str, parts_of: dict[str, set[int]], named: Sequence[dict[str, Any]], source: str) -> int:
    path = PurePosixPath(file.replace("\\", "/"))
    folders = [folder for folder in path.parents if folder.name]
    keys = [str(path), str(path.with_suffix("")) if path.name else "", path.name, path.stem]
    keys += [key for folder in folders for key in (str(folder), folder.name)]
    ambiguous = False
    for key in keys:
        found = parts_of.get(_folded(key), set())
        if len(found) == 1:
            return next(iter(found))
        ambiguous |= len(found) > 1
    if ambiguous:
        raise IntakeRefused(
            f"{source}: {file!r} is the name of several challenge parts; write ok/ or ng/ before the name."
        )
    names = ", ".join(part["file"] for part in named) or "none"
    raise IntakeRefused(
        f"{source}: expected rows named after the record's challenge parts ({names}), got {file!r}; "
        "name each shot after its part, or put the shots of a part into a folder of its name."
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
