"""Scratch, dent, stain, foreign body: contrast as asked, and each of them what it is called."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.morphology import skeletonize

from ias_core.errors import IasError
from ias_core.synthesis.handcrafted.dent import Dent
from ias_core.synthesis.handcrafted.foreign_body import ForeignBody
from ias_core.synthesis.handcrafted.graded import FAINTEST, cloud, is_bright, put
from ias_core.synthesis.handcrafted.scratch import Scratch
from ias_core.synthesis.handcrafted.stain import Stain
from ias_core.synthesis.measures import equivalent_diameter_px, surrounding_noise
from ias_core.synthesis.recipe import Draw, Scene, looked_at

FAMILY = [Scratch, Dent, Stain, ForeignBody]
SIDE = 128
SEEDS = range(12)


class Chequers:
    """A texture that is known by hand: squares of 2 px, green and red."""

    name = "chequers"

    def __call__(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        y, x = np.mgrid[:size, :size] // 2
        even = ((x + y) % 2)[..., None]
        return np.where(even, np.float32((0.1, 0.9, 0.1)), np.float32((0.9, 0.1, 0.1))), "chequers"


def scene(grey: float = 0.5, *, noise: float = 0.02, size_px: float | None = None, foreground=None, seed=0) -> Scene:
    picture = np.random.default_rng(seed).normal(grey, noise, (1, SIDE, SIDE, 1)).repeat(3, 3)
    return Scene(np.clip(picture, 0, 1).astype(np.float32), 0, foreground, size_px, Chequers())


def drawn(method, seed: int, severity: float = 1.0, where: Scene | None = None):
    where = where or scene()
    draw = method.draw(where, severity, np.random.default_rng(seed))
    return draw, (draw.picture - where.picture).astype(np.float64)


@pytest.mark.parametrize("method", FAMILY)
def test_contrast_is_the_asked_one_while_the_plainest_form_has_room(method):
    where, checked = scene(), 0
    for seed in SEEDS:
        for severity in (0.4, 0.6):
            draw, change = drawn(method(), seed, severity, where)
            noise = surrounding_noise(where.picture, draw.written)
            asked = max(0.25 * 64**severity, FAINTEST / noise)
            found = np.sqrt(np.mean(change[draw.written] ** 2)) / noise
            assert found == pytest.approx(draw.settings["contrast_reached"], rel=1e-3)
            if draw.settings["opacity"] < 0.5:
                assert found == pytest.approx(asked, rel=0.02)
                checked += 1
    assert checked > 12


def test_severity_is_the_place_between_the_contrasts_on_a_logarithmic_scale():
    for severity, contrast in ((0.0, 0.25), (0.5, 2.0), (1.0, 16.0)):
        assert drawn(Dent(), 0, severity)[0].settings["contrast"] == pytest.approx(contrast)
    narrow = Dent(contrast_min=3, contrast_max=3)
    assert drawn(narrow, 0, 0.1)[0].settings["contrast"] == pytest.approx(3)


@pytest.mark.parametrize("method", FAMILY)
def test_severities_differ_in_opacity_alone_and_more_is_always_more(method):
    for seed in SEEDS:
        ladder = [drawn(method(), seed, severity) for severity in (0.3, 0.5, 0.7, 0.85, 1.0)]
        first, plain = ladder[0][0], ladder[-1][1]
        strengths = [draw.settings["opacity"] for draw, _ in ladder]
        assert (np.diff(strengths) > 0).all() and strengths[-1] < 1 + 1e-9
        for draw, change in ladder:
            assert np.array_equal(draw.written, first.written) and draw.texture == first.texture
            same = {k: v for k, v in draw.settings.items() if not k.startswith("contrast") and k != "opacity"}
            assert same.items() <= first.settings.items()
            np.testing.assert_allclose(change, plain * draw.settings["opacity"] / strengths[-1], atol=1e-5)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("method", FAMILY)
def test_flat_surfaces_of_any_grey_show_even_the_faintest(method, grey):
    images = np.full((1, 64, 64, 3), grey, np.float32)
    for severity in (0.0, 0.2):
        made = method()(images, count=6, seed=0, severity=severity, textures=Chequers())
        assert (np.abs(made.images - images)[made.masks].max(-1) > 1 / 255).any()


@pytest.mark.parametrize("method", FAMILY)
def test_plain_is_plain_on_black_grey_and_white(method):
    for grey in (0.05, 0.5, 0.95):
        found = [np.abs(drawn(method(), seed, 1.0, scene(grey))[1]).max() for seed in SEEDS]
        assert min(found) > (0.08 if method is Dent and grey < 0.1 else 0.15)


@pytest.mark.parametrize("method", FAMILY)
@pytest.mark.parametrize("wrong", [{"contrast_min": 0.0}, {"contrast_min": 3.0, "contrast_max": 2.0}])
def test_contrasts_that_are_no_range_are_refused(method, wrong):
    with pytest.raises(IasError, match="contrasts"):
        method(**wrong)


@pytest.mark.parametrize(
    ("method", "what"),
    [(Scratch, "length"), (Scratch, "thickness"), (Dent, "size"), (Stain, "size"), (ForeignBody, "length")],
)
def test_sizes_that_are_no_range_are_refused(method, what):
    with pytest.raises(IasError, match="smallest <= largest"):
        method(**{f"{what}_min_px": 9.0, f"{what}_max_px": 5.0})


@pytest.mark.parametrize("method", [Dent, ForeignBody])
@pytest.mark.parametrize("size_px", [4, 9, 20, 40])
def test_single_shapes_have_exactly_the_asked_size(method, size_px):
    for seed in SEEDS:
        draw, _ = drawn(method(), seed, where=scene(size_px=size_px))
        assert equivalent_diameter_px(draw.written) == pytest.approx(size_px, rel=0.02, abs=0.15)


def test_published_lengths_and_sizes_follow_their_ranges():
    """At half of 256 px: half of the lengths; ends of the range reached, middles in the middle."""
    scratches = [drawn(Scratch(), seed)[0].settings for seed in range(80)]
    lengths, thickness = (np.array([s[name] for s in scratches]) for name in ("length_px", "thickness_px"))
    assert lengths.max() <= 100.5 and np.median(lengths) == pytest.approx(52, abs=12)  # 30 to 100, thin ones shorter
    assert thickness.min() == 1.5 and thickness.max() <= (1 + 6 * 2 / np.pi) / 2 + 0.2
    for method in (Dent, Stain):
        sizes = np.array([drawn(method(), seed)[0].settings["size_px"] for seed in range(80)])
        assert 5 <= sizes.min() < 8 and 32 < sizes.max() <= 35 and np.median(sizes) == pytest.approx(20, abs=3)


def test_scratches_are_thin_lines():
    for seed in SEEDS:
        draw, _ = drawn(Scratch(), seed)
        mask = np.pad(draw.written, 2)
        assert mask.sum() / skeletonize(mask).sum() < 2 * draw.settings["thickness_px"] + 0.5
        assert mask.sum() < 0.6 * draw.settings["parts"] * draw.settings["length_px"] * 5


def test_scratches_have_a_light_and_a_dark_flank():
    wide = Scratch(thickness_min_px=7.0, thickness_max_px=7.0)
    for seed in SEEDS:
        draw, change = drawn(wide, seed, where=scene(noise=0.005, size_px=25))
        change = change.mean(2)[draw.written]
        assert change.min() < -0.025 and change.max() > 0.025
        main = change.sum()
        assert main > 0 if draw.settings["kind"] == "brighter" else main < 0


def test_a_dent_changes_no_mean_and_is_lit_from_its_side():
    for seed in SEEDS:
        draw, change = drawn(Dent(), seed, 0.6, scene(noise=0.01, size_px=24))
        change = change.mean(2)
        assert abs(change.sum()) < 0.06 * np.abs(change).sum()
        y, x = np.mgrid[:SIDE, :SIDE]
        lit, dark = np.clip(change, 0, None), np.clip(-change, 0, None)
        way = np.array([(lit * axis).sum() / lit.sum() - (dark * axis).sum() / dark.sum() for axis in (x, y)])
        towards = np.radians(draw.settings["light_degrees"])
        # the slope falls where the height does: the flank towards the direction is the dark one
        assert way @ (np.cos(towards), np.sin(towards)) < -0.8 * np.hypot(*way)
        assert np.hypot(*way) > 4


def test_a_dent_fades_out_towards_its_rim():
    for seed in SEEDS:
        draw, change = drawn(Dent(), seed, 1.0, scene(noise=0.0, size_px=30))
        rim = draw.written & (cv2.erode(draw.written.astype(np.uint8), np.ones((3, 3))) == 0)
        assert np.abs(change[rim]).max() < 0.15 * np.abs(change).max()


def test_stains_have_soft_edges():
    for seed in SEEDS:
        draw, change = drawn(Stain(), seed, 1.0, scene(noise=0.0, size_px=40))
        change = np.abs(change.mean(2))
        rim = draw.written & (cv2.erode(draw.written.astype(np.uint8), np.ones((3, 3))) == 0)
        assert np.median(change[rim]) < 0.25 * change.max()
        # low frequencies: a blur of 1 px leaves it nearly as it was
        assert np.abs(gaussian_filter(change, 1) - change).mean() < 0.12 * change.mean()


def test_stains_darken_or_pale_and_keep_the_texture():
    kinds = set()
    for seed in SEEDS:
        where = scene()
        draw, change = drawn(Stain(), seed, 1.0, where)
        kinds.add(draw.settings["kind"])
        change = change.mean(2)[draw.written]
        assert (change < 0.01).all() if draw.settings["kind"] == "darker" else change.mean() > 0
    assert kinds == {"darker", "paler"}


def test_a_foreign_body_hides_the_part_under_it():
    """Of the part's grain nothing is left in the body; matter of the texture source is named."""
    seen = set()
    for seed in range(16):
        parts = [scene(noise=0.03, size_px=16, seed=grain) for grain in (1, 2)]
        first, second = (drawn(ForeignBody(contrast_max=64.0), seed, 1.0, part)[0] for part in parts)
        if first.settings["matter"] != second.settings["matter"] or second.settings["kind"] == "fibre":
            continue
        body = cv2.erode(first.written.astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert (
            np.abs(second.picture - first.picture)[body].mean()
            < 0.1 * np.abs(parts[1].picture - parts[0].picture).mean()
        )
        seen.add(second.texture)
    assert seen == {"none", "chequers"}


def test_a_bright_body_casts_a_shadow_to_the_side_the_light_goes():
    checked = 0
    for seed in range(40):
        draw, change = drawn(ForeignBody(contrast_max=64.0), seed, 1.0, scene(0.35, noise=0.002, size_px=20))
        if draw.settings["matter"] != "brighter colour":
            continue
        change = change.mean(2)
        y, x = np.mgrid[:SIDE, :SIDE]
        body, shadow = np.clip(change, 0, None), np.clip(-change, 0, None)
        assert shadow.max() > 0.03
        if draw.settings["kind"] == "particle":
            way = np.array([(shadow * a).sum() / shadow.sum() - (body * a).sum() / body.sum() for a in (x, y)])
            towards = np.radians(draw.settings["light_degrees"])
            assert way @ (np.cos(towards), np.sin(towards)) > 0.5 * np.hypot(*way)
            checked += 1
    assert checked >= 3


def test_fibres_are_long_and_particles_are_not():
    spans = {"fibre": [], "particle": []}
    for seed in range(30):
        draw, _ = drawn(ForeignBody(), seed, where=scene(size_px=14))
        points = np.argwhere(draw.written)
        spans[draw.settings["kind"]].append(np.hypot(*np.ptp(points, axis=0)))
    assert np.median(spans["fibre"]) > 1.6 * np.median(spans["particle"])


@pytest.mark.parametrize("method", FAMILY)
def test_nine_tenths_lie_on_the_part_where_it_has_room(method):
    half = np.zeros((SIDE, SIDE), bool)
    half[:, 20:110] = True
    for seed in SEEDS:
        draw, _ = drawn(method(), seed, where=scene(size_px=12, foreground=half))
        assert draw.written[half].sum() >= 0.9 * draw.written.sum()


def test_put_keeps_shapes_whole_and_takes_the_best_place():
    shape = np.zeros((10, 30), bool)
    shape[2:8] = True
    rng = np.random.default_rng(0)
    for _ in range(50):
        (mask, strength), (row, column) = put(scene(), rng, shape, shape * np.float32(0.5))
        assert mask.sum() == shape.sum() and strength.sum() == pytest.approx(0.5 * shape.sum())
        np.testing.assert_allclose(np.argwhere(mask).mean(0), (row, column), atol=1)
    corner = np.zeros((SIDE, SIDE), bool)
    corner[100:, 60:80] = True  # narrower than the shape: no place is good, the best holds two thirds
    shares = [put(scene(foreground=corner), rng, shape)[0][0][corner].sum() / shape.sum() for _ in range(20)]
    assert np.median(shares) == pytest.approx(2 / 3, abs=0.07)
    whole = put(scene(), rng, np.ones((SIDE + 6, SIDE + 9), bool))[0][0]
    assert whole.all()


def test_bright_where_dark_and_dark_where_bright():
    mask = np.ones((4, 4), bool)
    for grey, expected in ((0.1, {True}), (0.9, {False}), (0.5, {True, False})):
        picture = np.full((4, 4, 3), grey, np.float32)
        assert {is_bright(picture, mask, place) for place in (0.0, 0.3, 0.7, 0.99)} == expected


def test_cloud_is_smooth_and_within_its_bounds():
    made = cloud((60, 40), 10, 0.4, np.random.default_rng(0))
    assert made.shape == (60, 40) and made.min() >= 0.4 and made.max() <= 1 and made.std() > 0.05
    assert np.abs(np.diff(made, axis=0)).max() < 0.25
    assert cloud((1, 2), 10, 0.4, np.random.default_rng(0)).shape == (1, 2)


def test_what_a_recipe_wrote_and_did_not_change_is_no_defect_at_the_rim_of_what_it_wrote_either():
    """A change in the middle of a larger written square: the closing must not reach the square's own edges."""
    parent = np.full((32, 32, 3), 0.5, np.float32)
    written, picture = np.zeros((32, 32), bool), parent.copy()
    written[8:20, 8:20] = True
    picture[10:18, 10:18] += 0.2
    _, mask = looked_at(parent, Draw(picture, written, "none"), None, grey=False)
    expected = np.zeros((32, 32), bool)
    expected[10:18, 10:18] = True
    assert np.array_equal(mask, expected)
