"""Signed records: nothing is signed without a name, nothing signed is changed, and a change would show."""

import json
import sqlite3

import pytest

from ias_core.errors import IasError
from pages.services import chain, record_file
from pages.services.chain import canonical, sha256_of
from pages.services.record_file import read_record
from pages.services.records import (
    MEANINGS,
    OIDC,
    Identity,
    add_document,
    entries_of,
    newest,
    newest_approved,
    sign,
)
from pages.services.workspace import Workspace
from tests.app.conftest import NOW

CONTENT = {"decision": "d1", "größe": 0.1, "人": ["検査"]}


@pytest.fixture
def ws(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def head_of(ws: Workspace) -> str:
    entries = entries_of(ws)
    return entries[-1].sha256 if entries else ""


def signed(ws: Workspace, name: str = "A. Engineer", **changes):
    asked = {
        "identity": Identity(name),
        "meaning": "calibrated",
        "reason": "3 missed parts looked at",
        "content": CONTENT,
        "head": head_of(ws),
        "now": NOW,
    }
    return sign(ws, **(asked | changes))


def signed_three_times(ws: Workspace) -> None:
    for name, meaning in zip(("A", "B", "C"), MEANINGS, strict=True):
        signed(ws, name, meaning=meaning)


def test_record_says_who_what_and_that_nobody_checked_the_name(ws):
    assert newest(entries_of(ws)) is None
    entry = signed(ws, " A. Engineer ")
    record = newest(entries_of(ws))
    assert record.signatures == (entry,) and record.sha256 == entry.sha256 == head_of(ws)
    assert entry.body["signed_by"] == "A. Engineer"
    assert entry.body["identity"] == {"how": "typed, unverified", "issuer": "", "subject": "", "email": ""}
    assert (entry.body["meaning"], entry.body["at"]) == ("calibrated", NOW)
    assert record.content == CONTENT
    assert record.meanings == ("calibrated",) and not record.approved


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": Identity(" \t")},
        {"reason": "\n"},
        {"meaning": "liked"},
        {"meaning": "reviewed"},
        {"meaning": "approved"},
        {"head": "0" * 64},
        {"reason": "half a character: \ud800"},
    ],
)
def test_incomplete_or_early_signature_is_refused_and_leaves_nothing(ws, changes):
    with pytest.raises(IasError):
        signed(ws, **changes)
    assert entries_of(ws) == ()


def test_three_people_in_order(ws):
    signed(ws, "A")
    with pytest.raises(IasError, match="not signed as reviewed yet"):
        signed(ws, "C", meaning="approved")
    signed(ws, "B", meaning="reviewed")
    with pytest.raises(IasError, match="has signed this as reviewed already"):
        signed(ws, " b ", meaning="reviewed")
    with pytest.raises(IasError, match="a second person's"):
        signed(ws, "Ａ", meaning="approved")  # the same letter, typed wide
    signed(ws, "C", meaning="approved")
    record = newest(entries_of(ws))
    assert record.approved and record.meanings == MEANINGS
    assert [entry.body["kind"] for entry in entries_of(ws)] == ["content", "signature", "signature", "signature"]


def test_a_person_of_an_identity_provider_is_known_by_subject_and_not_by_name(ws):
    signed(ws, identity=Identity("Same Name", OIDC, "https://id.example", "1"))
    signed(ws, identity=Identity("Same Name", OIDC, "https://id.example", "2"), meaning="reviewed")
    with pytest.raises(IasError, match="a second person's"):
        signed(ws, identity=Identity("Other Name", OIDC, "https://id.example", "1"), meaning="approved")
    signed(ws, identity=Identity("Same Name", OIDC, "https://id.example", "2"), meaning="approved")


def test_other_content_begins_anew_and_the_old_record_stays(ws):
    signed_three_times(ws)
    before = entries_of(ws)
    with pytest.raises(IasError, match="not signed as calibrated yet"):
        signed(ws, "B", meaning="reviewed", content=CONTENT | {"decision": "d2"})
    signed(ws, "A", content=CONTENT | {"decision": "d2"})
    assert entries_of(ws)[: len(before)] == before
    assert newest(entries_of(ws)).content["decision"] == "d2" and not newest(entries_of(ws)).approved


def test_a_second_tab_cannot_sign_over_what_it_has_not_seen(ws):
    seen = head_of(ws)
    signed_three_times(ws)
    before = entries_of(ws)
    with pytest.raises(IasError, match="somebody else signed since this page was drawn"):
        signed(ws, "Tab 2", content=CONTENT | {"decision": "d2"}, head=seen)
    assert entries_of(ws) == before


def test_chain_holds(ws):
    signed_three_times(ws)
    previous = None
    for entry in entries_of(ws):
        assert entry.body["previous"] == previous and sha256_of(entry.body) == entry.sha256
        previous = entry.sha256
    assert chain.first_break(entries_of(ws)) == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET body = '{}'",
        "UPDATE records SET sha256 = 'x' WHERE id = 1",
        "DELETE FROM records",
        "DELETE FROM records WHERE id = 2",
        "INSERT OR REPLACE INTO records (id, sha256, body) VALUES (1, 'x', '{}')",
    ],
)
def test_table_refuses_changes(ws, statement):
    signed_three_times(ws)
    before = entries_of(ws)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), ws.transaction() as db:
        db.execute(statement)
    assert entries_of(ws) == before


def test_no_record_with_a_number_that_is_none(ws):
    with pytest.raises(ValueError, match="JSON"):
        signed(ws, content={"decision": "d1", "auroc": float("nan")})
    assert entries_of(ws) == ()


def test_documents_are_noted_once_and_only_of_signatures(ws):
    signed_three_times(ws)
    record = newest(entries_of(ws))
    for _ in range(2):
        add_document(ws, {"record.pdf": "a"}, of=record.sha256, now=NOW)
    assert [entry.body["files"] for entry in newest(entries_of(ws)).documents] == [{"record.pdf": "a"}]
    assert newest(entries_of(ws)).sha256 == record.sha256, "a document is no signature"
    for other in ("0" * 64, record.content_sha256):
        with pytest.raises(IasError, match="record of this workspace"):
            add_document(ws, {"record.pdf": "b"}, of=other, now=NOW)


def test_canonical_is_one_text_for_one_content():
    assert canonical({"b": 1, "a": [1.5, "ü"]}) == canonical({"a": [1.5, "ü"], "b": 1}) == '{"a":[1.5,"ü"],"b":1}'
    assert json.loads(canonical({"x": 0.1 + 0.2}))["x"] == 0.1 + 0.2


# --- the record as a file ------------------------------------------------------------------------------------


@pytest.fixture
def written(ws, tmp_path):
    signed_three_times(ws)
    path = tmp_path / "record.json"
    path.write_bytes(record_file.text_of(hand_over(ws)).encode())
    return path


def hand_over(ws):
    return add_document(ws, {"record.pdf": "a"}, of=newest(entries_of(ws)).sha256, now=NOW)


def test_a_record_file_gives_back_what_was_signed(ws, written):
    record = read_record(written)
    assert record.entries == entries_of(ws) and record.content == CONTENT
    assert record.sha256 == newest(entries_of(ws)).sha256
    assert [one["signed_by"] for one in record.signatures] == ["A", "B", "C"]


def test_a_record_file_is_about_what_was_handed_over_whatever_came_later(ws, written):
    """The line has the approved record; a draft begun since must not reach it with the next export."""
    approved = newest(entries_of(ws))
    signed(ws, "A", content=CONTENT | {"decision": "draft"})
    assert newest(entries_of(ws)).content["decision"] == "draft"
    assert newest_approved(entries_of(ws)).content == approved.content == CONTENT
    again = add_document(ws, {"record.pdf": "a"}, of=approved.sha256, now=NOW)
    assert [one.body["kind"] for one in again] == ["content", *["signature"] * 3, "document"]
    other = add_document(ws, {"record.pdf": "b"}, of=approved.sha256, now=NOW)
    written.write_bytes(record_file.text_of(other).encode())
    assert read_record(written).content == CONTENT and len(read_record(written).entries) == 8
    written.write_bytes(record_file.text_of(other[:-1]).encode())
    with pytest.raises(IasError, match="does not end with a record that was handed over"):
        read_record(written)


def test_every_single_byte_counts(written):
    """Every byte of the file changed once, in one bit or another; every second one left out; one put in everywhere."""
    data = written.read_bytes()
    changed = [data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :] for i in range(len(data))]
    changed += [data[:i] + data[i + 1 :] for i in range(0, len(data), 2)]
    changed += [data[:i] + b" " + data[i:] for i in range(0, len(data) + 1, 2)]
    assert len(changed) > 1000
    unseen = []
    for other in changed:
        written.write_bytes(other)
        try:
            read_record(written)
            unseen.append(other)
        except IasError:
            pass
    assert not unseen
    written.write_bytes(data)
    read_record(written)


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_removed_a_moved_and_a_doubled_entry_are_found(ws, written, gone):
    entries = list(entries_of(ws))
    for other in (
        entries[:gone] + entries[gone + 1 :],
        [*entries[:gone], entries[gone + 1], entries[gone], *entries[gone + 2 :]],
        entries[: gone + 1] + entries[gone:],
    ):
        written.write_bytes(record_file.text_of(other).encode())
        with pytest.raises(IasError, match="does not follow the one before"):
            read_record(written)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"schema":"ng0-record/2","entries":[]}',
        '{"schema":"ng0-record/2","entries":[1]}',
        "{" * 9,
    ]
    + ['{"entries":[{"body":{"a":1},"sha256":"x"}],"schema":"ng0-record/2"}', "[" * 100_000],
)
def test_what_is_no_record_says_so(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(IasError):
        read_record(tmp_path / "record.json")
    with pytest.raises(IasError, match="could not be read"):
        read_record(tmp_path / "nothing.json")
