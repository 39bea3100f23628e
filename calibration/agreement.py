"""How far raters agree who call the same pictures OK or NG: counts with exact limits, and kappa with what it hides.

Sources: J. Cohen, Educ. Psychol. Meas. 20 (1960), 37-46; interval: J. L. Fleiss, J. Cohen and B. S. Everitt, Psychol.
Bull. 72 (1969), 323-327, eq. 13; many raters: J. L. Fleiss, Psychol. Bull. 76 (1971), 378-382.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from calibration.bounds import rate_bound
from calibration.checks import checked_rate
from calibration.errors import CalibrationError
from calibration.types import RateBound

Flag = Literal["", "one class", "one rater", "too few", "no spread", "rare class"]

_LEAST_N = 8  # 2 k^2 for k = 2 classes: D. V. Cicchetti, Appl. Psychol. Meas. 5 (1981), 101-104


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two raters on the same n pictures.

    both_ng, first_only, second_only, both_ok : pictures that both, one or neither calls NG
    agree : RateBound       pictures on which both say the same, with one-sided limits
    kappa : float or None   Cohen's; None where both call every picture the same class, so that chance agrees always
    low, high : float or None   two-sided asymptotic interval at ``confidence``; None where it means nothing
    kappa_max : float or None   highest kappa that these two shares of NG allow
    positive, negative : float or None   agreement on NG and on OK; None where nobody used the class
    prevalence, bias : float    (both NG - both OK) / n and (first only - second only) / n, in [-1, 1]
    pabak : float               kappa if both classes were equally frequent and both raters used them alike
    flag : Flag
        "one class": kappa is not defined. "one rater": one of the two says the same of all, so kappa is 0 whatever
        the other says. "too few": fewer than 8 pictures, no interval. "no spread": they never differ, so the interval
        has no width. "rare class": the paradox, see ``two_raters``.
    """

    both_ng: int
    first_only: int
    second_only: int
    both_ok: int
    agree: RateBound
    kappa: float | None
    low: float | None
    high: float | None
    kappa_max: float | None
    positive: float | None
    negative: float | None
    prevalence: float
    bias: float
    pabak: float
    confidence: float
    flag: Flag


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """m raters on the same n pictures; fields as in ``PairAgreement``.

    agree : RateBound      pictures of which all m say the same
    pairs : float          share of agreeing pairs of raters, mean over the pictures
    kappa : float or None  Fleiss'
    standard_error : float or None
    pabak : float          kappa if both classes were equally frequent
    """

    n_raters: int
    agree: RateBound
    pairs: float
    kappa: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    pabak: float
    confidence: float
    flag: Flag


def two_raters(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> PairAgreement:
    """Agreement of two raters beyond what their shares of NG would give by chance.

    Parameters
    ----------
    first, second : ndarray of shape (n,)
        bool, True for NG; the same pictures in the same order, n >= 1.
    confidence : float
        In (0, 1): of each one-sided limit of ``agree``, and of the two-sided interval of kappa.

    Returns
    -------
    PairAgreement

    Raises
    ------
    CalibrationError
        If the arrays are not bool, differ in length or are empty, or the confidence is impossible.

    Notes
    -----
    Where one class is rare, chance alone agrees nearly always and kappa falls though the raters agree (A. R. Feinstein
    and D. V. Cicchetti, J. Clin. Epidemiol. 43 (1990), 543-549). With P the prevalence and B the bias index,
    kappa = (PABAK - P^2 + B^2) / (1 - P^2 + B^2) (T. Byrt, J. Bishop and J. B. Carlin, ibid. 46 (1993), 423-429), so
    prevalence lowers kappa where P^2 > B^2. "rare class" is said where it does, agreement is proven above one half,
    and either kappa's interval still reaches 0, or PABAK lies above the interval. ``positive`` and ``negative``:
    Cicchetti and Feinstein, ibid. 43 (1990), 551-558. The interval is cut at -1 and 1.

    Examples
    --------
    >>> found = two_raters(np.arange(20) < 10, np.arange(20) < 12)
    >>> found.agree.k, round(found.kappa, 3), round(found.low, 3), found.flag
    (18, 0.8, 0.542, '')
    >>> one = two_raters(np.zeros(30, bool), np.arange(30) < 1)
    >>> one.agree.k, one.kappa, one.low, one.flag
    (29, 0.0, None, 'one rater')
    """
    first, second = _checked_calls(first, "first rater"), _checked_calls(second, "second rater")
    confidence = checked_rate(confidence, "confidence")
    if first.size != second.size:
        raise CalibrationError(
            f"agreement: expected both raters on the same pictures, got {first.size} and {second.size} verdicts"
        )
    n = first.size
    a, b = int(np.sum(first & second)), int(np.sum(first & ~second))
    c = int(np.sum(~first & second))
    d = n - a - b - c
    agree, prevalence, bias = rate_bound(a + d, n, confidence), (a - d) / n, (b - c) / n
    pabak = 2.0 * (a + d) / n - 1.0
    kappa = kappa_max = None
    interval: tuple[float, float] | None = None
    if n in (a, d):
        flag: Flag = "one class"
    else:
        kappa, kappa_max, error = _cohen(a, b, c, d)
        if 0 in (a + b, a + c, c + d, b + d):
            flag = "one rater"
        elif n < _LEAST_N:
            flag = "too few"
        elif b == c == 0:
            flag = "no spread"
        else:
            interval = _interval(kappa, error, confidence)
            lowered = prevalence**2 > bias**2
            flag = "rare class" if lowered and _paradox(agree, interval, pabak) else ""
    return PairAgreement(
        both_ng=a,
        first_only=b,
        second_only=c,
        both_ok=d,
        agree=agree,
        kappa=kappa,
        low=interval and interval[0],
        high=interval and interval[1],
        kappa_max=kappa_max,
        positive=2.0 * a / (2 * a + b + c) if 2 * a + b + c else None,
        negative=2.0 * d / (2 * d + b + c) if 2 * d + b + c else None,
        prevalence=prevalence,
        bias=bias,
        pabak=pabak,
        confidence=confidence,
        flag=flag,
    )


def many_raters(calls: np.ndarray, confidence: float = 0.95) -> GroupAgreement:
    """Fleiss' kappa of m >= 2 raters who all judged the same pictures.

    Parameters
    ----------
    calls : ndarray of shape (n, m)
        bool, True for NG.
    confidence : float
        As in ``two_raters``.

    Returns
    -------
    GroupAgreement
        "one rater" is never said: Fleiss' kappa does not ask who called what.

    Raises
    ------
    CalibrationError
        If the array is not 2-D and bool, or has no picture or fewer than two raters.

    Notes
    -----
    The standard error is over the draw of the pictures, by linearization: K. L. Gwet, Br. J. Math. Stat. Psychol. 61
    (2008), 29-48. It holds whatever kappa is, unlike the one of Fleiss, Nee and Landis (1979), which holds at kappa 0.

    Examples
    --------
    >>> calls = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]] * 3, dtype=bool)
    >>> found = many_raters(calls)
    >>> found.agree.k, round(found.pairs, 3), round(found.kappa, 3), round(found.standard_error, 3)
    (9, 0.833, 0.657, 0.171)
    """
    array = np.asarray(calls)
    if array.ndim != 2 or array.dtype != bool or array.shape[0] < 1 or array.shape[1] < 2:
        raise CalibrationError(
            "agreement: expected verdicts (pictures, raters), bool, at least one picture and two raters, "
            f"got {array.dtype} of shape {array.shape}"
        )
    confidence = checked_rate(confidence, "confidence")
    n, m = array.shape
    ng = array.sum(axis=1)  # (n,) raters who say NG
    unanimous = int(np.count_nonzero((ng == 0) | (ng == m)))
    of_pairs = (ng * (ng - 1) + (m - ng) * (m - ng - 1)) / (m * (m - 1))  # (n,) P_i
    pairs, share = float(of_pairs.mean()), float(ng.sum()) / (n * m)
    agree, pabak = rate_bound(unanimous, n, confidence), 2.0 * pairs - 1.0
    kappa = error = None
    interval: tuple[float, float] | None = None
    if ng.sum() in (0, n * m):
        flag: Flag = "one class"
    else:
        chance = share**2 + (1.0 - share) ** 2
        kappa = (pairs - chance) / (1.0 - chance)
        if n < _LEAST_N:
            flag = "too few"
        elif unanimous == n:
            flag = "no spread"
        else:
            met = (share * ng + (1.0 - share) * (m - ng)) / m  # (n,) chance agreement with this picture's calls
            moved = (of_pairs - chance - 2.0 * (1.0 - kappa) * (met - chance)) / (1.0 - chance)
            error = float(np.sqrt(np.sum((moved - kappa) ** 2) / (n * (n - 1))))
            interval = _interval(kappa, error, confidence)
            flag = "rare class" if _paradox(agree, interval, pabak) else ""
    return GroupAgreement(
        n_raters=m,
        agree=agree,
        pairs=pairs,
        kappa=kappa,
        standard_error=error,
        low=interval and interval[0],
        high=interval and interval[1],
        pabak=pabak,
        confidence=confidence,
        flag=flag,
    )


def _cohen(a: int, b: int, c: int, d: int) -> tuple[float, float, float]:
    """kappa, its maximum at these margins, and its standard error."""
    n = a + b + c + d
    rows, columns = ((a + b) / n, (c + d) / n), ((a + c) / n, (b + d) / n)
    seen = (a + d) / n
    chance = rows[0] * columns[0] + rows[1] * columns[1]
    kappa = (seen - chance) / (1.0 - chance)
    most = (min(rows[0], columns[0]) + min(rows[1], columns[1]) - chance) / (1.0 - chance)
    on = sum(
        p * (1.0 - chance - (row + column) * (1.0 - seen)) ** 2
        for p, row, column in zip((a / n, d / n), rows, columns, strict=True)
    )
    off = (b / n) * (columns[0] + rows[1]) ** 2 + (c / n) * (columns[1] + rows[0]) ** 2
    spread = on + (1.0 - seen) ** 2 * off - (seen * chance - 2.0 * chance + seen) ** 2
    return kappa, most, math.sqrt(max(spread, 0.0) / n) / (1.0 - chance) ** 2


def _interval(kappa: float, error: float, confidence: float) -> tuple[float, float]:
    reach = float(ndtri(0.5 + confidence / 2.0)) * error
    return max(kappa - reach, -1.0), min(kappa + reach, 1.0)


def _paradox(agree: RateBound, interval: tuple[float, float], pabak: float) -> bool:
    """Agreement is proven, yet kappa is not, or is lower than equal classes would make it."""
    return agree.low > 0.5 and (interval[0] <= 0.0 or pabak > interval[1])


def _checked_calls(calls: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(calls)
    if array.dtype != bool or array.ndim != 1 or array.size == 0:
        raise CalibrationError(
            f"{name}: expected at least one verdict in a 1-D bool array, True for NG, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array
