"""Kill -9 while people sign: what was shown as signed is in the chain, once, and the chain fits."""

import sqlite3
from collections import Counter

from pages.services import chain
from pages.services.records import SIGNATURE, entries_of
from pages.services.workspace import Workspace
from tests.app.killing import killed_at_random

KILLS = 50

# Three people sign one content after the other; a line is printed only after the call came back, as the page draws
# only then. After a crash somebody tries to sign the last one again, as a person would who saw no answer.
_SIGNING = """
from itertools import count
from ias_core.errors import IasError
from pages.services.records import MEANINGS, Identity, entries_of, newest, sign
from pages.services.workspace import Workspace

ws = Workspace(arguments[0])
work_may_begin()
last = newest(entries_of(ws))
for i in count():
    content = last.content if last is not None and i == 0 else {"decision": f"{run} {i}"}
    for meaning in MEANINGS:
        entries = entries_of(ws)
        try:
            entry = sign(ws, identity=Identity(meaning), meaning=meaning, reason="r", content=content,
                         head=entries[-1].sha256 if entries else "", now="now")
        except IasError as refused:
            assert "has signed this" in str(refused), refused
            continue
        print(entry.sha256, flush=True)
"""


def test_no_signature_shown_is_lost_and_none_is_there_twice(tmp_path):
    ws = Workspace(tmp_path)
    said = killed_at_random(_SIGNING, [str(tmp_path)], n=KILLS, seed=6, within_s=0.3)
    shown = Counter(line for lines in said for line in lines)
    assert sum(map(bool, said)) > KILLS // 3 and max(shown.values()) == 1
    with sqlite3.connect(ws.database) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    entries = entries_of(ws)
    stored = [entry.sha256 for entry in entries if entry.body["kind"] == SIGNATURE]
    assert chain.first_break(entries) == ""
    assert set(shown) <= set(stored) and len(set(stored)) == len(stored)
    assert len({(one.body["content"], one.body["meaning"]) for one in entries if one.body["kind"] == SIGNATURE}) == len(
        stored
    )
    # A kill between commit and print leaves at most one signature that nobody was shown.
    assert len(stored) - len(shown) <= KILLS
