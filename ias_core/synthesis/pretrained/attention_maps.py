"""Cross-attention maps of a U-Net, with gradients: where in the picture a word of the prompt is looked at.

The processors of diffusers hand the softmax to a fused kernel that keeps no map. Here it is written out, in the layers
that are asked for and nowhere else. The use of such maps as a loss is that of DefectFill (arXiv 2503.13985) and SeaS
(arXiv 2410.14987).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from ias_core.errors import SynthesisError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention
    from transformers import CLIPTokenizer

Maps = dict[str, torch.Tensor]
"""Layer -> (n, cells, tokens): for each cell of that layer the weights of the tokens, mean over heads; sums to 1."""


class _Kept:
    """Attention with its softmax written out, keeping the map under the layer's name."""

    def __init__(self, layer: str, maps: Maps) -> None:
        self.layer, self.maps = layer, maps

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if attention_mask is not None or encoder_hidden_states is None or hidden_states.ndim != 3:
            raise SynthesisError(
                f"{self.layer}: expected plain cross-attention over (n, cells, width), got a mask, no text or "
                f"{hidden_states.ndim} axes; use a Stable Diffusion 1.x or 2.x U-Net"
            )
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))  # (n heads, cells, width / heads)
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        weights = attn.get_attention_scores(query, key)  # (n heads, cells, tokens)
        self.maps[self.layer] = weights.float().unflatten(0, (-1, attn.heads)).mean(1)
        out = attn.batch_to_head_dim(torch.bmm(weights, value))
        return attn.to_out[1](attn.to_out[0](out))


@contextmanager
def cross_attention_maps(
    unet: UNet2DConditionModel, wanted: Callable[[str], bool] = lambda layer: True
) -> Iterator[Maps]:
    """While it lasts, each forward pass leaves the maps of the wanted cross-attention layers in the given dictionary.

    Parameters
    ----------
    unet : UNet2DConditionModel
        Its own processors are back when the block ends, however it ends.
    wanted : callable
        Whether a layer of this name is kept, e.g. ``up_blocks.1.attentions.0.transformer_blocks.0.attn2``.

    Yields
    ------
    dict
        Overwritten by the next forward pass.

    Raises
    ------
    SynthesisError
        No cross-attention layer is wanted.
    """
    before: dict[str, Any] = unet.attn_processors
    maps: Maps = {}
    kept = {
        name: _Kept(name.removesuffix(".processor"), maps)
        for name in before
        if name.endswith("attn2.processor") and wanted(name.removesuffix(".processor"))
    }
    if not kept:
        raise SynthesisError("expected a U-Net with cross-attention in the asked layers, found none: use other weights")
    unet.set_attn_processor({**before, **kept})
    try:
        yield maps
    finally:
        unet.set_attn_processor(before)


def in_decoder(layer: str) -> bool:
    """Whether the layer lies in the way up of the U-Net."""
    return layer.startswith("up_blocks.")


def grid_side(cells: torch.Tensor) -> int:
    """Side of the square grid that a map (n, cells, tokens) is laid out on."""
    side = math.isqrt(cells.shape[1])
    if side * side != cells.shape[1]:
        raise SynthesisError(f"expected maps on a square grid, got {cells.shape[1]} cells: give square pictures")
    return side


def token_map(maps: Maps, tokens: list[int], side: int) -> torch.Tensor:
    """(n, side, side): the weight of one word, summed over its sub-tokens, mean over the kept layers.

    Maps of other sizes are resized bilinearly. A word that the tokenizer splits has its pieces summed, as the softmax
    shares its weight out among them.
    """
    layers = []
    for cells in maps.values():
        own = grid_side(cells)
        one = cells[..., tokens].sum(-1).unflatten(1, (own, own))[:, None]  # (n, 1, own, own)
        if own != side:
            one = torch.nn.functional.interpolate(one, size=(side, side), mode="bilinear", align_corners=False)
        layers.append(one[:, 0])
    return torch.stack(layers).mean(0)


def token_places(tokenizer: CLIPTokenizer, prompt: str, word: str) -> list[int]:
    """Places of a word's sub-tokens in a prompt, counted with the start token.

    Raises
    ------
    SynthesisError
        The prompt, as far as the text encoder reads it, does not hold the word.
    """
    text = tokenizer(prompt, truncation=True, max_length=tokenizer.model_max_length).input_ids
    pieces = tokenizer(word, add_special_tokens=False).input_ids
    for start in range(len(text) - len(pieces), -1, -1):
        if text[start : start + len(pieces)] == pieces:
            return list(range(start, start + len(pieces)))
    raise SynthesisError(
        f"the first {tokenizer.model_max_length} tokens of {prompt!r} do not hold the word {word!r}: shorten the prompt"
    )
