"""CutPaste-Scar as ASBench's code draws it: the whole box around the rotated strip, with black corners.

Repository M-3LAB/ASBench, destseg/data/cutpaste.py. It deviates from CutPaste-Scar: the box is pasted without its
alpha, so that what lies outside the strip is black, and all of it is labelled; the strip turns by up to 30 degrees
instead of 45, and its colours are not jittered. ASBench's ranking of "CutPaste-Scar" was measured with this.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.cutpaste_scar import source, turned
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.handcrafted.recipe import Draw, HandCrafted, Scene


@synthesizers.register("cutpaste-scar-asbench")
@dataclass(frozen=True, slots=True)
class CutPasteScarAsbench(HandCrafted):
    """A rotated strip in a box with black corners.  Family: hand-crafted, self-contained.  Space: image.

    For comparison with ASBench only; "cutpaste-scar" is the original. The severity is the opacity of the box, 1 as in
    ASBench. As everywhere here, pixels of the box that stay as they were are not in the mask: the black corners on a
    black ground. Ours, too: the strip is rotated at four times its size, and a size is that of the box.
    """

    width_min_px: float = field(default=2.0, metadata={"min": 1.0, "max": 64.0})  # at 256 px
    width_max_px: float = field(default=16.0, metadata={"min": 1.0, "max": 64.0})
    length_min_px: float = field(default=10.0, metadata={"min": 1.0, "max": 128.0})
    length_max_px: float = field(default=25.0, metadata={"min": 1.0, "max": 128.0})
    angle_deg: float = field(default=30.0, metadata={"min": 0.0, "max": 180.0})

    name = "cutpaste-scar-asbench"

    def __post_init__(self) -> None:
        check_range("widths", self.width_min_px, self.width_max_px)
        check_range("lengths", self.length_min_px, self.length_max_px)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        width = scene.px(rng.uniform(self.width_min_px, self.width_max_px))
        length = scene.px(rng.uniform(self.length_min_px, self.length_max_px))
        degrees = float(rng.uniform(-self.angle_deg, self.angle_deg))
        if scene.size_px is not None:
            cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
            box_area = (width * cos + length * sin) * (width * sin + length * cos)
            scale = np.sqrt(np.pi * scene.size_px**2 / 4 / box_area)
            width, length = scale * width, scale * length
        width, length = max(1, round(width)), max(1, round(length))
        strip, source_top, source_left = source(scene, length, width, rng)
        colour, alpha = turned(strip, degrees)
        top, left = corner(scene, *alpha.shape, rng)
        box = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        picture = scene.picture.copy()
        picture[box] = (1 - severity) * picture[box] + severity * alpha[..., None] * colour
        written = np.zeros(picture.shape[:2], bool)
        written[box] = True
        settings = {
            "width_px": width,
            "length_px": length,
            "angle_deg": degrees,
            "source_top_px": source_top,
            "source_left_px": source_left,
            "top_px": top,
            "left_px": left,
        }
        return Draw(picture, written, f"own image {scene.parent}", settings)
