"""CutPaste-Scar: a narrow strip of the picture, rotated and pasted elsewhere in it.

Li, Sohn, Yoon, Pfister, "CutPaste", CVPR 2021, arXiv 2104.04015; values as in the unofficial repository
Runinho/pytorch-cutpaste. Ours: the strip is rotated at four times its size, because one of 2 px loses its edges
otherwise.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.jitter import jitter_colour
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Recipe, Scene, Void

_FINER = 4


def turned(strip: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A strip rotated counterclockwise, in the smallest box that holds it whole.

    Parameters
    ----------
    strip : ndarray of shape (h, w, 3)
        float32.

    Returns
    -------
    colour : ndarray of shape (bh, bw, 3)
        float32; outside the strip its border colours go on, so that its rim is mixed with no black.
    alpha : ndarray of shape (bh, bw)
        float32 in [0, 1], the share of the pixel that the strip covers.

    Examples
    --------
    >>> colour, alpha = turned(np.ones((10, 4, 3), np.float32), 90)
    >>> colour.shape, float(alpha.min())
    ((4, 10, 3), 1.0)
    """
    height, width = strip.shape[:2]
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    box_width, box_height = (  # less the rounding errors of a right angle
        int(np.ceil(extent - 1e-6)) for extent in (width * cos + height * sin, width * sin + height * cos)
    )
    fine = cv2.resize(strip, None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_NEAREST)
    middle = (_FINER * width - 1) / 2, (_FINER * height - 1) / 2
    turn = cv2.getRotationMatrix2D(middle, degrees, 1)
    turn[:, 2] += (_FINER * box_width - 1) / 2 - middle[0], (_FINER * box_height - 1) / 2 - middle[1]
    canvas = _FINER * box_width, _FINER * box_height
    colour = cv2.warpAffine(fine, turn, canvas, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(np.ones(fine.shape[:2], np.float32), turn, canvas, borderMode=cv2.BORDER_CONSTANT)
    colour, alpha = (cv2.resize(x, (box_width, box_height), interpolation=cv2.INTER_AREA) for x in (colour, alpha))
    return colour, np.clip(alpha, 0, 1)


@dataclass(frozen=True, slots=True)
class Strip(Recipe):
    """A strip of the picture, cut out and turned: what the original and ASBench's variant share.

    width_*_px, length_*_px : sides of the strip at 256 px; the length is upright before it is turned
    angle_deg : the largest turn to either side
    """

    width_min_px: float = field(default=2.0, metadata={"min": 1.0, "max": 64.0})
    width_max_px: float = field(default=16.0, metadata={"min": 1.0, "max": 64.0})
    length_min_px: float = field(default=10.0, metadata={"min": 1.0, "max": 128.0})
    length_max_px: float = field(default=25.0, metadata={"min": 1.0, "max": 128.0})
    angle_deg: float = field(default=45.0, metadata={"min": 0.0, "max": 180.0})

    def __post_init__(self) -> None:
        check_range("widths", self.width_min_px, self.width_max_px)
        check_range("lengths", self.length_min_px, self.length_max_px)

    def sides(self, scene: Scene, rng: np.random.Generator) -> tuple[float, float]:
        """Width and length as published, at the size of the picture."""
        width = scene.px(rng.uniform(self.width_min_px, self.width_max_px))
        return width, scene.px(rng.uniform(self.length_min_px, self.length_max_px))

    def angle(self, rng: np.random.Generator) -> float:
        """Degrees, counterclockwise."""
        return float(rng.uniform(-self.angle_deg, self.angle_deg))

    def cut(
        self, scene: Scene, width: float, length: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, int]]:
        """A random strip of the picture with these sides, rounded to at least 1 px; and its drawn values.

        Raises
        ------
        Void
            The picture is smaller than the strip.
        """
        width, height = max(1, round(width)), max(1, round(length))
        if max(height, width) > scene.side:
            raise Void(f"a strip of {height} x {width} px is larger than the picture")
        top, left = (int(rng.integers(scene.side - extent + 1)) for extent in (height, width))
        drawn = {"width_px": width, "length_px": height, "source_top_px": top, "source_left_px": left}
        return scene.picture[top : top + height, left : left + width], drawn


@synthesizers.register("cutpaste-scar")
@dataclass(frozen=True, slots=True)
class CutPasteScar(Strip):
    """A rotated strip of the picture at another place.  Family: hand-crafted, self-contained.  Space: image.

    The severity is the opacity, 1 as published. Pixels that the strip covers by half or less stay as they are. An
    asked size keeps the drawn ratio of the sides; a strip is never narrower than 1 px.

    jitter : of the strip's colours, see ``jitter_colour``; the others as of ``Strip``
    """

    jitter: float = field(default=0.1, metadata={"min": 0.0, "max": 0.5})

    name = "cutpaste-scar"

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        width, length = self.sides(scene, rng)
        if scene.size_px is not None:
            width = max(1, round(np.sqrt(scene.asked_area_px * width / length)))
            length = scene.asked_area_px / width
        degrees = self.angle(rng)
        strip, drawn = self.cut(scene, width, length, rng)
        strip, colours = jitter_colour(strip, self.jitter, rng)
        colour, alpha = turned(strip, degrees)
        top, left = corner(scene, *alpha.shape, rng)
        box = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        picture = scene.picture.copy()
        weight = np.float32(severity) * alpha[..., None]
        picture[box] = (1 - weight) * picture[box] + weight * colour
        written = np.zeros(picture.shape[:2], bool)
        written[box] = alpha > 0.5
        settings = {**drawn, "angle_deg": degrees, "top_px": top, "left_px": left, **colours}
        return Draw(picture, written, f"own image {scene.parent}", settings)
