"""The line after release: the run of its newest scores beside the record, and what each look saw."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from calibration.rules import is_ng
from ias_core.errors import ShapeError
from pages.services.watch_log import PastLook
from pages.ui import theme
from pages.ui.charts.figure import evenly, figure, heading, number, outline
from pages.ui.charts.rows import row_layout

MAX_DOTS = 3000  # of each verdict
_TICKS = 8
_SHARES = (0.62, 0.38)
_VERDICTS = {
    "nothing seen": ("ok", "circle"),
    "cannot tell": ("review", "triangle-up"),
    "alarm": ("threshold", "x"),
}


def score_run(
    scores: np.ndarray,
    names: Sequence[str],
    threshold: float,
    *,
    record: tuple[float, float, float] | None,
    review_from: float | None = None,
) -> go.Figure:
    """Every score of the window in order of time, threshold and review band across.

    Parameters
    ----------
    scores : ndarray of shape (w,)
        Oldest first.
    names : w strings
        For hover: file, and time where it is known.
    threshold, review_from : float
        Of the record.
    record : (float, float, float) or None
        Of the record's good scores below the threshold: 5 % lie below the first, half below the second, 5 % above the
        third.

    Raises
    ------
    ShapeError
        No score, or not one name for each.
    """
    if not len(scores) or len(names) != len(scores):
        raise ShapeError(f"run of scores: expected a name for each score, got {len(names)} for {len(scores)}")
    ng = is_ng(scores, threshold)
    review = np.zeros_like(ng) if review_from is None else is_ng(scores, review_from) & ~ng
    traces = [
        _dots(key, label, np.flatnonzero(of), scores, names)
        for key, label, of in (
            ("ok", "OK by score", ~ng & ~review),
            ("review", "review", review),
            ("real", "NG by score", ng),
        )
        if key != "review" or review_from is not None
    ]
    low, high = (float(end([*scores, *(record or ()), threshold])) for end in (min, max))
    margin = 0.06 * (high - low)
    across = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    grey = theme.STYLES["threshold"].colour
    shapes = [{"type": "line", "y0": threshold, "y1": threshold, "line": {"color": grey, "width": 4}}]
    subtitle = "A part is NG when its score is at or above the threshold"
    if record is not None:
        line = {"color": theme.STYLES["ok"].colour, "width": 2}
        shapes += [
            {"type": "line", "y0": y, "y1": y, "line": line | {"dash": dash}}
            for y, dash in zip(record, ("dot", "dash", "dot"), strict=True)
        ]
        subtitle = f"Good parts of the record: dashed their median {number(record[1])}, 90 % between the dotted lines"
    if review_from is not None:
        band = {"y0": review_from, "y1": threshold, "line": {"width": 0}, "fillcolor": theme.fill("review", 0.3)}
        shapes.insert(0, {"type": "rect"} | band)
        subtitle += "; shaded the review band"
    label = {"text": f"<b>threshold {number(threshold)}</b>, NG from here on", "y": threshold, "yanchor": "bottom"}
    layout = {
        "xaxis": {"title": {"text": "part, oldest first"}, "range": [0, len(scores) + 1]},
        "yaxis": {"title": {"text": "image score (feature distance)"}, "range": [low - margin, high + 2 * margin]},
        "shapes": [shape | across for shape in shapes],
        "annotations": [label | {"xref": "paper", "x": 1, "xanchor": "right", "showarrow": False}],
    }
    return figure(traces, layout, f"The newest {len(scores)} parts of the line", subtitle, height=440, top=84)


def _dots(key: str, label: str, places: np.ndarray, scores: np.ndarray, names: Sequence[str]) -> dict:
    style = theme.STYLES[key]
    shown = places[evenly(len(places), MAX_DOTS)] if len(places) else places
    return {
        "type": "scatter",
        "mode": "markers",
        "x": shown + 1 if len(shown) else [None],
        "y": scores[shown] if len(shown) else [None],
        "name": f"{label}, n = {len(places)}",
        "marker": {"symbol": style.symbol, "size": 9, "color": style.colour, "line": outline(style)},
        "customdata": [names[i] for i in shown],
        "hovertemplate": "<b>%{customdata}</b><br>score %{y:.4g}<extra></extra>",
    }


def look_history(looks: Sequence[PastLook]) -> go.Figure:
    """What each look saw, oldest first: the median of the bulk, and the share at or above the threshold.

    Raises
    ------
    ShapeError
        No look.
    """
    if not looks:
        raise ShapeError("history of looks: expected at least one look, got none")
    x_range = (0.4, len(looks) + 0.6)
    layout = row_layout(list(_SHARES), "", "look", x_range)
    traces = []
    for verdict, (key, symbol) in _VERDICTS.items():
        places = [i for i, one in enumerate(looks) if one.verdict == verdict]
        style = theme.STYLES[key]
        marker = {"symbol": symbol, "size": 13, "color": style.colour, "line": outline(style)}
        for row in (1, 2):
            values = [looks[i].median if row == 1 else 100 * looks[i].rejected for i in places]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers+text" if verdict == "alarm" and row == 1 else "markers",
                    "x": [i + 1 for i in places] or [None],
                    "y": values or [None],
                    "text": ["alarm"] * len(places),
                    "textposition": "top center",
                    "name": f"{verdict}, {len(places)} of {len(looks)} looks",
                    "legendgroup": verdict,
                    "showlegend": row == 1,
                    "marker": marker,
                    "customdata": [_told(looks[i]) for i in places],
                    "hovertemplate": "%{customdata}<extra></extra>",
                    "yaxis": f"y{row}",
                    "cliponaxis": False,
                }
            )
    x = list(range(1, len(looks) + 1))
    traces += [_seen_band(looks, x), *(_in_record(looks, x, row) for row in (1, 2))]
    ticks = [x[i] for i in evenly(len(looks), _TICKS)]
    layout["xaxis"] |= {"tickvals": ticks, "ticktext": [looks[i - 1].at[:16].replace("T", "<br>") for i in ticks]}
    layout["yaxis1"]["title"]["text"] = "median score"
    layout["yaxis2"]["title"]["text"] = "NG by score, %"
    layout["yaxis2"]["rangemode"] = "tozero"
    layout["annotations"].append(heading("parts below the threshold", 0.5))
    title = f"Looks at the line since release, n = {len(looks)}"
    subtitle = "Shaded: shifts that such a look often does not see. Each look has its own number of parts"
    return figure(traces, layout, title, subtitle, height=480, top=108, legend_rows=2)


def _told(look: PastLook) -> str:
    challenge = f"<br>{look.challenge_alarms} challenge parts failed" if look.challenge_alarms else ""
    median = "none" if look.median is None else f"{look.median:.4g}"
    return (
        f"<b>{look.at[:16].replace('T', ' ')}</b>, {escape(look.source)}, {look.n} parts<br>median {median}, "
        f"{round(look.rejected * look.n)} of {look.n} NG by score{challenge}"
    )


def _in_record(looks: Sequence[PastLook], x: list[int], row: int) -> dict:
    before = [look.median_before if row == 1 else 100 * look.rejected_before for look in looks]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x[0] - 0.5, *x, x[-1] + 0.5],
        "y": [before[0], *before, before[-1]],
        "name": "good parts in the record",
        "showlegend": row == 1,
        "line": {"color": theme.STYLES["ok"].colour, "dash": "dash", "width": 2},
        "hoverinfo": "skip",
        "yaxis": f"y{row}",
    }


def _seen_band(looks: Sequence[PastLook], x: list[int]) -> dict:
    """Around the record's median, as far as a shift would go unseen; where none is seen, no band."""
    known = [(i, look) for i, look in zip(x, looks, strict=True) if look.up is not None and look.down is not None]
    xs, ys = [], []
    for i, look in known:
        top, bottom = look.median_before + look.up, look.median_before - look.down
        xs += [i - 0.4, i - 0.4, i + 0.4, i + 0.4, None]
        ys += [bottom, top, top, bottom, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs or [None],
        "y": ys or [None],
        "fill": "toself",
        "fillcolor": theme.fill("ok", 0.12),
        "line": {"width": 0},
        "name": "shift not seen",
        "hoverinfo": "skip",
        "yaxis": "y1",
    }
