"""Whether one file can be a picture of a set made elsewhere: its size, its mask, its content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ias_core import imaging, twins
from ias_core.errors import ImageRefused
from ias_core.synthesis.base import is_grey
from pages.services.foreign_files import FoundPicture
from pages.services.foreign_manifest import Row
from pages.services.foreign_set import ForeignPicture
from pages.services.intake import Rejected
from pages.services.ledger import ImageRecord

MOST_MASK_SHARE = 0.6  # dualanodiff.md: what marks more is no defect; mostly it is the wrong way round


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A picture that may stay, its bytes already in the staging folder."""

    entry: ForeignPicture
    row: Row
    print: twins.Print


def check(found: FoundPicture, *, work: Path, good: Sequence[ImageRecord], squeezed: bool) -> Checked | Rejected:
    """Look at one file; what may stay is written to ``work`` as it was looked at, the mask in black and white.

    Parameters
    ----------
    good : sequence of ImageRecord
        The workspace's good parts: pictures must have their size or aspect.
    squeezed : bool
        Squares may have any other aspect: all of the part is in them.
    """
    try:
        data = imaging.read_bytes(found.path)
        header = imaging.probe_image(data)
        why_not = _size_reason(header.width, header.height, good, squeezed)
        if why_not:
            raise ImageRefused(why_not)
        pixels = imaging.decode(data)
        sha256 = hashlib.sha256(data).hexdigest()
        file = f"{sha256}.{header.format.lower()}"
        entry = ForeignPicture(found.name, file, sha256, header.width, header.height, not is_grey(pixels[None]))
        if found.mask is not None:
            mask = _read_mask(found.mask, pixels.shape[:2])
            content = _png(mask)
            digest = hashlib.sha256(content).hexdigest()
            entry = replace(
                entry,
                mask_file=f"{digest}_mask.png",
                mask_sha256=digest,
                share=round(float(mask.mean()), 5),
                method=found.row.method,
                severity=found.row.severity,
            )
            (work / entry.mask_file).write_bytes(content)
        (work / file).write_bytes(data)
    except ImageRefused as refused:
        return Rejected(found.name, str(refused))
    return Checked(entry, found.row, twins.print_of(pixels))


def _size_reason(width: int, height: int, good: Sequence[ImageRecord], squeezed: bool) -> str:
    """Why pictures of this size are none of this camera; "" where they may be: its size, or its aspect to a pixel."""
    sizes = sorted({(record.width, record.height) for record in good})
    if any(abs(width * h - height * w) <= max(w, h) for w, h in sizes) or (squeezed and width == height):
        return ""
    named = " or ".join(f"{w} x {h}" for w, h in sizes[:3])
    square = ", or say that squares show all of the part, squeezed" if width == height else ""
    return f"it is {width} x {height} px, and good parts are {named} px: bring it to this size or aspect{square}"


def _read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """(h, w) bool: not black, as in the ground truth of real NG; a JPEG leaves grey around, so there above half."""
    try:
        data = imaging.read_bytes(path)
        header = imaging.probe_image(data)
        if (header.height, header.width) != shape:
            raise ImageRefused(f"it is {header.width} x {header.height} px, the picture {shape[1]} x {shape[0]} px")
        values = imaging.decode(data).max(axis=2)
    except ImageRefused as refused:
        raise ImageRefused(f"its mask: {refused}") from refused
    mask = 2 * values.astype(np.int64) > int(values.max()) if header.format == "JPEG" else values > 0
    share = float(mask.mean())
    if share == 0:
        raise ImageRefused("its mask is black all over: where is the defect?")
    if share == 1:
        raise ImageRefused("its mask marks the whole picture: paint what is no defect black")
    if share > MOST_MASK_SHARE:
        raise ImageRefused(
            f"its mask marks {100 * share:.0f} % of the picture, and at most {100 * MOST_MASK_SHARE:.0f} % are taken: "
            "white is the defect, black is not"
        )
    return mask


def _png(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()
