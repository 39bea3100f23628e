"""The feature-space ruler: one method at a time at the current threshold, and all of them in one table."""

import numpy as np
import pandas as pd
import streamlit as st

from calibration.ruler import shift_recall, smallest_shift_found
from pages.services.artifacts import SynthesisResult
from pages.services.ruler import Ruler, stored_rulers
from pages.ui import charts, widgets, words

FIRST = "glass-gas-manifold"
_MAPS_SHOWN = 6
_R = "R"


def show(result: SynthesisResult, threshold: float | None, *, scale: tuple[float, float], size: int) -> None:
    """Recall against shift, the smallest shift found, and what shifted features look like.

    Parameters
    ----------
    threshold : float or None
        Fixed or recommended; None if there is none.
    scale : (float, float)
        Colours of the anomaly maps.
    size : int
        Side of the maps in px.
    """
    st.markdown(
        "**A ruler, not evidence:** features of good parts are shifted by a chosen distance beside the memory bank, so "
        "the score repeats that distance. It says how small a shift the detector still sees, and never has a voice in "
        "choosing the threshold."
    )
    rulers, reasons = stored_rulers(result)
    if not rulers:
        if not reasons:
            st.info("These synthetic NG were made before there were several rulers: make them again.")
        _refused(reasons)
        return
    method = st.selectbox(
        "How the features are shifted",
        sorted(rulers, key=lambda name: (name != FIRST, words.method(name))),
        format_func=words.method,
        key="ruler-method",
    )
    ruler = rulers[method]
    st.caption(_meaning(ruler))
    if threshold is None:
        st.info("No threshold can be recommended, so there is nothing to hold the ruler against.")
    else:
        _chart(ruler, threshold, result)
        _table(rulers, reasons, threshold)
    _pictured(method, ruler, result, scale, size)


def _meaning(ruler: Ruler) -> str:
    left = f" {ruler.unmoved} of {ruler.n_cells} patches could not be moved and stay." if ruler.unmoved else ""
    return ruler.meaning + left


def _factor(ruler: Ruler) -> float:
    """From the dial to the screen: shares are shown in percent."""
    return 1.0 if ruler.unit == _R else 100.0


def _chart(ruler: Ruler, threshold: float, result: SynthesisResult) -> None:
    factor = _factor(ruler)
    recall = shift_recall(ruler.scores, threshold)
    found = smallest_shift_found(ruler.scores, ruler.dial, threshold)
    marks, axis = {}, ruler.quantity
    if ruler.unit == _R:
        axis = f"{ruler.quantity} in R, the median patch score of good parts ({result.meta['ruler']['scale']:.1f})"
        marks = {
            words.method(name): facts["shift_in_R"]
            for name, facts in result.meta["methods"].items()
            if facts["shift_in_R"] is not None
        }
    st.plotly_chart(
        charts.ruler(
            factor * ruler.dial,
            dict(zip(ruler.regions, recall, strict=True)),
            threshold,
            {name: None if value is None else factor * value for name, value in zip(ruler.regions, found, strict=True)},
            axis,
            unit=ruler.unit,
            n=ruler.scores.shape[2],
            marks=marks,
            joined=ruler.gradual,
        ),
        key="ruler",
        alt="Share of shifted good parts found at the threshold, by size of shift and of region",
    )
    if marks:
        st.caption(
            "Triangles: by how much the synthetic pictures of each method move the features inside their masks, in the "
            "median. They tie pictures to the ruler; a picture moves features in other directions than the ruler does."
        )


def _table(rulers: dict[str, Ruler], reasons: dict[str, str], threshold: float) -> None:
    """The smallest shift found, method by method, with its length in R where the dial is not."""
    columns = dict.fromkeys(name for ruler in rulers.values() for name in ruler.regions)
    rows = []
    for name, ruler in rulers.items():
        found = smallest_shift_found(ruler.scores, ruler.dial, threshold)
        cells = {region: _found(ruler, value) for region, value in zip(ruler.regions, found, strict=True)}
        rows.append({"method": words.method(name)} | {column: cells.get(column, "–") for column in columns})
    rows += [{"method": words.method(name)} | dict.fromkeys(columns, "cannot tell") for name in reasons]
    st.markdown(f"**Smallest shift found** in at least 90 % of the images, at threshold {threshold:.3f}")
    st.dataframe(pd.DataFrame(rows).sort_values("method"), hide_index=True)
    _refused(reasons)
    counts = ", ".join(sorted({str(ruler.scores.shape[2]) for ruler in rulers.values()}))
    st.caption(
        f"n = {counts} good parts for each region and shift: 90 % found is an estimate, no bound, and only the shifts "
        "that were tried are listed. Directions differ: straight away from the bank is the easiest one. No number here "
        "is evidence about real defects."
    )


def _refused(reasons: dict[str, str]) -> None:
    for name, reason in reasons.items():
        st.caption(f"{words.method(name)}: cannot tell, because {reason}.")


def _found(ruler: Ruler, value: float | None) -> str:
    if value is None:
        return "not found"
    said = f"{_factor(ruler) * value:g} {ruler.unit}"
    in_R = float(ruler.shift_in_R[list(ruler.dial).index(value)])
    return said if ruler.unit == _R else f"{said} (moves by {in_R:.1f} R)"


def _pictured(method: str, ruler: Ruler, result: SynthesisResult, scale: tuple[float, float], size: int) -> None:
    """Shifted patches beside good ones in two directions, and the maps of a few shifted parts."""
    left, right = st.columns([3, 2])
    points = result.projection
    left.plotly_chart(
        charts.projection(
            {"ok": points["ok"], "bank": points["bank"], "synthetic": ruler.points},
            tuple(float(e) for e in points["explained"]),
        ),
        key="projection",
        alt="Projection of good patches, memory bank and shifted features",
    )
    right.caption("Patch scores of shifted good parts: a feature cannot be looked at, its map can.")
    some = list(range(min(_MAPS_SHOWN, len(ruler.example_maps))))
    blank = np.full((size, size, 3), 0.25, np.float32)
    with right:
        widgets.gallery(
            widgets.overlay_items(
                [f"shift-{method}-{i}" for i in some],
                [ruler.example_titles[i] for i in some],
                [lambda: blank] * len(some),
                [ruler.example_maps[i] for i in some],
                scored_by=str(result.folder),
                scale=scale,
                opacity=1.0,
                size=size,
            ),
            columns=3,
        )
        widgets.scale_caption(scale)
