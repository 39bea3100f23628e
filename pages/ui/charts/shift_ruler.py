"""How large a shift of the features must be to be found."""

import numpy as np
import plotly.graph_objects as go

from pages.ui import theme
from pages.ui.charts.figure import figure, number, outline


def ruler(
    lambdas: np.ndarray,
    recall_by_region: dict[int, np.ndarray],
    threshold: float,
    smallest: dict[int, float | None],
    unit: str,
    *,
    n: int,
    target: float = 0.9,
) -> go.Figure:
    """How large a shift of the features must be to be found, one line per size of the shifted region.

    Parameters
    ----------
    lambdas : ndarray of shape (k,)
        Shift in units of R.
    recall_by_region : dict of int to ndarray of shape (k,)
        Region size in patches -> share of shifted images that are NG at ``threshold``, in [0, 1].
    threshold : float
    smallest : dict of int to (float or None)
        Region size -> smallest shift found with ``target`` recall; None if no tested shift reaches it.
    unit : str
        What R is, for the axis: "R = median OK patch distance = 8.1".
    n : int
        Shifted images behind each point.
    target : float
        Recall that counts as found, in (0, 1).
    """
    style = theme.STYLES["synthetic"]
    looks = (("diamond", "solid"), ("square", "dash"), ("circle", "dot"), ("triangle-up", "dashdot"))
    traces = []
    for place, (cells, recall) in enumerate(sorted(recall_by_region.items())):
        symbol, dash = looks[place % len(looks)]
        size = "1 patch" if cells == 1 else f"{cells} patches"
        found = smallest.get(cells)
        verdict = "not found at any tested shift" if found is None else f"found from {found:.3g} R on"
        traces.append(
            {
                "type": "scatter",
                "x": lambdas,
                "y": 100 * np.asarray(recall),
                "mode": "lines+markers",
                "name": f"{size}: {verdict}, n = {n} per point",
                "line": {"color": style.outline, "width": 3, "dash": dash},
                "marker": {"symbol": symbol, "size": 11, "color": style.colour, "line": outline(style)},
                "hovertemplate": f"{size}, shift %{{x:.3g}} R<br>%{{y:.0f}} % of {n} found<extra></extra>",
            }
        )
    layout = {
        "xaxis": {
            "title": {"text": f"size of the feature shift (units of R; {unit})"},
            "rangemode": "tozero",
            "showgrid": True,
        },
        "yaxis": {"title": {"text": "shifted images found, %"}, "range": [-3, 106]},
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100 * target, "y1": 100 * target}
            | {"line": {"color": theme.STYLES["threshold"].colour, "width": 2, "dash": "dash"}}
        ],
        "annotations": [
            {"text": f"{100 * target:g} % counts as found", "xref": "paper", "x": 0.005, "xanchor": "left"}
            | {"y": 100 * target, "yanchor": "bottom", "showarrow": False}
        ],
    }
    title = f"Smallest feature shift found at threshold {number(threshold)}"
    subtitle = "A ruler for the detector, computed in feature space: not evidence about real defects"
    return figure(traces, layout, title, subtitle, height=440, top=84)
