"""Patches of good parts, of the memory bank and of feature-space anomalies, seen in two directions."""

import numpy as np
import plotly.graph_objects as go

from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import evenly, figure

MAX_CLOUD = 800  # points drawn per group
_CLOUD = {  # drawn in this order: label, marker
    "ok": ("OK patches", {"symbol": "circle", "size": 6, "color": theme.fill("ok", 0.75)}),
    "bank": (
        "memory bank patches",
        {"symbol": "x-thin", "size": 6, "line": {"width": 1.5, "color": theme.STYLES["threshold"].colour}},
    ),
    "synthetic": (
        "feature-space anomalies",
        {"symbol": "diamond", "size": 8, "color": theme.STYLES["synthetic"].colour}
        | {"line": {"width": 1, "color": theme.STYLES["synthetic"].outline}},
    ),
}


def projection(points: dict[str, np.ndarray], explained: tuple[float, float]) -> go.Figure:
    """Feature space seen along its two widest directions.

    Parameters
    ----------
    points : dict of str to ndarray of shape (n, 2)
        Keys "ok" (OK patches), "bank" (memory bank) and "synthetic" (feature-space anomalies). At most
        ``MAX_CLOUD`` of each, evenly taken, are drawn; the legend gives both numbers.
    explained : (float, float)
        Share of the variance along the two axes, in [0, 1].

    Raises
    ------
    ShapeError
        If a key is unknown or points are not (n, 2).
    """
    for key, cloud in points.items():
        if key not in _CLOUD or cloud.ndim != 2 or cloud.shape[1] != 2:
            keys = ", ".join(_CLOUD)
            raise ShapeError(f"projection: expected (n, 2) for {keys}, got {key!r} of shape {cloud.shape}")
    traces = []
    for key, (label, marker) in _CLOUD.items():
        cloud = points.get(key, np.empty((0, 2)))
        shown = evenly(len(cloud), MAX_CLOUD)
        if not len(shown):
            continue
        drawn = "" if len(shown) == len(cloud) else f" ({len(shown)} drawn)"
        traces.append(
            {
                "type": "scatter",
                "x": cloud[shown, 0],
                "y": cloud[shown, 1],
                "mode": "markers",
                "name": f"{label}, n = {len(cloud):,}{drawn}",
                "marker": marker,
                "hovertemplate": f"{label}<br>%{{x:.3g}}, %{{y:.3g}}<extra></extra>",
            }
        )
    first, second = (f"{100 * share:.0f} % of the variance" for share in explained)
    layout = {
        "xaxis": {"title": {"text": f"principal axis 1 ({first}), feature distance"}, "showgrid": True},
        "yaxis": {"title": {"text": f"principal axis 2 ({second})"}, "scaleanchor": "x"},
        "legend": {"itemsizing": "constant"},
    }
    title = "OK patches, memory bank and feature-space anomalies"
    subtitle = "Two of many directions: points that overlap here may still be far apart"
    return figure(traces, layout, title, subtitle, height=560, top=84)
