"""Every registered method ready to draw: what some need beyond good parts, small and seeded."""

import math
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import ias_core.synthesis  # noqa: F401  registers the methods
from ias_core.synthesis.base import ImageSynthesizer, NgSource, build, synthesizers
from tests.core.small import pictures

SIDE = 64
WITH_NETWORK = tuple(name for name in synthesizers if {"model", "backend"} & set(synthesizers[name].needs))


def method(name: str) -> ImageSynthesizer:
    """The method of this name, with what it needs."""
    return build(name, given(name))


@cache
def given(name: str) -> dict[str, Any]:
    """What ``build`` may hand to the method, by field name."""
    needs = synthesizers[name].needs
    found: dict[str, Any] = {"sources": tuple(ng_source(seed) for seed in (99, 98, 97))}
    if "model" in needs:
        found["model"] = pixel_model()
    if "backend" in needs:
        # RealNet's SDAS draws no noise in its last step, so it takes a few to be seen.
        found |= {"backend": backend(synthesizers[name].kinds[0]), "steps": 4 if name == "realnet-sdas" else 2}
    if "adapter" in needs:
        found["adapter"] = synthesizers[name].fit(
            found["backend"], found["sources"], pictures(4, SIDE), seed=0, steps=1, watch=lambda *told: True
        )
    return found


@cache
def pixel_model() -> Any:
    """A net that has learned nothing yet: after one step."""
    import torch

    from ias_core.synthesis.one_shot.training import train

    return train(
        pictures(4, SIDE),
        seed=0,
        budget_s=math.inf,
        most_steps=1,
        window_px=32,
        device=torch.device("cpu"),
        channels=(8, 8),
        watch=lambda told: True,
    )


@cache
def backend(kind: str) -> Any:
    """Tiny Stable Diffusion with random weights, of a kind."""
    from tests.core.tiny_diffusion import tiny_backend

    return tiny_backend(Path(tempfile.mkdtemp()), channels=9 if kind == "inpainting" else 4)


def ng_source(seed: int = 99, side: int = SIDE) -> NgSource:
    """A good part with one dark blot, a little off the middle, and its mask."""
    image = pictures(1, side, seed=seed)[0].copy()
    mask = np.zeros((side, side), np.uint8)
    middle, axes = (int(side * 0.45), int(side * 0.55)), (side // 8, side // 12)
    cv2.ellipse(mask, middle, axes, 30, 0, 360, 1, -1)
    inside = mask.astype(bool)
    image[inside] *= 0.35
    return NgSource(f"blot {seed}.png", image, inside)
