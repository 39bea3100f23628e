"""GLASS global anomaly synthesis (GAS), hypersphere hypothesis: anomalies lie in a shell around the mean OK feature.

Chen, Luo, Lv, Zhang, ECCV 2024, arXiv 2407.09359, section 3.2; repository cqylunlun/GLASS. The centre c of each place
of the grid is the mean OK feature there, the radius r is the 75 % quantile of the OK features' distances to their
centres, and the truncated projection puts |g - c| into [r, 2r]. Both transfer as they are, because they come from data.

How it is kept honest beside a memory bank (ours): the published shell knows only the mean. A feature in it can lie on
a bank vector, a normal patch that is labelled NG, since a quarter of the OK features lie beyond r as well. So the
sphere comes first and the shell around the bank, as for the manifold hypothesis, has the last word: whatever the mean
says, no feature ends nearer to the bank than the patch it replaces, nor farther than its patch score and its shift
together. Also ours: the outer side of the sphere ends the shift where it leaves it, instead of turning it towards the
centre, so that a longer shift is never another direction; beyond, the ruler stands still.
Centres have a place, so the part must lie in the same place on every image.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ias_core.errors import FeatureError
from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers
from ias_core.synthesis.feature_space.glass_gas_manifold import beside_bank, directions

_OUTER = 2.0  # outer radius of the shell, in units of its inner one


def project_to_sphere(g: torch.Tensor, centres: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Truncated projection: on the ray from its centre, until |g - c| is in [low, high].

    Parameters
    ----------
    g, centres : torch.Tensor of shape (p, d)
        A feature on its centre has no ray and stays.
    low, high : float
        Feature distances.
    """
    h = g - centres
    length = torch.linalg.norm(h, dim=1)
    stretch = length.clamp(low, high) / length.clamp(min=1e-12)
    return centres + stretch[:, None] * h


def way_out(h: torch.Tensor, unit: torch.Tensor, radius: float) -> torch.Tensor:
    """Length t >= 0 at which |h + t unit| is the radius; 0 for an h that lies outside already.

    h, unit : (p, d); returns (p,).
    """
    along = (h * unit).sum(1)
    return (-along + (along**2 + radius**2 - (h * h).sum(1)).clamp(min=0).sqrt()).clamp(min=0)


@feature_synthesizers.register("glass-gas-hypersphere")
@dataclass(frozen=True, slots=True)
class GlassGasHypersphere(FeatureSynthesizer):
    """A random direction, then a shell around the mean.  Family: prior-dependent.  Space: feature."""

    name = "glass-gas-hypersphere"
    meaning = (
        "Length of a shift in a random direction; then the feature is brought to between one and two radii from the "
        "mean good feature of its place. Beyond that shell longer shifts lead nowhere."
    )

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return directions(cells, d, rng)

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        """See the base.

        Raises
        ------
        FeatureError
            All OK features of a place are equal, as with one image only: there is no sphere.
        """
        radius = reference.radius
        if radius <= 0:
            raise FeatureError(
                "the OK images do not differ from their mean, so the hypersphere has no radius: add OK images (at "
                "least 2)"
            )
        centres = reference.centres[cells.place]
        outer = way_out(cells.f - centres, cells.drawn, _OUTER * radius)
        rho = outer.clamp(max=value * reference.scale)
        g = project_to_sphere(cells.f + rho[:, None] * cells.drawn, centres, radius, _OUTER * radius)
        return beside_bank(g, cells.d0, rho, reference.bank)
