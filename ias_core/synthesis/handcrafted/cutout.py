"""CutOut: a square hole.

DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552, as ASBench
(repository M-3LAB/ASBench) uses it: one square of 20 to 50 px at 256 px, centred anywhere, so that the border may cut
it off. The other fills than black are ours.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.places import side_of_square, square
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene

FILLS = ("black", "image mean", "part mean", "noise")


@synthesizers.register("cutout")
@dataclass(frozen=True, slots=True)
class CutOut(Recipe):
    """A black square.  Family: hand-crafted, inpainting-based.  Space: image.

    The end of the ladder that must be found: a threshold that misses it is broken. Never choose a threshold by it.

    fill : black as published; the mean colour of the picture or of the part, the whole picture where the part is not
        known; or uniform noise
    """

    side_min_px: float = field(default=20.0, metadata={"min": 2.0, "max": 100.0})  # at 256 px
    side_max_px: float = field(default=50.0, metadata={"min": 2.0, "max": 200.0})
    fill: str = field(default="black", metadata={"choices": FILLS})

    name = "cutout"

    def __post_init__(self) -> None:
        check_range("sides", self.side_min_px, self.side_max_px)
        if self.fill not in FILLS:
            raise IasError(f"cutout: expected a fill out of {', '.join(FILLS)}, got {self.fill!r}")

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        drawn = scene.px(rng.uniform(self.side_min_px, self.side_max_px))
        side = max(1, round(drawn if scene.size_px is None else side_of_square(scene.size_px)))
        row, column = scene.place(rng)
        box = square(scene, row, column, side)
        picture = scene.picture.copy()
        inside = picture[box]
        if self.fill == "noise":
            hole = rng.uniform(0, 1, inside.shape).astype(np.float32)
        elif self.fill == "black":
            hole = np.float32(0)
        else:
            whole = self.fill == "image mean" or scene.foreground is None
            colours = scene.picture.reshape(-1, 3) if whole else scene.picture[scene.foreground]
            hole = colours.mean(0, dtype=np.float64)
        picture[box] = (1 - severity) * inside + severity * hole
        written = np.zeros(picture.shape[:2], bool)
        written[box] = True
        settings = {"side_px": side, "row_px": row, "column_px": column, "fill": self.fill}
        return Draw(picture, written, "none", settings)
