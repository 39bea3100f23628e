"""A real NG's defect as a piece of its own: cut out as a residual, varied, and laid on a good part.

The project's notes on TF-IDG, section 4, B2 (residual collage) and section 6 (what is refused); the share that has to
lie on the part is AnoGen's (ECCV 2024). The residual is what the defect adds to its surroundings, so that it keeps its
contrast on a part of another brightness: raw pixels carry the NG's own brightness along.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.measures import GREY_LEVEL, equivalent_diameter_px
from ias_core.synthesis.one_shot.surroundings import background, grain
from ias_core.synthesis.one_shot.variation import DILATION, RIM_PX, Variation
from ias_core.synthesis.recipe import LEAST_AREA_PX, LEAST_CHANGE, Scene, Void

PLACES = ("part", "near")
_IN_GRAIN = 2  # standard deviations: 95 % of the grain
_LARGEST_SHARE = 0.5  # of the picture
_ON_PART = 0.75
_NEAR_SHARE = 0.1  # of the side: how far from the NG's own place "near" may be
_REACH_PX = 4  # of a Gaussian of sigma 1
_LARGEST_LOSS = 0.3  # of the residual, to clipping


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What one defect adds to its surroundings.

    source : str                       name of the NG
    residual : (h, w, 3) float32       NG - background, in [0, 1] intensities, so in [-1, 1]; 0 beyond the mask's rim
    mask : (h, w) bool                 the defect, with a rim of 2 px around it in the box
    centre : row, column               of the box, in the NG's pixels
    """

    source: str
    residual: np.ndarray
    mask: np.ndarray
    centre: tuple[float, float]


@lru_cache(maxsize=32)
def cut(source: NgSource) -> Piece:
    """The defect of an NG, taken off its surroundings.

    The mask's pieces below 4 px are specks, and dropped. Of the others those count as one defect that can be reached
    from the largest by gaps of at most its equivalent diameter (ours): a scratch that is seen in dashes stays one
    defect, one at the other end of the part does not join it. For the background under the whole mask, dilated 5 x 5,
    see ``background``. In the rim around the mask only what exceeds twice the NG's grain is the defect's, and is
    shrunk by that much: else every defect came with a ring of foreign grain, and would be measured with it.

    Returns
    -------
    Piece
        Read only, and kept for the next call.

    Raises
    ------
    SynthesisError
        No pixel or only specks in the mask; more than half of the picture, or from one border to the opposite one, so
        that no background is left; or less than 2 grey levels of difference to the background.
    """
    mask = _one_defect(source)
    residual = source.image - background(source)
    in_grain = np.sign(residual) * np.minimum(np.abs(residual), _IN_GRAIN * grain(source.image))
    residual = np.where(mask[..., None], residual, residual - in_grain)
    change = float(np.abs(residual[mask]).mean())
    if change < LEAST_CHANGE:
        raise SynthesisError(
            f"{source.name}: its defect differs from the surroundings by {change / GREY_LEVEL:.1f} grey levels in the "
            "mean, at least 2 are needed: check that the mask lies on the defect"
        )
    mask = np.pad(mask, RIM_PX)
    rim = cv2.dilate(mask.astype(np.uint8), DILATION)
    residual = np.pad(residual, ((RIM_PX, RIM_PX), (RIM_PX, RIM_PX), (0, 0))) * rim[..., None]
    left, top, width, height = cv2.boundingRect(rim)
    box = np.s_[top : top + height, left : left + width]
    residual, mask = residual[box].astype(np.float32), mask[box].copy()
    residual.setflags(write=False)
    mask.setflags(write=False)
    return Piece(source.name, residual, mask, (top - RIM_PX + (height - 1) / 2, left - RIM_PX + (width - 1) / 2))


def _one_defect(source: NgSource) -> np.ndarray:
    """(s, s) bool: the mask's largest piece and what belongs to it."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(source.mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    if areas.max() < LEAST_AREA_PX:
        raise SynthesisError(
            f"{source.name}: no defect of at least {LEAST_AREA_PX} px is in its mask: draw one around the defect"
        )
    largest = int(areas.argmax())
    mask = labels == largest
    gap_px = equivalent_diameter_px(mask)
    others = np.where(areas[labels] >= LEAST_AREA_PX, labels, 0)
    while True:
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        reached = np.setdiff1d(others[(away <= gap_px) & ~mask], 0)
        if not reached.size:
            break
        mask |= np.isin(labels, reached)
    share = float(mask.mean())
    if share > _LARGEST_SHARE:
        raise SynthesisError(
            f"{source.name}: its mask covers {share:.0%} of the picture, at most {_LARGEST_SHARE:.0%} can be told from "
            "a background: draw it around the defect alone"
        )
    if any(edges.any(1).all() for edges in (mask[[0, -1]], mask.T[[0, -1]])):
        raise SynthesisError(
            f"{source.name}: its mask reaches from one border of the picture to the opposite one, which leaves no "
            "surroundings to compare with: draw it around the defect alone, or take a picture that shows more"
        )
    return mask


def varied(
    piece: Piece,
    rng: np.random.Generator,
    *,
    size_px: float | None = None,
    turn: str = "any",
    scale: tuple[float, float] = (0.7, 1.3),
) -> Piece:
    """The defect in another geometry; see ``Variation``.

    Parameters
    ----------
    size_px : float, optional
        Equivalent diameter to scale it to; None: ``scale`` is drawn from.
    turn : str
        "any", "quarter" or "none".
    """
    return changed(piece, drawn(piece, rng, size_px=size_px, turn=turn, scale=scale))


def drawn(
    piece: Piece, rng: np.random.Generator, *, size_px: float | None, turn: str, scale: tuple[float, float] = (0.7, 1.3)
) -> Variation:
    """The variation that ``varied`` makes; the same is drawn of everything else whether a size is asked for or not."""
    variation = Variation.drawn(rng, turn=turn, scale=scale)
    if size_px is None:
        return variation
    asked = size_px / equivalent_diameter_px(piece.mask)
    return Variation(asked, variation.degrees, variation.flips, variation.bend)


def changed(piece: Piece, variation: Variation) -> Piece:
    """The piece in this variation."""
    residual, mask, moved = variation.on(piece.residual, piece.mask)
    return Piece(piece.source, residual, mask, (piece.centre[0] + moved[0], piece.centre[1] + moved[1]))


def laid(piece: Piece, scene: Scene, rng: np.random.Generator, *, place: str = "part") -> tuple[np.ndarray, np.ndarray]:
    """The piece at a random place of the part, where at least three quarters of its mask lie on part and picture.

    Every such place is as likely as another.

    Parameters
    ----------
    place : str
        "part": anywhere on it; "near": no further than a tenth of the picture's side from where the NG had it, for
        defects that only occur there and parts that always lie alike.

    Returns
    -------
    residual : ndarray of shape (s, s, 3)
        float32, 0 away from the piece.
    mask : ndarray of shape (s, s)
        bool, cut off where the part or the picture ends.

    Raises
    ------
    SynthesisError
        Unknown ``place``.
    Void
        There is no such place.
    """
    if place not in PLACES:
        raise SynthesisError(f"expected a place of {', '.join(PLACES)}, got {place!r}: choose one of them")
    side = scene.side
    part = np.ones((side, side), np.float32) if scene.foreground is None else scene.foreground.astype(np.float32)
    height, width = piece.mask.shape
    anchor = (width // 2, height // 2)
    kernel = piece.mask.astype(np.float32)
    on_part = np.rint(cv2.filter2D(part, cv2.CV_32F, kernel, anchor=anchor, borderType=cv2.BORDER_CONSTANT))
    fits = on_part >= _ON_PART * np.count_nonzero(piece.mask)
    if place == "near":
        y, x = np.ogrid[:side, :side]
        row, column = piece.centre
        fits &= np.hypot(y + (height - 1) / 2 - height // 2 - row, x + (width - 1) / 2 - width // 2 - column) <= (
            _NEAR_SHARE * side
        )
    places = np.flatnonzero(fits)
    if not places.size:
        where = "on the part" if place == "part" else "on the part near where the NG had it"
        raise Void(f"no place {where} takes at least {_ON_PART:.0%} of the defect")
    row, column = divmod(int(places[rng.integers(len(places))]), side)
    residual, mask = np.zeros((side, side, 3), np.float32), np.zeros((side, side), bool)
    top, left = row - height // 2, column - width // 2
    to = np.s_[max(0, top) : top + height, max(0, left) : left + width]
    shown = residual[to].shape
    of = np.s_[max(0, -top) :, max(0, -left) :]
    residual[to] = piece.residual[of][: shown[0], : shown[1]]
    mask[to] = piece.mask[of][: shown[0], : shown[1]]
    return residual, mask if scene.foreground is None else mask & scene.foreground


def collage(
    picture: np.ndarray, residual: np.ndarray, mask: np.ndarray, *, amplitude: float = 1.0
) -> tuple[np.ndarray, float]:
    """The good part with the residual added, and the share of the residual that clipping takes.

    clip(OK + amplitude x residual x weight), the weight 1 inside the mask and outside it the mask blurred by sigma
    1 px. The notes blur inside as well, which fades a line of 2 px to two thirds.

    Parameters
    ----------
    picture, residual : ndarray of shape (s, s, 3)
    mask : ndarray of shape (s, s)
        bool.

    Raises
    ------
    Void
        Clipping would take more than 30 % of the residual at amplitude 1; at any amplitude, so that a place that is
        taken for one is taken for all.
    """
    out = picture.copy()
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    # the weight of a pixel further away is 0
    box = np.s_[max(0, top - _REACH_PX) : top + height + _REACH_PX, max(0, left - _REACH_PX) : left + width + _REACH_PX]
    weight = np.maximum(mask[box], cv2.GaussianBlur(mask[box].astype(np.float32), (2 * _REACH_PX + 1,) * 2, 1))
    full = residual[box] * weight[..., None]
    if (lost := _lost(picture[box], full)) > _LARGEST_LOSS:
        raise Void(
            f"the part is too dark or too bright there: clipping takes {lost:.0%} of the defect, at most "
            f"{_LARGEST_LOSS:.0%} may be lost"
        )
    added = np.float32(amplitude) * full
    out[box] = np.clip(picture[box] + added, 0, 1)
    return out, _lost(picture[box], added)


def _lost(picture: np.ndarray, added: np.ndarray) -> float:
    """Share of what is added that leaves [0, 1]; 0 where nothing is added."""
    wanted = float(np.abs(added).sum())
    beyond = picture + added
    return float(np.abs(beyond - np.clip(beyond, 0, 1)).sum()) / wanted if wanted > 0 else 0.0
