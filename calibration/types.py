"""Frozen results of the calibration package; every field in plain numbers, rates in [0, 1]."""

import math
from dataclasses import dataclass, field

import numpy as np

from calibration.checks import checked_choice
from calibration.errors import CalibrationError

OK_SOURCES = ("held-out", "leave-one-out")


@dataclass(frozen=True, slots=True)
class RateBound:
    """k of n parts: the estimate and its exact one-sided limits.

    low, high  : each holds on its own with ``confidence``; both at once with ``2 * confidence - 1``
    """

    k: int
    n: int
    low: float
    high: float
    confidence: float

    def __post_init__(self) -> None:
        if self.n < 1:
            raise CalibrationError("rate over zero parts: expected n >= 1; a rate needs at least one part")
        if not 0 <= self.k <= self.n:
            raise CalibrationError(f"rate: expected 0 <= k <= n, got k = {self.k}, n = {self.n}")

    @property
    def estimate(self) -> float:
        """k / n: what was seen, not what may be promised."""
        return self.k / self.n


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """ROC at every distinct score, thresholds falling, NG iff score >= threshold.

    thresholds : (k,) float64   thresholds[0] = inf flags nothing
    fpr        : (k,) float64   OK flagged / OK
    recall     : (k,) float64   NG caught / NG
    """

    thresholds: np.ndarray
    fpr: np.ndarray
    recall: np.ndarray

    def __post_init__(self) -> None:
        if not self.thresholds.shape == self.fpr.shape == self.recall.shape or self.thresholds.ndim != 1:
            raise CalibrationError(
                "ROC: expected three 1-D arrays of one length, got shapes "
                f"{self.thresholds.shape}, {self.fpr.shape}, {self.recall.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class RocBand:
    """ROC with a rectangle around every point; all rectangles hold at once with ``confidence``.

    The corners (fpr_high, recall_low) trace the worst curve, (fpr_low, recall_high) the best one.

    fpr_low, fpr_high, recall_low, recall_high : (k,) float64, in the order of ``curve``
    """

    curve: RocCurve
    fpr_low: np.ndarray
    fpr_high: np.ndarray
    recall_low: np.ndarray
    recall_high: np.ndarray
    confidence: float


@dataclass(frozen=True, slots=True)
class Auroc:
    """P(an NG score exceeds an OK score) + P(equal) / 2, with an approximate two-sided interval."""

    auroc: float
    low: float
    high: float
    n_ok: int
    n_ng: int
    confidence: float


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """One rule's threshold and what it is worth, or the reason why the rule gives none.

    rule         : key of ``rules.RULES``
    value        : threshold in the unit of the scores, to be used with >=; None needs a ``reason``
    params       : the rule's settings and fitted numbers, JSON-ready
    source       : where the OK scores came from: "held-out" or "leave-one-out"
    promise      : in words, what holds for the parts to come; empty without a value
    n_ok, n_ng   : OK scores and synthetic NG scores the rule saw (n_ng = 0: it saw none)
    expected_fpr : mean FPR this rule leads to; for fitted rules what the model says; for rules that search the scores
                   (k + 1) / (n + 1) with k OK at or above ``value``, which is a little low where OK and NG overlap
    fpr_upper_95 : one-sided 95 % limit of the true FPR at ``value``
    notes        : what limits the promise
    gap          : (lo, hi): every threshold in (lo, hi] decides the scores seen alike; ``value``: the middle
    """

    rule: str
    value: float | None
    params: dict
    source: str
    promise: str
    n_ok: int
    n_ng: int
    expected_fpr: float | None
    fpr_upper_95: float | None
    reason: str = ""
    notes: tuple[str, ...] = field(default=())
    gap: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        checked_choice(self.source, "source of the OK scores", OK_SOURCES)
        if self.value is None and not self.reason:
            raise CalibrationError(f"{self.rule}: a choice without a value needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise CalibrationError(f"{self.rule}: expected a finite threshold, got {self.value}")


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The threshold to use and why; ``choice.value`` is None where none can be recommended.

    advice : what to change so that there will be one, most promising first; empty where there is one
    """

    choice: ThresholdChoice
    why: str
    advice: tuple[str, ...] = ()
