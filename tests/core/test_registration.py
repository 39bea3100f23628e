"""Where one picture lies in another is proposed: for croppings whose place is known, and not for strangers."""

from __future__ import annotations

import numpy as np
import pytest

from ias_core.grain import AGREEMENT_LEAST, agreement, same_photograph
from ias_core.registration import Proposal, keys_of, propose, strongest
from tests.core.test_twins import photograph


def grey(part: int, shot: int, side: int = 256) -> np.ndarray:
    return np.ascontiguousarray(photograph(part, shot, side)[..., 0])


@pytest.fixture(scope="module")
def parts() -> list[np.ndarray]:
    return [grey(part, 0) for part in range(6)]


def test_a_piece_lies_where_it_was_cut_out(parts):
    piece = np.ascontiguousarray(parts[2][40:200, 30:220])
    best = propose([keys_of(piece)], [keys_of(one) for one in parts])[0]
    assert (best.i, best.j, best.mirrored) == (0, 2, False)
    np.testing.assert_allclose(best.warp, [[1, 0, 30], [0, 1, 40]], atol=0.02 * 256)
    assert same_photograph(piece, parts[2], best)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_mirror_image_lies_where_it_was_cut_out(parts, turn):
    piece = np.ascontiguousarray(np.rot90(parts[1][30:226, 50:240][:, ::-1], turn))
    keys, flipped = keys_of(piece), keys_of(np.ascontiguousarray(piece[:, ::-1]))
    best = propose([keys], [keys_of(one) for one in parts], [flipped])[0]
    assert (best.j, best.mirrored) == (1, True)
    width = piece.shape[1]
    corners = np.array([[0, width, 0, width], [0, 0, piece.shape[0], piece.shape[0]], [1, 1, 1, 1]])
    found = best.warp @ corners
    np.testing.assert_allclose(np.sort(found[0])[[0, -1]], [50, 240], atol=5)
    np.testing.assert_allclose(np.sort(found[1])[[0, -1]], [30, 226], atol=5)
    assert same_photograph(piece, parts[1], best)


def test_within_a_set_the_lower_place_comes_first(parts):
    pieces = [parts[3], np.ascontiguousarray(parts[3][20:, 10:]), parts[4]]
    found = propose([keys_of(one) for one in pieces])
    best = max(found, key=lambda one: one.votes)
    assert (best.i, best.j) == (0, 1) and all(one.i < one.j for one in found)


def test_many_are_asked_less_of_and_answer_the_same(parts):
    pieces = [np.ascontiguousarray(one[40:200, 30:220]) for one in parts]
    many = [keys_of(one) for one in pieces] * 10  # above the number up to which all is asked
    found = propose(many, [keys_of(one) for one in parts])
    assert {one.i for one in found if one.i % 6 == one.j} == set(range(60))


def test_the_strongest_are_some_of_all(parts):
    keys = keys_of(parts[0])
    few = strongest(keys)
    assert 0 < len(few) < len(keys) and set(few.sizes.tolist()) == {0}
    assert {tuple(point) for point in few.points} <= {tuple(point) for point in keys.points}


def test_a_blank_picture_has_no_keys_and_proposes_nothing(parts):
    blank = keys_of(np.full((64, 80), 90, np.uint8))
    assert len(blank) == 0
    assert propose([blank], [keys_of(parts[0])]) == propose([keys_of(parts[0])], [blank]) == []


def test_grain_agrees_with_itself_and_with_no_other():
    rng = np.random.default_rng(3)
    one, other = rng.normal(120, 10, (2, 128, 128)).astype(np.float32)
    assert agreement(one, one) == (1.0, 1.0)
    assert agreement(one, 40 + 0.5 * one) == (1.0, 1.0)  # brightness and contrast say nothing
    assert max(agreement(one, 240 - one)) == -1.0
    assert max(map(abs, agreement(one, other))) < 0.3
    assert agreement(one, np.full_like(one, 120)) == (0.0, 0.0)


def test_shared_edges_are_no_shared_grain():
    rng = np.random.default_rng(4)
    layout = np.kron(rng.uniform(40, 200, (4, 4)), np.ones((32, 32)))
    one, other = (layout + rng.normal(0, 3, (2, 128, 128))).astype(np.float32)
    assert agreement(one, other)[0] < AGREEMENT_LEAST[0]


def test_two_thirds_of_the_grain_are_enough():
    """A synthetic NG has the grain of its good part beside the defect only."""
    rng = np.random.default_rng(5)
    one, other = rng.normal(120, 10, (2, 128, 128)).astype(np.float32)
    for blocks, enough in ((1, True), (2, False)):  # of four rows of blocks
        made = one.copy()
        made[: 32 * blocks] = other[: 32 * blocks]
        assert (min(agreement(one, made)) > 0.99) == enough


def test_what_does_not_fit_is_no_photograph(parts):
    def laid(warp) -> Proposal:
        return Proposal(0, 0, False, np.array(warp, float), 9.0)

    assert same_photograph(parts[0], parts[0], laid([[1, 0, 0], [0, 1, 0]]))
    assert not same_photograph(parts[0], parts[1], laid([[1, 0, 0], [0, 1, 0]]))
    assert not same_photograph(parts[0], parts[0], laid([[1, 0, 250], [0, 1, 0]]))  # hardly anything is shown of both
    assert not same_photograph(parts[0], parts[0], laid([[9, 0, 0], [0, 9, 0]]))
    assert not same_photograph(parts[0], parts[0], laid([[0, 0, 5], [0, 0, 5]]))
