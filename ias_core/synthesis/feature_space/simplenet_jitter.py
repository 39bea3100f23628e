"""SimpleNet's Gaussian noise on features, its size relative to what OK features vary by.

Liu et al., "SimpleNet: A Simple Network for Image Anomaly Detection and Localization", CVPR 2023; repository
DonaldRR/SimpleNet. There, g = u + e with e ~ N(0, sigma^2 I) and sigma = 0.015 on every adapted patch of 1,536
channels, so that |e| = 0.59.

What transfers is the distribution of the noise. Its size does not: 0.015 on raw features moves the score by less than
1 %, so sigma is never offered. Ours: rho = lambda R, sigma = rho / sqrt(d), and a region instead of every patch.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers


def gaussian(cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Independent N(0, I / d) for each cell: vectors (cells, d) of root mean square length 1."""
    return rng.standard_normal((cells, d)) / np.sqrt(d)


@feature_synthesizers.register("simplenet-jitter")
@dataclass(frozen=True, slots=True)
class SimpleNetJitter(FeatureSynthesizer):
    """Independent Gaussian noise on each patch.  Family: data-driven.  Space: feature."""

    name = "simplenet-jitter"
    meaning = "Length of Gaussian noise, drawn for each patch on its own."

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return gaussian(cells, d, rng)

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        return cells.f + value * reference.scale * cells.drawn
