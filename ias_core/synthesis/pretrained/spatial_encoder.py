"""Where a defect lies, as words: a small network from a mask to vectors that follow those of the prompt.

AnomalyDiffusion (AAAI 2024), step 2: e_s = E(mask). Published is a ResNet-50 with a pyramid and four heads; four
convolutions and one linear layer are ours, since a few masks teach no more. Each of the 4 x 4 places that are left
keeps its own weights, so that where the mask lies is not averaged away.
"""

from __future__ import annotations

import math

import torch

TOKENS = 4
_SIDE = 64  # a mask comes in at this side, as the share of each place that it covers
_CHANNELS = (1, 16, 32, 64, 64)
_PLACES = 4


class SpatialEncoder(torch.nn.Module):
    """(n, 1, h, w) masks to (n, 4, width) vectors of the scale that a text encoder's last norm gives.

    Parameters
    ----------
    width : int
        Of the prompt's vectors.
    generator : torch.Generator, optional
        Of the starting weights; None: they are on the device "meta", to be loaded.
    """

    def __init__(self, width: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        with torch.device("meta"):  # torch would draw starting weights from the state that the whole process shares
            layers = [
                layer
                for before, after in zip(_CHANNELS, _CHANNELS[1:], strict=False)
                for layer in (torch.nn.Conv2d(before, after, 3, stride=2, padding=1), torch.nn.SiLU())
            ]
            self.look = torch.nn.Sequential(*layers)
            self.heads = torch.nn.Linear(_CHANNELS[-1] * _PLACES**2, TOKENS * width)
            self.norm = torch.nn.LayerNorm(width)
        self.width = width
        if generator is not None:
            self.to_empty(device="cpu")
            self._start(generator)

    def _start(self, generator: torch.Generator) -> None:
        """Weights as torch starts them, from the generator."""
        for layer in (*self.look, self.heads):
            if hasattr(layer, "weight"):
                torch.nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
                torch.nn.init.zeros_(layer.bias)
        self.norm.reset_parameters()

    @classmethod
    def of(cls, width: int, tensors: dict[str, torch.Tensor]) -> SpatialEncoder:
        """With trained weights."""
        encoder = cls(width)
        encoder.load_state_dict(tensors, assign=True)
        return encoder.requires_grad_(False).eval()

    def forward(self, masks: torch.Tensor) -> torch.Tensor:
        seen = self.look(torch.nn.functional.adaptive_avg_pool2d(masks, _SIDE))
        return self.norm(self.heads(seen.flatten(1)).unflatten(1, (TOKENS, self.width)))
