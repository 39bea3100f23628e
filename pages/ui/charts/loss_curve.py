"""How the loss of a training fell."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import figure


def loss_curve(losses: Sequence[float], *, steps: int) -> go.Figure:
    """The mean loss of equally many steps each, against the last of these steps.

    Parameters
    ----------
    losses : sequence of float
        Mean squared error of the predicted velocity; 1 is what predicting nothing gives.
    steps : int
        Of the whole training, at least as many as there are losses.

    Raises
    ------
    ShapeError
        No loss, or more of them than steps.
    """
    n = len(losses)
    if not 0 < n <= steps:
        raise ShapeError(f"loss: expected 1 to {steps} values for {steps} steps, got {n}")
    trace = {
        "type": "scatter",
        "x": [round(steps * (k + 1) / n) for k in range(n)],
        "y": list(losses),
        "mode": "lines+markers" if n < 3 else "lines",
        "showlegend": False,
        "line": {"width": 2, "color": theme.STYLES["ok"].colour},
        "hovertemplate": "up to step %{x:,}<br>loss %{y:.3f}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": "training step"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "loss"}, "rangemode": "tozero"},
    }
    subtitle = "Squared error of what it is to predict, over all noise levels; 1 = nothing learned"
    return figure([trace], layout, "Loss of the pixel model in training", subtitle, height=340, top=84)
