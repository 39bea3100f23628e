"""PBAS radial synthesis: straight away from the nearest normal feature.

Chen et al., "Progressive Boundary Guided Anomaly Synthesis for Industrial Anomaly Detection", IEEE TCSVT, arXiv
2412.17458; repository cqylunlun/PBAS (the paper's equations were not available to us, the code is what is followed).
There, z is the learned centre of the largest cosine, r the mean of |u - z|, and g = u + k r (u - z) / |u - z| with k =
0.25; centres and r shrink in training.

What transfers is the closed form. Ours: z is the nearest bank vector and r is R; k is the dial. k is relative, so it
means the same on every backbone, unlike an absolute sigma. Moving straight away from the nearest vector is the easiest
direction: recall measured with it is an upper limit.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers


@feature_synthesizers.register("pbas-radial")
@dataclass(frozen=True, slots=True)
class PbasRadial(FeatureSynthesizer):
    """Outward along the patch's own ray, without noise.  Family: prior-dependent.  Space: feature.

    The distance to z grows by the shift exactly, so the patch score is at most d0 + lambda R, and equals it while z
    stays the nearest. A patch that lies on a bank vector has no ray: it stays, and is counted.
    """

    name = "pbas-radial"
    meaning = "Length of a shift straight away from the nearest patch of the memory bank: the easiest direction."

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return np.empty((cells, 0))

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        away = cells.f - cells.m
        length = torch.linalg.norm(away, dim=1, keepdim=True)
        return cells.f + value * reference.scale * torch.where(length > 0, away / length, 0.0)
