"""Methods over diffusion weights that learn from the chosen NG first: start a training, and what became of it."""

import streamlit as st

from ias_core.synthesis.taxonomy import method_of
from pages.services import jobs
from pages.services.adapters import STEPS, Trained, trainable, trained
from pages.services.made import method_class
from pages.services.settings import RunConfig, to_dict
from pages.services.workspace import Workspace
from pages.ui import cached, widgets, words

ADAPTER = "adapter"


def show(ws: Workspace, config: RunConfig) -> None:
    """One row for each method; a training keeps its last good weights when it is cancelled."""
    st.markdown("##### Methods that learn from your NG first")
    n, busy = len(config.synthesis.sources), bool(jobs.active(ws))
    if not n:
        st.info("They learn from the NG you chose, and none is chosen.")
        return
    known = trained(ws, config)
    for name in trainable():
        _row(ws, config, name, known.get(name), n_sources=n, busy=busy)
    widgets.job_panel(ws, (ADAPTER,))
    st.caption(
        "A training keeps what it has learned when it is cancelled. What learns from few NG repeats them: its pictures "
        "show these defects and no others."
    )


def _row(ws: Workspace, config: RunConfig, name: str, have: Trained | None, *, n_sources: int, busy: bool) -> None:
    cls, row = method_class(name), method_of(name)
    with st.container(border=True):
        left, middle, right = st.columns([4, 2, 2], vertical_alignment="bottom")
        left.markdown(f"**{words.method(name)}** :gray[{words.METHOD_HELP.get(name, '')}]")
        notes = [cls.style_of, row.warning if row else "", f"Time: {row.minutes}." if row and row.minutes else ""]
        if cls.least_ng > n_sources:
            notes.append(f"Needs at least {cls.least_ng} real NG; {n_sources} chosen.")
        left.caption(" ".join(note for note in notes if note))
        if have is not None:
            facts = have.facts
            old = "" if have.fits else " **It learned from other NG than those chosen now.**"
            left.caption(
                f"Trained: {facts.get('steps', 'unknown')} steps in {facts.get('seconds', 0):.0f} s, seed "
                f"{facts.get('seed')}, from {', '.join(facts.get('sources', []))}; digest {have.digest[:12]}.{old} "
                f"{facts.get('note', '')}"
            )
        steps = middle.number_input(
            "Steps", 1, 20000, STEPS[name], key=f"adapter-steps-{name}", help="As published, where it is known"
        )
        if right.button(
            "Train again" if have else "Train",
            key=f"adapter-{name}",
            disabled=busy or cls.least_ng > n_sources,
            width="stretch",
        ):
            cached.free_backends()  # the worker loads weights of its own
            widgets.start_job(ws, ADAPTER, {"config": to_dict(config), "method": name, "steps": int(steps)})
            st.rerun()
