"""TF-IDG over tiny Stable Diffusion of random weights: every check of its specification, and its parts by hand."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.synthesis.pretrained import appearance, guided, pipelines
from ias_core.synthesis.pretrained.appearance import (
    adain,
    appearance_shift,
    bags,
    decoder_features,
    sinkhorn_divergence,
    still_normal,
    transport,
)
from ias_core.synthesis.pretrained.attention import shared_keys
from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.guided import GuidedPasses, steps_guided
from ias_core.synthesis.pretrained.latents import (
    blended,
    clean_estimate,
    ddim,
    decode,
    embed,
    encode,
    latent_mask,
    noise_estimate,
    predicted,
    round_trip,
    signal,
    starting,
    to_picture,
    to_pixels,
    with_noise_shifted,
)
from ias_core.synthesis.pretrained.methods.tf_idg import TfIdg
from ias_core.synthesis.pretrained.pipelines import PipelinePasses, crop_around, edges, tier_of
from ias_core.synthesis.pretrained.windows import Window
from ias_core.synthesis.recipe import Scene
from tests.core.kit import ng_source
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_pipelines import by_example, tiny_xl, with_ip_adapter

PROMPTS = ("a p", "a p with a d")
MAKERS: dict[str, Callable[..., Backend]] = {
    "A1": lambda folder: tiny_backend(folder, channels=9),
    "A1 XL": tiny_xl,
    "A2": with_ip_adapter,
    "A3": by_example,
    "A4": lambda folder: tiny_backend(folder, controlnet=True),
    "A4 XL": lambda folder: tiny_xl(folder, controlnet=True),
    "A5": tiny_backend,
}


@pytest.fixture(scope="module")
def backends(tmp_path_factory) -> Callable[[str], Backend]:
    made: dict[str, Backend] = {}

    def get(name: str) -> Backend:
        if name not in made:
            made[name] = MAKERS[name](tmp_path_factory.mktemp("tokenizer"))
        return made[name]

    return get


@pytest.fixture(scope="module")
def plain(backends) -> Backend:
    return backends("A5")


def window(target: np.ndarray | None = None) -> Window:
    canvas, reference = pictures(2, SIDE, seed=4)
    if target is None:
        target = np.zeros((SIDE, SIDE), bool)
        target[10:18, 12:20] = True
    reference_mask = np.zeros((SIDE, SIDE), bool)
    reference_mask[5:15, 9:19] = True
    collage, dark = canvas.copy(), reference.copy()
    collage[target] *= 0.3
    dark[reference_mask] *= 0.3
    return Window(canvas, target, collage, dark, reference_mask)


def passes(backend: Backend, where: Window, *, steps: int = 2, strength: float = 0.5, scale: float = 2.0):
    kind = GuidedPasses if tier_of(backend) == "A5" else PipelinePasses
    return kind(backend, where, PROMPTS, steps, strength, scale)


def latent_of(picture: np.ndarray, backend: Backend) -> torch.Tensor:
    return encode(to_pixels(picture, SIDE, backend), backend)


# The specification's checks: the project's notes on TF-IDG, section 7 number 7


@pytest.mark.parametrize("tier", ["A1", "A2", "A4", "A1 XL", "A5"])
def test_at_strength_0_the_result_is_the_picture_through_the_vae(backends, tier):
    backend, everywhere = backends(tier), window(np.ones((SIDE, SIDE), bool))
    made, without = passes(backend, everywhere, strength=0.0).both(1)
    np.testing.assert_allclose(made, round_trip(everywhere.collage, backend), atol=1e-6)
    np.testing.assert_allclose(without, round_trip(everywhere.canvas, backend), atol=1e-6)
    assert np.array_equal(passes(backend, everywhere, strength=0.0).plain(2), without)


def test_at_strength_0_the_own_loop_keeps_the_canvas_outside(plain):
    here = window()
    made, _ = passes(plain, here, strength=0.0).both(1)
    inside = latent_mask(here.target, SIDE, plain)
    blend = inside * latent_of(here.collage, plain) + (1 - inside) * latent_of(here.canvas, plain)
    np.testing.assert_allclose(made, to_picture(decode(blend, plain), SIDE), atol=1e-6)


def test_keys_are_those_of_time_layer_and_row_and_all_are_taken(plain):
    times = ddim(plain, 6).timesteps
    texts, latent = embed(["", "a"], plain), latent_of(window().canvas, plain)
    with torch.no_grad(), shared_keys(plain.unet, times[3:]) as keys:
        with keys.storing():
            for time in times:
                predicted(plain.unet, latent, time, texts, 2.0)
        assert len(keys.layers) == 4 and all(".attn1" in layer and "up_blocks" in layer for layer in keys.layers)
        expected = {(float(time), layer, row) for time in times[3:] for layer in keys.layers for row in (0, 1)}
        assert keys.kept.keys() == expected
        with keys.taking():
            for time in times:
                predicted(plain.unet, latent, time, texts, 2.0)
        assert not keys.kept


def test_a_key_that_was_not_stored_is_an_error_and_so_is_one_that_was_left(plain):
    times = ddim(plain, 6).timesteps
    texts, latent = embed(["", "a"], plain), latent_of(window().canvas, plain)

    def run(step: int, rows: torch.Tensor = texts) -> None:
        predicted(plain.unet, latent, times[step], rows, 2.0)

    with torch.no_grad(), shared_keys(plain.unet, times) as keys:
        with keys.storing():
            run(0)
            with pytest.raises(KeyError, match="stored already"):
                run(0)
        with pytest.raises(KeyError, match="was not stored"), keys.taking():
            run(1)  # another time
        with keys.storing():
            run(0, texts[1:])
        with pytest.raises(KeyError, match="was not stored"), keys.taking():
            run(0)  # two rows, where one was stored
        with keys.storing():
            run(0)
        with pytest.raises(RuntimeError, match="8 stored keys were not looked at"), keys.taking():
            pass
        with keys.resting():
            run(3)


def test_guidance_is_0_outside_the_target_and_short_inside(plain):
    shift, noise, inside = guidance(plain)
    outside = (inside == 0).expand_as(shift)
    assert (shift[outside] == 0).all() and (shift[~outside] != 0).all()
    assert shift.norm() <= appearance.LARGEST_SHARE * (noise * inside).norm() * (1 + 1e-5)


def test_features_are_those_of_the_loaded_unet(plain):
    """Its own blocks are looked at: in a run, in each pass over OK picture, sample and, where guided, the NG."""
    counted = [0, 0]

    def count(block: int) -> Callable[..., None]:
        def hook(module, args, out) -> None:
            counted[block] += 1

        return hook

    hooks = [plain.unet.up_blocks[block].register_forward_hook(count(i)) for i, block in enumerate(appearance.BLOCKS)]
    passes(plain, window(), steps=5, strength=1.0).both(1)
    for hook in hooks:
        hook.remove()
    assert counted == [5 + 5 + 2] * 2  # steps 0 and 2 are guided
    with torch.no_grad(), decoder_features(plain.unet) as features:
        out = []
        hook = plain.unet.up_blocks[1].register_forward_hook(lambda module, args, made: out.append(made))
        plain.unet(torch.zeros(1, 4, 16, 16), 1, embed([""], plain))
        hook.remove()
        assert features[1] is out[0] and set(features) == set(appearance.BLOCKS)
    assert not any(module._forward_hooks for module in plain.unet.modules())


# Guidance, by hand


def features_at(backend: Backend, latent: torch.Tensor, time: torch.Tensor, mask: np.ndarray) -> list[torch.Tensor]:
    with torch.no_grad(), decoder_features(backend.unet) as features:
        backend.unet(latent, time, embed(["a"], backend))
    return bags(features, latent_mask(mask, SIDE, backend))


def guidance(
    backend: Backend, normal: Callable[[torch.Tensor], torch.Tensor] = torch.zeros_like
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Shift, predicted noise and target of the collage's latent."""
    here, time = window(), ddim(backend, 4).timesteps[2]
    reference = features_at(backend, latent_of(here.reference, backend), time, here.reference_mask)
    inside = latent_mask(here.target, SIDE, backend)
    latent = latent_of(here.collage, backend).requires_grad_()
    with torch.enable_grad(), decoder_features(backend.unet) as features:
        noise = backend.unet(latent, time, embed(["a"], backend)).sample.detach()
        shift = appearance_shift(latent, features, reference, noise, inside=inside, normal=normal(inside))
    return shift, noise, inside


def test_bags_hold_the_unit_vectors_of_the_prompted_row_inside_the_mask():
    inside = torch.zeros(1, 1, 2, 2)
    inside[0, 0, 0, 1] = inside[0, 0, 1, 0] = 1
    unprompted, prompted = torch.ones(2, 2, 2), torch.tensor([[[9.0, 3], [0, 9]], [[9, 4], [2, 9]]])
    other = torch.tensor([5.0, 12.0]).reshape(2, 1, 1).expand(2, 4, 4)  # finer, and resized
    small, fine = bags({2: torch.stack([other * 0, other]), 1: torch.stack([unprompted, prompted])}, inside)
    torch.testing.assert_close(small, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    torch.testing.assert_close(fine, torch.tensor([[5.0, 12.0]] * 2) / 13)


def test_against_the_shift_the_features_come_nearer_to_the_ngs(plain):
    here, time = window(), ddim(plain, 4).timesteps[2]
    latent, shift = latent_of(here.collage, plain), guidance(plain)[0]
    reference = features_at(plain, latent_of(here.reference, plain), time, here.reference_mask)
    far = [
        float(sum(map(sinkhorn_divergence, features_at(plain, latent - step * shift, time, here.target), reference)))
        for step in (-0.1, 0.0, 0.1)
    ]
    assert far[0] > far[1] > far[2] > 0


def test_the_adaptive_term_moves_only_what_still_looks_normal(plain, monkeypatch):
    monkeypatch.setattr(appearance, "LARGEST_SHARE", 1e6)  # else both are shortened

    def upper_half(inside: torch.Tensor) -> torch.Tensor:
        cells = inside.clone()
        cells[..., 7:, :] = 0  # the target's cells are rows 5 to 8
        return cells

    both, _, inside = guidance(plain, upper_half)
    whole, _, _ = guidance(plain)
    more = (both - whole).abs().sum(1, keepdim=True)
    assert (more[upper_half(inside) > 0] > 0).all() and (more[upper_half(inside) == 0] == 0).all()
    # masked features, too: had the term counted all of the target's, it would be 2.5 times the plain one there
    cells = upper_half(inside).expand_as(whole) > 0
    assert not torch.allclose(both[cells], 3.5 * whole[cells], rtol=0.05)
    np.testing.assert_allclose(guidance(plain, torch.clone)[0], 3.5 * whole, rtol=1e-3, atol=1e-6)


def test_still_normal_is_below_the_mean_over_the_target_alone():
    clean, inside = torch.zeros(1, 2, 2, 3), torch.tensor([[[[1.0, 1, 1], [0, 0, 1]]]])
    estimate = torch.tensor([[[[0.0, 1, 2], [9, 0, 3]], [[0.0, 1, 2], [9, 0, 3]]]])
    # d is 0, 1, 4 and 9 inside, 3.5 in the mean
    assert still_normal(estimate, clean, inside).tolist() == [[[[1, 1, 0], [0, 0, 0]]]]


def test_a_fifth_of_the_steps_is_guided_and_then_every_other_one_up_to_three_fifths():
    assert steps_guided(50) == {*range(10), *range(10, 30, 2)}
    assert steps_guided(1) == {0} and not steps_guided(0)


def slow_transport(a: torch.Tensor, b: torch.Tensor) -> float:
    """Sinkhorn's iterations on the scalings themselves, one sum after the other."""
    n, m, eps = len(a), len(b), 0.05
    cost = [[1 - sum(float(x) * float(y) for x, y in zip(p, q, strict=True)) for q in b] for p in a]
    u, v = [1.0] * n, [1.0] * m
    for _ in range(50):
        new_u = [1 / sum(v[j] * math.exp(-cost[i][j] / eps) / m for j in range(m)) for i in range(n)]
        new_v = [1 / sum(u[i] * math.exp(-cost[i][j] / eps) / n for i in range(n)) for j in range(m)]
        u = [math.sqrt(old * new) for old, new in zip(u, new_u, strict=True)]
        v = [math.sqrt(old * new) for old, new in zip(v, new_v, strict=True)]
    total = 0.0
    for i in range(n):
        for j in range(m):
            density = u[i] * v[j] * math.exp(-cost[i][j] / eps)
            total += density / (n * m) * (cost[i][j] + eps * math.log(density)) - eps * (density - 1) / (n * m)
    return total


def bag(count: int, *, seed: int, towards: float = 0.0) -> torch.Tensor:
    drawn = torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn + towards, dim=1)


def test_sinkhorn_is_that_of_the_slow_one():
    a, b = bag(6, seed=0), bag(4, seed=1, towards=0.8)
    assert float(transport(a, b)) == pytest.approx(slow_transport(a, b), rel=1e-9)
    slow = slow_transport(a, b) - slow_transport(a, a) / 2 - slow_transport(b, b) / 2
    assert float(sinkhorn_divergence(a, b)) == pytest.approx(slow, rel=1e-9)


def test_sinkhorn_is_0_for_equal_bags_above_it_for_others_and_knows_no_order():
    a, b = bag(30, seed=0), bag(20, seed=1, towards=0.5)
    far = float(sinkhorn_divergence(a, b))
    assert abs(float(sinkhorn_divergence(a, a))) < 1e-12 and far > 0.01
    assert float(sinkhorn_divergence(b, a)) == pytest.approx(far, rel=1e-12)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert float(sinkhorn_divergence(a[order], b.flip(0))) == pytest.approx(far, rel=1e-9)
    assert float(sinkhorn_divergence(a, a[order])) == pytest.approx(0, abs=1e-9)
    assert float(sinkhorn_divergence(torch.cat([a, a]), b)) == pytest.approx(far, rel=1e-6)  # weights, not counts


def test_sinkhorns_gradient_is_that_of_its_value(monkeypatch):
    monkeypatch.setattr(appearance, "ITERATIONS", 150)  # bags of a few vectors take more than 50 to settle
    a, b = bag(5, seed=0), bag(7, seed=1, towards=0.5)
    at = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad(sinkhorn_divergence(at, b), at)
    for place in ((0, 0), (2, 3), (4, 1)):
        step = torch.zeros_like(a)
        step[place] = 1e-5
        rise = float(sinkhorn_divergence(a + step, b) - sinkhorn_divergence(a - step, b)) / 2e-5
        assert float(slope[place]) == pytest.approx(rise, rel=1e-4, abs=1e-7)


def test_adain_moves_moments_as_far_as_asked_and_nothing_outside():
    generator = torch.Generator().manual_seed(0)
    latent, style = (torch.randn(1, 3, 8, 8, generator=generator) * scale + 1 for scale in (1, 3))
    inside = torch.zeros(1, 1, 8, 8)
    inside[..., 2:6, 1:5] = 1
    cells = inside[0, 0] > 0
    half, whole = (adain(latent, style, inside, weight=weight)[0] for weight in (0.5, 1.0))
    aim = style[0].flatten(1)
    torch.testing.assert_close(whole[:, cells].mean(1), aim.mean(1))
    torch.testing.assert_close(whole[:, cells].std(1, correction=0), aim.std(1, correction=0))
    torch.testing.assert_close(half, (latent[0] + whole) / 2)
    assert torch.equal(whole[:, ~cells], latent[0][:, ~cells])
    assert torch.equal(adain(latent, style, inside, weight=0.0), latent)


def test_moments_are_matched_only_where_the_start_is_nearly_noise(plain, monkeypatch):
    calls = []
    monkeypatch.setattr(guided, "adain", lambda latent, style, inside: calls.append(1) or latent)
    passes(plain, window(), steps=5, strength=0.8).plain(1)
    assert not calls  # from time 601 on
    passes(plain, window(), steps=5, strength=1.0).plain(1)
    assert len(calls) == 1  # at 801


# Attention


def test_attention_over_the_same_keys_twice_is_attention(plain):
    """Sharing with a pass over the same latent changes nothing; with another one it does; resting is untouched."""
    time, texts = torch.tensor(500), embed(["", "a"], plain)
    own, other = (latent_of(picture, plain) for picture in (window().canvas, window().reference))
    with torch.no_grad():
        usual = predicted(plain.unet, own, time, texts, 2.0)
        found = {}
        for stored in (own, other):
            with shared_keys(plain.unet, time[None]) as keys:
                with keys.storing():
                    assert torch.allclose(predicted(plain.unet, own, time, texts, 2.0), usual, atol=1e-6)
                with keys.storing():
                    predicted(plain.unet, stored, time, texts, 2.0)
                with keys.taking():
                    found[stored is own] = predicted(plain.unet, own, time, texts, 2.0)
                assert torch.allclose(predicted(plain.unet, own, time, texts, 2.0), usual, atol=1e-6)
    assert torch.allclose(found[True], usual, atol=1e-5)
    assert (found[False] - usual).abs().max() > 1e-3


def test_shared_attention_is_a_softmax_over_both_passes_tokens(plain):
    layer = "up_blocks.1.attentions.0.transformer_blocks.0.attn1"
    attention = plain.unet.get_submodule(layer)
    generator = torch.Generator().manual_seed(0)
    ok, sample = (torch.randn(1, 9, attention.query_dim, generator=generator) for _ in range(2))
    with torch.no_grad(), shared_keys(plain.unet, torch.tensor([1])) as keys:
        keys._time = 1.0
        with keys.storing():
            attention(ok)
            for other in set(keys.layers) - {layer}:
                keys.kept.pop((1.0, other, 0), None)
        with keys.taking():
            found = attention(sample)
        both = torch.cat([ok, sample], 1)
        heads = []
        for head in range(attention.heads):
            width = attention.inner_dim // attention.heads
            part = slice(head * width, (head + 1) * width)
            query, key, value = (
                layer(tokens)[0, :, part]
                for layer, tokens in ((attention.to_q, sample), (attention.to_k, both), (attention.to_v, both))
            )
            heads.append(torch.softmax(query @ key.T / width**0.5, dim=1) @ value)
        expected = attention.to_out[0](torch.cat(heads, 1))
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-4)


def test_the_unets_own_processors_are_back_even_after_an_error(plain):
    before = dict(plain.unet.attn_processors)
    for stop in (nullcontext(), pytest.raises(ZeroDivisionError)):
        with stop, shared_keys(plain.unet, torch.tensor([1])) as keys:
            changed = [name for name, one in plain.unet.attn_processors.items() if one is not before[name]]
            assert len(changed) == len(keys.layers) > 0
            if not isinstance(stop, nullcontext):
                1 / 0  # noqa: B018
        assert all(one is before[name] for name, one in plain.unet.attn_processors.items())
        assert not plain.unet._forward_pre_hooks


# Latents


@pytest.mark.parametrize("steps", [1, 7, 30, 50, 600, 999, 1000])
def test_times_lie_one_step_of_the_scheduler_apart_and_are_trained_ones(plain, steps):
    scheduler = ddim(plain, steps)
    times = scheduler.timesteps.tolist()
    assert len(times) == steps and times[-1] in (0, 1) and times[0] <= 999
    assert {early - late for early, late in zip(times, times[1:], strict=False)} <= {1000 // steps}
    zero = torch.zeros(1, 4, 2, 2)
    scheduler.step(zero, scheduler.timesteps[0], zero)


def test_impossible_numbers_of_steps_are_refused_and_odd_settings_of_other_samplers_ignored(plain):
    for steps in (0, 1001):
        with pytest.raises(SynthesisError, match="1 to 1000 steps"):
            ddim(plain, steps)
    other = {"skip_prk_steps": True, "timestep_spacing": "trailing", "_class_name": "PNDMScheduler"}
    odd = replace(plain, scheduler=plain.scheduler | other)
    assert torch.equal(ddim(odd, 7).timesteps, ddim(plain, 7).timesteps)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_estimates_are_the_schedulers_own_whatever_the_weights_predict(plain, kind):
    backend = replace(plain, scheduler=plain.scheduler | {"prediction_type": kind})
    scheduler = ddim(backend, 10)
    generator = torch.Generator().manual_seed(0)
    latent, output, more = (torch.randn(1, 4, 3, 3, generator=generator) for _ in range(3))
    for time in scheduler.timesteps[::3]:
        clean = clean_estimate(scheduler, output, time, latent)
        torch.testing.assert_close(clean, scheduler.step(output, time, latent).pred_original_sample)
        noise, left = noise_estimate(scheduler, output, time, latent), signal(scheduler, time)
        torch.testing.assert_close(left.sqrt() * clean + (1 - left).sqrt() * noise, latent)
        moved = with_noise_shifted(scheduler, output, time, more)
        torch.testing.assert_close(noise_estimate(scheduler, moved, time, latent), noise + more)


def test_outside_the_mask_each_step_sees_the_clean_latent_noised_to_its_time(plain):
    """An oracle that knows the noise brings the inside back to what it stands for; the outside is the clean one."""
    scheduler = ddim(plain, 10)
    times, generator = starting(scheduler.timesteps, 0.6), torch.Generator().manual_seed(0)
    clean, aim = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:5, 3:7] = 1
    outside = []

    def oracle(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
        left = signal(scheduler, time)
        outside.append(((latent - left.sqrt() * clean) / (1 - left).sqrt())[(mask == 0).expand_as(clean)])
        return (latent - left.sqrt() * aim) / (1 - left).sqrt()

    found = blended(oracle, scheduler, times, clean * 0, clean, mask, generator=generator)
    assert torch.equal(found * (1 - mask), clean * (1 - mask))
    last = signal(scheduler, torch.tensor(0))  # the schedule ends there, a little short of no noise
    assert ((found - last.sqrt() * aim) * mask).abs().max() < 4 * (1 - last).sqrt()
    assert len(outside) == 6
    for noise in outside:
        assert abs(float(noise.mean())) < 0.3 and float(noise.std()) == pytest.approx(1, abs=0.2)


def test_guidance_with_a_prompt_is_between_and_beyond_the_passes_with_and_without(plain):
    time, latent = torch.tensor(300), latent_of(window().canvas, plain)
    texts = embed(["", "a p"], plain)
    with torch.no_grad():
        none, asked = (plain.unet(latent, time, texts[i : i + 1]).sample for i in (0, 1))
        for scale in (0.0, 1.0, 3.5):
            found = predicted(plain.unet, latent, time, texts, scale)
            torch.testing.assert_close(found, none + scale * (asked - none), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(predicted(plain.unet, latent, time, texts[1:], 9.0), asked)


# The tiers


@pytest.mark.parametrize("tier", MAKERS)
def test_each_tier_draws_the_same_from_one_seed_and_leaves_the_weights_as_they_were(backends, tier):
    backend = backends(tier)
    assert tier_of(backend) == tier[:2]
    method = TfIdg(sources=(ng_source(),), backend=backend, steps=2, product="p", defect="d")
    processors = dict(backend.unet.attn_processors)
    scheduler = backend.pipeline and backend.pipeline.scheduler
    first = method.both(window(), 7)
    assert all(one.shape == (SIDE, SIDE, 3) and one.dtype == np.float32 for one in first)
    assert all(one is processors[name] for name, one in backend.unet.attn_processors.items())
    assert (backend.pipeline and backend.pipeline.scheduler) is scheduler
    assert method.paint(window(), torch.Generator().manual_seed(7)).tobytes() == first[0].tobytes()
    alone = method.unpainted(window(), torch.Generator().manual_seed(7))
    if tier == "A3":  # starts from noise: what it makes of good surface is no partner of what it makes of a defect
        np.testing.assert_array_equal(first[1], round_trip(window().canvas, backend))
        assert np.abs(alone - first[1]).max() > 0.1
    else:
        np.testing.assert_allclose(alone, first[1], atol=1e-5)
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert np.abs(method.unpainted(window(), torch.Generator().manual_seed(8)) - alone).max() > 1e-4
    assert method.details() == {"tier": tier[:2], "strength": 0.5, "guidance_scale": 3.5}


@pytest.mark.parametrize("tier", ["A1", "A4", "A1 XL", "A5"])
def test_with_no_defect_to_draw_both_passes_are_one(backends, tier, monkeypatch):
    """The same prompt on the same picture: common random numbers and matched keys leave no difference at all."""
    backend, here = backends(tier), window()
    monkeypatch.setattr(guided, "steps_guided", lambda steps: frozenset())
    same = replace(here, collage=here.canvas)
    task = passes(backend, same)
    task.prompts = ("a p", "a p")
    made, without = task.both(3)
    np.testing.assert_allclose(made, without, atol=1e-5)
    assert np.abs(without - round_trip(here.canvas, backend)).max() > 0.01
    task.prompts = PROMPTS  # the defect's word is for the second pass alone
    worded, same = task.both(3)
    assert np.array_equal(same, without) and np.abs(worded - made).max() > 1e-4


def test_inpainting_weights_see_the_canvas_without_the_target_and_start_from_the_collage(backends):
    backend, here, seen = backends("A1"), window(), []
    hook = backend.unet.register_forward_pre_hook(lambda module, args: seen.append(args[0][:1].clone()))
    passes(backend, here, steps=2, strength=1 / 2).both(3)
    hook.remove()
    cells = latent_mask(here.target, SIDE, backend)
    hidden = 1 - cells.repeat_interleave(2, 2).repeat_interleave(2, 3)
    scheduler = ddim(backend, 2)
    noise = torch.randn(1, 4, SIDE // 2, SIDE // 2, generator=torch.Generator().manual_seed(3))
    assert len(seen) == 2
    for given, start in zip(seen, (here.canvas, here.collage), strict=True):
        expected = scheduler.add_noise(latent_of(start, backend), noise, scheduler.timesteps[1:])
        torch.testing.assert_close(given[:, :4], expected)
        torch.testing.assert_close(given[:, 4:5], cells)
        torch.testing.assert_close(given[:, 5:], encode(to_pixels(here.canvas, SIDE, backend) * hidden, backend))


def test_hints_and_examples_are_the_canvas_in_one_pass_and_the_ng_in_the_other(backends, monkeypatch):
    here, hints, examples = window(), [], []
    net = backends("A4").controlnet
    hook = net.register_forward_pre_hook(
        lambda module, args, kwargs: hints.append(kwargs["controlnet_cond"][:1]), with_kwargs=True
    )
    passes(backends("A4"), here, steps=2).both(3)
    hook.remove()
    assert all(torch.equal(hint, edges(start)) for hint, start in zip(hints, (here.canvas, here.collage), strict=True))
    assert not torch.equal(*hints)
    monkeypatch.setattr(pipelines, "crop_around", lambda *given: examples.append(given) or crop_around(*given))
    plain, marked = (here.canvas, here.target), (here.reference, here.reference_mask)
    for tier, expected in (("A2", [plain, marked]), ("A3", [marked, plain])):
        examples.clear()
        passes(backends(tier), here, steps=2).both(3)
        if tier == "A3":
            passes(backends(tier), here, steps=2).plain(3)
        assert len(examples) == 2
        for found, wanted in zip(examples, expected, strict=True):
            assert found[0] is wanted[0] and found[1] is wanted[1]


@pytest.mark.parametrize(("tier", "where"), [("A1", pipelines), ("A5", guided)])
def test_the_second_half_of_the_steps_looks_at_the_ok_pass(backends, tier, where, monkeypatch):
    backend, asked = backends(tier), []

    def without(unet, times):
        asked.append((unet, times.tolist()))
        return shared_keys(unet, times[:0])

    made, plain = passes(backend, window(), steps=3, strength=1.0).both(1)
    monkeypatch.setattr(where, "shared_keys", without)
    alone, same = passes(backend, window(), steps=3, strength=1.0).both(1)
    assert asked == [(backend.unet, [334, 1])]
    assert np.array_equal(plain, same) and np.abs(made - alone).max() > 1e-4


@pytest.mark.parametrize(("steps", "strength", "kept"), [(7, 0.5, 4), (22, 15 / 22, 15), (2, 1.0, 2)])
def test_pipelines_take_the_steps_that_the_own_loop_would(backends, steps, strength, kept):
    passed, backend = [], backends("A1")
    hook = backend.unet.register_forward_pre_hook(
        lambda module, args, kwargs: passed.append(int(args[1])), with_kwargs=True
    )
    passes(backend, window(), steps=steps, strength=strength).plain(0)
    hook.remove()
    times = ddim(backend, steps).timesteps
    assert passed == times.tolist()[steps - kept :] == starting(times, strength).tolist()


def test_examples_are_squares_around_the_mask_and_hints_its_edges():
    here = window()
    crop = crop_around(here.reference, here.reference_mask)
    assert crop.size == (12, 12)
    np.testing.assert_array_equal(np.asarray(crop), np.rint(here.reference[4:16, 8:20] * 255))
    halves = np.zeros((16, 16, 3), np.float32)
    halves[:, 8:] = 1
    found = edges(halves)
    assert found.shape == (1, 3, 16, 16) and set(found[..., 2:-2, 7:9].amax(3).flatten().tolist()) == {1.0}
    assert not found[..., :6].any() and not found[..., 10:].any()


def test_a_whole_draw_tells_its_tier_and_leaves_the_rest_of_the_part(plain):
    method = TfIdg(sources=(ng_source(),), backend=plain, steps=2, product="p", defect="d")
    scene = Scene(pictures(2, 64), 0, None, 14, None)
    draw = method.draw(scene, 1.0, np.random.default_rng(0))
    assert draw.settings["tier"] == "A5" and draw.settings["source"] == method.sources[0].name
    assert np.array_equal(draw.picture[~draw.written], scene.picture[~draw.written])
    assert (method.control(scene, np.random.default_rng(0)) != scene.picture).any(2)[draw.written].mean() > 0.5
    assert "style of" in method.style_of and "AnyDoor" in method.style_of


def test_settings_and_weights_that_cannot_be_are_refused(plain):
    for wrong in ({"strength": -0.1}, {"strength": math.nan}, {"guidance_scale": 0.5}):
        with pytest.raises(SynthesisError, match="expected a"):
            TfIdg(**wrong)
    with pytest.raises(WeightsUnavailable, match="pipeline"):
        TfIdg.check_backend(replace(plain, family="sdxl"))
