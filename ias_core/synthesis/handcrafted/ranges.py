"""Ranges that recipes draw from: two fields, smallest and largest."""

from ias_core.errors import IasError


def check_range(what: str, low: float, high: float) -> None:
    """Refuse a range that is none.

    Raises
    ------
    IasError
        Unless 0 < low <= high; a NaN is refused too.
    """
    if not 0 < low <= high:
        raise IasError(f"expected a range of {what} with 0 < smallest <= largest, got {low} to {high}")
