"""CutPaste-Scar as ASBench's code draws it: the whole box around the rotated strip, with black corners.

Repository M-3LAB/ASBench, destseg/data/cutpaste.py. It deviates from CutPaste-Scar: the box is pasted without its
alpha, so that what lies outside the strip is black, and all of it is labelled; the strip turns by up to 30 degrees
instead of 45, and its colours are not jittered. ASBench's ranking of "CutPaste-Scar" was measured with this.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.cutpaste_scar import Strip, turned
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.recipe import Draw, Scene


@synthesizers.register("cutpaste-scar-asbench")
@dataclass(frozen=True, slots=True)
class CutPasteScarAsbench(Strip):
    """A rotated strip in a box with black corners.  Family: hand-crafted, self-contained.  Space: image.

    For comparison with ASBench only; "cutpaste-scar" is the original. The severity is the opacity of the box, 1 as in
    ASBench. As everywhere here, pixels of the box that stay as they were are not in the mask: the black corners on a
    black ground. Ours, too: the strip is rotated at four times its size, and a size is that of the box.
    """

    angle_deg: float = field(default=30.0, metadata={"min": 0.0, "max": 180.0})

    name = "cutpaste-scar-asbench"

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        width, length = self.sides(scene, rng)
        degrees = self.angle(rng)
        if scene.size_px is not None:
            cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
            box_area = (width * cos + length * sin) * (width * sin + length * cos)
            scale = np.sqrt(scene.asked_area_px / box_area)
            width, length = scale * width, scale * length
        strip, drawn = self.cut(scene, width, length, rng)
        colour, alpha = turned(strip, degrees)
        top, left = corner(scene, *alpha.shape, rng)
        box = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        picture = scene.picture.copy()
        picture[box] = (1 - severity) * picture[box] + severity * alpha[..., None] * colour
        written = np.zeros(picture.shape[:2], bool)
        written[box] = True
        settings = {**drawn, "angle_deg": degrees, "top_px": top, "left_px": left}
        return Draw(picture, written, f"own image {scene.parent}", settings)
