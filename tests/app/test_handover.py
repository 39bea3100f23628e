"""What is handed over fits, wherever it is carried; and whatever is changed in it is named."""

import shutil

import pytest

import cli
from pages.services import handover
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.demo_sign import sign_demo
from pages.services.progress import silent
from pages.services.record_file import read_record
from pages.services.records import entries_of, newest
from pages.services.trust import judge
from pages.services.verification import free_ng
from pages.services.verify_record import verify_record
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.conftest import NOW


@pytest.fixture(scope="module")
def signed(built, tmp_path_factory):
    """Workspace and release folder of the small product, signed as the demo is; only read."""
    root = tmp_path_factory.mktemp("handover")
    ws = small_run.copy_of(built, root / "workspace")
    detector, synthesis = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)
    judgement = judge(ws, detector, synthesis, small_run.CONFIG, free_ng(ws))
    record = sign_demo(ws, root / "release", detector, synthesis, small_run.CONFIG, judgement, silent, now=NOW)
    assert newest(entries_of(ws)).sha256 == record
    return ws, root / "release"


@pytest.fixture
def release(signed, tmp_path):
    """A copy of the release folder, carried elsewhere."""
    return shutil.copytree(signed[1], tmp_path / "carried elsewhere")


def wrong(release, **how) -> str:
    return verify_record(release, **how).wrong


def test_it_fits_where_it_lies_and_carried_elsewhere(signed, release, capsys):
    for folder in (signed[1], release):
        found = verify_record(folder)
        assert found.wrong == "" and len(found.fits) == 7
    assert "46 frozen (40 OK, 6 NG), none changed, added or removed" in found.fits[-1]
    assert cli.main(["verify", str(release / "record.json")]) == 0
    told = capsys.readouterr().out
    assert told.count("fits: ") == 7 and newest(entries_of(signed[0])).sha256 in told


def test_every_changed_lost_or_added_file_is_named_first(release, capsys):
    files = sorted(path for path in release.rglob("*") if path.is_file() and path.name != "record.json")
    assert len(files) == 7
    for path in files:
        data = path.read_bytes()
        name = path.relative_to(release).as_posix()
        for other in (data[:-1] + bytes([data[-1] ^ 1]), data[:-1], data + b" ", None):
            path.unlink()
            if other is not None:
                path.write_bytes(other)
            assert name in wrong(release) and wrong(release, record_only=True) == wrong(release)
        path.write_bytes(data)
    (release / "line" / "more.onnx").write_bytes(b"")
    assert wrong(release) == "line/more.onnx was added"
    assert cli.main(["verify", str(release)]) == 1
    assert "DOES NOT FIT: line/more.onnx was added" in capsys.readouterr().err


def test_a_changed_record_is_named_before_anything_else(release):
    path = release / "record.json"
    path.write_bytes(path.read_bytes().replace(b"Demo reviewer", b"Demo Reviewer"))
    assert "entry 3 (signature) was changed" in wrong(release)
    path.unlink()
    assert "could not be read" in wrong(release)


def test_pictures_elsewhere_changed_and_lost(signed, release, tmp_path):
    """The record on the desk of the quality manager, the pictures on a disk of their own."""
    frozen = release / "frozen.json"
    known = read_record(release / "record.json").content["inputs"]["images"]
    folder = tmp_path / "disk"
    pictures = {one.sha256: one.path for one in ledger_of(signed[0])}
    for i, one in enumerate(known):
        (folder / str(i % 3)).mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures[one["sha256"]], folder / str(i % 3) / f"{i}.png")
    assert wrong(release, images=folder) == ""
    one = folder / "1" / "1.png"
    one.write_bytes(one.read_bytes() + b"\0")
    assert f"{known[1]['name']} was changed or removed" in wrong(release, images=folder)
    one.unlink()
    assert f"{known[1]['name']} was changed or removed" in wrong(release, images=folder)
    assert wrong(release, images=folder, record_only=True) == ""
    assert "expected a folder of pictures" in wrong(release, images=folder / "nowhere")
    frozen.write_text(frozen.read_text().replace(known[0]["name"], "x.png"))
    assert "frozen.json was changed" in wrong(release)


def ledger_of(ws):
    from pages.services.ledger import Ledger

    return Ledger(ws).records()


def test_the_same_record_gives_the_same_files(signed, tmp_path):
    ws = signed[0]
    first = handover.write(ws, tmp_path / "a", now=NOW)
    second = handover.write(ws, tmp_path / "b", now="2030-01-01T00:00:00+00:00")
    assert first == second
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert verify_record(tmp_path / "b").wrong == ""


def test_nothing_signed_nothing_to_hand_over(empty_ws, tmp_path, monkeypatch):
    with pytest.raises(handover.IasError, match="nothing is signed yet"):
        handover.write(Workspace(tmp_path / "new"), tmp_path / "out", now=NOW)


def test_line_scores_by_the_record_alone(signed, release, tmp_path, capsys):
    """``cli.py score`` far from the workspace: the scores of the detector, verdicts by the signed threshold."""
    ws, _ = signed
    scored = load_result(ws, DETECTOR).sets["ng"]
    records = {one.sha256: one.path for one in ledger_of(ws)}
    (tmp_path / "shift").mkdir()
    for name, image in zip(scored.names, scored.ids, strict=True):
        shutil.copy(records[image], tmp_path / "shift" / name)
    (tmp_path / "shift" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "verdicts.csv"
    asked = ["--record", str(release / "record.json"), "--images", str(tmp_path / "shift"), "--out", str(out)]
    assert cli.main(["score", *asked]) == 0
    assert "7 files: " in capsys.readouterr().err
    header, *rows = [line.split(",") for line in out.read_text().splitlines()]
    assert header[:3] == ["file", "score", "verdict"]
    assert [row[0] for row in rows] == sorted(["broken.png", *scored.names])
    value = read_record(release / "record.json").content["threshold"]["value"]
    by_name = dict(zip(scored.names, scored.image_scores, strict=True))
    for name, score, verdict in (row[:3] for row in rows):
        if name == "broken.png":
            assert (score, verdict) == ("", "unreadable")
        else:
            assert float(score) == pytest.approx(by_name[name], rel=1e-4)
            assert (verdict == "NG") == (by_name[name] >= value)

    # and the watch reads what it wrote
    assert cli.main(["watch", "--record", asked[1], "--scores", str(out)]) == 0
    assert "do not raise the threshold" in capsys.readouterr().out  # six NG are no shift of good parts
