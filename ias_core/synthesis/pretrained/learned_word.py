"""AnoGen's single vector (ECCV 2024), and good parts painted with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.synthesis.pretrained.inversion import LearnedWords, invert, latents_of
from ias_core.synthesis.pretrained.latents import (
    blended,
    cell_px,
    ddim,
    decode,
    embed,
    encode,
    latent_mask,
    predicted,
    to_picture,
    to_pixels,
)
from ias_core.synthesis.pretrained.views import views

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

_START = "defect"
_PROMPT = "*"


def learn_word(
    backend: Backend, sources: Sequence[NgSource], *, seed: int, steps: int, watch: Watch
) -> tuple[torch.Tensor, dict[str, Any]]:
    """(1, width) float32, and what ``finetune`` tells."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    seen = views(sources, side_px=backend.side_px, cell_px=cell_px(backend), rng=rng)
    words = LearnedWords(backend, 1, _START)
    latents = latents_of(seen.pictures, backend)
    told = invert(latents, words, backend, generator=generator, steps=steps, watch=watch)
    return words.rows.detach(), told


def painted(
    vector: torch.Tensor,
    canvas: np.ndarray,
    target: np.ndarray,
    backend: Backend,
    *,
    steps: int,
    guidance: float,
    generator: torch.Generator,
) -> np.ndarray:
    """(w, w, 3) in [0, 1]: blended latent diffusion inside the target, from noise, with nothing but the vector asked.

    Parameters
    ----------
    vector : (1, width)
    canvas : (w, w, 3)
    target : (w, w) bool
    """
    clean = encode(to_pixels(canvas, backend.side_px, backend), backend)
    cells = latent_mask(target, backend.side_px, backend)
    texts = torch.cat([embed([""], backend), LearnedWords.of(backend, vector).embed(_PROMPT)])
    scheduler = ddim(backend, steps)

    def predict(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
        return predicted(backend.unet, latent, time, texts, guidance)

    noise = torch.randn(clean.shape, generator=generator).to(clean)
    latent = blended(predict, scheduler, scheduler.timesteps, noise, clean, cells, generator=generator)
    return to_picture(decode(latent, backend), len(canvas))
