"""What the rules share when they write down a threshold: the row, the refusal, and what is printed beside both."""

import math

import numpy as np

from calibration.bounds import upper_bound
from calibration.checks import checked_choice
from calibration.rules import is_ng
from calibration.simultaneous import upper_bound_anywhere
from calibration.types import OK_SOURCES, RocCurve, ThresholdChoice

ALL_EQUAL = "all OK scores are equal: they say nothing about how good parts vary"
_BEYOND = "with these settings the threshold lies beyond any number"
_SEARCHED = "OK scores moved this threshold, so its 95 % FPR limit is one that holds at every threshold at once"
_LEAVE_ONE_OUT = "leave-one-out scores depend on each other through the memory bank: the 95 % FPR limit is approximate"


def ranked(
    key: str,
    ok: np.ndarray,
    rank: int,
    *,
    source: str,
    params: dict,
    promise: str,
    notes: tuple[str, ...] = (),
) -> ThresholdChoice:
    """Just above the rank-th largest score: rank - 1 scores at or above it, fewer where scores tie.

    Expectation and limit use the rank, which was fixed before the scores were seen, and not the count: with
    ties the scores choose the count, and its limit would fail too often.
    """
    value = just_above(ok, rank)
    if np.count_nonzero(is_ng(ok, value)) < rank - 1:
        notes += (f"tied scores: FPR as for {rank - 1} of {ok.size} rejected, which ties only lower",)
    return choice_of(
        key,
        ok,
        value,
        rank=rank,
        source=source,
        params=params,
        promise=promise,
        expected_fpr=rank / (ok.size + 1),
        notes=notes,
    )


def in_gap(
    key: str,
    ok: np.ndarray,
    curve: RocCurve,
    at: int,
    *,
    n_ng: int,
    source: str,
    params: dict,
    promise: str,
    notes: tuple[str, ...] = (),
) -> ThresholdChoice:
    """Middle of (next lower score, score at ``at``]: all thresholds there decide the scores seen alike.

    ``at`` is a place on ``curve``, and not 0: no score lies at infinity. The OK scores have a say in the middle even
    where they have none in the upper end: the limit of a threshold fixed beforehand is that of the upper end, below
    which the FPR is higher.
    """
    low, value, high = gap_at(curve.thresholds, at)
    flagged = int(np.count_nonzero(is_ng(ok, value)))
    return choice_of(
        key,
        ok,
        value,
        source=source,
        params=params,
        promise=promise,
        expected_fpr=(flagged + 1) / (ok.size + 1),
        n_ng=n_ng,
        notes=notes,
        gap=(low, high),
    )


def gap_at(falling: np.ndarray, at: int) -> tuple[float, float, float]:
    """(low, middle, high) of the gap of falling scores that ends at ``falling[at]``.

    The lowest score ends no gap and neighbouring numbers have no middle: there the middle is the score itself.

    Examples
    --------
    >>> gap_at(np.array([9.0, 4.0, 1.0]), 0), gap_at(np.array([9.0, 4.0, 1.0]), 2)
    ((4.0, 6.5, 9.0), (1.0, 1.0, 1.0))
    """
    high = float(falling[at])
    low = float(falling[at + 1]) if at + 1 < falling.size else high
    middle = low / 2.0 + high / 2.0
    return low, middle if low < middle <= high else high, high


def choice_of(
    key: str,
    ok: np.ndarray,
    value: float,
    *,
    source: str,
    params: dict,
    promise: str,
    expected_fpr: float | None,
    rank: int | None = None,
    n_ng: int = 0,
    notes: tuple[str, ...] = (),
    gap: tuple[float, float] | None = None,
) -> ThresholdChoice:
    """The row of a threshold, with a 95 % limit of its FPR that fits how it was found.

    ``rank``: rank - 1 of n lie at or above the threshold, and the rank was fixed without the OK scores, so the limit of
    that count is exact. None: the OK scores moved the threshold, and the limit must hold at every threshold at once.
    A value that is no number any more (infinite, or NaN) is refused.
    """
    if not math.isfinite(value):
        return refusal_of(key, ok, source=source, params=params, reason=_BEYOND, n_ng=n_ng)
    if rank is None:
        limit = upper_bound_anywhere(int(np.count_nonzero(is_ng(ok, value))), ok.size)
        notes += (_SEARCHED,)
    else:
        limit = upper_bound(rank - 1, ok.size)
    return ThresholdChoice(
        rule=key,
        value=value,
        params=params,
        source=source,
        promise=promise,
        n_ok=int(ok.size),
        n_ng=int(n_ng),
        expected_fpr=expected_fpr,
        fpr_upper_95=limit,
        notes=notes + notes_on(ok, source),
        gap=gap,
    )


def refusal_of(key: str, ok: np.ndarray, *, source: str, params: dict, reason: str, n_ng: int = 0) -> ThresholdChoice:
    return ThresholdChoice(
        rule=key,
        value=None,
        params=params,
        source=source,
        promise="",
        n_ok=int(ok.size),
        n_ng=int(n_ng),
        expected_fpr=None,
        fpr_upper_95=None,
        reason=reason,
        notes=notes_on(ok, source),
    )


def notes_on(ok: np.ndarray, source: str) -> tuple[str, ...]:
    checked_choice(source, "source of the OK scores", OK_SOURCES)
    notes = (_LEAVE_ONE_OUT,) if source == "leave-one-out" else ()
    return notes + ((ALL_EQUAL,) if ok.size > 1 and all_equal(ok) else ())


def all_equal(ok: np.ndarray) -> bool:
    return bool(ok.min() == ok.max())


def just_above(ok: np.ndarray, rank: int) -> float:
    """Next number after the rank-th largest score, in the dtype of the scores; inf after the largest there is."""
    score = np.sort(ok)[ok.size - rank]
    with np.errstate(over="ignore"):
        return float(np.nextafter(score, np.array(np.inf, dtype=ok.dtype)))


def largest_count(n: int, rate: float) -> int:
    """Largest whole c with c <= n * rate, forgiving the rounding of ``rate`` (100 * 0.29 = 28.999...).

    Never n itself, as ``rate`` is below 1.

    Examples
    --------
    >>> largest_count(100, 0.29), largest_count(50, 1.0 - 1e-12)
    (29, 49)
    """
    return min(math.floor(n * rate + 1e-9), n - 1)


def ordinal(rank: int) -> str:
    suffix = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{suffix}"
