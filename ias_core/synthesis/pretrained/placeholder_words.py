"""New words for a text encoder: one token and one trained vector each, beside the vocabulary that stays as it is.

R. Gal et al., "An Image is Worth One Word" (textual inversion), ICLR 2023. The vectors lie outside the encoder's own
table, so that nothing else of it can be trained by accident and the shared weights are left alone.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from ias_core.errors import SynthesisError
from ias_core.synthesis.pretrained.lora import check_resident, private

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

    from ias_core.synthesis.pretrained.backend import Backend


class _Extended(torch.nn.Module):
    """The table of the vocabulary, and rows of its own for the words after its end."""

    def __init__(self, table: torch.nn.Embedding, rows: torch.Tensor) -> None:
        super().__init__()
        self.table, self.rows = table, torch.nn.Parameter(rows)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        known = self.table.num_embeddings
        old = self.table(tokens.clamp(max=known - 1))
        new = self.rows[(tokens - known).clamp(min=0)].to(old.dtype)
        return torch.where((tokens >= known)[..., None], new, old)


def with_words(backend: Backend, words: dict[str, str]) -> tuple[CLIPTokenizer, CLIPTextModel, torch.nn.Parameter]:
    """A tokenizer that knows the words, a text encoder that reads them, and their vectors.

    Parameters
    ----------
    backend : Backend
        Left as it is.
    words : dict
        New word -> an English word whose vector, or mean of vectors where it is split, the new one starts from.

    Returns
    -------
    tokenizer : CLIPTokenizer
    text_encoder : CLIPTextModel
        In eval mode, frozen but for the vectors.
    rows : Parameter of shape (words, width)
        float32, in the order of ``words``.

    Raises
    ------
    SynthesisError
        The vocabulary has a new word already, or is longer or shorter than the encoder's table.
    WeightsUnavailable
        See ``check_resident``.
    """
    check_resident(backend)
    tokenizer, text_encoder = copy.deepcopy(backend.tokenizer), private(backend.text_encoder)
    table = text_encoder.get_input_embeddings()
    if len(tokenizer) != table.num_embeddings:
        raise SynthesisError(
            f"expected a text encoder with the tokenizer's {len(tokenizer)} words, got {table.num_embeddings}: load a "
            "folder whose tokenizer and text encoder belong together"
        )
    taken = [word for word in words if word in tokenizer.get_vocab()]
    if taken or tokenizer.add_tokens(list(words)) != len(words):
        raise SynthesisError(f"expected words that the weights do not know, got {', '.join(taken)}: load other weights")
    starts = [backend.tokenizer(start, add_special_tokens=False).input_ids for start in words.values()]
    rows = torch.stack([table.weight[pieces].float().mean(0) for pieces in starts])
    extended = _Extended(table, rows)
    text_encoder.set_input_embeddings(extended)
    return tokenizer, text_encoder, extended.rows
