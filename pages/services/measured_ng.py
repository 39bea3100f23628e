"""Real NG that have a mask, measured on the axes of the graded synthetic NG: to be drawn on their POD curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ias_core.errors import ImageRefused
from ias_core.imaging import load_mask
from pages.services.artifacts import DetectorResult
from pages.services.ledger import ImageRecord, Ledger
from pages.services.pictures import read_at_size
from pages.services.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredNg:
    """Real NG with a usable mask, in one order; ``without`` counts those that have none.

    names : n strings
    scores, size_px, snr : (n,)   image score; equivalent diameter at the input size; contrast to noise
    """

    names: tuple[str, ...]
    scores: np.ndarray
    size_px: np.ndarray
    snr: np.ndarray
    without: int


def measured_ng(ws: Workspace, detector: DetectorResult, ng: set[str]) -> MeasuredNg:
    """Measure the real NG among ``ng`` (sha256). A picture or mask that cannot be read counts as without."""
    records = {record.sha256: record for record in Ledger(ws).records(label="ng")}
    scored = detector.sets["ng"]
    names, rows, without = [], [], 0
    for name, image, score in zip(scored.names, scored.ids, scored.image_scores, strict=True):
        if image not in ng:
            continue
        found = _measures(records[image], detector.meta["input_size"]) if image in records else None
        if found is None:
            without += 1
        else:
            names.append(name)
            rows.append((float(score), *found))
    columns = np.array(rows, float).reshape(len(rows), 3).T
    return MeasuredNg(tuple(names), *columns, without)


def _measures(record: ImageRecord, size: int) -> tuple[float, float] | None:
    """(size in px, contrast to noise) at the input size, or None without a mask that marks anything visible."""
    from ias_core.synthesis.measures import contrast_to_noise, equivalent_diameter_px

    if record.mask_path is None:
        return None
    try:
        mask = load_mask(record.mask_path, size)
        picture = read_at_size(record, size)
    except ImageRefused:
        return None
    snr = contrast_to_noise(picture, mask)
    return (equivalent_diameter_px(mask), snr) if mask.any() and snr > 0.0 else None
