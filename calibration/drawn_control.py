"""The control of a generator that draws the whole picture: its defect-free pictures must score like good parts.

Where each control has a good part that it was made from, ``calibration.control`` compares the two; here there is none.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, gammaln

from calibration.checks import checked_scores
from calibration.control import ALPHA, DIFFERS, NOT_TOLD_APART, SHARE
from calibration.curves import auroc
from calibration.types import Auroc

CANNOT_TELL = "cannot tell"
_SEEN = 0.95  # chance with which an unusable generator has to be found out


@dataclass(frozen=True, slots=True)
class DrawnControl:
    """What a generator's backgrounds score.

    verdict : DIFFERS, NOT_TOLD_APART, or CANNOT_TELL where there are fewer controls than ``needed``
    n, n_ok : controls, and good parts
    needed  : controls that would find out a generator half of whose controls lie above the limit
    limit   : score that at most 5 % of good parts exceed
    above, above_ok : controls, and good parts, that exceed it
    p       : chance of at least so many controls above it if they were good parts
    area    : of good parts against controls; an interval below 1/2: the backgrounds score lower than good parts
    """

    verdict: str
    n: int
    n_ok: int
    needed: int
    limit: float
    above: int
    above_ok: int
    p: float
    area: Auroc


def drawn_control(controls: np.ndarray, ok: np.ndarray) -> DrawnControl:
    """Whether defect-free pictures of a generator score like good parts.

    Parameters
    ----------
    controls : ndarray of shape (n,)
        Scores of pictures in which the generator was to draw no defect.
    ok : ndarray of shape (m,)
        Scores of good parts that no memory bank has seen, or leave-one-out scores.

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite.

    Notes
    -----
    Where controls and good parts are alike, the number of n controls above the (r + 1)-th highest of m good parts is
    beta-binomial with parameters r + 1 and m - r, whatever the distribution (S. S. Wilks, Ann. Math. Statist. 13
    (1942), 400-409); one-sided at 5 %. That a set is unusable whose controls lie above the good parts' 95 % is the
    rule of the project's notes on generators that draw the whole part; "controls" read as half of them is ours, and so
    is that too few controls are no pass. What scores below good parts passes: it claims too little, never too much.

    Examples
    --------
    >>> ok = np.arange(100.0)
    >>> drawn_control(ok[::5] + 0.5, ok).verdict, drawn_control(ok[::5] + 60, ok).verdict
    ('not told apart', 'differs')
    >>> drawn_control(ok[:5], ok).verdict
    'cannot tell'
    """
    controls, ok = checked_scores(controls, "control scores"), checked_scores(ok, "OK scores")
    limit = float(np.quantile(ok, SHARE, method="higher"))
    above, above_ok = int(np.count_nonzero(controls > limit)), int(np.count_nonzero(ok > limit))
    p = float(_tails(controls.size, above_ok, ok.size)[above])
    needed = _needed(above_ok, ok.size)
    verdict = DIFFERS if p <= ALPHA else NOT_TOLD_APART if controls.size >= needed else CANNOT_TELL
    return DrawnControl(verdict, controls.size, ok.size, needed, limit, above, above_ok, p, auroc(ok, controls))


def _tails(n: int, r: int, m: int) -> np.ndarray:
    """(n + 1,) chance that at least k of n scores lie above the (r + 1)-th highest of m others of their kind."""
    k = np.arange(n + 1)
    a, b = r + 1, m - r
    choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    mass = np.exp(choose + betaln(a + k, b + n - k) - betaln(a, b))
    return np.cumsum(mass[::-1])[::-1]


def _needed(r: int, m: int) -> int:
    """Fewest controls of which a fair coin's share is told from good parts with chance ``_SEEN``."""
    for n in range(1, 1000):
        refuted = _tails(n, r, m) <= ALPHA
        k = np.arange(n + 1)
        coin = np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * np.log(2))
        if coin[refuted].sum() >= _SEEN:
            return n
    return 1000
