"""The one picture of a record: every score on one axis, drawn once as vectors for the PDF and for the HTML form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, Rect, String
from reportlab.lib.colors import Color, HexColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from pages.services.document import fonts
from pages.services.document.facts import OK_SOURCES
from pages.services.document.fonts import cut, width
from pages.services.document.words import score
from pages.services.evidence_style import STYLES

WIDTH, LEAST_HEIGHT = 527, 130  # points
_LEFT, _RIGHT, _BOTTOM, _TOP = 128, 8, 25, 21  # margins of the axes
_SHARES = {"ok": 0.40, "synthetic": 0.31, "real": 0.29}
_GAP = 5
_BINS = 90
_DOT = 3.8  # side of the square of one real NG
_LEAST_BAR = 1.8  # a single part stays visible
_INK, _QUIET, _GRID = HexColor("#1F2933"), HexColor("#5A6572"), HexColor("#D5D9DE")


@dataclass(frozen=True, slots=True)
class _Axis:
    """Scores to points. ``top``: where the rows begin, in points above the lower edge of the picture."""

    low: float
    high: float
    top: float

    def x(self, value: float) -> float:
        return _LEFT + (value - self.low) / (self.high - self.low) * (WIDTH - _LEFT - _RIGHT)


def drawing(content: dict[str, Any], *, height: float = LEAST_HEIGHT) -> Drawing:
    """OK, synthetic NG and real NG in a row each, the threshold through all of them, the review band before it.

    Marks on the wrong side are open: they are the NG that are missed. No bar lies on both sides of the threshold.
    """
    scores, threshold = content["scores"], float(content["threshold"]["value"])
    unit, review_from = cut(content["threshold"]["unit"], 20), content["threshold"]["review_from"]
    rows = {
        "ok": (scores["ok"], f"good parts, n = {len(scores['ok'])}", OK_SOURCES[scores["ok_source"]].split(" ", 2)[2]),
        "synthetic": (
            scores["synthetic"],
            f"synthetic NG, n = {len(scores['synthetic'])}",
            cut(scores["synthetic_method"], 17) if scores["synthetic"] else "",
        ),
        "real": (
            [one["score"] for one in scores["real"]],
            f"real NG, n = {len(scores['real'])}",
            "open: missed" if scores["real"] else "",
        ),
    }
    edges = bin_edges([one for values, *_ in rows.values() for one in values], threshold)
    axis = _Axis(edges[0], edges[-1], height - _TOP)
    sheet = Drawing(WIDTH, height)
    _frame(sheet, axis, f"image score ({unit})")
    if review_from is not None and review_from < threshold:
        _review_band(sheet, axis, float(review_from), threshold)
    room, top = axis.top - _BOTTOM - _GAP * (len(rows) - 1), axis.top
    for key, (values, label, note) in rows.items():
        tall = room * _SHARES[key]
        _label(sheet, key, label, note, top - tall / 2)
        if key == "real" and _stacks_fit(values, tall, axis):
            _dots(sheet, axis, values, threshold, top - tall)
        elif values:
            _bars(sheet, axis, key, values, threshold, edges, top - tall, tall)
        else:
            _text(sheet, "none", axis.x((axis.low + axis.high) / 2), top - tall / 2 - 2.5, 7, _QUIET, middle=True)
        top -= tall + _GAP
    _threshold_line(sheet, axis, threshold)
    return sheet


def svg(content: dict[str, Any], *, height: float = LEAST_HEIGHT) -> str:
    """The same as an ``<svg>`` element to be set into a page; its texts are escaped."""
    text = renderSVG.drawToString(drawing(content, height=height))
    text = text[text.index("<svg") :].replace("<title>...</title>", "<title>Image scores</title>")
    return text.replace("<desc>...</desc>", "").strip()


def bin_edges(values: Sequence[float], threshold: float) -> list[float]:
    """Edges of equal bins over all scores and the threshold, which is one of them.

    Examples
    --------
    >>> edges = bin_edges([1.0, 2.0, 3.0], 2.5)
    >>> edges[0] <= 1.0, edges[-1] > 3.0, min(abs(edge - 2.5) for edge in edges)
    (True, True, 0.0)
    """
    low, high = min([*values, threshold]), max([*values, threshold])
    span = (high - low) or 0.1 * abs(threshold) or 1.0
    step = span / (_BINS - 4)
    below, above = math.ceil((threshold - low) / step) + 1, math.floor((high - threshold) / step) + 2
    return [threshold + i * step for i in range(-below, above + 1)]


def _bin_of(value: float, threshold: float, edges: Sequence[float]) -> int:
    """Number of the bin; a score at the threshold is to the right of it, as it is NG."""
    step = edges[1] - edges[0]
    middle = edges.index(threshold)
    found = middle + math.floor((value - threshold) / step)
    return max(found, middle) if value >= threshold else min(found, middle - 1)


def _frame(sheet: Drawing, axis: _Axis, title: str) -> None:
    for tick in ticks(axis.low, axis.high):
        x = axis.x(tick)
        sheet.add(Line(x, _BOTTOM, x, axis.top, strokeColor=_GRID, strokeWidth=0.5))
        _text(sheet, f"{tick:.6g}", x, _BOTTOM - 9, 7, _QUIET, middle=True)
    sheet.add(Line(_LEFT, _BOTTOM, WIDTH - _RIGHT, _BOTTOM, strokeColor=_QUIET, strokeWidth=0.7))
    _text(sheet, title, (_LEFT + WIDTH - _RIGHT) / 2, 3.5, 7, _QUIET, middle=True)
    _text(sheet, "Image scores", 0, axis.top + 11, 8.5, _INK)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers inside the axis, five to ten of them.

    Examples
    --------
    >>> ticks(16.2, 56.0), ticks(0.0, 1.0)
    ([20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    """
    rough = (high - low) / 10
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _review_band(sheet: Drawing, axis: _Axis, start: float, end: float) -> None:
    style = STYLES["review"]
    left, right = axis.x(max(start, axis.low)), axis.x(end)
    pale = HexColor(style.colour)
    sheet.add(
        Rect(
            left,
            _BOTTOM,
            right - left,
            axis.top - _BOTTOM,
            fillColor=Color(*(1 - 0.25 * (1 - part) for part in pale.rgb())),
            strokeColor=None,
        )
    )
    edge = HexColor(style.outline)
    sheet.add(Line(left, _BOTTOM, left, axis.top, strokeColor=edge, strokeWidth=0.8, strokeDashArray=[1.5, 1.5]))
    text, size = f"review from {score(start)}", 7
    end_of_text = max(right - 4, _LEFT + width(text, size) + 9)
    _mark(sheet, "review", end_of_text - width(text, size) - 6, axis.top + 5, 2.6)
    _text(sheet, text, end_of_text - width(text, size), axis.top + 2.5, size, _INK)


def _threshold_line(sheet: Drawing, axis: _Axis, threshold: float) -> None:
    x = axis.x(threshold)
    sheet.add(Line(x, _BOTTOM - 2, x, axis.top + 10, strokeColor=_INK, strokeWidth=1.6))
    text = f"NG from {score(threshold)} on"
    left = x + 4 if x + 4 + width(text, 8.5) < WIDTH else x - 4 - width(text, 8.5)
    _text(sheet, text, left, axis.top + (2.5 if left > x else 12), 8.5, _INK)


def _label(sheet: Drawing, key: str, label: str, note: str, y: float) -> None:
    _mark(sheet, key, 5, y + 2.5, 3.4)
    _text(sheet, label, 13, y, 8, _INK)
    if note:
        _text(sheet, note, 13, y - 8.5, 6.3, _QUIET)


def _bars(
    sheet: Drawing,
    axis: _Axis,
    key: str,
    values: Sequence[float],
    threshold: float,
    edges: Sequence[float],
    bottom: float,
    height: float,
) -> None:
    style = STYLES[key]
    counts: dict[int, int] = {}
    for value in values:
        number = _bin_of(value, threshold, edges)
        counts[number] = counts.get(number, 0) + 1
    most = max(counts.values())
    for number, count in sorted(counts.items()):
        left, right = axis.x(edges[number]), axis.x(edges[number + 1])
        missed = key != "ok" and edges[number] < threshold
        tall = max(_LEAST_BAR, (height - 2) * count / most)
        edge = HexColor(style.outline)
        sheet.add(
            Rect(
                left + 0.3,
                bottom,
                right - left - 0.6,
                tall,
                fillColor=white if missed else HexColor(style.colour),
                strokeColor=edge,
                strokeWidth=0.6,
            )
        )
        if key != "ok":
            _hatch(sheet, left + 0.3, bottom, right - left - 0.6, tall, edge if missed else white)
    sheet.add(Line(_LEFT, bottom, WIDTH - _RIGHT, bottom, strokeColor=_GRID, strokeWidth=0.5))
    sheet.add(Line(_LEFT - 3, bottom + height - 2, _LEFT, bottom + height - 2, strokeColor=_QUIET, strokeWidth=0.5))
    _text(sheet, f"{most} parts" if most > 1 else "1 part", _LEFT - 5, bottom + height - 4.2, 6.3, _QUIET, end=True)


def _hatch(sheet: Drawing, left: float, bottom: float, width: float, height: float, colour: Color) -> None:
    """Lines at 45 degrees, cut at the edges of the bar."""
    start = bottom - width
    while start < bottom + height:
        low, high = max(start, bottom), min(start + width, bottom + height)
        if high - low > 0.4:
            x = left + low - start
            sheet.add(Line(x, low, x + high - low, high, strokeColor=colour, strokeWidth=0.5))
        start += 3.0


def _columns(values: Sequence[float], axis: _Axis) -> list[tuple[float, int]]:
    """(score, place in its stack) for squares that do not overlap, from the lowest score up."""
    found, heights = [], {}
    for value in sorted(values):
        column = math.floor(axis.x(value) / (_DOT + 0.7))
        heights[column] = heights.get(column, 0) + 1
        found.append((value, heights[column]))
    return found


def _stacks_fit(values: Sequence[float], height: float, axis: _Axis) -> bool:
    return bool(values) and max(place for _, place in _columns(values, axis)) * (_DOT + 0.7) <= height


def _dots(sheet: Drawing, axis: _Axis, values: Sequence[float], threshold: float, bottom: float) -> None:
    colour = HexColor(STYLES["real"].colour)
    for value, place in _columns(values, axis):
        missed = value < threshold
        sheet.add(
            Rect(
                axis.x(value) - _DOT / 2,
                bottom + 0.6 + (place - 1) * (_DOT + 0.7),
                _DOT,
                _DOT,
                fillColor=white if missed else colour,
                strokeColor=colour,
                strokeWidth=1.0 if missed else 0.4,
            )
        )
    sheet.add(Line(_LEFT, bottom, WIDTH - _RIGHT, bottom, strokeColor=_GRID, strokeWidth=0.5))


def _mark(sheet: Drawing, key: str, x: float, y: float, r: float) -> None:
    """The symbol of one kind of evidence, filled, its middle at (x, y)."""
    look = {"fillColor": HexColor(STYLES[key].colour), "strokeColor": HexColor(STYLES[key].outline), "strokeWidth": 0.4}
    shapes = {
        "circle": lambda: Circle(x, y, r, **look),
        "diamond": lambda: Polygon([x, y - 1.2 * r, x + 1.2 * r, y, x, y + 1.2 * r, x - 1.2 * r, y], **look),
        "square": lambda: Rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r, **look),
        "triangle-up": lambda: Polygon([x - r, y - 0.8 * r, x + r, y - 0.8 * r, x, y + r], **look),
    }
    sheet.add(shapes[STYLES[key].symbol]())


def _text(
    sheet: Drawing,
    text: str,
    x: float,
    y: float,
    size: float,
    colour: Color,
    *,
    middle: bool = False,
    end: bool = False,
) -> None:
    x -= width(text, size) * (0.5 if middle else 1.0 if end else 0.0)
    for name, piece in fonts.runs(text):
        sheet.add(String(x, y, piece, fontName=name, fontSize=size, fillColor=colour))
        x += stringWidth(piece, name, size)
