"""First line of every page: page config, look, workspace, and the rail of steps.

With ``pages/`` beside ``app.py`` a first deep link runs a page without ``app.py``: nothing a page needs is there.
"""

from pathlib import Path

import streamlit as st

from pages.services import jobs
from pages.services.steps import TITLES, Step, steps
from pages.services.workspace import Workspace
from pages.ui import cached, theme

PRODUCT = "NG0"
PAGES = TITLES | {"meeting": "Meeting"}  # the meeting is no step: it shows what the steps found
_MARKS = {"empty": "○", "ready": "◎", "running": "◔", "done": "●", "out of date": "◍"}


def page_path(key: str) -> str:
    return f"pages/{key}.py"


def bootstrap(key: str) -> tuple[Workspace, dict[str, Step]]:
    """Prepare the page ``key`` and draw its rail and title; returns the workspace and the state of every step."""
    ws, states = _opened(key, sidebar="expanded")
    with st.sidebar:
        st.markdown(f"### {PRODUCT}")
        st.caption("From good parts alone to a threshold you can defend")
        for number, (name, step) in enumerate(states.items(), start=1):
            st.page_link(
                page_path(name),
                label=f"{_MARKS[step.state]} {number}. {step.title}",
                help=f"{step.state}: {step.missing}" if step.missing else step.state,
            )
            if step.state == "out of date":
                st.caption("out of date: an earlier step changed")
        st.caption(f"{' '.join(f'{mark} {state}' for state, mark in _MARKS.items())}")
        st.caption(f"Workspace: {ws.root.name}", help=str(ws.root))
    st.title(PAGES[key])
    return ws, states


def present(key: str, *, back: str) -> tuple[Workspace, dict[str, Step]]:
    """``bootstrap`` for a page on the wall: no rail and no menu; the sidebar is locked open and leads back to ``back``.

    What must stay in view while the page is scrolled goes into the sidebar too.
    """
    ws, states = _opened(key, sidebar="locked")
    with st.sidebar.container(key="presented"):  # the style sheet knows the page by this key
        st.title(PAGES[key])
        st.page_link(page_path(back), label=f"Back to {TITLES[back]}", icon=":material/arrow_back:")
    return ws, states


def _opened(key: str, *, sidebar: str) -> tuple[Workspace, dict[str, Step]]:
    st.set_page_config(
        page_title=f"{PAGES[key]} - {PRODUCT}",
        page_icon=str(theme.ICON),
        layout="wide",
        initial_sidebar_state=sidebar,
    )
    st.html(Path(theme.STYLE_CSS))
    ws = cached.workspace()
    if jobs.active(ws):
        jobs.ensure_worker(ws)  # a server that died left its jobs waiting
    return ws, steps(ws)


def stop_if_missing(step: Step) -> None:
    """Where a step cannot run: say the one thing that is missing, link to it, and end the page."""
    if step.state != "empty":
        return
    st.info(f"This step waits: {step.missing}.")
    if step.needs:
        st.page_link(page_path(step.needs), label=f"Go to {TITLES[step.needs]}", icon=":material/arrow_back:")
    st.stop()
