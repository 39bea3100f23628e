"""Every page in every state, and what the thresholds, verification and sign-off pages promise."""

from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from calibration.simultaneous import rate_bound_anywhere
from pages.services import jobs
from pages.services.artifacts import DETECTOR, SYNTHESIS, DetectorResult, load_result, save_result
from pages.services.decision import current_decision
from pages.services.detection import detector_digest
from pages.services.intake import current
from pages.services.ledger import Ledger
from pages.services.records import MEANINGS, entries_of, newest
from pages.services.settings import DetectorConfig
from pages.services.steps import load_config, save_config, steps
from pages.services.synthesis import synthesis_digest
from pages.services.verification import free_ng, verify
from pages.ui import cached, frame, widgets
from tests.app import small_run
from tests.app.browse import APP, PAGES, button_of, links_of, open_page, text_of

SLIDER = "threshold-slider"
LATER = PAGES[1:]
NO_PICTURES = "no pictures yet: load good parts"


def opened(key: str):
    """A page that shows no exception, with its title and the whole rail."""
    page = open_page(key)
    assert not page.exception, [e.message for e in page.exception]
    check_frame(page, key)
    return page


def check_frame(page, key: str) -> None:
    title = frame.TITLES[key]
    assert [t.value for t in page.title] == [title]
    rail = [link.proto.label for link in page.sidebar.get("page_link")]
    assert [label.split(". ")[1] for label in rail] == list(frame.TITLES.values())


def at_or_above(scores, value: float) -> int:
    return sum(float(score) >= value for score in scores)


def fixed_and_checked(ws, fix) -> None:
    decision, _ = fix()
    verify(ws, load_result(ws, DETECTOR), decision)


# --- every page in every state -------------------------------------------------------------------------------


def test_the_entry_script_opens_the_data_page(empty_ws):
    page = AppTest.from_file(APP, default_timeout=60).run()
    assert not page.exception
    check_frame(page, "data")


@pytest.mark.parametrize("key", LATER)
def test_empty_page_says_what_is_missing_and_links_there(empty_ws, key):
    """What was once approved stays open to be watched, so the line waits for that and not for the step before."""
    missing, where = ("no threshold is approved yet", "Sign-off") if key == "line" else (NO_PICTURES, "Data")
    page = opened(key)
    assert f"This step waits: {missing}." in text_of(page)
    assert links_of(page) == [f"Go to {where}"]


def test_empty_data_page_offers_every_source(empty_ws):
    page = opened("data")
    (source,) = page.get("button_group")
    assert len(source.options) == 5
    assert "CC BY-NC-SA 4.0" in text_of(page)
    for name, words in {
        "folders": "Load the folders",
        "tree": "Load the tree",
        "zip": "Load the zip",
        "upload": "Take the pictures in",
    }.items():
        page.get("button_group")[0].set_value(name).run()
        assert not page.exception
        assert button_of(page, words).disabled


def test_without_the_demo_package_the_data_page_says_how_to_get_it(empty_ws, monkeypatch):
    monkeypatch.setattr("pages.services.demo.available", lambda: False)
    page = opened("data")
    assert "pip install elpv-dataset" in text_of(page)
    assert not [b for b in page.button if b.key == "load-demo"]


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("data", "Good parts (OK): 40"),
        ("data", "Real defective parts (NG): 6"),
        ("detector", "Good parts in the memory bank: 24"),
        ("synthesis", "10 made; AUROC against 24 good parts"),
        ("thresholds", "of 24 good parts would be rejected (95 %: up to "),
        ("thresholds", "of 10 synthetic NG caught"),
        ("verification", "of 6 real NG caught (95 %: at least "),
        ("verification", "of 10 good parts would be rejected (95 %: up to "),
        ("sign_off", "Real NG caught: {caught} of 6"),
        ("sign_off", "Good parts rejected (check OK): {rejected} of 10"),
    ],
)
def test_normal_page_names_the_denominator(ws, fix, table, key, sentence):
    fixed_and_checked(ws, fix)
    value = table.recommendation.choice.value
    caught, rejected = at_or_above(table.evidence.ng_real, value), at_or_above(table.evidence.ok_check, value)
    assert sentence.format(caught=caught, rejected=rejected) in text_of(opened(key))


@pytest.mark.parametrize("key", PAGES)
@pytest.mark.parametrize("kind", ["intake", "pipeline", "detector", "synthesis"])
def test_running(ws, empty_ws, busy, monkeypatch, kind, key):
    """Progress where the work is shown, a closed door behind it, and never an exception."""
    where = empty_ws if kind == "intake" else ws
    monkeypatch.setenv("IAS_WORKSPACE", str(where.root))
    busy(where, kind)
    page = opened(key)
    shown_on = {
        "intake": ("data",),
        "pipeline": ("data", "detector"),
        "detector": ("detector",),
        "synthesis": ("synthesis",),
    }[kind]
    text = text_of(page)
    if key in shown_on:
        assert "reading good parts 3 of 12" in text
        assert "Cancel" in text
    elif key in ("thresholds", "review", "verification", "sign_off", "line"):
        assert "This step waits: " in text
        assert len(links_of(page)) == 1


def test_waiting_job_says_so(ws):
    jobs.submit(ws, "detector", {})
    assert "waiting for the worker to start" in text_of(opened("detector"))


def test_cancel_stops_the_job(ws, busy):
    running = busy(ws, "detector")
    page = opened("detector")
    page.button(key=f"cancel-{running.job.id}").click().run()
    running.end("cancelled")
    assert not page.exception
    assert "Building the detector was cancelled." in text_of(opened("detector"))


@pytest.mark.parametrize("key", PAGES)
def test_out_of_date(ws, fix, key):
    """A setting changed after everything was done: the page says so, or what has to be done first."""
    fixed_and_checked(ws, fix)
    save_config(ws, replace(small_run.CONFIG, seed=4))
    page = opened(key)
    text = text_of(page)
    if key == "detector":
        assert "Out of date: " in text
        assert "Build the detector" in text
    elif key != "data":
        assert "This step waits: " in text
        assert links_of(page) == ["Go to Sign-off" if key == "line" else "Go to Detector"]
    assert "out of date: an earlier step changed" in text


@pytest.mark.parametrize(
    ("kind", "key"), [("intake", "data"), ("pipeline", "data"), ("detector", "detector"), ("synthesis", "synthesis")]
)
def test_failed_job_tells_its_sentence(ws, busy, kind, key):
    busy(ws, kind).end("failed", error="the weights file is not there")
    assert "the weights file is not there" in text_of(opened(key))


def test_refused_set_is_answered_file_by_file(empty_ws, busy):
    refused = {"refused": "Expected at least 5 OK pictures", "rejected": [{"name": "a.png", "reason": "is empty"}]}
    busy(empty_ws, "intake").end("done", result=refused)
    page = opened("data")
    assert "Expected at least 5 OK pictures" in text_of(page)
    assert page.dataframe[0].value.values.tolist() == [["a.png", "is empty"]]


@pytest.mark.parametrize("key", ["data", "detector", "verification"])
def test_pictures_that_went_away_are_a_sentence(tmp_path, monkeypatch, built, key, ws, fix):
    """Folder pictures stay where they are, so somebody may move them."""
    fix(1000.0, origin="by hand")
    if key == "verification":
        opened(key).button(key="verify").click().run()
    with ws.transaction() as db:
        db.execute("UPDATE images SET path = ?", (str(tmp_path / "gone.png"),))
    st.cache_data.clear()
    assert ": the file is not there (moved, deleted, or a broken link)" in text_of(opened(key))


def test_no_recommendation_is_an_answer(ws, monkeypatch):
    """Synthetic NG that score like good parts: no value, the reason, and the slider still works."""
    result = load_result(ws, SYNTHESIS)
    ok = load_result(ws, DETECTOR).sets["bank"].image_scores
    sets = {
        name: replace(scored, image_scores=np.resize(ok, len(scored.ids)).astype(np.float32))
        for name, scored in result.sets.items()
    }
    save_result(ws, SYNTHESIS, replace(result, sets=sets))
    cached._result.clear()
    cached._table.clear()
    page = opened("thresholds")
    assert page.error
    assert "by hand" in text_of(page)
    assert "nothing to hold the ruler against" in text_of(opened("synthesis"))
    fixed = page.button(key="fix").click().run()
    assert not fixed.exception
    assert current_decision(ws).origin == "by hand"
    cached._result.clear()
    cached._table.clear()


# --- settings ------------------------------------------------------------------------------------------------


def test_a_changed_setting_marks_later_steps(ws):
    page = opened("detector")
    page.number_input[0].set_value(11).run()
    assert not page.exception
    assert load_config(ws).seed == 11
    assert [steps(ws)[key].state for key in LATER] == ["out of date", *["empty"] * 6]
    page.number_input[0].set_value(small_run.CONFIG.seed).run()
    assert steps(ws)["detector"].state == "done"


def test_changed_synthesis_marks_itself_only(ws):
    page = opened("synthesis")
    page.slider[0].set_value(30).run()
    assert not page.exception
    assert load_config(ws).synthesis.count == 30
    assert [steps(ws)[key].state for key in LATER[:3]] == ["done", "out of date", "empty"]
    assert "Out of date" in text_of(page)


def test_looking_changes_no_setting(ws):
    """A settings file may hold what no menu has; opening the pages must neither fail on it nor replace it."""
    odd = replace(
        small_run.CONFIG,
        seed=2**32 - 1,
        detector=DetectorConfig(
            backbone="resnet18", layers=("layer2",), input_size=96, coreset_ratio=0.03, num_neighbors=5
        ),
    )
    save_config(ws, odd)
    opened("detector")
    assert load_config(ws) == odd
    odd_count = replace(small_run.CONFIG, synthesis=replace(small_run.CONFIG.synthesis, count=7))
    save_config(ws, odd_count)
    opened("synthesis")
    assert load_config(ws) == odd_count


def test_buttons_submit_what_the_settings_say(ws):
    for key, button, kind in (("data", "run-all", "pipeline"), ("detector", "build", "detector")):
        page = opened(key)
        page.button(key=button).click().run()
        assert not page.exception
        job = jobs.latest(ws, kind)
        assert job.is_active
        assert job.params["seed"] == small_run.CONFIG.seed
        jobs.cancel(ws, job.id)


# --- thresholds ----------------------------------------------------------------------------------------------


def test_slider_moves_the_counts_without_scoring_again(ws, table, monkeypatch):
    page = opened("thresholds")

    def never(*_, **__):
        raise AssertionError("computed again")

    for place in (
        "pages.ui.cached.threshold_table",
        "pages.ui.cached.evidence_of",
        "pages.ui.cached.load_result",
        "pages.services.thresholds.all_choices",
        "pages.services.thresholds.roc_band",
    ):
        monkeypatch.setattr(place, never)
    for aim in (13.0, 13.5, 30.0):
        page.slider(key=SLIDER).set_value(aim).run()
        assert not page.exception
        value = page.slider(key=SLIDER).value
        text = text_of(page)
        k = at_or_above(table.evidence.ok, value)
        bound = rate_bound_anywhere(k, 24)
        assert f"{k} of 24 good parts would be rejected (95 %: up to {widgets.percent(bound.high)})" in text
        caught = at_or_above(table.evidence.synthetic["glass-las-own"], value)
        assert f"{caught} of 10 synthetic NG caught (own texture)" in text
        assert "by hand" in text


def test_use_reset_fix(ws, table):
    place, youden = next((i, choice) for i, choice in enumerate(table.choices) if choice.rule == "youden")
    page = opened("thresholds")
    recommended = table.recommendation.choice
    at_start = page.slider(key=SLIDER).value
    assert at_start == pytest.approx(recommended.value, abs=0.02)

    page.button(key=f"use-{place}").click().run()
    assert not page.exception
    assert page.slider(key=SLIDER).value == pytest.approx(youden.value, abs=0.02)
    page.button(key="fix").click().run()
    fixed = current_decision(ws)
    assert (fixed.value, fixed.rule, fixed.origin) == (youden.value, "youden", "rule")

    button_of(page, "Recommended").click().run()
    assert page.slider(key=SLIDER).value == at_start
    page.button(key="fix").click().run()
    assert not page.exception
    fixed = current_decision(ws)
    assert (fixed.value, fixed.rule, fixed.origin) == (recommended.value, recommended.rule, "recommended")
    assert links_of(page) == ["Go to Verification"]
    assert len(free_ng(ws)) == 6


def test_a_value_by_hand_survives_a_change_of_page(ws):
    page = opened("thresholds")
    slider = page.slider(key=SLIDER)
    value = slider.min + 650 * slider.step
    slider.set_value(value).run()
    page.switch_page("pages/detector.py").run()
    page.switch_page("pages/thresholds.py").run()
    assert not page.exception
    assert page.slider(key=SLIDER).value == pytest.approx(value, abs=1e-6)
    assert "by hand" in text_of(page)


def test_a_detector_built_again_in_another_tab(ws, table):
    """The open page follows: slider, counts and threshold are those of the new scores."""
    page = opened("thresholds")
    page.slider(key=SLIDER).set_value(24.0).run()
    config = replace(small_run.CONFIG, seed=4)
    save_config(ws, config)
    asked = detector_digest(ws, config)
    for step, digest in ((DETECTOR, asked), (SYNTHESIS, synthesis_digest(asked, config))):
        result = load_result(ws, step)
        sets = {name: replace(scored, image_scores=scored.image_scores / 4) for name, scored in result.sets.items()}
        folder = ws.artifacts / f"{step}-again"
        folder.mkdir()
        for file in result.folder.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        save_result(ws, step, replace(result, sets=sets, folder=folder, digest=digest))
    page.run()
    assert not page.exception, [e.message for e in page.exception]
    recommended = table.recommendation.choice.value / 4
    assert page.slider(key=SLIDER).value == pytest.approx(recommended, abs=0.01)
    text = text_of(page)
    assert f"Threshold in use: {recommended:.4f}, recommended" in text
    assert f"{at_or_above(table.evidence.ok / 4, recommended)} of 24 good parts would be rejected" in text


def test_real_ng_are_not_shown_unasked(ws, table):
    page = opened("thresholds")
    assert "real NG caught" not in text_of(page)
    assert ws.get_choice("ng_seen") is None
    page.toggle(key="show-real").set_value(True).run()
    assert not page.exception
    caught = at_or_above(table.evidence.ng_real, table.recommendation.choice.value)
    assert f"{caught} of 6 real NG caught (95 %: at least" in text_of(page)
    assert len(ws.get_choice("ng_seen")) == 6


@pytest.mark.parametrize("still_shown", [True, False])
def test_a_value_by_hand_spends_the_real_ng_that_were_shown(ws, still_shown):
    page = opened("thresholds")
    page.toggle(key="show-real").set_value(True).run()
    page.slider(key=SLIDER).set_value(14.0).run()
    page.toggle(key="show-real").set_value(still_shown).run()
    page.button(key="fix").click().run()
    assert not page.exception
    assert "6 real NG were seen before this value was fixed" in text_of(page)
    assert len(Ledger(ws).records(role="threshold_ng")) == 6
    assert free_ng(ws) == set()

    page = opened("verification")
    text = text_of(page)
    assert "0 real NG are free for verification, so the threshold stays **provisional**" in text
    page.button(key="verify").click().run()
    assert not page.exception
    text = text_of(page)
    assert "Provisional: no real NG" in text
    assert "real NG caught" not in text
    assert ws.get_choice("verification")["status"] == "provisional"
    assert "PROVISIONAL" in text_of(opened("sign_off"))


def test_the_recommended_value_keeps_the_real_ng_that_were_shown(ws):
    page = opened("thresholds")
    page.toggle(key="show-real").set_value(True).run()
    page.button(key="fix").click().run()
    assert not page.exception
    assert current_decision(ws).real_in_view
    assert len(free_ng(ws)) == 6
    assert not Ledger(ws).records(role="threshold_ng")


# --- verification --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 13.5, 39.0, 1000.0])
def test_verification_counts_equal_a_count_by_hand(ws, fix, value):
    decision, _ = fix(value, origin="recommended" if value is None else "by hand")
    detector = load_result(ws, DETECTOR)
    assert isinstance(detector, DetectorResult)
    ng, check = detector.sets["ng"], detector.sets["check"]
    caught = [name for name, score in zip(ng.names, ng.image_scores, strict=True) if score >= decision.value]
    rejected = [name for name, score in zip(check.names, check.image_scores, strict=True) if score >= decision.value]
    page = opened("verification")
    page.button(key="verify").click().run()
    assert not page.exception
    text = text_of(page)
    assert f"{len(caught)} of 6 real NG caught" in text
    assert f"{len(rejected)} of 10 good parts would be rejected" in text
    assert f"Missed real NG, the furthest below the threshold first ({6 - len(caught)})" in text
    assert f"Rejected good parts, the highest score first ({len(rejected)})" in text
    captions = "\n".join(caption for image in page.get("image") for caption in image.captions)
    for name in set(ng.names) - set(caught) | set(rejected):
        assert f"{name}: " in captions
    for name in caught:
        assert f"{name}: " not in captions


# --- sign-off ------------------------------------------------------------------------------------------------


def sign(page, name: str, reason: str, meaning: str = "calibrated"):
    page.text_input(key="signer").set_value(name)
    page.text_area(key="sign-reason").set_value(reason)
    page.selectbox[0].set_value(meaning)
    return button_of(page, "Sign").click().run()


def test_signing(ws, fix, table):
    fixed_and_checked(ws, fix)
    page = opened("sign_off")
    assert "checked on real NG" in text_of(page)
    sign(page, "", "looked at every missed part")
    assert "a signature needs a name and a reason" in text_of(page)
    sign(page, "A. Engineer", "  ")
    assert "a signature needs a name and a reason" in text_of(page)
    sign(page, "A. Engineer", "looked at every missed part", "approved")
    assert "not signed as calibrated yet" in text_of(page)
    assert entries_of(ws) == ()
    for name, meaning in zip(("A. Engineer", "山田 太郎", "C. Quality"), MEANINGS, strict=True):
        sign(page, name, "looked at every missed part", meaning)
        assert not page.exception
        due = MEANINGS[MEANINGS.index(meaning) + 1 :][:1]
        assert not due or page.selectbox[0].value == due[0], "the next meaning is offered"
    record = newest(entries_of(ws))
    text = text_of(page)
    assert "**Approved, and nothing under it has changed.**" in text and record.sha256[:16] in text
    assert record.signatures[1].body["signed_by"] == "山田 太郎"
    assert record.signatures[0].body["identity"]["how"] == "typed, unverified"
    assert record.content["decision"] == current_decision(ws).digest
    assert record.content["report"]["status"] == "checked"
    caught = at_or_above(table.evidence.ng_real, table.recommendation.choice.value)
    assert (record.content["counts"]["real"]["k"], record.content["counts"]["real"]["n"]) == (caught, 6)
    assert steps(ws)["sign_off"].state == "done" and steps(ws)["line"].state == "ready"


def test_a_new_threshold_needs_a_new_signature(ws, fix):
    fix()
    page = opened("sign_off")
    assert "PROVISIONAL" in text_of(page)
    sign(page, "A. Engineer", "to collect parts")
    fix(14.0, origin="by hand")
    assert steps(ws)["sign_off"].state == "out of date"
    assert "**The sign-off is void.** the threshold was fixed anew" in text_of(opened("sign_off"))


def test_another_tab_signs_first(ws, fix):
    fixed_and_checked(ws, fix)
    first, second = opened("sign_off"), opened("sign_off")
    sign(first, "A. Engineer", "looked at every missed part")
    before = entries_of(ws)
    sign(second, "B. Engineer", "not aware of the other")
    assert not second.exception and "somebody else signed since this page was drawn" in text_of(second)
    assert entries_of(ws) == before
    sign(second, "B. Engineer", "now I have seen it", "reviewed")
    assert newest(entries_of(ws)).meanings == ("calibrated", "reviewed")


def test_what_changed_under_the_eyes_is_not_signed(ws, fix):
    fixed_and_checked(ws, fix)
    page = opened("sign_off")
    fix(14.0, origin="by hand")
    sign(page, "A. Engineer", "looked at every missed part")
    assert "What you saw has changed since this page was drawn" in text_of(page)
    assert entries_of(ws) == ()


def test_naming_the_part_after_signing_asks_for_a_new_signature_and_voids_nothing(ws, fix):
    fixed_and_checked(ws, fix)
    page = opened("sign_off")
    sign(page, "A. Engineer", "looked at every missed part")
    page.text_input(key="product-part").set_value("plate")
    page.text_input(key="product-expires").set_value("soon")
    button_of(page, "Save").click().run()
    assert "expected a date like 2027-01-31" in text_of(page)
    page.text_input(key="product-expires").set_value("2027-01-31")
    button_of(page, "Save").click().run()
    text = text_of(page)
    assert "part, line, camera and light, the conditions changed" in text and "void" not in text


# --- the data set that pages stand on ------------------------------------------------------------------------


def test_run_is_what_the_tests_think_it_is(ws, table):
    """Where this fails, the other numbers here mean something else."""
    assert len(current(ws).accepted) == small_run.N_OK + small_run.N_NG
    assert (table.evidence.ok_source, len(table.evidence.ok), len(table.evidence.ok_check)) == ("leave-one-out", 24, 10)
    assert table.recommendation.choice.rule == "conformal"
