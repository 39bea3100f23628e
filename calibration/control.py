"""The control set: where a generator was to draw no defect, its pictures must score like the good parts they are of."""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from calibration.checks import checked_scores
from calibration.errors import CalibrationError

IDENTICAL, NOT_TOLD_APART, DIFFERS = "identical", "not told apart", "differs"
SHARE = 0.95  # of good parts that score at or below the limit
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Control:
    """What a generator does to good surface.

    verdict    : IDENTICAL, NOT_TOLD_APART or DIFFERS
    n          : control pictures
    limit      : score that 5 % of good parts exceed
    lifted     : controls above it whose good part is not
    lowered    : good parts above it whose control is not
    p          : chance of at least so many lifted among those that changed sides, if neither way were favoured
    median_shift : of control - good part, in the unit of the scores
    """

    verdict: str
    n: int
    limit: float
    lifted: int
    lowered: int
    p: float
    median_shift: float


def control(parents: np.ndarray, controls: np.ndarray, ok: np.ndarray, *, unchanged: bool = False) -> Control:
    """Whether control pictures score like good parts.

    Parameters
    ----------
    parents, controls : ndarray of shape (n,)
        Scores of the good parts and of what the generator made of each with no defect asked for.
    ok : ndarray of shape (m,)
        Scores of good parts that no memory bank has seen: where the limit comes from.
    unchanged : bool
        The pictures are the good parts' own, pixel for pixel: nothing is left to test.

    Returns
    -------
    Control

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, or there is not one parent for each control.

    Notes
    -----
    Pairs that lie on both sides of the limit: lifted ones are half of them, binomially, where the generator adds
    nothing. One-sided at 5 %, so fewer than five controls can refute nothing. What lifts all scores a little, but none
    past the limit, passes: such pictures would be taken for good parts, and the shift is shown. The limit is ours, from
    the project's notes on generators that draw the whole part. Source of the test: Q. McNemar, Psychometrika 12 (1947),
    153-157, exact form.

    Examples
    --------
    >>> ok = np.arange(100.0)
    >>> found = control(ok[:20], ok[:20] + 90.0, ok)
    >>> found.verdict, found.lifted, found.n
    ('differs', 14, 20)
    """
    parents, controls = checked_scores(parents, "scores of good parts"), checked_scores(controls, "control scores")
    ok = checked_scores(ok, "OK scores")
    if parents.size != controls.size:
        raise CalibrationError(f"control: expected one good part for each of {controls.size}, got {parents.size}")
    limit = float(np.quantile(ok, SHARE, method="higher"))
    lifted = int(np.count_nonzero((controls > limit) & (parents <= limit)))
    lowered = int(np.count_nonzero((controls <= limit) & (parents > limit)))
    p = float(bdtrc(lifted - 1, lifted + lowered, 0.5)) if lifted else 1.0
    verdict = IDENTICAL if unchanged else DIFFERS if p <= ALPHA else NOT_TOLD_APART
    return Control(verdict, controls.size, limit, lifted, lowered, p, float(np.median(controls - parents)))
