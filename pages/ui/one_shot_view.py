"""How the defect of a real NG is carried over to good parts: place, turn, softness, and a ladder to look at."""

from dataclasses import replace

import streamlit as st

from pages.services.made import ONE_SHOT
from pages.services.pixel_model import current_model
from pages.services.preview import candidates
from pages.services.settings import PLACES, TURNS, OneShotConfig, RunConfig
from pages.services.workspace import Workspace
from pages.ui import cached, state, widgets, words

LOST = (
    "What this is not: it knows nothing of objects or materials. No bent pins, no missing parts, no dents with the "
    "right shading, nothing that follows the part's shape; every picture has the look of the one NG given, and light "
    "is not rendered anew. What it keeps: right place, right size, right local brightness and grain, an exact mask, an "
    "exact background, and a ladder of severity."
)
_USUAL_SOFTNESS = 20.0  # grey levels: the project's notes on TF-IDG, section 4 B6
_PLACES = {"part": "anywhere on the part", "near": "near where the NG has it"}
_TURNS = {"any": "any angle", "quarter": "quarter turns and mirrored", "none": "not at all"}


def show(ws: Workspace, config: RunConfig) -> RunConfig:
    """Controls and ladder; returns the settings as they should be kept."""
    synthesis = config.synthesis
    if not synthesis.sources:
        st.info("Choose an NG first, in the tab before.")
        return config
    one_shot = _controls(ws, config)
    chosen = ONE_SHOT in synthesis.methods
    if not chosen:
        st.button(
            f"Make {synthesis.count} of these with every run",
            key="one-shot-tick",
            type="primary",
            help="Ticks the one-shot transplant among the methods; how many is set under *Number and textures*",
            on_click=lambda: state.put("one-shot-ticked", True),
        )
    changed = replace(config, synthesis=replace(synthesis, one_shot=one_shot))
    _ladder(ws, changed)
    st.caption(LOST)
    if state.get("one-shot-ticked", False):
        state.put("one-shot-ticked", False)
        methods = (*synthesis.methods, ONE_SHOT)
        return replace(changed, synthesis=replace(changed.synthesis, methods=methods))
    return changed


def _controls(ws: Workspace, config: RunConfig) -> OneShotConfig:
    now = config.synthesis.one_shot
    left, middle, right = st.columns(3)
    place = left.selectbox("Place", PLACES, PLACES.index(now.place), format_func=_PLACES.get, key="one-shot-place")
    turn = middle.selectbox(
        "Turned by",
        TURNS,
        TURNS.index(now.turn),
        format_func=_TURNS.get,
        key="one-shot-turn",
        help="Not at all where the defect has a bright and a shaded side: light would come from the wrong side",
    )
    model = widgets.told(lambda: current_model(ws, config))
    if model is None or not model.fits or model.trouble:
        right.caption(
            "**Instant mode**: the defect as it was seen, at any strength. It becomes softer with a pixel model of "
            "this product: see the tab *Pixel model*."
        )
        return replace(now, place=place, turn=turn, softness=0.0, model="")
    on = right.toggle(
        "Redrawn by the pixel model",
        value=bool(now.model) and now.softness > 0,
        key="one-shot-soft",
        help="Fainter and softer, hardly more diverse: it adds no new shapes",
    )
    softness = now.softness
    if on:
        softness = right.slider(
            "Softness in grey levels",
            5.0,
            120.0,
            now.softness or _USUAL_SOFTNESS,
            step=5.0,
            key="one-shot-softness",
            help="Noise level from which it is redrawn; contrast and sharpness fall as it rises",
        )
    return replace(now, place=place, turn=turn, softness=softness if on else 0.0, model=model.digest)


def _ladder(ws: Workspace, config: RunConfig) -> None:
    records = candidates(ws)
    if not records:
        st.info("The defect goes on calibration OK pictures, and there is none.")
        return
    draw = state.get("one-shot-draw", 0)
    st.button("Another place", key="one-shot-again", on_click=lambda: state.put("one-shot-draw", draw + 1))
    shift = draw % len(records)
    steps = widgets.told(lambda: cached.ladder(ws, (*records[shift:], *records[:shift]), config, seed=draw))
    if steps is not None:
        widgets.gallery(steps, columns=len(steps))
        st.caption(f"{words.capital(words.method(ONE_SHOT))}: the same defect at every strength.")
