"""Beta and beta-prime models of OK scores, by moments or maximum likelihood, and a goodness-of-fit test that refits.

Both families are one: a scale taken from the scores maps them to u in (0, 1), where u ~ Beta(a, b). Beta
divides by twice the maximum; beta-prime uses X ~ BetaPrime(a, b) iff X / (1 + X) ~ Beta(a, b), with the
median as scale. Goodness of fit is a parametric bootstrap: W. Stute, W. Gonzalez Manteiga and M. Presedo
Quindimil, Metrika 40 (1993), 243-256.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincc, betainccinv, digamma, expit, polygamma

from calibration.checks import checked_choice

# p is a multiple of 1/200: fine enough for a yes or no at 5 %, and 5 % is one of the multiples.
_N_REFITS = 199
_NEWTON_STEPS = 50
_SETTLED = 0.01  # of a and b: the last step is far shorter, but for rounding where scores are nearly equal
_NODES = 257  # of a fitted distribution function that is read off by interpolation
ESTIMATORS = ("moments", "maximum likelihood")


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
    estimator: str
    scale: float
    a: float
    b: float

    def threshold(self, alpha: float) -> float:
        """Score exceeded with probability ``alpha`` under the fitted model; inf where no number is that high."""
        with np.errstate(divide="ignore", over="ignore"):
            return float(self.family.from_unit(betainccinv(self.a, self.b, alpha), self.scale))


def fit(scores: np.ndarray, family: Family, estimator: str = "moments") -> BetaFit | None:
    """The fitted model, or None where no beta distribution has the mean and spread of the scores, or none is likeliest.

    Parameters
    ----------
    scores : ndarray of shape (n,) float64
        Positive, not all equal.
    family : Family
    estimator : {"moments", "maximum likelihood"}
        Of a and b, with the scale taken from the scores in both.

    Notes
    -----
    Maximum likelihood solves digamma(a) - digamma(a + b) = mean log u and digamma(b) - digamma(a + b) =
    mean log(1 - u) by Newton's method from the moments. None where it does not settle: scores so far apart that u
    reaches 0 or 1 by rounding.

    Examples
    --------
    >>> found = fit(np.array([1.0, 2.0, 3.0, 4.0]), BETA)
    >>> found.scale, round(found.a, 3), round(found.b, 3)
    (8.0, 2.266, 4.984)
    >>> found = fit(np.array([1.0, 2.0, 3.0, 4.0]), BETA, "maximum likelihood")
    >>> round(found.a, 3), round(found.b, 3)
    (3.133, 6.937)
    """
    checked_choice(estimator, "estimator", ESTIMATORS)
    scale, _, a, b = _fitted(scores, family, estimator)
    if not (np.isfinite(a) and np.isfinite(b) and a > 0.0 and b > 0.0):
        return None
    return BetaFit(family=family, estimator=estimator, scale=float(scale), a=float(a), b=float(b))


def fit_p_value(scores: np.ndarray, found: BetaFit, rng: np.random.Generator) -> float:
    """P(a sample of the fitted model, fitted again, lies at least as far from its fit as these scores do).

    Distance is the Anderson-Darling statistic, which looks hard at the tails, where thresholds live. Tables
    for a distribution known beforehand would call nearly everything a good fit: hence the refits, by the same
    estimator.

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
    _, u, a, b = _fitted(scores, found.family, found.estimator)
    seen = _anderson_darling(u[None], a[None], b[None])[0]
    edge = np.finfo(np.float64).eps  # a draw of exactly 0 or 1 has no counterpart among positive, finite scores
    drawn = np.clip(rng.beta(found.a, found.b, size=(_N_REFITS, scores.size)), edge, 1.0 - edge)
    _, u, a, b = _fitted(found.family.from_unit(drawn, found.scale), found.family, found.estimator)
    # A drawn sample that fits no beta distribution (a or b impossible: NaN) is infinitely far from its fit.
    again = np.nan_to_num(_anderson_darling(u, a, b), nan=np.inf)
    return float((1 + np.count_nonzero(again >= seen)) / (_N_REFITS + 1))


def _fitted(scores: np.ndarray, family: Family, estimator: str) -> tuple[np.ndarray, ...]:
    """Scale (...,), scores in (0, 1) (..., n), a and b (...,); a or b <= 0 or not finite: no such beta."""
    scale = family.scale(scores)
    u = family.to_unit(scores, np.expand_dims(scale, -1))
    mean, variance = u.mean(axis=-1), u.var(axis=-1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = mean * (1.0 - mean) / variance - 1.0
        a, b = mean * kappa, (1.0 - mean) * kappa
    if estimator == "maximum likelihood":
        with np.errstate(divide="ignore"):  # u rounded to 0 or 1: not settled
            log_u, log_rest = np.log(u).mean(axis=-1), np.log1p(-u).mean(axis=-1)
        a, b = _most_likely(a, b, log_u, log_rest)
    return scale, u, a, b


def _most_likely(a: np.ndarray, b: np.ndarray, log_u: np.ndarray, log_rest: np.ndarray) -> tuple[np.ndarray, ...]:
    """Newton's method on (a, b) from a starting value; a coordinate that would leave (0, inf) is halved.

    NaN where it does not settle.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_NEWTON_STEPS):
            both = polygamma(1, a + b)
            off_a, off_b = digamma(a) - digamma(a + b) - log_u, digamma(b) - digamma(a + b) - log_rest
            aa, bb = polygamma(1, a) - both, polygamma(1, b) - both
            det = aa * bb - both * both
            step_a, step_b = (bb * off_a + both * off_b) / det, (aa * off_b + both * off_a) / det
            next_a, next_b = a - step_a, b - step_b
            a, b = np.where(next_a > 0.0, next_a, a / 2.0), np.where(next_b > 0.0, next_b, b / 2.0)
            if not np.any(np.abs(step_a) > 1e-12 * a):
                break
        settled = (np.abs(step_a) <= _SETTLED * a) & (np.abs(step_b) <= _SETTLED * b)
    return np.where(settled, a, np.nan), np.where(settled, b, np.nan)


def _anderson_darling(u: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A^2 of rows u (r, n) against Beta(a, b), (r,).

    Where n is large the distribution function is interpolated between nodes, in logits, in which it is nearly straight.
    The test stays exact: the same statistic is taken of the scores seen and of every refit.
    """
    u = _inside(np.sort(u, axis=-1))
    n = u.shape[-1]
    nodes = u if n <= _NODES else _inside(_between(u))
    a, b = np.expand_dims(a, -1), np.expand_dims(b, -1)
    tiny = np.finfo(np.float64).tiny  # keeps the logarithm finite where a tail probability underflows
    log_below = np.log(np.maximum(betainc(a, b, nodes), tiny))
    log_above = np.log(np.maximum(betaincc(a, b, nodes), tiny))
    if n > _NODES:
        x, where = _logit(u), _logit(nodes)
        log_odds = np.stack([np.interp(*row) for row in zip(x, where, log_below - log_above, strict=True)])
        log_below, log_above = -np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds)
    weights = 2.0 * np.arange(1, n + 1) - 1.0
    return -n - (weights * (log_below + log_above[..., ::-1])).sum(axis=-1) / n


def _between(u: np.ndarray) -> np.ndarray:
    """Nodes (r, _NODES) in (0, 1) from the lowest to the highest of sorted rows u, even in logits."""
    low, high = _logit(u[:, :1]), _logit(u[:, -1:])
    return expit(low + (high - low) * np.linspace(0.0, 1.0, _NODES))


def _inside(u: np.ndarray) -> np.ndarray:
    """u with what rounds to 0 or 1 moved to the nearest number that has a logit."""
    return np.clip(u, np.finfo(np.float64).tiny, 1.0 - np.finfo(np.float64).epsneg)


def _logit(u: np.ndarray) -> np.ndarray:
    return np.log(u) - np.log1p(-u)
