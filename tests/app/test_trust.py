"""What a recommended threshold is worth: its class, what may not count towards it, and pictures that stand apart."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.pod import pod_curve
from calibration.rules import is_ng
from pages.services.artifacts import DETECTOR, SYNTHESIS, ScoredSet, load_result
from pages.services.ledger import Ledger
from pages.services.plain import plain
from pages.services.report import calibration_report_of, decision_row, summary
from pages.services.thresholds import evidence_of, threshold_table
from pages.services.trust import INTEGRATED, SIZE, SNR, Trust, judge, pods_at, real_class, trust_of
from pages.services.verification import free_ng, verify
from tests.app import small_run
from tests.app.stored import with_scores

GRADED = "graded-spot"
CONFIG = small_run.CONFIG


@pytest.fixture
def detector(ws):
    return load_result(ws, DETECTOR)


@pytest.fixture
def synthesis(ws):
    return load_result(ws, SYNTHESIS)


def asking(**changes):
    """The small settings with other wishes."""
    return replace(CONFIG, thresholds=replace(CONFIG.thresholds, **changes))


def trust(detector, synthesis, ng: set[str], config=CONFIG) -> Trust:
    return trust_of(threshold_table(evidence_of(detector, synthesis, ng), config), detector, config)


def spend(ws, how_many: int | None = None) -> None:
    ng = Ledger(ws).records(role="verification_ng")
    Ledger(ws).assign([record.sha256 for record in ng[:how_many]], "threshold_ng", by="test", why="test")


# --- evidence class ------------------------------------------------------------------------------------------


def class_at(ws, detector, synthesis, value: float, *, checked: bool, config=CONFIG):
    return real_class(ws, value, detector, synthesis, config, checked=checked)


def test_a_fixed_threshold_is_t1_until_it_is_checked_and_again_once_its_ng_are_spent(ws, fix, detector, synthesis):
    decision, _ = fix()
    before = class_at(ws, detector, synthesis, decision.value, checked=False)
    assert (before.key, before.refuted) == ("T1", False)
    verify(ws, detector, decision)
    after = class_at(ws, detector, synthesis, decision.value, checked=True)
    assert (after.key, after.refuted) == ("T2", False)
    spend(ws)
    assert class_at(ws, detector, synthesis, decision.value, checked=True).key == "T1"


@pytest.mark.parametrize(("caught", "refuted"), [(6, False), (5, False), (4, False), (3, True), (0, True)])
def test_counts_of_real_ng_decide_what_the_class_says(ws, detector, synthesis, caught, refuted):
    """Of 6: up to 84.7 % may be caught where 3 were, up to 93.7 % where 4 were (95 %); the target is 90 %."""
    falling = np.sort(detector.sets["ng"].image_scores)[::-1]
    value = float(falling[caught - 1]) if caught else float(falling[0]) + 1.0
    found = class_at(ws, detector, synthesis, value, checked=True)
    assert (found.key, found.refuted) == ("T2", refuted)
    assert ("refute" in found.title) == refuted


@pytest.mark.parametrize(
    ("target", "confidence", "key"),
    [(0.60, 0.95, "T3"), (0.61, 0.95, "T2"), (0.46, 0.99, "T3"), (0.60, 0.99, "T2"), (0.68, 0.90, "T3")],
)
def test_limits_of_the_class_are_at_the_confidence_asked_for(ws, detector, synthesis, target, confidence, key):
    """Six of six prove a recall of (1 - confidence)^(1/6): 0.607 at 95 %, 0.464 at 99 %, 0.681 at 90 %."""
    lowest = float(detector.sets["ng"].image_scores.min())
    config = asking(target_recall=target, confidence=confidence)
    assert class_at(ws, detector, synthesis, lowest, checked=True, config=config).key == key
    spread = with_scores(ws, DETECTOR, {"ng": lambda scores: scores + 1000})
    found = trust(spread, synthesis, free_ng(ws), config)
    assert (found.evidence.key, found.caught.confidence) == (key, confidence)


def test_only_the_recommended_row_may_claim_more_than_synthetic_ng(ws):
    report = calibration_report_of(ws, CONFIG, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS))
    assert {row["evidence_class"] for row in report["thresholds"]} == {"T1"}
    assert report["recommended"]["evidence_class"] == report["evidence_class"]["key"] == "T2"
    assert f"evidence class: T2, {report['evidence_class']['title']}" in summary(report)
    spend(ws)
    report = calibration_report_of(ws, CONFIG, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS))
    assert report["recommended"]["evidence_class"] == report["evidence_class"]["key"] == "T1"


@pytest.mark.parametrize("checked", [True, False])
def test_the_row_of_a_fixed_threshold_has_the_class_of_that_threshold(ws, fix, detector, synthesis, checked):
    """Everything is missed at 1000; the recommended threshold, which catches 5 of 6, is not refuted."""
    decision, _ = fix(1000.0, origin="by hand")
    row = decision_row(ws, decision, detector, synthesis, CONFIG, checked=checked)
    assert (row["evidence_class"]["key"], row["evidence_class"]["refuted"]) == ("T2" if checked else "T1", checked)
    report = calibration_report_of(ws, CONFIG, detector, synthesis)
    assert (report["evidence_class"]["key"], report["evidence_class"]["refuted"]) == ("T2", False)


# --- what may not count --------------------------------------------------------------------------------------


def test_graded_spots_only_draw_their_own_curve(ws, detector, synthesis):
    """Whatever they score: rules, curves, class, ranges, transfer, review and plans are what they were."""
    before = calibration_report_of(ws, CONFIG, detector, synthesis)
    graded = with_scores(ws, SYNTHESIS, {GRADED: lambda scores: np.where(np.arange(len(scores)) % 2, 0.1, 900.0)})
    after = calibration_report_of(ws, CONFIG, detector, graded)
    assert {key for key in before if before[key] != after[key]} == {"pod"}
    for name in ("synthetic", "ng_real"):
        assert GRADED not in before["scores"][name]
    assert GRADED not in before["roc"]["synthetic"] and GRADED not in before["transfer"]
    assert not any(GRADED in end for spread in before["robustness"] for end in spread["ends"])
    judged = judge(ws, detector, graded, CONFIG, set()).trust
    assert judged.evidence.stands_on == trust(detector, synthesis, set()).evidence.stands_on
    assert set(judged.bands) == set(CONFIG.synthesis.methods)


def test_graded_spots_alone_are_no_evidence(detector, synthesis):
    """30 spots and not one synthetic NG of a method: good parts alone."""
    bare = replace(synthesis, sets={GRADED: synthesis.sets[GRADED]}, meta=synthesis.meta | {"primary": None})
    found = trust(detector, bare, set())
    assert len(bare.sets[GRADED].ids) == 30
    assert found.evidence.key == "T0" and found.caught is None
    assert found.pods and not found.transfers


def test_real_ng_move_nothing_but_what_is_said_of_them(detector, synthesis):
    """Not even the draws of the ranges, whether there are none, 24, or 24 that score otherwise.

    From 10 on their ROC gets a bootstrap band, from 20 on their regret an interval: both draw.
    """
    names = tuple(f"real-{i}" for i in range(24))
    everyone = set(names)

    def with_real(scores: np.ndarray):
        scored = ScoredSet(names, names, scores.astype(np.float32), np.ones((24, 1, 1), np.float32))
        return replace(detector, sets=detector.sets | {"ng": scored})

    none, some, other = (
        plain(found)
        for found in (
            trust(detector, synthesis, set()),
            trust(with_real(np.linspace(12, 40, 24)), synthesis, everyone),
            trust(with_real(np.linspace(90, 5, 24)), synthesis, everyone),
        )
    )
    assert some["bands"]["real"] and some["transfers"]["glass-las-own"]["regret_interval"]
    about_real = {"evidence", "caught", "transfers", "plan_ng"}
    for key in set(none) - about_real - {"bands"}:
        assert none[key] == some[key] == other[key], key
    for method in CONFIG.synthesis.methods:
        assert none["bands"][method] == some["bands"][method] == other["bands"][method]
    assert some["transfers"] != other["transfers"] and none["transfers"] == {}


def test_same_evidence_and_seed_same_numbers(detector, synthesis):
    everyone = set(detector.sets["ng"].ids)
    first, second = (plain(trust(detector, synthesis, everyone)) for _ in range(2))
    assert first == second
    assert plain(trust(detector, synthesis, everyone, replace(CONFIG, seed=4)))["bands"] != first["bands"]


# --- probability of detection --------------------------------------------------------------------------------


def test_pods_are_on_size_ratio_and_their_product_at_the_threshold(detector, synthesis):
    evidence = evidence_of(detector, synthesis, set())
    facts = synthesis.meta["methods"][GRADED]
    size, snr = np.array(facts["size_px"]), np.array(facts["snr"])
    found = is_ng(synthesis.sets[GRADED].image_scores, 14.0)
    curves = {curve.measure: curve for curve in pods_at(evidence, 14.0)}
    assert list(curves) == [INTEGRATED, SIZE, SNR]
    for measure, a in ((INTEGRATED, size * snr), (SIZE, size), (SNR, snr)):
        assert plain(curves[measure]) == plain(pod_curve(a, found, measure=measure))
        assert curves[measure].n_found == sum(score >= 14.0 for score in synthesis.sets[GRADED].image_scores)
        assert curves[measure].tested == (pytest.approx(a.min()), pytest.approx(a.max()))


def test_without_graded_spots_there_is_no_curve(detector, synthesis):
    evidence = replace(evidence_of(detector, synthesis, set()), graded=None)
    assert pods_at(evidence, 14.0) == ()


# --- OK pictures that stand apart ----------------------------------------------------------------------------


def without_places(detector, set_name: str, places: list[int]):
    scored = detector.sets[set_name]
    keep = [i for i in range(len(scored.ids)) if i not in places]
    rest = ScoredSet(
        tuple(scored.names[i] for i in keep),
        tuple(scored.ids[i] for i in keep),
        scored.image_scores[keep],
        scored.patch_scores[keep],
    )
    return replace(detector, sets=detector.sets | {set_name: rest})


@pytest.mark.parametrize(("score", "rules"), [(80.0, {"median_mad"}), (17.0, {"median_mad", "youden"})])
def test_the_picture_far_out_is_named_with_what_it_does_to_each_rule(ws, synthesis, score, rules):
    """Every threshold with and without it, against a calibration that never saw it."""
    detector = with_scores(ws, DETECTOR, {"bank": lambda s: np.where(s == s.max(), score, s)})
    scored = detector.sets["bank"]
    apart = trust(detector, synthesis, set()).apart
    names = [name for name, _, _ in apart.images]
    highest = int(scored.image_scores.argmax())
    assert apart.set_name == "bank"
    assert apart.images[0] == (scored.names[highest], scored.ids[highest], score)
    assert [score for _, _, score in apart.images] == sorted((score for _, _, score in apart.images), reverse=True)

    places = [i for i, name in enumerate(scored.names) if name in names]
    with_it = threshold_table(evidence_of(detector, synthesis, set()), CONFIG).choices
    rest = without_places(detector, "bank", places)
    without = {c.rule: c.value for c in threshold_table(evidence_of(rest, synthesis, set()), CONFIG).choices}
    expected = {
        c.rule: (c.value, without[c.rule]) for c in with_it if c.value is not None and c.value != without[c.rule]
    }
    assert {moved.rule: (moved.value, moved.without) for moved in apart.moved} == expected
    assert {"percentile", "conformal"} | rules <= set(expected)
    assert next(moved.title for moved in apart.moved if moved.rule == "percentile") == "Maximum of 24 OK scores"


def test_held_out_scores_are_looked_at_where_rules_use_them(detector, synthesis):
    """From 60 held-out scores on the fits, which use others, are not said to move."""
    rng = np.random.default_rng(0)
    held_out = rng.normal(12.0, 0.5, 60).astype(np.float32)
    held_out[7] = 60.0
    names = tuple(f"{i}.png" for i in range(60))
    scored = ScoredSet(names, names, held_out, np.ones((60, 2, 2), np.float32))
    many = replace(detector, sets=detector.sets | {"calibration": scored})
    apart = trust(many, synthesis, set()).apart
    assert (apart.set_name, apart.images) == ("calibration", (("7.png", "7.png", 60.0),))
    moved = {one.rule: one for one in apart.moved}
    assert moved["percentile"].value > 60 > 20 > moved["percentile"].without
    assert not any(rule.startswith("loo_") for rule in moved)


def test_the_maximum_and_a_lower_percentile_are_two_rows(detector, synthesis):
    """15 scores are too few for the conformal bound, so the maximum follows the percentile asked for."""
    scored = detector.sets["bank"]
    scores = np.append(np.linspace(10.0, 11.0, 14), 50.0).astype(np.float32)
    few = ScoredSet(scored.names[:15], scored.ids[:15], scores, scored.patch_scores[:15])
    config = asking(percentile=0.9)
    found = trust(replace(detector, sets=detector.sets | {"bank": few}), synthesis, set(), config)
    rows = {moved.title: moved for moved in found.apart.moved if moved.rule == "percentile"}
    assert rows["Maximum of 15 OK scores"].value > 50.0
    assert rows["Maximum of 15 OK scores"].without == pytest.approx(11.0, abs=0.01)
    assert rows["Percentile of OK scores"].value < 11.1


def test_where_none_stands_apart_nothing_is_said(ws, synthesis):
    detector = with_scores(ws, DETECTOR, {"bank": lambda scores: np.linspace(10.0, 12.0, scores.size)})
    apart = trust(detector, synthesis, set()).apart
    assert (apart.images, apart.moved) == ((), ())


# --- refusal -------------------------------------------------------------------------------------------------


def test_nothing_to_recommend_leaves_nothing_to_trust(ws, detector):
    """Synthetic NG that score like good parts: no number is worth anything, and the summary says what to change."""
    ok = detector.sets["bank"].image_scores
    changes = dict.fromkeys(CONFIG.synthesis.methods, lambda scores: np.resize(ok, scores.size))
    blind = with_scores(ws, SYNTHESIS, changes)
    found = judge(ws, detector, blind, CONFIG, free_ng(ws))
    assert found.table.recommendation.choice.value is None
    assert found.trust.spreads == found.trust.pods == found.trust.reviews == ()
    assert found.trust.caught is None and found.trust.evidence.key == "T1"
    assert (found.trust.plan_ng.wrong, found.trust.plan_ng.n) == (0, 0)
    report = calibration_report_of(ws, CONFIG, detector, blind)
    ways = report["recommended"]["advice"]
    assert len(ways) >= 2
    assert [line for line in summary(report).splitlines() if "what to change" in line] == [
        f"  what to change: {way}" for way in ways
    ]
    assert "evidence class" not in summary(report)
