"""OK images that stand apart from the others: shown to the engineer before they move a threshold."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr

from calibration.checks import checked_rate, checked_scores

_LEAST = 8  # fewer scores have no spread to stand apart from
_EFFICIENCY = 0.37  # the MAD of n normal values scatters like a standard deviation of 0.37 n of them


@dataclass(frozen=True, slots=True)
class Outlier:
    """One OK image that scores far above the others.

    place   : in the scores given
    score   : feature distance
    p_value : chance, at most, that the highest of n good parts lies this far out, if log-scores were normal
    """

    place: int
    score: float
    p_value: float


def outliers(ok: np.ndarray, *, level: float = 0.01) -> tuple[Outlier, ...]:
    """OK scores that no sample of normal log-scores would hold, highest first.

    Parameters
    ----------
    ok : ndarray of shape (n_ok,)
        OK scores.
    level : float
        In (0, 1): chance, at most, of flagging any of n images where log-scores are normal.

    Returns
    -------
    tuple of Outlier
        Empty below 8 scores, where a score is not positive, or where more than half of the scores are equal.

    Notes
    -----
    t = (ln s - median) / MAD with both from all scores, so that up to half of them may be contaminated; one in n lies
    beyond t with probability at most n P(T > t) (Bonferroni). T is Student's, with 0.37 (n - 1) degrees of freedom: a
    MAD scatters more than a standard deviation, and the normal law instead would flag 11 % of clean sets of 8 to 10
    and 3 % of 100 where 1 % is meant. Simulated at 5 %, 1 % and 0.1 %: 1 to 5 %, 0.1 to 1 % and 0 to 0.1 % of clean
    sets of 8 to 5,000 are flagged. Skewed scores flag more: a flag asks for a look at the picture and decides nothing.
    Source: F. R. Hampel, J. Amer. Statist. Assoc. 69 (1974), 383-393 (MAD and its efficiency).

    Examples
    --------
    >>> ok = np.append(np.geomspace(4.0, 6.0, 30), 40.0)
    >>> [(one.place, one.score) for one in outliers(ok)], outliers(ok[:30])
    ([(30, 40.0)], ())
    """
    ok = checked_scores(ok, "OK scores").astype(np.float64)
    level = checked_rate(level, "level")
    if ok.size < _LEAST or ok.min() <= 0.0:
        return ()
    logs = np.log(ok)
    middle = np.median(logs)
    mad = float(np.median(np.abs(logs - middle))) / float(ndtri(0.75))
    if mad == 0.0:
        return ()
    p_values = np.minimum(1.0, ok.size * stdtr(_EFFICIENCY * (ok.size - 1), -(logs - middle) / mad))
    found = np.flatnonzero(p_values < level)
    return tuple(Outlier(int(i), float(ok[i]), float(p_values[i])) for i in found[np.argsort(-ok[found])])
