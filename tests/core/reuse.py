"""Ways to use a picture again, and the photographs they are tried on."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SETS = Path(__file__).parents[3] / "shared" / "data"  # beside the checkout, where the developers work

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def photographs(name: str, n: int) -> list[np.ndarray]:
    """Pictures (h, w, 3) uint8 of ``transistor`` or ``hazelnut``, good ones and, at the end, eight with a defect."""
    folder = SETS / f"{name}_reduced"
    good = sorted(folder.glob("train/good/*.png"))[: n - 8]
    bad = [path for path in sorted(folder.glob("test/*/*.png")) if path.parent.name != "good"]
    return [np.asarray(Image.open(path).convert("RGB")) for path in [*good, *bad[:8]]]


def has_photographs() -> bool:
    return (SETS / "transistor_reduced").is_dir() and (SETS / "hazelnut_reduced").is_dir()


def encoded(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded(pixels, "JPEG", quality=75))))


def cropped(pixels: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Without these shares of its width and height."""
    height, width = pixels.shape[:2]
    return pixels[
        round(top * height) : height - round(bottom * height), round(left * width) : width - round(right * width)
    ]


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(pixels), None, fx=factor, fy=factor, interpolation=way)


ONCE: dict[str, Change] = {
    "re-encoded": lambda p, rng: jpeg(p),
    "half the size": lambda p, rng: resized(p, 0.5),
    "another size": lambda p, rng: resized(p, rng.uniform(0.5, 2.0)),
    "twice the size": lambda p, rng: resized(p, 2.0),
    "cropped": lambda p, rng: cropped(p, *rng.uniform(0, 0.25, 4)),
    "cropped to half": lambda p, rng: cropped(p, 0.25, 0.25, 0.25, 0.25),
    "turned": lambda p, rng: np.rot90(p, int(rng.integers(1, 4))),
    "mirrored": lambda p, rng: p[:, ::-1] if rng.random() < 0.5 else p[::-1],
}


def used_again(pixels: np.ndarray, ways: tuple[str, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    for way in ways:
        pixels = ONCE[way](np.ascontiguousarray(pixels), rng)
    return np.ascontiguousarray(pixels)
