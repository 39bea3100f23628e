"""One contract over every registered method, then what local anomaly synthesis (LAS) promises beyond it.

Methods that draw with a network run with random weights, which make no defects, and take a hundred times as long. They
make two pictures each; what takes more, or defects, is asked of them in their own tests.
"""

import json

import numpy as np
import pytest
import torch

import ias_core.synthesis  # noqa: F401  registers the methods
from ias_core.backbone_menu import EMBEDDED
from ias_core.backbones import load_backbone
from ias_core.errors import ShapeError
from ias_core.features import PatchFeatures
from ias_core.patchcore.scoring import Scorer
from ias_core.synthesis import textures
from ias_core.synthesis.base import SyntheticDefects, synthesizers
from ias_core.synthesis.measures import equivalent_diameter_px
from tests.core.kit import WITH_NETWORK, method
from tests.core.small import bank_of, pictures

SIZE, COUNT, COUNT_WITH_NETWORK = 64, 10, 2
QUICK = tuple(name for name in synthesizers if name not in WITH_NETWORK)
LAS = ("glass-las-own", "glass-las-foreign")


@pytest.fixture(scope="module")
def images():
    images = pictures(4, SIZE)
    images.setflags(write=False)
    return images


@pytest.fixture(scope="module", params=synthesizers.names())
def made(request, images):
    name = request.param
    count, severity = (COUNT_WITH_NETWORK, 1.0) if name in WITH_NETWORK else (COUNT, None)
    return name, images, method(name)(images, count=count, seed=7, severity=severity)


@pytest.fixture(scope="module", params=QUICK)
def made_quickly(request, images):
    return request.param, images, method(request.param)(images, count=COUNT, seed=7)


def test_methods_of_the_first_phase_are_registered():
    assert set(LAS) <= set(synthesizers.names())


def test_shapes_types_and_range(made):
    name, _, defects = made
    assert isinstance(defects, SyntheticDefects)
    count = COUNT_WITH_NETWORK if name in WITH_NETWORK else COUNT
    assert defects.images.shape == (count, SIZE, SIZE, 3) and defects.images.dtype == np.float32
    assert defects.masks.shape == (count, SIZE, SIZE) and defects.masks.dtype == bool
    assert defects.images.min() >= 0 and defects.images.max() <= 1
    assert (defects.method, defects.seed) == (name, 7)
    assert ((defects.parents >= 0) & (defects.parents < 4)).all()
    assert ((defects.severities >= 0) & (defects.severities <= 1)).all()
    assert all(isinstance(texture, str) and texture for texture in defects.textures)


def test_nothing_changes_outside_the_mask_and_something_inside(made):
    _, images, defects = made
    for image, mask, parent in zip(defects.images, defects.masks, defects.parents, strict=True):
        assert np.array_equal(image[~mask], images[parent][~mask])
        assert mask.any() and (image[mask] != images[parent][mask]).any()


def test_input_stays_unchanged_and_is_not_shared(made):
    _, images, defects = made
    assert np.array_equal(images, pictures(4, SIZE))
    assert not np.shares_memory(images, defects.images)


def test_same_seed_same_pixels_and_another_seed_others(made_quickly):
    name, images, defects = made_quickly
    again, other = (method(name)(images, count=COUNT, seed=seed) for seed in (7, 8))
    assert np.array_equal(again.images, defects.images) and np.array_equal(again.masks, defects.masks)
    assert again.textures == defects.textures and np.array_equal(again.severities, defects.severities)
    assert not np.array_equal(other.images, defects.images)


def test_global_random_state_plays_no_part(made_quickly):
    name, images, defects = made_quickly
    np.random.seed(1)
    assert np.array_equal(method(name)(images, count=COUNT, seed=7).images, defects.images)


def test_fewer_images_are_the_first_of_more(made_quickly):
    name, images, defects = made_quickly
    assert np.array_equal(method(name)(images, count=3, seed=7).images, defects.images[:3])


def test_every_parent_is_used(made_quickly):
    assert set(made_quickly[2].parents) == {0, 1, 2, 3}


def test_one_image_is_enough(made_quickly):
    name, images, _ = made_quickly
    assert method(name)(images[:1], count=2, seed=0).images.shape[0] == 2


@pytest.mark.parametrize(
    ("images", "count"),
    [
        (np.zeros((0, 64, 64, 3), np.float32), 1),
        (np.zeros((2, 64, 64), np.float32), 1),
        (np.zeros((2, 64, 32, 3), np.float32), 1),
        (np.zeros((2, 64, 64, 3), np.float32), 0),
    ],
)
@pytest.mark.parametrize("name", synthesizers.names())
def test_input_that_does_not_fit_is_refused(name, images, count):
    with pytest.raises(ShapeError, match="expected"):
        method(name)(images, count=count, seed=0)


@pytest.mark.parametrize("name", synthesizers.names())
def test_unknown_setting_is_refused(name):
    with pytest.raises(TypeError):
        synthesizers[name](no_such_setting=1)


@pytest.fixture(scope="module")
def seen():
    """Mean patch score of pictures, by a memory bank of the same kind of OK pictures, through the embedded backbone."""
    features = PatchFeatures(load_backbone(EMBEDDED), torch.device("cpu"))
    scorer = Scorer(bank_of(features(pictures(8, SIZE, seed=5)), ratio=0.5), torch.device("cpu"))
    return lambda images: float(scorer(features(images)).patch_scores.mean())


@pytest.mark.parametrize("name", QUICK)
def test_more_severity_never_looks_more_like_a_good_part(name, seen):
    images = pictures(4, SIZE)
    ladder = [method(name)(images, count=12, seed=3, severity=s) for s in (0.25, 0.5, 0.75, 1.0)]
    scores = np.array([seen(step.images) for step in ladder])
    assert [set(step.severities.tolist()) for step in ladder] == [{0.25}, {0.5}, {0.75}, {1.0}]
    assert (np.diff(scores) > 0).all(), scores


@pytest.mark.parametrize("name", [name for name in QUICK if synthesizers[name].has_size])
def test_a_defect_has_about_the_size_asked_for(name):
    images = pictures(4, 128)
    found = []
    for size_px in (8, 16, 32):
        made = method(name)(images, count=16, seed=4, severity=1.0, size_px=size_px)
        found.append(np.median([equivalent_diameter_px(mask) for mask in made.masks]))
    assert (np.diff(found) > 0).all(), found
    np.testing.assert_allclose(found, (8, 16, 32), rtol=0.25)


@pytest.mark.parametrize("name", [name for name in synthesizers if not synthesizers[name].has_size])
def test_a_size_is_refused_where_there_is_none(name):
    with pytest.raises(ShapeError, match="no size"):
        method(name)(pictures(2, SIZE), count=1, seed=0, size_px=10)


@pytest.mark.parametrize("name", QUICK)
def test_no_defect_leaves_the_part(name):
    images = pictures(3, SIZE)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    parts = np.stack([np.hypot(y, x + shift) < SIZE / 3 for shift in (-8, 0, 8)])
    made = method(name)(images, count=9, seed=5, foregrounds=parts)
    for mask, parent in zip(made.masks, made.parents, strict=True):
        assert mask.any() and not (mask & ~parts[parent]).any()


@pytest.mark.parametrize("name", synthesizers.names())
@pytest.mark.parametrize(
    "dials",
    [
        {"severity": 1.1},
        {"severity": -0.1},
        {"severity": float("nan")},
        {"size_px": 0.0},
        {"size_px": 65.0},
        {"foregrounds": np.ones((2, 64, 64), np.uint8)},
        {"foregrounds": np.ones((1, 64, 64), bool)},
        {"foregrounds": np.zeros((2, 64, 64), bool)},
    ],
    ids=str,
)
def test_dials_that_do_not_fit_are_refused(name, dials):
    with pytest.raises(ShapeError, match="expected"):
        method(name)(pictures(2, SIZE), count=1, seed=0, **dials)


def test_drawn_values_can_be_written_down(made):
    _, _, defects = made
    assert len(defects.settings) in (0, len(defects.images))
    json.dumps(defects.settings, allow_nan=False)


@pytest.mark.parametrize("name", LAS)
def test_las_blends_one_8_bit_texture_with_weight_beta(name):
    """|x_las - x| = (1 - beta) |x' - x| in the mask: solved for x', it must be a picture: 8-bit values in [0, 1]."""
    images = pictures(4, SIZE)
    made = method(name)(images, count=COUNT, seed=3)
    betas = 1 - made.severities
    assert ((betas >= 0.2 - 1e-6) & (betas <= 0.8 + 1e-6)).all()
    for image, mask, parent, beta in zip(made.images, made.masks, made.parents, betas, strict=True):
        x = images[parent][mask].astype(np.float64)
        texture = (image[mask] - beta * x) / (1 - beta) * 255
        np.testing.assert_allclose(texture, np.round(texture), atol=5e-3)
        assert texture.min() > -0.01 and texture.max() < 255.01
        shift = np.abs(image[mask] - x)
        np.testing.assert_allclose(shift, (1 - beta) * np.abs(np.round(texture) / 255 - x), atol=1e-5)


@pytest.mark.parametrize("name", LAS)
def test_las_severity_is_one_minus_beta(name):
    images = pictures(3, SIZE)
    for beta in (0.2, 0.8):
        made = synthesizers[name](beta_mean=beta, beta_std=0.0)(images, count=COUNT, seed=1)
        np.testing.assert_allclose(made.severities, 1 - beta, atol=1e-6)
    spread = method(name)(images, count=200, seed=1).severities
    assert abs(spread.mean() - 0.5) < 0.03 and abs(spread.std() - 0.1) < 0.02
    clipped = synthesizers[name](beta_std=0.3)(images, count=200, seed=1).severities
    assert clipped.min() == pytest.approx(0.2) and clipped.max() == pytest.approx(0.8)


@pytest.mark.parametrize("name", LAS)
def test_las_of_a_grey_camera_stays_grey(name):
    grey = np.repeat(pictures(3, SIZE)[..., :1], 3, 3)
    made = method(name)(grey, count=COUNT, seed=2)
    assert np.ptp(made.images, axis=3).max() < 2 / 255


def test_own_texture_is_an_own_image_never_in_register():
    images = pictures(5, SIZE)
    for seed in range(30):
        texture, name = textures.own_texture(images, np.random.default_rng(seed))
        source = images[int(name.removeprefix("own image "))]
        assert np.array_equal(np.sort(texture, axis=None), np.sort(source, axis=None))
        assert not np.array_equal(texture, source)


def test_own_texture_is_named_as_such_and_foreign_as_made_here():
    images = pictures(3, SIZE)
    own, foreign = (method(name)(images, count=40, seed=0).textures for name in LAS)
    assert all(texture.startswith("own image") for texture in own)
    kinds = {texture.removeprefix("made here: ") for texture in foreign}
    assert kinds == {"noise", "stripes", "checks", "flat"}


def test_three_different_augmentations(monkeypatch):
    used: list[int] = []
    counted = tuple(lambda image, rng, place=place: used.append(place) or image for place in range(9))
    monkeypatch.setattr(textures, "_AUGMENTATIONS", counted)
    for seed in range(20):
        used.clear()
        textures.augment(pictures(1, SIZE)[0], np.random.default_rng(seed))
        assert len(used) == len(set(used)) == 3


@pytest.mark.parametrize("place", range(9))
def test_each_augmentation_gives_a_picture(monkeypatch, place):
    monkeypatch.setattr(textures, "_AUGMENTATIONS", (textures._AUGMENTATIONS[place],) * 3)
    out = textures.augment(pictures(1, SIZE)[0], np.random.default_rng(0))
    assert out.shape == (SIZE, SIZE, 3) and out.dtype == np.float32
    assert out.min() >= 0 and out.max() <= 1 and np.ptp(out) > 0.1


@pytest.mark.parametrize(
    "change",
    [{"masks": np.zeros((2, 8, 9), bool)}, {"parents": np.zeros(3, int)}, {"textures": ("a",)}, {"severities": 1.0}],
)
def test_fields_that_do_not_fit_are_refused(change):
    fields = {
        "images": np.zeros((2, 8, 8, 3), np.float32),
        "masks": np.zeros((2, 8, 8), bool),
        "parents": np.zeros(2, int),
        "method": "m",
        "severities": np.zeros(2, np.float32),
        "textures": ("a", "b"),
        "seed": 0,
    }
    with pytest.raises((ShapeError, AttributeError)):
        SyntheticDefects(**fields | change)
