"""The pixel model: its file, its training, and what it redraws; closed forms where the net predicts nothing."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from ias_core.errors import IasError, ShapeError, SynthesisError
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.one_shot import training as training_module
from ias_core.synthesis.one_shot.model_facts import read_about
from ias_core.synthesis.one_shot.ok_to_ok import ok_to_ok_change
from ias_core.synthesis.one_shot.pixel_model import PixelModel, schedule
from ias_core.synthesis.one_shot.sampling import denoised, difference_in_window, noise_index, redrawn
from ias_core.synthesis.one_shot.window import around, edit_mask, reach
from tests.core.tiny_pixel_model import WINDOW, by_hand, stripes, trained, training, untrained

EVERYWHERE = np.ones((WINDOW, WINDOW), np.float32)
NOWHERE = np.zeros((WINDOW, WINDOW), np.float32)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angles(first: int, points: int = 20) -> np.ndarray:
    """Of every point of the sampler, 0 = no noise: cos is the picture's share, sin the noise's."""
    left = schedule().alphas_cumprod.double().numpy()
    places = [round(first * k / points) for k in range(points, 0, -1)]
    return np.array([*np.arccos(np.sqrt(left[places])), 0.0])


def spot(side: int = 48, box=np.s_[20:28, 18:30]) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[box] = True
    return mask


def pasted(ok: np.ndarray, mask: np.ndarray, amount: float = -0.15) -> np.ndarray:
    return (ok + amount * mask[..., None]).astype(np.float32)


# Noise levels


def test_noise_index_is_the_nearest_level():
    for scale in (0.05, 0.2):
        model = by_hand(scale=scale)
        left = schedule().alphas_cumprod.double().numpy()
        levels = scale * 127.5 * np.sqrt((1 - left) / left)
        for sigma in (1.0, 10.0, 40.0, 200.0):
            found = noise_index(model, sigma)
            assert abs(levels[found] - sigma) == min(abs(level - sigma) for level in levels)
    assert noise_index(by_hand(scale=0.05), 20) == noise_index(by_hand(scale=0.1), 40)


# Sampling, with a net that predicts nothing: v = 0 turns x by the angle between two points, so nothing is left unknown


@pytest.mark.parametrize("sigma", [5.0, 20.0, 80.0])
def test_redrawn_keeps_the_share_of_the_defect_that_the_schedule_says(sigma):
    model = by_hand()
    ok = np.full((WINDOW, WINDOW, 3), 0.5, np.float32)
    defect = np.random.default_rng(0).normal(0, 0.01, ok.shape).astype(np.float32)
    found = redrawn(model, ok, ok + defect, EVERYWHERE, NOWHERE, sigma=sigma, guidance=0, generator=seeded())
    turn = angles(noise_index(model, sigma))
    kept = math.cos(turn[0]) * np.prod(np.cos(np.diff(turn)))
    np.testing.assert_allclose(found, kept * defect, atol=2e-6)
    assert 0 < kept < 1


def test_the_good_part_is_seen_alike_whatever_is_pasted_on_it():
    """Its own mean colour is taken off both, and both get the same noise: nothing else tells them apart."""
    ok = stripes(1, WINDOW, seed=9)[0]
    seen = []
    for amount in (0.0, 0.3):
        model = by_hand()
        model.net.register_forward_hook(lambda net, inputs, output: seen.append(inputs[0]))
        collage = (ok + amount * spot(WINDOW, np.s_[4:28, 4:28])[..., None]).astype(np.float32)
        redrawn(model, ok, collage, EVERYWHERE, NOWHERE, sigma=40, guidance=0, generator=seeded())
    assert len(seen) == 40
    for plain, pasted_on in zip(seen[:20], seen[20:], strict=True):
        assert torch.equal(plain[0], plain[1]) and torch.equal(plain[1], pasted_on[1])
        assert not torch.equal(pasted_on[0], pasted_on[1])


def test_full_guidance_at_every_step_follows_its_closed_form():
    model, sigma = by_hand(), 40.0
    ok = np.full((WINDOW, WINDOW, 3), 0.5, np.float32)
    defect = np.random.default_rng(0).normal(0, 0.01, ok.shape).astype(np.float32)
    found = redrawn(model, ok, ok + defect, EVERYWHERE, EVERYWHERE, sigma=sigma, guidance=1, generator=seeded())
    turn = angles(noise_index(model, sigma))
    kept = math.cos(turn[0])
    for k in range(20):  # x is kept * defect plus what cancels
        estimate = math.cos(turn[k]) * kept
        estimate += round(1000 * (20 - k) / 20) / 1000 * (1 - estimate)  # times are rounded to whole places
        noise = (kept - math.cos(turn[k]) * estimate) / math.sin(turn[k])
        kept = math.cos(turn[k + 1]) * estimate + math.sin(turn[k + 1]) * noise
    np.testing.assert_allclose(found / defect, kept, rtol=5e-3)


def test_guidance_keeps_more_of_the_defect():
    ok, mask = stripes(1, seed=9)[0], spot()
    kept = [
        np.abs(
            difference_in_window(
                untrained(), ok, pasted(ok, mask), mask, sigma=40, guidance=guidance, generator=seeded()
            )[mask]
        ).mean()
        for guidance in (0, 0.5, 1)
    ]
    assert kept[0] < kept[1] < kept[2]


def test_estimates_stay_within_what_a_picture_can_hold():
    """On white, a net that predicts nothing would paint beyond white and beyond black."""
    for grey, rail in ((1.0, np.less_equal), (0.0, np.greater_equal)):
        part = np.full((WINDOW, WINDOW, 3), grey, np.float32)
        (made,) = denoised(
            by_hand(scale=0.3),
            part,
            (part,),
            EVERYWHERE,
            NOWHERE,
            sigma=80,
            guidance=0,
            generator=seeded(),
            points=20,
        )
        assert rail(made, grey).all() and np.abs(made - grey).max() > 0.05


# The difference in a window


@pytest.mark.parametrize("box", [np.s_[20:28, 18:30], np.s_[2:46, 10:40]])
def test_without_a_defect_there_is_no_difference(box):
    ok, mask = stripes(1, seed=9)[0], spot(box=box)
    for model in (untrained(), by_hand()):
        made = difference_in_window(model, ok, ok.copy(), mask, sigma=40, guidance=0.5, generator=seeded())
        assert np.array_equal(made, np.zeros_like(ok))


@pytest.mark.parametrize("box", [np.s_[20:28, 18:30], np.s_[0:6, 40:48], np.s_[2:46, 10:40]])
def test_nothing_beyond_four_px_of_the_defect_and_something_in_it(box):
    ok, mask = stripes(1, seed=9)[0], spot(box=box)
    made = difference_in_window(untrained(), ok, pasted(ok, mask), mask, sigma=20, guidance=0.5, generator=seeded())
    rows, columns = box
    allowed = np.zeros_like(mask)
    allowed[max(rows.start - 4, 0) : rows.stop + 4, max(columns.start - 4, 0) : columns.stop + 4] = True
    assert not made[~allowed].any() and np.array_equal(reach(mask), allowed)
    assert made[mask].mean() < -0.05


def test_a_large_defect_keeps_its_share_though_the_model_sees_it_smaller():
    model, ok = by_hand(), np.full((128, 128, 3), 0.5, np.float32)
    mask = spot(128, np.s_[30:94, 20:100])
    amount = -0.02
    made = difference_in_window(model, ok, pasted(ok, mask, amount), mask, sigma=20, guidance=0, generator=seeded())
    turn = angles(noise_index(model, 20.0))
    kept = math.cos(turn[0]) * np.prod(np.cos(np.diff(turn)))
    np.testing.assert_allclose(made[40:84, 30:90], kept * amount, rtol=1e-3)
    assert made.min() > 1.001 * kept * amount and made.max() < 1e-6  # enlarging makes no halo
    assert np.abs(made[26, 40:80]).max() < 0.05 * kept * abs(amount)  # nor spills over the edge, 4 px away


def test_a_dark_defect_stays_darker_on_bright_and_on_dark_parts():
    mask = spot()
    for grey in (0.25, 0.8):
        ok = (stripes(1, seed=9)[0] - 0.5 + grey).astype(np.float32)
        made = difference_in_window(trained(), ok, pasted(ok, mask), mask, sigma=20, guidance=0.5, generator=seeded())
        assert made[mask].mean() < -0.05 and np.median(made[mask]) < -0.05


def test_more_noise_leaves_less_of_the_defect():
    """Strictly, over the mean of four seeds: the more noise, the less of the defect the net can know of."""
    ok, mask = stripes(1, WINDOW, seed=9)[0], spot(WINDOW, np.s_[12:20, 10:22])
    edit, core = edit_mask(mask), mask.astype(np.float32)
    run = partial(redrawn, trained(), ok, pasted(ok, mask), edit, core, guidance=0, points=8)
    contrast = [
        np.mean([np.abs(run(sigma=sigma, generator=seeded(seed))[mask]).mean() for seed in range(4)])
        for sigma in (10, 20, 40, 80)
    ]
    assert (np.diff(contrast) < 0).all() and contrast[3] < 0.5 * contrast[0] < 0.5 * 0.15


def test_same_seed_same_bytes_and_inputs_stay():
    ok, mask = stripes(1, seed=9)[0], spot()
    collage, before = pasted(ok, mask), ok.copy()
    run = partial(difference_in_window, trained(), ok, collage, mask, sigma=20, guidance=0.5)
    assert run(generator=seeded(1)).tobytes() == run(generator=seeded(1)).tobytes()
    assert not np.array_equal(run(generator=seeded(1)), run(generator=seeded(2)))
    assert np.array_equal(ok, before) and np.array_equal(collage, pasted(ok, mask))


@pytest.mark.parametrize(
    ("box", "side"),
    [
        (np.s_[20:28, 18:30], 32),
        (np.s_[0:3, 60:64], 32),
        (np.s_[10:32, 10:12], 32),
        (np.s_[10:33, 10:12], 34),
        (np.s_[0:64, 0:64], 64),
    ],
)
def test_windows_hold_the_defect_and_leave_room_around_it(box, side):
    """Up to 22 of 32 px, which is 44 of 64, are seen as they are."""
    window = around(spot(64, box), 32)
    rows, columns = window.box
    assert window.side == side == rows.stop - rows.start == columns.stop - columns.start
    assert rows.start >= 0 and columns.start >= 0 and rows.stop <= 64 and columns.stop <= 64
    assert spot(64, box)[window.box].sum() == spot(64, box).sum()
    assert window.reduced(np.zeros((64, 64, 3))).shape == (32, 32, 3)
    assert window.enlarged(np.zeros((32, 32, 3), np.float32)).shape == (side, side, 3)


def test_edit_mask_is_one_in_the_defect_and_fades_out_around_it():
    edit = edit_mask(spot())
    assert (
        edit[20:28, 18:30].min() > 0.95
        and edit[24, 34] < 0.05
        and edit[24, 32:35].tolist() == sorted(edit[24, 32:35], reverse=True)
    )


@pytest.mark.parametrize(
    "wrong", [{"sigma": 0.0}, {"guidance": 1.5}, {"mask": np.zeros((48, 48), bool)}, {"mask": spot(40)}]
)
def test_what_cannot_be_redrawn_is_refused(wrong):
    ok = stripes(1)[0]
    given = {"picture": ok, "collage": ok, "mask": spot(), "sigma": 20.0, "guidance": 0.5, "generator": seeded()}
    with pytest.raises(ShapeError, match="expected"):
        difference_in_window(by_hand(), **given | wrong)


def test_pictures_smaller_than_the_window_are_refused():
    ok = stripes(1, 24)[0]
    with pytest.raises(ShapeError, match="at least 32 px"):
        difference_in_window(by_hand(), ok, ok, spot(24, np.s_[4:9, 4:9]), sigma=20, guidance=0, generator=seeded())


# The OK-to-OK test


def test_ok_to_ok_change_of_a_net_that_predicts_nothing_is_known():
    """A flat part has nothing to keep: what is left is noise of the first point, turned down by every step."""
    model = by_hand()
    flat = np.full((3, 64, 64, 3), 0.5, np.float32)
    turn = angles(noise_index(model, 40.0))
    spread = math.sin(turn[0]) * np.prod(np.cos(np.diff(turn))) * model.scale * 127.5
    assert ok_to_ok_change(model, flat, seed=0) == pytest.approx(math.sqrt(2 / math.pi) * spread, rel=0.1)
    assert ok_to_ok_change(model, flat, seed=5) == ok_to_ok_change(model, flat, seed=5)


def test_a_model_that_changes_good_parts_is_not_to_be_used():
    assert by_hand(meta={"ok_to_ok": 10.0}).trouble == "" and by_hand().trouble == ""
    assert "changes good parts by 10.1 grey levels" in by_hand(meta={"ok_to_ok": 10.1}).trouble
    for wrong in (np.zeros((0, 64, 64, 3)), np.zeros((2, 31, 31, 3))):
        with pytest.raises(ShapeError, match="at least 32 px"):
            ok_to_ok_change(by_hand(), wrong, seed=0)


# The file


def test_saved_and_loaded_it_is_the_same(tmp_path):
    path = tmp_path / "model.safetensors"
    trained().save(path)
    again = PixelModel.load(path)
    assert again.digest == trained().digest and again.meta == trained().meta
    assert (again.window_px, again.scale) == (trained().window_px, trained().scale)
    for name, weights in trained().net.state_dict().items():
        assert torch.equal(weights, again.net.state_dict()[name])
    ok, mask = stripes(1, seed=9)[0], spot()
    made = [
        difference_in_window(model, ok, pasted(ok, mask), mask, sigma=20, guidance=0.5, generator=seeded())
        for model in (trained(), again)
    ]
    assert made[0].tobytes() == made[1].tobytes()
    assert read_about(path) == {"settings": again.settings, "meta": again.meta, "digest": again.digest}
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_digest_is_of_weights_and_settings_not_of_facts():
    model = untrained()
    same = PixelModel(model.net, model.window_px, model.scale, {"steps": 7})
    assert same.digest == model.digest
    assert PixelModel(model.net, model.window_px, 2 * model.scale, {}).digest != model.digest
    assert untrained(1).digest != model.digest


def test_a_file_that_is_damaged_foreign_or_missing_is_told_in_a_sentence(tmp_path):
    from safetensors.numpy import save_file

    good = tmp_path / "good.safetensors"
    untrained().save(good)
    data = good.read_bytes()
    files = {
        "short": data[:-100],
        "turned": data[:-100] + bytes(100),
        "empty": b"",
        "text": b"no model at all",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    save_file({"x": np.zeros(3)}, tmp_path / "foreign")
    for name in (*files, "foreign", "missing"):
        with pytest.raises(IasError, match=f"expected a pixel model at .*{name}.*train it again"):
            PixelModel.load(tmp_path / name)


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    untrained().save(path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="full"):
        untrained(1).save(path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


# Training


def test_twenty_steps_lower_the_loss_and_the_same_seed_gives_the_same_weights():
    ok = stripes(4, 32)
    first = training(ok, seed=1, most_steps=20)
    short, again, other = (training(ok, seed=seed, most_steps=4) for seed in (1, 1, 2))
    loss = first.meta["loss"]
    assert len(loss) == 20 and np.mean(loss[-5:]) < np.mean(loss[:5]) - 0.02
    assert short.digest == again.digest != other.digest
    meta = first.meta
    assert (meta["steps"], meta["ended"], meta["n_pictures"], meta["seed"]) == (20, "steps", 4, 1)
    assert meta["ng"] == [] and meta["peak_memory_bytes"] > 0 and meta["budget_s"] is None


def test_weights_are_the_exponential_mean_of_those_after_every_step(monkeypatch):
    step, after = training_module._step, []

    def recorded(net, *rest):
        loss = step(net, *rest)
        after.append(torch.cat([weights.detach().flatten() for weights in net.parameters()]))
        return loss

    monkeypatch.setattr(training_module, "_step", recorded)
    model = training(stripes(3, 32), most_steps=5)
    mean = after[0]
    for k, weights in enumerate(after[1:], 1):
        decay = min(1 - (1 + k) ** -0.75, 0.995)
        mean = decay * mean + (1 - decay) * weights
    found = torch.cat([weights.flatten() for weights in model.net.parameters()])
    torch.testing.assert_close(found, mean)
    assert (found - after[-1]).abs().max() > 5e-5  # the first rates are small


def test_torch_s_own_generator_is_left_alone():
    before = torch.get_rng_state()
    training(stripes(3, 32), most_steps=1)
    assert torch.equal(torch.get_rng_state(), before)


class Clock:
    """Seconds that pass only where the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def paced(monkeypatch):
    """Steps that take 0.7 s and learn nothing, previews that take 2 s; and the learning rates that were asked for."""
    clock, rates = Clock(), []

    def step(net, optimizer, *rest):
        clock.now += 0.7
        rates.append(optimizer.param_groups[0]["lr"])
        return 1.0 + len(rates)

    def preview(model, shown, seed):
        clock.now += 2.0
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(training_module, "_step", step)
    monkeypatch.setattr(training_module, "preview", preview)
    return clock, rates


def test_the_time_is_kept_and_what_is_told_on_the_way_is_true(paced):
    clock, rates = paced
    seen = []
    model = training(stripes(3, 32), budget_s=40.0, clock=clock, watch=lambda one: seen.append(one) or True)
    assert 40.0 - 0.7 <= clock.now - 100 <= 40.0
    assert model.meta["ended"] == "time" and model.meta["budget_s"] == 40.0
    assert model.meta["steps"] == len(rates) == 54  # two seconds less for the one preview after 15 s
    assert [one.step for one in seen[:3]] == [2, 4, 6] and [one.loss for one in seen[:2]] == [2.5, 3.5]
    previews = [one for one in seen if one.preview is not None]
    assert len(previews) == 1 and 15 <= previews[0].seconds <= 18  # another would end in the last 15 s
    assert previews[0].model.meta["steps"] == previews[0].step
    assert all(50 <= one.planned <= 58 for one in seen)  # 40 / 0.7 = 57 without, 54 with the preview
    assert np.argmax(rates) in range(20, 50) and rates[-1] < 0.1 * training_module._RATE


def test_the_rate_is_low_at_the_end_however_the_pace_changes(paced):
    clock, rates = paced

    def hold_up(one):
        clock.now += 5.0 if one.step > 20 else 0.0
        return True

    training(stripes(3, 32), budget_s=60.0, clock=clock, watch=hold_up)
    assert rates[-1] < 0.12 * training_module._RATE and len(rates) < 50


def test_stopped_it_keeps_the_weights_it_has(monkeypatch):
    step, steps, clock = training_module._step, [], Clock()

    def counted(*arguments):
        clock.now += 0.7
        steps.append(step(*arguments))
        return steps[-1]

    monkeypatch.setattr(training_module, "_step", counted)
    model = training(stripes(3, 32), most_steps=9, clock=clock, watch=lambda one: one.step < 4)
    assert model.meta["ended"] == "stopped" and model.meta["steps"] == len(steps) == 4
    steps.clear()
    monkeypatch.setattr(training_module, "_step", lambda *a: counted(*a) if len(steps) < 4 else None)
    assert training(stripes(3, 32), most_steps=9, clock=clock).digest == model.digest


def test_a_preview_shows_good_parts_above_what_the_model_makes_of_them():
    shown = torch.zeros(2, 3, WINDOW, WINDOW)
    shown[1] = 0.5
    made = training_module.preview(by_hand(), shown, seed=0)
    assert made.shape == (2 * WINDOW, 2 * WINDOW, 3) and made.dtype == np.uint8
    assert (made[:WINDOW, :WINDOW] == 128).all() and (made[:WINDOW, WINDOW:] == 191).all()
    below = made[WINDOW:].astype(float)
    assert 1 < below[:, :WINDOW].std() < 12 and below[:, WINDOW:].mean() == pytest.approx(191, abs=1)


def test_a_loss_that_is_not_finite_ends_it_with_the_weights_before(monkeypatch):
    step, losses = torch.nn.functional.mse_loss, []

    def broken(*arguments):
        losses.append(step(*arguments))
        return losses[-1] * (float("nan") if len(losses) == fails_at else 1.0)

    monkeypatch.setattr(training_module.F, "mse_loss", broken)
    fails_at = 3
    model = training(stripes(3, 32), most_steps=9)
    assert (model.meta["steps"], model.meta["ended"]) == (2, "loss not finite")
    assert all(bool(torch.isfinite(weights).all()) for weights in model.net.state_dict().values())
    losses.clear()
    fails_at = 1
    with pytest.raises(SynthesisError, match="first step"):
        training(stripes(3, 32), most_steps=9)


def test_scale_is_the_spread_around_each_crop_s_own_mean():
    rng = np.random.default_rng(0)
    ok = rng.uniform(0.3, 0.7, (4, 1, 1, 3)) + rng.normal(0, 0.05, (4, 40, 40, 3))
    assert training(ok.astype(np.float32), most_steps=1).scale == pytest.approx(0.1, rel=0.02)  # of [-1, 1]
    assert training(np.full((3, 32, 32, 3), 0.5, np.float32), most_steps=1).scale == 2 / 255


def test_crops_are_pieces_of_good_parts_and_a_tenth_holds_the_defect():
    ok = np.random.default_rng(0).uniform(0, 1, (3, 40, 40, 3)).astype(np.float32)
    ok[..., 2] = 0
    mask = spot(40, np.s_[37:39, 2:5])
    source = NgSource("ng.png", np.dstack([ok[0, :, :, :2], mask]).astype(np.float32), mask)
    crops = training_module._crops(ok, (source,), WINDOW, True, np.random.default_rng(1))(2000)
    assert crops.shape == (2000, 3, WINDOW, WINDOW)
    of_ng = (crops[:, 2] > 0.5).flatten(1).any(1)
    assert float(of_ng.float().mean()) == pytest.approx(0.1, abs=0.02)
    pieces = training_module._crops(ok, (), WINDOW, False, np.random.default_rng(1))(20)
    whole = torch.from_numpy(ok[..., :2]).permute(0, 3, 1, 2) * 2 - 1
    places = whole.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)[:, :, :, :, 0, 0]  # upper left pixel of every window
    for piece in pieces[:, :2]:
        n, row, column = (places.permute(0, 2, 3, 1) == piece[:, 0, 0]).all(3).nonzero()[0]
        assert torch.equal(piece, whole[n, :, row : row + WINDOW, column : column + WINDOW])


def test_mirrored_crops_only_where_allowed():
    ok = np.zeros((3, WINDOW, WINDOW, 3), np.float32)
    ok[:, :, : WINDOW // 2] = 1
    for flips, sides in ((True, {-1.0, 1.0}), (False, {1.0})):
        crops = training_module._crops(ok, (), WINDOW, flips, np.random.default_rng(0))(40)
        assert set(crops[:, 0, 0, 0].tolist()) == sides


@pytest.mark.parametrize(
    ("ok", "more", "error", "match"),
    [
        (stripes(2, 32), {"most_steps": 1}, SynthesisError, "at least 3 good parts .* instant mode"),
        (stripes(3, 24), {"most_steps": 1}, SynthesisError, "at least 32 px a side, got 3 of 24 x 24"),
        (stripes(3, 32)[0], {"most_steps": 1}, ShapeError, "good parts"),
        (np.full((3, 32, 32, 3), np.nan, np.float32), {"most_steps": 1}, ShapeError, "finite"),
        (stripes(3, 32), {}, ShapeError, "a time above 0 s"),
        (stripes(3, 32), {"budget_s": 0.0}, ShapeError, "a time above 0 s"),
        (stripes(3, 32), {"most_steps": 0}, ShapeError, "steps above 0"),
        (
            stripes(3, 32),
            {"most_steps": 1, "ng": (NgSource("n", stripes(1, 32)[0], np.zeros((32, 32), bool)),)},
            ShapeError,
            "defect marked, got n",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(ok, more, error, match):
    with pytest.raises(error, match=match):
        training(ok, **more)


def test_the_net_is_the_specified_one():
    from ias_core.synthesis.one_shot.pixel_model import build_net

    net = build_net(64)
    assert sum(weights.numel() for weights in net.parameters()) == 1_661_708
    assert net.config.sample_size == 32 and net.config.in_channels == net.config.out_channels == 12
    with pytest.raises(ShapeError, match="a multiple of 8 px, got 60"):
        build_net(60)
