"""Sets made elsewhere: every file is answered, no name leaves its folder, the good part behind a picture is found."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ias_core.errors import IasError, ImageRefused, IntakeRefused
from ias_core.twins import print_of
from pages.services import dataset, foreign_set, foreign_take
from pages.services.artifacts import SYNTHESIS, load_result
from pages.services.foreign_files import arranged
from pages.services.foreign_manifest import MOST_MANIFEST_BYTES
from pages.services.foreign_parents import EXACT, NAMED, NEAR, NONE, ParentFinder
from pages.services.foreign_take import take, take_upload
from pages.services.ledger import Ledger
from tests import hostile
from tests.app import small_run
from tests.app.foreign import SIDE, SQUARE, answers_of, at, manifest, on_parts, pixels_of, png, spotted, written

GOOD = spotted(small_run.plate(700))


def names(*files: str) -> list[tuple[str, Path]]:
    return [(name, Path("/") / name) for name in files]


def kept_sets(ws) -> list[Path]:
    return sorted(ws.images.glob("foreign-*"))


# --- which file is what


@pytest.mark.parametrize(
    "files",
    [
        ("images/a.png", "masks/a.png"),
        ("images/a.png", "masks/a_mask.png"),
        ("images/a.png", "images/a_mask.png"),
        ("a.png", "a_mask.png"),
        ("a.jpg", "a_mask.png"),
        ("test/scratch/a.png", "ground_truth/scratch/a_mask.png"),
        ("my set/images/a.png", "my set/masks/a.png"),
        ("images/x/a.png", "masks/x/a.png", "control/a.png"),
    ],
)
def test_every_layout_pairs_a_picture_with_its_mask(files):
    found = arranged(names(*files))
    assert [one.path.as_posix() for one in found.pictures] == [f"/{files[0]}"]
    assert [one.mask.as_posix() for one in found.pictures] == [f"/{files[1]}"]
    assert not found.refused and len(found.control) == len(files) - 2


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        (("images/a.png",), {"images/a.png": "no mask"}),
        (("images/a.png", "masks/b.png"), {"images/a.png": "no mask", "masks/b.png": "no picture has"}),
        (("images/a.png", "masks/a.png", "masks/a_mask.png"), {"images/a.png": "two masks"}),
        (("a.png", "a.bmp", "a_mask.png"), {"a.png": "share its mask", "a.bmp": "share its mask"}),
        (("a.png", "a_mask.png", "read me.txt"), {"read me.txt": "manifest.json or manifest.csv"}),
        (("a.png", "a_mask.png", "contact/all.png"), {"contact/all.png": "contact sheet"}),
        (("é.png", "e\u0301.png", "é_mask.png"), {"e\u0301.png": "other characters"}),
        (("a.png", "a_mask.png", "b\udcff.png"), {"b\\udcff.png": "cannot be shown"}),
    ],
)
def test_what_does_not_fit_is_answered_by_name(files, refused):
    found = arranged(names(*files))
    assert {one.name for one in found.refused} == set(refused)
    for one in found.refused:
        assert refused[one.name] in one.reason


def test_a_name_spelled_in_two_characters_is_the_manifests_name(tmp_path):
    files = {"images/e\u0301.png": b"", "masks/é.png": b"", "manifest.json": manifest({"file": "images/é.png"})}
    written(tmp_path, files)
    (one,) = arranged([(name, tmp_path / name) for name in files]).pictures
    assert one.path == tmp_path / "images/e\u0301.png" and one.mask == tmp_path / "masks/é.png"


# --- manifests


def listed(tmp_path, name: str, text: str | bytes, *files: str):
    content = text if isinstance(text, bytes) else text.encode()
    written(tmp_path, {name: content})
    return arranged([(name, tmp_path / name), *names(*files)])


def test_csv_and_json_say_the_same(tmp_path):
    row = {"file": "a.png", "mask": "m/1.png", "parent": "ok.png", "method": "crack", "severity": 0.5}
    by_json = listed(
        tmp_path / "j", "manifest.json", manifest(row | {"seed_ng": ["x.png", "y.png"]}), "a.png", "m/1.png"
    )
    for separator in (",", ";"):
        lines = [separator.join(row), separator.join(map(str, row.values()))]
        lines = [lines[0] + separator + "seed_ng", lines[1] + separator + "x.png|y.png"]
        text = "\ufeff" + "\r\n".join(lines)
        by_csv = listed(tmp_path / separator, "manifest.csv", text, "a.png", "m/1.png")
        assert by_csv.pictures == by_json.pictures and not by_csv.refused
    (one,) = by_json.pictures
    assert one.mask == Path("/m/1.png") and one.row.seed_ng == ("x.png", "y.png") and one.row.severity == 0.5


def test_no_name_in_a_manifest_becomes_a_path(ws, tmp_path):
    """The secret lies where the manifest points; were it read, it would be taken as picture or mask."""
    written(tmp_path, {"secret.png": png(GOOD), "secret_mask.png": png(SQUARE)})
    rows = [
        {"file": "../secret.png", "mask": "../secret_mask.png"},
        {"file": str(tmp_path / "secret.png"), "mask": str(tmp_path / "secret_mask.png")},
        {"file": "images/a.png", "mask": "../secret_mask.png"},
        {"file": "images/b.png", "mask": "images/b.png"},
        {"file": "images/c.png"},
    ]
    files = {f"images/{name}.png": png(spotted(small_run.plate(700 + i))) for i, name in enumerate("abc")}
    files |= {"masks/c.png": png(SQUARE), "manifest.json": manifest(*rows)}
    foreign = take(ws, written(tmp_path / "set", files))
    assert [one.name for one in foreign.entries] == ["images/c.png"]
    answers = answers_of(foreign)
    assert "no such file" in answers["../secret.png"] and "no such file" in answers[str(tmp_path / "secret.png")]
    assert "no file of the folder" in answers["images/a.png"] and "the picture itself" in answers["images/b.png"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("manifest.json", "{", "cannot be read"),
        ("manifest.json", b"\xff\xfe", "cannot be read"),
        ("manifest.json", "[" * 100_000, "cannot be read"),
        ("manifest.json", '{"images": 3}', "list of pictures"),
        ("manifest.json", '[{"mask": "a"}]', "Picture 1 of the manifest has no 'file'"),
        ("manifest.json", '[{"file": "a.png"}, {"file": "./a.png"}]', "lists a.png twice"),
        ("manifest.json", '[{"file": "a.png", "severity": NaN}]', "severity nan"),
        ("manifest.json", '[{"file": "a.png", "severity": 7}]', "severity 7"),
        ("manifest.json", '[{"file": "a.png", "severity": true}]', "severity True"),
        ("manifest.json", '[{"file": "a.png", "parent": {"x": 1}}]', "expected a text"),
        ("manifest.json", '[{"file": "a.png", "method": "![x](http://a)"}]', "expected up to 60 letters"),
        ("manifest.csv", "file,severity\na.png,strong", "expected a number"),
        ("manifest.csv", "file\na.png,b.png", "more cells than its head"),
        ("manifest.csv", "picture\na.png", "has no 'file'"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_refused(tmp_path, name, text, reason):
    with pytest.raises(IntakeRefused, match=reason):
        listed(tmp_path, name, text, "a.png", "a_mask.png")


def test_two_manifests_and_a_giant_one_are_refused(tmp_path):
    written(tmp_path, {"manifest.json": b"[]", "manifest.csv": b"file"})
    with pytest.raises(IntakeRefused, match="Expected one manifest"):
        arranged([(name, tmp_path / name) for name in ("manifest.json", "manifest.csv")])
    with open(tmp_path / "manifest.json", "wb") as file:
        file.truncate(MOST_MANIFEST_BYTES + 1)
    with pytest.raises(IntakeRefused, match="over 16 MB"):
        arranged([("manifest.json", tmp_path / "manifest.json")])


def test_what_the_manifest_does_not_list_is_answered_and_odd_columns_are_told(tmp_path):
    found = listed(
        tmp_path, "manifest.json", manifest({"file": "a.png", "prompt": "x"}), "a.png", "a_mask.png", "b.png"
    )
    assert [(one.name, one.reason) for one in found.refused] == [("b.png", "the manifest does not list it")]
    assert found.manifest.unused == ("prompt",)


# --- files


def test_a_hostile_folder_is_answered_file_by_file(ws, tmp_path):
    ng = Ledger(ws).records(label="ng")[0]
    mask = png(SQUARE)
    expected: dict[str, str | None] = {}
    files: dict[str, bytes] = {}

    def put(stem: str, picture: bytes, of: bytes, reason: str | None = None) -> None:
        files[f"images/{stem}.png"], files[f"masks/{stem}.png"] = picture, of
        expected[f"images/{stem}.png"] = reason

    def plate(i: int) -> np.ndarray:
        return spotted(small_run.plate(700 + i))

    deep = plate(1).astype(np.uint16) * 257
    put("部品 № 1 – été", png(plate(0)), mask)
    put("16 bit", cv2.imencode(".png", deep)[1].tobytes(), mask)
    put("half size", png(plate(2)[::2, ::2]), png(SQUARE[::2, ::2]))
    put("other size", png(plate(3)[:60]), png(SQUARE[:60]), "good parts are 96 x 96 px")
    put("mask of other size", png(plate(4)), png(SQUARE[:-1]), "its mask: it is 96 x 95 px")
    put("black mask", png(plate(5)), png(SQUARE & False), "black all over")
    put("white mask", png(plate(6)), png(SQUARE | True), "marks the whole picture")
    put("inverted mask", png(plate(7)), png(~SQUARE), "marks 98 % of the picture")
    put("no picture", b"text", mask, "not a PNG")
    put("no mask picture", png(plate(8)), b"text", "its mask: this is not a PNG")
    put("bomb", hostile._claims(30_000, 30_000), mask, "30,000 x 30,000 px")
    put("bomb as mask", png(plate(9)), hostile._claims(12_000, 12_000), "144 million")
    put("部品 № 2 – twice", png(plate(0)), png(at(5, 5)), "same picture as")
    put("copy of an NG", ng.path.read_bytes(), mask, f"near twin of the real NG {ng.name}")
    put("NG as JPEG", png(np.clip(pixels_of(ng) * 0.9, 0, 255).astype(np.uint8), "JPEG", quality=92), mask, ng.name)
    foreign = take(ws, written(tmp_path / "set", files))
    assert {one.name for one in foreign.entries} == {name for name, reason in expected.items() if reason is None}
    answers = answers_of(foreign)
    assert set(answers) == {name for name, reason in expected.items() if reason is not None}
    for name, reason in answers.items():
        assert expected[name] in reason, f"{name}: {reason}"
    one = next(one for one in foreign.entries if "部品" in one.name)
    assert np.array_equal(foreign.mask(one), SQUARE)  # not that of the second file of the same picture


def test_masks_in_every_dress_mean_the_same(ws, tmp_path):
    colour = np.zeros((SIDE, SIDE, 3), np.uint8)
    colour[SQUARE] = 128, 0, 0
    alpha = np.dstack([np.full((SIDE, SIDE, 3), 255, np.uint8), SQUARE.astype(np.uint8) * 255])
    labels = Image.fromarray(SQUARE.astype(np.uint8), "P")
    labels.putpalette([0, 0, 0, 0, 128, 0])
    palette = io.BytesIO()
    labels.save(palette, "PNG")
    dresses = {
        "one bit": png(SQUARE),
        "0 and 1": png(SQUARE.astype(np.uint8)),
        "0 and 255": png(SQUARE.astype(np.uint8) * 255),
        "RGB": png(colour),
        "alpha": png(alpha),
        "palette": palette.getvalue(),
        "16 bit": png(SQUARE.astype(np.uint16) * 1000),
        "JPEG": png(SQUARE.astype(np.uint8) * 255, "JPEG", quality=60),
    }
    files = {f"masks/{name}.png": content for name, content in dresses.items()}
    files |= {f"images/{name}.png": png(spotted(small_run.plate(700 + i))) for i, name in enumerate(dresses)}
    foreign = take(ws, written(tmp_path / "set", files))
    assert len(foreign.entries) == len(dresses) and not foreign.refused
    for one in foreign.entries:
        away = foreign.mask(one) ^ SQUARE
        assert not (away.any() if "JPEG" not in one.name else (away & ~_rim(SQUARE)).any()), one.name


def _rim(mask: np.ndarray) -> np.ndarray:
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) - cv2.erode(
        mask.astype(np.uint8), np.ones((3, 3), np.uint8)
    )
    return grown.astype(bool)


def test_classes_in_a_mask_are_all_defect(ws, tmp_path):
    classes = SQUARE.astype(np.uint8) + at(70, 10).astype(np.uint8) * 2
    foreign = take(ws, written(tmp_path / "set", {"a.png": png(GOOD), "a_mask.png": png(classes)}))
    assert np.array_equal(foreign.mask(foreign.entries[0]), classes > 0)


def test_squares_of_a_line_that_is_not_square_need_a_word(ws, tmp_path):
    with ws.transaction() as db:
        db.execute("UPDATE images SET width = 128 WHERE label = 'ok'")
    source = written(tmp_path / "set", {"a.png": png(GOOD), "a_mask.png": png(SQUARE)})
    with pytest.raises(IntakeRefused) as refused:
        take(ws, source)
    assert "128 x 96 px" in refused.value.rejected[0].reason and "squeezed" in refused.value.rejected[0].reason
    assert not kept_sets(ws)
    assert len(take(ws, source, squeezed=True).entries) == 1


def test_controls_are_drawn_and_no_photographs(ws, tmp_path):
    ok, ng = (Ledger(ws).records(label=label)[0] for label in ("ok", "ng"))
    files = {"a.png": png(GOOD), "a_mask.png": png(SQUARE), "control/drawn.png": png(small_run.plate(800))}
    files |= {"control/ok.png": ok.path.read_bytes(), "control/ng.png": ng.path.read_bytes()}
    foreign = take(ws, written(tmp_path / "set", files))
    assert [one.name for one in foreign.control] == ["control/drawn.png"]
    answers = answers_of(foreign)
    assert f"good part {ok.name}" in answers["control/ok.png"] and f"real NG {ng.name}" in answers["control/ng.png"]


def test_no_good_parts_no_set(empty_ws, tmp_path):
    with pytest.raises(IntakeRefused, match="no good parts"):
        take(empty_ws, tmp_path)


@pytest.mark.parametrize(("source", "reason"), [("nowhere", "does not exist"), ("a.txt", "not a zip file")])
def test_neither_folder_nor_zip(ws, tmp_path, source, reason):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(IntakeRefused, match=reason):
        take(ws, tmp_path / source)
    assert not kept_sets(ws)


def test_more_pictures_than_a_set_may_have(ws, tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_take, "MOST_PICTURES", 1)
    with pytest.raises(IntakeRefused, match="at most 1 pictures, but found 2"):
        take(ws, written(tmp_path / "set", on_parts(Ledger(ws).records(role="calibration_ok")[:2])))


# --- zips


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_is_read_like_its_folder_and_not_kept(ws, tmp_path):
    files = on_parts(Ledger(ws).records(role="calibration_ok")[:3])
    by_folder = take(ws, written(tmp_path / "set", files))
    before = {path for path in ws.root.rglob("*") if by_folder.folder not in path.parents}
    by_zip = take_upload(ws, "C:\\sets\\set.zip", zipped({f"any/{name}": content for name, content in files.items()}))
    assert by_zip == by_folder and by_zip.digest == by_folder.digest and by_zip.name == "set"
    assert {path for path in ws.root.rglob("*") if by_folder.folder not in path.parents} == before


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"../a.png": png(GOOD), "a_mask.png": png(SQUARE)}, "leaves the folder"),
        ({"a.png": bytes(80 * 2**20)}, "zip bomb"),
    ],
)
def test_a_hostile_zip_leaves_nothing_behind(ws, files, reason):
    before = sorted(ws.root.rglob("*"))
    with pytest.raises(IntakeRefused, match=reason):
        take_upload(ws, "set.zip", zipped(files))
    assert sorted(ws.root.rglob("*")) == before


# --- kept


def test_a_set_is_there_whole_or_not_at_all(ws, tmp_path, monkeypatch):
    source = written(tmp_path / "set", on_parts(Ledger(ws).records(role="calibration_ok")[:3]))
    before = sorted(ws.root.rglob("*"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(foreign_set.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        take(ws, source)
    monkeypatch.undo()
    assert sorted(ws.root.rglob("*")) == before
    foreign = take(ws, source)
    shutil.rmtree(source)
    again = foreign_set.load(ws, foreign.digest)
    assert again == foreign and again.folder == foreign.folder
    for i, one in enumerate(again.entries):
        assert np.array_equal(again.mask(one), at(8 + 11 * i, 8 + 13 * i))
        assert again.picture(one, SIDE)[8 + 11 * i, 8 + 13 * i, 0] == np.float32(250 / 255)
        assert hashlib.sha256((again.folder / one.file).read_bytes()).hexdigest() == one.sha256
    files = {file for one in again.entries for file in (one.file, one.mask_file)}
    assert {path.name for path in again.folder.iterdir()} == {"set.json", *files}


def test_what_was_changed_in_the_workspace_is_told(ws, tmp_path):
    foreign = take(ws, written(tmp_path / "set", on_parts(Ledger(ws).records(role="calibration_ok")[:2])))
    one = foreign.entries[0]
    (foreign.folder / one.file).write_bytes(png(GOOD))
    with pytest.raises(ImageRefused, match="changed"):
        foreign.picture(one, 64)
    (foreign.folder / one.mask_file).write_bytes(png(~SQUARE))
    with pytest.raises(ImageRefused, match="mask has changed"):
        foreign.mask(one)
    values = json.loads((foreign.folder / "set.json").read_text())
    (foreign.folder / "set.json").write_text(json.dumps(values | {"grey_line": False}))
    with pytest.raises(IasError, match="was changed in the workspace"):
        foreign_set.load(ws, foreign.digest)
    foreign_set.forget(ws, foreign.digest)
    with pytest.raises(IasError, match="import it again"):
        foreign_set.load(ws, foreign.digest)
    with pytest.raises(IasError, match="64 hex digits"):
        foreign_set.load(ws, "../../etc")


# --- the good part behind a picture


def test_the_good_part_is_found_exactly_nearly_or_not(ws, tmp_path):
    ok = Ledger(ws).records(label="ok")
    rng = np.random.default_rng(0)
    files = {}
    for i, part in enumerate(ok[:12]):
        child = spotted(pixels_of(part), at(20 + i, 30))
        if i >= 8:
            child = np.clip(child + rng.normal(0, 2, child.shape), 0, 255).astype(np.uint8)
        elif i >= 4:
            child = np.clip(child.astype(int) + 6, 0, 255).astype(np.uint8)  # brighter all over
        files[f"images/{i:02d}.png"], files[f"masks/{i:02d}.png"] = png(child), png(at(20 + i, 30))
    for i in range(12, 18):
        files[f"images/{i:02d}.png"] = png(spotted(small_run.plate(9000 + i), at(20 + i, 30)))
        files[f"masks/{i:02d}.png"] = png(at(20 + i, 30))
    foreign = take(ws, written(tmp_path / "set", files))
    assert [one.match for one in foreign.entries] == [EXACT] * 4 + [NEAR] * 8 + [NONE] * 6
    assert [one.parent for one in foreign.entries] == [part.sha256 for part in ok[:12]] + [""] * 6


def finder_of(pictures: list[np.ndarray], groups: list[str] | None = None) -> ParentFinder:
    greys = np.stack([print_of(picture).grey for picture in pictures])
    groups = groups or [str(i) for i in range(len(pictures))]
    return ParentFinder(greys, groups, lambda i: pictures[i].astype(np.float32) / 255)


def look(finder: ParentFinder, picture: np.ndarray, mask: np.ndarray = SQUARE, named: int = -1) -> tuple[int, str]:
    return finder(picture.astype(np.float32) / 255, print_of(picture).grey, mask, named)


def test_nearly_is_nearer_than_any_two_good_parts_are():
    """The rule once more, pair by pair: pictures of growing noise, on 25 plates."""
    plates = [small_run.plate(i) for i in range(25)]
    finder = finder_of(plates)
    outside = cv2.dilate(SQUARE.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    small = cv2.resize(outside.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) == 1

    def rows_of(picture: np.ndarray) -> np.ndarray:
        row = print_of(picture).grey[small].astype(float)
        return row - row.mean()

    rows = [rows_of(plate) for plate in plates]
    least = min(((a - b) ** 2).sum() for i, a in enumerate(rows) for b in rows[:i])
    rng = np.random.default_rng(3)
    seen = set()
    for sigma in (4, 16, 24, 32, 40, 64):
        child = np.clip(plates[7] + rng.normal(0, sigma, plates[7].shape), 0, 255).astype(np.uint8)
        distance = ((rows_of(child) - rows[7]) ** 2).sum()
        expected = (7, NEAR) if distance < least else (-1, NONE)
        assert look(finder, child) == expected
        seen.add(expected)
    assert len(seen) == 2


def test_few_good_parts_know_only_exact_matches_and_twins_are_one_part():
    plates = [small_run.plate(i) for i in range(19)]
    child = np.clip(plates[3].astype(int) + 4, 0, 255).astype(np.uint8)
    assert look(finder_of(plates), child) == (3, NEAR)
    assert look(finder_of(plates[:18]), child) == (-1, NONE)
    assert look(finder_of(plates[:18]), spotted(plates[3])) == (3, EXACT)
    twin = np.clip(plates[0].astype(int) + 1, 0, 255).astype(np.uint8)
    assert look(finder_of([*plates, twin], [*map(str, range(19)), "0"]), child) == (3, NEAR)


def test_brightness_alone_makes_no_other_part():
    """On a line whose pictures differ in brightness, as electroluminescence does, and by a generator that shifts it."""
    plates = [np.clip(small_run.plate(i) + (i % 7 - 3) * 12.0, 0, 255).astype(np.uint8) for i in range(25)]
    finder = finder_of(plates)
    for i in (0, 3, 6):
        child = np.clip(plates[i].astype(int) + (15 if i < 5 else -15), 0, 255).astype(np.uint8)
        assert look(finder, child) == (i, NEAR)


def test_a_feathered_border_is_exact_and_a_far_change_is_not():
    plates = [small_run.plate(i) for i in range(20)]
    child = spotted(plates[5])
    child[39, 38:50] += 9  # one px beyond the mask
    assert look(finder_of(plates), child) == (5, EXACT)
    child[5, 5] ^= 8
    assert look(finder_of(plates), child) == (5, NEAR)


def test_a_named_good_part_is_believed_and_measured(ws, tmp_path):
    ok = Ledger(ws).records(label="ok")
    strange = [spotted(small_run.plate(7000 + i)) for i in range(5)]
    rows = [
        {"file": "0.png", "parent": ok[0].sha256},
        {"file": "1.png", "parent": ok[1].name},
        {"file": "2.png", "parent": "unheard of.png"},
        {"file": "3.png", "parent": ok[3].name},
        {"file": "4.png", "parent": Ledger(ws).records(label="ng")[0].name},
    ]
    files = {f"{i}.png": png(picture) for i, picture in enumerate(strange)} | {"3.png": png(spotted(pixels_of(ok[3])))}
    files |= {f"{i}_mask.png": png(SQUARE) for i in range(5)} | {"manifest.json": manifest(*rows)}
    foreign = take(ws, written(tmp_path / "set", files))
    assert [one.match for one in foreign.entries] == [NAMED, NAMED, NONE, EXACT]
    assert [one.parent for one in foreign.entries] == [ok[0].sha256, ok[1].sha256, "", ok[3].sha256]
    assert "made on the real NG ng_00.png" in answers_of(foreign)["4.png"]


def test_this_products_own_data_set_comes_back(ws, tmp_path):
    """Written at 64 px from parts of 96 px: the good part is found in the way this product makes pictures small."""
    result = load_result(ws, SYNTHESIS)
    sets, about = dataset.of_result(result)
    sets = [dataset.MethodSet(one.method, one.images[:4], one.masks[:4], one.rows[:4], one.facts) for one in sets]
    dataset.write_tree(tmp_path / "set", sets, about)
    listed = json.loads((tmp_path / "set" / "manifest.json").read_text())["images"]
    foreign = take(ws, tmp_path / "set")
    wanted = [row for row in listed if row["method"] != "graded-spot"]
    assert {one.name: (one.parent, one.method, one.severity) for one in foreign.entries} == {
        row["file"]: (row["parent_sha256"], row["method"], row["severity"]) for row in wanted
    }
    assert {one.match for one in foreign.entries} == {EXACT}
    answers = answers_of(foreign)
    assert sum("missed in part" in reason for reason in answers.values()) == len(listed) - len(wanted)
    assert sum("contact sheet" in reason for reason in answers.values()) == 3
    unnamed = [{key: row[key] for key in ("file", "mask")} for row in wanted]
    (tmp_path / "set" / "manifest.json").write_bytes(manifest(*unnamed))
    assert {one.match for one in take(ws, tmp_path / "set").entries} == {EXACT}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_folder_is_answered_and_not_followed(ws, tmp_path):
    source = written(tmp_path / "set", on_parts(Ledger(ws).records(role="calibration_ok")[:1]))
    (source / "images" / "loop.png").symlink_to(source)
    assert "no mask" in answers_of(take(ws, source))["images/loop.png"]
