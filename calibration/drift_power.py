"""What a look at the line can see: the smallest shift of all scores, the parts it takes, and the answer in three words.

"Nothing seen" says little before it is known what would have been seen; both are found by simulating the very alarm.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.checks import checked_rate, checked_scores
from calibration.drift import DRAWS, LEVEL, DriftTest, drift_test, p_values, permuted_names
from calibration.errors import CalibrationError

Verdict = Literal["alarm", "nothing seen", "cannot tell"]
ALARM, NOTHING_SEEN, CANNOT_TELL = "alarm", "nothing seen", "cannot tell"
POWER = 0.9
_LOOKS = 200  # simulated: the share seen is known to +- 0.02 at 0.9
_NULL = 999
_STEPS = 7  # halvings of the logarithm of the ratio: the shift is known to 4 %
_RATIO = 128.0
_APART = 1e-9  # of the range, between equal scores
_MOST = 1024  # parts in a window that are still tried


@dataclass(frozen=True, slots=True)
class Drift:
    """A look's test, and what it could have seen.

    up, down : smallest shift of all scores that nine of ten such looks see, in the unit of the scores; None if none is
    margin : from the median of the reference to the threshold: a shift that would make half of the good parts NG; None
        where the threshold does not lie above the median
    needed : parts in a window that sees a shift of ``margin``, both ways; None if no window does with this reference
    """

    verdict: Verdict
    test: DriftTest
    up: float | None
    down: float | None
    margin: float | None
    needed: int | None


class LookSimulator:
    """Looks at parts like those of the reference, all shifted by one amount.

    Reference and window are both drawn from the reference with replacement, so that its own luck counts; ties are
    broken at random. Permutations of the first look serve all: they give the laws of the ranks, which hardly differ
    between looks. Counts at or above the threshold and in the review band do differ; their law is hypergeometric.
    """

    def __init__(
        self,
        reference: np.ndarray,
        n_window: int,
        threshold: float,
        *,
        rng: np.random.Generator,
        review_from: float | None = None,
        level: float = LEVEL,
    ) -> None:
        self._ends = (threshold,) if review_from is None else (threshold, review_from)
        self._level, self._w = level, n_window
        size = (_LOOKS, reference.size + n_window)
        apart = _APART * (float(np.ptp(reference)) or 1.0)
        self._drawn = rng.choice(reference, size=size) + rng.uniform(0, apart, size)
        self._names = permuted_names(size[1], n_window, rng=rng, draws=_NULL)
        self._in_window = np.arange(size[1]) >= reference.size

    def seen(self, shift: float) -> float:
        """Share of looks that alarm."""
        moved = self._drawn + shift * self._in_window
        order = np.argsort(moved, axis=1)
        windows = order >= self._drawn.shape[1] - self._w  # (looks, n), in the order of the scores
        below = np.stack([(moved < end).sum(1) for end in self._ends])  # (1 or 2, looks)
        null = untied_statistics(self._names, below[:, :1])
        least = np.sort(p_values(null, null).min(1))
        by_rank = p_values(untied_statistics(windows, below)[:, :2], null[:, :2])
        each = [*((1 + _NULL * by_rank) / (1 + _NULL)).T, *self._p_of_counts(windows, below)]
        p = (1 + np.searchsorted(least, np.min(each, axis=0), side="right")) / (1 + _NULL)
        return float(np.mean(p <= self._level))

    def _p_of_counts(self, windows: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Two-sided p of the window's parts at or above the threshold, and in the review band, (1 or 2, looks)."""
        from scipy.stats import hypergeom

        n = windows.shape[1]
        k, held = counts(windows, below)
        away, mean = np.abs(k - held * self._w / n) - 1e-9, held * self._w / n
        low, high = np.floor(mean - away), np.ceil(mean + away)
        return np.minimum(hypergeom.cdf(low, n, held, self._w) + hypergeom.sf(high - 1, n, held, self._w), 1.0)

    def smallest(self, most: float, *, sign: int) -> float | None:
        """Smallest shift up to ``most`` that ``POWER`` of the looks see; None if not even ``most`` is seen."""
        if self.seen(sign * most) < POWER:
            return None
        low, high = most / _RATIO, most
        for _ in range(_STEPS):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self.seen(sign * middle) >= POWER else (middle, high)
        return high


def counts(windows: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Window parts at or above the threshold, and in the review band; and all parts there. Each (1 or 2, k)."""
    n = windows.shape[1]
    cumulated = np.concatenate([np.zeros((len(windows), 1), int), windows.cumsum(1)], axis=1)
    below = np.broadcast_to(below, (len(below), len(windows)))
    ends = [np.full(len(windows), n), below[0]][: len(below)]
    rows = np.arange(len(windows))
    k = [cumulated[rows, end] - cumulated[rows, start] for start, end in zip(below, ends, strict=True)]
    held = [end - start for start, end in zip(below, ends, strict=True)]
    return np.array(k), np.array(held)


def untied_statistics(windows: np.ndarray, below: np.ndarray) -> np.ndarray:
    """``calibration.drift.statistics`` of k looks without ties, at one time.

    Parameters
    ----------
    windows : ndarray of shape (k, n), bool
        Which part is of the window, in the order of the scores.
    below : ndarray of shape (1 or 2, k or 1)
        Parts below the threshold, and below the review band.

    Returns
    -------
    ndarray of shape (k, 3 or 4)
    """
    n, w = windows.shape[1], windows.sum(1)
    bulk = np.broadcast_to(below[0], len(windows))[:, None].astype(np.float64)  # (k, 1)
    rank = np.arange(1.0, n + 1)
    m = windows.cumsum(1, dtype=np.float64)
    inside = np.where(rank <= bulk, windows, 0.0)
    k = inside.sum(1)
    variance = k * (bulk[:, 0] - k) * (bulk[:, 0] + 1) / 12
    z = np.abs(inside @ rank - k * (bulk[:, 0] + 1) / 2) / np.sqrt(np.where(variance > 0, variance, np.inf))
    squares = (bulk * m - k[:, None] * rank) ** 2
    weights = np.where(rank < bulk, rank * (bulk - rank), np.inf)
    both = k * (bulk[:, 0] - k)
    darling = (squares / weights).sum(1) / np.where(both > 0, both, np.inf)
    of_kind, held = counts(windows, below)
    spread = held * w / n * (n - held) / n * (n - w) / max(n - 1, 1)
    excess = np.abs(of_kind - held * w / n) / np.sqrt(np.where(spread > 0, spread, np.inf))
    return np.stack([z, darling, *excess], axis=1)


def drift(
    reference: np.ndarray,
    window: np.ndarray,
    threshold: float,
    *,
    rng: np.random.Generator,
    review_from: float | None = None,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Drift:
    """Test a window of the line's scores, and say what the test can see at this number of parts.

    Parameters, errors and source as of ``calibration.drift.drift_test``.

    Returns
    -------
    Drift
        "cannot tell" where there is no alarm and a shift of ``margin`` would not be seen either.

    Examples
    --------
    >>> good = np.random.default_rng(0).normal(20, 2, 300)
    >>> few = drift(good[:200], good[200:202], 26.0, rng=np.random.default_rng(1))
    >>> few.verdict, few.test.n_window, few.needed
    ('cannot tell', 2, 3)
    """
    test = drift_test(reference, window, threshold, rng=rng, review_from=review_from, level=level, draws=draws)
    reference = np.asarray(reference, np.float64)
    looks = LookSimulator(reference, np.size(window), threshold, rng=rng, review_from=review_from, level=level)
    most = 2 * float(np.ptp(reference)) or 1.0
    up, down = (looks.smallest(most, sign=sign) for sign in (1, -1))
    margin = threshold - float(np.median(reference))
    margin = margin if 0 < margin < math.inf else None
    sees = up is not None and down is not None and (margin is None or max(up, down) <= margin)
    verdict = ALARM if test.alarm else NOTHING_SEEN if sees else CANNOT_TELL
    needed = None
    if margin is not None and verdict == CANNOT_TELL:
        needed = needed_window(
            reference, margin, threshold, rng=rng, review_from=review_from, level=level, above=np.size(window)
        )
    return Drift(verdict, test, up, down, margin, needed)


def needed_window(
    reference: np.ndarray,
    shift: float,
    threshold: float,
    *,
    rng: np.random.Generator,
    review_from: float | None = None,
    level: float = LEVEL,
    above: int = 0,
) -> int | None:
    """Fewest parts of which nine of ten looks see a shift of all scores, up and down.

    Parameters
    ----------
    reference : ndarray of shape (n,)
    shift : float
        Above 0, in the unit of the scores.
    threshold, review_from, level
        As of ``calibration.drift.drift_test``.
    rng : numpy.random.Generator
    above : int
        Parts that are known to be too few.

    Returns
    -------
    int or None
        By simulation; None if 1024 parts are too few, as where the reference itself is too small.

    Raises
    ------
    CalibrationError
        If the scores are none, the shift is not above 0, or the level is none.
    """
    reference = checked_scores(reference, "reference scores").astype(np.float64)
    level = checked_rate(level, "level")
    if not shift > 0:
        raise CalibrationError(f"shift: expected a number above 0, got {shift}")

    def sees(n: int) -> bool:
        looks = LookSimulator(reference, n, threshold, rng=rng, review_from=review_from, level=level)
        return min(looks.seen(shift), looks.seen(-shift)) >= POWER

    low, high = above, max(1, 2 * above)
    while not sees(high):  # double, then halve
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sees(middle) else (middle, high)
    return high
