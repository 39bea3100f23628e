"""Sessions from table, folder and EXIF date; scores without them; what the pages say; and that nothing else moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

import cli
from ias_core.errors import IntakeRefused
from ias_core.folders import FoundFile
from pages.services import intake, sessions
from pages.services.artifacts import DETECTOR, load_result
from pages.services.detection import build_detector, detector_digest
from pages.services.ledger import ImageRecord, Ledger
from pages.services.progress import silent
from pages.services.steps import save_config, steps
from pages.services.workspace import Workspace
from tests import hostile
from tests.app import small_run
from tests.app.browse import open_page, text_of

ONE = "1 session: what a new shift, lot or camera set-up does to the scores is unknown"


def pictures(first: int, n: int) -> dict[str, bytes]:
    return {f"{seed:03d}.png": hostile.encoded(hostile.part(seed)) for seed in range(first, first + n)}


def dated(seed: int, day: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{day.replace('-', ':')} 08:00:00"
    return hostile.encoded(hostile.part(seed), "JPEG", quality=95, exif=exif.tobytes())


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def session_of(ws: Workspace, label: str = "ok") -> dict[str, str]:
    return {record.name: record.session for record in Ledger(ws).records(label=label)}


@pytest.fixture
def ws(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


# --- where a session comes from ---------------------------------------------------------------------------------


def test_folders_are_sessions(ws, tmp_path):
    ok = write(
        tmp_path / "ok",
        {f"{day}/{name}": c for i, day in enumerate(("mon", "tue")) for name, c in pictures(10 * i, 3).items()},
    )
    taken = intake.import_folders(ws, ok)
    assert taken.sessions_from == intake.current(ws).sessions_from == "folder"
    assert set(session_of(ws).items()) >= {("mon/000.png", "mon"), ("tue/012.png", "tue")}
    assert sessions.counts(taken.accepted) == {"mon": 3, "tue": 3}


def test_exif_dates_are_sessions_where_no_picture_lies_in_a_subfolder(ws, tmp_path):
    files = {f"{i}.jpg": dated(i, "2026-01-05" if i < 3 else "2026-01-06") for i in range(5)}
    taken = intake.import_folders(ws, write(tmp_path / "ok", files))
    assert taken.sessions_from == "EXIF date"
    assert session_of(ws) == {f"{i}.jpg": "2026-01-05" if i < 3 else "2026-01-06" for i in range(5)}


def test_a_table_goes_before_folders_and_folders_before_dates(ws, tmp_path):
    files = {f"mon/{i}.jpg": dated(i, "2026-01-05") for i in range(4)} | {"4.jpg": dated(4, "2026-01-06")}
    ok = write(tmp_path / "ok", files)
    assert intake.import_folders(ws, ok).sessions_from == "folder"
    # One source for all: the picture outside the folders has no session, although it has a date.
    assert session_of(ws) == {f"mon/{i}.jpg": "mon" for i in range(4)} | {"4.jpg": ""}
    table = write(tmp_path, {"t.csv": "file,session\nmon/0.jpg,early\n4.jpg,late\n"}) / "t.csv"
    assert intake.import_folders(ws, ok, sessions_table=table).sessions_from == "column"
    assert session_of(ws) == {"mon/0.jpg": "early", "4.jpg": "late", "mon/1.jpg": "", "mon/2.jpg": "", "mon/3.jpg": ""}


def test_sessions_of_ng_come_from_table_or_date_for_the_folder_is_their_kind(ws, tmp_path):
    ok = write(tmp_path / "ok", pictures(0, 5))
    ng = write(tmp_path / "ng", {"cut/a.jpg": dated(50, "2026-01-07"), "cut/b.png": hostile.encoded(hostile.part(51))})
    taken = intake.import_folders(ws, ok, ng)
    assert session_of(ws, "ng") == {"cut/a.jpg": "2026-01-07", "cut/b.png": ""}
    assert taken.sessions_from == "" and set(session_of(ws).values()) == {""}
    write(ng, {"sessions.csv": "file,session\ncut/b.png,late\n"})
    intake.import_folders(ws, ok, ng)
    assert session_of(ws, "ng") == {"cut/a.jpg": "", "cut/b.png": "late"}
    assert {record.kind for record in Ledger(ws).records(label="ng")} == {"cut"}


def test_added_ng_have_theirs_too(ws):
    intake.import_uploads(ws, list(pictures(0, 5).items()))
    table = b"file,session\nb.png,late\n"
    intake.add_verification_ng(
        ws, [("a.jpg", dated(50, "2026-01-07")), ("b.png", pictures(51, 1)["051.png"]), ("sessions.csv", table)]
    )
    assert session_of(ws, "ng") == {"a.jpg": "", "b.png": "late"}
    intake.add_verification_ng(ws, [("c.jpg", dated(52, "2026-01-08"))])
    assert session_of(ws, "ng")["c.jpg"] == "2026-01-08"


ROWS = "file,session\n000.png,mon\n001.png,tue\n"


@pytest.mark.parametrize("kind", ["folder", "tree", "zip", "zip of ok", "upload", "uploaded folder"])
def test_a_table_among_the_pictures_is_read_and_is_no_refused_picture(ws, tmp_path, kind):
    """Names are relative to the folder the table lies in."""
    files, rows = pictures(0, 5), ROWS.encode()
    if kind == "folder":
        taken = intake.import_folders(ws, write(tmp_path / "ok", files | {"sessions.csv": rows}))
    elif kind == "tree":
        tree = {f"train/good/{name}": content for name, content in files.items()}
        at_root = ROWS.replace("00", "train/good/00").encode()
        taken = intake.import_tree(ws, write(tmp_path / "tree", tree | {"sessions.csv": at_root}))
    elif kind == "zip":
        inside = {f"set/ok/{name}": content for name, content in files.items()}
        inside |= {"set/ng/1.png": pictures(50, 1)["050.png"], "set/sessions.csv": ROWS.replace("00", "ok/00").encode()}
        taken = intake.import_zip(ws, hostile.zip_of(tmp_path / "x.zip", inside))
    elif kind == "zip of ok":
        inside = {f"ok/{name}": content for name, content in files.items()} | {"ok/sessions.csv": rows}
        taken = intake.import_zip(ws, hostile.zip_of(tmp_path / "x.zip", inside))
    elif kind == "upload":
        taken = intake.import_uploads(ws, [*files.items(), ("sessions.csv", rows)])
    else:
        inside = [(f"parts/{name}", content) for name, content in [*files.items(), ("sessions.csv", rows)]]
        taken = intake.import_uploads(ws, inside)
    assert taken.rejected == () and taken.sessions_from == "column"
    ok = [record for record in taken.accepted if record.label == "ok"]
    assert sorted(record.session for record in ok) == ["", "", "", "mon", "tue"]
    assert {record.name[-7:]: record.session for record in ok if record.session} == {"000.png": "mon", "001.png": "tue"}


def test_a_given_table_is_read_instead_of_those_among_the_pictures(ws, tmp_path):
    ok = write(tmp_path / "ok", pictures(0, 5) | {"sessions.csv": "no table at all"})
    table = write(tmp_path, {"mine.tsv": "session\tfile\nmon\t000.png\n"}) / "mine.tsv"
    taken = intake.import_folders(ws, ok, sessions_table=table)
    assert taken.rejected == () and session_of(ws)["000.png"] == "mon"


@pytest.mark.parametrize(
    "content",
    [
        b"file,session\n000.png,mon\n",
        b"\xef\xbb\xbffile,session\r\n000.png,mon\r\n",  # with BOM, as spreadsheets save it
        b"File;Session;remark\n000.png; mon ;\n",
        b"session\tother\tfile\nmon\tx\t000.png\n\n",
        b'"file","session"\n"000.png","mon"\n,\n',
        "file,session\n000.png,mon\n001.png,\n002.png\n".encode(),  # noqa: UP012  an empty or missing cell: unknown
    ],
)
def test_tables_in_every_dress(tmp_path, content):
    table = tmp_path / "sessions.csv"
    table.write_bytes(content)
    known = [FoundFile(Path(name), name, "ok") for name in ("000.png", "001.png", "002.png")]
    found = sessions.sessions_by_table(known, [FoundFile(table, "sessions.csv", None)])
    assert {path: session for path, session in found.items() if session} == {Path("000.png"): "mon"}


def test_names_keep_their_spaces_commas_and_letters(tmp_path):
    names = ["a  b.png", "c,d.png", "部品/été.png"]
    table = write(tmp_path, {"s.csv": 'file,session\na  b.png,night  shift\n"c,d.png",Frühschicht\n部品\\été.png,x\n'})
    found = sessions.sessions_by_table([FoundFile(Path(n), n, "ok") for n in names], [], table / "s.csv")
    assert list(found.values()) == ["night shift", "Frühschicht", "x"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "expected a first line with the columns file and session, got none"),
        (b"000.png,mon\n", "columns file and session, got 000.png, mon"),
        (b"file\n000.png\n", "columns file and session, got file;"),
        (b"file,session,session\n", "columns file and session"),
        (
            b"file,session\n000.png,mon\nother.png,mon\n",
            "line 3: 'other.png' is not among the pictures.*such as '000.png'",
        ),
        (b"file,session\n,mon\n", "line 2: '' is not among the pictures"),
        (b"file,session\n000.png,mon\n000.png,tue\n", "line 3: '000.png' already has the session 'mon'"),
        (b"file,session\na,b.png,mon\n", "line 2: expected 2 cells, got 3; put a name that holds ',' in quotes"),
        ("file,session\n000.png,mon\n".encode("utf-16"), "is not UTF-8"),
        (b"file,session\n\xe9.png,mon\n", "is not UTF-8"),
        (b'file,session\n"' + b"a" * 200_000 + b'",mon\n', "this is no CSV"),
    ],
)
def test_a_table_that_does_not_fit_is_one_sentence_and_the_dataset_stays(ws, tmp_path, content, sentence):
    before = intake.import_uploads(ws, list(pictures(20, 5).items()))
    ok = write(tmp_path / "ok", pictures(0, 5) | {"sessions.csv": content})
    with pytest.raises(IntakeRefused, match=f"sessions.csv.*{sentence}") as refused:
        intake.import_folders(ws, ok)
    assert "\n" not in str(refused.value)
    assert intake.current(ws) == before


def test_one_name_for_an_ok_and_an_ng_needs_a_table_in_each_folder(ws, tmp_path):
    ok = write(tmp_path / "ok", pictures(0, 5))
    ng = write(tmp_path / "ng", {"000.png": pictures(50, 1)["050.png"]})
    table = write(tmp_path, {"t.csv": "file,session\n000.png,mon\n"}) / "t.csv"
    with pytest.raises(IntakeRefused, match="'000.png' is the name of 2 pictures; put a table named sessions.csv into"):
        intake.import_folders(ws, ok, ng, sessions_table=table)
    write(ok, {"sessions.csv": "file,session\n000.png,mon\n"})
    intake.import_folders(ws, ok, ng)
    assert (session_of(ws)["000.png"], session_of(ws, "ng")["000.png"]) == ("mon", "")


def test_a_table_that_cannot_be_read(ws, tmp_path):
    ok = write(tmp_path / "ok", pictures(0, 5))
    with pytest.raises(IntakeRefused, match="gone.csv: the file is not there"):
        intake.import_folders(ws, ok, sessions_table=tmp_path / "gone.csv")
    with pytest.raises(IntakeRefused, match="ok: this is a folder"):
        intake.import_folders(ws, ok, sessions_table=ok)


# --- and what it must not change --------------------------------------------------------------------------------


def test_sessions_change_neither_dataset_nor_roles(tmp_path):
    ok = write(tmp_path / "ok", pictures(0, 24))
    table = (
        write(tmp_path, {"t.csv": "file,session\n" + "".join(f"{i:03d}.png,{i % 3}\n" for i in range(24))}) / "t.csv"
    )
    found = []
    for name, given in (("without", None), ("with", table)):
        ws = Workspace(tmp_path / name)
        taken = intake.import_folders(ws, ok, sessions_table=given)
        intake.assign_roles(ws, seed=3)
        found.append((taken.dataset_id, {r.sha256: r.role for r in Ledger(ws).records()}))
    assert found[0] == found[1]


def test_a_workspace_from_before_sessions_opens(tmp_path):
    ws = Workspace(tmp_path / "old")
    taken = intake.import_uploads(ws, list(pictures(0, 6).items()))
    intake.assign_roles(ws, seed=0)
    digest = detector_digest(ws, small_run.CONFIG)
    stored = ws.get_choice("intake")
    del stored["sessions_from"]
    ws.set_choice("intake", stored)
    with ws.transaction() as db:
        db.execute("ALTER TABLE images DROP COLUMN session")
    again = Workspace(tmp_path / "old")
    records = Ledger(again).records()
    assert [r.session for r in records] == [""] * 6 and {r.sha256 for r in records} == {
        r.sha256 for r in taken.accepted
    }
    assert intake.current(again).sessions_from == "" and Ledger(again).records() == records
    assert detector_digest(again, small_run.CONFIG) == digest
    intake.add_verification_ng(again, [("late.jpg", dated(50, "2026-01-07"))])
    assert session_of(again, "ng") == {"late.jpg": "2026-01-07"}


def set_sessions(ws: Workspace, names: list[str]) -> None:
    """Give the pictures of the memory bank these sessions, in turn."""
    bank = Ledger(ws).records(role="memory_bank")
    with ws.transaction() as db:
        db.executemany(
            "UPDATE images SET session = ? WHERE sha256 = ?",
            [(names[i % len(names)], record.sha256) for i, record in enumerate(bank)],
        )


def test_digest_changes_with_the_sessions_of_the_bank_from_two_on(ws):
    intake.import_uploads(ws, list(pictures(0, 24).items()))
    intake.assign_roles(ws, seed=0)
    digests = []
    for names in ([""], ["mon"], ["unknown"], ["mon", "tue"], ["tue", "mon"], ["mon", ""]):
        set_sessions(ws, names)
        digests.append(detector_digest(ws, small_run.CONFIG))
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 4
    set_sessions(ws, ["mon"])
    with ws.transaction() as db:
        db.execute("UPDATE images SET session = 'tue' WHERE role = 'check_ok'")
    assert detector_digest(ws, small_run.CONFIG) == digests[0]  # no score depends on it


# --- scores -----------------------------------------------------------------------------------------------------


def record(name: str, session: str, group: str = "") -> ImageRecord:
    return ImageRecord(name, name, Path(name), "ok", "good", None, None, 1, 1, group or name, "memory_bank", session)


def test_groups_to_hide_by_hand():
    """b and c are near twins from two sessions: hidden with either. Those without a session are one of their own."""
    bank = [record("a", "mon"), record("b", "mon", "twins"), record("c", "tue", "twins"), record("d", "tue")]
    bank += [record("e", ""), record("f", "unknown")]
    assert sessions.groups_to_hide(bank) == [
        ("a", "twins"),
        ("a", "twins"),
        ("d", "twins"),
        ("d", "twins"),
        ("e", "f"),
        ("e", "f"),
    ]
    assert sessions.counts(bank) == {"mon": 2, "tue": 2, "unknown": 2}


def test_as_many_at_random_hides_the_own_group_and_as_many_groups():
    to_hide = [("a", "b"), ("a", "b"), ("c", "d", "e"), ("c", "d", "e"), ("c", "d", "e"), ("f",)]
    seen = set()
    for seed in range(50):
        found = sessions.as_many_at_random(to_hide, list("abcdef"), np.random.default_rng(seed))
        for own, hidden, chance in zip("abcdef", to_hide, found, strict=True):
            assert own in chance and len(set(chance)) == len(chance) == len(hidden)
        seen |= set(found[0])
        assert found == sessions.as_many_at_random(to_hide, list("abcdef"), np.random.default_rng(seed))
    assert seen == set("abcdef")


@pytest.fixture(scope="module")
def two_sessions(built, tmp_path_factory) -> Path:
    """The small product again, built with two sessions in the bank and one twin group across them."""
    root = tmp_path_factory.mktemp("two") / "workspace"
    ws = small_run.copy_of(built, root)
    set_sessions(ws, ["mon", "tue"])
    bank = Ledger(ws).records(role="memory_bank")
    with ws.transaction() as db:
        db.execute('UPDATE images SET "group" = ? WHERE sha256 = ?', (bank[0].group, bank[1].sha256))
    build_detector(ws, small_run.CONFIG, silent)
    return root


def opened_by_pages(root: Path, monkeypatch) -> Workspace:
    monkeypatch.setenv("IAS_WORKSPACE", str(root))
    return Workspace(root)


def test_scores_without_the_session_equal_plain_distances(two_sessions):
    """The obvious second way: delete the vectors of the session, take the nearest of the rest."""
    from ias_core.patchcore.memory_bank import MemoryBank
    from pages.services.detection import FeatureSource
    from pages.services.pictures import read_at_size

    ws = Workspace(two_sessions)
    detector, records = load_result(ws, DETECTOR), Ledger(ws).records(role="memory_bank")
    scored, loo = detector.sets["bank_by_session"], detector.sets["bank"]
    assert (
        (scored.names, scored.ids)
        == (loo.names, loo.ids)
        == (tuple(r.name for r in records), tuple(r.sha256 for r in records))
    )
    bank = MemoryBank.load(detector.bank_path)
    source = FeatureSource(small_run.CONFIG.detector)
    for i, own in enumerate(records):
        hidden = {r.group for r in records if r.session == own.session}
        rest = bank.features[[bank.groups[g] not in hidden for g in bank.group]].astype(np.float64)
        q = source.of_pictures([read_at_size(own, 64)])[0].double().numpy()
        patch = np.sqrt(((q[..., None, :] - rest) ** 2).sum(-1)).min(-1)
        np.testing.assert_allclose(scored.patch_scores[i], patch, rtol=1e-3)
        np.testing.assert_allclose(scored.image_scores[i], patch.max(), rtol=1e-3)
    assert records[0].group in {r.group for r in records if r.session == "tue"}  # the twins span both


def test_the_rest_of_the_detector_is_as_without_sessions(two_sessions, built):
    before, after = load_result(Workspace(built), DETECTOR), load_result(Workspace(two_sessions), DETECTOR)
    assert before.meta["n_sessions"] == 1 and before.meta["sessions"] == {"unknown": 24}
    assert set(before.sets) == {"bank", "calibration", "check", "ng"}
    assert after.meta["n_sessions"] == 2 and after.meta["sessions"] == {"mon": 12, "tue": 12}
    assert set(after.sets) - set(before.sets) == {"bank_by_session", "bank_at_random"}
    for name in ("calibration", "check", "ng"):
        np.testing.assert_allclose(after.sets[name].image_scores, before.sets[name].image_scores, rtol=1e-3)
    loo = after.sets["bank"].image_scores
    assert (after.sets["bank_by_session"].image_scores >= loo).all()
    assert (after.sets["bank_at_random"].image_scores >= loo).all()


def test_sessions_do_not_change_the_bank(ws, built, tmp_path):
    """Built with and without, the bank is the same to the byte: a threshold stays valid for it."""
    other = small_run.copy_of(built, tmp_path / "copy")
    set_sessions(other, ["mon", "tue", "wed"])
    assert detector_digest(other, small_run.CONFIG) != load_result(other, DETECTOR).digest
    built_again = build_detector(other, small_run.CONFIG, silent)
    assert built_again.meta["bank_id"] == load_result(Workspace(built), DETECTOR).meta["bank_id"]
    assert built_again.digest == detector_digest(other, small_run.CONFIG)


def test_where_a_session_is_the_whole_bank_there_are_no_such_scores(built, tmp_path):
    """Every picture has a near twin in the other session: hiding one hides both."""
    ws = small_run.copy_of(built, tmp_path / "copy")
    set_sessions(ws, ["mon", "tue"])
    bank = Ledger(ws).records(role="memory_bank")
    pairs = [(bank[i].group, bank[i + 1].sha256) for i in range(0, len(bank), 2)]
    with ws.transaction() as db:
        db.executemany('UPDATE images SET "group" = ? WHERE sha256 = ?', pairs)
    detector = build_detector(ws, small_run.CONFIG, silent)
    assert detector.meta["n_sessions"] == 2 and "bank_by_session" not in detector.sets
    assert sessions.gap_of(detector) is None


def test_gap_of_a_result_from_before_sessions(built, tmp_path):
    detector = load_result(small_run.copy_of(built, tmp_path / "copy"), DETECTOR)
    meta = {key: value for key, value in detector.meta.items() if "sessions" not in key}
    old = replace(detector, meta=meta)
    assert sessions.gap_of(old) is None and sessions.n_sessions_of(old) == 1


# --- pages and command line -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["data", "detector"])
def test_one_session_is_said_on_the_page(built, tmp_path, monkeypatch, key):
    small_run.copy_of(built, tmp_path / "copy")
    opened_by_pages(tmp_path / "copy", monkeypatch)
    page = open_page(key)
    assert not page.exception
    assert f"{ONE}" in text_of(page) and "Leave-one-session-out" not in text_of(page)


def test_detector_page_shows_the_difference_as_one_number(two_sessions, monkeypatch):
    ws = opened_by_pages(two_sessions, monkeypatch)
    page = open_page("detector")
    assert not page.exception
    text = text_of(page)
    sets = load_result(ws, DETECTOR).sets
    loo, by_session, at_random = (
        sets[name].image_scores.astype(float) for name in ("bank", "bank_by_session", "bank_at_random")
    )
    difference = np.median(by_session - loo)
    iqr = np.quantile(loo, 0.75) - np.quantile(loo, 0.25)
    assert "2 sessions" in text and ONE not in text
    assert f"scores lie **{difference:.2f} feature distance ({difference / iqr:.2f} IQR)** above leave-one-out" in text
    assert f"with as many parts of any session hidden, {np.median(at_random - loo):.2f}." in text
    above = sum(score > loo.max() for score in by_session)
    assert f"rejects none of these 24 good parts would reject {above} if their session were new" in text
    assert steps(ws)["detector"].state == "done"


def test_detector_page_without_such_scores_says_why(two_sessions, tmp_path, monkeypatch):
    ws = small_run.copy_of(two_sessions, tmp_path / "copy")
    opened_by_pages(ws.root, monkeypatch)
    facts = load_result(ws, DETECTOR).folder / "facts.json"
    kept = json.loads(facts.read_text(encoding="utf-8"))
    kept["sets"] = {name: s for name, s in kept["sets"].items() if name in ("bank", "calibration", "check", "ng")}
    facts.write_text(json.dumps(kept), encoding="utf-8")
    text = text_of(open_page("detector"))
    assert "without one of the sessions nothing is left in the memory bank" in text and "IQR" not in text


def test_data_page_shows_the_sessions_and_where_they_come_from(tmp_path, monkeypatch):
    ws = opened_by_pages(Workspace(tmp_path / "workspace").root, monkeypatch)
    ok = {f"{day}/{name}": c for i, day in enumerate(("mon", "tue")) for name, c in pictures(10 * i, 3 + i).items()}
    intake.import_folders(ws, write(tmp_path / "ok", ok))
    intake.assign_roles(ws, seed=0)
    save_config(ws, small_run.CONFIG)
    page = open_page("data")
    assert not page.exception
    assert "2 sessions, from the folders" in text_of(page) and ONE not in text_of(page)
    assert [["mon", 3], ["tue", 4]] in [frame.value.values.tolist() for frame in page.dataframe]


def run_cli(tmp_path: Path, *arguments: object) -> int:
    detector = {"input_size": 64, "coreset_ratio": 0.1, "device": "cpu", "check_against_anomalib": False}
    config = tmp_path / "small.json"
    config.write_text(json.dumps({"detector": detector, "synthesis": {"count": 10, "methods": ["glass-las-own"]}}))
    return cli.main(["run", *map(str, arguments), f"--config={config}", f"--out={tmp_path / 'out'}"])


def test_command_line_takes_a_table(tmp_path, capsys):
    ok, _ = small_run.write_pictures(tmp_path, n_ok=10, n_ng=1)
    table = write(tmp_path, {"t.csv": "file,session\n" + "".join(f"ok_{i:02d}.png,{i % 2}\n" for i in range(10))})
    assert run_cli(tmp_path, "--ok", ok, "--sessions", table / "t.csv") == 0
    assert "2 sessions, from the table of sessions" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "calibration.json").read_text(encoding="utf-8"))
    assert report["detector"]["n_sessions"] == 2 and sum(report["detector"]["sessions"].values()) == 8
    detector = load_result(Workspace(tmp_path / "out" / "workspace"), DETECTOR)
    assert len(detector.sets["bank_by_session"].ids) == 8


def test_command_line_answers_a_bad_table_in_one_line(tmp_path, capsys):
    ok = write(tmp_path / "ok", pictures(0, 5))
    table = write(tmp_path, {"t.csv": "name,session\n"}) / "t.csv"
    assert run_cli(tmp_path, "--ok", ok, "--sessions", table) == 1
    assert capsys.readouterr().err == (
        "cli.py: t.csv: expected a first line with the columns file and session, got name, session; "
        "write that line first.\n"
    )
    assert run_cli(tmp_path, "--ok", ok, "--sessions", tmp_path / "gone.csv") == 1
    assert "gone.csv: the file is not there" in capsys.readouterr().err
