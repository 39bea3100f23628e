"""Where synthetic defects may lie: anywhere, on the part as it is found in each picture, or inside one given mask.

The choice is a string, kept in the settings of the synthesis: "none", "found", or "given:" and the sha256 of the
mask's file. So the digest of the settings knows the mask by its content.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ias_core.errors import IasError
from ias_core.foreground import find_part, mask_at_size
from pages.services import masks
from pages.services.ledger import ImageRecord
from pages.services.pictures import read_at_size
from pages.services.workspace import Workspace

NONE, FOUND, GIVEN = "none", "found", "given"
_PREFIX = f"{GIVEN}:"


def kind_of(choice: str) -> str:
    """NONE, FOUND or GIVEN.

    Examples
    --------
    >>> kind_of("found"), kind_of("given:" + 64 * "0")
    ('found', 'given')
    """
    if choice in (NONE, FOUND):
        return choice
    if choice.startswith(_PREFIX) and masks.is_sha256(choice.removeprefix(_PREFIX)):
        return GIVEN
    raise IasError(f"setting foreground: expected 'none', 'found' or 'given:' and a sha256, got {choice!r}")


def keep_mask(ws: Workspace, mask: np.ndarray) -> str:
    """Keep a mask (h, w) bool in the workspace; returns the choice that names it. Errors as of ``masks.keep``."""
    return f"{_PREFIX}{masks.keep(ws, mask)}"


def choice_of(mask: np.ndarray) -> str:
    """The choice that ``keep_mask`` would return; nothing is kept."""
    return f"{_PREFIX}{masks.sha256_of(mask)}"


def given_mask(ws: Workspace, choice: str) -> np.ndarray:
    """The mask (h, w) bool that ``choice`` names; an IasError if its file is gone or was changed."""
    return masks.kept(ws, choice.removeprefix(_PREFIX), what="the mask of the part")


def part_masks(ws: Workspace, choice: str, pictures: np.ndarray) -> np.ndarray | None:
    """Where defects may lie in each picture.

    Parameters
    ----------
    choice : str
    pictures : ndarray of shape (n, s, s, 3)
        float32 RGB in [0, 1], at the detector's input size.

    Returns
    -------
    ndarray of shape (n, s, s), or None
        bool; None for anywhere. A picture without a background is part all over.

    Raises
    ------
    IasError
        An unknown choice, or a given mask that is gone or too fine for this size.
    """
    kind = kind_of(choice)
    if kind == NONE:
        return None
    if kind == FOUND:
        return np.stack([find_part(picture).mask for picture in pictures])
    return _given_masks(ws, choice, len(pictures), pictures.shape[1])


def part_masks_of(ws: Workspace, choice: str, records: Sequence[ImageRecord], size: int) -> np.ndarray | None:
    """As ``part_masks``, of pictures in the ledger; they are read only where the part must be found in them."""
    if kind_of(choice) == FOUND:
        return part_masks(ws, choice, np.stack([read_at_size(record, size) for record in records]))
    return None if choice == NONE else _given_masks(ws, choice, len(records), size)


def _given_masks(ws: Workspace, choice: str, n: int, size: int) -> np.ndarray:
    mask = mask_at_size(given_mask(ws, choice), size)
    if not mask.any():
        raise IasError(
            f"the mask of the part is so fine that nothing of it is left at {size} px; upload or draw a larger one"
        )
    return np.repeat(mask[None], n, axis=0)
