"""Loaded diffusion weights of the user's, as every method over them takes them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """Parts of one Stable Diffusion folder, in eval mode and without gradients; shared, so left as they are.

    Made by ``loading.load``.

    kind : str            "text-to-image" (U-Net with 4 channels) or "inpainting" (9 channels)
    family : str          "sd" (one text encoder: SD 1.x, 2.x) or "sdxl"
    unet, vae, text_encoder, tokenizer : of diffusers and transformers
    scheduler : dict      configuration of its noise schedule
    side_px : int         side of the pictures it was trained for: 512, SDXL 1,024
    device, dtype         where and in which precision the arithmetic runs
    digest : str          sha256 over all weight files, for manifests
    controlnet : ControlNetModel, or None
    pipeline              the diffusers pipeline the parts came from, for what only it can do (IP-Adapter, SDXL,
                          Paint-by-Example); None where the parts were given alone
    extras : frozenset    what else is loaded: of "controlnet", "ip-adapter", "paint-by-example". An IP-Adapter lies in
                          the U-Net itself; of Paint-by-Example there is no text encoder and no tokenizer
    offload : str         "none"; "model" or "sequential": parts or layers move to the device when their turn comes, so
                          that a part's own ``device`` says nothing, and none of them can be trained
    """

    kind: str
    family: str
    unet: "UNet2DConditionModel"
    vae: "AutoencoderKL"
    text_encoder: "CLIPTextModel"
    tokenizer: "CLIPTokenizer"
    scheduler: dict[str, Any]
    side_px: int
    device: "torch.device"
    dtype: "torch.dtype"
    digest: str
    controlnet: "ControlNetModel | None" = None
    pipeline: Any = None
    extras: frozenset[str] = field(default_factory=frozenset)
    offload: str = "none"
