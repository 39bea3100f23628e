"""The signed threshold on the line: export it, and watch what the line does with it."""

import streamlit as st

from pages.services.line_export import signed_record
from pages.ui import export_view, frame, watch_view

ws, steps = frame.bootstrap("line")
st.markdown("Decided here: **what the line is given**, and whether it still works as it was signed.")
frame.stop_if_missing(steps["line"])
record = signed_record(ws)
export_view.show(ws, record)
st.divider()
watch_view.show(ws, record)
