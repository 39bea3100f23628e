"""Plain values -> plotly figures and map pictures. Bins and thins for display, and computes no other number.

A figure has no background and no text colour of its own, so Streamlit's light and dark theme both fit it.
Figures are put together as dictionaries and checked by plotly once: adding part by part takes ten times as
long, and the score chart is drawn anew at every move of the slider.
"""

from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, sequential

from calibration.rules import is_ng
from calibration.types import Auroc, RateBound, RocBand
from ias_core.errors import ShapeError
from pages.ui import theme

MAX_DOTS = 600  # more real NG than this are drawn as a histogram
MAX_CLOUD = 800  # points drawn per group of a projection
MAX_VERTICES = 400  # of an ROC curve
_BINS, _OK_BINS, _MAX_BINS = 80, 24, 240  # over the whole axis; at least over the OK scores; at most
_LABEL_GAP = 0.14  # two labelled dots are at least this share of the axis apart
_ROW_SHARE = {"ok": 0.42, "synthetic": 0.30, "real": 0.28}
_ROW_GAP = 0.05
_PILL = "#4A5361"  # white text on it: 7.9 : 1
_FONT_PX = 15  # readable from the last row of a meeting room


@dataclass(frozen=True, slots=True, eq=False)
class ScoreGroup:
    """Scores of one origin.

    key    : "ok", "synthetic" or "real"
    label  : as the legend shall say it, without n
    scores : (n,) float, feature distance; n = 0 is drawn as an empty row that says so
    names  : n file names, in the order of ``scores``
    """

    key: str
    label: str
    scores: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.key not in _ROW_SHARE:
            raise ShapeError(f"score group: expected a key of {', '.join(_ROW_SHARE)}, got {self.key!r}")
        if self.scores.ndim != 1 or len(self.names) != len(self.scores):
            raise ShapeError(
                f"score group {self.label}: expected one name per score, "
                f"got scores of shape {self.scores.shape} and {len(self.names)} names"
            )
        if not np.isfinite(self.scores).all():
            raise ShapeError(f"score group {self.label}: expected finite scores, got NaN or infinity")


def score_distribution(
    groups: list[ScoreGroup],
    threshold: float | None,
    recommended: float | None,
    *,
    unit: str = "feature distance",
) -> go.Figure:
    """Every score on one axis, a row per group, and the threshold through all of them.

    OK and synthetic NG are histograms; up to ``MAX_DOTS`` real NG are dots, open where they are missed.
    ``customdata[0]`` of a dot is its file, of a bar the file with the highest score in it. The axes depend on
    the scores and on ``recommended`` only, so nothing jumps while the threshold moves.

    Parameters
    ----------
    groups : list of ScoreGroup
        Top to bottom; at least one score in all.
    threshold, recommended : float or None
        In the unit of the scores. An infinite one is not drawn.
    unit : str

    Raises
    ------
    ShapeError
        If there is no score at all.
    """
    threshold = threshold if threshold is not None and np.isfinite(threshold) else None
    recommended = recommended if recommended is not None and np.isfinite(recommended) else None
    edges = _edges([g.scores for g in groups], next((g.scores for g in groups if g.key == "ok"), None))
    low, high = _axis_range(edges, recommended)
    layout = _rows([_ROW_SHARE[g.key] for g in groups], "images", f"image score ({unit})", (low, high))
    traces = []
    for row, group in enumerate(groups, start=1):
        if not len(group.scores):
            trace, axis = _empty_row(group)
            text = {"text": f"{group.label}: none yet", "x": (low + high) / 2, "y": 0.5, "yref": f"y{row}"}
            layout["annotations"].append(text | {"showarrow": False})
        elif group.key == "real" and len(group.scores) <= MAX_DOTS:
            trace, axis = _dots(group, threshold, edges)
        else:
            trace, axis = _bars(group, edges)
        traces.append(trace | {"yaxis": f"y{row}"})
        layout[f"yaxis{row}"] |= axis
    if threshold is not None:
        _mark_threshold(layout, threshold, low, high, is_recommended=threshold == recommended)
    if recommended is not None and threshold != recommended:
        _mark_recommended(layout, recommended, threshold)
    subtitle = "A part is NG when its score is at or right of the threshold"
    return _figure(traces, layout, "Image scores", subtitle, height=190 + 130 * len(groups), top=112)


def roc(
    bands: list[tuple[str, str, RocBand, Auroc]],
    operating: list[tuple[str, str, RateBound, RateBound]],
    *,
    zoom_fpr: float = 0.05,
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
    """
    areas, lines, full = [], [], []
    drawn: set[str] = set()
    for key, label, band, area in bands:
        kept = _thinned(band.curve.fpr, band.curve.recall, zoom_fpr)
        areas.append(_band_area(key, band, kept))
        if _band_fills(band, zoom_fpr):
            full.append(f"{label}: {area.n_ok} OK and {area.n_ng} NG are too few")
        else:
            areas.append(_in_window(areas[-1]))
        # several curves of one origin share the colour, so the dash tells them apart
        dash = theme.STYLES[key].dash if key not in drawn else "dot"
        drawn.add(key)
        line = _roc_line(key, label, band, area, kept, dash)
        lines += [line, _in_window(line)]
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
            _heading("All thresholds", 0.2),
            _heading(f"Enlarged: below {zoom:g} % of good parts rejected", 0.735),
        ],
        "shapes": [
            {"type": "line", "x0": 0, "y0": 0, "x1": 100, "y1": 100}
            | {"line": {"color": theme.GRID, "width": 2, "dash": "dot"}},
            {"type": "rect", "x0": 0, "y0": 0, "x1": zoom, "y1": 100, "layer": "below"}
            | {"line": {"width": 0}, "fillcolor": theme.fill("threshold", 0.25)},
        ],
    }
    if full:
        text = "<br>".join(["No band here, it would fill this window.", *full])
        place = {"xref": "x2", "yref": "y2", "x": zoom, "y": 2, "xanchor": "right", "yanchor": "bottom"}
        layout["annotations"].append(place | {"text": text, "showarrow": False, "align": "right"})
    subtitle = "Cross: one-sided limits at the threshold in use"
    if bands:
        sure = f"{100 * bands[0][2].confidence:g} %"
        subtitle = f"Shaded: the whole true curve lies in here with {sure} confidence. {subtitle}"
    title = "What each threshold costs and catches (ROC)"
    return _figure(areas + lines, layout, title, subtitle, height=560, top=104)


def ruler(
    lambdas: np.ndarray,
    recall_by_region: dict[int, np.ndarray],
    threshold: float,
    smallest: dict[int, float | None],
    unit: str,
    *,
    n: int,
    target: float = 0.9,
) -> go.Figure:
    """How large a shift of the features must be to be found, one line per size of the shifted region.

    Parameters
    ----------
    lambdas : ndarray of shape (k,)
        Shift in units of R.
    recall_by_region : dict of int to ndarray of shape (k,)
        Region size in patches -> share of shifted images that are NG at ``threshold``, in [0, 1].
    threshold : float
    smallest : dict of int to (float or None)
        Region size -> smallest shift found with ``target`` recall; None if no tested shift reaches it.
    unit : str
        What R is, for the axis: "R = median OK patch distance = 8.1".
    n : int
        Shifted images behind each point.
    target : float
        Recall that counts as found, in (0, 1).
    """
    style = theme.STYLES["synthetic"]
    looks = (("diamond", "solid"), ("square", "dash"), ("circle", "dot"), ("triangle-up", "dashdot"))
    traces = []
    for place, (cells, recall) in enumerate(sorted(recall_by_region.items())):
        symbol, dash = looks[place % len(looks)]
        size = "1 patch" if cells == 1 else f"{cells} patches"
        found = smallest.get(cells)
        verdict = "not found at any tested shift" if found is None else f"found from {found:.3g} R on"
        traces.append(
            {
                "type": "scatter",
                "x": lambdas,
                "y": 100 * np.asarray(recall),
                "mode": "lines+markers",
                "name": f"{size}: {verdict}, n = {n} per point",
                "line": {"color": style.outline, "width": 3, "dash": dash},
                "marker": {"symbol": symbol, "size": 11, "color": style.colour, "line": _edge(style)},
                "hovertemplate": f"{size}, shift %{{x:.3g}} R<br>%{{y:.0f}} % of {n} found<extra></extra>",
            }
        )
    layout = {
        "xaxis": {
            "title": {"text": f"size of the feature shift (units of R; {unit})"},
            "rangemode": "tozero",
            "showgrid": True,
        },
        "yaxis": {"title": {"text": "shifted images found, %"}, "range": [-3, 106]},
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100 * target, "y1": 100 * target}
            | {"line": {"color": theme.STYLES["threshold"].colour, "width": 2, "dash": "dash"}}
        ],
        "annotations": [
            {"text": f"{100 * target:g} % counts as found", "xref": "paper", "x": 0.005, "xanchor": "left"}
            | {"y": 100 * target, "yanchor": "bottom", "showarrow": False}
        ],
    }
    title = f"Smallest feature shift found at threshold {_number(threshold)}"
    subtitle = "A ruler for the detector, computed in feature space: not evidence about real defects"
    return _figure(traces, layout, title, subtitle, height=440, top=84)


_CLOUD = {  # drawn in this order: label, marker
    "ok": ("OK patches", {"symbol": "circle", "size": 6, "color": theme.fill("ok", 0.75)}),
    "bank": (
        "memory bank patches",
        {"symbol": "x-thin", "size": 6, "line": {"width": 1.5, "color": theme.STYLES["threshold"].colour}},
    ),
    "synthetic": (
        "feature-space anomalies",
        {"symbol": "diamond", "size": 8, "color": theme.STYLES["synthetic"].colour}
        | {"line": {"width": 1, "color": theme.STYLES["synthetic"].outline}},
    ),
}


def projection(points: dict[str, np.ndarray], explained: tuple[float, float]) -> go.Figure:
    """Feature space seen along its two widest directions.

    Parameters
    ----------
    points : dict of str to ndarray of shape (n, 2)
        Keys "ok" (OK patches), "bank" (memory bank) and "synthetic" (feature-space anomalies). At most
        ``MAX_CLOUD`` of each, evenly taken, are drawn; the legend gives both numbers.
    explained : (float, float)
        Share of the variance along the two axes, in [0, 1].

    Raises
    ------
    ShapeError
        If a key is unknown or points are not (n, 2).
    """
    for key, cloud in points.items():
        if key not in _CLOUD or cloud.ndim != 2 or cloud.shape[1] != 2:
            keys = ", ".join(_CLOUD)
            raise ShapeError(f"projection: expected (n, 2) for {keys}, got {key!r} of shape {cloud.shape}")
    traces = []
    for key, (label, marker) in _CLOUD.items():
        cloud = points.get(key, np.empty((0, 2)))
        shown = _evenly(len(cloud), MAX_CLOUD)
        if not len(shown):
            continue
        drawn = "" if len(shown) == len(cloud) else f" ({len(shown)} drawn)"
        traces.append(
            {
                "type": "scatter",
                "x": cloud[shown, 0],
                "y": cloud[shown, 1],
                "mode": "markers",
                "name": f"{label}, n = {len(cloud):,}{drawn}",
                "marker": marker,
                "hovertemplate": f"{label}<br>%{{x:.3g}}, %{{y:.3g}}<extra></extra>",
            }
        )
    first, second = (f"{100 * share:.0f} % of the variance" for share in explained)
    layout = {
        "xaxis": {"title": {"text": f"principal axis 1 ({first}), feature distance"}, "showgrid": True},
        "yaxis": {"title": {"text": f"principal axis 2 ({second})"}, "scaleanchor": "x"},
        "legend": {"itemsizing": "constant"},
    }
    title = "OK patches, memory bank and feature-space anomalies"
    subtitle = "Two of many directions: points that overlap here may still be far apart"
    return _figure(traces, layout, title, subtitle, height=560, top=84)


def loo_histogram(
    ok_loo: np.ndarray | None,
    held_out: np.ndarray | None,
    check: np.ndarray | None,
    *,
    unit: str = "feature distance",
) -> go.Figure:
    """OK scores by where they come from, one row each: do leave-one-out scores tell the same as new parts?

    Parameters
    ----------
    ok_loo, held_out, check : ndarray of shape (n,), or None
        Scores of bank images left out one at a time, of calibration OK images and of check OK images.
    unit : str

    Raises
    ------
    ShapeError
        If there is no score at all.
    """
    sources = (
        ("leave-one-out (bank images)", "", ok_loo),
        ("held-out (calibration OK)", "\\", held_out),
        ("check OK", "-", check),
    )
    rows = [source for source in sources if source[2] is not None and len(source[2])]
    edges = _edges([scores for _, _, scores in rows], None)[::2]
    layout = _rows([1.0] * len(rows), "% of images", f"image score ({unit})", _axis_range(edges, None))
    style = theme.STYLES["ok"]
    traces = []
    for row, (label, hatch, scores) in enumerate(rows, start=1):
        counts, _ = np.histogram(scores, edges)
        filled = np.flatnonzero(counts)
        traces.append(
            {
                "type": "bar",
                "x": ((edges[:-1] + edges[1:]) / 2)[filled],
                "y": 100 * counts[filled] / len(scores),
                "width": np.diff(edges)[filled],
                "yaxis": f"y{row}",
                "name": f"{label}, n = {len(scores)}",
                "marker": _bar_marker(style, hatch),
                "customdata": np.column_stack([edges[filled], edges[filled + 1], counts[filled]]),
                "hovertemplate": (
                    "%{customdata[2]} images, score %{customdata[0]:.4g} to %{customdata[1]:.4g}<extra></extra>"
                ),
            }
        )
        layout[f"yaxis{row}"] |= {"matches": "y"} if row > 1 else {}
    title = "OK scores by source"
    subtitle = "The rows should lie above each other; a shifted row cannot stand in for new parts"
    return _figure(traces, layout, title, subtitle, height=160 + 120 * len(rows), top=84)


_STOPS = np.array([hex_to_rgb(colour) for colour in sequential.Plasma]) / 255  # (10, 3)
_TINTS = np.stack([np.interp(np.linspace(0, 9, 256), np.arange(10), channel) for channel in _STOPS.T], axis=1).astype(
    np.float32
)  # (256, 3)


def anomaly_overlay(image: np.ndarray, amap: np.ndarray, *, vmin: float, vmax: float, opacity: float) -> np.ndarray:
    """Picture with its anomaly map on top, on the colour scale the caller fixes for all pictures.

    The tint grows from none at ``vmin`` to ``opacity`` at ``vmax``, so the picture stays visible where the
    detector sees nothing. Scaling each picture by its own maximum would make every good part look defective.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3)
        float, RGB in [0, 1].
    amap : ndarray of shape (h, w)
        Feature distance.
    vmin, vmax : float
        vmin < vmax, the same for every picture on the page.
    opacity : float
        In [0, 1].

    Returns
    -------
    ndarray of shape (h, w, 3)
        uint8, RGB.

    Raises
    ------
    ShapeError
        If the shapes do not fit, the map holds a NaN, vmin >= vmax, or ``opacity`` is outside [0, 1].
    """
    if image.ndim != 3 or image.shape[2] != 3 or amap.shape != image.shape[:2]:
        raise ShapeError(f"overlay: expected shapes (h, w, 3) and (h, w), got {image.shape} and {amap.shape}")
    if not vmin < vmax:
        raise ShapeError(f"overlay: expected vmin < vmax, got {vmin} and {vmax}")
    if not 0 <= opacity <= 1:
        raise ShapeError(f"overlay: expected an opacity in [0, 1], got {opacity}")
    if not np.isfinite(amap).all():
        raise ShapeError("overlay: expected a finite anomaly map, got NaN or infinity")
    level = np.clip((amap - vmin) / (vmax - vmin), 0, 1)  # (h, w)
    tint = _TINTS[(level * 255).astype(np.uint8)]  # (h, w, 3)
    alpha = (opacity * level)[..., None]
    return np.rint(255 * np.clip((1 - alpha) * image + alpha * tint, 0, 1)).astype(np.uint8)


def colour_bar_caption(vmin: float, vmax: float) -> str:
    """One sentence that stands under every overlay.

    Examples
    --------
    >>> colour_bar_caption(4.0, 20.0)
    'Same colour scale on every picture: no tint at 4 or below, yellow at 20 or above (feature distance).'
    """
    return (
        f"Same colour scale on every picture: no tint at {vmin:.3g} or below, "
        f"yellow at {vmax:.3g} or above (feature distance)."
    )


def _number(value: float) -> str:
    """Four significant digits, trailing zeros kept, so that a moving number keeps its width."""
    return f"{value:#.4g}".removesuffix(".")


def _edges(groups: list[np.ndarray], ok: np.ndarray | None) -> np.ndarray:
    """Bin edges over all scores, fine enough that the OK scores keep a shape beside far-away NG."""
    filled = [scores for scores in groups if len(scores)]
    if not filled:
        raise ShapeError("score chart: expected at least one score, got none; score the images first")
    low, high = min(float(s.min()) for s in filled), max(float(s.max()) for s in filled)
    if low == high:
        half = 0.05 * abs(low) or 0.5
        low, high = low - half, high + half
    bins = _BINS
    if ok is not None and len(ok) and ok.max() > ok.min():
        bins = int(np.clip(_OK_BINS * (high - low) / float(ok.max() - ok.min()), _BINS, _MAX_BINS))
    return np.linspace(low, high, bins + 1)


def _axis_range(edges: np.ndarray, recommended: float | None) -> tuple[float, float]:
    low, high = float(edges[0]), float(edges[-1])
    if recommended is not None:
        low, high = min(low, recommended), max(high, recommended)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _rows(shares: list[float], y_title: str, x_title: str, x_range: tuple[float, float]) -> dict:
    """Layout of rows over one common x axis; row r uses axis ``y{r}``."""
    unit = (1 - _ROW_GAP * (len(shares) - 1)) / sum(shares)
    layout, top = {"annotations": [], "shapes": []}, 1.0
    for row, share in enumerate(shares, start=1):
        bottom = max(0.0, top - unit * share)
        layout[f"yaxis{row}"] = {"domain": [bottom, top], "nticks": 4, "title": {"text": y_title}}
        top = bottom - _ROW_GAP
    layout["xaxis"] = {"anchor": f"y{len(shares)}", "range": list(x_range), "title": {"text": x_title}}
    return layout


def _edge(style: theme.Style) -> dict:
    return {"width": 1, "color": style.outline}


def _bar_marker(style: theme.Style, hatch: str) -> dict:
    pattern = {"shape": hatch, "bgcolor": style.colour, "fgcolor": "white", "size": 8, "solidity": 0.2}
    return {"color": style.colour, "line": _edge(style), "pattern": pattern}


def _in_window(trace: dict) -> dict:
    return trace | {"xaxis": "x2", "yaxis": "y2", "showlegend": False}


def _heading(text: str, x: float) -> dict:
    place = {"x": x, "xref": "paper", "xanchor": "center", "y": 1.01, "yref": "paper", "yanchor": "bottom"}
    return place | {"text": text, "showarrow": False, "font": {"size": _FONT_PX + 1}}


def _bars(group: ScoreGroup, edges: np.ndarray) -> tuple[dict, dict]:
    style = theme.STYLES[group.key]
    bins = np.clip(np.searchsorted(edges, group.scores, side="right") - 1, 0, len(edges) - 2)
    order = np.argsort(group.scores, kind="stable")
    highest = dict(zip(bins[order].tolist(), order.tolist(), strict=True))  # the last one in a bin stays
    filled = sorted(highest)
    trace = {
        "type": "bar",
        "x": ((edges[:-1] + edges[1:]) / 2)[filled],
        "y": np.bincount(bins)[filled],
        "width": np.diff(edges)[filled],
        "name": f"{group.label}, n = {len(group.scores)}",
        "marker": _bar_marker(style, style.hatch),
        "customdata": [
            (group.names[highest[b]], float(group.scores[highest[b]]), float(edges[b]), float(edges[b + 1]))
            for b in filled
        ],
        "hovertemplate": (
            "%{y} images, score %{customdata[2]:.4g} to %{customdata[3]:.4g}<br>"
            "highest: <b>%{customdata[0]}</b>, score %{customdata[1]:.4g}<extra></extra>"
        ),
    }
    return trace, {"tickformat": "d", "range": [0, 1.25 * float(trace["y"].max())]}  # room for a label


def _dots(group: ScoreGroup, threshold: float | None, edges: np.ndarray) -> tuple[dict, dict]:
    style = theme.STYLES[group.key]
    columns = np.linspace(edges[0], edges[-1], _BINS + 1)
    order = np.argsort(group.scores, kind="stable")
    scores, names = group.scores[order], [group.names[i] for i in order]
    column = np.clip(np.searchsorted(columns, scores, side="right") - 1, 0, _BINS - 1)
    height = 1 + np.arange(len(scores)) - np.searchsorted(column, column, side="left")  # stacked per column
    if threshold is None:
        caught, verdicts, note = np.ones(len(scores), bool), [""] * len(scores), ""
    else:
        caught, note = is_ng(scores, threshold), " (open: missed)"
        verdicts = np.where(caught, "<br>caught", "<br>missed").tolist()
    trace = {
        "type": "scatter",
        "x": scores,
        "y": height,
        "mode": "markers+text",
        "name": f"{group.label}, n = {len(scores)}{note}",
        "text": _labels(scores, names, ~caught, float(edges[-1] - edges[0])),
        "textposition": "top center",
        "textfont": {"size": _FONT_PX - 1},
        "marker": {
            "symbol": np.where(caught, style.symbol, style.symbol + "-open").tolist(),
            "size": 11 if len(scores) <= 150 else 7,
            "color": style.colour,
            "line": {"width": np.where(caught, 1, 3), "color": style.outline},
        },
        "customdata": list(zip(names, verdicts, strict=True)),
        "hovertemplate": "<b>%{customdata[0]}</b>, score %{x:.4g}%{customdata[1]}<extra></extra>",
        "cliponaxis": False,
    }
    return trace, {"tickformat": "d", "range": [0, max(4.0, 1.35 * float(height.max()) + 0.5)]}


def _labels(scores: np.ndarray, names: list[str], missed: np.ndarray, span: float) -> list[str]:
    """File names of missed NG, from the lowest score on, as many as stand apart."""
    labels, last = [""] * len(names), -np.inf
    for i in np.flatnonzero(missed):
        if scores[i] - last >= _LABEL_GAP * span:
            short = names[i] if len(names[i]) <= 20 else names[i][:19] + "…"
            labels[i] = escape(short, quote=False)
            last = scores[i]
    return labels


def _empty_row(group: ScoreGroup) -> tuple[dict, dict]:
    style = theme.STYLES[group.key]
    marker = {"symbol": style.symbol, "size": 11, "color": style.colour}
    trace = {"type": "scatter", "x": [None], "y": [None], "mode": "markers", "marker": marker}
    axis = {"range": [0, 1], "showticklabels": False, "showgrid": False, "ticks": ""}
    return trace | {"name": f"{group.label}, n = 0"}, axis


def _mark_threshold(layout: dict, threshold: float, low: float, high: float, *, is_recommended: bool) -> None:
    """NG side shaded, line through all rows, and a label above it that stays inside the axis."""
    across = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    if threshold < high:
        side = {"type": "rect", "x0": max(threshold, low), "x1": high, "line": {"width": 0}, "layer": "below"}
        layout["shapes"].append(side | across | {"fillcolor": theme.fill("threshold", 0.16)})
    place = (threshold - low) / (high - low)
    if 0 <= place <= 1:
        line = {"line": {"color": theme.STYLES["threshold"].colour, "width": 4}}
        layout["shapes"].append({"type": "line", "x0": threshold, "x1": threshold} | across | line)
    is_too = " = recommended" if is_recommended else ""
    layout["annotations"].append(
        {
            "text": f"OK ← <b>threshold {_number(threshold)}</b>{is_too} → NG",
            "x": float(np.clip(threshold, low, high)),
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "xanchor": "left" if place < 0.15 else "right" if place > 0.85 else "center",
            "showarrow": False,
            "bgcolor": _PILL,
            "borderpad": 5,
            "font": {"size": _FONT_PX + 1, "color": "#FFFFFF"},
        }
    )


def _mark_recommended(layout: dict, recommended: float, threshold: float | None) -> None:
    left = threshold is not None and recommended < threshold  # the text stands on the side away from the line
    line = {"color": theme.STYLES["threshold"].colour, "width": 2, "dash": "dot"}
    across = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "line": line}
    layout["shapes"].append({"type": "line", "x0": recommended, "x1": recommended} | across)
    place = {"x": recommended, "xanchor": "right" if left else "left", "y": 1, "yref": "paper"}
    text = {"text": f"recommended {_number(recommended)}", "yanchor": "top", "showarrow": False}
    layout["annotations"].append(place | text)


def _thinned(fpr: np.ndarray, recall: np.ndarray, zoom_fpr: float) -> np.ndarray:
    """At most ``MAX_VERTICES`` positions, evenly along the curve as it looks in the two panels."""
    if len(fpr) <= MAX_VERTICES:
        return np.arange(len(fpr))
    seen = fpr + np.minimum(fpr, zoom_fpr) / zoom_fpr + 2 * recall  # rises along the curve
    kept = np.searchsorted(seen, np.linspace(seen[0], seen[-1], MAX_VERTICES))
    kept[0], kept[-1] = 0, len(fpr) - 1
    return np.unique(kept)


def _evenly(n: int, most: int) -> np.ndarray:
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def _band_fills(band: RocBand, zoom_fpr: float) -> bool:
    """True if neither edge of the band crosses the window below ``zoom_fpr``."""
    has_floor = band.recall_low[band.fpr_high < zoom_fpr].max(initial=0) > 0
    has_ceiling = band.recall_high[band.fpr_low <= 0].max() < 1
    return not (has_floor or has_ceiling)


def _band_area(key: str, band: RocBand, kept: np.ndarray) -> dict:
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
        "legendgroup": key,
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
        "legendgroup": key,
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


_TEMPLATE = theme.chart_template()


def _figure(traces: list[dict], layout: dict, title: str, subtitle: str, *, height: int, top: int) -> go.Figure:
    heading = {"text": title, "x": 0, "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
    heading |= {"pad": {"t": 8}, "font": {"size": 20}}
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom"}
    sizes = {"title": {"font": {"size": _FONT_PX}}, "tickfont": {"size": _FONT_PX - 1}}
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            layout[name] = axis | sizes | {"title": axis["title"] | sizes["title"]}
    return go.Figure(
        {
            "data": traces,
            "layout": layout
            | {
                "template": _TEMPLATE,
                "title": heading | {"subtitle": {"text": subtitle, "font": {"size": _FONT_PX}}},
                "font": {"size": _FONT_PX},
                "height": height,
                "margin": {"l": 70, "r": 24, "t": top, "b": 100},
                "legend": legend | {"font": {"size": _FONT_PX}} | layout.get("legend", {}),
                "hoverlabel": {"font": {"size": _FONT_PX}, "align": "left"},
                "showlegend": True,
                "bargap": 0,
                "uirevision": "keep",
            },
        }
    )
