"""Synthetic NG: pictures that run through the detector like any part, and a ruler in feature space beside it."""

import numpy as np
import streamlit as st

from calibration.ruler import shift_recall, smallest_shift_found
from pages.services.decision import current_decision
from pages.services.settings import to_dict
from pages.services.steps import load_config
from pages.services.verification import free_ng
from pages.ui import cached, charts, frame, quality_view, synthesis_settings, synthetic_gallery, widgets

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
    widgets.start_job(ws, "synthesis", to_dict(config))
    st.rerun()
with st.expander("What is made: methods, dials, mixture, where the part is", expanded=False):
    synthesis_settings.show(ws, config)
widgets.job_panel(ws, ("synthesis", "pipeline"))
if steps["synthesis"].state == "out of date":
    st.warning("Out of date: an earlier step or a setting changed since these were made.")
result, detector = cached.synthesis(ws), cached.detector(ws)
if result is None or detector is None:
    st.stop()

table = cached.table(detector, result, config, free_ng(ws))
size = detector.meta["input_size"]
scale = widgets.colour_scale(detector.sets["bank"].patch_scores)

st.subheader("Pictures")
synthetic_gallery.show(detector, result, {name: area for name, (area, _) in table.synthetic_roc.items()})
st.subheader("Quality control")
quality_view.show(ws, detector, result, config, running=running)

st.subheader("How large a feature shift would be found?")
st.markdown(
    "A ruler, not evidence: features of good parts are shifted by a chosen distance beside the memory bank, "
    "so the score "
    "repeats that distance. It never has a voice in choosing the threshold."
)
decision = current_decision(ws)
threshold = decision.value if decision and decision.detector == detector.digest else table.recommendation.choice.value
shifts = result.shifts
if threshold is None:
    st.info("No threshold can be recommended, so there is nothing to hold the ruler against.")
else:
    recall = shift_recall(shifts["scores"], threshold)
    smallest = smallest_shift_found(shifts["scores"], shifts["shifts"], threshold)
    regions = [int(r) for r in shifts["regions"]]
    st.plotly_chart(
        charts.ruler(
            shifts["shifts"],
            dict(zip(regions, recall, strict=True)),
            threshold,
            dict(zip(regions, smallest, strict=True)),
            f"R = median patch distance of untouched good parts = {result.meta['scale']:.1f}",
            n=result.meta["ruler_images"],
        ),
        key="ruler",
        alt="Share of shifted good parts found at the threshold, by size of shift and of region",
    )
left, right = st.columns([3, 2])
points = result.projection
left.plotly_chart(
    charts.projection(
        {"ok": points["ok"], "bank": points["bank"], "synthetic": points["shifted"]},
        tuple(float(e) for e in points["explained"]),
    ),
    key="projection",
    alt="Projection of good patches, memory bank and shifted features",
)
right.caption("Patch scores of shifted good parts: a feature cannot be looked at, its map can.")
maps, titles = shifts["example_maps"], result.meta["example_titles"]
some = list(range(min(6, len(maps))))
blank = np.full((size, size, 3), 0.25, np.float32)
with right:
    widgets.gallery(
        widgets.overlay_items(
            [f"shift-{i}" for i in some],
            [titles[i] for i in some],
            [lambda: blank] * len(some),
            [maps[i] for i in some],
            scored_by=str(result.folder),
            scale=scale,
            opacity=1.0,
            size=size,
        ),
        columns=3,
    )
    widgets.scale_caption(scale)
with st.expander("How was this computed"):
    st.markdown(
        "Local synthesis (LAS): x (1 - m) + m [(1 - beta) x' + beta x] inside a Perlin mask, beta ~ N(0.5, "
        "0.1) clipped to "
        "[0.2, 0.8] (GLASS, ECCV 2024). The pictures run through the production detector like any part. "
        "Foreign textures "
        "are made here (noise, stripes, checks, flat colour); the published code uses the DTD textures, "
        "which cannot be shipped."
    )
    st.json(
        {
            "seed": result.meta["seed"],
            "seconds": result.meta["seconds"],
            "primary method": result.meta["primary"],
        }
    )
