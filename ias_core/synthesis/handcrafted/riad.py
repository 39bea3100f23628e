"""RIAD's masking as a defect: cells of a grid are taken out.

Zavrtanik, Kristan, Skocaj, "Reconstruction by Inpainting for Visual Anomaly Detection", Pattern Recognition 112 (2021),
107706. A detector, not a synthesis: a network paints in what disjoint sets of grid cells hide, and what it cannot paint
is the anomaly. Only the masking is used here. Published: cells of 2, 4, 8 or 16 px at 256 px, three disjoint sets
(unofficial repository; that the paper's own values are the same is unverified). Ours: only a window of 10 to 30 % of
the picture's side is masked, so that the defect is local, and the fills.
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.errors import IasError, ShapeError
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene

FILLS = ("black", "mean", "noise")
_SETS = 3
_LEAST_CELL_PX = 2
_PUBLISHED_CELLS_PX = (2, 4, 8, 16)


def grid_masks(cells: int, cell_px: int, rng: np.random.Generator) -> np.ndarray:
    """Three disjoint sets of grid cells that together fill a square window.

    Parameters
    ----------
    cells : int
        Cells a side, at least 2.
    cell_px : int
        Side of a cell.

    Returns
    -------
    ndarray of shape (3, s, s)
        bool, s = cells * cell_px; every pixel is in exactly one, and they differ by at most one cell in size.

    Examples
    --------
    >>> grid_masks(3, 2, np.random.default_rng(0)).sum((1, 2)).tolist()
    [12, 12, 12]
    """
    owner = rng.permutation(np.arange(cells**2) % _SETS).reshape(cells, cells)
    return owner.repeat(cell_px, 0).repeat(cell_px, 1) == np.arange(_SETS)[:, None, None]


@synthesizers.register("riad")
@dataclass(frozen=True, slots=True)
class RIAD(Recipe):
    """A third of a window's grid cells, taken out.  Family: hand-crafted, inpainting-based.  Space: image.

    The severity is the opacity of the fill. A size is the diameter of the disc that has the area of all cells taken
    out. Cells below 2 px in the pictures that are given are not drawn: a chequerboard of single pixels is lost in
    smoothing, and the detector takes it for a little blur.

    cell_*_px : the published cells between the two are drawn from, in px at 256 px
    window_* : side of the window, share of the picture's
    fill : black as published, the picture's mean colour, or Gaussian noise with its mean and standard deviation
    """

    cell_min_px: float = field(default=2.0, metadata={"min": 2.0, "max": 16.0})
    cell_max_px: float = field(default=16.0, metadata={"min": 2.0, "max": 16.0})
    window_min: float = field(default=0.1, metadata={"min": 0.02, "max": 1.0})
    window_max: float = field(default=0.3, metadata={"min": 0.02, "max": 1.0})
    fill: str = field(default="black", metadata={"choices": FILLS})

    name = "riad"

    def __post_init__(self) -> None:
        check_range("cells", self.cell_min_px, self.cell_max_px)
        check_range("windows", self.window_min, self.window_max)
        if self.window_max > 1:
            raise IasError(f"riad: expected a window up to the whole picture, 1, got {self.window_max}")
        if self.fill not in FILLS:
            raise IasError(f"riad: expected a fill out of {', '.join(FILLS)}, got {self.fill!r}")

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        window = scene.side * rng.uniform(self.window_min, self.window_max)
        if scene.size_px is not None:
            window = np.sqrt(_SETS * np.pi / 4) * scene.size_px
            if window > scene.side:
                most = scene.size_px * scene.side / window
                raise ShapeError(
                    f"riad: expected a size up to {most:.0f} px, a third of the picture, got {scene.size_px:g}; "
                    "ask for a smaller one"
                )
        choice = self._cells_px(scene)
        # a window of few cells has no third; where even the smallest cell is too large for it, that one is taken
        choice = [cell for cell in choice if _SETS * cell <= window] or choice[:1]
        cell = int(choice[rng.integers(len(choice))])
        cells = min(max(2, round(window / cell)), scene.side // cell)
        mask = grid_masks(cells, cell, rng)[0]
        top, left = corner(scene, *mask.shape, rng)
        box = np.s_[top : top + len(mask), left : left + len(mask)]
        picture = scene.picture.copy()
        inside = picture[box]
        hole = np.float32(0)
        if self.fill != "black":
            hole = scene.picture.mean((0, 1), dtype=np.float64)
        if self.fill == "noise":
            hole = hole + scene.picture.std((0, 1)) * rng.normal(size=inside.shape).astype(np.float32)
        picture[box] = np.where(mask[..., None], (1 - severity) * inside + severity * hole, inside)
        written = np.zeros(picture.shape[:2], bool)
        written[box] = mask
        settings = {"cell_px": cell, "cells": cells, "top_px": top, "left_px": left, "fill": self.fill}
        return Draw(picture, written, "none", settings)

    def _cells_px(self, scene: Scene) -> list[int]:
        """Sides of cells at this size of picture, smallest first."""
        published = [cell for cell in _PUBLISHED_CELLS_PX if self.cell_min_px <= cell <= self.cell_max_px]
        sides = [round(scene.px(cell)) for cell in published if scene.px(cell) >= _LEAST_CELL_PX]
        if not sides:
            raise ShapeError(
                f"riad: expected a cell of at least {_LEAST_CELL_PX} px out of {_PUBLISHED_CELLS_PX} px at 256 px, got "
                f"none from {self.cell_min_px:g} to {self.cell_max_px:g} in pictures of {scene.side} px; allow larger "
                "cells"
            )
        return sides
