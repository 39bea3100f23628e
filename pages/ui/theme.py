"""Colour, symbol and hatch of every kind of evidence, decided once for all pages.

Blue, orange and sky blue are from Okabe and Ito, "Color Universal Design" (2008). Their vermillion is too
near their orange for red-green blind eyes, so real NG is crimson: under simulated protan, deutan and tritan
vision (Machado et al. 2009) every two of blue, orange and crimson stay at least 30 CIE Lab units apart. Each
colour works on a white and on a near-black page; a symbol and a hatch say the same again.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go

ASSETS = Path(__file__).resolve().parents[2] / "assets"
STYLE_CSS = ASSETS / "style.css"
ICON = ASSETS / "icon.png"


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of evidence looks everywhere.

    colour  : "#rrggbb"
    outline : "#rrggbb"   edge of bars and markers, where the colour alone is too pale on white
    symbol  : plotly marker symbol
    glyph   : the same symbol as text, for chips and tables
    hatch   : plotly pattern shape of bars and bands, "" for plain
    dash    : plotly line dash
    """

    colour: str
    outline: str
    symbol: str
    glyph: str
    hatch: str
    dash: str


STYLES: dict[str, Style] = {
    "ok": Style("#0072B2", "#0072B2", "circle", "●", "", "solid"),
    "synthetic": Style("#E69F00", "#B87F00", "diamond", "◆", "/", "dash"),
    "real": Style("#D81B60", "#D81B60", "square", "■", "x", "solid"),
    "review": Style("#56B4E9", "#2E8BC0", "triangle-up", "▲", ".", "dot"),
    "threshold": Style("#737B87", "#737B87", "line-ns", "│", "", "solid"),
}
"""Keys are the evidence origins "ok", "synthetic", "real", and "review" and "threshold"."""

GRID = "rgba(128, 128, 128, 0.28)"
"""Grid, axes and other quiet lines: the same grey reads on white and on near-black."""


def fill(key: str, opacity: float) -> str:
    """Colour of ``key`` as an rgba string with ``opacity`` in [0, 1].

    Examples
    --------
    >>> fill("ok", 0.2)
    'rgba(0, 114, 178, 0.2)'
    """
    colour = STYLES[key].colour
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def evidence_chip(key: str, text: str) -> str:
    """HTML of a small label in the look of ``key``, for ``st.html``. ``text`` is escaped.

    Examples
    --------
    >>> evidence_chip("real", "11 <real> NG")
    '<span class="chip chip-real"><b>■</b> 11 &lt;real&gt; NG</span>'
    """
    return f'<span class="chip chip-{key}"><b>{STYLES[key].glyph}</b> {escape(text)}</span>'


def chart_template() -> go.layout.Template:
    """Plotly template without a background; Streamlit puts the page's own text colour on top of it."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "showline": True, "ticks": "outside"}
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
            "font": {"family": "sans-serif", "color": STYLES["threshold"].colour},
            "xaxis": axis | {"tickcolor": GRID},
            "yaxis": axis | {"tickcolor": GRID},
            "colorway": [STYLES[key].colour for key in ("ok", "synthetic", "real", "review", "threshold")],
        }
    )
