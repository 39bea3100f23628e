"""A mask on a picture, put right by hand: brush or outline, adding or taking away, one stroke after another."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from ias_core.defect_mask import mask_of_stroke
from ias_core.errors import ShapeError
from ias_core.foreground import mask_of_outlines
from pages.services.contact_sheet import with_rim
from pages.services.ledger import ImageRecord
from pages.ui import cached, drawing, state

_ABOUT_PX = 480  # side of the picture that is drawn on
_ADDS, _TAKES = "Adds", "Takes away"
_BRUSH, _OUTLINE = "Brush", "Outline"


@dataclass(frozen=True, slots=True)
class Stroke:
    """One drawing; ``width_px`` is that of the brush, 0 where ``paths`` are outlines.

    paths : of (x, y) in px of the picture that is drawn on
    """

    adds: bool
    width_px: int
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
    times = max(1, round(_ABOUT_PX / len(base)))
    side = times * len(base)
    strokes: tuple[Stroke, ...] = state.get(f"strokes-{key}", ())
    mask = painted(base.repeat(times, 0).repeat(times, 1), strokes)
    tool, way, wide = st.columns([2, 2, 3])
    brush = tool.segmented_control("Tool", [_BRUSH, _OUTLINE], default=_BRUSH, key=f"tool-{key}") != _OUTLINE
    adds = way.segmented_control("Drawing", [_ADDS, _TAKES], default=_ADDS, key=f"way-{key}") != _TAKES
    width = wide.slider("Brush in px", 1, side // 8, max(1, side // 40), key=f"width-{key}", disabled=not brush)
    turn = state.get(f"turn-{key}", 0)  # a new board for each stroke: what was drawn is in the mask by then
    board = f"board-{key}-{turn}"
    drawing.board(
        _with_mask(record, mask),
        side,
        key=board,
        on_select=lambda: _note(key, board, side, adds, width if brush else 0),
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
    >>> square = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    >>> strokes = [Stroke(True, 0, (square,)), Stroke(False, 1, (((0.5, 0.5), (1.5, 0.5)),))]
    >>> painted(np.zeros((3, 3), bool), strokes).astype(int).tolist()
    [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    """
    mask = base.copy()
    for stroke in strokes:
        under = _under(stroke, len(mask))
        mask = mask | under if stroke.adds else mask & ~under
    return mask


def _under(stroke: Stroke, side: int) -> np.ndarray:
    paths = [np.array(path) for path in stroke.paths]
    if not stroke.width_px:
        return mask_of_outlines(paths, width=side, height=side)
    return np.any([mask_of_stroke(path, width_px=stroke.width_px, side_px=side) for path in paths], axis=0)


def _note(key: str, board: str, side: int, adds: bool, width_px: int) -> None:
    selection = state.widget_value(board).selection
    outlines = drawing.outlines_of(selection)
    if not outlines:
        return
    new = Stroke(adds, 0 if selection["box"] else width_px, tuple(tuple(map(tuple, outline.tolist())) for outline in outlines))
    try:
        _under(new, side)
    except ShapeError:  # a click, or a line around nothing
        return
    state.put(f"strokes-{key}", (*state.get(f"strokes-{key}", ()), new))
    state.put(f"turn-{key}", state.get(f"turn-{key}", 0) + 1)


def _with_mask(record: ImageRecord, mask: np.ndarray) -> bytes:
    picture = np.asarray(Image.open(io.BytesIO(cached.thumbnail(record, len(mask)))), np.float32) / 255
    buffer = io.BytesIO()
    Image.fromarray(with_rim(picture, mask)).save(buffer, "PNG")
    return buffer.getvalue()
