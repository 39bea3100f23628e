"""The meeting's page: everything in its order, every number with how it was computed, nothing to overlook or to set."""

import re
from functools import cache

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from calibration.bounds import lower_bound, upper_bound
from pages.services.artifacts import DETECTOR, load_result
from pages.services.failure_modes import Mode, add_modes
from pages.services.verification import verify
from pages.ui import charts, meeting_how, meeting_view
from tests.app import sample_content
from tests.app.browse import links_of, open_page
from tests.app.test_pages import at_or_above


def drawn(content, signatures=(), void=()) -> AppTest:
    """The view alone, of a made-up release."""

    def script(content, signatures, void):
        from pages.ui import meeting_view

        meeting_view.show(content, signatures, void)

    given = {"content": content, "signatures": signatures, "void": void}
    page = AppTest.from_function(script, default_timeout=30, kwargs=given).run()
    assert not page.exception, [e.message for e in page.exception]
    return page


@cache
def sample(name: str = "content") -> AppTest:
    """One of the made-up releases as it is, signed by three; drawn once, to read only."""
    return drawn(getattr(sample_content, name)(), sample_content.signatures())


def html_of(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def words_of(page: AppTest) -> str:
    """What is on the wall, without tags and without the popovers."""
    return re.sub(r"<[^>]+>", " ", html_of(page))


def how_of(page: AppTest) -> list[str]:
    return [element.value for element in page.main.markdown if element.value.startswith("- ")]


def test_the_order_is_that_of_the_meeting():
    page = sample()
    assert [header.value for header in page.header] == [
        "1. Decision",
        "2. Three counts",
        "3. One picture",
        "4. Missed and wrongly rejected",
        "5. Failure modes",
        "6. What would change our mind",
        "7. Signatures",
    ]
    (agenda,) = page.sidebar.markdown
    anchors = [header.proto.anchor for header in page.header]
    assert re.findall(r"\(#(\w+)\)", agenda.value) == anchors


def test_there_is_nothing_to_set():
    page = sample()
    for kind in ("button", "slider", "selectbox", "text_input", "number_input", "toggle", "checkbox", "multiselect"):
        assert not list(getattr(page, kind))


@pytest.mark.parametrize(
    ("made", "word", "look"),
    [
        ("content", "Not proven yet", "restricted"),
        ("provisional", "Provisional", "provisional"),
        ("refuted", "Refuted", "refuted"),
    ],
)
def test_what_the_evidence_allows_stands_first_and_stays_in_view(made, word, look):
    page = sample(made)
    first = page.main.get("html")[0].proto.body
    assert f'class="standing standing-{look}"' in first and f"<b>{word}</b>" in first
    assert ("Not for release" in first) == (look in ("provisional", "refuted"))
    (kept,) = page.sidebar.get("html")
    assert kept.proto.body == f'<p class="standing standing-{look}">{word}</p>'


def test_a_proven_target_is_said_so():
    content = sample_content.content()
    content["evidence_class"]["key"] = "T3"
    assert meeting_view.standing(content)[0] == "proven"
    content["evidence_class"]["refuted"] = True
    assert meeting_view.standing(content)[0] == "refuted"


def test_counts_have_denominators_and_bounds():
    said = words_of(sample())
    assert "2 of 147" in said and f"95 % sure: at most {100 * upper_bound(2, 147):.1f} %" in said
    assert "37 of 40" in said and "made by us: not evidence of escape" in said
    low = lower_bound(10, 11)
    assert "10 of 11" in said and f"at least {100 * low:.1f} %, so at most {100 - 100 * low:.1f} %" in said


def test_without_real_ng_no_number_is_made_up():
    said = words_of(sample("provisional"))
    assert "No real NG checked: escapes are not known." in said
    assert "None checked : real NG missed are not known." in said
    content = sample_content.content()
    content["counts"]["ok"] = content["counts"]["synthetic"] = None
    content["false_rejects"], content["scores"]["synthetic"] = [], []
    said = words_of(drawn(content))
    assert "No good parts were kept apart to check it on." in said and "No synthetic NG." in said


def test_every_number_opens_how_it_was_computed():
    content = sample_content.content()
    how = how_of(sample())
    asked = ("threshold", "grade", "good_parts", "synthetic", "real", "picture", "mistakes", "covered")
    assert how == [getattr(meeting_how, name)(content) for name in asked]
    for name in ("threshold", "good_parts", "synthetic", "real", "picture"):
        assert "Seed 0; memory bank" in getattr(meeting_how, name)(content)
    assert "Tolerance bound (recommended)" in how[0] and "FPR at most 5 % with 95 % confidence" in how[0]
    assert "147 calibration OK" in how[0]
    assert "2 of 147" in how[2] and "Clopper-Pearson" in how[2] and "check OK" in how[2]


def test_mistakes_are_pictures_with_maps_and_margins():
    content, page = sample_content.refuted(), sample("refuted")
    said, html = words_of(page), html_of(page)
    assert "5 of 11  real NG missed" in said and "2 of 147  good parts wrongly rejected" in said
    for one in (*content["missed"], *content["false_rejects"]):
        side = "above" if one["score"] > sample_content.THRESHOLD else "below"
        margin = abs(one["score"] - sample_content.THRESHOLD)
        assert f"{one['file']} score {one['score']:.4g}, {margin:.2g} {side} the threshold" in said
    assert html.count("<img") == 2 * len(content["thumbnails"])
    assert "no tint at 12 or below, yellow at 36 or above" in said


def test_six_are_shown_and_the_rest_is_counted():
    content = sample_content.content()
    content["missed"] = [content["missed"][0] | {"file": f"m{i}.png"} for i in range(9)]
    said = words_of(drawn(content))
    assert "m5.png" in said and "m6.png" not in said and "3 more: the record lists them all." in said


def test_failure_modes_with_empty_cells():
    said = words_of(sample())
    assert "3 of 7  were checked on real NG" in said
    assert "No NG of &#x27;corner broken&#x27; checked yet: collect 2 to refute, 29 to prove 90 % at 95 %." in said
    assert f"6 of 6 real NG caught (95 %: at least {100 * lower_bound(6, 6):.1f} %)" in said
    assert "18 of 20 synthetic NG caught; not evidence of escape" in said


def test_signatures_given_missing_and_void():
    said = words_of(sample())
    assert "さくら 渡辺" in said and "typed, unverified" in said and "not signed yet" not in said
    given = sample_content.signatures(2)
    assert words_of(drawn(sample_content.content(), given)).count("not signed yet") == 1
    said = words_of(drawn(sample_content.content(), given, ["settings changed: seed"]))
    assert "Void" in said and "settings changed: seed" in said
    assert said.count("not signed yet") == 3 and "渡辺" not in said.split("Signatures")[-1]


def test_what_people_typed_is_no_markup():
    content = sample_content.content()
    bad = "<img src=x onerror=alert(1)>"
    content["product"]["part"] = content["proposed_release"] = bad
    content["coverage"][0] |= {"mode": bad, "note": bad}
    content["conditions"] = {"valid_for": [bad], "expires": bad, "verify_again_when": [bad], "collect_next": [bad]}
    content["missed"][0]["file"] = bad
    signature = sample_content.signatures(1)[0] | {"signed_by": bad, "reason": bad, "role": bad}
    html = html_of(drawn(content, [signature], []))
    assert "<img src=x" not in html and html.count("&lt;img src=x") >= 12


def test_what_is_not_named_says_so():
    content = sample_content.content()
    content["product"], content["coverage"] = dict.fromkeys(content["product"], ""), []
    content["conditions"] |= {"expires": "", "collect_next": []}
    said = words_of(drawn(content))
    assert said.count("not named") == 4 and "No failure modes are listed." in said
    assert "no expiry date was given" in said and "nothing is named" in said


def test_a_chart_for_the_wall_is_the_same_drawing():
    scores = np.array([1.0, 2.0, 3.0])
    group = charts.ScoreGroup("real", "Real NG", scores, ("a", "b", "c"))
    small = charts.score_distribution([group], 2.0, None)
    before = small.to_dict()
    large = charts.enlarged(small, 2.0, height=700)
    assert small.to_dict() == before
    assert large.layout.height == 700 and large.layout.margin.l == 2 * small.layout.margin.l
    assert large.layout.font.size == 2 * small.layout.font.size
    assert large.layout.xaxis.tickfont.size == 2 * small.layout.xaxis.tickfont.size
    assert large.data[0].marker.size == 2 * small.data[0].marker.size
    assert large.to_dict()["data"][0]["x"] == before["data"][0]["x"]
    assert large.layout.annotations[0].font.size == 2 * small.layout.annotations[0].font.size


# --- the page on a workspace ---------------------------------------------------------------------------------


def test_the_page_waits_for_a_threshold(ws):
    page = open_page("meeting")
    assert not page.exception
    assert links_of(page) == ["Go to Thresholds"]
    assert [link.proto.label for link in page.sidebar.get("page_link")] == ["Back to Sign-off"]


def test_the_page_shows_what_would_be_signed(ws, fix):
    add_modes(ws, [Mode("scratch", 8, ("ng",)), Mode("bent lead", 9)])
    decision, _ = fix()
    page = open_page("meeting")
    assert not page.exception, [e.message for e in page.exception]
    assert "Provisional" in page.sidebar.get("html")[0].proto.body
    assert "not signed yet" in html_of(page)

    detector = load_result(ws, DETECTOR)
    verify(ws, detector, decision)
    page = open_page("meeting")
    assert not page.exception, [e.message for e in page.exception]
    said = words_of(page)
    assert f"{at_or_above(detector.sets['ng'].image_scores, decision.value)} of 6" in said
    assert f"{at_or_above(detector.sets['check'].image_scores, decision.value)} of 10" in said
    assert "No NG of &#x27;bent lead&#x27; checked yet" in said
    assert not page.button and not page.slider
