"""Defects whose outline is thresholded Perlin noise: what DRAEM, DestSeg and MemSeg share.

    out = (1 - M) I + M (d S + (1 - d) I)

with image I, mask M, foreign matter S and opacity d, the severity. The published mask is large and of many parts:
at 256 px, half the draws cover more than 4.6 % of the picture, in a median of nine pieces.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np

from ias_core.synthesis import shapes
from ias_core.synthesis.handcrafted.turn import turned
from ias_core.synthesis.perlin import perlin_field
from ias_core.synthesis.recipe import LEAST_AREA_PX, Draw, Recipe, Scene, Void

_HALVINGS = 12
_OUTSIDE = np.float32(-1e9)  # below every value of a field


def grown(field: np.ndarray, area_px: int, part: np.ndarray | None = None) -> np.ndarray:
    """One region of exactly this area: from the field's maximum on, always the highest pixel that touches it.

    The maximum is that of the pieces of the part that are large enough. The same as raising the threshold until the
    area fits, and also where that would jump over the area, because two hills meet at one height.

    Parameters
    ----------
    field : ndarray of shape (s, s)
        float32.
    area_px : int
        At least 1.
    part : ndarray of shape (s, s), optional
        bool; the region stays in it.

    Returns
    -------
    ndarray of shape (s, s)
        bool, connected over edges or corners.

    Raises
    ------
    Void
        No piece of the part is that large.
    """
    part = roomy(np.ones(field.shape, bool) if part is None else part, area_px)
    if not part.any():
        raise Void(f"no piece of the part has {area_px} px")
    height = np.where(part, field, _OUTSIDE)
    row, column = divmod(int(height.argmax()), height.shape[1])
    low, high = float(field.min()) - 1, float(height[row, column])
    region = np.zeros(height.shape, bool)
    region[row, column] = True
    for _ in range(_HALVINGS):  # the highest terrace that is too small is where growing starts
        middle = (low + high) / 2
        terrace = _above(height, row, column, middle)
        if terrace.sum() > area_px:
            low = middle
        else:
            high, region = middle, terrace
    return _flooded(height, region, area_px)


def roomy(part: np.ndarray, area_px: int) -> np.ndarray:
    """The pieces of a part (s, s) bool, connected over edges or corners, that have at least this area."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= area_px
    large[0] = False  # the background
    return large[labels]


def _above(height: np.ndarray, row: int, column: int, level: float) -> np.ndarray:
    """The connected pixels around a place that are not below a level."""
    seen = np.zeros((height.shape[0] + 2, height.shape[1] + 2), np.uint8)
    flags = 8 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    cv2.floodFill(height, seen, (column, row), 0, float(height[row, column]) - level, 0, flags)
    return seen[1:-1, 1:-1].astype(bool)


def _flooded(height: np.ndarray, region: np.ndarray, area_px: int) -> np.ndarray:
    """The region, and one by one the highest pixels that touch it, up to the area."""
    region = region.copy()
    missing = area_px - int(region.sum())
    seen = cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rim = [(-float(height[row, column]), row, column) for row, column in np.argwhere(seen & ~region).tolist()]
    heapq.heapify(rim)
    while missing > 0:
        _, row, column = heapq.heappop(rim)
        region[row, column] = True
        missing -= 1
        for r in range(max(0, row - 1), min(row + 2, len(height))):
            for c in range(max(0, column - 1), min(column + 2, len(height))):
                if not seen[r, c]:
                    seen[r, c] = True
                    heapq.heappush(rim, (-float(height[r, c]), r, c))
    return region


@dataclass(frozen=True, slots=True)
class PerlinMasked(Recipe):
    """Base of the recipes; a subclass says what the matter is.

    noise : the function that draws a field
    """

    threshold: float = field(default=0.5, metadata={"min": 0.1, "max": 0.8})  # the field is about [-1, 1]
    log_scale_max: int = field(default=5, metadata={"min": 0, "max": 6})  # 1 to 2^5 cells down, and across

    noise: ClassVar[Callable[[int, tuple[int, int], np.random.Generator], np.ndarray]] = staticmethod(perlin_field)

    def matter(self, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, str, dict[str, Any]]:
        """What is blended in (s, s, 3), where it came from, and the values that were drawn for it."""
        raise NotImplementedError

    def part(self, scene: Scene, area_px: int) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Where a mask of this area may lie (s, s), None: everywhere; and what there is to say about it."""
        return scene.foreground, {}

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        scales = tuple(int(2 ** rng.integers(self.log_scale_max + 1)) for _ in range(2))
        degrees = float(rng.uniform(-90, 90))
        height = turned(self.noise(scene.side, scales, rng), degrees)
        area_px = LEAST_AREA_PX if scene.size_px is None else shapes.area_px(scene.size_px)
        part, about_part = self.part(scene, area_px)
        if scene.size_px is None:
            mask = height > self.threshold
            mask = mask if part is None else mask & part
            if np.count_nonzero(mask) < area_px:
                raise Void("the noise stayed below its threshold on the part")
        else:
            mask = grown(height, area_px, part)
        matter, source, about_matter = self.matter(scene, rng)
        picture = cv2.addWeighted(matter, severity, scene.picture, 1 - severity, 0)
        drawn = {"scales": list(scales), "degrees": degrees}
        return Draw(picture, mask, source, drawn | about_part | about_matter)
