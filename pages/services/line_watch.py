"""One look at the line after release: its new scores and its challenge parts beside the signed record.

Whatever is seen, raising the threshold is no answer: it would hide the change and pass defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from calibration.challenge import ChallengePart, ChallengeResult, Limits, judge, limits_of
from calibration.drift import LEVEL
from calibration.drift_power import ALARM, Drift, drift
from calibration.rules import is_ng
from ias_core.errors import IntakeRefused
from pages.services.chain import sha256_of
from pages.services.line_csv import LineScores
from pages.services.line_parts import shots_by_part

LEAVE_ONE_OUT = "leave-one-out"


class Released(Protocol):
    """A signed record, from its file or from the workspace."""

    @property
    def content(self) -> dict[str, Any]: ...

    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one look saw.

    record : record hash
    release : sha256 of what was signed: looks at one release belong together, whoever signs it later
    at : ISO time of the look
    window : (w,) float64, the newest scores, oldest first; ``files`` and ``times`` (or none) in the same order
    n_scores : parts in the table, of which the window is the end
    other_verdicts : parts whose verdict in the table is not that of the record's threshold
    challenge : one result for each part that the record names
    verdict : "alarm", "nothing seen" or "cannot tell", of drift and challenge together
    """

    record: str
    release: str
    at: str
    source: str
    digest: str
    threshold: float
    review_from: float | None
    reference_source: str
    window: np.ndarray
    files: tuple[str, ...]
    times: tuple[str, ...]
    n_scores: int
    unreadable: int
    other_verdicts: int
    drift: Drift
    challenge: tuple[ChallengeResult, ...]
    verdict: str
    seed: int


def release_key(record: Released) -> str:
    """What looks are kept under."""
    return sha256_of(record.content)


def look(
    record: Released,
    scores: LineScores,
    *,
    now: str,
    challenge: LineScores | None = None,
    repeats: LineScores | None = None,
    window: int | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> Look:
    """Compare the line's newest scores, and its challenge parts, with the record.

    Parameters
    ----------
    scores : LineScores
        Of the line's own parts.
    now : str
        ISO time.
    challenge : LineScores, optional
        Of the challenge parts now: ``file`` names the part, several rows are several shots.
    repeats : LineScores, optional
        Shots of the challenge parts at release, several of each: their limits, where the record has none.
    window : int, optional
        Newest parts to test, at least 1. Default: as many as the record has good scores; more would gain little, as
        the smaller of the two decides, and mix old parts with new.
    seed : int
        Of the permutations.
    level : float
        False alarms per look.

    Raises
    ------
    IntakeRefused
        A row of ``challenge`` or ``repeats`` that is no challenge part of the record, or an impossible window.
    CalibrationError
        Scores from which nothing can be concluded.
    """
    asked = record.content["threshold"]
    threshold = float(asked["value"])
    review_from = None if asked["review_from"] is None else float(asked["review_from"])
    reference = np.array(record.content["scores"]["reference"], np.float64)
    if window is not None and window < 1:
        raise IntakeRefused(f"window: expected at least 1 part, got {window}.")
    n = min(len(scores.scores), reference.size if window is None else window)
    newest = scores.scores[-n:]
    results = judged_parts(record, challenge, repeats)
    found = drift(reference, newest, threshold, rng=np.random.default_rng(seed), review_from=review_from, level=level)
    alarm = found.test.alarm or any(result.alarm for result in results)
    return Look(
        record=record.sha256,
        release=release_key(record),
        at=now,
        source=scores.source,
        digest=scores.digest,
        threshold=threshold,
        review_from=review_from,
        reference_source=record.content["scores"]["reference_source"],
        window=newest,
        files=scores.files[-n:],
        times=scores.at[-n:],
        n_scores=len(scores.scores),
        unreadable=scores.unreadable,
        other_verdicts=_other_verdicts(scores, threshold, review_from),
        drift=found,
        challenge=results,
        verdict=ALARM if alarm else found.verdict,
        seed=seed,
    )


def record_range(record: Released) -> tuple[float, float, float] | None:
    """Of the record's good scores below the threshold: 5 % lie below the first, half below the second, 5 % above the
    third; None where none is below it."""
    scores = np.array(record.content["scores"]["reference"], np.float64)
    bulk = scores[~is_ng(scores, float(record.content["threshold"]["value"]))]
    if not bulk.size:
        return None
    low, median, high = np.quantile(bulk, (0.05, 0.5, 0.95))
    return float(low), float(median), float(high)


def judged_parts(
    record: Released, challenge: LineScores | None, repeats: LineScores | None
) -> tuple[ChallengeResult, ...]:
    """The challenge parts of the record, each with its limits and what it scores now."""
    named = record.content["challenge"]
    at_release = shots_by_part(named, repeats)
    parts = [_part(one, shots, len(named)) for one, shots in zip(named, at_release, strict=True)]
    return judge(parts, shots_by_part(named, challenge), float(record.content["threshold"]["value"]))


def _part(named: dict[str, Any], shots: np.ndarray, n_parts: int) -> ChallengePart:
    limits = None
    if len(shots) > 1:
        limits = limits_of(shots, name=named["file"], parts=n_parts)
    elif named["low"] is not None and named["high"] is not None:
        limits = Limits(float(named["low"]), float(named["high"]), None)
    return ChallengePart(named["file"], named["label"], float(named["score"]), limits)


def _other_verdicts(scores: LineScores, threshold: float, review_from: float | None) -> int:
    ng = is_ng(scores.scores, threshold)
    review = is_ng(scores.scores, threshold if review_from is None else review_from) & ~ng
    expected = np.where(ng, "NG", np.where(review, "review", "OK"))
    told: Sequence[str] = scores.verdicts
    return sum(bool(verdict) and verdict != own for verdict, own in zip(told, expected.tolist(), strict=True))
