"""Stable Diffusion from configurations, with seeded random weights: the real classes, seconds on a CPU."""

import json
from pathlib import Path

import torch

from ias_core.synthesis.pretrained.backend import Backend
from ias_core.torchvision_operators import ensure_torchvision

SIDE = 32  # px; the VAE has cells of 2 px, so latents are 16 x 16


def tiny_backend(folder: Path, *, channels: int = 4, controlnet: bool = False, seed: int = 0) -> Backend:
    """A Backend of tiny parts; ``channels`` of the U-Net: 4 for text-to-image, 9 for inpainting."""
    ensure_torchvision()
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=SIDE // 2,
            in_channels=channels,
            out_channels=4,
            layers_per_block=1,
            block_out_channels=(8, 16, 16),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=4,
            norm_num_groups=4,
        )
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 8),
            latent_channels=4,
            norm_num_groups=4,
            sample_size=SIDE,
        )
        tokenizer = tiny_tokenizer(folder)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=16,
                projection_dim=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=32,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8)) if controlnet else None
    for part in (unet, vae, text_encoder, net):
        if part is not None:
            part.requires_grad_(False).eval()
    return Backend(
        kind="inpainting" if channels == 9 else "text-to-image",
        family="sd",
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=dict(DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").config),
        side_px=SIDE,
        device=torch.device("cpu"),
        dtype=torch.float32,
        digest="0" * 64,
        controlnet=net,
        extras=frozenset({"controlnet"}) if net is not None else frozenset(),
    )


def tiny_tokenizer(folder: Path):
    """A CLIP tokenizer that knows single letters only: every word is spelled out."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32)
