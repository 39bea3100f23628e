"""Score a folder of pictures with a signed record: OK, review or NG for each, without the app and without a network.

Detector, memory bank and threshold are those of the record; nothing of the workspace is read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from ias_core.errors import IasError, ImageRefused
from ias_core.folders import OK, FoundFile, scan_folder
from ias_core.imaging import load_image, resize_image
from ias_core.patchcore.line_threshold import AGREEMENT
from pages.services.progress import Progress, silent
from pages.services.record_file import read_record

if TYPE_CHECKING:
    from ias_core.patchcore.line_detector import LineDetector

COLUMNS = ("file", "score", "verdict", "reason")
UNREADABLE = "unreadable"
_READERS = 2
_TOO_CLOSE = f"within {100 * AGREEMENT:g} % of the threshold: another computer may round it to the other side"


@dataclass(frozen=True, slots=True)
class Scored:
    """One file. ``score`` in feature distance; ``verdict``: "OK", "review", "NG" or "unreadable" with score None."""

    file: str
    score: float | None
    verdict: str
    reason: str = ""


def score_folder(record: Path, images: Path, *, progress: Progress = silent) -> tuple[Scored, ...]:
    """Every file under ``images``, sorted by name.

    Parameters
    ----------
    record : Path
        ``record.json``, beside the folder ``line`` that was exported with it.

    Raises
    ------
    IasError
        The record does not fit in itself, bank or weights are not those it names, or there is no picture at all.
    """
    signed = read_record(record)
    files = sorted(scan_folder(images, label=OK), key=lambda file: file.name)
    if not files:
        raise IasError(f"expected pictures in {images}, found no file")
    progress("load", 0, 1, "loading the network")
    detector = _detector(signed.content["detector"], signed.folder / "line")
    threshold = _Threshold.of(signed.content["threshold"])
    rows: list[Scored] = []
    for chunk, pictures in _batches(files, detector.input_size):
        progress("scoring", len(rows), len(files), "scoring pictures")
        readable = [picture for picture in pictures if not isinstance(picture, str)]
        scores = iter(detector(readable) if readable else ())
        rows += [
            Scored(file.name, None, UNREADABLE, picture)
            if isinstance(picture, str)
            else threshold.judge(file, next(scores))
            for file, picture in zip(chunk, pictures, strict=True)
        ]
    return tuple(rows)


def write_csv(rows: Sequence[Scored], file: TextIO) -> None:
    """A header, then one row for each file; open ``file`` as UTF-8 with ``newline=""``."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        score = "" if row.score is None else f"{row.score:.9g}"  # nine digits give the float32 back
        writer.writerow((row.file, score, row.verdict, row.reason))


@dataclass(frozen=True, slots=True)
class _Threshold:
    value: float
    review_from: float | None

    @classmethod
    def of(cls, signed: dict[str, Any]) -> _Threshold:
        return cls(float(signed["value"]), None if signed["review_from"] is None else float(signed["review_from"]))

    def judge(self, file: FoundFile, score: np.float32) -> Scored:
        distance = float(score)  # in float64, which holds every float32
        verdict = "OK"
        if distance >= self.value:
            verdict = "NG"
        elif self.review_from is not None and distance >= self.review_from:
            verdict = "review"
        too_close = abs(distance - self.value) <= AGREEMENT * self.value
        return Scored(file.name, distance, verdict, _TOO_CLOSE if too_close else "")


def _detector(named: dict[str, Any], folder: Path) -> LineDetector:
    from ias_core.patchcore.line_detector import LineDetector

    return LineDetector(named, folder)


def _batches(files: Sequence[FoundFile], size: int) -> Iterator[tuple[Sequence[FoundFile], list[np.ndarray | str]]]:
    """Files with their pictures, or the reason why one cannot be read; the next batch is read meanwhile."""
    from ias_core.patchcore.line_detector import BATCH

    chunks = [files[a : a + BATCH] for a in range(0, len(files), BATCH)]
    with ThreadPoolExecutor(_READERS) as pool:
        waiting = [pool.submit(_read, file.path, size) for file in chunks[0]]
        for place, chunk in enumerate(chunks):
            pictures = [future.result() for future in waiting]
            following = chunks[place + 1] if place + 1 < len(chunks) else ()
            waiting = [pool.submit(_read, file.path, size) for file in following]
            yield chunk, pictures


def _read(path: Path, size: int) -> np.ndarray | str:
    try:
        return resize_image(load_image(path), size)
    except ImageRefused as refused:
        return str(refused)
