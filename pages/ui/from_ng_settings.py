"""What starts from real NG: which NG, how its defect is carried over, models and weights, and sets made elsewhere."""

from dataclasses import replace
from typing import Any

import streamlit as st

from pages.services.artifacts import DetectorResult
from pages.services.settings import RunConfig
from pages.services.steps import load_config, save_config
from pages.services.workspace import Workspace
from pages.ui import adapter_view, foreign_view, ng_source_view, one_shot_view, pixel_model_view, weights_view, widgets

_TABS = ("Your NG", "How its defect is carried over", "Pixel model", "Diffusion weights", "Sets made elsewhere")


def show(ws: Workspace, config: RunConfig, detector: DetectorResult | None) -> None:
    """Every tab; a change is kept at once and marks what was made as out of date."""
    sources, carried, model, weights, elsewhere = st.tabs(_TABS)
    with sources:
        ng_source_view.show(ws, config, detector)
    with carried:
        changed = one_shot_view.show(ws, config)
        if changed != config:
            save_config(ws, changed)
            st.rerun()
    with model:
        pixel_model_view.show(ws, config)
    with weights:
        weights_view.show(ws, config, lambda **fields: _keep_pretrained(ws, **fields))
        if config.synthesis.pretrained.weights:
            adapter_view.show(ws, config)
    with elsewhere:
        foreign_view.show(ws, config, lambda imported: _keep(ws, imported=imported))


def _keep_pretrained(ws: Workspace, **fields: Any) -> None:
    _keep(ws, pretrained=replace(load_config(ws).synthesis.pretrained, **fields))


def _keep(ws: Workspace, **fields: Any) -> None:
    """Into the settings as they are now: another tab may have changed the rest."""
    now = load_config(ws)
    widgets.told(lambda: save_config(ws, replace(now, synthesis=replace(now.synthesis, **fields))))
    st.rerun()
