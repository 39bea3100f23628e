"""GLASS beside a memory bank, both hypotheses: shells hold, no shift reproduces the scores, the score repeats it."""

import numpy as np
import pytest
import torch

from ias_core.errors import FeatureError
from ias_core.patchcore.scoring import Scorer
from ias_core.synthesis.feature_space.base import SHIFTS, Cells, OkReference
from ias_core.synthesis.feature_space.glass_gas_hypersphere import GlassGasHypersphere, project_to_sphere, way_out
from ias_core.synthesis.feature_space.glass_gas_manifold import (
    GlassGasManifold,
    beside_bank,
    directions,
    project_to_shell,
)
from ias_core.synthesis.feature_space.lookup import nearest
from tests.core.small import bank_of, random_features

CPU = torch.device("cpu")
HYPOTHESES = (GlassGasManifold(), GlassGasHypersphere())


@pytest.fixture(scope="module")
def setting():
    """Other images beside the bank of one set of images: features, their patch scores, what is known of them."""
    bank = bank_of(random_features(6, seed=1), ratio=0.3)
    features = random_features(6, seed=2)
    d0 = Scorer(bank, CPU)(features).patch_scores
    return features, d0, OkReference.of(features, d0, bank.features)


def distance_to(bank: torch.Tensor, features: torch.Tensor) -> np.ndarray:
    """By definition, float64."""
    return np.sqrt(((features.double().numpy()[:, None] - bank.double().numpy()) ** 2).sum(-1)).min(1)


def units(n: int, d: int, seed: int) -> torch.Tensor:
    e = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return e / torch.linalg.norm(e, dim=1, keepdim=True)


def test_projection_stays_in_its_shell_and_on_its_ray():
    bank = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    g = torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, -30.0], [103.0, 4.0]])
    low, high = torch.full((4,), 2.0), torch.full((4,), 10.0)
    out, at = project_to_shell(g, nearest(g, bank), bank, low, high)
    torch.testing.assert_close(out, torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, -10.0], [103.0, 4.0]]))
    assert at.tolist() == [0, 0, 0, 1]


def test_projection_that_meets_another_bank_vector_looks_again():
    bank = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    g = torch.tensor([[2.0, 1.0]])
    out, at = project_to_shell(g, nearest(g, bank), bank, torch.full((1,), 4.0), torch.full((1,), 6.0))
    assert at.tolist() == [1] and distance_to(bank, out)[0] == pytest.approx(4.0)


def test_projection_leaves_a_feature_on_a_bank_vector():
    bank = torch.zeros(1, 3)
    out, _ = project_to_shell(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), bank, torch.ones(1), torch.ones(1))
    assert torch.equal(out, torch.zeros(1, 3))  # no direction to push it in


def test_directions_are_unit_vectors_that_a_region_shares():
    made = directions(16, 500, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1)
    cosines = made @ made.T
    assert cosines.min() > 0.9 and (cosines[~np.eye(16, dtype=bool)] < 0.999).all()


@pytest.mark.parametrize("lam", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("stretch", [0.3, 1.0, 4.0])  # a sphere may have moved the feature less or farther than rho
def test_features_stay_in_the_shell_around_the_bank(setting, lam, stretch):
    features, d0, reference = setting
    f, own = features.reshape(-1, 16)[:200], torch.tensor(d0.reshape(-1)[:200])
    rho = torch.full_like(own, lam * reference.scale)
    distance = distance_to(
        reference.bank, beside_bank(f + stretch * rho[:, None] * units(200, 16, seed=0), own, rho, reference.bank)
    )
    low, high = np.maximum(own.numpy(), rho.numpy() / 2), (own + rho).numpy()
    assert (distance >= low * (1 - 1e-4)).all()
    assert (distance <= high * (1 + 1e-4)).all()


def test_ascent_goes_towards_the_bank():
    """One bank vector, a wide shell: 20 steps of 0.001 in units of the shift, straight at it."""
    bank, rho = torch.zeros(1, 4), torch.tensor([10.0])
    out = beside_bank(torch.tensor([[0.0, 8.0, 0.0, 6.0]]), torch.tensor([1.0]), rho, bank)
    torch.testing.assert_close(out, torch.tensor([[0.0, 8.0, 0.0, 6.0]]) * (10 - 0.02 * 10) / 10)


def test_no_shift_leaves_the_distance_as_it_was(setting):
    features, d0, reference = setting
    f, own = features.reshape(-1, 16), torch.tensor(d0.reshape(-1))
    torch.testing.assert_close(beside_bank(f, own, torch.zeros_like(own), reference.bank), f, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", HYPOTHESES, ids=lambda method: method.name)
def test_a_shifted_image_never_scores_below_the_untouched_one(setting, method):
    features, d0, reference = setting
    scores = method(features, d0, reference, seed=0).scores
    assert (scores >= d0.max((1, 2)) * (1 - 1e-4)).all()  # the shell's inner side is the patch's own distance


@pytest.mark.parametrize("method", HYPOTHESES, ids=lambda method: method.name)
def test_no_score_exceeds_the_untouched_one_and_the_shift(setting, method):
    features, d0, reference = setting
    scores = method(features, d0, reference, seed=0).scores  # (regions, dial, n)
    high = d0.max((1, 2))[None] + np.array(SHIFTS)[:, None] * reference.scale
    assert (scores <= high * (1 + 1e-4)).all()


def test_the_score_repeats_the_shift(setting):
    """The finding that keeps GAS out of the choice: in a random direction score ~ sqrt(d0^2 + rho^2)."""
    d = 512
    bank, features = random_features(4, d=d, seed=1), random_features(4, d=d, seed=2)
    d0 = Scorer(bank_of(bank), CPU)(features).patch_scores
    reference = OkReference.of(features, d0, bank_of(bank).features)
    scores = GlassGasManifold()(features, d0, reference, seed=0).scores[2]  # 16 of 36 patches
    expected = np.sqrt(np.median(d0) ** 2 + (np.array(SHIFTS) * reference.scale) ** 2)
    np.testing.assert_allclose(np.median(scores, 1)[4:], expected[4:], rtol=0.06)


def test_sphere_projection_stays_in_its_shell_and_on_its_ray():
    centres = torch.tensor([[1.0, 1.0]]).repeat(4, 1)
    g = centres + torch.tensor([[0.5, 0.0], [0.0, 3.0], [-20.0, 0.0], [0.0, 0.0]])
    out = project_to_sphere(g, centres, 2.0, 4.0)
    expected = centres + torch.tensor([[2.0, 0.0], [0.0, 3.0], [-4.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(out, expected)


def test_way_out_ends_on_the_sphere():
    h = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [9.0, 0.0]])
    unit = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    assert way_out(h, unit, 4.0).tolist() == [4.0, 3.0, 7.0, 0.0]  # the last lies outside already


def test_radius_is_the_75_percent_quantile_around_the_mean_of_each_place(setting):
    features, _, reference = setting
    f = features.double().numpy().reshape(6, 36, 16)
    distances = np.sqrt(((f - f.mean(0)) ** 2).sum(2))
    assert reference.radius == pytest.approx(np.quantile(distances, 0.75), rel=1e-5)
    np.testing.assert_allclose(reference.centres.numpy(), f.mean(0), rtol=1e-4, atol=1e-5)


def test_a_shift_ends_where_it_leaves_the_sphere(setting):
    """From there on the ruler stands still; the manifold's goes on."""
    features, d0, reference = setting
    sphere, manifold = (method(features, d0, reference, seed=0) for method in reversed(HYPOTHESES))
    farthest = 4 * reference.radius / reference.scale  # through the whole sphere
    assert sphere.shift_in_R.max() <= farthest
    assert sphere.shift_in_R[-1] < 0.8 * manifold.shift_in_R[-1]
    assert np.abs(np.diff(sphere.shift_in_R[-2:])) < 0.1


def test_sphere_keeps_features_out_of_its_inside(setting):
    """One bank vector, so far away that its shell is a plane: what lay inside the sphere is brought to its surface."""
    features, _, _ = setting
    far = np.zeros((1, 16), np.float32)
    far[0, 0] = 1000.0
    away = np.linalg.norm(features.numpy() - far, axis=-1)
    reference = OkReference.of(features, away, far)
    f, d0, place = features.reshape(-1, 16), torch.tensor(away.ravel()), torch.arange(36).repeat(6)
    cells = Cells(f, d0, torch.tensor(far).expand_as(f), place, units(len(f), 16, seed=1))
    g = GlassGasHypersphere().shifted(cells, reference, 0.001)  # rho is 1, a tenth of the radius
    before, after = (torch.linalg.norm(x - reference.centres[place], dim=1) / reference.radius for x in (f, g))
    assert (before < 0.8).sum() > 20
    assert after.min() > 0.9  # the plane may have bent the ray a little
    assert float(after[before < 0.8].mean()) == pytest.approx(1, abs=0.03)
    assert (after < 2).all()


def test_one_image_has_no_sphere(setting):
    features, d0, reference = setting
    alone = OkReference.of(features[:1], d0[:1], reference.bank.numpy())
    with pytest.raises(FeatureError, match="no radius: add OK images"):
        GlassGasHypersphere()(features[:1], d0[:1], alone, seed=0)
