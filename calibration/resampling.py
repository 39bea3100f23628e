"""Bootstrap of scores, OK and NG resampled separately: the band of an ROC, and how far a threshold moves.

A bootstrap says how much a number depends on which images were drawn. It is no bound: it cannot see a tail that no
image showed, and for a maximum it is inconsistent. Source: B. Efron, Ann. Statist. 7 (1979), 1-26.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.by_source import checked_sources
from calibration.checks import checked_rate, checked_scores
from calibration.choices import gap_at
from calibration.curves import roc_curve
from calibration.errors import CalibrationError

LEAST_NG = 10
_GRID = 201


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapBand:
    """Recall at given FPR, with the pointwise interval of the draws: each point on its own, not the whole curve.

    fpr, recall, low, high : (g,) float64
    """

    fpr: np.ndarray
    recall: np.ndarray
    low: np.ndarray
    high: np.ndarray
    confidence: float
    draws: int


def counts_of_draws(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n images occurs in each bootstrap sample, (draws, n) int."""
    if draws < 1:
        raise CalibrationError(f"draws: expected at least 1, got {draws}")
    drawn = rng.integers(0, n, size=(draws, n))
    drawn += n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n)


def counts_of_sources(place: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """As ``counts_of_draws`` where whole sources are drawn; ``place`` (n,) is the source of each image.

    Sources differ in size, so a row need not add up to n.
    """
    return counts_of_draws(int(place.max()) + 1, draws, rng)[:, place]


def _counts_of_ng(place: np.ndarray | None, n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    return counts_of_draws(n, draws, rng) if place is None else counts_of_sources(place, draws, rng)


def enough_ng(n: int, place: np.ndarray | None) -> bool:
    """Whether a bootstrap of these NG says anything: with few of them it resamples to nothing but themselves."""
    return (n if place is None else int(place.max()) + 1) >= LEAST_NG


def bootstrap_band(
    ok: np.ndarray,
    ng: np.ndarray,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    confidence: float = 0.95,
    grid: int = _GRID,
    sources: Sequence[str] | None = None,
) -> BootstrapBand | None:
    """Percentile band of the ROC from resampled images.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
    rng : numpy.random.Generator
    draws : int
    confidence : float
        In (0, 1), two-sided, of each point.
    grid : int
        FPR values from 0 to 1, denser towards 0; at least 2.
    sources : sequence of str, optional
        The real NG that each synthetic one was made from: these are resampled, not their pictures.

    Returns
    -------
    BootstrapBand or None
        None below 10 OK or 10 NG (sources, where they are given): so few resample to nothing but themselves.

    Examples
    --------
    >>> band = bootstrap_band(np.arange(50.0), np.arange(30.0, 80.0), rng=np.random.default_rng(0), draws=200)
    >>> bool((band.low <= band.recall).all() and (band.recall <= band.high).all())
    True
    """
    ok = np.sort(checked_scores(ok, "OK scores").astype(np.float64))
    ng = checked_scores(ng, "NG scores").astype(np.float64)
    place = checked_sources(sources, ng.size)
    order = np.argsort(ng, kind="stable")
    ng, place = ng[order], None if place is None else place[order]
    confidence = checked_rate(confidence, "confidence")
    if grid < 2:
        raise CalibrationError(f"grid: expected at least 2, got {grid}")
    if ok.size < LEAST_NG or not enough_ng(ng.size, place):
        return None
    fpr = np.linspace(0.0, 1.0, grid) ** 2  # a line lives at small FPR
    distinct, first = np.unique(ok, return_index=True)
    not_above = np.searchsorted(ng, distinct, side="right")  # NG that a threshold just above each OK score misses
    allowed_ok = -np.floor(fpr * ok.size + 1e-9)
    of_ok, of_ng = counts_of_draws(ok.size, draws, rng), _counts_of_ng(place, ng.size, draws, rng)
    recalls = np.empty((draws, grid))
    for i in range(draws):
        above = ok.size - np.cumsum(np.add.reduceat(of_ok[i], first))  # OK drawn above each distinct score
        lowest = np.searchsorted(-above, allowed_ok, side="left")  # just above it no more than the FPR is rejected
        missed = np.r_[0, np.cumsum(of_ng[i])]
        recalls[i] = 1.0 - missed[not_above[lowest]] / missed[-1]
    recalls[:, -1] = 1.0  # FPR 1: everything is rejected
    low, high = np.quantile(recalls, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0], axis=0)
    seen = _recall_at(ok, ng, fpr)
    return BootstrapBand(fpr, seen, np.minimum(low, seen), np.maximum(high, seen), confidence, draws)


def _recall_at(ok: np.ndarray, ng: np.ndarray, fpr: np.ndarray) -> np.ndarray:
    """Highest recall on the ROC at no more than each FPR."""
    curve = roc_curve(ok, ng)
    return curve.recall[np.searchsorted(curve.fpr, fpr + 1e-12, side="right") - 1]


def rank_thresholds(ok: np.ndarray, rank: int, *, rng: np.random.Generator, draws: int = 1000) -> np.ndarray:
    """The ``rank``-th largest score of each bootstrap sample, (draws,).

    Examples
    --------
    >>> drawn = rank_thresholds(np.arange(100.0), 3, rng=np.random.default_rng(0), draws=200)
    >>> drawn.shape, bool(drawn.max() <= 99.0)
    ((200,), True)
    """
    ok = np.sort(checked_scores(ok, "OK scores").astype(np.float64))[::-1]
    if not 1 <= rank <= ok.size:
        raise CalibrationError(f"rank: expected 1 to {ok.size}, got {rank}")
    reached = np.cumsum(counts_of_draws(ok.size, draws, rng), axis=1) >= rank
    return ok[np.argmax(reached, axis=1)]


def youden_thresholds(
    ok: np.ndarray,
    ng: np.ndarray,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    sources: Sequence[str] | None = None,
) -> np.ndarray:
    """Youden's threshold of each pair of bootstrap samples, (draws,), as ``synthetic_rules.youden`` picks it.

    The middle of the score gap with the largest recall - FPR, the highest among equals; NaN for a pair in which no
    threshold catches a larger share of NG than of OK. With ``sources`` these are resampled, not their pictures.

    Examples
    --------
    >>> found = youden_thresholds(np.arange(20.0), np.arange(30.0, 50.0), rng=np.random.default_rng(0), draws=50)
    >>> bool((found > 15.0).all() and (found < 40.0).all())
    True
    """
    ok, ng = (checked_scores(s, name).astype(np.float64) for s, name in ((ok, "OK scores"), (ng, "NG scores")))
    distinct, place = np.unique(np.concatenate([ok, ng]), return_inverse=True)
    falling, place = distinct[::-1], distinct.size - 1 - place
    of_ok = counts_of_draws(ok.size, draws, rng)
    of_ng = _counts_of_ng(checked_sources(sources, ng.size), ng.size, draws, rng)
    found = np.empty(draws)
    for i in range(draws):
        in_ok = np.bincount(place[: ok.size], of_ok[i], distinct.size)
        in_ng = np.bincount(place[ok.size :], of_ng[i], distinct.size)
        drawn = np.flatnonzero(in_ok + in_ng)
        index = np.cumsum(in_ng[drawn]) * ok.size - np.cumsum(in_ok[drawn]) * in_ng.sum()
        best = int(np.argmax(index))
        found[i] = gap_at(falling[drawn], best)[1] if index[best] > 0 else np.nan
    return found
