"""Plain values -> plotly figures and map pictures. Bins and thins for display, and computes no other number."""

from pages.ui.charts.detection_curve import pod
from pages.ui.charts.distribution import MAX_DOTS, ScoreGroup, score_distribution
from pages.ui.charts.enlarged import enlarged
from pages.ui.charts.feature_cloud import MAX_CLOUD, projection
from pages.ui.charts.ok_sources import loo_histogram
from pages.ui.charts.ranges import spreads
from pages.ui.charts.roc_curves import MAX_VERTICES, roc
from pages.ui.charts.shift_ruler import ruler
from pages.ui.charts.synthetic_ranks import transfer_ranks

__all__ = [
    "MAX_CLOUD",
    "MAX_DOTS",
    "MAX_VERTICES",
    "enlarged",
    "ScoreGroup",
    "loo_histogram",
    "pod",
    "projection",
    "roc",
    "ruler",
    "score_distribution",
    "spreads",
    "transfer_ranks",
]
