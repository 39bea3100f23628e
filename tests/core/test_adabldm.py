"""AdaBLDM over tiny weights: trimap, ControlNet, three phases, and a decoder that is fitted to one picture."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ias_core.errors import ShapeError, SynthesisError
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.pretrained import trimap_control
from ias_core.synthesis.pretrained.latents import (
    blended,
    ddim,
    decode,
    embed,
    encode,
    latent_mask,
    round_trip,
    to_picture,
    to_pixels,
)
from ias_core.synthesis.pretrained.methods.adabldm import AdaBldm
from ias_core.synthesis.pretrained.trimap import PartWindow, trimap
from ias_core.synthesis.recipe import Scene
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by, ng_sources, on, window

STEPS = 5


@pytest.fixture(scope="module", autouse=True)
def small_hints():
    """One halving instead of three: hints of 32 px."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trimap_control, "HINT_CHANNELS", (4, 8))
        yield


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def adapter(backend):
    return AdaBldm.fit(
        backend, ng_sources(), pictures(1, SIDE_PX), seed=0, steps=2, watch=on, product="nut", defect="hole"
    )


@pytest.fixture(scope="module")
def net(backend, adapter):
    return trimap_control.trained(backend, adapter.tensors)


@pytest.fixture(scope="module")
def method(backend, adapter):
    return AdaBldm(ng_sources(), backend, adapter, steps=2)


def part_window() -> PartWindow:
    seen = window()
    part = np.zeros((SIDE, SIDE), bool)
    part[2:30, 2:28] = True
    return PartWindow(seen.canvas, seen.target, seen.collage, seen.reference, seen.reference_mask, part)


def painted(net, backend, *, borders=(0.5, 0.9), target=None, guidance=9.0, seed=4) -> torch.Tensor:
    where = part_window()
    with torch.no_grad():
        return trimap_control.painted(
            net,
            where,
            where.target if target is None else target,
            "a nut with a hole",
            backend,
            steps=STEPS,
            guidance=guidance,
            free_until=borders[0],
            blend_until=borders[1],
            generator=torch.Generator().manual_seed(seed),
        )


# How to check (1), (2), (4)


def test_the_weights_are_the_same_after_training_and_drawing_with_a_fitted_decoder(backend, method):
    before, state = known_by(backend), torch.random.get_rng_state()
    AdaBldm.fit(backend, ng_sources(), pictures(1, SIDE_PX), seed=1, steps=1, watch=on)
    replace(method, adapt_steps=2)(pictures(1, SIDE_PX), count=1, seed=0)
    assert known_by(backend) == before and torch.equal(state, torch.random.get_rng_state())


def test_a_decoder_that_cannot_be_fitted_leaves_the_shared_one_alone(backend, monkeypatch):
    before = known_by(backend)

    def broken(groups, loss_of, backend, **_):
        with torch.no_grad():
            for weight in groups[0][0]:
                weight.zero_()
        raise RuntimeError("out of memory")

    monkeypatch.setattr(trimap_control, "finetune", broken)
    where = part_window()
    with pytest.raises(RuntimeError, match="out of memory"):
        trimap_control.decoded_adapted(torch.zeros(1, 4, 16, 16), where.canvas, where.target, backend, steps=3)
    assert known_by(backend) == before


def test_without_a_mask_the_good_part_comes_back(net, backend):
    canvas = part_window().canvas
    for borders in ((0.5, 0.9), (0.0, 1.0)):
        latent = painted(net, backend, target=np.zeros((SIDE, SIDE), bool), borders=borders)
        assert torch.equal(latent, encode(to_pixels(canvas, SIDE, backend), backend))


def test_with_borders_at_both_ends_it_is_plain_blended_latent_diffusion(net, backend):
    where = part_window()
    clean = encode(to_pixels(where.canvas, SIDE, backend), backend)
    hint = trimap_control.hint_of(where.target, where.part, net, backend)
    empty, prompt = (embed([text], backend) for text in ("", "a nut with a hole"))

    def predict(latent, time, step):
        none, asked = (trimap_control.controlled(backend, net, latent, time, text, hint) for text in (empty, prompt))
        return none + 9.0 * (asked - none)

    generator, scheduler = torch.Generator().manual_seed(4), ddim(backend, STEPS)
    with torch.no_grad():
        plain = blended(
            predict,
            scheduler,
            scheduler.timesteps,
            torch.randn(clean.shape, generator=generator),
            clean,
            trimap_control.dilated(latent_mask(where.target, SIDE, backend)),
            generator=generator,
        )
    torch.testing.assert_close(painted(net, backend, borders=(0.0, 1.0)), plain, rtol=1e-3, atol=1e-3)
    for borders in ((0.5, 1.0), (0.0, 0.8)):  # each phase does something
        assert (painted(net, backend, borders=borders) - plain).abs().max() > 0.01, borders


def test_phases_end_at_their_shares_of_the_steps():
    phases = [trimap_control.phase_of(step, 50, 0.5, 0.9) for step in range(1, 51)]
    assert phases == ["free"] * 25 + ["latent"] * 20 + ["pixel"] * 5
    assert {trimap_control.phase_of(step, 50, 0, 1) for step in range(1, 51)} == {"latent"}


def test_the_last_phase_puts_the_good_part_s_pixels_around_the_defect(net, backend):
    """By hand over two steps: estimate, decode, composite, encode; noised to the second time, and at the end not."""
    where, scheduler = part_window(), ddim(backend, 2)
    canvas, inside = to_pixels(where.canvas, SIDE, backend), torch.from_numpy(where.target).float()
    hint = trimap_control.hint_of(where.target, where.part, net, backend)
    generator, text = torch.Generator().manual_seed(4), embed(["a nut with a hole"], backend)
    latent, first, _ = (torch.randn(1, 4, 16, 16, generator=generator) for _ in range(3))
    with torch.no_grad():
        clean = encode(canvas, backend)
        for time in scheduler.timesteps:
            left = scheduler.alphas_cumprod[time]
            said = trimap_control.controlled(backend, net, latent, time, text, hint)
            estimate = (latent - (1 - left).sqrt() * said) / left.sqrt()
            latent = encode(inside * decode(estimate, backend) + (1 - inside) * canvas, backend)
            if time == scheduler.timesteps[0]:
                left = scheduler.alphas_cumprod[scheduler.timesteps[1]]
                latent = left.sqrt() * latent + (1 - left).sqrt() * first
        got = trimap_control.painted(
            net,
            where,
            where.target,
            "a nut with a hole",
            backend,
            steps=2,
            guidance=1.0,
            free_until=0.0,
            blend_until=0.0,
            generator=torch.Generator().manual_seed(4),
        )
    cells = trimap_control.dilated(latent_mask(where.target, SIDE, backend))
    torch.testing.assert_close(got, cells * latent + (1 - cells) * clean, rtol=1e-3, atol=1e-3)


def test_cells_are_dilated_by_two_on_every_side():
    cells = torch.zeros(1, 1, 9, 9)
    cells[..., 4, 3] = 1
    grown = trimap_control.dilated(cells)
    assert grown.sum() == 25 and (grown[..., 2:7, 1:6] == 1).all()


# trimap


def test_trimaps_hold_three_values_at_any_size():
    where = part_window()
    for side in (16, 32, 47, 128):
        three = trimap(where.target, where.part, side)
        assert three.shape == (side, side) and set(np.unique(three)) == {0, 127, 255}
    assert np.array_equal(trimap(where.target, where.part, SIDE) == 255, where.target)


def test_a_defect_off_the_part_is_refused():
    where = part_window()
    part = where.part.copy()
    part[8, 8] = False
    with pytest.raises(ShapeError, match="1 px of it lie off it"):
        trimap(where.target, part, SIDE)
    with pytest.raises(ShapeError, match="1 px of it lie off it"):
        replace(where, part=part)


def test_the_hint_has_three_equal_channels_at_the_control_net_s_side(net, backend):
    where = part_window()
    hint = trimap_control.hint_of(where.target, where.part, net, backend)
    assert hint.shape == (1, 3, 32, 32)  # one halving to 16 x 16
    published = SimpleNamespace(config=SimpleNamespace(conditioning_embedding_out_channels=(16, 32, 96, 256)))
    assert trimap_control.hint_of(where.target, where.part, published, backend).shape[2:] == (128, 128)
    assert torch.equal(hint[:, 0], hint[:, 2]) and hint.unique().tolist() == pytest.approx([0, 127 / 255, 1])


@pytest.mark.parametrize("told", [True, False])
def test_targets_lie_on_the_part_that_is_told_or_else_on_the_one_that_is_found(method, told):
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - 31.5
    disc = np.hypot(y, x) < 22
    picture = np.where(disc[..., None], np.float32(0.8), np.float32(0.1)) * np.ones((1, 1, 1, 3), np.float32)
    scene = Scene(picture, 0, disc if told else None, 10.0, MadeTextures())
    for seed in range(5):
        placed = method.placed(scene, np.random.default_rng(seed))
        near = np.hypot(y, x) < 22 + (0 if told else 1.5)
        assert placed.mask.any() and not (placed.mask & ~near).any()
        assert not (placed.window.target & ~placed.window.part).any()
    assert 0.2 < placed.window.part.mean() < 0.5


# training


def test_an_untrained_control_net_changes_nothing_and_a_trained_one_does(backend, net):
    where, generator = part_window(), torch.Generator().manual_seed(0)
    latent, time = torch.randn(1, 4, 16, 16, generator=generator), torch.tensor(400)
    text = embed(["a nut"], backend)
    fresh = trimap_control.untrained(backend, generator)
    hint = trimap_control.hint_of(where.target, where.part, fresh, backend)
    with torch.no_grad():
        alone = backend.unet(latent, time, text).sample
        assert torch.equal(trimap_control.controlled(backend, fresh, latent, time, text, hint), alone)
        changed = trimap_control.controlled(backend, net, latent, time, text, hint)
        other = trimap_control.controlled(backend, net, latent, time, text, torch.zeros_like(hint))
    assert 0 < (changed - alone).abs().max() < 0.1 and not torch.equal(changed, other)


def test_training_follows_from_its_seed_and_can_be_stopped(backend, adapter):
    again = AdaBldm.fit(
        backend, ng_sources(), pictures(1, SIDE_PX), seed=0, steps=2, watch=on, product="nut", defect="hole"
    )
    assert again.digest == adapter.digest and adapter.meta["prompt"] == "a nut with a hole"
    assert adapter.meta["steps"] == 2 and adapter.meta["seconds"] > 0 and adapter.meta["peak_memory_bytes"] > 0
    stopped = AdaBldm.fit(backend, ng_sources(), pictures(1, SIDE_PX), seed=0, steps=9, watch=lambda *_: False)
    assert (stopped.meta["steps"], stopped.meta["asked_steps"]) == (1, 9)
    assert trimap_control.trained(backend, stopped.tensors) is not None


# the fitted decoder


def test_the_fitted_decoder_shows_the_good_part_outside_the_defect(backend):
    where = part_window()
    latent = encode(to_pixels(where.canvas, SIDE, backend), backend)
    before = to_picture(decode(latent, backend), SIDE)
    after = trimap_control.decoded_adapted(latent, where.canvas, where.target, backend, steps=25)
    outside = ~where.target
    assert np.abs(after - where.canvas)[outside].mean() < 0.8 * np.abs(before - where.canvas)[outside].mean()


def test_unpainted_is_decoded_as_painted_is(method):
    where = part_window()
    with torch.no_grad():
        plain = method.unpainted(where, torch.Generator())
        fitted = replace(method, adapt_steps=3).unpainted(where, torch.Generator())
    np.testing.assert_allclose(plain, round_trip(where.canvas, method.backend), atol=1e-6)
    assert not np.array_equal(plain, fitted)


# the whole method


def test_defects_are_drawn_as_the_registry_promises(method):
    images = pictures(2, SIDE_PX)
    made, again = (method(images, count=2, seed=3) for _ in range(2))
    assert made.images.tobytes() == again.images.tobytes()
    for image, mask, parent, told in zip(made.images, made.masks, made.parents, made.settings, strict=True):
        assert np.array_equal(image[~mask], images[parent][~mask]) and mask.sum() >= 4
        assert told["source"] in ("ng0", "ng1") and told["trained_steps"] == 2


@pytest.mark.parametrize("borders", [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_borders_out_of_order_are_refused(borders):
    with pytest.raises(SynthesisError, match="phases that end in order"):
        AdaBldm(free_until=borders[0], blend_until=borders[1])


def test_other_weights_are_refused(tmp_path):
    inpainting = tiny_backend(tmp_path, channels=9)
    with pytest.raises(Exception, match="needs weights of"):
        AdaBldm.fit(inpainting, ng_sources(), pictures(1, SIDE_PX), seed=0, steps=1, watch=on)
