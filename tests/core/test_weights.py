"""What folders, files and hub ids of diffusion weights are taken for, and the one sentence about each that is bad."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained import weights as weights_module
from ias_core.synthesis.pretrained.fits import fit
from ias_core.synthesis.pretrained.weights import digest_of, recognise
from tests.core.hollow_weights import DIFFUSERS, TRANSFORMERS, controlnet, ip_adapter, model, write, xl


def problem_of(place: Path) -> str:
    (problem,) = recognise(str(place)).problems
    return problem


@pytest.mark.parametrize(
    ("channels", "width", "sample", "version", "kind", "side"),
    [
        (4, 768, 64, "Stable Diffusion 1.x", "text-to-image", 512),
        (9, 768, 64, "Stable Diffusion 1.x inpainting", "inpainting", 512),
        (4, 1024, 96, "Stable Diffusion 2.x", "text-to-image", 768),
        (9, 1024, 64, "Stable Diffusion 2.x inpainting", "inpainting", 512),
        (4, 5, 64, "Stable Diffusion with a text width of 5", "text-to-image", 512),
    ],
)
def test_versions_are_told_by_shapes(tmp_path, channels, width, sample, version, kind, side):
    found = recognise(str(model(tmp_path / "m", channels=channels, width=width, sample=sample)))
    assert (found.version, found.kind, found.side_px) == (version, kind, side)
    assert (found.family, found.channels, found.text_width, found.problems) == ("sd", channels, width, ())
    assert found.parameters == 8 * channels * 9 + 2 * 27 + 10 and found.is_model
    assert found.disk_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    assert not found.vae_overflows  # diffusers writes force_upcast into every folder; only XL means it


def test_xl_has_two_text_encoders_and_an_autoencoder_that_overflows(tmp_path):
    found = recognise(str(xl(tmp_path / "xl")))
    assert (found.family, found.version, found.side_px) == ("sdxl", "Stable Diffusion XL", 1024)
    assert found.problems == () and found.vae_overflows
    assert "text encoders give a width of 1792" in problem_of(xl(tmp_path / "other", second=1024))


def test_a_folder_without_its_index_is_told_by_its_parts(tmp_path):
    (model(tmp_path / "m") / "model_index.json").unlink()
    found = recognise(str(tmp_path / "m"))
    assert found.problems == () and "model_index.json is missing" in found.notes[0]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("vae/" + DIFFUSERS, "The sub-folder vae has no weights file: expected diffusion_pytorch_model.safetensors."),
        ("text_encoder/" + TRANSFORMERS, "text_encoder has no weights file: expected model.safetensors."),
        ("unet/config.json", "The sub-folder unet has no config.json."),
        ("tokenizer/merges.txt", "The sub-folder tokenizer has no tokenizer"),
        ("scheduler/scheduler_config.json", "The sub-folder scheduler has no scheduler_config.json."),
    ],
)
def test_a_part_that_is_missing_is_named(tmp_path, path, says):
    (model(tmp_path / "m") / path).unlink()
    assert says in problem_of(tmp_path / "m")


def test_every_part_that_is_missing_is_named(tmp_path):
    folder = model(tmp_path / "m")
    for name in ("vae", "scheduler"):
        os.rename(folder / name, tmp_path / name)
    assert recognise(str(folder)).problems == (
        "The sub-folder vae is missing.",
        "The sub-folder scheduler has no scheduler_config.json.",
    )


def test_a_file_that_is_cut_off_is_found_before_it_is_loaded(tmp_path):
    file = model(tmp_path / "m") / "unet" / DIFFUSERS
    file.write_bytes(file.read_bytes()[:-1])
    assert f"unet/{DIFFUSERS} is no whole safetensors file" in problem_of(tmp_path / "m")


def test_a_pointer_of_git_is_no_weights(tmp_path):
    file = model(tmp_path / "m") / "unet" / DIFFUSERS
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3438167536\n", encoding="utf-8")
    assert "run `git lfs pull`" in problem_of(tmp_path / "m")


def test_a_broken_json_is_named(tmp_path):
    (model(tmp_path / "m") / "vae" / "config.json").write_text("{", encoding="utf-8")
    assert "vae/config.json could not be read" in problem_of(tmp_path / "m")
    (tmp_path / "m" / "vae" / "config.json").write_text("[]", encoding="utf-8")
    assert "vae/config.json holds list" in problem_of(tmp_path / "m")


def test_pickles_are_refused_wherever_they_lie(tmp_path):
    folder = model(tmp_path / "m") / "unet"
    os.rename(folder / DIFFUSERS, folder / "diffusion_pytorch_model.bin")
    assert "unet holds only diffusion_pytorch_model.bin: a pickle, which may run any program" in problem_of(
        tmp_path / "m"
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "v1-5.ckpt").write_bytes(b"0")
    assert "holds only v1-5.ckpt: a pickle" in problem_of(tmp_path / "one")
    assert "v1-5.ckpt is a pickle" in problem_of(tmp_path / "one" / "v1-5.ckpt")


@pytest.mark.parametrize("junk", [None, "x", [], {}, ["x"], -1])
@pytest.mark.parametrize("key", ["in_channels", "cross_attention_dim", "sample_size", "block_out_channels"])
def test_a_configuration_of_somebody_elses_is_a_sentence(tmp_path, key, junk):
    about = model(tmp_path / "m") / "unet" / "config.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {key: junk}), encoding="utf-8")
    found = recognise(str(tmp_path / "m"))
    assert found.problems or found.notes


def test_shards_are_one_part_and_a_missing_one_is_named(tmp_path):
    folder = model(tmp_path / "m") / "unet"
    whole = recognise(str(tmp_path / "m"))
    os.rename(folder / DIFFUSERS, folder / "a-00001-of-00002.safetensors")
    save_file({"more": np.zeros((3, 7), np.float32)}, folder / "a-00002-of-00002.safetensors")
    index = {"weight_map": {"conv_in.weight": "a-00001-of-00002.safetensors", "more": "a-00002-of-00002.safetensors"}}
    (folder / f"{DIFFUSERS}.index.json").write_text(json.dumps(index), encoding="utf-8")
    found = recognise(str(tmp_path / "m"))
    assert found.problems == () and found.parameters == whole.parameters + 21
    assert [path.name[2:7] for path in found.part("unet").files] == ["00001", "00002"]
    (folder / "a-00002-of-00002.safetensors").unlink()
    assert "unet lacks 1 of 2 files that" in problem_of(tmp_path / "m")


def test_half_precision_is_taken_only_where_there_is_nothing_else(tmp_path):
    folder = model(tmp_path / "m") / "unet"
    half = "diffusion_pytorch_model.fp16.safetensors"
    save_file({"conv_in.weight": np.zeros((8, 4, 3, 3), np.float16)}, folder / half)
    both = recognise(str(tmp_path / "m")).part("unet")
    assert (both.variant, both.variants, both.files[0].name) == ("", ("", "fp16"), DIFFUSERS)
    (folder / DIFFUSERS).unlink()
    found = recognise(str(tmp_path / "m"))
    assert found.problems == () and found.notes == ("Stored in half precision only: unet.",)
    assert (found.part("unet").variant, found.part("unet").files[0].name) == ("fp16", half)


def test_parts_of_different_models_do_not_pass(tmp_path):
    write(model(tmp_path / "text") / "text_encoder", {"hidden_size": 1024}, {"w": (5, 2)}, TRANSFORMERS)
    assert "text encoder gives a width of 1024, the U-Net takes 768" in problem_of(tmp_path / "text")
    file = model(tmp_path / "channels", channels=9) / "unet" / DIFFUSERS
    save_file({"conv_in.weight": np.zeros((8, 4, 3, 3), np.float32)}, file)
    assert "tells of 9 channels, its weights file holds 4 channels" in problem_of(tmp_path / "channels")
    assert "takes 8 channels: of weights such as these, the methods here need 4 or 9" in problem_of(
        model(tmp_path / "pix2pix", channels=8)
    )
    config = {"_class_name": "AutoencoderKL", "block_out_channels": [1, 2], "latent_channels": 16}
    write(model(tmp_path / "vae") / "vae", config, {"w": (1,)}, DIFFUSERS)
    assert "VAE's latents have 16 channels, the U-Net's 4" in problem_of(tmp_path / "vae")


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"unet.up.lora_A.weight": (1,)}, "is a LoRA: small changes to a model, not a model."),
        ({"lora_te_text_model.lora_down.weight": (1,)}, "is a LoRA"),
        ({"conv_in.weight": (8, 4, 3, 3)}, "is a U-Net alone: give the folder above it."),
        ({"encoder.conv_in.weight": (2, 3, 3, 3)}, "is an autoencoder (VAE) alone"),
        ({"controlnet_cond_embedding.conv_in.weight": (1,)}, "is a ControlNet without its configuration"),
        ({"emb_params": (1, 768)}, "is a learned word (textual inversion)"),
        ({"fc.weight": (2, 2)}, "holds none of the tensors by which Stable Diffusion weights are told"),
    ],
)
def test_single_files_are_named_for_what_they_are(tmp_path, tensors, says):
    save_file({key: np.zeros(shape, np.float32) for key, shape in tensors.items()}, tmp_path / "x.safetensors")
    assert says in problem_of(tmp_path / "x.safetensors")
    assert says in problem_of(tmp_path)  # the folder around it


@pytest.mark.parametrize(
    ("channels", "xl", "pipeline"),
    [(4, False, "StableDiffusionPipeline"), (9, False, "StableDiffusionInpaintPipeline")]
    + [(4, True, "StableDiffusionXLPipeline"), (9, True, "StableDiffusionXLInpaintPipeline")],
)
def test_a_checkpoint_in_one_file_says_how_to_make_a_folder_of_it(tmp_path, channels, xl, pipeline):
    tensors = {"model.diffusion_model.input_blocks.0.0.weight": np.zeros((8, channels, 3, 3), np.float32)}
    if xl:
        tensors["conditioner.embedders.1.model.ln_final.weight"] = np.zeros(2, np.float32)
    save_file(tensors, tmp_path / "sd.safetensors")
    found = recognise(str(tmp_path / "sd.safetensors"))
    assert "checkpoint in one file" in found.problems[0] and found.channels == channels
    assert f"import {pipeline} as P" in found.command and "save_pretrained('sd')" in found.command


def test_what_is_added_to_a_model_must_fit_it(tmp_path):
    sd = recognise(str(model(tmp_path / "sd")))
    net, adapter = recognise(str(controlnet(tmp_path / "net"))), recognise(str(ip_adapter(tmp_path / "ip")))
    assert (net.family, net.version) == ("controlnet", "ControlNet for Stable Diffusion 1.x")
    assert (adapter.family, adapter.text_width, adapter.problems) == ("ip-adapter", 768, ())
    assert not net.is_model and not adapter.is_model
    assert fit(sd, net, adapter) == fit(sd, None, None) == ()
    second = recognise(str(controlnet(tmp_path / "net2", width=1024)))
    assert "ControlNet for Stable Diffusion 2.x does not fit Stable Diffusion 1.x" in fit(sd, second, None)[0]
    wide = recognise(str(ip_adapter(tmp_path / "wide", width=2048)))
    assert "made for a text width of 2048, these weights have 768" in fit(sd, None, wide)[0]
    assert "Expected IP-Adapter weights at" in fit(sd, None, net)[0]
    assert "is no model of its own" in fit(net, None, None)[0]
    other = recognise(str(ip_adapter(tmp_path / "big", embedding=1280)))
    assert "takes picture embeddings of width 1280, its image encoder gives 1024" in fit(sd, None, other)[0]
    broken = recognise(str(tmp_path / "net" / "config.json"))
    assert fit(sd, broken, None) == broken.problems  # its own sentence, once


def test_an_ip_adapter_needs_its_image_encoder_and_no_face(tmp_path):
    file = ip_adapter(tmp_path / "models")
    os.rename(tmp_path / "models" / "image_encoder", tmp_path / "image_encoder")
    assert recognise(str(file)).problems == ()  # one folder above
    os.rename(tmp_path / "image_encoder", tmp_path / "elsewhere")
    assert "ip-adapter.safetensors has no image encoder" in problem_of(file)
    save_file({"ip_adapter.1.to_k_ip.weight": np.zeros((8, 768), np.float32)}, tmp_path / "face.safetensors")
    assert "is an IP-Adapter for faces" in problem_of(tmp_path / "face.safetensors")


def test_folders_that_hold_no_model_say_where_to_look(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no diffusion weights: expected model_index.json" in problem_of(tmp_path / "empty")
    model(tmp_path / "around" / "sd15")
    assert f"lies in its sub-folder sd15: give {tmp_path / 'around' / 'sd15'}" in problem_of(tmp_path / "around")
    assert "holds one network (UNet2DConditionModel) and no model" in problem_of(tmp_path / "around" / "sd15" / "unet")
    (tmp_path / "flux" / "transformer").mkdir(parents=True)
    (tmp_path / "flux" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}', encoding="utf-8")
    assert "These are weights of FluxPipeline" in problem_of(tmp_path / "flux")
    for name in ("ip-adapter_a", "ip-adapter_b"):
        (tmp_path / "hub" / "models").mkdir(parents=True, exist_ok=True)
        (tmp_path / "hub" / "models" / f"{name}.safetensors").touch()
    assert "There are 2 weights files to choose from (models/ip-adapter_a.safetensors" in problem_of(tmp_path / "hub")


def test_models_of_pixels_and_by_example_are_told(tmp_path):
    config = {"_class_name": "UNet2DModel", "in_channels": 3, "out_channels": 3, "sample_size": 64}
    config["block_out_channels"] = [8]
    write(tmp_path / "pixels" / "unet", config, {"conv_in.weight": (8, 3, 3, 3)}, DIFFUSERS)
    (tmp_path / "pixels" / "scheduler").mkdir()
    (tmp_path / "pixels" / "scheduler" / "scheduler_config.json").write_text("{}", encoding="utf-8")
    pixels = recognise(str(tmp_path / "pixels"))
    assert (pixels.family, pixels.kind, pixels.side_px, pixels.problems) == ("ddpm", "unconditional", 64, ())
    folder = model(tmp_path / "example", channels=9, pipeline="PaintByExamplePipeline")
    os.rename(folder / "text_encoder", folder / "image_encoder")
    example = recognise(str(folder))
    assert (example.family, example.version, example.problems) == ("paint-by-example", "Paint by Example", ())
    assert "takes no ControlNet" in fit(example, recognise(str(controlnet(tmp_path / "net"))), None)[0]


def test_nothing_there_says_where_it_was_looked_for(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsUnavailable, match="got an empty text"):
        recognise("  ")
    with pytest.raises(WeightsUnavailable, match="no folder and no file at /nowhere/at/all"):
        recognise("/nowhere/at/all")
    with pytest.raises(WeightsUnavailable, match="hf download some/model --local-dir FOLDER"):
        recognise("some/model")


def test_a_hub_id_is_looked_up_in_this_machines_cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    commit = "a" * 40
    folder = tmp_path / "cache" / "models--some--model"
    model(folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit, encoding="utf-8")
    found = recognise("some/model")
    assert (found.place, found.folder.name, found.problems) == ("some/model", commit, ())


def test_the_digest_follows_the_bytes_that_are_loaded(tmp_path):
    one, copy = recognise(str(model(tmp_path / "a"))), recognise(str(model(tmp_path / "b")))
    assert digest_of(one) == digest_of(copy) and len(digest_of(one)) == 64
    (tmp_path / "b" / "README.md").write_text("x", encoding="utf-8")
    assert digest_of(recognise(str(tmp_path / "b"))) == digest_of(one)
    file = tmp_path / "b" / "vae" / DIFFUSERS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert digest_of(copy) != digest_of(one)
    net = recognise(str(controlnet(tmp_path / "net")))
    assert digest_of(one, net) not in (digest_of(one), digest_of(net))


def test_files_that_are_known_are_not_read_again(tmp_path, monkeypatch):
    found, known = recognise(str(model(tmp_path / "m"))), {}
    digest = digest_of(found, known=known)
    assert len(known) == 6  # unet, vae, text encoder, two of the tokenizer, scheduler
    read = []
    monkeypatch.setattr(weights_module, "_sha256", lambda path: read.append(path.name) or "0")
    assert digest_of(found, known=known) == digest and read == []
    os.utime(tmp_path / "m" / "unet" / DIFFUSERS, ns=(1, 1))
    assert digest_of(found, known=known) != digest and read == [DIFFUSERS]


def test_recognising_needs_neither_torch_nor_diffusers(tmp_path):
    model(tmp_path / "m")
    code = (
        "import sys; from ias_core.synthesis.pretrained.weights import recognise; "
        f"assert not recognise({str(tmp_path / 'm')!r}).problems; "
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
