"""Signed records: nothing is signed without a name, nothing signed is changed, and a change would show."""

import hashlib
import json
import sqlite3

import pytest

from ias_core.errors import IasError
from pages.services.records import MEANINGS, canonical, last_signed, sign, signed_records
from pages.services.workspace import Workspace
from tests.app.conftest import NOW


@pytest.fixture
def ws(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def signed(ws: Workspace, **changes) -> dict:
    asked = {
        "name": " A. Engineer ",
        "meaning": "approved",
        "reason": "3 missed parts looked at",
        "decision": "d1",
        "report": {"status": "checked", "größe": 0.1},
        "now": NOW,
    }
    return sign(ws, **(asked | changes))


def test_record_says_who_what_and_that_nobody_checked_the_name(ws):
    assert signed_records(ws) == ()
    assert last_signed(ws) is None
    record = signed(ws)
    assert record == last_signed(ws)
    assert record["signed_by"] == "A. Engineer"
    assert record["identity"] == "typed, unverified"
    assert (record["meaning"], record["signed_at"], record["decision"]) == ("approved", NOW, "d1")
    assert record["report"] == {"status": "checked", "größe": 0.1}


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": " \t"}, {"reason": ""}, {"reason": "\n"}, {"meaning": "liked"}],
)
def test_incomplete_signature_is_refused(ws, changes):
    with pytest.raises(IasError):
        signed(ws, **changes)
    assert signed_records(ws) == ()


def test_chain_holds(ws):
    for i, meaning in enumerate(MEANINGS):
        signed(ws, meaning=meaning, reason=f"reason {i}")
    previous = None
    for record in signed_records(ws):
        body = {key: value for key, value in record.items() if key != "sha256"}
        assert body["previous"] == previous
        assert hashlib.sha256(canonical(body).encode()).hexdigest() == record["sha256"]
        previous = record["sha256"]


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
    before = (signed(ws), signed(ws, decision="d2"))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), ws.transaction() as db:
        db.execute(statement)
    assert signed_records(ws) == before


def test_no_record_with_a_number_that_is_none(ws):
    with pytest.raises(ValueError, match="JSON"):
        signed(ws, report={"auroc": float("nan")})
    assert signed_records(ws) == ()


def test_canonical_is_one_text_for_one_content():
    assert canonical({"b": 1, "a": [1.5, "ü"]}) == canonical({"a": [1.5, "ü"], "b": 1}) == '{"a":[1.5,"ü"],"b":1}'
    assert json.loads(canonical({"x": 0.1 + 0.2}))["x"] == 0.1 + 0.2
