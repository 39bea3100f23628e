"""One synthetic NG on one good part, as the dials stand: what the engineer looks at before a set is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pages.services.ledger import ImageRecord, Ledger
from pages.services.made import facts_of, make, texture_source
from pages.services.pictures import read_at_size
from pages.services.settings import SynthesisConfig
from pages.services.workspace import Workspace

N_DONORS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """parent, image (s, s, 3) float32 in [0, 1], mask (s, s) bool, facts: what ``made.facts_of`` says of this one."""

    parent: np.ndarray
    image: np.ndarray
    mask: np.ndarray
    facts: dict[str, Any]


def candidates(ws: Workspace, n: int = 12) -> tuple[ImageRecord, ...]:
    """A few calibration OK pictures to look at, spread over all of them."""
    records = Ledger(ws).records(role="calibration_ok")
    places = np.unique(np.linspace(0, len(records) - 1, min(n, len(records))).round().astype(int)) if records else []
    return tuple(records[i] for i in places)


def preview(
    records: Sequence[ImageRecord],
    method: str,
    *,
    side: int,
    severity: float | None,
    size_px: float | None,
    seed: int,
    textures: str = "",
    foregrounds: np.ndarray | None = None,
) -> Preview:
    """The method's first picture on the first record; the other records are its donors.

    Parameters
    ----------
    records : sequence of ImageRecord
    side : int
        The detector's input size, in px.
    severity, size_px : float, optional
        None: as published.
    textures : str
        Folder, or empty.
    foregrounds : ndarray of shape (n, side, side), optional

    Raises
    ------
    IasError
        A dial the method does not have, or no visible defect at these dials.
    """
    pictures = np.stack([read_at_size(record, side) for record in records])
    dials = SynthesisConfig(
        graded="",
        severity={} if severity is None else {method: severity},
        size_px={} if size_px is None else {method: size_px},
    )
    made = make(method, pictures, dials, count=1, seed=seed, foregrounds=foregrounds, textures=texture_source(textures))
    facts = {key: value[0] for key, value in facts_of(made, pictures).items()}
    return Preview(pictures[made.parents[0]], made.images[0], made.masks[0], facts)
