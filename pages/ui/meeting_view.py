"""The sign-off meeting on one page: what would be signed, in letters for the wall, in the order of the meeting.

Everything shown is in the content of the release; every number opens how it was computed.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from calibration.rules import percent
from ias_core.overlay import colour_bar_caption
from pages.ui import charts, meeting_how, meeting_tables, theme, widgets, words

AGENDA = {
    "decision": "Decision",
    "counts": "Three counts",
    "picture": "One picture",
    "mistakes": "Missed and wrongly rejected",
    "coverage": "Failure modes",
    "conditions": "What would change our mind",
    "signatures": "Signatures",
}
HOW = "How was this computed?"
_LARGER = 1.55
_SHOWN = 6
_NOT_NAMED = "not named"


def standing(content: dict[str, Any]) -> tuple[str, str, str]:
    """Look, word and sentence of what the evidence allows; the first two kinds must not be overlooked.

    Returns
    -------
    tuple of str
        "refuted", "provisional", "restricted" or "proven"; one or two words; one sentence.
    """
    found, stated = content["evidence_class"], content["verification"]["stated"]
    target = f"{percent(stated['target_recall'])} of defects caught"
    if found["refuted"]:
        return "refuted", "Refuted", f"Real NG show that the target is not met ({target}). Not for release."
    if content["verification"]["status"] != "checked":
        return "provisional", "Provisional", "No real NG has checked this threshold. Not for release."
    if found["key"] != "T3":
        return "restricted", "Not proven yet", f"Real NG were seen, too few to prove the target ({target})."
    return "proven", "Target proven", f"Real NG prove the target ({target})."


def show(content: dict[str, Any], signatures: Sequence[dict[str, Any]], void: Sequence[str] = ()) -> None:
    """The whole page, and its agenda in the sidebar.

    Parameters
    ----------
    content : dict
        Of a release, see ``pages.services.release``.
    signatures : sequence of dict
        Bodies of the signatures under this very content.
    void : sequence of str
        What has changed since somebody signed: then no signature counts. Empty while all stand.
    """
    look, word, sentence = standing(content)
    with st.sidebar:
        st.html(f'<p class="standing standing-{look}">{escape(word)}</p>')
        st.markdown("\n".join(f"{i}. [{title}](#{key})" for i, (key, title) in enumerate(AGENDA.items(), start=1)))
    with st.container(key="meeting"):
        st.html(f'<div class="standing standing-{look}"><b>{escape(word)}</b> {escape(sentence)}</div>')
        _decision(content)
        _counts(content)
        _picture(content)
        _mistakes(content)
        _heading("coverage")
        meeting_tables.coverage(content)
        _how(meeting_how.covered(content), "coverage")
        _heading("conditions")
        meeting_tables.conditions(content["conditions"])
        _heading("signatures")
        meeting_tables.signatures(signatures, void)


def _heading(key: str) -> None:
    st.header(f"{list(AGENDA).index(key) + 1}. {AGENDA[key]}", anchor=key)


def _how(text: str, key: str) -> None:
    with st.popover(HOW, key=f"how-{key}", type="tertiary", icon=":material/calculate:"):
        st.markdown(text)


def _decision(content: dict[str, Any]) -> None:
    product, fixed, found = content["product"], content["threshold"], content["evidence_class"]
    _heading("decision")
    named = "".join(
        f"<div><dt>{name.capitalize()}</dt><dd>{escape(product[name]) or _NOT_NAMED}</dd></div>"
        for name in ("part", "line", "camera", "light")
    )
    st.html(f'<dl class="facts">{named}</dl>')
    st.html(f'<p class="proposal"><span>Proposed:</span> {escape(content["proposed_release"])}</p>')
    left, right = st.columns(2)
    with left.container(border=True, height="stretch"):
        st.html(f'<p class="number">{fixed["value"]:.4g}</p><p>threshold: a part is NG from this score on</p>')
        _how(meeting_how.threshold(content), "threshold")
    with right.container(border=True, height="stretch"):
        st.html(f'<p class="number">{escape(words.capital(found["title"]))}</p>')
        st.html(f"<p>stands on {escape(found['stands_on'])}</p>")
        _how(meeting_how.grade(content), "class")


def _counts(content: dict[str, Any]) -> None:
    counts = content["counts"]
    _heading("counts")
    left, middle, right = st.columns(3)
    with left.container(border=True, height="stretch"):
        _count("ok", counts["ok"], "good parts rejected", _at_most, "No good parts were kept apart to check it on.")
        if counts["ok"]:
            _how(meeting_how.good_parts(content), "ok")
    with middle.container(border=True, height="stretch"):
        _count("synthetic", counts["synthetic"], "synthetic NG caught", _no_evidence, "No synthetic NG.")
        if counts["synthetic"]:
            _how(meeting_how.synthetic(content), "synthetic")
    with right.container(border=True, height="stretch"):
        _count("real", counts["real"], "real NG caught", _at_least, "No real NG checked: escapes are not known.")
        if counts["real"]:
            _how(meeting_how.real(content), "real")


def _count(key: str, bound: dict[str, Any] | None, what: str, sure: Callable[[dict[str, Any]], str], none: str) -> None:
    glyph = f'<b class="chip-{key}">{theme.STYLES[key].glyph}</b>'
    if bound is None:
        st.html(f'<p class="number">{glyph} none</p><p>{none}</p>')
    else:
        st.html(f'<p class="number">{glyph} {bound["k"]} of {bound["n"]}</p><p>{what}</p><p>{sure(bound)}</p>')


def _at_most(bound: dict[str, Any]) -> str:
    return f"{percent(bound['confidence'])} sure: at most {widgets.percent(bound['high'])}"


def _at_least(bound: dict[str, Any]) -> str:
    return (
        f"{percent(bound['confidence'])} sure: at least {widgets.percent(bound['low'])}, so at most "
        f"{widgets.percent(1.0 - bound['low'])} of defects missed"
    )


def _no_evidence(_: dict[str, Any]) -> str:
    return "made by us: not evidence of escape"


def _picture(content: dict[str, Any]) -> None:
    scores, fixed = content["scores"], content["threshold"]
    _heading("picture")
    groups = [
        charts.ScoreGroup(
            "ok", f"Good parts, {words.OK_SOURCES[scores['ok_source']]}", *_unnamed(scores["ok"], "good")
        ),
        charts.ScoreGroup("synthetic", "Synthetic NG", *_unnamed(scores["synthetic"], "synthetic")),
        charts.ScoreGroup(
            "real",
            "Real NG",
            np.array([one["score"] for one in scores["real"]], dtype=float),
            tuple(one["file"] for one in scores["real"]),
        ),
    ]
    value, band = fixed["value"], fixed["review_from"]
    drawn = charts.score_distribution(groups, value, None, review_from=band, unit=fixed["unit"])
    st.plotly_chart(
        charts.enlarged(drawn, _LARGER, height=800),
        key="meeting-picture",
        alt=f"Scores of {len(scores['ok'])} good parts, {len(scores['synthetic'])} synthetic NG and "
        f"{len(scores['real'])} real NG; threshold {value:.4g}",
    )
    _how(meeting_how.picture(content), "picture")


def _unnamed(scores: Sequence[float], what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Scores of pictures that the content names elsewhere or not at all."""
    return np.array(scores, dtype=float), (f"a {what} picture",) * len(scores)


def _mistakes(content: dict[str, Any]) -> None:
    _heading("mistakes")
    counts, threshold = content["counts"], content["threshold"]["value"]
    for title, wrong, bound in (
        ("real NG missed", content["missed"], counts["real"]),
        ("good parts wrongly rejected", content["false_rejects"], counts["ok"]),
    ):
        if bound is None:
            st.html(f"<p><b>None checked</b>: {title} are not known.</p>")
            continue
        st.html(f"<p><b>{len(wrong)} of {bound['n']}</b> {title}</p>")
        for row in range(0, min(len(wrong), _SHOWN), 3):
            for place, one in zip(st.columns(3), wrong[row : min(row + 3, _SHOWN)], strict=False):
                _part(place, one, content["thumbnails"].get(one["sha256"]), one["score"] - threshold)
        if len(wrong) > _SHOWN:
            st.html(f"<p>{len(wrong) - _SHOWN} more: the record lists them all.</p>")
    if content["thumbnails"]:
        low, high = content["map_scale"]
        st.html(f"<p>{colour_bar_caption(low, high)}</p>")
    _how(meeting_how.mistakes(content), "mistakes")


def _part(place: Any, one: dict[str, Any], pictures: dict[str, str] | None, margin: float) -> None:
    side = "above" if margin > 0 else "below" if margin < 0 else "from"
    with place.container(border=True):
        if pictures is not None:
            st.html(
                '<div class="pair">'
                + "".join(
                    f'<img alt="{what} of {escape(one["file"])}" src="data:image/jpeg;base64,{escape(pictures[key])}">'
                    for key, what in (("picture", "picture"), ("map", "anomaly map"))
                )
                + "</div>"
            )
        st.html(f"<p>{escape(one['file'])}<br>score {one['score']:.4g}, {abs(margin):.2g} {side} the threshold</p>")
