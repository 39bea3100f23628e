"""Pixel models for tests: one whose answers are known by hand, and one that is trained in about a second."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from ias_core.synthesis.one_shot.pixel_model import PixelModel, build_net
from ias_core.synthesis.one_shot.training import train

WINDOW = 32
CHANNELS = (8, 16)
CPU = torch.device("cpu")


class Nothing(torch.nn.Module):
    """Predicts v = 0, which is the best a net can do for white noise of standard deviation 1."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(block_out_channels=[0])

    def forward(self, x: torch.Tensor, times: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=torch.zeros_like(x))


def by_hand(*, scale: float = 0.05, meta: dict | None = None) -> PixelModel:
    """With the net that predicts nothing."""
    return PixelModel(Nothing(), WINDOW, scale, meta or {})


def untrained(seed: int = 0) -> PixelModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PixelModel(build_net(WINDOW, CHANNELS), WINDOW, 0.2, {})


def stripes(n: int, side: int = 48, *, seed: int = 0) -> np.ndarray:
    """(n, side, side, 3) float32: stripes of 8 px at random phases, with white noise."""
    rng = np.random.default_rng(seed)
    x = np.arange(side)[None, None, :] + rng.uniform(0, 8, (n, 1, 1))
    grey = 0.5 + 0.1 * np.sin(2 * np.pi * x / 8) + rng.normal(0, 0.03, (n, side, side))
    return np.clip(grey, 0, 1)[..., None].repeat(3, 3).astype(np.float32)


@cache
def trained() -> PixelModel:
    """On stripes, for 25 steps."""
    return training(stripes(6), seed=3, most_steps=25)


def training(ok: np.ndarray, *, seed: int = 0, budget_s: float = float("inf"), watch=lambda _: True, **more):
    return train(ok, seed=seed, budget_s=budget_s, window_px=WINDOW, device=CPU, channels=CHANNELS, watch=watch, **more)
