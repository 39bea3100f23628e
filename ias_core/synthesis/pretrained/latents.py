"""Pictures to latents and back, noise levels, prompts, and the blended sampling that most methods share.

Blended latent diffusion (O. Avrahami, O. Fried, D. Lischinski, ACM TOG 42 (2023), no. 149): before each step the
latent outside the mask is the OK picture's own, noised to the same time, so that only the inside is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.errors import SynthesisError

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend

Predict = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""(latent, time, step) -> what the U-Net predicts, all guidance in it: noise, or v where the weights predict that."""

Adjust = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""(latent, time, step) -> the latent to go on with; only its inside counts."""


def to_pixels(picture: np.ndarray, side: int, backend: Backend) -> torch.Tensor:
    """(1, 3, side, side) in [-1, 1] from a picture (s, s, 3) in [0, 1], resized bilinearly with antialiasing."""
    pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None]
    if pixels.shape[-1] != side:  # before half precision: not every CPU resizes in it
        pixels = torch.nn.functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return (pixels * 2 - 1).to(backend.device, backend.dtype)


def to_picture(pixels: torch.Tensor, side: int) -> np.ndarray:
    """(side, side, 3) float32 in [0, 1] from pixels (1, 3, h, w) in [-1, 1]."""
    pixels = pixels.detach().float()
    if pixels.shape[-1] != side:
        pixels = torch.nn.functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return ((pixels[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0).cpu().numpy()


def encode(pixels: torch.Tensor, backend: Backend) -> torch.Tensor:
    """(n, 4, h / f, w / f) scaled latent: the mode of the VAE's distribution, so nothing random enters.

    A VAE that was left in float32 beside a U-Net in half precision, as SDXL's has to be, computes in its own.
    """
    vae = backend.vae
    return (vae.encode(pixels.to(vae.dtype)).latent_dist.mode() * vae.config.scaling_factor).to(backend.dtype)


def decode(latent: torch.Tensor, backend: Backend) -> torch.Tensor:
    """(n, 3, h, w) pixels in about [-1, 1]."""
    vae = backend.vae
    return vae.decode((latent / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]


def round_trip(picture: np.ndarray, backend: Backend) -> np.ndarray:
    """(s, s, 3) float32 in [0, 1]: a picture (s, s, 3) through the VAE and back, at the backend's side in between."""
    with torch.no_grad():
        pixels = decode(encode(to_pixels(picture, backend.side_px, backend), backend), backend)
    return to_picture(pixels, len(picture))


def cell_px(backend: Backend) -> int:
    """Side of a latent cell in px: 8 for Stable Diffusion."""
    return 2 ** (len(backend.vae.config.block_out_channels) - 1)


def latent_mask(mask: np.ndarray, side: int, backend: Backend) -> torch.Tensor:
    """(1, 1, h, w) of 0 and 1 at latent size: a cell is in where any of its pixels is, so no mask vanishes."""
    grid = side // cell_px(backend)
    inside = torch.from_numpy(mask.astype(np.float32))[None, None]
    return torch.nn.functional.adaptive_max_pool2d(inside, grid).to(backend.device, backend.dtype)


def embed(prompts: list[str], backend: Backend) -> torch.Tensor:
    """(n, tokens, width) hidden states of the text encoder."""
    tokens = backend.tokenizer(
        prompts,
        padding="max_length",
        max_length=backend.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return backend.text_encoder(tokens.to(backend.device))[0]


def predicted(
    unet: Any, latent: torch.Tensor, time: torch.Tensor, texts: torch.Tensor, guidance_scale: float
) -> torch.Tensor:
    """(1, c, h, w): one pass, with classifier-free guidance where ``texts`` holds two prompts, without and with.

    J. Ho, T. Salimans, arXiv 2207.12598: none + scale x (asked - none).
    """
    out = unet(latent.expand(len(texts), -1, -1, -1), time, texts).sample
    if len(texts) == 1:
        return out
    none, asked = out.chunk(2)
    return none + guidance_scale * (asked - none)


def ddim(backend: Backend, steps: int) -> Any:
    """A deterministic DDIM scheduler on the backend's noise schedule, its times set.

    Times as Stable Diffusion's own configuration has them: multiples of 1000 // steps, plus 1, so that ``step`` finds
    the one before by subtraction whether or not ``steps`` divides 1000.
    """
    from inspect import signature

    from diffusers import DDIMScheduler

    known = signature(DDIMScheduler.__init__).parameters
    config = {key: value for key, value in backend.scheduler.items() if key in known}
    last = config.get("num_train_timesteps", 1000)
    if not 1 <= steps <= last:
        raise SynthesisError(f"expected 1 to {last} steps of denoising, got {steps}")
    config |= {"clip_sample": False, "set_alpha_to_one": False, "timestep_spacing": "leading"}
    scheduler = DDIMScheduler(**config | {"steps_offset": int(steps < last)})
    scheduler.set_timesteps(steps, device=backend.device)
    return scheduler


def signal(scheduler: Any, time: torch.Tensor) -> torch.Tensor:
    """alpha-bar, float32: the share of the clean latent's variance that is left at this time."""
    return scheduler.alphas_cumprod[int(time)].to(time.device)


def clean_estimate(scheduler: Any, output: torch.Tensor, time: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    """What the clean latent would be, by the U-Net's output at a time (DDIM, arXiv 2010.02502, formula 12)."""
    left = signal(scheduler, time)
    if _predicts_v(scheduler):
        return left.sqrt() * latent - (1 - left).sqrt() * output
    return (latent - (1 - left).sqrt() * output) / left.sqrt()


def noise_estimate(scheduler: Any, output: torch.Tensor, time: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    """The noise in the latent, by the U-Net's output at a time."""
    left = signal(scheduler, time)
    return left.sqrt() * output + (1 - left).sqrt() * latent if _predicts_v(scheduler) else output


def with_noise_shifted(scheduler: Any, output: torch.Tensor, time: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """The output by which ``noise_estimate`` is more by ``shift``."""
    return output + (shift / signal(scheduler, time).sqrt() if _predicts_v(scheduler) else shift)


def _predicts_v(scheduler: Any) -> bool:
    return scheduler.config.prediction_type == "v_prediction"


def starting(times: torch.Tensor, strength: float) -> torch.Tensor:
    """The times from which to denoise at this strength in [0, 1]: all of them at 1, none at 0."""
    keep = min(int(round(len(times) * strength)), len(times))
    return times[len(times) - keep :]


def blended(
    predict: Predict,
    scheduler: Any,
    times: torch.Tensor,
    latent: torch.Tensor,
    clean: torch.Tensor,
    mask: torch.Tensor,
    *,
    generator: torch.Generator,
    adjust: Adjust | None = None,
) -> torch.Tensor:
    """Denoise inside the mask; outside, the clean latent noised to the time of each step, and clean at the end.

    Parameters
    ----------
    predict : callable
        What the U-Net predicts at a latent and time, (1, c, h, w).
    latent : (1, c, h, w)   what to start from, at the noise of ``times[0]``
    clean : (1, c, h, w)    latent of the OK picture
    mask : (1, 1, h, w)     1 inside
    generator : torch.Generator
        On the CPU, so that a seed means the same on every device.
    adjust : callable, optional
        Changes the blended latent before each prediction.

    Returns
    -------
    (1, c, h, w)
    """
    for step, time in enumerate(times):
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        latent = mask * latent + (1 - mask) * scheduler.add_noise(clean, noise, time[None])
        if adjust is not None:
            latent = mask * adjust(latent, time, step) + (1 - mask) * latent
        latent = scheduler.step(predict(latent, time, step), time, latent).prev_sample
    return mask * latent + (1 - mask) * clean
