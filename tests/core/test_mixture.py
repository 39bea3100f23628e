"""Several methods as one set: shares, parents, seeds."""

import numpy as np
import pytest

import ias_core.synthesis  # noqa: F401  registers the methods
from ias_core.errors import IasError
from ias_core.synthesis.mixture import amounts, mix
from tests.core.small import pictures

SHARES = {"cutout": 0.5, "graded-spot": 0.25, "glass-las-own": 0.25}


def mixed(images, **other):
    return mix(
        **{"name": "mixture", "shares": SHARES, "images": images, "count": 8, "seed": 1, "severity": {}, "size_px": {}}
        | other
    )


@pytest.mark.parametrize(
    ("shares", "count", "expected"),
    [
        ({"a": 1.0}, 7, {"a": 7}),
        ({"a": 2.0, "b": 1.0}, 3, {"a": 2, "b": 1}),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 2, {"a": 1, "b": 1, "c": 0}),
        ({"a": 0.6, "b": 0.3, "c": 0.1}, 5, {"a": 3, "b": 2, "c": 0}),
    ],
)
def test_shares_become_whole_pictures(shares, count, expected):
    assert amounts(shares, count) == expected


@pytest.mark.parametrize("shares", [{}, {"a": 0.0}, {"a": float("nan")}, {"a": -1.0, "b": 2.0}])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(IasError, match="share above 0"):
        amounts(shares, 3)


def test_each_picture_names_its_method_and_comes_from_its_parent():
    images = pictures(5, 64)
    made = mixed(images)
    assert [drawn["method"] for drawn in made.settings] == ["cutout"] * 4 + ["graded-spot"] * 2 + ["glass-las-own"] * 2
    assert made.parents.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    for image, mask, parent in zip(made.images, made.masks, made.parents, strict=True):
        assert np.array_equal(image[~mask], images[parent][~mask]) and mask.any()


def test_a_method_more_leaves_the_others_pictures_as_they_were():
    images = pictures(1, 64)
    few = mixed(images, shares={"cutout": 1.0, "glass-las-own": 1.0}, count=4)
    more = mixed(images, shares={"cutout": 1.0, "graded-spot": 1.0, "glass-las-own": 1.0}, count=6)
    assert np.array_equal(few.images, more.images[[0, 1, 4, 5]])


def test_dials_reach_their_method_alone():
    made = mixed(pictures(5, 64), severity={"cutout": 0.5}, size_px={"cutout": 9.0})
    assert (made.severities[:4] == 0.5).all() and not (made.severities[4:] == 0.5).any()
    assert {int(mask.sum()) for mask in made.masks[:4]} <= set(range(1, 65))


def test_masks_of_the_part_follow_their_pictures():
    images = pictures(3, 64)
    parts = np.zeros((3, 64, 64), bool)
    for i in range(3):
        parts[i, :, 20 * i : 20 * i + 24] = True
    made = mixed(images, foregrounds=parts)
    for mask, parent in zip(made.masks, made.parents, strict=True):
        assert not (mask & ~parts[parent]).any()
