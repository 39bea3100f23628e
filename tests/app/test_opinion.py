"""The second opinion: which pictures teach, set and judge; what is stored and when it counts; what the page shows."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.rank_rules import conformal, tolerance
from ias_core.discriminators import discriminators
from pages.services import detection, jobs, opinion, worker
from pages.services.artifacts import DETECTOR, ScoredSet, digest_of, load_result
from pages.services.detection import FeatureSource, patch_features
from pages.services.ledger import Ledger
from pages.services.opinion import Opinion, judge
from pages.services.progress import silent
from pages.services.settings import to_dict
from pages.services.steps import save_config
from pages.services.verification import basis_of, free_ng, note_seen, seen_ng
from pages.ui.opinion_view import HELP, TITLES
from tests.app import small_run
from tests.app.browse import open_page, text_of

CONFIG = small_run.CONFIG
PARAMS = {"settings": to_dict(CONFIG), "methods": ["pbas", "simplenet"]}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Three steps say as little as they cost."""
    monkeypatch.setattr(opinion, "method_of", lambda name: discriminators[name](steps=3))


def stored(ws, config=CONFIG):
    found, _ = opinion.opinions(ws, load_result(ws, DETECTOR), config)
    return {one.method: one for one in found}


def test_every_method_has_a_name_a_help_and_a_time():
    assert set(TITLES) == set(HELP) == set(opinion.SECONDS) == set(discriminators.names())
    assert set(opinion._FROM_LAS) == {name for name in discriminators if discriminators[name].takes_las}


def test_scores_are_those_of_the_method_trained_on_the_bank(ws):
    assert opinion.train(ws, CONFIG, ["simplenet", "pbas"], silent) == ("pbas", "simplenet")
    detector, records = load_result(ws, DETECTOR), {r.sha256: r for r in Ledger(ws).records()}
    source = FeatureSource(CONFIG.detector)
    features = {
        key: patch_features([records[image] for image in detector.sets[key].ids], source, silent)
        for key in ("bank", *opinion.SETS)
    }
    trained = discriminators["pbas"](steps=3)(features["bank"], seed=CONFIG.seed)
    found = stored(ws)["pbas"]
    for key in opinion.SETS:
        assert found.ids[key] == detector.sets[key].ids
        np.testing.assert_allclose(found.scores[key], trained(features[key]).image_scores, rtol=1e-4, atol=1e-5)
    assert found.facts["n_images"] == len(detector.sets["bank"].ids) and found.facts["notes"] == []


def test_only_bank_pictures_teach_with_and_without_defects(ws, monkeypatch):
    """Until training begins, no other picture is as much as read."""
    read: list[str] = []
    for module in (detection, opinion):
        monkeypatch.setattr(module, "batches", logged(module.batches, read))
    taught: list[str] = []

    def progress(stage, *_):
        if stage.startswith("train"):
            taught[:] = taught or read

    opinion.train(ws, CONFIG, ["glass-manifold"], progress)
    bank = load_result(ws, DETECTOR).sets["bank"].ids
    assert taught == [*bank, *bank]  # the pictures, and the same with a defect each
    assert stored(ws)["glass-manifold"].facts["notes"] == []


def logged(batches, read):
    def log(records, *arguments):
        read.extend(record.sha256 for record in records)
        return batches(records, *arguments)

    return log


def test_defects_are_labelled_by_the_cells_they_touch(ws, monkeypatch):
    made = []
    from ias_core.synthesis.glass_local import GlassLocalOwn

    original = GlassLocalOwn.__call__
    monkeypatch.setattr(GlassLocalOwn, "__call__", lambda *a, **k: made.append(original(*a, **k)) or made[-1])
    records = Ledger(ws).records(role="memory_bank")[:3]
    las = opinion._las(list(records), FeatureSource(CONFIG.detector), (8, 8), 0, silent)
    cells = made[0].masks.reshape(3, 8, 8, 8, 8).any((2, 4))
    np.testing.assert_array_equal(las.masks.numpy(), cells)
    assert las.features.shape[:3] == (3, 8, 8) and made[0].parents.tolist() == [0, 1, 2]


def test_methods_are_kept_beside_each_other_and_replaced_by_name(ws):
    opinion.train(ws, CONFIG, ["pbas"], silent)
    first, folder = stored(ws)["pbas"], opinion.stored(ws)
    opinion.train(ws, CONFIG, ["simplenet"], silent)
    both = stored(ws)
    assert set(both) == {"pbas", "simplenet"} and not (ws.artifacts / folder).exists()
    np.testing.assert_array_equal(both["pbas"].scores["check"], first.scores["check"])
    opinion.train(ws, CONFIG, ["pbas"], silent)
    np.testing.assert_array_equal(stored(ws)["pbas"].scores["ng"], first.scores["ng"])  # same seed


def test_another_detector_seed_or_setting_marks_it_out_of_date(ws, monkeypatch):
    opinion.train(ws, CONFIG, ["pbas"], silent)
    detector = load_result(ws, DETECTOR)
    assert opinion.opinions(ws, detector, CONFIG)[1] == ()
    assert opinion.opinions(ws, replace(detector, digest=digest_of("other")), CONFIG) == ((), ("pbas",))
    assert opinion.opinions(ws, detector, replace(CONFIG, seed=4)) == ((), ("pbas",))
    monkeypatch.setattr(opinion, "method_of", lambda name: discriminators[name](steps=4))
    assert opinion.opinions(ws, detector, CONFIG) == ((), ("pbas",))


@pytest.mark.parametrize(
    ("changes", "methods", "sentence"),
    [
        ({"seed": 4}, ["pbas"], "the detector is missing or out of date"),
        ({}, ["dsr"], "got 'dsr'"),
        ({}, [], "got none"),
    ],
)
def test_what_cannot_run_is_a_sentence(ws, changes, methods, sentence):
    job = jobs.submit(ws, "opinion", {"settings": to_dict(replace(CONFIG, **changes)), "methods": methods})
    with jobs.take_place(ws):
        assert worker.run_next(ws)
    failed = jobs.get(ws, job.id)
    assert failed.state == "failed" and sentence in failed.error
    assert opinion.stored(ws) == ""


def test_cancelled_at_any_step_it_stores_nothing(ws):
    calls = []

    def cancel_at(which: int):
        def progress(*_):
            calls.append(which)
            if len(calls) > which:
                raise jobs.JobCancelled

        return progress

    opinion.train(ws, CONFIG, ["pbas"], cancel_at(10**9))
    steps, before = len(calls), opinion.stored(ws)
    folders = set(ws.artifacts.iterdir())
    for which in (0, steps // 2, steps - 1):
        calls.clear()
        with pytest.raises(jobs.JobCancelled):
            opinion.train(ws, CONFIG, ["pbas"], cancel_at(which))
        assert set(ws.artifacts.iterdir()) == folders and opinion.stored(ws) == before


# Judged on scores that can be sorted in the head


def scored(name: str, scores: list[float]) -> ScoredSet:
    ids = tuple(f"{name}{i}" for i in range(len(scores)))
    return ScoredSet(ids, ids, np.array(scores, np.float32), np.zeros((len(scores), 1, 1), np.float32))


@pytest.fixture
def by_hand(ws):
    """PatchCore and an opinion on 4 check OK and 3 real NG; PatchCore's threshold is 5."""
    sets = load_result(ws, DETECTOR).sets | {
        "check": scored("check", [1.0, 2.0, 3.0, 6.0]),
        "ng": scored("ng", [4.0, 7.0, 8.0]),
    }
    detector = replace(load_result(ws, DETECTOR), sets=sets)

    def of(calibration: list[float]) -> Opinion:
        scores = {"calibration": calibration, "check": [-3.0, 2.0, -2.0, -1.0], "ng": [3.0, -4.0, 5.0]}
        return Opinion(
            "pbas",
            {key: np.array(value, np.float32) for key, value in scores.items()},
            {"calibration": (), "check": sets["check"].ids, "ng": sets["ng"].ids},
            {},
        )

    return detector, of


def test_counts_and_disagreements_by_hand(by_hand):
    detector, of = by_hand
    calibration = [float(i) for i in range(-19, 1)]  # 20: conformal at 5 % is just above the highest, 0
    judged = judge(of(calibration), detector, CONFIG, threshold=5.0, ng={"ng0", "ng1", "ng2"})
    scores = np.array(calibration, np.float32)
    assert judged.choice.value == conformal(scores, source="held-out", max_fpr=0.05).value > 0
    assert judged.why == "on average at most 5 % of good parts rejected"
    assert (judged.rejected_ok.k, judged.rejected_ok.n) == (1, 4)
    assert (judged.caught_ng.k, judged.caught_ng.n) == (2, 3)
    # opinion: check F T F F, NG T F T; PatchCore: F F F T, F T T
    assert (judged.agree, judged.n_both) == (3, 7)
    by_chance = 3 / 7 * 3 / 7 + 4 / 7 * 4 / 7
    assert judged.kappa == pytest.approx((3 / 7 - by_chance) / (1 - by_chance))
    assert [(one.name, one.opinion_says_ng, one.is_real_ng) for one in judged.disagreements] == [
        ("check1", True, False),
        ("check3", False, False),
        ("ng0", True, True),
        ("ng1", False, True),
    ]


def test_real_ng_that_are_not_in_view_have_no_say(by_hand):
    detector, of = by_hand
    calibration = [float(i) for i in range(-19, 1)]
    hidden = judge(of(calibration), detector, CONFIG, threshold=5.0, ng=set())
    assert hidden.caught_ng is None and (hidden.agree, hidden.n_both) == (2, 4)
    assert not any(one.is_real_ng for one in hidden.disagreements)
    one = judge(of(calibration), detector, CONFIG, threshold=5.0, ng={"ng1"})
    assert (one.caught_ng.k, one.caught_ng.n) == (0, 1)
    later = {key: value for key, value in of(calibration).ids.items()} | {"ng": ("ng0", "ng1", "elsewhere")}
    assert (
        judge(replace(of(calibration), ids=later), detector, CONFIG, threshold=5.0, ng={"ng0", "ng1", "ng2"}).n_unscored
        == 1
    )


@pytest.mark.parametrize(("n", "rule"), [(2, "percentile"), (18, "percentile"), (19, "conformal"), (59, "tolerance")])
def test_threshold_follows_patchcores_policy(by_hand, n, rule):
    detector, of = by_hand
    scores = [float(i) for i in range(-n, 0)]
    judged = judge(of(scores), detector, CONFIG, threshold=5.0, ng=set())
    assert judged.choice.rule == rule and judged.choice.value > -1.0
    if rule == "tolerance":
        assert judged.choice.value == tolerance(np.array(scores, np.float32), source="held-out").value


@pytest.mark.parametrize(
    ("calibration", "sentence"),
    [
        ([], "there are 0 calibration OK pictures, and a trained network needs at least 2"),
        ([1.0], "there is 1 calibration OK picture, and"),
        ([1.0] * 30, "all OK scores are equal"),
    ],
)
def test_without_a_threshold_it_cannot_tell(by_hand, calibration, sentence):
    detector, of = by_hand
    judged = judge(of(calibration), detector, CONFIG, threshold=5.0, ng={"ng0"})
    assert judged.choice is None and sentence in judged.why
    assert judged.rejected_ok is None and judged.caught_ng is None and judged.n_both == 0 and judged.kappa is None


def test_without_a_threshold_of_patchcore_nothing_is_compared(by_hand):
    detector, of = by_hand
    judged = judge(of([0.0, 1.0]), detector, CONFIG, threshold=None, ng=set())
    assert judged.choice is not None and judged.rejected_ok.n == 4 and judged.n_both == 0


def test_compared_with_the_fixed_threshold_where_there_is_one(ws, fix):
    detector = load_result(ws, DETECTOR)
    loo = detector.sets["bank"].image_scores
    assert opinion.patchcore_threshold(ws, detector, CONFIG) == (
        conformal(loo, source="leave-one-out", max_fpr=0.05).value,
        "recommended",
    )
    fix(value=7.5, origin="by hand")
    assert opinion.patchcore_threshold(ws, detector, CONFIG) == (7.5, "fixed")
    other = replace(detector, meta=detector.meta | {"bank_id": "another"})
    assert opinion.patchcore_threshold(ws, other, CONFIG)[1] == "recommended"


# The page


def test_page_trains_and_shows_counts_but_no_real_ng_unasked(ws):
    page = open_page("detector")
    assert not page.exception, [e.message for e in page.exception]
    assert "They never move PatchCore's threshold" in text_of(page) and "DSR is not on the list" in text_of(page)
    page.multiselect(key="opinion-methods").set_value(["pbas", "simplenet"]).run()
    assert "min on one free core" in page.button(key="opinion").label
    page.button(key="opinion").click().run()
    assert page.button(key="opinion").disabled
    assert "Training the second opinion: waiting for the worker to start" in text_of(page)
    job = jobs.latest(ws, "opinion")
    assert job.params == PARAMS
    with jobs.take_place(ws):
        assert worker.run_next(ws)
    assert jobs.get(ws, job.id).result == {"methods": ["pbas", "simplenet"]}

    page = open_page("detector")
    text = text_of(page)
    assert not page.exception, [e.message for e in page.exception]
    assert text.count("good parts would be rejected") == 2 and text.count("Same as PatchCore on") == 2
    n = len(free_ng(ws))
    assert text.count(f"{n} real NG: kept for verification") == 2 and "real NG caught" not in text
    assert seen_ng(ws) == set()


def test_real_ng_count_once_they_were_on_screen_elsewhere(ws):
    opinion.train(ws, CONFIG, ["pbas"], silent)
    free = sorted(free_ng(ws))
    note_seen(ws, set(free[:2]), basis="another detector")
    text = text_of(open_page("detector"))
    assert "of 2 real NG caught" in text and "kept for verification" not in text
    assert seen_ng(ws) == set(free[:2])
    basis = basis_of(load_result(ws, DETECTOR).meta["bank_id"], to_dict(CONFIG)["thresholds"])
    assert seen_ng(ws, other_than="another detector") == set(free[:2]) == seen_ng(ws, other_than=basis)


def test_page_says_what_is_out_of_date(ws):
    opinion.train(ws, CONFIG, ["cras"], silent)
    save_config(ws, replace(CONFIG, seed=9))
    page = open_page("detector")
    assert not page.exception
    assert "Out of date: CRAS" in text_of(page) and page.button(key="opinion").disabled


def test_page_without_any_method(ws):
    page = open_page("detector")
    page.multiselect(key="opinion-methods").set_value([]).run()
    assert not page.exception and page.button(key="opinion").disabled
    assert page.button(key="opinion").label == "Train and score"


def test_page_shows_what_cannot_be_told(ws, monkeypatch):
    opinion.train(ws, CONFIG, ["pbas"], silent)
    few = stored(ws)["pbas"]
    few = replace(few, scores=few.scores | {"calibration": few.scores["calibration"][:1]})
    monkeypatch.setattr(opinion, "opinions", lambda *_: ((few,), ()))
    page = open_page("detector")
    assert not page.exception and "Cannot tell: there is 1 calibration OK picture" in text_of(page)


def test_page_shows_pictures_on_which_the_two_disagree(ws, monkeypatch):
    opinion.train(ws, CONFIG, ["pbas"], silent)
    turned = stored(ws)["pbas"]
    turned = replace(turned, scores=turned.scores | {"check": np.full_like(turned.scores["check"], 1e6)})
    monkeypatch.setattr(opinion, "opinions", lambda *_: ((turned,), ()))
    page = open_page("detector")
    n = len(turned.ids["check"])
    assert not page.exception and f"Where the two disagree ({n} pictures)" in [e.label for e in page.expander]


def test_cancel_on_the_page(ws, busy):
    running = busy(ws, "opinion", PARAMS)
    page = open_page("detector")
    page.button(key=f"cancel-{running.job.id}").click().run()
    running.end("cancelled")
    assert "Training the second opinion was cancelled." in text_of(open_page("detector"))
