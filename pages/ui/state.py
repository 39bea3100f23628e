"""The only file that touches ``st.session_state``: small choices of one browser tab, kept across pages.

A widget's own key is dropped when its page is left, so what must last has a key of its own here. What a user would be
sad to lose goes to the workspace instead.
"""

from typing import Any

import streamlit as st

_PREFIX = "kept/"


def get(key: str, default: Any = None) -> Any:
    """The value this tab keeps under ``key``."""
    return st.session_state.get(_PREFIX + key, default)


def put(key: str, value: Any) -> None:
    st.session_state[_PREFIX + key] = value


def widget_value(key: str) -> Any:
    """Current value of a widget, for its callback."""
    return st.session_state[key]


def set_widget(key: str, value: Any) -> None:
    """Set a widget's value; only from a callback or before the widget is drawn."""
    st.session_state[key] = value


def has_widget(key: str) -> bool:
    return key in st.session_state
