"""Every rule on the scores at hand, and which of them to recommend: the stated policy, in one place."""

from dataclasses import dataclass, replace

import numpy as np

from calibration.bounds import smallest_fpr
from calibration.checks import checked_rate, checked_scores
from calibration.choices import ALL_EQUAL
from calibration.errors import CalibrationError
from calibration.fit_rules import loo_beta, loo_beta_prime
from calibration.rank_rules import conformal, percentile, tolerance
from calibration.rules import percent
from calibration.synthetic_rules import target_recall, youden
from calibration.types import Auroc, Recommendation, ThresholdChoice

_LEAST_HELD_OUT = 60


@dataclass(frozen=True, slots=True)
class ThresholdConfig:
    """What the engineer asks of the rules, fixed before the scores are seen; all in (0, 1)."""

    percentile: float = 0.999
    fit_alpha: float = 0.01
    max_fpr: float = 0.05
    confidence: float = 0.95
    target_recall: float = 0.9

    def __post_init__(self) -> None:
        for name in self.__slots__:
            checked_rate(getattr(self, name), name)


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

    Rank rules use held-out OK scores from 60 on, else the leave-one-out ones. Sixty is half of 120 OK images,
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
    >>> [row.rule for row in rows if row.value is not None]
    ['percentile', 'loo_beta', 'loo_beta_prime', 'conformal']
    """
    config = config or ThresholdConfig()
    held_out = _present(ok_held_out, "held-out OK scores")
    loo = _present(ok_loo, "leave-one-out OK scores")
    synthetic = _present(synthetic, "synthetic NG scores")
    source = ok_source(n_held_out=0 if held_out is None else held_out.size, n_loo=0 if loo is None else loo.size)
    ok = held_out if source == "held-out" else loo
    n_ok = 0 if ok is None else ok.size
    n_ng = 0 if synthetic is None else synthetic.size

    def missing(rule: str, reason: str, *, source: str = source, n_ok: int = n_ok, n_ng: int = 0) -> ThresholdChoice:
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

    if ok is None:
        no_ok = "no OK scores: score OK images outside the memory bank, or leave-one-out"
        from_ok = {rule: missing(rule, no_ok) for rule in ("percentile", "tolerance", "conformal")}
        from_synthetic = [missing(rule, no_ok, n_ng=n_ng) for rule in ("youden", "target_recall")]
    else:
        from_ok = {
            "percentile": percentile(ok, source=source, q=config.percentile),
            "tolerance": tolerance(ok, source=source, max_fpr=config.max_fpr, confidence=config.confidence),
            "conformal": conformal(ok, source=source, max_fpr=config.max_fpr),
        }
        if synthetic is None:
            from_synthetic = [missing(rule, "no synthetic NG scores yet") for rule in ("youden", "target_recall")]
        else:
            from_synthetic = [
                youden(ok, synthetic, source=source),
                target_recall(ok, synthetic, source=source, recall=config.target_recall),
            ]
    if loo is None:
        no_loo = "no leave-one-out scores"
        fitted = [missing(rule, no_loo, source="leave-one-out", n_ok=0) for rule in ("loo_beta", "loo_beta_prime")]
    else:
        fitted = [
            loo_beta(loo, alpha=config.fit_alpha, rng=rng),
            loo_beta_prime(loo, alpha=config.fit_alpha, rng=rng),
        ]
    rows = [from_ok["percentile"], *fitted, from_ok["tolerance"], from_ok["conformal"], *from_synthetic]
    if from_ok["conformal"].value is None and from_ok["percentile"].params.get("rank", 1) > 1:
        rows.append(percentile(ok, source=source, q=1.0))
    return tuple(rows)


def recommend(choices: tuple[ThresholdChoice, ...], *, synthetic_auroc: Auroc | None) -> Recommendation:
    """The threshold to use, by a policy that synthetic NG can veto but never move.

    1. The tolerance bound, if it comes from held-out scores.
    2. Else the conformal bound, if there are scores enough for it.
    3. Else the maximum of the OK scores, with the smallest FPR they can promise.

    None is recommended without OK scores, with fewer than 2, with all of them equal, or where the AUROC
    interval on synthetic NG reaches down to 0.5: then scores do not tell NG from OK and no threshold can.

    Parameters
    ----------
    choices : tuple of ThresholdChoice
        As ``all_choices`` gives them.
    synthetic_auroc : Auroc or None
        Of OK against synthetic NG; None if no synthetic NG were scored.

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
    rows = {choice.rule: choice for choice in choices}  # the last percentile row is the maximum, if one was added
    try:
        maximum, bound, on_average = rows["percentile"], rows["tolerance"], rows["conformal"]
    except KeyError as missing:
        raise CalibrationError(f"recommend: expected the row {missing}; pass all of all_choices") from None

    if bound.value is not None and bound.source == "held-out":
        chosen, why = bound, f"{bound.promise}, proven for any distribution of good parts."
    elif on_average.value is not None:
        chosen, why = on_average, f"{on_average.promise}, on {on_average.n_ok} {on_average.source} scores."
        why = why[0].upper() + why[1:]
    else:
        chosen = maximum
        why = _why_maximum(maximum, bound, on_average) if maximum.value is not None else ""

    if refused := _refusal_reason(chosen, synthetic_auroc):
        none = replace(chosen, value=None, promise="", expected_fpr=None, fpr_upper_95=None, gap=None, reason=refused)
        return Recommendation(choice=none, why=refused)
    if synthetic_auroc is None:
        why += " No synthetic NG was scored: whether NG parts score higher at all is untested."
    else:
        why += " Synthetic NG did not move it: they only estimate how much it catches."
    return Recommendation(choice=chosen, why=why)


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


def _refusal_reason(chosen: ThresholdChoice, synthetic_auroc: Auroc | None) -> str:
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
        return (
            f"No threshold: {seen}. The interval reaches down to 0.5, so nothing shows that scores tell NG from "
            "OK. Try a larger input size, another backbone, aligned parts, or more OK images."
        )
    return ""
