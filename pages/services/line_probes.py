"""Which known pictures every form for the line scores again: those nearest to the threshold, and the challenge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.rules import is_ng
from ias_core.errors import IasError, ImageRefused
from pages.services.artifacts import DetectorResult
from pages.services.ledger import Ledger
from pages.services.pictures import read_at_size
from pages.services.workspace import Workspace

MOST = 20
_SETS = ("calibration", "check", "ng")  # leave-one-out scores of bank images are none that the line would see


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Real pictures with the scores on which the threshold was signed, in one order.

    names, sha256s, paths : of n pictures
    scores : (n,) float64     feature distance
    is_ng : (n,) bool         score >= threshold
    pictures : (n, s, s, 3) float32   RGB in [0, 1] at the input size
    all_scores : every score outside the memory bank, to see which lies nearest to the threshold
    gone : names of pictures that were chosen and can no longer be read
    """

    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    paths: tuple[str, ...]
    scores: np.ndarray
    is_ng: np.ndarray
    pictures: np.ndarray
    all_scores: np.ndarray
    gone: tuple[str, ...]


def choose(threshold: float, scores: Mapping[str, float], challenge: tuple[str, ...], most: int = MOST) -> list[str]:
    """Keys of the challenge parts, then of the scores nearest to the threshold, from both sides in turn.

    Examples
    --------
    >>> choose(5.0, {"a": 1.0, "b": 4.0, "c": 4.5, "d": 5.0, "e": 9.0}, ("a",), most=4)
    ['a', 'd', 'c', 'e']
    """
    chosen = [key for key in challenge if key in scores][:most]
    sides = [
        sorted((abs(score - threshold), key) for key, score in scores.items() if (score >= threshold) == ng)
        for ng in (True, False)
    ]
    left = [[key for _, key in side if key not in chosen] for side in sides]
    while len(chosen) < most and any(left):
        chosen += [side.pop(0) for side in left if side][: most - len(chosen)]
    return chosen


def probes_of(ws: Workspace, content: Mapping[str, Any], detector: DetectorResult) -> Probes:
    """The probe set of a record, read from the workspace's pictures.

    Raises
    ------
    IasError
        The workspace's detector is not the signed one, or none of the pictures can be read.
    """
    if detector.meta["bank_id"] != content["detector"]["bank_id"]:
        raise IasError("the detector was built again since this was signed: verify and sign the new one, then export")
    scores = {
        image: float(score)
        for name in _SETS
        for image, score in zip(detector.sets[name].ids, detector.sets[name].image_scores, strict=True)
    }
    threshold = float(content["threshold"]["value"])
    chosen = choose(threshold, scores, tuple(part["sha256"] for part in content["challenge"]))
    records = {record.sha256: record for record in Ledger(ws).records()}
    kept, pictures, gone = [], [], []
    for image in chosen:
        if image not in records:  # taken out of the data since
            gone.append(image[:12])
            continue
        try:
            pictures.append(read_at_size(records[image], int(content["detector"]["input_size"])))
            kept.append(records[image])
        except ImageRefused:
            gone.append(records[image].name)
    if not kept:
        raise IasError("none of the pictures nearest to the threshold can be read: put them back where they were")
    mine = np.array([scores[record.sha256] for record in kept])
    return Probes(
        names=tuple(record.name for record in kept),
        sha256s=tuple(record.sha256 for record in kept),
        paths=tuple(str(record.path) for record in kept),
        scores=mine,
        is_ng=is_ng(mine, threshold),
        pictures=np.stack(pictures),
        all_scores=np.array(list(scores.values())),
        gone=tuple(gone),
    )
