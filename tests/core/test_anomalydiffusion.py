"""AnomalyDiffusion over tiny weights: the two embeddings, the loss inside the mask, the re-weighting, the masks."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, build
from ias_core.synthesis.measures import equivalent_diameter_px
from ias_core.synthesis.pretrained import anomaly_embedding, inversion, mask_inversion, views
from ias_core.synthesis.pretrained.attention_maps import token_places
from ias_core.synthesis.pretrained.latents import blended, ddim, decode, encode, latent_mask, to_picture, to_pixels
from ias_core.synthesis.pretrained.methods.anomalydiffusion import AnomalyDiffusion
from ias_core.synthesis.pretrained.reweighting import Reweighted, adaptive_weights
from ias_core.synthesis.pretrained.spatial_encoder import SpatialEncoder
from ias_core.synthesis.recipe import Void
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by, ng_sources, on, window

STEPS = 4


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def adapter(backend):
    return AnomalyDiffusion.fit(backend, ng_sources(), pictures(2, SIDE_PX), seed=0, steps=4, watch=on)


def painted(adapter, backend, *, target=None, most_weight=1.0, seed=5):
    where = window()
    with torch.no_grad():
        return anomaly_embedding.painted(
            adapter.tensors,
            where.canvas,
            where.target if target is None else target,
            backend,
            steps=STEPS,
            most_weight=most_weight,
            generator=torch.Generator().manual_seed(seed),
        )


# How to check (1) to (3)


@pytest.mark.parametrize("most_weight", [1.0, 1.5])
def test_without_a_mask_the_good_part_comes_back_through_the_autoencoder(adapter, backend, most_weight):
    where = window()
    with torch.no_grad():
        through = decode(encode(to_pixels(where.canvas, SIDE, backend), backend), backend)
    none = np.zeros_like(where.target)
    assert np.array_equal(painted(adapter, backend, target=none, most_weight=most_weight), to_picture(through, SIDE))


def test_the_loss_has_no_gradient_outside_the_mask_and_one_inside():
    generator = torch.Generator().manual_seed(0)
    latent, target = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, 2:4, 2:4] = mask[1, :, 5:, 1:3] = 1
    latent.requires_grad_()
    anomaly_embedding.masked_loss(torch.tanh(latent), target, mask).backward()  # a predictor that mixes no places
    inside = mask.expand_as(latent) > 0
    assert (latent.grad[~inside] == 0).all() and (latent.grad[inside] != 0).all()


def test_the_loss_is_the_mean_squared_error_of_the_values_inside():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, :2] = 1
    predicted, target = torch.zeros(1, 4, 4, 4), torch.full((1, 4, 4, 4), 100.0)
    target[..., 0, 0], target[..., 0, 1] = 1.0, 3.0
    assert float(anomaly_embedding.masked_loss(predicted, target, mask)) == pytest.approx(5.0)


def test_at_weight_one_it_is_plain_blended_sampling(adapter, backend):
    where = window()
    clean = encode(to_pixels(where.canvas, SIDE, backend), backend)
    prompt, _ = anomaly_embedding.condition(adapter.tensors, where.target, backend)
    generator, scheduler = torch.Generator().manual_seed(5), ddim(backend, STEPS)
    with torch.no_grad():
        latent = blended(
            lambda latent, time, step: backend.unet(latent, time, prompt).sample,
            scheduler,
            scheduler.timesteps,
            torch.randn(clean.shape, generator=generator),
            clean,
            latent_mask(where.target, SIDE, backend),
            generator=generator,
        )
        plain = to_picture(decode(latent, backend), SIDE)
    assert np.array_equal(painted(adapter, backend), plain)
    assert np.abs(painted(adapter, backend, most_weight=3.0) - plain)[where.target].max() > 1e-4


def test_the_written_out_attention_with_weights_of_one_is_the_fused_one(adapter, backend):
    prompt, places = anomaly_embedding.condition(adapter.tensors, window().target, backend)
    latent, time = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor(500)
    prompt = prompt.expand(2, -1, -1)
    unet = Reweighted(backend.unet, places)
    with torch.no_grad():
        usual, same = backend.unet(latent, time, prompt).sample, unet(latent, time, prompt).sample
        unet.weights = torch.full((1, 1, 16, 16), 1.5)
        more = unet(latent, time, prompt).sample
    torch.testing.assert_close(same, usual, rtol=1e-4, atol=1e-5)
    assert (more - usual).abs().max() > 1e-4


# re-weighting


def test_weights_are_the_inverse_distance_with_mean_one_before_the_clamp():
    clean = torch.zeros(1, 4, 2, 2)
    latent = torch.tensor([1.0, 2.0, 2.0, 9.0]).sqrt().reshape(1, 1, 2, 2).expand(1, 4, 2, 2)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    # 1 / d = 1, 1/2, 1/2 inside: mean 2/3, so 1.5, 0.75, 0.75
    weights = adaptive_weights(latent, clean, mask, 2.0)
    torch.testing.assert_close(weights.flatten(), torch.tensor([1.5, 1.0, 1.0, 1.0]), rtol=1e-5, atol=0)
    assert float(adaptive_weights(latent, clean, mask, 1.2).max()) == pytest.approx(1.2)
    assert (adaptive_weights(latent, clean, mask, 1.0) == 1).all()


def test_only_the_named_tokens_have_their_logits_scaled_and_only_where_the_weight_is_not_one(backend):
    """Against attention by hand: softmax of logits with the tokens' columns scaled, place by place."""
    unet = Reweighted(backend.unet, [1, 3])
    processors = unet._unet.attn_processors
    name = next(key for key in processors if key.endswith("attn2.processor"))
    attn = unet._unet.get_submodule(name.removesuffix(".processor"))
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(1, 16, attn.to_q.in_features, generator=generator)
    text = torch.randn(1, 5, 16, generator=generator)
    unet.weights = torch.ones(1, 1, 4, 4)
    unet.weights[..., 1, 2] = 1.4
    with torch.no_grad():
        got = attn(hidden, text)
        query, key, value = (
            part.reshape(-1, attn.heads, part.shape[-1] // attn.heads).transpose(0, 1)
            for part in (attn.to_q(hidden)[0], attn.to_k(text)[0], attn.to_v(text)[0])
        )
        logits = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5
        logits[:, 1 * 4 + 2, [1, 3]] *= 1.4
        wanted = attn.to_out[0]((logits.softmax(-1) @ value).transpose(0, 1).flatten(1))
    torch.testing.assert_close(got[0], wanted, rtol=1e-4, atol=1e-5)


def test_structural_defects_are_not_re_weighted(adapter, backend):
    method = AnomalyDiffusion(ng_sources(), backend, adapter, steps=STEPS)
    with torch.no_grad():
        weighted, structural, off = (
            one.paint(window(), torch.Generator().manual_seed(5))
            for one in (method, replace(method, structural=True), replace(method, most_weight=1.0))
        )
    assert np.array_equal(structural, off) and not np.array_equal(weighted, off)


# the embeddings


def test_the_prompt_is_text_with_four_tokens_then_four_of_the_mask(adapter, backend):
    left, right = window(left=2).target, window(left=18).target
    (one, places), (other, _) = (anomaly_embedding.condition(adapter.tensors, t, backend) for t in (left, right))
    length = backend.tokenizer.model_max_length
    assert one.shape == (1, length + 4, 16) and len(places) == 8
    assert places[4:] == [length, length + 1, length + 2, length + 3] and max(places[:4]) < length
    assert torch.equal(one[:, :length], other[:, :length]) and not torch.equal(one[:, length:], other[:, length:])
    swapped = adapter.tensors | {"look": adapter.tensors["look"] + 1}
    changed, _ = anomaly_embedding.condition(swapped, left, backend)
    assert torch.equal(one[:, length:], changed[:, length:]) and not torch.equal(one[:, :length], changed[:, :length])


def test_learned_words_are_rows_of_the_table_in_effect(backend):
    """One vector in the place of * gives what the encoder gives for a word whose row holds that vector."""
    vector = torch.linspace(-1, 1, 16)[None]
    words = inversion.LearnedWords.of(backend, vector)
    letter = backend.tokenizer("~", add_special_tokens=False).input_ids[0]
    table = backend.text_encoder.get_input_embeddings().weight
    before = table.data[letter].clone()
    try:
        table.data[letter] = vector[0]
        text = backend.tokenizer(
            "a photo of a ~", padding="max_length", max_length=backend.tokenizer.model_max_length, return_tensors="pt"
        ).input_ids
        wanted = backend.text_encoder(text)[0]
    finally:
        table.data[letter] = before
    assert torch.equal(words.embed("a photo of a *"), wanted)
    assert words.places("a photo of a *") == token_places(backend.tokenizer, "a photo of a ~", "~")


def test_the_spatial_encoder_tells_places_apart_and_starts_from_its_generator():
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, 4:12, 4:12] = masks[1, :, 4:12, 20:28] = 1
    state = torch.random.get_rng_state()
    first, again, other = (SpatialEncoder(16, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    with torch.no_grad():
        seen, loaded = first(masks), SpatialEncoder.of(16, first.state_dict())(masks)
        assert seen.shape == (2, 4, 16) and torch.equal(seen, loaded) and torch.equal(seen, again(masks))
        assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen, other(masks))


# training


def test_training_changes_nothing_of_the_weights_and_follows_from_its_seed(backend, adapter):
    before, state = known_by(backend), torch.random.get_rng_state()
    seen = []
    again = AnomalyDiffusion.fit(
        backend, ng_sources(), pictures(2, SIDE_PX), seed=0, steps=4, watch=lambda *told: seen.append(told[:2]) or True
    )
    assert seen == [(i, 4) for i in (1, 2, 3, 4)]  # counted through both stages
    assert known_by(backend) == before and torch.equal(state, torch.random.get_rng_state())
    assert again.digest == adapter.digest
    start = inversion.LearnedWords(backend, 4, "anomaly").rows
    assert not torch.equal(adapter.tensors["look"], start) and not adapter.tensors["look"].requires_grad
    assert {"steps", "seconds", "loss", "peak_memory_bytes", "sources", "seed"} <= set(adapter.meta)
    assert (adapter.meta["steps"], adapter.meta["mask_steps"]) == (4, 1) and adapter.meta["peak_memory_bytes"] > 0


def test_a_stopped_training_keeps_what_it_has_but_no_mask_generator(backend):
    seen = []

    def watch(step, steps, loss):
        seen.append((step, steps))
        return step < 2

    stopped = AnomalyDiffusion.fit(backend, ng_sources(), pictures(2, SIDE_PX), seed=0, steps=8, watch=watch)
    assert seen == [(1, 8), (2, 8)] and (stopped.meta["steps"], stopped.meta["mask_steps"]) == (2, 0)
    method = AnomalyDiffusion(ng_sources(), backend, stopped, mask_from="generated")
    with pytest.raises(SynthesisError, match="before it came to masks"):
        method(pictures(1, SIDE_PX), count=1, seed=0)


def test_defects_below_a_cell_and_single_ng_are_refused(backend):
    mask = np.zeros((64, 64), bool)
    mask[30:37, 30:34] = True
    with pytest.raises(SynthesisError, match="defect below 8 px"):
        views.check_cells(mask, 8, "ng")
    mask[37] = mask[36]
    views.check_cells(mask, 8, "ng")
    with pytest.raises(SynthesisError, match="at least 2 real NG"):
        AnomalyDiffusion.fit(backend, ng_sources(1), pictures(1, SIDE_PX), seed=0, steps=1, watch=on)


def test_views_show_the_whole_defect_at_many_places():
    small = ng_sources(1)[0]
    large = NgSource("ng", np.tile(small.image, (4, 4, 1)), np.pad(small.mask, (64, 128)))
    seen = views.views([large], side_px=48, cell_px=2, rng=np.random.default_rng(0), per_ng=12)
    areas = seen.masks.sum((1, 2))
    assert seen.pictures.shape == (12, 48, 48, 3) and areas.min() > 0.6 * areas.max() and seen.parts.all()
    middles = np.array([np.argwhere(mask).mean(0) for mask in seen.masks])
    assert np.abs(middles[0] - 23.5).max() < 2 and middles.std(0).min() > 4


class ToyAutoencoder:
    """Latents are the pixels' own means over 2 x 2, grey as the fourth channel."""

    config = SimpleNamespace(scaling_factor=1.0, block_out_channels=(1, 1))
    dtype = torch.float32

    def encode(self, pixels):
        cells = torch.nn.functional.avg_pool2d(pixels, 2)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: torch.cat([cells, cells.mean(1, True)], 1)))


class ToyUNet(torch.nn.Module):
    """The clean latent it sees is a spot of a colour, told by the text, at a place, told by what follows the text."""

    def __init__(self, backend) -> None:
        super().__init__()
        self.scheduler, self.length = ddim(backend, 1), backend.tokenizer.model_max_length
        generator = torch.Generator().manual_seed(0)
        self.colours = torch.randn(16, 4, generator=generator)
        self.axes = torch.linalg.qr(torch.randn(16, 2, generator=generator))[0]
        at = torch.linspace(-1, 1, 16)
        self.at = torch.stack(torch.meshgrid(at, at, indexing="ij"), -1)  # (16, 16, 2)

    def clean(self, prompt):
        text, where = prompt[:, : self.length], prompt[:, self.length :]
        middle = torch.tanh(where.mean(1) @ self.axes)  # (n, 2)
        away = ((self.at - middle[:, None, None]) ** 2).sum(-1)
        return torch.exp(-away)[:, None] * (text.mean(1) @ self.colours)[:, :, None, None]

    def forward(self, latent, time, prompt):
        left = self.scheduler.alphas_cumprod[time].reshape(-1, 1, 1, 1)
        return SimpleNamespace(sample=(latent - left.sqrt() * self.clean(prompt)) / (1 - left).sqrt())


def test_swapping_the_place_moves_the_defect_and_swapping_the_look_changes_it(backend, monkeypatch):
    """How to check (5), on a toy that draws what it is told and has to be taught what to tell it."""
    monkeypatch.setattr(anomaly_embedding, "_ENCODER_RATE", 3e-3)
    toy = replace(backend, unet=ToyUNet(backend), vae=ToyAutoencoder())
    masks = [window(top=top, left=left).target for top, left in ((2, 2), (18, 18))]
    learned = {}
    for name, colour in (("bright", 1.0), ("dark", 0.0)):
        picture = np.full((SIDE, SIDE, 3), 0.5, np.float32)
        made = [NgSource(name, np.where(mask[..., None], np.float32(colour), picture), mask) for mask in masks]
        learned[name], _ = anomaly_embedding.learn_embeddings(toy, made, seed=0, steps=30, watch=on)

    def seen(look: str, mask: np.ndarray) -> tuple[np.ndarray, float]:
        """Middle of the spot in cells, and its colour."""
        prompt, _ = anomaly_embedding.condition(learned["bright"] | {"look": learned[look]["look"]}, mask, toy)
        with torch.no_grad():
            spot = toy.unet.clean(prompt)[0].mean(0).numpy()
        return np.argwhere(np.abs(spot) == np.abs(spot).max())[0], float(spot[np.abs(spot) == np.abs(spot).max()][0])

    (here, bright), (there, _), (other, dark) = (
        seen(*asked) for asked in (("bright", masks[0]), ("bright", masks[1]), ("dark", masks[0]))
    )
    assert (there - here > 3).all()  # down and to the right, as the masks are
    assert np.array_equal(other, here) and bright > 0.3 and dark < -0.3


# masks


def test_generated_masks_need_no_more_than_a_third_of_any_side():
    mask = np.zeros((30, 30), bool)
    assert not mask_inversion.usable(mask)
    mask[10:20, 10:20] = True
    assert mask_inversion.usable(mask)
    mask[:10, 0] = True
    assert mask_inversion.usable(mask)  # exactly a third of the left side
    mask[10, 0] = True
    assert not mask_inversion.usable(mask)
    assert not mask_inversion.usable(np.rot90(mask))


def test_generated_masks_follow_from_their_seed(adapter, backend):
    made = [
        mask_inversion.generated(
            adapter.tensors["masks"], backend, generator=torch.Generator().manual_seed(seed), steps=2
        )
        for seed in (1, 1)
    ]
    assert made[0].shape == (SIDE, SIDE) and made[0].dtype == bool and np.array_equal(*made)


def test_a_generated_form_is_laid_at_the_asked_size(adapter, backend, monkeypatch):
    def disc(vectors, backend, *, generator):
        y, x = np.mgrid[:SIDE, :SIDE] - 15.5
        return np.hypot(y, x) < 8

    monkeypatch.setattr(mask_inversion, "generated", disc)
    method = AnomalyDiffusion(ng_sources(), backend, adapter, steps=2, mask_from="generated")
    from ias_core.synthesis.made_textures import MadeTextures
    from ias_core.synthesis.recipe import Scene

    part = np.zeros((SIDE_PX, SIDE_PX), bool)
    part[:, 10:] = True
    scene = Scene(pictures(1, SIDE_PX), 0, part, 14.0, MadeTextures())
    for seed in range(4):
        placed = method.placed(scene, np.random.default_rng(seed))
        assert not (placed.mask & ~part).any() and placed.told["source"] == "ng0 + ng1"
        assert equivalent_diameter_px(placed.mask) == pytest.approx(14, rel=0.15)
    monkeypatch.setattr(mask_inversion, "generated", lambda *_, **__: np.zeros((SIDE, SIDE), bool))
    with pytest.raises(Void, match="generated masks"):
        method.placed(scene, np.random.default_rng(0))


# the whole method


def test_defects_are_drawn_as_the_registry_promises(adapter, backend):
    before, images = known_by(backend), pictures(2, SIDE_PX)
    given = {"sources": ng_sources(), "backend": backend, "adapter": adapter, "steps": 2}
    method = build("anomalydiffusion", given)
    made, again = (method(images, count=2, seed=3) for _ in range(2))
    assert np.array_equal(made.images, again.images) and known_by(backend) == before
    for image, mask, parent, told in zip(made.images, made.masks, made.parents, made.settings, strict=True):
        assert np.array_equal(image[~mask], images[parent][~mask]) and mask.sum() >= 4
        assert told["source"] in ("ng0", "ng1") and told["mask_from"] == "real"
    with pytest.raises(SynthesisError, match="training of anomalydiffusion was made over weights"):
        method_over_others = replace(method, backend=replace(backend, digest="1" * 64))
        method_over_others(images, count=1, seed=0)
