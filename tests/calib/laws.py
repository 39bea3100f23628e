"""Score laws whose true FPR is known at every threshold."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Law:
    """draw(rng, n) -> scores; fpr(t) -> P(score >= t)."""

    name: str
    draw: Callable[[np.random.Generator, int], np.ndarray]
    fpr: Callable[[np.ndarray], np.ndarray]


def _bimodal(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.uniform(size=n) < 0.1, rng.normal(9.0, 0.5, n), rng.normal(5.0, 0.5, n))


_DISCRETE = stats.binom(12, 0.2)

LAWS = (
    Law("normal", lambda rng, n: rng.normal(20.0, 2.0, n), stats.norm(20.0, 2.0).sf),
    Law("gamma", lambda rng, n: rng.gamma(30.0, 1.0 / 6.0, n), stats.gamma(30.0, scale=1.0 / 6.0).sf),
    Law("heavy-tailed", lambda rng, n: 1.0 + rng.pareto(2.5, n), stats.pareto(2.5).sf),
    Law("bimodal", _bimodal, lambda t: 0.1 * stats.norm.sf(t, 9.0, 0.5) + 0.9 * stats.norm.sf(t, 5.0, 0.5)),
    Law(
        "discrete with ties",
        lambda rng, n: 1.0 + rng.binomial(12, 0.2, n),
        lambda t: _DISCRETE.sf(np.ceil(np.asarray(t) - 1.0) - 1.0),
    ),
)
