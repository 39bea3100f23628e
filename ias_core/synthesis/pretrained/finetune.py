"""The loop of the methods that are trained on the user's NG: AdamW, a clipped gradient, stopped when asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.peak_memory import PeakMemory

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

_CLIP = 1.0  # largest norm of the gradient, as in the training scripts of diffusers
_MOST_SKIPPED = 20  # steps in a row without a finite gradient: half precision starts with a few
_MEAN_OVER = 50  # the loss of one step is mostly that of the time it drew
_POINTS = 100

Group = tuple[Sequence[torch.nn.Parameter], float]
"""Weights and their learning rate."""


def finetune(
    groups: Sequence[Group],
    loss_of: Callable[[], torch.Tensor],
    backend: Backend,
    *,
    steps: int,
    watch: Watch,
    warm_up: int = 0,
) -> dict[str, Any]:
    """Train the given weights in place; a step without a finite gradient changes nothing, so they stay good.

    Parameters
    ----------
    groups : sequence of (weights, learning rate)
        float32 weights, also where the backend's are in half precision.
    loss_of : callable
        Draws a batch and gives its loss; run under autocast where the backend is in half precision.
    steps, warm_up : int
        The rate rises linearly over the first ``warm_up`` steps, then stays.
    watch : callable
        Gets step, steps and the mean loss of the last 50 steps; training ends when it says False.

    Returns
    -------
    dict
        JSON-ready, for ``Adapter.meta``: steps, asked_steps, skipped_steps, seconds, loss (at most 100 means of equally
        many steps), peak_memory_bytes.

    Raises
    ------
    SynthesisError
        No step asked for, or 20 steps in a row without a finite gradient.
    WeightsUnavailable
        The weights leave the device between two passes, and their gradients would be lost with them.
    """
    if backend.offload != "none":
        raise WeightsUnavailable(
            "expected weights that stay on the GPU while they are trained on, these are moved there in parts: close "
            "other programs, or take smaller weights"
        )
    if steps < 1:
        raise SynthesisError(f"expected at least 1 training step, got {steps}")
    trained = [weight for weights, _ in groups for weight in weights]
    optimizer = torch.optim.AdamW([{"params": list(weights), "lr": rate} for weights, rate in groups])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (warm_up + 1)))
    device = backend.device.type
    scaler = torch.amp.GradScaler(device, enabled=backend.dtype == torch.float16)
    start, losses, in_a_row = perf_counter(), [], 0
    with PeakMemory(str(backend.device)) as peak:
        for step in range(1, steps + 1):
            with torch.autocast(device, backend.dtype, enabled=backend.dtype != torch.float32):
                loss = loss_of()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            finite = math.isfinite(float(torch.nn.utils.clip_grad_norm_(trained, _CLIP)))
            if finite:
                scaler.step(optimizer)
                losses.append(float(loss.detach()))
            scaler.update()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            in_a_row = 0 if finite else in_a_row + 1
            if in_a_row == _MOST_SKIPPED:
                raise SynthesisError(
                    f"training broke off at step {step}: {_MOST_SKIPPED} steps in a row had no finite gradient; load "
                    "the weights in full precision, or use others"
                )
            if not watch(step, steps, float(np.mean(losses[-_MEAN_OVER:])) if losses else math.nan):
                break
    return {
        "steps": step,
        "asked_steps": steps,
        "skipped_steps": step - len(losses),
        "seconds": perf_counter() - start,
        "loss": [float(part.mean()) for part in np.array_split(losses, _POINTS) if len(part)],
        "peak_memory_bytes": peak.bytes,
    }


def noised(
    latent: torch.Tensor, backend: Backend, generator: torch.Generator, *, together: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A latent at random times of the backend's noise schedule, and what the U-Net is to say of it.

    Parameters
    ----------
    latent : (n, c, h, w)
    generator : torch.Generator
        On the CPU; the times are drawn first, then the noise.
    together : int
        So many latents in a row get one time; their noise is each its own.

    Returns
    -------
    noisy, target : (n, c, h, w)
        The target is the noise, or the velocity where the weights were trained to predict that.
    times : (n,) int64
    """
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler.from_config(backend.scheduler)
    times = torch.randint(scheduler.config.num_train_timesteps, (len(latent) // together,), generator=generator)
    times = times.repeat_interleave(together).to(latent.device)
    noise = torch.randn(latent.shape, generator=generator).to(latent)
    noisy = scheduler.add_noise(latent, noise, times)
    if scheduler.config.prediction_type == "v_prediction":
        return noisy, scheduler.get_velocity(latent, noise, times), times
    return noisy, noise, times
