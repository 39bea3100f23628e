"""The signed threshold on the line: export it, and watch what the line does with it."""

import streamlit as st

from pages.ui import frame

ws, steps = frame.bootstrap("line")
st.markdown("Decided here: **what the line is given**, and whether it still works as it was signed.")
frame.stop_if_missing(steps["line"])
