"""Dials of one method, and one picture that obeys them at once."""

from dataclasses import replace

import streamlit as st

from pages.services.made import method_class
from pages.services.preview import N_DONORS, candidates
from pages.services.settings import RunConfig
from pages.services.workspace import Workspace
from pages.ui import cached, state, widgets, words

_LARGEST_SHARE = 1 / 4  # of the picture's side: larger than any defect this product is for


def show(ws: Workspace, config: RunConfig, methods: tuple[str, ...]) -> RunConfig:
    """Sliders, picture and mask; returns the settings, with this method's dials changed where the button was pressed.

    Parameters
    ----------
    methods : tuple of str
        Those to choose from; the first is shown first.
    """
    records = candidates(ws)
    if not records:
        st.info("A preview needs a calibration OK picture, and there is none.")
        return config
    synthesis, side = config.synthesis, config.detector.input_size
    left, right = st.columns([2, 3])
    with left:
        method = st.selectbox("Method", methods, format_func=words.method, key="preview-method")
        st.caption(words.METHOD_HELP.get(method, ""))
        picked = st.selectbox(
            "Good part", range(len(records)), format_func=lambda i: records[i].name, key="preview-part"
        )
        severity = _dial(
            "Severity",
            method,
            synthesis.severity.get(method),
            (0.05, 1.0, 0.5),
            help="0 is invisible, 1 the strongest this method makes; off: drawn as published",
        )
        size_px = None
        if method_class(method).has_size:
            largest = float(round(side * _LARGEST_SHARE))
            size_px = _dial(
                "Size in px",
                method,
                synthesis.size_px.get(method),
                (2.0, largest, min(12.0, largest)),
                help=f"diameter of the disc of equal area, on a picture of {side} px; off: drawn as published",
            )
        else:
            st.caption("This method has no size of its own.")
        draw = state.get("preview-draw", 0)
        again, keep = st.columns(2)
        again.button("Another draw", key="preview-again", on_click=lambda: state.put("preview-draw", draw + 1))
        pressed = keep.button("Keep for the run", key="preview-keep", help="the run makes this method at these dials")
    donors = tuple(records[(picked + k) % len(records)] for k in range(min(N_DONORS + 1, len(records))))
    made = widgets.told(
        lambda: cached.preview(
            ws,
            donors,
            method,
            config,
            severity=severity,
            size_px=size_px,
            seed=draw,
        )
    )
    with right:
        if made is not None:
            widgets.gallery(made, columns=3)
    if not pressed:
        return config
    return replace(
        config,
        synthesis=replace(
            synthesis,
            severity=_with(synthesis.severity, method, severity),
            size_px=_with(synthesis.size_px, method, size_px),
        ),
    )


def _dial(label: str, method: str, kept: float | None, span: tuple[float, float, float], *, help: str) -> float | None:
    """A switch and a slider; None where the switch is off."""
    low, high, first = span
    if not st.toggle(label, value=kept is not None, key=f"preview-{label}-on-{method}", help=help):
        return None
    value = first if kept is None else min(max(kept, low), high)
    return st.slider(label, low, high, value, key=f"preview-{label}-{method}", label_visibility="collapsed")


def _with(dials: dict[str, float], method: str, value: float | None) -> dict[str, float]:
    others = {name: kept for name, kept in dials.items() if name != method}
    return others if value is None else others | {method: value}
