"""Filters on synthetic defects: planted faults are found, and numbers agree with what can be done by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ias_core.errors import ShapeError
from ias_core.features import PatchFeatures
from ias_core.patchcore.scoring import Scorer
from ias_core.quality.borders import DESCRIPTORS, RING_PX, border_descriptors, has_border
from ias_core.quality.duplicates import LEAST_CONCORDANCE, concordance, near_duplicates
from ias_core.quality.movement import moves, pooling_reach, rounding_floors
from tests.core.small import bank_of, pictures, tiny_backbone

CPU = torch.device("cpu")


def square(side: int, top: int, left: int, size: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[top : top + size, left : left + size] = True
    return mask


def cell_means(images: np.ndarray) -> np.ndarray:
    """A detector without a network: mean grey level of 8 x 8 px."""
    n, side = images.shape[:2]
    return 255 * images.reshape(n, side // 8, 8, side // 8, 8, 3).mean((2, 4, 5))


# --- movement


def rngs(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng([7, i]) for i in range(n)]


def test_floor_is_the_largest_change_that_half_a_level_makes():
    goods = pictures(4, 32)
    seen = []

    def score(dithered: np.ndarray) -> np.ndarray:
        seen.append(dithered)
        return cell_means(dithered)

    floors = rounding_floors(goods, cell_means(goods), score, rngs(4))
    (dithered,) = seen
    moved = 255 * (dithered - goods)
    assert np.abs(moved).max() <= 0.5 + 1e-3 and moved.std() == pytest.approx(1 / np.sqrt(12), rel=0.02)
    by_hand = [
        max(abs(cell_means(d[None]) - cell_means(g[None])).ravel()) for d, g in zip(dithered, goods, strict=True)
    ]
    np.testing.assert_allclose(floors, by_hand)
    assert (floors > 0).all() and (floors < 0.5).all()


def test_a_floor_depends_on_its_own_picture_alone():
    goods = pictures(3, 32)
    together = rounding_floors(goods, cell_means(goods), cell_means, rngs(3))
    alone = rounding_floors(goods[2:], cell_means(goods[2:]), cell_means, rngs(3)[2:])
    assert alone[0] == together[2]


def test_rounding_gives_a_grey_camera_no_colour():
    colour = pictures(2, 32)
    grey = np.repeat(colour.mean(3, keepdims=True), 3, 3)

    def colourfulness(images: np.ndarray) -> np.ndarray:
        return (images.max(3) - images.min(3)).max((1, 2))[:, None, None]

    assert rounding_floors(grey, colourfulness(grey), colourfulness, rngs(2)).max() == 0
    assert rounding_floors(colour, colourfulness(colour), colourfulness, rngs(2)).min() > 0


class Levels:
    """A backbone's two levels, as far as their strides."""

    def __init__(self, *strides: int) -> None:
        self.module = self
        self.feature_info = [{"reduction": stride} for stride in strides]
        self.indices = tuple(range(len(strides)))


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_reach_is_as_far_as_pooling_and_resizing_carry_a_change(ratio):
    fine = 16 * ratio
    furthest = 0
    for inside in range(ratio):  # where in its coarse cell the pixel lies
        at = 8 * ratio + inside
        spike = torch.zeros(1, 1, fine, fine)
        spike[..., at, at] = 1
        pooled = F.avg_pool2d(spike, 3, 1, 1)
        coarse = F.interpolate(F.avg_pool2d(F.max_pool2d(spike, ratio), 3, 1, 1), size=(fine, fine), mode="bilinear")
        reached = torch.nonzero((pooled + coarse)[0, 0])
        furthest = max(furthest, int((reached - at).abs().max()))
    assert pooling_reach(Levels(8, 8 * ratio)) == furthest


def test_moves_by_hand():
    parent = np.zeros((2, 6, 6), np.float32)
    child = parent.copy()
    child[0, 1, 1], child[0, 5, 5] = 0.5, -2.0  # image 0: most of it away from the mask, and downwards
    child[1, 2, 2], child[1, 5, 0] = -3.0, 1.0
    masks = np.stack([square(48, 0, 0, 9)] * 2)  # touches 2 x 2 cells
    for reach, expected in (
        (0, ((0.5, 0.0), (2.0, 3.0))),
        (1, ((0.5, 3.0), (2.0, 1.0))),
        (5, ((2.0, 3.0), (0.0, 0.0))),
    ):
        near, far = moves(child, parent, masks, reach=reach)
        assert (tuple(near), tuple(far)) == expected
    with pytest.raises(ShapeError, match="expected scores"):
        moves(child, parent[:1], masks, reach=0)


def test_planted_in_pictures_of_a_network(tmp_path):
    """An untouched copy moves nothing, a change under the mask moves scores there, one far from it moves them there."""
    backbone = tiny_backbone(tmp_path)
    features, goods = PatchFeatures(backbone, CPU), pictures(10, 160)
    scorer = Scorer(bank_of(features(list(goods[:8]))), CPU)

    def score(images: np.ndarray) -> np.ndarray:
        return scorer(features(list(images))).patch_scores

    parent = goods[8:9]
    masks = np.stack([square(160, 8, 8, 16)] * 3)
    children = np.repeat(parent, 3, 0)
    children[1][masks[1]] = 0
    children[2, 130:150, 130:150] = 0
    before = score(parent)
    (floor,) = rounding_floors(parent, before, score, rngs(1))
    near, far = moves(score(children), np.repeat(before, 3, 0), masks, reach=pooling_reach(backbone))
    assert near[0] < floor and far[0] < floor
    assert near[1] > 5 * floor and far[1] < near[1]
    assert far[2] > 5 * floor and far[2] > near[2]


# --- borders


def test_nothing_far_from_the_border_plays_a_part():
    (good, other), mask = pictures(2, 64), square(64, 16, 16, 32)
    changed = good.copy()
    deep = square(64, 16 + RING_PX + 1, 16 + RING_PX + 1, 32 - 2 * (RING_PX + 1))
    outside = ~square(64, 16 - RING_PX - 1, 16 - RING_PX - 1, 32 + 2 * (RING_PX + 1))
    changed[deep | outside] = other[deep | outside]
    same, changed, other = border_descriptors([good, changed, other], mask)
    np.testing.assert_array_equal(same, changed)
    assert np.abs(same - other).min() > 0


def test_ring_reads_the_same_from_every_side():
    (good,), mask = pictures(1, 64), square(64, 10, 20, 17) | square(64, 30, 30, 9)
    turned = border_descriptors([np.ascontiguousarray(np.rot90(good))], np.ascontiguousarray(np.rot90(mask)))
    mirrored = border_descriptors([np.ascontiguousarray(good[:, ::-1])], np.ascontiguousarray(mask[:, ::-1]))
    expected = border_descriptors([good], mask)
    np.testing.assert_allclose(turned, expected, atol=1e-4)
    np.testing.assert_allclose(mirrored, expected, atol=1e-4)


def test_a_raised_square_is_a_step_across_and_nothing_along():
    flat, mask = np.full((64, 64, 3), 0.5, np.float32), square(64, 20, 20, 24)
    raised = flat + mask[..., None] * np.float32([30, 20, 10]) / 255  # 20 levels of grey
    row = dict(zip(DESCRIPTORS, np.expm1(border_descriptors([raised], mask)[0]), strict=True))
    assert row["step of grey"] == pytest.approx(20, abs=1e-3)
    assert row["step of colour"] == pytest.approx(20 / 3, abs=1e-3)  # 10, 0 and -10 away from grey
    assert row["spread of grey inside"] == pytest.approx(0, abs=1e-3)
    assert row["95 % edge across the border"] == pytest.approx(10, abs=1e-3)  # half a step per px on two rows
    assert row["mean edge along the border"] < 0.1 * row["mean edge across the border"]
    untouched = np.expm1(border_descriptors([flat], mask)[0])
    np.testing.assert_allclose(untouched, 0, atol=1e-3)


@pytest.mark.parametrize("mask", [np.zeros((32, 32), bool), np.ones((32, 32), bool)])
def test_a_mask_without_border_has_no_descriptors(mask):
    assert not has_border(mask)
    with pytest.raises(ShapeError, match="an inside and an outside"):
        border_descriptors([pictures(1, 32)[0]], mask)


def test_a_mask_at_the_frame_has_the_border_that_is_in_the_picture():
    (good,), mask = pictures(1, 32), np.zeros((32, 32), bool)
    mask[:10] = True
    changed = good.copy()
    changed[:5] = changed[15:] = 0.9
    np.testing.assert_array_equal(*border_descriptors([good, changed], mask))


# --- duplicates


def defects(goods: np.ndarray, parents: list[int], masks: list[np.ndarray], strengths: list[float]) -> np.ndarray:
    grain = np.random.default_rng(3).normal(0, 0.05, goods.shape[1:3])[..., None]
    return np.stack(
        [
            goods[p] + (mask[..., None] * strength * (0.2 + grain)).astype(np.float32)
            for p, mask, strength in zip(parents, masks, strengths, strict=True)
        ]
    )


def found_in(parents: list[int], masks: list[np.ndarray], strengths: list[float], groups: list[str]) -> list[list[int]]:
    goods = pictures(len(groups), 64)
    images = defects(goods, parents, masks, strengths)
    return near_duplicates(images, np.stack(masks), np.array(parents), goods, groups)


HERE, THERE = square(64, 10, 10, 12), square(64, 40, 40, 12)


def test_a_copied_defect_is_found_and_names_the_earlier_ones():
    assert found_in([0, 0, 0, 0], [HERE, THERE, HERE, HERE], [1, 1, 1, 1], ["a"]) == [[], [], [0], [0, 2]]


def test_another_place_shape_strength_or_part_is_another_defect():
    assert found_in([0, 0], [HERE, square(64, 10, 13, 12)], [1, 1], ["a"]) == [[], []]
    assert found_in([0, 0], [HERE, square(64, 10, 10, 9)], [1, 1], ["a"]) == [[], []]
    assert found_in([0, 0], [HERE, HERE], [1, 0.5], ["a"]) == [[], []]
    assert found_in([0, 1], [HERE, HERE], [1, 1], ["a", "b"]) == [[], []]


def test_near_twins_are_one_part():
    assert found_in([0, 1], [HERE, HERE], [1, 1], ["a", "a"]) == [[], [0]]


def test_a_little_jitter_is_no_new_defect():
    assert found_in([0, 0], [HERE, HERE], [1, 1.1], ["a"]) == [[], [0]]
    rim = HERE.copy()
    rim[10, 10:22] = False  # one of twelve rows
    assert found_in([0, 0], [HERE, rim], [1, 1], ["a"]) == [[], [0]]


def test_concordance_is_one_less_the_share_of_energy_that_differs():
    changes = np.random.default_rng(0).normal(size=(6, 50))
    changes[4] = 0
    alike = concordance(changes)
    for i in range(6):
        for j in range(6):
            both = (changes[i] ** 2).sum() + (changes[j] ** 2).sum()
            by_hand = 1 - ((changes[i] - changes[j]) ** 2).sum() / both if both else 0.0
            assert alike[i, j] == pytest.approx(by_hand, abs=1e-12)
    assert LEAST_CONCORDANCE < 1
