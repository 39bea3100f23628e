"""Synthetic NG: pictures that run through the detector like any part, and a ruler in feature space beside it."""

import streamlit as st

from ias_core.overlay import colour_scale
from pages.services.decision import current_decision
from pages.services.settings import to_dict
from pages.services.steps import load_config
from pages.services.verification import free_ng
from pages.ui import (
    cached,
    frame,
    from_ng_settings,
    quality_view,
    ruler_view,
    synthesis_settings,
    synthetic_gallery,
    widgets,
)

ws, steps = frame.bootstrap("synthesis")
st.markdown(
    "Decided here: **which made-up defects** stand in for the real ones. They are made from calibration OK "
    "pictures, never "
    "from memory-bank pictures, and are never evidence of escape."
)
frame.stop_if_missing(steps["synthesis"])
config = load_config(ws)
running = steps["synthesis"].state == "running"
done = steps["synthesis"].state == "done"
if st.button(
    "Make them again" if done else "Make synthetic NG",
    type="secondary" if done else "primary",
    disabled=running,
    key="make",
):
    cached.free_backends()  # the worker loads weights of its own
    widgets.start_job(ws, "synthesis", to_dict(config))
    st.rerun()
with st.expander("What is made: methods, dials, mixture, where the part is", expanded=False):
    synthesis_settings.show(ws, config)
with st.expander("From one or two real NG: your NG, your weights, sets made elsewhere", expanded=False):
    from_ng_settings.show(ws, config, cached.detector(ws))
widgets.job_panel(ws, ("synthesis", "pipeline"))
if steps["synthesis"].state == "out of date":
    st.warning("Out of date: an earlier step or a setting changed since these were made.")
result, detector = cached.synthesis(ws), cached.detector(ws)
if result is None or detector is None:
    st.stop()

for why in result.meta.get("failed", {}).values():
    st.warning(f"Left out: {why}.")
for notice in result.meta.get("notices", ()):
    st.info(notice)
table = cached.table(detector, result, config, free_ng(ws))
pictures, quality, shifts = st.tabs(["Pictures", "Quality control", "How large a feature shift would be found?"])
with pictures:
    areas = {name: area for name, (area, _) in table.synthetic_roc.items()}
    synthetic_gallery.show(ws, detector, result, config, areas, running=running)
with quality:
    quality_view.show(ws, detector, result, config, running=running)
with shifts:
    decision = current_decision(ws)
    fixed = decision is not None and decision.detector == detector.digest
    ruler_view.show(
        result,
        decision.value if fixed else table.recommendation.choice.value,
        scale=colour_scale(detector.sets["bank"].patch_scores),
        size=detector.meta["input_size"],
    )
with st.expander("How was this computed"):
    st.markdown(
        "Each picture is a calibration OK picture with one defect in it, made by the method's published recipe where "
        "its dials are left open; it runs through the production detector like any part. The table *All methods of the "
        "field* above names the papers. Foreign textures come from your folder, else they are made here: the published "
        "codes use the DTD textures, which cannot be shipped."
    )
    st.json(
        {
            "seed": result.meta["seed"],
            "seconds": result.meta["seconds"],
            "primary method": result.meta["primary"],
        }
    )
