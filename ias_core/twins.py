"""Near twins: two files made from one photograph, as against two photographs of equal parts.

Equal parts share their layout (leads, bus bars, outline), so an ordinary perceptual hash calls every two
solar cells twins.  What two photographs never share is their grain: surface texture and sensor noise at the
finest scale that re-encoding leaves.  So a print keeps three things:

- a small grey picture, which proposes pairs that show the same whole (cheap);
- the sign of the fine detail on a 192 x 192 grid, which decides on those.  A sign does not change with brightness
  or contrast, and where a copy lost its detail (burnt out, smoothed by JPEG) it is not counted: only points
  with detail in both pictures are;
- a view of up to 256 px, by which a picture is found in a piece of it (`ias_core.registration`) and decided on
  (`ias_core.grain`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ias_core.errors import ShapeError
from ias_core.grain import same_photograph
from ias_core.registration import Keys, Proposal, keys_of, propose, strongest

GREY_PX = 64
DETAIL_PX = 192
VIEW_PX = 256  # longer side at most
_VIEW_QUALITY = 95  # of its JPEG
# Detail lies between these two Gaussian widths (px of the 192 grid), and is this strong (8-bit levels).
_DETAIL_SIGMAS = (0.7, 2.0)
_DETAIL_FLOOR = 0.25

# Calibrated on transistor and hazelnut (2 x 60 pictures, 3,540 pairs): different photographs agree by 0.675
# at most, copies at JPEG quality 75 by 0.93 at least; this is the middle.  From -1 to 1, where 0 is chance.
AGREEMENT_LEAST = 0.80
# A ninth of the points is tried first, and any pair above this is looked at in full.
_AGREEMENT_TO_LOOK = 0.70
# Points with detail in both, as a share of the richer picture's and of all.  At JPEG quality 75, 0.72 is left.
_OVERLAP_LEAST = 0.60
_DETAIL_LEAST = 0.05
# Proposing: of uncropped copies there, the lowest correlation of the coarse pictures is 0.97.
_COARSE_LEAST = 0.90
_COARSE_PX = 32
_BLOCK = 512  # rows compared at once: bounds the memory to some 200 MB
_KEYS_KEPT = 2048  # pictures whose key points stay in memory, some 40 kB each

_PACKED = GREY_PX**2 + DETAIL_PX**2 // 4


@dataclass(frozen=True, slots=True, eq=False)
class Print:
    """What is kept of a picture to know it again.

    grey   : (64, 64) uint8     the picture, small
    detail : (192, 192) int8    sign of its fine detail: -1, 0 (none), 1
    view   : bytes              JPEG of the grey picture, at most 256 px; b"" in prints from before there were views,
                                which are compared as wholes only
    """

    grey: np.ndarray
    detail: np.ndarray
    view: bytes = b""

    def __post_init__(self) -> None:
        if self.grey.shape != (GREY_PX, GREY_PX) or self.detail.shape != (DETAIL_PX, DETAIL_PX):
            raise ShapeError(
                f"Expected a grey picture of {GREY_PX} px and detail of {DETAIL_PX} px, "
                f"but got {self.grey.shape} and {self.detail.shape}; make prints with print_of."
            )

    def to_bytes(self) -> bytes:
        """The grey picture, four signs to a byte (13,312 bytes), and the view."""
        fours = (self.detail + 1).astype(np.uint8).reshape(-1, 4)
        packed = (fours << np.arange(0, 8, 2, dtype=np.uint8)).sum(1, np.uint8)
        return self.grey.tobytes() + packed.tobytes() + self.view

    @classmethod
    def from_bytes(cls, data: bytes) -> Print:
        """Inverse of `to_bytes`."""
        grey = np.frombuffer(data[: GREY_PX**2], np.uint8).reshape(GREY_PX, GREY_PX)
        packed = np.frombuffer(data[GREY_PX**2 : _PACKED], np.uint8)[:, None]
        signs = ((packed >> np.arange(0, 8, 2, dtype=np.uint8)) & 3).astype(np.int8) - 1
        return cls(grey, signs.reshape(DETAIL_PX, DETAIL_PX), data[_PACKED:])


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
    return Print(np.clip(np.rint(grey), 0, 255).astype(np.uint8), detail.astype(np.int8), _view_of(pixels, levels))


def _view_of(pixels: np.ndarray, levels: np.float32) -> bytes:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    factor = VIEW_PX / max(height, width)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    grey = grey if grey.dtype == np.uint8 else np.rint(grey * levels).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, _VIEW_QUALITY]
    return cv2.imencode(".jpg", grey, options)[1].tobytes()


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


def find_twins(a: Sequence[Print], b: Sequence[Print] | None = None, *, thorough: bool = True) -> list[tuple[int, int]]:
    """Pairs from one photograph: re-encoded, resized, brighter or darker, turned by quarters, mirrored, cropped.

    Parameters
    ----------
    a, b : sequences of Print
        Without ``b``, pairs within ``a``.
    thorough : bool
        Look for mirror images, and for croppings by up to a quarter of each side; else only for slight croppings, in
        a fraction of the time.

    Returns
    -------
    list of (int, int)
        Place in ``a`` and place in ``b`` (within ``a``: the lower place first), sorted.

    Notes
    -----
    Of croppings only the four likeliest partners of each picture in ``a`` are tried.
    """
    within = b is None
    others = a if b is None else b
    if not a or not others:
        return []
    found = set(_whole_twins(a, others, within, _WAYS if thorough else _TURNS))
    return sorted(found | set(_pieces(a, others, within, thorough, found)))


# Quarter turns of a picture, and of its mirror image as well.
_TURNS = tuple((turn, False) for turn in range(4))
_WAYS = (*_TURNS, *((turn, True) for turn in range(4)))


def _laid(array: np.ndarray, way: tuple[int, bool]) -> np.ndarray:
    turn, mirrored = way
    return np.rot90(array[:, ::-1] if mirrored else array, turn)


def _whole_twins(
    a: Sequence[Print], b: Sequence[Print], within: bool, ways: Sequence[tuple[int, bool]]
) -> Iterator[tuple[int, int]]:
    coarse_b = _coarse([p.grey for p in b])
    for way in ways:  # of ``a``, which is often the shorter side
        coarse_a = _coarse([_laid(p.grey, way) for p in a])
        for start in range(0, len(a), _BLOCK):
            proposed = coarse_a[start : start + _BLOCK] @ coarse_b.T >= _COARSE_LEAST
            if within:
                proposed &= np.arange(start, start + len(proposed))[:, None] < np.arange(len(b))
            rows, columns = np.flatnonzero(proposed.any(1)), np.flatnonzero(proposed.any(0))
            for first in range(0, len(columns), _BLOCK):
                block = columns[first : first + _BLOCK]
                closer = proposed[np.ix_(rows, block)] & _may_agree(
                    [_laid(a[start + i].detail, way) for i in rows], [b[j].detail for j in block]
                )
                for row, column in np.argwhere(closer):
                    i, j = start + int(rows[row]), int(block[column])
                    if _share_detail(_laid(a[i].detail, way), b[j].detail):
                        yield i, j


def _may_agree(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    """(n, m) bool: pairs that agree on a ninth of the points.  Sums of signs are exact in float32."""
    # From the middle of each three, so that turning and mirroring keep the points on each other.
    a, b = (np.stack([signs[1::3, 1::3].ravel() for signs in side]).astype(np.float32) for side in (a, b))
    return a @ b.T >= _AGREEMENT_TO_LOOK * (np.abs(a) @ np.abs(b).T)


def _pieces(
    a: Sequence[Print], b: Sequence[Print], within: bool, thorough: bool, known: set[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Pairs in which one is a piece of the other."""
    places_a, places_b = ([i for i, p in enumerate(side) if p.view] for side in (a, b))
    if not places_a or not places_b:
        return
    views_a, views_b = ([side[i].view for i in places] for side, places in ((a, places_a), (b, places_b)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV works outside the interpreter's lock
        theirs = list(pool.map(_keys, views_b))
        ours = theirs if within else list(pool.map(_keys, views_a))
        flipped = list(pool.map(_keys_mirrored, views_a)) if thorough else None
        if not thorough:
            ours, theirs = ([strongest(one) for one in side] for side in (ours, theirs))
        pairs: dict[tuple[int, int], list[Proposal]] = {}
        for proposal in propose(ours, None if within else theirs, flipped):
            pair = places_a[proposal.i], places_b[proposal.j]
            if pair not in known:
                pairs.setdefault(pair, []).append(proposal)

        def decide(pair: tuple[int, int]) -> bool:
            views = [_shown(side[place].view) for side, place in zip((a, b), pair, strict=True)]
            return any(same_photograph(*views, proposal) for proposal in pairs[pair])

        for pair, twin in zip(pairs, pool.map(decide, pairs), strict=True):
            if twin:
                yield pair


@lru_cache(maxsize=_KEYS_KEPT)
def _keys(view: bytes) -> Keys:
    return keys_of(_shown(view))


@lru_cache(maxsize=_KEYS_KEPT)
def _keys_mirrored(view: bytes) -> Keys:
    return keys_of(np.ascontiguousarray(_shown(view)[:, ::-1]))


def _shown(view: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(view, np.uint8), cv2.IMREAD_GRAYSCALE)


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
