"""SeaS's words and the loss that binds them: what is a defect to one, the part to the other.

Z. Dai et al., "SeaS: Few-shot Industrial Anomaly Image Generation with Separation and Sharing Fine-tuning", ICCV 2025,
arXiv 2410.14987; the authors' repository of 2025-08-04, as shared/methods/seas.md reports both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ias_core.synthesis.pretrained.attention_maps import Maps, cross_attention_maps, grid_side, token_places
from ias_core.synthesis.pretrained.finetune import noised
from ias_core.synthesis.pretrained.latents import embed

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend

PART = "ob1"
DEFECT = ("sks1", "sks2", "sks3", "sks4")
STARTS = {PART: "object", **dict.fromkeys(DEFECT, "defect")}  # word -> what its vector starts from
OK_PROMPT = f"a {PART}"
NG_PROMPT = f"a {PART} with {' '.join(DEFECT)}"
REDUCED = (2, 4)  # resolutions of the loss: latent / 2 and latent / 4, i.e. 32 and 16 at 512 px
_LEAST_SPREAD = 1e-6


def normalised(maps: torch.Tensor) -> torch.Tensor:
    """(n, r, r) min-max normalised map by map; a flat map gives 0 and no NaN."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low + _LEAST_SPREAD)


def alignment_loss(defect: torch.Tensor, part: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """L_DA at one resolution: mean (A_a - g)^2 + mean over g > 0 of (A_n - (1 - g))^2.

    The first term binds the anomaly tokens to the region; their mean is bound, so the single ones stay free. The
    second pushes the normal token out of it.

    Parameters
    ----------
    defect : (n, 4, r, r)
        Maps of the anomaly tokens.
    part : (n, r, r)
        Map of the normal token.
    masks : (n, 1, h, h)
        0 and 1, none of them empty; max-pooled to r, so that a defect of one pixel stays. The second mean is over
        ``g > 0``: ``g == 1`` may be empty once a mask is resized smoothly, and the mean of nothing is NaN.
    """
    g = torch.nn.functional.adaptive_max_pool2d(masks.float(), defect.shape[-1])[:, 0]
    bound, kept_out = normalised(defect.mean(1)) - g, normalised(part) - (1 - g)
    return bound.square().mean() + kept_out[g > 0].square().mean()


def maps_at(maps: Maps, side: int, places: list[int]) -> torch.Tensor:
    """(n, places, side, side): mean over the layers of this resolution, one map per token."""
    layers = [cells[..., places] for cells in maps.values() if grid_side(cells) == side]
    return torch.stack(layers).mean(0).transpose(1, 2).unflatten(2, (side, side))


def losses(
    own: Backend, ng: torch.Tensor, masks: torch.Tensor, ok: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """MSE of the noise on NG, L_DA summed over both resolutions, MSE of the noise on OK; the loss is their sum.

    Parameters
    ----------
    ng, ok : (n, 4, h, h), (m, 4, h, h)
        Clean latents.
    masks : (n, 1, h, h)
        Of the NG's defects, at latent size.
    """
    clean = torch.cat([ng, ok])
    text = embed([NG_PROMPT, OK_PROMPT], own)
    text = text.repeat_interleave(torch.tensor([len(ng), len(ok)], device=text.device), 0)
    noisy, target, times = noised(clean, own, generator)
    resolutions = [clean.shape[-1] // by for by in REDUCED]
    with cross_attention_maps(own.unet) as maps:
        error = (own.unet(noisy, times, text).sample.float() - target).square()
        of_ng: Maps = {layer: cells[: len(ng)] for layer, cells in maps.items()}
    part = token_places(own.tokenizer, NG_PROMPT, PART)
    defect = [place for word in DEFECT for place in token_places(own.tokenizer, NG_PROMPT, word)]
    aligned = sum(
        alignment_loss(maps_at(of_ng, side, defect), maps_at(of_ng, side, part)[:, 0], masks) for side in resolutions
    )
    return error[: len(ng)].mean(), aligned, error[len(ng) :].mean()
