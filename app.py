"""Entry script: the pages and their order. Nothing a page relies on: a page may run without it."""

import streamlit as st

from pages.services.steps import TITLES

st.navigation(
    [st.Page(f"pages/{key}.py", title=title, default=key == "data") for key, title in TITLES.items()],
    position="hidden",
).run()
