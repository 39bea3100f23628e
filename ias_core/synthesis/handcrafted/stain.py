"""Stain: something dried on the part, darker and duller on a light surface, pale on a dark one.

H13 dot, smooth as a drop is, and free form; H14 darkening and desaturation; the look is ours. Light that passes the
stain is damped as by a dye, exp(-density x alpha), which never turns black at a sharp line.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ias_core.synthesis import shapes
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.graded import Graded, cloud, each_px, is_bright, put
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Scene

_DENSITY = 1.2
_PALE = 0.78
_WARMTH = np.array((-1.0, 0.0, 1.0))  # a warm stain takes more of the blue than of the red


@synthesizers.register("stain")
@dataclass(frozen=True, slots=True)
class Stain(Graded):
    """One to five soft spots or blots.  Family: hand-crafted, graded.  Space: image."""

    size_min_px: float = field(default=10.0, metadata={"min": 2.0, "max": 70.0})  # H13's dot: radius 5 to 35 at 256 px
    size_max_px: float = field(default=70.0, metadata={"min": 2.0, "max": 128.0})

    name = "stain"

    def __post_init__(self) -> None:
        Graded.__post_init__(self)  # super() knows no class that slots=True has made anew
        check_range("sizes", self.size_min_px, self.size_max_px)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        count = shapes.parts(rng)
        size_px = each_px(scene, rng.uniform(self.size_min_px, self.size_max_px), count)
        softness, ring = rng.uniform(0.25, 0.7), rng.uniform(0, 0.5)
        blot = bool(rng.integers(2))
        polarity, place = rng.uniform(), None
        warmth, dullness = rng.uniform(-0.2, 0.5), rng.uniform(0.2, 0.9)
        written = np.zeros((scene.side, scene.side), bool)
        alpha = np.zeros((scene.side, scene.side), np.float32)
        for _ in range(count):
            mask = np.pad((shapes.free_form if blot else shapes.bump)(size_px, rng)[0], 3)
            soft = shapes.soften(mask, softness * size_px / 2)
            blur_px = 0.5 + 0.04 * softness * size_px  # else steps of the rim show as rays
            soft = mask * cv2.GaussianBlur(soft, (0, 0), blur_px)
            soft *= 1 - ring * shapes.soften(mask, size_px / 2)  # dried: the rim holds the most
            soft *= cloud(mask.shape, size_px / 3, 0.6, rng)
            (on_canvas, layer), place = put(scene, rng, mask, soft, near=place)
            written |= on_canvas
            alpha = np.maximum(alpha, layer)
        bright = is_bright(scene.picture, written, polarity)
        weight = alpha[..., None]
        grey = scene.picture.mean(2, keepdims=True)
        dull = scene.picture + dullness * weight * (grey - scene.picture)
        if bright:
            plain = dull + 0.75 * weight * (_PALE - 0.15 * warmth * _WARMTH - dull)
        else:
            plain = dull * np.exp(-_DENSITY * weight * (1 + warmth * _WARMTH))
        return self.mixed(
            scene,
            severity,
            plain.astype(np.float32),
            written,
            "none",
            {
                "parts": count,
                "size_px": size_px,
                "shape": "free form" if blot else "drop",
                "softness": softness,
                "warmth": warmth,
                "dullness": dullness,
                "kind": "paler" if bright else "darker",
            },
        )
