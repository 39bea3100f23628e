"""MemSeg as ASBench's code draws it: the part is whatever is dark.

Repository M-3LAB/ASBench, MemSeg/data/dataset.py: one grey threshold of 100 for every product, dark is foreground.
ASBench's finding that a foreground does not help was measured with this.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.memseg import MemSeg
from ias_core.synthesis.handcrafted.perlin_mask import roomy
from ias_core.synthesis.recipe import Scene


@synthesizers.register("memseg-asbench")
@dataclass(frozen=True, slots=True)
class MemSegAsbench(MemSeg):
    """MemSeg on what is dark.  Family: hand-crafted, external-dependent.  Space: image.

    For comparison with ASBench only; "memseg" is the original. On a dark background the defects miss the part. A
    picture without a dark place that is large enough is used whole (ours; ASBench then labels an unchanged picture
    NG), and the settings say so.
    """

    dark_below: int = field(default=100, metadata={"min": 1, "max": 254})  # 8-bit grey; the value itself is dark too

    name = "memseg-asbench"

    def part(self, scene: Scene, area_px: int) -> tuple[np.ndarray | None, dict[str, Any]]:
        grey = cv2.cvtColor(np.round(scene.picture * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        dark = grey <= self.dark_below
        if scene.foreground is not None:
            dark &= scene.foreground
        if not roomy(dark, area_px).any():
            return scene.foreground, {"foreground": "no dark place is large enough, so everywhere"}
        return dark, {"foreground": "what is dark"}
