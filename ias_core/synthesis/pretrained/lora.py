"""Low-rank adapters (LoRA) on a private copy of a network's structure, over the weights that everybody shares.

E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022: y = W x + (alpha / r) B A x, with W
frozen, A random, B zero, so that an untrained adapter changes nothing. The layers are those of ``peft``.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch

from ias_core.errors import SynthesisError, WeightsUnavailable

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend

Network = TypeVar("Network", bound=torch.nn.Module)
UNET_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")
_NAME = "default"


def private(network: Network) -> Network:
    """A copy with layers of its own over the same weights: changing its layers or processors leaves the original alone.

    It costs no memory, and several may live side by side. Nobody may write into a weight it shares.
    """
    hooks = [module._hf_hook for module in network.modules() if hasattr(module, "_hf_hook")]  # of offloading
    shared = {id(one): one for one in (*network.parameters(), *network.buffers(), *hooks)}
    return copy.deepcopy(network, shared)


def check_resident(backend: Backend) -> None:
    """Refuse weights that come to the device layer by layer: between two passes there is nothing to lay anything over.

    Raises
    ------
    WeightsUnavailable
    """
    if backend.offload == "sequential":
        raise WeightsUnavailable(
            "expected weights that fit into the GPU's memory in one part, these are moved there layer by layer, and "
            "nothing can be trained or laid over them: close other programs, or take smaller weights"
        )


class _SeededDropout(torch.nn.Module):
    """Dropout that draws from its own generator; torch's draws from the state that the whole process shares."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.share
        return x * kept / (1 - self.share)


def attach(
    network: torch.nn.Module,
    *,
    rank: int,
    alpha: float,
    layers: tuple[str, ...],
    generator: torch.Generator,
    dropout: float = 0.0,
) -> None:
    """Lay an untrained adapter over the named layers, in float32; all else of the network is frozen.

    Parameters
    ----------
    network : Module
        A ``private`` one: it is changed in place.
    rank, alpha : int, float
        r, and the alpha of the factor alpha / r.
    layers : tuple of str
        Ends of the names of the linear layers.
    generator : torch.Generator
        On the CPU; A, and the seeds of the dropouts, are drawn from it.
    dropout : float
        Share of the adapter's inputs that is dropped while the network is in training mode.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import Linear

    network.requires_grad_(False)
    # on no device first: else peft would draw A from the state that the whole process shares
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(layers))
    inject_adapter_in_model(config, network, _NAME, low_cpu_mem_usage=True)
    for layer in network.modules():
        if not isinstance(layer, Linear):
            continue
        device = layer.get_base_layer().weight.device
        down, up = layer.lora_A[_NAME], layer.lora_B[_NAME]
        random = torch.nn.init.kaiming_uniform_(torch.empty(down.weight.shape), a=math.sqrt(5), generator=generator)
        down.weight = torch.nn.Parameter(random.to(device))
        up.weight = torch.nn.Parameter(torch.zeros(up.weight.shape, device=device))
        if dropout:
            seed = int(torch.randint(2**31, (), generator=generator))
            layer.lora_dropout[_NAME] = _SeededDropout(dropout, torch.Generator(device).manual_seed(seed))


def parts(network: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The adapter's own weights, by name."""
    return {name: weight for name, weight in network.named_parameters() if ".lora_" in name}


def set_share(network: torch.nn.Module, share: float) -> None:
    """How much of the adapter counts: 1 as trained, 0 the network as it was."""
    from peft.tuners.lora import Linear

    for layer in network.modules():
        if isinstance(layer, Linear):
            layer.set_scale(_NAME, share)


def adapted(
    backend: Backend, *, rank: int, alpha: float, generator: torch.Generator, text: bool, dropout: float = 0.0
) -> Backend:
    """The backend with untrained adapters on its U-Net and, if ``text``, its text encoder; the given one stays bare."""
    check_resident(backend)
    unet, text_encoder = private(backend.unet), private(backend.text_encoder)
    attach(unet, rank=rank, alpha=alpha, layers=UNET_LAYERS, generator=generator, dropout=dropout)
    if text:
        attach(text_encoder, rank=rank, alpha=alpha, layers=TEXT_LAYERS, generator=generator, dropout=dropout)
    return replace(backend, unet=unet, text_encoder=text_encoder)


def stored(part: str, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies on the CPU under ``part.name``, as an Adapter keeps them."""
    return {f"{part}.{name}": weight.detach().cpu().clone() for name, weight in weights.items()}


def restore(part: str, weights: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]) -> None:
    """Write what ``stored`` gave for this part back into weights of the same names, in place.

    Raises
    ------
    SynthesisError
        A tensor is missing or has another shape.
    """
    for name, weight in weights.items():
        tensor = tensors.get(f"{part}.{name}")
        if tensor is None or tensor.shape != weight.shape:
            came = "nothing" if tensor is None else tuple(tensor.shape)
            raise SynthesisError(f"{part}.{name}: expected {tuple(weight.shape)}, got {came}: train on your NG again")
        with torch.no_grad():
            weight.copy_(tensor)
