"""Intake and ledger: every file is answered, splits are reproducible, and a spoilt witness never testifies."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ias_core.errors import IasError, IntakeRefused, RoleConflict
from pages.services import demo, intake
from pages.services.ledger import Ledger
from pages.services.workspace import Workspace, default_root
from tests import hostile


def pictures(first: int, n: int) -> list[tuple[str, bytes]]:
    return [(f"{seed:03d}.png", hostile.encoded(hostile.part(seed))) for seed in range(first, first + n)]


def write(root: Path, files: list[tuple[str, bytes]]) -> Path:
    for name, content in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def again(content: bytes) -> bytes:
    """A near twin: the same picture under another compression."""
    import io

    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return hostile.encoded(pixels, "JPEG", quality=95, subsampling=0)


@pytest.fixture
def ws(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_hostile_folder_is_answered_by_name(ws, tmp_path):
    expected = hostile.build(tmp_path / "ok")
    taken = intake.import_folders(ws, tmp_path / "ok")
    accepted = {r.name for r in taken.accepted}
    reasons = {r.name: r.reason for r in taken.rejected}
    assert accepted | set(reasons) == set(expected) and not accepted & set(reasons)
    first = {"plain.png", "plain again.png"}  # of the two, the first by name stays
    assert len(accepted & first) == 1
    for name in set(expected) - first:
        if expected[name] is None:
            assert name in accepted
        else:
            assert expected[name] in reasons[name]


def test_hostile_upload_is_answered_by_name(ws, tmp_path):
    expected = hostile.build(tmp_path / "ok")
    files = [(p.name, p.read_bytes()) for p in (tmp_path / "ok").iterdir() if p.is_file()]
    taken = intake.import_uploads(ws, files)
    assert {r.name for r in taken.accepted} | {r.name for r in taken.rejected} == set(expected) - {"folder.png"}
    assert all(r.path.parent == ws.images and r.path.is_file() for r in taken.accepted)


def test_current_is_what_was_taken(ws, tmp_path):
    assert intake.current(ws) is None
    taken = intake.import_folders(ws, write(tmp_path / "ok", [*pictures(0, 6), ("x.png", b"no")]))
    assert intake.current(ws) == taken
    assert Counter(r.label for r in taken.accepted) == {"ok": 6}


def test_progress_counts_every_file(ws, tmp_path):
    seen = []
    folder = write(tmp_path / "ok", pictures(0, 6))
    intake.import_folders(ws, folder, progress=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(i, 6) for i in range(1, 7)]


def test_too_few_ok_lists_what_was_rejected(ws, tmp_path):
    with pytest.raises(IntakeRefused, match="only 4") as refused:
        intake.import_folders(ws, write(tmp_path / "ok", [*pictures(0, 4), ("x.png", b"no")]))
    assert [r.name for r in refused.value.rejected] == ["x.png"]
    with pytest.raises(IntakeRefused, match="no OK picture"):
        intake.import_uploads(ws, [])


@pytest.mark.parametrize("change", [lambda content: content, again])
def test_the_same_picture_as_ok_and_ng_refuses_the_whole(ws, change):
    intake.import_uploads(ws, pictures(50, 5))
    before = intake.current(ws)
    ok = pictures(0, 6)
    with pytest.raises(IntakeRefused, match="003.png.*bad.png"):
        intake.import_uploads(ws, ok, [("bad.png", change(ok[3][1]))])
    assert intake.current(ws) == before


def test_near_twins_share_a_group_and_a_side_of_every_split(ws):
    files = pictures(0, 30)
    copies = [(f"copy {name}", again(content)) for name, content in files[:6]]
    taken = intake.import_uploads(ws, [*files, *copies])
    assert "near twins" in taken.notices[0]
    group = {r.name: r.group for r in taken.accepted}
    assert all(group[f"copy {name}"] == group[name] for name, _ in files[:6])
    assert len(set(group.values())) == 30
    for seed in range(5):
        intake.assign_roles(ws, seed=seed)
        roles = {r.name: r.role for r in Ledger(ws).records()}
        assert all(roles[f"copy {name}"] == roles[name] for name, _ in files[:6])


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (5, {"memory_bank": 4, "calibration_ok": 1}),
        (20, {"memory_bank": 12, "calibration_ok": 3, "check_ok": 5}),
        (160, {"memory_bank": 60, "calibration_ok": 60, "check_ok": 40}),
    ],
)
def test_split_sizes(ws, n, expected):
    intake.import_uploads(ws, pictures(0, n))
    assert intake.assign_roles(ws, seed=0) == expected


def test_split_depends_on_content_and_seed_alone(tmp_path):
    files = pictures(0, 24)
    renamed = [(f"other {i}.png", content) for i, (_, content) in enumerate(reversed(files))]
    roles = []
    for number, (names, seed) in enumerate([(files, 3), (renamed, 3), (files, 4)]):
        ws = Workspace(tmp_path / str(number))
        taken = intake.import_uploads(ws, names)
        intake.assign_roles(ws, seed=seed)
        roles.append((taken.dataset_id, {r.sha256: r.role for r in Ledger(ws).records()}))
    assert roles[0] == roles[1]
    assert roles[0][0] == roles[2][0] and roles[0][1] != roles[2][1]


def test_tree_keeps_its_parts(ws, tmp_path):
    good = [(f"train/good/{name}", content) for name, content in pictures(0, 10)]
    check = [(f"test/good/{name}", content) for name, content in pictures(20, 3)]
    bad = [(f"test/cut/{name}", content) for name, content in pictures(40, 2)]
    mask = [("ground_truth/cut/040_mask.png", hostile.encoded(hostile.part(0)))]
    intake.import_tree(ws, write(tmp_path / "set", [*good, *check, *bad, *mask]))
    counts = intake.assign_roles(ws, seed=0)
    assert counts == {"memory_bank": 8, "calibration_ok": 2, "check_ok": 3, "verification_ng": 2}
    assert {r.name for r in Ledger(ws).records(role="check_ok")} == {name for name, _ in check}
    masks = {r.name: r.mask_path for r in Ledger(ws).records(label="ng")}
    assert masks["test/cut/040.png"] is not None and masks["test/cut/041.png"] is None


def test_zip(ws, tmp_path):
    files = {f"set/ok/{name}": content for name, content in pictures(0, 6)}
    files |= {"set/ng/cut/1.png": pictures(50, 1)[0][1], "set/ok/readme.png": b"no"}
    taken = intake.import_zip(ws, hostile.zip_of(tmp_path / "x.zip", files))
    assert [r.name for r in taken.rejected] == ["ok/readme.png"]
    assert [(r.kind, r.label) for r in Ledger(ws).records(label="ng")] == [("cut", "ng")]
    assert sorted(p.name for p in ws.root.iterdir() if p.is_dir()) == ["artifacts", "images"]


@pytest.mark.parametrize("role", ["generator_seed", "threshold_ng"])
@pytest.mark.parametrize("change", [lambda content: content, again])
def test_a_spoilt_witness_never_testifies(ws, role, change):
    ok, (bad, other) = pictures(0, 6), pictures(50, 2)
    taken = intake.import_uploads(ws, ok, [bad])
    sha = next(r.sha256 for r in taken.accepted if r.label == "ng")
    ledger = Ledger(ws)
    ledger.assign([sha], role, by="test", why="phase 2")
    # In the same dataset, and after a new import without the history's picture, under another name.
    if change is not again:
        with pytest.raises(RoleConflict, match="050.png"):
            ledger.assign([sha], "verification_ng", by="test", why="try")
    intake.import_uploads(ws, ok, [("renamed.png", change(bad[1]))])
    assert "verification_ng" not in intake.assign_roles(ws, seed=0)
    again_sha = ledger.records(label="ng")[0].sha256
    with pytest.raises(RoleConflict, match="renamed.png.*050.png"):
        ledger.assign([again_sha], "verification_ng", by="test", why="try")
    intake.import_uploads(ws, ok)
    with pytest.raises(RoleConflict, match="late.png.*050.png"):
        intake.add_verification_ng(ws, [other, ("late.png", change(bad[1]))])
    assert not ledger.records(label="ng")
    assert [entry.role for entry in ledger.history(sha)] == [role]


def test_a_twin_of_a_standing_witness_may_not_teach(ws):
    bad = pictures(50, 1)[0]
    taken = intake.import_uploads(ws, pictures(0, 6), [bad, ("copy.jpg", again(bad[1]))])
    intake.assign_roles(ws, seed=0)
    ledger = Ledger(ws)
    first, second = (r.sha256 for r in taken.accepted if r.label == "ng")
    with pytest.raises(RoleConflict, match="near twin"):
        ledger.assign([first], "generator_seed", by="test", why="try")
    ledger.assign([first, second], "generator_seed", by="test", why="both")
    assert len(ledger.records(role="generator_seed")) == 2


def test_labels_fit_roles_and_nothing_is_half_done(ws):
    taken = intake.import_uploads(ws, pictures(0, 6), pictures(50, 1))
    ledger = Ledger(ws)
    ok = [r.sha256 for r in taken.accepted if r.label == "ok"]
    ng = [r.sha256 for r in taken.accepted if r.label == "ng"]
    with pytest.raises(RoleConflict, match="labelled NG"):
        ledger.assign([*ok, *ng], "memory_bank", by="test", why="try")
    with pytest.raises(RoleConflict, match="labelled OK"):
        ledger.assign(ok[:1], "threshold_ng", by="test", why="try")
    with pytest.raises(RoleConflict, match="one of the roles"):
        ledger.assign(ok[:1], "spectator", by="test", why="try")
    with pytest.raises(RoleConflict, match="not in the dataset"):
        ledger.assign(["0" * 64], "memory_bank", by="test", why="try")
    assert all(r.role is None for r in ledger.records())


def test_add_verification_ng(ws):
    ok = pictures(0, 6)
    with pytest.raises(IntakeRefused, match="no dataset"):
        intake.add_verification_ng(ws, pictures(50, 1))
    taken = intake.import_uploads(ws, ok)
    added = intake.add_verification_ng(ws, [*pictures(50, 2), ("x.png", b"no"), ("cut/050 again.png", b"")])
    assert added.dataset_id == taken.dataset_id
    assert {r.name for r in added.rejected} == {"x.png", "cut/050 again.png"}
    assert len(Ledger(ws).records(role="verification_ng")) == 2
    with pytest.raises(IntakeRefused, match="near twins"):
        intake.add_verification_ng(ws, [("ok after all.png", again(ok[0][1]))])
    with pytest.raises(IntakeRefused, match="None of these") as refused:
        intake.add_verification_ng(ws, pictures(50, 1))
    assert "same picture" in refused.value.rejected[0].reason


def test_history_cannot_be_rewritten(ws):
    taken = intake.import_uploads(ws, pictures(0, 6))
    Ledger(ws).assign([taken.accepted[0].sha256], "memory_bank", by="test", why="once")
    replaced = "REPLACE INTO history SELECT id, at, sha256, name, 'check_ok', by, why FROM history"
    for statement in ("DELETE FROM history", "UPDATE history SET role = 'check_ok'", replaced):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), ws.transaction() as db:
            db.execute(statement)


def test_transaction_is_undone_on_an_error(ws):
    ws.set_choice("a", 1)
    with pytest.raises(KeyError), ws.transaction() as db:
        db.execute("DELETE FROM choices")
        raise KeyError
    assert ws.get_choice("a") == 1 and ws.get_choice("b", "none") == "none"


def test_many_threads_write_one_workspace(tmp_path):
    def count(number: int) -> None:
        ws = Workspace(tmp_path / "shared")
        for i in range(10):
            ws.set_choice(f"{number} {i}", i)

    threads = [threading.Thread(target=count, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Workspace(tmp_path / "shared").transaction() as db:
        assert db.execute("SELECT count(*) FROM choices").fetchone()[0] == 60


def test_workspace_place(tmp_path, monkeypatch):
    monkeypatch.setenv("IAS_WORKSPACE", str(tmp_path / "mine"))
    assert default_root() == tmp_path / "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(IasError, match="cannot be made"):
        Workspace(tmp_path / "file")


def test_demo_missing(ws, monkeypatch):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert not demo.available()
    with pytest.raises(IasError, match="pip install elpv-dataset"):
        demo.import_demo(ws)


@pytest.mark.skipif(not demo.available(), reason="the demo package is not installed")
def test_demo(ws):
    taken = demo.import_demo(ws)
    assert Counter(r.label for r in taken.accepted) == {"ok": 588, "ng": 313}
    assert not taken.rejected
