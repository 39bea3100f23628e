"""Dent: the shading of a bump or a hollow that is lit from one side.

H14 shading step, a dipole along a random direction; the shape is H13's dot. The look is ours.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.synthesis import shapes
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.graded import Graded, each_px, put, shading
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Scene


@synthesizers.register("dent")
@dataclass(frozen=True, slots=True)
class Dent(Graded):
    """One flank lighter, the other darker, the mean as it was.  Family: hand-crafted, graded.  Space: image."""

    size_min_px: float = field(default=10.0, metadata={"min": 4.0, "max": 70.0})  # at 256 px
    size_max_px: float = field(default=70.0, metadata={"min": 4.0, "max": 128.0})

    name = "dent"

    def __post_init__(self) -> None:
        Graded.__post_init__(self)  # super() knows no class that slots=True has made anew
        check_range("sizes", self.size_min_px, self.size_max_px)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        size_px = each_px(scene, rng.uniform(self.size_min_px, self.size_max_px), 1)
        mask, height = shapes.bump(size_px, rng)
        light = rng.uniform(0, 2 * np.pi)
        (written, dipole), _ = put(scene, rng, mask, shading(height, light))
        plain = scene.picture + dipole[..., None] * (0.1 + 0.45 * scene.picture)
        return self.mixed(
            scene, severity, plain, written, "none", {"size_px": size_px, "light_degrees": np.degrees(light)}
        )
