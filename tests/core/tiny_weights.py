"""Folders of diffusion weights as a user has them, tiny and random: written by the real ``save_pretrained``."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from ias_core.synthesis.pretrained.backend import Backend
from ias_core.torchvision_operators import ensure_torchvision
from tests.core.tiny_diffusion import SIDE, tiny_backend, tiny_tokenizer

SCHEDULER = {  # Stable Diffusion 1.5's, as its folder has it
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


def save_model(backend: Backend, folder: Path, pipeline: str = "StableDiffusionPipeline") -> Path:
    """Stable Diffusion as a folder; the tokenizer is written as in the folders of 2022."""
    for name in ("unet", "vae", "text_encoder"):
        getattr(backend, name).save_pretrained(folder / name)
    tiny_tokenizer(folder / "tokenizer")
    write_json(folder / "tokenizer" / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer"})
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(folder / "model_index.json", {"_class_name": pipeline})
    return folder


def save_xl(folder: Path) -> Path:
    """Stable Diffusion XL: two text encoders, size and place of the crop as further inputs."""
    ensure_torchvision()
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    backend = tiny_backend(folder / "tokenizer_2")
    save_model(backend, folder, "StableDiffusionXLPipeline")
    text = CLIPTextConfig(**{**backend.text_encoder.config.to_dict(), "projection_dim": 16})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=SIDE // 2,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=4,
            norm_num_groups=4,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=6 * 4 + 16,
        )
        CLIPTextModel(text).save_pretrained(folder / "text_encoder")
        CLIPTextModelWithProjection(text).save_pretrained(folder / "text_encoder_2")
    unet.save_pretrained(folder / "unet")
    return folder


def save_paint_by_example(folder: Path) -> Path:
    from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder

    backend = tiny_backend(folder.parent / "words", channels=9)
    for name in ("unet", "vae"):
        getattr(backend, name).save_pretrained(folder / name)
    PaintByExampleImageEncoder(vision(), proj_size=16).save_pretrained(folder / "image_encoder")
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(folder / "model_index.json", {"_class_name": "PaintByExamplePipeline"})
    return folder


def save_pixels(folder: Path) -> Path:
    """A model of pixels, as the training script of diffusers writes it."""
    ensure_torchvision()
    from diffusers import DDPMScheduler, UNet2DModel

    UNet2DModel(
        sample_size=SIDE,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
    ).save_pretrained(folder / "unet")
    DDPMScheduler().save_pretrained(folder / "scheduler")
    write_json(folder / "model_index.json", {"_class_name": "DDPMPipeline"})
    return folder


def save_ip_adapter(folder: Path, backend: Backend, *, text_width: int = 16) -> Path:
    """A plain IP-Adapter file with its image encoder beside it."""
    from transformers import CLIPVisionModelWithProjection

    tensors = {
        "image_proj.proj.weight": torch.randn(4 * text_width, 16),
        "image_proj.proj.bias": torch.zeros(4 * text_width),
        "image_proj.norm.weight": torch.ones(text_width),
        "image_proj.norm.bias": torch.zeros(text_width),
    }
    for place, (name, module) in enumerate(_layers(backend.unet)):
        if name.endswith("attn2"):
            for key in ("to_k_ip", "to_v_ip"):
                tensors[f"ip_adapter.{place}.{key}.weight"] = torch.randn(module.to_k.out_features, text_width)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "ip-adapter_sd15.safetensors")
    CLIPVisionModelWithProjection(vision()).save_pretrained(folder / "image_encoder")
    return folder / "ip-adapter_sd15.safetensors"


def vision():
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=32,
        projection_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
    )


def write_json(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def _layers(unet):
    """Attention layers in the order in which diffusers numbers an IP-Adapter's: those to the text are odd."""
    names = [key.removesuffix(".processor") for key in unet.attn_processors]
    return [(name, unet.get_submodule(name)) for name in names]
