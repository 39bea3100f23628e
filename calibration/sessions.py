"""What it costs that good parts come from sessions: each part scored without its session, beside without itself.

Rates of good parts rejected hold for parts exchangeable with those seen.  A new shift, lot or camera set-up is not:
the scores of a part whose whole session was hidden stand in for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.checks import checked_scores
from calibration.counts import counts_at
from calibration.errors import CalibrationError
from calibration.types import RateBound


@dataclass(frozen=True, slots=True)
class SessionGap:
    """How far leave-one-session-out scores lie above leave-one-out scores of the same good parts.

    difference    : median of the paired differences, in the unit of the scores; below 0: they lie lower
    in_iqr        : the same in units of the inter-quartile range of the leave-one-out scores; None if that is 0
    at_random     : as ``difference``, with as many parts of any session hidden: what the smaller bank does alone;
                    None where that was not scored, and then ``difference`` cannot be told from it
    n_above       : parts that score above all of the leave-one-out scores once their session is hidden: the lowest
                    threshold that rejects no part of a known session would reject this many of ``n``
    n_above_at_random : the same, with as many parts of any session hidden
    n             : good parts
    n_sessions    : sessions they come from, at least 2
    """

    difference: float
    in_iqr: float | None
    at_random: float | None
    n_above: int
    n_above_at_random: int | None
    n: int
    n_sessions: int


@dataclass(frozen=True, slots=True)
class SessionRejects:
    """Good parts of one session rejected at a threshold."""

    session: str
    rejected: RateBound


def session_gap(
    loo: np.ndarray, by_session: np.ndarray, n_sessions: int, at_random: np.ndarray | None = None
) -> SessionGap:
    """Compare scores of every good part: hidden alone, with its whole session, and with as many parts at random.

    Parameters
    ----------
    loo, by_session : ndarray of shape (n,)
        Leave-one-out and leave-one-session-out scores, in one order.
    n_sessions : int
        At least 2.
    at_random : ndarray of shape (n,), optional
        Scores with as many parts of any session hidden as there are in the part's own, in the same order.

    Returns
    -------
    SessionGap

    Raises
    ------
    CalibrationError
        If the scores are not 1-D, are empty, not finite or not as many, or there are fewer than 2 sessions.

    Notes
    -----
    Hiding a session also makes the memory bank smaller, which raises every score: of 2 sessions it hides half of
    the bank.  So ``difference`` alone proves nothing; what counts is how far it lies above ``at_random``.  It is an
    example and no bound: parts of one session move together, so what counts is the number of sessions, not of parts.

    Examples
    --------
    >>> gap = session_gap(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 4.0]), 2, np.array([1.0, 2.25, 3.25]))
    >>> gap.difference, gap.in_iqr, gap.at_random, gap.n_above, gap.n_above_at_random
    (0.5, 0.5, 0.25, 1, 1)
    """
    loo = checked_scores(loo, "leave-one-out scores").astype(np.float64)
    by_session = _as_many(by_session, loo, "leave-one-session-out scores")
    control = None if at_random is None else _as_many(at_random, loo, "scores with as many parts hidden at random")
    if n_sessions < 2:
        raise CalibrationError(f"sessions: expected at least 2, got {n_sessions}; with one there is nothing to compare")
    difference = float(np.median(by_session - loo))
    iqr = float(np.subtract(*np.percentile(loo, [75, 25])))
    return SessionGap(
        difference=difference,
        in_iqr=difference / iqr if iqr > 0 else None,
        at_random=None if control is None else float(np.median(control - loo)),
        n_above=int(np.count_nonzero(by_session > loo.max())),
        n_above_at_random=None if control is None else int(np.count_nonzero(control > loo.max())),
        n=loo.size,
        n_sessions=n_sessions,
    )


def rejected_by_session(
    loo: np.ndarray, by_session: np.ndarray, threshold: float, confidence: float = 0.95
) -> tuple[RateBound, RateBound]:
    """Good parts rejected at a threshold while their session is known, and if it were unknown.

    The limits are those for independent parts.  Parts of one session are not, so the true limits of the second
    are wider: quote its count, and not its limit, as a promise for the next session.

    Examples
    --------
    >>> known, unknown = rejected_by_session(np.array([1.0, 2.0, 3.0]), np.array([1.5, 3.0, 4.0]), 3.0)
    >>> known.k, unknown.k, unknown.n
    (1, 2, 3)
    """
    loo = checked_scores(loo, "leave-one-out scores")
    by_session = _as_many(by_session, loo, "leave-one-session-out scores")
    return counts_at(loo, threshold, confidence), counts_at(by_session, threshold, confidence)


def worst_session(
    scores: np.ndarray, sessions: Sequence[str], threshold: float, confidence: float = 0.95
) -> SessionRejects:
    """The session of which the largest share of good parts is rejected.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of good parts.
    sessions : n strings
    threshold : float
    confidence : float
        In (0, 1), for each limit of that session on its own.  The lower one is too high, as the worst was picked:
        it points at a session and accuses none.

    Returns
    -------
    SessionRejects
        Of equal shares the one with more parts, then the first by name.

    Raises
    ------
    CalibrationError
        As `counts_at`; or if there is not one session for each score.

    Examples
    --------
    >>> worst = worst_session(np.array([1.0, 5.0, 1.0, 2.0]), ["mon", "tue", "tue", "mon"], 4.0)
    >>> worst.session, worst.rejected.k, worst.rejected.n
    ('tue', 1, 2)
    """
    scores = checked_scores(scores, "OK scores")
    if len(sessions) != scores.size:
        raise CalibrationError(f"sessions: expected one for each of {scores.size} scores, got {len(sessions)}")
    names = np.array(sessions)
    each = [
        SessionRejects(name, counts_at(scores[names == name], threshold, confidence)) for name in sorted(set(sessions))
    ]
    return max(each, key=lambda session: (session.rejected.estimate, session.rejected.n))


def _as_many(scores: np.ndarray, loo: np.ndarray, name: str) -> np.ndarray:
    scores = checked_scores(scores, name).astype(np.float64)
    if scores.shape != loo.shape:
        raise CalibrationError(f"{name}: expected {loo.size}, as many as leave-one-out scores, got {scores.size}")
    return scores
