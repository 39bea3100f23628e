"""The pictures that were made, one page at a time: plain, with the rim of the mask, or under the anomaly map."""

from typing import Any

import numpy as np
import streamlit as st

from calibration.types import Auroc
from pages.services import dataset
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.contact_sheet import with_rim
from pages.ui import quality_view, widgets, words

PAGE_SIZE = 10
_VIEWS = ("Picture", "Mask", "Anomaly map")


def show(detector: DetectorResult, result: SynthesisResult, areas: dict[str, Auroc]) -> None:
    """The whole block.

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
        widgets.gallery(
            [(_drawn(result, stem, rim=view == "Mask"), caption) for stem, caption in zip(stems, captions, strict=True)]
        )
        return
    scale = widgets.colour_scale(detector.sets["bank"].patch_scores)
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


def _made(method: str, facts: dict[str, Any], areas: dict[str, Auroc]) -> str:
    n = len(facts["severities"])
    made = f"{n} made"
    kept = quality_view.marks(facts).count("kept")
    if kept < n:
        made += f", {kept} kept"
    if method in areas:
        area = areas[method]
        made += (
            f"; AUROC against {area.n_ok} good parts {area.auroc:.3f} (95 %: {area.low:.3f} to {area.high:.3f}). "
            f"Median feature shift inside the masks: {facts['shift_in_R']} R"
        )
    return made


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
