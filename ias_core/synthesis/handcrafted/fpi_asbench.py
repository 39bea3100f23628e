"""FPI as ASBench's code draws it: a disc made brighter or darker.

Repository M-3LAB/ASBench, DRAEM/FPI_generation.py. It deviates from FPI in everything: no other image takes part; an
offset of 0.2 to 0.3 times the picture's range of values, up or down, is added to a disc with a radius of 5 to 10 % of
the picture's height, centred in its central half. ASBench's ranking of "FPI" was measured with this.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.places import core_place
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene


@synthesizers.register("fpi-asbench")
@dataclass(frozen=True, slots=True)
class FPIAsbench(Recipe):
    """A brighter or darker disc.  Family: hand-crafted, self-contained.  Space: image.

    For comparison with ASBench only; "fpi" is the original. The severity is the offset as a share of the picture's
    range of values, 0.2 to 0.3 in ASBench. Ours: values beyond black and white are clipped, where ASBench's 8-bit sum
    wraps around; a part mask takes the place of the central half.

    radius_* : share of the picture's side
    """

    radius_min: float = field(default=0.05, metadata={"min": 0.005, "max": 0.5})
    radius_max: float = field(default=0.10, metadata={"min": 0.005, "max": 0.5})
    core: float = field(default=0.5, metadata={"min": 0.1, "max": 1.0})

    name = "fpi-asbench"
    severities = (0.2, 0.3)

    def __post_init__(self) -> None:
        check_range("radii", self.radius_min, self.radius_max)
        if not 0 < self.core <= 1:
            raise IasError(f"{self.name}: expected a core above 0 and up to 1, got {self.core}")

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        radius = scene.side * rng.uniform(self.radius_min, self.radius_max)
        if scene.size_px is not None:
            radius = scene.size_px / 2
        row, column = core_place(scene, self.core, rng)
        sign = int(rng.choice((-1, 1)))
        y, x = np.ogrid[: scene.side, : scene.side]
        disc = (y - row) ** 2 + (x - column) ** 2 < radius**2
        picture = scene.picture.copy()
        picture[disc] += np.float32(sign * severity * np.ptp(scene.picture))
        settings = {"radius_px": float(radius), "row_px": row, "column_px": column, "sign": sign}
        return Draw(picture, disc, "none", settings)
