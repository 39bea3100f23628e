"""What the release is for: part, line, camera, light, expiry, and what is proposed."""

from dataclasses import replace

import streamlit as st

from pages.services.product import Product, product_of, save_product
from pages.services.workspace import Workspace
from pages.ui import widgets

_LABELS = {
    "part": "Part",
    "line": "Line",
    "camera": "Camera and lens",
    "light": "Light",
    "expires": "Holds until (YYYY-MM-DD)",
}


def show(ws: Workspace) -> None:
    """A form, open as long as the part has no name; saved at once when it is sent."""
    kept = product_of(ws)
    with st.expander("What this release is for", expanded=not kept.part), st.form("product", border=False):
        columns = st.columns(len(_LABELS))
        typed = {
            name: column.text_input(label, getattr(kept, name), key=f"product-{name}")
            for column, (name, label) in zip(columns, _LABELS.items(), strict=True)
        }
        typed["proposed_release"] = st.text_area(
            "Proposed release",
            kept.proposed_release,
            key="product-proposed",
            help="In one sentence. Empty: what the evidence class allows.",
            height=68,
        )
        if st.form_submit_button("Save"):
            widgets.told(lambda: save_product(ws, replace(Product(), **typed)))
