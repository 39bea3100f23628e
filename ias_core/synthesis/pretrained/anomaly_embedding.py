"""AnomalyDiffusion's two embeddings (AAAI 2024, arXiv 2312.05767): how a defect looks, and where it lies.

e_a: vectors of a prompt, learned by textual inversion. e_s: vectors made of the mask, after the prompt's. Both learn
from the error inside the mask alone, everything else is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.synthesis.pretrained.finetune import finetune, noised
from ias_core.synthesis.pretrained.inversion import (
    RATE,
    TEMPLATES,
    LearnedWords,
    check_room,
    drawn_batch,
    latents_of,
)
from ias_core.synthesis.pretrained.latents import (
    blended,
    cell_px,
    ddim,
    decode,
    encode,
    latent_mask,
    to_picture,
    to_pixels,
)
from ias_core.synthesis.pretrained.reweighting import Reweighted, adaptive_weights
from ias_core.synthesis.pretrained.spatial_encoder import SpatialEncoder
from ias_core.synthesis.pretrained.views import views

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

VECTORS = 4
_START = "anomaly"
_ENCODER_RATE = 1e-4  # published is one rate for both, 5e-3; steps that long throw a network off; ours
_LOOK, _PLACE = "look", "place."  # names of an adapter's tensors


def masked_loss(predicted: torch.Tensor, target: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """|| m o (eps - eps_theta) ||^2, step 3, over the values inside: published is the mean over all, ours favours none.

    Parameters
    ----------
    predicted, target : (n, c, h, w)
    masks : (n, 1, h, w)
        1 inside, somewhere.
    """
    error = masks * (predicted.float() - target.float()) ** 2
    return error.sum() / (masks.sum() * predicted.shape[1])


def learn_embeddings(
    backend: Backend, sources: Sequence[NgSource], *, seed: int, steps: int, watch: Watch
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of an adapter, to be given to ``painted``, and what ``finetune`` tells.

    Raises
    ------
    SynthesisError
        A defect below one cell of the latent, where m would be lost and nothing learned.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    seen = views(sources, side_px=backend.side_px, cell_px=cell_px(backend), rng=rng)
    latents = latents_of(seen.pictures, backend)
    masks = torch.from_numpy(seen.masks).float()[:, None].to(backend.device)
    cells = torch.cat([latent_mask(mask, backend.side_px, backend) for mask in seen.masks])
    words = LearnedWords(backend, VECTORS, _START)
    check_room(words)
    encoder = SpatialEncoder(words.rows.shape[1], generator).to(backend.device)

    def loss() -> torch.Tensor:
        chosen, template = drawn_batch(len(latents), generator)
        noisy, target, times = noised(latents[chosen], backend, generator)
        prompt = words.embed(template).expand(len(chosen), -1, -1)
        prompt = torch.cat([prompt, encoder(masks[chosen]).to(prompt)], 1)
        return masked_loss(backend.unet(noisy, times, prompt).sample, target, cells[chosen])

    groups = [([words.rows], RATE), (list(encoder.parameters()), _ENCODER_RATE)]
    told = finetune(groups, loss, backend, steps=steps, watch=watch)
    place = {f"{_PLACE}{name}": tensor.detach() for name, tensor in encoder.state_dict().items()}
    return {_LOOK: words.rows.detach()} | place, told


def condition(tensors: dict[str, torch.Tensor], target: np.ndarray, backend: Backend) -> tuple[torch.Tensor, list[int]]:
    """The prompt (1, tokens + 4, width), and where in it the anomaly's tokens lie: those of the look, then the place.

    Parameters
    ----------
    tensors : dict
        Of ``learn_embeddings``.
    target : (w, w) bool
        Where the defect is to be.
    """
    words = LearnedWords.of(backend, tensors[_LOOK])
    text = words.embed(TEMPLATES[0])
    place = {name.removeprefix(_PLACE): one for name, one in tensors.items() if name.startswith(_PLACE)}
    encoder = SpatialEncoder.of(text.shape[2], place).to(backend.device)
    mask = torch.from_numpy(target).float()[None, None].to(backend.device)
    where = encoder(mask).to(text)
    places = words.places(TEMPLATES[0]) + [text.shape[1] + i for i in range(where.shape[1])]
    return torch.cat([text, where], 1), places


def painted(
    tensors: dict[str, torch.Tensor],
    canvas: np.ndarray,
    target: np.ndarray,
    backend: Backend,
    *,
    steps: int,
    most_weight: float,
    generator: torch.Generator,
) -> np.ndarray:
    """(w, w, 3) in [0, 1]: steps 5 and 6, from noise inside the target, the good part's own latent around it.

    Parameters
    ----------
    canvas : (w, w, 3)
    target : (w, w) bool
        Empty: the canvas through the autoencoder.
    most_weight : float
        At least 1; where it is 1 nothing is re-weighted.
    """
    clean = encode(to_pixels(canvas, backend.side_px, backend), backend)
    cells = latent_mask(target, backend.side_px, backend)
    prompt, places = condition(tensors, target, backend)
    scheduler = ddim(backend, steps)
    if most_weight == 1 or not cells.any():

        def predict(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
            return backend.unet(latent, time, prompt).sample
    else:
        unet = Reweighted(backend.unet, places)

        def predict(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
            unet.weights = adaptive_weights(latent, clean, cells, most_weight)
            return unet(latent, time, prompt).sample

    noise = torch.randn(clean.shape, generator=generator).to(clean)
    latent = blended(predict, scheduler, scheduler.timesteps, noise, clean, cells, generator=generator)
    return to_picture(decode(latent, backend), len(canvas))
