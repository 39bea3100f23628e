"""One contract for every registered feature-space method, and what each specification asks to be checked."""

import numpy as np
import pytest
import torch

import ias_core.synthesis.feature_space  # noqa: F401  registers the methods
from ias_core.errors import FeatureError, IasError, ShapeError
from ias_core.patchcore.scoring import Scorer
from ias_core.synthesis.feature_space.base import Cells, OkReference, blob, feature_synthesizers
from ias_core.synthesis.feature_space.cras_residual import CrasResidual, mean_length, strengths
from ias_core.synthesis.feature_space.dsr_codebook import DsrCodebook, allowed_ranks, codebook
from ias_core.synthesis.feature_space.lookup import distance, largest_scores, nearest
from ias_core.synthesis.feature_space.pbas_radial import PbasRadial
from ias_core.synthesis.feature_space.simplenet_jitter import SimpleNetJitter
from ias_core.synthesis.feature_space.supersimplenet_noise import SuperSimpleNetNoise
from ias_core.synthesis.feature_space.uniad_jitter import UniadJitter
from tests.core.small import bank_of, random_features

CPU = torch.device("cpu")
NAMES = (
    "cras-residual",
    "dsr-codebook",
    "glass-gas-hypersphere",
    "glass-gas-manifold",
    "pbas-radial",
    "simplenet-jitter",
    "supersimplenet-noise",
    "uniad-jitter",
)
N, GRID, D = 8, 5, 48


def foreign_codes(n: int = 60, *, d: int = D) -> torch.Tensor:
    """From near to far."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(9)) * 3 + torch.linspace(6, 30, n)[:, None]


def product(seed: int) -> tuple[torch.Tensor, np.ndarray, OkReference]:
    """Images beside the bank of others: features, their patch scores, what is known of them."""
    bank = bank_of(random_features(6, grid=GRID, d=D, seed=seed), ratio=0.5)
    features = random_features(N, grid=GRID, d=D, seed=seed + 1)
    d0 = Scorer(bank, CPU)(features).patch_scores
    return features, d0, OkReference.of(features, d0, bank.features, foreign=foreign_codes())


@pytest.fixture(scope="module")
def setting():
    return product(1)


@pytest.fixture(params=NAMES)
def method(request):
    return feature_synthesizers[request.param]()


def cells_of(f: torch.Tensor, reference: OkReference, drawn: np.ndarray, place: list[int] | None = None) -> Cells:
    m = reference.bank[nearest(f, reference.bank)]
    return Cells(
        f=f,
        d0=torch.linalg.norm(f - m, dim=1),
        m=m,
        place=torch.tensor(place or [0] * len(f)),
        drawn=torch.tensor(drawn, dtype=f.dtype),
    )


def slow_scores(method, features, reference, child) -> np.ndarray:
    """One image's scores (regions, dial): every region on its own, every patch against every bank vector, float64."""
    rng = np.random.default_rng(child)
    gh, gw, d = features.shape
    f = features.reshape(-1, d)
    regions = method.regions((gh, gw), rng)
    draws = [method.draw(len(region), d, rng) for region in regions]
    scores = np.empty((len(regions), len(method.dial)))
    for r, (region, drawn) in enumerate(zip(regions, draws, strict=True)):
        cells = cells_of(f[region], reference, drawn, region.tolist())
        for v, value in enumerate(method.dial):
            moved = f.clone()
            if v:
                moved[region] = method.shifted(cells, reference, value)
            pairs = moved.double().numpy()[:, None] - reference.bank.double().numpy()
            scores[r, v] = np.sqrt((pairs**2).sum(2)).min(1).max()
    return scores


# --- every method --------------------------------------------------------------------------------------------


def test_every_method_is_registered_under_its_name():
    assert feature_synthesizers.names() == NAMES
    assert all(feature_synthesizers[name].name == name for name in NAMES)


def test_shapes_and_words(method, setting):
    features, d0, reference = setting
    made = method(features, d0, reference, seed=0, n_examples=2)
    regions, dial = len(method.region_names), len(method.dial)
    assert made.method == method.name
    assert made.scores.shape == (regions, dial, N) and made.scores.dtype == np.float32
    assert made.dial[0] == 0 and (np.diff(made.dial) > 0).all() and set(method.shown) < set(method.dial)
    assert len(made.regions) == regions and made.is_ng.shape == (regions, N) and made.is_ng.all()
    assert made.meaning.endswith(".") and made.unit
    assert len(made.example_maps) == len(made.example_titles) == 2 * 3
    assert made.example_maps.shape[1:] == (GRID, GRID)
    assert made.moved_patches.shape == (N * (dial - 1), D)
    assert made.shift_in_R.shape == (dial,) and made.shift_in_R[0] == 0 and (np.diff(made.shift_in_R) > -0.01).all()
    assert made.unmoved == 0 and made.n_cells >= N


def test_scores_are_those_of_a_slow_second_implementation(method, setting):
    features, d0, reference = setting
    made = method(features, d0, reference, seed=3)
    for i, child in enumerate(np.random.SeedSequence(3).spawn(3)):
        slow = slow_scores(method, features[i], reference, child)
        np.testing.assert_allclose(made.scores[:, :, i], slow, rtol=2e-4, err_msg=f"image {i}")


def test_no_shift_is_the_untouched_score_to_the_last_bit(method, setting):
    features, d0, reference = setting
    made = method(features, d0, reference, seed=0)
    assert (made.scores[:, 0] == d0.max((1, 2))).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dsr-codebook"])
def test_a_tiny_shift_leads_back_to_the_untouched_score(name, setting):
    """That 0 is not computed hides no jump: all but the swap, which is no shift, tend to it."""
    features, _, reference = setting
    method = feature_synthesizers[name]()
    f = features.reshape(-1, D)[:25]
    drawn = method.draw(25, D, np.random.default_rng(0))
    cells = cells_of(f, reference, drawn, list(range(25)))
    after = distance(method.shifted(cells, reference, 1e-5), reference.bank)
    torch.testing.assert_close(after, cells.d0, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dsr-codebook"])
def test_recall_at_a_fixed_threshold_rises_with_the_dial(name, setting):
    features, d0, reference = setting
    scores = feature_synthesizers[name]()(features, d0, reference, seed=0).scores
    for threshold in np.quantile(scores, np.linspace(0.1, 0.9, 9)):
        caught = (scores >= threshold).sum(2)  # (regions, dial)
        assert (np.diff(caught, axis=1) >= -1).all(), threshold
    assert (scores[:, -1] > scores[:, 0]).mean() > 0.9


def test_no_image_scores_below_what_lies_outside_its_region(method, setting):
    features, d0, reference = setting
    made = method(features, d0, reference, seed=3)
    for i, child in enumerate(np.random.SeedSequence(3).spawn(N)):
        regions = method.regions((GRID, GRID), np.random.default_rng(child))
        for r, region in enumerate(regions):
            assert (made.scores[r, :, i] >= np.delete(d0[i].ravel(), region).max() * (1 - 1e-6)).all()


def test_same_seed_same_scores_and_another_seed_others(method, setting):
    features, d0, reference = setting
    one, same, other = (method(features, d0, reference, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(one.scores, same.scores) and np.array_equal(one.moved_patches, same.moved_patches)
    assert not np.array_equal(one.scores, other.scores)


def test_an_image_does_not_depend_on_those_after_it(method, setting):
    features, d0, reference = setting
    whole, part = (method(features[:n], d0[:n], reference, seed=4) for n in (N, 3))
    np.testing.assert_allclose(part.scores, whole.scores[..., :3], rtol=1e-5)


def test_inputs_stay_unchanged(method, setting):
    features, d0, reference = setting
    before = features.clone(), d0.copy(), reference.bank.clone()
    method(features, d0, reference, seed=0)
    assert torch.equal(features, before[0]) and np.array_equal(d0, before[1]) and torch.equal(reference.bank, before[2])


def test_example_maps_hold_the_largest_score_and_differ_inside_the_region_only(method, setting):
    features, d0, reference = setting
    made = method(features, d0, reference, seed=3, n_examples=1)
    rng = np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0])
    region = method.regions((GRID, GRID), rng)[-1]
    for k, value in enumerate(method.shown):
        seen = made.example_maps[k]
        assert seen.max() == pytest.approx(made.scores[-1, method.dial.index(value), 0], rel=1e-5)
        changed = np.flatnonzero(seen.ravel() != d0[0].ravel())
        assert len(changed) and set(changed) <= set(region)
        assert made.example_titles[k].startswith(f"{len(region)} patch")


def test_controls_are_untouched_and_the_others_as_without(method, setting):
    features, d0, reference = setting
    without, made = (method(features, d0, reference, seed=0, controls=controls) for controls in (False, True))
    assert 0 < made.is_ng.sum() < made.is_ng.size
    untouched = np.broadcast_to(d0.max((1, 2)), made.scores.shape)
    ng = np.broadcast_to(made.is_ng[:, None], made.scores.shape)
    np.testing.assert_allclose(made.scores, np.where(ng, without.scores, untouched), rtol=1e-5)


def test_half_of_the_controls_are_empty():
    features = random_features(1000, grid=4, d=4, seed=2)
    d0 = np.ones((1000, 4, 4), np.float32)
    reference = OkReference.of(features, d0, random_features(1, grid=2, d=4).reshape(-1, 4).numpy())
    made = SimpleNetJitter()(features, d0, reference, seed=1, controls=True)
    assert np.abs(made.is_ng.sum(1) - 500).max() < 50
    assert np.abs(made.is_ng.all(0).sum() - 125) < 40  # each of the three regions has a coin of its own


# --- several products ----------------------------------------------------------------------------------------


def test_products_are_measured_beside_their_own_bank(method):
    """Each image as if its product were alone, and in any order of products."""
    (f0, s0, r0), (f1, s1, r1) = product(1), product(11)
    features = torch.stack([(f0, f1)[i % 2][i // 2] for i in range(4)])
    d0 = np.stack([(s0, s1)[i % 2][i // 2] for i in range(4)])
    classes = np.arange(4) % 2
    both = method(features, d0, (r0, r1), seed=6, classes=classes)
    swapped = method(features, d0, (r1, r0), seed=6, classes=1 - classes)
    np.testing.assert_array_equal(both.scores, swapped.scores)
    for i, child in enumerate(np.random.SeedSequence(6).spawn(2)):
        slow = slow_scores(method, features[i], (r0, r1)[i], child)
        np.testing.assert_allclose(both.scores[:, :, i], slow, rtol=2e-4)


def test_one_product_needs_no_classes(setting):
    features, d0, reference = setting
    alone = CrasResidual()(features, d0, reference, seed=0)
    named = CrasResidual()(features, d0, (reference,), seed=0, classes=np.zeros(N, int))
    assert np.array_equal(alone.scores, named.scores)


# --- what does not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f, d0, r: (f, d0[:3], r), "patch scores"),
        (lambda f, d0, r: (f[:0], d0[:0], r), "at least one image"),
        (lambda f, d0, r: (f[:, :4], d0[:, :4], r), "measure the reference anew"),
        (lambda f, d0, r: (f[..., :8], d0, r), "width 8"),
        (lambda f, d0, r: (f, d0, (r, r)), "as there are 2 products"),
    ],
)
def test_arrays_that_do_not_fit_raise(method, setting, change, words):
    with pytest.raises(ShapeError, match=words):
        method(*change(*setting), seed=0)


@pytest.mark.parametrize("classes", [np.full(N, 2), np.full(N, -1), np.zeros(3, int), np.full(N, 0.5)])
def test_products_that_do_not_exist_raise(setting, classes):
    features, d0, reference = setting
    with pytest.raises(ShapeError, match=r"whole numbers in 0\.\.1"):
        SimpleNetJitter()(features, d0, (reference, reference), seed=0, classes=classes)


def test_reference_refuses_what_it_cannot_measure():
    features, bank = random_features(2, d=4), np.ones((3, 4), np.float32)
    with pytest.raises(FeatureError, match="all patch scores are 0"):
        OkReference.of(features, np.zeros((2, 6, 6), np.float32), bank)
    with pytest.raises(ShapeError, match="expected patch scores"):
        OkReference.of(features, np.ones((2, 6, 5), np.float32), bank)
    with pytest.raises(ShapeError, match=r"a bank \(m, 4\)"):
        OkReference.of(features, np.ones((2, 6, 6), np.float32), bank[:, :3])
    with pytest.raises(FeatureError, match="bank's own backbone"):
        OkReference.of(features, np.ones((2, 6, 6), np.float32), bank, foreign=foreign_codes(d=5))


@pytest.mark.parametrize("cells", [1, 4, 16, 30])
def test_blob_is_connected_and_inside(cells):
    for seed in range(20):
        made = blob((5, 6), cells, np.random.default_rng(seed))
        assert len(made) == len(set(made.tolist())) == cells
        assert made.min() >= 0 and made.max() < 30
        open_cells, reached = [int(made[0])], {int(made[0])}
        while open_cells:
            y, x = divmod(open_cells.pop(), 6)
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                cell = (y + dy) * 6 + x + dx
                if 0 <= x + dx < 6 and cell in set(made.tolist()) - reached:
                    reached.add(cell)
                    open_cells.append(cell)
        assert reached == set(made.tolist())


@pytest.mark.parametrize("cells", [0, 31])
def test_blob_that_does_not_fit_raises(cells):
    with pytest.raises(ShapeError, match=r"expected 1\.\.30 cells"):
        blob((5, 6), cells, np.random.default_rng(0))


# --- looking up ----------------------------------------------------------------------------------------------


def test_lookup_in_tiles_is_the_definition(monkeypatch):
    monkeypatch.setattr("ias_core.synthesis.feature_space.lookup._TILE_NUMBERS", 100)
    g, bank = (random_features(1, seed=seed).reshape(-1, 16) for seed in (1, 2))
    pairs = np.sqrt(((g.numpy()[:, None] - bank.numpy()) ** 2).sum(2))
    assert np.array_equal(nearest(g, bank).numpy(), pairs.argmin(1))
    np.testing.assert_allclose(distance(g, bank).numpy(), pairs.min(1), rtol=1e-5)
    assert len(distance(g[:0], bank)) == 0


@pytest.mark.parametrize("floor", [0.0, 8.0, 100.0])
def test_largest_score_of_a_group_is_the_definition(floor):
    g, bank = (random_features(2, seed=seed).reshape(-1, 16) for seed in (1, 2))
    group = torch.arange(len(g)) % 5
    some = bank[torch.arange(len(g)) % len(bank)]  # any bank vector bounds the score
    made = largest_scores(g, some, group, torch.full((6,), floor), bank)
    scores = distance(g, bank)
    expected = [max(floor, float(scores[group == k].max())) for k in range(5)] + [floor]
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-6)


# --- PBAS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.05, 0.25])
def test_pbas_moves_outward_on_the_patch_s_own_ray(setting, lam):
    features, _, reference = setting
    f = features.reshape(-1, D)
    cells = cells_of(f, reference, np.empty((len(f), 0)))
    g = PbasRadial().shifted(cells, reference, lam)
    step = lam * reference.scale
    torch.testing.assert_close(torch.linalg.norm(g - cells.m, dim=1), cells.d0 + step, rtol=1e-5, atol=1e-5)
    cosine = torch.nn.functional.cosine_similarity(g - f, f - cells.m)
    torch.testing.assert_close(cosine, torch.ones(len(f)), rtol=1e-4, atol=1e-4)
    score = distance(g, reference.bank)
    assert (score <= (cells.d0 + step) * (1 + 1e-5)).all()
    stays = (reference.bank[nearest(g, reference.bank)] == cells.m).all(1)
    assert stays.any() and not stays.all()
    torch.testing.assert_close(score[stays], (cells.d0 + step)[stays], rtol=1e-5, atol=1e-5)


def test_pbas_draws_nothing():
    rng = np.random.default_rng(0)
    PbasRadial().draw(5, D, rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_pbas_leaves_and_counts_patches_on_a_bank_vector(setting):
    features, _, reference = setting
    some = features.clone()
    some[0, :, :3] = reference.bank[7]
    d0 = distance(some.reshape(-1, D), reference.bank).numpy().reshape(N, GRID, GRID)
    made = PbasRadial()(some, d0, reference, seed=0)
    rng = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0])
    on_it = sum(int((region % GRID < 3).sum()) for region in PbasRadial().regions((GRID, GRID), rng))
    assert made.unmoved == on_it > 0
    assert np.isfinite(made.scores).all()


# --- CRAS ----------------------------------------------------------------------------------------------------


def test_cras_strengths_have_mean_1_over_the_reference(setting):
    _, d0, reference = setting
    a = strengths(torch.ones(d0.size), torch.tensor(d0.ravel()), reference, 0.3)
    assert float(a.mean()) == pytest.approx(1, abs=1e-5)
    assert float(a.min()) >= 0.7
    assert np.corrcoef(a.numpy(), d0.ravel())[0, 1] < -0.5


def test_cras_without_guidance_is_simplenet(setting):
    features, d0, reference = setting
    plain, guided = (CrasResidual(k=k)(features, d0, reference, seed=2) for k in (0.0, 0.3))
    simple = SimpleNetJitter()(features, d0, reference, seed=2)
    assert np.array_equal(plain.scores, simple.scores) and np.array_equal(plain.moved_patches, simple.moved_patches)
    assert not np.array_equal(guided.scores, simple.scores)


def test_cras_gives_rare_patches_less(setting):
    features, d0, reference = setting
    f = features.reshape(-1, D)
    cells = cells_of(f, reference, CrasResidual().draw(len(f), D, np.random.default_rng(0)))
    length = torch.linalg.norm(CrasResidual().shifted(cells, reference, 1.0) - f, dim=1)
    plain = torch.linalg.norm(cells.drawn, dim=1) * reference.scale
    assert float((length / plain).mean()) == pytest.approx(1, abs=0.01)
    assert np.corrcoef((length / plain).numpy(), d0.ravel())[0, 1] < -0.5


def test_cras_does_not_ask_where_a_patch_lies(setting):
    features, _, reference = setting
    f = features.reshape(-1, D)[:25]
    drawn = CrasResidual().draw(25, D, np.random.default_rng(0))
    here, there = (cells_of(f, reference, drawn, place) for place in (list(range(25)), list(range(24, -1, -1))))
    assert torch.equal(CrasResidual().shifted(here, reference, 1.0), CrasResidual().shifted(there, reference, 1.0))


def test_cras_bears_a_patch_on_a_bank_vector(setting):
    features, d0, reference = setting
    d0 = d0.copy()
    d0[0, 0, 0] = 0
    with_zero = OkReference.of(features, d0, reference.bank.numpy())
    assert np.isfinite(CrasResidual()(features, d0, with_zero, seed=0).scores).all()


@pytest.mark.parametrize("k", [-0.1, 1.0, float("nan")])
def test_cras_refuses_other_guidance(k):
    with pytest.raises(IasError, match=r"k in \[0, 1\)"):
        CrasResidual(k=k)


def test_mean_length_is_that_of_many_draws():
    for d in (2, 16, 152):
        drawn = SimpleNetJitter().draw(20_000, d, np.random.default_rng(0))
        assert np.linalg.norm(drawn, axis=1).mean() == pytest.approx(mean_length(d), rel=0.01)


# --- SimpleNet, UniAD, SuperSimpleNet ------------------------------------------------------------------------


def test_simplenet_noise_has_the_asked_size(setting):
    _, _, reference = setting
    f = torch.zeros(4000, D)
    cells = cells_of(f, reference, SimpleNetJitter().draw(4000, D, np.random.default_rng(0)))
    g = SimpleNetJitter().shifted(cells, reference, 1.5)
    sigma = 1.5 * reference.scale / np.sqrt(D)
    assert float(g.std()) == pytest.approx(sigma, rel=0.01) and abs(float(g.mean())) < 0.02 * sigma


def test_published_sigma_is_a_length_of_0_59_on_1536_channels():
    drawn = SimpleNetJitter().draw(500, 1536, np.random.default_rng(0)) * np.sqrt(1536) * 0.015
    lengths = np.linalg.norm(drawn, axis=1)
    assert lengths.min() > 0.53 and lengths.max() < 0.65 and lengths.mean() == pytest.approx(0.588, abs=0.003)


def test_uniad_noise_is_a_share_of_the_feature(setting):
    _, _, reference = setting
    f = torch.randn(300, 150, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 50, 300)[:, None]
    wide = OkReference(torch.zeros(1, 150), 1.0, torch.zeros(25, 150), 1.0, 1.0)
    drawn = UniadJitter().draw(300, 150, np.random.default_rng(0))
    cells, louder = cells_of(f, wide, drawn), cells_of(7 * f, wide, drawn)
    g = UniadJitter().shifted(cells, wide, 0.3)
    share = torch.linalg.norm(g - f, dim=1) / torch.linalg.norm(f, dim=1)
    assert float(share.mean()) == pytest.approx(0.3, rel=0.02)
    torch.testing.assert_close(UniadJitter().shifted(louder, wide, 0.3), 7 * g, rtol=1e-4, atol=1e-3)
    silent = cells_of(torch.zeros(2, 150), wide, drawn[:2])
    assert torch.equal(UniadJitter().shifted(silent, wide, 1.0), torch.zeros(2, 150))


def test_perlin_regions_shrink_with_the_threshold_and_are_never_empty():
    low, high = SuperSimpleNetNoise(threshold=0.2), SuperSimpleNetNoise(threshold=0.6)
    sizes = []
    for seed in range(50):
        (wide,), (narrow,) = (m.regions((28, 28), np.random.default_rng(seed)) for m in (low, high))
        sizes.append((len(wide), len(narrow)))
        assert len(wide) and len(narrow) and wide.max() < 784 and len(set(wide.tolist())) == len(wide)
    sizes = np.array(sizes)
    assert sizes[:, 0].mean() > 2 * sizes[:, 1].mean() and len(set(sizes[:, 0])) > 20


def test_perlin_region_that_cannot_be_is_refused():
    with pytest.raises(FeatureError, match="20 Perlin fields stayed below 0.99"):
        SuperSimpleNetNoise(threshold=0.99).regions((4, 4), np.random.default_rng(0))
    with pytest.raises(IasError, match="threshold of the Perlin field"):
        SuperSimpleNetNoise(threshold=1.0)


# --- DSR -----------------------------------------------------------------------------------------------------


def swapped_ranks(reference: OkReference, f: torch.Tensor, limit: float, n: int) -> np.ndarray:
    """Rank of the code that each of n draws for one feature took."""
    drawn = DsrCodebook().draw(n, D, np.random.default_rng(0))
    g = DsrCodebook().shifted(cells_of(f.repeat(n, 1), reference, drawn), reference, limit)
    codes = reference.foreign
    order = np.argsort(np.linalg.norm(codes.numpy() - f.numpy(), axis=1))
    which = (g[:, None] == codes).all(2).int().argmax(1).numpy()
    assert torch.equal(codes[which], g)  # every replacement is a code
    return np.argsort(order)[which]


@pytest.mark.parametrize("limit", [0.2, 0.5, 1.0])
def test_dsr_draws_uniformly_among_the_allowed_ranks(setting, limit):
    from scipy.stats import chisquare

    features, _, reference = setting
    ranks = swapped_ranks(reference, features[0, 0, 0], limit, 10_000)
    low, high = allowed_ranks(60, limit)
    assert ranks.min() >= 0.05 * 60 and ranks.max() <= limit * 60
    counts = np.bincount(ranks, minlength=60)
    assert counts[:low].sum() == counts[high:].sum() == 0
    assert chisquare(counts[low:high]).pvalue > 0.001


def test_dsr_does_not_depend_on_the_order_of_the_codes(setting):
    features, d0, reference = setting
    shuffled = OkReference.of(
        features,
        d0,
        reference.bank.numpy(),
        foreign=reference.foreign[torch.randperm(60, generator=torch.Generator().manual_seed(0))],
    )
    one, other = (DsrCodebook()(features, d0, r, seed=1).scores for r in (reference, shuffled))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_dsr_median_score_rises_with_the_ranks(setting):
    features, d0, reference = setting
    medians = np.median(DsrCodebook()(features, d0, reference, seed=0).scores, 2)  # (regions, dial)
    assert (np.diff(medians, axis=1) >= 0).all() and (medians[:, -1] > medians[:, 0]).all()


def test_own_patches_elsewhere_score_nothing(setting):
    """Why codes must be foreign: the bank has no places. So the product's own are refused."""
    features, d0, reference = setting
    assert float(distance(reference.bank[torch.randperm(len(reference.bank))[:40]], reference.bank).max()) == 0
    own = OkReference.of(features, d0, reference.bank.numpy(), foreign=reference.bank)
    with pytest.raises(FeatureError, match="show the product itself"):
        DsrCodebook()(features, d0, own, seed=0)


def test_dsr_refuses_too_few_codes_none_and_empty_limits(setting):
    features, d0, reference = setting
    bank = reference.bank.numpy()
    with pytest.raises(FeatureError, match="at least 40 foreign codes, got 39"):
        DsrCodebook()(features, d0, OkReference.of(features, d0, bank, foreign=foreign_codes(39)), seed=0)
    with pytest.raises(FeatureError, match="the reference has none"):
        DsrCodebook()(features, d0, OkReference.of(features, d0, bank), seed=0)
    for limit in (0.05, 0.0, 1.01, float("nan")):
        with pytest.raises(FeatureError, match="share of the codes"):
            allowed_ranks(60, limit)


def test_codebook_is_a_spread_subset_that_a_seed_repeats():
    features = random_features(3, d=D, seed=5)
    flat = features.reshape(-1, D)
    codes, same = (codebook(features, 1, size=50) for _ in range(2))
    assert torch.equal(codes, same) and codes.shape == (50, D)
    assert len(torch.unique((flat[:, None] == codes).all(2).nonzero()[:, 0])) == 50
    assert len(codebook(features, 1)) == len(flat)  # fewer patches than codes: all of them
