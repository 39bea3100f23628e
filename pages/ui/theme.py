"""How the kinds of evidence (``STYLES``) look on pages and in their charts."""

from html import escape
from pathlib import Path

import plotly.graph_objects as go

from pages.services.evidence_style import STYLES
from pages.services.evidence_style import Style as Style  # charts know it as theme.Style

ASSETS = Path(__file__).resolve().parents[2] / "assets"
STYLE_CSS = ASSETS / "style.css"
ICON = ASSETS / "icon.png"


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
