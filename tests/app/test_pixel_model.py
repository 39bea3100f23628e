"""The pixel model as a job: which pictures teach and which test it, what is kept and when, and what the page shows."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from ias_core.errors import IasError
from ias_core.synthesis.one_shot import ok_to_ok, training
from pages.services import jobs, ng_sources, pixel_model, worker
from pages.services.ledger import Ledger
from pages.services.pictures import read_at_size
from pages.services.progress import silent
from pages.services.settings import to_dict
from pages.services.steps import load_config, save_config
from pages.ui.charts.loss_curve import loss_curve
from tests.app import small_run
from tests.app.browse import button_of, text_of

CONFIG = small_run.CONFIG
PARAMS = {"settings": to_dict(CONFIG), "budget_s": 300.0, "sources": False, "flips": True}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Nets, trainings and tests that say as little as they cost; what they were given, and a snapshot at every step."""
    given, real = [], training.train

    def train(ok, *, budget_s, **rest):
        given.append({"ok": ok, "budget_s": budget_s, **rest})
        return real(ok, budget_s=budget_s, channels=(8, 16), most_steps=steps["most"], **rest)

    steps = {"most": 2, "given": given, "tested": []}
    monkeypatch.setattr(ok_to_ok, "ok_to_ok_change", lambda model, p, *, seed: steps["tested"].append(p) or 4.25)
    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "_WATCH_S", 0.0)
    monkeypatch.setattr(training, "_BATCH", 2)
    monkeypatch.setattr(training, "_SCALE_CROPS", 4)
    monkeypatch.setattr(training, "preview", lambda model, shown, seed: np.full((4, 6, 3), seed, np.uint8))
    monkeypatch.setattr(pixel_model, "MOST_TESTED", 2)
    return steps


@pytest.fixture
def previews(monkeypatch):
    """One beside every snapshot."""
    monkeypatch.setattr(training, "_PREVIEW_S", 0.0)


class CancelledAt:
    """A progress that is cancelled at the n-th report of a stage."""

    def __init__(self, stage: str, n: int = 1) -> None:
        self.stage, self.left, self.seen = stage, n, []

    def __call__(self, stage, done, total, message=""):
        self.seen.append((stage, done, total, message))
        self.left -= stage == self.stage
        if self.left <= 0:
            raise jobs.JobCancelled


def files(ws) -> set[str]:
    return {path.stem for path in (ws.root / "models").glob("*.safetensors")}


def pictures_of(ws, role):
    return [read_at_size(record, 64) for record in Ledger(ws).records(role=role)]


# The job


def test_memory_bank_teaches_and_calibration_tests(ws, tiny):
    seen = []
    done = pixel_model.run_job(ws, PARAMS, lambda *report: seen.append(report))
    (given,) = tiny["given"]
    bank = pictures_of(ws, "memory_bank")
    assert len(given["ok"]) == len(bank) and all(any(np.array_equal(one, b) for b in bank) for one in given["ok"])
    assert (given["ng"], given["seed"], given["budget_s"], given["flips"]) == ((), CONFIG.seed, 300.0, True)
    calibration = pictures_of(ws, "calibration_ok")
    tested = tiny["tested"]
    assert len(tested) == 2 and all(any(np.array_equal(one[0], c) for c in calibration) for one in tested)
    found = pixel_model.current_model(ws, CONFIG)
    assert found.digest == done["digest"] and found.fits and files(ws) == {found.digest}
    assert found.meta["ok_to_ok"] == done["ok_to_ok"] == 4.25 and found.meta["n_tested"] == found.n_to_test == 2
    assert found.meta["steps"] == done["steps"] == 2 and found.meta["side_px"] == 64
    stages = [stage for stage, *_ in seen]
    assert stages == ["load", "training", "training", "test", "test"]
    assert all(total == 300 for stage, _, total, _ in seen if stage == "training")
    assert "step 2 of about 2, loss " in seen[2][3]


def test_kept_it_is_loaded_by_its_digest_and_reused_while_the_pictures_stay(ws):
    digest = pixel_model.run_job(ws, PARAMS, silent)["digest"]
    model = pixel_model.load_model(ws, digest)
    assert model.digest == digest and model.meta == pixel_model.current_model(ws, CONFIG).meta
    assert pixel_model.current_model(ws, replace(CONFIG, seed=9)).fits
    larger = replace(CONFIG, detector=replace(CONFIG.detector, input_size=96))
    assert not pixel_model.current_model(ws, larger).fits
    record = Ledger(ws).records(role="memory_bank")[0]
    Ledger(ws).assign([record.sha256], "calibration_ok", by="test", why="another bank")
    assert not pixel_model.current_model(ws, CONFIG).fits


def test_cancelled_it_keeps_its_weights_and_can_be_tested_later(ws, tiny):
    tiny["most"] = 9
    with pytest.raises(jobs.JobCancelled):
        pixel_model.run_job(ws, PARAMS, CancelledAt("training", 3))
    found = pixel_model.current_model(ws, CONFIG)
    assert found.meta["steps"] == 3 and found.meta["ended"] == "stopped" and found.meta["ok_to_ok"] is None
    assert "has not been tested" in found.trouble and files(ws) == {found.digest}
    with pytest.raises(IasError, match="has not been tested .* instant mode"):
        pixel_model.load_model(ws, found.digest)
    done = pixel_model.run_job(ws, {"settings": to_dict(CONFIG), "test_only": True}, silent)
    again = pixel_model.current_model(ws, CONFIG)
    assert done["digest"] == again.digest == found.digest and again.meta["ok_to_ok"] == done["ok_to_ok"] == 4.25
    assert again.trouble == "" and pixel_model.load_model(ws, found.digest).digest == found.digest
    assert len(tiny["given"]) == 1


def test_cancelled_while_it_is_tested_it_is_kept_untested(ws):
    with pytest.raises(jobs.JobCancelled):
        pixel_model.run_job(ws, PARAMS, CancelledAt("test", 2))
    assert pixel_model.current_model(ws, CONFIG).meta["ok_to_ok"] is None


def test_a_process_that_ends_leaves_the_latest_weights_and_preview(ws, tiny, previews):
    """Every snapshot with a preview is kept at once; a worker may be ended at any moment."""
    tiny["most"] = 9

    class Ended(Exception):
        pass

    def progress(stage, done, total, message=""):
        if message.startswith("step 4"):
            raise Ended

    with pytest.raises(Ended):
        pixel_model.run_job(ws, PARAMS, progress)
    found = pixel_model.current_model(ws, CONFIG)
    assert found.meta["steps"] == 4 and files(ws) == {found.digest}
    assert pixel_model._read(ws, found.digest).digest == found.digest
    picture = np.asarray(Image.open(io.BytesIO(pixel_model.preview(ws, since=0.0))))
    assert picture.shape == (4, 6, 3) and (picture == CONFIG.seed).all()
    assert pixel_model.preview(ws, since=4e9) is None  # of an earlier training
    assert not [path for path in (ws.root / "models").iterdir() if path.suffix == ".part"]


def test_an_unfinished_training_does_not_push_out_one_of_more_steps_but_a_finished_one_does(ws, tiny, previews):
    tiny["most"] = 6
    first = pixel_model.run_job(ws, PARAMS, silent)["digest"]
    with pytest.raises(jobs.JobCancelled):
        pixel_model.run_job(ws, PARAMS | {"flips": False}, CancelledAt("training", 3))
    assert pixel_model.current_model(ws, CONFIG).digest == first and files(ws) == {first}
    tiny["most"] = 2
    second = pixel_model.run_job(ws, PARAMS | {"flips": False}, silent)["digest"]
    assert pixel_model.current_model(ws, CONFIG).digest == second and files(ws) == {first, second}
    third = pixel_model.run_job(ws, PARAMS, silent)["digest"]
    assert files(ws) == {second, third}
    with pytest.raises(IasError, match="not kept any more"):
        pixel_model.load_model(ws, first)


def test_the_model_that_the_settings_name_stays(ws, tiny):
    first = pixel_model.run_job(ws, PARAMS, silent)["digest"]
    config = load_config(ws)
    one_shot = replace(config.synthesis.one_shot, model=first)
    save_config(ws, replace(config, synthesis=replace(config.synthesis, one_shot=one_shot)))
    for tiny["most"] in (3, 4):
        pixel_model.run_job(ws, PARAMS, silent)
    assert first in files(ws) and len(files(ws)) == 3


def test_chosen_ng_teach_only_where_asked(ws, tiny, monkeypatch):
    from ias_core.synthesis.base import NgSource

    mask = np.zeros((64, 64), bool)
    mask[30:40, 20:44] = True
    source = NgSource("ng_00.png", np.full((64, 64, 3), 0.5, np.float32), mask)
    monkeypatch.setattr(ng_sources, "load_sources", lambda ws, config, size: (source,))
    pixel_model.run_job(ws, PARAMS | {"sources": True}, silent)
    assert tiny["given"][0]["ng"] == (source,)
    assert pixel_model.current_model(ws, CONFIG).meta["ng"] == ["ng_00.png"]


def test_a_model_that_changes_good_parts_too_much_is_not_loaded(ws, monkeypatch):
    monkeypatch.setattr(ok_to_ok, "ok_to_ok_change", lambda *a, **k: 10.5)
    digest = pixel_model.run_job(ws, PARAMS, silent)["digest"]
    assert "10.5 grey levels" in pixel_model.current_model(ws, CONFIG).trouble
    with pytest.raises(IasError, match=r"10\.5 grey levels .* instant mode"):
        pixel_model.load_model(ws, digest)


def test_what_cannot_be_trained_or_loaded_is_said(ws, empty_ws):
    with pytest.raises(IasError, match="a training of 10 to 3600 s, got 5"):
        pixel_model.run_job(ws, PARAMS | {"budget_s": 5}, silent)
    with pytest.raises(IasError, match="there is no pixel model to test"):
        pixel_model.run_job(ws, {"settings": to_dict(CONFIG), "test_only": True}, silent)
    with pytest.raises(IasError, match="at least 3 good parts in the memory bank, there are 0"):
        pixel_model.run_job(empty_ws, PARAMS, silent)
    small = replace(CONFIG, detector=replace(CONFIG.detector, input_size=32))
    assert "the detector sees 32 px" in pixel_model.why_not(ws, small)
    assert pixel_model.why_not(ws, CONFIG) == "" and pixel_model.current_model(ws, CONFIG) is None
    for digest, match in (("../x", "64 hexadecimal digits"), ("0" * 64, "not kept any more")):
        with pytest.raises(IasError, match=match):
            pixel_model.load_model(ws, digest)
    digest = pixel_model.run_job(ws, PARAMS, silent)["digest"]
    path = ws.root / "models" / f"{digest}.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    for look in (lambda: pixel_model.current_model(ws, CONFIG), lambda: pixel_model.load_model(ws, digest)):
        with pytest.raises(IasError, match="train it again"):
            look()


# The block on the page


def opened() -> AppTest:
    def page():
        from pages.services.steps import load_config
        from pages.ui import cached, pixel_model_view

        pixel_model_view.show(cached.workspace(), load_config(cached.workspace()))

    at = AppTest.from_function(page, default_timeout=60).run()
    assert not at.exception, [e.message for e in at.exception]
    return at


def test_block_trains_and_tells_what_the_model_is_worth(ws):
    page = opened()
    assert "fainter and softer" in text_of(page) and page.checkbox(key="pixel-model-sources").disabled
    page.button(key="pixel-model").click().run()
    assert page.button(key="pixel-model").disabled
    assert "Training the pixel model: waiting for the worker to start" in text_of(page)
    job = jobs.latest(ws, "pixel-model")
    assert job.params == PARAMS
    with jobs.take_place(ws):
        assert worker.run_next(ws)
    assert jobs.get(ws, job.id).state == "done"
    text = text_of(opened())
    digest = jobs.get(ws, job.id).result["digest"]
    assert "changes them by 4.2 grey levels of 255** (mean of 2 calibration OK pictures" in text
    assert "Steps: 2" in text and digest[:12] in text and "and no NG" in text and "other pictures" not in text


def test_block_shows_the_preview_while_it_trains(ws, busy):
    running = busy(ws, "pixel-model", PARAMS)
    assert "A first preview comes about 15 seconds after the start" in text_of(opened())
    (ws.root / "models").mkdir()
    pixel_model._write_preview(ws, np.zeros((8, 8, 3), np.uint8))
    page = opened()
    assert len(page.get("image")) == 1 and "A first preview" not in text_of(page)
    page.button(key=f"cancel-{running.job.id}").click().run()
    running.end("cancelled")
    assert "Training the pixel model was cancelled." in text_of(opened())


def test_block_says_what_is_wrong_with_a_model(ws, monkeypatch):
    with pytest.raises(jobs.JobCancelled):
        pixel_model.run_job(ws, PARAMS, CancelledAt("training", 1))
    page = opened()
    assert "has not been tested" in text_of(page)
    button_of(page, "Test it").click().run()
    assert jobs.latest(ws, "pixel-model").params == {"settings": to_dict(CONFIG), "test_only": True}
    with jobs.take_place(ws):
        assert worker.run_next(ws)
    assert "has not been tested" not in text_of(opened())
    monkeypatch.setattr(ok_to_ok, "ok_to_ok_change", lambda *a, **k: 12.0)
    pixel_model.run_job(ws, PARAMS, silent)
    assert "Not usable: the pixel model changes good parts by 12.0 grey levels" in text_of(opened())
    record = Ledger(ws).records(role="memory_bank")[0]
    Ledger(ws).assign([record.sha256], "calibration_ok", by="test", why="another bank")
    assert "This model is of other pictures" in text_of(opened())


def test_block_without_pictures_names_what_is_missing(empty_ws):
    page = opened()
    assert "A pixel model needs at least 3 good parts in the memory bank, there are 0" in text_of(page)
    assert page.button(key="pixel-model").disabled


def test_loss_curve_draws_every_value_at_its_step():
    figure = loss_curve([1.0, 0.5, 0.25], steps=30)
    assert list(figure.data[0].x) == [10, 20, 30] and list(figure.data[0].y) == [1.0, 0.5, 0.25]
    assert "training step" in figure.layout.xaxis.title.text and "loss" in figure.layout.yaxis.title.text
    for losses, steps in (([], 3), ([1.0, 0.5], 1)):
        with pytest.raises(IasError, match="values for"):
            loss_curve(losses, steps=steps)
