"""Spots from invisible to plain: size and contrast are laid out on purpose, so that some are found and some missed.

What a probability-of-detection curve is made from. Shape: the polar-node dot of AnoStyler's released shape priors;
fill: a brightness offset in units of the local standard deviation (the project's notes on hand-crafted synthesis, H13
and H14). Ours, no paper claim.

Sizes and contrasts follow a scrambled Sobol sequence (A. B. Owen, J. Complexity 14 (1998), 466-489): every prefix of it
covers both axes evenly, so image i does not depend on how many are made.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np

from ias_core.errors import IasError, ShapeError, SynthesisError
from ias_core.synthesis.base import SyntheticDefects, check_dials, check_request, synthesizers
from ias_core.synthesis.measures import GREY_LEVEL, surrounding_noise
from ias_core.synthesis.shapes import dot
from ias_core.synthesis.texture_source import TextureSource

_TRIES = 20
_SURELY_ANOTHER = 1.01 * GREY_LEVEL  # more than one level: after rounding too another value
_LARGEST_SHARE = 1 / 4  # of the picture's side: with its ring, even the longest such spot fits


def design(count: int, seed: int) -> np.ndarray:
    """Places of size and contrast in their ranges, evenly spread and independent of each other.

    Returns
    -------
    ndarray of shape (count, 2)
        In [0, 1); the first rows of a longer design are the shorter one.

    Examples
    --------
    >>> np.histogram2d(*design(48, seed=0).T, bins=4, range=((0, 1), (0, 1)))[0].astype(int).tolist()
    [[3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]]
    """
    from scipy.stats import qmc

    sequence = qmc.Sobol(2, scramble=True, rng=np.random.default_rng(seed))
    return sequence.random_base2((count - 1).bit_length())[:count]  # drawn in powers of two, as its balance asks


def spot(
    parent: np.ndarray,
    *,
    size_px: float,
    contrast: float,
    rng: np.random.Generator,
    foreground: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, str]:
    """One spot on an OK image, brighter or darker than what it lies on.

    Parameters
    ----------
    parent : ndarray of shape (s, s, 3)
        float32 RGB in [0, 1], left unchanged.
    size_px : float
        Equivalent diameter, at most a quarter of s.
    contrast : float
        Root mean square offset in units of ``surrounding_noise``: the signal-to-noise ratio, as long as no pixel
        reaches black or white.
    foreground : ndarray of shape (s, s), optional
        bool, where the part is: the spot lies on it whole.

    Returns
    -------
    child : ndarray of shape (s, s, 3)
        float32; differs from the parent in an 8-bit file too.
    mask : ndarray of shape (s, s)
        bool.
    kind : str
        What was drawn.

    Notes
    -----
    The drawn polarity is kept unless black or white takes more than half of the offset and the other one shows more.
    A spot that would leave the 8-bit file as it was is put elsewhere; after 20 places the surface is that flat
    everywhere, and the offset is raised to one grey level at the spot's strongest pixel.
    """
    shape, profile = dot(size_px, rng)
    side, (height, width) = len(parent), shape.shape
    margin = int(max(3, size_px / 2))  # the ring its noise is measured in lies on the picture as well
    corners = None if foreground is None else _corners_on(foreground, shape)
    for left in reversed(range(_TRIES)):
        if corners is None:
            top, start = (int(rng.integers(margin, side - margin - extent + 1)) for extent in (height, width))
        else:
            top, start = (int(place) for place in corners[rng.integers(len(corners))])
        box = np.s_[top : top + height, start : start + width]
        mask = np.zeros((side, side), bool)
        mask[box] = shape
        amount = contrast * surrounding_noise(parent, mask)
        if left == 0:
            amount = max(amount, _SURELY_ANOTHER / profile.max())
        kinds = ["brighter dot", "darker dot"] if rng.integers(2) else ["darker dot", "brighter dot"]
        drawn = {kind: _offset(parent, box, (1 if kind == "brighter dot" else -1) * amount * profile) for kind in kinds}
        shown = {kind: float(np.sqrt(np.mean((child - parent)[mask] ** 2))) for kind, child in drawn.items()}
        if shown[kinds[0]] < amount / 2:
            kinds.sort(key=shown.get, reverse=True)
        for kind in kinds:
            if _survives_8_bit(parent[mask], drawn[kind][mask]):
                return drawn[kind], mask, kind
    raise AssertionError("black or white leaves one grey level of room on at least one side")


def _corners_on(foreground: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(k, 2) upper left corners at which the whole shape lies on the part."""
    height, width = shape.shape
    fits = cv2.erode(foreground.astype(np.uint8), shape.astype(np.uint8), anchor=(0, 0), borderValue=0)
    corners = np.argwhere(fits[: len(fits) - height + 1, : len(fits) - width + 1])
    if not len(corners):
        raise SynthesisError(
            f"no place on the part holds a spot of {width} x {height} px: make the part's mask larger or the spots "
            "smaller"
        )
    return corners


def _offset(parent: np.ndarray, box: tuple[slice, slice], offset: np.ndarray) -> np.ndarray:
    child = parent.copy()
    inside = offset != 0
    child[box][inside] = np.clip(parent[box][inside] + offset[inside][:, None], 0, 1)
    return child


def _survives_8_bit(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a pixel moves by half a grey level or more, and to another 8-bit value."""
    moved = np.abs(after - before) >= GREY_LEVEL / 2
    return bool((moved & (np.round(after * 255) != np.round(before * 255))).any())


@synthesizers.register("graded-spot")
@dataclass(frozen=True, slots=True)
class GradedSpot:
    """One spot per image, from tiny and faint to large and plain.  Family: hand-crafted, graded.  Space: image.

    H13 dot shape, H14 brightness offset; ours, no paper claim. A share of it cannot be found by anything, on purpose:
    its recall and AUROC as such mean nothing, only how they change with size and contrast does.
    """

    size_min_px: float = field(default=2.0, metadata={"min": 2.0, "max": 20.0})  # equivalent diameter at input size
    size_max_px: float = field(default=40.0, metadata={"min": 2.0, "max": 200.0})  # a quarter of the side at most
    contrast_min: float = field(default=0.25, metadata={"min": 0.05, "max": 16.0})  # in local standard deviations
    contrast_max: float = field(default=16.0, metadata={"min": 0.05, "max": 64.0})

    has_size: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    has_control: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for what, low, high in (
            ("size", self.size_min_px, self.size_max_px),
            ("contrast", self.contrast_min, self.contrast_max),
        ):
            if not 0 < low <= high < np.inf:
                raise IasError(f"expected a {what} range with 0 < smallest <= largest, got {low} to {high}")

    def __call__(
        self,
        images: np.ndarray,
        *,
        count: int,
        seed: int,
        severity: float | None = None,
        size_px: float | None = None,
        foregrounds: np.ndarray | None = None,
        textures: TextureSource | None = None,
    ) -> SyntheticDefects:
        """See ``ias_core.synthesis.base.ImageSynthesizer``.

        ``severities`` are the places of the asked contrasts in their range, on a logarithmic scale. A severity or a
        size that is given takes the place of the designed one in every image.

        Raises
        ------
        ShapeError
            Also for pictures too small for the smallest spot.
        SynthesisError
            No place on the part holds a spot of this size.
        """
        check_request(images, count)
        check_dials(images, severity, size_px, foregrounds)
        size = images.shape[1]
        size_max_px = min(self.size_max_px, size * _LARGEST_SHARE)
        smallest = self.size_min_px if size_px is None else size_px
        if smallest > (size_max_px if size_px is None else size * _LARGEST_SHARE):
            raise ShapeError(
                f"expected pictures of at least {smallest / _LARGEST_SHARE:g} px a side for spots of "
                f"{smallest:g} px, got {size}"
            )
        places = design(count, seed)
        if severity is not None:
            places[:, 1] = severity
        sizes_px = self.size_min_px * (size_max_px / self.size_min_px) ** places[:, 0]
        if size_px is not None:
            sizes_px[:] = size_px
        contrasts = self.contrast_min * (self.contrast_max / self.contrast_min) ** places[:, 1]
        parents = np.arange(count) % len(images)
        out = np.empty((count, size, size, 3), np.float32)
        masks = np.empty((count, size, size), bool)
        kinds = []
        for i, child in enumerate(np.random.SeedSequence(seed).spawn(count)):  # image i does not depend on count
            out[i], masks[i], kind = spot(
                images[parents[i]],
                size_px=float(sizes_px[i]),
                contrast=float(contrasts[i]),
                rng=np.random.default_rng(child),
                foreground=None if foregrounds is None else foregrounds[parents[i]],
            )
            kinds.append(f"made here: {kind}")
        return SyntheticDefects(out, masks, parents, "graded-spot", places[:, 1].astype(np.float32), tuple(kinds), seed)
