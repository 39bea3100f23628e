"""Every rule on the scores at hand, and which of them to recommend: the stated policy, in one place."""

from dataclasses import dataclass, replace

import numpy as np

from calibration.advice import ways_out
from calibration.bounds import smallest_fpr
from calibration.checks import checked_positive, checked_rate, checked_scores
from calibration.choices import ALL_EQUAL
from calibration.errors import CalibrationError
from calibration.fit_rules import fit_key, loo_beta, loo_beta_prime
from calibration.fits import ESTIMATORS
from calibration.rank_rules import conformal, percentile, target_fpr, tolerance
from calibration.rules import RULES, percent
from calibration.spread_rules import mean_sigma, median_mad, pot
from calibration.synthetic_rules import cost, f1_max, target_recall, youden
from calibration.types import Auroc, RateBound, Recommendation, ThresholdChoice

_LEAST_HELD_OUT = 60


@dataclass(frozen=True, slots=True)
class ThresholdConfig:
    """What the engineer asks of the rules, fixed before the scores are seen.

    percentile, fit_alpha, max_fpr, confidence, target_recall : in (0, 1)
    mad_k                        : > 0, of the rule median + k MAD
    cost_escape, cost_overkill, cost_review : > 0, one currency: a defective part that passes, a good part that is
                                   rejected, a part that a person looks at
    ng_share                     : share of NG on the line, in (0, 1)
    review_share                 : share of the parts that a person can look at, in (0, 1)
    margin                       : how far a synthetic figure may be off the real one and still count as transferred
    """

    percentile: float = 0.999
    fit_alpha: float = 0.01
    max_fpr: float = 0.05
    confidence: float = 0.95
    target_recall: float = 0.9
    mad_k: float = 3.0
    cost_escape: float = 100.0
    cost_overkill: float = 1.0
    cost_review: float = 0.2
    ng_share: float = 0.01
    review_share: float = 0.15
    margin: float = 0.05

    def __post_init__(self) -> None:
        for name in self.__slots__:
            check = checked_positive if name == "mad_k" or name.startswith("cost_") else checked_rate
            check(getattr(self, name), name)


def ok_source(*, n_held_out: int, n_loo: int) -> str:
    """Which OK scores rank rules use: "held-out" from 60 on or where there are no others, else "leave-one-out".

    Examples
    --------
    >>> ok_source(n_held_out=60, n_loo=60), ok_source(n_held_out=59, n_loo=60), ok_source(n_held_out=1, n_loo=0)
    ('held-out', 'leave-one-out', 'held-out')
    """
    return "held-out" if n_held_out >= _LEAST_HELD_OUT or (n_held_out and not n_loo) else "leave-one-out"


def all_choices(
    *,
    ok_held_out: np.ndarray | None,
    ok_loo: np.ndarray | None,
    synthetic: np.ndarray | None,
    rng: np.random.Generator,
    config: ThresholdConfig | None = None,
) -> tuple[ThresholdChoice, ...]:
    """One row per rule, refusals included, in the order of ``rules.RULES``.

    All but the fits use held-out OK scores from 60 on, else the leave-one-out ones. Sixty is half of 120 OK images,
    and just enough for a tolerance bound of 5 % (59); below that, images are worth more in the memory bank,
    and leave-one-out scores lose none. Fits always use leave-one-out scores.

    Where the conformal bound needs more scores than there are and the percentile asked for is not the
    maximum, the maximum follows as one more percentile row (q = 1): the last resort of ``recommend``.

    Parameters
    ----------
    ok_held_out, ok_loo, synthetic : ndarray of shape (n,) or None
        OK scores outside the bank, leave-one-out scores of the bank images, synthetic NG scores; None or
        empty where there are none.
    rng : numpy.random.Generator
        Drives the goodness-of-fit tests; the thresholds do not depend on it.
    config : ThresholdConfig, optional

    Returns
    -------
    tuple of ThresholdChoice

    Raises
    ------
    CalibrationError
        If an array is not 1-D or holds a NaN or an infinity.

    Examples
    --------
    >>> loo = np.linspace(4.0, 6.0, 19)
    >>> rows = all_choices(ok_held_out=None, ok_loo=loo, synthetic=None, rng=np.random.default_rng(0))
    >>> [row.rule for row in rows if row.value is not None and row.rule.startswith("loo")]
    ['loo_beta', 'loo_beta_ml', 'loo_beta_prime', 'loo_beta_prime_ml']
    """
    config = config or ThresholdConfig()
    held_out = _present(ok_held_out, "held-out OK scores")
    loo = _present(ok_loo, "leave-one-out OK scores")
    synthetic = _present(synthetic, "synthetic NG scores")
    source = ok_source(n_held_out=0 if held_out is None else held_out.size, n_loo=0 if loo is None else loo.size)
    ok = held_out if source == "held-out" else loo
    found = fitted_choices(loo, rng=rng, config=config) | scored_choices(ok, synthetic, source=source, config=config)
    return in_order(found, ok, source=source)


def in_order(found: dict[str, ThresholdChoice], ok: np.ndarray | None, *, source: str) -> tuple[ThresholdChoice, ...]:
    """The rows in the order of ``rules.RULES``, and the maximum where ``recommend`` may need it."""
    rows = [found[rule] for rule in RULES]
    if ok is not None and found["conformal"].value is None and found["percentile"].params.get("rank", 1) > 1:
        rows.append(percentile(ok, source=source, q=1.0))
    return tuple(rows)


def fitted_choices(
    loo: np.ndarray | None, *, rng: np.random.Generator, config: ThresholdConfig
) -> dict[str, ThresholdChoice]:
    """Rows of the rules that fit leave-one-out scores; ``loo`` None where there are none."""
    found = {}
    for rule in (loo_beta, loo_beta_prime):
        for estimator in ESTIMATORS:
            if loo is None:
                key = fit_key(rule.__name__, estimator)
                found[key] = _missing(key, "no leave-one-out scores", source="leave-one-out", n_ok=0)
            else:
                row = rule(loo, alpha=config.fit_alpha, rng=rng, estimator=estimator)
                found[row.rule] = row
    return found


def scored_choices(
    ok: np.ndarray | None, synthetic: np.ndarray | None, *, source: str, config: ThresholdConfig
) -> dict[str, ThresholdChoice]:
    """Rows of all other rules, on OK scores of one source; None where there are none of a kind."""
    if ok is None:
        no_ok = "no OK scores: score OK images outside the memory bank, or leave-one-out"
        others = [rule for rule in RULES if not rule.startswith("loo_")]
        n_ng = 0 if synthetic is None else synthetic.size
        return {
            rule: _missing(rule, no_ok, source=source, n_ok=0, n_ng=n_ng if RULES[rule].origin == "synthetic" else 0)
            for rule in others
        }
    found = [
        percentile(ok, source=source, q=config.percentile),
        mean_sigma(ok, source=source, max_fpr=config.max_fpr, confidence=config.confidence),
        median_mad(ok, source=source, k=config.mad_k),
        pot(ok, source=source, alpha=config.fit_alpha),
        tolerance(ok, source=source, max_fpr=config.max_fpr, confidence=config.confidence),
        conformal(ok, source=source, max_fpr=config.max_fpr),
        target_fpr(ok, source=source, max_fpr=config.max_fpr),
    ]
    if synthetic is None:
        no_ng = "no synthetic NG scores yet"
        searched = [rule for rule in RULES if RULES[rule].origin == "synthetic"]
        found += [_missing(rule, no_ng, source=source, n_ok=ok.size) for rule in searched]
    else:
        costs = {"cost_escape": config.cost_escape, "cost_overkill": config.cost_overkill}
        found += [
            youden(ok, synthetic, source=source),
            target_recall(ok, synthetic, source=source, recall=config.target_recall),
            cost(ok, synthetic, source=source, ng_share=config.ng_share, **costs),
            f1_max(ok, synthetic, source=source),
        ]
    return {row.rule: row for row in found}


def on_ok_alone(ok: np.ndarray, *, source: str, config: ThresholdConfig) -> tuple[ThresholdChoice, ...]:
    """The rows that ``preferred`` and ``recommend`` look at, none of which needs synthetic NG.

    Parameters
    ----------
    ok : ndarray of shape (n,)
    source : {"held-out", "leave-one-out"}

    Examples
    --------
    >>> preferred(on_ok_alone(np.arange(1.0, 61.0), source="held-out", config=ThresholdConfig())).rule
    'tolerance'
    """
    return (
        percentile(ok, source=source, q=1.0),  # the maximum, the last resort
        tolerance(ok, source=source, max_fpr=config.max_fpr, confidence=config.confidence),
        conformal(ok, source=source, max_fpr=config.max_fpr),
    )


def recommend(
    choices: tuple[ThresholdChoice, ...], *, synthetic_auroc: Auroc | None, caught: RateBound | None = None
) -> Recommendation:
    """The threshold to use, by a policy that synthetic NG can veto but never move.

    The FPR bound comes first, the recall of synthetic NG is read off second:

    1. The tolerance bound, if it comes from held-out scores: the FPR asked for, with the confidence asked for.
    2. Else the conformal bound, if there are scores enough for it: the FPR asked for, on average.
    3. Else the maximum of the OK scores, with the lowest FPR bound that this n can promise.

    None is recommended without OK scores, with fewer than 2, with all of them equal, or where the detector cannot
    separate: the AUROC interval on synthetic NG reaches down to 0.5, or at the threshold itself the lower limit of the
    recall does not exceed the upper limit of the FPR (the bands of the ROC cross the diagonal there).

    Parameters
    ----------
    choices : tuple of ThresholdChoice
        As ``all_choices`` gives them.
    synthetic_auroc : Auroc or None
        Of OK against synthetic NG; None if no synthetic NG were scored.
    caught : RateBound or None
        Synthetic NG at or above the threshold that this policy picks: see ``preferred``.

    Returns
    -------
    Recommendation

    Raises
    ------
    CalibrationError
        If the rows the policy looks at are missing.

    Examples
    --------
    >>> ok = np.arange(1.0, 61.0)
    >>> rows = all_choices(ok_held_out=ok, ok_loo=None, synthetic=None, rng=np.random.default_rng(0))
    >>> recommend(rows, synthetic_auroc=None).choice.rule
    'tolerance'
    """
    chosen, why = _first(choices)
    if refused := _refusal_reason(chosen, synthetic_auroc, caught):
        none = replace(chosen, value=None, promise="", expected_fpr=None, fpr_upper_95=None, gap=None, reason=refused)
        return Recommendation(choice=none, why=refused, advice=ways_out(chosen, synthetic_auroc))
    if synthetic_auroc is None:
        why += " No synthetic NG was scored: whether NG parts score higher at all is untested."
    else:
        why += " Synthetic NG did not move it: they only estimate how much it catches."
    return Recommendation(choice=chosen, why=why)


def preferred(choices: tuple[ThresholdChoice, ...]) -> ThresholdChoice:
    """The row that the policy picks before synthetic NG may veto it; its value may be None."""
    return _first(choices)[0]


def _first(choices: tuple[ThresholdChoice, ...]) -> tuple[ThresholdChoice, str]:
    rows = {choice.rule: choice for choice in choices}  # the last percentile row is the maximum, if one was added
    try:
        maximum, bound, on_average = rows["percentile"], rows["tolerance"], rows["conformal"]
    except KeyError as missing:
        raise CalibrationError(f"recommend: expected the row {missing}; pass all of all_choices") from None
    if bound.value is not None and bound.source == "held-out":
        return bound, f"{bound.promise}, proven for any distribution of good parts.{_lowest(bound)}"
    if on_average.value is not None:
        why = f"{on_average.promise}, on {on_average.n_ok} {on_average.source} scores."
        return on_average, why[0].upper() + why[1:]
    return maximum, _why_maximum(maximum, bound, on_average) if maximum.value is not None else ""


def _lowest(bound: ThresholdChoice) -> str:
    """What the maximum would promise, where the asked bound does not already sit there."""
    if bound.params["rank"] == 1:
        return ""
    lowest = smallest_fpr(bound.n_ok, bound.params["confidence"])
    return f" The lowest bound that {bound.n_ok} scores can promise is {percent(lowest)}, just above their maximum."


def _missing(rule: str, reason: str, *, source: str, n_ok: int, n_ng: int = 0) -> ThresholdChoice:
    return ThresholdChoice(
        rule=rule,
        value=None,
        params={},
        source=source,
        promise="",
        n_ok=n_ok,
        n_ng=n_ng,
        expected_fpr=None,
        fpr_upper_95=None,
        reason=reason,
    )


def _present(scores: np.ndarray | None, name: str) -> np.ndarray | None:
    return None if scores is None or np.size(scores) == 0 else checked_scores(scores, name)


def _why_maximum(maximum: ThresholdChoice, bound: ThresholdChoice, on_average: ThresholdChoice) -> str:
    n = maximum.n_ok
    asked = on_average.params["max_fpr"]
    confidence = bound.params["confidence"]
    approximate = ", approximate for leave-one-out scores" if maximum.source == "leave-one-out" else ""
    return (
        f"{n} OK scores are too few for the FPR of {percent(asked)} asked for. Just above their maximum the "
        f"smallest FPR within reach is {percent(1.0 / (n + 1))} on average, and "
        f"{percent(smallest_fpr(n, confidence))} with {percent(confidence)} confidence{approximate}. "
        "More OK images lower it."
    )


def _refusal_reason(chosen: ThresholdChoice, synthetic_auroc: Auroc | None, caught: RateBound | None) -> str:
    if chosen.n_ok == 0:
        return chosen.reason
    if chosen.n_ok < 2:
        return f"{chosen.n_ok} OK score cannot set a threshold: at least 2 OK images are needed."
    if ALL_EQUAL in chosen.notes:
        return f"No threshold: {ALL_EQUAL}. Check that the images differ and that the detector sees them."
    if synthetic_auroc is not None and synthetic_auroc.low <= 0.5:
        area = synthetic_auroc
        seen = (
            f"AUROC on {area.n_ng} synthetic NG is {area.auroc:.2f} "
            f"({percent(area.confidence)}: {area.low:.2f} to {area.high:.2f})"
        )
        if area.high < 0.5:
            return f"No threshold: {seen}, below 0.5. Check that OK and NG are not swapped."
        return f"No threshold: {seen}. The interval reaches down to 0.5: nothing shows that scores tell NG from OK."
    if caught is not None and chosen.fpr_upper_95 is not None and caught.low <= chosen.fpr_upper_95:
        return (
            f"No threshold: at {chosen.value:.4g} {caught.k} of {caught.n} synthetic NG are caught (95 %: at least "
            f"{percent(caught.low)}), while up to {percent(chosen.fpr_upper_95)} of good parts may be rejected: the "
            "bands cross, so nothing shows that NG are rejected more often than good parts."
        )
    return chosen.reason
