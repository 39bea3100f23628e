"""Random halves of parts, near twins on one side: what studies split real scores by."""

from collections.abc import Sequence

import numpy as np

from calibration.errors import CalibrationError


class Halves:
    """Random halves of the groups of some scores.

    scores : (n,); groups : n strings, the same for near twins; least : groups that must be there
    """

    def __init__(self, scores: np.ndarray, groups: Sequence[str], *, least: int, name: str) -> None:
        if len(groups) != scores.size:
            raise CalibrationError(f"{name} groups: expected one per score ({scores.size}), got {len(groups)}")
        self._scores = scores
        _, self._group = np.unique(np.asarray(groups), return_inverse=True)
        self._n = int(self._group.max()) + 1
        if self._n < least:
            raise CalibrationError(f"{name}: expected at least {least} different parts to split, got {self._n}")

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the first and of the second half."""
        first = self.first(rng)
        return self._scores[first], self._scores[~first]

    def first(self, rng: np.random.Generator) -> np.ndarray:
        """(n,) bool: which scores are in the first half."""
        drawn = np.zeros(self._n, bool)
        drawn[rng.permutation(self._n)[: self._n // 2]] = True
        return drawn[self._group]
