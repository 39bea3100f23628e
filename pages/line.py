"""The signed threshold on the line: export it, and watch what the line does with it."""

import streamlit as st

from pages.services import seal
from pages.services.line_export import signed_record
from pages.services.steps import load_config
from pages.ui import export_view, frame, sign_view, watch_view

ws, steps = frame.bootstrap("line")
st.markdown("Decided here: **what the line is given**, and whether it still works as it was signed.")
frame.stop_if_missing(steps["line"])
record = signed_record(ws)
sign_view.evidence(record.content)
if void := seal.broken(ws, record.signed, load_config(ws)):
    st.error(f"**The sign-off is void, so nothing is exported:** {'; '.join(void)}. What the line does can be watched.")
else:
    export_view.show(ws, record)
st.divider()
watch_view.show(ws, record)
