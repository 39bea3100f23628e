"""One step of denoising with loaded weights: whether they draw at all, how long it takes, how much memory it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from ias_core.errors import WeightsUnavailable
from ias_core.peak_memory import PeakMemory
from ias_core.synthesis.pretrained.latents import cell_px

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend

_LEAST_PX = 8  # the pipelines of diffusers take sides of a multiple of 8


@dataclass(frozen=True, slots=True)
class Trial:
    """What one step took. ``peak_bytes``: of the GPU; on a CPU, of the whole process with all that lay in it before."""

    side_px: int
    seconds: float
    peak_bytes: int


def try_out(backend: Backend, *, side_px: int | None = None) -> Trial:
    """Redraw the middle of a grey picture in one step.

    Parameters
    ----------
    side_px : int, optional
        None: the smallest that the U-Net can halve as often as it does.

    Raises
    ------
    WeightsUnavailable
        What comes out is no number. Memory that runs out is raised as torch says it.
    """
    from PIL import Image

    if backend.pipeline is None:
        return _one_pass(backend)
    halvings = len(backend.unet.config.block_out_channels) - 1
    side = side_px or max(cell_px(backend) * 2**halvings, _LEAST_PX)
    grey = Image.new("RGB", (side, side), (128, 128, 128))
    middle = np.zeros((side, side), np.uint8)
    middle[side // 4 : -side // 4, side // 4 : -side // 4] = 255
    given = {
        "image": grey,
        "mask_image": Image.fromarray(middle),
        "height": side,
        "width": side,
        "num_inference_steps": 1,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "np",
    }
    if "paint-by-example" in backend.extras:
        given["example_image"] = grey
    else:
        given |= {"prompt": "a part", "strength": 1.0}
    if "controlnet" in backend.extras:
        given["control_image"] = grey
    if "ip-adapter" in backend.extras:
        given["ip_adapter_image"] = grey
    return _measured(backend, side, lambda: np.asarray(backend.pipeline(**given).images))


def _one_pass(backend: Backend) -> Trial:
    """Of a model of pixels, which has one size and no pipeline."""
    side = backend.side_px
    grey = torch.zeros(1, 3, side, side, device=backend.device, dtype=backend.dtype)
    return _measured(backend, side, lambda: backend.unet(grey, 0).sample.float().cpu().numpy())


@torch.no_grad()
def _measured(backend: Backend, side: int, step: Callable[[], np.ndarray]) -> Trial:
    start = perf_counter()
    with PeakMemory(str(backend.device)) as peak:
        made = step()
    if not np.isfinite(made).all():
        raise WeightsUnavailable(
            f"one step with these weights gives no numbers in {str(backend.dtype).removeprefix('torch.')}: they are "
            "damaged, or need float32"
        )
    return Trial(side, perf_counter() - start, peak.bytes)
