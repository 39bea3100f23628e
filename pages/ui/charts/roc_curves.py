"""ROC curves with their bands and the operating point."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from calibration.resampling import BootstrapBand
from calibration.types import Auroc, RateBound, RocBand
from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import evenly, figure, heading

MAX_VERTICES = 400  # of an ROC curve
MAX_POINTWISE = 120  # of each limit of a bootstrap band


def roc(
    bands: list[tuple[str, str, RocBand, Auroc]],
    operating: list[tuple[str, str, RateBound, RateBound]],
    *,
    zoom_fpr: float = 0.05,
    pointwise: Mapping[str, BootstrapBand | None] | None = None,
) -> go.Figure:
    """ROC curves with their bands: all of it on the left, the part a line can afford on the right.

    A band that fills the right window from edge to edge is not drawn there: a sentence says so instead.

    Parameters
    ----------
    bands : list of (key, label, RocBand, Auroc)
        ``key`` is "synthetic" or "real".
    operating : list of (key, label, fpr, recall)
        The threshold in use, per curve: two RateBound, drawn as a marker with its exact limits.
    zoom_fpr : float
        Right end of the enlarged part, in (0, 1).
    pointwise : mapping of str to (BootstrapBand or None), optional
        Label of a curve -> its bootstrap band, drawn as two dotted lines; None draws nothing.

    Raises
    ------
    ShapeError
        If ``pointwise`` names a curve that is not drawn.
    """
    pointwise = {label: band for label, band in (pointwise or {}).items() if band is not None}
    if unknown := sorted(pointwise.keys() - {label for _, label, _, _ in bands}):
        raise ShapeError(f"ROC: expected pointwise bands of drawn curves only, got {', '.join(unknown)}")
    areas, lines, full = [], [], []
    drawn: set[str] = set()
    for key, label, band, area in bands:
        kept = thinned(band.curve.fpr, band.curve.recall, zoom_fpr)
        areas.append(_band_area(key, label, band, kept))
        if _band_fills(band, zoom_fpr):
            full.append(f"{label}: {area.n_ok} OK and {area.n_ng} NG are too few")
        else:
            areas.append(_in_window(areas[-1]))
        # several curves of one origin share the colour, so the dash tells them apart
        dash = theme.STYLES[key].dash if key not in drawn else "dot"
        drawn.add(key)
        line = _roc_line(key, label, band, area, kept, dash)
        lines += [line, _in_window(line)]
        if label in pointwise:
            limits = _pointwise_limits(key, label, pointwise[label], "dot" if dash != "dot" else "2px,7px")
            lines += [limits, _in_window(limits)]
    for key, label, fpr, recall in operating:
        point = _operating_point(key, label, fpr, recall)
        lines += [point, _in_window(point)]
    x_axis = {"showgrid": True, "title": {"text": "good parts rejected (FPR), %"}}
    y_axis = {"title": {"text": "NG caught (recall), %"}, "range": [-1, 101.5]}
    zoom = 100 * zoom_fpr
    layout = {
        "xaxis": x_axis | {"domain": [0, 0.4], "range": [-1, 101]},
        "xaxis2": x_axis | {"domain": [0.47, 1], "range": [-0.01 * zoom, 1.01 * zoom], "anchor": "y2"},
        "yaxis": y_axis,
        "yaxis2": y_axis | {"anchor": "x2"},
        "annotations": [
            heading("All thresholds", 0.2),
            heading(f"Enlarged: below {zoom:g} % of good parts rejected", 0.735),
        ],
        "shapes": [
            {"type": "line", "x0": 0, "y0": 0, "x1": 100, "y1": 100}
            | {"line": {"color": theme.GRID, "width": 2, "dash": "dot"}},
            {"type": "rect", "x0": 0, "y0": 0, "x1": zoom, "y1": 100, "layer": "below"}
            | {"line": {"width": 0}, "fillcolor": theme.fill("threshold", 0.25)},
        ],
    }
    if full:
        only = ["The dotted lines hold pointwise only: at one point, not along the curve."] if pointwise else []
        text = "<br>".join(["No band here, it would fill this window.", *full, *only])
        place = {"xref": "x2", "yref": "y2", "x": zoom, "y": 2, "xanchor": "right", "yanchor": "bottom"}
        layout["annotations"].append(place | {"text": text, "showarrow": False, "align": "right"})
    subtitle = "Cross: one-sided limits at the threshold in use"
    if bands:
        sure = f"{100 * bands[0][2].confidence:g} %"
        subtitle = f"Shaded: the whole true curve lies in here with {sure} confidence. {subtitle}"
    title = "What each threshold costs and catches (ROC)"
    entries = len(bands) + len(operating) + len(pointwise)
    layout["legend"] = {"orientation": "v", "tracegroupgap": 0}  # its lines are long
    return figure(areas + lines, layout, title, subtitle, height=560, top=104, legend_rows=entries)


def thinned(fpr: np.ndarray, recall: np.ndarray, zoom_fpr: float) -> np.ndarray:
    """At most ``MAX_VERTICES`` positions, evenly along the curve as it looks in the two panels."""
    if len(fpr) <= MAX_VERTICES:
        return np.arange(len(fpr))
    seen = fpr + np.minimum(fpr, zoom_fpr) / zoom_fpr + 2 * recall  # rises along the curve
    kept = np.searchsorted(seen, np.linspace(seen[0], seen[-1], MAX_VERTICES))
    kept[0], kept[-1] = 0, len(fpr) - 1
    return np.unique(kept)


def _band_fills(band: RocBand, zoom_fpr: float) -> bool:
    """True if neither edge of the band crosses the window below ``zoom_fpr``."""
    has_floor = band.recall_low[band.fpr_high < zoom_fpr].max(initial=0) > 0
    has_ceiling = band.recall_high[band.fpr_low <= 0].max() < 1
    return not (has_floor or has_ceiling)


def _band_area(key: str, label: str, band: RocBand, kept: np.ndarray) -> dict:
    """Area between the best and the worst curve, both led to the corners (0, 0) and (1, 1)."""
    return {
        "type": "scatter",
        "x": 100 * np.concatenate([[0], band.fpr_low[kept], [1], band.fpr_high[kept][::-1], [0]]),
        "y": 100 * np.concatenate([[0], band.recall_high[kept], [1], band.recall_low[kept][::-1], [0]]),
        "mode": "lines",
        "line": {"width": 1.5, "color": theme.fill(key, 0.6), "dash": theme.STYLES[key].dash},
        "fill": "toself",
        "fillcolor": theme.fill(key, 0.14),
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": f"{key} {label}",
    }


def _roc_line(key: str, label: str, band: RocBand, area: Auroc, kept: np.ndarray, dash: str) -> dict:
    style = theme.STYLES[key]
    limits = f"{100 * area.confidence:g} %: {area.low:.3f} to {area.high:.3f}"
    return {
        "type": "scatter",
        "x": 100 * band.curve.fpr[kept],
        "y": 100 * band.curve.recall[kept],
        "mode": "lines",
        "name": f"{label}: AUROC {area.auroc:.3f} ({limits}), n = {area.n_ok} OK, {area.n_ng} NG",
        "line": {"color": style.outline, "width": 3.5, "dash": dash},
        "customdata": band.curve.thresholds[kept],
        "hovertemplate": (
            f"{label}, threshold %{{customdata:.4g}}<br>"
            "rejects %{x:.2f} % of good parts, catches %{y:.1f} %<extra></extra>"
        ),
        "legendgroup": f"{key} {label}",
    }


def _pointwise_limits(key: str, label: str, band: BootstrapBand, dash: str) -> dict:
    """Lower limit out to (1, 1), where both limits meet, and the upper one back: one line."""
    kept = evenly(len(band.fpr), MAX_POINTWISE)
    return {
        "type": "scatter",
        "x": 100 * np.concatenate([band.fpr[kept], band.fpr[kept][::-1]]),
        "y": 100 * np.concatenate([band.low[kept], band.high[kept][::-1]]),
        "mode": "lines",
        "name": f"{label}: pointwise {100 * band.confidence:g} %, bootstrap of {band.draws:,} draws",
        "line": {"width": 1.5, "color": theme.STYLES[key].outline, "dash": dash},
        "hoverinfo": "skip",
        "legendgroup": f"{key} {label}",
    }


def _operating_point(key: str, label: str, fpr: RateBound, recall: RateBound) -> dict:
    style = theme.STYLES[key]
    said = f"{fpr.k} of {fpr.n} good parts rejected, {recall.k} of {recall.n} caught"
    limits = f"rejected: up to {100 * fpr.high:.1f} %, caught: at least {100 * recall.low:.1f} %"
    # both curves share their FPR, so one cross lies on the other: the lower one is broad and pale
    colour, thickness = (theme.fill(key, 0.55), 6) if key == "synthetic" else (style.colour, 2)
    return {
        "type": "scatter",
        "x": [100 * fpr.estimate],
        "y": [100 * recall.estimate],
        "mode": "markers",
        "name": f"{label}: {said}",
        "marker": {"symbol": style.symbol, "size": 15, "color": style.colour}
        | {"line": {"width": 2, "color": "#FFFFFF"}},
        "error_x": _limits(fpr, colour, thickness),
        "error_y": _limits(recall, colour, thickness),
        "hovertemplate": (f"{label}: {said}<br>{limits} (each {100 * fpr.confidence:g} %, one-sided)<extra></extra>"),
        "cliponaxis": False,
    }


def _limits(rate: RateBound, colour: str, thickness: int) -> dict:
    above, below = 100 * (rate.high - rate.estimate), 100 * (rate.estimate - rate.low)
    return {"type": "data", "symmetric": False, "array": [above], "arrayminus": [below]} | {
        "color": colour,
        "thickness": thickness,
        "width": 6,
    }


def _in_window(trace: dict) -> dict:
    return trace | {"xaxis": "x2", "yaxis": "y2", "showlegend": False}
