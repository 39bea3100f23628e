"""PatchCore on good parts: build the memory bank, score every good part without its own patches."""

from dataclasses import replace

import numpy as np
import streamlit as st

from ias_core.backbone_menu import MENU
from ias_core.overlay import colour_scale
from pages.services import sessions
from pages.services.artifacts import DetectorResult
from pages.services.ledger import Ledger
from pages.services.pictures import read_at_size
from pages.services.settings import RunConfig, to_dict
from pages.services.steps import load_config, save_config
from pages.ui import cached, charts, frame, opinion_view, widgets

OTHER = "another timm backbone"
DEVICES = {"auto": "the best there is", "cuda": "CUDA GPU", "mps": "Apple GPU (MPS)", "cpu": "CPU"}

ws, steps = frame.bootstrap("detector")
st.markdown(
    "Decided here: **how a part is looked at**. PatchCore keeps patch features of good parts; a part is as "
    "abnormal as its most distant patch."
)
frame.stop_if_missing(steps["detector"])
config = load_config(ws)


def settings_form(now: RunConfig) -> RunConfig:
    """The settings as chosen in the widgets; what a settings file brought is among the options and stays."""
    names = [entry.name for entry in MENU]
    titles = {entry.name: f"{entry.title} - weights {entry.weights}" for entry in MENU}
    known = now.detector.backbone in names
    left, right = st.columns(2)
    choice = left.selectbox(
        "Backbone",
        [*names, OTHER],
        index=names.index(now.detector.backbone) if known else len(names),
        format_func=lambda name: titles.get(name, name),
        help="WideResNet-50 is the reference of the literature; its weights must be brought as a file or fetched",
    )
    backbone = left.text_input("timm name", value="" if known else now.detector.backbone) if choice == OTHER else choice
    weights = left.text_input(
        "Weights file (.safetensors or .pth), if the weights are not embedded",
        value=now.detector.weights_path,
    )
    size = right.select_slider(
        "Input size in px",
        sorted({160, 192, 224, 256, 288, 320, 384, 448, 512, now.detector.input_size}),
        value=now.detector.input_size,
        help="Larger sees smaller defects; time grows with the number of pixels",
    )
    ratio = right.select_slider(
        "Share of patches kept (coreset)",
        sorted({0.01, 0.02, 0.05, 0.1, 0.25, 1.0, now.detector.coreset_ratio}),
        value=now.detector.coreset_ratio,
        format_func=lambda r: f"{100 * r:g} %",
    )
    device = right.selectbox(
        "Device", list(DEVICES), index=list(DEVICES).index(now.detector.device), format_func=DEVICES.get
    )
    weighting = left.toggle(
        "Neighbour weighting of the image score",
        value=now.detector.num_neighbors > 1,
        help="As in the paper. Off, because leave-one-out scores are only sound without it",
    )
    seed = right.number_input(
        "Seed",
        min_value=0,
        max_value=2**32 - 1,
        value=now.seed,
        help="Decides the coreset's start and the synthetic NG; roles stay as they are",
    )
    detector = replace(
        now.detector,
        backbone=backbone or now.detector.backbone,
        weights_path=weights.strip(),
        input_size=size,
        coreset_ratio=ratio,
        num_neighbors=(now.detector.num_neighbors if now.detector.num_neighbors > 1 else 9) if weighting else 1,
        device=device,
        layers=now.detector.layers if backbone == now.detector.backbone else (),
    )
    return replace(now, detector=detector, seed=int(seed))


def show_sessions(detector: DetectorResult) -> None:
    n_sessions, gap = sessions.n_sessions_of(detector), sessions.gap_of(detector)
    st.badge(
        sessions.badge(n_sessions),
        icon=":material/event:",
        color="blue" if n_sessions > 1 else "orange",
        help="Of the good parts in the memory bank",
    )
    if gap is not None:
        where = "above" if gap.difference >= 0 else "below"
        in_iqr = "" if gap.in_iqr is None else f" ({abs(gap.in_iqr):.2f} IQR)"
        st.markdown(
            f"Leave-one-session-out scores lie **{abs(gap.difference):.2f} feature distance{in_iqr}** {where} "
            f"leave-one-out; with as many parts of any session hidden, {gap.at_random:.2f}. The lowest threshold that "
            f"rejects none of these {gap.n} good parts would reject {gap.n_above} if their session were new; with as "
            f"many of any session hidden, {gap.n_above_at_random}.",
            help="Median over the good parts of the memory bank: each scored without all of its session, and without "
            "itself alone; IQR: of the leave-one-out scores. Parts of one session look alike, so the scores of known "
            "sessions are too low for the next one. Hiding parts also makes the bank smaller: only what lies above "
            "the second number comes from the sessions",
        )
    elif n_sessions > 1:
        st.caption("No leave-one-session-out scores: without one of the sessions nothing is left in the memory bank.")


with st.expander("Settings", expanded=False):
    chosen = widgets.told(lambda: settings_form(config))
if chosen is not None and chosen != config:
    save_config(ws, chosen)
    st.rerun()
running = steps["detector"].state == "running"
label = {"ready": "Build the detector", "done": "Build it again"}.get(steps["detector"].state, "Build the detector")
if st.button(
    label, type="primary" if steps["detector"].state != "done" else "secondary", disabled=running, key="build"
):
    widgets.start_job(ws, "detector", to_dict(config))
    st.rerun()
widgets.job_panel(ws, ("detector", "pipeline"))
if steps["detector"].state == "out of date":
    st.warning("Out of date: pictures or settings changed since this detector was built. What follows is the old one.")
result = cached.detector(ws)
if result is None:
    st.stop()

meta, sets = result.meta, result.sets
bank, held_out, check = (
    sets["bank"].image_scores,
    sets["calibration"].image_scores,
    sets["check"].image_scores,
)
columns = st.columns(4)
columns[0].metric("Good parts in the memory bank", len(bank), border=True)
columns[1].metric(
    "Patches kept",
    f"{meta['bank_size']:,}",
    border=True,
    help=f"of {meta['n_patches']:,}, {meta['width']} numbers each",
)
columns[2].metric("Median score, leave-one-out", f"{np.median(bank):.2f}", border=True, help="feature distance")
columns[3].metric(
    "Median score, unseen parts",
    f"{np.median(held_out):.2f}" if len(held_out) else "none",
    border=True,
    help="calibration OK images, feature distance",
)
for notice in meta["notices"]:
    st.warning(notice)
show_sessions(result)
st.plotly_chart(charts.loo_histogram(bank, held_out, check), key="loo", alt="OK scores by where they come from")
st.caption(
    "Leave-one-out hides each picture's own patches. With a coreset nobody refills that hole, so these scores lie a "
    "little above those of unseen parts: a threshold set on them rejects fewer good parts than it promises, "
    "and may miss more."
)
st.subheader("The good parts that look least like the others")
st.caption("Look at them: a defective part among the good ones hides that defect from the detector.")
records = {r.sha256: r for r in Ledger(ws).records()}
top = [i for i in np.argsort(-bank)[:5] if sets["bank"].ids[i] in records]
scale = colour_scale(sets["bank"].patch_scores)
opacity = st.slider("Map opacity", 0.0, 1.0, 0.6, key="map-opacity", persist_state="session")
widgets.gallery(
    widgets.overlay_items(
        [sets["bank"].ids[i] for i in top],
        [f"{sets['bank'].names[i]}: {bank[i]:.2f}" for i in top],
        [lambda r=records[sets["bank"].ids[i]]: read_at_size(r, meta["input_size"]) for i in top],
        [sets["bank"].patch_scores[i] for i in top],
        scored_by=f"{meta['bank_id']}/loo",
        scale=scale,
        opacity=opacity,
        size=meta["input_size"],
    )
)
widgets.scale_caption(scale)
with st.expander("How was this computed"):
    agreement = meta["agreement_with_anomalib"]
    if agreement and agreement["images"]:
        st.markdown(
            f"Image scores of {agreement['images']} pictures were compared with anomalib's PatchCore on the "
            "same memory "
            f"bank: largest relative difference {agreement['largest_relative_difference']:.1e}."
        )
    st.json(
        {
            k: meta[k]
            for k in (
                "backbone",
                "weights_from",
                "layers",
                "input_size",
                "coreset_ratio",
                "num_neighbors",
                "device",
                "seed",
                "bank_id",
                "seconds",
            )
        }
    )
opinion_view.show(ws, result, config, records, ready=steps["detector"].state == "done")
