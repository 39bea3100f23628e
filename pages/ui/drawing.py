"""Drawing on a picture: plotly's lasso and rectangle, read as outlines and masks."""

import base64
import io
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from pages.ui import theme

_BAR_PX = 40  # for the buttons above the picture


def board(picture: bytes, side_px: int, *, key: str, alt: str, on_select: Callable[[], None] | str = "rerun") -> dict:
    """A picture to draw on with the mouse; returns what is drawn now, for ``outlines_of``.

    Parameters
    ----------
    picture : bytes
        Of a square picture, ``side_px`` wide.
    on_select : callable or "rerun"
        As of ``st.plotly_chart``.
    """
    return st.plotly_chart(
        _figure(picture, side_px),
        width="content",
        key=key,
        on_select=on_select,
        selection_mode=("lasso", "box"),
        config={
            "displayModeBar": True,
            "displaylogo": False,
            "modeBarButtons": [["lasso2d", "select2d", "zoom2d", "resetScale2d"]],
        },
        alt=alt,
    ).selection


def outlines_of(selection: dict) -> list[np.ndarray]:
    """Corners (k, 2) of everything drawn on a plotly picture, in px from its upper left corner.

    Examples
    --------
    >>> outlines_of({"box": [{"x": [1, 3], "y": [2, 4]}], "lasso": []})[0].tolist()
    [[1.0, 2.0], [3.0, 2.0], [3.0, 4.0], [1.0, 4.0]]
    """
    outlines = [np.column_stack([line["x"], line["y"]]).astype(float) for line in selection["lasso"]]
    for box in selection["box"]:
        (x0, x1), (y0, y1) = box["x"], box["y"]
        outlines.append(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float))
    return outlines


def _figure(picture: bytes, side_px: int) -> go.Figure:
    """The picture, 1 px per unit, its upper left corner at (0, 0): an image trace counts from pixel centres."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(buffer, "JPEG", quality=90)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    axis = {"visible": False, "range": [0, side_px]}
    line = {"color": theme.STYLES["synthetic"].colour, "width": 3, "dash": "solid"}
    return go.Figure(
        {
            "data": [{"type": "image", "source": source, "x0": 0.5, "y0": 0.5, "hoverinfo": "skip"}],
            "layout": {
                "dragmode": "lasso",
                "width": side_px,
                "height": side_px + _BAR_PX,
                "margin": {"l": 0, "r": 0, "t": _BAR_PX, "b": 0},
                "xaxis": axis,
                "yaxis": axis | {"range": [side_px, 0], "scaleanchor": "x"},
                "newselection": {"line": line, "mode": "immediate"},
                "activeselection": {"fillcolor": theme.fill("synthetic", 0.25), "opacity": 1},
                "uirevision": "keep",
            },
        }
    )
