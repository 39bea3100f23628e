"""One step of denoising with loaded weights: whether they draw at all, how long it takes, how much memory it holds."""

from __future__ import annotations

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
    start = perf_counter()
    with PeakMemory(str(backend.device)) as peak:
        made = np.asarray(backend.pipeline(**given).images)
    if not np.isfinite(made).all():
        raise WeightsUnavailable(
            f"one step with these weights gives no numbers in {str(backend.dtype).removeprefix('torch.')}: they are "
            "damaged, or need float32"
        )
    return Trial(side, perf_counter() - start, peak.bytes)
