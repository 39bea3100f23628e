"""What one weights file is, told by the names and shapes of its tensors: a checkpoint, a LoRA, an IP-Adapter, ...

Names of tensors as in diffusers 0.42 (``loaders/single_file_utils.py``, ``loaders/unet.py``). A checkpoint in one file
is not loaded: it has neither tokenizer nor configuration, and ``from_single_file`` of diffusers 0.42 fetches both from
the hub even with ``local_files_only=True`` where its cache lacks them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ias_core.synthesis.pretrained.parts import (
    PICKLES,
    WHY_NO_PICKLE,
    Broken,
    Part,
    Tensors,
    network_part,
    read_headers,
    sentence,
)

_FIRST_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
_ADAPTER_KEY = "ip_adapter.1.to_k_ip.weight"
_PIPELINES = {
    ("sd", 4): "StableDiffusionPipeline",
    ("sd", 9): "StableDiffusionInpaintPipeline",
    ("sdxl", 4): "StableDiffusionXLPipeline",
    ("sdxl", 9): "StableDiffusionXLInpaintPipeline",
}


def recognise_file(path: Path) -> dict[str, Any]:
    """Fields of ``Weights`` for a file: ``family``, ``version``, ``parts``, ``problems``, ..."""
    if path.suffix in PICKLES:
        return {"problems": (f"{path.name} is {WHY_NO_PICKLE}.",)}
    if path.suffix != ".safetensors":
        return {"problems": (f"{path.name} is no weights file: expected .safetensors, or a folder.",)}
    try:
        tensors = read_headers((path,))
    except Broken as broken:
        return {"problems": (sentence(broken),)}
    names = tensors.shapes
    if _ADAPTER_KEY in names:
        return _ip_adapter(path, tensors)
    if any("lora" in name for name in names):
        return _no_model("LoRA", f"{path.name} is a LoRA: small changes to a model, not a model.")
    if _FIRST_CONVOLUTION in names:
        return _checkpoint(path, tensors)
    if any("controlnet_cond_embedding" in name or name.startswith("control_model.") for name in names):
        return _no_model(
            "ControlNet",
            f"{path.name} is a ControlNet without its configuration: give a folder with config.json and "
            "diffusion_pytorch_model.safetensors.",
        )
    if "conv_in.weight" in names:
        return _no_model("U-Net", f"{path.name} is a U-Net alone: give the folder above it.")
    if "encoder.conv_in.weight" in names or "first_stage_model.encoder.conv_in.weight" in names:
        return _no_model("VAE", f"{path.name} is an autoencoder (VAE) alone: give the folder above it.")
    if {"emb_params", "clip_l", "clip_g"} & set(names):
        return _no_model("textual inversion", f"{path.name} is a learned word (textual inversion), not a model.")
    return _no_model("", f"{path.name} holds none of the tensors by which Stable Diffusion weights are told.")


def image_encoder_problem(parts: tuple[Part, ...]) -> list[str]:
    """One sentence if an IP-Adapter and its image encoder, both whole, do not belong together."""
    adapter, encoder = parts
    shapes = adapter.tensors.shapes
    plus = "image_proj.latents" in shapes
    takes = shapes["image_proj.proj_in.weight" if plus else "image_proj.proj.weight"][1]
    gives = encoder.config.get("hidden_size" if plus else "projection_dim")
    if takes == gives:
        return []
    return [
        f"The IP-Adapter takes picture embeddings of width {takes}, its image encoder gives {gives}: take the encoder "
        "that came with it."
    ]


def _ip_adapter(path: Path, tensors: Tensors) -> dict[str, Any]:
    width = tensors.shapes[_ADAPTER_KEY][1]
    found = {"family": "ip-adapter", "text_width": width, "version": f"IP-Adapter for a text width of {width}"}
    if not {"image_proj.proj.weight", "image_proj.latents"} & set(tensors.shapes):
        return found | {"problems": (f"{path.name} is an IP-Adapter for faces: give the plain one or the plus one.",)}
    part = Part("adapter", {}, (path,), tensors, "", ("",))
    beside = [folder / "image_encoder" for folder in (path.parent, path.parent.parent / "models", path.parent.parent)]
    encoder = next((folder for folder in beside if folder.is_dir()), None)
    if encoder is None:
        problem = (
            f"{path.name} has no image encoder: expected the folder image_encoder (config.json, model.safetensors) "
            "beside it or one folder above."
        )
        return found | {"parts": (part,), "problems": (problem,)}
    try:
        return found | {"parts": (part, network_part(encoder))}
    except Broken as broken:
        return found | {"parts": (part,), "problems": (sentence(broken),)}


def _checkpoint(path: Path, tensors: Tensors) -> dict[str, Any]:
    channels = tensors.shapes[_FIRST_CONVOLUTION][1]
    family = "sdxl" if any(name.startswith("conditioner.embedders.1.") for name in tensors.shapes) else "sd"
    pipeline = _PIPELINES.get((family, channels), "DiffusionPipeline")
    return {
        "version": f"checkpoint in one file, U-Net with {channels} channels",
        "channels": channels,
        "problems": (
            f"{path.name} is a checkpoint in one file, without tokenizer and configuration: run the line below once "
            "where there is a network, and give the folder that it makes.",
        ),
        "command": f'python -c "from diffusers import {pipeline} as P; '
        f"P.from_single_file('{path.name}').save_pretrained('{path.stem}')\"",
    }


def _no_model(version: str, problem: str) -> dict[str, Any]:
    return {"version": version, "problems": (problem,)}
