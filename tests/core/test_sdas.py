"""SDAS-lite: a monotone axis that starts at the good part itself, and stays where its mask is."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from ias_core.errors import IasError, ShapeError, SynthesisError
from ias_core.synthesis.base import build
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.measures import equivalent_diameter_px, surrounding_noise
from ias_core.synthesis.one_shot.sampling import noise_index, overnoised
from ias_core.synthesis.one_shot.sdas import Sdas
from ias_core.synthesis.recipe import Scene
from tests.core.test_pixel_model import angles
from tests.core.tiny_pixel_model import WINDOW, by_hand, stripes, trained

SIDE = 64
EVERYWHERE = np.ones((WINDOW, WINDOW), np.float32)


def excess(
    model, strength: float, *, seed: int = 0, sigma: float = 40.0, edit: np.ndarray = EVERYWHERE, points: int = 20
) -> np.ndarray:
    window = stripes(1, WINDOW, seed=9)[0]
    generator = torch.Generator().manual_seed(seed)
    return overnoised(model, window, edit, strength=strength, sigma=sigma, generator=generator, points=points)


def scene(*, size_px: float | None = None, foreground: np.ndarray | None = None) -> Scene:
    return Scene(stripes(2, SIDE, seed=9), 0, foreground, size_px, MadeTextures())


def drawn(severity: float, *, seed: int = 0, model=None, size_px: float | None = 12.0):
    return Sdas(model=model or trained()).draw(scene(size_px=size_px), severity, np.random.default_rng(seed))


# The sampler


def test_more_strength_changes_more():
    """Specification, check 1."""
    change = [
        np.mean([np.abs(excess(trained(), strength, seed=seed, points=8)).mean() for seed in range(8)])
        for strength in (0, 0.5, 1, 2, 4)
    ]
    assert (np.diff(change) > 0).all() and change[0] == 0 and change[-1] > 0.01


@pytest.mark.parametrize("sigma", [20.0, 40.0, 160.0])
def test_strength_zero_adds_nothing(sigma):
    assert not excess(trained(), 0.0, sigma=sigma).any()


def test_strength_counts_on_the_variance():
    """Without a net nothing bends the noise: the difference grows as sqrt(1 + s) - 1, so s = 8 gives twice s = 3."""
    model = by_hand(scale=0.01)
    np.testing.assert_allclose(excess(model, 8.0, sigma=5), 2 * excess(model, 3.0, sigma=5), atol=1e-6)
    assert np.abs(excess(model, 3.0, sigma=5)).mean() > 1e-3


def test_spread_of_the_excess_is_that_of_ancestral_sampling():
    """With v = 0 every step turns what is there and adds its own noise; sqrt(1 + 3) - 1 = 1 times of it is left."""
    model, sigma = by_hand(scale=0.01), 5.0
    turn = angles(noise_index(model, sigma))
    total = 0.0
    for now, after in zip(turn[:-1], turn[1:], strict=True):
        fresh = (np.sin(after) / np.sin(now)) ** 2 * (1 - (np.cos(now) / np.cos(after)) ** 2)
        kept = np.cos(after) * np.cos(now) + np.sqrt(max(np.sin(after) ** 2 - fresh, 0)) * np.sin(now)
        total = kept**2 * total + fresh
    found = np.concatenate([excess(model, 3.0, seed=seed, sigma=sigma).ravel() for seed in range(8)])
    assert found.std() == pytest.approx(np.sqrt(total) * 0.01 / 2, rel=0.03)


def test_nothing_outside_the_edit_mask():
    edit = np.zeros_like(EVERYWHERE)
    edit[10:20, 12:18] = 1
    made = excess(trained(), 4.0, edit=edit)
    assert not made[edit == 0].any() and np.abs(made[edit == 1]).mean() > 0.005


@pytest.mark.parametrize("strength", [-0.5, float("nan")])
def test_a_strength_below_zero_is_refused(strength):
    with pytest.raises(ShapeError, match="a strength of 0 or more"):
        excess(by_hand(), strength)


# The method


def test_severity_zero_is_the_good_part_and_more_is_more():
    for seed in range(2):
        ladder = [drawn(severity, seed=seed) for severity in (0.0, 0.1, 0.4, 1.0)]
        assert np.array_equal(ladder[0].picture, scene().picture)
        assert [one.settings["strength"] for one in ladder] == pytest.approx([0, 1.6, 6.4, 16])
        change = [one.settings["change_to_noise"] for one in ladder]
        assert change[0] == 0 and (np.diff(change) > 0).all()
        for one in ladder:
            assert np.array_equal(one.written, ladder[0].written)
            assert one.settings["shape"] == ladder[0].settings["shape"]


def test_change_to_noise_is_the_mean_change_over_the_part_s_own():
    for noise in (0.01, 0.04):
        grey = np.random.default_rng(0).normal(0.5, noise, (1, SIDE, SIDE, 1)).repeat(3, 3).astype(np.float32)
        part = Scene(grey, 0, None, 12.0, MadeTextures())
        draw = Sdas(model=by_hand()).draw(part, 0.5, np.random.default_rng(0))
        mask = cv2.erode(draw.written.astype(np.uint8), np.ones((5, 5))).astype(bool)  # growing undone, but for notches
        by_eye = np.abs((draw.picture - grey[0]).mean(2))[mask].mean() / surrounding_noise(grey[0], mask)
        assert draw.settings["change_to_noise"] == pytest.approx(by_eye, rel=0.15)


def test_pictures_are_the_parents_outside_and_the_same_for_the_same_seed():
    images = stripes(2, SIDE, seed=9)
    method = build("sdas", {"model": trained(), "sources": ()})
    made, again, other = (method(images, count=3, seed=seed, severity=1.0, size_px=14.0) for seed in (5, 5, 6))
    assert made.images.tobytes() == again.images.tobytes() and not np.array_equal(made.images, other.images)
    for image, mask, parent in zip(made.images, made.masks, made.parents, strict=True):
        before = images[parent]
        assert np.array_equal(image[~mask], before[~mask]) and np.abs(image - before)[mask].mean() > 0.02
        assert equivalent_diameter_px(mask) == pytest.approx(14, rel=0.35)  # the 2 px around it hold faint grain too
        assert (image == image[..., :1]).all()  # a grey camera


def test_sizes_beyond_the_window_are_seen_smaller():
    draw = drawn(1.0, size_px=40.0)
    change = np.abs(draw.picture - scene().picture).mean(2)
    beyond = cv2.dilate(draw.written.astype(np.uint8), np.ones((5, 5))) == 0
    assert equivalent_diameter_px(draw.written) > 40 and not change[beyond].any()
    assert change[draw.written].mean() > 0.01


def test_it_stays_on_the_part():
    half = np.zeros((SIDE, SIDE), bool)
    half[:, :32] = True
    for seed in range(4):
        draw = Sdas(model=by_hand()).draw(scene(size_px=8.0, foreground=half), 1.0, np.random.default_rng(seed))
        assert draw.written[:, :34].sum() >= 0.9 * draw.written.sum()


def test_a_model_that_must_not_be_used_is_refused():
    with pytest.raises(SynthesisError, match="needs a pixel model trained"):
        build("sdas", {})
    with pytest.raises(SynthesisError, match="also saw 2 NG: train one without them"):
        Sdas(model=by_hand(meta={"ng": ["a.png", "b.png"]}))
    with pytest.raises(SynthesisError, match="changes good parts by 12.0 grey levels"):
        Sdas(model=by_hand(meta={"ok_to_ok": 12.0}))
    with pytest.raises(SynthesisError, match="train one"):
        Sdas().draw(scene(), 1.0, np.random.default_rng(0))
    with pytest.raises(IasError, match="smallest <= largest"):
        Sdas(size_min_px=9.0, size_max_px=5.0)
    with pytest.raises(IasError, match="at least 32 px"):
        small = Scene(stripes(1, 30), 0, None, 6.0, MadeTextures())
        Sdas(model=by_hand()).draw(small, 1.0, np.random.default_rng(0))


def test_it_registers_without_torch():
    code = "import sys, ias_core.synthesis.one_shot.sdas; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
