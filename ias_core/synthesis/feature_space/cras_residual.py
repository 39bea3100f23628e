"""CRAS residual synthesis: noise whose size depends on how far a patch lies from the nearest normal feature.

Chen et al., "Center-aware Residual Anomaly Synthesis for Multi-class Industrial Anomaly Detection", IEEE TII 2025,
arXiv 2505.17551; repository cqylunlun/CRAS (the paper's text was not available to us, the code is what is followed).
There, z is the centre of the largest cosine among those of the image's own product, e ~ N(0, 0.015^2 I), q = |e| / |u -
z| divided by its batch mean, a = 1 + k (q - 1) with k = 0.3, and g = u + a e: patches near a centre get more noise,
and a rare one is not made an easy NG by full noise on top.

What transfers is the noise schedule, k, and one set of centres per product. Ours: z is the nearest vector of the
product's own bank, |e| is lambda R on average instead of absolute, and the mean of q is that over the OK images of the
reference, so that an image does not depend on its batch.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from ias_core.errors import IasError
from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers
from ias_core.synthesis.feature_space.simplenet_jitter import gaussian


def mean_length(d: int) -> float:
    """Mean length of a vector drawn from N(0, I / d): sqrt(2 / d) Gamma((d + 1) / 2) / Gamma(d / 2).

    Examples
    --------
    >>> round(mean_length(1), 4), round(mean_length(152), 4)
    (0.7979, 0.9984)
    """
    return math.sqrt(2 / d) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))


def strengths(lengths: torch.Tensor, d0: torch.Tensor, reference: OkReference, k: float) -> torch.Tensor:
    """a = 1 + k (q - 1) of each patch, q = length / distance over the mean of that.

    Parameters
    ----------
    lengths : torch.Tensor of shape (c,)
        Of the noise, over its mean length.
    d0 : torch.Tensor of shape (c,)
        Distance of each patch to the nearest bank vector.
    k : float
        In [0, 1).

    Returns
    -------
    torch.Tensor of shape (c,)
        At least 1 - k.
    """
    q = lengths / (reference.never_zero(d0) * reference.closeness)
    return 1 + k * (q - 1)


@feature_synthesizers.register("cras-residual")
@dataclass(frozen=True, slots=True)
class CrasResidual(FeatureSynthesizer):
    """Distance-guided Gaussian noise.  Family: prior-dependent (placement ours).  Space: feature.

    Several products at once: give one reference for each, and ``classes``.
    """

    k: float = field(default=0.3, metadata={"min": 0.0, "max": 0.9})  # 0: SimpleNet's noise

    name = "cras-residual"
    meaning = "Mean length of Gaussian noise; patches that are close to the memory bank get more of it, rare ones less."

    def __post_init__(self) -> None:
        if not 0 <= self.k < 1:
            raise IasError(f"expected k in [0, 1), got {self.k}")

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return gaussian(cells, d, rng)

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        lengths = torch.linalg.norm(cells.drawn, dim=1) / mean_length(cells.f.shape[1])
        a = strengths(lengths, cells.d0, reference, self.k)
        return cells.f + a[:, None] * (value * reference.scale * cells.drawn)
