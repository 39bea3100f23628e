"""SeaS over tiny weights: the loss that binds words to places, the mask network, and parts drawn in pairs."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.synthesis.pretrained import seas_binding as binding
from ias_core.synthesis.pretrained import seas_mask, seas_training
from ias_core.synthesis.pretrained.attention_maps import cross_attention_maps, token_places
from ias_core.synthesis.pretrained.finetune import finetune, noised
from ias_core.synthesis.pretrained.latents import embed, encode, round_trip
from ias_core.synthesis.pretrained.methods.seas import Seas
from ias_core.synthesis.pretrained.placeholder_words import with_words
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by, ng_sources, on

OK = pictures(3, SIDE_PX)
NETWORKS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A mask network that a CPU trains in a second."""
    for name, value in {"COARSE": (16, 8), "BLOCKS": 1, "HEADS": 2, "REFINED": 16}.items():
        monkeypatch.setattr(seas_mask, name, value)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masks(side: int = 16) -> torch.Tensor:
    """(1, 1, side, side): a square of a quarter of the sides."""
    made = torch.zeros(1, 1, side, side)
    made[..., side // 2 : side * 3 // 4, side // 4 : side // 2] = 1
    return made


# the alignment loss


def test_a_flat_map_has_a_finite_loss_that_is_known():
    """How to check (1): normalised it is 0 everywhere, so the first term is the defect's share, the second 0."""
    for side, share in ((8, 1 / 16), (4, 1 / 16)):
        loss = binding.alignment_loss(torch.full((1, 4, side, side), 0.1), torch.full((1, side, side), 0.3), masks())
        assert float(loss) == pytest.approx(share)


def test_maps_that_say_the_mask_have_no_loss_and_their_opposite_has_the_most():
    g = torch.nn.functional.adaptive_max_pool2d(masks(), 8)
    perfect = binding.alignment_loss(g.expand(1, 4, 8, 8), 1 - g[0], masks())
    opposite = binding.alignment_loss((1 - g).expand(1, 4, 8, 8), g[0], masks())
    assert float(perfect) == pytest.approx(0, abs=1e-5) and float(opposite) == pytest.approx(2, abs=1e-5)


def test_a_speck_stays_at_every_resolution_and_leaves_no_mean_of_nothing():
    speck = torch.zeros(1, 1, 512, 512)
    speck[..., 300, 41] = 1
    defect, part = torch.rand(1, 4, 16, 16, generator=seeded()), torch.rand(1, 16, 16, generator=seeded(1))
    assert math.isfinite(float(binding.alignment_loss(defect, part, speck)))
    low, high = float(part.min()), float(part.max())
    only = ((float(part[0, 300 // 32, 41 // 32]) - low) / (high - low)) ** 2
    bound = (binding.normalised(defect.mean(1)) - torch.nn.functional.adaptive_max_pool2d(speck, 16)[:, 0]).square()
    assert float(binding.alignment_loss(defect, part, speck)) == pytest.approx(float(bound.mean()) + only, rel=1e-4)


def test_order_of_the_anomaly_words_does_not_matter_and_single_words_stay_free():
    """How to check (4); the mean is bound, so weight may move between the four."""
    defect, part = torch.rand(1, 4, 8, 8, generator=seeded()), torch.rand(1, 8, 8, generator=seeded(1))
    loss = binding.alignment_loss(defect, part, masks())
    for order in ((3, 2, 1, 0), (1, 2, 3, 0)):
        assert float(binding.alignment_loss(defect[:, list(order)], part, masks())) == pytest.approx(float(loss))
    moved = defect + torch.tensor([0.3, -0.3, 0.1, -0.1])[None, :, None, None] * torch.rand(8, 8, generator=seeded(2))
    assert float(binding.alignment_loss(moved, part, masks())) == pytest.approx(float(loss), rel=1e-4)


# the words


def test_new_words_start_from_known_ones_and_nothing_else_of_the_text_changes(backend):
    before = known_by(backend)
    tokenizer, text_encoder, rows = with_words(backend, binding.STARTS)
    own = replace(backend, tokenizer=tokenizer, text_encoder=text_encoder)
    table = backend.text_encoder.get_input_embeddings().weight
    for word, row in zip(binding.STARTS, rows, strict=True):
        letters = backend.tokenizer(binding.STARTS[word], add_special_tokens=False).input_ids
        torch.testing.assert_close(row, table[letters].mean(0))
    assert torch.equal(embed(["a photo"], own), embed(["a photo"], backend))
    ids = tokenizer(binding.NG_PROMPT).input_ids
    assert [ids.index(len(backend.tokenizer) + i) for i in range(5)] == [
        token_places(tokenizer, binding.NG_PROMPT, word)[0] for word in binding.STARTS
    ]
    embed([binding.NG_PROMPT], own).sum().backward()
    assert bool(rows.grad.any()) and rows.grad.shape == (5, 16)
    assert known_by(backend) == before
    with pytest.raises(SynthesisError, match="do not know"):
        with_words(backend, {"a</w>": "object"})


def test_words_are_bound_to_the_mask(backend):
    """How to check (2), on a toy and in 15 steps instead of 100: below 0.4 before, above 0.5 after, at three noises."""
    made = seas_training.untrained(backend, seeded(), full=True)
    made.own.unet.requires_grad_(True)
    ng, _, cells = seas_training._encoded(ng_sources(1), backend)
    ok = encode(seas_training._pixels(OK[0], backend), backend)
    places = [token_places(made.own.tokenizer, binding.NG_PROMPT, word)[0] for word in binding.DEFECT]
    defect = torch.nn.functional.adaptive_max_pool2d(cells, 8)[0, 0] > 0

    def ious() -> list[float]:
        found = []
        for seed in (7, 8, 9):
            noisy, _, times = noised(ng, made.own, seeded(seed))
            with torch.no_grad(), cross_attention_maps(made.own.unet) as maps:
                made.own.unet(noisy, times, embed([binding.NG_PROMPT], made.own))
            bound = binding.normalised(binding.maps_at(maps, 8, places).mean(1))[0] > 0.5
            found.append(float((bound & defect).sum() / (bound | defect).sum()))
        return found

    assert max(ious()) < 0.4
    generator = seeded(1)
    groups = [(list(made.unet.values()), 3e-3), ([made.words], 3e-3)]
    finetune(groups, lambda: sum(binding.losses(made.own, ng, cells, ok, generator)), backend, steps=15, watch=on)
    assert min(ious()) > 0.5


# the mask network


def test_focal_loss_is_the_closed_form():
    even = torch.zeros(1, 2, 4, 4)
    assert float(seas_mask.focal_loss(even, masks(4))) == pytest.approx(0.25 * math.log(2))
    sure = torch.zeros(1, 2, 4, 4)
    sure[:, 1] = 50 * masks(4)[:, 0]
    sure[:, 0] = 50 * (1 - masks(4)[:, 0])
    assert float(seas_mask.focal_loss(sure, masks(4))) == pytest.approx(0, abs=1e-6)
    assert float(seas_mask.focal_loss(-sure, masks(4))) == pytest.approx(50, rel=1e-3)


def test_the_network_is_drawn_from_its_generator_and_answers_at_two_resolutions(backend):
    state = torch.random.get_rng_state()
    one, two, other = (seas_mask.mask_network(backend, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.coarse.weight, two.coarse.weight) and not torch.equal(one.coarse.weight, other.coarse.weight)
    assert all(bool(weight.isfinite().all()) for weight in one.parameters())
    latent, text = torch.randn(2, 4, 16, 16, generator=seeded()), embed(["a", "b"], backend)
    features = seas_mask.features_of(backend, latent, latent, torch.tensor([5]), text)
    assert [tuple(f.shape) for f in features[0]] == [(2, 16, 8, 8), (2, 16, 16, 16)]
    assert [tuple(f.shape) for f in features[1]] == [(2, 8, SIDE, SIDE)]
    coarse, fine = one(features)
    assert coarse.shape == (2, 2, 16, 16) and fine.shape == (2, 2, SIDE, SIDE)
    assert known_by(backend)["unet"].split()[-3] == "0"  # no hook is left


def test_masks_are_found_on_ng_and_none_on_ok(backend):
    """How to check (3), on real pictures of a toy: less than 1 % of the pixels of good parts."""
    made = seas_training.untrained(backend, seeded(), full=False)
    ng, at_pixels, _ = seas_training._encoded(ng_sources(2), backend)
    ok = torch.cat([encode(seas_training._pixels(image, backend), backend) for image in OK[:2]])
    seen = [seas_training.real_features(made.own, ng, ok, seeded(seed)) for seed in range(3)]
    truth, drawn = torch.cat([at_pixels, torch.zeros_like(at_pixels)]), iter(range(1000))

    def loss() -> torch.Tensor:
        coarse, fine = made.mask(seen[next(drawn) % 2])
        return seas_mask.focal_loss(fine, truth) + seas_mask.focal_loss(coarse, truth)

    finetune([(list(made.mask.parameters()), 3e-3)], loss, backend, steps=60, watch=on)
    with torch.no_grad():
        found = seas_mask.predicted(made.mask, seen[2])
    inside = at_pixels[:, 0] > 0
    assert float(found[2:].float().mean()) < 0.01
    assert float((found[:2] & inside).sum() / (found[:2] | inside).sum()) > 0.3


# fit


def test_both_parts_are_trained_and_the_shared_weights_stay(backend):
    before, state, seen = known_by(backend), torch.random.get_rng_state(), []

    def watch(step: int, steps: int, loss: float) -> bool:
        seen.append((step, steps))
        return True

    first, second = (Seas.fit(backend, ng_sources(), OK, seed=0, steps=1, watch=watch) for _ in range(2))
    assert seen == [(1, 2), (2, 2)] * 2 and known_by(backend) == before
    assert torch.equal(torch.random.get_rng_state(), state) and first.digest == second.digest
    assert first.meta["steps"] == first.meta["mask_steps"] == 1 and not first.meta["full"]
    assert first.meta["seconds"] > 0 and first.meta["sources"] == ["ng0", "ng1"]
    assert all(".lora_" in name for name in first.tensors if name.startswith("unet."))
    with torch.no_grad():
        pair = Seas(ng_sources(), backend, first, steps=2).pair(pictures(1, SIDE)[0], seeded())
    assert pair.told == {"mask": "predicted"} and pair.mask.shape == (SIDE, SIDE)


def test_stopped_before_the_mask_network_the_mask_is_where_the_pair_differs(backend):
    seen = []
    stopped = Seas.fit(backend, ng_sources(), OK, seed=0, steps=3, watch=lambda step, *_: seen.append(step) or step < 2)
    assert seen == [1, 2] and stopped.meta["steps"] == 2 and stopped.meta["mask_steps"] == 0
    assert not any(name.startswith("mask.") for name in stopped.tensors)
    method = Seas(ng_sources(), backend, stopped, steps=3)
    with torch.no_grad():
        pair = method.pair(pictures(1, SIDE)[0], seeded())
    change = np.abs(pair.painted - pair.plain).mean(2)
    assert pair.told == {"mask": "difference"} and change[pair.mask].min() > change[~pair.mask].max() - 1 / 255
    made = method(OK, count=1, seed=1)
    assert np.array_equal(made.images[0][~made.masks[0]], OK[0][~made.masks[0]])
    assert made.settings[0]["source"] == "ng0 + ng1" and made.settings[0]["nearest_ng"] in ("ng0", "ng1")


def test_one_ng_and_inpainting_weights_are_refused(backend, tmp_path):
    with pytest.raises(SynthesisError, match="at least 2 real NG"):
        Seas.fit(backend, ng_sources(1), OK, seed=0, steps=1, watch=on)
    with pytest.raises(WeightsUnavailable, match="text to image"):
        Seas.fit(tiny_backend(tmp_path, channels=9), ng_sources(), OK, seed=0, steps=1, watch=on)


# drawing


def test_a_pair_differs_by_the_words_alone(backend, monkeypatch):
    """From the same noise: with the good part's words on both sides there is no difference at all."""
    made = seas_training.untrained(backend, seeded(), full=False)
    asked = {"strength": 0.8, "guidance": 8.0, "steps": 3, "mask_known": False}
    with torch.no_grad():
        pair = seas_training.sampled(made, pictures(1, SIDE)[0], **asked, generator=seeded())
        monkeypatch.setattr(binding, "NG_PROMPT", binding.OK_PROMPT)
        same = seas_training.sampled(made, pictures(1, SIDE)[0], **asked, generator=seeded())
    assert not np.array_equal(pair.painted, pair.plain) and np.array_equal(pair.plain, same.plain)
    assert np.abs(same.painted - same.plain).max() < 1e-5 and not same.mask.any()


def test_less_noise_leaves_more_of_the_good_part(backend):
    made, canvas = seas_training.untrained(backend, seeded(), full=False), pictures(1, SIDE)[0]
    kept = round_trip(canvas, backend)
    asked = {"guidance": 1.0, "steps": 4, "mask_known": False}
    with torch.no_grad():
        away = [
            np.abs(seas_training.sampled(made, canvas, strength=s, **asked, generator=seeded()).plain - kept).mean()
            for s in (0.25, 0.5, 1.0)
        ]
    assert 0 < away[0] < away[1] < away[2]


def test_the_whole_network_is_trained_in_full_and_kept_in_half_precision(backend):
    networks = {name: copy.deepcopy(getattr(backend, name)).to(torch.bfloat16) for name in NETWORKS}
    half = replace(backend, dtype=torch.bfloat16, **networks)
    before = known_by(backend)
    fitted = Seas.fit(half, ng_sources(), OK, seed=0, steps=1, watch=on, full=True)
    kept = {name.removeprefix("unet."): one for name, one in fitted.tensors.items() if name.startswith("unet.")}
    assert kept.keys() == dict(backend.unet.named_parameters()).keys()
    assert {tensor.dtype for tensor in kept.values()} == {torch.bfloat16} and known_by(backend) == before
    with torch.no_grad():
        pair = Seas(ng_sources(), half, fitted, steps=2).pair(pictures(1, SIDE)[0], seeded())
    assert pair.painted.dtype == np.float32 and np.isfinite(pair.painted).all()
