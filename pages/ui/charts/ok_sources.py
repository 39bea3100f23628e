"""OK scores by where they come from."""

import numpy as np
import plotly.graph_objects as go

from pages.ui import theme
from pages.ui.charts.figure import bar_marker, figure
from pages.ui.charts.rows import axis_range, bin_edges, row_layout


def loo_histogram(
    ok_loo: np.ndarray | None,
    held_out: np.ndarray | None,
    check: np.ndarray | None,
    *,
    unit: str = "feature distance",
) -> go.Figure:
    """OK scores by where they come from, one row each: do leave-one-out scores tell the same as new parts?

    Parameters
    ----------
    ok_loo, held_out, check : ndarray of shape (n,), or None
        Scores of bank images left out one at a time, of calibration OK images and of check OK images.
    unit : str

    Raises
    ------
    ShapeError
        If there is no score at all.
    """
    sources = (
        ("leave-one-out (bank images)", "", ok_loo),
        ("held-out (calibration OK)", "\\", held_out),
        ("check OK", "-", check),
    )
    rows = [source for source in sources if source[2] is not None and len(source[2])]
    edges = bin_edges([scores for _, _, scores in rows], None)[::2]
    layout = row_layout([1.0] * len(rows), "% of images", f"image score ({unit})", axis_range(edges, None))
    style = theme.STYLES["ok"]
    traces = []
    for row, (label, hatch, scores) in enumerate(rows, start=1):
        counts, _ = np.histogram(scores, edges)
        filled = np.flatnonzero(counts)
        traces.append(
            {
                "type": "bar",
                "x": ((edges[:-1] + edges[1:]) / 2)[filled],
                "y": 100 * counts[filled] / len(scores),
                "width": np.diff(edges)[filled],
                "yaxis": f"y{row}",
                "name": f"{label}, n = {len(scores)}",
                "marker": bar_marker(style, hatch),
                "customdata": np.column_stack([edges[filled], edges[filled + 1], counts[filled]]),
                "hovertemplate": (
                    "%{customdata[2]} images, score %{customdata[0]:.4g} to %{customdata[1]:.4g}<extra></extra>"
                ),
            }
        )
        layout[f"yaxis{row}"] |= {"matches": "y"} if row > 1 else {}
    title = "OK scores by source"
    subtitle = "The rows should lie above each other; a shifted row cannot stand in for new parts"
    return figure(traces, layout, title, subtitle, height=160 + 120 * len(rows), top=84)
