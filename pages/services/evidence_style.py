"""Colour, symbol and hatch of every kind of evidence, decided once for pages and printed records.

Blue, orange and sky blue are from Okabe and Ito, "Color Universal Design" (2008). Their vermillion is too
near their orange for red-green blind eyes, so real NG is crimson: under simulated protan, deutan and tritan
vision (Machado et al. 2009) every two of blue, orange and crimson stay at least 30 CIE Lab units apart. Each
colour works on a white and on a near-black page; a symbol and a hatch say the same again.
"""

from dataclasses import dataclass


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
