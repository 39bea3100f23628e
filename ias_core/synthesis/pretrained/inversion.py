"""Textual inversion: a few vectors that a frozen text encoder reads as words, learned from pictures.

R. Gal et al., "An Image is Worth One Word", ICLR 2023; as AnomalyDiffusion (AAAI 2024) and AnoGen (ECCV 2024) use it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ias_core.synthesis.pretrained.attention_maps import token_places
from ias_core.synthesis.pretrained.finetune import finetune, noised
from ias_core.synthesis.pretrained.latents import embed, encode, to_pixels
from ias_core.synthesis.pretrained.placeholder_words import with_words

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.base import Watch

TEMPLATES = ("a photo of a *", "photo of a *", "a photo of my *")
"""Prompts to learn in, * the vectors; the published codes draw from a longer list of this kind."""

RATE = 5e-3  # of the vectors, both published codes
BATCH = 4


class LearnedWords:
    """Vectors in the place of *, read by a text encoder that is not changed.

    Parameters
    ----------
    backend : Backend
        Left as it is.
    count : int
        Vectors, k.
    start : str
        Word whose vector all start from; only their places tell them apart then.
    """

    def __init__(self, backend: Backend, count: int, start: str) -> None:
        self._words = [f"<ng{i}>" for i in range(count)]
        tokenizer, text_encoder, self.rows = with_words(backend, dict.fromkeys(self._words, start))
        self._backend = replace(backend, tokenizer=tokenizer, text_encoder=text_encoder)

    @classmethod
    def of(cls, backend: Backend, vectors: torch.Tensor) -> LearnedWords:
        """Those that were learned; vectors (k, width)."""
        words = cls(backend, len(vectors), "a")
        words.rows.data = vectors.to(words.rows)
        return words

    def embed(self, template: str) -> torch.Tensor:
        """(1, tokens, width): the template with the vectors in the place of *, in the backend's precision."""
        return embed([self._filled(template)], self._backend)

    def places(self, template: str) -> list[int]:
        """Where in ``embed(template)`` the vectors lie; raises SynthesisError where they lie beyond its end."""
        text = self._filled(template)
        return [place for word in self._words for place in token_places(self._backend.tokenizer, text, word)]

    def _filled(self, template: str) -> str:
        return template.replace("*", "".join(self._words))


def latents_of(pictures: np.ndarray, backend: Backend) -> torch.Tensor:
    """(n, 4, h, w) of pictures (n, w, w, 3) in [0, 1]; one by one, so that no batch fills the memory."""
    with torch.no_grad():
        return torch.cat([encode(to_pixels(picture, backend.side_px, backend), backend) for picture in pictures])


def invert(
    latents: torch.Tensor,
    words: LearnedWords,
    backend: Backend,
    *,
    generator: torch.Generator,
    steps: int,
    watch: Watch,
) -> dict[str, Any]:
    """Learn the words in place: min over v of E || eps - eps_theta(z_t, t, text(v)) ||^2, all else frozen.

    Parameters
    ----------
    latents : (n, c, h, w)
    generator : torch.Generator
        On the CPU: pictures, templates, times and noise.

    Returns
    -------
    dict
        See ``finetune``.
    """

    def loss() -> torch.Tensor:
        chosen, template = drawn_batch(len(latents), generator)
        noisy, target, times = noised(latents[chosen], backend, generator)
        prompt = words.embed(template).expand(len(chosen), -1, -1)
        return torch.nn.functional.mse_loss(backend.unet(noisy, times, prompt).sample.float(), target.float())

    check_room(words)
    return finetune([([words.rows], RATE)], loss, backend, steps=steps, watch=watch)


def drawn_batch(n: int, generator: torch.Generator) -> tuple[list[int], str]:
    """Places of 4 of n pictures, with repeats, and a template for all of them."""
    chosen = torch.randint(n, (BATCH,), generator=generator).tolist()
    return chosen, TEMPLATES[int(torch.randint(len(TEMPLATES), (), generator=generator))]


def check_room(words: LearnedWords) -> None:
    """Raises SynthesisError where a template with the vectors is longer than the text encoder reads."""
    for template in TEMPLATES:
        words.places(template)


def in_stage(watch: Watch, *, done: int, steps: int) -> Watch:
    """The watch of one stage of a training: counts on from the steps that are done, and tells those of the whole."""
    return lambda step, _, loss: watch(done + step, steps, loss)
