"""Which real NG a fixed threshold spends, and what a decision remembers."""

from dataclasses import replace

import pytest

from ias_core.errors import IasError, RoleConflict
from pages.services import intake
from pages.services.artifacts import DETECTOR, load_result
from pages.services.decision import current_decision
from pages.services.ledger import Ledger
from pages.services.verification import basis_of, free_ng, last_verification, note_seen, seen_ng, verify
from tests import hostile
from tests.app import small_run


def test_decision_comes_back_as_it_was_fixed(ws, fix, table):
    assert current_decision(ws) is None
    decision, spent = fix()
    assert spent == 0
    assert current_decision(ws) == decision
    assert current_decision(ws).digest == decision.digest
    assert decision.value == table.recommendation.choice.value
    assert decision.bank_id == load_result(ws, DETECTOR).meta["bank_id"]
    assert not decision.real_in_view


def test_every_field_counts_in_the_digest(fix):
    decision, _ = fix()
    others = [
        replace(decision, value=decision.value + 1e-9),
        replace(decision, origin="by hand"),
        replace(decision, fixed_at="2026-01-06"),
        replace(decision, bank_id="x"),
    ]
    assert len({d.digest for d in [decision, *others]}) == 5


@pytest.mark.parametrize("origin", ["rule", "by hand"])
def test_unseen_ng_stay_free_whatever_is_fixed(ws, fix, origin):
    _, spent = fix(14.0, origin=origin)
    assert spent == 0
    assert len(free_ng(ws)) == small_run.N_NG


@pytest.mark.parametrize("origin", ["rule", "by hand"])
def test_ng_in_view_are_spent_by_any_other_value(ws, fix, origin):
    before = free_ng(ws)
    decision, spent = fix(14.0, origin=origin, real_in_view=True)
    assert spent == small_run.N_NG
    assert decision.real_in_view
    assert free_ng(ws) == set()
    assert {r.sha256 for r in Ledger(ws).records(role="threshold_ng")} == before
    (sha256, *_) = before
    assert Ledger(ws).history(sha256)[-1].why.startswith("seen before")


def test_spent_ng_cannot_come_back(ws, fix):
    before = free_ng(ws)
    fix(14.0, origin="by hand", real_in_view=True)
    with pytest.raises(RoleConflict, match="has set a threshold"):
        Ledger(ws).assign(before, "verification_ng", by="test", why="test")
    intake.assign_roles(ws, seed=1)
    assert free_ng(ws) == set()


def test_recommended_spends_nothing_and_says_that_ng_were_in_view(ws, fix):
    decision, spent = fix(real_in_view=True)
    assert (spent, decision.real_in_view) == (0, True)
    assert len(free_ng(ws)) == small_run.N_NG


def test_what_was_seen_once_stays_seen(ws, fix):
    """The toggle is off again, but the eyes are not."""
    some = set(sorted(free_ng(ws))[:2])
    note_seen(ws, some, basis="b")
    note_seen(ws, some, basis="b")
    assert seen_ng(ws) == some
    decision, spent = fix(14.0, origin="by hand", real_in_view=False)
    assert (spent, decision.real_in_view) == (2, True)
    assert {r.sha256 for r in Ledger(ws).records(role="threshold_ng")} == some
    assert len(free_ng(ws)) == small_run.N_NG - 2


def test_verification_is_a_look(ws, fix):
    """Verify, dislike the answer, move the threshold: the same NG cannot judge it again."""
    decision, _ = fix()
    result = verify(ws, load_result(ws, DETECTOR), decision)
    assert (result.status, len(result.ng)) == ("checked", small_run.N_NG)
    again, spent = fix(13.0, origin="by hand")
    assert spent == small_run.N_NG
    second = verify(ws, load_result(ws, DETECTOR), again)
    assert (second.status, second.caught_ng, second.missed, second.ng) == ("provisional", None, (), ())
    assert second.rejected_ok.n == 10
    assert last_verification(ws) == {"decision": again.digest, "ng": [], "status": "provisional"}


def test_a_near_twin_of_a_seen_ng_is_spent_with_it(ws, fix):
    seen = Ledger(ws).records(role="verification_ng")[0]
    note_seen(ws, {seen.sha256}, basis="b")
    twin = hostile.encoded(small_run.scratched(1000), "JPEG", quality=95, subsampling=0)
    intake.add_verification_ng(ws, [("twin.jpg", twin)])
    assert [r.name for r in Ledger(ws).records() if r.group == seen.group] == [seen.name, "twin.jpg"]
    _, spent = fix(14.0, origin="by hand")
    assert spent == 2
    assert {r.name for r in Ledger(ws).records(role="threshold_ng")} == {seen.name, "twin.jpg"}


def test_a_threshold_of_another_bank_is_not_checked(ws, fix):
    decision, _ = fix()
    with pytest.raises(IasError, match="another memory bank"):
        verify(ws, load_result(ws, DETECTOR), replace(decision, bank_id="another"))
    assert last_verification(ws) is None


def test_an_ng_exactly_at_the_threshold_is_caught(ws, fix):
    ng = load_result(ws, DETECTOR).sets["ng"]
    least = float(ng.image_scores.min())
    decision, _ = fix(least, origin="by hand")
    assert verify(ws, load_result(ws, DETECTOR), decision).missed == ()


def test_lists_are_the_mistakes_with_the_worst_first(ws, fix):
    sets = load_result(ws, DETECTOR).sets
    decision, _ = fix(39.0, origin="by hand")
    result = verify(ws, load_result(ws, DETECTOR), decision)
    rows = sorted(
        (float(score), name)
        for name, score in zip(sets["ng"].names, sets["ng"].image_scores, strict=True)
        if score < 39.0
    )
    assert [(score, name) for name, _, score in result.missed] == rows
    assert result.caught_ng.k == small_run.N_NG - len(rows)

    decision, _ = fix(13.0, origin="by hand")
    scores = [score for _, _, score in verify(ws, load_result(ws, DETECTOR), decision).false_rejects]
    assert scores == sorted((float(s) for s in sets["check"].image_scores if s >= 13.0), reverse=True)


def test_a_recommended_value_on_another_basis_spends_what_was_seen(ws, fix):
    """Look, change the seed or a rule's setting, fix the new recommended value: the look has chosen it."""
    before = free_ng(ws)
    note_seen(ws, before, basis="the bank before this one")
    _, spent = fix()
    assert spent == small_run.N_NG
    assert free_ng(ws) == set()


def test_a_recommended_value_on_the_same_basis_keeps_what_was_seen(ws, fix):
    decision, _ = fix()
    note_seen(ws, free_ng(ws), basis=basis_of(decision.bank_id, decision.settings))
    _, spent = fix()
    assert spent == 0
    assert len(free_ng(ws)) == small_run.N_NG
