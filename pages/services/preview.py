"""One synthetic NG on one good part, as the dials stand: what the engineer looks at before a set is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pages.services.foreground import part_masks
from pages.services.kit import Kit, kit_of
from pages.services.ledger import ImageRecord, Ledger
from pages.services.made import ONE_SHOT, facts_of, make, texture_source
from pages.services.pictures import read_at_size
from pages.services.settings import RunConfig, SynthesisConfig
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
    kit: Kit | None = None,
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
    kit : Kit, optional
        What the method takes beyond good parts.

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
    made = make(
        method,
        pictures,
        dials,
        count=1,
        seed=seed,
        foregrounds=foregrounds,
        textures=texture_source(textures),
        kit=kit,
    )
    facts = {key: value[0] for key, value in facts_of(made, pictures).items()}
    return Preview(pictures[made.parents[0]], made.images[0], made.masks[0], facts)


def ladder(
    ws: Workspace, records: Sequence[ImageRecord], config: RunConfig, *, seed: int
) -> list[tuple[np.ndarray, str]]:
    """One defect of a real NG on one good part: the part, four amplitudes, and at the full one up to two softnesses.

    Parameters
    ----------
    records : sequence of ImageRecord
        Good parts; the first that has a place for it is used.

    Returns
    -------
    list of (picture (s, s, 3) float32, caption)

    Raises
    ------
    IasError
        No NG is chosen, or no good part has a place for its defect.
    """
    from ias_core.synthesis.base import build
    from ias_core.synthesis.one_shot.ladder import ladder as drawn

    amplitudes = (0.25, 0.5, 0.75, 1.0)
    pictures = np.stack([read_at_size(record, config.detector.input_size) for record in records])
    method = build(ONE_SHOT, kit_of(ws, config, (ONE_SHOT,)).given(ONE_SHOT))
    soft = (20.0, 80.0) if config.synthesis.one_shot.model else ()
    steps, parent = drawn(
        method,
        pictures,
        seed=seed,
        severities=amplitudes,
        softnesses=(0.0, *soft),
        size_px=config.synthesis.size_px.get(ONE_SHOT),
        foregrounds=part_masks(ws, config.synthesis.foreground, pictures),
    )
    shown = [(pictures[parent], "the good part")]
    shown += [(picture, f"amplitude {a:g}") for picture, a in zip(steps[0], amplitudes, strict=True)]
    return shown + [
        (row[-1], f"amplitude 1, softness {sigma:g} grey levels") for row, sigma in zip(steps[1:], soft, strict=True)
    ]
