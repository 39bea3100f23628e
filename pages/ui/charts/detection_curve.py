"""Probability of detection against the size or strength of graded spots, with each hit and each miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go

from calibration.pod import PodCurve
from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import figure, number

_FARTHEST = 0.5  # a mark beyond the data by more than this share of their span is named, not drawn
_GOLDEN = 0.618034  # its multiples modulo 1 spread evenly, however many there are
_STRIP = 9.0  # height of a strip of hits or misses, in % of the POD axis
_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9))


@dataclass(frozen=True, slots=True)
class _Mark:
    """How one number of the curve is marked; ``height`` is the % of spots found there."""

    field: str
    name: str
    height: int
    symbol: str
    glyph: str
    dash: str
    side: str
    meaning: str


_MARKS = (
    _Mark("a50", "a50", 50, "circle", "●", "dot", "right", "half of such spots are found"),
    _Mark("a90", "a90", 90, "triangle-up", "▲", "dash", "left", "nine of ten are found"),
    _Mark(
        "a90_95",
        "a90/95",
        90,
        "star",
        "★",
        "solid",
        "right",
        "with 95 % confidence<br>\u2003 nine of ten such spots are found",
    ),
)


def pod(
    curve: PodCurve,
    *,
    graded_a: np.ndarray,
    graded_found: np.ndarray,
    real_a: np.ndarray | None = None,
    real_found: np.ndarray | None = None,
    real_names: Sequence[str] = (),
    threshold: float,
    unit: str,
) -> go.Figure:
    """POD curve with its limits; above it the NG that were found, below it those that were missed.

    Without a curve: the hits, the misses and the reason. Where a dot stands within its strip means nothing.

    Parameters
    ----------
    curve : PodCurve
        Of ``graded_a`` and ``graded_found``.
    graded_a, graded_found : ndarray of shape (n,), float and bool
        Measure of each graded spot, and whether it was found at ``threshold``.
    real_a, real_found : ndarray of shape (m,), float and bool, or None
        The same of real NG. They share the axis; the curve knows nothing of them.
    real_names : sequence of m str
        Their files, for the hover.
    threshold : float
    unit : str
        Of the measure, "" for a ratio.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other or the curve, or a measure cannot stand on the axis.
    """
    _check("graded", graded_a, graded_found, curve)
    if (len(graded_a), np.count_nonzero(graded_found)) != (curve.n, curve.n_found):
        raise ShapeError(
            f"POD chart: expected the graded spots of the curve, {curve.n_found} of {curve.n} found, "
            f"got {np.count_nonzero(graded_found)} of {len(graded_a)}"
        )
    traces, every = [], graded_a
    has_real = real_a is not None and len(real_a) > 0
    if has_real:
        _check("real", real_a, real_found, curve)
        if len(real_names) != len(real_a):
            raise ShapeError(f"POD chart: expected one name per real NG, got {len(real_names)} for {len(real_a)}")
        every = np.concatenate([graded_a, real_a])

    low, high = _reach(curve, every)
    layout = {
        "xaxis": _measure_axis(low, high, curve, unit),
        "yaxis": _pod_axis(2 if has_real else 1),
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": share, "y1": share, "layer": "below"}
            | {"line": {"width": 1, "color": theme.GRID}}
            for share in (0, 50, 90, 100)
        ],
    }
    if curve.reason:
        text = "<br>".join(wrap(escape(f"No curve: {curve.reason}", quote=False), 64))
        place = {"x": 0.5, "xanchor": "center", "y": 70, "yanchor": "middle", "align": "center"}
    else:
        drawn = [mark for mark in _MARKS if _stands(curve, mark, low, high)]
        traces += [*_curve(curve, unit), *(_mark(curve, mark, low, high) for mark in drawn)]
        text = "<br>".join(_said(curve, mark, unit, is_drawn=mark in drawn) for mark in _MARKS)
        place = _free_side(curve, drawn, low, high)
    layout["annotations"] = [place | {"text": text, "xref": "paper", "showarrow": False}]
    traces.append(_hits("synthetic", "graded spots", graded_a, graded_found, [], curve, unit))
    if has_real:
        traces.append(_hits("real", "real NG", real_a, real_found, real_names, curve, unit))
    title = f"Probability of detection of graded spots at threshold {number(threshold)}"
    subtitle = "How large or how strong a made-up spot must be to be found: not evidence about real defects"
    return figure(
        traces, layout, title, subtitle, height=620 if has_real else 560, top=84, legend_rows=2 if has_real else 1
    )


def _check(name: str, a: np.ndarray, found: np.ndarray | None, curve: PodCurve) -> None:
    shape = None if found is None else found.shape
    if a.ndim != 1 or not a.size or shape != a.shape or found.dtype != np.bool_:
        raise ShapeError(
            f"POD chart: expected one bool per {name} NG that says whether it was found, "
            f"got {shape} for measures of shape {a.shape}"
        )
    if not np.isfinite(a).all() or (curve.log_scale and a.min() <= 0):
        raise ShapeError(
            f"POD chart: expected finite{' positive' if curve.log_scale else ''} measures of {name} NG; "
            "leave out the NG without one"
        )


def _on_axis(a: float, curve: PodCurve) -> float:
    return float(np.log10(a)) if curve.log_scale else a


def _reach(curve: PodCurve, a: np.ndarray) -> tuple[float, float]:
    """Ends of the axis, in log10 on a log scale: all NG, and the marks that are not too far from them."""
    low, high = _on_axis(float(a.min()), curve), _on_axis(float(a.max()), curve)
    if low == high:
        low, high = low - 0.5, high + 0.5
    farthest = _FARTHEST * (high - low)
    values = [_on_axis(value, curve) for mark in _MARKS if (value := getattr(curve, mark.field)) is not None]
    ends = [low, high, *(value for value in values if low - farthest <= value <= high + farthest)]
    low, high = min(ends), max(ends)
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _stands(curve: PodCurve, mark: _Mark, low: float, high: float) -> bool:
    value = getattr(curve, mark.field)
    return value is not None and low <= _on_axis(value, curve) <= high


def _measure_axis(low: float, high: float, curve: PodCurve, unit: str) -> dict:
    in_unit = f" ({unit})" if unit and unit not in curve.measure.split() else ""
    axis = {"title": {"text": f"{curve.measure}{in_unit}"}, "range": [low, high], "showgrid": False}
    if not curve.log_scale:
        return axis
    ticks = _log_ticks(low, high)
    return axis | {"type": "log", "tickvals": ticks, "ticktext": [_plain(tick) for tick in ticks]}


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between 10^low and 10^high: the fewest kinds that give at least five."""
    for steps in _STEPS:
        decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= np.log10(tick) <= high]
        if len(ticks) >= 5:
            return ticks
    return np.geomspace(10**low, 10**high, 7)[1:-1].tolist()


def _plain(value: float) -> str:
    """Three significant digits, never with a power of ten."""
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def _pod_axis(strips: int) -> dict:
    """POD from 0 to 100 %, with room beyond both ends for the NG missed and found."""
    middle, end = strips * _STRIP / 2 + 2, strips * _STRIP + 4
    ticks = [0, 25, 50, 75, 90, 100]
    return {
        "title": {"text": "spots found (POD), %"},
        "range": [-end, 100 + end],
        "showgrid": False,
        "tickvals": [-middle, *ticks, 100 + middle],
        "ticktext": ["missed", *map(str, ticks), "found"],
    }


def _curve(curve: PodCurve, unit: str) -> list[dict]:
    style = theme.STYLES["synthetic"]
    sure = f"{100 * curve.confidence:g} %"
    area = {
        "type": "scatter",
        "x": np.concatenate([curve.a, curve.a[::-1]]),
        "y": 100 * np.concatenate([curve.high, curve.low[::-1]]),
        "mode": "lines",
        "name": f"limits at each measure, {sure} each, one-sided, n = {curve.n}",
        "line": {"width": 1.5, "color": theme.fill("synthetic", 0.7), "dash": "dot"},
        "fill": "toself",
        "fillcolor": theme.fill("synthetic", 0.16),
        "hoverinfo": "skip",
    }
    fitted = {
        "type": "scatter",
        "x": curve.a,
        "y": 100 * curve.pod,
        "mode": "lines",
        "name": f"POD, fitted, n = {curve.n}",
        "line": {"width": 3.5, "color": style.outline, "simplify": False},
        "customdata": 100 * np.column_stack([curve.low, curve.high]),
        "hovertemplate": (
            f"{curve.measure} %{{x:.3g}} {unit}<br>%{{y:.0f}} % found, "
            f"limits %{{customdata[0]:.0f}} to %{{customdata[1]:.0f}} % ({sure} each)<extra></extra>"
        ),
    }
    return [area, fitted]


def _mark(curve: PodCurve, mark: _Mark, low: float, high: float) -> dict:
    style, value = theme.STYLES["synthetic"], getattr(curve, mark.field)
    place = (_on_axis(value, curve) - low) / (high - low)
    side = "left" if place > 0.9 else "right" if place < 0.1 else mark.side  # the name stays inside the axis
    return {
        "type": "scatter",
        "x": [value, value],
        "y": [0, mark.height],
        "mode": "lines+markers+text",
        "line": {"width": 2, "color": style.outline, "dash": mark.dash},
        "marker": {"symbol": mark.symbol, "size": [0, 15], "color": style.colour}
        | {"opacity": 1, "line": {"width": 1.5, "color": "#FFFFFF"}},  # by default, unequal sizes turn pale
        "text": ["", f"<b>{mark.name}</b>"],
        "textposition": f"{'top' if side == 'left' and place <= 0.9 else 'bottom'} {side}",
        "hovertemplate": f"{mark.name} = %{{x:.4g}}: {mark.meaning}<extra></extra>",
        "showlegend": False,
    }


def _said(curve: PodCurve, mark: _Mark, unit: str, *, is_drawn: bool) -> str:
    value = getattr(curve, mark.field)
    if value is None:
        return f"{mark.glyph} <b>{mark.name}</b> is not reached"
    if not is_drawn:
        return f"{mark.glyph} <b>{mark.name}</b> lies far beyond what was tested"
    beyond = "" if curve.tested[0] <= value <= curve.tested[1] else " (extrapolated)"
    quantity = f"{_plain(value)} {unit}".rstrip()
    return f"{mark.glyph} <b>{mark.name} = {quantity}</b>{beyond}: {mark.meaning}"


def _free_side(curve: PodCurve, drawn: list[_Mark], low: float, high: float) -> dict:
    """Right of the curve and below it, or left of it and above it."""
    marked = [(_on_axis(getattr(curve, mark.field), curve) - low) / (high - low) for mark in drawn]
    if marked and 1 - max(marked) > min(marked):
        return {"x": 0.995, "xanchor": "right", "y": 12, "yanchor": "bottom", "align": "left"}
    return {"x": 0.01, "xanchor": "left", "y": 88, "yanchor": "top", "align": "left"}


def _hits(
    key: str, label: str, a: np.ndarray, found: np.ndarray, names: Sequence[str], curve: PodCurve, unit: str
) -> dict:
    """One dot per NG, above 100 % or below 0 %; real NG in a strip of their own outside that of the graded ones."""
    style = theme.STYLES[key]
    order = np.argsort(-a, kind="stable")  # from the largest on: the legend shows the first, most likely found
    a, found = a[order], found[order]
    out = 2 + (key == "real") * (_STRIP + 1) + (_STRIP - 2) * (np.arange(1, len(a) + 1) * _GOLDEN % 1)
    verdicts = np.where(found, "found", "missed").tolist()
    names = [names[i] for i in order] if names else [label.removesuffix("s")] * len(a)
    return {
        "type": "scatter",
        "x": a,
        "y": np.where(found, 100 + out, -out),
        "mode": "markers",
        "name": f"{label}: {np.count_nonzero(found)} of {len(a)} found (open: missed)",
        "marker": {
            "symbol": np.where(found, style.symbol, style.symbol + "-open").tolist(),
            "size": 9 if len(a) <= 150 else 6,
            "color": style.colour,
            "opacity": 0.85 if len(a) <= 150 else 0.6,
            "line": {"width": np.where(found, 1, 2), "color": style.outline},
        },
        "customdata": list(zip(names, verdicts, strict=True)),
        "hovertemplate": (
            f"<b>%{{customdata[0]}}</b>, %{{customdata[1]}}<br>{curve.measure} %{{x:.3g}} {unit}<extra></extra>"
        ),
    }
