"""How large a shift of the features must be to be found."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from pages.ui import theme
from pages.ui.charts.figure import figure, number, outline

_LOOKS = (("diamond", "solid"), ("square", "dash"), ("circle", "dot"), ("triangle-up", "dashdot"))
_LEAST_GAP = 0.03  # of the axis, between two marks that are both named
_MARKS_AT = -9  # below 0 %
_NO_MARKS: Mapping[str, float] = {}


def ruler(
    dial: np.ndarray,
    recall_by_region: Mapping[str, np.ndarray],
    threshold: float,
    smallest: Mapping[str, float | None],
    axis: str,
    *,
    unit: str,
    n: int,
    marks: Mapping[str, float] = _NO_MARKS,
    joined: bool = True,
    target: float = 0.9,
) -> go.Figure:
    """How large a shift of the features must be to be found, one line per shifted region.

    Parameters
    ----------
    dial : ndarray of shape (k,)
        Size of the shift, in ``unit``.
    recall_by_region : mapping of str to ndarray of shape (k,)
        Region, such as "4 patches" -> share of shifted images that are NG at ``threshold``, in [0, 1].
    threshold : float
    smallest : mapping of str to (float or None)
        Region -> smallest shift found with ``target`` recall; None if no tested shift reaches it.
    axis : str
        Title of the axis of shifts.
    unit : str
        Short, such as "R".
    n : int
        Shifted images behind each point.
    marks : mapping of str to float
        Image-space method -> shift that its pictures show, in ``unit``.
    joined : bool
        Whether a line between two points says anything.
    target : float
        Recall that counts as found, in (0, 1).
    """
    style = theme.STYLES["synthetic"]
    traces = []
    for place, (region, recall) in enumerate(recall_by_region.items()):
        symbol, dash = _LOOKS[place % len(_LOOKS)]
        found = smallest.get(region)
        verdict = "not found at any tested shift" if found is None else f"found from {found:.3g} {unit} on"
        if found == dial[dial > 0].min():
            verdict += ", the smallest tested"
        traces.append(
            {
                "type": "scatter",
                "x": dial,
                "y": 100 * np.asarray(recall),
                "mode": "lines+markers" if joined else "markers",
                "cliponaxis": False,
                "name": f"{region}: {verdict}, n = {n} per point",
                "line": {"color": style.outline, "width": 3, "dash": dash},
                "marker": {"symbol": symbol, "size": 11, "color": style.colour, "line": outline(style)},
                "hovertemplate": f"{region}, shift %{{x:.3g}} {unit}<br>%{{y:.0f}} % of {n} found<extra></extra>",
            }
        )
    line = theme.STYLES["threshold"]
    annotations = [
        {"text": f"{100 * target:g} % counts as found", "xref": "paper", "x": 0.005, "xanchor": "left"}
        | {"y": 100 * target, "yanchor": "bottom", "showarrow": False}
    ]
    if marks:
        traces.append(
            {
                "type": "scatter",
                "x": list(marks.values()),
                "y": [_MARKS_AT] * len(marks),
                "mode": "markers",
                "text": list(marks),
                "name": f"shift in synthetic pictures, n = {len(marks)} methods",
                "marker": {"symbol": "triangle-up", "size": 12, "color": line.colour},
                "hovertemplate": f"%{{text}}<br>moves features by %{{x:.3g}} {unit}<extra></extra>",
            }
        )
        annotations += [
            {"text": name, "x": x, "xanchor": "center", "y": _MARKS_AT + 3, "yanchor": "bottom", "textangle": -90}
            | {"showarrow": False}
            for name, x in _apart(marks, _LEAST_GAP * max(float(np.max(dial)), *marks.values()))
        ]
    layout = {
        "xaxis": {"title": {"text": axis}, "rangemode": "tozero", "showgrid": True},
        "yaxis": {"title": {"text": "shifted images found, %"}, "range": [_MARKS_AT - 5 if marks else -3, 106]},
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100 * target, "y1": 100 * target}
            | {"line": {"color": line.colour, "width": 2, "dash": "dash"}}
        ],
        "annotations": annotations,
    }
    title = f"Smallest feature shift found at threshold {number(threshold)}"
    subtitle = "A ruler for the detector, computed in feature space: not evidence about real defects"
    return figure(traces, layout, title, subtitle, height=500 if marks else 440, top=84, legend_rows=2)


def _apart(marks: Mapping[str, float], gap: float) -> list[tuple[str, float]]:
    """From the left, those that are at least ``gap`` from the one before: more names would hide each other."""
    kept: list[tuple[str, float]] = []
    for name, x in sorted(marks.items(), key=lambda mark: mark[1]):
        if not kept or x - kept[-1][1] >= gap:
            kept.append((name, x))
    return kept
