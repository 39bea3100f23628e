"""Discriminators: closed forms of what they learn from, one contract for all, and what each must refuse."""

import math

import numpy as np
import pytest
import torch

from ias_core.discriminators import LocalAnomalies, discriminators
from ias_core.discriminators.anomalib_parts import (
    draw_regions,
    logits_of,
    patch_discriminator,
    region_noise,
    supersimplenet_heads,
    truncated_l1,
)
from ias_core.discriminators.cras import guided, residual_discriminator
from ias_core.discriminators.glass import ascend, hard_examples, truncated_projection
from ias_core.discriminators.pbas import aligned_centres, nearest_by_cosine, pushed
from ias_core.discriminators.training import (
    NOISE_LENGTH,
    TrainingSet,
    noise,
    patch_scale,
    seeded,
    standard_of,
    whole_epochs,
)
from ias_core.errors import FeatureError

CPU = torch.device("cpu")
GRID, WIDTH = 6, 24
PLANTED = (slice(None), slice(1, 5), slice(1, 5))


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parts(n: int, *, seed: int, look: int = 0) -> torch.Tensor:
    """(n, 6, 6, 24) good parts of one product: its look, and what varies from part to part, in 4 of 24 directions."""
    of_product = draw(1000 + look)
    mean = torch.randn(GRID, 1, WIDTH, generator=of_product).expand(GRID, GRID, WIDTH)
    ways = torch.randn(4, WIDTH, generator=of_product)
    own = torch.randn(n, GRID, GRID, 4, generator=draw(seed))
    return mean + own @ ways + 0.05 * torch.randn(n, GRID, GRID, WIDTH, generator=draw(seed + 500))


def with_defects(features: torch.Tensor, *, seed: int) -> torch.Tensor:
    """The same parts, 16 cells of each moved by a length of 5 in a direction of the image's own."""
    away = torch.randn(len(features), 1, 1, WIDTH, generator=draw(seed))
    out = features.clone()
    out[PLANTED] += 5 * away / away.norm(dim=-1, keepdim=True)
    return out


def las_of(features: torch.Tensor) -> LocalAnomalies:
    masks = torch.zeros(features.shape[:3], dtype=torch.bool)
    masks[PLANTED] = True
    return LocalAnomalies(with_defects(features, seed=9), masks)


def training_set(features: torch.Tensor, *, seed: int = 0, products: tuple[str, ...] = ()) -> TrainingSet:
    products = products or ("",) * len(features)
    return TrainingSet(features, standard_of(features, CPU), None, products, 1, draw(seed), lambda: None)


def fitted(name: str, features: torch.Tensor, *, seed: int = 0, steps: int = 4, **how):
    return discriminators[name](steps=steps)(features, seed=seed, **how)


# What they learn from


@pytest.mark.parametrize("n", [1, 200])
def test_projection_ends_in_its_shell_on_the_same_ray(n):
    origin, h = torch.randn(n, 5, generator=draw(0)), torch.randn(n, 5, generator=draw(1))
    h = h * torch.logspace(-3, 2, n)[:, None]
    moved = truncated_projection(origin + h, origin, 0.5, 1.0) - origin
    assert ((moved.norm(dim=1) >= 0.5 - 1e-5) & (moved.norm(dim=1) <= 1 + 1e-5)).all()
    torch.testing.assert_close(torch.cosine_similarity(moved, h), torch.ones(n), rtol=0, atol=1e-3)
    inside = (h.norm(dim=1) > 0.5) & (h.norm(dim=1) < 1)
    torch.testing.assert_close(moved[inside], h[inside], rtol=1e-3, atol=1e-4)


def test_projection_without_a_ray_stays():
    assert torch.equal(truncated_projection(torch.ones(1, 3), torch.ones(1, 3), 0.5, 1.0), torch.ones(1, 3))


def test_ascent_never_raises_what_the_discriminator_says():
    """GLASS goes up the loss BCE(D(g), 1): towards normal, patch by patch."""
    with seeded(3):
        network = patch_discriminator(WIDTH, 32)
    network.eval()
    g = torch.randn(50, WIDTH, generator=draw(4))
    logits, start = logits_of(network, g), g
    for _ in range(20):
        g = ascend(lambda x: logits_of(network, x), g, 1e-3)
        now = logits_of(network, g)
        assert (now <= logits + 1e-6).all()
        logits = now
    assert (logits < logits_of(network, start) - 1e-4).all()
    assert ((g - start).norm(dim=1) <= 20 * 1e-3 + 1e-5).all()


def test_ascent_of_a_flat_discriminator_stays():
    g = torch.randn(3, WIDTH, generator=draw(0))
    assert torch.equal(ascend(lambda x: 0 * x.sum(1), g, 0.1), g)


def test_hard_examples():
    p, y = torch.tensor([0.1, 0.4, 0.5, 0.9]), torch.tensor([0.0, 0.0, 1.0, 0.0])
    assert hard_examples(p, y, 0.0).all()
    assert hard_examples(p, y, 0.5).tolist() == [False, False, True, True]  # errors 0.01 0.16 0.25 0.81
    assert hard_examples(p, y, 1.0).tolist() == [False, False, False, True]


@pytest.mark.parametrize("k", [0.0, 0.25])
def test_push_of_pbas_in_closed_form(k):
    u = torch.randn(40, WIDTH, generator=draw(0), dtype=torch.float64).requires_grad_()
    z = torch.randn(40, WIDTH, generator=draw(1), dtype=torch.float64)
    g, r = pushed(u, u - z, k)
    assert float(r.detach()) == pytest.approx(float((u - z).detach().norm(dim=1).mean()))
    torch.testing.assert_close((g - z).norm(dim=1) - (u - z).norm(dim=1), (k * r).expand(40), rtol=0, atol=1e-5)
    if k:
        torch.testing.assert_close(torch.cosine_similarity(g - u, u - z), torch.ones(40).double())
    else:
        assert torch.equal(g, u)
    (gradient,) = torch.autograd.grad(g.sum(), u)
    assert torch.equal(gradient, torch.ones_like(u))  # the shift carries none


def test_centres_of_pbas_by_hand():
    first = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(aligned_centres([first]), first)
    # Row (3, 4) is nearer to centre 1, which becomes (0.3, 1.3); row (1, 2) is then nearer to that one as well.
    second = np.array([[3.0, 4.0], [1.0, 2.0]])
    np.testing.assert_allclose(aligned_centres([first, second]), [[1.0, 0.0], [0.37, 1.37]], rtol=1e-6)
    # The other way round: (1, 2) makes it (0.1, 1.1), then (3, 4) finds that at cosine 0.85 and (1, 0) at 0.6.
    other = aligned_centres([first, second[::-1]])
    np.testing.assert_allclose(other, [[1.0, 0.0], [0.9 * 0.1 + 0.3, 0.9 * 1.1 + 0.4]], rtol=1e-6)
    np.testing.assert_array_equal(first, [[1.0, 0.0], [0.0, 1.0]])  # input untouched


def test_noise_of_cras_grows_towards_the_centre():
    e, residual = torch.randn(300, WIDTH, generator=draw(0)), torch.randn(300, WIDTH, generator=draw(1))
    a = guided(e, residual, 0.3).norm(dim=1) / e.norm(dim=1)
    assert float(a.mean()) == pytest.approx(1.0, abs=1e-5)  # so the mean of q is 1 as well
    assert float(a.min()) >= 0.7 - 1e-6
    assert np.corrcoef(a.numpy(), residual.norm(dim=1).numpy())[0, 1] < -0.2
    q = 1 + (a - 1) / 0.3
    plain = e.norm(dim=1) / residual.norm(dim=1)
    torch.testing.assert_close(q, plain / plain.mean(), rtol=1e-4, atol=1e-4)


def test_noise_of_cras_without_guidance_is_simplenets():
    features = parts(3, seed=0)
    shape = torch.Size((20, WIDTH))
    plain = noise(shape, 0.1, training_set(features, seed=5))
    same = noise(shape, 0.1, training_set(features, seed=5))
    assert torch.equal(guided(same, torch.randn(20, WIDTH), 0.0), plain)
    assert torch.isfinite(guided(same, torch.zeros(20, WIDTH).index_fill(0, torch.arange(9), 1.0), 0.3)).all()


def test_noise_has_its_spread():
    drawn = noise(torch.Size((500, 200)), 0.3, training_set(parts(2, seed=0)))
    assert float(drawn.std()) == pytest.approx(0.3, rel=0.01) and abs(float(drawn.mean())) < 0.005


def test_published_length_of_noise():
    """sigma 0.015 on 1,536 numbers: between 0.53 and 0.65 for every patch."""
    e = torch.randn(2000, 1536, generator=draw(0)) * 0.015
    assert ((e.norm(dim=1) > 0.53) & (e.norm(dim=1) < 0.65)).all()
    assert pytest.approx(0.588, abs=1e-3) == NOISE_LENGTH


def test_nearest_centre_ignores_positions():
    centres, u = torch.randn(36, WIDTH, generator=draw(0)), torch.randn(20, WIDTH, generator=draw(1))
    z = nearest_by_cosine(u, centres)
    order = torch.randperm(20, generator=draw(2))
    assert torch.equal(nearest_by_cosine(u[order], centres), z[order])
    for patch, found in zip(u, z, strict=True):  # by definition
        cosines = [float(torch.dot(patch, c) / (patch.norm() * c.norm())) for c in centres]
        assert torch.equal(found, centres[int(np.argmax(cosines))])


def test_residual_discriminator_takes_patch_and_residual():
    network = residual_discriminator(WIDTH)
    assert [layer.in_features for layer in network if isinstance(layer, torch.nn.Linear)] == [48, 24, 12]
    assert network[-1].bias is None


def test_truncated_l1():
    """SimpleNet's th = 0.5, on anomaly logits (its D is their negative): no loss beyond, a slope before."""
    good, bad = torch.tensor([-0.5, -3.0]), torch.tensor([0.5, 9.0])
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert float(truncated_l1(torch.cat([good, bad]), labels)) == 0
    assert float(truncated_l1(torch.cat([good + 0.5, bad]), labels)) == pytest.approx((0.5 + 0.0) / 2)
    assert float(truncated_l1(torch.cat([good, bad]), 1 - labels)) > 3  # swapped labels: the optimum's sign swaps too


def test_region_noise_stays_in_its_regions():
    with seeded(0):
        drawn, masks, labels = draw_regions(region_noise(0.2, 0.2), 500, 3, (GRID, GRID))
    assert drawn.shape == (1000, 3, GRID, GRID) and masks.shape == (1000, 1, GRID, GRID)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert not drawn[(masks == 0).expand_as(drawn)].any() and drawn[(masks == 1).expand_as(drawn)].all()
    assert torch.equal(labels, masks.flatten(1).any(1).float())
    assert 450 <= int((labels == 0).sum()) <= 550
    assert float(drawn[(masks == 1).expand_as(drawn)].std()) == pytest.approx(0.2, rel=0.02)


# The unit, the batches and the randomness


def test_patch_scale_by_definition():
    features = parts(5, seed=0)
    data = training_set(features, seed=3)
    x = data.standard(features).reshape(5, -1, WIDTH).double()
    nearest = [
        min(float((patch - other).norm()) for j in range(5) if j != i for other in x[j])
        for i in range(5)
        for patch in x[i]
    ]
    # 180 draws of 180 patches, with repetition: near the median of all
    assert patch_scale(data) == pytest.approx(float(np.median(nearest)), rel=0.1)
    scaled = training_set(features * 50 + 3, seed=3)
    assert patch_scale(scaled) == pytest.approx(patch_scale(training_set(features, seed=3)), rel=1e-3)


def test_standard_features_have_mean_0_and_spread_1():
    features = parts(5, seed=0)
    features[..., 2] = 7.0  # constant
    x = standard_of(features, CPU)(features).reshape(-1, WIDTH)
    torch.testing.assert_close(x.mean(0), torch.zeros(WIDTH), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        x.std(0, correction=0), torch.ones(WIDTH).index_fill(0, torch.tensor([2]), 0.0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("images", "patches"), [(2, 5), (3, 0), (8, 99)])
def test_an_epoch_visits_every_image_once_and_no_cell_twice(images, patches):
    features = torch.arange(5 * GRID * GRID * WIDTH).reshape(5, GRID, GRID, WIDTH).float()
    data = training_set(features)
    seen = []
    for batch in data.batches(images, patches):
        seen += batch.rows.tolist()
        for row, cells, x in zip(batch.rows, batch.cells, batch.features, strict=True):
            assert len(set(cells.tolist())) == len(cells) == (patches if 0 < patches < 36 else 36)
            torch.testing.assert_close(x, data.standard(features[row].reshape(36, WIDTH)[cells]))
    assert sorted(seen) == list(range(5))


def test_mean_map():
    features = torch.cat([parts(3, seed=0), parts(2, seed=1, look=1)])
    data = training_set(features, products=("a", "a", "a", "b", "b"))
    torch.testing.assert_close(data.mean_map("b"), data.standard(features[3:]).mean(0).reshape(36, WIDTH))


def test_steps_are_reached_in_whole_epochs():
    for steps, n, images in [(1, 2, 2), (100, 7, 3), (99, 9, 3)]:
        epochs, per_epoch = whole_epochs(steps, n, images), math.ceil(n / images)
        assert (epochs - 1) * per_epoch < steps <= epochs * per_epoch


# One contract for all


@pytest.fixture(params=discriminators.names())
def name(request):
    return request.param


def extras(name: str, features: torch.Tensor) -> dict:
    return {"las": las_of(features)} if discriminators[name].takes_las else {}


def test_shapes_order_and_independence_of_the_batch(name):
    train, others = parts(6, seed=0), parts(11, seed=1)
    trained = fitted(name, train, **extras(name, train))
    found = trained(others)
    assert found.image_scores.shape == (11,) and found.image_scores.dtype == np.float32
    assert found.patch_scores.shape == (11, GRID, GRID) and found.patch_scores.dtype == np.float32
    assert np.isfinite(found.image_scores).all() and np.isfinite(found.patch_scores).all()
    alone = trained(others[9:10])
    np.testing.assert_allclose(alone.image_scores, found.image_scores[9:10], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone.patch_scores, found.patch_scores[9:10], rtol=1e-4, atol=1e-5)
    if name != "supersimplenet":  # it has a head for the image
        np.testing.assert_array_equal(found.image_scores, found.patch_scores.max((1, 2)))
    assert (trained.epochs, trained.steps, trained.n_images) == ((4, 4, 6))


def test_same_seed_same_scores_another_seed_others_and_nothing_else_moves(name):
    train, others = parts(6, seed=0), parts(3, seed=1)
    las = extras(name, train)
    before, state = train.clone(), torch.random.get_rng_state()
    first, same, other = (fitted(name, train, seed=seed, **las)(others) for seed in (7, 7, 8))
    assert torch.equal(torch.random.get_rng_state(), state) and torch.equal(train, before)
    np.testing.assert_array_equal(first.image_scores, same.image_scores)
    np.testing.assert_array_equal(first.patch_scores, same.patch_scores)
    assert (first.image_scores != other.image_scores).all()


# Enough for each to learn these parts, and no more; the suite has other tests to run.
LEARNT = {
    "cras": {"steps": 800, "patches_per_image": 16},
    "glass-hypersphere": {"steps": 240, "patches_per_image": 16, "ascents": 1},
    "glass-manifold": {"steps": 120, "patches_per_image": 16, "ascents": 1},
    "pbas": {"steps": 600, "patches_per_image": 16, "hidden": 256},
    "simplenet": {"steps": 100, "patches_per_image": 16},
    "supersimplenet": {"steps": 300, "images_per_step": 4, "window": 1.0},
}


def test_training_separates_planted_anomalies(name):
    """Defects that no training saw lie above good parts that no training saw, and in the map where they are."""
    train, ok = parts(24, seed=0), parts(12, seed=1)
    trained = discriminators[name](**LEARNT[name])(train, seed=0, **extras(name, train))
    good, bad = trained(ok), trained(with_defects(ok, seed=2))
    assert (bad.patch_scores.max((1, 2))[:, None] > good.patch_scores.max((1, 2))[None]).mean() > 0.9
    assert (bad.image_scores[:, None] > good.image_scores[None]).mean() > 0.6  # SuperSimpleNet's own head is slower
    inside = np.zeros((GRID, GRID), bool)
    inside[PLANTED[1:]] = True
    assert (bad.patch_scores[:, inside].mean(1) > bad.patch_scores[:, ~inside].mean(1)).mean() > 0.75


def test_progress_counts_every_step_and_may_cancel(name):
    train = parts(6, seed=0)
    calls = []
    trained = fitted(name, train, on_step=lambda done, total: calls.append((done, total)), **extras(name, train))
    assert calls[0][0] == 0 and calls[-1] == (trained.steps, trained.steps)
    assert {done for done, _ in calls} == set(range(trained.steps + 1))
    assert len(trained.losses) == trained.epochs and np.isfinite(trained.losses).all()

    class Cancelled(Exception): ...

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled

    state = torch.random.get_rng_state()
    with pytest.raises(Cancelled):
        fitted(name, train, on_step=stop, **extras(name, train))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_glass_tells_between_its_ascents():
    """One step may take longer than a second on large features: it must be possible to stop inside it."""
    train, calls = parts(6, seed=0), []
    fitted("glass-manifold", train, on_step=lambda done, total: calls.append(done))
    assert calls.count(2) >= 20


# Several products


def two_products() -> tuple[torch.Tensor, tuple[str, ...], torch.Tensor]:
    train = torch.cat([parts(8, seed=0, look=0), parts(8, seed=1, look=1)])
    mixed = torch.stack(
        [image for pair in zip(parts(3, seed=2), parts(3, seed=3, look=1), strict=True) for image in pair]
    )
    return train, ("plug",) * 8 + ("lid",) * 8, mixed


def test_cras_finds_the_product_of_each_image_alone():
    train, products, mixed = two_products()
    trained = fitted("cras", train, products=products)
    names = ("plug", "lid") * 3
    found, told = trained(mixed), trained(mixed, products=names)
    np.testing.assert_array_equal(found.image_scores, told.image_scores)
    for i in range(6):  # the published vote would make three of them the other product
        np.testing.assert_allclose(
            trained(mixed[i : i + 1]).image_scores, found.image_scores[i : i + 1], rtol=1e-4, atol=1e-5
        )
    swapped = trained(mixed, products=("lid", "plug") * 3)
    assert (np.abs(swapped.image_scores - told.image_scores) > 1e-3).all()


def test_order_of_products_names_them_only():
    train, products, mixed = two_products()
    renamed = tuple({"plug": "a", "lid": "b"}[p] for p in products)  # sorts the other way round
    np.testing.assert_allclose(
        fitted("cras", train, products=products)(mixed).image_scores,
        fitted("cras", train, products=renamed)(mixed).image_scores,
        rtol=1e-5,
    )


def test_cras_refuses_an_image_of_no_product():
    train, products, _ = two_products()
    trained = fitted("cras", train, products=products)
    foreign = parts(1, seed=4, look=2)
    with pytest.raises(FeatureError, match="looks like none of the products lid, plug"):
        trained(foreign)
    assert np.isfinite(trained(foreign, products=("lid",)).image_scores).all()
    with pytest.raises(FeatureError, match="not on 'nut'"):
        trained(foreign, products=("nut",))
    alone = fitted("cras", train[:8])  # one product: nothing to choose, nothing to refuse
    assert np.isfinite(alone(foreign).image_scores).all()


# Details of single methods


def test_supersimplenet_maps_twice_as_fine_as_published():
    train = parts(4, seed=0)
    trained = discriminators["supersimplenet"](steps=1, upscale=2)(train, seed=0)
    assert trained(train).patch_scores.shape == (4, 2 * GRID, 2 * GRID)


def test_supersimplenet_head_does_not_teach_the_map():
    with seeded(0):
        _, heads = supersimplenet_heads(WIDTH)
    _, score = heads(torch.randn(2, WIDTH, GRID, GRID), torch.randn(2, WIDTH, GRID, GRID))
    score.sum().backward()
    assert all(p.grad is None for p in heads.seg_head.parameters())
    assert heads.cls_fc.weight.grad.any()


def test_glass_says_that_it_had_no_local_defects():
    (note,) = fitted("glass-manifold", parts(4, seed=0)).notes
    assert "no pictures with local defects" in note
    train = parts(4, seed=0)
    assert fitted("glass-manifold", train, las=las_of(train)).notes == ()


def test_pbas_counts_patches_on_their_centre():
    """A cell that is equal in all four parts is its own centre, until the adaptor has moved."""
    train = parts(4, seed=0)
    train[:, 2, 3] = train[0, 2, 3]
    (note,) = fitted("pbas", train, steps=1).notes
    assert note == "4 times a patch lay on its centre and was left out"
    assert fitted("pbas", parts(4, seed=0), steps=1).notes == ()


def test_pbas_stops_when_good_parts_collapse():
    network = discriminators["pbas"]().network(training_set(parts(4, seed=0)))
    network.check_radius(8.0)
    network.check_radius(0.1)
    with pytest.raises(FeatureError, match="drew together onto their centres"):
        network.check_radius(0.007)


# Refusals


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (torch.zeros(4, GRID, WIDTH), "expected floating-point features"),
        (torch.zeros(4, GRID, GRID, WIDTH, dtype=torch.int64), "expected floating-point features"),
        (parts(1, seed=0), "at least 2 good parts"),
        (torch.full((3, GRID, GRID, WIDTH), 5.0), "all patch features are equal"),
        (parts(3, seed=0).index_fill(0, torch.tensor([1]), math.nan), "expected finite features"),
    ],
)
def test_bad_features_are_refused(name, features, sentence):
    with pytest.raises(FeatureError, match=sentence):
        fitted(name, features)


def test_copies_of_one_part_are_refused(name):
    with pytest.raises(FeatureError, match="copies of each other"):
        fitted(name, parts(1, seed=0).expand(4, -1, -1, -1))


def test_what_does_not_fit_the_training_is_refused(name):
    train = parts(4, seed=0)
    trained = fitted(name, train, steps=1)
    for wrong in (train[:, :5], train[..., :4], train[0], train[:0]):
        with pytest.raises(FeatureError, match="as in training"):
            trained(wrong)
    with pytest.raises(FeatureError, match="expected finite features"):
        trained(train * math.inf)


def test_inputs_that_a_method_does_not_take_are_refused(name):
    train = parts(4, seed=0)
    method = discriminators[name]
    if not method.takes_las:
        with pytest.raises(FeatureError, match="does not learn from pictures with defects"):
            fitted(name, train, las=las_of(train))
    if not method.takes_products:
        with pytest.raises(FeatureError, match="knows no products"):
            fitted(name, train, products=("a",) * 4)
        with pytest.raises(FeatureError, match="knows no products"):
            fitted(name, train, steps=1)(train, products=("a",) * 4)


@pytest.mark.parametrize(
    ("products", "sentence"),
    [
        (("a", "a", "b"), "for each of the 4 images, got 3"),
        (("a", "a", "a", ""), "a product's name"),
        (("a", "a", "a", "b"), "'b' has 1"),
    ],
)
def test_products_that_cannot_be(products, sentence):
    with pytest.raises(FeatureError, match=sentence):
        fitted("cras", parts(4, seed=0), products=products)


def test_local_defects_that_do_not_fit_are_refused():
    train = parts(4, seed=0)
    las = las_of(train)
    empty = las.masks.clone()
    empty[2] = False
    for features, masks, sentence in [
        (las.features[:3], las.masks[:3], "one defect picture for each"),
        (las.features, las.masks.float(), "masks bool"),
        (las.features, empty, "empty mask"),
        (las.features * math.nan, las.masks, "finite features of the defect pictures"),
    ]:
        with pytest.raises(FeatureError, match=sentence):
            fitted("glass-manifold", train, las=LocalAnomalies(features, masks))
