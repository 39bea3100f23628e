"""DefectFill over tiny weights: what each loss sees, what the adapter changes, and that the shared weights stay."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ias_core.errors import IasError, SynthesisError, WeightsUnavailable
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.pretrained import defectfill_training as training
from ias_core.synthesis.pretrained import lora
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.attention_maps import cross_attention_maps, in_decoder, token_map, token_places
from ias_core.synthesis.pretrained.finetune import finetune, noised
from ias_core.synthesis.pretrained.latents import embed, encode, latent_mask
from ias_core.synthesis.pretrained.methods import defectfill
from ias_core.synthesis.pretrained.methods.defectfill import DefectFill
from ias_core.synthesis.pretrained.windows import Window, opacity_of
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE, tiny_backend
from tests.core.tiny_ng import SIDE_PX, known_by, ng_sources, on, window

OK = pictures(2, SIDE_PX)
NETWORKS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defectfill, "BATCH", 1)
        yield


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return tiny_backend(tmp_path_factory.mktemp("tokens"), channels=9)


@pytest.fixture(scope="module")
def adapter(backend):
    return DefectFill.fit(backend, ng_sources(), OK, seed=0, steps=2, watch=on)


@pytest.fixture(scope="module")
def method(backend, adapter):
    return DefectFill(ng_sources(), backend, adapter, steps=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(backend, n: int = 1) -> training.Batch:
    return training.drawn_batch(ng_sources(), backend, seeded(5), size=n, cell_px=2)


# attention maps


def test_maps_leave_the_answer_as_it_is_and_the_processors_as_they_were(backend):
    given, text = torch.randn(2, 9, 16, 16, generator=seeded()), torch.randn(2, 16, 16, generator=seeded(1))
    before = backend.unet.attn_processors
    with torch.no_grad():
        plain = backend.unet(given, 5, text).sample
        with cross_attention_maps(backend.unet, in_decoder) as maps:
            kept = backend.unet(given, 5, text).sample
    torch.testing.assert_close(kept, plain, atol=1e-5, rtol=1e-5)
    assert all(layer.startswith("up_blocks.") and layer.endswith("attn2") for layer in maps) and len(maps) == 4
    for cells in maps.values():
        assert cells.shape[0] == 2 and cells.shape[2] == 16
        torch.testing.assert_close(cells.sum(-1), torch.ones(cells.shape[:2]))
    with pytest.raises(ZeroDivisionError), cross_attention_maps(backend.unet):
        raise ZeroDivisionError
    assert backend.unet.attn_processors == before
    with pytest.raises(SynthesisError, match="other weights"), cross_attention_maps(backend.unet, lambda layer: False):
        pass


def test_a_word_in_pieces_has_their_weights_summed_and_layers_are_averaged():
    first, second = torch.zeros(1, 4, 3), torch.zeros(1, 16, 3)
    first[0, 0] = torch.tensor([0.5, 0.2, 0.3])
    second[..., 2] = 0.4
    found = token_map({"a": first, "b": second}, [1, 2], 4)
    assert found.shape == (1, 4, 4)
    assert float(found[0, 0, 0]) == pytest.approx((0.5 + 0.4) / 2)  # bilinear: a corner keeps its value
    assert float(found[0, 3, 3]) == pytest.approx((0.0 + 0.4) / 2)


def test_places_of_a_word_are_found_in_the_prompt_or_it_is_said(backend):
    assert token_places(backend.tokenizer, "A photo of sks", "sks") == [9, 10, 11]  # start, a, photo, of: 1 + 1 + 5 + 2
    with pytest.raises(SynthesisError, match="shorten the prompt"):
        token_places(backend.tokenizer, f"A {40 * 'long'} product with sks", "sks")


# low-rank adapters


def test_an_untrained_adapter_changes_nothing_and_is_drawn_from_its_seed(backend):
    before, state = known_by(backend), torch.random.get_rng_state()
    given, text = torch.randn(1, 9, 16, 16, generator=seeded()), torch.randn(1, 16, 16, generator=seeded(1))
    one, two, other = (
        lora.adapted(backend, rank=4, alpha=8, generator=seeded(seed), text=True, dropout=0.5) for seed in (3, 3, 4)
    )
    with torch.no_grad():
        assert torch.equal(one.unet(given, 5, text).sample, backend.unet(given, 5, text).sample)
        assert torch.equal(embed(["a"], one), embed(["a"], backend))
    weights = [lora.parts(own.unet) for own in (one, two, other)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[1].values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[2].values(), strict=True))
    assert known_by(backend) == before and torch.equal(torch.random.get_rng_state(), state)
    assert {weight.dtype for weight in weights[0].values()} == {torch.float32}
    shared = {id(weight) for weight in backend.unet.parameters()}
    assert sum(id(weight) in shared for weight in one.unet.parameters()) == len(shared)


def test_a_copy_of_a_network_that_is_moved_about_runs_on_itself(tmp_path):
    """Offloading hooks are shared, not copied: a copied hook would drag a copy of the network before it along."""
    from accelerate import cpu_offload_with_hook

    moved = tiny_backend(tmp_path, channels=9)
    _, hook = cpu_offload_with_hook(moved.text_encoder, "cpu")
    cpu_offload_with_hook(moved.unet, "cpu", prev_module_hook=hook)
    given, text = torch.randn(1, 9, 16, 16, generator=seeded()), torch.randn(1, 16, 16, generator=seeded(1))
    own = lora.adapted(replace(moved, offload="model"), rank=2, alpha=2, generator=seeded(), text=False)
    assert own.unet._hf_hook is moved.unet._hf_hook
    with torch.no_grad():
        plain = moved.unet(given, 5, text).sample
        assert torch.equal(own.unet(given, 5, text).sample, plain)
        for weight in lora.parts(own.unet).values():
            weight.fill_(0.1)
        assert not torch.equal(own.unet(given, 5, text).sample, plain)
        assert torch.equal(moved.unet(given, 5, text).sample, plain)


def test_dropout_drops_its_share_in_training_alone():
    dropout = lora._SeededDropout(0.25, seeded())
    x = torch.ones(100, 100)
    assert dropout.eval()(x) is x
    kept = dropout.train()(x)
    assert kept.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert float((kept == 0).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_an_adapter_of_another_shape_is_refused(backend, adapter):
    own = lora.adapted(backend, rank=4, alpha=8, generator=seeded(), text=False)
    with pytest.raises(SynthesisError, match="train on your NG again"):
        lora.restore("unet", lora.parts(own.unet), adapter.tensors)


# the three losses


def test_gradient_of_the_defect_loss_is_zero_outside_the_mask():
    """How to check (2)."""
    predicted = torch.zeros(1, 4, 8, 8, requires_grad=True)
    cells = torch.zeros(1, 1, 8, 8)
    cells[..., 2:5, 3:6] = 1
    training.defect_loss(predicted, torch.ones(1, 4, 8, 8), cells).backward()
    inside = cells.expand_as(predicted) > 0
    assert bool((predicted.grad[~inside] == 0).all()) and bool((predicted.grad[inside] != 0).all())


def test_the_object_loss_weighs_by_the_defect_whatever_the_boxes(backend, monkeypatch):
    """The bug of one re-implementation: weights from the random boxes. alpha 0.3 squared is 0.09."""
    seen = []

    def unet(given: torch.Tensor, times: torch.Tensor, text: torch.Tensor) -> SimpleNamespace:
        answer = torch.zeros(1, 4, 16, 16, requires_grad=True)
        seen.append((given, answer))
        return SimpleNamespace(sample=answer)

    monkeypatch.setattr(training, "noised", lambda clean, own, generator: (clean, torch.ones_like(clean), None))
    monkeypatch.setattr(training, "cross_attention_maps", lambda unet, wanted: _no_maps())
    monkeypatch.setattr(training, "token_map", lambda maps, tokens, side: torch.zeros(1, side, side))
    one = batch(backend)
    of_defect, of_object, attention = training.losses(replace(backend, unet=unet), one, "part", seeded(1))
    (of_defect + of_object).backward()
    (first, given_defect), (second, given_object) = seen
    defect = one.cells[0, 0] > 0
    assert torch.equal(first[0, 4] > 0, defect)
    boxes = second[0, 4] > 0
    assert bool((boxes & ~defect).any() and (defect & ~boxes).any() and (~defect & ~boxes).any())
    step = given_object.grad[0, 0]
    assert len(step[defect].unique()) == len(step[~defect].unique()) == 1
    assert float(step[~defect][0] / step[defect][0]) == pytest.approx(0.09)
    assert bool((given_defect.grad[0, :, ~defect] == 0).all())
    assert float(attention) == pytest.approx(float(defect.float().mean()))


class _no_maps:
    def __enter__(self):
        return {}

    def __exit__(self, *_):
        return None


def test_the_masked_picture_that_the_network_is_shown_has_no_defect(backend):
    """b = E((1 - M) I): inside M it is the latent of mid-grey whatever lies there."""
    one, seen = batch(backend), []
    other = replace(one, pixels=torch.where(one.masks > 0, 0.7, one.pixels))
    own = replace(backend, unet=lambda given, times, text: seen.append(given) or SimpleNamespace(sample=given))
    for shown in (one, other):
        training.predict(own, torch.zeros(1, 4, 16, 16), torch.tensor([5]), shown, torch.zeros(1, 16, 16))
    assert torch.equal(*seen) and not torch.equal(one.pixels, other.pixels)


def test_random_boxes_have_the_published_sides_and_leave_a_fifth_free(monkeypatch):
    covers = [training.random_boxes(200, seeded(seed)).mean() for seed in range(40)]
    assert max(covers) <= 0.8 and min(covers) < 0.4 < max(covers)
    monkeypatch.setattr(training, "MOST_COVERED", 0.35)
    assert max(training.random_boxes(200, seeded(seed)).mean() for seed in range(20)) <= 0.35
    monkeypatch.setattr(training, "BOXES", 1)
    sides = []
    for seed in range(200):
        rows, columns = np.nonzero(training.random_boxes(200, seeded(seed)))
        sides += [np.ptp(rows) + 1, np.ptp(columns) + 1]
    assert min(sides) == 6 and max(sides) == 50 and np.mean(sides) == pytest.approx(28, abs=2)


def test_crops_hold_the_defect_and_are_enlarged_by_at_most_an_eighth(backend):
    """12 x 14 px of 64: 6 x 7 px of 32 at least, 6.75 x 7.875 at most, and pixels that are in by a part beside."""
    many = batch(backend, n=24)
    for mask in many.masks[:, 0].numpy() > 0:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        assert 6 <= len(rows) <= 8 and 7 <= len(columns) <= 9 and mask.sum() == len(rows) * len(columns)
    assert len(many.masks.sum((1, 2, 3)).unique()) >= 3 and many.pixels.min() >= -1 and many.pixels.max() <= 1


# what is learned


def test_attention_of_the_word_is_bound_to_the_defect(backend):
    """How to check (3), on a toy: 20 steps of the attention loss through low-rank adapters; 0.13 before."""
    own = lora.adapted(backend, rank=8, alpha=16, generator=seeded(), text=True)
    one = batch(backend)
    boxes = training.random_boxes(SIDE, seeded(4))
    at_random = training.Batch(
        one.pixels, torch.from_numpy(boxes[None, None]).float(), latent_mask(boxes, SIDE, backend)
    )
    prompt, generator = training.object_prompt("part"), seeded(1)
    places = token_places(own.tokenizer, prompt, training.WORD)
    clean, time = encode(one.pixels, own), torch.tensor([50])

    def attention(generator: torch.Generator) -> torch.Tensor:
        noisy = clean + 0.2 * torch.randn(clean.shape, generator=generator)
        with cross_attention_maps(own.unet, in_decoder) as maps:
            training.predict(own, noisy, time, at_random, embed([prompt], own))
            return token_map(maps, places, 16)

    def iou() -> float:
        with torch.no_grad():
            found = attention(seeded(9))[0]
        bound, defect = found > 0.5 * found.max(), one.cells[0, 0] > 0
        return float((bound & defect).sum() / (bound | defect).sum())

    assert iou() < 0.3
    weights = [*lora.parts(own.unet).values(), *lora.parts(own.text_encoder).values()]
    finetune(
        [(weights, 1e-2)],
        lambda: training.attention_loss(attention(generator), one.cells),
        backend,
        steps=20,
        watch=on,
    )
    assert iou() > 0.4


class Repairer(torch.nn.Module):
    """An inpainting model known by hand: it fills a hole with the mean of what is around; a word may add to that."""

    def __init__(self, backend) -> None:
        super().__init__()
        from diffusers import DDPMScheduler

        self.kept = DDPMScheduler.from_config(backend.scheduler).alphas_cumprod
        self.to_v = torch.nn.Linear(16, 4, bias=False)
        torch.nn.init.zeros_(self.to_v.weight)

    def forward(self, given: torch.Tensor, times: torch.Tensor, text: torch.Tensor) -> SimpleNamespace:
        noisy, hole, seen = given.split((4, 1, 4), 1)
        around = (seen * (1 - hole)).sum((2, 3), keepdim=True) / (1 - hole).sum((2, 3), keepdim=True)
        clean = seen * (1 - hole) + hole * (around + self.to_v(text.mean(1))[..., None, None])
        kept = self.kept[times].reshape(-1, 1, 1, 1)
        return SimpleNamespace(sample=(noisy - kept.sqrt() * clean) / (1 - kept).sqrt())


def test_without_the_adapter_less_changes_inside_the_mask(backend):
    """How to check (4), on a model that repairs: at share 0 it fills the hole with good surface."""
    repairer = replace(backend, unet=Repairer(backend).requires_grad_(False))
    unet = lora.private(repairer.unet)
    lora.attach(unet, rank=4, alpha=4, layers=("to_v",), generator=seeded())
    own = replace(repairer, unet=unet)
    grey = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    target = window().target
    ng = np.where(target[..., None], np.float32([0.9, 0.1, 0.1]), grey)
    one = training.drawn_batch((NgSource("ng", ng, target),), backend, seeded(), size=1, cell_px=2)
    clean, text, generator = encode(one.pixels, own), embed([training.defect_prompt()], own), seeded(1)

    def loss() -> torch.Tensor:
        noisy, noise, times = noised(clean, own, generator)
        return training.defect_loss(training.predict(own, noisy, times, one, text), noise, one.cells)

    finetune([(list(lora.parts(unet).values()), 1e-2)], loss, backend, steps=60, watch=on)
    medians = []
    for share in (1.0, 0.0):
        lora.set_share(unet, share)
        with torch.no_grad():
            made = training.inpainted(
                own, grey, target, training.defect_prompt(), steps=4, guidance=1.0, generator=seeded(2)
            )
        medians.append(float(np.median(np.abs(made - training.to_picture(_trip(grey, own), SIDE))[target])))
    assert medians[0] > 1.5 * medians[1] > 0


def _trip(picture: np.ndarray, own) -> torch.Tensor:
    from ias_core.synthesis.pretrained.latents import decode, to_pixels

    with torch.no_grad():
        return decode(encode(to_pixels(picture, SIDE, own), own), own)


# fit


def test_a_training_leaves_the_shared_weights_and_the_process_as_they_were(backend, adapter):
    before, state = known_by(backend), torch.random.get_rng_state()
    again = DefectFill.fit(backend, ng_sources(), OK, seed=0, steps=2, watch=on)
    other = DefectFill.fit(backend, ng_sources(), OK, seed=1, steps=2, watch=on)
    assert again.digest == adapter.digest != other.digest
    assert known_by(backend) == before and torch.equal(torch.random.get_rng_state(), state)
    told = adapter.meta
    assert told["steps"] == told["asked_steps"] == 2 and told["sources"] == ["ng0", "ng1"] and told["seed"] == 0
    assert told["seconds"] > 0 and told["peak_memory_bytes"] > 0 and len(told["loss"]) == 2
    assert {name.split(".")[0] for name in adapter.tensors} == {"unet", "text_encoder"}
    moved = [name for name, tensor in adapter.tensors.items() if ".lora_B." in name and bool(tensor.any())]
    assert len(moved) == len(adapter.tensors) // 2 > 0  # the others are A


def test_a_stopped_training_keeps_what_it_has(backend):
    seen = []
    stopped = DefectFill.fit(
        backend, ng_sources(), OK, seed=0, steps=9, watch=lambda step, steps, loss: seen.append((step, steps)) or False
    )
    assert seen == [(1, 9)] and stopped.meta["steps"] == 1 and stopped.meta["asked_steps"] == 9
    assert all(bool(tensor.isfinite().all()) for tensor in stopped.tensors.values())


def test_steps_without_a_finite_gradient_change_nothing_and_end_it(backend):
    weight = torch.nn.Parameter(torch.ones(1))
    answers = iter([2.0, float("nan"), 3.0, *[float("inf")] * 30])
    with pytest.raises(SynthesisError, match="no finite gradient"):
        finetune([([weight], 0.1)], lambda: weight.sum() * next(answers), backend, steps=40, watch=on)
    assert float(weight.detach()) == pytest.approx(0.8, abs=0.01)  # two steps of 0.1


def test_weights_that_are_moved_about_are_not_trained_on(backend):
    moved = replace(backend, offload="model")
    with pytest.raises(WeightsUnavailable, match="stay on the GPU"):
        DefectFill.fit(moved, ng_sources(), OK, seed=0, steps=1, watch=on)
    with pytest.raises(WeightsUnavailable, match="layer by layer"):
        lora.adapted(replace(backend, offload="sequential"), rank=4, alpha=4, generator=seeded(), text=False)


def test_masks_of_nothing_of_everything_and_below_a_cell_are_refused(backend):
    picture = OK[0]
    for mask, why in ((np.zeros((64, 64), bool), "empty"), (np.ones((64, 64), bool), "whole picture")):
        with pytest.raises(IasError, match=why):
            DefectFill.fit(backend, (NgSource("ng", picture, mask),), OK, seed=0, steps=1, watch=on)
    speck = np.zeros((640, 640), bool)
    speck[7, 7] = True
    large = replace(backend, side_px=8, vae=SimpleNamespace(config=SimpleNamespace(block_out_channels=(1,) * 5)))
    with pytest.raises(SynthesisError, match="one cell"):
        ng = NgSource("ng", np.zeros((640, 640, 3), np.float32), speck)
        DefectFill.fit(large, (ng,), OK, seed=0, steps=1, watch=on)


def test_weights_for_text_to_image_are_refused(tmp_path):
    plain = tiny_backend(tmp_path)
    with pytest.raises(WeightsUnavailable, match="for inpainting"):
        DefectFill.fit(plain, ng_sources(), OK, seed=0, steps=1, watch=on)


# drawing


def test_the_adapter_is_laid_once_for_all_pictures_of_a_call_and_not_kept(method, monkeypatch):
    laid, own = [], method.lay()
    monkeypatch.setattr(DefectFill, "lay", lambda self: laid.append(self) or own)
    method(OK, count=2, seed=1)
    assert len(laid) == 1
    method.paint(window(), seeded())
    method.paint(window(), seeded())
    assert len(laid) == 3


def test_outside_the_mask_the_good_part_is_bit_exact_and_without_a_mask_all_of_it(method):
    """How to check (1)."""
    assert not opacity_of(np.zeros((SIDE, SIDE), bool)).any()
    with pytest.raises(IasError):
        Window(OK[0], np.zeros((SIDE_PX, SIDE_PX), bool), OK[0], OK[0], np.ones((SIDE_PX, SIDE_PX), bool))
    state = torch.random.get_rng_state()
    made, again = (method(OK, count=2, seed=1) for _ in range(2))
    assert np.array_equal(made.images, again.images) and torch.equal(torch.random.get_rng_state(), state)
    for image, mask, parent, told in zip(made.images, made.masks, made.parents, made.settings, strict=True):
        assert np.array_equal(image[~mask], OK[parent][~mask]) and mask.any()
        assert told["source"] == "ng0 + ng1" and told["mask_of"] in ("ng0", "ng1") and told["change_grey_levels"] > 1


def test_at_share_0_it_draws_as_the_weights_do(method, backend, adapter, tmp_path):
    adapter.save(tmp_path / "adapter.safetensors")
    loaded = replace(method, adapter=Adapter.load(tmp_path / "adapter.safetensors"))

    def made(own) -> np.ndarray:
        with torch.no_grad():
            return training.inpainted(
                own, window().canvas, window().target, "A part", steps=2, guidance=2.0, generator=seeded()
            )

    own = method.lay()
    with_adapter, loaded_again, bare = made(own), made(loaded.lay()), made(backend)
    assert np.array_equal(with_adapter, loaded_again) and not np.array_equal(with_adapter, bare)
    for network in (own.unet, own.text_encoder):
        lora.set_share(network, 0.0)
    assert np.array_equal(made(own), bare)


@pytest.mark.parametrize(("tries", "taken"), [(1, 0), (2, 1), (8, 2)])
def test_candidates_are_dropped_when_nothing_shows_and_never_picked_for_showing_most(method, monkeypatch, tries, taken):
    made = iter(range(8))
    levels = (0.0, 0.5, 10.0, 90.0, 0.0, 0.0, 0.0, 0.0)  # grey levels of change of each candidate

    def candidate(own, canvas, *_, **__) -> np.ndarray:
        return method.unpainted(window(), None) + np.float32(levels[next(made)] / 255)

    monkeypatch.setattr(training, "inpainted", candidate)
    painted = replace(method, n_candidates=tries).paint(window(), seeded())
    change = np.abs(painted - method.unpainted(window(), None)).mean() * 255
    assert change == pytest.approx(levels[taken], abs=0.01) and next(made) == taken + 1


def test_half_precision_trains_and_draws(backend):
    networks = {name: copy.deepcopy(getattr(backend, name)).to(torch.bfloat16) for name in NETWORKS}
    half = replace(backend, dtype=torch.bfloat16, **networks)
    fitted = DefectFill.fit(half, ng_sources(), OK, seed=0, steps=1, watch=on)
    assert {tensor.dtype for tensor in fitted.tensors.values()} == {torch.float32}
    with torch.no_grad():
        painted = DefectFill(ng_sources(), half, fitted, steps=1).paint(window(), seeded())
    assert painted.dtype == np.float32 and np.isfinite(painted).all()
