"""The detector in the forms of the line: the same verdict for every float32 score, the same scores in every runtime."""

import hashlib
import json
import subprocess
import sys
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ias_core.errors import BackboneUnavailable, FeatureError
from ias_core.features import PatchFeatures
from ias_core.imaging import load_image, resize_image
from ias_core.patchcore import line_model
from ias_core.patchcore.line_detector import LineDetector, signed_bank
from ias_core.patchcore.line_forms import OWN, main, open_form, raw_scores
from ias_core.patchcore.line_recipe import prepare
from ias_core.patchcore.line_threshold import AGREEMENT, anomalib_decision, line_threshold, smallest_float32
from ias_core.patchcore.memory_bank import MemoryBank, Preprocessing
from ias_core.patchcore.scoring import Scorer
from ias_core.torchvision_operators import ensure_torchvision
from tests.core.small import bank_of, pictures, tiny_backbone

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
SIZE = 64
ensure_torchvision()  # before anomalib, which imports it
onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime", "openvino"))),
    reason="ONNX and OpenVINO are not installed",
)


def float32_around(threshold: float, steps: int = 40) -> np.ndarray:
    """The float32 values next to a threshold, ``steps`` on both sides, in order."""
    middle = np.float32(threshold).view(np.int32)
    return np.arange(middle - steps, middle + steps + 1, dtype=np.int32).view(np.float32)


def thresholds() -> list[float]:
    """Powers of two and their neighbours, what float32 holds and what it does not, and many in between."""
    rng = np.random.default_rng(0)
    edges = [2.0**e for e in (-20, -3, 0, 3, 4, 5, 20)]
    beside = [float(np.nextafter(np.float32(e), np.float32(to))) for e in edges for to in (0, np.inf)]
    between = [10 ** rng.uniform(-4, 5) for _ in range(100)]
    return [*edges, *beside, *between, 28.15543556213379, 28.155434, 0.1, 3.3, 1e30]


def by_anomalib(scores: np.ndarray, threshold: float) -> np.ndarray:
    return labels(told_like_a_line(post_processor(), threshold), scores)


def labels(after: torch.nn.Module, scores: np.ndarray) -> np.ndarray:
    from anomalib.data import InferenceBatch

    return after(InferenceBatch(pred_score=torch.tensor(scores), anomaly_map=torch.zeros(1, 1, 1))).pred_label.numpy()


@cache
def post_processor() -> torch.nn.Module:
    from anomalib.post_processing import PostProcessor

    return PostProcessor(image_sensitivity=0.5)


def told_like_a_line(after: torch.nn.Module, threshold: float) -> torch.nn.Module:
    decision = anomalib_decision(threshold)
    assert decision.sensitivity == 0.5
    after._image_threshold.fill_(decision.threshold)
    after.image_min.fill_(decision.low)
    after.image_max.fill_(decision.high)
    return after


def test_anomalib_gives_every_float32_score_near_the_threshold_our_verdict():
    for threshold in thresholds():
        scores = float32_around(threshold)
        ours = scores.astype(np.float64) >= threshold
        assert ours.any() and not ours.all()
        np.testing.assert_array_equal(by_anomalib(scores, threshold), ours, err_msg=repr(threshold))


def test_far_from_the_threshold_too():
    scores = np.array([0, 1e-30, 14.0, 28.0, 28.2, 44.2, 60.0, 1e30], np.float32)
    np.testing.assert_array_equal(by_anomalib(scores, 28.15543556213379), scores >= 28.15543556213379)


def test_a_runtime_may_fold_the_steps_as_it_likes():
    """score / max + (0.5 - threshold / max), as compilers rewrite it, in float32 after every step."""
    for threshold in thresholds():
        told, scores = anomalib_decision(threshold), float32_around(threshold)
        high, below = np.float32(told.high), np.float32(told.threshold)
        folded = scores * (np.float32(1) / high) + (np.float32(0.5) - below / high)
        assert folded.dtype == np.float32
        np.testing.assert_array_equal(folded > np.float32(0.5), scores.astype(np.float64) >= threshold)


def test_the_threshold_itself_as_anomalib_would_be_told_it_fails_at_the_tie():
    """What all this is for: the signed number as anomalib's threshold, and the part that has it would pass."""
    tie, after = np.array([28.0], np.float32), told_like_a_line(post_processor(), 28.0)
    assert labels(after, tie).all()
    after._image_threshold.fill_(28.0)
    assert not labels(after, tie).any()


@pytest.mark.parametrize("threshold", [0.0, -1.0, np.inf, np.nan, 1e-45, 1e39])
def test_a_threshold_that_float32_cannot_decide_by_is_refused(threshold):
    with pytest.raises(FeatureError, match="expected a threshold above 0"):
        anomalib_decision(threshold)


def test_normalised_scores_go_back_to_feature_distances():
    told = anomalib_decision(28.15543556213379)
    scores = np.array([12.3, 20.0, 28.15, 28.2, 40.0])
    back = told.raw([told.normalised(score) for score in scores])
    np.testing.assert_allclose(back[:4], scores[:4], rtol=1e-9)
    assert np.isnan(told.raw([0.0, 1.0])).all()


def test_the_line_threshold_divides_known_scores_as_signed_and_stands_clear_of_them():
    rng = np.random.default_rng(1)
    for _ in range(300):
        signed = rng.uniform(1, 50)
        near = signed * (1 + rng.choice([-1, 1], 6) * 10 ** rng.uniform(-9, -2, 6))
        scores = np.array([*near, *([signed] if rng.random() < 0.3 else [])]).astype(np.float32).astype(np.float64)
        moved = line_threshold(signed, scores)
        np.testing.assert_array_equal(scores >= smallest_float32(moved), scores >= signed)
        assert abs(moved - signed) <= AGREEMENT * signed * (1 + 1e-9)
        if (np.abs(scores - signed) > AGREEMENT * signed).all():
            assert moved == signed
    assert line_threshold(5.0, np.array([5.0])) == pytest.approx(5.0 * (1 - AGREEMENT))  # a tie: to the safe side
    assert line_threshold(5.0, np.empty(0)) == 5.0
    assert line_threshold(5.0, np.array([4.9999, 5.0001])) == pytest.approx(5.0, abs=1e-12)
    assert line_threshold(5.0, np.array([4.99999, 5.0])) == pytest.approx(4.999995)  # half-way: no room for more


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1"])
def test_the_recipe_gives_the_very_pixels_of_this_product(mode, tmp_path):
    grain = np.random.default_rng(0).integers(0, 256, (70, 90, 4), np.uint8)
    for suffix in ("png", *(() if mode in ("RGBA", "P", "LA", "1") else ("jpg", "bmp", "tif"))):
        path = tmp_path / f"part.{suffix}"
        Image.fromarray(grain).convert(mode).save(path, **({"exif": turned()} if suffix == "jpg" else {}))
        ours = resize_image(load_image(path), SIZE)
        np.testing.assert_array_equal(prepare(path, SIZE), ours.transpose(2, 0, 1)[None])


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6  # lies on its side
    return exif


def test_the_recipe_refuses_more_than_8_bits(tmp_path):
    import cv2

    deep = np.random.default_rng(0).integers(0, 2**16, (64, 64, 3), np.uint16)
    for name in ("part.png", "part.tif"):
        for pixels in (deep, deep[..., 0]):
            cv2.imwrite(str(tmp_path / name), pixels)
            with pytest.raises(ValueError, match="8 bits per channel"):
                prepare(tmp_path / name, SIZE)


def tiny_detector(folder: Path):
    """A tiny network and its bank of six pictures."""
    backbone = tiny_backbone(folder)
    features = PatchFeatures(backbone, CPU)
    made = bank_of(features(list(pictures(6, SIZE))), ratio=0.2)
    preprocessing = Preprocessing(backbone.name, backbone.digest, backbone.layers, SIZE)
    return backbone, features, MemoryBank(made.features, made.group, made.groups, made.n_patches, preprocessing)


def line_model_of(folder: Path, num_neighbors: int):
    """The model, six pictures (n, 3, s, s), their scores by this product, and what anomalib was told."""
    backbone, features, bank = tiny_detector(folder)
    queries = pictures(6, SIZE, seed=1)
    scores = Scorer(bank, CPU, num_neighbors=num_neighbors)(features(list(queries))).image_scores
    decision = anomalib_decision(line_threshold(float(np.sort(scores)[3]), scores))
    model = line_model.line_model(backbone, bank, decision, num_neighbors=num_neighbors, coreset_ratio=0.2)
    return model, queries.transpose(0, 3, 1, 2).copy(), scores, decision


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A line folder with every form."""
    folder = tmp_path_factory.mktemp("line")
    model, batch, scores, decision = line_model_of(folder, num_neighbors=1)
    line_model.save_checkpoint(model, folder / "model.ckpt")
    line_model.save_onnx(model, folder / "model.onnx")
    line_model.save_openvino(folder / "model.onnx", folder / "model.xml")
    return folder, batch, scores, decision, model


@onnx
@pytest.mark.parametrize("form", ["checkpoint", "onnx", "openvino"])
def test_every_form_gives_our_scores_and_verdicts_for_any_number_of_pictures(exported, form):
    folder, batch, scores, decision, _ = exported
    agrees(form, folder, batch, scores, decision)


def agrees(form: str, folder: Path, batch: np.ndarray, scores: np.ndarray, decision) -> None:
    judge = open_form(form, folder)
    for n in (1, 2, 5, 6):
        found, is_ng = judge(batch[:n])
        np.testing.assert_array_equal(is_ng, scores[:n] >= decision.first_ng)
        raw = raw_scores(form, found, decision)
        inside = np.isfinite(raw)
        np.testing.assert_allclose(raw[inside], scores[:n][inside], rtol=AGREEMENT)
    assert inside.sum() >= 3 and 0 < is_ng.sum() < 6


def test_with_neighbour_weighting(tmp_path):
    model, batch, scores, decision = line_model_of(tmp_path, num_neighbors=9)
    line_model.save_checkpoint(model, tmp_path / "model.ckpt")
    agrees("checkpoint", tmp_path, batch, scores, decision)
    with torch.inference_mode():
        plain = model.model(torch.tensor(batch))
        with line_model.in_one_piece(model):  # as it is exported to ONNX
            whole = model.model(torch.tensor(batch))
    np.testing.assert_allclose(whole.pred_score, plain.pred_score, rtol=1e-6)
    np.testing.assert_allclose(whole.anomaly_map, plain.anomaly_map, rtol=1e-6)


@onnx
def test_no_form_names_files_of_this_machine(exported):
    for path in exported[0].glob("model.*"):
        content = path.read_bytes()
        assert b"site-packages" not in content and str(ROOT).encode() not in content, path.name


@onnx
def test_a_picture_of_another_size_is_refused_by_the_runtimes(exported):
    folder, _, _, _, _ = exported
    wrong = np.zeros((1, 3, SIZE + 32, SIZE + 32), np.float32)
    for form in ("onnx", "openvino"):
        with pytest.raises(Exception, match=r"(?i)dimension|shape"):
            open_form(form, folder)(wrong)


@onnx
def test_the_tie_in_the_runtimes(exported, tmp_path):
    """The exported post-processing alone, on the float32 scores next to the threshold."""
    import onnxruntime
    import openvino

    class Decide(torch.nn.Module):
        def __init__(self, after: torch.nn.Module) -> None:
            super().__init__()
            self.after = after

        def forward(self, score: torch.Tensor) -> torch.Tensor:
            from anomalib.data import InferenceBatch

            return self.after(InferenceBatch(pred_score=score, anomaly_map=score[:, None, None])).pred_label

    _, _, _, decision, model = exported
    path = tmp_path / "decide.onnx"
    scores = float32_around(decision.first_ng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decide = Decide(model.post_processor).eval()
        torch.onnx.export(decide, (torch.tensor(scores),), path, opset_version=18, verbose=False)
    expected = scores >= np.float32(decision.first_ng)
    session = onnxruntime.InferenceSession(path)
    np.testing.assert_array_equal(session.run(None, {session.get_inputs()[0].name: scores})[0], expected)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_array_equal(compiled([scores])[0], expected)


@onnx
def test_anomalib_opens_the_openvino_form_with_its_own_inferencer(exported, tmp_path, monkeypatch):
    from anomalib.deploy import OpenVINOInferencer

    folder, batch, scores, decision, _ = exported
    monkeypatch.chdir(tmp_path)  # it leaves a cache where it runs
    inferencer = OpenVINOInferencer(folder / "model.xml", device="CPU", config={"INFERENCE_PRECISION_HINT": "f32"})
    labels = [bool(np.ravel(inferencer.predict(picture.transpose(1, 2, 0)).pred_label)[0]) for picture in batch]
    assert labels == list(scores >= decision.first_ng)


@onnx
def test_a_fresh_process_knows_nothing_but_the_folder(exported, tmp_path):
    folder, batch, scores, decision, _ = exported
    np.save(tmp_path / "pictures.npy", batch)
    told = [str(tmp_path / "pictures.npy"), str(tmp_path / "result.json")]
    command = [sys.executable, "-m", "ias_core.patchcore.line_forms", "onnx", str(folder), *told]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    fresh = json.loads((tmp_path / "result.json").read_text())
    main(["onnx", str(folder), *told])
    assert json.loads((tmp_path / "result.json").read_text())["scores"] == fresh["scores"]
    assert fresh["is_ng"] == list(scores >= decision.first_ng) and fresh["ms_per_picture"] > 0


def test_the_same_export_gives_the_same_checkpoint(exported, tmp_path):
    folder, _, _, _, model = exported
    line_model.save_checkpoint(model, tmp_path / "model.ckpt")
    assert (tmp_path / "model.ckpt").read_bytes() == (folder / "model.ckpt").read_bytes()


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """Our own form: a folder with bank and weights, and the detector as a record names it."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("own")
    backbone, features, bank = tiny_detector(folder)
    bank.save(folder / "bank.safetensors")
    state = {key: value.contiguous() for key, value in backbone.module.state_dict().items()}
    save_file(state, folder / "backbone.safetensors")
    named = {
        "backbone": backbone.name,
        "weights_digest": backbone.digest,
        "layers": list(backbone.layers),
        "input_size": SIZE,
        "num_neighbors": 1,
        "bank_id": bank.bank_id,
        "bank_file_sha256": hashlib.sha256((folder / "bank.safetensors").read_bytes()).hexdigest(),
    }
    queries = list(pictures(20, SIZE, seed=1))
    return folder, named, queries, Scorer(bank, CPU)(features(queries)).image_scores


def test_our_own_form_scores_as_the_detector_that_was_signed(signed):
    folder, named, queries, scores = signed
    np.testing.assert_allclose(LineDetector(named, folder)(queries), scores, rtol=1e-5)
    (folder / "threshold.json").write_text(json.dumps({"detector": named, "threshold": float(scores[4])}))
    found, is_ng = open_form(OWN, folder)(np.stack(queries).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(is_ng, found >= scores[4])


def test_another_bank_or_other_weights_are_refused(signed, tmp_path):
    folder, named, _, _ = signed
    with pytest.raises(FeatureError, match="could not be read"):
        signed_bank(named, tmp_path / "bank.safetensors")
    data = bytearray((folder / "bank.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "bank.safetensors").write_bytes(data)
    with pytest.raises(FeatureError, match="is not the memory bank of this record"):
        signed_bank(named, tmp_path / "bank.safetensors")
    with pytest.raises(FeatureError, match="sign again"):
        signed_bank(named | {"bank_id": "0" * 64}, folder / "bank.safetensors")
    with pytest.raises(BackboneUnavailable, match="are not those that were signed"):
        LineDetector(named | {"weights_digest": "0" * 64}, folder)
