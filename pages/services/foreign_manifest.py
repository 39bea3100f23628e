"""What a manifest says of synthetic NG made elsewhere: manifest.json or manifest.csv, of ours or of anybody's.

Columns: file, mask, parent (or parent_sha256), seed_ng, method, severity; all but file may be left out.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ias_core.errors import IntakeRefused
from pages.services.dataset import MANIFEST, SCHEMA

MANIFESTS = (MANIFEST, "manifest.csv")
MOST_MANIFEST_BYTES = 16 * 2**20
_COLUMNS = ("file", "mask", "parent", "parent_sha256", "seed_ng", "method", "severity", "settings")


@dataclass(frozen=True, slots=True)
class Row:
    """What the manifest says of one picture; empty where it says nothing.

    parents : what it calls the OK picture it was made on: sha256, then name
    seed_ng : names or sha256 of the real NG it was made from
    """

    mask: str = ""
    parents: tuple[str, ...] = ()
    seed_ng: tuple[str, ...] = ()
    method: str = ""
    severity: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What came with the pictures.

    name : of its file, "" where there is none
    rows : picture -> Row
    seed_ng : of the whole set
    unused : columns that nothing here reads
    ours : whether this product wrote it: then the pictures are squares, squeezed as the detector sees them
    """

    name: str = ""
    rows: Mapping[str, Row] = field(default_factory=dict)
    seed_ng: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    ours: bool = False


def one_spelling(name: str) -> str:
    """One spelling for a name: macOS writes an é as two characters, others as one."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).removeprefix("./")


def read_manifest(by_name: Mapping[str, Path]) -> Manifest:
    """The manifest among the files of a set: relative name -> where it lies.

    Raises
    ------
    IntakeRefused
        It cannot be read, there are two, it lists a picture twice, or it holds a value of the wrong kind.
    """
    there = [name for name in MANIFESTS if name in by_name]
    if not there:
        return Manifest()
    if len(there) > 1:
        raise IntakeRefused(f"Expected one manifest, but there are {' and '.join(there)}; remove one.")
    name = there[0]
    path = by_name[name]
    try:
        if path.stat().st_size > MOST_MANIFEST_BYTES:
            raise IntakeRefused(f"{name} has over {MOST_MANIFEST_BYTES // 2**20} MB; keep only a line per picture.")
        text = path.read_text(encoding="utf-8-sig")
        return _of_json(text) if name.endswith(".json") else _of_csv(text)
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, IntakeRefused):
            raise
        raise IntakeRefused(f"{name} cannot be read ({error}); correct it or remove it.") from error


def _of_json(text: str) -> Manifest:
    values = json.loads(text)
    about = values if isinstance(values, dict) else {"images": values}
    listed = about.get("images")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise IntakeRefused(f"Expected a list of pictures, or one under 'images', in {MANIFESTS[0]}; correct it.")
    rows, unused = _rows(listed)
    ours = about.get("schema") == SCHEMA
    return Manifest(MANIFESTS[0], rows, _texts(about.get("seed_ng"), "seed_ng"), () if ours else unused, ours)


def _of_csv(text: str) -> Manifest:
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    listed = []
    for line in reader:
        if None in line:
            raise IntakeRefused(f"Line {reader.line_num} of {MANIFESTS[1]} has more cells than its head; correct it.")
        cells: dict[str, Any] = {(key or "").strip(): (value or "").strip() for key, value in line.items()}
        cells["seed_ng"] = cells.get("seed_ng", "").replace("|", ";").split(";")  # a cell holds one text
        listed.append(cells)
    rows, unused = _rows(listed)
    return Manifest(MANIFESTS[1], rows, unused=unused)


def _rows(listed: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Row], tuple[str, ...]]:
    """Picture -> what is said of it, and the columns that nothing here reads."""
    rows: dict[str, Row] = {}
    for number, one in enumerate(listed, start=1):
        file = one.get("file")
        if not isinstance(file, str) or not file:
            raise IntakeRefused(f"Picture {number} of the manifest has no 'file'; name every picture's file.")
        name = one_spelling(file)
        if name in rows:
            raise IntakeRefused(f"The manifest lists {name} twice; remove one.")
        rows[name] = _row(one, name)
    unused = sorted({key for one in listed for key in one} - set(_COLUMNS) - {""})
    return rows, tuple(unused)


def _row(one: Mapping[str, Any], name: str) -> Row:
    given = one.get("settings")
    drawn_from = given.get("source") if isinstance(given, dict) else None  # how this product's own manifest says it
    drawn_from = drawn_from.split(" + ") if isinstance(drawn_from, str) else drawn_from
    severity = one.get("severity")
    if severity in (None, ""):
        severity = None
    elif isinstance(severity, bool) or not isinstance(severity, str | int | float):
        raise IntakeRefused(f"The manifest gives {name} the severity {severity!r}; expected a number or nothing.")
    else:
        try:
            severity = float(severity)
        except (ValueError, OverflowError) as error:
            raise IntakeRefused(f"The manifest gives {name} the severity {severity!r}; expected a number.") from error
        if not 0 <= severity <= 1:
            raise IntakeRefused(
                f"The manifest gives {name} the severity {severity:g}; expected 0 (invisible) to 1 (strongest), or "
                "no severity at all."
            )
    parents = (_texts(one.get(key), key) for key in ("parent_sha256", "parent"))
    return Row(
        mask=one_spelling(_text(one.get("mask"), "mask")),
        parents=tuple(text for texts in parents for text in texts),
        seed_ng=_texts(one.get("seed_ng"), "seed_ng") + _texts(drawn_from, "source"),
        method=_method(one.get("method"), name),
        severity=severity,
    )


def _method(value: Any, name: str) -> str:
    """It stands under pictures, so it may be no sentence and no markup."""
    method = _text(value, "method")
    if not re.fullmatch(r"[\w .,:+()/-]{0,60}", method):
        raise IntakeRefused(
            f"The manifest gives {name} the method {method[:80]!r}; expected up to 60 letters, digits, spaces and "
            "any of . , : + ( ) / - _."
        )
    return method


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise IntakeRefused(f"The manifest's {name} holds {value!r}; expected a text.")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """A text or a list of them, without empty ones."""
    texts = value if isinstance(value, list) else [value]
    return tuple(one_spelling(text) for one in texts if (text := _text(one, name).strip()))
