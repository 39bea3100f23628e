"""The pictures that were made, one page at a time: plain, with the rim of the mask, or under the anomaly map."""

from typing import Any

import numpy as np
import streamlit as st

from calibration.types import Auroc
from ias_core.overlay import colour_scale
from pages.services import dataset, filters
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.contact_sheet import with_rim
from pages.services.quality import sources_of
from pages.services.settings import RunConfig
from pages.services.workspace import Workspace
from pages.ui import quality_view, state, widgets, words

PAGE_SIZE = 10
BY_HAND = "by hand: not like a defect of this part"
_COLUMNS = 5
_VIEWS = ("Picture", "Mask", "Anomaly map")


def show(
    ws: Workspace,
    detector: DetectorResult,
    result: SynthesisResult,
    config: RunConfig,
    areas: dict[str, Auroc],
    *,
    running: bool,
) -> None:
    """The whole block; ``running``: synthetic NG are being made, so none can be rejected.

    Parameters
    ----------
    areas : method -> Auroc
        Of good parts against its kept pictures; methods that no rule counts have none.
    """
    names = list(result.sets)
    method = (
        st.segmented_control("Method", names, default=names[0], format_func=words.method, key="gallery-method")
        or names[0]
    )
    left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
    view = left.segmented_control("Show", _VIEWS, default="Mask", key="gallery-view") or "Mask"
    with_rejected = middle.toggle(
        "Rejected ones too", value=True, key="gallery-rejected", help="what quality control took out, with the reason"
    )
    right.download_button(
        "Save as a data set",
        data=lambda: dataset.zip_bytes(*dataset.of_result(result)),
        file_name=f"synthetic-ng-{result.digest[:8]}.zip",
        mime="application/zip",
        on_click="ignore",
        help="Kept pictures of every method with masks, an MVTec-style tree and a manifest",
    )
    scored, facts = result.sets[method], result.meta["methods"][method]
    st.caption(f"{words.METHOD_HELP.get(method, method)}. {_made(method, facts, areas)}.")
    marks = quality_view.marks(facts)
    shown = [i for i, mark in enumerate(marks) if with_rejected or mark == "kept"]
    pages = max(1, -(-len(shown) // PAGE_SIZE))
    page = (st.pagination(pages, key=f"gallery-page-{method}") or 1) - 1 if pages > 1 else 0
    shown = shown[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    captions = [_caption(scored.image_scores[i], facts, i, marks[i]) for i in shown]
    stems = [scored.ids[i] for i in shown]
    if view != "Anomaly map":
        pictures = [_drawn(result, stem, rim=view == "Mask") for stem in stems]
        _pictures(ws, detector, config, facts, shown, pictures, captions, running=running)
        return
    scale = colour_scale(detector.sets["bank"].patch_scores)
    widgets.gallery(
        widgets.overlay_items(
            stems,
            captions,
            [lambda stem=stem: result.picture(stem) for stem in stems],
            [scored.patch_scores[i] for i in shown],
            scored_by=str(result.folder),
            scale=scale,
            opacity=0.6,
            size=detector.meta["input_size"],
        )
    )
    widgets.scale_caption(scale)


def _pictures(
    ws: Workspace,
    detector: DetectorResult,
    config: RunConfig,
    facts: dict[str, Any],
    shown: list[int],
    pictures: list[np.ndarray],
    captions: list[str],
    *,
    running: bool,
) -> None:
    """In rows, each with a box that takes it out of every count, where the method is judged at all."""
    ids = facts.get("picture_ids", []) if "quality" in facts else []
    for a in range(0, len(shown), _COLUMNS):
        row = zip(st.columns(_COLUMNS), shown[a : a + _COLUMNS], strict=False)
        for k, (place, i) in enumerate(row, start=a):
            place.image(pictures[k], caption=captions[k], width="stretch")
            if ids:
                key = f"reject-{ids[i]}"
                state.set_widget(key, ids[i] in config.synthesis.rejected)  # another tab may have changed it
                place.checkbox(
                    "Reject",
                    key=key,
                    disabled=running,
                    help="Not like a defect of this part: it then counts in no rule, curve or figure",
                    on_change=_reject,
                    args=(ws, detector, config, ids[i]),
                )


def _reject(ws: Workspace, detector: DetectorResult, config: RunConfig, picture: str) -> None:
    why = BY_HAND if state.widget_value(f"reject-{picture}") else ""
    widgets.told(lambda: filters.reject(ws, detector, config, picture, why))


def _made(method: str, facts: dict[str, Any], areas: dict[str, Auroc]) -> str:
    """Sentences without the last full stop."""
    n, kept = len(facts["severities"]), quality_view.marks(facts).count("kept")
    told = [f"{n} made" + (f", {kept} kept" if kept < n else "")]
    if method in areas:
        area = areas[method]
        told[0] += f"; AUROC against {area.n_ok} good parts {area.auroc:.3f} (95 %: {area.low:.3f} to {area.high:.3f})"
        if facts["shift_in_R"] is not None:
            told.append(f"Median feature shift inside the masks: {facts['shift_in_R']} R")
    if sources := sources_of(facts):
        told.append(words.capital(words.one_defect(sources)))
    if "peak_memory_bytes" in facts:
        told.append(
            f"Made and scored in {facts['seconds']:.1f} s, peak memory {facts['peak_memory_bytes'] / 1e9:.1f} GB"
        )
    return ". ".join(told)


def _caption(score: float, facts: dict[str, Any], i: int, mark: str) -> str:
    words_of = [f"score {score:.1f}"]
    if "snr" in facts:
        words_of.append(f"{facts['size_px'][i]:.1f} px, signal-to-noise {facts['snr'][i]:.1f}")
    else:  # made before these were measured
        words_of.append(f"mask {100 * facts['mask_share'][i]:.1f} %")
    drawn = facts.get("settings", [{}] * (i + 1))[i]
    if "method" in drawn:
        words_of.append(words.method(drawn["method"]))
    if facts["textures"][i] != "none":
        words_of.append(facts["textures"][i])
    if mark != "kept":
        words_of.append(f":orange[**{mark}**]")
    return ", ".join(words_of)


def _drawn(result: SynthesisResult, stem: str, *, rim: bool) -> np.ndarray:
    picture = result.picture(stem)
    return with_rim(picture, result.mask(stem)) if rim else picture
