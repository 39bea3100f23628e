"""UniAD's feature jitter: noise in proportion to each feature's own length.

You et al., "A Unified Model for Multi-class Anomaly Detection", NeurIPS 2022; repository zhiyuanyou/UniAD
(models/reconstructions/uniad.py). There, x' = x + eps alpha |x| / C with eps ~ N(0, I) and alpha = 20 on C = 272
channels: |x' - x| / |x| = alpha / sqrt(C) = 1.21, a task of denoising and no near-normal anomaly.

What transfers is the form, which means the same on every backbone. Ours: the dial is a = alpha / sqrt(C), from 0.05 to
1, since neither alpha nor sigma can be compared between backbones; and a region instead of every token.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers
from ias_core.synthesis.feature_space.simplenet_jitter import gaussian


@feature_synthesizers.register("uniad-jitter")
@dataclass(frozen=True, slots=True)
class UniadJitter(FeatureSynthesizer):
    """Gaussian noise of a given share of each feature's length.  Family: data-driven.  Space: feature."""

    name = "uniad-jitter"
    dial = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
    shown = (0.2, 0.4, 1.0)
    unit = "%"
    quantity = "size of the noise, % of the feature's own length"
    meaning = "Length of Gaussian noise on each patch, as a share of the length of the patch's own feature."

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return gaussian(cells, d, rng)

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        return cells.f + value * torch.linalg.norm(cells.f, dim=1, keepdim=True) * cells.drawn

    def title(self, value: float) -> str:
        return f"jittered by {100 * value:g} % of their length"
