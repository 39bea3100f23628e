"""Perlin fields and masks against slow ones, and what DRAEM, DestSeg and MemSeg promise beyond the contract."""

import heapq
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ias_core.errors import IasError, SynthesisError
from ias_core.synthesis import random_augment as augmentation
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted import draem, memseg
from ias_core.synthesis.handcrafted.memseg import shuffled
from ias_core.synthesis.handcrafted.perlin_mask import grown, roomy, turned
from ias_core.synthesis.measures import equivalent_diameter_px
from ias_core.synthesis.perlin import perlin_field, perlin_noise, resized_perlin_field
from ias_core.synthesis.random_augment import OPERATIONS, random_augment
from ias_core.synthesis.recipe import Void
from tests.core.small import pictures

SIDE = 64
METHODS = ("draem", "destseg", "memseg", "memseg-asbench")


def published_field(size: int, rng: np.random.Generator, scales: tuple[int, int] | None = None) -> np.ndarray:
    scales = scales or tuple(int(2 ** rng.integers(6)) for _ in range(2))
    return turned(perlin_field(size, scales, rng), rng.uniform(-90, 90))


def texture(size: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with every value from black to white."""
    coarse = np.random.default_rng(seed).uniform(0, 1, (6, 6, 3))
    return np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1).astype(np.float32)


class OneTexture:
    name = "one"

    def __call__(self, size, rng):
        return texture(size), "one: the same"


# Fields


@pytest.mark.parametrize("scales", [(1, 1), (2, 16), (32, 4), (64, 64)])
def test_fast_field_is_the_slow_one(scales):
    fast, slow = (field(SIDE, scales, np.random.default_rng(5)) for field in (perlin_field, perlin_noise))
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, slow, atol=2e-6)


@pytest.mark.parametrize("size", [33, 64, 97])
def test_field_takes_any_size_and_is_zero_on_the_lattice(size):
    field = perlin_field(3 * size, (3, 3), np.random.default_rng(1))
    np.testing.assert_allclose(field[::size, ::size], 0, atol=1e-6)
    assert np.abs(perlin_field(size, (4, 8), np.random.default_rng(1))).max() <= 1 + 1e-6


def test_periodic_field_has_no_seam():
    open_, closed = (perlin_field(SIDE, (2, 4), np.random.default_rng(3), periodic=p) for p in (False, True))
    inner = np.abs(np.diff(closed, axis=0)).max()
    assert np.abs(closed[0] - closed[-1]).max() <= 1.05 * inner
    assert np.abs(open_[0] - open_[-1]).max() > 3 * inner


def destseg_field(size, scales, rng):
    """As published, with its own formulas: maps repeated, resized, dotted with the fractions."""
    angles = rng.uniform(0, 2 * np.pi, (scales[0] + 1, scales[1] + 1))
    gradients = np.stack([np.cos(angles), np.sin(angles)], -1)
    grid = np.stack(np.meshgrid(*(np.arange(size) * s / size for s in scales), indexing="ij"), -1) % 1

    def corner(j, k):
        part = gradients[j : scales[0] + j, k : scales[1] + k]
        repeated = np.repeat(np.repeat(part, size // scales[0], 0), size // scales[1], 1)
        return (cv2.resize(repeated, (size, size)) * (grid - (j, k))).sum(-1)

    u, v = np.moveaxis(6 * grid**5 - 15 * grid**4 + 10 * grid**3, -1, 0)
    first = corner(0, 0) + u * (corner(1, 0) - corner(0, 0))
    return np.sqrt(2) * (first + v * (corner(0, 1) + u * (corner(1, 1) - corner(0, 1)) - first))


@pytest.mark.parametrize(("size", "scales"), [(64, (4, 16)), (224, (32, 32)), (100, (8, 32)), (75, (2, 16))])
def test_resized_field_is_destsegs(size, scales):
    ours = resized_perlin_field(size, scales, np.random.default_rng(2))
    np.testing.assert_allclose(ours, destseg_field(size, scales, np.random.default_rng(2)), atol=2e-5)
    plain = perlin_field(size, scales, np.random.default_rng(2))
    assert np.allclose(ours, plain, atol=1e-5) == (size % scales[0] == size % scales[1] == 0)


@pytest.mark.parametrize(("degrees", "quarters"), [(0, 0), (90, 1), (-90, 3)])
def test_a_quarter_turn_moves_pixels_only(degrees, quarters):
    field = perlin_field(SIDE, (4, 4), np.random.default_rng(0))
    np.testing.assert_allclose(turned(field, degrees), np.rot90(field, quarters), atol=1e-5)


def test_a_turned_field_is_zero_where_nothing_comes_from():
    assert turned(np.ones((SIDE, SIDE), np.float32), 45)[:8, :8].max() == 0


def test_mask_statistics_are_those_of_the_published_recipe():
    """Measured on 3,000 masks of 256 px: 4.6 % empty; area quantiles 2.0, 4.6, 7.4, 15 %.

    Allowed: three standard errors of 600 draws and of those 3,000; of the quantiles by bootstrap.
    """
    masks = (published_field(256, np.random.default_rng(seed)) > 0.5 for seed in range(600))
    areas = np.array([np.count_nonzero(mask) for mask in masks]) / 256**2
    assert abs((areas == 0).mean() - 0.046) < 3 * np.sqrt(0.046 * 0.954 * (1 / 600 + 1 / 3000))
    quantiles = np.quantile(areas, (0.1, 0.5, 0.9, 0.99))
    allowed = 3 * np.array([0.0013, 0.0003, 0.0013, 0.0083]) * np.sqrt(1 + 3000 / 600)  # standard errors at 3,000
    assert (np.abs(quantiles - (0.020, 0.046, 0.074, 0.15)) < allowed).all(), quantiles


def test_one_cell_rarely_reaches_the_threshold():
    """Empty in 53 % of those 3,000 draws that had scales (1, 1), which are about 83."""
    empty = [not (published_field(48, np.random.default_rng(s), (1, 1)) > 0.5).any() for s in range(500)]
    assert abs(np.mean(empty) - 0.53) < 3 * np.sqrt(0.25 * (1 / 83 + 1 / 500))


# One region of an exact area


def plainly_grown(field: np.ndarray, area_px: int, part: np.ndarray) -> np.ndarray:
    height = np.where(part, field, -np.inf)
    place = divmod(int(height.argmax()), len(field))
    region, seen, rim = np.zeros(field.shape, bool), {place}, [(-height[place], place)]
    for _ in range(area_px):
        _, (row, column) = heapq.heappop(rim)
        region[row, column] = True
        for near in ((row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)):
            if near not in seen and min(near) >= 0 and max(near) < len(field):
                seen.add(near)
                heapq.heappush(rim, (-height[near], near))
    return region


@pytest.mark.parametrize("area_px", [1, 4, 50, 400, 1500])
def test_region_is_the_plainly_grown_one(area_px):
    for seed in range(10):
        field = published_field(SIDE, np.random.default_rng(seed))
        region = grown(field, area_px)
        assert region.sum() == area_px
        assert cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[0] == 2
        assert np.array_equal(region, plainly_grown(field, area_px, np.ones(field.shape, bool)))


def test_region_stays_on_the_part_and_takes_a_piece_that_holds_it():
    part = np.zeros((SIDE, SIDE), bool)
    part[5:15, 5:15] = part[30:60, 30:60] = True  # 100 and 900 px
    for seed in range(20):
        field = published_field(SIDE, np.random.default_rng(seed))
        assert not (grown(field, 60, part) & ~part).any()
        assert grown(field, 101, part)[30:, 30:].sum() == 101
        large = part.copy()
        large[:20] = False
        assert np.array_equal(grown(field, 300, part), plainly_grown(field, 300, large))
    assert np.array_equal(grown(field, 900, part), large)
    with pytest.raises(Void, match="no piece of the part has 901 px"):
        grown(field, 901, part)


def test_two_hills_at_one_height_make_no_jump():
    """Raising the threshold gives 25 px or 60: the level between them is one."""
    field = np.zeros((20, 20), np.float32)
    field[2:7, 2:7], field[2:9, 8:13], field[4, 7] = 1.0, 0.9, 0.5
    field[2, 2] = 1.1
    assert [(field >= level).sum() for level in (0.95, 0.9, 0.5)] == [25, 60, 61]
    region = grown(field, 40)
    assert region[2:7, 2:7].all() and region[4, 7] and region[2:9, 8:13].sum() == 14


def test_roomy_pieces():
    part = np.zeros((10, 10), bool)
    part[0, 0] = part[1, 1] = part[5:8, 5:8] = True  # two that touch at a corner, and nine
    assert roomy(part, 1).sum() == 11 and roomy(part, 3).sum() == 9 and not roomy(part, 10).any()


@pytest.mark.parametrize("name", METHODS)
def test_defects_of_an_asked_size_are_one_piece_of_it(name):
    images = np.full((1, SIDE, SIDE, 3), 0.2, np.float32)
    made = synthesizers[name]()(images, count=12, seed=1, severity=1.0, size_px=13, textures=OneTexture())
    for mask in made.masks:
        assert equivalent_diameter_px(mask) <= 13.1  # what the matter happens to match is left out
    assert np.median([equivalent_diameter_px(mask) for mask in made.masks]) > 12


# Blending


@pytest.mark.parametrize("name", METHODS)
def test_opacity_is_the_severity(name, monkeypatch):
    """Least squares of out - I on S - I inside the mask."""
    monkeypatch.setattr(draem, "random_augment", lambda image, rng: (image, []))
    images, matter = 0.4 * pictures(3, SIDE), texture(SIDE)  # dark, so that ASBench's MemSeg writes everywhere
    checked = 0
    made = synthesizers[name]()(images, count=40, seed=2, textures=OneTexture())
    for i, mask in enumerate(made.masks):
        if made.textures[i] != "one: the same" or mask.sum() < 100:
            continue
        parent = images[made.parents[i]][mask].astype(np.float64)
        x, y = (matter[mask] - parent).ravel(), (made.images[i][mask] - parent).ravel()
        assert x @ y / (x @ x) == pytest.approx(made.severities[i], rel=0.01)
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize("name", METHODS)
def test_severities_of_one_seed_differ_in_opacity_alone(name):
    images = np.round(pictures(3, SIDE) * 255).astype(np.float32) / 255
    half, full = (synthesizers[name]()(images, count=10, seed=6, severity=s) for s in (0.5, 1.0))
    for i, parent in enumerate(half.parents):
        if half.settings[i] != full.settings[i]:  # a draw that shows at 1 alone
            continue
        both = half.masks[i] & full.masks[i]
        between = (images[parent] + full.images[i]) / 2
        np.testing.assert_allclose(half.images[i][both], between[both], atol=0.51 / 255)


@pytest.mark.parametrize(("name", "low"), [("draem", 0.2), ("destseg", 0.2), ("memseg", 0.15)])
def test_published_opacities(name, low):
    severities = synthesizers[name]()(pictures(2, SIDE), count=60, seed=0).severities
    assert severities.min() >= low and severities.min() < low + 0.1
    assert severities.max() <= 1 and severities.max() > 0.9


def test_draem_augments_and_destseg_does_not():
    images = pictures(2, SIDE)
    drawn = {name: synthesizers[name]()(images, count=8, seed=3).settings for name in ("draem", "destseg")}
    assert all(len(set(one["operations"])) == 3 for one in drawn["draem"])
    assert all("operations" not in one for one in drawn["destseg"])


# MemSeg


@pytest.mark.parametrize("size", [64, 60, 97])
def test_shuffling_keeps_every_value_and_moves_whole_cells(size):
    image = np.round(texture(size) * 255).astype(np.uint8)
    out = shuffled(image, 8, np.random.default_rng(4))
    assert np.array_equal(
        *(np.bincount(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).ravel(), minlength=256) for picture in (image, out))
    )
    side = size // 8

    def cells(picture):
        return [picture[r : r + side, c : c + side].tobytes() for r in _starts(side) for c in _starts(side)]

    assert Counter(cells(out)) == Counter(cells(image)) and cells(out) != cells(image)


def _starts(side: int) -> range:
    return range(0, 8 * side, side)


def test_structure_source_is_the_shuffled_augmented_image():
    images = pictures(3, SIDE)
    made = synthesizers["memseg"]()(images, count=200, seed=0)
    kinds = [drawn["matter"] for drawn in made.settings]
    assert abs(kinds.count("structure") - 100) < 3 * np.sqrt(50)
    for i, drawn in enumerate(made.settings):
        own = made.textures[i] == f"own image {made.parents[i]}, shuffled"
        assert own == (drawn["matter"] == "structure") == ("operations" in drawn)


def test_matter_that_is_the_picture_itself_is_no_defect(monkeypatch):
    monkeypatch.setattr(memseg, "random_augment", lambda image, rng: (image, []))
    images = np.full((1, SIDE, SIDE, 3), 0.5, np.float32)
    with pytest.raises(SynthesisError, match="memseg: 20 draws"):
        synthesizers["memseg"]()(images, count=1, seed=0, textures=lambda size, rng: (images[0], "the same"))


@pytest.mark.parametrize("name", ["memseg", "memseg-asbench"])
@pytest.mark.parametrize("size_px", [None, 9])
def test_mask_is_a_subset_of_the_foreground(name, size_px):
    images = np.full((2, SIDE, SIDE, 3), 0.3, np.float32)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    parts = np.stack([np.hypot(y, x) < 14, np.abs(x) < 8])
    made = synthesizers[name]()(images, count=16, seed=4, size_px=size_px, foregrounds=parts, textures=OneTexture())
    for mask, parent in zip(made.masks, made.parents, strict=True):
        assert mask.any() and not (mask & ~parts[parent]).any()


def test_asbench_takes_what_is_dark_for_the_part():
    images = np.full((1, SIDE, SIDE, 3), 150 / 255, np.float32)
    images[0, 10:40, 20:60] = 100 / 255
    dark = images[0, ..., 0] < 0.5
    made = synthesizers["memseg-asbench"]()(images, count=16, seed=0)
    assert not (made.masks & ~dark).any()
    assert {drawn["foreground"] for drawn in made.settings} == {"what is dark"}


def test_asbench_says_when_nothing_is_dark():
    images = np.full((1, SIDE, SIDE, 3), 101 / 255, np.float32)
    made = synthesizers["memseg-asbench"]()(images, count=3, seed=0)
    assert {drawn["foreground"] for drawn in made.settings} == {"no dark place is large enough, so everywhere"}


# Random operations


def test_three_different_operations_in_the_drawn_order(monkeypatch):
    used: list[str] = []
    recorders = {name: (lambda image, rng, name=name: used.append(name) or image) for name in OPERATIONS}
    monkeypatch.setattr(augmentation, "OPERATIONS", recorders)
    seen = set()
    for seed in range(60):
        used.clear()
        _, names = random_augment(texture(8), np.random.default_rng(seed))
        assert used == names and len(set(names)) == 3
        seen.update(names)
    assert seen == set(OPERATIONS) and len(seen) == 10


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_gives_another_picture(name):
    pixels = np.round(texture(SIDE) * 255).astype(np.uint8)
    before = pixels.copy()
    outs = [OPERATIONS[name](pixels, np.random.default_rng(seed)) for seed in range(8)]
    assert np.array_equal(pixels, before)
    assert all(out.shape == pixels.shape and out.dtype == np.uint8 for out in outs)
    assert any((out != pixels).mean() > 0.3 for out in outs) and all(np.ptp(out) > 80 for out in outs)


def test_operations_with_a_closed_form():
    pixels = np.round(texture(SIDE) * 255).astype(np.uint8)
    rng = np.random.default_rng
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    assert np.array_equal(OPERATIONS["invert"](pixels, rng(0)), 255 - pixels)
    for seed in range(10):
        curve = OPERATIONS["gamma"](levels, rng(seed))[0].astype(int)  # (256, 3)
        assert (curve[0] == 0).all() and (curve[-1] == 255).all() and (np.diff(curve, axis=0) >= 0).all()
        assert not np.array_equal(curve[:, 0], curve[:, 1])
        threshold = _first_changed(OPERATIONS["solarize"](levels, rng(seed)), levels)
        assert threshold is None or 32 <= threshold <= 128
        kept = len(np.unique(OPERATIONS["posterize"](levels, rng(seed))))
        assert kept in {2**bits for bits in range(1, 9)}
        grey = OPERATIONS["hue and saturation"](np.full((8, 8, 3), 100, np.uint8), rng(seed))
        assert grey.max() == 100  # the value stays, whatever the hue
    flat = np.bincount(OPERATIONS["equalize"](pixels, rng(0))[..., 0].ravel(), minlength=256).cumsum() / SIDE**2
    assert np.abs(flat - np.arange(1, 257) / 256).max() < 0.05


def _first_changed(out: np.ndarray, levels: np.ndarray) -> int | None:
    changed = np.flatnonzero(out[0, :, 0] != levels[0, :, 0])
    return int(changed[0]) if len(changed) else None


def test_operations_are_pillows():
    pixels = np.round(texture(SIDE) * 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    for seed in range(6):
        factor = np.random.default_rng(seed).uniform(0, 2)
        sharp = np.asarray(ImageEnhance.Sharpness(image).enhance(factor)).astype(int)
        ours = OPERATIONS["sharpness"](pixels, np.random.default_rng(seed))
        assert np.abs(ours[1:-1, 1:-1] - sharp[1:-1, 1:-1]).max() <= 2  # Pillow rounds in between, and leaves the rim
        bits = int(np.random.default_rng(seed).integers(1, 9))
        ours = OPERATIONS["posterize"](pixels, np.random.default_rng(seed))
        assert np.array_equal(ours, np.asarray(ImageOps.posterize(image, bits)))
        rng = np.random.default_rng(seed)
        drawn, threshold = rng.random() < 0.5, int(rng.integers(32, 129))
        expected = np.asarray(ImageOps.solarize(image, threshold)) if drawn else pixels
        assert np.array_equal(OPERATIONS["solarize"](pixels, np.random.default_rng(seed)), expected)
        cutoff = int(np.random.default_rng(seed).integers(21))
        dull = 40 + pixels // 2
        ours = OPERATIONS["autocontrast"](dull, np.random.default_rng(seed)).astype(int)
        assert np.abs(ours - np.asarray(ImageOps.autocontrast(Image.fromarray(dull), cutoff))).max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_a_threshold_no_noise_reaches_is_an_error_that_says_so(name):
    with pytest.raises(IasError, match="below its threshold"):
        synthesizers[name](threshold=1.5)(pictures(1, SIDE), count=1, seed=0)
