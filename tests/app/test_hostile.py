"""The folder of hostile files through every door: command line, services, page. Each file is answered by its name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import cli
from pages.services import intake, intake_job, jobs
from pages.services.progress import silent
from tests import hostile
from tests.app.browse import button_of, open_page, text_of
from tests.app.permissions import permissions_count

TWO = {"plain.png", "plain again.png"}  # one content: the first by name stays, the other is answered
GOOD = {f"part {seed}.png": hostile.encoded(hostile.part(seed)) for seed in range(100, 110)}
SMALL = {
    "detector": {"input_size": 64, "device": "cpu", "check_against_anomalib": False},
    "synthesis": {"count": 4, "methods": ["glass-las-own"], "graded_count": 4},
}


@pytest.fixture
def folder(tmp_path) -> tuple[Path, dict[str, str | None]]:
    """30 hostile files and 10 good ones; name -> a word of the reason why it is refused, None if it is taken."""
    expected = hostile.build(tmp_path / "ok") | dict.fromkeys(GOOD)
    for name, content in GOOD.items():
        (tmp_path / "ok" / name).write_bytes(content)
    return tmp_path / "ok", expected


def files_of(root: Path) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted(root.iterdir()) if path.is_file()]


def run(tmp_path: Path, *arguments: object) -> tuple[int, Path]:
    config, out = tmp_path / "small.json", tmp_path / "out"
    config.write_text(json.dumps(SMALL))
    return cli.main(["run", *map(str, arguments), f"--config={config}", f"--out={out}"]), out


def check_answers(expected: dict[str, str | None], taken: set[str], reasons: dict[str, str]) -> None:
    """Every file is either taken or refused for the reason it was made for; nothing else is."""
    assert taken | set(reasons) == set(expected) and not taken & set(reasons)
    assert len(taken & TWO) == 1 and len(set(reasons) & TWO) <= 1
    for name in set(expected) - TWO:
        if expected[name] is None:
            assert name in taken, reasons[name]
        else:
            assert expected[name] in reasons[name]


def test_command_line(folder, tmp_path, capsys):
    root, expected = folder
    code, out = run(tmp_path, "--ok", root)
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    report = json.loads((out / "calibration.json").read_text(encoding="utf-8"))
    reasons = {row["file"]: row["reason"] for row in report["inputs"]["rejected"]}
    data = intake.current(intake.Workspace(out / "workspace"))
    check_answers(expected, {record.name for record in data.accepted}, reasons)
    assert report["inputs"]["n_ok"] == len(data.accepted) == sum(report["inputs"]["roles"].values()) == 24
    assert all(f"  refused: {name}: {reason}" in shown.out for name, reason in reasons.items())


def test_command_line_zip(folder, tmp_path, capsys):
    root, expected = folder
    del expected["folder.png"]  # a zip holds no empty folder
    packed = hostile.zip_of(tmp_path / "set.zip", dict(files_of(root)))
    code, out = run(tmp_path, "--zip", packed)
    assert (code, capsys.readouterr().err) == (0, "")
    data = intake.current(intake.Workspace(out / "workspace"))
    check_answers(expected, {r.name for r in data.accepted}, {r.name: r.reason for r in data.rejected})


@pytest.mark.parametrize(
    ("member", "content", "sentence"),
    [
        ("../evil.png", b"x", "leaves the folder"),
        ("/evil.png", b"x", "leaves the folder"),
        ("C:\\evil.png", b"x", "leaves the folder"),
        ("bomb.png", bytes(80 * 2**20), "zip bomb"),
    ],
)
def test_hostile_zip_is_refused_as_a_whole(tmp_path, capsys, member, content, sentence):
    code, out = run(tmp_path, "--zip", hostile.zip_of(tmp_path / "x.zip", {member: content, **GOOD}))
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 1 and "evil.png" in line or "bomb.png" in line
    assert sentence in line and not (out / "calibration.json").exists()
    assert not list(tmp_path.rglob("evil.png")) and not list((out / "workspace").glob("unpack-*"))


def test_hostile_ng(folder, tmp_path, capsys):
    root, expected = folder
    good = tmp_path / "good"
    good.mkdir()
    for seed in range(200, 206):
        (good / f"{seed}.png").write_bytes(hostile.encoded(hostile.part(seed)))
    code, out = run(tmp_path, "--ok", good, "--ng", root)
    assert (code, capsys.readouterr().err) == (0, "")
    report = json.loads((out / "calibration.json").read_text(encoding="utf-8"))
    taken = {row["file"] for row in report["scores"]["ng_real"]}
    check_answers(expected, taken, {row["file"]: row["reason"] for row in report["inputs"]["rejected"]})


@pytest.mark.skipif(os.name == "nt", reason="needs links, pipes and names that are no text")
def test_what_only_unix_can_put_into_a_folder(folder, tmp_path, capsys):
    root, _ = folder
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.png").write_bytes(hostile.encoded(hostile.part(300)))
    (root / "linked folder").symlink_to(outside)
    (root / "linked.png").symlink_to(outside / "x.png")
    (root / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (root / "circle").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    extra = {
        "linked folder": "not followed",
        "broken.png": "broken link",
        "circle": "not followed",
        "pipe.png": "a pipe",
    }
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.png")).write_bytes(GOOD["part 100.png"][:-1])
        extra[r"caf\udce9.png"] = "not valid UTF-8"
    except OSError:
        pass  # this file system takes text only
    code, out = run(tmp_path, "--ok", root)
    assert (code, capsys.readouterr().err) == (0, "")
    report = json.loads((out / "calibration.json").read_text(encoding="utf-8"))
    reasons = {row["file"]: row["reason"] for row in report["inputs"]["rejected"]}
    assert report["inputs"]["n_ok"] == 25 and "linked.png" not in reasons
    assert all(sentence in reasons[name] for name, sentence in extra.items())


def test_unreadable(folder, tmp_path, capsys):
    root, _ = folder
    (root / "part 100.png").chmod(0)
    (root / "locked").mkdir(mode=0)
    with permissions_count():
        code, out = run(tmp_path, "--ok", root)
    assert (code, capsys.readouterr().err) == (0, "")
    report = json.loads((out / "calibration.json").read_text(encoding="utf-8"))
    reasons = {row["file"]: row["reason"] for row in report["inputs"]["rejected"]}
    assert "permissions" in reasons["part 100.png"] and "permissions" in reasons["locked"]


def test_services(folder, empty_ws):
    root, expected = folder
    del expected["folder.png"]  # a browser sends files only
    data = intake.import_uploads(empty_ws, files_of(root))
    check_answers(expected, {r.name for r in data.accepted}, {r.name: r.reason for r in data.rejected})
    again = intake.current(empty_ws)
    assert again == data and all(record.path.is_file() for record in again.accepted)


# --- the page ---------------------------------------------------------------------------------------------------


def upload_page(*, whole_folders: bool):
    page = open_page("data")
    page.segmented_control(key="data-source").set_value("upload").run()
    if whole_folders:
        page.toggle(key="whole-folders").set_value(True).run()
    return page


def send(page, ok: list[tuple[str, bytes]], ng: list[tuple[str, bytes]] = ()):
    for uploader, files in zip(page.file_uploader, (ok, ng), strict=True):
        if files:
            uploader.set_value([(name, content, "application/octet-stream") for name, content in files])
    page.run()
    button_of(page, "Take the pictures in").click().run()
    assert not page.exception, [e.message for e in page.exception]
    return page


def refused_on(page) -> dict[str, str]:
    """The table of refused files as it stands on the page."""
    (table,) = [t.value for t in page.dataframe if "why it was refused" in t.value.columns]
    return dict(zip(table["file"], table["why it was refused"], strict=True))


@pytest.mark.parametrize("whole_folders", [True, False])
def test_upload(folder, empty_ws, whole_folders):
    root, expected = folder
    files = files_of(root)
    page = upload_page(whole_folders=whole_folders)
    allowed = page.file_uploader[0].allowed_type
    if allowed:  # the browser itself turns the others away, by name
        files = [(name, content) for name, content in files if name.endswith(tuple(allowed))]
        assert len(files) == len(GOOD) + 30 - len({"folder.png", "no suffix", "animated.gif"})
    page = send(page, files)
    taken = {record.name for record in intake.current(empty_ws).accepted}
    check_answers({name: expected[name] for name, _ in files}, taken, refused_on(page))
    assert f"Good parts (OK): {len(taken)}" in text_of(page)
    assert f"Refused files: {len(files) - len(taken)}" in text_of(page)
    # They are still there after a refresh.
    assert refused_on(open_page("data")) == refused_on(page)


def test_upload_of_hostile_ng(folder, empty_ws):
    root, expected = folder
    del expected["folder.png"]
    ok = [(f"line/{seed}.png", hostile.encoded(hostile.part(seed))) for seed in range(200, 206)]
    page = send(upload_page(whole_folders=True), ok, [(f"scratch/{n}", content) for n, content in files_of(root)])
    records = [r for r in intake.current(empty_ws).accepted if r.label == "ng"]
    assert {r.kind for r in records} == {"scratch"} and {r.role for r in records} == {"verification_ng"}
    reasons = {name.removeprefix("scratch/"): reason for name, reason in refused_on(page).items()}
    check_answers(expected, {r.name.removeprefix("scratch/") for r in records}, reasons)


def test_upload_with_too_few_good_ones_names_them_all(folder, empty_ws):
    root, expected = folder
    bad = [(name, content) for name, content in files_of(root) if expected[name] and name not in TWO]
    page = send(upload_page(whole_folders=True), [*bad, *list(GOOD.items())[:4]])
    assert "only 4" in text_of(page)
    assert set(refused_on(page)) == {name for name, _ in bad}
    assert intake.current(empty_ws) is None


@pytest.mark.parametrize("members", [{}, {"../evil.png": b"x"}])
def test_zip_through_the_page(folder, empty_ws, tmp_path, members):
    root, expected = folder
    del expected["folder.png"]
    packed = hostile.zip_of(tmp_path / "set.zip", dict(files_of(root)) | members)
    page = open_page("data")
    page.segmented_control(key="data-source").set_value("zip").run()
    page.file_uploader[0].set_value(("set.zip", packed.read_bytes(), "application/zip"))
    page.run()
    button_of(page, "Load the zip").click().run()
    assert not page.exception
    with jobs.take_place(empty_ws):  # as the worker would
        job = jobs.claim_next(empty_ws)
        jobs.finish(empty_ws, job.id, "done", result=intake_job.run_job(empty_ws, job.params, silent))
    page = open_page("data")
    assert not page.exception
    if members:
        assert "leaves the folder" in text_of(page) and intake.current(empty_ws) is None
    else:
        taken = {record.name for record in intake.current(empty_ws).accepted}
        check_answers(expected, taken, refused_on(page))
