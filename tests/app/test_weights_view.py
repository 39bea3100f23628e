"""The page block of diffusion weights: nothing is used before a look, what is wrong is named, a test ends in words."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.plans import GIB, Hardware
from pages.services import weights
from pages.services.settings import PretrainedConfig
from pages.services.steps import load_config, save_config
from tests.app.browse import button_of, text_of
from tests.core.hollow_weights import DIFFUSERS, controlnet, model

CPU = Hardware("a CPU", ram_bytes=16 * GIB, cores=4)
GPU = Hardware("some GPU", "cuda", free_bytes=8 * GIB, ram_bytes=32 * GIB, cores=8, lean_attention=True)


def view() -> None:
    from dataclasses import replace

    from pages.services.steps import load_config, save_config
    from pages.ui import cached, weights_view

    ws = cached.workspace()

    def save(**changed) -> None:
        config = load_config(ws)
        pretrained = replace(config.synthesis.pretrained, **changed)
        save_config(ws, replace(config, synthesis=replace(config.synthesis, pretrained=pretrained)))

    weights_view.show(ws, load_config(ws), save)


@pytest.fixture
def machine(monkeypatch):
    def of(have: Hardware) -> None:
        monkeypatch.setattr(weights, "hardware", lambda wish="auto": have)

    of(CPU)
    return of


@pytest.fixture
def page(empty_ws, machine) -> AppTest:
    return checked(AppTest.from_function(view, default_timeout=60).run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception
    return page


def look_at(page: AppTest, **places) -> AppTest:
    for name, place in places.items():
        page.text_input(key=f"weights-{name}").set_value(str(place))
    page.run()
    return checked(button_of(page, "Look at them").click().run())


def labels(page: AppTest) -> set[str]:
    return {button.label for button in page.button}


def kept(ws) -> PretrainedConfig:
    return load_config(ws).synthesis.pretrained


def test_without_weights_it_says_what_to_put_where(page):
    assert "No weights are named" in text_of(page) and "hf download OWNER/NAME" in text_of(page)
    assert "text_encoder/    config.json   model.safetensors" in page.code[0].value
    assert button_of(page, "Look at them").disabled
    assert not {"Use these weights", "Test the weights", "Use none"} & labels(page)


def test_nothing_is_used_before_somebody_has_looked_and_confirmed(page, empty_ws, tmp_path):
    folder = str(model(tmp_path / "sd"))
    page.text_input(key="weights-weights").set_value(folder).run()
    assert "Use these weights" not in labels(page)
    look_at(page)
    text = text_of(page)
    assert "Diffusion weights: Stable Diffusion 1.x" in text
    assert "U-Net with 4 channels · made for 512 px" in text
    assert kept(empty_ws).weights == ""
    checked(button_of(page, "Use these weights").click().run())
    assert kept(empty_ws).weights == folder
    assert "Use these weights" not in labels(page) and f"In use: `{folder}`" in text_of(page)
    checked(button_of(page, "Use none").click().run())
    assert kept(empty_ws) == PretrainedConfig()


def test_it_says_which_methods_are_possible_and_why_others_are_not(page, machine, tmp_path):
    text = text_of(look_at(page, weights=model(tmp_path / "sd")))
    possible = next(line for line in text.splitlines() if "methods are possible" in line)
    assert "TF-IDG" in possible and "DefectFill" not in possible
    assert "DefectFill needs weights for inpainting (U-Net with 9 channels)" in text
    text = text_of(look_at(page, weights=model(tmp_path / "inpainting", channels=9)))
    possible = next(line for line in text.splitlines() if "methods are possible" in line)
    assert "TF-IDG" in possible and "DefectFill" in possible
    assert "AnomalyDiffusion" not in possible


def test_needs_stand_beside_what_is_free(page, machine, tmp_path):
    text = text_of(look_at(page, weights=model(tmp_path / "sd")))
    assert "Free now: 16.0 GB" in text and "Runs on: CPU" in text
    assert "This machine has no GPU that torch can use" in text and "On 4 cores, one picture takes" in text
    machine(GPU)
    text = text_of(look_at(page))
    assert "Free now: 8.0 GB" in text and "Runs on: GPU" in text and "some GPU has 8.0 GB free; in float16" in text


def test_weights_that_need_more_than_there_is_are_told_before_they_are_loaded(page, machine, tmp_path):
    machine(replace(CPU, ram_bytes=1000))
    look_at(page, weights=model(tmp_path / "sd"))
    assert "of main memory on a CPU (estimate)" in page.error[0].value
    assert not {"Use these weights", "Test the weights"} & labels(page)


def test_what_is_missing_is_named_and_nothing_can_be_used(page, tmp_path):
    (model(tmp_path / "sd") / "vae" / DIFFUSERS).unlink()
    look_at(page, weights=tmp_path / "sd")
    assert [error.value for error in page.error] == [f"The sub-folder vae has no weights file: expected {DIFFUSERS}."]
    assert not {"Use these weights", "Test the weights"} & labels(page)
    assert "methods are possible" not in text_of(page)


def test_a_place_with_nothing_in_it_and_a_hub_id_that_is_not_here(page):
    look_at(page, weights="/nowhere/at/all")
    assert "there is no folder and no file at /nowhere/at/all" in page.error[0].value.lower()
    look_at(page, weights="some/model")
    assert "hf download some/model --local-dir FOLDER" in page.error[0].value


def test_a_checkpoint_in_one_file_shows_the_line_that_makes_a_folder_of_it(page, tmp_path):
    tensors = {"model.diffusion_model.input_blocks.0.0.weight": np.zeros((8, 9, 3, 3), np.float32)}
    save_file(tensors, tmp_path / "v1-5.safetensors")
    look_at(page, weights=tmp_path / "v1-5.safetensors")
    assert "is a checkpoint in one file" in page.error[0].value
    assert "from_single_file('v1-5.safetensors').save_pretrained('v1-5')" in page.code[0].value


def test_a_controlnet_of_another_model_is_refused(page, tmp_path):
    sd, net = model(tmp_path / "sd"), controlnet(tmp_path / "net", width=1024)
    look_at(page, weights=sd, controlnet=net)
    assert "ControlNet for Stable Diffusion 2.x does not fit Stable Diffusion 1.x" in page.error[0].value
    look_at(page, controlnet=controlnet(tmp_path / "fits"))
    assert not page.error and "ControlNet: ControlNet for Stable Diffusion 1.x" in text_of(page)


def test_words_and_steps_are_kept_at_once(page, empty_ws):
    page.text_input(key="weights-product").set_value(" hazelnut ").run()
    page.text_input(key="weights-defect").set_value("").run()
    checked(page.number_input(key="weights-steps").set_value(20).run())
    assert (kept(empty_ws).product, kept(empty_ws).defect, kept(empty_ws).steps) == ("hazelnut", "defect", 20)


@pytest.fixture
def loads(monkeypatch):
    """What was loaded and released, instead of gigabytes."""
    from ias_core.synthesis.pretrained import loading, retreat
    from pages.ui import cached

    cached.free_backends()
    told: list[tuple[str, object]] = []

    def load(config, planned, digest):
        told.append(("load", (planned.device, planned.offload)))
        return object()

    monkeypatch.setattr(weights, "load", load)
    for module in (loading, retreat):
        monkeypatch.setattr(module, "release", lambda backend: told.append(("release", backend)))
    yield told
    cached.free_backends()


def tries(monkeypatch, *outcomes) -> None:
    from ias_core.synthesis.pretrained import trial

    left = list(outcomes)

    def try_out(backend):
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(trial, "try_out", try_out)


def test_a_test_tells_seconds_memory_and_digest(page, machine, tmp_path, loads, monkeypatch):
    from ias_core.synthesis.pretrained.trial import Trial

    tries(monkeypatch, Trial(64, 3.21, 2 * GIB), Trial(64, 0.5, 2 * GIB))
    look_at(page, weights=model(tmp_path / "sd"))
    checked(button_of(page, "Test the weights").click().run())
    assert "One step at 64 px took 3.2 s. The process held 2.0 GB at most." in text_of(page)
    digest = weights.digest_of(PretrainedConfig(weights=str(tmp_path / "sd")))
    assert f"`{digest}`" in text_of(page)
    checked(button_of(page, "Test the weights").click().run())
    assert "took 0.5 s" in text_of(page) and loads == [("load", ("cpu", "none"))]  # kept in between
    checked(button_of(page, "Free their memory").click().run())
    assert [what for what, _ in loads] == ["load", "release"] and "Free their memory" not in labels(page)


def test_out_of_memory_is_a_sentence_and_a_smaller_try(page, machine, tmp_path, loads, monkeypatch):
    import torch

    from ias_core.synthesis.pretrained.trial import Trial

    machine(GPU)
    tries(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory"), Trial(64, 1.0, GIB))
    look_at(page, weights=model(tmp_path / "sd"))
    checked(button_of(page, "Test the weights").click().run())
    assert page.warning[0].value == "The GPU ran out of memory."
    assert "The GPU held 1.0 GB at most" in text_of(page)
    assert [what for what, _ in loads if what == "load"] == ["load", "load"]
    assert loads[-1] != loads[0] and ("load", ("cuda", "model")) in loads


def test_weights_that_fail_are_not_kept_for_the_next_who_asks(page, machine, tmp_path, loads, monkeypatch):
    from ias_core.synthesis.pretrained.trial import Trial

    tries(monkeypatch, WeightsUnavailable("one step gives no numbers"), Trial(64, 1.0, GIB))
    look_at(page, weights=model(tmp_path / "sd"))
    checked(button_of(page, "Test the weights").click().run())
    assert page.error[0].value == "one step gives no numbers" and "took" not in text_of(page)
    checked(button_of(page, "Test the weights").click().run())
    assert not page.error and [what for what, _ in loads] == ["load", "release", "load"]


def test_other_weights_push_the_first_out_and_free_their_memory(loads):
    from pages.ui import cached

    one, other = object(), object()
    assert cached.backend("a", "plan", lambda: one) is cached.backend("a", "plan", lambda: other) is one
    assert cached.backend("b", "plan", lambda: other) is other
    assert loads == [("release", one)]


def test_a_running_job_keeps_its_memory(page, empty_ws, busy, tmp_path):
    busy(empty_ws, "synthesis")
    look_at(page, weights=model(tmp_path / "sd"))
    assert button_of(page, "Test the weights").disabled


def test_a_job_gets_what_the_settings_name(empty_ws, tmp_path, machine, loads):
    config = load_config(empty_ws)
    with pytest.raises(WeightsUnavailable, match="empty text"):
        weights.backend_runner(config)
    pretrained = PretrainedConfig(weights=str(model(tmp_path / "sd")))
    config = replace(config, synthesis=replace(config.synthesis, pretrained=pretrained))
    save_config(empty_ws, config)
    weights.load_backend(load_config(empty_ws))
    assert loads == [("load", ("cpu", "none"))]


def test_a_job_on_a_small_gpu_finds_its_plan_before_the_work(empty_ws, tmp_path, machine, loads, monkeypatch):
    import torch

    from ias_core.synthesis.pretrained import trial
    from ias_core.synthesis.pretrained.backend import Backend

    def load(config, planned, digest):
        loads.append(("load", (planned.device, planned.offload)))
        none = {"unet": None, "vae": None, "text_encoder": None, "tokenizer": None, "scheduler": {}}
        return Backend("", "sd", **none, side_px=planned.side_px, device=planned.device, dtype="", digest=digest)

    def try_out(backend, *, side_px):
        assert side_px == 512  # full size: the smallest would say nothing about memory
        if len([what for what, _ in loads if what == "load"]) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(weights, "load", load)
    monkeypatch.setattr(trial, "try_out", try_out)
    machine(GPU)
    config = load_config(empty_ws)
    pretrained = PretrainedConfig(weights=str(model(tmp_path / "sd")))
    config = replace(config, synthesis=replace(config.synthesis, pretrained=pretrained))
    assert len(weights.load_backend(config).digest) == 64
    assert [plan for what, plan in loads if what == "load"] == [("cuda", "none"), ("cuda", "model")]
    loads.clear()
    with pytest.raises(
        WeightsUnavailable, match="training needs all of the weights on the GPU at once: The GPU ran out"
    ):
        weights.load_backend(config, to_train=True)
