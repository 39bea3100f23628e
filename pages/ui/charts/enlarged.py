"""A chart for the wall: the same drawing with larger letters, marks and margins."""

from typing import Any

import plotly.graph_objects as go

_FONTS = ("font", "tickfont", "textfont")
_CROWDED_PX = 8  # marks this small are so for want of room


def enlarged(figure: go.Figure, factor: float, *, height: int) -> go.Figure:
    """A copy with every font, margin and mark that has room ``factor`` times as large.

    Parameters
    ----------
    figure : go.Figure
        As the other modules of this folder make it; it stays as it is.
    factor : float
        > 0.
    height : int
        px, of the copy.
    """
    plain = figure.to_dict()
    template = plain["layout"].pop("template")
    _grow(plain, factor)
    margin = plain["layout"]["margin"]
    plain["layout"] |= {"height": height, "margin": {side: round(px * factor) for side, px in margin.items()}}
    return go.Figure(plain | {"layout": plain["layout"] | {"template": template}})


def _grow(node: Any, factor: float) -> None:
    if isinstance(node, (list, tuple)):
        for child in node:
            _grow(child, factor)
    if not isinstance(node, dict):
        return
    for key, child in node.items():
        if key in _FONTS and "size" in child:
            child["size"] = round(child["size"] * factor)
        elif key == "marker" and child.get("size", 0) > _CROWDED_PX:
            child["size"] = child["size"] * factor
        elif key == "yshift":
            node[key] = child * factor
        else:
            _grow(child, factor)
