"""TF-IDG's guidance: draw the features of the defect being made towards those of the real one.

The project's notes on TF-IDG, 2.3 steps 2 to 4, as section 3 step 5 has them. Two bags of feature vectors are compared
by the Sinkhorn divergence (J. Feydy et al., AISTATS 2019), so that no pixel needs a partner. The public code compares
features of a U-Net that was never given weights, and its adaptive term overwrites the masked features by unmasked ones;
here the features are the loaded U-Net's, and the masks are applied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from ias_core.errors import SynthesisError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

BLOCKS = (1, 2)  # of the way up
EPSILON = 0.05
ITERATIONS = 50
SCALE = 0.08 * 6000  # of the public code, for the gradient of its own divergence (blur 0.01, p 2): unverified
ADAPTIVE = 2.5
LARGEST_SHARE = 0.1  # of the noise that is predicted

Features = dict[int, torch.Tensor]
"""Block -> (n, c, h, w) of the last pass."""


@contextmanager
def decoder_features(unet: UNet2DConditionModel) -> Iterator[Features]:
    """While it lasts, each pass of this very U-Net leaves what two blocks of its way up put out.

    Raises
    ------
    SynthesisError
        The U-Net has fewer blocks.
    """
    if len(unet.up_blocks) <= max(BLOCKS):
        raise SynthesisError(
            f"expected a U-Net with at least {max(BLOCKS) + 1} blocks on its way up, got {len(unet.up_blocks)}: use "
            "Stable Diffusion weights"
        )
    found: Features = {}
    hooks = [
        unet.up_blocks[block].register_forward_hook(lambda module, args, out, block=block: found.update({block: out}))
        for block in BLOCKS
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def bags(features: Features, inside: torch.Tensor) -> list[torch.Tensor]:
    """Of each block the vectors (k, c) of the last row's cells inside the mask, each of length 1, in float32.

    Parameters
    ----------
    inside : (1, 1, h, w)
        At the size of the latent; features of other sizes are resized to it bilinearly.
    """
    cells = inside[0, 0] > 0
    out = []
    for _, feature in sorted(features.items()):
        feature = feature[-1:].float()
        if feature.shape[-2:] != cells.shape:
            feature = torch.nn.functional.interpolate(feature, size=cells.shape, mode="bilinear", align_corners=False)
        out.append(torch.nn.functional.normalize(feature[0][:, cells].T, dim=1))
    return out


def sinkhorn_divergence(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """How far apart two bags of unit vectors (n, c) and (m, c) are: S(A, B) - S(A, A) / 2 - S(B, B) / 2.

    S is entropic optimal transport with the cost 1 - cosine, uniform weights, epsilon 0.05, and 50 iterations in the
    log domain. Both potentials are updated at once and averaged with their last values, so that A and B may change
    places. The gradient is that of the cost under the plan found (envelope theorem).
    """
    return transport(a, b) - transport(a, a) / 2 - transport(b, b) / 2


def transport(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """S(A, B) of ``sinkhorn_divergence``: <P, C> + epsilon KL(P | uniform), for the plan P after 50 iterations."""
    cost = 1 - a @ b.T  # (n, m)
    with torch.no_grad():
        f, g = cost.new_zeros(len(a)), cost.new_zeros(len(b))
        for _ in range(ITERATIONS):
            f, g = (f + _softmin(cost, g)) / 2, (g + _softmin(cost.T, f)) / 2
        log_density = (f[:, None] + g[None] - cost) / EPSILON
        plan = log_density.exp() / cost.numel()
        divergence = (plan * log_density).sum() - plan.sum() + 1
    return (plan * cost).sum() + EPSILON * divergence


def _softmin(cost: torch.Tensor, potential: torch.Tensor) -> torch.Tensor:
    """(n,): -epsilon log mean_j exp((g_j - C_ij) / epsilon)."""
    return -EPSILON * (torch.logsumexp((potential[None] - cost) / EPSILON, dim=1) - math.log(cost.shape[1]))


def still_normal(estimate: torch.Tensor, clean: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(1, 1, h, w): the cells of the mask where the picture to be still looks like the OK one.

    Those where d, the squared difference to the OK latent in the mean of the channels, is below its mean over the mask.
    The public code takes the noisy latent, whose noise is most of the difference; the estimate of the clean one is
    ours.
    """
    d = ((estimate.float() - clean.float()) ** 2).mean(1, keepdim=True)
    return inside * (d < (d * inside).sum() / inside.sum())


def appearance_shift(
    latent: torch.Tensor,
    features: Features,
    reference: list[torch.Tensor],
    noise: torch.Tensor,
    *,
    inside: torch.Tensor,
    normal: torch.Tensor,
) -> torch.Tensor:
    """What to add to the predicted noise, 0 outside the mask: the scaled gradient of the divergence to the reference.

    One term counts the whole mask; the adaptive one, with weight 2.5, the features of its cells that still look normal,
    and moves only those. Where the sum would be more than a tenth of the predicted noise, it is shortened to that; both
    lengths are taken inside the mask (ours: outside there is nothing to compare).

    Parameters
    ----------
    latent : (1, c, h, w)
        With gradient, as it went into the pass that left ``features``.
    reference : list of (k, c)
        Bags of the real defect, at the same time.
    noise : (1, c, h, w)
        As predicted.
    inside, normal : (1, 1, h, w)
        The target, and ``still_normal`` of it.
    """
    shift = torch.zeros_like(noise, dtype=torch.float32)
    for cells, weight in ((inside, 1.0), (normal, ADAPTIVE)):
        if cells.any():
            distance = sum(map(sinkhorn_divergence, bags(features, cells), reference))
            # scaled before it runs back: in half precision what is small would be nothing
            (slope,) = torch.autograd.grad(SCALE * weight * distance, latent, retain_graph=True)
            shift += slope.float() * cells.float()
    longest = LARGEST_SHARE * (noise.float() * inside.float()).norm()
    return (shift * (longest / shift.norm().clamp_min(1e-12)).clamp_max(1)).to(noise.dtype)


def adain(latent: torch.Tensor, style: torch.Tensor, inside: torch.Tensor, *, weight: float = 0.5) -> torch.Tensor:
    """Move the latent inside the mask part of the way to each channel's mean and deviation over a whole other latent.

    X. Huang, S. Belongie, ICCV 2017, with a weight; deviations are those of the population. Outside it stays.

    Parameters
    ----------
    latent, style : (1, c, h, w)
    inside : (1, 1, h, w)
        Not empty.
    """
    cells = inside[0, 0] > 0
    own, other = latent[0][:, cells].float(), style[0].flatten(1).float()  # (c, k), (c, h w)
    moments = [(part.mean(1, keepdim=True), part.std(1, correction=0, keepdim=True)) for part in (own, other)]
    (mean, deviation), (aim, spread) = moments
    moved = (own - mean) / deviation.clamp_min(1e-6) * spread + aim
    out = latent.clone()
    out[0][:, cells] = torch.lerp(own, moved, weight).to(latent.dtype)
    return out
