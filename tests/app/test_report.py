"""``calibration.json``: every key the README names, strict JSON, numbers that equal a count by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from calibration.types import RateBound
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.intake import current
from pages.services.ledger import Ledger
from pages.services.plain import plain
from pages.services.report import calibration_report_of, decision_row, summary, write_report
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.report_keys import KEYS, PLAN, ROW, ROWS, TRANSFER
from tests.app.stored import with_scores


def report_of(ws: Workspace, **changes) -> dict:
    results = {"detector": load_result(ws, DETECTOR), "synthesis": load_result(ws, SYNTHESIS)} | changes
    return calibration_report_of(ws, small_run.CONFIG, results["detector"], results["synthesis"])


def written(report: dict, path) -> dict:
    """Through the file and a parser that takes no NaN and no infinity."""

    def refuse(constant: str):
        raise AssertionError(f"{constant} is no JSON")

    write_report(report, path)
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_every_promised_key_is_there(ws, tmp_path):
    report = written(report_of(ws), tmp_path / "calibration.json")
    for where, keys in KEYS.items():
        assert keys <= set(report[where] if where else report), where
    for row in [*report["thresholds"], report["recommended"]]:
        assert set(row) >= ROW
    assert report["recommended"]["reason"]
    assert report["status"] == "checked"
    assert (
        set(report["scores"]["synthetic"])
        == set(report["roc"]["synthetic"])
        == {
            "glass-las-own",
            "glass-las-foreign",
        }
    )
    for area in [*report["roc"]["synthetic"].values(), report["roc"]["real"]]:
        assert 0 <= area["low"] <= area["auroc"] <= area["high"] <= 1
    assert {"file", "score"} <= set(report["scores"]["ng_real"][0])
    assert report["inputs"]["sha256"] == current(ws).dataset_id
    assert all(isinstance(seconds, float) for seconds in report["detector"]["seconds"].values())


def test_every_promised_key_of_what_the_threshold_is_worth(ws, tmp_path):
    report = written(report_of(ws), tmp_path / "calibration.json")
    for where, keys in ROWS.items():
        assert report[where]
        for row in report[where]:
            assert set(row) >= keys, where
    assert set(report["transfer"]) == set(report["scores"]["synthetic"])
    for found in report["transfer"].values():
        assert set(found) >= TRANSFER
    assert set(report["collect"]["ok"]) == set(report["collect"]["ng"]) == PLAN
    assert report["sessions"] is None
    assert report["outliers"]["set"] == "bank"


def test_what_the_threshold_is_worth_equals_a_count_by_hand(ws):
    report = report_of(ws)
    value, scores = report["recommended"]["value"], report["scores"]
    missed = sum(ng["score"] < value for ng in scores["ng_real"])
    plans = report["collect"]
    assert (plans["ng"]["wrong"], plans["ng"]["n"], plans["ok"]["wrong"], plans["ok"]["n"]) == (missed, 6, 0, 24)
    graded = load_result(ws, SYNTHESIS).sets["graded-spot"].image_scores
    assert {(pod["n_found"], pod["n"]) for pod in report["pod"]} == {(sum(graded >= value), 30)}
    for name, found in report["transfer"].items():
        escapes = sum(ng["score"] < found["threshold"] for ng in scores["ng_real"])
        assert (found["escapes"]["k"], found["escapes"]["n"]) == (escapes, 6)
        assert (found["false_rejects"]["n"], found["n_synthetic"]) == (10, len(scores["synthetic"][name]))
    staffed = report["review"][0]
    in_band = staffed["in_band_ok"]
    if in_band is not None:
        assert in_band["k"] == sum(staffed["review_from"] <= score < staffed["ng_from"] for score in scores["ok_loo"])


@pytest.mark.parametrize("score", [16.0, 80.0])
def test_picture_that_stands_apart_is_in_report_and_summary(ws, tmp_path, score):
    """Also where it is the reason that none is recommended: at 80 it alone lifts the threshold above every NG."""
    detector = with_scores(ws, DETECTOR, {"bank": lambda s: np.where(s == s.max(), score, s)})
    bank = detector.sets["bank"]
    highest = int(bank.image_scores.argmax())
    report = written(report_of(ws, detector=detector), tmp_path / "calibration.json")
    assert (report["recommended"]["value"] is None) == (score == 80.0)
    assert report["outliers"]["images"] == [{"file": bank.names[highest], "sha256": bank.ids[highest], "score": score}]
    (row,) = [row for row in report["outliers"]["thresholds_without"] if row["rule"] == "conformal"]
    assert row["value"] > score > 15.0 > row["without"]
    assert f"OK images that stand apart, look at them: {bank.names[highest]} ({score:g})" in summary(report)


def test_plain_is_strict_json(tmp_path):
    """Whatever a result may hold: numbers that are none become null."""
    odd = {
        "nan": float("nan"),
        1: [np.float32("inf"), -np.inf, np.float64(0.5), np.int64(3), np.bool_(True), None],
        "arrays": (np.array([[1.0, np.nan], [np.inf, 4.0]]), np.array(2.5), np.array([], float), np.arange(2)),
        "bound": {"inside": RateBound(1, 4, 0.01, float("inf"), 0.95)},
        "text": "as it is",
    }
    assert written(plain(odd), tmp_path / "odd.json") == {
        "nan": None,
        "1": [None, None, 0.5, 3, True, None],
        "arrays": [[[1.0, None], [None, 4.0]], 2.5, [], [0, 1]],
        "bound": {"inside": {"k": 1, "n": 4, "low": 0.01, "high": None, "confidence": 0.95}},
        "text": "as it is",
    }
    assert type(plain(np.bool_(True))) is bool and type(plain(np.float32(0.5))) is float


def test_recommended_is_one_of_the_rows(ws):
    report = report_of(ws)
    rows = [(row["rule"], row["value"], row["params"]) for row in report["thresholds"]]
    chosen = report["recommended"]
    assert (chosen["rule"], chosen["value"], chosen["params"]) in rows


def test_rates_equal_a_count_by_hand(ws):
    report = report_of(ws)
    scores = report["scores"]
    assert (len(scores["ok_loo"]), len(scores["ok_check"]), len(scores["ng_real"])) == (24, 10, 6)
    for row in report["thresholds"]:
        if row["value"] is None:
            assert row["reason"]
            assert row["real_fpr"] is row["real_recall"] is row["real_recall_lower_95"] is None
            continue
        rejected = sum(score >= row["value"] for score in scores["ok_check"])
        caught = sum(ng["score"] >= row["value"] for ng in scores["ng_real"])
        assert row["real_fpr"] == rejected / 10
        assert row["real_recall"] == caught / 6
        assert 0 <= row["real_recall_lower_95"] <= row["real_recall"]


def test_roles_add_up(ws):
    inputs = report_of(ws)["inputs"]
    assert sum(inputs["roles"].values()) == inputs["n_ok"] + inputs["n_ng"] == 46
    assert inputs["roles"]["verification_ng"] == 6


def test_without_real_ng_it_is_provisional(ws):
    detector = load_result(ws, DETECTOR)
    empty = replace(
        detector.sets["ng"], names=(), ids=(), image_scores=np.empty(0, np.float32), patch_scores=np.empty((0, 1, 1))
    )
    report = report_of(ws, detector=replace(detector, sets=detector.sets | {"ng": empty}))
    assert report["status"] == "provisional"
    assert report["roc"]["real"] is None
    assert report["recommended"]["real_recall"] is None
    assert "provisional" in summary(report)
    assert report["transfer"] == {} and report["evidence_class"]["key"] == "T1"
    assert (report["collect"]["ng"]["n"], report["collect"]["ng"]["proven"]) == (0, 1.0)


def test_spent_ng_count_in_no_real_figure(ws, tmp_path):
    before = report_of(ws)
    ng = Ledger(ws).records(role="verification_ng")
    Ledger(ws).assign([r.sha256 for r in ng[:4]], "threshold_ng", by="test", why="test")
    report = written(report_of(ws), tmp_path / "calibration.json")
    assert report["recommended"]["n_real_ng"] == report["roc"]["real"]["n_ng"] == 2
    assert report["recommended"]["value"] == before["recommended"]["value"]
    Ledger(ws).assign([r.sha256 for r in ng[4:]], "threshold_ng", by="test", why="test")
    assert report_of(ws)["status"] == "provisional"
    assert report_of(ws)["roc"]["real"] is None
    assert report["collect"]["ng"]["n"] == 2 and report_of(ws)["transfer"] == {}


def test_nothing_to_recommend_is_null_with_a_reason(ws, tmp_path):
    """Synthetic NG that score like good parts: this detector tells nothing apart."""
    synthesis = load_result(ws, SYNTHESIS)
    ok = load_result(ws, DETECTOR).sets["bank"].image_scores
    sets = {name: replace(s, image_scores=np.resize(ok, len(s.ids))) for name, s in synthesis.sets.items()}
    report = written(report_of(ws, synthesis=replace(synthesis, sets=sets)), tmp_path / "calibration.json")
    chosen = report["recommended"]
    assert chosen["value"] is chosen["real_recall"] is chosen["expected_fpr"] is None
    assert len(chosen["reason"]) > 20
    assert report["status"] == "provisional"
    assert "none" in summary(report)
    assert summary(report).count("what to change: ") == len(chosen["advice"]) > 1
    assert report["robustness"] == report["pod"] == report["review"] == []
    assert report["evidence_class"]["key"] == chosen["evidence_class"] == "T1"


def test_no_file_with_nan(ws, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_report(report_of(ws) | {"seed": float("nan")}, tmp_path / "calibration.json")


def test_summary_names_every_denominator(ws):
    report = report_of(ws)
    text = summary(report)
    caught = sum(ng["score"] >= report["recommended"]["value"] for ng in report["scores"]["ng_real"])
    assert f"{caught} of 6" in text
    assert " of 10 " in text


def test_decision_row_claims_only_what_was_checked(ws, fix, table):
    decision, _ = fix()
    detector = load_result(ws, DETECTOR)
    provisional = decision_row(ws, decision, detector, load_result(ws, SYNTHESIS), small_run.CONFIG, checked=False)
    assert provisional["status"] == "provisional"
    assert provisional["caught"] is provisional["rejected"] is provisional["real_recall_lower_95"] is None
    checked = decision_row(ws, decision, detector, load_result(ws, SYNTHESIS), small_run.CONFIG, checked=True)
    caught = sum(score >= decision.value for score in table.evidence.ng_real)
    assert (checked["status"], checked["caught"]) == ("checked", f"{caught} of 6")
