"""Loads recognised diffusion weights as planned: local files, safetensors only, no gradients.

The classes are fixed here, whatever ``model_index.json`` names, so that a folder cannot ask for code of its own.
Checked against the source of diffusers 0.42, transformers 5.24 and accelerate 1.15. No GPU was at hand: of the ways to
offload, "model" was run with the CPU as its device, "sequential" was not run (its hooks do not work on a CPU).
"""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ias_core.devices import is_out_of_memory
from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.fits import fit
from ias_core.synthesis.pretrained.parts import Part, read_json
from ias_core.synthesis.pretrained.plans import Plan
from ias_core.synthesis.pretrained.unconditional import load_unconditional
from ias_core.synthesis.pretrained.weights import Weights, digest_of
from ias_core.torchvision_operators import ensure_torchvision

_TOKENS = 77  # of CLIP


def load(
    weights: Weights,
    plan: Plan,
    *,
    controlnet: Weights | None = None,
    ip_adapter: Weights | None = None,
    digest: str = "",
) -> Backend:
    """The weights, ready to draw.

    Parameters
    ----------
    weights, controlnet, ip_adapter : Weights
        As recognised. An IP-Adapter is loaded into the U-Net, which then wants a picture at every pass.
    plan : Plan
    digest : str
        ``digest_of`` all of them, where the caller has it; else it is computed, which reads every file once more.

    Raises
    ------
    WeightsUnavailable
        They are not whole, or do not belong together. Memory that runs out is raised as torch says it; see
        ``retreat.BackendRunner``.
    """
    wrong = fit(weights, controlnet, ip_adapter)
    if wrong:
        raise WeightsUnavailable(" ".join(wrong))
    ensure_torchvision()
    dtype = getattr(torch, plan.dtype)
    digest = digest or digest_of(weights, *(one for one in (controlnet, ip_adapter) if one is not None))
    if weights.family == "ddpm":  # one part, which is never offloaded
        found = load_unconditional(weights.folder, device=torch.device(plan.device), dtype=dtype)
        return replace(found, digest=digest, side_px=plan.side_px)
    parts = _networks(weights, dtype) | _tokenizers(weights)
    if controlnet is not None:
        from diffusers import ControlNetModel

        parts["controlnet"] = _network(ControlNetModel, controlnet.part("controlnet"), dtype)
    scheduler = _scheduler(weights)
    pipeline = _pipeline(weights, parts, scheduler)
    if plan.slicing:
        pipeline.enable_attention_slicing("max")
    if ip_adapter is not None:
        _add_ip_adapter(pipeline, ip_adapter, dtype)
    for module in _modules(pipeline):
        module.requires_grad_(False).eval()
    pipeline.set_progress_bar_config(disable=True)
    _place(pipeline, plan)
    names = {"controlnet": controlnet, "ip-adapter": ip_adapter}
    loaded = {name for name, one in names.items() if one is not None}
    return Backend(
        kind=weights.kind,
        family="sdxl" if weights.family == "sdxl" else "sd",
        unet=pipeline.unet,
        vae=pipeline.vae,
        text_encoder=parts.get("text_encoder"),
        tokenizer=parts.get("tokenizer"),
        scheduler={key: value for key, value in scheduler.items() if not key.startswith("_")},
        side_px=plan.side_px,
        device=torch.device(plan.device),
        dtype=dtype,
        digest=digest,
        controlnet=parts.get("controlnet"),
        pipeline=pipeline,
        extras=frozenset(loaded | ({weights.family} & {"paint-by-example"})),
        offload=plan.offload,
    )


def release(backend: Backend) -> None:
    """Give the memory of all its parts back, whoever still holds it; it cannot draw afterwards."""
    modules = [backend.unet, backend.vae, backend.text_encoder, backend.controlnet]
    if backend.pipeline is not None:
        backend.pipeline.remove_all_hooks()
        modules += _modules(backend.pipeline)
    for module in modules:
        if module is not None:
            module.to("meta")
    free_memory()


def free_memory() -> None:
    """What nobody refers to any more goes back to the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _networks(weights: Weights, dtype: torch.dtype) -> dict[str, Any]:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    classes = {
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": CLIPTextModelWithProjection,
        "image_encoder": PaintByExampleImageEncoder,
    }
    return {part.name: _network(classes[part.name], part, dtype) for part in weights.parts if part.name in classes}


def _network(network: type, part: Part, dtype: torch.dtype) -> Any:
    """One network of a sub-folder; tensors that are not there would be drawn at random, so they are refused."""
    from diffusers import ModelMixin

    dtype_name = "torch_dtype" if issubclass(network, ModelMixin) else "dtype"
    try:
        loaded, told = network.from_pretrained(
            str(part.files[0].parent),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            variant=part.variant or None,
            **{dtype_name: dtype},
        )
    except Exception as error:  # whatever the libraries raise about a folder: the user is told which part it was
        if is_out_of_memory(error):
            raise
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsUnavailable(f"the part {part.name} could not be loaded: {first[0]}") from error
    lacking = sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]]))
    if lacking:
        raise WeightsUnavailable(
            f"the weights of the part {part.name} lack {len(lacking)} tensors that its config.json asks for, first "
            f"{lacking[0]}: copy the folder again"
        )
    return loaded


def _tokenizers(weights: Weights) -> dict[str, Any]:
    from transformers import CLIPTokenizer

    found = {}
    for name in ("tokenizer", "tokenizer_2"):
        part = weights.part(name)
        if part is None:
            continue
        try:
            found[name] = CLIPTokenizer.from_pretrained(str(part.files[0].parent), local_files_only=True)
        except Exception as error:
            raise WeightsUnavailable(f"the part {name} could not be loaded: {error}") from error
        most = weights.part(name.replace("tokenizer", "text_encoder")).config.get("max_position_embeddings", _TOKENS)
        found[name].model_max_length = min(found[name].model_max_length, most)  # unlimited without tokenizer_config
    return found


def _scheduler(weights: Weights) -> dict[str, Any]:
    """Configuration of the noise schedule as DDIM reads it, whatever sampler it was written for."""
    from diffusers import DDIMScheduler

    told = {key: value for key, value in weights.part("scheduler").config.items() if not key.startswith("_")}
    return dict(DDIMScheduler.from_config(told).config)


def _pipeline(weights: Weights, parts: dict[str, Any], scheduler: dict[str, Any]) -> Any:
    """The inpainting pipeline of diffusers for these parts: it runs with 4 and with 9 channels."""
    from diffusers import (
        DDIMScheduler,
        PaintByExamplePipeline,
        StableDiffusionControlNetInpaintPipeline,
        StableDiffusionInpaintPipeline,
        StableDiffusionXLControlNetInpaintPipeline,
        StableDiffusionXLInpaintPipeline,
    )

    # as the pipelines ask for it; older files leave both out
    ddim = DDIMScheduler.from_config(scheduler | {"steps_offset": 1, "clip_sample": False})
    if weights.family == "sdxl":
        kind = StableDiffusionXLControlNetInpaintPipeline if "controlnet" in parts else StableDiffusionXLInpaintPipeline
        index = weights.folder / "model_index.json"
        told = read_json(index) if index.is_file() else {}
        return kind(
            **parts,
            scheduler=ddim,
            force_zeros_for_empty_prompt=told.get("force_zeros_for_empty_prompt", True),
            add_watermarker=False,  # it would change pixels that a mask does not tell of
        )
    plain = {"safety_checker": None, "requires_safety_checker": False}
    if weights.family == "paint-by-example":
        encoder = parts["image_encoder"]
        return PaintByExamplePipeline(**parts, **plain, scheduler=ddim, feature_extractor=_image_processor(encoder))
    kind = StableDiffusionControlNetInpaintPipeline if "controlnet" in parts else StableDiffusionInpaintPipeline
    return kind(**parts, **plain, scheduler=ddim, feature_extractor=None)


def _add_ip_adapter(pipeline: Any, ip_adapter: Weights, dtype: torch.dtype) -> None:
    """With attention slicing set before it would not load: its processors would be made without a slice size."""
    from transformers import CLIPVisionModelWithProjection

    encoder = _network(CLIPVisionModelWithProjection, ip_adapter.part("image_encoder"), dtype)
    pipeline.register_modules(image_encoder=encoder, feature_extractor=_image_processor(encoder))
    file: Path = ip_adapter.part("adapter").files[0]
    try:
        pipeline.load_ip_adapter(
            str(file.parent), subfolder="", weight_name=file.name, image_encoder_folder=None, local_files_only=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise WeightsUnavailable(f"the IP-Adapter {file.name} does not fit these weights: {error}") from error


def _image_processor(encoder: Any) -> Any:
    from transformers import CLIPImageProcessor

    side = encoder.config.image_size
    return CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})


def _place(pipeline: Any, plan: Plan) -> None:
    if plan.offload == "model":
        pipeline.enable_model_cpu_offload(device=plan.device)
    elif plan.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=plan.device)
    else:
        pipeline.to(plan.device)


def _modules(pipeline: Any) -> list[torch.nn.Module]:
    return [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
