"""AnoGen's boxes (ECCV 2024): how large a defect is drawn and where, when there is no outline of it.

Each type has ranges of its own in the published script; the default, 5 to 10 % of the picture, is that of VisA.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.recipe import Scene, Void

ON_PART = 0.75
_TRIES = 100  # the published script loops for ever on a part that is smaller than the box


@dataclass(frozen=True, slots=True)
class DefectBox:
    """A rectangle of the picture: first row, first column, height, width in px, and the share of it on the part."""

    top: int
    left: int
    height: int
    width: int
    on_part: float

    def mask(self, side: int) -> np.ndarray:
        """(side, side) bool."""
        inside = np.zeros((side, side), bool)
        inside[self.top : self.top + self.height, self.left : self.left + self.width] = True
        return inside


def drawn_box(
    scene: Scene,
    rng: np.random.Generator,
    *,
    shares: tuple[tuple[float, float], tuple[float, float]],
    swapped: bool,
) -> DefectBox:
    """A box of random sides, whole in the picture, more than three quarters of it on the part.

    Parameters
    ----------
    shares : two (smallest, largest)
        Of the height and of the width, in shares of the picture's side. Where the scene asks for a size only their
        ratio counts, and the box has the area of the disc of that diameter.
    swapped : bool
        Height and width change places half of the time.

    Raises
    ------
    Void
        100 places in a row lie too far off the part.
    """
    height, width = (scene.side * rng.uniform(*share) for share in shares)
    if rng.uniform() < 0.5 and swapped:
        height, width = width, height
    if scene.size_px is not None:
        height, width = (side * np.sqrt(scene.asked_area_px / (height * width)) for side in (height, width))
    height, width = max(1, round(height)), max(1, round(width))
    for _ in range(_TRIES):
        top, left = corner(scene, height, width, rng)
        box = np.s_[top : top + height, left : left + width]
        on_part = 1.0 if scene.foreground is None else float(scene.foreground[box].mean())
        if on_part > ON_PART:
            return DefectBox(top, left, height, width, on_part)
    raise Void(
        f"{_TRIES} boxes of {height} x {width} px lay less than {ON_PART:.0%} on the part: it may be smaller than they"
    )
