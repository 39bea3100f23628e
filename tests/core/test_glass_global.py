"""Global anomaly synthesis beside a memory bank: the shell holds, no shift reproduces the scores, larger is easier."""

import numpy as np
import pytest
import torch

from ias_core.errors import FeatureError, ShapeError
from ias_core.patchcore.scoring import Scorer
from ias_core.synthesis.glass_global import REGIONS, SHIFTS, feature_shifts, project_to_shell, region, shifted
from tests.core.small import bank_of, random_features

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def setting():
    """Bank of one set of images, others beside it: features, their patch scores, the bank's vectors."""
    bank = bank_of(random_features(6, seed=1), ratio=0.5)
    features = random_features(10, seed=2)
    return features, Scorer(bank, CPU)(features).patch_scores, bank.features


def distance_to(bank: np.ndarray, features: torch.Tensor) -> np.ndarray:
    """By definition, float64."""
    return np.sqrt(((features.double().numpy()[:, None] - bank.astype(np.float64)) ** 2).sum(-1)).min(1)


def test_projection_stays_in_its_shell_and_on_its_ray():
    bank = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    g = torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, -30.0], [103.0, 4.0]])
    low, high = torch.full((4,), 2.0), torch.full((4,), 10.0)
    out = project_to_shell(g, bank, low, high)
    torch.testing.assert_close(out, torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, -10.0], [103.0, 4.0]]))


def test_projection_leaves_a_feature_on_a_bank_vector():
    bank = torch.zeros(1, 3)
    out = project_to_shell(torch.zeros(1, 3), bank, torch.ones(1), torch.ones(1))
    assert torch.equal(out, torch.zeros(1, 3))  # no direction to push it in


@pytest.mark.parametrize("lam", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_shifted_features_stay_in_the_shell_around_the_bank(setting, lam, seed):
    features, d0, bank = setting
    f, own = features.reshape(-1, 16)[:200], torch.tensor(d0.reshape(-1)[:200])
    e = torch.randn(200, 16, generator=torch.Generator().manual_seed(seed))
    rho = lam * float(np.median(d0))
    e = e / torch.linalg.norm(e, dim=1, keepdim=True) * rho
    distance = distance_to(bank, shifted(f, own, e, torch.tensor(bank)))
    low, high = np.maximum(own.numpy(), rho / 2), own.numpy() + rho
    assert (distance >= low * (1 - 1e-4)).all()
    assert (distance <= high * (1 + 1e-4)).all()


def test_no_shift_reproduces_the_scores(setting):
    features, d0, bank = setting
    made = feature_shifts(features, d0, bank, seed=0)
    assert SHIFTS[0] == 0.0
    for r in range(len(REGIONS)):
        np.testing.assert_allclose(made.scores[r, 0], d0.max((1, 2)), rtol=1e-4)


def test_shapes_and_scale(setting):
    features, d0, bank = setting
    made = feature_shifts(features, d0, bank, seed=0, n_examples=2)
    assert made.scores.shape == (len(REGIONS), len(SHIFTS), 10) and made.scores.dtype == np.float32
    assert made.scale == pytest.approx(float(np.median(d0)))
    assert np.array_equal(made.shifts, SHIFTS) and np.array_equal(made.regions, REGIONS)
    assert len(made.example_maps) == len(made.example_titles) == 2 * 3
    assert made.example_maps.shape[1:] == d0.shape[1:]
    assert made.shifted_patches.shape == (10 * (len(SHIFTS) - 1), 16)
    assert made.shifted_lambda.shape == (10 * (len(SHIFTS) - 1),)


def test_recall_at_a_fixed_threshold_rises_with_the_shift(setting):
    features, d0, bank = setting
    scores = feature_shifts(features, d0, bank, seed=0).scores
    for threshold in np.quantile(scores, [0.2, 0.5, 0.7, 0.9]):
        caught = (scores >= threshold).sum(2)  # (regions, shifts)
        assert (np.diff(caught, axis=1) >= -1).all()  # one sample may fall: the shell is not the ray of the shift
        assert (caught[:, -1] > caught[:, 0]).all()


def test_a_shifted_image_never_scores_below_the_rest_of_it(setting):
    features, d0, bank = setting
    scores = feature_shifts(features, d0, bank, seed=0).scores
    assert (scores >= d0.max((1, 2)) * (1 - 1e-4)).all()  # the shell's inner side is the patch's own distance


def test_the_score_repeats_the_shift(setting):
    """The finding that keeps GAS out of the choice: score ~ sqrt(d0^2 + rho^2), here for random directions."""
    features, d0, bank = setting
    made = feature_shifts(features, d0, bank, seed=0)
    largest = made.scores[0, -1]
    assert (largest >= made.shifts[-1] * made.scale / 2 * (1 - 1e-4)).all()
    assert (largest <= d0.max((1, 2)) + made.shifts[-1] * made.scale * (1 + 1e-4)).all()


def test_same_seed_same_scores_and_another_seed_others(setting):
    features, d0, bank = setting
    one, same, other = (feature_shifts(features, d0, bank, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(one.scores, same.scores) and np.array_equal(one.shifted_patches, same.shifted_patches)
    assert not np.array_equal(one.scores, other.scores)


def test_an_image_does_not_depend_on_those_after_it(setting):
    features, d0, bank = setting
    scale = np.full_like(d0, np.median(d0))  # the unit is a median over all images: hold it fixed
    whole, part = feature_shifts(features, scale, bank, seed=4), feature_shifts(features[:3], scale[:3], bank, seed=4)
    np.testing.assert_allclose(part.scores, whole.scores[..., :3], rtol=1e-5)


def test_inputs_stay_unchanged(setting):
    features, d0, bank = setting
    before = features.clone(), d0.copy(), bank.copy()
    feature_shifts(features, d0, bank, seed=0)
    assert torch.equal(features, before[0]) and np.array_equal(d0, before[1]) and np.array_equal(bank, before[2])


def test_no_variation_raises():
    features = torch.ones(2, 6, 6, 4)
    with pytest.raises(FeatureError, match="no variation"):
        feature_shifts(features, np.zeros((2, 6, 6), np.float32), np.ones((3, 4), np.float32), seed=0)


@pytest.mark.parametrize("cells", [1, 4, 16, 30])
def test_region_is_connected_and_inside(cells):
    for seed in range(20):
        blob = region((5, 6), cells, np.random.default_rng(seed))
        assert len(blob) == len(set(blob.tolist())) == cells
        assert blob.min() >= 0 and blob.max() < 30
        open_cells, reached = [int(blob[0])], {int(blob[0])}
        while open_cells:
            y, x = divmod(open_cells.pop(), 6)
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                cell = (y + dy) * 6 + x + dx
                if 0 <= x + dx < 6 and cell in set(blob.tolist()) - reached:
                    reached.add(cell)
                    open_cells.append(cell)
        assert reached == set(blob.tolist())


@pytest.mark.parametrize("cells", [0, 31])
def test_region_that_does_not_fit_raises(cells):
    with pytest.raises(ShapeError, match="expected 1..30 cells"):
        region((5, 6), cells, np.random.default_rng(0))
