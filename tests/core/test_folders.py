"""Folders, trees and zips: what is found, what is litter, and what is refused as a whole."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from ias_core import folders
from ias_core.errors import IntakeRefused
from tests import hostile

PICTURE = hostile.encoded(hostile.part(0))


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PICTURE)


def test_litter_is_silent_and_the_rest_is_listed(tmp_path):
    put(tmp_path, "a.png", "sub/b.png", "Thumbs.db", ".DS_Store", "__MACOSX/a.png", "readme.txt")
    assert [f.name for f in folders.scan_folder(tmp_path, label="ok")] == ["a.png", "readme.txt", "sub/b.png"]


def test_subfolders_of_ng_are_kinds(tmp_path):
    put(tmp_path, "scratch/a.png", "dent/deep/b.png", "c.png")
    kinds = {f.name: f.kind for f in folders.scan_folder(tmp_path, label="ng")}
    assert kinds == {"scratch/a.png": "scratch", "dent/deep/b.png": "dent", "c.png": "ng"}


def test_tree(tmp_path):
    put(
        tmp_path,
        *("train/good/0.png", "test/good/0.png", "test/cut/0.png", "test/cut/1.png"),
        *("ground_truth/cut/0_mask.png", "license.txt", "stray.png", "train/bad/1.png"),
    )
    found = {f.name: f for f in folders.scan_tree(tmp_path)}
    assert set(found) == {
        *("train/good/0.png", "test/good/0.png", "test/cut/0.png", "test/cut/1.png"),
        *("stray.png", "train/bad/1.png"),
    }
    good = found["train/good/0.png"]
    assert (good.label, good.part, good.kind, good.mask) == ("ok", "train", "good", None)
    cut = found["test/cut/0.png"]
    assert (cut.label, cut.part, cut.kind) == ("ng", "test", "cut")
    assert cut.mask is not None and cut.mask.name == "0_mask.png"
    assert found["test/cut/1.png"].mask is None
    assert found["stray.png"].label is None and found["train/bad/1.png"].label is None


def test_wrong_folders_say_what_to_do(tmp_path):
    with pytest.raises(IntakeRefused, match="does not exist"):
        folders.scan_folder(tmp_path / "gone", label="ok")
    with pytest.raises(IntakeRefused, match="train/good"):
        folders.scan_tree(tmp_path)


def named(*names: str) -> list[tuple[str, Path]]:
    return [(name, Path(str(i))) for i, name in enumerate(names)]


def test_zip_layouts():
    flat = folders.by_zip(named("a.png", "b.png"))
    assert [f.label for f in flat] == ["ok", "ok"]
    both = folders.by_zip(named("parts/OK/a.png", "parts/NG/cut/b.png", "parts/else/c.png"))
    assert [(f.label, f.kind) for f in both] == [("ok", "good"), ("ng", "cut"), (None, "good")]
    tree = folders.by_zip(named("set/train/good/a.png", "set/test/cut/b.png"))
    assert [(f.label, f.part) for f in tree] == [("ok", "train"), ("ng", "test")]
    assert [f.label for f in folders.by_zip(named("ng/a.png", "ng/b.png"))] == ["ng", "ng"]
    assert folders.by_zip([]) == []


@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/out.png", "C:\\out.png", "..\\out.png"])
def test_paths_that_leave_the_folder(tmp_path, name):
    archive = hostile.zip_of(tmp_path / "x.zip", {"a.png": PICTURE, name: PICTURE})
    (tmp_path / "into").mkdir()
    with pytest.raises(IntakeRefused, match="leaves the folder"):
        folders.extract_zip(archive, tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())


def test_zip_bomb(tmp_path):
    archive = hostile.zip_of(tmp_path / "x.zip", {"bomb.png": bytes(folders._RATIO_FROM_BYTES + 1)})
    with pytest.raises(IntakeRefused, match="zip bomb"):
        folders.extract_zip(archive, tmp_path)


def test_link_encrypted_and_cut_off(tmp_path):
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(IntakeRefused, match="link"):
        folders.extract_zip(tmp_path / "link.zip", tmp_path)

    plain = hostile.zip_of(tmp_path / "plain.zip", {"a.png": PICTURE}).read_bytes()
    marked = bytearray(plain)
    marked[plain.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(marked)
    with pytest.raises(IntakeRefused, match="encrypted"):
        folders.extract_zip(tmp_path / "locked.zip", tmp_path)

    (tmp_path / "cut.zip").write_bytes(plain[: len(plain) // 2])
    with pytest.raises(IntakeRefused, match="cut off"):
        folders.extract_zip(tmp_path / "cut.zip", tmp_path)


def test_a_damaged_member_stops_no_other(tmp_path):
    content = hostile.zip_of(tmp_path / "x.zip", {"a.png": PICTURE, "b.png": PICTURE}).read_bytes()
    broken = bytearray(content)
    broken[200:210] = bytes(10)
    (tmp_path / "x.zip").write_bytes(broken)
    (tmp_path / "into").mkdir()
    found = dict(folders.extract_zip(tmp_path / "x.zip", tmp_path / "into"))
    assert found["b.png"].read_bytes() == PICTURE and found["a.png"].read_bytes() != PICTURE
