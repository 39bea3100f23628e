"""Scores against definitions written out plainly, leave-one-out against a true refit, and what must not change them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ias_core.errors import FeatureError
from ias_core.patchcore import scoring
from ias_core.patchcore.memory_bank import MemoryBank
from ias_core.patchcore.scoring import PatchScores, Scorer
from tests.core.small import PREPROCESSING, bank_of, random_features

CPU = torch.device("cpu")
BANK, QUERIES = random_features(8, seed=1), random_features(5, seed=2)


def scores(bank: MemoryBank, features: torch.Tensor, **options) -> PatchScores:
    leave_out = options.pop("leave_out", None)
    return Scorer(bank, CPU, **options)(features, leave_out=leave_out)


def plain_patch_scores(bank: np.ndarray, features: torch.Tensor) -> np.ndarray:
    """Distance to the nearest bank vector by definition, float64."""
    q, m = features.double().numpy(), bank.astype(np.float64)
    return np.sqrt(((q[..., None, :] - m) ** 2).sum(-1)).min(-1)


def test_patch_scores_are_nearest_distances_and_the_image_score_their_maximum():
    bank = bank_of(BANK, ratio=0.3)
    got, expected = scores(bank, QUERIES), plain_patch_scores(bank.features, QUERIES)
    np.testing.assert_allclose(got.patch_scores, expected, rtol=1e-4)
    np.testing.assert_allclose(got.image_scores, expected.max((1, 2)), rtol=1e-4)
    assert got.patch_scores.dtype == got.image_scores.dtype == np.float32


def test_known_by_hand():
    bank = MemoryBank(np.array([[0, 0], [10, 0]], np.float32), np.array([0, 1], np.int32), ("a", "b"), 2, PREPROCESSING)
    image = torch.tensor([[[[3.0, 4.0], [10.0, 2.0]]]])  # 1 x 2 patches: 5 from the first, 2 from the second
    got = scores(bank, image)
    np.testing.assert_allclose(got.patch_scores, [[[5, 2]]], rtol=1e-5)
    np.testing.assert_allclose(got.image_scores, [5], rtol=1e-5)
    left = scores(bank, image, leave_out=["a"])
    np.testing.assert_allclose(left.patch_scores, [[[65**0.5, 2]]], rtol=1e-5)


def test_bank_images_against_their_own_exact_bank_score_about_nothing():
    own = scores(bank_of(BANK), BANK).image_scores
    typical = np.median(scores(bank_of(BANK), QUERIES).patch_scores)
    assert own.max() < 1e-2 * typical


def test_adding_an_image_to_an_exact_bank_never_raises_a_score():
    before = scores(bank_of(BANK[:5]), QUERIES)
    after = scores(bank_of(BANK[:6]), QUERIES)
    assert (after.patch_scores <= before.patch_scores * (1 + 1e-5)).all()
    assert (after.image_scores <= before.image_scores * (1 + 1e-5)).all()
    assert (after.patch_scores < before.patch_scores * 0.999).any()


@pytest.mark.parametrize("b", [2, 5, 9, 500])
def test_neighbour_weighting_stays_within_its_bounds(b):
    bank = bank_of(BANK, ratio=0.3)
    plain, weighted = (scores(bank, QUERIES, num_neighbors=n).image_scores for n in (1, b))
    assert ((1 - 1 / min(b, len(bank.features))) * plain * (1 - 1e-5) <= weighted).all()
    assert (weighted <= plain).all()  # below by definition; 1 - exp(-large) rounds to 1
    assert np.array_equal(*(scores(bank, QUERIES, num_neighbors=n).patch_scores for n in (1, b)))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), b=st.sampled_from([1, 9])
)
def test_batches_and_bank_order_change_nothing(seed, sizes, b):
    bank, features = bank_of(BANK, ratio=0.2), random_features(sum(sizes), seed=seed)
    whole = scores(bank, features, num_neighbors=b)
    parts = PatchScores.concatenate([scores(bank, part, num_neighbors=b) for part in features.split(sizes)])
    np.testing.assert_allclose(parts.image_scores, whole.image_scores, rtol=1e-5)
    np.testing.assert_allclose(parts.patch_scores, whole.patch_scores, rtol=1e-5)
    order = np.random.default_rng(seed).permutation(len(bank.features))
    one_group = np.zeros(len(order), np.int32)
    shuffled = MemoryBank(bank.features[order], one_group, ("all",), bank.n_patches, PREPROCESSING)
    other = scores(shuffled, features, num_neighbors=b)
    np.testing.assert_allclose(other.image_scores, whole.image_scores, rtol=1e-4)
    np.testing.assert_allclose(other.patch_scores, whole.patch_scores, rtol=1e-4)


def test_tile_size_changes_nothing(monkeypatch):
    bank = bank_of(BANK, ratio=0.5)
    groups = list(bank.groups)
    one = scores(bank, BANK, leave_out=groups)
    monkeypatch.setattr(scoring, "_TILE_NUMBERS", 1)
    other = scores(bank, BANK, leave_out=groups)
    np.testing.assert_allclose(other.patch_scores, one.patch_scores, rtol=1e-5)


def test_a_constant_shift_changes_nothing_and_a_factor_scales():
    def moved(features, factor, shift):
        return features * factor + shift

    base = scores(bank_of(BANK), QUERIES).image_scores
    shifted = scores(bank_of(moved(BANK, 1, 7.5)), moved(QUERIES, 1, 7.5)).image_scores
    np.testing.assert_allclose(shifted, base, rtol=1e-4)
    scaled = scores(bank_of(moved(BANK, 3, 0)), moved(QUERIES, 3, 0)).image_scores
    np.testing.assert_allclose(scaled, 3 * base, rtol=1e-4)


@pytest.mark.parametrize("b", [1, 9])
def test_leave_one_out_equals_a_true_refit_of_the_exact_bank(b):
    names = [f"image {i:03d}" for i in range(len(BANK))]
    masked = scores(bank_of(BANK), BANK, leave_out=names, num_neighbors=b)
    for i in range(len(BANK)):
        rest = [j for j in range(len(BANK)) if j != i]
        refit = scores(bank_of(BANK[rest]), BANK[i : i + 1], num_neighbors=b)
        np.testing.assert_allclose(masked.patch_scores[i], refit.patch_scores[0], rtol=1e-4)
        np.testing.assert_allclose(masked.image_scores[i], refit.image_scores[0], rtol=1e-4)


def test_leave_one_out_of_a_coreset_hides_exactly_the_own_vectors():
    bank = bank_of(BANK, ratio=0.2)
    masked = scores(bank, BANK, leave_out=list(bank.groups))
    for i, name in enumerate(bank.groups):
        rest = np.delete(bank.features, bank.slices()[name], axis=0)
        np.testing.assert_allclose(masked.patch_scores[i], plain_patch_scores(rest, BANK[i]), rtol=1e-4)


def test_a_duplicated_image_hides_itself_unless_its_group_goes_with_it():
    features = torch.cat([BANK, BANK[:1]])  # the last image is the first once more
    alone = [f"image {i:03d}" for i in range(8)]
    apart = scores(bank_of(features, groups=[*alone, "copy"]), features, leave_out=[*alone, "copy"])
    together = scores(bank_of(features, groups=[*alone, alone[0]]), features, leave_out=[*alone, alone[0]])
    true = scores(bank_of(BANK[1:]), BANK[:1]).image_scores[0]
    assert apart.image_scores[[0, 8]].max() < 0.05 * true  # the copy answers for it
    np.testing.assert_allclose(together.image_scores[[0, 8]], true, rtol=1e-4)
    np.testing.assert_allclose(together.image_scores[1:8], apart.image_scores[1:8], rtol=1e-4)


def test_leaving_out_a_group_of_which_nothing_was_kept_is_plain_scoring():
    bank = bank_of(BANK, ratio=0.2)
    np.testing.assert_array_equal(
        scores(bank, QUERIES, leave_out=["not in this bank"] * 5).image_scores, scores(bank, QUERIES).image_scores
    )


def test_leaving_out_everything_raises():
    with pytest.raises(FeatureError, match="leaves an empty bank: at least 2 OK images"):
        scores(bank_of(BANK[:1]), BANK[:1], leave_out=["image 000"])


def test_features_of_another_width_are_refused():
    with pytest.raises(FeatureError, match="expected features of width 16 as in the bank, got 8"):
        scores(bank_of(BANK), QUERIES[..., :8])


def test_weighting_with_one_vector_is_refused():
    one = MemoryBank(np.zeros((1, 16), np.float32), np.zeros(1, np.int32), ("a",), 1, PREPROCESSING)
    assert scores(one, QUERIES).image_scores.shape == (5,)
    with pytest.raises(FeatureError, match="at least 2 bank vectors"):
        Scorer(one, CPU, num_neighbors=9)
    with pytest.raises(FeatureError, match="at least 1 neighbour, got 0"):
        Scorer(one, CPU, num_neighbors=0)


def test_weighting_when_one_vector_is_left_after_leaving_out():
    bank = MemoryBank(np.array([[0, 0], [9, 0]], np.float32), np.array([0, 1], np.int32), ("a", "b"), 2, PREPROCESSING)
    with pytest.raises(FeatureError, match="2 bank vectors"):
        scores(bank, torch.ones(1, 1, 1, 2), leave_out=["a"], num_neighbors=9)


def test_features_stay_unchanged():
    before = QUERIES.clone()
    scores(bank_of(BANK), QUERIES, num_neighbors=9)
    assert torch.equal(QUERIES, before)
