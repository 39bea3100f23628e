"""What a look at the line can see: the smallest shift of all scores, the parts it takes, and the answer in three words.

"Nothing seen" says little before it is known what would have been seen; both are found by simulating the very alarm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.checks import checked_rate, checked_scores
from calibration.drift import DRAWS, LEVEL, DriftTest, Pooled, drift_test, p_values, permuted_names, pool, statistics
from calibration.errors import CalibrationError

Verdict = Literal["alarm", "nothing seen", "cannot tell"]
ALARM, NOTHING_SEEN, CANNOT_TELL = "alarm", "nothing seen", "cannot tell"
POWER = 0.9
_LOOKS = 200  # simulated: the share seen is known to +- 0.02 at 0.9
_NULL = 999
_STEPS = 7  # halvings of the logarithm of the ratio: the shift is known to 4 %
_RATIO = 128.0
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

    Reference and window are both drawn from the reference with replacement, so that its own luck counts. Permutations
    of the first look serve all: they give the laws of the ranks, which hardly differ between looks. Counts at or above
    the threshold and in the review band do differ; their law is hypergeometric and known.
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
        self._threshold, self._review, self._level = threshold, review_from, level
        self._n, self._w = reference.size, n_window
        self._drawn = rng.choice(reference, size=(_LOOKS, self._n + n_window))
        self._names = permuted_names(self._n + n_window, n_window, rng=rng, draws=_NULL)

    def seen(self, shift: float) -> float:
        """Share of looks that alarm."""
        pools, windows = zip(*(self._look(scores, shift) for scores in self._drawn), strict=True)
        null = statistics(pools[0], self._names)
        least = np.sort(p_values(null, null).min(1))
        found = np.concatenate([statistics(pool, window[None]) for pool, window in zip(pools, windows, strict=True)])
        by_rank = (1 + _NULL * p_values(found[:, :2], null[:, :2])) / (1 + _NULL)
        each = [*by_rank.T, self._p_of_counts(pools, windows, in_review=False)]
        if self._review is not None:
            each.append(self._p_of_counts(pools, windows, in_review=True))
        p = (1 + np.searchsorted(least, np.min(each, axis=0), side="right")) / (1 + _NULL)
        return float(np.mean(p <= self._level))

    def _look(self, scores: np.ndarray, shift: float) -> tuple[Pooled, np.ndarray]:
        moved = np.concatenate([scores[: self._n], scores[self._n :] + shift])
        order = np.argsort(moved, kind="stable")
        return pool(moved[order], self._threshold, self._review), order >= self._n

    def _p_of_counts(self, pools: Sequence[Pooled], windows: Sequence[np.ndarray], *, in_review: bool) -> np.ndarray:
        """Two-sided p of the window's parts of one kind, (looks,)."""
        from scipy.stats import hypergeom

        ends = [(one.bulk - one.review, one.bulk) if in_review else (one.bulk, one.n) for one in pools]
        held = np.array([end - start for start, end in ends])
        k = np.array([window[start:end].sum() for window, (start, end) in zip(windows, ends, strict=True)])
        n, mean = self._n + self._w, held * self._w / (self._n + self._w)
        away = np.abs(k - mean) - 1e-9
        low, high = np.floor(mean - away), np.ceil(mean + away)
        p = hypergeom.cdf(low, n, held, self._w) + hypergeom.sf(high - 1, n, held, self._w)
        return np.minimum(p, 1.0)

    def smallest(self, most: float, *, sign: int) -> float | None:
        """Smallest shift up to ``most`` that ``POWER`` of the looks see; None if not even ``most`` is seen."""
        if self.seen(sign * most) < POWER:
            return None
        low, high = most / _RATIO, most
        for _ in range(_STEPS):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self.seen(sign * middle) >= POWER else (middle, high)
        return high


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
