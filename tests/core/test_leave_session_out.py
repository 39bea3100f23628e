"""Leaving out several groups for one image: against a true refit, against plain distances, and what it may not do."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ias_core.errors import FeatureError
from ias_core.patchcore import scoring
from ias_core.patchcore.memory_bank import MemoryBank
from ias_core.patchcore.scoring import Scorer
from tests.core.small import PREPROCESSING, bank_of, random_features

CPU = torch.device("cpu")
BANK = random_features(9, seed=1)
NAMES = tuple(f"image {i:03d}" for i in range(9))
session = np.array([0, 1, 2, 0, 1, 2, 0, 0, 1])  # not side by side in the bank


def session_mates(i: int) -> tuple[str, ...]:
    return tuple(NAMES[j] for j in np.flatnonzero(session == session[i]))


BY_SESSION = [session_mates(i) for i in range(9)]


def plain_patch_scores(bank: np.ndarray, features: torch.Tensor) -> np.ndarray:
    q, m = features.double().numpy(), bank.astype(np.float64)
    return np.sqrt(((q[..., None, :] - m) ** 2).sum(-1)).min(-1)


@pytest.mark.parametrize("b", [1, 9])
def test_equals_a_bank_rebuilt_without_the_session(b):
    masked = Scorer(bank_of(BANK), CPU, num_neighbors=b)(BANK, leave_out=BY_SESSION)
    for i in range(9):
        others = np.flatnonzero(session != session[i])
        refit = Scorer(bank_of(BANK[others]), CPU, num_neighbors=b)(BANK[i : i + 1])
        np.testing.assert_allclose(masked.patch_scores[i], refit.patch_scores[0], rtol=1e-4)
        np.testing.assert_allclose(masked.image_scores[i], refit.image_scores[0], rtol=1e-4)


@pytest.mark.parametrize("ratio", [1.0, 0.2])
def test_hides_exactly_the_vectors_of_the_session(ratio):
    bank = bank_of(BANK, ratio=ratio)
    masked = Scorer(bank, CPU)(BANK, leave_out=BY_SESSION)
    for i, mates in enumerate(BY_SESSION):
        stays = [bank.groups[g] not in mates for g in bank.group]
        expected = plain_patch_scores(bank.features[stays], BANK[i])
        np.testing.assert_allclose(masked.patch_scores[i], expected, rtol=1e-4)
        np.testing.assert_allclose(masked.image_scores[i], expected.max(), rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), ratio=st.sampled_from([0.1, 1.0]), tile=st.sampled_from([1, 1 << 23]))
def test_any_groups_in_any_order_once_or_twice(data, ratio, tile):
    """Also groups the bank does not know, and none at all: own patches then score 0 but for rounding."""
    bank = bank_of(BANK, ratio=ratio)
    asked = data.draw(st.lists(st.lists(st.sampled_from([*NAMES[:6], "elsewhere"])).map(tuple), min_size=9, max_size=9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_TILE_NUMBERS", tile)
        masked = Scorer(bank, CPU)(BANK, leave_out=asked)
    for i, names in enumerate(asked):
        stays = [bank.groups[g] not in names for g in bank.group]
        np.testing.assert_allclose(
            masked.patch_scores[i], plain_patch_scores(bank.features[stays], BANK[i]), rtol=1e-3, atol=5e-2
        )


def test_hiding_more_never_lowers_a_score():
    scorer = Scorer(bank_of(BANK, ratio=0.3), CPU)
    alone, with_session = scorer(BANK, leave_out=NAMES), scorer(BANK, leave_out=BY_SESSION)
    assert (with_session.patch_scores >= alone.patch_scores).all()
    assert (with_session.image_scores > alone.image_scores).any()


def test_one_group_and_a_tuple_of_one_are_the_same():
    scorer = Scorer(bank_of(BANK, ratio=0.3), CPU, num_neighbors=3)
    one, tuples = scorer(BANK, leave_out=NAMES), scorer(BANK, leave_out=[(name,) for name in NAMES])
    np.testing.assert_array_equal(one.image_scores, tuples.image_scores)
    np.testing.assert_array_equal(one.patch_scores, tuples.patch_scores)


def test_twins_that_span_sessions_are_hidden_with_either():
    """The last image is the first once more, from another session: it must not answer for its twin."""
    features = torch.cat([BANK, BANK[:1]])
    groups = [*NAMES, NAMES[0]]
    scorer = Scorer(bank_of(features, groups=groups), CPU)
    first, mate_of_copy = (NAMES[0], NAMES[3]), (NAMES[0], NAMES[1])
    got = scorer(features[[0, 9]], leave_out=[first, mate_of_copy])
    for score, hidden in zip(got.image_scores, (first, mate_of_copy), strict=True):
        rest = [j for j in range(9) if NAMES[j] not in hidden]
        np.testing.assert_allclose(score, plain_patch_scores(bank_of(BANK[rest]).features, BANK[0]).max(), rtol=1e-4)


def test_neighbouring_groups_are_one_slice():
    scorer = Scorer(bank_of(BANK), CPU)
    patches = BANK.shape[1] * BANK.shape[2]
    assert scorer._rows(NAMES[2:5]) == (slice(2 * patches, 5 * patches),)
    assert scorer._rows((NAMES[4], NAMES[0], NAMES[4])) == (slice(0, patches), slice(4 * patches, 5 * patches))


def test_what_can_be_left_out():
    scorer = Scorer(bank_of(BANK), CPU)
    assert scorer.can_leave_out(NAMES[0]) and scorer.can_leave_out(NAMES[:8]) and scorer.can_leave_out(())
    assert not scorer.can_leave_out(NAMES)
    with pytest.raises(FeatureError, match="leaving out 9 groups leaves an empty bank"):
        scorer(BANK[:1], leave_out=[NAMES])


def test_neighbour_weighting_needs_two_vectors_to_stay():
    one_each = MemoryBank(
        np.arange(6, dtype=np.float32).reshape(3, 2), np.arange(3, dtype=np.int32), ("a", "b", "c"), 3, PREPROCESSING
    )
    assert Scorer(one_each, CPU).can_leave_out(("a", "b"))
    weighted = Scorer(one_each, CPU, num_neighbors=9)
    assert weighted.can_leave_out("a") and not weighted.can_leave_out(("a", "b"))
    with pytest.raises(FeatureError, match="2 bank vectors"):
        weighted(torch.ones(1, 1, 1, 2), leave_out=[("a", "b")])
