"""DualAnoDiff's pairs, its loss, and a part drawn with its defect beside it, and again without.

Y. Jin et al., CVPR 2025, arXiv 2408.13509; numbers of a public fork [fork] as shared/methods/dualanodiff.md reports
them. Left out: the background compensation, whose details are unverified, and flips, since parts on a line have a way
they lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ias_core.synthesis.pretrained.dualanodiff_coupling import FRAMES, couple, coupling
from ias_core.synthesis.pretrained.finetune import noised
from ias_core.synthesis.pretrained.latents import ddim, decode, embed, encode, to_picture, to_pixels
from ias_core.synthesis.pretrained.lora import adapted, parts
from ias_core.synthesis.pretrained.whole import Pair, otsu
from ias_core.synthesis.pretrained.windows import resized

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.backend import Backend

NG_PROMPTS = ("a vfx with sks", "sks")  # of the part and of its defect [fork]
OK_PROMPTS = ("a vfx", "")  # without the defect's word, and with nothing in the second frame
RANK = 32  # [fork]


def untrained(backend: Backend, generator: torch.Generator) -> Backend:
    """The backend with low-rank adapters on U-Net and text encoder, and with its couplings; all in float32."""
    own = adapted(backend, rank=RANK, alpha=RANK, generator=generator, text=True)
    couple(own.unet, generator)
    return own


def trained_weights(own: Backend) -> dict[str, dict[str, torch.nn.Parameter]]:
    """Part -> its weights by name."""
    return {"unet": parts(own.unet), "text_encoder": parts(own.text_encoder), "coupling": coupling(own.unet)}


def fill_of(sources: tuple[NgSource, ...]) -> np.ndarray:
    """(3,) float32: the colour farthest from the mean colour of all the defects, which is a corner of the cube.

    [fork] takes mid-grey, in which a mid-grey defect vanishes. Of a grey camera it is black or white.
    """
    mean = np.concatenate([source.image[source.mask] for source in sources]).mean(0)
    return (mean < 0.5).astype(np.float32)


def alone(source: NgSource, fill: np.ndarray) -> np.ndarray:
    """(s, s, 3): the defect on the flat fill, F."""
    return np.where(source.mask[..., None], source.image, fill)


def pairs(sources: tuple[NgSource, ...], fill: np.ndarray, backend: Backend) -> torch.Tensor:
    """(n, 2, 4, h, h) latents of the NG, and of their defects alone."""
    frames = [picture for source in sources for picture in (source.image, alone(source, fill))]
    with torch.no_grad():
        latents = torch.cat([_encoded(picture, backend) for picture in frames])
    return latents.unflatten(0, (-1, FRAMES))


def loss(own: Backend, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """MSE of the noise in frame 1 + MSE in frame 2, of pairs (n, 2, 4, h, h): one time, two noises."""
    noisy, target, times = noised(clean.flatten(0, 1), own, generator, together=FRAMES)
    text = embed(list(NG_PROMPTS), own).repeat(len(clean), 1, 1)
    error = (own.unet(noisy, times, text).sample.float() - target).square().unflatten(0, (-1, FRAMES))
    return error[:, 0].mean() + error[:, 1].mean()


def sampled(own: Backend, fill: np.ndarray, *, steps: int, guidance: float, generator: torch.Generator) -> Pair:
    """A part with a defect and, from the same noise, without: then the second frame is held at the flat fill."""
    side = own.side_px
    flat = np.broadcast_to(fill, (side, side, 3))
    empty = _encoded(flat, own)
    noise = torch.randn((FRAMES, *empty.shape[1:]), generator=generator).to(empty)
    scheduler = ddim(own, steps)
    latent = noise.repeat(2, 1, 1, 1) * scheduler.init_noise_sigma  # with: part, defect; without: part, nothing
    text = embed([*[""] * 2 * FRAMES, *NG_PROMPTS, *OK_PROMPTS], own)
    for time in scheduler.timesteps:
        latent = torch.cat([latent[:3], scheduler.add_noise(empty, noise[1:], time[None])])
        without, asked = own.unet(latent.repeat(2, 1, 1, 1), time, text).sample.chunk(2)
        latent = scheduler.step(without + guidance * (asked - without), time, latent).prev_sample
    painted, defect, plain = (to_picture(decode(one[None], own), side) for one in latent[:3])
    mask = otsu(np.abs(defect - fill).mean(2))
    return Pair(painted, plain, mask, {"dice_with_difference": round(dice(mask, otsu(_change(painted, plain))), 3)})


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two masks; 0 where both are empty, as nothing agrees on a defect.

    Examples
    --------
    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    return 2 * float(np.count_nonzero(one & other)) / max(int(one.sum()) + int(other.sum()), 1)


def _change(painted: np.ndarray, plain: np.ndarray) -> np.ndarray:
    return np.abs(painted - plain).mean(2)


def _encoded(picture: np.ndarray, backend: Backend) -> torch.Tensor:
    return encode(to_pixels(resized(picture, backend.side_px), backend.side_px, backend), backend)
