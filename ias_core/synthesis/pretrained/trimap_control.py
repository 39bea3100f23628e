"""AdaBLDM's ControlNet on trimaps, its three phases of sampling, and its adapted decoder (arXiv 2402.19330).

The released code is of 2024-04-25. Its numbers for 50 steps are kept as shares of the steps.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from ias_core.synthesis.pretrained.finetune import finetune, noised
from ias_core.synthesis.pretrained.inversion import latents_of
from ias_core.synthesis.pretrained.latents import (
    cell_px,
    ddim,
    decode,
    embed,
    encode,
    latent_mask,
    to_picture,
    to_pixels,
)
from ias_core.synthesis.pretrained.trimap import PartWindow, trimap
from ias_core.synthesis.pretrained.views import views

if TYPE_CHECKING:
    from diffusers import ControlNetModel

    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

RATE, BATCH = 1e-5, 4
DECODER_RATE, BACKGROUND_WEIGHT = 1e-4, 100.0
HINT_CHANNELS = (16, 32, 96, 256)  # of ControlNet: three halvings, 512 px to the 64 cells of the latent
_DILATED = np.ones((5, 5), np.uint8)  # cells


def learn_control(
    backend: Backend,
    sources: Sequence[NgSource],
    parts: Sequence[np.ndarray],
    prompt: str,
    *,
    seed: int,
    steps: int,
    watch: Watch,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A ControlNet's weights, in the backend's precision, and what ``finetune`` tells; the U-Net stays locked.

    Parameters
    ----------
    parts : sequence of (s, s) bool
        Where the part is in each source.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    seen = views(sources, side_px=backend.side_px, cell_px=cell_px(backend), rng=rng, parts=parts)
    latents = latents_of(seen.pictures, backend)
    net = untrained(backend, generator)
    hints = torch.cat([hint_of(mask, part, net, backend) for mask, part in zip(seen.masks, seen.parts, strict=True)])
    with torch.no_grad():
        text = embed([prompt], backend)

    def loss() -> torch.Tensor:
        chosen = torch.randint(len(latents), (BATCH,), generator=generator).tolist()
        noisy, target, times = noised(latents[chosen], backend, generator)
        said = controlled(backend, net, noisy, times, text.expand(len(chosen), -1, -1), hints[chosen])
        return torch.nn.functional.mse_loss(said.float(), target.float())

    told = finetune([(list(net.parameters()), RATE)], loss, backend, steps=steps, watch=watch)
    return {name: weight.detach().to(backend.dtype) for name, weight in net.state_dict().items()}, told


def untrained(backend: Backend, generator: torch.Generator) -> ControlNetModel:
    """A float32 ControlNet on copies of the U-Net's weights: its zero convolutions change nothing yet."""
    from diffusers import ControlNetModel

    with torch.random.fork_rng(devices=[]):  # starts from the process's random state: it is put back, and drawn anew
        net = ControlNetModel.from_unet(backend.unet, conditioning_embedding_out_channels=HINT_CHANNELS)
    for layer in net.controlnet_cond_embedding.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer is not net.controlnet_cond_embedding.conv_out:
            torch.nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            torch.nn.init.zeros_(layer.bias)
    return net.to(backend.device).float().requires_grad_(True).train()


def trained(backend: Backend, tensors: dict[str, torch.Tensor]) -> ControlNetModel:
    """The one that ``learn_control`` gave the weights of."""
    from diffusers import ControlNetModel

    with torch.device("meta"):
        net = ControlNetModel.from_unet(
            backend.unet, conditioning_embedding_out_channels=HINT_CHANNELS, load_weights_from_unet=False
        )
    net.load_state_dict({name: one.to(backend.device, backend.dtype) for name, one in tensors.items()}, assign=True)
    return net.requires_grad_(False).eval()


def hint_of(defect: np.ndarray, part: np.ndarray, net: ControlNetModel, backend: Backend) -> torch.Tensor:
    """(1, 3, side, side) in [0, 1]: the trimap at the side that the ControlNet brings down to that of the latent."""
    shrinks = 2 ** (len(net.config.conditioning_embedding_out_channels) - 1)
    side = backend.side_px // cell_px(backend) * shrinks
    three = torch.from_numpy(trimap(defect, part, side)).to(backend.device, backend.dtype) / 255
    return three.expand(1, 3, -1, -1)


def controlled(
    backend: Backend,
    net: ControlNetModel,
    latent: torch.Tensor,
    times: torch.Tensor,
    text: torch.Tensor,
    hint: torch.Tensor,
) -> torch.Tensor:
    """What the U-Net says with the ControlNet's residuals added; all n in the first place."""
    down, middle = net(latent, times, text, controlnet_cond=hint, return_dict=False)
    return backend.unet(
        latent, times, text, down_block_additional_residuals=down, mid_block_additional_residual=middle
    ).sample


def phase_of(step: int, steps: int, free_until: float, blend_until: float) -> str:
    """ "free", "latent" or "pixel" for step 1 to ``steps``; the borders are shares of the steps.

    Examples
    --------
    >>> [phase_of(step, 50, 0.5, 0.9) for step in (1, 25, 26, 45, 46, 50)]
    ['free', 'free', 'latent', 'latent', 'pixel', 'pixel']
    """
    if step <= round(free_until * steps):
        return "free"
    return "latent" if step <= round(blend_until * steps) else "pixel"


def painted(
    net: ControlNetModel,
    window: PartWindow,
    target: np.ndarray,
    prompt: str,
    backend: Backend,
    *,
    steps: int,
    guidance: float,
    free_until: float,
    blend_until: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """(1, c, h, w), the latent that steps 4a to 4c end with; outside the target the canvas's own.

    Phase c takes the estimate of the clean latent that a step gives, puts the canvas's pixels around the target in it,
    and noises it to the time after that step. Every step draws one noise whatever its phase, so that borders can be
    moved without moving the rest.

    Parameters
    ----------
    target : (w, w) bool
        May be empty, which gives the canvas's latent.
    """
    canvas = to_pixels(window.canvas, backend.side_px, backend)
    clean = encode(canvas, backend)
    inside = torch.from_numpy(target).to(canvas)  # (w, w)
    cells = dilated(latent_mask(target, backend.side_px, backend))
    hint = hint_of(target, window.part, net, backend).expand(2, -1, -1, -1)
    texts = embed(["", prompt], backend)
    scheduler = ddim(backend, steps)
    times = scheduler.timesteps
    latent = torch.randn(clean.shape, generator=generator).to(clean)
    for step, time in enumerate(times):
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        phase = phase_of(step + 1, len(times), free_until, blend_until)
        if phase == "latent":
            latent = cells * latent + (1 - cells) * scheduler.add_noise(clean, noise, time[None])
        none, asked = controlled(backend, net, latent.expand(2, -1, -1, -1), time, texts, hint).chunk(2)
        after = scheduler.step(none + guidance * (asked - none), time, latent)
        latent = after.prev_sample
        if phase == "pixel":
            drawn = decode(after.pred_original_sample, backend)
            latent = encode(inside * drawn + (1 - inside) * canvas, backend)
            if step + 1 < len(times):
                latent = scheduler.add_noise(latent, noise, times[step + 1][None])
    return cells * latent + (1 - cells) * clean


def dilated(cells: torch.Tensor) -> torch.Tensor:
    """(1, 1, h, w) of 0 and 1, grown by two cells on every side."""
    grown = cv2.dilate(cells[0, 0].float().cpu().numpy(), _DILATED)
    return torch.from_numpy(grown).to(cells)[None, None]


def decoded_adapted(
    latent: torch.Tensor, canvas: np.ndarray, target: np.ndarray, backend: Backend, *, steps: int
) -> np.ndarray:
    """(w, w, 3) in [0, 1], by a decoder that was fitted to this one picture, step 5: the canvas around the target.

    L = MSE(D(z) m, D_0(z) m) + 100 MSE(D(z) (1 - m), I_OK (1 - m)). Published is to fit the decoder itself and to put
    its weights back afterwards; a copy is fitted here, so there is nothing to put back, whatever happens.
    """
    vae = backend.vae
    wanted = to_pixels(canvas, backend.side_px, backend).float()
    inside = torch.from_numpy(target).to(wanted)
    drawn = decode(latent, backend).detach().float()
    with torch.no_grad():
        code = latent.to(vae.dtype) / vae.config.scaling_factor
        code = code if vae.post_quant_conv is None else vae.post_quant_conv(code)
    decoder = copy.deepcopy(vae.decoder).float().requires_grad_(True)

    def loss() -> torch.Tensor:
        shown = decoder(code.float()).float()
        squared = torch.nn.functional.mse_loss
        around = squared(shown * (1 - inside), wanted * (1 - inside))
        return squared(shown * inside, drawn * inside) + BACKGROUND_WEIGHT * around

    with torch.enable_grad():
        finetune([(list(decoder.parameters()), DECODER_RATE)], loss, backend, steps=steps, watch=lambda *_: True)
    with torch.no_grad():
        return to_picture(decoder(code.float()), len(canvas))
