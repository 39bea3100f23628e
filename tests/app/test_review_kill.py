"""Kill -9 while decisions are saved: what was shown as saved is there, once, and the database opens."""

import sqlite3
from collections import Counter

from pages.services.review_store import Item, open_round, reviewers
from pages.services.workspace import Workspace
from tests.app.conftest import NOW
from tests.app.killing import killed_at_random

KILLS, ITEMS = 60, 400

# Like a tab after a crash: it reads what is stored, sends its last decision once more, goes on, and now and then
# takes one back. A line is printed only after the call came back, as the page draws only then.
_REVIEWING = """
from itertools import cycle
from pages.services.review_store import current_round, reviewers, save, withdraw
from pages.services.workspace import Workspace

ws, reviewer = Workspace(arguments[0]), "Anna"
work_may_begin()
items = [item.key for item in current_round(ws).items]
mine = next((one for one in reviewers(ws, 1) if one.name == reviewer), None)
sequences = dict(mine.sequences) if mine else {}
sent = [(item, sequence) for item, sequence in sequences.items()][-1:]
for item in cycle(items[::-1] if run % 2 else items):
    sent.append((item, sequences.get(item, 0) + 1))
    for key, sequence in (*sent[-2:], sent[-1]):
        ask = dict(reviewer=reviewer, number=1, item=key, sequence=sequence, now="now")
        new = withdraw(ws, **ask) if sequence % 2 == 0 else save(ws, **ask, verdict="NG", look="made")
        print(key, sequence, "new" if new else "there", flush=True)
    sequences[item] = sequences.get(item, 0) + 1
"""


def test_no_decision_shown_as_saved_is_lost_and_none_is_there_twice(tmp_path):
    ws = Workspace(tmp_path)
    open_round(ws, [Item(f"k{i}", "ok", f"n{i}") for i in range(ITEMS)], seed=0, made_from="", now=NOW)
    said = killed_at_random(_REVIEWING, [str(tmp_path)], n=KILLS, seed=6, within_s=0.12)
    assert len(said) == KILLS

    shown = Counter(tuple(line.split()[:2]) for lines in said for line in lines)
    new = Counter(tuple(line.split()[:2]) for lines in said for line in lines if line.endswith(" new"))
    assert sum(map(bool, said)) >= 10 and max(new.values()) == 1
    with sqlite3.connect(ws.database) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = Counter(
            (item, str(sequence)) for item, sequence in db.execute("SELECT item, sequence FROM reviews").fetchall()
        )
    assert shown.keys() <= stored.keys()
    assert max(stored.values()) == 1
    # A kill between commit and print leaves at most one decision that nobody was shown.
    assert len(stored) - len(shown) <= KILLS
    (anna,) = reviewers(Workspace(tmp_path), 1)
    assert {(item, str(sequence)) for item, sequence in anna.sequences.items()} <= stored.keys()
