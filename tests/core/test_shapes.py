"""Shapes: the asked area, one piece, soft edges; and what makes each of them what it is called."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, label

from ias_core.synthesis import graded_spot, shapes

EVERYWHERE = np.ones((3, 3))  # pixels that touch at a corner hang together


def line(size_px, rng, *, aspect=30.0, bend=0.0, jitter=0.0, taper=True, angle=None):
    return shapes.line(size_px, rng, aspect=aspect, bend=bend, jitter=jitter, taper=taper, angle=angle)


SHAPES = {
    "dot": shapes.dot,
    "bump": shapes.bump,
    "polygon": shapes.polygon,
    "bezier": shapes.bezier,
    "free form": shapes.free_form,
    "scratch": lambda size_px, rng: line(size_px, rng, bend=0.4, jitter=0.12),
    "hair": lambda size_px, rng: line(size_px, rng, bend=3.0, jitter=0.5, taper=False),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size_px", [1, 2, 3.4, 8, 17, 40])
def test_a_shape_has_the_asked_area_in_one_piece(name, size_px):
    for seed in range(25):
        mask, alpha = SHAPES[name](size_px, np.random.default_rng(seed))[:2]
        assert np.count_nonzero(mask) == max(1, round(np.pi * size_px**2 / 4))
        assert label(mask, EVERYWHERE)[1] == 1
        assert mask.shape == alpha.shape and not alpha[~mask].any() and alpha.min() >= 0
        if name != "dot":  # its strength has root mean square 1
            assert alpha.max() <= 1
        edge = 2 if name == "bump" else 0
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert (rows[0], columns[0]) == (edge, edge)
        assert (rows[-1] + 1 + edge, columns[-1] + 1 + edge) == mask.shape


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_differ_and_the_same_seed_gives_the_same(name):
    made = [SHAPES[name](20, np.random.default_rng(seed)) for seed in (*range(20), 0)]
    assert len({alpha.tobytes() for _, alpha, *_ in made}) == 20
    assert np.array_equal(made[0][1], made[-1][1])


def test_graded_spots_still_take_their_dot_from_here():
    assert graded_spot.dot is shapes.dot


def test_number_of_parts_falls_as_the_exponential_does():
    rng = np.random.default_rng(0)
    counts = np.bincount([shapes.parts(rng) for _ in range(4000)], minlength=6)
    expected = np.exp(-0.7 * np.arange(1, 6))
    expected *= 4000 / expected.sum()
    assert counts[0] == 0 and len(counts) == 6
    assert (np.abs(counts[1:] - expected) < 4 * np.sqrt(expected)).all()
    assert {shapes.parts(rng, most=2) for _ in range(50)} == {1, 2}


@pytest.mark.parametrize("size_px", [6, 20, 50])
def test_slopes_of_a_bump_sum_to_nothing_in_every_direction(size_px):
    for seed in range(10):
        mask, height = shapes.bump(size_px, np.random.default_rng(seed))
        assert height.max() > 0.75 and not height[~mask].any()
        for slope in np.gradient(height):
            assert abs(slope.sum()) < 1e-9 < np.abs(slope).sum()
        if size_px >= 20:
            rim = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3))) == 0)
            assert height[rim].max() < 0.1


@pytest.mark.parametrize("thickness", [2.0, 4.0, 7.0])
def test_a_level_line_is_as_long_and_as_thick_as_asked(thickness):
    """Thickness read off the columns of pixels, a second way."""
    length = 100.0
    size_px = np.sqrt(4 * length * thickness / np.pi)
    for seed in range(8):
        for taper in (True, False):
            _, alpha, core = line(
                size_px, np.random.default_rng(seed), aspect=length / thickness, taper=taper, angle=0.0
            )
            across = alpha.sum(0)
            assert alpha.shape[1] == pytest.approx(length, abs=thickness + 1)
            assert across[5:-5].mean() == pytest.approx(thickness - 0.5, rel=0.15)
            middle, ends = np.median(across[40:60]), np.median(np.r_[across[3:8], across[-8:-3]])
            if not taper:
                assert middle == pytest.approx(ends, rel=0.2)
            elif thickness > 2:  # a line of 1 px has nothing to taper to
                assert middle > 1.4 * ends
            assert (core <= alpha + 1e-6).all() and 0.4 < core.sum() / alpha.sum() < 0.9
            if thickness == 2:
                continue  # the rim is a third of a pixel
            rows = np.arange(len(alpha))
            lean = (core.sum(1) @ rows) / core.sum() - (alpha.sum(1) @ rows) / alpha.sum()
            assert 0.1 * thickness < abs(lean) < 0.4 * thickness


def test_a_line_is_thin_however_it_bends():
    from skimage.morphology import skeletonize

    for seed in range(10):
        mask = np.pad(line(20, np.random.default_rng(seed), aspect=30, bend=2.0, jitter=0.4)[0], 2)
        length, thickness = shapes.line_sides(20, 30)
        assert np.count_nonzero(mask) / np.count_nonzero(skeletonize(mask)) < 1.7 * thickness
        assert np.hypot(*mask.shape) < 1.1 * length


@pytest.mark.parametrize("degrees", [0, 30, 90, 140])
def test_a_line_runs_from_end_to_end_in_the_asked_direction(degrees):
    for bend in (-1.0, 1.0):
        mask = line(20, np.random.default_rng(3), bend=bend, angle=np.radians(degrees))[0]
        y, x = np.nonzero(mask)
        _, vectors = np.linalg.eigh(np.cov(x, y))
        found = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        assert abs((found - degrees + 90) % 180 - 90) < 12


def test_longer_walks_and_wider_blurs_give_other_blots():
    """From round to ragged: the share of the convex hull that is filled."""
    filled = []
    for seed in range(60):
        mask = shapes.free_form(40, np.random.default_rng(seed))[0]
        hull = cv2.convexHull(np.argwhere(mask).astype(np.int32))
        filled.append(mask.sum() / max(cv2.contourArea(hull), 1))
    assert np.quantile(filled, 0.1) < 0.75 and np.quantile(filled, 0.9) > 0.9


def test_fill_covers_what_the_outline_encloses():
    square = np.array([(0, 0), (5, 0), (5, 5), (0, 5)], float)
    mask, alpha = shapes.fill(square, 20, np.random.default_rng(0))
    assert max(alpha.shape) <= np.sqrt(314) + 2
    assert alpha.sum() == pytest.approx(314, rel=0.04)  # the least covered pixels of the rim are left out
    assert mask[1:-1, 1:-1].all() and (alpha[1:-1, 1:-1] == 1).all()
    triangle, _ = shapes.fill(np.array([(0, 0), (4, 0), (0, 8)], float), 30, np.random.default_rng(0))
    assert triangle.shape[0] / triangle.shape[1] == pytest.approx(2, rel=0.1)
    assert triangle[:, 1].mean() > 0.85 and triangle[:, -1].mean() < 0.2  # upright on the left, a point on the right


def test_closed_curve_of_a_square_worked_out_by_hand():
    nodes = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    for factor in (0.2, 0.4):
        curve = shapes.closed_curve(nodes, factor, np.zeros(4, bool)).reshape(4, 20, 2)
        np.testing.assert_allclose(curve[:, 0], nodes)  # through the nodes
        # controls of the right edge: (1.25, 0.25) and (1.25, 0.75), drawn towards (1, 0) and (1, 1)
        np.testing.assert_allclose(curve[1, 10], (1.1875 - 0.1875 * factor, 0.5))
    straight = shapes.closed_curve(nodes, 0.2, np.array([False, True, False, True]))
    assert len(straight) == 42
    np.testing.assert_allclose(straight[20], (1, 0))
    np.testing.assert_allclose(straight[21], (1, 1))


def test_closed_curve_is_smooth_where_two_curved_segments_meet():
    nodes = np.array([(0, 0), (3, 1), (4, 4), (1, 3), (-1, 2)], float)
    curve = shapes.closed_curve(nodes, 0.3, np.zeros(5, bool))
    steps = np.diff(np.concatenate([curve, curve[:1]]), axis=0)
    turns = np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
    assert np.abs(turns).max() < 0.5  # radians from one step to the next; the polygon's own corners turn by more


def test_bezier_outlines_enclose_one_region_without_holes():
    filled = []
    for seed in range(60):
        outline = shapes.bezier_outline(np.random.default_rng(seed))
        np.testing.assert_allclose([outline.min(0), outline.max(0)], [(0, 0), (1, 1)])
        assert np.abs(outline[0] - outline[-1]).max() < 0.01  # closed
        drawn = np.zeros((203, 203), np.uint8)
        cv2.fillPoly(drawn, [np.round(outline * 200 + 1).astype(np.int32)], 1)
        assert label(drawn, EVERYWHERE)[1] == 1
        holes = binary_fill_holes(drawn).sum() - drawn.sum()
        assert holes < 0.005 * drawn.sum()  # a narrow bay may close up on so few pixels
        filled.append(drawn.mean())
    assert min(filled) > 0.1 and max(filled) < 0.9 and np.std(filled) > 0.05


def test_soften_rises_over_the_asked_width():
    strip = np.ones((9, 40), bool)
    t = (np.array([0, 1, 2, 3, 4, 3, 2, 1, 0]) + 0.5) / 4
    expected = np.clip(t, 0, 1) ** 2 * (3 - 2 * np.clip(t, 0, 1))
    np.testing.assert_allclose(shapes.soften(strip, 4)[:, 20], expected, atol=1e-6)
    assert (shapes.soften(strip, 0) == 1).all()
    mask = np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    assert not shapes.soften(mask, 2)[~mask].any()


def test_most_covered_pixels_hang_together():
    alpha = np.array([[0.9, 0.9, 0.0, 0.8, 0.8], [0.9, 0.2, 0.0, 0.1, 0.8]], np.float32)
    assert shapes.highest(alpha, 4).tolist() == [[True, True, False, True, False], [True, False, False, False, False]]
    # the piece of three is the larger one; the fourth pixel is its best neighbour instead of the other piece's
    assert shapes.most_covered(alpha, 4).tolist() == [
        [True, True, False, False, False],
        [True, True, False, False, False],
    ]
    assert shapes.most_covered(alpha[:, :2], 9).sum() == 4  # no more than are covered at all
