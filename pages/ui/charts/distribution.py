"""Every score on one axis, with the threshold through all of them."""

from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go

from calibration.rules import is_ng
from ias_core.errors import ShapeError
from pages.ui import theme
from pages.ui.charts.figure import FONT_PX, bar_marker, figure, number, pill
from pages.ui.charts.rows import BINS, axis_range, bin_edges, row_layout

MAX_DOTS = 600  # more real NG than this are drawn as a histogram
_LABEL_GAP = 0.14  # two labelled dots are at least this share of the axis apart
_ROW_SHARE = {"ok": 0.42, "synthetic": 0.30, "real": 0.28}


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
    review_from: float | None = None,
    unit: str = "feature distance",
) -> go.Figure:
    """Every score on one axis, a row per group, and the threshold through all of them.

    OK and synthetic NG are histograms; up to ``MAX_DOTS`` real NG are dots, open where they are missed.
    ``customdata[0]`` of a dot is its file, of a bar the file with the highest score in it. The axes depend on
    the scores and on ``recommended`` only, so nothing jumps while the threshold moves or a review band comes.

    Parameters
    ----------
    groups : list of ScoreGroup
        Top to bottom; at least one score in all.
    threshold, recommended : float or None
        In the unit of the scores. An infinite one is not drawn.
    review_from : float or None
        Parts from here up to the threshold go to a person. Nothing is drawn where it is not below the threshold.
    unit : str

    Raises
    ------
    ShapeError
        If there is no score at all.
    """
    threshold = threshold if threshold is not None and np.isfinite(threshold) else None
    recommended = recommended if recommended is not None and np.isfinite(recommended) else None
    edges = bin_edges([g.scores for g in groups], next((g.scores for g in groups if g.key == "ok"), None))
    low, high = axis_range(edges, recommended)
    layout = row_layout([_ROW_SHARE[g.key] for g in groups], "images", f"image score ({unit})", (low, high))
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
    subtitle = "A part is NG when its score is at or right of the threshold"
    if review_from is not None and threshold is not None and max(review_from, low) < min(threshold, high):
        start = max(review_from, low)
        _mark_review(layout, start, min(threshold, high), has_room=start - low > 0.12 * (high - low))
        subtitle += "; in the review band a person decides"
    if threshold is not None:
        _mark_threshold(layout, threshold, low, high, is_recommended=threshold == recommended)
    if recommended is not None and threshold != recommended:
        _mark_recommended(layout, recommended, threshold)
    return figure(traces, layout, "Image scores", subtitle, height=190 + 130 * len(groups), top=112)


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
        "marker": bar_marker(style, style.hatch),
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
    columns = np.linspace(edges[0], edges[-1], BINS + 1)
    order = np.argsort(group.scores, kind="stable")
    scores, names = group.scores[order], [group.names[i] for i in order]
    column = np.clip(np.searchsorted(columns, scores, side="right") - 1, 0, BINS - 1)
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
        "text": _labels(scores, height, names, ~caught, float(edges[-1] - edges[0])),
        "textposition": "top center",
        "textfont": {"size": FONT_PX - 1},
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


def _labels(scores: np.ndarray, height: np.ndarray, names: list[str], missed: np.ndarray, span: float) -> list[str]:
    """File names of missed NG, from the lowest score on, as many as stand apart and under no other dot."""
    labels, last = [""] * len(names), -np.inf
    first, end = (np.searchsorted(scores, scores + side * _LABEL_GAP * span / 2) for side in (-1, 1))
    for i in np.flatnonzero(missed):
        if scores[i] - last >= _LABEL_GAP * span and height[first[i] : end[i]].max(initial=0) <= height[i]:
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
            "text": f"OK ← <b>threshold {number(threshold)}</b>{is_too} → NG",
            "x": float(np.clip(threshold, low, high)),
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "xanchor": "left" if place < 0.15 else "right" if place > 0.85 else "center",
            "showarrow": False,
        }
        | pill()
    )


def _mark_review(layout: dict, start: float, end: float, *, has_room: bool) -> None:
    """Shaded up to the threshold, its start dotted; the word stands below the line where "recommended" may stand."""
    style = theme.STYLES["review"]
    across = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    layout["shapes"] += [
        {"type": "rect", "x0": start, "x1": end, "line": {"width": 0}, "fillcolor": theme.fill("review", 0.3)} | across,
        {"type": "line", "x0": start, "x1": start}
        | across
        | {"line": {"color": style.outline, "width": 2.5, "dash": style.dash}},
    ]
    place = {"x": start, "xanchor": "right" if has_room else "left", "y": 1, "yref": "paper", "yanchor": "top"}
    text = {"text": f"{style.glyph} review →", "yshift": -22, "showarrow": False}
    layout["annotations"].append(place | text)


def _mark_recommended(layout: dict, recommended: float, threshold: float | None) -> None:
    left = threshold is not None and recommended < threshold  # the text stands on the side away from the line
    line = {"color": theme.STYLES["threshold"].colour, "width": 2, "dash": "dot"}
    across = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "line": line}
    layout["shapes"].append({"type": "line", "x0": recommended, "x1": recommended} | across)
    place = {"x": recommended, "xanchor": "right" if left else "left", "y": 1, "yref": "paper"}
    text = {"text": f"recommended {number(recommended)}", "yanchor": "top", "showarrow": False}
    layout["annotations"].append(place | text)
