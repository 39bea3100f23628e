"""What every chart shares: title, fonts, legend, one check by plotly.

A figure has no background and no text colour of its own, so Streamlit's light and dark theme both fit it.
Figures are put together as dictionaries and checked by plotly once: adding part by part takes ten times as
long, and the score chart is drawn anew at every move of the slider.
"""

import numpy as np
import plotly.graph_objects as go

from pages.ui import theme

_PILL = "#4A5361"  # white text on it: 7.9 : 1
FONT_PX = 15  # readable from the last row of a meeting room
_LEGEND_ROW_PX = 23
_TEMPLATE = theme.chart_template()


def number(value: float) -> str:
    """Four significant digits, trailing zeros kept, so that a moving number keeps its width."""
    return f"{value:#.4g}".removesuffix(".")


def outline(style: theme.Style) -> dict:
    return {"width": 1, "color": style.outline}


def bar_marker(style: theme.Style, hatch: str) -> dict:
    pattern = {"shape": hatch, "bgcolor": style.colour, "fgcolor": "white", "size": 8, "solidity": 0.2}
    return {"color": style.colour, "line": outline(style), "pattern": pattern}


def pill() -> dict:
    """Look of an annotation that must be read before all others."""
    return {"bgcolor": _PILL, "borderpad": 5, "font": {"size": FONT_PX + 1, "color": "#FFFFFF"}}


def heading(text: str, x: float) -> dict:
    place = {"x": x, "xref": "paper", "xanchor": "center", "y": 1.01, "yref": "paper", "yanchor": "bottom"}
    return place | {"text": text, "showarrow": False, "font": {"size": FONT_PX + 1}}


def evenly(n: int, most: int) -> np.ndarray:
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def figure(
    traces: list[dict], layout: dict, title: str, subtitle: str, *, height: int, top: int, legend_rows: int = 1
) -> go.Figure:
    """``height`` is that with one row of legend; more rows are added below, so the drawing keeps its size."""
    more = _LEGEND_ROW_PX * (legend_rows - 1)
    place = {"text": title, "x": 0, "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
    place |= {"pad": {"t": 8}, "font": {"size": 20}}
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom"}
    sizes = {"title": {"font": {"size": FONT_PX}}, "tickfont": {"size": FONT_PX - 1}}
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            layout[name] = axis | sizes | {"title": axis["title"] | sizes["title"]}
    return go.Figure(
        {
            "data": traces,
            "layout": layout
            | {
                "template": _TEMPLATE,
                "title": place | {"subtitle": {"text": subtitle, "font": {"size": FONT_PX}}},
                "font": {"size": FONT_PX},
                "height": height + more,
                "margin": {"l": 70, "r": 24, "t": top, "b": 100 + more},
                "legend": legend | {"font": {"size": FONT_PX}} | layout.get("legend", {}),
                "hoverlabel": {"font": {"size": FONT_PX}, "align": "left"},
                "showlegend": True,
                "bargap": 0,
                "uirevision": "keep",
            },
        }
    )
