"""NSA as ASBench uses it: one patch of the same image, without masks of the part.

Repository M-3LAB/ASBench, which calls NSA's code with that code's defaults (hmsch/natural-synthetic-anomalies,
self_sup_data/self_sup_tasks.py). ASBench's figures for NSA were measured with this.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.nsa import RESIZE_OBJECTS, RING_PX, measured_severity, pasted, without_ring
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene


@synthesizers.register("nsa-asbench")
@dataclass(frozen=True, slots=True)
class NsaAsbench(Recipe):
    """A patch of the same image moved within it, without a seam.  Family: hand-crafted, self-contained.  Space: image.

    The severity is the opacity, 1 as published. ASBench knows no part; where the user gives one, the patch is centred
    on it and cut to it, as every method here must be.

    half_width_* : in shares of the side, uniform; the whole resized side stays within the same bounds, as in that code
    """

    half_width_min: float = field(default=0.05, metadata={"min": 0.01, "max": 0.4})
    half_width_max: float = field(default=0.2, metadata={"min": 0.01, "max": 0.5})

    name = "nsa-asbench"

    def __post_init__(self) -> None:
        check_range("half-widths", self.half_width_min, self.half_width_max)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        half = rng.uniform(self.half_width_min, self.half_width_max, 2)
        scale = min(np.clip(rng.normal(1, 0.5), *RESIZE_OBJECTS), self.half_width_max / (2 * half.max()))
        sides = 2 * half * scale * scene.side
        if scene.size_px is not None:
            sides = sides * np.sqrt(scene.asked_area_px / sides.prod()) + RING_PX
        height, width = (int(np.clip(round(extent), 3, scene.side)) for extent in sides)
        tall, wide = (int(np.clip(round(extent / scale), 3, scene.side)) for extent in sides)
        source_top, source_left = (int(rng.integers(scene.side - extent + 1)) for extent in (tall, wide))
        top, left = corner(scene, height, width, rng)
        cut = np.ascontiguousarray(scene.picture[source_top : source_top + tall, source_left : source_left + wide])
        box = np.s_[top : top + height, left : left + width]
        inside = np.ones((height, width), bool) if scene.foreground is None else scene.foreground[box]
        inside = without_ring(inside)
        picture, written = scene.picture.copy(), np.zeros((scene.side, scene.side), bool)
        patch = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)
        pasted(picture, patch, top, left, inside, mixed=False)
        written[box] = inside
        picture = scene.picture + np.float32(severity) * (picture - scene.picture)
        settings = {
            "top_px": top,
            "left_px": left,
            "height_px": height,
            "width_px": width,
            "source_top_px": source_top,
            "source_left_px": source_left,
            "source_height_px": tall,
            "source_width_px": wide,
            "severity_measured": measured_severity(scene.picture, picture, written),
        }
        return Draw(picture, written, f"own image {scene.parent}", settings)
