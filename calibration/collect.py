"""What to collect next: how many more OK or NG parts a claim takes, computed both ways."""

from dataclasses import dataclass

from calibration.bounds import needed_for, upper_bound
from calibration.checks import checked_rate
from calibration.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class Plan:
    """A claim about one rate, what the parts at hand prove, and what it takes to prove the claim.

    wrong, n   : parts that went wrong of n seen: OK rejected, or NG missed
    rate       : the claim: at most this rate goes wrong
    proven     : upper limit that the n parts prove at ``confidence``; 1 without parts
    needed     : parts in all, if none of those to come goes wrong
    more       : of them still to be collected; 0 if the claim is proven
    one_more   : still to be collected if exactly one of those to come goes wrong
    """

    wrong: int
    n: int
    rate: float
    confidence: float
    proven: float
    needed: int
    more: int
    one_more: int


def plan(wrong: int, n: int, *, rate: float, confidence: float = 0.95) -> Plan:
    """Both ways at once: what n parts prove, and how many parts the claim takes.

    Parameters
    ----------
    wrong, n : int
        0 <= wrong <= n; n may be 0.
    rate, confidence : float
        In (0, 1).

    Notes
    -----
    The count that goes wrong cannot be chosen: "collect 29 more" means that the claim is proven if all of these 29 go
    right. Parts collected until the claim comes true prove less than it says (optional stopping): fix the number first.

    Examples
    --------
    >>> found = plan(0, 2, rate=0.10)
    >>> found.more, found.one_more, round(found.proven, 3)
    (27, 44, 0.776)
    """
    rate = checked_rate(rate, "rate")
    if not n and wrong:
        raise CalibrationError(f"plan: expected 0 <= wrong <= n, got {wrong} wrong of no part")
    proven = upper_bound(wrong, n, confidence) if n else 1.0
    needed = needed_for(rate, confidence, seen=wrong)
    more = max(0, needed - n)
    return Plan(
        wrong=int(wrong),
        n=int(n),
        rate=rate,
        confidence=float(confidence),
        proven=proven,
        needed=needed,
        more=more,
        one_more=max(0, needed_for(rate, confidence, seen=wrong + 1) - n) if more else 0,
    )
