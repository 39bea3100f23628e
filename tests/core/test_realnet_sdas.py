"""RealNet's SDAS over tiny weights: excess noise in closed form, against diffusers' own sampler, and as a method."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.synthesis.base import build
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.measures import equivalent_diameter_px
from ias_core.synthesis.pretrained.excess_noise import ancestral, redrawn, sampled
from ias_core.synthesis.pretrained.latents import decode, embed, encode, to_picture, to_pixels
from ias_core.synthesis.pretrained.methods.realnet_sdas import RealNetSdas
from ias_core.synthesis.pretrained.unconditional import load_unconditional
from ias_core.synthesis.recipe import Scene
from ias_core.torchvision_operators import ensure_torchvision
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by

STEPS = 8
SEEDS = range(8)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of pixels as diffusers' training script leaves it."""
    ensure_torchvision()
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=SIDE,
            layers_per_block=1,
            block_out_channels=(8, 8),
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
            norm_num_groups=4,
            add_attention=False,
        )
    path = tmp_path_factory.mktemp("ddpm")
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pixels(folder):
    return load_unconditional(folder, device=torch.device("cpu"), dtype=torch.float32)


def gaussian(scheduler):
    """The exact noise of pictures whose values are independent and N(0, 1): linear, and known by hand."""

    def predict(latent, time, step):
        return (1 - scheduler.alphas_cumprod[int(time)]).sqrt() * latent

    return predict


def levels(scheduler) -> list[tuple[float, float]]:
    """Cumulative alphas now and next."""
    left = [float(scheduler.alphas_cumprod[int(time)]) for time in scheduler.timesteps]
    return list(zip(left, [*left[1:], 1.0], strict=True))


def run(backend, excess: float, *, eta: float = 1.0, seed: int = 0, side: int = 64, start: float = 1.0) -> torch.Tensor:
    scheduler = ancestral(backend, STEPS, 1e9)
    generator = torch.Generator().manual_seed(seed)
    latent = start * torch.randn(1, 4, side, side, generator=generator)
    return sampled(
        gaussian(scheduler), scheduler, scheduler.timesteps, latent, excess=excess, eta=eta, generator=generator
    )


@pytest.mark.parametrize("excess", [0.0, 0.2, 4.0])
def test_the_variance_is_the_closed_form_with_one_plus_s_times_the_noise(backend, excess):
    """x' = sqrt(a') x0 + sqrt(1 - a' - v) eps + sqrt(v (1 + s)) z; with x0 = sqrt(a) x and eps = sqrt(1 - a) x."""
    variance = 1.0
    for now, after in levels(ancestral(backend, STEPS, 1e9)):
        v = (1 - after) / (1 - now) * (1 - now / after)
        kept = np.sqrt(after * now) + np.sqrt((1 - after - v) * (1 - now))
        variance = kept**2 * variance + v * (1 + excess)  # v is 0 in the last step
    n = 4 * 64 * 64
    assert float(run(backend, excess).var()) == pytest.approx(variance, rel=5 * np.sqrt(2 / n))


def test_what_the_excess_adds_grows_with_the_root_of_one_plus_s(backend):
    """From the same random numbers, over a linear predictor: difference to s = 0 is (sqrt(1 + s) - 1) times one."""
    plain = run(backend, 0.0, side=8)
    one = (run(backend, 3.0, side=8) - plain) / (np.sqrt(4.0) - 1)
    for excess in (0.1, 0.5, 8.0):
        torch.testing.assert_close(
            run(backend, excess, side=8) - plain, (np.sqrt(1 + excess) - 1) * one, rtol=1e-3, atol=1e-4
        )
    assert one.abs().mean() > 0.1


def test_eta_is_the_share_of_the_noise(backend):
    """From nothing at all, what is left is the noise of the steps."""
    variance = {eta: float(run(backend, 0.0, eta=eta, start=0.0).var()) for eta in (0.25, 0.5, 1.0)}
    for eta, got in variance.items():
        wanted = 0.0
        for now, after in levels(ancestral(backend, STEPS, 1e9)):
            v = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
            kept = np.sqrt(after * now) + np.sqrt((1 - after - v) * (1 - now))
            wanted = kept**2 * wanted + v
        assert got == pytest.approx(wanted, rel=0.06)


def test_the_last_step_adds_no_noise(backend):
    scheduler = ancestral(backend, 1, 1e9)
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    one, other = (
        sampled(
            gaussian(scheduler),
            scheduler,
            scheduler.timesteps,
            latent,
            excess=excess,
            eta=1.0,
            generator=torch.Generator().manual_seed(1),
        )
        for excess in (0.0, 9.0)
    )
    assert torch.equal(one, other)


def ddpm(backend, condition: tuple, steps: int, seed: int, shape: tuple, reach: float) -> torch.Tensor:
    """Plain sampling, by the scheduler that diffusers has for it."""
    from diffusers import DDPMScheduler

    config = {key: value for key, value in backend.scheduler.items() if key.startswith(("beta", "num_train"))}
    scheduler = DDPMScheduler(**config, clip_sample=True, clip_sample_range=reach)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(shape, generator=generator)
    with torch.no_grad():
        for time in scheduler.timesteps:
            said = backend.unet(latent, time, *condition).sample
            latent = scheduler.step(said, time, latent, generator=generator).prev_sample
    return latent


def again(canvas, backend, *, excess=0.0, start=1.0, seed=0, steps=STEPS):
    with torch.no_grad():
        return redrawn(
            canvas,
            backend,
            steps=steps,
            start=start,
            excess=excess,
            eta=1.0,
            generator=torch.Generator().manual_seed(seed),
        )


def test_without_excess_from_pure_noise_it_is_plain_sampling_of_pixels(pixels):
    canvas = pictures(1, SIDE)[0]
    plain = to_picture(ddpm(pixels, (), STEPS, 0, (1, 3, SIDE, SIDE), 1.0), SIDE)
    np.testing.assert_allclose(again(canvas, pixels), plain, atol=1e-4)


def test_without_excess_from_pure_noise_it_is_plain_sampling_of_latents(backend):
    canvas = pictures(1, SIDE)[0]
    with torch.no_grad():
        reach = float(encode(to_pixels(canvas, SIDE, backend), backend).abs().max())
        latent = ddpm(backend, (embed([""], backend),), STEPS, 0, (1, 4, 16, 16), reach)
        plain = to_picture(decode(latent, backend), SIDE)
    np.testing.assert_allclose(again(canvas, backend), plain, atol=1e-4)


def test_more_excess_is_more_change(pixels):
    """How to check (1): mean change against s = 0, over 8 seeds."""
    canvas, changes = pictures(1, SIDE)[0], []
    plain = [again(canvas, pixels, start=0.5, seed=seed, steps=6) for seed in SEEDS]
    for excess in (0.0, 0.5, 1.0, 2.0, 4.0):
        made = (again(canvas, pixels, start=0.5, seed=seed, steps=6, excess=excess) for seed in SEEDS)
        changes.append(np.mean([np.abs(one - other).mean() for one, other in zip(made, plain, strict=True)]))
    assert changes[0] == 0 and (np.diff(changes) > 0).all()


def test_a_start_near_the_end_gives_the_part_and_one_at_it_pure_noise(pixels):
    one, other = pictures(2, SIDE)
    near = again(one, pixels, start=0.1)  # a single step, from 1 % of the noise
    assert np.abs(near - one).mean() < np.abs(again(one, pixels, start=0.5) - one).mean()
    assert np.array_equal(again(one, pixels), again(other, pixels))  # nothing of the canvas survives
    assert np.array_equal(again(one, pixels, start=0.01), to_picture(to_pixels(one, SIDE, pixels), SIDE))  # no step


# the method


def method(backend, **given) -> RealNetSdas:
    return RealNetSdas(backend=backend, steps=4, **given)


def scene(part=None, size_px=None) -> Scene:
    return Scene(pictures(1, SIDE_PX), 0, part, size_px, MadeTextures())


@pytest.mark.parametrize("which", ["pixels", "latents"])
def test_no_ng_is_needed_and_the_registry_s_promises_hold(which, pixels, backend):
    weights = pixels if which == "pixels" else backend
    images = pictures(2, SIDE_PX)
    part = np.zeros((2, SIDE_PX, SIDE_PX), bool)
    part[:, 8:56, 8:56] = True
    drawing = replace(build("realnet-sdas", {"backend": weights, "steps": 4}), excess_min=8.0, start=1.0)
    made, same = (drawing(images, count=2, seed=3, foregrounds=part) for _ in range(2))
    assert made.images.tobytes() == same.images.tobytes()
    for image, mask, parent, severity, told in zip(
        made.images, made.masks, made.parents, made.severities, made.settings, strict=True
    ):
        assert np.array_equal(image[~mask], images[parent][~mask]) and not (mask & ~part[0]).any()
        assert 0.5 <= severity <= 1 and 8 <= told["excess"] <= 16 and "source" not in told
    assert made.textures == ("excess noise",) * 2


def test_without_excess_the_difference_is_nothing_and_the_good_part_comes_back_exactly(pixels):
    """How to check (2)."""
    where = scene()
    draw = method(pixels, excess_min=0.0, excess_max=0.0).draw(where, 1.0, np.random.default_rng(0))
    assert np.array_equal(draw.picture, where.picture) and draw.written.any()


def test_published_blending_puts_the_drawn_picture_in_at_the_severity(pixels):
    """out = (1 - M) I + M (d A + (1 - d) I); inside the region, where the rim is not soft."""
    where, rng_seed = scene(), 5
    drawing = method(pixels, difference=False, start=1.0, excess_min=0.1, excess_max=0.1)
    full, half = (drawing.draw(where, d, np.random.default_rng(rng_seed)) for d in (1.0, 0.5))
    placed = drawing.placed(where, _after_excess(rng_seed))
    with torch.no_grad():
        drawn = drawing.paint(placed.window, torch.Generator().manual_seed(placed.seed))
    at_size = cv2.resize(drawn - placed.window.canvas, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    inside = placed.mask
    np.testing.assert_allclose(full.picture[inside], np.clip(where.picture + at_size, 0, 1)[inside], atol=1e-5)
    np.testing.assert_allclose(half.picture[inside], np.clip(where.picture + 0.5 * at_size, 0, 1)[inside], atol=1e-5)


def _after_excess(seed: int) -> np.random.Generator:
    rng = np.random.default_rng(seed)
    rng.uniform(0.1, 0.1)
    return rng


def test_regions_are_of_the_asked_size_on_the_part(pixels):
    part = np.zeros((SIDE_PX, SIDE_PX), bool)
    part[20:50, 10:60] = True
    for seed in range(6):
        placed = method(pixels).placed(scene(part, 12.0), np.random.default_rng(seed))
        assert not (placed.mask & ~part).any()
        assert equivalent_diameter_px(placed.mask) == pytest.approx(12, abs=0.1)
        assert (placed.box.top, placed.box.left, placed.box.side) == (0, 0, SIDE_PX)


def test_the_control_shows_what_the_model_makes_of_good_surface_in_either_way(pixels):
    where = scene(size_px=20.0)
    shown, published = (
        method(pixels, difference=difference).control(where, np.random.default_rng(2)) for difference in (True, False)
    )
    assert np.array_equal(shown, published) and not np.array_equal(shown, where.picture)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"eta": 0.0}, "deterministic sampler"),
        ({"excess_min": -0.5}, "excess noise"),
        ({"excess_min": 2.0, "excess_max": 1.0}, "excess noise"),
        ({"start": 0.0}, "pure noise"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, why):
    with pytest.raises(SynthesisError, match=why):
        RealNetSdas(**wrong)


def test_the_weights_stay_as_they_are(backend):
    before = known_by(backend)
    method(backend).draw(scene(), 1.0, np.random.default_rng(0))
    assert known_by(backend) == before
    with pytest.raises(SynthesisError, match="not trained"):
        RealNetSdas.fit(backend, (), pictures(1, SIDE_PX), seed=0, steps=1, watch=lambda *_: True)


def test_weights_of_another_kind_are_refused(tmp_path):
    with pytest.raises(WeightsUnavailable, match="needs a model of pixels"):
        method(tiny_backend(tmp_path, channels=9)).draw(scene(), 1.0, np.random.default_rng(0))


# a folder with a model of good parts


def test_a_folder_is_loaded_and_known_by_its_files(folder, pixels):
    assert (pixels.kind, pixels.family, pixels.side_px, pixels.vae) == ("unconditional", "ddpm", SIDE, None)
    same = load_unconditional(folder, device=torch.device("cpu"), dtype=torch.float32)
    assert same.digest == pixels.digest and len(pixels.digest) == 64
    assert not any(weight.requires_grad for weight in pixels.unet.parameters()) and not pixels.unet.training
    assert pixels.scheduler["num_train_timesteps"] == 1000


def test_folders_that_are_none_are_refused_by_name(folder, tmp_path):
    cpu = torch.device("cpu")
    with pytest.raises(WeightsUnavailable, match="sub-folder unet is missing"):
        load_unconditional(tmp_path, device=cpu, dtype=torch.float32)
    broken = tmp_path / "copy"
    shutil.copytree(folder, broken)
    config = json.loads((broken / "unet" / "config.json").read_text())
    for change, why in (({"num_class_embeds": 10}, "10 classes"), ({"_class_name": "UNet2DConditionModel"}, "UNet2D")):
        (broken / "unet" / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(WeightsUnavailable, match=why):
            load_unconditional(broken, device=cpu, dtype=torch.float32)
