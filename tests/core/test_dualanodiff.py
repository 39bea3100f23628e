"""DualAnoDiff over tiny weights: two frames that know of each other; and what methods that draw whole parts share."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from ias_core.errors import ShapeError, SynthesisError, WeightsUnavailable
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.pretrained import dualanodiff_training as training
from ias_core.synthesis.pretrained import lora
from ias_core.synthesis.pretrained.dualanodiff_coupling import couple, coupling
from ias_core.synthesis.pretrained.finetune import noised
from ias_core.synthesis.pretrained.latents import embed, encode, to_pixels
from ias_core.synthesis.pretrained.methods import dualanodiff
from ias_core.synthesis.pretrained.methods.dualanodiff import DualAnoDiff
from ias_core.synthesis.pretrained.whole import Pair, Whole, nearest, otsu
from ias_core.synthesis.pretrained.windows import resized
from ias_core.synthesis.recipe import Scene
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by, ng_sources, on

OK = pictures(2, SIDE_PX)
NETWORKS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dualanodiff, "BATCH", 1)
        yield


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def adapter(backend):
    return DualAnoDiff.fit(backend, ng_sources(), OK, seed=0, steps=2, watch=on)


@pytest.fixture(scope="module")
def method(backend, adapter):
    return DualAnoDiff(ng_sources(), backend, adapter, steps=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# the coupling


def frames_apart(unet: torch.nn.Module) -> bool:
    """Whether frame 1 is told the same whatever the noise in frame 2, and frame 2 whatever it is in frame 1."""
    part, one, other = (torch.randn(1, 4, 16, 16, generator=seeded(seed)) for seed in (1, 2, 3))
    text = torch.randn(2, 16, 16, generator=seeded(4))
    with torch.no_grad():
        first = [unet(torch.cat([part, defect]), 5, text).sample[0] for defect in (one, other)]
        second = [unet(torch.cat([noise, one]), 5, text).sample[1] for noise in (part, other)]
    same = torch.equal(*first), torch.equal(*second)
    assert same[0] == same[1]
    return same[0]


def test_frames_are_independent_until_the_coupling_is_trained(backend, method):
    """How to check (1)."""
    before, state = known_by(backend), torch.random.get_rng_state()
    fresh = lora.private(backend.unet)
    couple(fresh, seeded())
    assert frames_apart(backend.unet) and frames_apart(fresh)
    latent, text = torch.randn(4, 4, 16, 16, generator=seeded()), torch.randn(4, 16, 16, generator=seeded(1))
    with torch.no_grad():
        assert torch.equal(fresh(latent, 5, text).sample, backend.unet(latent, 5, text).sample)
    assert not frames_apart(method.trained().unet)
    assert known_by(backend) == before and torch.equal(torch.random.get_rng_state(), state)


def test_only_the_two_frames_of_a_pair_look_at_each_other_and_only_at_the_same_place(backend):
    """By hand: a layer whose self-attention is the identity, with random couplings."""
    unet = lora.private(backend.unet)
    couple(unet, seeded())
    one = next(iter(unet.attn_processors.values()))
    assert len(coupling(unet)) == 4 * sum(name.endswith("attn1.processor") for name in unet.attn_processors)
    torch.nn.init.normal_(one.out.weight, generator=seeded(1))
    one.before = lambda attn, hidden: hidden
    hidden = torch.randn(4, 9, one.out.out_features, generator=seeded(2))  # two pairs, nine places
    with torch.no_grad():
        plain = one(None, hidden)
        for changed, felt in (((1, 3), {(0, 3), (1, 3)}), ((2, 8), {(2, 8), (3, 8)})):
            other = hidden.clone()
            other[changed] += 1
            differs = (one(None, other) - plain).abs().amax(2) > 1e-6
            assert {tuple(place) for place in differs.nonzero().tolist()} == felt


# pairs and loss


def test_the_fill_is_the_corner_of_the_cube_that_is_farthest_from_the_defects():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    for colour in ((0.2, 0.9, 0.45), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (0.8, 0.7, 0.9)):
        image = np.where(mask[..., None], np.float32(colour), np.float32(0.5))
        fill = training.fill_of((NgSource("ng", image, mask),))
        corners = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1).T
        away = np.linalg.norm(corners - np.array(colour), axis=1)
        assert np.linalg.norm(fill - np.array(colour)) == pytest.approx(away.max())
        frame = training.alone(NgSource("ng", image, mask), fill)
        assert np.array_equal(frame[mask], image[mask]) and (frame[~mask] == fill).all()


def test_a_pair_has_one_time_and_two_noises(backend):
    latents = training.pairs(ng_sources(), np.ones(3, np.float32), backend)
    assert latents.shape == (2, 2, 4, 16, 16)
    for i, source in enumerate(ng_sources()):
        whole, defect = (to_pixels(resized(one, SIDE), SIDE, backend) for one in (source.image, _on_white(source)))
        torch.testing.assert_close(latents[i], torch.cat([encode(whole, backend), encode(defect, backend)]))
    flat = latents.flatten(0, 1)
    _, noise, times = noised(flat, backend, seeded(), together=2)
    assert times[0] == times[1] and times[2] == times[3] and times[0] != times[2]
    assert not torch.equal(noise[0], noise[1])


def _on_white(source: NgSource) -> np.ndarray:
    picture = np.ones_like(source.image)
    picture[source.mask] = source.image[source.mask]
    return picture


def test_the_loss_is_the_sum_of_the_errors_in_both_frames(backend, monkeypatch):
    own = training.untrained(backend, seeded())
    clean = training.pairs(ng_sources(), np.ones(3, np.float32), backend)
    found = float(training.loss(own, clean, seeded(1)).detach())
    noisy, noise, times = noised(clean.flatten(0, 1), backend, seeded(1), together=2)
    with torch.no_grad():
        errors = [
            float(torch.nn.functional.mse_loss(backend.unet(one[None], time, embed([text], backend)).sample[0], target))
            for one, time, text, target in zip(noisy, times, training.NG_PROMPTS * 2, noise, strict=True)
        ]
    assert found == pytest.approx((errors[0] + errors[2]) / 2 + (errors[1] + errors[3]) / 2, rel=1e-4)


# fit


def test_a_training_leaves_the_shared_weights_and_warns_of_few_ng(backend, adapter, tmp_path):
    before, state, seen = known_by(backend), torch.random.get_rng_state(), []
    again = DualAnoDiff.fit(backend, ng_sources(), OK, seed=0, steps=2, watch=on)
    stopped = DualAnoDiff.fit(
        backend, ng_sources(3), OK, seed=0, steps=5, watch=lambda step, steps, loss: seen.append((step, steps))
    )
    assert again.digest == adapter.digest != stopped.digest
    assert known_by(backend) == before and torch.equal(torch.random.get_rng_state(), state)
    assert seen == [(1, 5)] and stopped.meta["steps"] == 1 and "note" not in stopped.meta
    assert "will reproduce the given images" in adapter.meta["note"] and adapter.meta["fill"] == [1.0, 1.0, 1.0]
    assert adapter.meta["seconds"] > 0 and adapter.meta["peak_memory_bytes"] > 0
    assert {name.split(".")[0] for name in adapter.tensors} == {"unet", "text_encoder", "coupling"}
    from_zero = [one for name, one in adapter.tensors.items() if ".lora_B." in name or name.endswith("out.weight")]
    assert all(bool(one.any()) for one in from_zero)
    with pytest.raises(WeightsUnavailable, match="text to image"):
        DualAnoDiff.fit(tiny_backend(tmp_path, channels=9), ng_sources(), OK, seed=0, steps=1, watch=on)


# drawing


def test_the_mask_is_the_defect_frame_and_the_twin_has_an_empty_one(method, monkeypatch):
    """What the U-Net is shown: the twin's second frame is the flat fill at every time, its first the same noise."""
    seen, decoded = [], []
    own = method.trained()
    forward, decode = own.unet.forward, training.decode

    def watched(latent: torch.Tensor, time: torch.Tensor, text: torch.Tensor):
        seen.append((latent, text))
        return forward(latent, time, text)

    monkeypatch.setattr(own.unet, "forward", watched)
    monkeypatch.setattr(training, "decode", lambda latent, own: decoded.append(decode(latent, own)) or decoded[-1])
    fill = np.ones(3, np.float32)
    with torch.no_grad():
        pair = training.sampled(own, fill, steps=3, guidance=2.5, generator=seeded())
    empty = encode(to_pixels(np.ones((SIDE, SIDE, 3), np.float32), SIDE, own), own)
    scheduler = training.ddim(own, 3)
    noise = seen[0][0][1:2]
    for time, (latent, text) in zip(scheduler.timesteps, seen, strict=True):
        assert torch.equal(latent[:4], latent[4:]) and text.shape[0] == 8
        torch.testing.assert_close(latent[3:4], scheduler.add_noise(empty, noise, time[None]))
    assert torch.equal(seen[0][0][0], seen[0][0][2]) and not torch.equal(seen[0][0][0], seen[0][0][1])
    asked = embed([*training.NG_PROMPTS, *training.OK_PROMPTS], own)
    torch.testing.assert_close(seen[0][1][4:], asked)
    defect = training.to_picture(decoded[1], SIDE)
    assert np.array_equal(pair.mask, otsu(np.abs(defect - fill).mean(2))) and pair.mask.any()
    change = otsu(np.abs(pair.painted - pair.plain).mean(2))
    both, all_ = np.count_nonzero(pair.mask & change), pair.mask.sum() + change.sum()
    assert pair.told["dice_with_difference"] == pytest.approx(2 * both / all_, abs=1e-3)  # how to check (2)


def test_the_same_seed_draws_the_same_and_the_good_part_stays_outside(method):
    made, again = (method(OK, count=1, seed=1) for _ in range(2))
    assert np.array_equal(made.images, again.images) and np.array_equal(made.masks, again.masks)
    assert np.array_equal(made.images[0][~made.masks[0]], OK[0][~made.masks[0]])
    told = made.settings[0]
    assert told["source"] == "ng0 + ng1" and told["trained_steps"] == 2 and told["nearest_ng_grey_levels"] > 0
    with pytest.raises(ShapeError, match="no size of its own"):
        method(OK, count=1, seed=1, size_px=10)


def test_half_precision_trains_and_draws(backend):
    networks = {name: copy.deepcopy(getattr(backend, name)).to(torch.bfloat16) for name in NETWORKS}
    half = replace(backend, dtype=torch.bfloat16, **networks)
    fitted = DualAnoDiff.fit(half, ng_sources(), OK, seed=0, steps=1, watch=on)
    assert {tensor.dtype for tensor in fitted.tensors.values()} == {torch.float32}
    with torch.no_grad():
        pair = DualAnoDiff(ng_sources(), half, fitted, steps=1).pair(OK[0], seeded())
    assert pair.painted.dtype == np.float32 and np.isfinite(pair.painted).all()


# whole parts


@dataclass(frozen=True, slots=True)
class Known(Whole):
    """Draws a flat part with a square of what it is told, after some that are nothing."""

    answers: Callable[[torch.Generator], tuple[int, float]] = field(default=lambda generator: (8, 0.3))

    name = "known"
    needs = ("sources",)

    def pair(self, canvas: np.ndarray, generator: torch.Generator) -> Pair:
        side, change = self.answers(generator)
        mask = np.zeros(canvas.shape[:2], bool)
        mask[4 : 4 + side, 4 : 4 + side] = True
        plain = np.full(canvas.shape, 0.4, np.float32)
        return Pair(plain + np.float32(change) * mask[..., None], plain, mask, {"told": side})


def known(backend, **other) -> Known:
    return Known(ng_sources(), backend, **other)


def scene(picture: np.ndarray = OK[0]) -> Scene:
    return Scene(picture[None], 0, None, None, MadeTextures())


def test_only_the_difference_of_the_pair_comes_on_the_good_part_and_severity_is_its_share(backend):
    ladder = [known(backend).draw(scene(), severity, np.random.default_rng(0)) for severity in (0.0, 0.5, 1.0)]
    core = np.zeros((SIDE_PX, SIDE_PX), bool)
    core[12:20, 12:20] = True  # twice the side of the backend's: well inside the square
    for severity, draw in zip((0.0, 0.5, 1.0), ladder, strict=True):
        change = draw.picture - OK[0]
        np.testing.assert_allclose(change[core], np.clip(0.3 * severity, 0, 1 - OK[0][core]), atol=1e-5)
        assert np.array_equal(draw.picture[~draw.written], OK[0][~draw.written]) and draw.settings["told"] == 8
        assert {k: v for k, v in draw.settings.items() if k != "opacity"} == {
            k: v for k, v in ladder[0].settings.items() if k != "opacity"
        }
    control = known(backend).control(scene(), np.random.default_rng(0))
    np.testing.assert_allclose(control[core], 0.4, atol=1 / 255)  # the drawn surface itself, no defect in it
    assert np.array_equal(control[~ladder[0].written], OK[0][~ladder[0].written])


def test_masks_of_nothing_or_of_most_are_drawn_again_ten_times_and_then_reported(backend):
    def answers(sides: list[int]) -> Callable[[torch.Generator], tuple[int, float]]:
        left = iter(sides)
        return lambda generator: (next(left), 0.3)

    draw = known(backend, answers=answers([0, 0, 26, 8])).draw(scene(), 1.0, np.random.default_rng(0))
    assert draw.settings["discarded"] == 3 and draw.settings["told"] == 8
    largest = known(backend, answers=answers([24])).draw(scene(), 1.0, np.random.default_rng(0))  # 576 of 1024 px
    assert largest.settings["discarded"] == 0
    with pytest.raises(SynthesisError, match="of 10 drawn parts 7 had no defect and 3 one over more than 60 %"):
        known(backend, answers=answers([0] * 7 + [26] * 3 + [8])).draw(scene(), 1.0, np.random.default_rng(0))


def test_a_copy_of_an_ng_is_told_by_its_distance(backend):
    """How to check (3): a copy is at distance 0, what is as new as another NG is as far as that one."""
    sources = ng_sources(3)
    assert nearest(sources[1].image, sources) == ("ng1", 0.0)
    name, distance = nearest(np.clip(sources[2].image + np.float32(10 / 255), 0, 2), sources)
    assert name == "ng2" and distance == pytest.approx(10, rel=1e-3)
    apart = nearest(sources[0].image, sources[1:])[1]
    assert apart == pytest.approx(255 * np.sqrt(min(((s.image - sources[0].image) ** 2).mean() for s in sources[1:])))
    draw = known(backend).draw(scene(), 1.0, np.random.default_rng(0))
    expected = nearest(np.full_like(OK[0], 0.4), sources[:2])
    assert draw.settings["nearest_ng"] == expected[0]
    assert draw.settings["nearest_ng_grey_levels"] == pytest.approx(expected[1], rel=0.1)
