"""One page for the sign-off meeting: large type, no settings."""

import streamlit as st

from pages.ui import frame

ws, steps = frame.bootstrap("meeting")
frame.stop_if_missing(steps["sign_off"])
st.markdown("Large type.")
