"""Entry script: the pages and their order. Nothing a page relies on: a page may run without it."""

import streamlit as st

from pages.ui.frame import PAGES

st.navigation(
    [st.Page(f"pages/{key}.py", title=title, default=key == "data") for key, title in PAGES.items()],
    position="hidden",
).run()
