"""What stands before a verification: the target as it was stated, what it takes, and the most that can be shown."""

from dataclasses import replace

import pytest
from scipy.stats import binom

from calibration.bounds import lower_bound, rate_bound, upper_bound
from ias_core.errors import IasError
from pages.services.artifacts import DETECTOR, load_result
from pages.services.ledger import Ledger
from pages.services.steps import save_config
from pages.services.verification import plan_of, recall_by_kind, statement, verify
from pages.ui.verification_view import verdict
from tests.app import small_run
from tests.app.browse import open_page, text_of
from tests.app.conftest import NOW


def with_target(recall: float, confidence: float = 0.95):
    asked = replace(small_run.CONFIG.thresholds, target_recall=recall, confidence=confidence)
    return replace(small_run.CONFIG, thresholds=asked)


def of_target(decision, recall: float, confidence: float = 0.95):
    return replace(decision, settings=decision.settings | {"target_recall": recall, "confidence": confidence})


def test_the_statement_is_that_of_the_threshold(ws, fix):
    decision, _ = fix()
    stated = statement(ws, decision, small_run.CONFIG)
    assert stated == {"target_recall": 0.9, "confidence": 0.95, "at": NOW, "needed_ng": 29}


@pytest.mark.parametrize(("recall", "confidence"), [(0.95, 0.95), (0.9, 0.9)])
def test_a_target_changed_afterwards_is_no_statement(ws, fix, recall, confidence):
    decision, _ = fix()
    with pytest.raises(IasError, match="fix it again on the thresholds page"):
        statement(ws, decision, with_target(recall, confidence))


def proves(missed: int, n: int, recall: float, confidence: float) -> bool:
    """By the definition of the limit: so few misses are too unlikely at a recall just below the target."""
    return binom.cdf(missed, n, 1 - recall) <= 1 - confidence


def test_the_plan_takes_the_fewest_ng_there_can_be(ws, fix):
    decision, _ = fix()
    for recall, confidence in ((0.9, 0.95), (0.5, 0.9), (0.8, 0.99)):
        plan = plan_of(ws, of_target(decision, recall, confidence))
        assert [missed for missed, _ in plan.needed] == [0, 1, 2, 3]
        for missed, n in plan.needed:
            assert proves(missed, n, recall, confidence) and not proves(missed, n - 1, recall, confidence)


def test_what_six_ng_can_show_and_none(ws, fix):
    decision, _ = fix()
    for recall in (0.1, 0.3, 0.6, 0.62, 0.9):
        plan = plan_of(ws, of_target(decision, recall))
        assert (plan.free, plan.best.k, plan.best.n) == (6, 6, 6)
        assert plan.best.low == pytest.approx(0.05 ** (1 / 6))
        enough = [missed for missed in range(6) if proves(missed, 6, recall, 0.95)]
        assert plan.may_miss == (max(enough) if enough else None)
    Ledger(ws).assign([r.sha256 for r in Ledger(ws).records(label="ng")], "threshold_ng", by="test", why="test")
    plan = plan_of(ws, decision)
    assert (plan.free, plan.may_miss, plan.best) == (0, None, None)


def test_recall_by_kind_is_a_count_by_hand(ws, fix):
    decision, _ = fix()
    detector = load_result(ws, DETECTOR)
    ng = detector.sets["ng"]
    kinds = dict(zip(ng.ids, ["b", "a", "b", "a", "b", "c"], strict=True))
    found = recall_by_kind(replace(detector, kinds=kinds), decision, ng.ids[:5])
    caught = (ng.image_scores >= decision.value).tolist()
    assert found == (
        ("a", rate_bound(caught[1] + caught[3], 2)),
        ("b", rate_bound(caught[0] + caught[2] + caught[4], 3)),
    )


@pytest.mark.parametrize("k", range(7))
def test_the_verdict_agrees_with_the_limits(k):
    said = verdict(rate_bound(k, 6), 0.6)
    assert (said == "proven") == (lower_bound(k, 6) >= 0.6)
    assert (said == "refuted") == (upper_bound(k, 6) < 0.6)
    assert (said == "cannot tell at this n") == (lower_bound(k, 6) < 0.6 <= upper_bound(k, 6))


def test_the_page_states_target_and_plan_before_the_look(ws, fix):
    fix()
    page = open_page("verification")
    assert not page.exception
    text = text_of(page)
    assert "**Target: at least 90 % of defects caught, at 95 % confidence.**" in text
    assert "before any real NG score was shown. Changing it after the look spends these NG" in text
    assert "6 real NG are free.** If all are caught they prove a recall of at least 60.7 %" in text
    assert "Too few for the target, even if none is missed: it takes 29." in text
    assert page.dataframe[0].value["real NG it takes"].tolist() == [29, 46, 61, 76]
    assert "real NG caught" not in text and ws.get_choice("ng_seen") is None

    page.button(key="verify").click().run()
    assert not page.exception
    text = text_of(page)
    assert "The plan" not in text
    assert "By kind of defect" in text
    kinds = page.dataframe[0].value
    assert kinds["kind"].tolist() == ["NG without a kind"]
    assert kinds["caught"].tolist() == [text.split("### ")[1].split(" real NG")[0]]


def test_the_limits_are_at_the_stated_confidence(ws, fix):
    decision = of_target(fix()[0], 0.9, 0.8)
    found = verify(ws, load_result(ws, DETECTOR), decision)
    assert found.caught_ng == rate_bound(found.caught_ng.k, 6, 0.8)
    assert found.rejected_ok == rate_bound(found.rejected_ok.k, 10, 0.8)


def test_a_target_moved_after_the_look_spends_the_ng(ws, fix, monkeypatch):
    decision, _ = fix()
    verify(ws, load_result(ws, DETECTOR), decision)
    moved = with_target(0.5)
    save_config(ws, moved)
    monkeypatch.setattr(small_run, "CONFIG", moved)
    assert fix()[1] == 6
    text = text_of(open_page("verification"))
    assert "**Target: at least 50 % of defects caught" in text
    assert "those seen under another target or rule were taken out" in text
    assert "**0 real NG are free.**" in text
