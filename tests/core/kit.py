"""Every registered method ready to draw: what some need beyond good parts, small and seeded."""

from functools import cache
from typing import Any

import cv2
import numpy as np

import ias_core.synthesis  # noqa: F401  registers the methods
from ias_core.synthesis.base import ImageSynthesizer, NgSource, build
from tests.core.small import pictures


def method(name: str) -> ImageSynthesizer:
    """The method of this name, with what it needs."""
    return build(name, resources())


@cache
def resources() -> dict[str, Any]:
    """Real NG by field name, as ``build`` takes them."""
    return {"sources": (ng_source(),)}


def ng_source(side: int = 64) -> NgSource:
    """A good part with one dark blot, a little off the middle, and its mask."""
    image = pictures(1, side, seed=99)[0].copy()
    mask = np.zeros((side, side), np.uint8)
    middle, axes = (int(side * 0.45), int(side * 0.55)), (side // 8, side // 12)
    cv2.ellipse(mask, middle, axes, 30, 0, 360, 1, -1)
    inside = mask.astype(bool)
    image[inside] *= 0.35
    return NgSource("blot.png", image, inside)
