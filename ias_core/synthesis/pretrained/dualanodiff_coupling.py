"""DualAnoDiff's coupling: at each place, the part and its defect alone look at each other.

Y. Jin et al., "Dual-Interrelated Diffusion Model for Few-Shot Anomaly Image Generation", CVPR 2025, arXiv 2408.13509.
The authors' code is not public; what is marked [fork] is a public fork's, as shared/methods/dualanodiff.md reports it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

FRAMES = 2  # the part, and its defect on a flat fill
_WIDTH = 128  # ours: as wide as the layer, an adapter would be ten times as large


class Coupled(nn.Module):
    """Self-attention as it was, then attention over the two frames at the same place, added to it.

    (b f) d c -> (b d) f c, with f = 2. The output projection starts at zero, so that an untrained coupling changes
    nothing. That the second attention comes after the first and not inside it is unverified, and how wide it is in
    [fork] was not told.
    """

    def __init__(self, before: Any, channels: int) -> None:
        super().__init__()
        self.before = before
        self.query, self.key, self.value = (nn.Linear(channels, _WIDTH, bias=False) for _ in range(3))
        self.out = nn.Linear(_WIDTH, channels, bias=False)

    def forward(self, attn: Attention, hidden_states: torch.Tensor, *args: Any, **settings: Any) -> torch.Tensor:
        own = self.before(attn, hidden_states, *args, **settings)  # (b f, d, c)
        frames = own.unflatten(0, (-1, FRAMES)).transpose(1, 2).to(self.out.weight.dtype)  # (b, d, f, c)
        seen = nn.functional.scaled_dot_product_attention(self.query(frames), self.key(frames), self.value(frames))
        return own + self.out(seen).transpose(1, 2).flatten(0, 1).to(own.dtype)


def couple(unet: UNet2DConditionModel, generator: torch.Generator) -> None:
    """Lay an untrained coupling over every self-attention of a private U-Net, in place and in float32."""
    processors = unet.attn_processors
    for name, before in processors.items():
        if not name.endswith("attn1.processor"):
            continue
        layer = unet.get_submodule(name.removesuffix(".processor"))
        with torch.device("meta"):  # else torch would draw the weights from the state that the whole process shares
            coupled = Coupled(before, layer.out_dim)
        coupled.to_empty(device="cpu")
        for projection in (coupled.query, coupled.key, coupled.value):
            nn.init.kaiming_uniform_(projection.weight, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(coupled.out.weight)
        processors[name] = coupled.to(unet.device)
    unet.set_attn_processor(processors)


def coupling(unet: UNet2DConditionModel) -> dict[str, nn.Parameter]:
    """The couplings' weights, by name."""
    return {
        f"{name}.{part}": weight
        for name, processor in unet.attn_processors.items()
        if isinstance(processor, Coupled)
        for part, weight in processor.named_parameters()
    }
