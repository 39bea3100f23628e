"""Parts of the sign-off page: the decision in one line, three counts, what was signed, and the form to sign."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from calibration.types import RateBound
from pages.services import chain
from pages.services.chain import Entry
from pages.services.records import MEANINGS, SIGNATURE, Signed
from pages.services.release import Release
from pages.ui import identity, state, theme, widgets, words

_ASKED = "asked-to-sign"
_PARTS = {
    "product": "part, line, camera and light",
    "proposed_release": "the proposed release",
    "threshold": "the threshold",
    "decision": "the threshold",
    "verification": "the verification",
    "coverage": "coverage",
    "review": "the expert review",
    "conditions": "the conditions",
    "challenge": "the challenge parts",
    "detector": "the detector",
    "inputs": "pictures, settings or software",
}


def decision_line(content: dict[str, Any]) -> None:
    threshold = content["threshold"]
    checked = content["verification"]["status"] == "checked"
    st.markdown(f"## Threshold {threshold['value']:.4f} - {'checked on real NG' if checked else 'PROVISIONAL'}")
    st.markdown(
        f"{threshold['title']} ({threshold['origin']}), fixed {threshold['fixed_at']}. A part is NG when its score is "
        "at or above it."
    )
    evidence(content)
    if content["evidence_class"]["refuted"]:
        st.error("Real NG refute the target: signing does not change that, and the record says so on its first line.")
    if not checked:
        st.warning(
            "Provisional: this threshold was not checked on real NG of its own. It may be used to collect parts, "
            "not to release them."
        )


def evidence(content: dict[str, Any]) -> None:
    """The class of the threshold, and what may be done on it."""
    grade = content["evidence_class"]
    st.html(theme.evidence_chip(words.EVIDENCE_LOOKS[grade["key"]], f"Evidence {grade['key']}: {grade['title']}"))
    st.caption(f"Stands on {grade['stands_on']}. {grade['may']}")


def counts(content: dict[str, Any]) -> None:
    """Good parts rejected, real NG caught, synthetic NG: counts with denominators first, bounds below."""
    left, middle, right = st.columns(3)
    ok, real, synthetic = (_bound(content["counts"][name]) for name in ("ok", "real", "synthetic"))
    left.metric("Good parts rejected (check OK)", f"{ok.k} of {ok.n}" if ok else "not checked", border=True)
    middle.metric("Real NG caught", f"{real.k} of {real.n}" if real else "not checked", border=True)
    right.metric("Synthetic NG caught", f"{synthetic.k} of {synthetic.n}" if synthetic else "none made", border=True)
    if ok:
        left.caption(f"95 %: up to {widgets.percent(ok.high)}")
    if real:
        low = widgets.percent(real.low)
        escape = widgets.percent(1 - real.low)
        middle.caption(f"95 %: at least {low}; the misses prove at most {escape} escape at 95 %")
    right.caption("not evidence of escape: a synthetic NG is as hard as somebody made it")


def _bound(values: dict[str, Any] | None) -> RateBound | None:
    return RateBound(**{key: values[key] for key in ("k", "n", "low", "high", "confidence")}) if values else None


def standing(signed: Signed | None, void: Sequence[str], release: Release) -> None:
    """What the newest record is worth now."""
    if signed is None:
        return
    given = ", ".join(f"{one.body['meaning']} by {one.body['signed_by']}" for one in signed.signatures)
    if void:
        st.error(f"**The sign-off is void.** {'; '.join(void)}. What was signed: {given}.")
    elif signed.approved:
        st.success(f"**Approved, and nothing under it has changed.** {given}. Record {signed.sha256[:16]}")
    else:
        due = ", ".join(one for one in MEANINGS if one not in signed.meanings)
        st.info(f"Signed so far: {given}. Still to come: {due}. Record {signed.sha256[:16]}")
    if not void and release.key != signed.key:
        keys = [key for key in release.content if release.content[key] != signed.content.get(key)]
        told = dict.fromkeys(_PARTS.get(key, "") for key in keys)
        st.warning(
            f"What is shown here is not what was signed: {', '.join(filter(None, told)) or 'its numbers'} changed. The "
            "signed record stays as it is; sign anew to replace it."
        )


def ask(
    entries: Sequence[Entry], signed: Signed | None, void: Sequence[str], release: Release
) -> dict[str, Any] | None:
    """The form; returns what to sign with, once, when it was sent and shows still what the person saw."""
    who, may = identity.ask()
    if who is None or not may:
        return None
    done = signed.meanings if signed and not void and release.key == signed.key else ()
    due = next((one for one in MEANINGS if one not in done), MEANINGS[-1])
    with st.form("sign", border=True, clear_on_submit=False):
        meaning = st.selectbox("Meaning", may, index=may.index(due) if due in may else 0, help=words.MEANINGS_HELP)
        reason = st.text_area("Reason", key="sign-reason")
        seen = (entries[-1].sha256 if entries else "", release.key)
        sent = st.form_submit_button("Sign", type="primary", on_click=state.put, args=(_ASKED, seen))
    if not sent:
        return None
    head, key = state.get(_ASKED)  # as they were when the form was drawn, whatever other browsers did since
    if key != release.key:
        st.error("What you saw has changed since this page was drawn: look at it again, then sign if it still holds.")
        return None
    return {"identity": who, "meaning": meaning, "reason": reason, "head": head, "role": ", ".join(may)}


def table(entries: Sequence[Entry], signed: Signed) -> None:
    """Every signature of this workspace, newest first, and whether the chain fits."""
    st.subheader("Records")
    wrong = chain.first_break(entries)
    if wrong:
        st.error(f"The chain of records does not fit: {wrong}.")
    st.dataframe(
        [
            {
                "signed at": one.body["at"],
                "name": one.body["signed_by"],
                "identity": one.body["identity"]["how"],
                "meaning": one.body["meaning"],
                "reason": one.body["reason"],
                "this record": one.body["content"] == signed.content_sha256,
                "record": one.sha256[:16],
            }
            for one in reversed(entries)
            if one.body.get("kind") == SIGNATURE
        ],
        hide_index=True,
    )
    if not wrong:
        st.caption(f"{len(entries)} entries, each with its hash and in order. Record hash: `{signed.sha256}`")
