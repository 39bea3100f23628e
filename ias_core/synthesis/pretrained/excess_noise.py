"""SDAS of RealNet (CVPR 2024, arXiv 2403.05897): ancestral sampling with more noise per step than the model asks for.

    x_{t-1} = mu(x_t) + sqrt(1 + s) sigma_t z,   no noise in the last step

s = 0 draws good parts, as far as the model can; more s, stronger anomalies. Published is a U-Net that also learned
sigma; that of the posterior (sigma_t^2 = (1 - a') / (1 - a) (1 - a / a'), a and a' the cumulative alphas now and next)
is what weights without it are sampled with.
"""

from __future__ import annotations

import math
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.errors import SynthesisError
from ias_core.synthesis.pretrained.latents import Predict, decode, embed, encode, starting, to_picture, to_pixels

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend


def ancestral(backend: Backend, steps: int, reach: float) -> Any:
    """The backend's noise schedule, respaced to ``steps``, for ``sampled``.

    Of diffusers it is the DDIM scheduler: at eta 1 its step is the ancestral one, and it takes the noise as it is
    given. The estimate of the clean picture is clipped to [-reach, reach], without which an excess above about 0.5 runs
    away.
    """
    from diffusers import DDIMScheduler

    known = signature(DDIMScheduler.__init__).parameters
    config = {key: value for key, value in backend.scheduler.items() if key in known}
    last = config.get("num_train_timesteps", 1000)
    if not 1 <= steps <= last:
        raise SynthesisError(f"expected 1 to {last} steps of denoising, got {steps}")
    config |= {"clip_sample": True, "clip_sample_range": reach, "thresholding": False}
    config |= {"set_alpha_to_one": True, "timestep_spacing": "leading", "steps_offset": 0}
    scheduler = DDIMScheduler(**config)
    scheduler.set_timesteps(steps, device=backend.device)
    return scheduler


def sampled(
    predict: Predict,
    scheduler: Any,
    times: torch.Tensor,
    latent: torch.Tensor,
    *,
    excess: float,
    eta: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Denoise with (1 + excess) times the variance; (1, c, h, w).

    Parameters
    ----------
    predict : callable
        What the U-Net predicts at a latent and time.
    latent : (1, c, h, w)
        At the noise of ``times[0]``.
    excess : float
        s, at least 0.
    eta : float
        Share of the ancestral step's noise, in (0, 1]; at 0, without noise, an excess of it would do nothing.
    generator : torch.Generator
        On the CPU. Another excess draws the same noise.
    """
    for step, time in enumerate(times):
        noise = torch.randn(latent.shape, generator=generator).to(latent) * math.sqrt(1 + excess)
        said = predict(latent, time, step)
        # the noise's direction is the clipped estimate's, as in the ancestral formula; the last step's sigma is 0
        after = scheduler.step(said, time, latent, eta=eta, variance_noise=noise, use_clipped_model_output=True)
        latent = after.prev_sample
    return latent


def redrawn(
    canvas: np.ndarray,
    backend: Backend,
    *,
    steps: int,
    start: float,
    excess: float,
    eta: float,
    generator: torch.Generator,
) -> np.ndarray:
    """(w, w, 3) in [0, 1]: the canvas noised to a share of the schedule and drawn again, with an excess of noise.

    Parameters
    ----------
    start : float
        In (0, 1]; 1 is pure noise, of which the canvas does not survive.
    """
    clean, condition, reach = to_pixels(canvas, backend.side_px, backend), (), 1.0
    if backend.vae is not None:
        clean, condition = encode(clean, backend), (embed([""], backend),)
        reach = float(clean.abs().max())  # a latent has no grey range; that of the part's own stands in; ours

    def predict(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
        return backend.unet(latent, time, *condition).sample

    scheduler = ancestral(backend, steps, reach)
    times = starting(scheduler.timesteps, start)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    latent = clean
    if len(times):
        latent = noise if start == 1 else scheduler.add_noise(clean, noise, times[:1])
    latent = sampled(predict, scheduler, times, latent, excess=excess, eta=eta, generator=generator)
    return to_picture(latent if backend.vae is None else decode(latent, backend), len(canvas))
