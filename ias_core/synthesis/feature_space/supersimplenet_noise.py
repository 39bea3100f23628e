"""SuperSimpleNet's noise: Gaussian, but only inside a Perlin region of the feature grid.

Rolih, Fucka, Skocaj, "SuperSimpleNet", ICPR 2024; repository blaz-r/SuperSimpleNet (model/supersimplenet.py). There, a
Perlin field with scales 2^0..2^5 on a side padded to a power of two is resized to the map and thresholded at 0.2
(MVTec AD) or 0.6 (VisA), half of the masks are emptied, and e ~ N(0, 0.015^2 I) is added inside.

What transfers is the shape of the region, its threshold, and the empty masks (``controls``). Ours: rho = lambda R as
for SimpleNet, and a field that stays below the threshold everywhere is drawn again, because a ruler has no use for an
empty region that nobody asked for. The published map is twice as fine as this grid.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np
import torch

from ias_core.errors import FeatureError, IasError
from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers
from ias_core.synthesis.feature_space.simplenet_jitter import gaussian
from ias_core.synthesis.perlin import MAX_LOG_SCALE, padded_side, perlin_noise

_TRIES = 20


@feature_synthesizers.register("supersimplenet-noise")
@dataclass(frozen=True, slots=True)
class SuperSimpleNetNoise(FeatureSynthesizer):
    """Independent Gaussian noise in a Perlin region.  Family: data-driven.  Space: feature."""

    threshold: float = field(default=0.2, metadata={"min": 0.0, "max": 0.6})  # 0.2 for MVTec AD, 0.6 for VisA

    name = "supersimplenet-noise"
    meaning = "Length of Gaussian noise, drawn for each patch of a cloud-like region on its own."
    region_names: ClassVar[tuple[str, ...]] = ("Perlin region",)

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise IasError(f"expected a threshold of the Perlin field in [0, 1), got {self.threshold}")

    def regions(self, grid: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
        """See the base.

        Raises
        ------
        FeatureError
            20 fields in a row without a cell above the threshold.
        """
        gh, gw = grid
        padded = padded_side(max(grid))
        for _ in range(_TRIES):
            scales = tuple(int(2 ** rng.integers(0, MAX_LOG_SCALE + 1)) for _ in range(2))
            noise = cv2.resize(perlin_noise(padded, scales, rng), (gw, gh), interpolation=cv2.INTER_LINEAR)
            cells = np.flatnonzero(noise > self.threshold)
            if len(cells):
                return [cells]
        raise FeatureError(
            f"{_TRIES} Perlin fields stayed below {self.threshold:g} on a grid of {gh} x {gw}: lower the threshold or "
            "use larger images"
        )

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return gaussian(cells, d, rng)

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        return cells.f + value * reference.scale * cells.drawn
