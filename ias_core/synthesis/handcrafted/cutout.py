"""CutOut: a square hole.

DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552, as ASBench
uses it: one square of 20 to 50 px at 256 px, centred anywhere, so that the border may cut it off.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.recipe import Draw, HandCrafted, Scene

FILLS = ("black", "image mean", "noise")


@synthesizers.register("cutout")
@dataclass(frozen=True, slots=True)
class CutOut(HandCrafted):
    """A black square.  Family: hand-crafted, inpainting-based.  Space: image.

    The end of the ladder that must be found: a threshold that misses it is broken. Never choose a threshold by it.
    """

    side_min_px: float = field(default=20.0, metadata={"min": 2.0, "max": 100.0})  # at 256 px
    side_max_px: float = field(default=50.0, metadata={"min": 2.0, "max": 200.0})
    fill: str = field(default="black", metadata={"choices": FILLS})

    name = "cutout"

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise IasError(f"cutout: expected a fill out of {', '.join(FILLS)}, got {self.fill!r}")

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        drawn = scene.px(rng.uniform(self.side_min_px, self.side_max_px))
        side = max(1, round(drawn if scene.size_px is None else scene.size_px * np.sqrt(np.pi) / 2))
        row, column = scene.place(rng)
        top, left = row - side // 2, column - side // 2
        box = np.s_[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
        picture = scene.picture.copy()
        inside = picture[box]
        if self.fill == "noise":
            hole = rng.uniform(0, 1, inside.shape).astype(np.float32)
        else:
            hole = np.float32(0) if self.fill == "black" else scene.picture.mean((0, 1))
        picture[box] = (1 - severity) * inside + severity * hole
        written = np.zeros(picture.shape[:2], bool)
        written[box] = True
        return Draw(picture, written, "none", {"side_px": side, "top_px": top, "left_px": left, "fill": self.fill})
