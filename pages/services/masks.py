"""Masks that somebody uploaded, drew or accepted: kept in the workspace by their content, and read back unchanged."""

from __future__ import annotations

import hashlib
import io

import numpy as np

from ias_core.errors import IasError, ImageRefused
from ias_core.foreground import read_mask
from ias_core.imaging import read_bytes
from pages.services.workspace import Workspace

_HEX = set("0123456789abcdef")


def is_sha256(text: str) -> bool:
    """Whether the text can name a kept mask, and nothing else on the disk.

    Examples
    --------
    >>> is_sha256(64 * "0"), is_sha256("../../secret")
    (True, False)
    """
    return len(text) == 64 and set(text) <= _HEX


def sha256_of(mask: np.ndarray) -> str:
    """Name that ``keep`` would give a mask (h, w) bool; nothing is kept. Errors as of ``keep``."""
    return _as_file(mask)[0]


def keep(ws: Workspace, mask: np.ndarray) -> str:
    """Keep a mask (h, w) bool in the workspace; returns the sha256 of its file.

    Raises
    ------
    IasError
        A mask that marks nothing, or everything.
    """
    digest, content = _as_file(mask)
    path = ws.images / f"{digest}.png"
    if not path.exists():
        path.write_bytes(content)
    return digest


def kept(ws: Workspace, sha256: str, *, what: str) -> np.ndarray:
    """The mask (h, w) bool of this name; ``what`` is what an error calls it.

    Raises
    ------
    IasError
        The file is gone from the workspace or was changed.
    """
    try:
        content = read_bytes(ws.images / f"{sha256}.png")
    except ImageRefused as refused:
        raise IasError(f"{what} cannot be read: {refused}; upload or draw it again") from refused
    if hashlib.sha256(content).hexdigest() != sha256:
        raise IasError(f"{what} was changed in the workspace; upload or draw it again")
    return read_mask(content)


def _as_file(mask: np.ndarray) -> tuple[str, bytes]:
    from PIL import Image

    if mask.all() or not mask.any():
        raise IasError(f"expected a mask of some of the picture, got {'everything' if mask.any() else 'nothing'}")
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    content = buffer.getvalue()
    return hashlib.sha256(content).hexdigest(), content
