"""Upper limits of the FPR that hold at every threshold at once, so also at one that was picked after a look.

The Clopper-Pearson limit of k of n rejected holds for a threshold fixed beforehand. A rule that searches the scores for
its threshold (Youden, a slider, a fit) picks where the limit happens to be wrong more often than its nominal rate. Here
every count gets the Clopper-Pearson limit at one stricter local level, so chosen that all n limits hold together with
the confidence asked for: the one-sided Berk-Jones (equal local levels) band. In the tail, where thresholds live, it is
much narrower than the Dvoretzky-Kiefer-Wolfowitz band.
Sources: R. H. Berk and D. H. Jones, Z. Wahrsch. verw. Gebiete 47 (1979), 47-59 (statistic); M. Noe, Ann. Math.
Statist. 43 (1972), 58-64 (recursion for the crossing probability, here in its Poisson form).
"""

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import newton
from scipy.special import betaincinv, gammaln

from calibration.bounds import rate_bound, upper_bound
from calibration.checks import checked_rate
from calibration.types import RateBound

_NEGLIGIBLE = 1e-11  # probability mass dropped in one step of the recursion


def coverage(local_level: float, n: int) -> float:
    """P(every one of the n limits holds) when each is the Clopper-Pearson limit at ``1 - local_level``.

    Exact for continuous scores; ties only raise it. The r-th largest of n OK scores has a true FPR V_(r) that is the
    r-th smallest of n uniforms, and its limit, for r - 1 scores above it, is the 1 - local_level quantile of
    Beta(r, n - r + 1): the probability that V_(r) stays below it for all r.

    Examples
    --------
    >>> round(coverage(0.05, 1), 6), coverage(0.05, 100) < 0.8
    (0.95, True)
    """
    ranks = np.arange(1, n + 1)
    limits = betaincinv(ranks, n - ranks + 1, 1.0 - local_level)  # rising with the rank
    # Poisson process of rate n: state = number of uniforms below the limit so far, at least r after the r-th limit.
    means = n * np.diff(limits, prepend=0.0)
    first, weights = 0, np.ones(1)  # weights[i] belongs to the state first + i
    for rank, mean in zip(ranks, means, strict=True):
        weights = np.convolve(weights, _poisson(float(mean)))
        short = max(0, int(rank) - first)
        weights, first = weights[short:], first + short
        kept = np.flatnonzero(weights > _NEGLIGIBLE * weights.max())
        weights, first = weights[kept[0] : min(kept[-1] + 1, n - first + 1)], first + int(kept[0])
    left = float(n * (1.0 - limits[-1]))
    states = np.arange(first, first + len(weights))
    rest = n - states
    log_poisson = rest * np.log(left) - left - gammaln(rest + 1) if left > 0.0 else np.where(rest == 0, 0.0, -np.inf)
    return float(weights @ np.exp(log_poisson) / np.exp(n * np.log(n) - n - gammaln(n + 1)))


@lru_cache(maxsize=256)
def local_level(n: int, confidence: float = 0.95) -> float:
    """Level of each of the n limits at which all of them hold together with ``confidence``.

    Examples
    --------
    >>> round(local_level(1), 6), 0.002 < local_level(147) < 0.01
    (0.05, True)
    """
    delta = 1.0 - checked_rate(confidence, "confidence")
    if n == 1:
        return delta

    def off(log_level: float) -> float:
        return math.log(1.0 - coverage(math.exp(log_level), n)) - math.log(delta)

    # Nearly a straight line of slope 0.85 in logarithms: about three secant steps, the last far shorter than ``tol``.
    start = math.log(0.3 * delta / math.log(n + 2.0))
    return math.exp(newton(off, start, x1=start - off(start) / 0.85, tol=1e-2))


def upper_bound_anywhere(k: int, n: int, confidence: float = 0.95) -> float:
    """Upper limit of the FPR where k of n OK scores lie at or above a threshold, however the threshold was found.

    Parameters and errors as in ``bounds.upper_bound``, which is the lower number for a threshold fixed beforehand.

    Examples
    --------
    >>> round(upper_bound_anywhere(3, 147), 3), round(upper_bound(3, 147), 3)
    (0.08, 0.052)
    """
    upper_bound(k, n, confidence)  # the same checks
    return upper_bound(k, n, 1.0 - local_level(int(n), float(confidence)))


def rate_bound_anywhere(k: int, n: int, confidence: float = 0.95) -> RateBound:
    """``bounds.rate_bound`` with the upper limit of ``upper_bound_anywhere``; the lower limit is not simultaneous."""
    fixed = rate_bound(k, n, confidence)
    return RateBound(
        k=fixed.k, n=fixed.n, low=fixed.low, high=upper_bound_anywhere(k, n, confidence), confidence=fixed.confidence
    )


def _poisson(mean: float) -> np.ndarray:
    """Poisson probabilities up to where they no longer count."""
    if mean <= 0.0:
        return np.ones(1)
    counts = np.arange(int(mean + 10.0 * math.sqrt(mean) + 18.0))
    return np.exp(counts * math.log(mean) - mean - gammaln(counts + 1))
