"""Synthetic against real NG, measured: does a threshold chosen on synthetic NG also serve the real ones?

Everything counts NG as score >= threshold. ``transfer`` gives all figures and a verdict, ``regret`` the one figure
a study needs many times. Limits of differences: R. G. Newcombe, Statist. Med. 17 (1998), 873-890, method 10, with
exact limits in place of Wilson's (see ``transfer``).
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from calibration.bounds import rate_bound, upper_bound
from calibration.checks import checked_rate, checked_scores, checked_threshold
from calibration.counts import counts_at
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.rules import percent
from calibration.types import Auroc, RateBound

TRANSFERS = "transfers"
DOES_NOT_TRANSFER = "does not transfer"
CANNOT_TELL = "cannot tell"

_LEAST_REAL = 20  # fewer real NG: no interval of the regret
_INNER = (0.05, 0.95)  # real NG ranked outside this part of the synthetic scores count as unlike them
_DRAWS = 1000
_N_SPLITS = 99
_CELLS = 2_000_000  # of one block of bootstrap draws: tens of MB
_ROUNDING = 1e-12  # losses nearer than this are equal


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two rates or areas with a two-sided interval; all in [-1, 1]."""

    value: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Regret:
    """What a threshold loses against the best one for the same scores: ``value`` = ``loss`` - ``best_loss`` >= 0.

    best_threshold : middle of the best score gap, the highest among equal ones; just above the highest score
                     where flagging nothing is best
    """

    value: float
    loss: float
    best_loss: float
    best_threshold: float
    n_ok: int
    n_ng: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """How a threshold chosen on synthetic NG does on real NG; rates in [0, 1].

    auroc_gap         : AUROC(OK, synthetic) - AUROC(OK, real); positive = synthetic NG too easy
    ranks             : share of synthetic scores below each real NG, ties half, in the order of the real scores
    n_outside         : real NG ranked outside [0.05, 0.95]; of NG like the synthetic ones about one in ten
    ks_statistic, ks_p : two-sample Kolmogorov-Smirnov, synthetic against real
    wasserstein       : Wasserstein distance of synthetic and real scores / IQR of the OK scores; None if that is 0
    synthetic_above   : P(synthetic > real) + P(equal) / 2; 0.5 = equally difficult
    false_rejects, escapes, synthetic_recall : OK flagged, real NG not flagged, synthetic NG flagged at ``threshold``
    recall_gap        : recall of synthetic - recall of real NG
    regret            : on OK and real scores, loss = (1 - weight) FPR + weight escape rate
    regret_interval   : (low, high), see ``regret_interval``; None below 20 real NG
    verdict, why      : "transfers", "does not transfer" or "cannot tell", and the sentence that says why
    notes             : what limits these figures
    """

    threshold: float
    margin: float
    weight: float
    confidence: float
    n_ok: int
    n_synthetic: int
    n_real: int
    auroc_synthetic: Auroc
    auroc_real: Auroc
    auroc_gap: Difference
    ranks: tuple[float, ...]
    n_outside: int
    ks_statistic: float
    ks_p: float
    wasserstein: float | None
    synthetic_above: float
    false_rejects: RateBound
    escapes: RateBound
    synthetic_recall: RateBound
    recall_gap: Difference
    regret: Regret
    regret_interval: tuple[float, float] | None
    verdict: str
    why: str
    notes: tuple[str, ...]


def losses(ok: np.ndarray, ng: np.ndarray, thresholds: np.ndarray, *, weight: float = 0.5) -> np.ndarray:
    """(1 - weight) FPR + weight escape rate at each threshold.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
        Image scores, higher = more anomalous.
    thresholds : ndarray of shape (t,)
        In the unit of the scores, in any order; infinities count.
    weight : float
        In (0, 1): of one escape rate against one FPR. With costs per part and NG share p it is
        C_escape p / (C_escape p + C_overkill (1 - p)). 0.5 is the balanced error, (1 - Youden's index) / 2.

    Returns
    -------
    ndarray of shape (t,) float64

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, thresholds are not 1-D or hold a NaN, or the weight is not
        in (0, 1).

    Examples
    --------
    >>> losses(np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([2.0, 2.5, np.inf]))
    array([0.25, 0.25, 0.5 ])
    """
    ok, ng, weight = _sorted(ok, "OK scores"), _sorted(ng, "NG scores"), checked_rate(weight, "weight")
    thresholds = np.asarray(thresholds)
    if thresholds.dtype.kind not in "fiu" or thresholds.ndim != 1 or np.isnan(thresholds).any():
        raise CalibrationError("thresholds: expected a 1-D array of numbers without NaN; pass one per decision")
    return _losses(ok, ng, thresholds, weight)


def regret(ok: np.ndarray, real: np.ndarray, threshold: float, *, weight: float = 0.5) -> Regret:
    """Loss at ``threshold`` minus the least loss any threshold has on these scores.

    The minimum runs over every distinct score and both infinities. Time O((n + k) log(n + k)), about 0.1 ms for
    300 OK and 100 NG.

    Parameters
    ----------
    ok, real : ndarray of shape (n_ok,), (n_ng,)
        Image scores of OK and real NG, neither used to choose the threshold.
    threshold : float
        NG means score >= threshold; infinities count.
    weight : float
        As in ``losses``.

    Returns
    -------
    Regret

    Raises
    ------
    CalibrationError
        As ``losses``; also if the threshold is not a number.

    Notes
    -----
    The best threshold is found on the scores it is judged on. So the regret seen is on average not below the
    true one, E[min of losses seen] <= min of E[losses], and the excess grows as NG become fewer. It is an upper
    estimate on average, not in every sample, and only for a threshold chosen without these OK and real scores.

    Examples
    --------
    >>> found = regret(np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0]), 5.0)
    >>> found.value, found.best_threshold
    (0.25, 3.5)
    """
    ok, real, weight = _sorted(ok, "OK scores"), _sorted(real, "real NG scores"), checked_rate(weight, "weight")
    threshold = checked_threshold(threshold)
    # Raising a threshold to the next NG score, or to inf, loses no NG and frees OK: no other candidate is better.
    candidates = np.concatenate([real, [math.inf]])
    seen = _losses(ok, real, np.append(candidates, threshold), weight)
    at, best = float(seen[-1]), float(seen[:-1].min())
    chosen = np.flatnonzero(seen[:-1] <= best + _ROUNDING)[-1]  # candidates rise: the last is the highest
    return Regret(
        value=at - best if at > best + _ROUNDING else 0.0,
        loss=at,
        best_loss=best,
        best_threshold=_middle(ok, real, float(candidates[chosen])),
        n_ok=int(ok.size),
        n_ng=int(real.size),
    )


def regret_interval(
    ok: np.ndarray,
    real: np.ndarray,
    threshold: float,
    *,
    rng: np.random.Generator,
    weight: float = 0.5,
    confidence: float = 0.95,
    draws: int = _DRAWS,
) -> tuple[float, float] | None:
    """Limits of the true regret of a fixed threshold, each at (1 + confidence) / 2; None below 20 real NG.

    Parameters
    ----------
    ok, real, threshold, weight
        As in ``regret``; the threshold finite.
    rng : numpy.random.Generator
        Drives the draws and the splits.
    confidence : float
        In (0, 1), two-sided.
    draws : int
        Bootstrap draws, at least 1.

    Returns
    -------
    (low, high) or None

    Notes
    -----
    High: the percentile of the bootstrap, OK and real NG resampled separately, but never below the regret seen
    plus what a count of none could hide: a bootstrap of no escapes knows of no escapes.

    Low: not from the bootstrap. The minimum on the same scores lifts the regret, and a bootstrap lifts it once
    more: in simulations its lower percentile was above the true regret in 2 to 86 % of samples where 2.5 % are
    meant, and reflecting it (2 x seen - percentile) still failed in up to 67 %. Instead a threshold is chosen on
    a random quarter of the scores and compared with ``threshold`` on the other three. The scores between the two
    are a count of OK and a count of NG, exact limits of both give a lower limit of what this threshold saves, and
    the best one saves no less. The median over 99 splits hardly depends on the seed; by Markov's inequality it
    fails in at most twice the nominal rate, and it did in at most 0.6 % of simulated samples.
    Source of the median: B. Rueger, Metrika 25 (1978), 171-178.

    Examples
    --------
    >>> limits = regret_interval(np.arange(100.0), np.arange(80.0, 180.0), 150.0, rng=np.random.default_rng(0))
    >>> round(limits[0], 2), round(limits[1], 2)
    (0.16, 0.32)
    """
    ok, real, weight = _sorted(ok, "OK scores"), _sorted(real, "real NG scores"), checked_rate(weight, "weight")
    threshold, confidence = _finite_threshold(threshold), checked_rate(confidence, "confidence")
    if draws < 1:
        raise CalibrationError(f"draws: expected at least 1, got {draws}")
    if real.size < _LEAST_REAL or ok.size < 2:
        return None
    n, k, level = ok.size, real.size, 0.5 + confidence / 2.0
    # Only the counts between possible cuts matter: bin i holds the scores in [cuts[i - 1], cuts[i]).
    cuts = np.unique(np.append(real, threshold))
    at = int(np.searchsorted(cuts, threshold)) + 1  # bins below the threshold
    in_ok, in_real = (
        np.bincount(np.searchsorted(cuts, scores, side="right"), minlength=cuts.size + 1) for scores in (ok, real)
    )

    resampled = []
    block = max(1, _CELLS // cuts.size)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        path = _path(rng.multinomial(n, in_ok / n, size), rng.multinomial(k, in_real / k, size), weight)
        resampled.append(path[:, at] - path.min(axis=1))
    seen = regret(ok, real, threshold, weight=weight).value
    hidden = max((1.0 - weight) * upper_bound(0, n, level), weight * upper_bound(0, k, level))
    high = max(float(np.quantile(np.concatenate(resampled), level)), seen + hidden)

    # A random quarter chooses, the rest judges. (splits, bins)
    n_choosing, k_choosing = max(1, n // 4), k // 4
    ok_choosing = rng.multivariate_hypergeometric(in_ok, n_choosing, size=_N_SPLITS, method="marginals")
    real_choosing = rng.multivariate_hypergeometric(in_real, k_choosing, size=_N_SPLITS, method="marginals")
    chosen = _path(ok_choosing, real_choosing, weight).argmin(axis=1)
    saved = [
        _saved_low(
            int(ok_rest[:at].sum() - ok_rest[:other].sum()),
            int(real_rest[:at].sum() - real_rest[:other].sum()),
            n - n_choosing,
            k - k_choosing,
            weight,
            level,
        )
        for ok_rest, real_rest, other in zip(in_ok - ok_choosing, in_real - real_choosing, chosen, strict=True)
    ]
    low = min(max(float(np.median(saved)), 0.0), seen)
    return low, min(high, max(weight, 1.0 - weight))  # one band of scores is all that two thresholds differ by


def auroc_gap(
    ok: np.ndarray,
    synthetic: np.ndarray,
    real: np.ndarray,
    confidence: float = 0.95,
    *,
    sources: Sequence[str] | None = None,
) -> Difference:
    """AUROC(OK, synthetic) - AUROC(OK, real), with an approximate two-sided interval: positive = synthetic too easy.

    Parameters
    ----------
    ok, synthetic, real : ndarray of shape (n_ok,), (n_synthetic,), (n_real,)
        Image scores, higher = more anomalous.
    confidence : float
        In (0, 1).
    sources : sequence of str, optional
        The real NG that each synthetic one was made from.

    Returns
    -------
    Difference

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, or the confidence is not in (0, 1).

    Notes
    -----
    The intervals of ``curves.auroc``, honest at an area of 1, combined by Newcombe's hybrid: the distance of each limit
    from the difference is the root of two summed squares. That assumes independent areas, yet both use the same OK
    scores. Each area is a mean over OK parts of a function that falls with the OK score, and two falling functions of
    one variable have a covariance >= 0 (Chebyshev's association inequality). So the difference varies less than
    assumed: the interval is conservative, and missed the true difference in at most 1 % of samples from normal laws,
    with 1 to 100 real NG. With one to three real NG it is no proof all the same: where 5 % of real NG score far below
    all OK it missed in 10 % of samples of two, in 2 % of samples of five.

    Examples
    --------
    >>> gap = auroc_gap(np.arange(30.0), np.full(20, 99.0), np.array([14.5, 99.0]))
    >>> gap.value, round(gap.low, 2), round(gap.high, 2)
    (0.25, -0.03, 0.8)
    """
    of_synthetic, of_real = auroc(ok, synthetic, confidence, sources=sources), auroc(ok, real, confidence)
    return _difference(
        (of_synthetic.auroc, of_synthetic.low, of_synthetic.high),
        (of_real.auroc, of_real.low, of_real.high),
        of_real.confidence,
    )


def recall_gap(synthetic: tuple[int, int], real: tuple[int, int], confidence: float = 0.95) -> Difference:
    """Recall of synthetic NG minus recall of real NG, with a two-sided interval that few parts do not break.

    Parameters
    ----------
    synthetic, real : (caught, of)
        Whole numbers of parts, of at least one.
    confidence : float
        In (0, 1).

    Returns
    -------
    Difference

    Raises
    ------
    CalibrationError
        If counts or confidence are impossible.

    Notes
    -----
    Newcombe's hybrid with the exact limits of Clopper and Pearson instead of Wilson's, which fail for one or two
    parts. Computed over all counts and true recalls, for 10 to 500 synthetic and 1 to 300 real NG: a true gap of 5 %
    is called larger in up to 17 % of samples with Wilson's limits, in up to 2.3 % with exact ones; called smaller in
    up to 17 % and 3 %. Nominal is 2.5 %.

    Examples
    --------
    >>> gap = recall_gap((50, 50), (0, 1))                   # one real NG, missed: no proof of anything yet
    >>> gap.value, round(gap.low, 2)
    (1.0, 0.02)
    >>> round(recall_gap((50, 50), (0, 2)).low, 2)
    0.16
    """
    level = 0.5 + checked_rate(confidence, "confidence") / 2.0
    return _difference(*(_limits(rate_bound(*counts, level)) for counts in (synthetic, real)), confidence)


def needed_real(margin: float, *, caught: int, n_synthetic: int, confidence: float = 0.95) -> int | None:
    """Fewest real NG with which "transfers" could be said if their recall equals that of the synthetic NG.

    Parameters
    ----------
    margin : float
        In (0, 1): largest recall gap, and regret, still called a transfer.
    caught, n_synthetic : int
        Synthetic NG caught, of all.
    confidence : float
        In (0, 1), two-sided, as in ``transfer``.

    Returns
    -------
    int or None
        Never below 20. None where the synthetic NG are so few that their own recall is open by the margin.

    Raises
    ------
    CalibrationError
        If the counts are impossible, or a rate is outside (0, 1).

    Notes
    -----
    The upper end of the recall gap for a gap of zero, with the count of real NG caught as a continuous number.
    If all are caught it is 1 - ((1 - confidence) / 2)^(1 / k).

    Examples
    --------
    >>> [needed_real(margin, caught=50, n_synthetic=50) for margin in (0.2, 0.1, 0.05, 0.02)]
    [20, 36, 72, 183]
    >>> needed_real(0.05, caught=45, n_synthetic=50) is None
    True
    """
    margin, confidence = checked_rate(margin, "margin"), checked_rate(confidence, "confidence")
    level = 0.5 + confidence / 2.0
    synthetic = rate_bound(caught, n_synthetic, level)
    recall, open_above = synthetic.estimate, synthetic.high - synthetic.estimate
    if open_above >= margin:
        return None

    def inside(k: int) -> bool:
        low = float(betaincinv(recall * k, (1.0 - recall) * k + 1.0, 1.0 - level)) if caught else 0.0
        return math.hypot(open_above, recall - low) <= margin

    low, high = _LEAST_REAL - 1, _LEAST_REAL
    while not inside(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if inside(middle) else (middle, high)
    return high


def transfer(
    ok: np.ndarray,
    synthetic: np.ndarray,
    real: np.ndarray,
    threshold: float,
    *,
    rng: np.random.Generator,
    margin: float = 0.05,
    weight: float = 0.5,
    confidence: float = 0.95,
    sources: Sequence[str] | None = None,
) -> Transfer:
    """All that n OK, synthetic and real NG say about a threshold chosen on the synthetic ones.

    Parameters
    ----------
    ok, synthetic, real : ndarray of shape (n_ok,), (n_synthetic,), (n_real,)
        Image scores of one detector, higher = more anomalous. Real NG that took no part in choosing anything.
    threshold : float
        Finite, chosen on OK and synthetic scores.
    rng : numpy.random.Generator
        Drives the interval of the regret only.
    margin : float
        In (0, 1): largest recall gap, and regret, still called a transfer. The caller's choice, fixed before
        looking; the default is the rate asked of the FPR.
    weight : float
        In (0, 1), of escapes in the loss, see ``losses``.
    confidence : float
        In (0, 1): two-sided for intervals, one-sided for each limit of the three rates.
    sources : sequence of str, optional
        The real NG that each synthetic one was made from: what the synthetic side says then rests on these.

    Returns
    -------
    Transfer

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, a rate is outside (0, 1), or the threshold is not finite.

    Notes
    -----
    *Verdict.* "does not transfer" if the lower end of the recall gap or of the regret is above the margin;
    "transfers" if both upper ends are within it, which takes 20 real NG; else "cannot tell". Each end errs at
    (1 - confidence) / 2, so at 95 % a wrong "does not transfer" comes in at most 5 % of samples (two ends), a wrong
    "transfers" in at most 2.5 % (the end of whichever is above the margin). Simulated, 2,000 samples a case, 3 to
    300 real NG: synthetic and real of one law "do not transfer" in at most 1.3 %; a true gap or regret just at the
    margin is called a transfer in at most 2 %, none in at most 1.6 %; far too easy synthetic NG never transferred.

    *In-sample.* If the threshold was chosen on these very synthetic scores, their recall is a little high and so
    is the gap; if on these OK scores, the FPR is a little low. The regret: see ``regret``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ok, synthetic, real = np.arange(100.0), np.arange(200.0, 260.0), np.arange(90.0, 120.0)
    >>> found = transfer(ok, synthetic, real, 150.0, rng=rng)
    >>> found.verdict, found.why
    ('does not transfer', 'Of 60 synthetic NG 100 % are caught, of 30 real NG 0 %: a recall lower by at least \
87 % (95 % interval), above the margin of 5 %.')
    """
    ok, synthetic, real = (
        _sorted(ok, "OK scores"),
        checked_scores(synthetic, "synthetic NG scores").astype(np.float64),
        checked_scores(real, "real NG scores").astype(np.float64),
    )
    in_order = np.sort(synthetic)
    threshold = _finite_threshold(threshold)
    margin, weight = checked_rate(margin, "margin"), checked_rate(weight, "weight")
    confidence = checked_rate(confidence, "confidence")
    from scipy.stats import ks_2samp, wasserstein_distance  # importing it takes longer than all the rest

    ranks = (np.searchsorted(in_order, real, side="left") + np.searchsorted(in_order, real, side="right")) / (
        2.0 * synthetic.size
    )
    with warnings.catch_warnings():  # where its exact p leaves [0, 1] by rounding it falls back by itself, and says so
        warnings.filterwarnings("ignore", message="ks_2samp", category=RuntimeWarning)
        ks = ks_2samp(synthetic, real)
    iqr = float(np.subtract(*np.quantile(ok, [0.75, 0.25])))

    caught = counts_at(synthetic, threshold, confidence, sources=sources)
    caught_real = counts_at(real, threshold, confidence)
    if sources is None:
        gap = recall_gap((caught.k, caught.n), (caught_real.k, caught_real.n), confidence)
    else:
        level = 0.5 + confidence / 2.0
        both = counts_at(synthetic, threshold, level, sources=sources), counts_at(real, threshold, level)
        gap = _difference(*map(_limits, both), confidence)
    interval = regret_interval(ok, real, threshold, rng=rng, weight=weight, confidence=confidence)

    notes = [
        "a threshold chosen on these synthetic NG makes their recall, and so the recall gap, a little high",
        "the best threshold is found on these same real NG: the regret seen is on average too high",
    ]
    if interval is None:
        notes.append(f"no interval of the regret: it takes at least {_LEAST_REAL} real NG and 2 OK")
    if iqr == 0.0:
        notes.append("the middle half of the OK scores is one number: no distance in its unit")
    verdict, why = _verdict(gap, interval, caught, caught_real, ok.size, margin)
    return Transfer(
        threshold=threshold,
        margin=margin,
        weight=weight,
        confidence=confidence,
        n_ok=int(ok.size),
        n_synthetic=int(synthetic.size),
        n_real=int(real.size),
        auroc_synthetic=auroc(ok, synthetic, confidence, sources=sources),
        auroc_real=auroc(ok, real, confidence),
        auroc_gap=auroc_gap(ok, synthetic, real, confidence, sources=sources),
        ranks=tuple(ranks.tolist()),
        n_outside=int(np.count_nonzero((ranks < _INNER[0]) | (ranks > _INNER[1]))),
        ks_statistic=float(ks.statistic),
        ks_p=float(ks.pvalue),
        wasserstein=float(wasserstein_distance(synthetic, real)) / iqr if iqr else None,
        synthetic_above=auroc(real, synthetic).auroc,
        false_rejects=counts_at(ok, threshold, confidence),
        escapes=rate_bound(caught_real.n - caught_real.k, caught_real.n, confidence),
        synthetic_recall=caught,
        recall_gap=gap,
        regret=regret(ok, real, threshold, weight=weight),
        regret_interval=interval,
        verdict=verdict,
        why=why,
        notes=tuple(notes),
    )


def _verdict(
    gap: Difference,
    regret_limits: tuple[float, float] | None,
    synthetic: RateBound,
    real: RateBound,
    n_ok: int,
    margin: float,
) -> tuple[str, str]:
    k, interval = real.n, f"{percent(gap.confidence)} interval"
    if gap.low > margin:
        return DOES_NOT_TRANSFER, (
            f"Of {synthetic.n} synthetic NG {percent(synthetic.estimate)} are caught, of {k} real NG "
            f"{percent(real.estimate)}: a recall lower by at least {percent(gap.low)} ({interval}), "
            f"above the margin of {percent(margin)}."
        )
    if regret_limits and regret_limits[0] > margin:
        return DOES_NOT_TRANSFER, (
            f"On {n_ok} OK and {k} real NG another threshold loses less, by at least {percent(regret_limits[0])} "
            f"({interval}), above the margin of {percent(margin)}."
        )
    if regret_limits and regret_limits[1] <= margin and gap.high <= margin:
        return TRANSFERS, (
            f"On {k} real NG the recall gap is at most {percent(gap.high)} and the regret at most "
            f"{percent(regret_limits[1])} ({interval}s), within the margin of {percent(margin)}."
        )
    why = f"{k} real NG cannot tell: recall gap from {percent(gap.low)} to {percent(gap.high)}"
    if regret_limits:
        why += f", regret from {percent(regret_limits[0])} to {percent(regret_limits[1])}"
    why += f" ({interval}), margin {percent(margin)}. "
    needed = needed_real(margin, caught=synthetic.k, n_synthetic=synthetic.n, confidence=gap.confidence)
    if needed is None:
        why += f"{synthetic.n} synthetic NG are too few for this margin, with any number of real NG."
    elif needed > k:
        why += f"With no gap at all it takes at least {needed} real NG."
    else:
        why += "What was seen lies too near the margin: more real NG and OK narrow it."
    return CANNOT_TELL, why


def _losses(ok: np.ndarray, ng: np.ndarray, thresholds: np.ndarray, weight: float) -> np.ndarray:
    """``losses`` of sorted scores."""
    flagged = ok.size - np.searchsorted(ok, thresholds, side="left")
    escaped = np.searchsorted(ng, thresholds, side="left")
    return (1.0 - weight) * flagged / ok.size + weight * escaped / ng.size


def _middle(ok: np.ndarray, ng: np.ndarray, high: float) -> float:
    """Middle of the gap of the sorted scores that ends at ``high``."""
    below = [scores[at - 1] for scores in (ok, ng) if (at := np.searchsorted(scores, high, side="left"))]
    low = float(max(below, default=high))
    if high == math.inf:
        return float(np.nextafter(low, math.inf))
    middle = low / 2.0 + high / 2.0
    return middle if low < middle <= high else high  # neighbouring numbers have no middle


def _path(in_ok: np.ndarray, in_ng: np.ndarray, weight: float) -> np.ndarray:
    """Loss at -inf and above each bin, minus the loss at -inf: (rows, bins) counts to (rows, bins + 1)."""
    n, k = in_ok[0].sum(), in_ng[0].sum()
    steps = np.zeros((in_ok.shape[0], in_ok.shape[1] + 1))
    steps[:, 1:] = in_ng * (weight / k) - in_ok * ((1.0 - weight) / n)
    return np.cumsum(steps, axis=1, out=steps)


def _saved_low(ok_between: int, ng_between: int, n: int, k: int, weight: float, level: float) -> float:
    """Lower limit of the loss saved by another threshold, from the scores between it and the one judged.

    Counts are negative where the judged threshold is the lower one: then moving up frees OK and loses NG.
    """
    sign = 1 if ok_between + ng_between > 0 else -1
    of_ok = tuple((1.0 - weight) * limit for limit in _limits(rate_bound(sign * ok_between, n, level)))
    of_ng = tuple(weight * limit for limit in _limits(rate_bound(sign * ng_between, k, level)))
    return (_hybrid(of_ng, of_ok) if sign > 0 else _hybrid(of_ok, of_ng))[0]


def _limits(rate: RateBound) -> tuple[float, float, float]:
    return rate.estimate, rate.low, rate.high


def _hybrid(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float]:
    """Limits of first - second, two independent (value, low, high): Newcombe's method 10."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def _difference(first: tuple[float, float, float], second: tuple[float, float, float], confidence: float) -> Difference:
    low, high = _hybrid(first, second)
    return Difference(first[0] - second[0], max(-1.0, low), min(1.0, high), confidence)


def _sorted(scores: np.ndarray, name: str) -> np.ndarray:
    return np.sort(checked_scores(scores, name).astype(np.float64))


def _finite_threshold(threshold: float) -> float:
    threshold = checked_threshold(threshold)
    if math.isinf(threshold):
        raise CalibrationError("threshold: expected a finite number, got an infinite one; pass the threshold in use")
    return threshold
