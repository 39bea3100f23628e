"""Scratch: thin grooves along wandering paths, with a light and a dark flank.

H13 line (AnoStyler's released shape priors), H14 thin line of a contrast; the look is ours.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.synthesis import shapes
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.graded import Graded, cloud, each_px, is_bright, put
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Scene

_LONGEST_SHARE = 0.8  # of the picture's side
_SWELL = 2 / np.pi  # mean of the taper, half a sine


@synthesizers.register("scratch")
@dataclass(frozen=True, slots=True)
class Scratch(Graded):
    """Fine scratches, one to five side by side.  Family: hand-crafted, graded.  Space: image."""

    length_min_px: float = field(default=60.0, metadata={"min": 5.0, "max": 200.0})  # at 256 px
    length_max_px: float = field(default=200.0, metadata={"min": 5.0, "max": 250.0})
    thickness_min_px: float = field(default=1.0, metadata={"min": 0.5, "max": 7.0})  # at the thickest place
    thickness_max_px: float = field(default=7.0, metadata={"min": 0.5, "max": 12.0})

    name = "scratch"

    def __post_init__(self) -> None:
        Graded.__post_init__(self)  # super() knows no class that slots=True has made anew
        check_range("lengths", self.length_min_px, self.length_max_px)
        check_range("thicknesses", self.thickness_min_px, self.thickness_max_px)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        length_px = rng.uniform(self.length_min_px, self.length_max_px)
        thickest_px = np.exp(rng.uniform(np.log(self.thickness_min_px), np.log(self.thickness_max_px)))
        mean_px = 1 + (thickest_px - 1) * _SWELL
        count, angle = shapes.parts(rng), rng.uniform(0, np.pi)
        size_px = each_px(scene, float(np.sqrt(4 * length_px * mean_px / np.pi)), count)
        aspect = min(length_px / mean_px, (_LONGEST_SHARE * scene.side) ** 2 / shapes.area_px(size_px))
        length_px, thickness_px = shapes.line_sides(size_px, aspect)
        polarity, place = rng.uniform(), None
        written = np.zeros((scene.side, scene.side), bool)
        alpha, core = np.zeros((2, scene.side, scene.side), np.float32)
        for _ in range(count):
            line = shapes.line(
                size_px,
                rng,
                aspect=aspect,
                bend=rng.uniform(-0.4, 0.4),
                jitter=rng.uniform(0, 0.12),
                taper=True,
                angle=angle + rng.normal(0, 0.12),
            )
            layers, place = put(scene, rng, *line, near=place)
            written |= layers[0]
            alpha, core = np.maximum(alpha, layers[1]), np.maximum(core, layers[2])
        bright = is_bright(scene.picture, written, polarity)
        core *= cloud(core.shape, scene.px(6), 0.45, rng)
        rim = alpha - np.minimum(alpha, core)
        light, dark = (core, 0.6 * rim) if bright else (0.25 * rim, core)
        plain = scene.picture * (1 - 0.85 * dark[..., None])
        plain = plain + (0.92 - plain) * (0.9 * light[..., None])
        return self.mixed(
            scene,
            severity,
            plain,
            written,
            "none",
            {
                "parts": count,
                "length_px": length_px,
                "thickness_px": thickness_px,
                "angle_degrees": np.degrees(angle),
                "kind": "brighter" if bright else "darker",
            },
        )
