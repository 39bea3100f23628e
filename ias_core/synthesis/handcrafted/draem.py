"""DRAEM: a foreign texture inside thresholded Perlin noise.

Zavrtanik, Kristan, Skocaj, "DRAEM - A discriminatively trained reconstruction embedding for surface anomaly
detection", ICCV 2021, arXiv 2108.07610; data_loader.py and perlin.py of the repository VitjanZ/DRAEM.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.perlin_mask import PerlinMasked
from ias_core.synthesis.random_augment import random_augment
from ias_core.synthesis.recipe import Scene


@synthesizers.register("draem")
@dataclass(frozen=True, slots=True)
class Draem(PerlinMasked):
    """Foreign texture in Perlin noise.  Family: hand-crafted, external-dependent.  Space: image.

    Published: 1 to 32 cells each way, threshold 0.5, opacity 1 - beta with beta in [0, 0.8), the texture through three
    random operations. Ours: an empty mask, 4.6 % of the draws, is drawn again, where the reference calls the picture
    OK; the OK image is never turned, which the reference does 3 times in 10, because everything outside the mask has
    to stay as it is; textures are made here unless the user has some, where the paper takes DTD.

    Large and plain: a threshold that is chosen by it alone lies too high for small defects.
    """

    name = "draem"
    severities = (0.2, 1.0)
    augmented: ClassVar[bool] = True

    def matter(self, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, str, dict[str, Any]]:
        texture, source = scene.textures(scene.side, rng)
        if not self.augmented:
            return texture, source, {}
        texture, operations = random_augment(texture, rng)
        return texture, source, {"operations": operations}
