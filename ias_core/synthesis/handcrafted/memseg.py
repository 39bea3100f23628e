"""MemSeg: a foreign texture, or the image itself shuffled, inside Perlin noise on the part.

Yang, Wu, Feng, "MemSeg: A semi-supervised method for image surface defect detection using differences and
commonalities", EAAI 119 (2023) 105835, arXiv 2205.00908; the unofficial repository TooTouch/MemSeg, data/dataset.py
and configs.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.perlin_mask import PerlinMasked
from ias_core.synthesis.random_augment import random_augment
from ias_core.synthesis.recipe import Scene


def shuffled(image: np.ndarray, cells: int, rng: np.random.Generator) -> np.ndarray:
    """An image cut into ``cells`` x ``cells`` equal squares and put together in random order.

    Parameters
    ----------
    image : ndarray of shape (s, s, 3)
        Where s is no multiple of ``cells``, the strip beyond the last whole cell stays in its place (ours; the
        published code refuses such sizes). So the values are the same ones at any size, elsewhere.
    cells : int
        From 1 to s.

    Examples
    --------
    >>> image = np.arange(9 * 9 * 3).reshape(9, 9, 3)
    >>> out = shuffled(image, 4, np.random.default_rng(0))
    >>> bool((np.sort(out, axis=None) == np.sort(image, axis=None)).all()), bool((out[8] == image[8]).all())
    (True, True)
    """
    side = len(image) // cells
    whole = side * cells
    grid = image[:whole, :whole].reshape(cells, side, cells, side, 3).swapaxes(1, 2).reshape(cells**2, side, side, 3)
    grid = grid[rng.permutation(cells**2)]
    out = image.copy()
    out[:whole, :whole] = grid.reshape(cells, cells, side, side, 3).swapaxes(1, 2).reshape(whole, whole, 3)
    return out


@synthesizers.register("memseg")
@dataclass(frozen=True, slots=True)
class MemSeg(PerlinMasked):
    """Texture or shuffled image in Perlin noise.  Family: hand-crafted, external-dependent.  Space: image.

    Published: opacity 0.15 to 1; texture and structure source equally often; structure: the image itself through
    DRAEM's random operations, cut 8 x 8 and shuffled (the paper says 4 x 8). The mask stays on the part where one is
    given; the published foregrounds were set by hand for every product, so none is guessed here.
    """

    cells: int = field(default=8, metadata={"min": 2, "max": 16})

    name = "memseg"
    severities = (0.15, 1.0)

    def matter(self, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, str, dict[str, Any]]:
        if rng.random() < 0.5:
            texture, source = scene.textures(scene.side, rng)
            return texture, source, {"matter": "texture"}
        image, operations = random_augment(scene.picture, rng)
        drawn = {"matter": "structure", "operations": operations}
        return shuffled(image, self.cells, rng), f"own image {scene.parent}, shuffled", drawn
