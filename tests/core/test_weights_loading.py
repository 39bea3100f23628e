"""Tiny folders written by the real ``save_pretrained``, recognised and loaded again; what happens when memory runs out.

No GPU is needed: of offload, "model" runs with the CPU as its device; of "sequential", only the call is looked at.
"""

import gc
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file, save_file

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained import loading, retreat
from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.latents import ddim, decode, embed, encode
from ias_core.synthesis.pretrained.loading import load, release
from ias_core.synthesis.pretrained.plans import Plan
from ias_core.synthesis.pretrained.retreat import BackendRunner
from ias_core.synthesis.pretrained.trial import try_out
from ias_core.synthesis.pretrained.weights import digest_of, recognise
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_weights import save_ip_adapter, save_model, save_paint_by_example, save_pixels, save_xl

UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


def on_cpu(**other) -> Plan:
    return replace(Plan("cpu", "float32", False, "none", SIDE), **other)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Every kind of folder; never changed, only copied."""
    root = tmp_path_factory.mktemp("weights")
    plain = tiny_backend(root / "words", controlnet=True)
    save_model(plain, root / "sd")
    plain.controlnet.save_pretrained(root / "controlnet")
    save_ip_adapter(root / "ip", plain)
    save_model(tiny_backend(root / "words", channels=9), root / "inpainting", "StableDiffusionInpaintPipeline")
    save_xl(root / "xl")
    save_paint_by_example(root / "example")
    save_pixels(root / "pixels")
    return root


@pytest.fixture(scope="module")
def whole(saved) -> Backend:
    """The plain model, all of it in memory; shared, so left as it is."""
    return loaded(saved / "sd")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refused(*_):
        raise AssertionError("somebody asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(gc, "collect", lambda: 0)  # half a second in a process with all these libraries


@pytest.fixture
def sd(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved / "sd", tmp_path / "sd"))


def loaded(folder: Path, **other) -> Backend:
    return load(recognise(str(folder)), on_cpu(**other))


def test_a_saved_model_comes_back_as_it_was(saved, whole):
    weights, before, backend = recognise(str(saved / "sd")), tiny_backend(saved / "words"), whole
    assert (weights.problems, weights.side_px, weights.channels) == ((), SIDE, 4)
    for name in ("unet", "vae", "text_encoder"):
        was, now = getattr(before, name).state_dict(), getattr(backend, name).state_dict()
        assert was.keys() == now.keys() and all(torch.equal(was[key], now[key]) for key in was)
        assert not getattr(backend, name).training
        assert not any(p.requires_grad for p in getattr(backend, name).parameters())
    assert (backend.kind, backend.family, backend.side_px, backend.extras) == ("text-to-image", "sd", SIDE, frozenset())
    assert (backend.device, backend.dtype, backend.offload) == (torch.device("cpu"), torch.float32, "none")
    assert backend.digest == digest_of(weights)
    assert torch.equal(embed(["a b"], backend), embed(["a b"], before))
    assert backend.scheduler["steps_offset"] == 1 and backend.scheduler["prediction_type"] == "epsilon"
    assert torch.equal(ddim(backend, 5).alphas_cumprod, ddim(before, 5).alphas_cumprod)


@pytest.mark.parametrize(
    ("folder", "kind", "family", "extras"),
    [
        ("inpainting", "inpainting", "sd", ()),
        ("xl", "text-to-image", "sdxl", ()),
        ("example", "inpainting", "sd", ("paint-by-example",)),
        ("pixels", "unconditional", "ddpm", ()),
    ],
)
def test_every_family_is_loaded_and_draws(saved, folder, kind, family, extras):
    backend = loaded(saved / folder)
    assert (backend.kind, backend.family, backend.extras) == (kind, family, frozenset(extras))
    assert backend.digest == digest_of(recognise(str(saved / folder)))
    trial = try_out(backend)
    assert trial.seconds > 0 and trial.peak_bytes > 0
    assert trial.side_px == (SIDE if folder == "pixels" else 8)


@pytest.mark.parametrize("folder", ["sd", "inpainting"])
def test_controlnet_and_ip_adapter_are_loaded_beside(saved, folder):
    extra = {
        "controlnet": recognise(str(saved / "controlnet")),
        "ip_adapter": recognise(str(saved / "ip" / "ip-adapter_sd15.safetensors")),
    }
    weights = recognise(str(saved / folder))
    backend = load(weights, on_cpu(), **extra)
    assert backend.extras == {"controlnet", "ip-adapter"} and backend.controlnet is backend.pipeline.controlnet
    assert backend.digest == digest_of(weights, *extra.values())
    assert try_out(backend, side_px=16).side_px == 16
    assert not any(p.requires_grad for p in backend.pipeline.image_encoder.parameters())


def test_half_precision_by_plan_and_from_half_files(sd, whole):
    half = loaded(sd, dtype="bfloat16")
    assert half.unet.dtype == half.vae.dtype == half.text_encoder.dtype == half.dtype == torch.bfloat16
    file = sd / UNET
    save_file({key: value.half() for key, value in load_file(file).items()}, file.with_suffix(".fp16.safetensors"))
    file.with_suffix(".fp16.safetensors").rename(file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    file.unlink()
    back = loaded(sd)
    assert back.unet.dtype == torch.float32
    for was, now in zip(whole.unet.parameters(), back.unet.parameters(), strict=True):
        assert torch.equal(was.half().float(), now)


def test_shards_are_put_together(sd, whole):
    shutil.rmtree(sd / "unet")
    whole.unet.save_pretrained(sd / "unet", max_shard_size="250KB")
    assert len(recognise(str(sd)).part("unet").files) == 2
    sharded = loaded(sd)
    assert all(torch.equal(a, b) for a, b in zip(whole.unet.parameters(), sharded.unet.parameters(), strict=True))


def test_names_of_the_text_encoder_from_before_are_understood(sd, whole):
    """Folders of 2022 write ``text_model.`` in front, and positions as a tensor."""
    old = {f"text_model.{key}": value for key, value in load_file(sd / TEXT).items()}
    save_file(old | {"text_model.embeddings.position_ids": torch.arange(16)[None]}, sd / TEXT)
    assert torch.equal(embed(["a"], loaded(sd)), embed(["a"], whole))


@pytest.mark.parametrize("file", [UNET, TEXT])
def test_a_tensor_that_is_missing_is_never_drawn_at_random(sd, file):
    tensors = load_file(sd / file)
    gone = next(key for key in tensors if "norm" in key)
    save_file({key: value for key, value in tensors.items() if key != gone}, sd / file)
    with pytest.raises(WeightsUnavailable, match=f"{file.split('/')[0]} lack 1 tensors .* first .*norm"):
        loaded(sd)


def test_a_tensor_of_another_shape_names_its_part(sd):
    tensors = load_file(sd / UNET)
    save_file(tensors | {"conv_out.weight": torch.zeros(5, 8, 3, 3)}, sd / UNET)
    with pytest.raises(WeightsUnavailable, match="part unet could not be loaded"):
        loaded(sd)


def test_what_is_not_whole_or_does_not_fit_is_not_loaded(saved, sd):
    (sd / UNET).unlink()
    with pytest.raises(WeightsUnavailable, match="sub-folder unet has no weights file"):
        loaded(sd)
    with pytest.raises(WeightsUnavailable, match="is no model of its own"):
        loaded(saved / "controlnet")
    with pytest.raises(WeightsUnavailable, match="does not fit"):
        load(recognise(str(saved / "xl")), on_cpu(), controlnet=recognise(str(saved / "controlnet")))


def test_weights_that_give_no_numbers_are_told(sd):
    tensors = load_file(sd / UNET)
    save_file(tensors | {"conv_out.bias": torch.full((4,), torch.nan)}, sd / UNET)
    with pytest.raises(WeightsUnavailable, match="gives no numbers in float32"):
        try_out(loaded(sd))


def test_part_by_part_draws_the_same(saved, whole):
    moved = loaded(saved / "sd", offload="model")
    assert moved.offload == "model" and hasattr(moved.unet, "_hf_hook") and not hasattr(whole.unet, "_hf_hook")
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (decode(b.unet(encode(pixels, b), 500, embed(["a b"], b)).sample, b) for b in (whole, moved))
    assert torch.equal(one, other)
    try_out(moved)


@pytest.mark.parametrize(
    ("offload", "called"),
    [("none", "to"), ("model", "enable_model_cpu_offload"), ("sequential", "enable_sequential_cpu_offload")],
)
def test_the_plan_decides_how_parts_are_placed(offload, called):
    pipeline = Mock()
    loading._place(pipeline, replace(on_cpu(offload=offload), device="cuda"))
    (call,) = pipeline.method_calls
    assert call[0] == called and "cuda" in (*call[1], call[2].get("device"))


def test_sliced_attention_gives_the_same_numbers(saved, whole):
    sliced = loaded(saved / "sd", slicing=True)
    kinds = {type(one).__name__ for one in sliced.unet.attn_processors.values()}
    assert kinds == {"SlicedAttnProcessor"}
    latent, text = torch.ones(1, 4, 16, 16), embed(["a"], whole)
    with torch.no_grad():
        torch.testing.assert_close(sliced.unet(latent, 5, text).sample, whole.unet(latent, 5, text).sample)


@pytest.mark.parametrize("offload", ["none", "model"])
def test_release_gives_all_memory_back(saved, offload):
    backend = loaded(saved / "inpainting", offload=offload)
    release(backend)
    parts = (backend.unet, backend.vae, backend.text_encoder)
    assert {p.device.type for part in parts for p in part.parameters()} == {"meta"}
    release(backend)  # twice does no harm: two sessions may push the same weights out


class Machine:
    """Loads a backend that only knows its plan, and runs out of memory until a plan is small enough."""

    def __init__(self, fits: Plan | None) -> None:
        self.fits, self.tried, self.alive = fits, [], []

    def load(self, plan: Plan) -> Backend:
        unet = torch.nn.Linear(2, 2)
        self.alive.append(unet)
        none = {"vae": None, "text_encoder": None, "tokenizer": None, "scheduler": {}, "side_px": plan.side_px}
        return Backend("", "sd", unet, **none, device=plan.device, dtype=plan.dtype, digest="", offload=plan.offload)

    def action(self, backend: Backend) -> str:
        self.tried.append((backend.device, backend.offload, backend.side_px))
        if self.fits is None or self.tried[-1] != (self.fits.device, self.fits.offload, self.fits.side_px):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return "drawn"


def test_out_of_memory_ends_in_a_smaller_plan_that_is_kept():
    machine = Machine(Plan("cuda", "float16", False, "sequential", 512))
    runner = BackendRunner(machine.load, Plan("cuda", "float16", False, "none", 512))
    assert runner(machine.action) == "drawn"
    assert [offload for _, offload, _ in machine.tried] == ["none", "model", "sequential"]
    assert runner.plan.offload == "sequential" and runner.notices[0] == "The GPU ran out of memory."
    released = [next(unet.parameters()).device.type for unet in machine.alive]
    assert released == ["meta", "meta", "cpu"]  # only the last one still holds memory
    assert runner(machine.action) == "drawn" and len(machine.alive) == 3
    runner.release()
    assert next(machine.alive[-1].parameters()).device.type == "meta"
    assert runner(machine.action) == "drawn" and len(machine.alive) == 4


def test_memory_that_runs_out_while_loading_counts_too():
    plans = []

    def heavy(plan: Plan) -> Backend:
        plans.append(plan.offload)
        if plan.device == "cuda":
            raise RuntimeError("CUDA error: out of memory")
        return Machine(None).load(plan)

    runner = BackendRunner(heavy, Plan("cuda", "float16", False, "none", 512))
    assert runner(lambda backend: backend.device) == "cpu" and plans == ["none", "model", "sequential", "none"]


def test_no_plan_left_is_a_sentence():
    runner = BackendRunner(Machine(None).load, Plan("cpu", "float32", False, "none", 512))
    with pytest.raises(WeightsUnavailable, match="memory ran out even on the CPU at 256 px: close other programs"):
        runner(Machine(None).action)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def broken(backend: Backend):
        raise ValueError("a bug")

    machine = Machine(None)
    with pytest.raises(ValueError, match="a bug"):
        BackendRunner(machine.load, Plan("cuda", "float16", False, "none", 512))(broken)
    assert len(machine.alive) == 1


def test_a_failed_try_leaves_nothing_of_its_own_in_memory(monkeypatch):
    """The traceback of the error holds every tensor of the frame that ran out of memory: it goes first."""
    alive, when_released = {"tensors"}, []
    monkeypatch.setattr(retreat, "release", lambda backend: when_released.append(set(alive)))

    class Tensors:
        def __del__(self):
            alive.clear()

    def action(backend: Backend) -> str:
        tensors = Tensors()
        if backend.device == "cuda":
            raise torch.cuda.OutOfMemoryError(f"CUDA out of memory at {id(tensors)}")
        return "drawn"

    runner = BackendRunner(Machine(None).load, Plan("cuda", "float16", False, "sequential", 512))
    assert runner(action) == "drawn" and when_released == [set()]
