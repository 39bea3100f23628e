"""The review page: one picture at a time, nothing that tells its kind, and two people who do not see each other."""

import re
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from pages.services import review_store
from pages.services.artifacts import SYNTHESIS, load_result, save_result
from pages.services.blind_review import Sizes, order_of
from pages.services.decision import current_decision
from pages.services.ledger import Ledger
from pages.services.quality import kept
from pages.services.review_results import taken_out
from pages.services.review_store import Round, reviewers
from pages.services.steps import load_config, save_config, steps
from pages.services.synthesis import synthesis_digest
from tests.app.browse import button_of, open_page, text_of
from tests.app.reviewing import begun, judged, knows


def sitting(name: str) -> AppTest:
    """A browser tab in which this person has begun to review."""
    page = open_page("review")
    page.text_input[0].set_value(name)
    button_of(page, "Begin, or go on where I stopped").click().run()
    assert not page.exception, [e.message for e in page.exception]
    return page


def press(page: AppTest, *labels: str) -> AppTest:
    for label in labels:
        button_of(page, label).click().run()
        assert not page.exception, [e.message for e in page.exception]
    return page


def small(ws) -> Round:
    return begun(ws, sizes=Sizes(ok=2, primary=4, others=1, real=2))


def counter(page: AppTest) -> str:
    return page.get("progress")[0].proto.text


def test_begin_with_the_sizes_asked_for(ws):
    page = open_page("review")
    assert not page.exception and "Nobody has reviewed yet" in text_of(page)
    for key in ("review-ok", "review-primary", "review-others", "review-real"):
        page.number_input(key=key).set_value(0)
    press(page, "Begin the review")
    assert "there is no picture to review" in text_of(page) and review_store.current_round(ws) is None
    page.number_input(key="review-ok").set_value(2)
    page.number_input(key="review-primary").set_value(3)
    page.number_input(key="review-real").set_value(1)
    press(page, "Begin the review")
    kinds = [item.kind for item in review_store.current_round(ws).items]
    assert (kinds.count("ok"), kinds.count("synthetic"), kinds.count("real")) == (2, 3, 1)
    assert "Round 1 has 6 pictures" in text_of(page)
    press(page, "Begin, or go on where I stopped")
    assert "needs the reviewer's name" in text_of(page) and not page.get("progress")


def test_nothing_tells_what_is_judged(ws):
    now = begun(ws)
    page = sitting("Anna")
    names = {record.name for record in Ledger(ws).records()} | {item.name for item in now.items}
    for _ in range(2):
        sent = str(page.main) + text_of(page) + " ".join(button.key or "" for button in page.button)
        assert not [name for name in names if name in sent]
        assert not [item.key for item in now.items if item.key in sent]
        told = text_of(page).replace("which synthetic NG look like defects", "").replace("From good parts alone", "")
        assert not re.search(r"score \d|synthetic ng|real ng|good part|feature distance|graded|glass", told.lower())
        images = page.get("image")
        assert len(images) == 5  # the one to judge, and those that come next
        for image in images:
            assert image.captions == [""] and not re.search(r"ng_|ok_|glass|synthetic", image.value[0])
            assert image.value[0].endswith(".png")
        press(page, "NG", "Looks made")


def test_a_decision_is_on_disk_once_both_questions_are_answered(ws):
    now = small(ws)
    order = [item.key for item in order_of(now, "Anna Groß")]
    page = sitting("Anna Groß")
    assert counter(page) == f"**1 of {len(order)}**" and button_of(page, "Undo the last one").disabled
    press(page, "NG")
    assert reviewers(ws, 1) == () and button_of(page, "NG").proto.type == "primary"
    keys = {button.label: button.proto.shortcut for button in page.button if button.proto.shortcut}
    assert keys == {
        "OK": "1",
        "NG": "2",
        "Cannot tell": "3",
        "Looks real": "4",
        "Looks made": "5",
        "Skip this question": "space",
        "Undo the last one": "u",
    }
    press(page, "OK", "Looks real")  # another verdict before the look counts
    press(page, "Looks real", "Skip this question")  # typed too fast: answers without a verdict are none
    assert len(reviewers(ws, 1)[0].choices) == 1
    press(page, "Cannot tell", "Looks made")
    press(page, "NG", "Skip this question")
    (anna,) = reviewers(ws, 1)
    assert [(key, c.verdict, c.look) for key, c in anna.choices.items()] == [
        (order[0], "OK", "real"),
        (order[1], "cannot tell", "made"),
        (order[2], "NG", ""),
    ]
    assert counter(page) == f"**4 of {len(order)}**"

    press(page, "Undo the last one")
    assert counter(page).startswith("**3 of")
    press(page, "OK", "Looks made", "Undo the last one", "Undo the last one")
    (anna,) = reviewers(ws, 1)
    assert list(anna.choices) == order[:1] and anna.sequences == {order[0]: 1, order[1]: 2, order[2]: 4}

    page = sitting(" anna groß ")  # another tab, after a crash or the next day
    assert counter(page).startswith("**2 of") and "Reviewer: **Anna Groß** (typed, unverified)" in text_of(page)
    press(page, "Somebody else")
    assert not page.get("progress") and page.text_input[0].label == "Your name"


def test_a_button_of_an_older_drawing_does_nothing(ws):
    """A browser keeps old buttons until the new drawing is complete, and a key presses both."""
    now = small(ws)
    page, late = sitting("Anna"), sitting("Anna")
    press(page, "NG", "Looks real")
    press(late, "OK", "Looks made")  # drawn before: its picture is judged already
    assert [c.verdict for c in reviewers(ws, 1)[0].choices.values()] == ["NG"]
    assert counter(late).startswith("**2 of")
    press(late, "NG", "Looks real")
    press(page, "Undo the last one")  # drawn when the first one was the last
    assert list(reviewers(ws, 1)[0].choices) == [item.key for item in order_of(now, "Anna")[:2]]


def test_all_judged_then_finished(ws):
    now = small(ws)
    judged(ws, now, "Anna", lambda item: None if item == order_of(now, "Anna")[-1] else knows(item), end=False)
    page = press(sitting("Anna"), "NG", "Looks real")
    assert f"All {len(now.items)} pictures are judged and saved" in text_of(page)
    assert steps(ws)["review"].state == "running"
    press(page, "Finish, and see the results")
    assert steps(ws)["review"].state == "done" and "Which synthetic NG stand" in text_of(page)


def test_nobody_sees_another_ones_choices_before_both_have_ended(ws):
    now = small(ws)
    ben = press(sitting("Carl"), "OK", "Somebody else")
    ben.text_input[0].set_value("Ben")
    press(ben, "Begin, or go on where I stopped", "Looks real")  # Carl's verdict is not Ben's
    assert reviewers(ws, 1) == ()
    press(ben, "NG", "Looks real")
    judged(ws, now, "Anna", knows)
    ben.run()
    assert counter(ben).startswith("**2 of") and "Anna" not in text_of(ben) and not ben.dataframe
    anna = sitting("Anna")
    text = text_of(anna)
    assert "Not ended yet: Ben (1 of" in text and "Ben and" not in text
    assert not [row for frame in anna.dataframe for row in frame.value.to_string().splitlines() if "Ben" in row]
    press(ben, "End my review, and see the results")
    text = text_of(ben) + "".join(frame.value.to_string() for frame in ben.dataframe)
    assert "Ben and Anna" in text and reviewers(ws, 1)[1].ended


def test_results_without_reviewing_end_the_blindness_of_the_tab(ws):
    now = small(ws)
    assert "See the results without reviewing" not in text_of(open_page("review"))
    judged(ws, now, "Anna", knows)
    page = open_page("review")
    assert "Which synthetic NG stand" not in text_of(page)
    press(page, "See the results without reviewing")
    assert "Which synthetic NG stand" in text_of(page) and not page.text_input
    press(page, "Begin a new round")
    assert review_store.current_round(ws).number == 2 and "Which synthetic NG stand" not in text_of(page)
    assert page.text_input[0].label == "Your name"


@pytest.fixture
def reviewed(ws):
    """Anna and Ben call the first three synthetic NG of the primary method OK."""
    now = begun(ws)
    primary = load_result(ws, SYNTHESIS).meta["primary"]
    bad = [item for item in now.items if item.method == primary][:3]
    for name in ("Anna", "Ben"):
        judged(ws, now, name, lambda item: ("OK", "real") if item in bad else knows(item))
    return {item.key for item in bad}


def test_take_out_and_back_in(ws, fix, reviewed):
    fix()
    page = press(open_page("review"), "See the results without reviewing")
    assert {m.label: m.value.split()[0] for m in page.metric}["Rejected"] == "3"
    before = page.dataframe[0].value
    assert before["recommended threshold"].nunique() == 2  # one number and a difference of zero
    counts = int(kept(load_result(ws, SYNTHESIS).meta["methods"]["glass-las-own"]).sum())
    assert before["synthetic NG that count"].tolist() == [f"{counts} of 10", f"{counts - 3} of 10", "-3"]
    press(page, "Take the rejected out (3)")
    assert taken_out(load_config(ws)).keys() == reviewed
    assert "In force: 3 synthetic NG are out of every count" in text_of(page)
    assert kept(load_result(ws, SYNTHESIS).meta["methods"]["glass-las-own"]).sum() == counts - 3
    assert page.dataframe[0].value.equals(before)
    states = steps(ws)
    assert current_decision(ws) and states["thresholds"].state == "out of date" and states["review"].state == "done"
    page.button(key=f"review-back-{sorted(reviewed)[0]}").click().run()
    assert not page.exception and taken_out(load_config(ws)).keys() == reviewed - {sorted(reviewed)[0]}
    assert "Take the rejected out (1)" in text_of(page)
    page.get_by_key("review-reasons").set_value(["looks made"]).run()
    values = {m.label: m.value.split()[0] for m in page.metric}
    assert (values["Rejected"], values["Open"]) == ("0", "3") and "Take 2 back in" in text_of(page)


def test_scores_of_free_real_ng_stay_hidden(ws):
    now = begun(ws)
    judged(ws, now, "Anna", lambda item: ("cannot tell", "") if item.kind == "real" else knows(item))
    page = press(open_page("review"), "See the results without reviewing")
    captions = [caption for image in page.get("image") for caption in image.captions]
    real = [caption for caption in captions if "real NG" in caption]
    assert len(real) == 4 and all("score kept for verification" in caption for caption in real)
    assert "4 real NG are not compared with the detector here" in text_of(page)


def test_pictures_that_are_gone(ws):
    now = begun(ws)
    records = {record.sha256: record for record in Ledger(ws).records()}
    first = next(item for item in order_of(now, "Anna") if item.kind == "real")
    path = records[first.key].path
    content = path.read_bytes()
    path.write_bytes(b"changed")  # the pictures are shared by all tests
    try:
        judged(ws, now, "Anna", lambda item: None if item == first else ("OK", ""), end=False)
        page = sitting("Anna")
        assert "This picture cannot be shown: its file was moved or changed. Say “cannot tell”." in text_of(page)
        press(page, "Cannot tell", "Skip this question", "Finish, and see the results")
        assert "its file was moved or changed" in text_of(page)
    finally:
        path.write_bytes(content)


def test_a_round_of_other_pictures_is_out_of_date(ws):
    judged(ws, begun(ws), "Anna", knows, end=False)
    config = load_config(ws)
    changed = load_result(ws, SYNTHESIS)
    config = replace(config, synthesis=replace(config.synthesis, count=9))
    save_config(ws, config)
    digest = synthesis_digest(ws.get_choice("detector")["digest"], config)
    save_result(ws, SYNTHESIS, replace(changed, digest=digest))
    page = open_page("review")
    assert "are not those of this detector" in text_of(page) and not page.text_input
    press(page, "Begin a new round")
    assert review_store.current_round(ws).number == 2
