"""How weights are loaded on machines that nobody here has: estimates by hand, every plan, and the way back."""

from dataclasses import replace
from pathlib import Path

import pytest

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.parts import Part, Tensors
from ias_core.synthesis.pretrained.plans import GIB, Hardware, Plan, minutes_on_cpu, needed_memory, plan, smaller
from ias_core.synthesis.pretrained.weights import Weights


def part(name: str, values: int, *, largest: int = 10_000_000, **config) -> Part:
    """A network of so many values, in tensors of ``largest`` and one of what is left."""
    shapes = {str(i): (largest,) for i in range(values // largest)} | {"rest": (values % largest,)}
    return Part(name, config, (), Tensors(shapes, 0, frozenset()))


def weights(family: str = "sd", *, unet: int = 860_000_000, side: int = 512) -> Weights:
    """As large as Stable Diffusion 1.5."""
    parts = (
        part("unet", unet, largest=30_000_000, block_out_channels=[320, 640, 1280, 1280]),
        part("vae", 84_000_000, block_out_channels=[128, 256, 512, 512]),
        part("text_encoder", 123_000_000, largest=38_000_000),
    )
    return Weights("x", Path("x"), family, "text-to-image", parts=parts, side_px=side)


SD, XL = weights(), weights("sdxl", unet=2_600_000_000, side=1024)
CONTROLNET = Weights("c", Path("c"), "controlnet", parts=(part("controlnet", 361_000_000),))
ADAPTER = Weights("i", Path("i"), "ip-adapter", parts=(part("adapter", 22_000_000), part("image_encoder", 632_000_000)))
VALUES_SD = 1_067_000_000


def gpu(free_gib: float, **other) -> Hardware:
    given = {"bfloat16": True, "lean_attention": True, "ram_bytes": 32 * GIB, "cores": 8} | other
    return Hardware("some GPU", "cuda", free_bytes=int(free_gib * GIB), **given)


def test_needed_memory_by_hand():
    # 64 x 64 cells, 2 rows: 26 * 320 * 4096 * 2 values in the U-Net; 6 * 128 * 512 * 512 in the VAE, which are more
    live = max(26 * 320 * 64 * 64 * 2, 6 * 128 * 512 * 512) * 1.25
    assert needed_memory(SD, dtype_bytes=2, side_px=512) == int((VALUES_SD + live) * 2)
    assert needed_memory(SD, dtype_bytes=4, side_px=512) == int((VALUES_SD + live) * 4)
    both = needed_memory(SD, dtype_bytes=2, side_px=512, others=(CONTROLNET, ADAPTER))
    assert both == int((VALUES_SD + 361e6 + 22e6 + 632e6 + live) * 2)
    part_by_part = needed_memory(SD, dtype_bytes=2, side_px=512, offload="model", others=(CONTROLNET,))
    assert part_by_part == int((860e6 + 84e6 + 361e6 + live) * 2)
    assert needed_memory(SD, dtype_bytes=2, side_px=512, offload="sequential") == int((38e6 + live) * 2)


def test_more_pictures_and_larger_ones_need_more():
    sides = [needed_memory(SD, dtype_bytes=2, side_px=side) for side in (256, 512, 768)]
    batches = [needed_memory(SD, dtype_bytes=2, side_px=512, batch=n) for n in (1, 2, 4)]
    assert sides == sorted(set(sides)) and batches == sorted(set(batches))
    offloads = [needed_memory(XL, dtype_bytes=2, side_px=1024, offload=o) for o in ("none", "model", "sequential")]
    assert offloads == sorted(set(offloads), reverse=True)


@pytest.mark.parametrize(
    ("free", "offload", "device"),
    [(8, "none", "cuda"), (2.7, "model", "cuda"), (1, "sequential", "cuda"), (0.3, "none", "cpu")],
)
def test_the_fastest_way_that_fits_is_taken(free, offload, device):
    found = plan(SD, gpu(free))
    assert (found.offload, found.device, found.side_px) == (offload, device, 512)
    assert found.dtype == ("float16" if device == "cuda" else "float32")
    assert found.can_train == (offload == "none")
    if device == "cuda":
        assert found.needs_bytes <= 0.9 * free * GIB and found.minutes is None
        assert f"{free:.1f} GB free" in found.why[0] and "512 px" in found.why[0]
    else:
        assert "too little: the CPU is used" in found.why[0]


def test_a_plan_leaves_a_tenth_free():
    needs = needed_memory(SD, dtype_bytes=2, side_px=512)
    assert plan(SD, replace(gpu(0), free_bytes=int(needs / 0.9) + 1)).offload == "none"
    assert plan(SD, replace(gpu(0), free_bytes=int(needs / 0.9) - 1)).offload == "model"


def test_offload_needs_main_memory_for_what_is_not_on_the_gpu():
    assert plan(SD, gpu(2.7, ram_bytes=3 * GIB)).offload == "model"
    with pytest.raises(WeightsUnavailable, match=r"need about \d\.\d GB of main memory on a CPU .* has 1.0 GB free"):
        plan(SD, gpu(2.7, ram_bytes=GIB))


def test_what_is_added_counts():
    assert plan(SD, gpu(3.3)).offload == "none"
    assert plan(SD, gpu(3.3), controlnet=CONTROLNET).offload == "model"
    assert plan(SD, gpu(3.3), ip_adapter=ADAPTER).offload == "model"


def test_precision_follows_the_weights_and_the_gpu():
    assert plan(SD, gpu(40)).dtype == "float16"
    assert plan(XL, gpu(40)).dtype == "bfloat16"  # diffusers takes a VAE that says nothing for one that overflows
    vae = part("vae", 84_000_000, block_out_channels=[128, 256, 512, 512], force_upcast=True)
    warned = replace(XL, parts=(XL.parts[0], vae, XL.parts[2]))
    assert plan(warned, gpu(40)).dtype == "bfloat16"
    old = plan(warned, gpu(40, bfloat16=False))
    assert old.dtype == "float32" and "no numbers in float16" in " ".join(old.why)
    assert plan(warned, gpu(8, bfloat16=False)).offload == "sequential"  # twice the bytes: not one part fits
    fixed = replace(vae, config=vae.config | {"force_upcast": False})
    assert plan(replace(XL, parts=(XL.parts[0], fixed, XL.parts[2])), gpu(40, bfloat16=False)).dtype == "float16"


def test_attention_is_sliced_only_where_the_gpu_has_no_lean_one():
    assert not plan(SD, gpu(8)).slicing
    sliced = plan(SD, gpu(8, lean_attention=False))
    assert sliced.slicing and "one head at a time" in " ".join(sliced.why)
    assert not plan(SD, gpu(8, lean_attention=False), ip_adapter=ADAPTER).slicing  # diffusers cannot load both


def test_a_mac_has_no_memory_to_offload_to():
    mac = Hardware("Apple GPU", "mps", free_bytes=16 * GIB, ram_bytes=16 * GIB, cores=8)
    found = plan(SD, mac)
    assert (found.device, found.dtype, found.offload) == ("mps", "float32", "none")
    assert plan(SD, replace(mac, free_bytes=2 * GIB)).device == "cpu"


def test_without_a_gpu_it_says_how_long_a_picture_takes():
    found = plan(SD, Hardware("a CPU", ram_bytes=16 * GIB, cores=4), steps=20)
    assert (found.device, found.dtype, found.offload, found.slicing) == ("cpu", "float32", "none", False)
    assert "no GPU that torch can use" in found.why[0]
    assert "On 4 cores, one picture takes 2 to 7 min (estimate, 20 steps at 512 px)." in found.why
    low, high = found.minutes
    middle = (20 * 2 * 0.19 * 860e6 * 64**2 + 2 * 13.6e6 * 512**2) / (4 * 40e9) / 60
    assert (low, high) == pytest.approx((middle / 2, middle * 2))


def test_minutes_follow_steps_and_cores():
    one = minutes_on_cpu(SD, side_px=512, steps=50, cores=1)
    assert minutes_on_cpu(SD, side_px=512, steps=50, cores=8) == pytest.approx([m / 8 for m in one])
    assert minutes_on_cpu(SD, side_px=256, steps=50, cores=1) == pytest.approx([m / 4 for m in one])
    assert minutes_on_cpu(SD, side_px=512, steps=100, cores=1)[0] > 1.9 * one[0]


def test_a_model_of_pixels_is_one_part():
    config = {"block_out_channels": [128, 128, 256]}
    pixels = Weights("p", Path("p"), "ddpm", "unconditional", parts=(part("unet", 10**8, **config),), side_px=64)
    found = plan(pixels, gpu(4))
    assert (found.device, found.dtype, found.offload) == ("cuda", "float32", "none")
    assert found.needs_bytes == int((10**8 + 26 * 128 * 64 * 64 * 2 * 1.25) * 4)
    assert plan(pixels, gpu(0.3)).device == "cpu"


def test_every_smaller_plan_down_to_none():
    tried, seen = Plan("cuda", "float16", False, "none", 1024), []
    while tried is not None:
        seen.append((tried.device, tried.dtype, tried.offload, tried.side_px))
        tried = smaller(tried)
        assert tried is None or "ran out" in tried.why[0]
    assert seen == [
        ("cuda", "float16", "none", 1024),
        ("cuda", "float16", "model", 1024),
        ("cuda", "float16", "sequential", 1024),
        ("cpu", "float32", "none", 1024),
        ("cpu", "float32", "none", 512),
        ("cpu", "float32", "none", 256),
    ]


def test_a_mac_falls_back_to_the_cpu():
    found = smaller(Plan("mps", "float32", True, "none", 512))
    assert (found.device, found.slicing, found.side_px) == ("cpu", False, 512)
