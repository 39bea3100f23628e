"""Probability of detection (POD) from graded NG, each found or missed: a50, a90, a90/95 and the curve between.

Logistic regression in the practice of MIL-HDBK-1823A (2009), hit/miss analysis. Limits by profile likelihood as
in R. C. H. Cheng and T. C. Iles, Technometrics 25 (1983), 77-86 and 30 (1988), 155-159, with the small-sample
term of O. E. Barndorff-Nielsen, Biometrika 73 (1986), 307-322 (the "modified likelihood ratio").
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, logit, ndtr, ndtri

from calibration.checks import checked_rate
from calibration.errors import CalibrationError

_LEAST_N = 10  # fewer hits and misses leave nearly every curve possible
_HANDBOOK_N = 60
_Z95 = float(ndtri(0.95))
_MOST_STEPS = 200  # a dozen is usual
_UNSETTLED = f"POD: expected a fit within {_MOST_STEPS} steps, got none; look for far outliers of the measure"
_SMALL_ROOT = 0.01  # below it ln(q / r) / r is 0 / 0 to rounding, and no limit is near
_LARGEST = 700.0  # exp of it is still a number
_BLOCK = 2**14  # numbers at a time: arrays that stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class PodCurve:
    """POD against a measure of the defect, or the reason why there is no curve.

    measure        : what a is, e.g. "signal-to-noise"
    log_scale      : the regression is on ln a
    a              : (k,) float64   from the smallest to the largest a tested, rising; empty without a curve
    pod            : (k,) float64   fitted
    low, high      : (k,) float64   one-sided limits of the POD at each a; each holds on its own with ``confidence``
    a50, a90       : a at which the fitted POD is 0.5 and 0.9, in the unit of a; None: no number holds it
    a90_95         : upper one-sided 95 % limit of a90, whatever ``confidence`` is; None: not reached
    b0, b1         : logit POD = b0 + b1 ln a, or b0 + b1 a; None without a curve
    n, n_found     : graded NG, and how many of them were found
    tested         : smallest and largest a
    confidence     : of ``low`` and ``high``
    p_slope        : one-sided p-value of "POD does not rise with a"; None where no slope can be fitted
    reason         : why there is no curve; empty with one
    notes          : what limits it
    """

    measure: str
    log_scale: bool
    a: np.ndarray
    pod: np.ndarray
    low: np.ndarray
    high: np.ndarray
    a50: float | None
    a90: float | None
    a90_95: float | None
    b0: float | None
    b1: float | None
    n: int
    n_found: int
    tested: tuple[float, float]
    confidence: float
    p_slope: float | None
    reason: str
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.a.shape == self.pod.shape == self.low.shape == self.high.shape or self.a.ndim != 1:
            raise CalibrationError(
                "POD: expected four 1-D arrays of one length, got shapes "
                f"{self.a.shape}, {self.pod.shape}, {self.low.shape}, {self.high.shape}"
            )
        if (self.b1 is None) != bool(self.reason):
            raise CalibrationError(f"POD: expected a curve or a reason, got b1 = {self.b1}, reason {self.reason!r}")


def pod_curve(
    a: np.ndarray,
    found: np.ndarray,
    *,
    measure: str,
    log_scale: bool = True,
    confidence: float = 0.95,
    points: int = 101,
) -> PodCurve:
    """Fit POD against ``a`` to graded NG that were found or missed.

    Parameters
    ----------
    a : ndarray of shape (n,)
        Measure of each graded NG: severity, size in pixels, signal-to-noise against the surrounding.
        Positive with ``log_scale``.
    found : ndarray of shape (n,) bool
        Whether it was called NG: ``rules.is_ng`` at a threshold that was fixed without these NG.
    measure : str
        What ``a`` is, as the screen says it.
    log_scale : bool
        Regress on ln a rather than on a.
    confidence : float
        Of ``low`` and ``high``, one-sided, in (0.5, 1). ``a90_95`` is always at 95 %.
    points : int
        Length of the grid, at least 2; evenly spaced in ln a with ``log_scale``.

    Returns
    -------
    PodCurve
        With ``reason`` and without a curve below 10 graded NG, where all or none are found, where one value of a
        parts the missed from the found (the likelihood has no maximum), or where detection does not rise with a
        (``p_slope`` of 0.05 and more).

    Raises
    ------
    CalibrationError
        If ``a`` and ``found`` are not 1-D, non-empty and of one length, ``a`` is not finite or not positive on a
        log scale, ``found`` is not bool, or a setting is out of its range.

    Notes
    -----
    Exact: the maximum-likelihood fit (no penalty), and that a90/95 is where ``low`` at 95 % passes 0.9.
    Asymptotic: every limit, and ``p_slope``. At one a, let psi be logit POD there and the slope be free. The signed
    root r of the profile deviance of psi is standard normal up to an error of order 1/sqrt(n); r = 1.645 is the
    usual one-sided 95 % limit (chi-square quantile of 0.90 with 1 degree of freedom). With q the Wald distance of
    psi in units of its information given the rest, r* = r + ln(q / r) / r is normal up to about 1/n. Limits here are
    the farther of the two. On six simulated designs the plain limit of a90 held in 91 to 94 % of tests at n = 60 and
    in 94 % at n = 200, the one here in 94 to 96 % and in 95 to 96 %. The same root of the slope gives ``p_slope``:
    below 0.05 a90/95 is finite, though ln a of it can be too large for a number.

    The model is POD -> 0 with falling a and -> 1 with rising a. A rate of false calls, which finds even the
    weakest defect by chance, or defects that no size makes visible are not in it; both flatten the fitted curve.
    The limits speak of NG graded as these: synthetic NG say nothing about real NG.
    Practice of MIL-HDBK-1823A, "Nondestructive Evaluation System Reliability Assessment" (2009). For r* in models
    like this one see also D. A. Pierce and D. Peters, J. R. Statist. Soc. B 54 (1992), 701-737.

    Examples
    --------
    >>> a = np.repeat([1.0, 2.0, 4.0, 8.0], 20)
    >>> found = np.concatenate([np.arange(20) < k for k in (1, 6, 14, 19)])         # of 20 each
    >>> curve = pod_curve(a, found, measure="signal-to-noise")
    >>> round(curve.a50, 3), round(curve.a90, 2), round(curve.a90_95, 2)
    (2.828, 6.36, 9.96)
    >>> curve.notes
    ('a90/95 is extrapolated beyond the tested range 1 to 8',)
    >>> pod_curve(a, a > 2.0, measure="signal-to-noise").reason
    'every NG up to 2 is missed and every NG from 4 on is found: a50 lies between, the slope has no finite estimate'
    """
    a = _checked_measure(a, measure, log_scale)
    found = _checked_found(found, a.size)
    confidence, points = _checked_settings(confidence, points)
    x = np.log(a) if log_scale else a
    n, n_found = int(a.size), int(np.count_nonzero(found))
    tested = (float(a.min()), float(a.max()))
    notes = [f"{n} graded NG: MIL-HDBK-1823A asks for at least {_HANDBOOK_N}"] if n < _HANDBOOK_N else []

    def refusal(reason: str, p_slope: float | None = None) -> PodCurve:
        empty = np.empty(0)
        return PodCurve(
            measure=measure,
            log_scale=log_scale,
            a=empty,
            pod=empty,
            low=empty,
            high=empty,
            a50=None,
            a90=None,
            a90_95=None,
            b0=None,
            b1=None,
            n=n,
            n_found=n_found,
            tested=tested,
            confidence=confidence,
            p_slope=p_slope,
            reason=reason,
            notes=tuple(notes),
        )

    if reason := _no_fit(a, x, found, measure):
        return refusal(reason)
    middle, scale = float(x.mean()), float(x.std())
    fit = _fitted((x - middle) / scale, found)
    root = _slope_root(fit)
    p_slope = float(ndtr(-root))
    if not root > _Z95:
        return refusal(f"detection does not rise with {measure} (likelihood ratio, p = {p_slope:.2g}): no a90", p_slope)

    b1 = float(fit.slope / scale)
    b0 = float(fit.level - b1 * middle)
    values = {
        "a50": _measure_at(-b0 / b1, log_scale),
        "a90": _measure_at((float(logit(0.9)) - b0) / b1, log_scale),
        "a90/95": _measure_at(middle + scale * _upper_a90(fit), log_scale),
    }
    for name, value in values.items():
        if value is None:
            notes.append(f"{name} is not reached: it lies beyond any number")
        elif not tested[0] <= value <= tested[1]:
            notes.append(f"{name} is extrapolated beyond the tested range {tested[0]:g} to {tested[1]:g}")

    grid = np.geomspace(*tested, points) if log_scale else np.linspace(*tested, points)
    grid_x = np.log(grid) if log_scale else grid
    low, high = _band(fit, (grid_x - middle) / scale, float(ndtri(confidence)))
    return PodCurve(
        measure=measure,
        log_scale=log_scale,
        a=grid,
        pod=expit(b0 + b1 * grid_x),
        low=low,
        high=high,
        a50=values["a50"],
        a90=values["a90"],
        a90_95=values["a90/95"],
        b0=b0,
        b1=b1,
        n=n,
        n_found=n_found,
        tested=tested,
        confidence=confidence,
        p_slope=p_slope,
        reason="",
        notes=tuple(notes),
    )


def pod_at(curve: PodCurve, a: np.ndarray) -> np.ndarray:
    """Fitted POD at these values of the measure: where real NG stand on the curve of synthetic ones.

    Parameters
    ----------
    curve : PodCurve
        With a curve: ``curve.reason`` is empty.
    a : ndarray of shape (m,)
        In the unit of ``curve.a``; beyond ``curve.tested`` only the model speaks.

    Returns
    -------
    ndarray of shape (m,) float64

    Raises
    ------
    CalibrationError
        If the curve has none, or ``a`` is not what ``pod_curve`` takes.

    Examples
    --------
    >>> a = np.repeat([1.0, 2.0, 4.0, 8.0], 20)
    >>> found = np.concatenate([np.arange(20) < k for k in (1, 6, 14, 19)])
    >>> pod_at(pod_curve(a, found, measure="signal-to-noise"), np.array([2.0, 6.36])).round(2)
    array([0.28, 0.9 ])
    """
    if curve.reason:
        raise CalibrationError(f"POD: expected a fitted curve, got none: {curve.reason}")
    a = _checked_measure(a, curve.measure, curve.log_scale)
    return expit(curve.b0 + curve.b1 * (np.log(a) if curve.log_scale else a))


def _checked_measure(a: np.ndarray, measure: str, log_scale: bool) -> np.ndarray:
    a = np.asarray(a)
    if a.dtype.kind not in "fiu" or a.ndim != 1 or not a.size:
        raise CalibrationError(
            f"{measure}: expected a non-empty 1-D array of real numbers, got {a.dtype} of shape {a.shape}; "
            "pass one value per NG"
        )
    a = a.astype(np.float64)
    if n_bad := int(a.size - np.isfinite(a).sum()):
        raise CalibrationError(
            f"{measure}: expected finite numbers, got {n_bad} NaN or infinite of {a.size}; leave these NG out"
        )
    if log_scale and a.min() <= 0.0:
        raise CalibrationError(
            f"{measure}: expected positive numbers, got {a.min():g}; leave these NG out or set log_scale=False"
        )
    return a


def _checked_found(found: np.ndarray, n: int) -> np.ndarray:
    found = np.asarray(found)
    if found.dtype != np.bool_ or found.shape != (n,):
        raise CalibrationError(
            f"found: expected bool of shape ({n},), got {found.dtype} of shape {found.shape}; "
            "pass is_ng(scores, threshold), one per NG"
        )
    return found


def _checked_settings(confidence: float, points: int) -> tuple[float, int]:
    confidence = checked_rate(confidence, "confidence")
    if confidence <= 0.5:
        raise CalibrationError(f"confidence: expected more than 0.5, got {confidence}")
    try:
        points = operator.index(points)
    except TypeError:
        raise CalibrationError(f"points: expected a whole number, got {points!r}") from None
    if points < 2:
        raise CalibrationError(f"points: expected at least 2, got {points}")
    return confidence, points


def _no_fit(a: np.ndarray, x: np.ndarray, found: np.ndarray, measure: str) -> str:
    """Why the likelihood has no single maximum, or is not worth looking at; empty where a fit exists."""
    n = a.size
    if n < _LEAST_N:
        return f"a POD curve needs at least {_LEAST_N} graded NG, has {n}"
    if found.all():
        return f"all {n} graded NG are found, down to {a.min():g}: grade weaker ones"
    if not found.any():
        return f"none of {n} graded NG is found, up to {a.max():g}: grade stronger ones"
    # Decided on x, where the fit is made: two neighbouring numbers can have one logarithm.
    if x.min() == x.max():
        return f"all graded NG have one {measure}, {a.min():g}: grade them over a range"
    if x[found].max() <= x[~found].min():
        return f"detection falls with {measure}: every NG found is below every NG missed, no a90"
    low, high = a[~found].max(), a[found].min()
    if x[~found].max() < x[found].min():
        return (
            f"every NG up to {low:g} is missed and every NG from {high:g} on is found: "
            "a50 lies between, the slope has no finite estimate"
        )
    if x[~found].max() == x[found].min():
        return (
            f"every NG below {high:g} is missed and every NG above {high:g} is found: "
            "a50 is at this value, the slope has no finite estimate"
        )
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Maximum-likelihood fit logit POD = level + slope u, with u the measure at mean 0 and standard deviation 1.

    u           : (n,)
    found       : (n,) bool
    information : (2, 2)   of (level, slope) at the maximum
    """

    u: np.ndarray
    found: np.ndarray
    level: float
    slope: float
    loglik: float
    information: np.ndarray


def _fitted(u: np.ndarray, found: np.ndarray) -> _Fit:
    """Newton steps, halved until the likelihood rises: the log-likelihood is concave, so they end at its maximum."""
    design = np.stack([np.ones_like(u), u], axis=1)  # (n, 2)
    sign = np.where(found, 1.0, -1.0)

    def loglik(b: np.ndarray) -> float:
        return float(log_expit(sign * (design @ b)).sum())

    b = np.array([logit(found.mean()), 0.0])
    best = loglik(b)
    for _ in range(_MOST_STEPS):
        pod = expit(design @ b)
        information = design.T @ (design * (pod * (1.0 - pod))[:, None])
        score = design.T @ (found - pod)
        step = np.linalg.solve(information, score)
        if score @ step < 1e-18:  # twice what the log-likelihood can still rise
            return _Fit(u, found, float(b[0]), float(b[1]), best, information)
        while (reached := loglik(b + step)) < best - 1e-12 * abs(best):
            step /= 2.0
        b, best = b + step, reached
    raise CalibrationError(_UNSETTLED)


def _cautious(root: np.ndarray, wald: np.ndarray) -> np.ndarray:
    """The smaller of r and r*, which gives the farther of their limits; root, wald >= 0.

    r* is the better one as a rule. Next to complete separation ln(q / r) / r is no small term any more and can
    pull a limit across the fit, which the plain r never does.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        modified = root + np.log(wald / root) / root
    return np.where(root < _SMALL_ROOT, root, np.clip(modified, 0.0, root))


def _slope_root(fit: _Fit) -> float:
    """Signed root of the slope being 0, where the fit is one POD for all."""
    n = fit.u.size
    share = np.count_nonzero(fit.found) / n
    alone = n * (share * math.log(share) + (1.0 - share) * math.log1p(-share))
    root = math.sqrt(max(2.0 * (fit.loglik - alone), 0.0))
    wald = abs(fit.slope) * math.sqrt(np.linalg.det(fit.information) / (n * share * (1.0 - share)))
    return math.copysign(float(_cautious(np.array(root), np.array(wald))), fit.slope)


def _conditional(
    fit: _Fit, at: np.ndarray, level: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Likeliest slope of the curves with logit POD(at) = level, its information, log-likelihood; all (k,).

    The score falls with the slope, so its sign closes a bracket; Newton within it.
    """
    arm = fit.u - at[:, None]  # (k, n)
    sign = np.where(fit.found, 1.0, -1.0)
    below, above = np.full_like(slope, -np.inf), np.full_like(slope, np.inf)
    for _ in range(_MOST_STEPS):
        inverse = np.multiply(slope[:, None], arm)  # in place from here on: memory traffic is most of the cost
        inverse += level[:, None]
        inverse *= -sign
        np.minimum(inverse, _LARGEST, out=inverse)
        np.exp(inverse, out=inverse)
        inverse += 1.0  # 1 / probability of what was seen
        seen = 1.0 / inverse
        rest = 1.0 - seen
        weighted_arm = seen * rest
        weighted_arm *= arm
        information = np.vecdot(weighted_arm, arm)
        rest *= sign
        score = np.vecdot(rest, arm)
        settled = score**2 <= 1e-14 * information
        if settled.all():
            return slope, information, -np.log(inverse).sum(axis=1)
        below, above = np.where(score > 0.0, slope, below), np.where(score > 0.0, above, slope)
        reach = 1.0 + np.abs(slope)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            to = slope + np.clip(score / information, -reach, reach)
            to = np.where((below < to) & (to < above), to, (below + above) / 2.0)
        slope = np.where(settled, slope, to)
    raise CalibrationError(_UNSETTLED)


def _roots(fit: _Fit, at: np.ndarray, level: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root of logit POD(at) being ``level``, and the likeliest slope given that; all (k,)."""
    slope, information, loglik = _conditional(fit, at, level, slope)
    root = np.sqrt(np.maximum(2.0 * (fit.loglik - loglik), 0.0))
    gap = np.abs(fit.level + fit.slope * at - level)
    with np.errstate(divide="ignore"):
        return _cautious(root, gap * np.sqrt(np.linalg.det(fit.information) / information)), slope


def _crossing(roots_at: Callable, first: np.ndarray, slope: np.ndarray, fit: _Fit, z: float) -> np.ndarray:
    """Distances d > 0 from the fit at which the root reaches z; secant steps inside a bracket that closes on it.

    roots_at(d, slope) -> root, slope, with a root of 0 at d = 0; first, d, slope, root : (k,)
    """
    near, far = np.zeros_like(first), np.full_like(first, np.inf)
    d_old, short_old, slope_old = np.zeros_like(first), np.full_like(first, z), np.full_like(first, fit.slope)
    d = first
    for _ in range(_MOST_STEPS):
        root, slope = roots_at(d, slope)
        short = z - root
        settled = np.abs(short) < 1e-9
        if settled.all():
            return d
        near, far = np.where(short > 0.0, d, near), np.where(short > 0.0, far, d)
        with np.errstate(divide="ignore", invalid="ignore"):
            to = np.minimum(d + short * (d - d_old) / (short_old - short), 4.0 * d)
            shrinks = np.isinf(far) | (2.0 * np.abs(to - d) < np.abs(d - d_old))
            middle = np.minimum((near + far) / 2.0, 4.0 * d)
            to = np.where((near < to) & (to < far) & shrinks, to, middle)
            to = np.where(settled, d, to)
            slope_to = np.where(settled, slope, slope + (slope - slope_old) / (d - d_old) * (to - d))
        d_old, short_old, slope_old = d, short, slope
        d, slope = to, slope_to
    raise CalibrationError(_UNSETTLED)


def _band(fit: _Fit, at: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit of the POD at each ``at`` (k,)."""
    n_parts = min(at.size, math.ceil(2 * at.size * fit.u.size / _BLOCK))
    parts = [_band_of(fit, part, z) for part in np.array_split(at, n_parts)]
    low, high = (np.concatenate(limit) for limit in zip(*parts, strict=True))
    return low, high


def _band_of(fit: _Fit, at: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    k = at.size
    both, side = np.tile(at, 2), np.repeat([1.0, -1.0], k)
    fitted = fit.level + fit.slope * both
    rows = np.stack([np.ones_like(both), both])
    spread = np.linalg.solve(fit.information, rows)  # covariance of (level, slope) with logit POD(at)
    error = np.sqrt((rows * spread).sum(axis=0))
    slope = fit.slope - side * z * spread[1] / error  # likeliest one at the Wald limit

    def roots_at(d: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _roots(fit, both, fitted - side * d, slope)

    limits = expit(fitted - side * _crossing(roots_at, z * error, slope, fit, z))
    return limits[:k], limits[k:]


def _upper_a90(fit: _Fit) -> float:
    """Upper 95 % limit of a90, as u: r* of POD(u) being 0.9 rises with u to that of the slope being 0."""
    level = np.array([logit(0.9)])
    a90 = (level - fit.level) / fit.slope
    row = np.concatenate([[1.0], a90])
    error = math.sqrt(row @ np.linalg.solve(fit.information, row)) / fit.slope
    distance = _crossing(
        lambda d, slope: _roots(fit, a90 + d, level, slope), np.array([_Z95 * error]), np.array([fit.slope]), fit, _Z95
    )
    return float((a90 + distance)[0])


def _measure_at(x: float, log_scale: bool) -> float | None:
    """From the scale of the regression to a; None where a is beyond any number."""
    if not log_scale:
        return x
    try:
        return math.exp(x) or None
    except OverflowError:
        return None
