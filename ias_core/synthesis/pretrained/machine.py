"""What the machine that this runs on has for diffusion weights."""

from __future__ import annotations

import platform

import psutil
import torch

from ias_core.devices import choose_device
from ias_core.synthesis.pretrained.plans import Hardware


def this_machine(wish: str = "auto") -> Hardware:
    """The device that is wished for (of ``ias_core.devices.DEVICES``), or the CPU, with what is free now.

    Asking a CUDA device takes a few hundred MB of it for as long as this process lives.
    """
    device, _ = choose_device(wish)
    main = {"ram_bytes": psutil.virtual_memory().available, "cores": torch.get_num_threads()}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        return Hardware(
            about.name,
            "cuda",
            free_bytes=torch.cuda.mem_get_info(device)[0],
            bfloat16=torch.cuda.is_bf16_supported(including_emulation=False),
            lean_attention=torch.version.hip is None and torch.backends.cuda.mem_efficient_sdp_enabled(),
            **main,
        )
    if device.type == "mps":
        return Hardware("Apple GPU", "mps", free_bytes=torch.mps.recommended_max_memory(), **main)
    return Hardware(platform.processor() or platform.machine(), **main)
