"""SeaS trained in its two parts, loaded again, and asked for a part with and without a defect.

Z. Dai et al., ICCV 2025, arXiv 2410.14987; numbers of the authors' configuration as shared/methods/seas.md reports it.
Left out: the gradient accumulation over 2 batches, turns and flips (parts on a line have a way they lie), and more than
one type of defect, since an NG of this package has no type.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.synthesis.pretrained import seas_binding
from ias_core.synthesis.pretrained.finetune import finetune
from ias_core.synthesis.pretrained.latents import (
    decode,
    embed,
    encode,
    latent_mask,
    starting,
    to_picture,
    to_pixels,
)
from ias_core.synthesis.pretrained.lora import UNET_LAYERS, attach, parts, private, restore, stored
from ias_core.synthesis.pretrained.placeholder_words import with_words
from ias_core.synthesis.pretrained.seas_mask import (
    Features,
    MaskNetwork,
    features_of,
    focal_loss,
    mask_network,
    predicted,
)
from ias_core.synthesis.pretrained.whole import Pair, otsu
from ias_core.synthesis.pretrained.windows import resized, resized_mask

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

BATCH = 2  # NG, and as many OK
UNET_RATE, WORD_RATE, MASK_RATE = 4e-6, 4e-5, 5e-4
LORA_RATE, RANK = 1e-4, 16  # the SeaS-style variant: ours, the rate is that of the LoRA scripts of diffusers
MOST_OK = 60
STEPS = 25


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """own : Backend with the words, a U-Net of its own and a VAE that may be listened to; mask : untrained at first."""

    own: Backend
    words: torch.nn.Parameter
    mask: MaskNetwork
    full: bool

    @property
    def unet(self) -> dict[str, torch.nn.Parameter]:
        """What of the U-Net is trained."""
        return dict(self.own.unet.named_parameters()) if self.full else parts(self.own.unet)


def untrained(backend: Backend, generator: torch.Generator, *, full: bool) -> Trained:
    """All that is trained, before it is. ``full``: the whole U-Net, else low-rank adapters in float32."""
    tokenizer, text_encoder, words = with_words(backend, seas_binding.STARTS)
    if full:
        unet = copy.deepcopy(backend.unet)
    else:
        unet = private(backend.unet)
        attach(unet, rank=RANK, alpha=RANK, layers=UNET_LAYERS, generator=generator)
    own = replace(backend, unet=unet, vae=private(backend.vae), tokenizer=tokenizer, text_encoder=text_encoder)
    return Trained(own, words, mask_network(own, generator), full)


def trained(
    backend: Backend, sources: tuple[NgSource, ...], ok: np.ndarray, *, seed: int, steps: int, watch: Watch, full: bool
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and meta of an adapter: ``steps`` of the U-Net and the words, then as many of the mask network.

    Stopped in the first part there is no mask network; the mask is then where the two drawn parts differ.
    """
    generator = torch.Generator().manual_seed(seed)
    made = untrained(backend, generator, full=full)
    ng, ng_masks, cells = _encoded(sources, backend)
    good = torch.cat([encode(_pixels(image, backend), backend) for image in _some(ok, generator)])

    def drawn() -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randint(len(ng), (BATCH,), generator=generator), torch.randint(
            len(good), (BATCH,), generator=generator
        )

    def loss_of_words() -> torch.Tensor:
        of_ng, of_ok = drawn()
        return sum(seas_binding.losses(made.own, ng[of_ng], cells[of_ng], good[of_ok], generator))

    def loss_of_mask() -> torch.Tensor:
        of_ng, of_ok = drawn()
        masks = torch.cat([ng_masks[of_ng], torch.zeros_like(ng_masks[of_ng])])
        features = real_features(made.own, ng[of_ng], good[of_ok], generator)
        coarse, fine = made.mask(features)
        return focal_loss(fine, masks) + focal_loss(coarse, masks)

    went_on = True

    def watched(step: int, _: int, loss: float) -> bool:
        nonlocal went_on
        went_on = watch(step, 2 * steps, loss)
        return went_on

    if full:
        made.own.unet.float().requires_grad_(True)
    made.own.unet.train()
    told = finetune(
        [(list(made.unet.values()), UNET_RATE if full else LORA_RATE), ([made.words], WORD_RATE)],
        loss_of_words,
        backend,
        steps=steps,
        watch=watched,
    )
    tensors = stored("unet", made.unet) | stored("words", {"rows": made.words})
    if full:  # as large as the weights themselves: kept as precisely as they are, and no more
        tensors = {name: tensor.to(backend.dtype) for name, tensor in tensors.items()}
    told |= {"full": full, "mask_steps": 0}
    if went_on:
        made.own.unet.eval().requires_grad_(False)
        more = finetune(
            [(list(made.mask.parameters()), MASK_RATE)],
            loss_of_mask,
            backend,
            steps=steps,
            watch=lambda step, _, loss: watch(steps + step, 2 * steps, loss),
        )
        tensors |= stored("mask", dict(made.mask.named_parameters()))
        told |= {
            "mask_steps": more["steps"],
            "mask_loss": more["loss"],
            "seconds": told["seconds"] + more["seconds"],
            "peak_memory_bytes": max(told["peak_memory_bytes"], more["peak_memory_bytes"]),
        }
    return tensors, told


def restored(backend: Backend, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> Trained:
    """What ``trained`` gave, ready to draw."""
    made = untrained(backend, torch.Generator(), full=meta["full"])
    restore("unet", made.unet, tensors)
    restore("words", {"rows": made.words}, tensors)
    if meta["mask_steps"]:
        restore("mask", dict(made.mask.named_parameters()), tensors)
    return made


def real_features(own: Backend, ng: torch.Tensor, ok: torch.Tensor, generator: torch.Generator) -> Features:
    """Features of real pictures' latents, NG first, noised as those at the last step of sampling are."""
    scheduler = _scheduler(own, STEPS)
    time = scheduler.timesteps[-1:]
    clean = torch.cat([ng, ok])
    noisy = scheduler.add_noise(clean, torch.randn(clean.shape, generator=generator).to(clean), time)
    with torch.no_grad():
        text = embed([seas_binding.NG_PROMPT, seas_binding.OK_PROMPT], own)
    text = text.repeat_interleave(torch.tensor([len(ng), len(ok)], device=text.device), 0)
    return features_of(own, noisy, clean, time, text)


def sampled(
    made: Trained,
    canvas: np.ndarray,
    *,
    strength: float,
    guidance: float,
    steps: int,
    mask_known: bool,
    generator: torch.Generator,
) -> Pair:
    """The part of an OK picture (w, w, 3) noised and drawn again with the defect's words and, beside it, without."""
    own = made.own
    clean = encode(_pixels(canvas, own), own)
    scheduler = _scheduler(own, steps)
    times = starting(scheduler.timesteps, strength)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    latent = scheduler.add_noise(clean, noise, times[:1]).repeat(2, 1, 1, 1)
    scheduler.set_begin_index(len(scheduler.timesteps) - len(times))
    text = embed(["", "", seas_binding.NG_PROMPT, seas_binding.OK_PROMPT], own)
    for time in times:
        before = latent
        without, asked = own.unet(latent.repeat(2, 1, 1, 1), time, text).sample.chunk(2)
        latent = scheduler.step(without + guidance * (asked - without), time, latent).prev_sample
    painted, plain = (to_picture(decode(one[None], own), len(canvas)) for one in latent)
    if mask_known:
        features = features_of(own, before[:1], latent[:1], times[-1], text[2:3])
        mask = predicted(made.mask, features)[0].cpu().numpy()
    else:
        mask = otsu(np.abs(painted - plain).mean(2))
    return Pair(painted, plain, mask, {"mask": "predicted" if mask_known else "difference"})


def _scheduler(own: Backend, steps: int) -> Any:
    from diffusers import DPMSolverMultistepScheduler

    config = {key: value for key, value in own.scheduler.items() if not key.startswith("_")}
    scheduler = DPMSolverMultistepScheduler.from_config(config)
    scheduler.set_timesteps(steps, device=own.device)
    return scheduler


def _pixels(image: np.ndarray, backend: Backend) -> torch.Tensor:
    return to_pixels(resized(image, backend.side_px), backend.side_px, backend)


def _some(ok: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """At most 60 of the OK images, any of them."""
    return ok[torch.randperm(len(ok), generator=generator)[:MOST_OK].numpy()]


@torch.no_grad()
def _encoded(sources: tuple[NgSource, ...], backend: Backend) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents (n, 4, h, h) of the NG, and their masks at pixel size (n, 1, w, w) and at latent size (n, 1, h, h)."""
    masks = [resized_mask(source.mask, backend.side_px) for source in sources]
    latents = torch.cat([encode(_pixels(source.image, backend), backend) for source in sources])
    at_pixels = torch.from_numpy(np.stack(masks)[:, None]).to(latents)
    return latents, at_pixels, torch.cat([latent_mask(mask, backend.side_px, backend) for mask in masks])
