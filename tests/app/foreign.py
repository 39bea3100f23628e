"""Small sets of synthetic NG as somebody else's tool would leave them, on the plates of ``small_run``."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pages.services.foreign_lineage import Lineage
from pages.services.foreign_set import ForeignSet
from pages.services.ledger import ImageRecord, Ledger
from pages.services.workspace import Workspace
from tests.app import small_run

SIDE = small_run.SIDE_PX
SQUARE = np.zeros((SIDE, SIDE), bool)
SQUARE[40:52, 38:50] = True


def png(pixels: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def spotted(pixels: np.ndarray, mask: np.ndarray = SQUARE, level: int = 250) -> np.ndarray:
    """The picture with a bright square."""
    return np.where(mask[..., None], np.uint8(level), pixels)


def pixels_of(record: ImageRecord) -> np.ndarray:
    return np.asarray(Image.open(record.path).convert("RGB"))


def at(top: int, left: int, side: int = 10) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def on_parts(parts: Sequence[ImageRecord]) -> dict[str, bytes]:
    """Files of a set that has one bright square on each of these good parts, at places of their own."""
    files = {}
    for i, part in enumerate(parts):
        mask = at(8 + 11 * (i % 7), 8 + 13 * (i % 6))
        files[f"images/{i:02d}.png"] = png(spotted(pixels_of(part), mask))
        files[f"masks/{i:02d}.png"] = png(mask)
    return files


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def manifest(*rows: dict[str, Any], **about: Any) -> bytes:
    return json.dumps(about | {"images": list(rows)}).encode()


def lineage(ws: Workspace, **changed: Any) -> Lineage:
    """Answers that bar nothing, but for what is changed."""
    asked = tuple(record.sha256 for record in Ledger(ws).records(label="ng"))
    values = {
        "generator": "LoRA",
        "seeds": "none",
        "seed_ng": (),
        "backgrounds": "edited",
        "in_bank": "no",
        "asked": asked,
        "by": "A. Weber",
    }
    return Lineage(**values | changed)


def answers_of(foreign: ForeignSet) -> dict[str, str]:
    """File -> reason of every refused one."""
    return {one.name: one.reason for one in foreign.refused}
