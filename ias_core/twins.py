"""Near twins: two files made from one photograph, as against two photographs of equal parts.

Equal parts share their layout (leads, bus bars, outline), so an ordinary perceptual hash calls every two
solar cells twins.  What two photographs never share is their grain: surface texture and sensor noise at the
finest scale that re-encoding leaves.  So a print keeps two things, and both must agree:

- a small grey picture, which proposes pairs, quarter turns and croppings (cheap);
- the sign of the fine detail on a 192 x 192 grid, which decides.  A sign does not change with brightness
  or contrast, and where a copy lost its detail (burnt out, smoothed by JPEG) it is not counted: only points
  with detail in both pictures are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import ShapeError

GREY_PX = 64
DETAIL_PX = 192
# Detail lies between these two Gaussian widths (px of the 192 grid), and is this strong (8-bit levels).
_DETAIL_SIGMAS = (0.7, 2.0)
_DETAIL_FLOOR = 0.25

# Calibrated on transistor and hazelnut (2 x 60 pictures, 3,540 pairs): different photographs agree by 0.675
# at most, copies at JPEG quality 75 by 0.93 at least; this is the middle.  From -1 to 1, where 0 is chance.
AGREEMENT_LEAST = 0.80
# A quarter of the points is tried first, and any pair above this is looked at in full.
_AGREEMENT_TO_LOOK = 0.70
# Points with detail in both, as a share of the richer picture's and of all.  At JPEG quality 75, 0.72 is left.
_OVERLAP_LEAST = 0.60
_DETAIL_LEAST = 0.05
# Proposing: of uncropped copies there, the lowest correlation of the coarse pictures is 0.97.
_COARSE_LEAST = 0.90
_COARSE_PX = 32
# Proposing croppings of up to 5 % a side, (left, right) and (top, bottom) from this list; of such copies
# there, the lowest correlation with the nearest one is 0.80.
_CROPS = ((0.0, 0.0), (0.04, 0.0), (0.0, 0.04), (0.04, 0.04))
_CROPPED_LEAST = 0.75
_STANDS_STILL_PX = 0.5
_CORNERS = np.array([[0, DETAIL_PX, 0, DETAIL_PX], [0, 0, DETAIL_PX, DETAIL_PX], [1, 1, 1, 1]], np.float32)
_BLOCK = 512  # rows compared at once: bounds the memory to some 200 MB

Window = tuple[float, float, float, float]  # left, top, width, height, as shares of the picture


@dataclass(frozen=True, slots=True, eq=False)
class Print:
    """What is kept of a picture to know it again.

    grey   : (64, 64) uint8     the picture, small
    detail : (192, 192) int8    sign of its fine detail: -1, 0 (none), 1
    """

    grey: np.ndarray
    detail: np.ndarray

    def __post_init__(self) -> None:
        if self.grey.shape != (GREY_PX, GREY_PX) or self.detail.shape != (DETAIL_PX, DETAIL_PX):
            raise ShapeError(
                f"Expected a grey picture of {GREY_PX} px and detail of {DETAIL_PX} px, "
                f"but got {self.grey.shape} and {self.detail.shape}; make prints with print_of."
            )

    def to_bytes(self) -> bytes:
        """13,312 bytes: the grey picture, then four signs to a byte."""
        fours = (self.detail + 1).astype(np.uint8).reshape(-1, 4)
        return self.grey.tobytes() + (fours << np.arange(0, 8, 2, dtype=np.uint8)).sum(1, np.uint8).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Print:
        """Inverse of `to_bytes`."""
        grey = np.frombuffer(data[: GREY_PX**2], np.uint8).reshape(GREY_PX, GREY_PX)
        packed = np.frombuffer(data[GREY_PX**2 :], np.uint8)[:, None]
        signs = ((packed >> np.arange(0, 8, 2, dtype=np.uint8)) & 3).astype(np.int8) - 1
        return cls(grey, signs.reshape(DETAIL_PX, DETAIL_PX))


def print_of(pixels: np.ndarray) -> Print:
    """Print of a picture.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3), uint8 or uint16
        RGB, as `ias_core.imaging.decode` gives it.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise ShapeError(f"Expected (h, w, 3) uint8 or uint16, but got {pixels.shape} {pixels.dtype}.")
    levels = np.float32(255.0 / np.iinfo(pixels.dtype).max)
    shrinks = min(pixels.shape[:2]) >= DETAIL_PX
    fitted = cv2.resize(pixels, (DETAIL_PX, DETAIL_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    # Luma by hand: rounding to 8 bits in between would hide the grain.
    luma = (fitted.astype(np.float32) * levels) @ np.array([0.299, 0.587, 0.114], np.float32)
    fine, broad = (cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in _DETAIL_SIGMAS)
    band = fine - broad
    detail = np.sign(band) * (np.abs(band) >= _DETAIL_FLOOR)
    grey = cv2.resize(luma, (GREY_PX, GREY_PX), interpolation=cv2.INTER_AREA)
    return Print(np.clip(np.rint(grey), 0, 255).astype(np.uint8), detail.astype(np.int8))


def agreement(a: Print, b: Print) -> float:
    """How far the fine detail of two pictures agrees, as they lie.

    Returns
    -------
    float
        From -1 to 1: 1 the same, 0 chance.  0 as well where the detail of one is missing in the other over
        two fifths of it, or both have hardly any: what is left then (edges) shows the part and not the photograph.
    """
    return _agreement(a.detail, b.detail)


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    both = np.count_nonzero(a & b)  # -1 & 1 == 1
    richer = max(np.count_nonzero(a), np.count_nonzero(b))
    if both < max(_OVERLAP_LEAST * richer, _DETAIL_LEAST * a.size):
        return 0.0
    return float(np.sum(a * b, dtype=np.int64) / both)


def _share_detail(a: np.ndarray, b: np.ndarray) -> bool:
    return _agreement(a, b) >= AGREEMENT_LEAST


def find_twins(a: Sequence[Print], b: Sequence[Print] | None = None) -> list[tuple[int, int]]:
    """Pairs from one photograph: re-encoded, resized, brighter or darker, turned by quarters, cropped by 5 %.

    Parameters
    ----------
    a, b : sequences of Print
        Without ``b``, pairs within ``a``.

    Returns
    -------
    list of (int, int)
        Place in ``a`` and place in ``b`` (within ``a``: the lower place first), sorted.

    Notes
    -----
    Of croppings only the one picture most like the cropping is tried.  Mirrored copies are not looked for.
    """
    within = b is None
    others = a if b is None else b
    if not a or not others:
        return []
    found = set(_whole_twins(a, others, within)) | set(_cropped_twins(a, others, within))
    if not within:
        found |= {(i, j) for j, i in _cropped_twins(others, a, within)}
    if within:
        found = {(min(pair), max(pair)) for pair in found}
    return sorted(found)


def _whole_twins(a: Sequence[Print], b: Sequence[Print], within: bool) -> Iterator[tuple[int, int]]:
    coarse_a = _coarse([p.grey for p in a])
    for turn in range(4):
        coarse_b = _coarse([np.rot90(p.grey, turn) for p in b])
        for start in range(0, len(a), _BLOCK):
            proposed = coarse_a[start : start + _BLOCK] @ coarse_b.T >= _COARSE_LEAST
            if within:
                proposed &= np.arange(start, start + len(proposed))[:, None] < np.arange(len(b))
            rows, columns = np.flatnonzero(proposed.any(1)), np.flatnonzero(proposed.any(0))
            for first in range(0, len(columns), _BLOCK):
                block = columns[first : first + _BLOCK]
                closer = proposed[np.ix_(rows, block)] & _may_agree(
                    [a[start + i].detail for i in rows], [np.rot90(b[j].detail, turn) for j in block]
                )
                for row, column in np.argwhere(closer):
                    i, j = start + int(rows[row]), int(block[column])
                    if _share_detail(a[i].detail, np.rot90(b[j].detail, turn)):
                        yield i, j


def _may_agree(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    """(n, m) bool: pairs that agree on a quarter of the points.  Sums of signs are exact in float32."""
    a, b = (np.stack([signs[::2, ::2].ravel() for signs in side]).astype(np.float32) for side in (a, b))
    return a @ b.T >= _AGREEMENT_TO_LOOK * (np.abs(a) @ np.abs(b).T)


def _cropped_twins(a: Sequence[Print], b: Sequence[Print], within: bool) -> Iterator[tuple[int, int]]:
    """Pairs in which the one in ``b`` is a cropping of the one in ``a``."""
    windows = [(left, top, 1 - left - right, 1 - top - bottom) for left, right in _CROPS for top, bottom in _CROPS]
    turned = [_coarse([np.rot90(p.grey, turn) for p in b]) for turn in range(4)]
    best = _Best(len(b))
    for number, window in enumerate(windows):
        cropped = _coarse([_crop(p.grey, window) for p in a])
        for turn, coarse in enumerate(turned):
            likeness = cropped @ coarse.T  # (a, b)
            if within:
                np.fill_diagonal(likeness, -1)
            best.look(likeness.T, turn, number)
    proposals = [(i, j, turn, number) for j, (i, turn, number) in best.found()]

    def decide(proposal: tuple[int, int, int, int]) -> bool:
        i, j, turn, number = proposal
        return _agrees_when_aligned(a[i], b[j], turn, windows[number])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV works outside the interpreter's lock
        for (i, j, _, _), twin in zip(proposals, pool.map(decide, proposals), strict=True):
            if twin:
                yield i, j


class _Best:
    """The most similar partner of each of n pictures so far."""

    def __init__(self, n: int) -> None:
        self.likeness = np.full(n, _CROPPED_LEAST, np.float32)
        self.partner = np.full((n, 3), -1)  # place, quarter turns, window

    def look(self, likeness: np.ndarray, turn: int, window: int) -> None:
        place = likeness.argmax(1)
        value = likeness[np.arange(len(place)), place]
        rows = np.flatnonzero(value > self.likeness)
        self.likeness[rows] = value[rows]
        self.partner[rows, 0] = place[rows]
        self.partner[rows, 1:] = turn, window

    def found(self) -> Iterator[tuple[int, tuple[int, int, int]]]:
        for row in np.flatnonzero(self.partner[:, 0] >= 0):
            place, turn, window = map(int, self.partner[row])
            yield int(row), (place, turn, window)


def _agrees_when_aligned(a: Print, b: Print, turn: int, window: Window) -> bool:
    """Move ``b`` (after quarter turns) onto its window in ``a`` by ECC, then compare the detail.

    Source: Evangelidis and Psarakis, IEEE TPAMI 30 (2008), 1858-1865.
    """
    b = Print(np.rot90(b.grey, turn), np.rot90(b.detail, turn))
    warp = _warp(window, GREY_PX)
    steps = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 1e-3)
    try:
        shapes = [_without_shading(p.grey) for p in (b, a)]
        _, warp = cv2.findTransformECC(*shapes, warp, cv2.MOTION_AFFINE, steps, None, 1)
        warp = _rescaled(warp, DETAIL_PX / GREY_PX)
        if np.abs(warp @ _CORNERS - _CORNERS[:2]).max() < _STANDS_STILL_PX:
            return False  # they lie on each other already, and _whole_twins has compared them so
        grains = [cv2.GaussianBlur(p.detail.astype(np.float32), (0, 0), 2.0) for p in (b, a)]
        _, warp = cv2.findTransformECC(*grains, warp, cv2.MOTION_AFFINE, steps, None, 1)
    except cv2.error:  # how OpenCV says that it does not converge: the two do not belong together
        return False
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(a.detail.astype(np.float32), warp, (DETAIL_PX, DETAIL_PX), flags=flags)
    signs = (np.sign(moved) * (np.abs(moved) >= 0.5)).astype(np.int8)
    return _share_detail(signs, b.detail)


def _without_shading(grey: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.8)
    return smooth - cv2.GaussianBlur(smooth, (0, 0), 5.0)


def _warp(window: Window, size: int) -> np.ndarray:
    """(2, 3) from a px of the window, shown at ``size`` px, to a px of the whole; centres at integers."""
    left, top, width, height = window
    return np.array([[width, 0, left * size + (width - 1) / 2], [0, height, top * size + (height - 1) / 2]], np.float32)


def _rescaled(warp: np.ndarray, factor: float) -> np.ndarray:
    """The same (2, 3) map on pictures ``factor`` times as large."""
    linear = warp[:, :2]
    corner = warp[:, 2] + 0.5 - linear @ np.array([0.5, 0.5])  # with pixel edges at whole numbers
    return np.column_stack([linear, corner * factor - 0.5 + linear @ np.array([0.5, 0.5])]).astype(np.float32)


def _coarse(greys: list[np.ndarray]) -> np.ndarray:
    """(n, 1024) float32 of unit length: small pictures without slow shading; a product is a correlation."""
    rows = []
    for grey in greys:
        small = cv2.resize(
            np.ascontiguousarray(grey, np.float32), (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA
        )
        small = small - cv2.GaussianBlur(small, (0, 0), 2.0)
        small -= small.mean()
        rows.append(small.ravel() / (np.linalg.norm(small) + 1e-6))
    return np.stack(rows)


def _crop(grey: np.ndarray, window: Window) -> np.ndarray:
    """The window of a small picture, shown at the picture's own size."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warp = _warp(window, GREY_PX)
    return cv2.warpAffine(
        grey.astype(np.float32), warp, (GREY_PX, GREY_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
