"""What the line is given, held against the record; and a folder of pictures scored by the record alone."""

import csv
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ias_core.errors import BackboneUnavailable, FeatureError, IasError
from ias_core.patchcore import line_forms
from ias_core.patchcore.line_forms import FORMS, OWN
from ias_core.patchcore.line_threshold import AGREEMENT, anomalib_decision
from pages.services import handover, jobs, line_check, line_export
from pages.services.artifacts import DETECTOR, load_result
from pages.services.ledger import Ledger
from pages.services.line_check import compare
from pages.services.line_manifest import differences, read_manifest
from pages.services.line_probes import Probes, choose
from pages.services.line_score import Scored, score_folder, write_csv
from pages.services.progress import silent
from pages.services.record_file import RecordFile
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.browse import button_of, open_page, text_of
from tests.app.conftest import NOW
from tests.app.signing import fix_recommended, sign_all


@pytest.fixture(scope="module")
def signed(built, tmp_path_factory) -> Path:
    """The small product after sign-off, its record written where the workspace keeps releases; only copied."""
    ws = small_run.copy_of(built, tmp_path_factory.mktemp("signed") / "workspace")
    fix_recommended(ws, now=NOW)
    sign_all(ws, now=NOW)
    handover.write(ws, line_export.signed_record(ws).folder, now=NOW)
    return ws.root


@pytest.fixture
def ws(signed, tmp_path, monkeypatch) -> Workspace:
    """A copy of the signed product, and the one the pages open."""
    monkeypatch.setenv("IAS_WORKSPACE", str(tmp_path / "copy"))
    monkeypatch.setattr(jobs, "ensure_worker", lambda ws: None)
    return small_run.copy_of(signed, tmp_path / "copy")


@pytest.fixture
def record(ws) -> RecordFile:
    return line_export.signed_record(ws)


@pytest.fixture
def here(monkeypatch):
    """Score in this process what would be scored in a fresh one: seconds of imports saved for each form."""
    monkeypatch.setattr(line_check.subprocess, "run", in_this_process)


def in_this_process(command, **options):
    line_forms.main(command[command.index("ias_core.patchcore.line_forms") + 1 :])
    return subprocess.CompletedProcess(command, 0, "", "")


def test_a_release_in_two_forms_and_a_manifest_that_notices_every_change(ws, record, here):
    told = []
    checks = line_export.export(
        ws, record.folder, forms=("checkpoint",), progress=lambda stage, *rest: told.append(stage)
    )
    assert [one.form for one in checks] == [OWN, "checkpoint"] and all(one.handed_over for one in checks)
    assert told[:2] == ["probes", "model"] and told[-1] == "forms"
    manifest, line = read_manifest(record.folder), record.folder / "line"
    assert manifest["record"] == record.sha256 and manifest["schema"] == "ng0-line/1"
    assert {path.name for path in line.iterdir()} - {"manifest.json"} == set(manifest["files"])
    assert set(manifest["files"]) == {"bank.safetensors", "threshold.json", "prepare.py", "model.ckpt"}
    for form in manifest["forms"]:
        assert form["same_verdict"] == form["probes"] == len(manifest["probes"]) == 20
        assert form["largest_relative_difference"] <= AGREEMENT and form["scores_compared"] > 0
    assert manifest["prepared_alike"] == {"n": 20, "same": 20} and "anomalib" in manifest["versions"]
    threshold = json.loads((line / "threshold.json").read_text(encoding="utf-8"))
    signed = record.content["threshold"]
    assert (threshold["threshold"], threshold["review_from"]) == (signed["value"], signed["review_from"])
    assert threshold["anomalib"]["threshold"] < threshold["anomalib"]["first_ng"]
    assert threshold["input"]["size"] == 64 and threshold["detector"] == record.content["detector"]
    assert differences(record.folder, record.sha256) == []
    assert differences(record.folder, "0" * 64) == ["line/manifest.json is of another record"]
    (line / "extra.txt").write_text("?")
    (line / "prepare.py").write_text("pass")
    (line / "model.ckpt").unlink()
    assert sorted(differences(record.folder, record.sha256)) == [
        "line/extra.txt was added",
        "line/model.ckpt was removed or cannot be read",
        "line/prepare.py was changed",
    ]
    names = zipfile.ZipFile(io.BytesIO(line_export.zipped(record))).namelist()
    assert "record.json" in names and "line/bank.safetensors" in names


def test_a_form_that_gives_another_verdict_is_not_handed_over(ws, record, monkeypatch):
    def one_is_wrong(command, **options):
        done = in_this_process(command, **options)
        if "checkpoint" in command:
            with open(command[-1], encoding="utf-8") as file:
                found = json.load(file)
            found["is_ng"][3] = not found["is_ng"][3]
            with open(command[-1], "w", encoding="utf-8") as file:
                json.dump(found, file)
        return done

    monkeypatch.setattr(line_check.subprocess, "run", one_is_wrong)
    own, other = line_export.export(ws, record.folder, forms=("checkpoint",), progress=silent)
    wrong = read_manifest(record.folder)["probes"][3]
    assert own.handed_over and not other.handed_over and other.same == other.n - 1
    assert (
        f"anomalib checkpoint calls {wrong['file']} " in other.reason
        and f"signed was {wrong['verdict']}" in other.reason
    )
    assert not (record.folder / "line" / "model.ckpt").exists()
    assert differences(record.folder, record.sha256) == []


def test_nothing_is_exported_where_our_own_form_does_not_open_and_what_was_there_stays(ws, record, monkeypatch):
    (record.folder / "line").mkdir()
    (record.folder / "line" / "old.txt").write_text("kept")
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nRuntimeError: no such luck")
    monkeypatch.setattr(line_check.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(IasError, match="nothing was exported: .* fresh process here: RuntimeError: no such luck"):
        line_export.export(ws, record.folder, progress=silent)
    assert [path.name for path in record.folder.iterdir() if "line" in path.name] == ["line"]
    assert (record.folder / "line" / "old.txt").read_text() == "kept"


def test_a_form_whose_packages_are_missing_is_told_with_what_to_install(ws, record, here, monkeypatch):
    find = line_forms.find_spec
    monkeypatch.setattr(line_forms, "find_spec", lambda name: None if name == "openvino" else find(name))
    assert line_export.possible_forms()["openvino"] == "OpenVINO needs openvino here: pip install openvino"
    _, other = line_export.export(ws, record.folder, forms=("openvino",), progress=silent)
    assert other.reason == "OpenVINO needs openvino here: pip install openvino"
    page = open_page("line")
    assert "Not possible here: OpenVINO needs openvino here: pip install openvino" in text_of(page)


def test_an_exporter_that_fails_takes_no_other_form_with_it(ws, record, here, monkeypatch):
    from ias_core.patchcore import line_model

    def fail(*given):
        raise RuntimeError("unsupported\noperator")

    monkeypatch.setattr(line_model, "save_checkpoint", fail)
    _, other = line_export.export(ws, record.folder, forms=("checkpoint",), progress=silent)
    assert "could not be made of this network (RuntimeError: unsupported operator)" in other.reason


def test_what_no_longer_fits_the_record_is_said(ws, record, here, monkeypatch):
    with pytest.raises(IasError, match="expected some of the forms"):
        line_export.export(ws, record.folder, forms=("tflite",), progress=silent)
    other = SimpleNamespace(**{"meta": {"bank_id": "0" * 64}})
    monkeypatch.setattr(line_export, "DetectorResult", SimpleNamespace)
    monkeypatch.setattr(line_export, "load_result", lambda ws, step: other)
    with pytest.raises(IasError, match="built again since this was signed"):
        line_export.export(ws, record.folder, progress=silent)
    with pytest.raises(IasError, match="somebody signed since"):
        line_export.run_job(ws, {"record": "0" * 64, "forms": []}, silent)
    with pytest.raises(IasError, match="expected a record at"):
        line_export.export(ws, record.folder / "line", progress=silent)


def test_pictures_that_are_gone_are_named_and_the_others_are_scored(ws, record, here):
    from pages.services.line_probes import probes_of

    detector = load_result(ws, DETECTOR)
    first = probes_of(ws, record.content, detector)
    with ws.transaction() as db:
        db.execute("UPDATE images SET path = '/nowhere.png' WHERE sha256 = ?", (first.sha256s[0],))
    found = probes_of(ws, record.content, detector)
    assert found.gone == (first.names[0],) and found.sha256s == first.sha256s[1:]
    with ws.transaction() as db:
        db.execute("UPDATE images SET path = '/nowhere.png'")
    with pytest.raises(IasError, match="none of the pictures"):
        probes_of(ws, record.content, detector)


def test_the_nearest_from_both_sides_are_chosen():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = {f"p{i:02d}": round(float(rng.normal(10, 2)), 3) for i in range(int(rng.integers(1, 60)))}
        challenge = tuple(rng.choice(list(scores), min(3, len(scores)), replace=False))
        chosen = choose(10.0, scores, (*challenge, "not scored"))
        assert len(chosen) == len(set(chosen)) == min(20, len(scores)) and set(challenge) <= set(chosen)
        for side in (True, False):
            here = sorted((abs(s - 10), k) for k, s in scores.items() if (s >= 10) == side and k not in challenge)
            taken = [key for key in chosen if (scores[key] >= 10) == side and key not in challenge]
            assert taken == [key for _, key in here[: len(taken)]]


def probes(scores: list[float], threshold: float) -> Probes:
    at, names = np.array(scores), tuple(f"part_{i}.png" for i in range(len(scores)))
    return Probes(names, names, names, at, at >= threshold, np.zeros((len(at), 1, 1, 3), np.float32), at, ())


def test_only_our_own_form_may_differ_and_only_where_no_two_computers_agree():
    told = anomalib_decision(10.0)
    near = probes([9.99999999, 8.0, 12.0], 10.0)
    flipped = np.array([True, False, True])
    same, too_close, largest, compared, reason = compare(OWN, near, near.scores, flipped, told, 10.0)
    assert (same, too_close, largest, compared, reason) == (2, 1, 0.0, 3, "")
    scaled = np.array([told.normalised(score) for score in near.scores])
    assert "ONNX calls part_0.png NG, signed was OK at 10" in compare("onnx", near, scaled, flipped, told, 10.0)[4]
    far = compare(OWN, near, near.scores, np.array([False, True, True]), told, 10.0)
    assert "calls part_1.png NG, signed was OK at 8" in far[4]


def test_scores_that_differ_or_are_none_are_refused_whatever_the_verdicts():
    told, known = anomalib_decision(10.0), probes([9.0, 11.0, 40.0], 10.0)
    scaled = np.array([told.normalised(score) for score in known.scores])
    same, _, largest, compared, reason = compare("onnx", known, scaled, known.is_ng, told, 10.0)
    assert (same, compared, reason) == (3, 2, "") and largest < 1e-9  # 40 is beyond anomalib's scale
    off = scaled + np.array([0.0, 0.01, 0.0])
    assert "ONNX scores part_1.png 11.16, signed was 11" in compare("onnx", known, off, known.is_ng, told, 10.0)[4]
    for broken in (np.full(3, np.nan), np.ones(2)):
        assert "no finite score" in compare("onnx", known, broken, known.is_ng, told, 10.0)[4]


@pytest.fixture
def released(ws, record, here):
    """The record with its line folder, moved away from the workspace, which is gone."""
    line_export.export(ws, record.folder, forms=(), progress=silent)
    away = ws.root.parent / "at the line"
    shutil.move(record.folder, away)
    shutil.rmtree(ws.root)
    return away / "record.json"


def test_a_folder_is_scored_by_the_record_alone(ws, record, here, tmp_path):
    sets = load_result(ws, DETECTOR).sets
    known = {
        image: float(score)
        for name in ("calibration", "check", "ng")
        for image, score in zip(sets[name].ids, sets[name].image_scores, strict=True)
    }
    images, expected = tmp_path / "shots", {}
    (images / "sub").mkdir(parents=True)
    for i, one in enumerate(one for one in Ledger(ws).records() if one.sha256 in known):
        name = f"sub/{i:02d}.png" if i % 2 else f"{i:02d}.png"
        shutil.copy(one.path, images / name)
        expected[name] = known[one.sha256]
    (images / "10 broken.png").write_bytes(b"no picture")
    (images / "notes.txt").write_text("hello")
    line_export.export(ws, record.folder, forms=(), progress=silent)
    away = ws.root.parent / "at the line"
    shutil.move(record.folder, away)
    shutil.rmtree(ws.root)
    rows = score_folder(away / "record.json", images)
    assert [row.file for row in rows] == sorted([*expected, "10 broken.png", "notes.txt"])
    threshold, review = (record.content["threshold"][key] for key in ("value", "review_from"))
    for row in rows:
        if row.file not in expected:
            assert (row.score, row.verdict) == (None, "unreadable") and "not a PNG" in row.reason
            continue
        assert row.score == pytest.approx(expected[row.file], rel=1e-5)
        near_band = review is not None and row.score >= review
        assert row.verdict == ("NG" if row.score >= threshold else "review" if near_band else "OK")
        assert bool(row.reason) == (abs(row.score - threshold) <= AGREEMENT * threshold)
    assert len(expected) > 16 and {"OK", "NG"} <= {row.verdict for row in rows}  # more than one batch
    again = io.StringIO(newline="")
    write_csv(rows, again)
    read = list(csv.DictReader(io.StringIO(again.getvalue(), newline="")))
    assert [one["file"] for one in read] == [row.file for row in rows]
    assert [np.float32(one["score"]) for one in read if one["score"]] == [
        np.float32(row.score) for row in rows if row.score is not None
    ]


def test_csv_by_hand():
    text = io.StringIO(newline="")
    rows = [Scored("a,b.png", 28.155433654785156, "OK"), Scored("ü.png", None, "unreadable", "the file is empty")]
    write_csv(rows, text)
    assert text.getvalue() == (
        'file,score,verdict,reason\n"a,b.png",28.1554337,OK,\nü.png,,unreadable,the file is empty\n'
    )


@pytest.mark.parametrize(("review", "verdicts"), [(None, ["OK", "OK", "NG"]), (9.0, ["OK", "review", "NG"])])
def test_three_verdicts_only_where_the_record_has_a_review_band(review, verdicts, monkeypatch, tmp_path):
    from pages.services import line_score

    content = {"threshold": {"value": 10.0, "review_from": review}, "detector": {}}
    monkeypatch.setattr(line_score, "read_record", lambda path: SimpleNamespace(content=content, folder=tmp_path))
    at = np.array([np.nextafter(np.float32(9), np.float32(0)), 9, 10], np.float32)
    detector = type("Detector", (), {"input_size": 32, "__call__": lambda self, pictures: at})()
    monkeypatch.setattr(line_score, "_detector", lambda named, folder: detector)
    for name in "abc":
        Image.new("L", (40, 40)).save(tmp_path / f"{name}.png")
    rows = score_folder(tmp_path / "record.json", tmp_path)
    assert [row.verdict for row in rows] == verdicts
    assert [bool(row.reason) for row in rows] == [False, False, True]


def test_what_is_not_the_signed_release_is_refused(released, tmp_path):
    images = tmp_path / "shots"
    images.mkdir()
    with pytest.raises(IasError, match="found no file"):
        score_folder(released, images)
    with pytest.raises(IasError):
        score_folder(released, tmp_path / "nowhere")
    Image.fromarray(small_run.plate(0)).save(images / "part.png")
    assert score_folder(released, images)[0].verdict in ("OK", "review", "NG")
    bank, text = released.parent / "line" / "bank.safetensors", released.read_bytes()
    whole = bank.read_bytes()
    bank.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(FeatureError, match="not the memory bank of this record"):
        score_folder(released, images)
    bank.unlink()
    with pytest.raises(FeatureError, match="could not be read"):
        score_folder(released, images)
    bank.write_bytes(whole)
    released.write_bytes(text.replace(b'"value"', b'"valve"', 1))
    with pytest.raises(IasError, match="changed"):
        score_folder(released, images)


def test_other_weights_than_the_signed_are_refused(released, tmp_path, monkeypatch):
    from ias_core.patchcore import line_detector

    really = line_detector.load_backbone

    def other(*given, **options):
        backbone = really(*given, **options)
        return type(backbone)(**{name: getattr(backbone, name) for name in backbone.__slots__} | {"digest": "f" * 64})

    monkeypatch.setattr(line_detector, "load_backbone", other)
    Image.fromarray(small_run.plate(0)).save(tmp_path / "part.png")
    with pytest.raises(BackboneUnavailable, match="are not those that were signed"):
        score_folder(released, tmp_path)


def test_the_page_asks_once_and_shows_what_each_form_said(ws, record, here):
    page = open_page("line")
    assert not page.exception and "record " + record.sha256[:16] in text_of(page)
    button_of(page, "Export for the line").click().run()
    job = jobs.latest(ws, "export")
    assert job.params["record"] == record.sha256 and set(job.params["forms"]) <= set(FORMS)
    jobs.cancel(ws, job.id)
    line_export.export(ws, record.folder, forms=("checkpoint",), progress=silent)
    page = open_page("line")
    assert not page.exception
    read = text_of(page)
    assert "2 of 2 forms may go to the line" in read and "20 of 20 known pictures have the signed verdict" in read
    assert "What the line must do" in read and "Export again" in read
    (record.folder / "line" / "manifest.json").write_text("{}")
    page = open_page("line")
    assert not page.exception and "export again" in page.error[0].value


def test_a_worker_runs_the_export(ws, record, here, monkeypatch):
    from pages.services import worker

    written = []
    monkeypatch.setattr(line_export.handover, "write", lambda ws, folder, **given: written.append(given["signed"]))
    assert worker.RUNNERS["export"] == "pages.services.line_export:run_job"
    found = line_export.run_job(ws, {"record": record.sha256, "forms": []}, silent)
    assert found["record"] == record.sha256 and found["ms_per_picture"][OWN] > 0
    assert worker._runner("export", worker.RUNNERS) is line_export.run_job
    assert [one.sha256 for one in written] == [record.sha256] * 2  # before, and once more with the export's hashes
