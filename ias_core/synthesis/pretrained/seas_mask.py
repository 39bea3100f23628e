"""SeaS's refined mask prediction: where the defect lies, read from what the U-Net and the VAE saw while drawing it.

Z. Dai et al., ICCV 2025, arXiv 2410.14987, as shared/methods/seas.md reports it: decoder features of the U-Net (1,280
channels at 32, 640 at 64) through 1 x 1 convolutions to 128 + 64, four blocks of self-attention, then three modules
that multiply with the VAE decoder's features at 128, 256 and 512 and skip. Heads, kernels and the time at which the
U-Net is asked are not told there: ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ias_core.synthesis.pretrained.latents import decode

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend

COARSE = (128, 64)  # channels that the two U-Net features are brought to
BLOCKS, HEADS = 4, 8
REFINED = 64  # channels at the resolutions of the VAE
THRESHOLD = 0.2  # softmax above it is defect
_GAMMA = 2.0  # T.-Y. Lin et al., "Focal Loss", ICCV 2017
Features = tuple[list[torch.Tensor], list[torch.Tensor]]
"""Of the U-Net: (n, c, h / 2, h / 2) and (n, c, h, h); of the VAE: (n, c, 2 h, 2 h), (n, c, 4 h, 4 h), ..."""


class MaskNetwork(nn.Module):
    """Features -> scores (n, 2, h, h) and (n, 2, H, H) of good and defect, coarse and refined."""

    def __init__(self, unet_channels: tuple[int, int], vae_channels: tuple[int, ...]) -> None:
        super().__init__()
        width = sum(COARSE)
        self.reduce = nn.ModuleList(nn.Conv2d(c, to, 1) for c, to in zip(unet_channels, COARSE, strict=True))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, HEADS, 2 * width, 0.0, batch_first=True, norm_first=True)
            for _ in range(BLOCKS)
        )
        self.coarse = nn.Conv2d(width, 2, 1)
        entering = (width, *[REFINED] * (len(vae_channels) - 1))
        self.refine = nn.ModuleList(_Refine(c, seen) for c, seen in zip(entering, vae_channels, strict=True))
        self.fine = nn.Conv2d(REFINED, 2, 1)

    def forward(self, features: Features) -> tuple[torch.Tensor, torch.Tensor]:
        unet, vae = features
        grid = unet[-1].shape[-2:]
        x = torch.cat(
            [
                nn.functional.interpolate(reduce(one), size=grid, mode="bilinear", align_corners=False)
                for reduce, one in zip(self.reduce, unet, strict=True)
            ],
            1,
        )  # (n, 192, h, h)
        cells = x.flatten(2).transpose(1, 2)  # (n, h h, 192)
        for block in self.blocks:
            cells = block(cells)
        x = cells.transpose(1, 2).unflatten(2, grid)
        coarse = self.coarse(x)
        for refine, one in zip(self.refine, vae, strict=True):
            x = refine(x, one)
        return coarse, self.fine(x)


class _Refine(nn.Module):
    """To the resolution of a VAE feature: multiplied with it, and added to what came in."""

    def __init__(self, channels: int, seen: int) -> None:
        super().__init__()
        self.enlarge = nn.Conv2d(channels, REFINED, 3, padding=1)
        self.look = nn.Sequential(nn.Conv2d(seen, REFINED, 1), nn.GroupNorm(8, REFINED))
        self.mix = nn.Sequential(nn.SiLU(), nn.Conv2d(REFINED, REFINED, 3, padding=1))

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        x = self.enlarge(nn.functional.interpolate(x, size=seen.shape[-2:], mode="bilinear", align_corners=False))
        return x + self.mix(x * self.look(seen))


def mask_network(backend: Backend, generator: torch.Generator) -> MaskNetwork:
    """An untrained one in float32 for the backend's features, drawn from the generator alone."""
    unet, vae = _unet_blocks(backend), _vae_blocks(backend)
    # on no device first: torch would draw the weights from the state that the whole process shares
    with torch.device("meta"):
        network = MaskNetwork(
            tuple(block.resnets[-1].out_channels for block in unet), tuple(b.resnets[-1].out_channels for b in vae)
        )
    network.to_empty(device="cpu")
    for name, weight in network.named_parameters():
        if weight.ndim > 1:
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
        else:
            nn.init.constant_(weight, 1.0 if _is_norm(network, name) and name.endswith("weight") else 0.0)
    return network.to(backend.device)


def features_of(
    own: Backend, noisy: torch.Tensor, clean: torch.Tensor, time: torch.Tensor, text: torch.Tensor
) -> Features:
    """What the network sees: one pass of the U-Net over ``noisy`` and one of the VAE's decoder over ``clean``."""
    blocks = [*_unet_blocks(own), *_vae_blocks(own)]
    with torch.no_grad(), _outputs(blocks) as outputs:
        own.unet(noisy, time, text)
        decode(clean, own)
    found = [outputs[block] for block in blocks]
    return found[:2], found[2:]


def focal_loss(scores: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean of -(1 - p)^2 log p over all pixels, p the softmax of the true class.

    Parameters
    ----------
    scores : (n, 2, h, h)
    masks : (n, 1, h', h')
        0 and 1; max-pooled to h.
    """
    truth = nn.functional.adaptive_max_pool2d(masks, scores.shape[-1])[:, 0].long()  # (n, h, h)
    log_p = -nn.functional.cross_entropy(scores.float(), truth, reduction="none")
    return (-((1 - log_p.exp()) ** _GAMMA) * log_p).mean()


def predicted(network: MaskNetwork, features: Features) -> torch.Tensor:
    """(n, H, H) bool: softmax of the defect above 0.2."""
    exact = tuple([one.float() for one in part] for part in features)
    return network(exact)[1].softmax(1)[:, 1] > THRESHOLD


def _unet_blocks(backend: Backend) -> list[nn.Module]:
    """Those of the way up that end at half of the latent's resolution and, first, at all of it."""
    return list(backend.unet.up_blocks[-3:-1])


def _vae_blocks(backend: Backend) -> list[nn.Module]:
    """Those of the decoder that double the resolution."""
    return list(backend.vae.decoder.up_blocks[:-1])


def _is_norm(network: nn.Module, name: str) -> bool:
    return isinstance(network.get_submodule(name.rpartition(".")[0]), nn.GroupNorm | nn.LayerNorm)


@contextmanager
def _outputs(blocks: list[nn.Module]) -> Iterator[dict[nn.Module, torch.Tensor]]:
    """While it lasts, the last output of each block."""
    outputs: dict[nn.Module, torch.Tensor] = {}

    def keep(block: nn.Module, _: Any, output: torch.Tensor) -> None:
        outputs[block] = output

    hooks = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
