"""DestSeg: DRAEM's recipe with the texture as it is.

Zhang, Li, Li, Huang, Wang, "DeSTSeg: Segmentation Guided Denoising Student-Teacher for Anomaly Detection", CVPR 2023,
arXiv 2211.11317; data_utils.py and mvtec_dataset.py of the repository apple/ml-destseg.
"""

from dataclasses import dataclass

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.draem import Draem
from ias_core.synthesis.perlin import resized_perlin_field


@synthesizers.register("destseg")
@dataclass(frozen=True, slots=True)
class DestSeg(Draem):
    """Foreign texture in Perlin noise, not augmented.  Family: hand-crafted, external-dependent.  Space: image.

    Two things set it apart from "draem": the texture goes through no random operation (ASBench adds DRAEM's), and the
    corner gradients are resized to the picture, which only shows at sizes that are no multiple of the scales, so not
    at 224 or 256 px. Its turns of the OK image are left out, as in "draem".
    """

    name = "destseg"
    augmented = False
    noise = staticmethod(resized_perlin_field)
