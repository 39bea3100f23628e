"""Beta and beta-prime models of OK scores by moments, and an exact-refit goodness-of-fit test.

Both families are one: a scale taken from the scores maps them to u in (0, 1), where u ~ Beta(a, b). Beta
divides by twice the maximum; beta-prime uses X ~ BetaPrime(a, b) iff X / (1 + X) ~ Beta(a, b), with the
median as scale. Goodness of fit is a parametric bootstrap: W. Stute, W. Gonzalez Manteiga and M. Presedo
Quindimil, Metrika 40 (1993), 243-256.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincc, betainccinv

# p is a multiple of 1/200: fine enough for a yes or no at 5 %, and 5 % is one of the multiples.
_N_REFITS = 199


@dataclass(frozen=True, slots=True)
class Family:
    """How scores reach (0, 1) and come back; rows are samples: (..., n) scores, (...,) scale."""

    scale: Callable[[np.ndarray], np.ndarray]
    to_unit: Callable[[np.ndarray, np.ndarray], np.ndarray]
    from_unit: Callable[[np.ndarray, np.ndarray], np.ndarray]


BETA = Family(
    scale=lambda scores: 2.0 * scores.max(axis=-1),
    to_unit=lambda scores, scale: scores / scale,
    from_unit=lambda u, scale: scale * u,
)
BETA_PRIME = Family(
    scale=lambda scores: np.median(scores, axis=-1),
    to_unit=lambda scores, scale: scores / (scores + scale),
    from_unit=lambda u, scale: scale * u / (1.0 - u),
)


@dataclass(frozen=True, slots=True)
class BetaFit:
    """Beta(a, b) of the scores mapped to (0, 1) with ``scale`` (same unit as the scores)."""

    family: Family
    scale: float
    a: float
    b: float

    def threshold(self, alpha: float) -> float:
        """Score exceeded with probability ``alpha`` under the fitted model."""
        return float(self.family.from_unit(betainccinv(self.a, self.b, alpha), self.scale))


def fit(scores: np.ndarray, family: Family) -> BetaFit | None:
    """Moment fit, or None where mean and variance fit no beta distribution.

    Parameters
    ----------
    scores : ndarray of shape (n,) float64
        Positive, not all equal.

    Examples
    --------
    >>> found = fit(np.array([1.0, 2.0, 3.0, 4.0]), BETA)
    >>> found.scale, round(found.a, 3), round(found.b, 3)
    (8.0, 2.266, 4.984)
    """
    scale, _, a, b = _moments(scores, family)
    if not (np.isfinite(a) and np.isfinite(b) and a > 0.0 and b > 0.0):
        return None
    return BetaFit(family=family, scale=float(scale), a=float(a), b=float(b))


def fit_p_value(scores: np.ndarray, found: BetaFit, rng: np.random.Generator) -> float:
    """P(a sample of the fitted model, fitted again, lies at least as far from its fit as these scores do).

    Distance is the Anderson-Darling statistic, which looks hard at the tails, where thresholds live. Tables
    for a distribution known beforehand would call nearly everything a good fit: hence the refits.

    Parameters
    ----------
    scores : ndarray of shape (n,) float64
        The scores ``found`` was fitted to.
    found : BetaFit
    rng : numpy.random.Generator

    Returns
    -------
    float
        A multiple of 1/200 in (0, 1].
    """
    _, u, a, b = _moments(scores, found.family)
    seen = _anderson_darling(u, a, b)
    edge = np.finfo(np.float64).eps  # a draw of exactly 0 or 1 has no counterpart among positive, finite scores
    drawn = np.clip(rng.beta(found.a, found.b, size=(_N_REFITS, scores.size)), edge, 1.0 - edge)
    _, u, a, b = _moments(found.family.from_unit(drawn, found.scale), found.family)
    # A drawn sample that fits no beta distribution (a or b impossible: NaN) is infinitely far from its fit.
    again = np.nan_to_num(_anderson_darling(u, a, b), nan=np.inf)
    return float((1 + np.count_nonzero(again >= seen)) / (_N_REFITS + 1))


def _moments(scores: np.ndarray, family: Family) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scale (...,), scores in (0, 1) (..., n), a and b (...,); a or b <= 0 or not finite: no such beta."""
    scale = family.scale(scores)
    u = family.to_unit(scores, np.expand_dims(scale, -1))
    mean, variance = u.mean(axis=-1), u.var(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = mean * (1.0 - mean) / variance - 1.0
        return scale, u, mean * kappa, (1.0 - mean) * kappa


def _anderson_darling(u: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A^2 of rows u (..., n) against Beta(a, b)."""
    u = np.sort(u, axis=-1)
    a, b = np.expand_dims(a, -1), np.expand_dims(b, -1)
    tiny = np.finfo(np.float64).tiny  # keeps the logarithm finite where a tail probability underflows
    log_below = np.log(np.maximum(betainc(a, b, u), tiny))
    log_above = np.log(np.maximum(betaincc(a, b, u), tiny))
    n = u.shape[-1]
    weights = 2.0 * np.arange(1, n + 1) - 1.0
    return -n - (weights * (log_below + log_above[..., ::-1])).sum(axis=-1) / n
