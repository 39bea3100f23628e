"""What a look at the line says, in sentences: the answer, why, what to do, and what limits it."""

from __future__ import annotations

from calibration.challenge import NG, NO_LIMITS, NOT_SHOWN, SHOTS, WRONG_SIDE, ChallengeResult
from calibration.drift import LOCATION, REJECTED, REVIEW, SHAPE, Change
from calibration.drift_power import ALARM, CANNOT_TELL
from calibration.rules import is_ng
from pages.services.line_watch import LEAVE_ONE_OUT, Look

CHANGED = "Camera or process changed: do not raise the threshold."
_DO = (
    "Stop releasing on it.",
    "Find the cause: light, focus, position, lot.",
    "Then collect good parts, and calibrate and verify anew.",
)
_STATISTICS = {
    LOCATION: "median of the parts below the threshold",
    SHAPE: "their distribution (interquartile range)",
    REJECTED: "parts at or above the threshold",
    REVIEW: "parts in the review band",
}


def number(value: float) -> str:
    """Four significant digits, as scores stand everywhere.

    Examples
    --------
    >>> number(28.15543), number(0.5)
    ('28.16', '0.5')
    """
    return f"{value:.4g}"


def headline(look: Look) -> str:
    """The answer in one sentence."""
    n = look.drift.test.n_window
    parts = f"{n} part{'s' if n > 1 else ''}"
    if look.verdict == ALARM:
        return CHANGED
    if look.verdict == CANNOT_TELL:
        return f"Cannot tell with {parts}{_needed(look)}"
    up, down = _about(look.drift.up), _about(look.drift.down)
    return f"Nothing seen in {parts}: a shift of all scores below {up} up or {down} down would not be seen."


def _about(shift: float) -> str:
    """Two digits: simulated, it is not known to more."""
    return f"{shift:#.2g}".removesuffix(".")


def _needed(look: Look) -> str:
    found = look.drift
    if found.margin is None:
        return ": the threshold does not lie above the good parts of the record, so there is nothing to compare with."
    if found.needed is None:
        return (
            f", nor with any number of them: the record has {found.test.n_reference} good scores, too few to compare "
            "with. Calibrate on more good parts."
        )
    return (
        f": a shift of all scores by {_about(found.margin)}, which makes every second good part NG, could go unseen. "
        f"It takes {found.needed} parts."
    )


def reasons(look: Look) -> tuple[str, ...]:
    """What raised the alarm, challenge parts first; empty without one."""
    found = [_of_part(look, result) for result in look.challenge if result.alarm]
    if look.drift.test.alarm:
        seen = {change.key: change for change in look.drift.test.changes if change.adjusted_p <= look.drift.test.level}
        if LOCATION in seen:
            seen.pop(SHAPE, None)  # a shift changes the whole distribution: said once
        found += [_of_change(look, change) for change in seen.values()]
    return tuple(found)


def _of_part(look: Look, result: ChallengeResult) -> str:
    part, now = result.part, number(result.now)
    if result.verdict == WRONG_SIDE:
        what = "is NG and no longer found" if part.label == NG else "is good and now NG"
        shots = f" (median of {result.n} shots)" if result.n > 1 else ""
        return f"Challenge part {part.name} {what}: {now}{shots}, threshold {number(look.threshold)}."
    return f"Challenge part {part.name} is outside its limits: {now}, limits {_limits(result)}."


def _of_change(look: Look, change: Change) -> str:
    sure = f"(p = {change.adjusted_p:.2g})"
    test = look.drift.test
    if change.key in (REJECTED, REVIEW):
        counts = counted(look)[change.key]
        place = "at or above the threshold" if change.key == REJECTED else "in the review band"
        more = "More" if change.direction == "higher" else "Fewer"
        look_at = ""
        if change.direction == "higher" and change.key == REJECTED:
            look_at = " Look at these parts: defective, the process makes more NG; good, the camera changed."
        return (
            f"{more} parts {place}: {counts} of {test.n_window}, in the record "
            f"{round(change.reference * test.n_reference)} of {test.n_reference} good parts {sure}.{look_at}"
        )
    if change.window is None:
        return f"No part lies below the threshold {sure}."
    beside = f"{number(change.window)}, in the record {number(change.reference)} {sure}"
    if change.key == LOCATION:
        way = {"higher": "higher", "lower": "lower", "": "differently"}[change.direction]
        hides = " Defects may hide: dark or blurred pictures score low." if change.direction == "lower" else ""
        return f"Parts below the threshold score {way}: median {beside}.{hides}"
    return f"Parts below the threshold score as high, but are spread differently: interquartile range {beside}."


def counted(look: Look) -> dict[str, int]:
    """Window parts at or above the threshold, and in the review band."""
    ng = is_ng(look.window, look.threshold)
    found = {REJECTED: int(ng.sum())}
    if look.review_from is not None:
        found[REVIEW] = int((is_ng(look.window, look.review_from) & ~ng).sum())
    return found


def advice(look: Look) -> tuple[str, ...]:
    """What to do, in this order. Raising the threshold is never part of it."""
    if look.verdict == ALARM:
        return _DO
    steps = []
    if look.verdict == CANNOT_TELL and look.drift.needed is not None:
        steps.append("Show more parts and look again.")
    if missing := [result.part.name for result in look.challenge if result.verdict == NOT_SHOWN]:
        steps.append(f"Show the challenge parts: {', '.join(missing)}.")
    return tuple(steps)


def mismatch(look: Look) -> str:
    """That the line does not seem to run what was signed; "" where its table does not say so."""
    if not look.other_verdicts:
        return ""
    return (
        f"{look.other_verdicts} of {look.n_scores} verdicts in the table are not those of the signed threshold "
        f"{number(look.threshold)}: does the line run another threshold or record?"
    )


def notes(look: Look) -> tuple[str, ...]:
    """What limits the answer."""
    found = []
    if look.unreadable:
        found.append(f"{look.unreadable} pictures could not be read and have no score.")
    if not look.challenge:
        found.append("The record names no challenge parts: parts and camera cannot be told apart.")
    elif not any(result.part.label == NG for result in look.challenge):
        found.append("No NG is among the challenge parts: nothing shows that an NG would still be found.")
    if unknown := [result.part.name for result in look.challenge if result.verdict == NO_LIMITS]:
        found.append(f"Limits unknown for {', '.join(unknown)}: take {SHOTS} shots of each at release.")
    for result in look.challenge:
        limits = result.part.limits
        if limits is not None and limits.low < look.threshold <= limits.high:
            found.append(
                f"Limits of {result.part.name} reach across the threshold: it may change sides by chance; keep another."
            )
    if look.reference_source == LEAVE_ONE_OUT:
        found.append(
            "The record's good scores are leave-one-out scores, which lie above what the line gives: the drift alarm "
            "is approximate, and lower scores may be that alone. Challenge parts are not touched by it."
        )
    return tuple(found)


def how_computed(look: Look) -> tuple[str, ...]:
    """Rule, n, source of the scores, seed."""
    test = look.drift.test
    source = "leave-one-out" if look.reference_source == LEAVE_ONE_OUT else "held-out"
    statistics = ", ".join(_STATISTICS[change.key] for change in test.changes)
    return (
        f"Compared: the newest {test.n_window} of {look.n_scores} scores with {test.n_reference} {source} scores of "
        f"good parts in the record: {statistics}. Statistics: rank sum, two-sample Anderson-Darling, counts.",
        f"Each p-value is the share of {test.draws} permutations of record and window with as large a difference "
        f"(seed {look.seed}). The smallest of them is held against the smallest of each permutation, so together they "
        f"alarm in at most {100 * test.level:g} % of looks at good parts of an unchanged line: up to "
        f"{100 * test.level:g} in 100 looks are false alarms.",
        "That holds over records and windows. One record serves all looks, so by its luck some records ring more "
        "often, and parts of one shift are more alike than those of a record from several.",
        "NG among the parts count as parts at or above the threshold only; the other two statistics leave them out.",
        "Smallest shift seen: 9 of 10 simulated looks alarm, record and window drawn anew from the record's scores.",
        "Limits of a challenge part: two-sided normal tolerance interval of log scores of its shots at release (Howe "
        "1969): at 95 % confidence 99 % of looks have all parts inside. An NG below the threshold, or a good part at "
        "or above it, is an alarm whatever the limits are.",
    )


def compared(look: Look) -> tuple[dict[str, str], ...]:
    """One row for each statistic: what, on the line, in the record, p."""
    return tuple(
        {
            "what": _STATISTICS[change.key],
            "line": now,
            "record": before,
            "p": f"{change.adjusted_p:.3g}",
        }
        for change in look.drift.test.changes
        for now, before in (_both(look, change),)
    )


def _both(look: Look, change: Change) -> tuple[str, str]:
    if change.key in (REJECTED, REVIEW):
        test = look.drift.test
        before = round(change.reference * test.n_reference)
        return f"{counted(look)[change.key]} of {test.n_window}", f"{before} of {test.n_reference}"
    now, before = ("none" if value is None else number(value) for value in (change.window, change.reference))
    return now, before


def parts_shown(look: Look) -> tuple[dict[str, str], ...]:
    """One row for each challenge part: what it is, expected, now, limits, verdict."""
    return tuple(
        {
            "part": result.part.name,
            "it is": result.part.label.upper(),
            "expected": number(result.part.expected),
            "now": "-" if result.now is None else _shots(result),
            "limits": _limits(result),
            "verdict": result.verdict,
        }
        for result in look.challenge
    )


def _shots(result: ChallengeResult) -> str:
    return number(result.now) + (f" (median of {result.n})" if result.n > 1 else "")


def _limits(result: ChallengeResult) -> str:
    limits = result.part.limits
    if limits is None:
        return "unknown"
    return f"{number(limits.low)} to {number(limits.high)}" + (f" ({limits.n} shots)" if limits.n else "")


def report(look: Look) -> str:
    """The look as plain text, for the command line."""
    test = look.drift.test
    lines = [headline(look), *reasons(look), *advice(look)]
    counts = f"newest {test.n_window} of {look.n_scores} scores, p = {test.p:.3g}"
    lines += ["", f"record {look.record[:16]}, {look.source}: {counts}"]
    lines += [
        f"  {row['what']}: {row['line']}, in the record {row['record']} (p = {row['p']})" for row in compared(look)
    ]
    if look.challenge:
        lines += ["", "challenge parts"]
        lines += [
            f"  {row['part']} ({row['it is']}): expected {row['expected']}, now {row['now']}, limits {row['limits']}: "
            f"{row['verdict']}"
            for row in parts_shown(look)
        ]
    if told := [*filter(None, (mismatch(look),)), *notes(look)]:
        lines += ["", *told]
    return "\n".join(lines)
