"""``cli.py synth``: what lies in the folder, that it can be read elsewhere, and how wrong use is answered."""

import json
import zipfile
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import cli
from ias_core.errors import SynthesisError
from ias_core.folders import scan_folder
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.one_shot import model_facts
from pages.services import dataset, synth, synthesis
from pages.services.artifacts import SYNTHESIS, load_result
from pages.services.contact_sheet import RIM, with_rim
from pages.services.detection import current_detector
from pages.services.progress import silent
from tests.app import small_run
from tests.core.small import pictures

METHODS = ("cutout", "graded-spot", "glass-las-own")
N = 3


@pytest.fixture(scope="module")
def ok(tmp_path_factory) -> Path:
    return small_run.write_pictures(tmp_path_factory.mktemp("parts"), n_ok=6, n_ng=1)[0]


def run(ok: Path, out: Path, *arguments: object, methods: tuple[str, ...] = METHODS) -> int:
    asked = ("synth", "--ok", ok, "--out", out, "--n", N, "--size", 64, "--seed", 1, "--method", *methods, *arguments)
    try:
        return cli.main([str(one) for one in asked])
    except SystemExit as stop:
        return stop.code


@pytest.fixture(scope="module")
def out(ok, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "new"
    assert run(ok, out) == 0
    return out


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def test_pictures_masks_and_sheet_of_every_method(out):
    found = manifest(out)
    assert found["schema"] == "ng0-synthetic/1" and found["n_parents"] == 6 and found["failed"] == {}
    assert list(found["methods"]) == list(METHODS) and len(found["images"]) == N * len(METHODS)
    for row in found["images"]:
        with Image.open(out / row["file"]) as picture, Image.open(out / row["mask"]) as mask:
            assert picture.size == mask.size == (64, 64) and picture.mode == "RGB"
            truth = np.asarray(mask)
        assert set(np.unique(truth)) == {0, 255} and int((truth > 0).sum()) == row["area_px"]
        assert row["parent"].startswith("ok_") and 0 <= row["severity"] <= 1 and row["mean_abs_diff"] > 0
    for method in METHODS:
        with Image.open(out / "contact" / f"{method}.png") as sheet:
            assert sheet.width > 1000


def test_a_picture_differs_from_its_parent_inside_the_mask_alone(ok, out):
    for row in manifest(out)["images"]:
        parent = cv2.resize(cv2.imread(str(ok / row["parent"])), (64, 64), interpolation=cv2.INTER_AREA).astype(int)
        change = np.abs(cv2.imread(str(out / row["file"])).astype(int) - parent).max(2)
        mask = cv2.imread(str(out / row["mask"]), cv2.IMREAD_GRAYSCALE) > 0
        assert change[~mask].max() <= 24, "another parent, or a change outside the mask"  # the resizers differ a little
        assert change[mask].max() >= 1


def test_the_tree_is_read_as_defects_with_masks(out):
    found = scan_folder(out / "test", label="ng")
    assert len(found) == N * len(METHODS) and {file.kind for file in found} == set(METHODS)


def test_same_seed_same_files(ok, out, tmp_path):
    assert run(ok, tmp_path / "again") == 0
    for path in sorted(out.rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(out)).read_bytes(), path.name
    first, again = manifest(out), manifest(tmp_path / "again")
    for found in (first, again):
        for method in found["methods"].values():
            method.pop("seconds"), method.pop("peak_memory_bytes")
    assert first == again


def test_dials_reach_every_method_that_has_them(ok, tmp_path):
    assert run(ok, tmp_path / "dialled", "--severity", 0.5, "--defect-px", 8) == 0
    found = manifest(tmp_path / "dialled")
    assert {row["severity"] for row in found["images"]} == {0.5}
    assert found["methods"]["glass-las-own"]["size_px_asked"] is None  # it has no size
    assert found["methods"]["cutout"]["size_px_asked"] == 8
    assert all(4 < row["size_px"] < 10 for row in found["images"] if row["method"] != "glass-las-own")


def test_a_method_that_cannot_make_any_costs_the_others_nothing(ok, tmp_path, monkeypatch, capsys):
    made = synth.make

    def one_fails(name, *rest, **named):
        if name == "cutout":
            raise SynthesisError("cutout: 20 draws made no visible defect")
        return made(name, *rest, **named)

    monkeypatch.setattr(synth, "make", one_fails)
    assert run(ok, tmp_path / "out") == 0
    assert "cutout: none made: cutout: 20 draws" in capsys.readouterr().out
    found = manifest(tmp_path / "out")
    assert list(found["methods"]) == ["graded-spot", "glass-las-own"] and list(found["failed"]) == ["cutout"]


def test_nothing_made_at_all_is_an_error(ok, tmp_path, capsys):
    assert run(ok, tmp_path / "out", "--severity", 0.0, methods=("cutout",)) == 1
    assert "no method could make a visible defect" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", 8), "32 to 1024 px a side"),
        (("--n", 0), "1 to 2000 pictures"),
        (("--severity", 2), "severity"),
        (("--defect-px", -1), "size_px"),
    ],
)
def test_wrong_numbers_are_one_line(ok, tmp_path, capsys, arguments, words):
    assert run(ok, tmp_path / "out", *arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_an_unknown_method_names_the_nearest(ok, tmp_path, capsys):
    assert run(ok, tmp_path / "out", methods=("cutuot",)) == 1
    assert "did you mean: cutout" in capsys.readouterr().err


def test_unreadable_pictures_are_named_and_an_empty_folder_is_refused(tmp_path, capsys):
    folder = tmp_path / "parts"
    folder.mkdir()
    assert run(folder, tmp_path / "out") == 1
    assert "at least one readable picture" in capsys.readouterr().err
    small_run.write_pictures(tmp_path / "good", n_ok=2, n_ng=1)[0].rename(folder / "a")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert run(folder, tmp_path / "out", methods=("cutout",)) == 0
    assert "refused: torn.png" in capsys.readouterr().out


def test_all_means_every_registered_method(monkeypatch, ok, tmp_path):
    monkeypatch.setattr(synth, "method_names", lambda given=(): METHODS)
    assert run(ok, tmp_path / "out", methods=("all",)) == 0
    assert list(manifest(tmp_path / "out")["methods"]) == list(METHODS)


def test_the_workspace_synthesis_as_a_zip(built):
    result = load_result(small_run.copy_of(built, built.parent / "zip"), SYNTHESIS)
    first, again = (dataset.zip_bytes(*dataset.of_result(result)) for _ in range(2))
    assert first == again
    with zipfile.ZipFile(BytesIO(first)) as archive:
        found = json.loads(archive.read("manifest.json"))
        names = set(archive.namelist())
    assert found["synthesis"] == result.digest
    for row in found["images"]:
        assert {row["file"], row["mask"]} <= names and row["score"] > 0 and len(row["parent_sha256"]) == 64
        assert not row.get("rejected_because")


def test_the_rim_lies_outside_the_mask():
    mask = np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    drawn = with_rim(np.zeros((9, 9, 3), np.float32), mask)
    around = (drawn == RIM).all(2)
    assert around.sum() == 16 and not (around & mask).any()


@dataclass(frozen=True)
class Blind:
    """A method that makes nothing on this product."""

    has_size = False
    needs = ()
    has_control = False

    def __call__(self, images, **asked):
        raise SynthesisError("blind: 20 draws made no visible defect")


def test_a_method_that_fails_in_a_run_is_left_out_with_its_reason(built, tmp_path, monkeypatch):
    ws = small_run.copy_of(built, tmp_path / "ws")
    config = small_run.CONFIG
    detector = current_detector(ws, config)
    monkeypatch.setitem(synthesizers._entries, "blind", Blind)
    beside = replace(config, synthesis=replace(config.synthesis, methods=("glass-las-own", "blind"), graded=""))
    result = synthesis.synthesize(ws, detector, beside, silent)
    assert list(result.sets) == ["glass-las-own"] and "blind: 20 draws" in result.meta["failed"]["blind"]
    alone = replace(config, synthesis=replace(config.synthesis, methods=("blind",), primary="blind"))
    with pytest.raises(SynthesisError, match="blind"):
        synthesis.synthesize(ws, detector, alone, silent)


def test_a_part_that_offers_no_place_hands_on_to_the_next():
    """CutOut on black is no defect: the black picture is passed over."""
    images = np.stack([np.zeros((64, 64, 3), np.float32), pictures(1, 64)[0]])
    made = synthesizers["cutout"]()(images, count=3, seed=0)
    assert made.parents.tolist() == [1, 1, 1]
    with pytest.raises(SynthesisError, match="cutout: 20 draws"):
        synthesizers["cutout"]()(images[:1], count=1, seed=0)


# --- from one real NG -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def product(tmp_path_factory) -> Path:
    """``ok`` with 12 good plates, ``ng`` with scratched ones, and ``mask.png`` of the first of those."""
    root = tmp_path_factory.mktemp("product")
    small_run.write_pictures(root, n_ok=12, n_ng=2)
    good, scratched = small_run.plate(1001).astype(int), small_run.scratched(1001).astype(int)
    Image.fromarray((np.abs(scratched - good).max(2) > 0).astype(np.uint8) * 255).save(root / "mask.png")
    return root


def from_ng(product: Path, out: Path, *arguments: object) -> int:
    asked = [
        "synth",
        "--ok",
        product / "ok",
        "--ng",
        product / "ng" / "ng_01.png",
        "--out",
        out,
        "--size",
        64,
        "--n",
        6,
    ]
    return cli.main([str(one) for one in [*asked, "--method", "one-shot-diffusion", "--seed", 1, *arguments]])


def test_one_ng_with_its_mask_becomes_many(product, tmp_path):
    assert from_ng(product, tmp_path, "--mask", product / "mask.png") == 0
    found = manifest(tmp_path)
    assert found["ng"]["file"] == "ng_01.png" and found["ng"]["mask"] == "uploaded" and found["n_parents"] == 12
    assert len(found["images"]) == 6 and {row["settings"]["source"] for row in found["images"]} == {"ng_01.png"}
    assert (tmp_path / "contact" / "one-shot-diffusion.png").is_file()


def test_without_a_mask_the_detector_proposes_one_and_its_memory_bank_gets_no_defects(product, tmp_path):
    assert from_ng(product, tmp_path) == 0
    found = manifest(tmp_path)
    assert found["ng"]["mask"] == "proposed" and found["n_parents"] < 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "one-shot-diffusion"], "name its picture with --ng"),
        (["--method", "cutout", "--mask", "mask.png"], "--mask goes with --ng"),
        (["--method", "one-shot-diffusion", "--ng", "gone.png"], "there is no such file"),
        (["--method", "cutout", "--train-minutes", 0], "--train-minutes above 0"),
        (["--method", "tf-idg"], "needs diffusion weights"),
    ],
)
def test_what_an_ng_lacks_is_one_line(product, tmp_path, capsys, arguments, words):
    assert cli.main([str(one) for one in ["synth", "--ok", product / "ok", "--out", tmp_path, *arguments]]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1, error


def test_an_ng_of_another_size_is_refused(product, tmp_path, capsys):
    Image.open(product / "ng" / "ng_01.png").resize((48, 48)).save(tmp_path / "small.png")
    asked = ["synth", "--ok", product / "ok", "--out", tmp_path / "out", "--method", "one-shot-diffusion"]
    assert cli.main([str(one) for one in [*asked, "--ng", tmp_path / "small.png", "--mask", product / "mask.png"]]) == 1
    assert "48 x 48 px and the good parts are 96 x 96 px" in capsys.readouterr().err


def test_a_soft_defect_is_redrawn_by_a_model_that_never_saw_its_good_part(product, tmp_path, capsys, monkeypatch):
    asked = ("--mask", product / "mask.png", "--softness", 20, "--train-minutes", 0.03)
    assert from_ng(product, tmp_path, *asked) == 1  # two seconds teach too little
    assert "train longer, or use the instant mode" in capsys.readouterr().err
    monkeypatch.setattr(model_facts, "MOST_OK_CHANGE", 255.0)
    assert from_ng(product, tmp_path, *asked) == 0
    found = manifest(tmp_path)
    assert "changes good parts it never saw by" in capsys.readouterr().out and found["n_parents"] == 6
    assert len(found["methods"]["one-shot-diffusion"]["made_with"]["pixel_model"]) == 64
    before = (tmp_path / "pixel_model.safetensors").stat().st_mtime_ns
    assert from_ng(product, tmp_path, *asked) == 0  # the kept one
    assert (tmp_path / "pixel_model.safetensors").stat().st_mtime_ns == before
