"""Adaptive attention re-weighting of AnomalyDiffusion (AAAI 2024), step 6: look harder where it still looks good.

The logits of the anomaly's tokens, in every cross-attention layer, are multiplied by a map over the places of the
latent before the softmax. diffusers hands logits and softmax to a fused kernel, so both are written out here. A
negative logit times a weight above 1 is looked at less: so it is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ias_core.errors import SynthesisError
from ias_core.synthesis.pretrained.attention_maps import grid_side
from ias_core.synthesis.pretrained.lora import private

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

_LEAST = 1.0  # published clamp: a place is never looked at less
_TINY = 1e-8


def adaptive_weights(latent: torch.Tensor, clean: torch.Tensor, mask: torch.Tensor, most: float) -> torch.Tensor:
    """(1, 1, h, w): inside the mask 1 / d, mean 1 over it, then clamped to [1, most]; outside it 1.

    d is the mean over channels of (z_t - x0)^2. The paper takes a softmax of 1 / d times the mask's area; this is the
    released code's way. That code also dilates the mask early on, so as to paint beyond it; here only what lies in the
    mask is kept of the picture, so it is not.

    Parameters
    ----------
    latent, clean : (1, c, h, w)
        z_t, and x0 of the good part.
    mask : (1, 1, h, w)
        1 inside, somewhere.
    most : float
        At least 1; 1 gives 1 everywhere.
    """
    distance = ((latent - clean).float() ** 2).mean(1, keepdim=True)
    nearness = mask.float() / (distance + _TINY)
    weights = (nearness * mask.sum() / nearness.sum()).clamp(_LEAST, most)
    return torch.where(mask > 0, weights, 1.0)


class Reweighted:
    """A U-Net to be called as the shared one, with ``weights`` (1, 1, h, w) on the logits of some tokens.

    Parameters
    ----------
    unet : UNet2DConditionModel
        Left as it is.
    places : sequence of int
        Of the tokens in the prompt.
    """

    def __init__(self, unet: UNet2DConditionModel, places: Sequence[int]) -> None:
        self.places, self.weights = list(places), torch.ones(1, 1, 1, 1)
        self._unet = private(unet)
        processors = self._unet.attn_processors
        self._unet.set_attn_processor(
            {
                name: _Weighted(self) if name.endswith("attn2.processor") else processor
                for name, processor in processors.items()
            }
        )

    def __call__(self, latent: torch.Tensor, time: torch.Tensor, prompt: torch.Tensor) -> Any:
        return self._unet(latent, time, prompt)


class _Weighted:
    """Cross-attention with its logits written out."""

    def __init__(self, of: Reweighted) -> None:
        self._of = of

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if attention_mask is not None or encoder_hidden_states is None or hidden_states.ndim != 3:
            raise SynthesisError(
                f"expected plain cross-attention over (n, cells, width), got a mask, no text or {hidden_states.ndim} "
                "axes: use a Stable Diffusion 1.x or 2.x U-Net"
            )
        query = attn.head_to_batch_dim(attn.to_q(hidden_states)).float()  # (n heads, cells, width / heads)
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states)).float()
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        logits = attn.scale * query @ key.transpose(1, 2)  # (n heads, cells, tokens)
        weights = torch.nn.functional.adaptive_avg_pool2d(self._of.weights.to(logits), grid_side(hidden_states))
        factors = torch.ones_like(logits[:1])
        factors[..., self._of.places] = weights.flatten()[:, None]
        shares = (logits * factors).softmax(-1).to(value.dtype)
        out = attn.batch_to_head_dim(torch.bmm(shares, value))
        return attn.to_out[1](attn.to_out[0](out))
