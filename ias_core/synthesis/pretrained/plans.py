"""How weights are loaded on a machine: what they need, what it has, and the next smaller try when memory runs out.

Everything here is arithmetic on values, so every plan is tested without a GPU. All needs are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.weights import Weights

# Live values at the worst moment of one pass without gradients, counted by us over diffusers' own modules of SD 1.5,
# 2 and XL at two sizes each (fake tensors, nothing computed): per latent cell and row 25.6 to 26.4 times the U-Net's
# first width (SD XL 15.8 to 16), per pixel 6.0 times the VAE's. Memory-efficient attention, so no (tokens x tokens).
_UNET_VALUES, _VAE_VALUES = 26, 6
_ROWS = 2  # of the U-Net per picture: with and without the prompt (classifier-free guidance)
_WORKSPACE = 1.25  # what kernels and the allocator take beside; a rule of thumb, not measured
_USABLE = 0.9  # share of the free memory that is planned with: other programs live too

# Operations, counted likewise: 0.14 (XL) to 0.19 per weight, latent cell and row; of the VAE, 13.6e6 per pixel for the
# way in and out.
_UNET_FLOP, _VAE_FLOP = 0.19, 13.6e6
_CORE_FLOPS = 40e9  # SD 1.5's U-Net in float32 on one core of an AMD EPYC with AVX2: 33 to 44, measured
_SPREAD = 2  # the true time lies within this factor, we guess

_LEAST_SIDE_PX = 256  # below, Stable Diffusion draws no coherent pictures (rule of thumb)
_OFFLOADS = ("none", "model", "sequential")
_SAYS = {
    "model": "The parts do not fit at once: each is moved to the GPU when its turn comes, which is slower, and methods "
    "that train are not possible.",
    "sequential": "Not even one part fits beside a picture: every layer is moved to the GPU when its turn comes, which "
    "is slow, and methods that train are not possible.",
}
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine has to compute with.

    name : str                what its GPU or CPU is called
    device : str              "cuda", "mps" or "cpu"
    free_bytes : int          of the GPU's memory; 0 without one
    ram_bytes : int           of its main memory, free now
    cores : int
    bfloat16 : bool           whether the GPU computes in that
    lean_attention : bool     whether the GPU has attention that never holds (tokens x tokens) values
    """

    name: str
    device: str = "cpu"
    free_bytes: int = 0
    ram_bytes: int = 0
    cores: int = 1
    bfloat16: bool = False
    lean_attention: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How weights are loaded.

    device : str               of torch
    dtype : str                "float32", "float16" or "bfloat16"
    slicing : bool             attention one head at a time
    offload : str              "none"; "model": one part at a time on the GPU; "sequential": one layer at a time
    side_px : int              of the pictures it is told to draw
    needs_bytes : int          estimate, on the device
    minutes : pair of float    on a CPU: from, to, for one picture; else None
    why : tuple of str         one sentence each
    """

    device: str
    dtype: str
    slicing: bool
    offload: str
    side_px: int
    needs_bytes: int = 0
    minutes: tuple[float, float] | None = None
    why: tuple[str, ...] = ()

    @property
    def can_train(self) -> bool:
        """A part that is moved about cannot carry an adapter in training."""
        return self.offload == "none"


def needed_memory(
    weights: Weights,
    *,
    dtype_bytes: int,
    side_px: int,
    batch: int = 1,
    offload: str = "none",
    others: tuple[Weights, ...] = (),
) -> int:
    """Estimate, in bytes, of what drawing takes on the device: weights, and the values of one pass beside them.

    Parameters
    ----------
    dtype_bytes : int
        Of a value: 4, or 2 in half precision.
    side_px, batch : int
        Of the pictures drawn at once, each with and without prompt. Training takes more, which is not estimated.
    offload : str
        "none": all parts at once. "model": the largest, with a ControlNet and the VAE, which stay where they are.
        "sequential": the largest tensor.
    others : tuple of Weights
        ControlNet and IP-Adapter.
    """
    parts = [part for one in (weights, *others) for part in one.parts]
    sizes = {part.name: part.tensors.parameters for part in parts}
    if offload == "none":
        held = sum(sizes.values())
    elif offload == "model":
        staying = sizes.get("controlnet", 0) + sizes.get("vae", 0)
        held = staying + max(size for name, size in sizes.items() if name not in ("controlnet", "vae"))
    else:
        held = max(part.tensors.largest for part in parts)
    unet, vae = (_first_width(weights, name) for name in ("unet", "vae"))
    cells = (side_px // _cell_px(weights)) ** 2
    nets = 1.5 if "controlnet" in sizes else 1  # a ControlNet is half a U-Net
    live = max(_UNET_VALUES * unet * cells * _ROWS * nets, _VAE_VALUES * vae * side_px**2) * batch
    return int((held + live * _WORKSPACE) * dtype_bytes)


def minutes_on_cpu(weights: Weights, *, side_px: int, steps: int, cores: int) -> tuple[float, float]:
    """Minutes that one picture takes on a CPU, from and to: an estimate from counted operations.

    A picture takes ``steps`` times the U-Net, with and without prompt, and two passes of the VAE.
    """
    unet = weights.part("unet").tensors.parameters
    cells = (side_px // _cell_px(weights)) ** 2
    operations = steps * _ROWS * _UNET_FLOP * unet * cells + 2 * _VAE_FLOP * side_px**2
    minutes = operations / (cores * _CORE_FLOPS) / 60
    return minutes / _SPREAD, minutes * _SPREAD


def plan(
    weights: Weights,
    have: Hardware,
    *,
    controlnet: Weights | None = None,
    ip_adapter: Weights | None = None,
    steps: int = 50,
) -> Plan:
    """The fastest way in which these weights fit on this machine.

    Half precision on a GPU. Attention is sliced only where the GPU would hold (tokens x tokens) values without it:
    beside the memory-efficient attention of torch, slicing needs more memory and is slower (diffusers says so too).

    Raises
    ------
    WeightsUnavailable
        They fit neither on the GPU nor into the main memory.
    """
    others = tuple(one for one in (controlnet, ip_adapter) if one is not None)
    side, why = weights.side_px, []
    if have.device != "cpu":
        dtype, said = _gpu_dtype(weights, have)
        width = 4 if dtype == "float32" else 2
        slicing = not have.lean_attention and ip_adapter is None
        in_ram = sum(one.parameters for one in (weights, *others)) * width
        # a Mac's GPU has no memory of its own, and a model of one part nothing to take turns
        offloads = _OFFLOADS if have.device == "cuda" and weights.family != "ddpm" else _OFFLOADS[:1]
        for offload in offloads:
            needs = needed_memory(weights, dtype_bytes=width, side_px=side, offload=offload, others=others)
            if needs <= _USABLE * have.free_bytes and (offload == "none" or in_ram <= _USABLE * have.ram_bytes):
                why = [_fits(have, needs, side, dtype), *said]
                if slicing:
                    why.append("Attention is computed one head at a time: this GPU would need more memory at once.")
                if offload != "none":
                    why.append(_SAYS[offload])
                return Plan(have.device, dtype, slicing, offload, side, needs, None, tuple(why))
        why = [f"{have.name} has {gib(have.free_bytes)} free, which is too little: the CPU is used."]
    needs = needed_memory(weights, dtype_bytes=4, side_px=side, others=others)
    if needs > _USABLE * have.ram_bytes:
        raise WeightsUnavailable(
            f"these weights need about {gib(needs)} of main memory on a CPU (estimate), this machine has "
            f"{gib(have.ram_bytes)} free: close other programs, use smaller weights or a machine with a GPU"
        )
    minutes = minutes_on_cpu(weights, side_px=side, steps=steps, cores=have.cores)
    why = [
        *(why or ["This machine has no GPU that torch can use: the CPU is used."]),
        f"On {have.cores} core{'s' * (have.cores > 1)}, one picture takes {spell(minutes)} (estimate, {steps} steps at "
        f"{side} px).",
    ]
    return Plan("cpu", "float32", False, "none", side, needs, minutes, tuple(why))


def smaller(tried: Plan) -> Plan | None:
    """What to try after this plan ran out of memory; None if nothing smaller is left.

    Part by part, layer by layer, then on the CPU, and only then at half the side: slow pictures are still those that
    were asked for, small ones are not.
    """
    if tried.device == "cuda" and tried.offload != _OFFLOADS[-1]:
        offload = _OFFLOADS[_OFFLOADS.index(tried.offload) + 1]
        return replace(tried, offload=offload, needs_bytes=0, why=("The GPU ran out of memory.", _SAYS[offload]))
    if tried.device != "cpu":
        why = ("The GPU ran out of memory: the CPU is used, which takes minutes for a picture.",)
        return Plan("cpu", "float32", False, "none", tried.side_px, why=why)
    half = tried.side_px // 2
    if half < _LEAST_SIDE_PX:
        return None
    why = (
        f"Memory ran out: pictures are drawn at {half} px instead of {tried.side_px}, which these weights do worse.",
    )
    return replace(tried, side_px=half, needs_bytes=0, minutes=None, why=why)


def _gpu_dtype(weights: Weights, have: Hardware) -> tuple[str, list[str]]:
    if have.device == "mps" or weights.family == "ddpm":
        return "float32", []  # as in diffusers' guide to Apple's GPUs; a model of pixels is small
    if not weights.vae_overflows:
        return "float16", []
    if have.bfloat16:
        return "bfloat16", ["Computed in bfloat16: these weights' VAE gives no numbers in float16."]
    return "float32", [
        "Computed in float32: these weights' VAE gives no numbers in float16, and this GPU has no bfloat16."
    ]


def _fits(have: Hardware, needs: int, side: int, dtype: str) -> str:
    return (
        f"{have.name} has {gib(have.free_bytes)} free; in {dtype}, one picture at {side} px needs about {gib(needs)} "
        "(estimate)."
    )


def _first_width(weights: Weights, name: str) -> int:
    part = weights.part(name)
    return 0 if part is None else int(part.config["block_out_channels"][0])


def _cell_px(weights: Weights) -> int:
    vae = weights.part("vae")
    return 1 if vae is None else 2 ** (len(vae.config["block_out_channels"]) - 1)


def gib(size: int) -> str:
    """Examples
    --------
    >>> gib(3 * 2**30), gib(200 * 2**20), gib(45 * 2**20)
    ('3.0 GB', '0.2 GB', '45 MB')
    """
    return f"{size / GIB:.1f} GB" if size >= 0.1 * GIB else f"{size / 2**20:.0f} MB"


def spell(minutes: tuple[float, float]) -> str:
    """Examples
    --------
    >>> spell((2.4, 9.6)), spell((0.2, 0.8)), spell((90, 360))
    ('2 to 10 min', 'less than 1 min', '1.5 to 6.0 h')
    """
    low, high = minutes
    if high < 1:
        return "less than 1 min"
    if high < 120:
        return f"{low:.0f} to {high:.0f} min"
    return f"{low / 60:.1f} to {high / 60:.1f} h"
