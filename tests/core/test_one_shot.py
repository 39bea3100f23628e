"""One-shot transplant: a defect cut out of one NG, varied, and laid on good parts; amplitudes, places, controls."""

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from scipy.ndimage import label

import ias_core.synthesis.one_shot  # noqa: F401  registers the methods
from ias_core.errors import IasError, SynthesisError
from ias_core.synthesis.base import NgSource, build
from ias_core.synthesis.control_set import control_pictures
from ias_core.synthesis.measures import GREY_LEVEL, equivalent_diameter_px
from ias_core.synthesis.one_shot.ladder import ladder
from ias_core.synthesis.one_shot.one_shot_diffusion import OneShotDiffusion
from ias_core.synthesis.one_shot.piece import collage, cut, laid, varied
from ias_core.synthesis.recipe import Draw, Recipe, Scene, Void
from tests.core.small import pictures

SIDE = 64
SEEDS = range(12)
Y, X = np.mgrid[:SIDE, :SIDE]


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return np.hypot(Y - row, X - column) <= radius


def ng(mask: np.ndarray, *, background=0.7, defect=0.4, name: str = "ng.png") -> NgSource:
    """Flat where ``background`` is a number."""
    image = np.broadcast_to(np.float32(background), (SIDE, SIDE, 3)).copy()
    image[mask] += np.float32(defect - 0.7)
    return NgSource(name, image, mask)


def scene(grey: float = 0.5, *, foreground=None, size_px: float | None = None) -> Scene:
    return Scene(np.full((1, SIDE, SIDE, 3), grey, np.float32), 0, foreground, size_px, None)


def line(thickness: int = 2) -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    if thickness == 2:
        drawn[31:33, 12:52] = 1
    else:
        drawn[31, 12:52] = 1
    return drawn.astype(bool)


def dilated(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side))).astype(bool)


DISC = ng(disc(30, 24, 7))


# the piece


def test_the_residual_is_what_the_defect_adds_to_its_surroundings():
    """On a slope of brightness, which the smoothest surface continues exactly."""
    slope = (0.3 + 0.004 * X + 0.002 * Y)[..., None].repeat(3, 2)
    piece = cut(ng(DISC.mask, background=slope))
    np.testing.assert_allclose(piece.residual[piece.mask], -0.3, atol=1e-5)
    np.testing.assert_allclose(piece.residual[~piece.mask], 0, atol=1e-5)
    assert np.count_nonzero(piece.mask) == np.count_nonzero(DISC.mask) and piece.centre == (30, 24)
    assert piece.mask.shape == (19, 19) and piece.source == "ng.png"  # 15 px and a rim of 2 px


def test_a_defect_at_the_border_is_cut_from_what_lies_inside():
    piece = cut(ng(disc(0, 20, 7)))
    np.testing.assert_allclose(piece.residual[piece.mask], -0.3, atol=2 * GREY_LEVEL)  # inpainted in 8 bit there
    assert piece.centre == (3.5, 20)


def test_grain_around_the_defect_stays_behind_and_its_soft_edge_does_not():
    noise = np.random.default_rng(2).normal(0, 0.03, (SIDE, SIDE, 1)) + np.zeros(3)
    edge = dilated(DISC.mask, 5) & ~DISC.mask
    piece = cut(ng(DISC.mask, background=0.7 + noise))
    assert np.abs(piece.residual[~piece.mask]).mean() < 0.2 * 0.03
    soft = cut(NgSource("soft", (0.7 + noise - 0.2 * edge[..., None]).astype(np.float32), DISC.mask))
    rim = dilated(soft.mask, 5) & ~soft.mask  # shrunk by twice the grain
    assert soft.residual[rim].mean() == pytest.approx(-0.2 + 2 * 0.03, abs=0.02)


def test_dashes_are_one_defect_specks_and_far_pieces_are_not():
    dashes = np.zeros((SIDE, SIDE), bool)
    dashes[20:24, 5:20] = dashes[20:24, 27:35] = dashes[20:24, 40:44] = True
    speck, far = np.zeros_like(dashes), disc(55, 50, 3)
    speck[27, 10:13] = True
    piece = cut(ng(dashes | speck | far))
    assert np.count_nonzero(piece.mask) == np.count_nonzero(dashes)
    np.testing.assert_allclose(piece.residual[piece.mask], -0.3, atol=GREY_LEVEL)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (ng(np.zeros((SIDE, SIDE), bool)), "no defect of at least 4 px"),
        (ng((X == 5) & (Y < 3)), "no defect of at least 4 px"),
        (ng((X > 2) & (X < 60) & (Y < 40)), "covers 56% of the picture"),
        (ng(abs(X - 30) < 3), "one border of the picture to the opposite one"),
        (ng(abs(Y - 30) < 3), "one border of the picture to the opposite one"),
        (ng(DISC.mask, defect=0.7 - 1.5 / 255), "1.5 grey levels"),
    ],
    ids=["empty", "speck", "too large", "top to bottom", "left to right", "invisible"],
)
def test_an_ng_that_cannot_be_cut_from_is_refused_by_name(source, why):
    with pytest.raises(SynthesisError, match=why) as refused:
        cut(source)
    assert str(refused.value).startswith("ng.png: ")
    with pytest.raises(SynthesisError, match=why):
        OneShotDiffusion(sources=(DISC, source))


def test_a_corner_leaves_surroundings_enough():
    assert cut(ng((X < 20) & (Y < 20))).mask.sum() == 400


# the variation


@pytest.mark.parametrize("size_px", [3, 8, 16, 30])
def test_the_mask_has_the_asked_size(size_px):
    for seed in SEEDS:
        for source in (DISC, ng(line())):
            mask = varied(cut(source), np.random.default_rng(seed), size_px=size_px).mask
            assert equivalent_diameter_px(mask) == pytest.approx(size_px, abs=0.15)


def test_scales_are_drawn_evenly_from_their_range():
    sizes = [equivalent_diameter_px(varied(cut(DISC), np.random.default_rng(seed)).mask) for seed in range(150)]
    scales = np.array(sizes) / equivalent_diameter_px(DISC.mask)
    assert 0.68 < scales.min() < 0.73 and 1.27 < scales.max() < 1.32 and scales.mean() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(("thickness", "scale"), [(2, 0.7), (2, 1.0), (2, 1.3), (1, 1.0), (1, 1.3)])
def test_thin_lines_survive_every_turn(thickness, scale):
    for seed in SEEDS:
        piece = varied(cut(ng(line(thickness))), np.random.default_rng(seed), scale=(scale, scale))
        whole = dilated(piece.mask, 3)
        assert label(whole, np.ones((3, 3)))[1] == 1
        y, x = np.nonzero(piece.mask)
        assert np.hypot(np.ptp(y), np.ptp(x)) > 0.9 * 39 * scale
        # the light that is missing is the same, spread over the pixels that the line touches
        assert piece.residual.sum() == pytest.approx(-0.3 * 3 * 40 * thickness * scale**2, rel=0.2)  # bends stretch
        assert piece.residual[piece.mask].mean() < -0.3 * (0.6 if thickness == 2 else 0.35)


def angle(mask: np.ndarray) -> float:
    """Direction of the longest axis in degrees, 0 to 180, counterclockwise."""
    y, x = np.nonzero(mask)
    values, axes = np.linalg.eigh(np.cov(np.stack([x, -y])))
    return float(np.degrees(np.arctan2(*axes[::-1, values.argmax()])) % 180)


def lopsided() -> np.ndarray:
    """A bar from left to right with its heavy end on the right."""
    return line() | disc(32, 48, 4)


def test_turn_none_keeps_the_orientation():
    for seed in range(30):
        mask = varied(cut(ng(lopsided())), np.random.default_rng(seed), turn="none").mask
        assert min(angle(mask), 180 - angle(mask)) < 6
        assert np.nonzero(mask)[1].mean() > mask.shape[1] / 2


def test_quarter_turns_are_quarters_and_any_turn_is_any():
    quarter, free = (
        np.array([angle(varied(cut(ng(line())), np.random.default_rng(s), turn=turn).mask) for s in range(60)])
        for turn in ("quarter", "any")
    )
    off = quarter % 90
    assert (np.minimum(off, 90 - off) < 6).all() and len(set(np.round(quarter / 90).astype(int) % 2)) == 2
    counts, _ = np.histogram(free, 6, (0, 180))
    assert (counts > 2).all()


def test_a_quarter_turn_goes_counterclockwise_and_mirrors_first():
    """Every combination of turn and flips, against numpy's own, up to the mild bend."""
    bar = np.zeros((SIDE, SIDE), bool)
    bar[20:26, 20:50] = bar[20:40, 20:26] = True  # an L that no turn maps onto its mirror image
    source, seen = ng(bar), set()
    method = OneShotDiffusion(sources=(source,), turn="quarter")
    expected = {way: turned(cut(source).mask, *way) for way in WAYS}
    for seed in range(60):
        drawn = method.draw(scene(), 1.0, np.random.default_rng(seed)).settings
        found = varied(cut(source), _after_the_source(seed), turn="quarter").mask
        way = round(drawn["angle_degrees"] / 90), drawn["upside_down"], drawn["mirrored"]
        overlaps = {key: overlap(found, mask) for key, mask in expected.items()}
        assert overlaps[way] == max(overlaps.values()) > 0.5
        seen.add(way)
    assert seen == set(WAYS)


WAYS = [(quarters, down, across) for quarters in range(4) for down in (False, True) for across in (False, True)]


def turned(mask: np.ndarray, quarters: int, upside_down: bool, mirrored: bool) -> np.ndarray:
    mask = mask[::-1] if upside_down else mask
    return np.rot90(mask[:, ::-1] if mirrored else mask, quarters)


def overlap(found: np.ndarray, expected: np.ndarray) -> float:
    """Intersection over union, the first brought to the box of the second."""
    found = cv2.resize(found.astype(np.float32), expected.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
    return np.count_nonzero(found & expected) / np.count_nonzero(found | expected)


def _after_the_source(seed: int) -> np.random.Generator:
    rng = np.random.default_rng(seed)
    rng.integers(1)  # the method draws which of its sources it takes
    return rng


def test_unknown_turns_and_places_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(SynthesisError, match="expected a turn of any, quarter, none"):
        varied(cut(DISC), rng, turn="half")
    with pytest.raises(SynthesisError, match="expected a place of part, near"):
        laid(cut(DISC), scene(), rng, place="far")


# the place


def test_at_least_three_quarters_lie_on_the_part_and_every_such_place_is_reached():
    piece, part = cut(ng(disc(30, 24, 2))), (X > 20) & (X < 30) & (Y > 40) & (Y < 50)
    rows, columns = (half - 4 for half in piece.mask.shape)
    allowed = set()
    for row in range(SIDE):  # slow and obvious
        for column in range(SIDE):
            inside = 0
            for y, x in np.argwhere(piece.mask) - 4:
                here, there = row + y, column + x
                inside += 0 <= here < SIDE and 0 <= there < SIDE and part[here, there]
            if inside >= 0.75 * np.count_nonzero(piece.mask):
                allowed.add((row, column))
    found = set()
    for seed in range(1500):
        residual, mask = laid(piece, scene(foreground=part), np.random.default_rng(seed))
        assert not (mask & ~part).any() and np.count_nonzero(mask) >= 0.75 * np.count_nonzero(piece.mask)
        y, x = np.nonzero(residual[..., 0] < -0.1)
        found.add((round((y.min() + y.max()) / 2), round((x.min() + x.max()) / 2)))
    assert rows == columns == 5 and found == allowed


def test_the_picture_may_cut_off_a_quarter_and_no_more():
    piece = cut(ng(disc(30, 24, 7)))
    shares = []
    for seed in range(300):
        _, mask = laid(piece, scene(), np.random.default_rng(seed))
        shares.append(np.count_nonzero(mask) / np.count_nonzero(piece.mask))
    assert 0.75 <= min(shares) < 0.85 and max(shares) == 1


def test_no_place_is_a_void_with_its_reason():
    with pytest.raises(Void, match="no place on the part takes at least 75%"):
        laid(cut(DISC), scene(foreground=disc(30, 30, 5)), np.random.default_rng(0))
    with pytest.raises(Void, match="near where the NG had it"):
        laid(cut(DISC), scene(foreground=X > 40), np.random.default_rng(0), place="near")
    method = OneShotDiffusion(sources=(DISC,))
    with pytest.raises(SynthesisError, match="no place on the part"):
        method(scene().images, count=1, seed=0, foregrounds=disc(30, 30, 4)[None])


def test_near_lies_near():
    piece = cut(DISC)
    away = []
    for seed in range(200):
        _, mask = laid(piece, scene(), np.random.default_rng(seed), place="near")
        y, x = np.nonzero(mask)
        away.append(np.hypot(y.mean() - 30, x.mean() - 24))
    assert 5 < max(away) <= 6.4 + 1e-6 and min(away) < 2


# the collage


@pytest.mark.parametrize(
    ("grey", "defect"), [(0.35, 0.45), (0.6, 0.45), (0.9, 0.45), (0.05, 0.95), (0.35, 0.95), (0.7, 0.95)]
)
def test_a_dark_defect_stays_darker_and_a_bright_one_brighter_by_the_ngs_own_contrast(grey, defect):
    for seed in SEEDS:
        where = scene(grey)
        piece = varied(cut(ng(DISC.mask, defect=defect)), np.random.default_rng(seed))
        residual, mask = laid(piece, where, np.random.default_rng(seed))
        picture, lost = collage(where.picture, residual, mask)
        change = np.median((picture - where.picture)[mask])
        assert change == pytest.approx(defect - 0.7, abs=GREY_LEVEL) and lost < 0.01


def test_no_halo_around_a_defect_on_flat_ground():
    """Beyond the pixels that the turned outline itself touches, nothing changes."""
    for seed in SEEDS:
        for source in (DISC, ng(line())):
            where = scene()
            draw = OneShotDiffusion(sources=(source,)).draw(where, 1.0, np.random.default_rng(seed))
            _, mask = laid_again(source, where, seed)
            change = np.abs(draw.picture - where.picture).max(2)
            assert change[mask].min() > 10 * GREY_LEVEL
            assert change[~dilated(mask, 3)].max() <= GREY_LEVEL
            # nor does it swing over to the other side anywhere
            assert (draw.picture - where.picture).max() <= GREY_LEVEL


def laid_again(source: NgSource, where: Scene, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = _after_the_source(seed)
    return laid(varied(cut(source), rng, size_px=where.size_px), where, rng)


def test_without_variation_the_change_is_the_residual_and_ends_with_the_mask():
    where = scene()
    residual, mask = laid(cut(DISC), where, np.random.default_rng(0))
    picture, _ = collage(where.picture, residual, mask)
    np.testing.assert_allclose((picture - where.picture)[mask], -0.3, atol=1e-5)
    np.testing.assert_allclose((picture - where.picture)[~mask], 0, atol=1e-5)


def test_what_clipping_takes_is_told_and_too_much_of_it_is_a_void():
    rng = np.random.default_rng(0)
    for grey, share in ((0.3, 0.0), (0.24, 0.2)):
        residual, mask = laid(cut(DISC), scene(grey), rng)
        assert collage(scene(grey).picture, residual, mask)[1] == pytest.approx(share, abs=0.01)
    residual, mask = laid(cut(DISC), scene(0.1), rng)
    for amplitude in (0.1, 1.0):
        with pytest.raises(Void, match="clipping takes 67% of the defect, at most 30%"):
            collage(scene(0.1).picture, residual, mask, amplitude=amplitude)


# the method


def method(**settings) -> OneShotDiffusion:
    grain = 0.7 + np.random.default_rng(1).normal(0, 0.03, (SIDE, SIDE, 1))
    sources = (ng(disc(30, 24, 7), background=grain, name="disc"), ng(line(), background=grain, name="line"))
    return OneShotDiffusion(sources=sources, **settings)


def test_amplitude_0_is_the_good_part_bit_for_bit():
    images = pictures(3, SIDE)
    for seed in SEEDS:
        where = Scene(images, seed % 3, None, None, None)
        assert np.array_equal(method().draw(where, 0.0, np.random.default_rng(seed)).picture, where.picture)
    control, parents = control_pictures(method(), images, count=6, seed=0)
    assert np.array_equal(control, images[parents]) and parents.tolist() == [0, 1, 2, 0, 1, 2]


def test_nothing_changes_beyond_the_mask_dilated_5_x_5():
    """Of a defect that its mask does not quite cover, too."""
    source = NgSource("tight", ng(disc(30, 24, 8)).image, disc(30, 24, 7))
    for seed in SEEDS:
        where = Scene(pictures(1, SIDE, seed=seed), 0, None, None, None)
        draw = OneShotDiffusion(sources=(source,)).draw(where, 1.0, np.random.default_rng(seed))
        residual, mask = laid_again(source, where, seed)
        reach = dilated(mask, 5)
        assert np.abs(residual[reach & ~mask]).max() > 10 * GREY_LEVEL and not residual[~reach].any()
        assert np.array_equal(draw.written, reach)
        assert np.array_equal(draw.picture[~reach], where.picture[~reach])


def test_contrast_is_proportional_to_the_amplitude_in_the_same_place():
    for seed in SEEDS:
        full = method().draw(scene(), 1.0, np.random.default_rng(seed))
        for amplitude in (0.25, 0.5, 0.75):
            draw = method().draw(scene(), amplitude, np.random.default_rng(seed))
            np.testing.assert_allclose(draw.picture - 0.5, amplitude * (full.picture - 0.5), atol=1e-6)
            assert draw.settings | {"amplitude": 1.0} == full.settings
            assert np.array_equal(draw.written, full.written)


def test_same_seed_same_bytes():
    first, again = (method()(pictures(3, SIDE), count=6, seed=5) for _ in range(2))
    assert first.images.tobytes() == again.images.tobytes() and first.masks.tobytes() == again.masks.tobytes()
    assert json.dumps(first.settings, allow_nan=False) == json.dumps(again.settings, allow_nan=False)
    assert {drawn["source"] for drawn in first.settings} == {"disc", "line"}
    assert first.textures[0] == f"real NG {first.settings[0]['source']}"


@pytest.mark.parametrize("size_px", [6, 12, 18])
def test_defects_have_about_the_asked_size_on_grainy_parts(size_px):
    """What is seen to change: the rim of the outline adds up to a pixel on either side."""
    found = []
    for seed in SEEDS:
        where = Scene(pictures(1, SIDE, seed=seed), 0, None, size_px, None)
        draw = method().draw(where, 1.0, np.random.default_rng(seed))
        found.append(equivalent_diameter_px(np.abs(draw.picture - where.picture).mean(2) > GREY_LEVEL))
    assert np.median(found) == pytest.approx(size_px, rel=0.25)


def test_without_an_ng_it_says_what_it_needs():
    with pytest.raises(SynthesisError, match="needs a real NG with a mask of its defect"):
        OneShotDiffusion()(pictures(1, SIDE), count=1, seed=0)
    with pytest.raises(SynthesisError, match="needs a real NG with a mask of its defect"):
        build("one-shot-diffusion", {})
    assert build("one-shot-diffusion", {"sources": (DISC,), "turn": "none"}).turn == "none"


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"place": "far"}, "part, near"),
        ({"turn": "half"}, "any, quarter, none"),
        ({"softness": -1.0}, "0 to 255 grey levels"),
        ({"guidance": 1.1}, r"\[0, 1\]"),
        ({"softness": 20.0}, "needs a pixel model"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(setting, why):
    with pytest.raises(IasError, match=why):
        OneShotDiffusion(sources=(DISC,), **setting)


@pytest.fixture
def softener(monkeypatch):
    """Stands in for the pixel model: half of the collage's difference, and what it was asked."""
    from ias_core.synthesis.one_shot import sampling

    asked = []

    def half(model, picture, pasted, mask, *, sigma, guidance, generator):
        asked.append((model, sigma, guidance, generator.initial_seed(), mask))
        return (pasted - picture) / 2

    monkeypatch.setattr(sampling, "difference_in_window", half)
    return asked


def test_a_softness_has_the_model_redraw_the_same_defect(softener):
    sharp, soft = (
        method(softness=softness, model="the model").draw(scene(), 1.0, np.random.default_rng(3))
        for softness in (0.0, 20.0)
    )
    np.testing.assert_allclose(soft.picture - 0.5, (sharp.picture - 0.5) / 2, atol=1e-6)
    ((model, sigma, guidance, _, mask),) = softener
    assert (model, sigma, guidance) == ("the model", 20.0, 0.5)
    assert np.array_equal(soft.written, dilated(mask, 9)) and np.array_equal(sharp.written, dilated(mask, 5))
    assert soft.settings == sharp.settings | {"softness": 20.0}
    method(softness=20.0, model="the model").draw(scene(), 0.5, np.random.default_rng(3))
    assert softener[0][3] == softener[1][3]  # the same noise at every amplitude


def test_a_ladder_shows_one_defect_over_amplitude_and_softness(softener):
    images = np.full((2, SIDE, SIDE, 3), 0.5, np.float32)
    steps, parent = ladder(
        method(model="the model"), images, seed=2, severities=(0.0, 0.5, 1.0), softnesses=(0.0, 20.0)
    )
    assert steps.shape == (2, 3, SIDE, SIDE, 3) and parent == 0
    change = steps - images[parent]
    assert not change[:, 0].any() and np.abs(change[0, 2]).max() > 0.1
    np.testing.assert_allclose(change[0, 1], change[0, 2] / 2, atol=1.1 * GREY_LEVEL)
    np.testing.assert_allclose(change[1, 2], change[0, 2] / 2, atol=1.1 * GREY_LEVEL)


def test_a_ladder_goes_to_the_first_part_that_has_a_place():
    parts = np.stack([disc(30, 30, 3), disc(30, 30, 25)])
    images = np.full((2, SIDE, SIDE, 3), 0.5, np.float32)
    one = OneShotDiffusion(sources=(DISC,))
    assert ladder(one, images, seed=0, foregrounds=parts)[1] == 1
    with pytest.raises(SynthesisError, match="no place on the part"):
        ladder(one, images[:1], seed=0, foregrounds=parts[:1])


# the control


@dataclass(frozen=True, slots=True)
class Grainy(Recipe):
    """Writes a square of other grain even where it should draw nothing, as a decoder does."""

    name = "grainy"

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        picture, written = scene.picture.copy(), disc(20, 20, 6)
        picture[10:30, 10:30] += np.float32(3 * GREY_LEVEL)
        return Draw(picture, written, "none")


def test_the_control_set_shows_what_a_method_does_where_it_should_do_nothing():
    images = pictures(2, SIDE) * np.float32(0.9)
    part = (X > 20)[None].repeat(2, 0)
    control, parents = control_pictures(Grainy(), images, count=3, seed=0, foregrounds=part)
    changed = disc(20, 20, 6) & part[0]
    for picture, parent in zip(control, parents, strict=True):
        assert np.array_equal(picture[~changed], images[parent][~changed])
        inside = picture[changed]
        np.testing.assert_allclose(inside - images[parent][changed], 3 * GREY_LEVEL, atol=0.51 * GREY_LEVEL)
        np.testing.assert_allclose(inside * 255, np.rint(inside * 255), atol=1e-4)


def test_controls_lie_where_the_defects_of_the_same_seed_do():
    seen = []

    @dataclass(frozen=True, slots=True)
    class Spy(OneShotDiffusion):
        def draw(self, scene, severity, rng):
            draw = OneShotDiffusion.draw(self, scene, severity, rng)
            seen.append((severity, draw.written))
            return draw

    spy = Spy(sources=(DISC,))
    images = np.full((2, SIDE, SIDE, 3), 0.5, np.float32)
    spy(images, count=4, seed=1, severity=1.0)
    control_pictures(spy, images, count=4, seed=1)
    for (full, there), (none, here) in zip(seen[:4], seen[4:], strict=True):
        assert (full, none) == (1, 0) and np.array_equal(there, here)


def test_a_control_without_a_place_is_refused():
    with pytest.raises(SynthesisError, match="no good part took a control picture"):
        control_pictures(method(), scene().images, count=1, seed=0, foregrounds=disc(30, 30, 2)[None])
