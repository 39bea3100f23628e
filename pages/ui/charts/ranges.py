"""How far one number moves while something is varied that should not matter."""

from collections.abc import Sequence
from html import escape
from textwrap import shorten, wrap

import numpy as np
import plotly.graph_objects as go

from calibration.robustness import RECALL, RECOMMENDED, Spread
from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import FONT_PX, bar_marker, figure, number, pill

_SIDE = 0.45  # room for words left and right of the ranges, in shares of their span
_LETTERS = 22  # per line there
_PERCENT_STEPS = (0.5, 1, 2, 5, 10, 20)


def spreads(spreads: Sequence[Spread], quantity: str, *, unit: str) -> go.Figure:
    """One bar per thing that was varied, from its lowest to its highest value; a diamond is the value in use.

    Parameters
    ----------
    spreads : sequence of Spread
        Those of other quantities are left out: one figure, one unit.
    quantity : str
        ``robustness.RECOMMENDED``, ``YOUDEN`` or ``RECALL``; a recall is drawn in percent.
    unit : str
        Of what is drawn: that of the scores, or "%".

    Raises
    ------
    ShapeError
        If there is no range of this quantity, or its ranges are not about one value in use.
    """
    rows = [spread for spread in spreads if spread.quantity == quantity]
    if len({row.at for row in rows}) != 1:
        raise ShapeError(
            f"ranges: expected one or more about one {quantity} in use, got {len(rows)} about "
            f"{len({row.at for row in rows})} values"
        )
    scale = 100.0 if quantity == RECALL else 1.0
    at = scale * rows[0].at
    low, high = scale * min(row.low for row in rows), scale * max(row.high for row in rows)
    low, high = min(low, at), max(high, at)
    if low == high:
        low, high = low - 0.5, high + 0.5
    room = _SIDE * (high - low)
    style = theme.STYLES["ok" if quantity == RECOMMENDED else "synthetic"]
    by_draws = [place for place, row in enumerate(rows) if not row.ends]
    by_name = [place for place, row in enumerate(rows) if row.ends]
    traces = []
    for places, said, hatch in (
        (by_draws, "2.5 to 97.5 % of n = {} bootstrap draws", ""),
        (by_name, "lowest to highest of n = {} values", "/"),
    ):
        if places:
            counts = ", ".join(f"{n:,}" for n in dict.fromkeys(rows[place].n for place in places))
            traces.append(_bars(rows, places, scale) | {"name": said.format(counts)})
            traces[-1]["marker"] = bar_marker(style, hatch)
    in_use = f"{quantity} in use {_said(rows[0].at, quantity)}"
    traces.append(
        {
            "type": "scatter",
            "x": [at] * len(rows),
            "y": list(range(len(rows))),
            "mode": "markers",
            "marker": {"symbol": "diamond", "size": 15, "color": "#FFFFFF"}
            | {"line": {"width": 3, "color": theme.STYLES["threshold"].colour}},
            "hovertemplate": f"{in_use}<extra></extra>",
            "showlegend": False,
        }
    )
    layout = {
        "xaxis": {"title": {"text": f"{quantity} ({unit})"}, "range": [low - room, high + room], "showgrid": False},
        "yaxis": {
            "title": {"text": "what was varied", "standoff": 16},
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [_row_label(row) for row in rows],
            "automargin": True,
        },
        "shapes": [
            {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
            | {"line": {"width": 3, "color": theme.STYLES["threshold"].colour}}
        ],
        "annotations": [
            {"text": in_use, "x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False} | pill(),
            *(
                {"text": text, "x": x, "y": place, "xanchor": anchor, "align": anchor, "showarrow": False}
                | {"xshift": -15 if anchor == "right" else 15, "font": {"size": FONT_PX - 1}}
                for place, row in enumerate(rows)
                for text, x, anchor in _ends(row, scale)
            ),
        ],
    }
    if quantity == RECALL:
        layout["xaxis"]["tickvals"] = _percent_ticks(low - room, high + room)
    title = f"How far the {quantity} moves"
    subtitle = "Each row varies one thing that should not matter: the shorter its bar, the less it does"
    if quantity == RECALL:
        subtitle += ". Synthetic NG only: not evidence of escape"
    return figure(traces, layout, title, subtitle, height=240 + 84 * len(rows), top=112)


def _said(value: float, quantity: str) -> str:
    return f"{100 * value:.1f}\u00a0%" if quantity == RECALL else number(value)


def _bars(rows: list[Spread], places: list[int], scale: float) -> dict:
    shown = [rows[place] for place in places]
    return {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "base": [scale * row.low for row in shown],
        "x": [scale * (row.high - row.low) for row in shown],
        "width": 0.3,
        "customdata": [
            (row.varied, _said(row.low, row.quantity), _said(row.high, row.quantity), row.n) for row in shown
        ],
        "hovertemplate": (
            "<b>%{customdata[0]}</b><br>%{customdata[1]} to %{customdata[2]}, n = %{customdata[3]:,}<extra></extra>"
        ),
    }


def _row_label(row: Spread) -> str:
    n = f"n = {row.n:,} values" if row.ends else f"n = {row.n:,} draws"
    return "<br>".join([*wrap(row.varied, 26), n])


def _ends(row: Spread, scale: float) -> list[tuple[str, float, str]]:
    """What stands at both ends of a bar: the number, and what gave it."""
    names = row.ends or ("", "")
    ends = []
    for value, name, anchor in ((row.low, names[0], "right"), (row.high, names[1], "left")):
        short = shorten(name.replace(" %", "%"), 3 * _LETTERS, placeholder=" …")
        lines = [escape(line, quote=False) for line in wrap(short, _LETTERS)]
        ends.append(("<br>".join([f"<b>{_said(value, row.quantity)}</b>", *lines]), scale * value, anchor))
    return ends


def _percent_ticks(low: float, high: float) -> list[float]:
    """Round percents between ``low`` and ``high``, none beyond 0 and 100: the fewest that are at least four."""
    low, high = max(low, 0.0), min(high, 100.0)
    for step in reversed(_PERCENT_STEPS):
        ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
        if len(ticks) >= 4:
            break
    return ticks.tolist()
