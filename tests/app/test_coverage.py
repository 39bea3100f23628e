"""Failure modes against evidence: nothing is given away before the check, and every empty cell says what to collect."""

import pytest

from calibration.bounds import lower_bound, upper_bound
from calibration.evidence import evidence_class
from calibration.types import RateBound
from ias_core.errors import IasError
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.coverage import Row, coverage, needed_to_refute, rows, to_do, to_dos
from pages.services.failure_modes import Mode, add_modes, change_mode, modes, proposed, remove_mode
from pages.services.ledger import Ledger
from pages.services.verification import verify
from pages.services.workspace import Workspace
from tests.app.browse import button_of, open_page, text_of

OWN, FOREIGN = "glass-las-own", "glass-las-foreign"
SCRATCH = Mode("scratch", 8, ("scratch",), (OWN,), "seen twice a year")
DENT = Mode("dent", 3, ("dent",))
BENT = Mode("bent lead", None)


@pytest.fixture
def kinds(ws) -> dict[str, list[str]]:
    """The six NG: three scratches, two dents and one of no kind; kind -> sha256."""
    ng = [record.sha256 for record in Ledger(ws).records(label="ng")]
    found = {"scratch": ng[:3], "dent": ng[3:5], "ng": ng[5:]}
    with ws.transaction() as db:
        for kind, images in found.items():
            db.executemany("UPDATE images SET kind = ? WHERE sha256 = ?", [(kind, image) for image in images])
    return found


def covered(ws, decision) -> dict[str, Row]:
    found = coverage(ws, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), decision)
    return {row.mode.name: row for row in found}


def checked(ws, decision) -> dict[str, Row]:
    verify(ws, load_result(ws, DETECTOR), decision)
    return covered(ws, decision)


def caught_by_hand(ws, images, value: float) -> int:
    ng = load_result(ws, DETECTOR).sets["ng"]
    score = dict(zip(ng.ids, ng.image_scores.tolist(), strict=True))
    return sum(score[image] >= value for image in images)


# --- the list ------------------------------------------------------------------------------------------------


def test_the_list_survives_a_restart_and_changes_in_place(empty_ws):
    add_modes(empty_ws, [SCRATCH, DENT])
    add_modes(empty_ws, [BENT])
    assert modes(Workspace(empty_ws.root)) == (SCRATCH, DENT, BENT)
    rated = Mode("bent or broken lead", 9, ("lead",), (OWN, FOREIGN))
    change_mode(empty_ws, BENT, rated)
    remove_mode(empty_ws, SCRATCH)
    assert modes(empty_ws) == (DENT, rated)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (Mode("SCRATCH"), "There is a failure mode 'scratch' already"),
        (Mode("groove", kinds=("crack", "scratch")), "NG of kind 'scratch' belong to 'scratch' already"),
        (Mode("In no failure mode at all"), "how the table calls NG without a mode"),
    ],
)
def test_a_mode_that_does_not_fit_is_refused_whole(empty_ws, new, said):
    add_modes(empty_ws, [SCRATCH, DENT])
    for attempt in (
        lambda: add_modes(empty_ws, [Mode("stain"), new]),
        lambda: change_mode(empty_ws, DENT, new),
    ):
        with pytest.raises(IasError, match=said):
            attempt()
    assert modes(empty_ws) == (SCRATCH, DENT)


@pytest.mark.parametrize("name", ["", " dent", "a\nb", "x" * 81])
def test_a_name_is_one_line(name):
    with pytest.raises(IasError, match="needs a name on one line"):
        Mode(name)


@pytest.mark.parametrize("severity", [0, 11, 2.5])
def test_a_severity_is_one_to_ten(severity):
    with pytest.raises(IasError, match="goes from 1 to 10"):
        Mode("dent", severity)


def test_what_another_tab_changed_is_not_written_over(empty_ws):
    add_modes(empty_ws, [DENT])
    mine = Mode("dent", 5, ("dent",))
    change_mode(empty_ws, DENT, mine)
    for attempt in (
        lambda: change_mode(empty_ws, DENT, Mode("dent", 9)),
        lambda: remove_mode(empty_ws, DENT),
    ):
        with pytest.raises(IasError, match="changed or removed in another tab"):
            attempt()
    assert modes(empty_ws) == (mine,)


def test_kinds_in_no_mode_are_proposed_once(ws, kinds):
    assert proposed(ws) == (Mode("dent", kinds=("dent",)), Mode("scratch", kinds=("scratch",)))
    add_modes(ws, [Mode("Dent", 4)])  # a mode of that name is there: the engineer gives it the kind
    assert proposed(ws) == (Mode("scratch", kinds=("scratch",)),)


# --- the evidence --------------------------------------------------------------------------------------------


def test_before_the_check_nothing_is_given_away(ws, kinds, fix):
    add_modes(ws, [SCRATCH, DENT])
    found = covered(ws, fix()[0])
    assert {name: (row.real, row.waiting) for name, row in found.items()} == {
        "scratch": (None, 3),
        "dent": (None, 2),
        "in no failure mode": (None, 1),
    }


@pytest.mark.parametrize("value", [None, 39.0, 1000.0])
def test_counts_equal_a_count_by_hand(ws, kinds, fix, value):
    add_modes(ws, [SCRATCH, DENT, BENT])
    decision, _ = fix(value, origin="recommended" if value is None else "by hand")
    found = checked(ws, decision)
    for name, kind in (("scratch", "scratch"), ("dent", "dent"), ("in no failure mode", "ng")):
        k, n = caught_by_hand(ws, kinds[kind], decision.value), len(kinds[kind])
        assert found[name].real == RateBound(k, n, lower_bound(k, n), upper_bound(k, n), 0.95)
        assert (found[name].waiting, found[name].spent) == (0, 0)
    made = load_result(ws, SYNTHESIS).sets[OWN].image_scores.tolist()
    assert (found["scratch"].caught_synthetic, found["scratch"].n_synthetic) == (
        sum(score >= decision.value for score in made),
        len(made),
    )
    assert (found["bent lead"].evidence, found["bent lead"].n_synthetic) == ("none", 0)


def test_the_check_of_another_threshold_does_not_count(ws, kinds, fix):
    add_modes(ws, [SCRATCH])
    first, _ = fix(now="2026-01-05T10:00:00+01:00")
    checked(ws, first)
    again, _ = fix(now="2026-01-06T10:00:00+01:00")
    assert covered(ws, again)["scratch"].real is None


def test_an_ng_that_taught_counts_no_more(ws, kinds, fix):
    add_modes(ws, [SCRATCH])
    decision, _ = fix()
    checked(ws, decision)
    Ledger(ws).assign(kinds["scratch"][:1], "generator_seed", by="test", why="test")
    row = covered(ws, decision)["scratch"]  # the check was on other NG than are free now
    assert (row.real, row.waiting, row.spent) == (None, 2, 1)
    row = checked(ws, decision)["scratch"]
    assert (row.real.n, row.waiting, row.spent) == (2, 0, 1)


def test_synthetic_alone_is_named_so_and_rejected_ones_have_no_voice(ws, fix, table):
    add_modes(ws, [Mode("groove", 5, (), (OWN, FOREIGN))])
    row = covered(ws, fix()[0])["groove"]
    kept = sum(len(table.evidence.synthetic[name]) for name in (OWN, FOREIGN))
    assert (row.evidence, row.real, row.n_synthetic) == ("synthetic", None, kept) and kept < 20


def row_of(name: str, severity: int | None, k: int = 0, n: int = 0, synthetic: int = 0) -> Row:
    real = RateBound(k, n, lower_bound(k, n), upper_bound(k, n), 0.95) if n else None
    return Row(Mode(name, severity), True, real, 0, synthetic, 0, 0)


def test_urgency_is_severity_times_what_is_not_excluded():
    assert row_of("a", 8).urgency == 8.0
    assert row_of("a", None).urgency == 10.0
    assert row_of("a", 8, k=1, n=1).urgency == pytest.approx(8 * 0.95)
    assert row_of("a", 8, k=0, n=5).urgency == 8.0


def test_the_most_urgent_comes_first(ws, kinds, fix):
    add_modes(
        ws,
        [
            Mode("seen", 6, ("scratch",)),
            Mode("worst with synthetic", 9, (), (OWN,)),
            Mode("worst", 9),
            Mode("slight", 2),
            Mode("not rated", None),
        ],
    )
    found = checked(ws, fix(0.0, origin="by hand")[0])  # everything is caught
    order = list(found)
    assert order[0] == "not rated"
    assert order.index("worst") + 1 == order.index("worst with synthetic")
    assert order.index("worst with synthetic") < order.index("slight")
    assert found["seen"].urgency == pytest.approx(6 * (1 - 0.05 ** (1 / 3)))


# --- in words ------------------------------------------------------------------------------------------------


def test_rows_are_what_a_record_holds(ws, kinds, fix):
    add_modes(ws, [SCRATCH])
    decision, _ = fix()
    verify(ws, load_result(ws, DETECTOR), decision)
    found = rows(coverage(ws, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), decision))
    by_name = {row["mode"]: row for row in found}
    k = caught_by_hand(ws, kinds["scratch"], decision.value)
    made = load_result(ws, SYNTHESIS).sets[OWN].image_scores.tolist()
    assert by_name["scratch"] == {
        "mode": "scratch",
        "severity": 8,
        "evidence": "real",
        "n_real": 3,
        "caught_real": k,
        "low_real": lower_bound(k, 3),
        "n_synthetic": len(made),
        "caught_synthetic": sum(score >= decision.value for score in made),
        "note": "seen twice a year",
    }
    homeless = by_name["in no failure mode: dent, without a kind"]
    assert (homeless["n_real"], homeless["severity"]) == (3, None)


@pytest.mark.parametrize("recall", [0.3, 0.5, 0.9, 0.95, 0.99])
def test_needed_to_refute_is_where_the_class_says_refuted(recall):
    n = needed_to_refute(recall)

    def refuted(n: int) -> bool:
        all_missed = RateBound(0, n, 0.0, upper_bound(0, n), 0.95)
        return evidence_class(all_missed, n_synthetic=0, target_recall=recall).refuted

    assert refuted(n) and not (n > 1 and refuted(n - 1))


@pytest.mark.parametrize(
    ("k", "n", "said"),
    [
        (0, 0, "No NG of 'x' checked yet: collect 2 to refute, 29 to prove 90 % at 95 %."),
        (3, 3, "3 NG of 'x' cannot tell: collect 26 more without a miss to prove 90 % at 95 %."),
        (10, 11, "11 NG of 'x' cannot tell: collect 35 more without a miss to prove 90 % at 95 %."),
        (0, 2, "'x' is refuted: 0 of 2 caught. Lower the threshold or improve the detector, then verify anew."),
        (29, 29, ""),
    ],
)
def test_what_to_collect(k, n, said):
    row = {"mode": "x", "n_real": n, "caught_real": k}
    assert to_do(row, recall=0.9, confidence=0.95) == said
    assert to_dos([row], recall=0.9, confidence=0.95) == ([said] if said else [])


def test_ng_in_no_mode_are_a_to_do():
    row = {"mode": "in no failure mode: dent", "n_real": 29, "caught_real": 29}
    assert to_do(row, recall=0.9, confidence=0.95) == "NG in no failure mode: dent. Say which mode they belong to."


# --- on the page ---------------------------------------------------------------------------------------------


def test_a_mode_is_added_changed_and_removed_by_hand(ws, kinds, fix):
    fix()
    page = open_page("verification")
    assert "No failure modes are listed yet" not in text_of(page)  # NG in no mode are a line of their own
    assert "In no failure mode" in text_of(page)
    page.text_input(key="add-mode-0/name").set_value("  bent   lead ")
    page.selectbox(key="add-mode-0/severity").set_value(7)
    button_of(page, "Add").click().run()
    assert not page.exception
    (mode,) = modes(ws)
    assert mode == Mode("bent lead", 7)
    assert "No NG of 'bent lead' checked yet: collect 2 to refute, 29 to prove 90 % at 95 %." in text_of(page)

    (box,) = [box for box in page.multiselect if box.label.startswith("Kinds") and not box.key.startswith("add")]
    box.set_value(["dent"])
    button_of(page, "Save").click().run()
    assert modes(ws) == (Mode("bent lead", 7, ("dent",)),)
    assert "2 real NG wait for the check." in text_of(page)

    button_of(page, "Remove from the list").click().run()
    assert modes(ws) == ()


def test_a_taken_name_is_one_sentence_and_keeps_what_was_typed(ws, kinds, fix):
    """And a kind without a mode is added with one click."""
    fix()
    add_modes(ws, [DENT])
    page = open_page("verification")
    page.text_input(key="add-mode-1/name").set_value("Dent")
    page.text_area(key="add-mode-1/note").set_value("a long story")
    button_of(page, "Add").click().run()
    assert not page.exception
    assert [error.value for error in page.error] == [
        "There is a failure mode 'dent' already; change that one, or choose another name."
    ]
    assert page.text_area(key="add-mode-1/note").value == "a long story"
    button_of(page, "Add a failure mode for each kind of NG without one (1)").click().run()
    assert not page.exception
    assert [mode.kinds for mode in modes(ws)] == [("dent",), ("scratch",)]
    assert not [button for button in page.button if button.key == "propose-modes"]


def test_after_the_check_the_page_counts_for_each_mode(ws, kinds, fix):
    add_modes(ws, [SCRATCH])
    decision, _ = fix()
    page = open_page("verification")
    assert "of 3 real NG caught" not in text_of(page)
    page.button(key="verify").click().run()
    assert not page.exception
    k = caught_by_hand(ws, kinds["scratch"], decision.value)
    assert f"{k} of 3 real NG caught (95 %: at least {100 * lower_bound(k, 3):.1f} %)" in text_of(page)
    assert "of 10 synthetic NG caught; not evidence of escape" in text_of(page)
