"""Have the line's scores moved away from those of the record? One alarm at a stated rate of false alarms per look.

Reference and window are pooled; if nothing changed, which part stands where is chance alone, so the names are permuted.
Bulk (below the threshold) and tail are looked at apart: NG among the line's parts are no drift of its good ones.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.checks import checked_rate, checked_scores, checked_threshold
from calibration.errors import CalibrationError
from calibration.rules import is_ng

LOCATION, SHAPE, REJECTED, REVIEW = "location", "shape", "rejected", "review"
LEVEL = 0.01
DRAWS = 1999  # a combined p of 0.01 is then the 20th of 2000
_CELLS = 2_000_000  # labels held at a time
_DIGITS = 9  # equal statistics differ by rounding alone

Direction = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Change:
    """One statistic of the window beside the reference.

    key : LOCATION and SHAPE, of the parts below the threshold; REJECTED, at or above it; REVIEW, in the review band
    reference, window : LOCATION: median of the bulk, None without a part in it; SHAPE: its interquartile range, as
        well; REJECTED, REVIEW: share of all parts
    direction : of the window; "" where the two are equal or cannot be compared
    p : chance of as large a difference either way if the parts are exchangeable
    adjusted_p : the same of any of the statistics: at most ``level`` of looks have one at most ``level``
    """

    key: str
    reference: float | None
    window: float | None
    direction: Direction
    p: float
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class DriftTest:
    """p : of all statistics together, the smallest ``adjusted_p``; ``alarm``: p <= level."""

    p: float
    level: float
    alarm: bool
    changes: tuple[Change, ...]
    n_reference: int
    n_window: int
    draws: int


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """What permuting the names leaves as it is: the pooled scores, sorted.

    n : parts in all
    bulk : parts below the threshold
    ends : (j,) int      parts at or below each distinct score of the bulk, the last one left out
    held : (j,) int      parts with that score
    midranks : (bulk,) float64
    review : parts in the review band, which end the bulk; None without a band
    """

    n: int
    bulk: int
    ends: np.ndarray
    held: np.ndarray
    midranks: np.ndarray
    review: int | None


def pool(ordered: np.ndarray, threshold: float, review_from: float | None) -> Pooled:
    """Of sorted scores of shape (n,)."""
    bulk = int(np.count_nonzero(~is_ng(ordered, threshold)))
    _, place, held = np.unique(ordered[:bulk], return_inverse=True, return_counts=True)
    ends = held.cumsum()
    midranks = (ends - (held - 1) / 2)[place]
    review = None if review_from is None else bulk - int(np.searchsorted(ordered[:bulk], review_from))
    return Pooled(ordered.size, bulk, ends[:-1], held[:-1], midranks, review)


def statistics(pooled: Pooled, in_window: np.ndarray) -> np.ndarray:
    """Statistics of k ways to name the pooled scores, large where the window differs.

    Parameters
    ----------
    in_window : ndarray of shape (k, n), bool
        In the order of the scores; as many True in each row.

    Returns
    -------
    ndarray of shape (k, 3) or (k, 4)
        |z| of the rank sum of the window's bulk; two-sample Anderson-Darling statistic of the bulk (equation 6 of
        Scholz and Stephens); |z| of the window's parts at or above the threshold; and of those in the review band.
    """
    rows = max(1, _CELLS // pooled.n)
    parts = [_statistics(pooled, in_window[a : a + rows]) for a in range(0, len(in_window), rows)]
    return np.round(np.concatenate(parts), _DIGITS)


def _statistics(pooled: Pooled, in_window: np.ndarray) -> np.ndarray:
    bulk = in_window[:, : pooled.bulk]
    window = bulk.sum(1)
    w = int(in_window[0].sum())
    columns = [
        _rank_sum(pooled, bulk, window),
        _anderson_darling(pooled, bulk, window),
        _excess(w - window, pooled.n - pooled.bulk, w, pooled.n),
    ]
    if pooled.review is not None:
        in_band = bulk[:, pooled.bulk - pooled.review :].sum(1)
        columns.append(_excess(in_band, pooled.review, w, pooled.n))
    return np.stack(columns, axis=1)


def _rank_sum(pooled: Pooled, bulk: np.ndarray, window: np.ndarray) -> np.ndarray:
    n = pooled.bulk
    if n < 2:
        return np.zeros(len(bulk))
    ranks = pooled.midranks - (n + 1) / 2
    variance = window * (n - window) / (n - 1) * np.mean(ranks**2)
    return np.abs(bulk.astype(np.float64) @ ranks) / np.sqrt(np.where(variance > 0, variance, np.inf))


def _anderson_darling(pooled: Pooled, bulk: np.ndarray, window: np.ndarray) -> np.ndarray:
    n, b = pooled.bulk, pooled.ends  # N and B_j of the paper
    if not b.size:
        return np.zeros(len(bulk))
    m = bulk.cumsum(1, dtype=np.int32)[:, b - 1]  # (k, j), M_1j
    squares = (n * m.astype(np.float64) - window[:, None] * b) ** 2
    sums = squares @ (pooled.held / (b * (n - b).astype(np.float64)))
    both = (window * (n - window)).astype(np.float64)
    return sums / np.where(both > 0, both, np.inf)


def _excess(in_window: np.ndarray, held: int, w: int, n: int) -> np.ndarray:
    """|z| of the hypergeometric count: ``held`` of n parts are of a kind, ``in_window`` of w are."""
    variance = held * w / n * (n - held) / n * (n - w) / max(n - 1, 1)
    return np.abs(in_window - held * w / n) / (np.sqrt(variance) if variance > 0 else np.inf)


def permuted_names(n: int, w: int, *, rng: np.random.Generator, draws: int) -> np.ndarray:
    """``draws`` random windows of w among n parts, (draws, n) bool."""
    return rng.permuted(np.broadcast_to(np.arange(n) < w, (draws, n)), axis=1)


def drift_test(
    reference: np.ndarray,
    window: np.ndarray,
    threshold: float,
    *,
    rng: np.random.Generator,
    review_from: float | None = None,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> DriftTest:
    """Test whether the line's parts still score like the good parts of the record.

    Parameters
    ----------
    reference : ndarray of shape (n,)
        Scores of good parts outside the memory bank, as the record keeps them.
    window : ndarray of shape (w,)
        Scores of the line, good parts and the few NG among them.
    threshold, review_from : float
        Of the record. The review band is [review_from, threshold); None where it has none.
    rng : numpy.random.Generator
        Drives the permutations.
    level : float
        In (0, 1): false alarms per look, at most, if all parts are good and exchangeable with those of the record.
    draws : int
        Permutations; ``level`` below 1 / (draws + 1) never gives an alarm.

    Returns
    -------
    DriftTest

    Raises
    ------
    CalibrationError
        Scores that are empty, not 1-D or not finite, a threshold that is none, a band that does not end at the
        threshold, or a level or number of draws that is none.

    Notes
    -----
    The smallest of the p-values is itself compared with the smallest ones of all permutations, the scores as they came
    among them, so the level is exact for any distribution and with ties (P. H. Westfall and S. S. Young,
    Resampling-Based Multiple Testing, 1993; B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010),
    article 39, for the added one). It holds over the draw of reference and window: one reference serves all looks, so
    where it lies by luck somewhat low or high, false alarms come more often, and in rows.
    Statistic of the shape: F. W. Scholz and M. A. Stephens, J. Am. Stat. Assoc. 82 (1987), 918-924.

    Examples
    --------
    >>> good = np.random.default_rng(0).normal(20, 2, 300)
    >>> found = drift_test(good[:200], good[200:] - 1.5, 26.0, rng=np.random.default_rng(1))
    >>> found.alarm, found.changes[0].key, found.changes[0].direction
    (True, 'location', 'lower')
    """
    reference = checked_scores(reference, "reference scores").astype(np.float64)
    window = checked_scores(window, "scores of the line").astype(np.float64)
    threshold, level = checked_threshold(threshold), checked_rate(level, "level")
    if review_from is not None and not checked_threshold(review_from) < threshold:
        raise CalibrationError(f"review band: expected it to begin below the threshold {threshold}, got {review_from}")
    if draws < 1:
        raise CalibrationError(f"draws: expected at least 1, got {draws}")
    scores = np.concatenate([reference, window])
    order = np.argsort(scores, kind="stable")
    pooled = pool(scores[order], threshold, review_from)
    observed = statistics(pooled, (order >= reference.size)[None])
    names = permuted_names(pooled.n, window.size, rng=rng, draws=draws)
    every = np.concatenate([observed, statistics(pooled, names)])
    each = p_values(every, every)  # (1 + draws, 3 or 4)
    least = np.sort(each.min(1))
    adjusted = np.searchsorted(least, each[0], side="right") / (draws + 1)
    facts = _facts(reference, window, threshold, review_from)
    changes = tuple(
        Change(key, before, now, _direction(before, now), float(p), float(a))
        for (key, before, now), p, a in zip(facts, each[0], adjusted, strict=True)
    )
    p = float(adjusted.min())
    return DriftTest(p, level, p <= level, changes, reference.size, window.size, draws)


def p_values(of: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Share of ``null`` (m, c) that is at least as large as each of ``of`` (k, c), column by column."""
    every = np.sort(null, axis=0)
    columns = [len(every) - np.searchsorted(every[:, c], of[:, c], side="left") for c in range(of.shape[1])]
    return np.stack(columns, axis=1) / len(every)


def _facts(
    reference: np.ndarray, window: np.ndarray, threshold: float, review_from: float | None
) -> list[tuple[str, float | None, float | None]]:
    both = (reference, window)
    bulks = [scores[~is_ng(scores, threshold)] for scores in both]
    facts = [
        (LOCATION, *(float(np.median(bulk)) if bulk.size else None for bulk in bulks)),
        (SHAPE, *(float(np.subtract(*np.quantile(bulk, [0.75, 0.25]))) if bulk.size else None for bulk in bulks)),
        (REJECTED, *(float(is_ng(scores, threshold).mean()) for scores in both)),
    ]
    if review_from is not None:
        in_band = [is_ng(scores, review_from) & ~is_ng(scores, threshold) for scores in both]
        facts.append((REVIEW, *(float(band.mean()) for band in in_band)))
    return facts


def _direction(before: float | None, now: float | None) -> Direction:
    if before is None or now is None or before == now:
        return ""
    return "higher" if now > before else "lower"
