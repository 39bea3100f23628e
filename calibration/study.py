"""What the rules' promises were worth on real parts: many random splits of real OK and NG, the bank left as it is.

In each split half of the OK parts outside the bank calibrate, the other half and half of the real NG judge. Nothing
that judges had a say in the threshold. The splits overlap, so their spread is that of splitting this one data set, not
that of new products.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.bounds import rate_bound
from calibration.checks import checked_scores
from calibration.curves import auroc
from calibration.halves import Halves
from calibration.policy import ThresholdConfig, fitted_choices, in_order, preferred, recommend, scored_choices
from calibration.rules import RULES, is_ng
from calibration.transfer import regret
from calibration.types import ThresholdChoice

RECOMMENDED = "recommended"


@dataclass(frozen=True, slots=True, eq=False)
class RuleStudy:
    """One rule over all splits; every array has one entry per split in which the rule gave a threshold.

    rule      : key of ``rules.RULES``, or "recommended" for the policy
    splits    : splits in all; the difference to ``fpr.size`` are refusals
    fpr, recall : (k,)    on the OK and the real NG that judge
    regret    : (k,)      balanced error above that of the best threshold on the same judging parts
    promised  : (k,)      FPR bound that was promised, NaN where the rule promises none
    kept_if_true : (k,)   chance that so few judging parts stay within the promise, if it holds exactly; NaN as above
    limit     : (k,)      printed 95 % limit of the FPR
    """

    rule: str
    splits: int
    fpr: np.ndarray
    recall: np.ndarray
    regret: np.ndarray
    promised: np.ndarray
    kept_if_true: np.ndarray
    limit: np.ndarray

    @property
    def bound_kept(self) -> float | None:
        """Share of splits with a promised bound whose realised FPR stays within it; None where none was promised."""
        bound = np.isfinite(self.promised)
        return self._share(self.fpr[bound] <= self.promised[bound] + 1e-12)

    @property
    def bound_kept_expected(self) -> float | None:
        """What ``bound_kept`` is on average if the promise holds exactly: the judging parts are few, and vary too."""
        return self._share(self.kept_if_true[np.isfinite(self.kept_if_true)])

    @property
    def limit_kept(self) -> float | None:
        """Share of splits whose realised FPR stays within the printed 95 % limit."""
        return self._share(self.fpr <= self.limit + 1e-12)

    def _share(self, kept: np.ndarray) -> float | None:
        return float(kept.mean()) if kept.size else None


def split_study(
    ok: np.ndarray,
    ok_groups: Sequence[str],
    ng: np.ndarray,
    ng_groups: Sequence[str],
    *,
    loo: np.ndarray,
    synthetic: np.ndarray,
    splits: int,
    seed: int,
    config: ThresholdConfig | None = None,
) -> dict[str, RuleStudy]:
    """Every rule, and the policy, over random splits of real parts.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
        Scores of OK parts outside the bank, and of real NG.
    ok_groups, ng_groups : n strings
        Near twins share a group and stay on one side of every split.
    loo : ndarray
        Leave-one-out scores of the bank images; the same in all splits, and so are the fits.
    synthetic : ndarray
        Scores of the synthetic NG that rules use.
    splits, seed : int
    config : ThresholdConfig, optional

    Returns
    -------
    dict
        Rule -> RuleStudy, in the order of ``rules.RULES``, "recommended" last.

    Raises
    ------
    CalibrationError
        If there are fewer than 4 OK or 2 NG groups, or scores are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ok, ng = rng.gamma(30, 1 / 6, 200), rng.gamma(30, 1 / 6, 40) + 4
    >>> names = [str(i) for i in range(200)]
    >>> found = split_study(ok, names, ng, names[:40], loo=ok[:50], synthetic=ng, splits=20, seed=0)
    >>> found["tolerance"].fpr.size, found["youden"].bound_kept is None
    (20, True)
    """
    config = config or ThresholdConfig()
    ok, ng = checked_scores(ok, "OK scores"), checked_scores(ng, "NG scores")
    halves_ok, halves_ng = Halves(ok, ok_groups, least=4, name="OK"), Halves(ng, ng_groups, least=2, name="NG")
    fits = fitted_choices(checked_scores(loo, "leave-one-out scores"), rng=np.random.default_rng(seed), config=config)
    found: dict[str, list[tuple[float, ...]]] = {rule: [] for rule in [*RULES, RECOMMENDED]}
    for child in np.random.SeedSequence(seed).spawn(splits):
        rng = np.random.default_rng(child)
        calibrating, judging = halves_ok(rng)
        _, judging_ng = halves_ng(rng)
        rows = fits | scored_choices(calibrating, synthetic, source="held-out", config=config)
        rows[RECOMMENDED] = _recommended(rows, calibrating, synthetic)
        for rule, row in rows.items():
            if row.value is not None:
                found[rule].append(_judged(row, judging, judging_ng))
    return {rule: _as_study(rule, splits, rows) for rule, rows in found.items()}


def joined(parts: Sequence[dict[str, RuleStudy]]) -> dict[str, RuleStudy]:
    """Studies on several memory banks as one."""
    return {
        rule: RuleStudy(
            rule,
            sum(part[rule].splits for part in parts),
            *(
                np.concatenate([getattr(part[rule], name) for part in parts])
                for name in ("fpr", "recall", "regret", "promised", "kept_if_true", "limit")
            ),
        )
        for rule in parts[0]
    }


def _recommended(rows: dict[str, ThresholdChoice], ok: np.ndarray, synthetic: np.ndarray) -> ThresholdChoice:
    choices = in_order(rows, ok, source="held-out")
    value = preferred(choices).value
    caught = None
    if value is not None:
        caught = rate_bound(int(is_ng(synthetic, value).sum()), synthetic.size)
    return recommend(choices, synthetic_auroc=auroc(ok, synthetic), caught=caught).choice


def _judged(row: ThresholdChoice, ok: np.ndarray, ng: np.ndarray) -> tuple[float, ...]:
    """(fpr, recall, regret, promised, kept_if_true, limit) of one threshold on one split."""
    promised = kept = math.nan
    if RULES[row.rule].kind == "bound":
        promised = row.params["max_fpr"]
        kept = _kept_if_true(row.params["rank"], row.n_ok, ok.size, promised)
    return (
        float(is_ng(ok, row.value).mean()),
        float(is_ng(ng, row.value).mean()),
        regret(ok, ng, row.value).value,
        promised,
        kept,
        row.fpr_upper_95,
    )


def _kept_if_true(rank: int, n: int, m: int, rate: float) -> float:
    """P(at most rate x m of m new parts above the rank-th largest of n), all from one continuous law: beta-binomial."""
    from scipy.stats import betabinom  # slow to import

    return float(betabinom.cdf(math.floor(m * rate + 1e-9), m, rank, n - rank + 1))


def _as_study(rule: str, splits: int, rows: list[tuple[float, ...]]) -> RuleStudy:
    columns = np.array(rows, float).reshape(len(rows), 6).T
    return RuleStudy(rule, splits, *columns)
