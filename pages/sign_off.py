"""What was decided and what it is worth, on one page; signed by three people and handed over as a record."""

import json
from datetime import datetime

import streamlit as st

from pages.services import chain, handover, records, seal
from pages.services.decision import current_decision
from pages.services.release import release_of
from pages.services.steps import load_config
from pages.services.trust import Judgement
from pages.services.verification import free_ng
from pages.ui import cached, frame, product_view, sign_view, widgets


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


ws, steps = frame.bootstrap("sign_off")
st.markdown("Decided here: **who stands for this threshold**, and on what evidence.")
frame.stop_if_missing(steps["sign_off"])
config, decision = load_config(ws), current_decision(ws)
detector, synthesis, ng_free = cached.detector(ws), cached.synthesis(ws), free_ng(ws)
judgement = Judgement(
    cached.table(detector, synthesis, config, ng_free), cached.trust(ws, detector, synthesis, config, ng_free)
)
product_view.show(ws)
release = widgets.told(lambda: release_of(ws, decision, detector, synthesis, config, judgement))
if release is None:
    st.stop()
entries = records.entries_of(ws)
signed = records.newest(entries)
void = seal.broken(ws, signed, config) if signed else []

sign_view.decision_line(release.content)
sign_view.counts(release.content)
st.page_link(frame.page_path("meeting"), label="Show this in the meeting", icon=":material/slideshow:")
sign_view.standing(signed, void, release)
st.subheader("Sign")
asked = sign_view.ask(entries, signed, void, release)
if asked is not None:

    def sign() -> records.Entry:
        seal.seal(ws, release, detector, synthesis, config)
        return records.sign(ws, content=release.content, now=now(), **asked)

    if widgets.told(sign) is not None:
        st.rerun()  # the rail counts the record too

if signed:
    sign_view.table(entries, signed)
    st.subheader("Hand over")
    st.download_button(
        "Download the record (HTML, PDF, JSON)",
        lambda: handover.zipped(ws, now=now()),
        "record.zip",
        "application/zip",
        type="primary",
        on_click="ignore",
    )
    st.caption(
        "Check it anywhere, offline: `python cli.py verify record.json`. In the style of 21 CFR Part 11; no claim of "
        f"compliance. {chain.CANNOT_DO}"
    )
st.download_button(
    "Download calibration.json",
    lambda: json.dumps(release.content["report"], indent=1, ensure_ascii=False),
    "calibration.json",
    "application/json",
    on_click="ignore",
)
