"""What may be loaded beside a tiny Stable Diffusion: an IP-Adapter, Paint-by-Example, and its larger brother XL."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.latents import ddim
from tests.core.tiny_diffusion import SIDE, tiny_backend

_CLIP = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "projection_dim": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}


def with_ip_adapter(folder: Path) -> Backend:
    """A 9-channel backend whose U-Net holds an IP-Adapter, and so wants a picture at every pass."""
    from diffusers import StableDiffusionInpaintPipeline
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    backend = tiny_backend(folder, channels=9)
    unet, width = backend.unet, backend.unet.config.cross_attention_dim
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    widths = {name: unet.get_submodule(name.removesuffix(".processor")).inner_dim for name in unet.attn_processors}
    crossing = [name for name in widths if name.endswith("attn2.processor")]
    adapter = {
        f"{2 * i + 1}.to_{part}_ip.weight": drawn(widths[name], width)
        for i, name in enumerate(crossing)
        for part in "kv"
    }
    projection = {"norm.weight": drawn(width), "norm.bias": drawn(width)}
    projection |= {"proj.weight": drawn(4 * width, _CLIP["projection_dim"]), "proj.bias": drawn(4 * width)}
    unet._load_ip_adapter_weights([{"image_proj": projection, "ip_adapter": adapter}])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**_CLIP))
    pipeline = StableDiffusionInpaintPipeline(
        **_parts(backend), safety_checker=None, requires_safety_checker=False, **_seeing(encoder)
    )
    return replace(backend, pipeline=_frozen(pipeline), extras=frozenset({"ip-adapter"}))


def by_example(folder: Path) -> Backend:
    """Paint-by-Example: 9 channels in another order, and an encoder of pictures in place of one of words."""
    from diffusers import PaintByExamplePipeline
    from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
    from transformers import CLIPVisionConfig

    backend = replace(tiny_backend(folder, channels=9), text_encoder=None, tokenizer=None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        encoder = PaintByExampleImageEncoder(CLIPVisionConfig(**_CLIP), proj_size=16)
    parts = {part: one for part, one in _parts(backend).items() if one is not None}
    pipeline = PaintByExamplePipeline(**parts, safety_checker=None, **_seeing(encoder))
    return replace(backend, pipeline=_frozen(pipeline), extras=frozenset({"paint-by-example"}))


def tiny_xl(folder: Path, *, controlnet: bool = False) -> Backend:
    """Stable Diffusion XL: two text encoders, and a U-Net that is told the picture's size."""
    from diffusers import (
        ControlNetModel,
        StableDiffusionXLControlNetInpaintPipeline,
        StableDiffusionXLInpaintPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    backend = tiny_backend(folder)
    small = backend.text_encoder.config.to_dict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        second = CLIPTextModelWithProjection(CLIPTextConfig(**small))
        unet = UNet2DConditionModel.from_config(
            {key: value for key, value in backend.unet.config.items() if not key.startswith("_")}
            | {
                "sample_size": SIDE // 2,
                "cross_attention_dim": 32,
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 6 * 8 + 16,
            }
        )
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8)) if controlnet else None
    kind = StableDiffusionXLControlNetInpaintPipeline if controlnet else StableDiffusionXLInpaintPipeline
    parts = _parts(backend) | {"unet": unet, "text_encoder_2": second, "tokenizer_2": backend.tokenizer}
    pipeline = _frozen(kind(**parts, **({"controlnet": net} if controlnet else {}), add_watermarker=False))
    return replace(backend, family="sdxl", unet=unet, controlnet=net, pipeline=pipeline)


def _parts(backend: Backend) -> dict[str, Any]:
    names = ("unet", "vae", "text_encoder", "tokenizer")
    return {name: getattr(backend, name) for name in names} | {"scheduler": ddim(backend, 1)}


def _seeing(encoder: torch.nn.Module) -> dict[str, Any]:
    from transformers import CLIPImageProcessor

    side = _CLIP["image_size"]
    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return {"image_encoder": encoder, "feature_extractor": processor}


def _frozen(pipeline: Any) -> Any:
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
    return pipeline
