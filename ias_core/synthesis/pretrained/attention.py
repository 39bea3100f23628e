"""Self-attention that also looks at another pass: what the OK picture's pass saw is at hand while the defect is drawn.

Texture preservation of the project's notes on TF-IDG, 2.3 step 5: keys and values of a pass over the OK picture join
the sample's own, so that its texture can be copied into and around the defect. The public code counts passes of the
network and, as guidance makes two per step, mixes up the times. Here a key is found under its time, its layer and its
row of the batch, or there is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ias_core.errors import SynthesisError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

Key = tuple[float, str, int]
"""Time, layer, and row of the batch: with classifier-free guidance row 0 is without the prompt, row 1 with it."""

SHARED_LAYERS = 6  # layers 10 to 15 of Stable Diffusion's 16: the last six


@dataclass(slots=True, eq=False)
class SharedKeys:
    """Keys and values between one pass and the next; outside ``storing`` and ``taking`` attention is the usual one.

    layers : names of the layers that share
    times : times at which they do
    kept : key -> keys (cells, width) and values (cells, width), from ``storing`` until they are taken
    """

    layers: tuple[str, ...]
    times: frozenset[float]
    kept: dict[Key, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    _mode: str = "resting"
    _time: float = float("nan")

    @contextmanager
    def storing(self) -> Iterator[None]:
        """The pass over the OK picture."""
        self.kept.clear()
        with self._as("storing"):
            yield

    @contextmanager
    def taking(self) -> Iterator[None]:
        """The pass that is to look at what was stored: all of it, at the same times; RuntimeError if some is left."""
        with self._as("taking"):
            yield
        if self.kept:
            raise RuntimeError(f"{len(self.kept)} stored keys were not looked at, the first {next(iter(self.kept))}")

    @contextmanager
    def resting(self) -> Iterator[None]:
        """A pass in between that neither stores nor takes."""
        with self._as("resting"):
            yield

    def passed(self, layer: str, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The keys and values (n, cells, width) that a layer is to use, after storing them, or with the stored ones.

        Raises
        ------
        KeyError
            Taking what was not stored, or storing what is stored already.
        """
        if self._mode == "resting" or self._time not in self.times:
            return key, value
        places = [(self._time, layer, row) for row in range(len(key))]
        if self._mode == "storing":
            for place, *pair in zip(places, key, value, strict=True):
                if place in self.kept:
                    raise KeyError(f"{place} is stored already: the first pass came here twice")
                self.kept[place] = tuple(pair)
            return key, value
        if missing := [place for place in places if place not in self.kept]:
            raise KeyError(f"{missing[0]} was not stored: the first pass did not come here")
        taken = [self.kept.pop(place) for place in places]
        return tuple(
            torch.cat([torch.stack([pair[i] for pair in taken]), own], dim=1) for i, own in enumerate((key, value))
        )

    @contextmanager
    def _as(self, mode: str) -> Iterator[None]:
        before, self._mode = self._mode, mode
        try:
            yield
        finally:
            self._mode = before

    def _at(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Hook before each pass of the U-Net: its time."""
        self._time = float(args[1] if len(args) > 1 else kwargs["timestep"])


class _Sharing:
    """Processor of one self-attention layer."""

    def __init__(self, layer: str, keys: SharedKeys) -> None:
        self.layer, self.keys = layer, keys

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if encoder_hidden_states is not None or attention_mask is not None or hidden_states.ndim != 3:
            raise SynthesisError(
                f"{self.layer}: expected plain self-attention over (n, cells, width), got a mask, a text or "
                f"{hidden_states.ndim} axes; use a Stable Diffusion U-Net"
            )
        key, value = self.keys.passed(self.layer, attn.to_k(hidden_states), attn.to_v(hidden_states))
        query, key, value = (
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in (attn.to_q(hidden_states), key, value)
        )  # (n, heads, cells, width / heads)
        out = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=attn.scale)
        return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))


@contextmanager
def shared_keys(unet: UNet2DConditionModel, times: torch.Tensor) -> Iterator[SharedKeys]:
    """While it lasts, the last six self-attention layers of the U-Net's way up share at these times.

    Parameters
    ----------
    unet : UNet2DConditionModel
        Its own processors are back when the block ends, however it ends.
    times : tensor
        Of the noise schedule; none: nothing is shared.

    Raises
    ------
    SynthesisError
        The U-Net has no such layer.
    """
    before: dict[str, Any] = unet.attn_processors
    names = [name for name in before if name.startswith("up_blocks.") and name.endswith("attn1.processor")]
    names = names[-SHARED_LAYERS:]
    if not names:
        raise SynthesisError("expected a U-Net with self-attention in its way up, found none: use other weights")
    layers = tuple(name.removesuffix(".processor") for name in names)
    keys = SharedKeys(layers, frozenset(float(time) for time in times))
    sharing = {name: _Sharing(layer, keys) for name, layer in zip(names, layers, strict=True)}
    hook = unet.register_forward_pre_hook(keys._at, with_kwargs=True)
    try:
        unet.set_attn_processor({**before, **sharing})
        yield keys
    finally:
        hook.remove()
        unet.set_attn_processor(before)
