"""Quality control: planted faults get their verdict, rejected NG count nowhere, filters switch with no picture made."""

import json
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from calibration.rules import RULES
from ias_core.synthesis.base import SyntheticDefects
from ias_core.synthesis.poisson import blend
from pages.services import seeds
from pages.services.artifacts import (
    DETECTOR,
    SYNTHESIS,
    SynthesisResult,
    current_digest,
    fresh_folder,
    load_result,
    save_result,
)
from pages.services.filters import effects, switch_filters
from pages.services.progress import silent
from pages.services.quality import (
    CANNOT_TELL,
    GIVES_AWAY,
    NOT_SEEN,
    Inspector,
    decided,
    kept,
    partners,
    quality_row,
    with_filters,
)
from pages.services.report import calibration_report_of, summary
from pages.services.settings import FILTERS
from pages.services.steps import load_config, steps
from pages.services.synthesis import synthesis_digest
from pages.services.thresholds import evidence_of, threshold_table
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.browse import open_page, text_of
from tests.app.report_keys import QUALITY

SIDE, N = 64, 24
OWN, FOREIGN = "glass-las-own", "glass-las-foreign"


def goods() -> np.ndarray:
    """(24, 64, 64, 3) float32: slow shading and grain, grey."""
    rng = np.random.default_rng(0)
    slope = np.linspace(-1, 1, SIDE)[:, None, None]
    shading = 0.5 + 0.1 * rng.uniform(-1, 1, (N, 1, 1, 1)) * slope[None]
    return (shading + rng.normal(0, 0.02, (N, SIDE, SIDE, 1))).repeat(3, 3).astype(np.float32)


def cell_means(images: np.ndarray) -> np.ndarray:
    """Patch scores of a detector without a network: mean grey level of 8 x 8 px."""
    n = len(images)
    return 255 * images.reshape(n, SIDE // 8, 8, SIDE // 8, 8, 3).mean((2, 4, 5))


def masks(n: int) -> np.ndarray:
    """A square of 18 px somewhere in each."""
    rng, found = np.random.default_rng(1), np.zeros((n, SIDE, SIDE), bool)
    for mask in found:
        top, left = rng.integers(6, SIDE - 24, 2)
        mask[top : top + 18, left : left + 18] = True
    return found


def made_of(images: np.ndarray, where: np.ndarray, parents: np.ndarray | None = None) -> SyntheticDefects:
    n = len(images)
    parents = np.arange(n) if parents is None else parents
    return SyntheticDefects(images, where, parents, "planted", np.ones(n, np.float32), ("none",) * n, 0)


def verdicts(made: SyntheticDefects, *, reach: int = 1, groups: list[str] | None = None) -> dict:
    pictures = goods()
    inspect = Inspector(
        pictures,
        groups or [str(i) for i in range(N)],
        cell_means(pictures),
        score=cell_means,
        reach=reach,
        seed=0,
    )
    return inspect(made, cell_means(made.images))


def darkened(pictures: np.ndarray, where: np.ndarray, levels: float = 30) -> np.ndarray:
    return pictures - where[..., None] * np.float32(levels / 255)


# --- planted faults


def test_an_untouched_copy_is_not_seen_and_a_change_away_from_the_mask_is_told():
    pictures, where = goods(), masks(N)
    images = darkened(pictures, where)
    images[[3, 7]] = pictures[[3, 7]]
    images[5] = pictures[5]
    corner = (slice(0, 8), slice(0, 8)) if not where[5, :24, :24].any() else (slice(56, 64), slice(56, 64))
    images[5][corner] -= 0.2
    found = verdicts(made_of(images, where))["null"]
    assert "rounding the grey levels" in found[3] and "rounding the grey levels" in found[7]
    assert "away from the mask" in found[5]
    assert [i for i, reason in enumerate(found) if reason] == [3, 5, 7]


def test_what_lowers_the_scores_is_a_miss_and_stays():
    """Darker means a lower score here: a detector that is blind to it must not have it taken out of its recall."""
    where = masks(N)
    images = darkened(goods(), where)
    assert (cell_means(images) <= cell_means(goods()) + 1e-3).all()
    assert not any(verdicts(made_of(images, where))["null"])


def test_every_copy_is_found_however_many_there_are():
    pictures, where = goods(), masks(N)
    images = pictures.copy()
    images[-1] = darkened(pictures, where)[-1]
    assert [bool(reason) for reason in verdicts(made_of(images, where))["null"]] == [True] * (N - 1) + [False]


def test_a_black_frame_gives_its_method_away():
    from scipy.ndimage import binary_erosion

    pictures, where = goods(), masks(N)
    images = pictures.copy()
    for image, mask in zip(images, where, strict=True):
        image[mask & ~binary_erosion(mask)] = 0
    found = verdicts(made_of(images, where))
    assert found["border"]["verdict"] == GIVES_AWAY and found["border"]["auroc"] > 0.95
    assert sum(map(bool, found["artefact"])) >= 0.9 * N


def smooth_defects(pictures: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Another part's grain blended in, and a dark dip that has died out before the border."""
    from scipy.ndimage import distance_transform_edt

    images = []
    for i, mask in enumerate(where):
        deep = np.clip((distance_transform_edt(mask) - 4) / 5, 0, 1)[..., None]
        images.append(blend(pictures[i], pictures[(i + 5) % N], mask) - 0.3 * deep)
    return np.stack(images).astype(np.float32)


def test_smooth_borders_and_untouched_ones_are_not_accused():
    pictures, where = goods(), masks(N)
    images = smooth_defects(pictures, where)
    assert np.abs(images - pictures)[where].mean() > 0.05  # a defect all right
    for defects in (images, pictures):
        found = verdicts(made_of(defects, where))
        assert found["border"]["verdict"] == NOT_SEEN and found["border"]["p"] > 0.05
        assert not any(found["artefact"])


def test_few_good_parts_cannot_tell():
    where = masks(10)
    found = verdicts(made_of(darkened(goods()[:10], where, 200), where))
    assert found["border"]["verdict"] == CANNOT_TELL and found["border"]["n_blocks"] == 5
    alone = verdicts(made_of(darkened(goods()[:2], where[:2]), where[:2]))["border"]
    assert alone == {"verdict": CANNOT_TELL, "n": 2, "n_blocks": 1}


def test_no_good_part_is_compared_with_itself_or_its_twin():
    groups = ["a", "a", "b", "c", "c", "c", "d", "e"]
    partner, block = partners(groups)
    assert partner[-1] == block[-1] == -1
    for i, other in enumerate(partner[:-1]):
        assert groups[other] != groups[i] and block[other] == block[i]
    assert {groups[i] for i in np.flatnonzero(block == 0)} == {"a", "b"}


def test_a_copied_defect_goes_and_the_first_one_stays():
    pictures, where = goods(), masks(N)
    images = darkened(pictures, where)
    parents = np.arange(N)
    images[9], where[9], parents[9] = images[2], where[2], 2
    found = verdicts(made_of(images, where, parents))
    assert found["duplicate_of"][9] == [2] and not any(found["duplicate_of"][:9])
    stems = [f"planted-{i:03d}" for i in range(N)]
    assert decided(found, ("duplicate",), stems)["rejected"][9] == "near-duplicate of planted-002"


# --- decisions


VERDICTS = {
    "null": ["still", "", "", "", ""],
    "artefact": ["seam", "", "seam", "", ""],
    "duplicate_of": [[], [0], [], [0, 2], [3]],
    "border": {"verdict": NOT_SEEN},
}
STEMS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("filters", "rejected", "counts"),
    [
        ((), ["", "", "", "", ""], {}),
        (("null",), ["still", "", "", "", ""], {"null": 1}),
        (("artefact",), ["seam", "", "seam", "", ""], {"artefact": 2}),
        # e is like d, but d is gone itself
        (("duplicate",), ["", "near-duplicate of a", "", "near-duplicate of a", ""], {"duplicate": 2}),
        # b was like a, which is gone
        (("null", "duplicate"), ["still", "", "", "near-duplicate of c", ""], {"null": 1, "duplicate": 1}),
        (FILTERS, ["still", "", "seam", "", "near-duplicate of d"], {"null": 1, "artefact": 1, "duplicate": 1}),
    ],
)
def test_what_each_choice_of_filters_takes_out(filters, rejected, counts):
    assert decided(VERDICTS, filters, STEMS) == {"rejected": rejected, "filters": counts}


# --- through a whole run


def stored(ws: Workspace, method: str, filter_name: str, reasons: list[str]) -> SynthesisResult:
    """The current synthesis with other verdicts of one filter, stored as the current one."""
    result = load_result(ws, SYNTHESIS)
    methods = json.loads(json.dumps(result.meta["methods"]))
    methods[method]["quality"][filter_name] = reasons
    result = replace(result, meta=result.meta | {"methods": methods})
    return saved(ws, with_filters(result, load_config(ws).synthesis.filters))


def saved(ws: Workspace, result: SynthesisResult) -> SynthesisResult:
    folder = fresh_folder(ws, SYNTHESIS)
    for file in result.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    result = replace(result, folder=folder)
    save_result(ws, SYNTHESIS, result)
    return result


def test_a_run_judges_every_method_but_the_graded_one(ws):
    methods = load_result(ws, SYNTHESIS).meta["methods"]
    for method in (OWN, FOREIGN):
        facts = methods[method]
        assert set(facts["quality"]) == {"null", "artefact", "duplicate_of", "border"}
        assert len(facts["rejected"]) == 10 and set(facts["filters"]) == {"null", "duplicate"}
        assert sum(facts["filters"].values()) == sum(map(bool, facts["rejected"]))
    assert "quality" not in methods["graded-spot"] and kept(methods["graded-spot"]).all()


def test_rejected_ones_count_in_no_score_roc_or_severity(ws):
    detector = load_result(ws, DETECTOR)
    result = stored(ws, OWN, "null", ["", "still"] * 5)
    evidence = evidence_of(detector, result, set())
    counting = np.arange(10) % 2 == 0
    np.testing.assert_array_equal(evidence.synthetic[OWN], result.sets[OWN].image_scores[counting])
    assert evidence.names[OWN] == result.sets[OWN].names[::2]
    assert len(evidence.severities[OWN]) == 5
    assert len(evidence.graded.scores) == 30
    table = threshold_table(evidence, small_run.CONFIG)
    assert table.synthetic_roc[OWN][0].n_ng == 5
    assert all(c.n_ng == 5 for c in table.choices if RULES[c.rule].origin == "synthetic")
    assert len(result.sets[OWN].ids) == 10  # and they are still there


def test_a_method_of_which_nothing_is_left_has_no_voice(ws):
    detector = load_result(ws, DETECTOR)
    result = stored(ws, OWN, "null", ["still"] * 10)
    evidence = evidence_of(detector, result, set())
    assert OWN not in evidence.synthetic and FOREIGN in evidence.synthetic
    table = threshold_table(evidence, small_run.CONFIG)
    for choice in table.choices:
        if RULES[choice.rule].origin == "synthetic":
            assert choice.value is None
            assert choice.reason == "quality control rejected all 10 synthetic NG of glass-las-own"
    assert "rejected all 10 synthetic NG" in table.recommendation.why
    report = calibration_report_of(ws, small_run.CONFIG, detector, result)
    assert OWN not in report["scores"]["synthetic"] and OWN not in report["roc"]["synthetic"]
    assert "quality control: 0 of 10 glass-las-own count; rejected: 10 null" in summary(report)
    page = open_page("thresholds")
    assert not page.exception
    assert "Quality control rejected all 10 synthetic NG of glass-las-own" in text_of(page)


@pytest.mark.parametrize("left", [5, 0])
def test_other_coreset_seeds_score_those_that_count(ws, monkeypatch, left):
    monkeypatch.setattr(seeds, "HOW_MANY", 1)
    stored(ws, OWN, "null", ["still"] * (10 - left) + [""] * left)
    (seed,) = seeds.score_other_seeds(ws, small_run.CONFIG, silent)
    with np.load(ws.artifacts / seeds.stored(ws) / "scores.npz") as arrays:
        assert arrays[f"{seed}/synthetic"].shape == (left,)


def test_report_says_per_method_what_counts(ws):
    result = stored(ws, OWN, "null", ["still", "still"] + [""] * 8)
    report = calibration_report_of(ws, small_run.CONFIG, load_result(ws, DETECTOR), result)
    rows = report["synthesis"]["methods"]
    assert set(rows) == {OWN, FOREIGN, "graded-spot"} and all(set(row) == QUALITY for row in rows.values())
    assert rows[OWN]["n_made"] == 10 and rows[OWN]["n_kept"] == 8 and rows[OWN]["rejected"]["null"] == 2
    assert set(rows[OWN]["border_auroc"]) == {"auroc", "low", "high", "p"}
    told = {"n_made": 30, "n_kept": 30, "rejected": {}, "border_auroc": None}
    assert rows["graded-spot"] == told | {"from_ng": [], "control": None, "blocked": "", "made_with": {}}
    assert len(report["scores"]["synthetic"][OWN]) == 8


def test_results_from_before_quality_control_still_count_whole():
    facts = {"severities": [0.1, 0.2]}
    assert kept(facts).tolist() == [True, True]
    told = {"n_made": 2, "n_kept": 2, "rejected": {}, "border_auroc": None}
    assert quality_row(facts) == told | {"from_ng": [], "control": None, "blocked": "", "made_with": {}}


def test_effects_are_what_the_whole_table_says(ws):
    detector = load_result(ws, DETECTOR)
    result = stored(ws, OWN, "artefact", ["seam"] * 4 + [""] * 6)
    config = small_run.CONFIG
    rows = effects(detector, result, config)
    assert [row.filters for row in rows] == [(), ("null",), ("artefact",), ("duplicate",), ("null", "duplicate")]
    assert [row.kept for row in rows] == [10, 10, 6, 10, 10] and all(row.made == 10 for row in rows)
    for row in rows:
        table = threshold_table(evidence_of(detector, with_filters(result, row.filters), set()), config)
        by_rule = {choice.rule: choice for choice in table.choices}
        assert row.youden == by_rule["youden"].value
        assert row.recommended == table.recommendation.choice.value
        assert row.area == table.synthetic_roc[OWN][0]
    assert rows[0].youden != rows[2].youden or rows[0].caught != rows[2].caught


def test_switching_makes_no_picture_and_asks_for_a_new_threshold(ws, fix):
    detector, before = load_result(ws, DETECTOR), stored(ws, OWN, "null", ["still"] * 3 + [""] * 7)
    fix()
    assert steps(ws)["thresholds"].state == "done"
    pictures = {file.name: file.read_bytes() for file in before.folder.glob("*.png")}
    switch_filters(ws, detector, load_config(ws), ("artefact",))
    config, after = load_config(ws), load_result(ws, SYNTHESIS)
    assert config.synthesis.filters == ("artefact",)
    assert after.folder != before.folder
    assert {file.name: file.read_bytes() for file in after.folder.glob("*.png")} == pictures
    assert after.digest == synthesis_digest(detector.digest, config) != before.digest
    assert kept(before.meta["methods"][OWN]).sum() == 7 and kept(after.meta["methods"][OWN]).all()
    assert steps(ws)["synthesis"].state == "done" and steps(ws)["thresholds"].state == "out of date"
    switch_filters(ws, detector, config, small_run.CONFIG.synthesis.filters)
    again = load_result(ws, SYNTHESIS)
    assert again.digest == before.digest and again.meta == before.meta
    assert steps(ws)["thresholds"].state == "done"


def test_switching_leaves_alone_what_is_out_of_date(ws):
    detector, config = load_result(ws, DETECTOR), load_config(ws)
    other = replace(config, synthesis=replace(config.synthesis, count=11))
    before = current_digest(ws, SYNTHESIS)
    switch_filters(ws, detector, other, ())
    assert load_config(ws).synthesis.filters == () and load_config(ws).synthesis.count == 11
    assert current_digest(ws, SYNTHESIS) == before and steps(ws)["synthesis"].state == "out of date"


# --- on screen


def view() -> None:
    from pages.services.steps import load_config
    from pages.ui import cached, quality_view

    ws = cached.workspace()
    quality_view.show(ws, cached.detector(ws), cached.synthesis(ws), load_config(ws))


def test_view_shows_verdicts_effects_and_switches(ws):
    stored(ws, OWN, "null", ["still"] * 10)
    page = AppTest.from_function(view, default_timeout=60).run()
    assert not page.exception
    found, effect = (frame.value for frame in page.dataframe)
    assert found["count"].tolist()[0] == "0 of 10" and found["not seen where it lies"].tolist()[0] == 10
    assert effect["count"].tolist() == ["10 of 10", "0 of 10", "10 of 10", "10 of 10", "0 of 10"]
    shown = text_of(page)
    assert "Quality control rejected all 10 synthetic NG of own texture: the method has no voice" in shown
    assert "by construction" in shown and "the border is the defect itself" in shown
    page.toggle(key="filter-null").set_value(False).run()
    assert load_config(ws).synthesis.filters == ("duplicate",)
    assert page.dataframe[0].value["count"].tolist()[0] == "10 of 10"
    assert "are rejected" not in text_of(page)
