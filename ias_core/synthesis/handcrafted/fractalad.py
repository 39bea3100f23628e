"""FractalAD: a piece of the image in other colours, cut out along a fractal, pasted elsewhere.

Xia, Lv, He, Li, "FractalAD: A simple industrial anomaly detection method using fractal anomaly generation and backbone
knowledge distillation", IJCNN 2024, arXiv 2301.12739; fag.py of the repository AIRS-CSR/FractalAD, is_findobj=False.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.fractal import attractor, random_system, rasterised
from ias_core.synthesis.handcrafted.jitter import jitter_colour
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.handcrafted.turn import turned
from ias_core.synthesis.recipe import Draw, Recipe, Scene, Void

JITTERS = ("colours", "brightness and contrast", "two channels")
_CORE = 0.8  # of each axis: pieces come from there, and go there
_RIM_PX = 3  # the published label is that much fatter than what was pasted, and noise is added up to there
_FILLS = 0.05, 0.60
_SYSTEMS = 50  # tries for a fractal that is neither dust nor a block
_SIZE_TOLERANCE = 0.2  # of the area
_NEAREST = cv2.INTER_NEAREST  # as Pillow turns


@synthesizers.register("fractalad")
@dataclass(frozen=True, slots=True)
class FractalAD(Recipe):
    """A jittered piece of the image in the outline of a fractal.  Family: hand-crafted, self-contained.  Space: image.

    Published: a square of 0.1 to 0.5 of the side from the central 80 %; one of three jitters; flips; turned by 15 to 75
    degrees without growing, its corners cut off; a random fractal of two maps; noise of sigma 10 in every other one, up
    to 3 px around it. Ours: the place of a paste keeps to the part where one is given; only fractals that fill 5 to
    60 % of their square are taken; the jitter of the whole picture at the end, 0.05, is left out, because outside the
    mask everything has to stay; the severity, an opacity, which is published as 1. The name of the paper's family is
    not the survey's: its placement here is ours.

    side_* : of the square, as a share of the picture's side
    """

    side_min: float = field(default=0.1, metadata={"min": 0.05, "max": 0.8})
    side_max: float = field(default=0.5, metadata={"min": 0.05, "max": 0.8})
    noise_sigma: float = field(default=10.0, metadata={"min": 0.0, "max": 50.0})  # in grey levels of 255

    name = "fractalad"

    def __post_init__(self) -> None:
        check_range("sides", self.side_min, self.side_max)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        side_px = max(4, round(scene.side * rng.uniform(self.side_min, self.side_max)))
        degrees, noisy = float(rng.uniform(15, 75)), bool(rng.random() < 0.5)
        rim_px = max(1, round(scene.px(_RIM_PX))) if noisy else 0
        system, points, stamp = _fractal(side_px, rng)
        if scene.size_px is not None:
            side_px = _side_for(scene, points, stamp, degrees, rim_px)
        shape = _outline(points, stamp, side_px, degrees)
        patch, jitter = _patch(scene, side_px, degrees, rng)
        top, left = _target(scene, side_px, rng)
        box = np.s_[top : top + side_px, left : left + side_px]
        picture, written = scene.picture.copy(), np.zeros(scene.picture.shape[:2], bool)
        written[box] = shape
        picture[written] = patch[shape]
        grain = rng.normal(0, self.noise_sigma / 255, picture.shape[:2]).astype(np.float32)
        if noisy:
            written = _fatter(written, rim_px)
            picture[written] += grain[written][:, None]
        picture[written] = severity * picture[written] + (1 - severity) * scene.picture[written]
        settings = {
            "side_px": side_px,
            "top_px": top,
            "left_px": left,
            "degrees": degrees,
            "noisy": noisy,
            "fill": float(shape.mean()),
            "system": system.round(6).tolist(),
        }
        return Draw(picture, written, f"own image {scene.parent}", settings | jitter)


def _fractal(side_px: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A system, its points, and a stamp that together fill 5 to 60 % of the square."""
    low, high = _FILLS
    for _ in range(_SYSTEMS):
        system, stamp = random_system(rng), rng.random((3, 3)) < 0.5
        points = attractor(system, rng)
        if stamp.any() and low <= rasterised(points, side_px, stamp).mean() <= high:
            return system, points, stamp
    raise Void(f"{_SYSTEMS} random fractals in a row were dust or a block")


def _outline(points: np.ndarray, stamp: np.ndarray, side_px: int, degrees: float) -> np.ndarray:
    """The fractal, where the turned square covers its place."""
    whole = np.ones((side_px, side_px), np.uint8)
    return rasterised(points, side_px, stamp) & turned(whole, degrees, interpolation=_NEAREST).astype(bool)


def _fatter(mask: np.ndarray, rim_px: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=rim_px).astype(bool)


def _side_for(scene: Scene, points: np.ndarray, stamp: np.ndarray, degrees: float, rim_px: int) -> int:
    """Side of the square in which the fractal, with its rim of noise, has the area asked for."""
    area = scene.asked_area_px

    def written(side_px: int) -> int:
        outline = np.pad(_outline(points, stamp, side_px, degrees), rim_px)
        return int(np.count_nonzero(_fatter(outline, rim_px) if rim_px else outline))

    low, high = 2, scene.side
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if written(middle) < area else (low, middle)
    best = min((low, high), key=lambda side_px: abs(written(side_px) - area))
    if abs(written(best) - area) > _SIZE_TOLERANCE * area:
        raise Void(f"this fractal cannot be drawn {scene.size_px:g} px large on the picture")
    return best


def _patch(scene: Scene, side_px: int, degrees: float, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
    """A square of the picture in other colours, flipped and turned; and the values drawn for it."""
    top, left = _in_core(scene.side, side_px, rng)
    patch = scene.picture[top : top + side_px, left : left + side_px]
    kind = JITTERS[rng.integers(len(JITTERS))]
    if kind == "colours":
        patch, _ = jitter_colour(patch, 0.2, rng)
    elif kind == "brightness and contrast":
        patch = _strong(patch, rng)
    else:
        patch = patch.copy()
        for channel, factor in zip(rng.integers(3, size=2), rng.uniform(0, 2, 2), strict=True):  # one may come twice
            patch[..., channel] *= np.float32(factor)  # clipped in the end; the published 8-bit product wraps around
    down, across = rng.integers(2, size=2) * -2 + 1
    patch = turned(np.ascontiguousarray(patch[::down, ::across]), degrees, interpolation=_NEAREST)
    return patch, {"jitter": kind, "from_top_px": top, "from_left_px": left}


def _strong(patch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness and contrast times 0 to 2 each, in random order (torchvision's ColorJitter of 1 and 1)."""
    brightness, contrast = rng.uniform(0, 2, 2).astype(np.float32)
    for step in rng.permutation(2):
        if step == 0:
            patch = np.clip(brightness * patch, 0, 1)
        else:
            mean = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).mean()
            patch = np.clip(mean + contrast * (patch - mean), 0, 1)
    return patch


def _in_core(side: int, square_px: int, rng: np.random.Generator) -> tuple[int, int]:
    """Corner of a square in the central 80 %; in the whole picture where it is too large for that."""
    margin = round(side * (1 - _CORE) / 2)
    if square_px > side - 2 * margin:
        margin = 0
    top, left = rng.integers(margin, side - margin - square_px + 1, 2)
    return int(top), int(left)


def _target(scene: Scene, side_px: int, rng: np.random.Generator) -> tuple[int, int]:
    if scene.foreground is None:
        return _in_core(scene.side, side_px, rng)
    return corner(scene, side_px, side_px, rng)
