"""NSA: patches of another OK image, resized, moved and blended in by their gradients.

Schluter, Tan, Hou, Kainz, "Natural Synthetic Anomalies for Self-Supervised Anomaly Detection and Localization",
ECCV 2022, arXiv 2109.15222; recipe as in the repository hmsch/natural-synthetic-anomalies (self_sup_data/
self_sup_tasks.py, train_mvtec.py).
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.poisson import blend
from ias_core.synthesis.recipe import PUBLISHED_SIDE_PX, Draw, Recipe, Scene, Void

_TRIES = 200
_GAMMA_LEAST, _GAMMA_SHAPE, _GAMMA_SCALE = 0.03, 2, 0.05  # of half-widths, in shares of the side
RESIZE_OBJECTS, _RESIZE_TEXTURES = (0.7, 1.3), (0.5, 2.0)
_DISC_PX = 5.0  # at 256 px
RING_PX = 2  # rim of 1 px on both sides, where the target stays
LOGISTIC_K, LOGISTIC_X0 = 1 / 6, 20.0  # the repository's own defaults, per grey level and in grey levels


def pasted(target: np.ndarray, patch: np.ndarray, top: int, left: int, inside: np.ndarray, *, mixed: bool) -> None:
    """Blend a patch into ``target``, in place, with its corner there; its outermost ring stays the target's.

    Parameters
    ----------
    target : ndarray of shape (s, s, 3)
        float32 in [0, 1].
    patch : ndarray of shape (h, w, 3)
    inside : ndarray of shape (h, w)
        bool, where the patch may change the target.
    mixed : bool
        See ``poisson.blend``.
    """
    box = np.s_[top : top + patch.shape[0], left : left + patch.shape[1]]
    target[box] = np.clip(blend(target[box], np.ascontiguousarray(patch), inside, mixed=mixed), 0, 1)


def without_ring(inside: np.ndarray) -> np.ndarray:
    """bool (h, w): the mask less its outermost ring of pixels."""
    out = inside.copy()
    out[[0, -1]] = out[:, [0, -1]] = False
    return out


def share_of_part(part: np.ndarray, corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Share of the pixels of boxes (h, w) that are the part's; corners (k, 2) row and column, shares (k,)."""
    sums = cv2.integral(part.astype(np.uint8))
    top, left = corners.T
    inside = sums[top + height, left + width] - sums[top, left + width] - sums[top + height, left] + sums[top, left]
    return inside / (height * width)


def measured_severity(parent: np.ndarray, child: np.ndarray, written: np.ndarray) -> float:
    """95th percentile of NSA's logistic label, 1 / (1 + exp(-k (change - x0))), over the changed pixels.

    The change is the mean over the channels in grey levels, smoothed by a median over a disc of radius 5 px at 256 px,
    to which a patch smaller than half of that disc is nothing; changed means by more than one level, after a median of
    5 x 5. k = 1/6 and x0 = 20 are the repository's own defaults (its
    categories have theirs, from 1/12 and 24 to 1 and 3); the percentile is ours.

    Returns
    -------
    float
        In [0, 1); 0 where nothing changed, or so few pixels that the 5 x 5 median takes them for grain.
    """
    from skimage.filters.rank import median
    from skimage.morphology import disk

    left, top, width, height = cv2.boundingRect(written.astype(np.uint8))
    box = np.s_[top : top + height, left : left + width]
    radius = max(1, round(_DISC_PX * len(parent) / PUBLISHED_SIDE_PX))
    change = np.pad(255 * np.abs(child[box] - parent[box]).mean(2) * written[box], radius)  # around it nothing changed
    label = cv2.medianBlur((change > 1).astype(np.uint8), 5).astype(bool)
    if not label.any():
        return 0.0
    smooth = median(np.rint(change * label).astype(np.uint8), disk(radius)).astype(np.float64)
    return float(np.percentile(1 / (1 + np.exp(-LOGISTIC_K * (smooth[label] - LOGISTIC_X0))), 95))


@synthesizers.register("nsa")
@dataclass(frozen=True, slots=True)
class Nsa(Recipe):
    """Patches of another OK image without a seam.  Family: hand-crafted, self-contained.  Space: image.

    With a part mask the product is an object: the patch takes its own gradients, and it has to hold and to meet
    enough of the part. Without one it is a texture: mixed gradients and a wider range of resizing. This is ours; the
    paper knows its categories. Also ours: the mask of the donor's part is not known, so the parent's stands in for
    it, which holds for parts in a fixture; and the patch never leaves the parent's part.

    The severity is the opacity of the blended patches, 1 as published. An asked size is that of all patches together.

    patches_objects, patches_textures : the most patches; each after the first comes with probability 0.5
    half_width_* : in shares of the side; half-widths are 0.03 + Gamma(2, 0.05), clipped to them, and as in the
        repository the whole resized side stays within the same bounds
    min_object : least share of the part in the donor's patch
    min_overlap : least share of the patch's part that meets the parent's
    """

    patches_objects: int = field(default=3, metadata={"min": 1, "max": 10})
    patches_textures: int = field(default=4, metadata={"min": 1, "max": 10})
    half_width_min: float = field(default=0.03, metadata={"min": 0.01, "max": 0.4})
    half_width_max: float = field(default=0.4, metadata={"min": 0.01, "max": 0.5})
    min_object: float = field(default=0.7, metadata={"min": 0.0, "max": 0.95})
    min_overlap: float = field(default=0.25, metadata={"min": 0.0, "max": 0.95})

    name = "nsa"

    def __post_init__(self) -> None:
        check_range("half-widths", self.half_width_min, self.half_width_max)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        donor, source = scene.donor(rng)
        part = None if scene.foreground is None or scene.foreground.all() else scene.foreground
        source_part = part[:, ::-1] if part is not None and source.endswith("mirrored") else part
        most = self.patches_textures if part is None else self.patches_objects
        count = 1 + int(rng.binomial(most - 1, 0.5))
        half = _GAMMA_LEAST + rng.gamma(_GAMMA_SHAPE, _GAMMA_SCALE, (count, 2))
        half = np.clip(half, self.half_width_min, self.half_width_max)
        scale = np.clip(rng.normal(1, 0.5, count), *(_RESIZE_TEXTURES if part is None else RESIZE_OBJECTS))
        scale = np.minimum(scale, self.half_width_max / (2 * half.max(1)))
        sides = 2 * half * scale[:, None] * scene.side
        if scene.size_px is not None:
            sides = sides * np.sqrt(scene.asked_area_px / sides.prod(1).sum()) + RING_PX
        picture, written = scene.picture.copy(), np.zeros((scene.side, scene.side), bool)
        patches = []
        for (tall, wide), factor in zip(sides, scale, strict=True):
            height, width = (int(np.clip(round(extent), 3, scene.side)) for extent in (tall, wide))
            tall, wide = (int(np.clip(round(extent / factor), 3, scene.side)) for extent in (tall, wide))
            found = self._place(part, source_part, (tall, wide), (height, width), scene.side, rng)
            if found is None:
                continue
            (source_top, source_left), (top, left) = found
            cut = donor[source_top : source_top + tall, source_left : source_left + wide]
            patch = cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=cv2.INTER_LINEAR)
            box = np.s_[top : top + height, left : left + width]
            inside = without_ring(np.ones((height, width), bool) if part is None else part[box])
            pasted(picture, patch, top, left, inside, mixed=part is None)
            written[box] |= inside
            patches.append([top, left, height, width, source_top, source_left, tall, wide])
        if not patches:
            raise Void(f"{_TRIES} places held no patch with enough of the part")
        picture = scene.picture + np.float32(severity) * (picture - scene.picture)
        settings = {
            "patches": patches,
            "patch_values": ["top", "left", "height", "width", "source top", "left", "height", "width"],
            "gradients": "mixed" if part is None else "source",
            "severity_measured": measured_severity(scene.picture, picture, written),
        }
        return Draw(picture, written, source, settings)

    def _place(
        self,
        part: np.ndarray | None,
        source_part: np.ndarray | None,
        source_sides: tuple[int, int],
        sides: tuple[int, int],
        side: int,
        rng: np.random.Generator,
    ) -> tuple[list[int], list[int]] | None:
        """Corners in the donor and in the parent; None where 200 tries found no two that fit."""
        there, here = (rng.integers(0, side + 1 - np.array(extents), (_TRIES, 2)) for extents in (source_sides, sides))
        if part is None or source_part is None:
            return there[0].tolist(), here[0].tolist()
        fits = np.flatnonzero(share_of_part(source_part, there, *source_sides) > self.min_object)
        if not len(fits):
            return None
        top, left = there[fits[0]]
        (tall, wide), (height, width) = source_sides, sides
        cut = source_part[top : top + tall, left : left + wide].astype(np.uint8)
        of_patch = cv2.resize(cut, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
        for row, column in here:
            both = of_patch & part[row : row + height, column : column + width]
            if np.count_nonzero(both) > self.min_overlap * np.count_nonzero(of_patch):
                return there[fits[0]].tolist(), [int(row), int(column)]
        return None
