"""A mask on a picture, put right by hand: brush or outline, adding or taking away, one stroke after another."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from ias_core.defect_mask import mask_of_stroke
from ias_core.errors import ShapeError
from ias_core.foreground import mask_at_size, mask_of_outlines
from pages.services.contact_sheet import with_rim
from pages.services.ledger import ImageRecord
from pages.ui import cached, drawing, state

_BOARD_PX = 480  # side of the picture that is drawn on
_ADDS, _TAKES = "Adds", "Takes away"
_BRUSH, _OUTLINE = "Brush", "Outline"


@dataclass(frozen=True, slots=True)
class Stroke:
    """One drawing; all lengths are shares of the picture's side.

    width : of the brush; 0 where ``paths`` are outlines
    paths : of (x, y) from the upper left corner
    """

    adds: bool
    width: float
    paths: tuple[tuple[tuple[float, float], ...], ...]


def edit(record: ImageRecord, base: np.ndarray, *, key: str) -> tuple[np.ndarray, bool]:
    """Show picture and mask, and let somebody draw.

    Parameters
    ----------
    record : ImageRecord
    base : ndarray of shape (s, s)
        bool; what the drawing starts from.
    key : str
        Names these strokes: they stay until another key is edited.

    Returns
    -------
    mask : ndarray of shape (t, t)
        bool; ``base`` itself, or with strokes t is a multiple of s, so that thin lines can be drawn.
    by_hand : bool
        Whether there is any stroke.
    """
    times = max(1, round(_BOARD_PX / len(base)))
    strokes: tuple[Stroke, ...] = state.get(f"strokes-{key}", ())
    mask = painted(base.repeat(times, 0).repeat(times, 1), strokes)
    tool, way = st.columns(2)
    brush = tool.segmented_control("Tool", [_BRUSH, _OUTLINE], default=_BRUSH, key=f"tool-{key}") != _OUTLINE
    adds = way.segmented_control("Drawing", [_ADDS, _TAKES], default=_ADDS, key=f"way-{key}") != _TAKES
    width = st.slider("Brush in px", 1, 60, 12, key=f"width-{key}", disabled=not brush)
    turn = state.get(f"turn-{key}", 0)  # a new board for each stroke: what was drawn is in the mask by then
    board = f"board-{key}-{turn}"
    drawing.board(
        _with_mask(record, mask),
        _BOARD_PX,
        key=board,
        on_select=lambda: _note(key, board, adds, width / _BOARD_PX if brush else 0.0),
        alt=f"{record.name} with the rim of the mask, to draw on",
    )
    st.button(
        "Undo the last stroke",
        key=f"undo-{key}",
        disabled=not strokes,
        on_click=lambda: state.put(f"strokes-{key}", strokes[:-1]),
    )
    return (mask, True) if strokes else (base, False)


def painted(base: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """The mask (t, t) after the strokes, in their order.

    Examples
    --------
    >>> square = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    >>> strokes = [Stroke(True, 0.0, (square,)), Stroke(False, 0.25, (((0.1, 0.1), (0.4, 0.1)),))]
    >>> painted(np.zeros((4, 4), bool), strokes).astype(int).tolist()
    [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    mask = base.copy()
    for stroke in strokes:
        under = _under(stroke, len(mask))
        mask = mask | under if stroke.adds else mask & ~under
    return mask


def _under(stroke: Stroke, side: int) -> np.ndarray:
    paths = [side * np.array(path) for path in stroke.paths]
    if not stroke.width:
        return mask_of_outlines(paths, width=side, height=side)
    width = max(1, round(stroke.width * side))
    return np.any([mask_of_stroke(path, width_px=width, side_px=side) for path in paths], axis=0)


def _note(key: str, board: str, adds: bool, width: float) -> None:
    """Keep what was drawn just now; the rectangle takes its inside, whatever the tool."""
    selection = state.widget_value(board).selection
    outlines = [outline / _BOARD_PX for outline in drawing.outlines_of(selection)]
    if not outlines:
        return
    paths = tuple(tuple(map(tuple, outline.tolist())) for outline in outlines)
    new = Stroke(adds, 0.0 if selection["box"] else width, paths)
    try:
        _under(new, _BOARD_PX)
    except ShapeError:  # a click, or a line around nothing
        return
    state.put(f"strokes-{key}", (*state.get(f"strokes-{key}", ()), new))
    state.put(f"turn-{key}", state.get(f"turn-{key}", 0) + 1)


def _with_mask(record: ImageRecord, mask: np.ndarray) -> bytes:
    picture = np.asarray(Image.open(io.BytesIO(cached.thumbnail(record, _BOARD_PX))), np.float32) / 255
    buffer = io.BytesIO()
    Image.fromarray(with_rim(picture, mask_at_size(mask, _BOARD_PX))).save(buffer, "PNG")
    return buffer.getvalue()
