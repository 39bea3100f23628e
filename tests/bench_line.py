"""A row of the benchmark's table, and the clock it is measured with."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One row: two measured values, their ratio, what it should be, and how it was measured."""

    what: str
    ours: str
    other: str
    ratio: str
    target: str
    met: bool | None
    how: str


def seconds(call: Callable[[], Any], *, repeats: int = 1) -> tuple[float, Any]:
    """Shortest of ``repeats`` runs, and what the last one returned."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, result
