"""Where each real NG falls among the scores of the synthetic NG."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import evenly, figure

MAX_STEPS = 400  # of the distribution: each is then a quarter of a percent
_FEW = 60  # real NG that can be drawn large


def transfer_ranks(
    synthetic: np.ndarray,
    real: np.ndarray,
    real_names: Sequence[str],
    ranks: Sequence[float],
    method_label: str,
    *,
    unit: str = "feature distance",
) -> go.Figure:
    """Cumulative distribution of the synthetic scores, and every real NG at its score and rank.

    Parameters
    ----------
    synthetic, real : ndarray of shape (s,), (m,)
        Image scores.
    real_names : sequence of m str
    ranks : sequence of m float
        ``Transfer.ranks``, in [0, 1], in the order of ``real``.
    method_label : str
        How the synthetic NG were made, as the legend shall say it.
    unit : str

    Raises
    ------
    ShapeError
        If there are no scores, they are not finite, or names and ranks are not as many as real NG.
    """
    if not (len(synthetic) and len(real) == len(real_names) == len(ranks) > 0):
        raise ShapeError(
            "ranks: expected synthetic scores and one name and one rank per real NG, got "
            f"{len(synthetic)} synthetic, {len(real)} real, {len(real_names)} names, {len(ranks)} ranks"
        )
    if not (np.isfinite(synthetic).all() and np.isfinite(real).all()):
        raise ShapeError("ranks: expected finite scores, got NaN or infinity")
    every = np.concatenate([synthetic, real])
    low, high = float(every.min()), float(every.max())
    margin = 0.04 * (high - low) or 0.5
    low, high = low - margin, high + margin
    start, end = ((float(edge) - low) / (high - low) for edge in (synthetic.min(), synthetic.max()))
    layout = {
        "xaxis": {"title": {"text": f"image score ({unit})"}, "range": [low, high], "showgrid": True},
        "yaxis": {
            "title": {"text": "synthetic NG at or below, %"},
            "range": [-3, 103],
            "tickvals": [0, 25, 50, 75, 100],
        },
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level}
            | {"line": {"color": theme.STYLES["threshold"].colour, "width": 2, "dash": "dash"}}
            for level in (5, 95)
        ],
        "annotations": [
            # the distribution runs from the lower left to the upper right of its own range
            _note("95 %: real NG above are easier than nearly all synthetic ones", 95, "top", is_left=end > 0.55),
            _note("5 %: real NG below are harder than nearly all synthetic ones", 5, "bottom", is_left=start > 0.45),
        ],
    }
    traces = [_steps(synthetic, low, high, method_label), _squares(real, real_names, ranks)]
    title = f"Where real NG fall among synthetic NG ({method_label})"
    subtitle = "Real NG like the synthetic ones spread evenly from bottom to top; a crowd at one end is unlike them"
    return figure(traces, layout, title, subtitle, height=520, top=84)


def _note(text: str, level: int, anchor: str, *, is_left: bool) -> dict:
    side = {"x": 0.01, "xanchor": "left"} if is_left else {"x": 0.99, "xanchor": "right"}
    return side | {"xref": "paper", "y": level, "yanchor": anchor, "text": text, "showarrow": False}


def _steps(synthetic: np.ndarray, low: float, high: float, method_label: str) -> dict:
    kept = evenly(len(synthetic), MAX_STEPS)
    share = 100 * (kept + 1) / len(synthetic)
    return {
        "type": "scatter",
        "x": np.concatenate([[low], np.sort(synthetic)[kept], [high]]),
        "y": np.concatenate([[0.0], share, [100.0]]),
        "mode": "lines",
        "line": {"shape": "hv", "width": 3, "color": theme.STYLES["synthetic"].outline},
        "name": f"synthetic NG, {method_label}, n = {len(synthetic)}",
        "hovertemplate": "%{y:.0f} % of synthetic NG score %{x:.4g} or less<extra></extra>",
    }


def _squares(real: np.ndarray, names: Sequence[str], ranks: Sequence[float]) -> dict:
    style, is_few = theme.STYLES["real"], len(real) <= _FEW
    return {
        "type": "scatter",
        "x": real,
        "y": 100 * np.asarray(ranks, float),
        "mode": "markers",
        "name": f"real NG, n = {len(real)}",
        "marker": {
            "symbol": style.symbol,
            "size": 12 if is_few else 9,
            "color": style.colour,
            "opacity": 0.9 if is_few else 0.35,
            "line": {"width": 1 if is_few else 0, "color": "#FFFFFF"},
        },
        "customdata": [(name,) for name in names],
        "hovertemplate": (
            "<b>%{customdata[0]}</b>, score %{x:.4g}<br>"
            "rank: %{y:.1f} % of synthetic NG score lower (equal ones count half)<extra></extra>"
        ),
        "cliponaxis": False,
    }
