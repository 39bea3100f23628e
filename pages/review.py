"""People judge good parts, synthetic NG and real NG without knowing which is which."""

import streamlit as st

from pages.ui import frame

ws, steps = frame.bootstrap("review")
st.markdown("Decided here: **which synthetic NG look like defects to people who know the part**, and where people differ.")
frame.stop_if_missing(steps["review"])
