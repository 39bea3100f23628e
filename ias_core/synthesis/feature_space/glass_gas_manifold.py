"""GLASS global anomaly synthesis (GAS), manifold hypothesis: noise, ascent, projection into a shell.

Chen, Luo, Lv, Zhang, "A Unified Anomaly Synthesis Strategy with Gradient Ascent", ECCV 2024, arXiv 2407.09359,
section 3.2; repository cqylunlun/GLASS. There, Gaussian noise (sigma 0.015 on adapted features) is followed by T = 20
steps of eta = 0.001 that ascend the discriminator's loss, and every 5 steps by a truncated projection into the shell
0.5..1 around the patch's own normal feature.

What transfers is the order of steps and the ratios: the noise is the dial, the whole ascent is 0.02 of it. Ours,
because a memory bank has no discriminator: the ascent is analytic, towards the nearest bank vector, and the shell lies
around the bank, rho / 2 to d0 + rho. Around the patch itself, as published, a long descent ends on another bank vector:
a normal patch that is labelled NG.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers
from ias_core.synthesis.feature_space.lookup import nearest

_OWN_SHARE = 0.2  # part of each cell's direction that is its own; the rest is the region's
_STEPS = 20  # T of the paper
_ASCENT = 0.02  # eta T in units of the shift: the paper's ratio
_PROJECT_EVERY = 5
_ROUNDS = 10  # of one projection; 3 were the most ever needed


def directions(cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors (cells, d): one shared direction plus an independent part."""
    shared, own = rng.standard_normal(d), rng.standard_normal((cells, d))
    mixed = (1 - _OWN_SHARE) * shared / np.linalg.norm(shared) + _OWN_SHARE * own / np.linalg.norm(own, axis=1)[:, None]
    return mixed / np.linalg.norm(mixed, axis=1)[:, None]


def project_to_shell(
    g: torch.Tensor,
    at: torch.Tensor,
    bank: torch.Tensor,
    low: torch.Tensor,
    high: torch.Tensor,
    reach: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Truncated projection: on the ray from its nearest bank vector m*, until |g - m*| is in [low, high].

    A ray can lead towards another bank vector, so features that moved outwards are looked at again.

    Parameters
    ----------
    g : torch.Tensor of shape (p, d)
    at : torch.Tensor of shape (p,)
        Row of the bank vector nearest to each.
    bank : torch.Tensor of shape (m, d)
    low, high : torch.Tensor of shape (p,)
        Feature distances.
    reach : torch.Tensor of shape (p,), optional
        Distance up to which m* is known to be the nearest on this ray; default: where g lies.

    Returns
    -------
    g : torch.Tensor of shape (p, d)
    at : torch.Tensor of shape (p,)
    """
    g, at, moved = g.clone(), at.clone(), torch.arange(len(g), device=g.device)
    for _ in range(_ROUNDS):
        m = bank[at[moved]]
        distance = torch.linalg.norm(g[moved] - m, dim=1)
        known = distance if reach is None else reach
        wanted = distance.clamp(min=low[moved], max=high[moved])
        outside = (distance > 0) & ((wanted - distance).abs() > 1e-5 * distance)  # on m* there is no ray
        stretched = m + (g[moved] - m) * (wanted / distance)[:, None]
        g[moved[outside]] = stretched[outside]
        moved, reach = moved[outside & (wanted > known * (1 + 1e-6))], None
        if len(moved) == 0:
            break
        at[moved] = nearest(g[moved], bank)
    return g, at


@torch.inference_mode()
def beside_bank(g: torch.Tensor, d0: torch.Tensor, rho: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Ascent towards the bank, and truncated projection into the shell around it.

    Parameters
    ----------
    g : torch.Tensor of shape (c, d)
        Features after the noise.
    d0 : torch.Tensor of shape (c,)
        Patch scores of the patches they replace.
    rho : torch.Tensor of shape (c,)
        Length of each shift.
    bank : torch.Tensor of shape (m, d)

    Returns
    -------
    torch.Tensor of shape (c, d)
        Never nearer to the bank than the patch it replaces, nor than rho / 2; never farther than d0 + rho.
    """
    low, high = torch.maximum(d0, rho / 2), d0 + rho
    at = nearest(g, bank)
    for _ in range(_STEPS // _PROJECT_EVERY):
        m = bank[at]
        distance = torch.linalg.norm(g - m, dim=1)
        # The steps between two projections all point at m, which stays the nearest: no other comes nearer by more than
        # the step. They are one step of their summed length.
        length = torch.minimum(_ASCENT * _PROJECT_EVERY / _STEPS * rho, distance)
        g = g + (length / distance.clamp(min=1e-12))[:, None] * (m - g)
        g, at = project_to_shell(g, at, bank, low, high, reach=distance)
    return g


@feature_synthesizers.register("glass-gas-manifold")
@dataclass(frozen=True, slots=True)
class GlassGasManifold(FeatureSynthesizer):
    """A random direction per region, ascended towards the bank.  Family: prior-dependent.  Space: feature.

    The noise of GLASS at its published size has the length 0.59 in units of the shell's outer radius.
    """

    name = "glass-gas-manifold"
    meaning = "Length of a shift in a random direction, which the patches of a region share; then 2 % of it back."

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return directions(cells, d, rng)

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        rho = torch.full_like(cells.d0, value * reference.scale)
        return beside_bank(cells.f + rho[:, None] * cells.drawn, cells.d0, rho, reference.bank)
