"""``cli.py study``: what the file says, that stored scores are used again, and how wrong use is answered."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli
from calibration.rules import RULES
from calibration.study import RECOMMENDED, joined, split_study
from pages.services import demo, detection, method_study, one_shot_study, pipeline, study_banks
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.ledger import Ledger
from pages.services.progress import silent
from pages.services.settings import SynthesisConfig, read_config
from pages.services.study_plot import title_of
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace
from tests.app import small_run

N_OK, N_NG, BANKS, SPLITS = 60, 8, 2, 10
SMALL = {
    "detector": {"input_size": 64, "coreset_ratio": 0.1, "device": "cpu", "check_against_anomalib": False},
    "synthesis": {"count": 20, "methods": ["glass-las-own"], "graded": ""},
}
PROMISED = {"bound_kept", "regret_median", "regret_p90", "fpr_median", "recall_median"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``ok``, ``ng`` and ``small.json``."""
    root = tmp_path_factory.mktemp("study")
    small_run.write_pictures(root, n_ok=N_OK, n_ng=N_NG)
    (root / "small.json").write_text(json.dumps(SMALL), encoding="utf-8")
    return root


def run(folder: Path, out: Path, *arguments: object, banks: int = BANKS, splits: int = SPLITS) -> int:
    """The exit code; pictures are those of ``folder`` where nothing else is asked."""
    source = arguments or ("--ok", folder / "ok", "--ng", folder / "ng")
    asked = ("study", *source, "--out", out, "--banks", banks, "--splits", splits, "--config", folder / "small.json")
    try:
        return cli.main([str(one) for one in asked])
    except SystemExit as stop:
        return stop.code


@pytest.fixture(scope="module")
def out(folder, tmp_path_factory) -> Path:
    """What a study leaves; never changed, only copied."""
    out = tmp_path_factory.mktemp("out") / "new"
    assert run(folder, out) == 0
    return out


@pytest.fixture
def again(out, tmp_path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "again"))


def read(out: Path) -> dict:
    """The file, by a parser that takes neither NaN nor infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"not strict JSON: {constant}")

    return json.loads((out / "study.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture
def builds(monkeypatch) -> list[int]:
    """Seeds of the detectors that are built."""
    built, build = [], detection.build_detector

    def counted(ws, config, progress):
        built.append(config.seed)
        return build(ws, config, progress)

    monkeypatch.setattr(pipeline, "build_detector", counted)
    return built


# --- what the file says --------------------------------------------------------------------------------------


def test_every_promised_key_for_every_rule_and_for_the_policy(out):
    found = read(out)
    assert found["schema"] == "ng0-study/1"
    assert (found["splits"], found["splits_per_bank"], found["seed"]) == (BANKS * SPLITS, SPLITS, 0)
    assert list(found["rules"]) == [*RULES, RECOMMENDED]
    for rule, row in found["rules"].items():
        assert set(row) >= PROMISED | {"title", "splits_with_threshold", "limit_kept", "bound_kept_if_exact", "fpr_p90"}
        assert row["title"] == title_of(rule)
        numbers = [row[key] for key in PROMISED if row[key] is not None]
        assert all(0.0 <= number <= 1.0 for number in numbers)
        if not row["splits_with_threshold"]:
            assert numbers == []
    # 12 calibrating parts are too few for a bound of 5 %, and enough for the maximum and for Youden's threshold.
    given = {rule: row["splits_with_threshold"] for rule, row in found["rules"].items()}
    assert (given["tolerance"], given["conformal"], given["percentile"], given["youden"]) == (0, 0, 20, 20)


def test_each_bank_has_its_own_split_of_the_same_pictures(out):
    banks = read(out)["banks"]
    assert [bank["seed"] for bank in banks] == [0, 1]
    assert banks[0]["bank_id"] != banks[1]["bank_id"]
    for bank in banks:
        assert bank["n_bank"] + bank["n_calibration"] + bank["n_check"] == N_OK and bank["n_ng"] == N_NG
    first, second = (load_result(Workspace(out / f"bank-{seed}"), DETECTOR).sets["bank"].ids for seed in (0, 1))
    assert set(first) != set(second)


def test_rows_are_those_of_the_stored_scores(folder, out):
    """Good parts outside the bank calibrate and judge, leave-one-out scores fit, real NG judge."""
    config, parts = read_config(folder / "small.json"), []
    for seed in (0, 1):
        ws = Workspace(out / f"bank-{seed}")
        sets, group = load_result(ws, DETECTOR).sets, {r.sha256: r.group for r in Ledger(ws).records()}
        outside = [
            (float(s), group[i])
            for n in ("calibration", "check")
            for s, i in zip(sets[n].image_scores, sets[n].ids, strict=True)
        ]
        parts.append(
            split_study(
                np.array([score for score, _ in outside], np.float32),
                [name for _, name in outside],
                sets["ng"].image_scores,
                [group[image] for image in sets["ng"].ids],
                loo=sets["bank"].image_scores,
                synthetic=evidence_of(load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)).synthetic["glass-las-own"],
                splits=SPLITS,
                seed=seed,
                config=config.thresholds,
            )
        )
        assert len(outside) == 24
    rows = read(out)["rules"]
    for rule, expected in joined(parts).items():
        row = rows[rule]
        assert (row["splits_with_threshold"], row["bound_kept"]) == (expected.fpr.size, expected.bound_kept)
        if expected.fpr.size:
            for name in ("fpr", "recall", "regret"):
                assert row[f"{name}_median"] == pytest.approx(np.median(getattr(expected, name)))
            assert row["regret_p90"] == pytest.approx(np.quantile(expected.regret, 0.9))


def test_table_has_a_line_for_every_rule_and_says_what_shares_are_of(folder, again, capsys):
    run(folder, again)
    shown = capsys.readouterr()
    assert shown.err == ""
    for rule in [*RULES, RECOMMENDED]:
        assert sum(line.startswith(title_of(rule)) for line in shown.out.splitlines()) == 1
    assert f"{BANKS * SPLITS} splits, memory banks: {BANKS}." in shown.out
    assert shown.out.splitlines()[-1] == f"written: {again / 'study.json'}, {again / 'study.png'}"


# --- the picture ---------------------------------------------------------------------------------------------


def test_picture_opens(out):
    with Image.open(out / "study.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 400
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


# --- stored scores -------------------------------------------------------------------------------------------


def test_second_run_computes_no_feature_and_writes_the_same(folder, out, again, builds, monkeypatch):
    def never(*_):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(detection, "FeatureSource", never)
    (again / "study.json").unlink()
    assert run(folder, again) == 0
    assert builds == [] and (again / "study.json").read_bytes() == (out / "study.json").read_bytes()


def test_more_splits_compute_no_feature(folder, again, builds):
    assert run(folder, again, banks=1, splits=SPLITS + 1) == 0
    assert builds == [] and read(again)["splits"] == SPLITS + 1


def test_same_seed_same_file_wherever_it_runs(folder, again, tmp_path, builds):
    assert run(folder, again, banks=1) == run(folder, tmp_path / "new", banks=1) == 0
    assert builds == [0]
    assert (again / "study.json").read_bytes() == (tmp_path / "new" / "study.json").read_bytes()


def test_another_seed_is_another_study(folder, again, builds):
    """Its first bank is the second one of seed 0, with the same splits."""
    assert run(folder, again, "--ok", folder / "ok", "--ng", folder / "ng", "--seed", 1, banks=1) == 0
    assert builds == []
    found = read(again)
    assert found["seed"] == 1 and [bank["seed"] for bank in found["banks"]] == [1]


def test_other_pictures_in_the_same_folder_are_taken_in(folder, again, builds, tmp_path):
    fewer = Path(shutil.copytree(folder / "ng", tmp_path / "ng"))
    sorted(fewer.iterdir())[0].unlink()
    assert run(folder, again, "--ok", folder / "ok", "--ng", fewer, banks=1) == 0
    assert builds == [0] and read(again)["banks"][0]["n_ng"] == N_NG - 1


def test_a_further_bank_costs_one_detector_and_seeds_wrap_at_the_largest(folder, out, again, builds):
    largest = 2**32 - 1
    assert run(folder, again, "--ok", folder / "ok", "--ng", folder / "ng", "--seed", largest) == 0
    banks = read(again)["banks"]
    assert [bank["seed"] for bank in banks] == [largest, 0] and builds == [largest]
    assert banks[1] == read(out)["banks"][0]


# --- other sources, wrong use --------------------------------------------------------------------------------


def test_tree(folder, tmp_path):
    tree = tmp_path / "tree"
    for part, kind, first, n, make in (
        ("train", "good", 0, 12, small_run.plate),
        ("test", "good", 100, 16, small_run.plate),
        ("test", "scratch", 1000, 4, small_run.scratched),
    ):
        (tree / part / kind).mkdir(parents=True)
        for seed in range(first, first + n):
            Image.fromarray(make(seed)).save(tree / part / kind / f"{seed}.png")
    assert run(folder, tmp_path / "out", "--data", tree, banks=1, splits=4) == 0
    (bank,) = read(tmp_path / "out")["banks"]
    assert (bank["n_check"], bank["n_ng"]) == (16, 4)


@pytest.fixture
def refused(folder, tmp_path, capsys):
    """``refused(...)``: exit code 1, one line on stderr, no result; returns the line."""

    def refused(*arguments: object, **how: int) -> str:
        capsys.readouterr()
        assert run(folder, tmp_path / "out", *arguments, **how) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("cli.py") and not (tmp_path / "out" / "study.json").exists()
        return line

    return refused


def test_without_real_ng_it_says_so_before_anything_is_computed(refused, folder, builds):
    assert "expected real NG to judge the rules by, got none; add some with --ng" in refused("--ok", folder / "ok")
    assert builds == []


def test_wrong_arguments(refused, folder, builds, monkeypatch):
    ok, ng = folder / "ok", folder / "ng"
    assert "--ng goes with --ok" in refused("--data", folder, "--ng", ng)
    assert "one of the arguments --demo --ok --data is required" in refused("--ng", ng)
    assert "not allowed with" in refused("--demo", "--ok", ok)
    assert "expected at least 1 bank and 2 splits, got 0 and 10" in refused("--ok", ok, "--ng", ng, banks=0)
    assert "expected at least 1 bank and 2 splits, got 2 and 1" in refused("--ok", ok, "--ng", ng, splits=1)
    assert "does not exist" in refused("--ok", folder / "missing", "--ng", ng)
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert "pip install elpv-dataset" in refused("--demo")
    assert builds == []


def test_too_few_parts_to_split_is_a_sentence(refused, tmp_path):
    ok, ng = small_run.write_pictures(tmp_path / "few", n_ok=5, n_ng=2)
    assert "OK: expected at least 4 different parts to split, got 1" in refused("--ok", ok, "--ng", ng, banks=1)


# --- by method ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_method(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("by_method") / "new"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method_study, "method_names", lambda: ("cutout", "glass-las-own", "graded-spot"))
        assert run(folder, out, "--ok", folder / "ok", "--ng", folder / "ng", "--by", "method", banks=2, splits=6) == 0
    return out


def test_every_method_and_their_mixture_in_one_table(by_method):
    found = json.loads((by_method / "study_methods.json").read_text(encoding="utf-8"))
    assert found["schema"] == "ng0-method-study/1" and [bank["seed"] for bank in found["banks"]] == [0, 1]
    assert set(found["methods"]) == {"cutout", "glass-las-own", "graded-spot", "mixture", "one-shot-diffusion"}
    of_detector = set(found["methods"]["cutout"]["real_auroc"])
    for name, row in found["methods"].items():
        cases = sum(len(bank["one_shot"]["from"]) for bank in found["banks"]) if name == "one-shot-diffusion" else 2
        assert row["splits"] == 6 * cases and set(row["real_auroc"]) == of_detector
        assert all(0 <= area <= 1 for area in row["synthetic_auroc"]) and len(row["n_synthetic"]) == cases
    medians = [row["regret_median"] for row in found["methods"].values()]
    assert medians == sorted(medians, key=lambda median: (median is None, median))
    with Image.open(by_method / "study_methods.png") as picture:
        assert picture.width > 1000


def test_one_shot_cases_are_different_ng_and_those_left_out_say_why(by_method):
    found = json.loads((by_method / "study_methods.json").read_text(encoding="utf-8"))
    for bank in found["banks"]:
        cases, left_out = bank["one_shot"]["from"], bank["one_shot"]["left_out"]
        assert cases and len({case["sha256"] for case in cases}) == len(cases) and len(cases) + len(left_out) <= N_NG
        assert all(case["splits"] == 6 and case["mask_px"] > 0 and case["n_synthetic"] == [20] for case in cases)
        assert all(left_out.values())


def test_one_shot_scores_are_kept(by_method, folder, monkeypatch):
    ws, config = Workspace(by_method / "bank-0"), read_config(folder / "small.json")
    monkeypatch.setattr(one_shot_study, "_made", None)
    detector = load_result(ws, DETECTOR)
    again, _ = one_shot_study.one_shots(ws, detector, config, silent)
    assert all(len(one.scores) == 20 for one in again)


def test_the_graded_method_is_left_out(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(method_study, "method_names", lambda: ("cutout", "graded-spot"))
    asked = []
    monkeypatch.setattr(study_banks, "scored", lambda ws, pictures, config, progress: asked.append(config) or 1 / 0)
    config = replace(read_config(folder / "small.json"), synthesis=SynthesisConfig())
    with pytest.raises(ZeroDivisionError):
        method_study.run_method_study(tmp_path, None, config, banks=1, splits=2, progress=silent)
    assert asked[0].synthesis.methods == ("cutout",) and asked[0].synthesis.mixture == {"cutout": 1.0}
