"""Rows of bars above each other over one axis of scores."""

import numpy as np

from ias_core.errors import ShapeError

BINS = 80  # over the whole axis
_OK_BINS, _MAX_BINS = 24, 240  # at least over the OK scores; at most over the whole axis
_ROW_GAP = 0.05


def bin_edges(groups: list[np.ndarray], ok: np.ndarray | None) -> np.ndarray:
    """Bin edges over all scores, fine enough that the OK scores keep a shape beside far-away NG."""
    filled = [scores for scores in groups if len(scores)]
    if not filled:
        raise ShapeError("score chart: expected at least one score, got none; score the images first")
    low, high = min(float(s.min()) for s in filled), max(float(s.max()) for s in filled)
    if low == high:
        half = 0.05 * abs(low) or 0.5
        low, high = low - half, high + half
    bins = BINS
    if ok is not None and len(ok) and ok.max() > ok.min():
        bins = int(np.clip(_OK_BINS * (high - low) / float(ok.max() - ok.min()), BINS, _MAX_BINS))
    return np.linspace(low, high, bins + 1)


def axis_range(edges: np.ndarray, recommended: float | None) -> tuple[float, float]:
    low, high = float(edges[0]), float(edges[-1])
    if recommended is not None:
        low, high = min(low, recommended), max(high, recommended)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def row_layout(shares: list[float], y_title: str, x_title: str, x_range: tuple[float, float]) -> dict:
    """Layout of rows over one common x axis; row r uses axis ``y{r}``."""
    unit = (1 - _ROW_GAP * (len(shares) - 1)) / sum(shares)
    layout, top = {"annotations": [], "shapes": []}, 1.0
    for row, share in enumerate(shares, start=1):
        bottom = max(0.0, top - unit * share)
        layout[f"yaxis{row}"] = {"domain": [bottom, top], "nticks": 4, "title": {"text": y_title}}
        top = bottom - _ROW_GAP
    layout["xaxis"] = {"anchor": f"y{len(shares)}", "range": list(x_range), "title": {"text": x_title}}
    return layout
