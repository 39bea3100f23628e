"""What each synthesis method's Youden threshold was worth on real parts, over the same random splits for all.

In each split half of the OK parts outside the bank sets the threshold together with a method's synthetic NG; the other
half and half of the real NG judge it. The synthetic NG stay the same over the splits; they were made on calibration OK
parts, of which some judge in some splits. All methods meet the same splits, so their differences are paired.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.checks import checked_scores
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.halves import Halves
from calibration.rules import is_ng
from calibration.synthetic_rules import youden
from calibration.transfer import regret


@dataclass(frozen=True, slots=True, eq=False)
class MethodStudy:
    """One method over all splits of all memory banks.

    splits : splits in all; the difference to ``fpr.size`` are refusals
    n_synthetic : (banks,)          synthetic NG per bank
    synthetic_auroc : (banks,)      of OK parts outside the bank against synthetic NG
    real_auroc : (banks,)           of the same OK parts against real NG: the detector's, the same for all methods
    fpr, recall, regret : (k,)      of the Youden threshold on the judging parts; regret is the balanced error above
                                    that of the best threshold on the same parts
    """

    method: str
    splits: int
    n_synthetic: np.ndarray
    synthetic_auroc: np.ndarray
    real_auroc: np.ndarray
    fpr: np.ndarray
    recall: np.ndarray
    regret: np.ndarray


def method_study(
    ok: np.ndarray,
    ok_groups: Sequence[str],
    ng: np.ndarray,
    ng_groups: Sequence[str],
    *,
    synthetic: Mapping[str, np.ndarray],
    splits: int,
    seed: int,
    taught: Mapping[str, np.ndarray] | None = None,
) -> dict[str, MethodStudy]:
    """Every method's Youden threshold on one memory bank.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
        Scores of OK parts outside the bank, and of real NG.
    ok_groups, ng_groups : n strings
        Near twins share a group and stay on one side of every split.
    synthetic : method -> ndarray
        Scores of its synthetic NG; a method with none has no threshold in any split.
    splits, seed : int
    taught : method -> (n_ng,) bool, optional
        Real NG that the method's synthetic ones were made from, near twins with them: they do not judge it.

    Raises
    ------
    CalibrationError
        If there are fewer than 4 OK or 2 NG groups, scores are not finite, or a split leaves a method without a real NG
        to judge it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ok, ng = rng.normal(0, 1, 100), rng.normal(3, 1, 40)
    >>> names = [str(i) for i in range(100)]
    >>> found = method_study(
    ...     ok, names, ng, names[:40], synthetic={"alike": ng, "plain": ng + 6}, splits=20, seed=0
    ... )
    >>> bool(np.median(found["alike"].regret) < np.median(found["plain"].regret))  # plain NG put it too high
    True
    """
    ok, ng = checked_scores(ok, "OK scores"), checked_scores(ng, "NG scores")
    halves_ok, halves_ng = Halves(ok, ok_groups, least=4, name="OK"), Halves(ng, ng_groups, least=2, name="NG")
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in synthetic}
    for child in np.random.SeedSequence(seed).spawn(splits):
        rng = np.random.default_rng(child)
        calibrating, judging = halves_ok(rng)
        judges = ~halves_ng.first(rng)
        for name, scores in synthetic.items():
            value = youden(calibrating, scores, source="held-out").value if len(scores) else None
            if value is not None:
                judging_ng = ng[judges if taught is None or name not in taught else judges & ~taught[name]]
                if not judging_ng.size:
                    raise CalibrationError(f"{name}: expected real NG to judge it that did not teach it, got none")
                rows[name].append(
                    (
                        float(is_ng(judging, value).mean()),
                        float(is_ng(judging_ng, value).mean()),
                        regret(judging, judging_ng, value).value,
                    )
                )
    real = np.array([auroc(ok, ng).auroc])
    return {
        name: MethodStudy(
            name,
            splits,
            np.array([len(scores)]),
            np.array([auroc(ok, scores).auroc if len(scores) else math.nan]),
            real,
            *np.array(rows[name], float).reshape(-1, 3).T,
        )
        for name, scores in synthetic.items()
    }


def joined(name: str, parts: Sequence[MethodStudy]) -> MethodStudy:
    """Several studies as one, such as those of one method that started from different real NG."""
    arrays = ("n_synthetic", "synthetic_auroc", "real_auroc", "fpr", "recall", "regret")
    return MethodStudy(
        name,
        sum(one.splits for one in parts),
        *(np.concatenate([getattr(one, array) for one in parts]) for array in arrays),
    )


def joined_methods(parts: Sequence[dict[str, MethodStudy]]) -> dict[str, MethodStudy]:
    """Studies on several memory banks as one; a method that a bank lacks is what it is on the others."""
    found: dict[str, MethodStudy] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        found[name] = joined(name, [part[name] for part in parts if name in part])
    return found
