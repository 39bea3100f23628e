"""What the next run makes: methods, mixture, dials with a preview, where the part is, textures and counts."""

from dataclasses import replace
from typing import Any

import streamlit as st

from pages.services.foreign_answers import that_may_count
from pages.services.made import lacking, texture_source, usable_methods
from pages.services.preview import candidates
from pages.services.settings import MIXTURE, RunConfig, SynthesisConfig
from pages.services.steps import load_config, save_config
from pages.services.workspace import Workspace
from pages.ui import foreground_view, method_picker, mixture_view, preview_view, widgets

_TABS = ("Methods", "Try a method", "Mixture", "Where the part is", "Number and textures", "All methods of the field")


def show(ws: Workspace, config: RunConfig) -> None:
    """Every tab; a change is kept at once and marks what was made as out of date."""
    synthesis = config.synthesis
    graded = synthesis.graded or SynthesisConfig().graded  # no method that rules could use
    methods, try_one, mixture, part, amount, field = st.tabs(_TABS)
    with methods:
        method_picker.pick(
            synthesis.methods,
            synthesis.primary,
            save=lambda chosen, primary: _keep(ws, methods=chosen, primary=primary),
            graded=graded,
            also_primary=(*((MIXTURE,) if synthesis.mixture else ()), *_imports(ws, synthesis)),
            lacking=lacking(synthesis),
        )
    usable = tuple(name for name in usable_methods(synthesis) if name != graded)
    with try_one:
        chosen = (*synthesis.methods, *(name for name in usable if name not in synthesis.methods))
        _keep_if_changed(ws, config, preview_view.show(ws, config, chosen))
    with mixture:
        _keep_if_changed(ws, config, replace(config, synthesis=mixture_view.show(synthesis, usable)))
    with part:
        records = candidates(ws)
        if records:
            foreground_view.show(
                ws,
                synthesis.foreground,
                records,
                size=config.detector.input_size,
                save=lambda choice: _keep(ws, foreground=choice),
            )
        else:
            st.info("The part is looked for in calibration OK pictures, and there is none.")
    with amount:
        _amount(ws, config)
    with field:
        method_picker.table()


def _imports(ws: Workspace, synthesis: SynthesisConfig) -> tuple[str, ...]:
    """Sets made elsewhere that thresholds may use; the one that they use now is among them, whatever it is."""
    counting = that_may_count(ws, synthesis.imported)
    return tuple(name for name in synthesis.imported if name in counting or name == synthesis.primary)


def _amount(ws: Workspace, config: RunConfig) -> None:
    synthesis = config.synthesis
    count = st.slider(
        "Synthetic NG per method",
        min(10, synthesis.count),
        max(100, synthesis.count),
        synthesis.count,
        step=5,
        help="20 to 50 are enough to see; more only narrow the interval of a synthetic figure",
    )
    _keep_if_changed(ws, config, replace(config, synthesis=replace(synthesis, count=count)))
    folder = st.text_input(
        "Folder of foreign textures",
        synthesis.textures,
        key="textures-folder",
        placeholder="empty: textures made here",
        help="Methods that need foreign matter take it from the pictures in this folder of the machine the app runs "
        "on. The papers use the DTD data set, which cannot be shipped",
    ).strip()
    if folder == synthesis.textures:
        return
    if not folder or widgets.told(lambda: texture_source(folder)) is not None:
        _keep(ws, textures=folder)
        st.rerun()


def _keep(ws: Workspace, **changed: Any) -> None:
    """Into the settings as they are now: another tab may have changed the rest."""
    now = load_config(ws)
    widgets.told(lambda: save_config(ws, replace(now, synthesis=replace(now.synthesis, **changed))))


def _keep_if_changed(ws: Workspace, before: RunConfig, after: RunConfig) -> None:
    if after != before:
        save_config(ws, after)
        st.rerun()
