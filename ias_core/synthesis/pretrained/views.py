"""Real NG as the methods that are trained on them see them: close-ups in the proportions of a window, moved about.

Where the published methods train on whole pictures of 256 px, a window is as wide as the one that will be drawn in, so
that a minute defect fills the same share of it; ours. In a window that is drawn in, the target lies in the middle
unless the picture ends; a model that is to learn *where* a defect lies has to see it elsewhere as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.pretrained.windows import Box, box_around, resized, resized_mask

PER_NG = 8
FEW_NG = 3


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """n windows of side w on real NG.

    pictures : (n, w, w, 3) float32   in [0, 1]
    masks : (n, w, w) bool            the defects
    parts : (n, w, w) bool            the parts, the defects on them included
    """

    pictures: np.ndarray
    masks: np.ndarray
    parts: np.ndarray


def views(
    sources: Sequence[NgSource],
    *,
    side_px: int,
    cell_px: int,
    rng: np.random.Generator,
    parts: Sequence[np.ndarray] | None = None,
    per_ng: int = PER_NG,
) -> Views:
    """Up to ``per_ng`` windows on each NG: the one around its defect, then that one moved, the defect whole in it.

    Fewer where the picture leaves them no other places.

    Parameters
    ----------
    side_px, cell_px : int
        Of the model: side of its pictures, and side of the part of it that one place of the latent stands for.
    parts : sequence of (s, s) bool, optional
        Where the part is in each NG; None: everywhere.

    Raises
    ------
    SynthesisError
        A mask is empty, or its defect is narrower than one cell however near it is looked at.
    """
    pictures, masks, on_part = [], [], []
    for i, source in enumerate(sources):
        if not source.mask.any():
            raise SynthesisError(f"{source.name}: its mask is empty: draw one around the defect")
        part = np.ones_like(source.mask) if parts is None else parts[i] | source.mask
        centred = box_around(source.mask, side_px=side_px, cell_px=cell_px)
        others = [moved(centred, source.mask, rng) for _ in range(per_ng - 1)]
        for box in dict.fromkeys([centred, *others]):
            mask = resized_mask(box.of(source.mask), side_px)
            check_cells(mask, cell_px, source.name)
            pictures.append(resized(box.of(source.image), side_px))
            masks.append(mask)
            on_part.append(resized_mask(box.of(part), side_px))
    return Views(np.stack(pictures), np.stack(masks), np.stack(on_part))


def moved(box: Box, mask: np.ndarray, rng: np.random.Generator) -> Box:
    """The box at a random place of the picture where the mask (s, s) is still whole in it."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    first = [
        int(rng.integers(max(0, start + length - box.side), min(start, len(mask) - box.side) + 1))
        for start, length in ((top, height), (left, width))
    ]
    return Box(*first, box.side)


def check_cells(mask: np.ndarray, cell_px: int, name: str) -> None:
    """Refuse a mask (w, w) below one cell of the latent, of which nothing could be learned.

    Raises
    ------
    SynthesisError
        Neither side of its box has a cell's px.
    """
    _, _, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if max(width, height) < cell_px:
        raise SynthesisError(
            f"{name}: defect below {cell_px} px ({width} x {height}), which is less than one cell of the latent: crop "
            "and upscale first"
        )


def told(sources: Sequence[NgSource], seed: int) -> dict[str, object]:
    """What every training tells of what it started from, for ``Adapter.meta``."""
    about: dict[str, object] = {"sources": [source.name for source in sources], "seed": seed}
    if len(sources) < FEW_NG:
        about["note"] = f"learned from {len(sources)} real NG: it memorises them"
    return about
