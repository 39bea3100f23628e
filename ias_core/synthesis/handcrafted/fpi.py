"""FPI, foreign patch interpolation: a square that fades into the same place of another OK image.

Tan, Hou, Batten, Qiu, Kainz, "Detecting Outliers with Foreign Patch Interpolation", MELBA 2022, arXiv 2011.04197;
values as in the authors' repository jemtan/FPI (self_sup_task.py), which was written for slices of medical volumes:

    A' = (1 - a) A + a B,   B' = a A + (1 - a) B,   a ~ U(0.05, 0.95)

A' is kept; B' would be the same defect on the other image.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.places import core_place, side_of_square, square
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene


def interpolate(first: np.ndarray, second: np.ndarray, factor: float) -> np.ndarray:
    """(1 - factor) first + factor second; A' with (A, B), B' with (B, A)."""
    return (1 - factor) * first + factor * second


@dataclass(frozen=True, slots=True)
class ForeignPatch(Recipe):
    """The square that FPI and PII share; how the other image is let in is theirs.

    Both need parts that lie alike: with turned or shifted ones every patch is a gross defect, and with equal ones none
    is seen. One OK image is paired with its mirror image.

    half_width_* : share of the picture's side
    core : share of each axis the square is centred in; a part mask takes its place
    """

    half_width_min: float = field(default=0.05, metadata={"min": 0.01, "max": 0.5})
    half_width_max: float = field(default=0.20, metadata={"min": 0.01, "max": 0.5})
    core: float = field(default=0.8, metadata={"min": 0.1, "max": 1.0})

    def __post_init__(self) -> None:
        check_range("half-widths", self.half_width_min, self.half_width_max)
        if not 0 < self.core <= 1:
            raise IasError(f"{self.name}: expected a core above 0 and up to 1, got {self.core}")

    def square(self, scene: Scene, rng: np.random.Generator) -> tuple[tuple[slice, slice], dict[str, int]]:
        """Index of the patch, cut off at the picture's border, and its drawn values."""
        half = max(1, round(scene.side * rng.uniform(self.half_width_min, self.half_width_max)))
        side = 2 * half if scene.size_px is None else max(1, round(side_of_square(scene.size_px)))
        row, column = core_place(scene, self.core, rng)
        return square(scene, row, column, side), {"side_px": side, "row_px": row, "column_px": column}


@synthesizers.register("fpi")
@dataclass(frozen=True, slots=True)
class FPI(ForeignPatch):
    """A square mixed with another OK image.  Family: hand-crafted, self-contained.  Space: image.

    See ``ForeignPatch``. The severity is the factor a. Placing it among the self-contained is ours: its content comes
    from OK images.
    """

    name = "fpi"
    severities = (0.05, 0.95)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        box, settings = self.square(scene, rng)
        donor, source = scene.donor(rng)
        picture = scene.picture.copy()
        picture[box] = interpolate(picture[box], donor[box], severity)
        written = np.zeros(picture.shape[:2], bool)
        written[box] = True
        return Draw(picture, written, source, settings)
