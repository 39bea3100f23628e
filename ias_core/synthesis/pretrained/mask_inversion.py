"""New masks from a few: a second textual inversion, on pictures of the masks themselves.

AnomalyDiffusion (AAAI 2024), step 4; released code train_mask.py and generate_mask.py: 16 vectors, 30,001 steps,
100 DDIM steps, mean of the channels above 0.8, nothing that touches more than a third of a side. Published are masks
of whole pictures. Here they are those of close-ups, so that a minute defect outlives the latent's 8 px: form comes out
of it, size and place are the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.synthesis.pretrained.inversion import TEMPLATES, LearnedWords, invert, latents_of
from ias_core.synthesis.pretrained.latents import cell_px, ddim, decode, to_picture
from ias_core.synthesis.pretrained.views import views

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

VECTORS = 16
SAMPLING_STEPS = 100
_START = "mask"
_THRESHOLD = 0.8
_MOST_OF_SIDE = 1 / 3


def learn_masks(
    backend: Backend,
    sources: Sequence[NgSource],
    *,
    seed: int,
    steps: int,
    watch: Watch,
    vectors: int = VECTORS,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """(vectors, width) float32 that stand for the sources' masks, and what ``finetune`` tells."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    seen = views(sources, side_px=backend.side_px, cell_px=cell_px(backend), rng=rng)
    white = seen.masks[..., None].repeat(3, -1).astype(np.float32)
    words = LearnedWords(backend, vectors, _START)
    told = invert(latents_of(white, backend), words, backend, generator=generator, steps=steps, watch=watch)
    return words.rows.detach(), told


def generated(
    vectors: torch.Tensor, backend: Backend, *, generator: torch.Generator, steps: int = SAMPLING_STEPS
) -> np.ndarray:
    """(w, w) bool, a new mask at the backend's side; may be one that is not ``usable``."""
    with torch.no_grad():
        prompt = LearnedWords.of(backend, vectors).embed(TEMPLATES[0])
        scheduler = ddim(backend, steps)
        cells = backend.side_px // cell_px(backend)
        shape = (1, backend.vae.config.latent_channels, cells, cells)
        latent = torch.randn(shape, generator=generator).to(prompt)
        for time in scheduler.timesteps:
            latent = scheduler.step(backend.unet(latent, time, prompt).sample, time, latent).prev_sample
        return to_picture(decode(latent, backend), backend.side_px).mean(2) > _THRESHOLD


def usable(mask: np.ndarray) -> bool:
    """Whether something is in the mask, and no side of the picture is touched over more than a third of it."""
    sides = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return bool(mask.any()) and max(side.mean() for side in sides) <= _MOST_OF_SIDE
