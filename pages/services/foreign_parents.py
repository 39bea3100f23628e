"""Which good part was a synthetic NG made on? Found by comparing what lies outside its mask.

Near is what no other photograph would be: nearer to one good part than any two good parts are to each other, all of
them small and brought to one mean brightness. The rule is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ias_core.errors import ShapeError
from ias_core.imaging import resize_image
from ias_core.synthesis.measures import GREY_LEVEL
from ias_core.twins import GREY_PX

EXACT, NEAR, NAMED, NONE = "exactly", "nearly", "by name only", "not found"
MATCHES = (EXACT, NEAR, NAMED, NONE)
# A picture of an unseen part is nearer to some good part than 99 good parts are to theirs once in 100 times.
MOST_REFERENCES = 99
LEAST_REFERENCES = 19  # once in 20 times; with fewer good parts only an exact match is one
_MARGIN = np.ones((5, 5), np.uint8)  # a paste that is feathered or rounded reaches this far beyond its mask


class ParentFinder:
    """Looks for the good part behind a picture.

    Parameters
    ----------
    greys : ndarray of shape (n, 64, 64)
        uint8, small good parts, as ``ias_core.twins`` keeps them; n >= 1.
    groups : n strings
        The same for near twins: these are no two good parts.
    read : callable
        Place of a good part -> the picture (h, w, 3) float32 in [0, 1], at its own size.
    """

    def __init__(self, greys: np.ndarray, groups: Sequence[str], read: Callable[[int], np.ndarray]) -> None:
        if greys.shape != (len(groups), GREY_PX, GREY_PX) or not len(groups):
            raise ShapeError(f"expected good parts (n, {GREY_PX}, {GREY_PX}) and n groups, got {greys.shape}")
        rows = greys.reshape(len(greys), -1).astype(np.float32)
        self._centre = rows.mean(0)
        self._rows = rows - self._centre  # differences are what counts, and small numbers lose less
        self._groups = np.unique(np.asarray(groups), return_inverse=True)[1]
        self._references = np.unique(self._groups, return_index=True)[1][:MOST_REFERENCES]
        self._read = read

    def __call__(self, picture: np.ndarray, grey: np.ndarray, mask: np.ndarray, named: int = -1) -> tuple[int, str]:
        """Place of the good part, and how sure it is.

        Parameters
        ----------
        picture : ndarray of shape (h, w, 3)
            float32 RGB in [0, 1].
        grey : ndarray of shape (64, 64)
            uint8, the same picture small.
        mask : ndarray of shape (h, w)
            bool: what is different there says nothing.
        named : int
            Place of the good part that a manifest names; -1 where it names none.

        Returns
        -------
        int, str
            EXACT: outside the mask, 2 px around it not counted, no channel differs by more than a grey level. NEAR:
            see above. NAMED: neither, but the manifest says so. -1 and NONE otherwise.
        """
        outside = ~cv2.dilate(mask.astype(np.uint8), _MARGIN).astype(bool)
        weights = cv2.resize(outside.astype(np.float32), (GREY_PX, GREY_PX), interpolation=cv2.INTER_AREA) == 1
        if not weights.any():
            return (named, NAMED) if named >= 0 else (-1, NONE)
        rows = self._rows[:, weights.ravel()]
        rows -= rows.mean(1, keepdims=True)
        row = (grey.ravel().astype(np.float32) - self._centre)[weights.ravel()]
        squares = ((rows - (row - row.mean())) ** 2).sum(1)
        place = named if named >= 0 else int(squares.argmin())
        if self._equal(picture, outside, place):
            return place, EXACT
        if squares[place] < self._nearest_of_others(rows):
            return place, NEAR
        return (named, NAMED) if named >= 0 else (-1, NONE)

    def _equal(self, picture: np.ndarray, outside: np.ndarray, place: int) -> bool:
        parent = self._read(place)
        if parent.shape != picture.shape:
            if picture.shape[0] != picture.shape[1]:
                return False  # how it was brought to its size is not known; of squares this product's way is tried
            parent = resize_image(parent, picture.shape[0])
        difference = np.abs(parent - picture)[outside]
        return bool(difference.max() <= 1.01 * GREY_LEVEL)

    def _nearest_of_others(self, rows: np.ndarray) -> float:
        """The least squared distance of a good part to one of another group; 0 where there are too few of them."""
        if len(self._references) < LEAST_REFERENCES:
            return 0.0
        energy = (rows**2).sum(1)
        squares = energy[self._references][:, None] + energy - 2 * rows[self._references] @ rows.T
        squares[self._groups[self._references][:, None] == self._groups] = np.inf
        return float(squares.min())
