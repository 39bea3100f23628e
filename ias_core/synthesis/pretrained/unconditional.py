"""A diffusion model of pixels that knows no prompt: what the training script of diffusers makes of good parts.

The layout is that of ``DDPMPipeline.save_pretrained``: unet/ and scheduler/. Such a model can be had without any
pretrained weights, on one GPU, from the user's pictures alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.parts import Broken, network_part, scheduler_part
from ias_core.torchvision_operators import ensure_torchvision

if TYPE_CHECKING:
    import torch

KIND, FAMILY = "unconditional", "ddpm"


def load_unconditional(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Backend:
    """The model as a Backend of kind "unconditional", without autoencoder, text encoder and tokenizer.

    Raises
    ------
    WeightsUnavailable
        A part is missing or broken, or the U-Net is one that wants a prompt or a class, or does not give back the
        channels it takes.
    """
    ensure_torchvision()
    from diffusers import UNet2DModel

    try:
        unet_part, scheduler = network_part(folder / "unet"), scheduler_part(folder / "scheduler")
    except Broken as broken:
        raise WeightsUnavailable(f"{folder} is no model of good parts: {broken}") from broken
    config = unet_part.config
    kind, side = config.get("_class_name", "of an unknown kind"), config.get("sample_size")
    if kind != "UNet2DModel" or not isinstance(side, int):
        raise WeightsUnavailable(
            f"expected a UNet2DModel for pictures of one size in {folder}/unet, found {kind} for {side}: train one "
            "with the script train_unconditional.py of diffusers"
        )
    if config.get("num_class_embeds") or not config.get("in_channels") == config.get("out_channels") == 3:
        raise WeightsUnavailable(
            f"expected a model without classes that takes and gives 3 channels in {folder}/unet, found "
            f"{config.get('num_class_embeds') or 'no'} classes, {config.get('in_channels')} channels in and "
            f"{config.get('out_channels')} out: train another"
        )
    unet = UNet2DModel.from_pretrained(
        folder / "unet",
        torch_dtype=dtype,
        use_safetensors=True,
        variant=unet_part.variant or None,
        local_files_only=True,
    )
    digest = hashlib.sha256()
    for path in (*unet_part.files, *scheduler.files):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return Backend(
        kind=KIND,
        family=FAMILY,
        unet=unet.to(device).requires_grad_(False).eval(),
        vae=None,
        text_encoder=None,
        tokenizer=None,
        scheduler=scheduler.config,
        side_px=side,
        device=device,
        dtype=dtype,
        digest=digest.hexdigest(),
    )
