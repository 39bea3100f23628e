"""Other coreset seeds: the job, what it stores, when that counts, and what the page makes of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from calibration.rank_rules import conformal, percentile
from pages.services import jobs, seeds, worker
from pages.services.artifacts import DETECTOR, SYNTHESIS, digest_of, load_result
from pages.services.detection import FeatureSource, build_detector
from pages.services.progress import silent
from pages.services.settings import to_dict
from pages.services.steps import save_config
from pages.services.synthesis import synthesize
from tests.app import small_run
from tests.app.browse import open_page, text_of
from tests.app.stored import with_scores

CONFIG = small_run.CONFIG
VARIED = "seed of the coreset"


@pytest.fixture(autouse=True)
def two_seeds(monkeypatch):
    """Two other seeds are enough to tell them apart."""
    monkeypatch.setattr(seeds, "HOW_MANY", 2)


def arrays_of(ws) -> dict[str, np.ndarray]:
    with np.load(ws.artifacts / seeds.stored(ws) / "scores.npz") as file:
        return {key: file[key] for key in file.files}


def found(ws, config=CONFIG):
    return seeds.seed_scores(ws, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), config)


def test_scores_are_those_of_a_detector_with_that_coreset_seed(ws):
    """Built as a whole with the next seed on the same split, it scores good parts exactly so."""
    assert seeds.score_other_seeds(ws, CONFIG, silent) == [4, 5]
    arrays = arrays_of(ws)
    assert set(arrays) == {"4/ok", "4/synthetic", "5/ok", "5/synthetic"}
    n = len(load_result(ws, SYNTHESIS).sets[CONFIG.synthesis.primary].ids)
    assert (len(arrays["4/ok"]), len(arrays["4/synthetic"])) == (24, n)
    other = build_detector(ws, replace(CONFIG, seed=4), silent)
    np.testing.assert_allclose(arrays["4/ok"], other.sets["bank"].image_scores, rtol=1e-6)


def test_synthetic_ng_are_read_back_as_they_were_scored(ws):
    """On the bank in use the files give the stored scores, but for what 8 bits round off."""
    from ias_core.patchcore.memory_bank import MemoryBank
    from ias_core.patchcore.scoring import Scorer

    synthesis = load_result(ws, SYNTHESIS)
    source = FeatureSource(CONFIG.detector)
    scorer = Scorer(MemoryBank.load(load_result(ws, DETECTOR).bank_path), source.device)
    scores = scorer(seeds._synthetic_features(synthesis, source, silent)).image_scores
    np.testing.assert_allclose(scores, synthesis.sets[CONFIG.synthesis.primary].image_scores, rtol=0.03)


def test_same_seed_same_arrays_and_each_seed_its_own_bank(ws):
    seeds.score_other_seeds(ws, CONFIG, silent)
    first, folder = arrays_of(ws), seeds.stored(ws)
    seeds.score_other_seeds(ws, CONFIG, silent)
    second = arrays_of(ws)
    assert seeds.stored(ws) != folder and not (ws.artifacts / folder).exists()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
    in_use = load_result(ws, DETECTOR).sets["bank"].image_scores
    assert (first["4/ok"] != first["5/ok"]).any() and (first["4/ok"] != in_use).any()


def test_each_seed_has_the_threshold_that_the_policy_sets_on_its_scores(ws):
    seeds.score_other_seeds(ws, CONFIG, silent)
    arrays = arrays_of(ws)
    for row in found(ws):
        ok = arrays[f"{row.seed}/ok"]
        np.testing.assert_array_equal(row.ok, ok)
        np.testing.assert_array_equal(row.synthetic, arrays[f"{row.seed}/synthetic"])
        assert row.threshold == conformal(ok, source="leave-one-out", max_fpr=0.05).value
    # 24 scores are too few for a bound of 1 %: the last resort is the maximum, whatever percentile is asked for.
    strict = replace(CONFIG, thresholds=replace(CONFIG.thresholds, max_fpr=0.01, percentile=0.5))
    for row in found(ws, strict):
        assert row.threshold == percentile(row.ok, source="leave-one-out", q=1.0).value


def test_results_of_another_detector_or_other_synthetic_ng_do_not_count(ws):
    assert found(ws) == () and seeds.stored(ws) == ""
    seeds.score_other_seeds(ws, CONFIG, silent)
    detector, synthesis = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)
    assert [row.seed for row in seeds.seed_scores(ws, detector, synthesis, CONFIG)] == [4, 5]
    assert seeds.seed_scores(ws, replace(detector, digest=digest_of("other")), synthesis, CONFIG) == ()
    assert seeds.seed_scores(ws, detector, replace(synthesis, digest=digest_of("other")), CONFIG) == ()
    (ws.artifacts / seeds.stored(ws) / "scores.npz").unlink()
    assert found(ws) == ()


def test_held_out_scores_where_rules_use_them(ws, monkeypatch):
    """What is scored anew is what the recommendation is set on."""
    monkeypatch.setattr("calibration.policy._LEAST_HELD_OUT", 6)
    seeds.score_other_seeds(ws, CONFIG, silent)
    other = build_detector(ws, replace(CONFIG, seed=5), silent)
    np.testing.assert_allclose(arrays_of(ws)["5/ok"], other.sets["calibration"].image_scores, rtol=1e-6)


def test_the_last_seed_is_followed_by_the_first(ws):
    config = replace(CONFIG, seed=2**32 - 1)
    save_config(ws, config)
    synthesize(ws, build_detector(ws, config, silent), config, silent)
    assert seeds.score_other_seeds(ws, config, silent) == [0, 1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": 4}, "the detector is missing or out of date"),
        ({"synthesis": replace(CONFIG.synthesis, count=11)}, "the synthetic NG are missing or out of date"),
    ],
)
def test_what_is_out_of_date_is_a_sentence(ws, changes, sentence):
    job = jobs.submit(ws, "seeds", to_dict(replace(CONFIG, **changes)))
    with jobs.take_place(ws):
        assert worker.run_next(ws)
    failed = jobs.get(ws, job.id)
    assert failed.state == "failed" and sentence in failed.error
    assert seeds.stored(ws) == ""


def test_cancelled_at_any_step_it_stores_nothing(ws):
    calls = []

    def cancel_at(which: int):
        def progress(*_):
            calls.append(which)
            if len(calls) > which:
                raise jobs.JobCancelled

        return progress

    seeds.score_other_seeds(ws, CONFIG, cancel_at(10**9))
    steps, before = len(calls), arrays_of(ws)
    folders = set(ws.artifacts.iterdir())
    assert steps > 2 * 3 + 3  # often enough to stop soon
    for which in (0, steps // 2, steps - 1):
        calls.clear()
        with pytest.raises(jobs.JobCancelled):
            seeds.score_other_seeds(ws, CONFIG, cancel_at(which))
        assert set(ws.artifacts.iterdir()) == folders
        assert set(arrays_of(ws)) == set(before)


def ranges_on(page) -> list[dict]:
    """Charts of the ranges as they are sent."""
    return [
        json.loads(chart.proto.spec) for chart in page.get("plotly_chart") if VARIED in json.dumps(chart.proto.spec)
    ]


def test_page_starts_the_job_and_shows_its_range(ws):
    page = open_page("thresholds")
    assert "was not varied yet" in text_of(page) and ranges_on(page) == []
    page.button(key="seeds").click().run()
    assert not page.exception
    assert "Varying the seed of the coreset: waiting for the worker to start" in text_of(page)
    assert page.button(key="seeds").disabled
    job = jobs.latest(ws, "seeds")
    assert job.params == to_dict(CONFIG) and "seeds" in worker.RUNNERS
    with jobs.take_place(ws):
        assert worker.run_next(ws)
    assert jobs.get(ws, job.id).result == {"seeds": [4, 5]}

    page = open_page("thresholds")
    assert not page.exception, [e.message for e in page.exception]
    assert "was not varied yet" not in text_of(page)
    assert len(ranges_on(page)) == 3  # of the recommended threshold, of Youden's, of the synthetic recall
    with_scores(ws, DETECTOR, {})  # the same detector, e.g. after real NG were added: still its seeds
    assert len(ranges_on(open_page("thresholds"))) == 3


def test_cancel_on_the_page(ws, busy):
    running = busy(ws, "seeds", to_dict(CONFIG))
    page = open_page("thresholds")
    assert "reading good parts 3 of 12" in text_of(page)
    page.button(key=f"cancel-{running.job.id}").click().run()
    running.end("cancelled")
    text = text_of(open_page("thresholds"))
    assert "Varying the seed of the coreset was cancelled." in text and "was not varied yet" in text
