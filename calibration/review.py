"""The review band: between passing a part and rejecting it, a person looks.

Two thresholds, ``review_from`` <= ``ng_from``: NG iff score >= ng_from, review iff review_from <= score < ng_from.
The band comes from how many parts people can look at, or from what looking, escapes and overkill cost; the cost
rule is the reject option of C. K. Chow, IEEE Trans. Inf. Theory 16 (1970), 41-46, on scores instead of posteriors.
"""

import math
from dataclasses import dataclass

import numpy as np

from calibration.bounds import needed_ok, rate_bound, smallest_fpr, upper_bound
from calibration.checks import checked_positive, checked_rate, checked_scores
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.rank_rules import tolerance
from calibration.rules import is_ng, percent
from calibration.types import RateBound

DECISIONS = ("OK", "review", "NG")  # what the codes of ``decide`` mean

_ROUNDING = 1e-12  # of the summed costs: expected costs nearer than this are equal


@dataclass(frozen=True, slots=True)
class ReviewBand:
    """Two thresholds, or the reason why there is no band between them.

    review_from   : parts from here on are not passed unseen; equal to ``ng_from`` where the band is empty, None
                    where no value can be given
    ng_from       : parts from here on are NG; None only where ``by_cost`` can give none
    promise       : in words, what holds
    reason        : why the band is empty or missing; "" where there is one
    notes         : what limits the promise
    params        : the rule and its settings, JSON-ready
    n_ok, n_ng    : OK and NG scores the rule saw
    in_band_ok, in_band_ng : parts seen in the band; None without a band or without such parts
    expected_cost : mean cost per part on the scores seen, ``by_cost`` only
    """

    review_from: float | None
    ng_from: float | None
    promise: str
    reason: str
    notes: tuple[str, ...]
    params: dict
    n_ok: int
    n_ng: int
    in_band_ok: RateBound | None
    in_band_ng: RateBound | None
    expected_cost: float | None

    def __post_init__(self) -> None:
        if self.review_from is None:
            if not self.reason:
                raise CalibrationError("review band: a band without a value needs a reason")
        elif self.ng_from is None or not self.review_from <= self.ng_from:
            raise CalibrationError(
                f"review band: expected review_from <= ng_from, got {self.review_from} and {self.ng_from}"
            )


def by_staffing(
    ok: np.ndarray, ng_from: float, *, max_share: float, confidence: float = 0.95, source: str
) -> ReviewBand:
    """The widest band below ``ng_from`` for which people are enough, at the given confidence.

    Parameters
    ----------
    ok : ndarray of shape (n_ok,)
        OK scores of images outside the memory bank, or leave-one-out scores.
    ng_from : float
        The NG threshold in use, finite, chosen in any way.
    max_share : float
        In (0, 1): share of good parts that people can look at.
    confidence : float
        In (0, 1), over the draw of the OK scores.
    source : {"held-out", "leave-one-out"}

    Returns
    -------
    ReviewBand
        ``review_from`` is None where the OK scores are too few, and equals ``ng_from`` where the NG threshold alone
        leaves no room for ``max_share``. ``in_band_ok.high`` is proven, ``low`` is 0.

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, a rate is outside (0, 1), or ``ng_from`` is not finite.

    Notes
    -----
    ``review_from`` is the tolerance threshold of ``max_share``: at most that share of good parts scores higher,
    whatever their distribution. Parts above ``ng_from`` are counted in, which costs a little width: so the promise
    also holds where ``ng_from`` was chosen on these same scores, and the band alone holds less.

    Examples
    --------
    >>> band = by_staffing(np.arange(100.0), 120.0, max_share=0.05, source="held-out")
    >>> band.review_from, band.promise
    (98.00000000000001, 'at most 5 % of good parts are looked at or rejected, with 95 % confidence')
    >>> by_staffing(np.arange(30.0), 40.0, max_share=0.05, source="held-out").reason
    'a band for at most 5 % of good parts needs at least 59 OK scores, has 30; 30 allow 9.5 %'
    """
    ok = checked_scores(ok, "OK scores")
    ng_from = _checked_threshold(ng_from)
    max_share, confidence = checked_rate(max_share, "max_share"), checked_rate(confidence, "confidence")
    choice = tolerance(ok, source=source, max_fpr=max_share, confidence=confidence)
    n, rank = ok.size, choice.params["rank"]
    params = {"rule": "staffing", "max_share": max_share, "confidence": confidence, "source": source, "rank": rank}
    notes = (*choice.notes, "NG parts in the band are looked at too: at most their share of the line on top")

    def band(
        review_from: float | None, *, promise: str = "", reason: str = "", in_band: RateBound | None = None
    ) -> ReviewBand:
        return ReviewBand(
            review_from=review_from,
            ng_from=ng_from,
            promise=promise,
            reason=reason,
            notes=notes,
            params=params,
            n_ok=int(n),
            n_ng=0,
            in_band_ok=in_band,
            in_band_ng=None,
            expected_cost=None,
        )

    if choice.value is None:
        return band(
            None,
            reason=(
                f"a band for at most {percent(max_share)} of good parts needs at least "
                f"{needed_ok(max_share, confidence)} OK scores, has {n}; "
                f"{n} allow {percent(smallest_fpr(n, confidence))}"
            ),
        )
    flagged = int(np.count_nonzero(is_ng(ok, ng_from)))
    if choice.value >= ng_from:
        return band(
            ng_from,
            reason=(
                f"no room for a band: {n} OK scores promise at most {percent(max_share)} only from {choice.value:g} "
                f"on, and parts are NG from {ng_from:g} on, {flagged} of the {n} OK among them"
            ),
        )
    promise = (
        f"at most {percent(max_share)} of good parts are looked at or rejected, with {percent(confidence)} confidence"
    )
    if source == "leave-one-out":
        promise += ", approximate: the confidence is proven for held-out scores only"
    # The limit is that of the rank, fixed before the scores were seen: it holds with ties and for any ng_from.
    in_band = RateBound(
        k=int(np.count_nonzero(is_ng(ok, choice.value))) - flagged,
        n=int(n),
        low=0.0,
        high=upper_bound(rank - 1, n, confidence),
        confidence=confidence,
    )
    return band(choice.value, promise=promise, in_band=in_band)


def by_cost(
    ok: np.ndarray,
    ng: np.ndarray,
    ng_from: float | None = None,
    *,
    cost_escape: float,
    cost_overkill: float,
    cost_review: float,
    ng_share: float,
) -> ReviewBand:
    """The band with the least mean cost per part on these scores, with or without a fixed NG threshold.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
        Image scores, higher = more anomalous.
    ng_from : float, optional
        Finite; where given, only the lower end of the band is sought.
    cost_escape, cost_overkill, cost_review : float
        Of one NG part passed, one good part rejected, one part looked at; finite and above 0, in one unit.
    ng_share : float
        In (0, 1): NG parts on the line / all parts.

    Returns
    -------
    ReviewBand
        Thresholds in the middle of their score gaps. The band is empty unless looking lowers the cost; among equal
        costs ``review_from`` is the highest, then ``ng_from`` the lowest. No value where NG score lower than OK
        (AUROC < 0.5).

    Raises
    ------
    CalibrationError
        If scores are not 1-D, empty or not finite, a cost is not finite and above 0, ``ng_share`` is outside
        (0, 1), or ``ng_from`` is not finite.

    Notes
    -----
    With p = ng_share, lo = review_from, hi = ng_from the cost is

        (1 - p) [C_overkill P_ok(>= hi) + C_review P_ok(lo..hi)] + p [C_escape P_ng(< lo) + C_review P_ng(lo..hi)]

    = A(lo) + B(hi). The reviewer is taken to be right every time. Every distinct score and inf is tried for both,
    with lo <= hi, in time O(n log n).

    Examples
    --------
    >>> ok, ng = np.array([1.0, 2.0, 3.0, 5.0]), np.array([4.0, 6.0, 7.0, 8.0])
    >>> band = by_cost(ok, ng, cost_escape=100.0, cost_overkill=100.0, cost_review=1.0, ng_share=0.5)
    >>> band.review_from, band.ng_from, band.expected_cost
    (3.5, 5.5, 0.25)
    >>> by_cost(ok, ng, cost_escape=1.0, cost_overkill=1.0, cost_review=9.0, ng_share=0.5).reason
    'looking at parts never pays at these costs'
    """
    ok = checked_scores(ok, "OK scores").astype(np.float64)
    ng = checked_scores(ng, "NG scores").astype(np.float64)
    cost_escape = checked_positive(cost_escape, "cost_escape")
    cost_overkill = checked_positive(cost_overkill, "cost_overkill")
    cost_review = checked_positive(cost_review, "cost_review")
    p = checked_rate(ng_share, "ng_share")
    fixed = None if ng_from is None else _checked_threshold(ng_from)
    params = {
        "rule": "cost",
        "cost_escape": cost_escape,
        "cost_overkill": cost_overkill,
        "cost_review": cost_review,
        "ng_share": p,
    }

    area = auroc(ok, ng).auroc
    if area < 0.5:
        return ReviewBand(
            review_from=None,
            ng_from=fixed,
            promise="",
            reason=f"NG score lower than OK (AUROC {area:.2f}): check that OK and NG are not swapped",
            notes=(),
            params=params,
            n_ok=int(ok.size),
            n_ng=int(ng.size),
            in_band_ok=None,
            in_band_ng=None,
            expected_cost=None,
        )

    # Thresholds rise; the last one is ng_from where it is fixed, else inf.
    scores = np.unique(np.concatenate([ok, ng]))
    cuts = np.append(scores, math.inf) if fixed is None else np.append(scores[scores < fixed], fixed)
    flagged = 1.0 - np.searchsorted(np.sort(ok), cuts, side="left") / ok.size  # P_ok(>= cut)
    passed = np.searchsorted(np.sort(ng), cuts, side="left") / ng.size  # P_ng(< cut)
    of_low = (1.0 - p) * cost_review * flagged + p * (cost_escape - cost_review) * passed
    of_high = (1.0 - p) * (cost_overkill - cost_review) * flagged + p * cost_review * passed
    if fixed is not None:
        of_high[:-1] = math.inf
    without = of_low + of_high  # no band: lo = hi
    with_band = of_low + np.minimum.accumulate(of_high[::-1])[::-1]  # best hi >= lo
    limit = float(with_band.min()) + _ROUNDING * (cost_escape + cost_overkill + cost_review)
    if without.min() <= limit:
        low = high = int(np.flatnonzero(without <= limit)[-1])
    else:
        low = int(np.flatnonzero(with_band <= limit)[-1])
        high = low + int(np.argmax(of_low[low] + of_high[low:] <= limit))

    hi = fixed if fixed is not None else _middle(cuts, high)
    lo = hi if low == high else _middle(cuts, low)
    cost = float(of_low[low] + of_high[high])
    params["cost_without_review"] = float(without.min())
    notes = [
        "the person who looks is taken to be right every time",
        "costs and counts are those of the scores the band was picked on: they are optimistic",
    ]
    if low == high:
        return ReviewBand(
            review_from=lo,
            ng_from=hi,
            promise=f"on these scores a mean cost of {cost:.4g} per part, nothing looked at",
            reason="looking at parts never pays at these costs",
            notes=tuple(notes),
            params=params,
            n_ok=int(ok.size),
            n_ng=int(ng.size),
            in_band_ok=None,
            in_band_ng=None,
            expected_cost=cost,
        )
    if low == 0:
        notes.append("no part seen is passed without a look")
    if math.isinf(cuts[high]):
        notes.append("no part seen is rejected without a look")
    in_band_ok, in_band_ng = (
        rate_bound(int(np.count_nonzero(is_ng(s, lo)) - np.count_nonzero(is_ng(s, hi))), s.size) for s in (ok, ng)
    )
    return ReviewBand(
        review_from=lo,
        ng_from=hi,
        promise=(
            f"on these scores a mean cost of {cost:.4g} per part, {params['cost_without_review']:.4g} without review; "
            f"{in_band_ok.k} of {in_band_ok.n} OK and {in_band_ng.k} of {in_band_ng.n} NG looked at"
        ),
        reason="",
        notes=tuple(notes),
        params=params,
        n_ok=int(ok.size),
        n_ng=int(ng.size),
        in_band_ok=in_band_ok,
        in_band_ng=in_band_ng,
        expected_cost=cost,
    )


def decide(scores: np.ndarray, band: ReviewBand) -> np.ndarray:
    """What happens to each part: 0 = OK, 1 = review, 2 = NG, as in ``DECISIONS``.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    band : ReviewBand

    Returns
    -------
    ndarray of shape (n,) int8

    Raises
    ------
    CalibrationError
        If the band has no thresholds, or the scores are not 1-D, are empty or not finite.

    Examples
    --------
    >>> band = by_staffing(np.arange(100.0), 120.0, max_share=0.05, source="held-out")
    >>> decide(np.array([98.0, 99.0, 120.0]), band)
    array([0, 1, 2], dtype=int8)
    """
    if band.review_from is None:
        raise CalibrationError(f"review band: expected two thresholds, got none: {band.reason}")
    return is_ng(scores, band.review_from).astype(np.int8) + is_ng(scores, band.ng_from).astype(np.int8)


def _middle(cuts: np.ndarray, at: int) -> float:
    """Middle of the gap (cuts[at - 1], cuts[at]]; just above the highest score for inf, the lowest score itself."""
    high = float(cuts[at])
    low = float(cuts[at - 1]) if at else high
    if math.isinf(high):
        return float(np.nextafter(low, high))
    middle = low / 2.0 + high / 2.0
    return middle if low < middle <= high else high  # neighbouring numbers have no middle


def _checked_threshold(ng_from: float) -> float:
    try:
        value = float(ng_from)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise CalibrationError(f"ng_from: expected a finite number, got {ng_from!r}; pass the NG threshold in use")
    return value
