"""Challenge parts: a few known parts kept at the line and shown to it each shift; do they score as they did at release?

Unlike the line's own parts they do not change, so what moves their scores is camera, light, focus or position.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import chdtri, ndtri

from calibration.checks import checked_rate, checked_scores, checked_threshold
from calibration.errors import CalibrationError
from calibration.rules import is_ng

OK, NG = "ok", "ng"
WRONG_SIDE, OUTSIDE, AS_EXPECTED, NO_LIMITS, NOT_SHOWN = (
    "wrong side of the threshold",
    "outside its limits",
    "as expected",
    "right side, limits unknown",
    "not shown",
)
ALARMS = (WRONG_SIDE, OUTSIDE)
SHOTS = 10  # of each part at release; fewer give limits as well, but wide ones
_NEAR = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Scores between which further shots of one part lie: ``low`` to ``high``, from n shots; None: nobody noted n."""

    low: float
    high: float
    n: int | None


@dataclass(frozen=True, slots=True)
class ChallengePart:
    """A part kept at the line.

    label : OK or NG, what it is
    expected : its score in the record
    limits : of shots of it; None where none were taken
    """

    name: str
    label: Literal["ok", "ng"]
    expected: float
    limits: Limits | None


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """What one part scores now.

    now : median of its shots; None where it was not shown
    n : shots
    verdict : WRONG_SIDE, OUTSIDE, AS_EXPECTED, NO_LIMITS or NOT_SHOWN
    """

    part: ChallengePart
    now: float | None
    n: int
    verdict: str

    @property
    def alarm(self) -> bool:
        return self.verdict in ALARMS


def choose(
    ok: np.ndarray, ng: np.ndarray, threshold: float, *, near: int = _NEAR
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which parts to keep at the line: near the threshold on both sides, and a plain one of each kind.

    Parameters
    ----------
    ok, ng : ndarray of shape (n_ok,), (n_ng,)
        Scores of good parts and of real NG; ``ng`` may be empty.
    threshold : float
    near : int
        Parts of each kind nearest to the threshold, at least 1; a plain one is added.

    Returns
    -------
    (indices into ``ok``, indices into ``ng``)
        Nearest first, the plain one last: the good part, and the NG, of median score. Good parts that are rejected and
        NG that are missed are not taken: they already stand on the wrong side.

    Raises
    ------
    CalibrationError
        Scores that are none, no good part, or ``near`` below 1.

    Examples
    --------
    >>> choose(np.array([1.0, 4.0, 2.0, 3.0, 9.0]), np.array([6.0, 5.0, 20.0, 2.0, 8.0]), 5.0, near=1)
    ((1, 2), (1, 4))
    """
    threshold = checked_threshold(threshold)
    if near < 1:
        raise CalibrationError(f"near: expected at least 1 part of each kind, got {near}")
    ok = checked_scores(ok, "OK scores")
    ng = checked_scores(ng, "NG scores") if np.size(ng) else np.empty(0)
    passed = np.flatnonzero(~is_ng(ok, threshold))
    caught = np.flatnonzero(is_ng(ng, threshold)) if ng.size else np.empty(0, int)
    return _near_and_plain(passed, -ok[passed], near), _near_and_plain(caught, ng[caught], near)


def _near_and_plain(places: np.ndarray, distance: np.ndarray, near: int) -> tuple[int, ...]:
    """The ``near`` least, and the one in the middle; ``distance`` grows away from the threshold."""
    ordered = places[np.argsort(distance, kind="stable")].tolist()
    plain = ordered[len(ordered) // 2 :][:1]
    return tuple(dict.fromkeys(ordered[:near] + plain))


def limits_of(
    shots: np.ndarray,
    *,
    name: str = "a challenge part",
    parts: int = 1,
    content: float = 0.99,
    confidence: float = 0.95,
) -> Limits:
    """Limits for further shots of one part, from repeated shots of it: a two-sided normal tolerance interval of logs.

    Parameters
    ----------
    shots : ndarray of shape (n,)
        Scores of the same part, taken out and put back between shots; n >= 2, above 0.
    name : str
        Of the part, for messages.
    parts : int
        Challenge parts shown together: ``content`` is of looks at all of them (Bonferroni).
    content, confidence : float
        In (0, 1). With ``confidence``, per part, at least ``content`` of looks have every part inside.

    Returns
    -------
    Limits

    Raises
    ------
    CalibrationError
        Fewer than 2 shots, a score that is not above 0, or shots all equal: copies of one picture and no shots.

    Notes
    -----
    Factor k = z sqrt(nu (1 + 1/n) / chi2), nu = n - 1, chi2 its quantile at 1 - confidence: W. G. Howe, J. Am. Stat.
    Assoc. 64 (1969), 610-620, within 1 % of the exact factor from 10 shots on, wider below. A tolerance interval and no
    prediction interval, as it is used for all looks to come. Logs: scores are positive, and what scales the contrast
    scales them.
    Shots in one sitting show repeatability alone; another shift adds to it, so take them over a day.

    Examples
    --------
    >>> found = limits_of(np.exp([3.0, 3.1, 2.9, 3.05, 2.95, 3.0, 3.1, 2.9, 3.05, 2.95]))
    >>> round(math.log(found.low), 3), round(math.log(found.high), 3), found.n
    (2.669, 3.331, 10)
    """
    shots = checked_scores(shots, f"shots of {name}").astype(np.float64)
    content, confidence = checked_rate(content, "content"), checked_rate(confidence, "confidence")
    if parts < 1:
        raise CalibrationError(f"parts: expected at least 1, got {parts}")
    if shots.size < 2:
        raise CalibrationError(f"shots of {name}: expected at least 2, got 1; take {SHOTS}")
    if shots.min() <= 0:
        raise CalibrationError(f"shots of {name}: expected scores above 0, got {shots.min():g}")
    if np.ptp(shots) == 0:
        raise CalibrationError(
            f"shots of {name}: expected {shots.size} pictures, got {shots.size} equal scores; "
            "take the part out, put it back and take another picture each time"
        )
    logs, nu = np.log(shots), shots.size - 1
    z = float(-ndtri((1 - content) / (2 * parts)))
    k = z * math.sqrt(nu * (1 + 1 / shots.size) / float(chdtri(nu, confidence)))
    half = k * float(logs.std(ddof=1))
    return Limits(math.exp(logs.mean() - half), math.exp(logs.mean() + half), shots.size)


def judge(parts: Sequence[ChallengePart], shown: Sequence[np.ndarray], threshold: float) -> tuple[ChallengeResult, ...]:
    """Judge what the challenge parts score now.

    Parameters
    ----------
    parts : n ChallengePart
    shown : n ndarray of shape (m,)
        Scores of each part's shots now; m = 0 where it was not shown.
    threshold : float
        Of the record.

    Returns
    -------
    n ChallengeResult
        A single shot of an NG below the threshold, or of a good part at or above it, is WRONG_SIDE, whatever the
        limits are. Limits are for single shots, so the median of several is held against them with less false alarm.

    Raises
    ------
    CalibrationError
        If there is not one array for each part, or a score is none.

    Examples
    --------
    >>> part = ChallengePart("crack", "ng", 30.0, None)
    >>> [judge([part], [np.array(shots)], 25.0)[0].verdict for shots in ([29.0], [29.0, 24.9], [])]
    ['right side, limits unknown', 'wrong side of the threshold', 'not shown']
    """
    threshold = checked_threshold(threshold)
    if len(parts) != len(shown):
        raise CalibrationError(f"challenge parts: expected scores of {len(parts)} parts, got {len(shown)}")
    return tuple(_judged(part, shots, threshold) for part, shots in zip(parts, shown, strict=True))


def _judged(part: ChallengePart, shots: np.ndarray, threshold: float) -> ChallengeResult:
    if not np.size(shots):
        return ChallengeResult(part, None, 0, NOT_SHOWN)
    shots = checked_scores(shots, f"scores of the challenge part {part.name}").astype(np.float64)
    now = float(np.median(shots))
    flagged = is_ng(shots, threshold)
    if not flagged.all() if part.label == NG else flagged.any():
        verdict = WRONG_SIDE
    elif part.limits is None:
        verdict = NO_LIMITS
    else:
        verdict = AS_EXPECTED if part.limits.low <= now <= part.limits.high else OUTSIDE
    return ChallengeResult(part, now, shots.size, verdict)
