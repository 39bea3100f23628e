"""The whole job without a browser: what calibration.json says, that a seed settles it, how wrong use is answered."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import cli
from pages.services import demo, pipeline
from pages.services.ledger import Ledger
from pages.services.steps import load_config, steps
from pages.services.workspace import Workspace
from tests import hostile
from tests.app.permissions import permissions_count
from tests.app.report_keys import KEYS, ROW

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
SETS = sorted(path.name for path in SHARED.iterdir() if (path / "train").is_dir()) if SHARED.is_dir() else []

SMALL = {
    "detector": {"input_size": 64, "coreset_ratio": 0.1, "device": "cpu", "check_against_anomalib": False},
    "synthesis": {"count": 20, "methods": ["glass-las-own"], "graded_count": 20},
}
N_OK = 24  # the fewest from which some are kept apart, and a few more


def disc(seed: int, dent: int | None = None) -> np.ndarray:
    """A bright disc, never twice in the same place or light; a dent of this grey if asked. (64, 64, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64] / 64
    picture = np.full((64, 64, 3), 70.0)
    left, up = rng.uniform(-0.02, 0.02, 2)
    picture[(x - 0.5 - left) ** 2 + (y - 0.5 - up) ** 2 < 0.14] = (150, 140, 120)
    picture += cv2.resize(rng.normal(0, 8, (8, 8, 3)), (64, 64), interpolation=cv2.INTER_CUBIC)
    if dent is not None:
        place = rng.uniform(0.35, 0.65, 2)
        picture[(x - place[0]) ** 2 + (y - place[1]) ** 2 < 0.008] = dent
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def discs(first: int, n: int, dent: int | None = None) -> dict[str, bytes]:
    return {f"{seed:04d}.png": hostile.encoded(disc(seed, dent)) for seed in range(first, first + n)}


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def read(out: Path) -> dict:
    """The report, by a parser that takes neither NaN nor infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"not strict JSON: {constant}")

    return json.loads((out / "calibration.json").read_text(encoding="utf-8"), parse_constant=refuse)


def without_seconds(report: dict) -> dict:
    return report | {"detector": {k: v for k, v in report["detector"].items() if k != "seconds"}}


def spawned(*arguments: object, timeout_s: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python cli.py ...`` as a user runs it, from somewhere else."""
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout_s,
        cwd=Path(sys.executable).parent,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``ok``, ``ng`` with two kinds, and ``small.json``."""
    root = tmp_path_factory.mktemp("pictures")
    write(root / "ok", discs(0, N_OK))
    write(root / "ng" / "dent", discs(1000, 3, dent=30))
    write(root / "ng" / "faint", discs(1100, 1, dent=138))
    (root / "small.json").write_text(json.dumps(SMALL), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """``run(...)``: the CLI in this process with the small settings; returns the folder it wrote."""

    def run(*arguments: object, out: Path | None = None, config: Path | None = None) -> Path:
        out = out or tmp_path_factory.mktemp("out") / "new"
        code = cli.main(["run", *map(str, arguments), "--config", str(config or folder / "small.json"), f"--out={out}"])
        assert code == 0
        return out

    return run


@pytest.fixture(scope="module")
def checked(folder, run) -> Path:
    return run("--ok", folder / "ok", "--ng", folder / "ng", "--seed", 5)


@pytest.fixture
def refused(folder, tmp_path, capsys):
    """``refused(...)``: the CLI must end with code 1, one line on stderr and no result; returns the line."""

    def refused(*arguments: object, out: Path | None = tmp_path / "out", command: str = "run") -> str:
        capsys.readouterr()
        where = [] if out is None else [f"--out={out}"]
        try:
            code = cli.main([command, *map(str, arguments), *where])
        except SystemExit as stop:
            code = stop.code
        lines = capsys.readouterr().err.splitlines()
        assert code == 1 and len(lines) == 1, lines
        assert lines[0].startswith("cli.py") and "Traceback" not in lines[0]
        assert out is None or not (out / "calibration.json").is_file()
        return lines[0]

    return refused


# --- what a run says --------------------------------------------------------------------------------------------


def test_every_key_is_there(checked):
    report = read(checked)
    for place, keys in KEYS.items():
        assert keys <= set(report[place] if place else report)
    assert all(set(row) >= ROW for row in [*report["thresholds"], report["recommended"]])
    assert set(report["roc"]["real"]) >= {"auroc", "low", "high"} <= set(report["roc"]["synthetic"]["glass-las-own"])
    assert report["seed"] == 5 and re.fullmatch("[0-9a-f]{64}", report["inputs"]["sha256"])
    assert report["config"]["detector"]["input_size"] == report["detector"]["input_size"] == 64


def test_every_picture_is_counted_once(checked):
    report = read(checked)
    scores, roles = report["scores"], report["inputs"]["roles"]
    assert (report["inputs"]["n_ok"], report["inputs"]["n_ng"]) == (N_OK, 4)
    assert sum(roles.values()) == N_OK + 4
    assert len(scores["ok_loo"]) == roles["memory_bank"] and len(scores["ok_check"]) == roles["check_ok"] == 6
    assert len(scores["ok_calibration"]) == roles["calibration_ok"] and len(scores["ng_real"]) == 4
    assert len(scores["synthetic"]["glass-las-own"]) == 20


def test_subfolders_of_ng_are_kinds(checked):
    kinds = {row["file"]: row["kind"] for row in read(checked)["scores"]["ng_real"]}
    assert kinds == {f"dent/{n}.png": "dent" for n in range(1000, 1003)} | {"faint/1100.png": "faint"}


def test_rates_follow_from_the_scores(checked):
    """The obvious second way: count scores at or above each threshold."""
    report = read(checked)
    ng = np.array([row["score"] for row in report["scores"]["ng_real"]])
    check, loo = np.array(report["scores"]["ok_check"]), np.array(report["scores"]["ok_loo"])
    given = [row for row in report["thresholds"] if row["value"] is not None]
    assert len(given) >= 3
    for row in given:
        assert row["real_recall"] == np.mean(ng >= row["value"]) and row["n_real_ng"] == 4
        assert row["real_fpr"] == np.mean(check >= row["value"]) and row["n_check_ok"] == 6
        assert row["real_recall_lower_95"] < row["real_recall"] and row["fpr_upper_95"] > (row["expected_fpr"] or 0.0)
        assert row["n_ok"] == len(loo)
    for row in report["thresholds"]:
        assert (row["value"] is None) == bool(row["reason"])
    above = np.mean(ng[:, None] > check) + np.mean(ng[:, None] == check) / 2
    assert report["roc"]["real"]["auroc"] == pytest.approx(above)


def test_recommended_is_one_of_the_rows_with_its_reason(checked):
    report = read(checked)
    chosen = report["recommended"]
    assert (chosen["rule"], chosen["value"]) in [(row["rule"], row["value"]) for row in report["thresholds"]]
    assert chosen["value"] > max(report["scores"]["ok_loo"]) and "14 OK scores are too few" in chosen["reason"]
    assert report["status"] == "checked" and chosen["real_recall"] == 0.75


def test_summary_says_counts_with_denominators_and_names_what_was_missed(folder, run, capsys):
    run("--ok", folder / "ok", "--ng", folder / "ng", "--seed", 5)
    captured = capsys.readouterr()
    assert captured.err == ""
    for words in (
        "taken in: 24 OK and 4 real NG pictures; 0 files refused",
        "status: checked",
        "3 of 4 caught",
        "missed: faint/1100.png (",
        "of 6 rejected; 95 % confidence: at most",
        "AUROC on synthetic NG (glass-las-own): ",
    ):
        assert words in captured.out


def test_the_app_opens_what_the_command_line_made(checked):
    """With the settings of the run: by others, detector and synthetic NG would be out of date."""
    ws = Workspace(checked / "workspace")
    assert load_config(ws).seed == 5 and load_config(ws).detector.input_size == SMALL["detector"]["input_size"]
    assert {name: step.state for name, step in steps(ws).items()} | {"data": "done"} == {
        "data": "done",
        "detector": "done",
        "synthesis": "done",
        "thresholds": "ready",
        "review": "ready",
        "verification": "empty",
        "sign_off": "empty",
        "line": "empty",
    }


def test_without_ng_it_is_provisional_and_nothing_else_changes(folder, run, checked, capsys):
    report, other = read(run("--ok", folder / "ok", "--seed", 5)), read(checked)
    assert "nothing is known about escapes yet" in capsys.readouterr().out
    assert report["status"] == "provisional" and report["roc"]["real"] is None
    assert report["scores"]["ng_real"] == [] and report["recommended"]["real_recall"] is None
    # Real NG judge and never move: bank, scores and thresholds are those of the run with them.
    assert report["detector"]["bank_id"] == other["detector"]["bank_id"]
    assert [row["value"] for row in report["thresholds"]] == [row["value"] for row in other["thresholds"]]


def test_without_what_tells_them_apart_no_threshold_is_recommended(folder, run, tmp_path, capsys):
    """Pictures of nothing in common: each is as far from the rest as any defect."""
    ok = write(tmp_path / "ok", {f"{s}.png": hostile.encoded(hostile.part(s)) for s in range(100, 112)})
    ng = write(tmp_path / "ng", {f"{s}.png": hostile.encoded(hostile.part(s)) for s in range(200, 203)})
    report = read(run("--ok", ok, "--ng", ng))
    chosen = report["recommended"]
    assert chosen["value"] is None and "The interval reaches down to 0.5" in chosen["reason"]
    assert report["status"] == "provisional"  # there was nothing to check
    assert report["roc"]["synthetic"]["glass-las-own"]["low"] <= 0.5
    shown = capsys.readouterr().out
    assert "recommended threshold: none" in shown and "AUROC on real NG" in shown


def test_five_good_parts_are_enough_to_run(run, tmp_path):
    report = read(run("--ok", write(tmp_path / "ok", discs(0, 5))))
    assert report["inputs"]["roles"] == {"memory_bank": 4, "calibration_ok": 1}
    assert len(report["scores"]["ok_loo"]) == 4 and report["scores"]["ok_check"] == []
    assert report["recommended"]["reason"] and report["status"] == "provisional"


# --- the seed settles it ----------------------------------------------------------------------------------------


def test_same_seed_same_report(folder, run, checked, tmp_path):
    """Also into a folder that holds another run's result."""
    shutil.copytree(checked, tmp_path / "used")
    (tmp_path / "used" / "calibration.json").write_text("{}")
    out = run("--ok", folder / "ok", "--ng", folder / "ng", "--seed", 5, out=tmp_path / "used")
    assert without_seconds(read(out)) == without_seconds(read(checked))


def test_another_seed_another_split(folder, run, checked):
    report, other = read(run("--ok", folder / "ok", "--ng", folder / "ng", "--seed", 6)), read(checked)
    assert report["inputs"]["sha256"] == other["inputs"]["sha256"]
    assert report["detector"]["bank_id"] != other["detector"]["bank_id"]
    for name in ("ok_loo", "ok_check", "synthetic"):
        assert report["scores"][name] != other["scores"][name]


def test_seed_may_stand_in_a_toml_file(folder, run, checked, tmp_path):
    config = tmp_path / "small.toml"
    lines = ["seed = 5"]
    for section, values in SMALL.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    config.write_text("\n".join(lines), encoding="utf-8")
    out = run("--ok", folder / "ok", "--ng", folder / "ng", config=config)
    assert without_seconds(read(out)) == without_seconds(read(checked))


# --- other sources ----------------------------------------------------------------------------------------------


def test_zip_of_the_same_folders_gives_the_same_scores(folder, run, checked, tmp_path):
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.png"))}
    report = read(run("--zip", hostile.zip_of(tmp_path / "set.zip", files), "--seed", 5))
    other = read(checked)
    for name in ("ok_loo", "ok_check", "ok_calibration", "synthetic"):
        assert report["scores"][name] == other["scores"][name]
    rows = [{**row, "file": row["file"].removeprefix("ng/")} for row in report["scores"]["ng_real"]]
    assert rows == other["scores"]["ng_real"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    write(root / "train" / "good", discs(0, 12))
    write(root / "test" / "good", discs(100, 3))
    write(root / "test" / "dent", discs(1000, 2, dent=30))
    write(root / "test" / "spot", discs(1100, 2, dent=255))
    write(root / "ground_truth" / "dent", {"1000_mask.png": hostile.encoded(disc(0))})
    write(root, {"readme.txt": b"about", "license.txt": b"free"})
    return root


@pytest.mark.parametrize("name", ["generated", *SETS])
def test_tree_keeps_train_and_test_apart(run, tree, name):
    data = tree if name == "generated" else SHARED / name

    def count(pattern: str) -> int:
        return sum(p.suffix.lower() in (".png", ".jpg") for p in data.glob(pattern))

    out = run("--data", data)
    report = read(out)
    roles = report["inputs"]["roles"]
    assert report["inputs"]["rejected"] == []
    assert roles["memory_bank"] + roles["calibration_ok"] == count("train/good/*")
    assert roles["check_ok"] == count("test/good/*") == len(report["scores"]["ok_check"])
    assert roles["verification_ng"] == count("test/*/*") - count("test/good/*")
    kinds = {folder.name for folder in (data / "test").iterdir()} - {"good"}
    assert {row["kind"] for row in report["scores"]["ng_real"]} == kinds
    assert all(row["file"].startswith(f"test/{row['kind']}/") for row in report["scores"]["ng_real"])
    for record in Ledger(Workspace(out / "workspace")).records():
        assert (record.role in ("memory_bank", "calibration_ok")) == record.name.startswith("train/good/")
        assert record.mask_path is None or record.mask_path.parent.name == record.kind


def test_a_real_run_leaves_stderr_empty(folder, tmp_path):
    """With anomalib in it: what the libraries warn of is not for this user."""
    config = tmp_path / "small.json"
    detector = SMALL["detector"] | {"check_against_anomalib": True}
    config.write_text(json.dumps(SMALL | {"detector": detector}), encoding="utf-8")
    done = spawned("run", "--ok", folder / "ok", "--config", config, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    report = read(tmp_path / "out")
    assert report["detector"]["agreement_with_anomalib"]["largest_relative_difference"] <= 1e-4
    assert done.stdout.splitlines()[-1] == f"written: {tmp_path / 'out' / 'calibration.json'}"


# --- wrong use and bad data -------------------------------------------------------------------------------------


def test_wrong_arguments(refused, folder):
    ok = folder / "ok"
    assert "--out" in refused("--ok", ok, out=None)
    assert "--ng goes with --ok" in refused("--data", ok, "--ng", ok)
    assert "--ng goes with --ok" in refused("--zip", ok, "--ng", ok)
    assert "not allowed with" in refused("--ok", ok, "--data", ok)
    assert "one of the arguments --ok --data --zip is required" in refused()
    assert "invalid int value" in refused("--ok", ok, "--seed", "seven")
    assert "setting seed" in refused("--ok", ok, "--seed", -1)
    assert "unrecognized arguments" in refused("--ok", ok, "--colour")
    assert "invalid choice" in refused(command="walk")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", '{"detektor": {}}', "unknown setting 'detektor'"),
        ("a.json", '{"detector": {"colour": 1}}', "unknown setting 'colour'"),
        ("a.json", '{"detector": {"input_size": 65}}', "setting input_size"),
        ("a.json", '{"detector": {"input_size": "64"}}', "setting input_size"),
        ("a.json", '{"thresholds": {"confidence": 2.0}}', "confidence"),
        ("a.json", "[]", "expected settings as names and values"),
        ("a.json", "{\n,\n", ".json or .toml settings file"),
        ("a.toml", "seed = ", ".json or .toml settings file"),
        (None, "", "No such file"),
    ],
)
def test_wrong_settings(refused, folder, tmp_path, name, text, sentence):
    config = tmp_path / (name or "missing.json")
    if name:
        config.write_text(text)
    assert sentence in refused("--ok", folder / "ok", "--config", config)


def test_wrong_sources(refused, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    missing, file, ok = tmp_path / "missing", folder / "small.json", folder / "ok"
    assert "does not exist" in refused("--ok", missing)
    assert "does not exist" in refused("--ok", ok, "--ng", missing)
    assert "is a file" in refused("--ok", file)
    assert "does not exist" in refused("--data", missing)
    assert "train/good" in refused("--data", ok)
    assert "cannot be read" in refused("--zip", missing)
    assert "not a zip" in refused("--zip", file)
    assert "no OK picture; add more." in refused("--ok", tmp_path / "empty")
    four = write(tmp_path / "four", discs(0, 4))
    assert "only 4; add more." in refused("--ok", four)


def test_what_was_refused_on_the_way_is_named(refused, tmp_path, capsys):
    bad = write(tmp_path / "bad", {"a.png": b"no", **discs(0, 4)})
    assert "only 4; add more, or correct what was refused (1)." in refused("--ok", bad)
    assert cli.main(["run", f"--ok={bad}", f"--out={tmp_path / 'out'}"]) == 1
    assert "refused: a.png: this is not a PNG" in capsys.readouterr().out


def test_the_same_part_as_ok_and_ng_refuses_the_set(refused, folder, tmp_path):
    same = write(tmp_path / "same", {"x.png": (folder / "ok" / "0003.png").read_bytes()})
    assert re.search("0003.png.*x.png", refused("--ok", folder / "ok", "--ng", same))
    twin = write(tmp_path / "twin", {"y.jpg": hostile.encoded(disc(3), "JPEG", quality=99, subsampling=0)})
    assert re.search("0003.png.*y.jpg", refused("--ok", folder / "ok", "--ng", twin))


def test_zip_that_leaves_the_folder(refused, tmp_path):
    path = hostile.zip_of(tmp_path / "evil.zip", {"ok/../../evil.png": b"x", **discs(0, 6)})
    assert "leaves the folder" in refused("--zip", path)
    assert not list(tmp_path.rglob("evil.png"))


def test_out_that_cannot_be_written(refused, folder, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert "--out" in refused("--ok", folder / "ok", out=file)
    assert "--out" in refused("--ok", folder / "ok", out=file / "deeper")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no such mode")
def test_out_without_permission(refused, folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with permissions_count():
        assert "cannot be made" in refused("--ok", folder / "ok", out=tmp_path / "locked")
        assert "cannot be made" in refused("--ok", folder / "ok", out=tmp_path / "locked" / "deeper")


@pytest.mark.parametrize("deeper", ["", "results"])
def test_results_inside_the_pictures_are_refused(refused, tmp_path, deeper):
    """Else the next run would take synthetic NG for good parts."""
    ok = write(tmp_path / "ok", discs(0, 5))
    assert "inside the pictures" in refused("--ok", ok, out=ok / deeper)
    assert len(list(ok.iterdir())) == 5


def test_unreachable_weights_say_what_to_do(folder, tmp_path):
    config = tmp_path / "wide.json"
    detector = SMALL["detector"] | {"backbone": "wide_resnet50_2"}
    config.write_text(json.dumps({"detector": detector}), encoding="utf-8")
    # Port 9 answers nobody: the same as no network, on a machine that has one.
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
    done = spawned("run", "--ok", folder / "ok", "--config", config, "--out", tmp_path / "out", **nowhere)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "wide_resnet50_2" in done.stderr and "model.safetensors" in done.stderr
    assert not (tmp_path / "out" / "calibration.json").exists()


def test_demo_without_its_package(refused, monkeypatch):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert "pip install elpv-dataset" in refused(command="demo")


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError])
def test_a_bug_is_one_line_and_its_traceback_is_kept(refused, folder, tmp_path, monkeypatch, error):
    def broken(*_):
        raise error("first line\nsecond line")

    monkeypatch.setattr(pipeline, "run_steps", broken)
    line = refused("--ok", folder / "ok")
    log = tmp_path / "out" / "error.log"
    assert f"unexpected error ({error.__name__})" in line and str(log) in line
    assert "Traceback" in log.read_text() and "in broken" in log.read_text()


def test_cancelled_by_the_keyboard(refused, folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run_steps", interrupted)
    assert refused("--ok", folder / "ok") == "cli.py: cancelled"


def test_a_process_of_its_own_ends_the_same_way(tmp_path):
    """Exit code and streams as a shell sees them, on a console whose code page lacks the file's name."""
    ok = write(tmp_path / "ok", {"部品 № 1.png": b"no", **discs(0, 4)})
    done = spawned("run", "--ok", ok, "--out", tmp_path / "out", PYTHONIOENCODING="cp1252")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith(r"  refused: \u90e8\u54c1 \u2116 1.png: this is not a PNG")
    assert len(done.stdout.splitlines()) == len(done.stderr.splitlines()) == 1
    assert spawned().returncode == spawned("run").returncode == 1
    assert spawned("run", "--help").returncode == 0


def test_missing_requirements_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    here = importlib.metadata.version("numpy")
    (tmp_path / "requirements.txt").write_text(
        f"# comment\nnumpy=={here}  # here\npillow==0.0.1\nno-such-package-here==1.0\n"
    )
    assert cli.missing_requirements() == ["pillow==0.0.1", "no-such-package-here==1.0"]
