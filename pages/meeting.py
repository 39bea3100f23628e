"""One page for the sign-off meeting: what would be signed, in large letters, with no settings."""

import streamlit as st

from pages.services import records, seal
from pages.services.decision import current_decision
from pages.services.release import release_of
from pages.services.steps import load_config
from pages.services.trust import Judgement
from pages.services.verification import free_ng
from pages.ui import cached, frame, meeting_view, widgets

ws, steps = frame.present("meeting", back="sign_off")
frame.stop_if_missing(steps["sign_off"])
config, decision = load_config(ws), current_decision(ws)
detector, synthesis, ng_free = cached.detector(ws), cached.synthesis(ws), free_ng(ws)
judgement = Judgement(
    cached.table(detector, synthesis, config, ng_free), cached.trust(ws, detector, synthesis, config, ng_free)
)
release = widgets.told(lambda: release_of(ws, decision, detector, synthesis, config, judgement))
if release is None:
    st.stop()
signed = records.newest(records.entries_of(ws))
void = seal.broken(ws, signed, config) if signed else []
if signed and not void and signed.key != release.key:
    void = ["what is shown here is not what was signed"]
given = [entry.body for entry in signed.signatures] if signed else []
meeting_view.show(release.content, given, void)
