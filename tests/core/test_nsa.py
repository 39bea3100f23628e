"""NSA: no seam, places and sizes as drawn, and a measured severity that is NSA's label."""

import numpy as np
import pytest
from scipy.ndimage import median_filter
from skimage.morphology import disk

from ias_core.errors import IasError, SynthesisError
from ias_core.synthesis.handcrafted.nsa import Nsa, measured_severity, pasted, share_of_part, without_ring
from ias_core.synthesis.handcrafted.nsa_asbench import NsaAsbench
from tests.core.small import pictures

SIDE = 64
LEVEL = 1 / 255


def part(n: int) -> np.ndarray:
    """(n, 64, 64) bool: a disc that fills two fifths of the picture."""
    y, x = np.mgrid[:SIDE, :SIDE] - 31.5
    return np.repeat((np.hypot(y, x) < 23)[None], n, 0)


def rebuilt(parent: np.ndarray, donor: np.ndarray, patches: list, foreground: np.ndarray | None) -> np.ndarray:
    """The picture again, from what was written down of it."""
    import cv2

    out = parent.copy()
    for top, left, height, width, source_top, source_left, tall, wide in patches:
        cut = np.ascontiguousarray(donor[source_top : source_top + tall, source_left : source_left + wide])
        inside = np.ones((height, width), bool)
        if foreground is not None:
            inside = foreground[top : top + height, left : left + width]
        pasted(out, cv2.resize(cut, (width, height)), top, left, without_ring(inside), mixed=foreground is None)
    return out


@pytest.mark.parametrize("mixed", [False, True])
def test_the_picture_itself_without_a_shift_changes_nothing(mixed):
    parent = pictures(1, SIDE)[0]
    out = parent.copy()
    pasted(out, parent[10:40, 20:50], 10, 20, np.ones((30, 30), bool), mixed=mixed)
    np.testing.assert_allclose(out, parent, atol=1e-5)


@pytest.mark.parametrize("offset", [0.15, -0.1])
def test_a_constant_offset_of_the_source_disappears(offset):
    parent = np.clip(pictures(1, SIDE)[0], 0.2, 0.8)
    out = parent.copy()
    pasted(out, parent[10:40, 20:50] + np.float32(offset), 10, 20, np.ones((30, 30), bool), mixed=False)
    np.testing.assert_allclose(out, parent, atol=1e-5)


def test_the_outermost_ring_stays_the_parents():
    parent, donor = pictures(2, SIDE)
    out = parent.copy()
    pasted(out, donor[:20, :30], 12, 8, without_ring(np.ones((20, 30), bool)), mixed=False)
    changed = (out != parent).any(2)
    assert changed[13:31, 9:37].mean() > 0.99
    changed[13:31, 9:37] = False
    assert not changed.any()


def test_the_ring_of_a_part_mask_is_that_of_its_box():
    inside = np.zeros((6, 7), bool)
    inside[2:, 3:] = True
    expected = np.zeros((6, 7), bool)
    expected[2:5, 3:6] = True
    assert np.array_equal(without_ring(inside), expected)
    assert inside[5, 6]  # the mask that was given stays as it was


def test_share_of_the_part_in_boxes_counted_slowly():
    mask = part(1)[0]
    corners = np.random.default_rng(0).integers(0, SIDE - 17, (50, 2))
    slow = [mask[r : r + 17, c : c + 9].mean() for r, c in corners]
    np.testing.assert_allclose(share_of_part(mask, corners, 17, 9), slow)


@pytest.mark.parametrize("with_part", [False, True])
def test_the_picture_is_what_the_settings_say(with_part):
    images, foregrounds = pictures(3, SIDE), part(3) if with_part else None
    made = Nsa()(images, count=12, seed=1, foregrounds=foregrounds)
    for image, mask, parent, texture, settings in zip(
        made.images, made.masks, made.parents, made.textures, made.settings, strict=True
    ):
        donor = int(texture.removeprefix("own image "))
        assert donor != parent
        again = rebuilt(images[parent], images[donor], settings["patches"], foregrounds[parent] if with_part else None)
        assert np.abs(again - image)[mask].max() < 0.51 * LEVEL
        assert settings["gradients"] == ("source" if with_part else "mixed")


def test_one_to_four_patches_and_three_on_objects():
    counts = [
        np.bincount(
            [len(s["patches"]) for s in Nsa()(pictures(3, SIDE), count=40, seed=2, **more).settings], minlength=5
        )
        for more in ({}, {"foregrounds": part(3)})
    ]
    assert (counts[0][1:] > 0).all() and counts[0][0] == 0
    assert (counts[1][1:4] > 0).all() and counts[1][4] == 0


def test_sides_are_clipped_gamma_draws():
    sides = np.array([p[2:4] for s in Nsa()(pictures(3, 128), count=30, seed=3).settings for p in s["patches"]]) / 128
    assert sides.min() >= 0.03 - 0.5 / 128 and sides.max() <= 0.4 + 0.5 / 128
    # twice 0.03 + Gamma(2, 0.05) has a median of 0.228; the resize and the upper bound take some of it
    assert 0.15 < np.median(sides) < 0.26
    narrow = Nsa(half_width_min=0.05, half_width_max=0.1)(pictures(3, 128), count=20, seed=3)
    assert max(p[k] for s in narrow.settings for p in s["patches"] for k in (2, 3)) <= 13


def test_patches_hold_and_meet_enough_of_the_part():
    mask = part(1)[0]
    made = Nsa()(pictures(3, SIDE), count=40, seed=4, foregrounds=part(3))
    shares = []
    for settings in made.settings:
        for top, left, height, width, source_top, source_left, tall, wide in settings["patches"]:
            shares.append(mask[source_top : source_top + tall, source_left : source_left + wide].mean())
            assert mask[top : top + height, left : left + width].mean() > 0.25 * 0.7 * 0.9  # 0.9: the mask is resized
    assert 0.7 < min(shares) < 0.9


def test_a_part_mask_of_the_whole_picture_means_a_texture():
    images = pictures(3, SIDE)
    whole = Nsa()(images, count=6, seed=5, foregrounds=np.ones((3, SIDE, SIDE), bool))
    assert np.array_equal(whole.images, Nsa()(images, count=6, seed=5).images)


def test_a_part_too_small_for_any_patch_is_refused():
    tiny = np.zeros((2, SIDE, SIDE), bool)
    tiny[:, 30, 30] = True
    with pytest.raises(SynthesisError, match="enough of the part"):
        Nsa()(pictures(2, SIDE), count=1, seed=0, foregrounds=tiny)


@pytest.mark.parametrize("method", [Nsa, NsaAsbench])
def test_a_constant_picture_takes_no_patch(method):
    with pytest.raises(SynthesisError, match="20 draws"):
        method()(np.full((2, SIDE, SIDE, 3), 0.5, np.float32), count=1, seed=0)


@pytest.mark.parametrize("method", [Nsa, NsaAsbench])
def test_severity_is_the_opacity(method):
    images = pictures(3, SIDE)
    full, half = (method()(images, count=8, seed=6, severity=s) for s in (1.0, 0.5))
    for whole, weak, mask, parent in zip(full.images, half.images, half.masks, half.parents, strict=True):
        np.testing.assert_allclose(
            (weak - images[parent])[mask], 0.5 * (whole - images[parent])[mask], atol=1.01 * LEVEL
        )
    weak, strong = (np.array([s["severity_measured"] for s in made.settings]) for made in (half, full))
    seen = weak > 0  # not where fewer pixels changed than NSA's medians let through
    assert seen.sum() >= 7 and (weak < strong)[seen].all() and strong.max() < 1


def test_measured_severity_of_a_known_change():
    parent = np.full((40, 40, 3), 0.4, np.float32)
    written = np.zeros((40, 40), bool)
    written[5:35, 8:30] = True
    for levels, expected in ((20, 0.5), (26, 1 / (1 + np.exp(-1))), (1, 0.0)):
        child = parent + written[..., None] * np.float32(levels * LEVEL)
        assert measured_severity(parent, child, written) == pytest.approx(expected, abs=1e-6)


def test_measured_severity_computed_slowly():
    parent, child = pictures(2, SIDE)
    written = part(1)[0]
    child = np.where(written[..., None], parent + 0.3 * (child - parent), parent)
    change = 255 * np.abs(child - parent).mean(2)
    label = written & median_filter((change > 1) & written, 5, mode="nearest")
    smooth = median_filter(np.where(label, np.rint(change), 0), footprint=disk(1), mode="constant")
    slow = 1 / (1 + np.exp(-(smooth[label] - 20) / 6))
    assert measured_severity(parent, child, written) == pytest.approx(
        np.percentile(slow, 95), abs=0.03
    )  # medians of even counts differ


def test_asbench_takes_one_patch_of_the_same_image():
    images = pictures(3, SIDE)
    made = NsaAsbench()(images, count=30, seed=7)
    names = ("top", "left", "height", "width", "source_top", "source_left", "source_height", "source_width")
    sides = []
    for image, mask, parent, texture, settings in zip(
        made.images, made.masks, made.parents, made.textures, made.settings, strict=True
    ):
        assert texture == f"own image {parent}"
        patch = [settings[f"{name}_px"] for name in names]
        again = rebuilt(images[parent], images[parent], [patch], np.ones((SIDE, SIDE), bool))
        assert np.abs(again - image)[mask].max() < 0.51 * LEVEL
        sides.append(np.array(patch[2:4]) / SIDE)
    assert np.min(sides) > 2 * 0.05 * 0.7 - 0.01 and np.max(sides) <= 0.2 + 0.5 / SIDE


def test_half_widths_that_are_no_range_are_refused():
    for method in (Nsa, NsaAsbench):
        with pytest.raises(IasError, match="half-widths"):
            method(half_width_min=0.3, half_width_max=0.1)
