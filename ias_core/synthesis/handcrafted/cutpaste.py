"""CutPaste: a rectangle of the picture, pasted elsewhere in it.

Li, Sohn, Yoon, Pfister, "CutPaste: Self-Supervised Learning for Anomaly Detection and Localization", CVPR 2021,
arXiv 2104.04015; values as in the unofficial repository Runinho/pytorch-cutpaste, which swaps width and height: that
only matters for pictures that are not square.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.jitter import jitter_colour
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene


@synthesizers.register("cutpaste")
@dataclass(frozen=True, slots=True)
class CutPaste(Recipe):
    """A rectangle copied to another place.  Family: hand-crafted, self-contained.  Space: image.

    The severity is the opacity, 1 as published. The published areas, 2 to 15 % of the picture, are far larger than
    most defects of a factory: use the size for small ones. The source may lie off the part.

    area_min, area_max : share of the picture's area
    aspect_min, aspect_max : width over height, drawn evenly on a logarithmic scale
    jitter : of the patch's colours, see ``jitter_colour``
    """

    area_min: float = field(default=0.02, metadata={"min": 0.0005, "max": 0.5})
    area_max: float = field(default=0.15, metadata={"min": 0.0005, "max": 0.5})
    aspect_min: float = field(default=0.3, metadata={"min": 0.1, "max": 10.0})
    aspect_max: float = field(default=3.3, metadata={"min": 0.1, "max": 10.0})
    jitter: float = field(default=0.1, metadata={"min": 0.0, "max": 0.5})

    name = "cutpaste"

    def __post_init__(self) -> None:
        check_range("areas", self.area_min, self.area_max)
        check_range("aspects", self.aspect_min, self.aspect_max)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        side = scene.side
        area = rng.uniform(self.area_min, self.area_max) * side**2
        aspect = float(np.exp(rng.uniform(np.log(self.aspect_min), np.log(self.aspect_max))))
        if scene.size_px is not None:
            area = scene.asked_area_px
        # a side that the picture cuts off, or that rounding changes, is made up for by the other one
        width = min(side, max(1, round(np.sqrt(area * aspect)), round(area / side)))
        height = min(side, max(1, round(area / width)))
        source_top, source_left = (int(rng.integers(side - extent + 1)) for extent in (height, width))
        top, left = corner(scene, height, width, rng)
        source = scene.picture[source_top : source_top + height, source_left : source_left + width]
        patch, colours = jitter_colour(source, self.jitter, rng)
        box = np.s_[top : top + height, left : left + width]
        picture = scene.picture.copy()
        picture[box] = (1 - severity) * picture[box] + severity * patch
        written = np.zeros(picture.shape[:2], bool)
        written[box] = True
        settings = {
            "height_px": height,
            "width_px": width,
            "source_top_px": source_top,
            "source_left_px": source_left,
            "top_px": top,
            "left_px": left,
            **colours,
        }
        return Draw(picture, written, f"own image {scene.parent}", settings)
