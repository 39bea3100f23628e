"""Blind review as a service: what is judged, what is stored, who sees what, and what comes out of it."""

import io
import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from calibration.agreement import two_raters
from calibration.rules import is_ng
from ias_core.errors import IasError, ImageRefused
from pages.services import blind_review, filters, review_store
from pages.services.artifacts import DETECTOR, SYNTHESIS, current_digest, load_result
from pages.services.blind_review import Sizes, desk_of, order_of, picture_png
from pages.services.ledger import Ledger
from pages.services.pictures import read_at_size
from pages.services.quality import kept
from pages.services.review_agreement import agreements, borderline, said
from pages.services.review_results import (
    REASONS,
    REJECTED_BY,
    View,
    judged_synthetic,
    line_of,
    moved,
    taken_out,
    to_be_changed,
    view_of,
)
from pages.services.review_state import state_of
from pages.services.review_store import Choice, Item, Reviewer, Round, end, reviewers, save, withdraw
from pages.services.settings import to_dict
from pages.services.steps import load_config, save_config, steps
from pages.services.synthesis import synthesis_digest
from pages.services.thresholds import evidence_of
from pages.services.verification import basis_of, free_ng, note_seen, seen_ng
from pages.services.workspace import Workspace
from tests.app.conftest import NOW
from tests.app.reviewing import begun, judged, knows

# The queue


def test_round_holds_every_kind_and_no_graded_nor_rejected_one(ws):
    synthesis = load_result(ws, SYNTHESIS)
    facts, primary = synthesis.meta["methods"], synthesis.meta["primary"]
    filters.reject(ws, load_result(ws, DETECTOR), load_config(ws), facts[primary]["picture_ids"][0], "by hand: no")
    synthesis = load_result(ws, SYNTHESIS)
    now = begun(ws)
    of = {kind: [item for item in now.items if item.kind == kind] for kind in review_store.KINDS}
    assert (len(of["ok"]), len(of["real"])) == (6, 4)
    assert {item.method for item in of["synthetic"]} == {"glass-las-own", "glass-las-foreign"}
    counted = kept(synthesis.meta["methods"][primary])
    assert 0 < counted.sum() < len(counted)
    wanted = set(np.array(facts[primary]["picture_ids"])[counted])
    assert {item.key for item in of["synthetic"] if item.method == primary} == wanted
    assert sum(item.method != primary for item in of["synthetic"]) == 3
    roles = {record.sha256: record.role for record in Ledger(ws).records()}
    assert {roles[item.key] for item in of["ok"]} <= {"calibration_ok", "check_ok"}
    assert review_store.current_round(ws) == now


def test_what_seeded_a_generator_is_not_judged(ws):
    seed = sorted(free_ng(ws))[0]
    Ledger(ws).assign([seed], "generator_seed", by="test", why="")
    spent = sorted(free_ng(ws))[0]
    Ledger(ws).assign([spent], "threshold_ng", by="test", why="")
    keys = {item.key for item in begun(ws, sizes=Sizes(real=500)).items if item.kind == "real"}
    assert seed not in keys and spent in keys and keys == free_ng(ws) | {spent}


def test_good_parts_that_lie_under_a_synthetic_ng_come_last(ws):
    now = begun(ws, sizes=Sizes(ok=12, others=10))
    facts = load_result(ws, SYNTHESIS).meta["methods"]
    drawn = {item.key for item in now.items if item.kind == "synthetic"}
    parents = {
        name
        for method in facts.values()
        for key, name in zip(method.get("picture_ids", ()), method["parent_names"], strict=False)
        if key in drawn
    }
    records = [one for role in ("calibration_ok", "check_ok") for one in Ledger(ws).records(role=role)]
    others = {one.name for one in records} - parents
    chosen = {item.name for item in now.items if item.kind == "ok"}
    assert parents and others
    assert chosen <= others if len(others) >= 12 else others <= chosen


def test_each_reviewer_has_an_order_of_their_own_and_keeps_it(ws):
    now = begun(ws)
    anna, ben = order_of(now, "Anna"), order_of(now, "Ben")
    assert set(anna) == set(ben) == set(now.items) and anna != ben
    assert order_of(review_store.current_round(ws), "anna") == anna
    # Kinds are mixed: no kind stands in one block.
    kinds = [item.kind for item in anna]
    assert sum(a != b for a, b in zip(kinds, kinds[1:], strict=False)) > 6


def test_same_seed_same_round(ws, tmp_path, built):
    from tests.app import small_run

    again = small_run.copy_of(built, tmp_path / "again")
    assert begun(ws).items == begun(again).items
    assert begun(ws, after=1).items != begun(again, seed=2, after=1).items


def test_a_double_click_begins_one_round(ws):
    first = begun(ws)
    assert begun(ws) == first
    assert begun(ws, after=1).number == 2


@pytest.mark.parametrize("sizes", [{"ok": -1}, {"real": 501}, {"primary": 1000}])
def test_impossible_sizes(sizes):
    with pytest.raises(IasError, match="0 to 500"):
        Sizes(**sizes)


def test_nothing_to_judge(ws):
    with pytest.raises(IasError, match="no picture to review"):
        begun(ws, sizes=Sizes(0, 0, 0, 0))
    assert review_store.current_round(ws) is None


# The pictures


def test_pictures_of_every_kind_look_alike_to_a_program(ws):
    now, synthesis = begun(ws), load_result(ws, SYNTHESIS)
    records = {record.sha256: record for record in Ledger(ws).records()}
    for item in now.items:
        png = picture_png(item, 64, records, synthesis)
        assert png[:33] == picture_png(now.items[0], 64, records, synthesis)[:33]  # signature and header
        picture = Image.open(io.BytesIO(png))
        assert (picture.size, picture.mode, picture.info) == ((64, 64), "RGB", {})
        assert item.name.encode() not in png and item.key.encode() not in png
        if item.kind != "synthetic":
            same = np.rint(read_at_size(records[item.key], 64) * 255).astype(np.uint8)
        else:
            stems = dict(
                zip(synthesis.meta["methods"][item.method]["picture_ids"], synthesis.sets[item.method].ids, strict=True)
            )
            same = np.rint(synthesis.picture(stems[item.key]) * 255).astype(np.uint8)
        assert np.array_equal(np.asarray(picture), same)


def test_a_missing_picture_is_told_without_its_name(ws):
    synthesis = load_result(ws, SYNTHESIS)
    for item in (Item("0" * 64, "real", "ng_00.png"), Item("0" * 16, "synthetic", "x", "glass-las-own")):
        with pytest.raises(ImageRefused, match="^this picture cannot be shown") as refused:
            picture_png(item, 64, {}, synthesis)
        assert item.name not in str(refused.value).split() and item.key not in str(refused.value)


# What is stored


@pytest.fixture
def desk_ws(tmp_path) -> Workspace:
    """A round of three pictures, and no product behind it."""
    made = Workspace(tmp_path)
    review_store.open_round(made, [Item(key, "ok", f"{key}.png") for key in "abc"], seed=0, made_from="m", now=NOW)
    return made


def choose(ws, item="a", sequence=1, *, reviewer="Anna", verdict="OK", look="real", number=1):
    return save(ws, reviewer=reviewer, number=number, item=item, sequence=sequence, verdict=verdict, look=look, now=NOW)


def take_back(ws, item="a", sequence=2, *, reviewer="Anna"):
    return withdraw(ws, reviewer=reviewer, number=1, item=item, sequence=sequence, now=NOW)


def rows(ws):
    with ws.transaction() as db:
        return [tuple(row) for row in db.execute("SELECT reviewer, item, sequence, action, verdict, look FROM reviews")]


def test_the_same_decision_sent_twice_is_there_once(desk_ws):
    assert choose(desk_ws)
    assert not choose(desk_ws)
    assert not choose(desk_ws, verdict="NG", look="made")  # the first one stands
    assert take_back(desk_ws) and not take_back(desk_ws)
    assert not choose(desk_ws)
    assert choose(desk_ws, sequence=3, verdict="NG", look="")
    assert choose(desk_ws, reviewer="Ben")
    assert rows(desk_ws) == [
        ("Anna", "a", 1, "judged", "OK", "real"),
        ("Anna", "a", 2, "withdrawn", "", ""),
        ("Anna", "a", 3, "judged", "NG", ""),
        ("Ben", "a", 1, "judged", "OK", "real"),
    ]
    anna, ben = reviewers(desk_ws, 1)
    assert anna.choices == {"a": Choice("NG", "", NOW)} and anna.sequences == {"a": 3}
    assert ben.choices == {"a": Choice("OK", "real", NOW)}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda ws: choose(ws, sequence=2),
        lambda ws: choose(ws, sequence=3),
        lambda ws: choose(ws, sequence=0),
        lambda ws: choose(ws, item="d"),
        lambda ws: choose(ws, item=""),
        lambda ws: choose(ws, number=2),
        lambda ws: choose(ws, verdict="ok"),
        lambda ws: choose(ws, look="fake"),
        lambda ws: choose(ws, reviewer=" Anna"),
        lambda ws: choose(ws, reviewer=""),
        lambda ws: take_back(ws, sequence=1),
        lambda ws: take_back(ws, sequence=2),
    ],
)
def test_what_cannot_be_a_decision_is_refused(desk_ws, wrong):
    with pytest.raises(IasError):
        wrong(desk_ws)
    assert rows(desk_ws) == []


def test_a_decision_is_not_changed_without_taking_it_back(desk_ws):
    choose(desk_ws)
    with pytest.raises(IasError, match="does not follow"):
        choose(desk_ws, sequence=2, verdict="NG")
    take_back(desk_ws)
    with pytest.raises(IasError, match="does not follow"):
        take_back(desk_ws, sequence=3)


def test_who_has_seen_the_results_judges_no_more(desk_ws):
    choose(desk_ws)
    assert end(desk_ws, reviewer="Anna", number=1, now=NOW) and not end(desk_ws, reviewer="Anna", number=1, now="later")
    for action in (lambda: choose(desk_ws, item="b"), lambda: take_back(desk_ws)):
        with pytest.raises(IasError, match="no longer blind"):
            action()
    assert not choose(desk_ws)  # sent twice: it is there, and stays
    assert choose(desk_ws, reviewer="Ben")
    assert reviewers(desk_ws, 1)[0].ended == NOW and reviewers(desk_ws, 1)[1].ended == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reviews SET verdict = 'NG'",
        "DELETE FROM reviews",
        "INSERT OR REPLACE INTO reviews (reviewer, round, item, sequence, action, verdict, look, at) "
        "VALUES ('Anna', 1, 'a', 1, 'judged', 'NG', '', '')",
        "INSERT OR REPLACE INTO reviews (id, reviewer, round, item, sequence, action, verdict, look, at) "
        "VALUES (1, 'Eve', 1, 'a', 1, 'judged', 'NG', '', '')",
        "UPDATE review_rounds SET body = '{}'",
        "DELETE FROM review_rounds",
        "INSERT OR REPLACE INTO review_rounds (number, body) VALUES (1, '{}')",
    ],
)
def test_tables_refuse_changes(desk_ws, statement):
    choose(desk_ws)
    before = rows(desk_ws), review_store.current_round(desk_ws)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), desk_ws.transaction() as db:
        db.execute(statement)
    assert (rows(desk_ws), review_store.current_round(desk_ws)) == before


def test_one_person_under_one_name(desk_ws):
    choose(desk_ws, reviewer="Anna Groß")
    assert review_store.known_as(desk_ws, 1, "  anna  GROSS ") == "Anna Groß"
    assert review_store.known_as(desk_ws, 1, "Ben") == "Ben"
    with pytest.raises(IasError, match="reviewer's name"):
        review_store.known_as(desk_ws, 1, "  ")


def test_the_desk_follows_what_is_stored(desk_ws):
    now = review_store.current_round(desk_ws)
    order = [item.key for item in order_of(now, "Anna")]
    desk = desk_of(desk_ws, now, "Anna")
    assert (desk.done, desk.total, desk.item.key, desk.sequence, desk.last) == (0, 3, order[0], 1, None)
    assert [item.key for item in desk.ahead] == order[1:]
    choose(desk_ws, order[0])
    choose(desk_ws, order[1])
    desk = desk_of(desk_ws, now, "Anna")
    assert (desk.done, desk.item.key, desk.last, desk.version) == (2, order[2], (order[1], 2), 2)
    take_back(desk_ws, *desk.last)
    desk = desk_of(desk_ws, now, "Anna")
    assert (desk.done, desk.item.key, desk.sequence, desk.last) == (1, order[1], 3, (order[0], 2))
    assert desk.version == 3  # never the number of an older desk, though as many pictures are judged
    choose(desk_ws, order[1], 3)
    choose(desk_ws, order[2])
    desk = desk_of(desk_ws, now, "Anna")
    assert desk.item is None and desk.last == (order[2], 2) and not desk.ended
    assert desk_of(desk_ws, now, "Ben").done == 0


# Who sees what


def seen_by(ws, **line) -> View:
    asked = {"threshold": None, "review_from": None} | line
    return view_of(ws, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), load_config(ws), **asked)


def summary(ws, **line):
    asked = {"threshold": None} | line
    return blind_review.summary(ws, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), load_config(ws), **asked)


def test_choices_are_shown_when_their_reviewer_has_ended(ws):
    assert seen_by(ws) is None and summary(ws) is None
    now = begun(ws)
    assert seen_by(ws).reviewers == () and summary(ws) is None
    judged(ws, now, "Anna", knows, end=False)
    assert seen_by(ws).reviewers == () and summary(ws) is None
    judged(ws, now, "Ben", knows)
    view = seen_by(ws)
    assert [one.name for one in view.reviewers] == ["Ben"] and [one.name for one in view.waiting] == ["Anna"]
    assert summary(ws)["reviewers"] == [{"name": "Ben", "n": len(now.items)}]
    end(ws, reviewer="Anna", number=1, now=NOW)
    assert [one.name for one in seen_by(ws).reviewers] == ["Anna", "Ben"]


def test_real_ng_are_kept_for_verification(ws):
    detector, free = load_result(ws, DETECTOR), sorted(free_ng(ws))
    now = begun(ws, sizes=Sizes(real=500))
    judged(ws, now, "Anna", knows)
    view = seen_by(ws, threshold=0.0)
    assert not set(free) & view.scores.keys() and seen_ng(ws) == set()
    row = next(row for row in agreements(view) if row.between == "Anna and the detector" and row.kind == "real")
    assert row.found is None and row.kept == len(free) and "no picture in common" in row.flag

    note_seen(ws, {free[0]}, basis="another detector")
    Ledger(ws).assign([free[1]], "threshold_ng", by="test", why="")
    view = seen_by(ws, threshold=0.0)
    assert set(free) & view.scores.keys() == set(free[:2])
    assert seen_ng(ws) == {free[0]}
    here = basis_of(detector.meta["bank_id"], to_dict(load_config(ws))["thresholds"])
    assert seen_ng(ws, other_than="another detector") == {free[0]} and here in ws.get_choice("ng_seen")[free[0]]


# What comes out


def by_hand(items: str, *said: dict[str, tuple[str, str]], scores=None, threshold=None, review_from=None) -> View:
    """A view of items named by one letter, o, s or r and a number each, and what reviewers A, B, ... said."""
    kinds = {"o": "ok", "s": "synthetic", "r": "real"}
    frozen = Round(1, NOW, 0, "m", tuple(Item(key, kinds[key[0]], key) for key in items.split()))
    people = tuple(
        Reviewer(name, {key: Choice(*choice, NOW) for key, choice in one.items()}, {}, NOW)
        for name, one in zip("ABCD", said, strict=False)
    )
    return View(frozen, people, (), scores or {}, threshold, review_from)


@pytest.mark.parametrize(
    ("said", "both", "ok_only", "made_only"),
    [
        ([("NG", "real")], "accepted", "accepted", "accepted"),
        ([("OK", "real")], "rejected", "rejected", "open"),
        ([("NG", "made")], "rejected", "accepted", "rejected"),
        ([("NG", "")], "accepted", "accepted", "accepted"),
        ([("cannot tell", "")], "open", "open", "open"),
        ([("cannot tell", "made")], "rejected", "open", "rejected"),
        ([("OK", "real"), ("NG", "real")], "open", "open", "open"),  # a draw rejects nothing
        ([("NG", "made"), ("NG", "real")], "accepted", "accepted", "accepted"),
        ([("OK", ""), ("cannot tell", "")], "rejected", "rejected", "open"),
        ([("OK", "real"), ("NG", "made"), ("NG", "made")], "rejected", "accepted", "rejected"),
        ([("OK", ""), ("OK", ""), ("NG", "real")], "rejected", "rejected", "open"),
        ([], "open", "open", "open"),
    ],
)
def test_majority_of_those_who_answered(said, both, ok_only, made_only):
    view = by_hand("s1", *({"s1": one} for one in said))
    for reasons, wanted in ((REASONS, both), (["called OK"], ok_only), (["looks made"], made_only)):
        (found,) = judged_synthetic(view, reasons)
        assert found.verdict == wanted
        assert bool(found.why) == (wanted == "rejected")
    assert judged_synthetic(view, [])[0].verdict in ("accepted", "open")


def test_the_reason_names_the_reviewers():
    said = [{"s1": ("OK", "made")}, {"s1": ("OK", "real")}, {"s1": ("NG", "made")}]
    (found,) = judged_synthetic(by_hand("s1", *said), REASONS)
    assert found.why == f"{REJECTED_BY} 1: called OK by A, B and looks made to A, C"


def test_rejected_leave_the_roc_at_once_and_can_come_back(ws):
    detector, first = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)
    primary = first.meta["primary"]
    now = begun(ws)
    mine = [item for item in now.items if item.method == primary]
    bad = {item.key for item in mine[:3]}
    judged(ws, now, "Anna", lambda item: ("OK", "real") if item.key in bad else knows(item))
    opinions = judged_synthetic(seen_by(ws), REASONS)
    assert {one.item.key for one in opinions if one.verdict == "rejected"} == bad

    told = moved(detector, first, load_config(ws), opinions)
    before = evidence_of(detector, first, set())
    assert told.before.kept == len(before.synthetic[primary]) and told.after.kept == told.before.kept - 3

    change = to_be_changed(opinions, load_config(ws))
    filters.reject_many(ws, detector, load_config(ws), change)
    config, result = load_config(ws), load_result(ws, SYNTHESIS)
    assert taken_out(config) == change and change.keys() == bad
    assert all("called OK by Anna" in why for why in change.values())
    assert current_digest(ws, SYNTHESIS) == synthesis_digest(detector.digest, config) != first.digest
    after = evidence_of(detector, result, set())
    assert len(after.synthetic[primary]) == len(before.synthetic[primary]) - 3
    (in_force,) = [one for one in filters.effects(detector, result, config) if one.filters == config.synthesis.filters]
    assert (in_force.area, in_force.youden, in_force.recommended) == (
        told.after.area,
        told.after.youden,
        told.after.recommended,
    )
    # The page shows the same before and after once it is in force, and there is nothing left to do.
    assert moved(detector, result, config, opinions) == told and to_be_changed(opinions, config) == {}
    assert summary(ws)["rejected"] == 3

    back = sorted(bad)[0]
    filters.reject(ws, detector, config, back, "")
    assert taken_out(load_config(ws)).keys() == bad - {back}
    assert len(evidence_of(detector, load_result(ws, SYNTHESIS), set()).synthetic[primary]) == told.after.kept + 1


def test_what_was_rejected_by_hand_stays_the_engineers(ws):
    detector, now = load_result(ws, DETECTOR), begun(ws)
    mine = [item for item in now.items if item.kind == "synthetic"]
    filters.reject(ws, detector, load_config(ws), mine[0].key, "by hand: no")
    judged(ws, now, "Anna", lambda item: ("OK", "") if item in mine[:2] else knows(item))
    config = load_config(ws)
    change = to_be_changed(judged_synthetic(seen_by(ws), REASONS), config)
    assert change.keys() == {mine[1].key}
    filters.reject_many(ws, detector, config, change)
    assert load_config(ws).synthesis.rejected[mine[0].key] == "by hand: no"


def test_one_more_reviewer_can_bring_a_picture_back(ws):
    detector, now = load_result(ws, DETECTOR), begun(ws)
    mine = next(item for item in now.items if item.kind == "synthetic")
    judged(ws, now, "Anna", lambda item: ("OK", "") if item == mine else knows(item))
    filters.reject_many(
        ws, detector, load_config(ws), to_be_changed(judged_synthetic(seen_by(ws), REASONS), load_config(ws))
    )
    judged(ws, now, "Ben", knows)
    assert to_be_changed(judged_synthetic(seen_by(ws), REASONS), load_config(ws)) == {mine.key: ""}


def test_real_ng_and_good_parts_decide_nothing(ws):
    detector, synthesis, now = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), begun(ws)
    judged(ws, now, "Anna", lambda item: knows(item) if item.kind == "synthetic" else ("OK", "made"))
    opinions = judged_synthetic(seen_by(ws), REASONS)
    assert {one.item.kind for one in opinions} == {"synthetic"} and to_be_changed(opinions, load_config(ws)) == {}
    told = moved(detector, synthesis, load_config(ws), opinions)
    assert told.before == told.after


# Agreement


def test_counts_by_reviewer_and_kind():
    view = by_hand("o1 o2 r1", {"o1": ("OK", "made"), "o2": ("cannot tell", ""), "r1": ("NG", "real")})
    first, second = said(view)
    assert (first.kind, first.n, first.verdicts, first.looks) == (
        "ok",
        2,
        {"OK": 1, "cannot tell": 1},
        {"made": 1, "": 1},
    )
    assert (second.kind, second.n, second.verdicts) == ("real", 1, {"NG": 1})


def test_agreement_by_kind_and_over_all_with_cannot_tell_left_out_and_counted():
    first = {"o1": ("OK", ""), "o2": ("NG", ""), "s1": ("NG", ""), "s2": ("NG", ""), "r1": ("cannot tell", "")}
    second = {"o1": ("OK", ""), "o2": ("OK", ""), "s1": ("NG", ""), "s2": ("OK", ""), "r1": ("NG", "")}
    rows = {row.kind: row for row in agreements(by_hand("o1 o2 s1 s2 s3 r1", first, second))}
    assert list(rows) == ["ok", "synthetic", "real", None]
    assert (rows["ok"].found.agree.k, rows["ok"].found.agree.n, rows["ok"].left_out) == (1, 2, 0)
    assert (rows["synthetic"].found.agree.k, rows["synthetic"].left_out) == (1, 1)
    assert rows["real"].found is None and rows["real"].left_out == 1
    assert rows[None].found == two_raters(np.array([0, 1, 1, 1], bool), np.array([0, 0, 1, 0], bool))
    assert rows[None].pictures == "all kinds together (2 good parts, 2 synthetic NG)" and rows[None].left_out == 2


def test_agreement_with_the_detector_at_its_threshold(ws):
    now = begun(ws)
    judged(ws, now, "Anna", knows)
    detector, synthesis = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)
    threshold = float(np.median(detector.sets["check"].image_scores))  # a score that a part has
    view = seen_by(ws, threshold=threshold)
    found = {row.kind: row.found for row in agreements(view)}
    scores = {}
    for name in ("calibration", "check"):
        scores |= dict(zip(detector.sets[name].ids, detector.sets[name].image_scores, strict=True))
    ok = [scores[item.key] for item in now.items if item.kind == "ok"]
    assert found["ok"].agree.k == np.count_nonzero(~is_ng(np.array(ok), threshold))
    of = {
        key: score
        for m in ("glass-las-own", "glass-las-foreign")
        for key, score in zip(synthesis.meta["methods"][m]["picture_ids"], synthesis.sets[m].image_scores, strict=True)
    }
    ng = [of[item.key] for item in now.items if item.kind == "synthetic"]
    assert found["synthetic"].agree.k == np.count_nonzero(is_ng(np.array(ng), threshold))


def test_three_reviewers_have_fleiss_kappa_too():
    said = [{f"o{i}": ("NG" if (i + j) % 5 == 0 else "OK", "") for i in range(12)} for j in range(3)]
    rows = agreements(by_hand(" ".join(f"o{i}" for i in range(12)), *said))
    assert [row.between for row in rows] == ["A and B", "A and C", "B and C", "all 3 reviewers"]
    assert rows[-1].found.n_raters == 3 and rows[-1].kind == "ok"


def test_one_class_cannot_tell():
    one = {f"o{i}": ("OK", "") for i in range(9)}
    (row,) = agreements(by_hand(" ".join(one), one, one))
    assert row.found.kappa is None and row.flag.startswith("cannot tell")


def test_borderline_says_why():
    first = {"o1": ("OK", ""), "o2": ("OK", ""), "o3": ("cannot tell", ""), "o4": ("OK", ""), "o5": ("OK", "")}
    second = {"o1": ("NG", ""), "o2": ("OK", ""), "o3": ("NG", ""), "o4": ("OK", ""), "o5": ("OK", "")}
    scores = {"o1": 1.5, "o2": 1.0, "o3": 3.0, "o4": 2.0, "o5": 0.5, "o6": 1.5}
    view = by_hand("o1 o2 o3 o4 o5 o6", first, second, scores=scores, threshold=2.0, review_from=1.0)
    assert [(one.item.key, one.why) for one in borderline(view)] == [
        ("o1", "reviewers differ, in the review band"),
        ("o2", "in the review band"),
        ("o3", "cannot tell"),
    ]
    assert borderline(view)[0].said == "A: OK, B: NG" and borderline(view)[0].score == 1.5
    no_band = by_hand("o2", {"o2": ("OK", "")}, scores=scores, threshold=2.0)
    assert borderline(no_band) == ()


def test_line_is_the_fixed_threshold_else_the_recommended_one(ws, fix, table):
    detector, synthesis = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)
    line = line_of(ws, detector, synthesis, load_config(ws))
    assert (line.threshold, line.is_) == (table.recommendation.choice.value, "recommended")
    fix(value=9.5, origin="by hand")
    line = line_of(ws, detector, synthesis, load_config(ws))
    assert (line.threshold, line.is_) == (9.5, "fixed")
    assert line.review_from is None or line.review_from < 9.5
    other = replace(detector, meta=detector.meta | {"bank_id": "another"})
    assert line_of(ws, other, synthesis, load_config(ws)).is_ == "recommended"


def test_summary_is_what_a_release_records(ws):
    now = begun(ws)
    mine = [item for item in now.items if item.kind == "synthetic"]
    judged(
        ws,
        now,
        "Anna",
        lambda item: ("OK", "") if item in mine[:2] else ("cannot tell", "") if item == mine[2] else knows(item),
    )
    judged(ws, now, "Ben", lambda item: ("OK", "") if item in mine[:2] else knows(item))
    found = summary(ws, threshold=10.0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found.keys() == {"reviewers", "accepted", "rejected", "open", "borderline", "agreement"}
    assert (found["accepted"], found["rejected"], found["open"]) == (len(mine) - 2, 0, 2)
    assert found["borderline"] >= 1
    for row in found["agreement"]:
        assert row.keys() == {"between", "n", "agree", "kappa", "low", "high", "flag"}
        assert row["n"] == (row["agree"]["n"] if row["agree"] else 0)
    assert [row["between"] for row in found["agreement"][:4]] == [
        "Anna and Ben, good parts",
        "Anna and Ben, synthetic NG",
        "Anna and Ben, real NG",
        f"Anna and Ben, all kinds together (6 good parts, {len(mine) - 1} synthetic NG, 4 real NG)",
    ]


# The step


def test_state_of_the_step(ws):
    assert steps(ws)["review"].state == "ready"
    now = begun(ws)
    assert steps(ws)["review"].state == "ready"
    judged(ws, now, "Anna", knows, end=False)
    assert steps(ws)["review"].state == "running"
    end(ws, reviewer="Anna", number=1, now=NOW)
    assert steps(ws)["review"].state == "done"
    filters.switch_filters(ws, load_result(ws, DETECTOR), load_config(ws), ())
    assert steps(ws)["review"].state == "done"  # the same pictures
    config, digest = load_config(ws), load_result(ws, DETECTOR).digest
    save_config(ws, replace(config, synthesis=replace(config.synthesis, count=11)))
    assert state_of(ws, digest, load_config(ws)) == "out of date" and summary(ws) is None
    save_config(ws, config)
    assert state_of(ws, "another detector", config) == "out of date"
    begun(ws, after=1)
    assert state_of(ws, digest, config) == "ready"
