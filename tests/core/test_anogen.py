"""AnoGen over tiny weights: one vector, boxes on the part, blending inside them."""

import cv2
import numpy as np
import pytest
import torch

from ias_core.errors import IasError, SynthesisError
from ias_core.synthesis.base import build
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.pretrained import inversion, learned_word
from ias_core.synthesis.pretrained.boxes import drawn_box
from ias_core.synthesis.pretrained.finetune import finetune
from ias_core.synthesis.pretrained.latents import ddim, embed, encode, round_trip, to_pixels
from ias_core.synthesis.pretrained.methods.anogen import AnoGen
from ias_core.synthesis.recipe import Scene, Void
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by, ng_sources, on, window

VISA = ((0.05, 0.1), (0.05, 0.1))


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def adapter(backend):
    return AnoGen.fit(backend, ng_sources(3), pictures(1, SIDE_PX), seed=0, steps=3, watch=on)


@pytest.fixture(scope="module")
def method(backend, adapter):
    return AnoGen(ng_sources(3), backend, adapter, steps=3, height_min=0.2, height_max=0.3, width_max=0.2)


def scene(part: np.ndarray | None = None, *, size_px: float | None = None, side: int = 200) -> Scene:
    return Scene(np.full((1, side, side, 3), 0.5, np.float32), 0, part, size_px, MadeTextures())


def test_outside_the_box_and_its_soft_rim_the_good_part_is_bit_exact(method):
    """How to check (1); the rim of 4 px is the driver's, for every method over these weights."""
    images = pictures(2, SIDE_PX)
    made = method(images, count=3, seed=1)
    for image, mask, parent, told in zip(made.images, made.masks, made.parents, made.settings, strict=True):
        top, left, height, width = told["box"]
        box = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        box[top : top + height, left : left + width] = 1
        reach = cv2.dilate(box, np.ones((9, 9), np.uint8)).astype(bool)
        assert np.array_equal(image[~reach], images[parent][~reach]) and (mask & box.astype(bool)).any()
        assert told["source"] == "ng0 + ng1 + ng2" and 2 <= told["guidance"] <= 10
    assert len({told["guidance"] for told in made.settings}) == 3
    assert made.textures[0] == "real NG ng0 + ng1 + ng2"


def test_one_vector_is_learned_and_no_row_of_the_vocabulary(backend, adapter):
    """How to check (2): the vector lies beside the table, which stays as it was."""
    before, state = known_by(backend), torch.random.get_rng_state()
    again = AnoGen.fit(backend, ng_sources(3), pictures(1, SIDE_PX), seed=0, steps=3, watch=on)
    assert known_by(backend) == before and torch.equal(state, torch.random.get_rng_state())
    assert again.digest == adapter.digest and {name: tuple(t.shape) for name, t in adapter.tensors.items()} == {
        "vector": (1, 16)
    }
    start = inversion.LearnedWords(backend, 1, "defect").rows
    pieces = backend.tokenizer("defect", add_special_tokens=False).input_ids
    torch.testing.assert_close(start[0], backend.text_encoder.get_input_embeddings().weight[pieces].mean(0))
    assert not torch.equal(adapter.tensors["vector"], start)
    other = AnoGen.fit(backend, ng_sources(3), pictures(1, SIDE_PX), seed=1, steps=3, watch=on)
    assert not torch.equal(other.tensors["vector"], adapter.tensors["vector"])


def test_a_training_can_be_stopped_and_says_what_it_took(backend, adapter):
    stopped = AnoGen.fit(
        backend, ng_sources(1), pictures(1, SIDE_PX), seed=0, steps=9, watch=lambda step, steps, loss: step < 2
    )
    assert (stopped.meta["steps"], stopped.meta["asked_steps"]) == (2, 9)
    assert "memorises" in stopped.meta["note"] and "note" not in adapter.meta
    assert adapter.meta["sources"] == ["ng0", "ng1", "ng2"] and len(adapter.meta["loss"]) == 3
    assert adapter.meta["seconds"] > 0 and adapter.meta["peak_memory_bytes"] > 0 and adapter.meta["seed"] == 0


def test_training_finds_a_word_that_the_weights_know(backend):
    """Latents that a prompt's own prediction explains: the loss of the learned vector comes down."""
    words = inversion.LearnedWords(backend, 1, "defect")
    latents = torch.randn(4, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    real = backend.text_encoder.get_input_embeddings().weight[7].detach()
    truth = inversion.LearnedWords.of(backend, real[None])
    time = torch.full((4,), 500)
    with torch.no_grad():
        target = backend.unet(latents, time, truth.embed("a photo of a *").expand(4, -1, -1)).sample

    def loss() -> torch.Tensor:
        prompt = words.embed("a photo of a *").expand(4, -1, -1)
        return torch.nn.functional.mse_loss(backend.unet(latents, time, prompt).sample, target)

    before = float(loss().detach())
    finetune([([words.rows], 0.05)], loss, backend, steps=10, watch=on)
    assert float(loss().detach()) < 0.8 * before


# How to check (4)


@pytest.mark.parametrize("shares", [VISA, ((0.2, 0.25), (0.25, 0.8))])
def test_every_accepted_box_lies_on_the_part_and_in_its_range(shares):
    y, x = np.mgrid[:200, :200] - 99.5
    part = np.hypot(y, x) < 70
    sides = []
    for seed in range(60):
        box = drawn_box(scene(part), np.random.default_rng(seed), shares=shares, swapped=True)
        mask = box.mask(200)
        assert mask.sum() == box.height * box.width  # whole in the picture
        assert part[mask].mean() > 0.75 and box.on_part == pytest.approx(part[mask].mean())
        sides.append((box.height, box.width))
    low, high = sorted(shares), [max(s) for s in zip(*sides, strict=True)]
    assert min(min(sides)) >= 200 * low[0][0] - 1 and max(high) <= 200 * max(high for _, high in shares) + 1
    assert {h > w for h, w in sides} == {True, False}


def test_boxes_have_the_asked_area_and_keep_their_order_where_they_may_not_turn():
    shares = ((0.1, 0.1), (0.4, 0.4))
    for seed in range(10):
        box = drawn_box(scene(size_px=40), np.random.default_rng(seed), shares=shares, swapped=False)
        assert box.height * box.width == pytest.approx(np.pi * 400, rel=0.05)
        assert box.width / box.height == pytest.approx(4, rel=0.07)


def test_a_part_that_is_smaller_than_the_box_is_given_up_and_told():
    part = np.zeros((200, 200), bool)
    part[100:104, 100:104] = True
    with pytest.raises(Void, match="100 boxes .* less than 75% on the part"):
        drawn_box(scene(part), np.random.default_rng(0), shares=VISA, swapped=True)


def test_the_reason_reaches_the_user(method):
    part = np.zeros((1, SIDE_PX, SIDE_PX), bool)
    part[0, 20:23, 20:23] = True
    with pytest.raises(SynthesisError, match="it may be smaller than they"):
        method(pictures(1, SIDE_PX), count=1, seed=0, foregrounds=part)


# How to check (5), and what is painted


def test_same_seed_same_bytes(method):
    images = pictures(1, SIDE_PX)
    made, again, other = (method(images, count=1, seed=seed) for seed in (4, 4, 5))
    assert made.images.tobytes() == again.images.tobytes() and made.images.tobytes() != other.images.tobytes()


def paint(adapter, backend, guidance: float, target: np.ndarray, steps: int = 1) -> np.ndarray:
    with torch.no_grad():
        return learned_word.painted(
            adapter.tensors["vector"],
            window().canvas,
            target,
            backend,
            steps=steps,
            guidance=guidance,
            generator=torch.Generator().manual_seed(2),
        )


def test_without_a_box_the_canvas_comes_back_through_the_autoencoder(adapter, backend):
    none = np.zeros((SIDE, SIDE), bool)
    np.testing.assert_allclose(paint(adapter, backend, 10.0, none), round_trip(window().canvas, backend), atol=1e-6)


def test_guidance_goes_from_no_prompt_to_the_learned_one_and_beyond(adapter, backend, monkeypatch):
    """One step of DDIM by hand: inside the box the guided noise, outside the canvas's own latent."""
    latents = []
    monkeypatch.setattr(
        learned_word, "decode", lambda latent, backend: latents.append(latent) or torch.zeros(1, 3, SIDE, SIDE)
    )
    paint(adapter, backend, 7.0, window().target)
    generator, scheduler = torch.Generator().manual_seed(2), ddim(backend, 1)
    clean = encode(to_pixels(window().canvas, SIDE, backend), backend)
    inside = torch.nn.functional.max_pool2d(torch.from_numpy(window().target).float()[None, None], 2)
    latent, noise = (torch.randn(clean.shape, generator=generator) for _ in range(2))
    (time,) = scheduler.timesteps
    left = scheduler.alphas_cumprod[time]
    latent = inside * latent + (1 - inside) * (left.sqrt() * clean + (1 - left).sqrt() * noise)
    prompt = inversion.LearnedWords.of(backend, adapter.tensors["vector"]).embed("*")
    with torch.no_grad():
        none, asked = (backend.unet(latent, time, text).sample for text in (embed([""], backend), prompt))
    wanted = scheduler.step(none + 7.0 * (asked - none), time, latent).prev_sample
    torch.testing.assert_close(latents[0], inside * wanted + (1 - inside) * clean, rtol=1e-4, atol=1e-4)
    assert (7.0 * (asked - none)).abs().max() > 0.01


def test_the_prompt_is_the_vector_alone(adapter, backend):
    words = inversion.LearnedWords.of(backend, adapter.tensors["vector"])
    prompt, empty = words.embed("*"), embed([""], backend)
    assert prompt.shape == empty.shape and words.places("*") == [1]
    assert torch.equal(prompt[:, 0], empty[:, 0]) and not torch.equal(prompt[:, 1], empty[:, 1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"guidance_min": 5.0, "guidance_max": 4.0},
        {"height_min": 0.0},
        {"width_min": 0.3},
        {"height_max": 1.5},
    ],
)
def test_ranges_that_are_none_are_refused(wrong):
    with pytest.raises(IasError, match="expected"):
        AnoGen(**wrong)


def test_nothing_is_drawn_without_a_training(backend):
    with pytest.raises(SynthesisError, match="a training on your NG"):
        build("anogen", {"sources": ng_sources(), "backend": backend})
