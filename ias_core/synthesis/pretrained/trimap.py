"""AdaBLDM's trimap (arXiv 2402.19330, step 1): background 0, part 127, defect 255. Imports without torch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import ShapeError
from ias_core.synthesis.pretrained.windows import Window

BACKGROUND, PART, DEFECT = 0, 127, 255


@dataclass(frozen=True, slots=True, eq=False)
class PartWindow(Window):
    """A window that knows the part.

    part : (w, w) bool      where it is; the target lies on it
    """

    part: np.ndarray

    def __post_init__(self) -> None:
        Window.__post_init__(self)  # super() knows no class that slots=True has made anew
        if self.part.shape != self.target.shape or self.part.dtype != bool:
            raise ShapeError(f"expected a part mask bool {self.target.shape}, got {self.part.dtype} {self.part.shape}")
        check_on_part(self.target, self.part)


def trimap(defect: np.ndarray, part: np.ndarray, side: int) -> np.ndarray:
    """(side, side) uint8 of two masks (w, w) bool; resized by the nearest pixel, so no grey lies between the three.

    Examples
    --------
    >>> part = np.array([[False, True], [True, True]])
    >>> trimap(part & np.eye(2, dtype=bool), part, 2)
    array([[  0, 127],
           [127, 255]], dtype=uint8)
    """
    check_on_part(defect, part)
    three = np.where(defect, DEFECT, np.where(part, PART, BACKGROUND)).astype(np.uint8)
    return cv2.resize(three, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)


def check_on_part(defect: np.ndarray, part: np.ndarray) -> None:
    """Raises ShapeError if any of the defect lies off the part: a wrong outline puts masks on the background."""
    if off := int(np.count_nonzero(defect & ~part)):
        raise ShapeError(f"expected a defect on the part alone, {off} px of it lie off it: correct the part's outline")
