"""Synthetic NG: pictures that run through the detector like any part, and a ruler in feature space beside it."""

from dataclasses import replace

import numpy as np
import streamlit as st
from PIL import Image

from calibration.ruler import shift_recall, smallest_shift_found
from pages.services.decision import current_decision
from pages.services.settings import SynthesisConfig, to_dict
from pages.services.steps import load_config, save_config
from pages.services.verification import free_ng
from pages.ui import cached, charts, frame, widgets, words

PAGE_SIZE = 10

ws, steps = frame.bootstrap("synthesis")
st.markdown(
    "Decided here: **which made-up defects** stand in for the real ones. They are made from calibration OK "
    "pictures, never "
    "from memory-bank pictures, and are never evidence of escape."
)
frame.stop_if_missing(steps["synthesis"])
config = load_config(ws)
graded = {config.synthesis.graded, SynthesisConfig().graded}  # no method that rules could use
with st.expander("Settings", expanded=False):
    picked = st.multiselect(
        "Methods",
        list(dict.fromkeys([*(m for m in words.METHODS if m not in graded), *config.synthesis.methods])),
        default=list(config.synthesis.methods),
        format_func=words.method,
    )
    count = st.slider(
        "Synthetic NG per method",
        min(10, config.synthesis.count),
        max(100, config.synthesis.count),
        config.synthesis.count,
        step=5,
        help="20 to 50 are enough to see; more only narrow the interval of a synthetic figure",
    )
    if picked:
        primary = config.synthesis.primary if config.synthesis.primary in picked else picked[0]
        chosen = replace(
            config, synthesis=replace(config.synthesis, methods=tuple(picked), primary=primary, count=count)
        )
        if chosen != config:
            save_config(ws, chosen)
            st.rerun()
    else:
        st.info("Choose at least one method.")
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
widgets.job_panel(ws, ("synthesis", "pipeline"))
if steps["synthesis"].state == "out of date":
    st.warning("Out of date: an earlier step or a setting changed since these were made.")
result, detector = cached.synthesis(ws), cached.detector(ws)
if result is None or detector is None:
    st.stop()

table = cached.table(detector, result, config, free_ng(ws))
size = detector.meta["input_size"]
scale = widgets.colour_scale(detector.sets["bank"].patch_scores)


def read(stem: str) -> np.ndarray:
    return np.asarray(Image.open(result.folder / f"{stem}.png"), np.float32) / 255


def with_mask_edge(stem: str) -> np.ndarray:
    """The picture with the rim of its mask drawn."""
    from scipy.ndimage import binary_dilation

    mask = np.asarray(Image.open(result.folder / f"{stem}_mask.png")).astype(bool)
    picture = read(stem)
    picture[binary_dilation(mask) & ~mask] = (0.90, 0.62, 0.0)
    return picture


st.subheader("Pictures")
names = list(result.sets)
method = (
    st.segmented_control(
        "Method",
        names,
        default=names[0],
        format_func=words.method,
        key="gallery-method",
    )
    or names[0]
)
view = st.segmented_control("Show", ["Picture", "Mask", "Anomaly map"], default="Mask", key="gallery-view") or "Mask"
scored, facts = result.sets[method], result.meta["methods"][method]
made = f"{len(scored.ids)} made"
if method != result.meta.get("graded"):
    area, _ = table.synthetic_roc[method]
    made += (
        f"; AUROC against {area.n_ok} good parts {area.auroc:.3f} (95 %: {area.low:.3f} to {area.high:.3f}). "
        f"Median feature shift inside the masks: {facts['shift_in_R']} R"
    )
st.caption(f"{words.METHOD_HELP.get(method, method)}. {made}.")
pages = max(1, -(-len(scored.ids) // PAGE_SIZE))
page = (st.pagination(pages, key=f"gallery-page-{method}") or 1) - 1 if pages > 1 else 0
shown = range(page * PAGE_SIZE, min((page + 1) * PAGE_SIZE, len(scored.ids)))
extents = (
    [
        f"{size_px:.1f} px, signal-to-noise {snr:.1f}"
        for size_px, snr in zip(facts["size_px"], facts["snr"], strict=True)
    ]
    if "snr" in facts  # made before these were measured
    else [f"mask {100 * share:.1f} %" for share in facts["mask_share"]]
)
captions = [f"score {scored.image_scores[i]:.1f}, {extents[i]}, {facts['textures'][i]}" for i in shown]
if view == "Anomaly map":
    pictures = [lambda s=scored.ids[i]: read(s) for i in shown]
    widgets.gallery(
        widgets.overlay_items(
            [scored.ids[i] for i in shown],
            captions,
            pictures,
            [scored.patch_scores[i] for i in shown],
            scored_by=str(result.folder),
            scale=scale,
            opacity=0.6,
            size=size,
        )
    )
    widgets.scale_caption(scale)
else:
    draw = with_mask_edge if view == "Mask" else read
    widgets.gallery([(draw(scored.ids[i]), caption) for i, caption in zip(shown, captions, strict=True)])

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
