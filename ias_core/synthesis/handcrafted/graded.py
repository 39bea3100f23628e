"""What scratch, dent, stain and foreign body share: contrast as the strength, and places on the part.

The family that the project's notes on hand-crafted synthesis end with (H13 shapes, H14 photometric defects): ours, no
paper claim. A recipe makes its defect in the plainest form; contrast, in units of the local standard deviation, says
how much of it is mixed into the parent.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.measures import GREY_LEVEL, surrounding_noise
from ias_core.synthesis.recipe import Draw, Recipe, Scene

FAINTEST = 3 * GREY_LEVEL  # on a flat surface: less than this cannot be told from rounding in an 8-bit file
_PLACES = 10
_ON_PART = 0.9  # TF-IDG's share of a mask that lies on the part
_SHARPNESS = 4  # of the bend where the plainest form is reached


@dataclass(frozen=True, slots=True)
class Graded(Recipe):
    """A defect whose severity is its place between two contrasts, on a logarithmic scale as graded spots have it.

    The ranges are ours: a quarter of the local standard deviation is lost in it, sixteen of them are plain.
    """

    contrast_min: float = field(default=0.25, metadata={"min": 0.05, "max": 16.0})  # in local standard deviations
    contrast_max: float = field(default=16.0, metadata={"min": 0.05, "max": 64.0})

    severities = (0.2, 1.0)

    def __post_init__(self) -> None:
        check_range("contrasts", self.contrast_min, self.contrast_max)

    def mixed(
        self,
        scene: Scene,
        severity: float,
        plain: np.ndarray,
        written: np.ndarray,
        texture: str,
        settings: dict[str, Any],
    ) -> Draw:
        """The draw whose root mean square change over the written pixels and channels is contrast x local noise.

        Parameters
        ----------
        plain : ndarray of shape (s, s, 3)
            The parent with the defect at its plainest; clipped here.
        written : ndarray of shape (s, s)
            bool.

        Notes
        -----
        share = x / (1 + x^4)^(1/4) with x = wanted change / change of the plainest form: within 2 % of x up to a half,
        and never quite 1, so that more severity is always more defect. What was reached is in the settings. Colour
        counts here, unlike in ``measures.signal_to_noise``: a blue hair on grey is plain too.
        """
        contrast = self.contrast_min * (self.contrast_max / self.contrast_min) ** severity
        noise = surrounding_noise(scene.picture, written)
        change = np.clip(plain, 0, 1) - scene.picture
        full = max(float(np.sqrt(np.mean(change[written] ** 2))), 1e-6)
        x = max(contrast * noise, FAINTEST) / full
        share = x / (1 + x**_SHARPNESS) ** (1 / _SHARPNESS)
        reached = {"contrast": contrast, "contrast_reached": share * full / noise, "opacity": share}
        return Draw(scene.picture + np.float32(share) * change, written, texture, settings | reached)


def each_px(scene: Scene, drawn_px: float, count: int) -> float:
    """Equivalent diameter of each of ``count`` shapes: the drawn one at 256 px, or an equal share of the asked area."""
    return scene.px(drawn_px) if scene.size_px is None else scene.size_px / np.sqrt(count)


def put(
    scene: Scene, rng: np.random.Generator, *layers: np.ndarray, near: tuple[int, int] | None = None
) -> tuple[list[np.ndarray], tuple[int, int]]:
    """Layers of one shape, first its mask, on canvases of the picture's size, and the place of its centre.

    The place is ``scene.place``, or one around ``near``; moved so that the shape lies on the picture. Of ten places the
    first with at least nine tenths of the mask on the part is taken, or the best.
    """
    side = scene.side
    layers = tuple(_cut(layer, side) for layer in layers)
    height, width = layers[0].shape
    best, place = -1.0, (0, 0)
    for _ in range(_PLACES):
        if near is None:
            row, column = scene.place(rng)
        else:
            row, column = (int(round(centre + rng.normal(0, side / 10))) for centre in near)
        top = min(max(row - height // 2, 0), side - height)
        left = min(max(column - width // 2, 0), side - width)
        share = 1.0
        if scene.foreground is not None:
            share = float(scene.foreground[top : top + height, left : left + width][layers[0]].mean())
        if share > best:
            best, place = share, (top, left)
        if best >= _ON_PART:
            break
    top, left = place
    canvases = []
    for layer in layers:
        canvas = np.zeros((side, side), layer.dtype)
        canvas[top : top + height, left : left + width] = layer
        canvases.append(canvas)
    return canvases, (top + height // 2, left + width // 2)


def _cut(layer: np.ndarray, side: int) -> np.ndarray:
    """The middle of a shape that is larger than the picture."""
    top, left = (max(0, (extent - side) // 2) for extent in layer.shape)
    return layer[top : top + side, left : left + side]


def is_bright(picture: np.ndarray, mask: np.ndarray, place: float) -> bool:
    """Whether a defect here is lighter than the part, so that it has room to differ.

    Always where the mean grey under the mask is below a quarter, never where it is above three quarters, and between
    them where ``place``, drawn in [0, 1), says so.
    """
    return place >= (float(picture[mask].mean()) - 0.25) / 0.5


def shading(height: np.ndarray, light: float) -> np.ndarray:
    """How much a surface (h, w) rises towards the light, in [-1, 1]; float32. ``light``: radians, 0 from the left."""
    down, across = np.gradient(height)
    slope = np.cos(light) * across + np.sin(light) * down
    return (slope / max(float(np.abs(slope).max()), 1e-9)).astype(np.float32)


def cloud(shape: tuple[int, int], cell_px: float, low: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth unevenness (h, w) float32 between ``low`` and 1, in cells of about ``cell_px``."""
    coarse = [max(2, int(np.ceil(extent / max(cell_px, 1.0))) + 1) for extent in shape]
    heights = rng.uniform(low, 1, coarse).astype(np.float32)
    return np.clip(cv2.resize(heights, shape[::-1], interpolation=cv2.INTER_CUBIC), low, 1)
