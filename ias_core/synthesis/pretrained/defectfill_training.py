"""DefectFill's three losses, its random boxes, and one pass of its inpainting sampler.

J. Song et al., "DefectFill: Realistic Defect Generation with Inpainting Diffusion Model for Visual Inspection", CVPR
2025, arXiv 2503.13985. No official code was found: numbers marked [re] are those that three independent
re-implementations agree on, as shared/methods/defectfill.md reports them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ias_core.synthesis.pretrained.attention_maps import cross_attention_maps, in_decoder, token_map, token_places
from ias_core.synthesis.pretrained.finetune import noised
from ias_core.synthesis.pretrained.latents import ddim, decode, embed, encode, latent_mask, to_picture, to_pixels
from ias_core.synthesis.pretrained.windows import box_around, resized, resized_mask

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend

WORD = "sks"  # V*, a rare token [re]
WEIGHTS = (0.5, 0.2, 0.05)  # lambda of defect, object and attention loss [re]
ALPHA = 0.3  # weight of good surface in the object loss; 0.1 in one re-implementation: unverified
BOXES = 30
BOX_SHARES = (0.03, 0.25)
MOST_COVERED = 0.8
MOST_ZOOM = 1.125


def defect_prompt() -> str:
    return f"A photo of {WORD}"


def object_prompt(product: str) -> str:
    return f"A {product} with {WORD}"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """NG windows to learn from.

    pixels : (n, 3, w, w)   in [-1, 1]
    masks : (n, 1, w, w)    1 on the defect: M
    cells : (n, 1, h, h)    the same at latent size: m
    """

    pixels: torch.Tensor
    masks: torch.Tensor
    cells: torch.Tensor


def drawn_batch(
    sources: tuple[NgSource, ...], backend: Backend, generator: torch.Generator, *, size: int, cell_px: int
) -> Batch:
    """``size`` random crops of the sources' windows, enlarged by 1 to 1.125 [re]."""
    pixels, masks, cells = [], [], []
    for _ in range(size):
        source = sources[int(torch.randint(len(sources), (), generator=generator))]
        zoom, *shift = torch.rand(3, generator=generator).tolist()
        box = box_around(source.mask, side_px=backend.side_px, cell_px=cell_px)
        side = max(round(box.side / (1 + (MOST_ZOOM - 1) * zoom)), 1)
        top, left = (int(share * (box.side - side + 1)) for share in shift)
        image, mask = box.of(source.image), box.of(source.mask)
        cropped = mask[top : top + side, left : left + side]
        if cropped.any():  # else the crop lost a defect at the rim of the picture
            image, mask = image[top : top + side, left : left + side], cropped
        mask = resized_mask(mask, backend.side_px)
        pixels.append(to_pixels(resized(image, backend.side_px), backend.side_px, backend))
        masks.append(torch.from_numpy(mask[None, None]).to(pixels[-1]))
        cells.append(latent_mask(mask, backend.side_px, backend))
    return Batch(torch.cat(pixels), torch.cat(masks), torch.cat(cells))


def random_boxes(side: int, generator: torch.Generator) -> np.ndarray:
    """(side, side) bool: M_rand, a union of 30 boxes with sides of 3 to 25 % of the picture.

    Drawn again while it covers more than 80 %: nothing would be left of the part to fill the rest from.
    """
    while True:
        covered = np.zeros((side, side), bool)
        for height, width, top, left in torch.rand(BOXES, 4, generator=generator).tolist():
            height, width = (
                max(round(side * (BOX_SHARES[0] + (BOX_SHARES[1] - BOX_SHARES[0]) * share)), 1)
                for share in (height, width)
            )
            top, left = int(top * (side - height + 1)), int(left * (side - width + 1))
            covered[top : top + height, left : left + width] = True
        if covered.mean() <= MOST_COVERED:
            return covered


def defect_loss(predicted: torch.Tensor, target: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """L_def = || m o (eps - eps_theta) ||^2, mean over all cells: nothing outside the defect counts."""
    return (cells * (predicted - target)).square().mean()


def object_loss(predicted: torch.Tensor, target: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """L_obj = || w o (eps - eps_theta) ||^2 with w = m + alpha (1 - m).

    m is the defect. One re-implementation takes the random boxes, which the U-Net is given, for m: that leaves the
    defect without the weight it is to have.
    """
    return ((cells + ALPHA * (1 - cells)) * (predicted - target)).square().mean()


def attention_loss(attention: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """L_attn = || A - m ||^2; A (n, h, h) is the map of V* and m (n, 1, h, h)."""
    return (attention - cells[:, 0]).square().mean()


def losses(
    own: Backend, batch: Batch, product: str, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """L_def, L_obj and L_attn of a batch, unweighted.

    The maps of V* are taken in the pass of the object loss, where the prompt holds more than V*; which pass the paper
    means is unverified.
    """
    boxes = random_boxes(batch.pixels.shape[-1], generator)
    at_random = Batch(
        batch.pixels,
        torch.from_numpy(boxes[None, None]).to(batch.pixels).expand_as(batch.masks),
        latent_mask(boxes, len(boxes), own).expand_as(batch.cells),
    )
    with torch.no_grad():
        clean = encode(batch.pixels, own)
    noisy, target, times = noised(clean, own, generator)
    predicted = predict(own, noisy, times, batch, embed([defect_prompt()], own))
    of_defect = defect_loss(predicted, target, batch.cells)
    prompt = object_prompt(product)
    noisy, target, times = noised(clean, own, generator)
    with cross_attention_maps(own.unet, in_decoder) as maps:
        predicted = predict(own, noisy, times, at_random, embed([prompt], own))
        attention = token_map(maps, token_places(own.tokenizer, prompt, WORD), clean.shape[-1])
    return of_defect, object_loss(predicted, target, batch.cells), attention_loss(attention, batch.cells)


def predict(own: Backend, noisy: torch.Tensor, times: torch.Tensor, shown: Batch, text: torch.Tensor) -> torch.Tensor:
    """eps_theta(x_t, mask, E((1 - mask) I), t, text): (n, 4, h, h) from the U-Net with nine channels."""
    with torch.no_grad():
        seen = encode(shown.pixels * (1 - shown.masks), own)
    given = torch.cat([noisy, shown.cells, seen], 1)
    return own.unet(given, times, text.expand(len(noisy), -1, -1)).sample.float()


def inpainted(
    own: Backend,
    canvas: np.ndarray,
    target: np.ndarray,
    prompt: str,
    *,
    steps: int,
    guidance: float,
    generator: torch.Generator,
) -> np.ndarray:
    """(w, w, 3) float32 in [0, 1]: DDIM from noise, told the mask and what lies around it."""
    pixels = to_pixels(canvas, len(canvas), own)
    masks = torch.from_numpy(target[None, None]).to(pixels)
    shown = Batch(pixels, masks, latent_mask(target, len(canvas), own))
    seen = encode(pixels * (1 - masks), own)
    text = embed(["", prompt], own)
    scheduler = ddim(own, steps)
    latent = torch.randn(seen.shape, generator=generator).to(seen) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        given = torch.cat([latent, shown.cells, seen], 1).expand(2, -1, -1, -1)
        without, asked = own.unet(given, time, text).sample.chunk(2)
        latent = scheduler.step(without + guidance * (asked - without), time, latent).prev_sample
    return to_picture(decode(latent, own), len(canvas))
