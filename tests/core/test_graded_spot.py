"""Graded spots: what was asked is what is made, evenly, and more contrast is never less of a defect."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, label

from ias_core.errors import IasError, ShapeError
from ias_core.features import PatchFeatures
from ias_core.patchcore.scoring import Scorer
from ias_core.synthesis.graded_spot import GradedSpot, design, dot, spot
from ias_core.synthesis.measures import equivalent_diameter_px, signal_to_noise
from tests.core.small import bank_of, pictures, tiny_backbone

SIDE = 96
CPU = torch.device("cpu")
SEEDS = range(8)


def flat(grey: float, n: int = 1, side: int = SIDE) -> np.ndarray:
    return np.full((n, side, side, 3), grey, np.float32)


def grain(side: int = SIDE) -> np.ndarray:
    """Grey 0.5 with noise far above one grey level and far below black and white."""
    noise = np.random.default_rng(0).normal(0.5, 0.02, (side, side, 1))
    return np.repeat(noise, 3, 2).astype(np.float32)


def ratios(images: np.ndarray, made) -> np.ndarray:
    return np.array(
        [signal_to_noise(images[p], x, m) for p, x, m in zip(made.parents, made.images, made.masks, strict=True)]
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [16, 48, 80, 112])
def test_every_cell_of_the_design_gets_the_same(count, seed):
    places = design(count, seed)
    cells, _, _ = np.histogram2d(*places.T, bins=4, range=((0, 1), (0, 1)))
    assert (cells == count / 16).all()


@pytest.mark.parametrize("count", [1, 7, 23, 50, 77, 200])
def test_any_count_covers_both_axes_evenly_and_apart_from_each_other(count):
    for seed in range(20):
        places = design(count, seed)
        assert places.shape == (count, 2) and ((places >= 0) & (places < 1)).all()
        even = (np.arange(count) + 0.5) / count
        assert np.abs(np.sort(places, 0) - even[:, None]).max() < 2.5 / count + 0.02  # drawn at random: 1.36 / sqrt(n)
        if count >= 50:
            assert abs(np.corrcoef(places.T)[0, 1]) < 0.15


def test_fewer_places_are_the_first_of_more():
    assert np.array_equal(design(13, 3), design(200, 3)[:13])
    assert not np.array_equal(design(13, 3), design(13, 4))


@pytest.mark.parametrize("size_px", [2, 2.11, 2.6, 3.4, 5, 9, 17, 40])
def test_dot_has_the_asked_size_one_piece_and_a_soft_rim(size_px):
    for seed in range(60):
        mask, profile = dot(size_px, np.random.default_rng(seed))
        assert mask.sum() == round(np.pi * size_px**2 / 4)
        assert equivalent_diameter_px(mask) == pytest.approx(size_px, rel=0.1)
        assert mask.any(0).all() and mask.any(1).all() if size_px > 4 else mask[[0, -1]].any()
        assert label(mask, np.ones((3, 3)))[1] == 1
        assert ((profile > 0) == mask).all()
        assert np.mean(profile[mask] ** 2) == pytest.approx(1)
        if size_px >= 17:
            rim = mask & ~binary_erosion(mask)
            assert profile[rim].mean() < 0.6 * profile.max()


def test_dots_differ():
    shapes = {dot(12, np.random.default_rng(seed))[0].tobytes() for seed in range(50)}
    assert len(shapes) == 50


def test_dots_reach_as_far_as_nodes_and_stretch_allow():
    """Longer than wide and the other way round, never beyond the room that placing counts on."""
    boxes = np.array([dot(20, np.random.default_rng(seed))[0].shape for seed in range(300)])
    aspect = boxes[:, 0] / boxes[:, 1]
    assert aspect.min() < 0.8 and aspect.max() > 1.25
    assert boxes.max() < 60


@pytest.mark.parametrize("contrast", [0.5, 3.0, 8.0])
def test_ratio_is_the_asked_contrast_where_nothing_is_clipped(contrast):
    for seed in SEEDS:
        child, mask, kind = spot(grain(), size_px=10, contrast=contrast, rng=np.random.default_rng(seed))
        assert signal_to_noise(grain(), child, mask) == pytest.approx(contrast, rel=1e-3)
        change = (child - grain())[mask]
        assert (change > 0).all() if kind == "brighter dot" else (change < 0).all()


def test_both_polarities_are_drawn():
    kinds = [spot(grain(), size_px=6, contrast=4, rng=np.random.default_rng(seed))[2] for seed in range(40)]
    assert 10 < kinds.count("brighter dot") < 30 and set(kinds) == {"brighter dot", "darker dot"}


def test_more_contrast_on_the_same_spot_is_never_less_change():
    """Also where black and white clip it, and where that turns its polarity."""
    for picture in (grain(), flat(0.97)[0], flat(0.5)[0], *pictures(2, SIDE)):
        for seed in SEEDS:
            changes = []
            for contrast in np.geomspace(0.25, 64, 25):
                child, mask, _ = spot(picture, size_px=9, contrast=contrast, rng=np.random.default_rng(seed))
                changes.append((mask.tobytes(), np.abs(child - picture)[mask].mean()))
            for (there, weaker), (here, stronger) in zip(changes, changes[1:], strict=False):
                assert there != here or stronger >= weaker - 1e-6  # a faint one may have had to move
            assert changes[-1][1] > 3 * changes[0][1]


def test_patch_score_in_the_mask_rises_with_contrast(tmp_path):
    features = PatchFeatures(tiny_backbone(tmp_path), CPU)
    rng = np.random.default_rng(1)
    goods = np.clip(grain()[None] + rng.normal(0, 0.02, (12, SIDE, SIDE, 1)), 0, 1).astype(np.float32)
    scorer = Scorer(bank_of(features(list(goods[:8]))), CPU)
    parents = goods[8:]
    mean = []
    for contrast in (0.5, 2, 4, 8, 16):
        made = GradedSpot(size_min_px=10, size_max_px=14, contrast_min=contrast, contrast_max=contrast)(
            parents, count=24, seed=0
        )
        scores = scorer(features(list(made.images))).patch_scores  # (24, gh, gw)
        cells = torch.nn.functional.adaptive_max_pool2d(torch.tensor(made.masks)[:, None].float(), scores.shape[1:])
        mean.append(scores[cells[:, 0].numpy() > 0].mean())
    assert (np.diff(mean) >= 0).all(), mean
    assert mean[-1] > 1.5 * mean[0], mean


def test_sizes_contrasts_and_severities_follow_the_design():
    images = flat(0.5)
    made = GradedSpot(size_max_px=20)(images, count=80, seed=5)
    places = design(80, 5)
    np.testing.assert_allclose([equivalent_diameter_px(m) for m in made.masks], 2 * 10 ** places[:, 0], rtol=0.1)
    np.testing.assert_allclose(made.severities, places[:, 1], atol=1e-6)
    asked = 0.25 * 64**made.severities
    plain = asked > 1.5  # below, a flat surface hides it from an 8-bit file
    np.testing.assert_allclose(ratios(images, made)[plain], asked[plain], rtol=1e-3)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0, 254.55 / 255, 127.5 / 255])
def test_flat_surface_shows_every_spot_in_an_8_bit_file(grey):
    images = flat(grey)
    made = GradedSpot()(images, count=40, seed=2)
    for image, mask in zip(made.images, made.masks, strict=True):
        assert np.abs(image - images[0]).max() >= 0.5 / 255
        assert (np.round(image * 255) != np.round(images[0] * 255))[mask].any()
    assert ratios(images, made).min() > 0.35  # 0.25 was asked at least, and raised


def test_a_faint_spot_goes_where_it_shows():
    """Right half flat, left half with grain: a fraction of the noise can only be seen on the grain."""
    parent = flat(0.5)[0]
    parent[:, :48] = grain()[:, :48]
    for seed in SEEDS:
        _, mask, _ = spot(parent, size_px=4, contrast=0.3, rng=np.random.default_rng(seed))
        assert mask[:, :54].any()


def test_white_takes_darker_spots_and_black_brighter_ones():
    for grey, kind in ((1.0, "darker dot"), (0.0, "brighter dot")):
        made = GradedSpot()(flat(grey), count=20, seed=1)
        assert set(made.textures) == {f"made here: {kind}"}


def test_polarity_that_loses_most_of_its_offset_gives_way():
    made = GradedSpot(contrast_min=32.0, contrast_max=64.0)(flat(0.95), count=20, seed=1)
    assert set(made.textures) == {"made here: darker dot"}
    assert ratios(flat(0.95), made).min() > 30


@pytest.mark.parametrize("side", [32, 64, 224])
def test_spots_and_their_rings_lie_on_the_picture(side):
    made = GradedSpot()(flat(0.4, side=side), count=60, seed=9)
    for mask in made.masks:
        size_px = equivalent_diameter_px(mask)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        margin = min(rows[0], columns[0], side - 1 - rows[-1], side - 1 - columns[-1])
        assert margin >= max(3, int(0.9 * size_px / 2))
        assert size_px <= min(40, side / 4) * 1.1
    centres = np.array([np.argwhere(mask).mean(0) for mask in made.masks]) / side
    assert (centres.min(0) < 0.3).all() and (centres.max(0) > 0.7).all()


def test_only_the_mask_changes_and_grey_stays_grey():
    images = np.stack([grain(), grain()[::-1]])
    made = GradedSpot()(images, count=30, seed=4)
    for image, mask, parent in zip(made.images, made.masks, made.parents, strict=True):
        assert np.array_equal(image[~mask], images[parent][~mask])
        assert np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])


@pytest.mark.parametrize(
    ("dials", "words"),
    [
        ({"size_min_px": 0.0}, "size range"),
        ({"size_min_px": 50.0}, "size range .* 50.0 to 40.0"),
        ({"contrast_min": -1.0}, "contrast range"),
        ({"contrast_max": 0.1}, "contrast range"),
        ({"contrast_max": float("nan")}, "contrast range"),
        ({"size_max_px": float("inf")}, "size range"),
    ],
)
def test_ranges_that_are_none_are_refused(dials, words):
    with pytest.raises(IasError, match=words):
        GradedSpot(**dials)


def test_pictures_too_small_for_the_smallest_spot_are_refused():
    with pytest.raises(ShapeError, match="at least 80 px a side for spots of 20 px, got 64"):
        GradedSpot(size_min_px=20.0)(flat(0.5, side=64), count=1, seed=0)
