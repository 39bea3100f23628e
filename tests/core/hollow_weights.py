"""Folders with the shapes by which diffusion weights are told, and next to nothing in them; written without torch."""

import json
import os
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

DIFFUSERS, TRANSFORMERS = "diffusion_pytorch_model.safetensors", "model.safetensors"


def write(folder: Path, config: dict, tensors: dict[str, tuple[int, ...]], name: str, dtype=np.float32) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({key: np.zeros(shape, dtype) for key, shape in tensors.items()}, folder / name)
    return folder / name


def model(folder: Path, *, channels: int = 4, width: int = 768, sample: int = 64, pipeline: str = "") -> Path:
    """A folder with the shapes by which Stable Diffusion is told, and next to nothing in it."""
    unet = {"in_channels": channels, "out_channels": 4, "cross_attention_dim": width, "sample_size": sample}
    unet |= {"_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640]}
    write(folder / "unet", unet, {"conv_in.weight": (8, channels, 3, 3)}, DIFFUSERS)
    vae = {"_class_name": "AutoencoderKL", "block_out_channels": [1, 2, 3, 4], "latent_channels": 4}
    write(folder / "vae", vae | {"force_upcast": True}, {"encoder.conv_in.weight": (2, 3, 3, 3)}, DIFFUSERS)
    write(folder / "text_encoder", {"hidden_size": width}, {"w": (5, 2)}, TRANSFORMERS)
    for name, text in (("vocab.json", "{}"), ("merges.txt", "")):
        (folder / "tokenizer").mkdir(exist_ok=True)
        (folder / "tokenizer" / name).write_text(text, encoding="utf-8")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text("{}", encoding="utf-8")
    about = json.dumps({"_class_name": pipeline or "StableDiffusionPipeline"})
    (folder / "model_index.json").write_text(about, encoding="utf-8")
    return folder


def xl(folder: Path, *, second: int = 1280) -> Path:
    model(folder, width=2048, sample=128, pipeline="StableDiffusionXLPipeline")
    write(folder / "text_encoder", {"hidden_size": 768}, {"w": (5, 2)}, TRANSFORMERS)
    write(folder / "text_encoder_2", {"hidden_size": second}, {"w": (5, 2)}, TRANSFORMERS)
    os.rename(folder / "tokenizer", folder / "tokenizer_2")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


def controlnet(folder: Path, width: int = 768) -> Path:
    config = {"_class_name": "ControlNetModel", "cross_attention_dim": width}
    write(folder, config, {"conv_in.weight": (8, 4, 3, 3)}, DIFFUSERS)
    return folder


def ip_adapter(folder: Path, *, width: int = 768, embedding: int = 1024) -> Path:
    write(folder / "image_encoder", {"projection_dim": 1024, "hidden_size": 1280}, {"w": (1,)}, TRANSFORMERS)
    shapes = {"image_proj.proj.weight": (4 * width, embedding), "ip_adapter.1.to_k_ip.weight": (8, width)}
    save_file({key: np.zeros(shape, np.float16) for key, shape in shapes.items()}, folder / "ip-adapter.safetensors")
    return folder / "ip-adapter.safetensors"
