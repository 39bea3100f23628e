"""Whether the parts of a model belong together, and whether a ControlNet or an IP-Adapter fits a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ias_core.synthesis.pretrained.single_files import image_encoder_problem

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.weights import Weights

KINDS = {3: "unconditional", 4: "text-to-image", 9: "inpainting"}


def misfits(found: Weights, channels: int, width: int) -> list[str]:
    """Sentences about parts that contradict each other, or that no method can use."""
    unet, vae, text = found.part("unet"), found.part("vae"), found.part("text_encoder")
    wrong = []
    shape = unet.tensors.shapes.get("conv_in.weight")
    needed = (3,) if found.family == "ddpm" else (4, 9)
    if channels not in needed:
        wrong.append(
            f"The U-Net takes {channels} channels: of weights such as these, the methods here need "
            f"{' or '.join(map(str, needed))}."
        )
    elif shape is None or shape[1] != channels:
        holds = "no conv_in.weight" if shape is None else f"{shape[1]} channels"
        wrong.append(f"unet/config.json tells of {channels} channels, its weights file holds {holds}: copy it again.")
    if found.family == "sd" and text is not None and text.config.get("hidden_size") != width:
        wrong.append(
            f"The text encoder gives a width of {text.config.get('hidden_size')}, the U-Net takes {width}: they are of "
            "different models."
        )
    second = found.part("text_encoder_2")
    if found.family == "sdxl" and text is not None and second is not None:
        both = text.config.get("hidden_size", 0) + second.config.get("hidden_size", 0)
        if both != width:
            wrong.append(f"The two text encoders give a width of {both}, the U-Net takes {width}: other models' parts.")
    for part in (unet, vae):
        if part is not None and not isinstance(part.config["block_out_channels"][0], int):
            raise TypeError(f"block_out_channels of {part.name}")
    latent = vae.config.get("latent_channels", 4) if vae is not None else None
    if latent is not None and latent != unet.config.get("out_channels", 4):
        wrong.append(f"The VAE's latents have {latent} channels, the U-Net's {unet.config.get('out_channels')}.")
    return wrong


def fit(weights: Weights, controlnet: Weights | None, ip_adapter: Weights | None) -> tuple[str, ...]:
    """Sentences about what keeps these from being loaded together; empty if nothing does."""
    wrong = list(weights.problems)
    if not weights.is_model and not wrong:
        wrong.append(f"{weights.version} is no model of its own: give the folder of Stable Diffusion weights.")
    for extra, family, what in ((controlnet, "controlnet", "ControlNet"), (ip_adapter, "ip-adapter", "IP-Adapter")):
        if extra is None:
            continue
        wrong += extra.problems
        if extra.problems:
            continue
        if extra.family != family:
            wrong.append(f"Expected {what} weights at {extra.place}, found {extra.version or extra.family}.")
        elif weights.family in ("paint-by-example", "ddpm"):
            wrong.append(f"{weights.version} takes no {what}: leave it empty.")
        elif weights.is_model and extra.text_width != weights.text_width:
            wrong.append(
                f"{extra.version} does not fit {weights.version}: it was made for a text width of {extra.text_width}, "
                f"these weights have {weights.text_width}."
            )
    if ip_adapter is not None and ip_adapter.family == "ip-adapter" and not ip_adapter.problems:
        wrong += image_encoder_problem(ip_adapter.parts)
    return tuple(dict.fromkeys(wrong))
