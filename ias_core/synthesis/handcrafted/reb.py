"""REB's DefectMaker: smooth closed Bezier regions, filled with a piece of another OK image or with block noise.

Lyu, Mo, Wong, "REB: Reducing biases in representation for industrial anomaly detection", Knowledge-Based Systems 2024,
arXiv 2308.12577; recipe as in the repository ShuaiLYU/REB, src/DefectMaker. Its weak supervision by a saliency network
is replaced by the part mask.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis import shapes
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.jitter import jitter_colour
from ias_core.synthesis.handcrafted.places import corner
from ias_core.synthesis.recipe import PUBLISHED_SIDE_PX, Draw, Recipe, Scene

KINDS = ("bezier", "scar", "clump")
FILLS = ("crop", "noise")
ANY = "any"
_AREAS, _MOST_ASPECT = (0.02, 0.15), 3.3  # of the box around the region
_SCAR_WIDTHS_PX, _SCAR_LENGTHS_PX, _SCAR_TURN = (2, 16), (10, 25), 45  # at 256 px
_CLUMP_SHARE = 0.4  # of the region: noise of 77 to 177 above 137
_CLUMP_CELLS_PX, _CLUMP_ASPECT = (1, 5), 2
_JITTER = 0.1
_CROSS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))


@synthesizers.register("reb")
@dataclass(frozen=True, slots=True)
class Reb(Recipe):
    """A Bezier region, a scar or a clump.  Family: hand-crafted, self-contained.  Space: image.

    The severity multiplies the weight of the fill: 1 for pieces of images, uniform in 0.5 to 1 for noise. An asked
    size is the region's, or the clump's own pixels'.

    kind : "bezier": region in a box of 2 to 15 % of the picture, aspect up to 3.3; "scar": 2 to 16 by 10 to 25 px at
        256 px, turned by up to 45 degrees; "clump": a region of which only the upper two fifths of a coarse noise
        are kept
    fill : "crop": a piece of another OK image; "noise": blocks of 1, 2 or 4 px at 256 px
    """

    kind: str = field(default=ANY, metadata={"choices": (ANY, *KINDS)})
    fill: str = field(default=ANY, metadata={"choices": (ANY, *FILLS)})

    name = "reb"

    def __post_init__(self) -> None:
        for what, value, choices in (("kind", self.kind, KINDS), ("fill", self.fill, FILLS)):
            if value not in (ANY, *choices):
                raise IasError(f"reb: expected a {what} out of {', '.join((ANY, *choices))}, got {value!r}")

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        kind, fill = KINDS[rng.integers(len(KINDS))], FILLS[rng.integers(len(FILLS))]
        kind, fill = kind if self.kind == ANY else self.kind, fill if self.fill == ANY else self.fill
        mask, settings = region(kind, scene, rng)
        if fill == "crop":
            donor, source = scene.donor(rng)
            top, left = corner(scene, *mask.shape, rng)
            matter = donor[top : top + mask.shape[0], left : left + mask.shape[1]]
            drawn = {"source_top_px": top, "source_left_px": left}
        else:
            matter, drawn = block_noise(mask.shape, scene.side / PUBLISHED_SIDE_PX, rng)
            source = "block noise"
        noise_weight, soft = rng.uniform(0.5, 1), bool(rng.integers(2))
        weight = severity * (1.0 if fill == "crop" else noise_weight)
        matter, colours = jitter_colour(np.ascontiguousarray(matter), _JITTER, rng)
        alpha = softened(mask) if soft else mask.astype(np.float32)
        top, left = corner(scene, *mask.shape, rng)
        box = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        picture, written = scene.picture.copy(), np.zeros((scene.side, scene.side), bool)
        picture[box] += np.float32(weight) * alpha[..., None] * (matter - picture[box])
        written[box] = mask
        settings |= {"kind": kind, "fill": fill, "weight": weight, "soft": soft, "top_px": top, "left_px": left}
        return Draw(picture, written, source, settings | drawn | colours)


def region(kind: str, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, float]]:
    """Mask (h, w) bool of one kind, and its area as drawn and the drawn sides of its box before it was turned."""
    outline, turn = shapes.bezier_outline(rng), 0.0
    if kind == "scar":
        width, length = scene.px(rng.uniform(*_SCAR_WIDTHS_PX)), scene.px(rng.uniform(*_SCAR_LENGTHS_PX))
        turn = float(np.radians(rng.uniform(-_SCAR_TURN, _SCAR_TURN)))
    else:
        area = rng.uniform(*_AREAS) * scene.side**2
        aspect = np.exp(rng.uniform(-1, 1) * np.log(_MOST_ASPECT))
        width, length = np.sqrt(area * aspect), np.sqrt(area / aspect)
    outline = outline * (width, length)
    area = float(cv2.contourArea(outline.astype(np.float32)))
    kept = _CLUMP_SHARE if kind == "clump" else 1.0
    if scene.size_px is not None:
        asked = scene.asked_area_px / kept
        outline, width, length = (x * np.sqrt(asked / area) for x in (outline, width, length))
        area = asked
    cos, sin = np.cos(turn), np.sin(turn)
    mask, _ = shapes.fill(outline @ np.array([[cos, -sin], [sin, cos]]), float(np.sqrt(4 * area / np.pi)), rng)
    if kind == "clump":
        mask = clumped(mask, scene.px(rng.uniform(*_CLUMP_CELLS_PX)), rng)
    return mask, {"area_px": area * kept, "width_px": float(width), "length_px": float(length)}


def clumped(mask: np.ndarray, cell_px: float, rng: np.random.Generator) -> np.ndarray:
    """The upper two fifths of smooth noise in a region; cells of about ``cell_px``, up to twice as long as wide."""
    aspect = np.exp(rng.uniform(-1, 1) * np.log(_CLUMP_ASPECT))
    noise = _coarse(mask.shape, (cell_px * aspect, cell_px / aspect), rng)[..., 0]
    return shapes.highest(np.where(mask, noise + 1, 0), max(1, round(_CLUMP_SHARE * np.count_nonzero(mask))))


def block_noise(shape: tuple[int, int], px: float, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, float]]:
    """Coloured noise (h, w, 3) float32: mean 50 to 190 and fluctuation 0 to 45 of 255, in steps as published.

    Parameters
    ----------
    px : float
        Length of one published pixel.
    """
    mean, fluctuation = 10 * int(rng.integers(5, 20)), 5 * int(rng.integers(0, 10))
    cell, aspect = 2.0 ** rng.integers(0, 3), 2.0 ** rng.integers(-2, 3)
    low, high = max(mean - fluctuation, 0) / 255, min(mean + fluctuation, 255) / 255
    noise = low + (high - low) * _coarse(shape, (px * cell * aspect, px * cell / aspect), rng)
    return np.clip(noise, 0, 1), {
        "noise_mean": mean,
        "noise_fluctuation": fluctuation,
        "cell_px": px * cell,
        "aspect": aspect,
    }


def _coarse(shape: tuple[int, int], cell: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Uniform noise (h, w, 3) float32 in about [0, 1], one value a cell (down, across), enlarged by cubic curves."""
    cells = tuple(max(1, int(extent / size)) for extent, size in zip(shape, cell, strict=True))
    noise = rng.uniform(0, 1, (*cells, 3)).astype(np.float32)
    return cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)


def softened(mask: np.ndarray) -> np.ndarray:
    """REB's soft edge: eroded and blurred by 3 px, so it stays inside the mask; hard where erosion leaves nothing.

    Returns
    -------
    ndarray of shape (h, w)
        float32 in [0, 1].
    """
    padded = np.pad(mask, 2).astype(np.uint8)
    core = cv2.erode(padded, _CROSS).astype(np.float32)
    if not core.any():
        return mask.astype(np.float32)
    return np.where(mask, cv2.GaussianBlur(core, (3, 3), 3)[2:-2, 2:-2], 0).astype(np.float32)
