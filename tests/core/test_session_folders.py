"""Which folder is a session, in each layout, and that a table of sessions is found where it may lie."""

from __future__ import annotations

from pathlib import Path

from ias_core import folders
from ias_core.folders import FoundFile


def named(*names: str) -> list[tuple[str, Path]]:
    return [(name, Path(str(i))) for i, name in enumerate(names)]


def sessions(found: list[FoundFile]) -> dict[str, str]:
    return {file.name: file.session for file in found}


def test_the_first_folder_of_an_ok_is_its_session_and_of_an_ng_its_kind():
    assert sessions(folders.by_label(named("mon/a.png", "tue/deep/b.png", "c.png"), "ok")) == {
        "mon/a.png": "mon",
        "tue/deep/b.png": "tue",
        "c.png": "",
    }
    (ng,) = folders.by_label(named("cut/deep/a.png"), "ng")
    assert (ng.kind, ng.session) == ("cut", "")


def test_in_a_tree_good_is_no_session_but_what_lies_below_it_is():
    found = folders.by_tree(named("train/good/a.png", "train/good/mon/b.png", "test/good/tue/c.png", "test/cut/d.png"))
    assert sessions(found) == {
        "train/good/a.png": "",
        "train/good/mon/b.png": "mon",
        "test/good/tue/c.png": "tue",
        "test/cut/d.png": "",
    }


def test_in_a_zip_the_folder_ok_is_no_session_but_what_lies_below_it_is():
    found = folders.by_zip(named("OK/a.png", "OK/mon/b.png", "ng/cut/c.png"))
    assert sessions(found) == {"OK/a.png": "", "OK/mon/b.png": "mon", "ng/cut/c.png": ""}
    assert sessions(folders.by_zip(named("good/mon/a.png", "good/b.png"))) == {
        "good/mon/a.png": "mon",
        "good/b.png": "",
    }
    assert sessions(folders.by_zip(named("all/mon/a.png", "all/tue/b.png"))) == {"mon/a.png": "mon", "tue/b.png": "tue"}


def test_of_an_upload_the_chosen_folder_is_no_session():
    assert sessions(folders.by_upload(named("ok/a.png", "ok/mon/b.png"))) == {"ok/a.png": "", "ok/mon/b.png": "mon"}
    assert sessions(folders.by_upload(named("mon/a.png", "tue/b.png"))) == {"mon/a.png": "mon", "tue/b.png": "tue"}
    assert sessions(folders.by_upload(named("a.png", "b.png"))) == {"a.png": "", "b.png": ""}
    assert folders.by_upload([]) == []


def test_a_table_of_sessions_is_listed_wherever_it_lies():
    tree = folders.by_tree(named("sessions.csv", "train/good/a.png", "train/good/Sessions.CSV", "readme.csv"))
    assert [(f.name, f.label) for f in tree] == [
        ("sessions.csv", None),
        ("train/good/a.png", "ok"),
        ("train/good/Sessions.CSV", "ok"),
    ]
    zipped = folders.by_zip(named("set/sessions.csv", "set/ok/a.png", "set/ng/b.png", "set/readme.csv"))
    assert [(f.name, f.label) for f in zipped] == [("sessions.csv", None), ("ok/a.png", "ok"), ("ng/b.png", "ng")]
    assert [folders.is_sessions_file(name) for name in ("mon/sessions.csv", "sessions.tsv", "my sessions.csv")] == [
        True,
        False,
        False,
    ]
