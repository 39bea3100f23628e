"""How far the recommendation moves when something moves that should not matter: a range, not a point.

Four things are varied: which OK images were drawn (bootstrap), which generator made the synthetic NG and how strong
they are, in which shares generators are mixed, and the seed of the coreset. Three numbers are watched: the recommended
threshold (synthetic NG cannot move it, by policy), Youden's threshold, and the synthetic recall at the recommended one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.by_source import checked_sources
from calibration.checks import checked_scores
from calibration.choices import gap_at
from calibration.errors import CalibrationError
from calibration.resampling import LEAST_NG, enough_ng, rank_thresholds, youden_thresholds
from calibration.rules import is_ng
from calibration.synthetic_rules import youden
from calibration.types import ThresholdChoice

RECOMMENDED, YOUDEN, RECALL = "recommended threshold", "Youden threshold", "synthetic recall"
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST_GROUP = 5  # synthetic NG in a group of one severity


@dataclass(frozen=True, slots=True)
class Spread:
    """Range of one number while one thing is varied.

    quantity  : RECOMMENDED, YOUDEN or RECALL
    varied    : what was varied, in words
    low, high : ends of the range: 2.5 % and 97.5 % of bootstrap draws, else lowest and highest
    at        : the number as it is used
    n         : how many values the range is of
    ends      : what gave the lowest and the highest; empty for a bootstrap
    """

    quantity: str
    varied: str
    low: float
    high: float
    at: float
    n: int
    ends: tuple[str, str] | tuple[()] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SeedScores:
    """Scores on the memory bank of another coreset seed.

    seed : int
    threshold : float or None    what the policy recommends there
    synthetic : (s,)             scores of the primary synthetic NG there
    ok : (n,)                    OK scores of the same source as the recommendation's
    """

    seed: int
    threshold: float | None
    synthetic: np.ndarray
    ok: np.ndarray


def robustness(
    chosen: ThresholdChoice,
    ok: np.ndarray,
    synthetic: Mapping[str, np.ndarray],
    *,
    primary: str,
    severities: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    seeds: Sequence[SeedScores] = (),
    sources: Mapping[str, Sequence[str]] | None = None,
    draws: int = 1000,
) -> tuple[Spread, ...]:
    """Ranges of the recommendation, of Youden's threshold and of the synthetic recall.

    Parameters
    ----------
    chosen : ThresholdChoice
        The recommended row: a rank rule with a value.
    ok : ndarray of shape (n_ok,)
        The OK scores it was set on.
    synthetic : mapping of str to ndarray
        Scores by generator; they are never pooled but in the stated mixtures.
    primary : str
        The generator that Youden's rule uses.
    severities : mapping of str to ndarray
        Severity of each synthetic NG, in the order of its scores.
    rng : numpy.random.Generator
    seeds : sequence of SeedScores
        Other coreset seeds, where they were run.
    sources : mapping of str to sequence of str, optional
        Of a generator that starts from real NG, the one that each synthetic NG was made from: these are drawn, not
        their pictures.

    Returns
    -------
    tuple of Spread
        Only what could be varied: with one generator there is no range over generators, and where the primary one
        starts from fewer than 10 real NG none of Youden's threshold over the images drawn.

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, or ``chosen`` is no rank rule or has no value.

    Examples
    --------
    >>> from calibration.rank_rules import conformal
    >>> ok, ng = np.arange(40.0), np.arange(30.0, 60.0)
    >>> rows = robustness(conformal(ok, source="held-out"), ok, {"a": ng}, primary="a", severities={},
    ...                   rng=np.random.default_rng(0), draws=100)
    >>> [(row.quantity, row.varied) for row in rows]
    [('recommended threshold', 'which OK images were drawn'), ('Youden threshold', 'which images were drawn')]
    """
    ok = checked_scores(ok, "OK scores")
    if chosen.value is None or "rank" not in chosen.params:
        raise CalibrationError(
            f"robustness: expected a rank rule with a value, got {chosen.rule}; pass a recommendation"
        )
    synthetic = {name: checked_scores(scores, f"{name} scores") for name, scores in synthetic.items()}
    rows = [
        _of_draws(
            RECOMMENDED,
            "which OK images were drawn",
            rank_thresholds(ok, chosen.params["rank"], rng=rng, draws=draws),
            chosen.value,
        )
    ]
    at_youden = youden(ok, synthetic[primary], source=chosen.source).value if primary in synthetic else None
    of_primary = (sources or {}).get(primary)
    if at_youden is not None and enough_ng(LEAST_NG, checked_sources(of_primary, synthetic[primary].size)):
        moved = youden_thresholds(ok, synthetic[primary], rng=rng, draws=draws, sources=of_primary)
        if (known := moved[np.isfinite(moved)]).size:
            rows.append(_of_draws(YOUDEN, "which images were drawn", known, at_youden))
    by_generator = _groups(synthetic, severities)
    for varied, groups in (("generator", synthetic), ("generator and severity", by_generator)):
        rows += _over_groups(varied, groups, ok, chosen, at_youden, synthetic.get(primary))
    rows += _over_mixtures(synthetic, ok, chosen, at_youden)
    rows += _over_seeds(seeds, chosen, at_youden, synthetic.get(primary))
    return tuple(rows)


def _of_draws(quantity: str, varied: str, values: np.ndarray, at: float) -> Spread:
    low, high = np.quantile(values, [0.025, 0.975])
    return Spread(quantity, varied, float(min(low, at)), float(max(high, at)), float(at), int(values.size))


def _range(quantity: str, varied: str, values: Mapping[str, float | None], at: float | None) -> list[Spread]:
    known = {label: value for label, value in values.items() if value is not None}
    if at is None or len(known) < 2:
        return []
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return [Spread(quantity, varied, known[low], known[high], float(at), len(known), (low, high))]


def _groups(synthetic: Mapping[str, np.ndarray], severities: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each generator's weak, middle and strong third, where each third has enough."""
    groups = {}
    for name, scores in synthetic.items():
        severity = severities.get(name)
        if severity is None or len(severity) != len(scores) or len(scores) < 3 * _LEAST_GROUP:
            continue
        thirds = np.array_split(np.argsort(severity, kind="stable"), 3)
        for label, places in zip(("weak", "middle", "strong"), thirds, strict=True):
            groups[f"{name}, {label}"] = scores[places]
    return groups


def _recall(scores: np.ndarray, threshold: float) -> float:
    return float(is_ng(scores, threshold).mean())


def _over_groups(
    varied: str,
    groups: Mapping[str, np.ndarray],
    ok: np.ndarray,
    chosen: ThresholdChoice,
    at_youden: float | None,
    primary: np.ndarray | None,
) -> list[Spread]:
    thresholds = {name: youden(ok, scores, source=chosen.source).value for name, scores in groups.items()}
    recalls = {name: _recall(scores, chosen.value) for name, scores in groups.items()}
    at_recall = None if primary is None else _recall(primary, chosen.value)
    return _range(YOUDEN, varied, thresholds, at_youden) + _range(RECALL, varied, recalls, at_recall)


def _over_mixtures(
    synthetic: Mapping[str, np.ndarray], ok: np.ndarray, chosen: ThresholdChoice, at_youden: float | None
) -> list[Spread]:
    """Every pair of generators, mixed in shares of a quarter."""
    names = sorted(synthetic)
    found = {}
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for share in _SHARES:
                label = f"{100 * share:g} % {first}, {100 * (1 - share):g} % {second}"
                found[label] = weighted_youden(ok, {first: share, second: 1.0 - share}, synthetic)
    return _range(YOUDEN, "shares in which two generators are mixed", found, at_youden)


def weighted_youden(ok: np.ndarray, shares: Mapping[str, float], synthetic: Mapping[str, np.ndarray]) -> float | None:
    """Middle of the score gap with the largest share-weighted recall - FPR; the highest among equals.

    With one share of 1 it is the threshold of ``synthetic_rules.youden``. None where no threshold catches a larger
    share of NG than of OK.

    Examples
    --------
    >>> weighted_youden(np.arange(5.0), {"a": 0.5, "b": 0.5}, {"a": np.array([6.0]), "b": np.array([8.0])})
    5.0
    """
    ok = np.sort(ok.astype(np.float64))
    sorted_ng = {name: np.sort(synthetic[name].astype(np.float64)) for name, share in shares.items() if share > 0.0}
    distinct = np.unique(np.concatenate([ok, *sorted_ng.values()]))[::-1]

    def flagged(scores: np.ndarray) -> np.ndarray:
        return 1.0 - np.searchsorted(scores, distinct, side="left") / scores.size

    recall = sum(shares[name] * flagged(scores) for name, scores in sorted_ng.items())
    index = recall - flagged(ok)
    best = int(np.argmax(index >= index.max() - 1e-12))
    return gap_at(distinct, best)[1] if index[best] > 1e-12 else None


def _over_seeds(
    seeds: Sequence[SeedScores], chosen: ThresholdChoice, at_youden: float | None, primary: np.ndarray | None
) -> list[Spread]:
    here = "the seed in use"
    recommended = {here: chosen.value} | {f"seed {s.seed}": s.threshold for s in seeds}
    rows = _range(RECOMMENDED, "seed of the coreset", recommended, chosen.value) if seeds else []
    if primary is None or not seeds:
        return rows
    thresholds = {here: at_youden} | {
        f"seed {s.seed}": youden(s.ok, s.synthetic, source=chosen.source).value for s in seeds
    }
    recalls = {here: _recall(primary, chosen.value)} | {
        f"seed {s.seed}": _recall(s.synthetic, s.threshold) for s in seeds if s.threshold is not None
    }
    rows += _range(YOUDEN, "seed of the coreset", thresholds, at_youden)
    return rows + _range(RECALL, "seed of the coreset", recalls, recalls[here])
