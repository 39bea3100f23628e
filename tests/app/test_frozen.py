"""The frozen pictures of a record: every change, addition and removal is found."""

import json
import os
import shutil

import numpy as np
import pytest

from pages.services import intake
from pages.services.frozen import differences, differences_in, freeze, stats_of
from pages.services.ledger import Ledger
from pages.services.workspace import Workspace
from tests.app import small_run


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory):
    """Workspace and picture folder of 8 OK and 2 NG pictures, one in a folder of its own."""
    root = tmp_path_factory.mktemp("frozen")
    ok, ng = small_run.write_pictures(root / "pictures", n_ok=8, n_ng=2)
    (ok / "monday").mkdir()
    (ok / "ok_00.png").rename(ok / "monday" / "ok_00.png")
    ws = Workspace(root / "workspace")
    intake.import_folders(ws, ok, ng)
    return ws, root / "pictures"


@pytest.fixture
def pictures(taken_in, tmp_path):
    """A copy of the pictures, and what was frozen of it."""
    ws, folder = taken_in
    frozen = json.loads(json.dumps(freeze(Ledger(ws).records())).replace(str(folder), str(tmp_path / "pictures")))
    shutil.copytree(folder, tmp_path / "pictures")
    return tmp_path / "pictures", frozen


def test_what_was_not_touched_is_not_named(pictures):
    folder, frozen = pictures
    assert [sorted(one["files"]) for one in frozen["folders"]] == [
        ["ng_00.png", "ng_01.png"],
        ["monday/ok_00.png", *(f"ok_{i:02d}.png" for i in range(1, 8))],
    ]
    (folder / "ok" / "notes.txt").write_text("no picture")
    assert differences(frozen) == differences(frozen, stats_of(frozen)) == differences_in(folder, frozen) == []


def test_every_change_of_every_picture_is_found(pictures):
    """A byte changed, one cut off, one added; the file removed; put under another name: of each picture."""
    folder, frozen = pictures
    rng = np.random.default_rng(0)
    files = sorted(folder.rglob("*.png"))
    assert len(files) == 10
    stats = stats_of(frozen)
    for file in files:
        data = file.read_bytes()
        i = int(rng.integers(len(data)))
        for other in (data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :], data[:-1], data + b"\0", b""):
            file.write_bytes(other)
            assert [file.stem in told for told in differences(frozen)] == [True]
            assert len(differences_in(folder, frozen)) == 2  # gone, and there is one that nobody knows
        os.utime(file, ns=(1, 1))
        assert len(differences(frozen, stats)) == 1
        file.unlink()
        assert "removed" in differences(frozen)[0] and len(differences_in(folder, frozen)) == 1
        file.with_name("renamed.png").write_bytes(data)
        assert len(differences(frozen)) == 2 and differences_in(folder, frozen) == []
        file.with_name("renamed.png").rename(file)
    assert differences(frozen) == []


@pytest.mark.parametrize("where", ["ok", "ng", "ok/monday", "ok/a/new/folder"])
def test_an_added_picture_is_found_wherever_it_is_put(pictures, where):
    folder, frozen = pictures
    (folder / where).mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "ok" / "ok_01.png", folder / where / "added.JPG")
    (told,) = differences(frozen)
    assert "added.JPG was added" in told
    (told,) = differences_in(folder, frozen)  # the same content once more
    assert "was added" in told
