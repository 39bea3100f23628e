"""Who is NG, and the table of ways to choose the threshold that says so.

``RULES`` names every rule once, for the app, the README and the JSON; the rules themselves are in ``rank_rules``,
``fit_rules``, ``spread_rules`` and ``synthetic_rules``.
"""

from dataclasses import dataclass

import numpy as np

from calibration.checks import checked_scores, checked_threshold
from calibration.types import ThresholdChoice


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule is, in the words of the screen.

    least_n : OK scores below which the rule gives no threshold, at its default settings
    origin  : whose scores move the threshold: "ok" or "synthetic"
    kind    : of promise about the FPR: "bound" (with a confidence), "mean" (on average over calibrations), "model"
              (if the fitted distribution holds) or "none"
    """

    key: str
    title: str
    assumes: str
    least_n: int
    promises: str
    origin: str
    kind: str


_BETA = "leave-one-out scores follow a beta distribution between 0 and twice their maximum"
_BETA_PRIME = "leave-one-out scores follow a beta-prime distribution, which has no upper end"
_MODEL = "the FPR its model says, no more than the model"

RULES: dict[str, Rule] = {
    rule.key: rule
    for rule in (
        Rule(
            key="percentile",
            title="Percentile of OK scores",
            assumes="new good parts come from the process that gave the OK scores",
            least_n=2,
            promises="a mean FPR; below 999 OK scores the 99.9th percentile is just their maximum",
            origin="ok",
            kind="mean",
        ),
        Rule(
            key="loo_beta",
            title="Beta fit, by moments",
            assumes=_BETA,
            least_n=8,
            promises=_MODEL,
            origin="ok",
            kind="model",
        ),
        Rule(
            key="loo_beta_ml",
            title="Beta fit, by maximum likelihood",
            assumes=_BETA,
            least_n=8,
            promises=_MODEL,
            origin="ok",
            kind="model",
        ),
        Rule(
            key="loo_beta_prime",
            title="Beta-prime fit, by moments",
            assumes=_BETA_PRIME,
            least_n=8,
            promises=_MODEL,
            origin="ok",
            kind="model",
        ),
        Rule(
            key="loo_beta_prime_ml",
            title="Beta-prime fit, by maximum likelihood",
            assumes=_BETA_PRIME,
            least_n=8,
            promises=_MODEL,
            origin="ok",
            kind="model",
        ),
        Rule(
            key="mean_sigma",
            title="Mean + k sigma",
            assumes="logarithms of OK scores are normal; k is the tolerance factor of this n",
            least_n=8,
            promises="FPR at most the stated rate, at the stated confidence, if they are normal",
            origin="ok",
            kind="model",
        ),
        Rule(
            key="median_mad",
            title="Median + k MAD",
            assumes="most OK images are good: up to half of them may be contaminated",
            least_n=8,
            promises="no rate; it flags OK images to look at",
            origin="ok",
            kind="none",
        ),
        Rule(
            key="pot",
            title="Peaks over threshold",
            assumes="the highest tenth of OK scores follows a generalised Pareto distribution",
            least_n=50,
            promises=_MODEL,
            origin="ok",
            kind="model",
        ),
        Rule(
            key="tolerance",
            title="Tolerance bound",
            assumes="held-out OK scores and new good parts come from one process; no shape assumed",
            least_n=59,
            promises="FPR at most the stated rate, at the stated confidence",
            origin="ok",
            kind="bound",
        ),
        Rule(
            key="conformal",
            title="Conformal bound",
            assumes="OK scores and the next good part are exchangeable; no shape assumed",
            least_n=19,
            promises="FPR at most the stated rate on average over calibrations",
            origin="ok",
            kind="mean",
        ),
        Rule(
            key="target_fpr",
            title="Target FPR on the scores seen",
            assumes="new good parts come from the process that gave the OK scores",
            least_n=2,
            promises="the stated rate on the OK scores seen; a mean FPR a little above it for parts to come",
            origin="ok",
            kind="mean",
        ),
        Rule(
            key="youden",
            title="Youden (synthetic NG)",
            assumes="synthetic NG score like real ones; escape cost x NG share = overkill cost x OK share",
            least_n=2,
            promises="the largest recall - FPR on the scores seen; nothing about real NG",
            origin="synthetic",
            kind="none",
        ),
        Rule(
            key="target_recall",
            title="Target recall (synthetic NG)",
            assumes="synthetic NG score like real ones",
            least_n=2,
            promises="the stated recall of the synthetic NG seen; nothing about real NG",
            origin="synthetic",
            kind="none",
        ),
        Rule(
            key="cost",
            title="Least cost (synthetic NG)",
            assumes="synthetic NG score like real ones; costs and the share of NG on the line are as stated",
            least_n=2,
            promises="the least cost on the scores seen; nothing about real NG",
            origin="synthetic",
            kind="none",
        ),
        Rule(
            key="f1_max",
            title="F1-max as anomalib does it (synthetic NG)",
            assumes="the line has the same share of NG as this set: for comparison only",
            least_n=2,
            promises="the largest F1 on the scores seen; it moves with the share of NG in the set",
            origin="synthetic",
            kind="none",
        ),
    )
}


def is_ng(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Which parts are NG: score >= threshold. The one place that decides.

    Compared in float64, which holds every float32 score exactly, so no rounding moves a part across.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Image scores, higher = more anomalous.
    threshold : float
        In the unit of the scores; inf flags nothing.

    Returns
    -------
    ndarray of shape (n,) bool

    Raises
    ------
    CalibrationError
        If the scores are not 1-D, are empty or not finite, or the threshold is not a number.

    Examples
    --------
    >>> is_ng(np.array([1.0, 2.0, 3.0]), 2.0)
    array([False,  True,  True])
    """
    scores = checked_scores(scores, "scores")
    return scores.astype(np.float64) >= checked_threshold(threshold)


def title_of(choice: ThresholdChoice) -> str:
    """What a row is called: its rule's title, but a percentile that n makes the maximum is called that.

    Examples
    --------
    >>> from calibration.rank_rules import percentile
    >>> title_of(percentile(np.arange(50.0), source="held-out"))
    'Maximum of 50 OK scores'
    >>> title_of(percentile(np.arange(50.0), source="held-out", q=0.5))
    'Percentile of OK scores'
    """
    if choice.rule == "percentile" and choice.params.get("rank") == 1:
        return f"Maximum of {choice.n_ok} OK scores"
    return RULES[choice.rule].title


def percent(rate: float) -> str:
    """A rate as the screen says it, never "100 %" for one below 1.

    Examples
    --------
    >>> percent(0.0362), percent(0.9), percent(0.9996), percent(1.0)
    ('3.62 %', '90 %', '99.96 %', '100 %')
    """
    digits = 3
    while rate < 1.0 and digits < 17 and float(f"{100.0 * rate:.{digits}g}") >= 100.0:
        digits += 1
    return f"{100.0 * rate:.{digits}g} %"
