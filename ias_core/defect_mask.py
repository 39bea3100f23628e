"""Where the defect of a real NG is: proposed from the detector's own anomaly map, painted, brought to another size.

A proposal is for a person to look at: the map shows what the detector sees of the defect, and nothing else of it. It
is coarse as well, one value for each patch, so a thin crack gets a band; inside the band ``follow_edges`` looks at the
picture. No paper was followed: a real NG's mask is taken for given by all methods that need one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import ShapeError

_RING_PX = 5  # the mask is grown by a 5 x 5 square before its background is painted in: tf-idg.md, step B2.2
_REACH_PX = 5  # of the inpainting, as there
_SIGMA_PX = 1.0
_SPECK_PX = 3  # pieces of so few pixels are no defect: the blur's own width is 2.35 px, an area of 4


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What ``propose`` says.

    mask : (s, s) bool       nothing where ``why_none`` speaks
    level : float            the map was cut here, ``>=``; feature distance, as all of these
    usual, peak : float      median and maximum of this map
    floor : float            what good parts reach
    why_none : str           why nothing is proposed, "" where something is
    """

    mask: np.ndarray
    level: float
    usual: float
    peak: float
    floor: float
    why_none: str


def propose(anomaly_map: np.ndarray, *, floor: float, level: float | None = None) -> Proposal:
    """The one piece of the map around its peak, cut halfway up to the peak and nowhere below the floor.

    Parameters
    ----------
    anomaly_map : ndarray of shape (s, s)
        Of one NG, feature distance.
    floor : float
        What good parts reach: the median over good parts of their own maps' maxima.
    level : float, optional
        Cut here instead, whatever the floor says: a person moved the slider.

    Returns
    -------
    Proposal

    Raises
    ------
    ShapeError
        No square map of finite values, or a floor or level that is not finite.

    Notes
    -----
    Ours, from two arguments. *Half height*: whatever blurs the map (patches, pooling, smoothing) does so alike to all
    sides, and a step that is blurred so passes half of its height exactly at the step; the height is counted from the
    map's median, since most of an NG is as it should be. A defect narrower than the blur gets the blur's own width.
    *Floor*: a level that every second good part reaches somewhere says nothing about a defect. The highest of all good
    parts would be the safer floor, but it rises with their number and with the oddest of them: on the demo's detector
    (441 good parts) 92 of 313 NG stay below it, against 10 below the median. Otsu and Li were not taken: both split
    the many patches of part and background, which are no defect.

    Examples
    --------
    >>> step = np.zeros((8, 8), np.float32)
    >>> step[2:5, 2:6], step[7, 7] = 4.0, 3.0
    >>> found = propose(step, floor=1.0)
    >>> found.level, int(found.mask.sum())                   # the spot in the corner is another piece
    (2.0, 12)
    >>> propose(step, floor=5.0).why_none
    'its highest place, 4.0, is no higher than what good parts reach, 5.0'
    """
    from scipy import ndimage

    if anomaly_map.ndim != 2 or anomaly_map.shape[0] != anomaly_map.shape[1] or not np.isfinite(anomaly_map).all():
        raise ShapeError(f"expected a finite anomaly map (s, s), got shape {anomaly_map.shape}")
    if not np.isfinite(floor) or (level is not None and not np.isfinite(level)):
        raise ShapeError(f"expected a finite floor and level, got {floor} and {level}")
    usual, peak = float(np.median(anomaly_map)), float(anomaly_map.max())
    cut = max(floor, (usual + peak) / 2) if level is None else level
    nothing = np.zeros(anomaly_map.shape, bool)
    if level is None and peak <= floor:
        why = f"its highest place, {peak:.1f}, is no higher than what good parts reach, {floor:.1f}"
        return Proposal(nothing, cut, usual, peak, floor, why)
    if peak < cut:
        return Proposal(nothing, cut, usual, peak, floor, f"no place of it reaches {cut:.1f}")
    pieces, _ = ndimage.label(anomaly_map >= cut, np.ones((3, 3)))
    return Proposal(pieces == pieces.flat[anomaly_map.argmax()], cut, usual, peak, floor, "")


def follow_edges(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The pixels of the mask that differ from what its surroundings would go on as: a crack in a band stays thin.

    Parameters
    ----------
    picture : ndarray of shape (s, s, 3)
        float32 RGB in [0, 1], left unchanged.
    mask : ndarray of shape (s, s)
        bool, as proposed.

    Returns
    -------
    ndarray of shape (s, s)
        bool, inside ``mask``; ``mask`` itself where it holds nothing that differs more than the rest.

    Raises
    ------
    ShapeError
        Shapes that do not fit.

    Notes
    -----
    The surroundings are painted over the mask by A. Telea, J. Graph. Tools 9 (2004), 23-34, as the collage of the
    one-shot transplant does, so what is kept here is what that will carry over. The difference is the distance in CIE
    Lab, and it is cut by Li's minimum cross entropy (C. H. Li and C. K. Lee, Pattern Recognit. 26 (1993), 617-625), as
    in ``ias_core.foreground``; blurred by 1 px beforehand, so that single pixels of noise are no defect. Ours.

    Measured at 224 px with the embedded backbone; that the distance is in Lab and not of grey, and blurred, was fixed
    after a look at these figures, which are no test of it therefore: mean intersection over union with
    the ground truth, before and after, 0.37 and 0.58 on hazelnut (8 NG; 7 of 8 above 0.5 after, for one nothing is
    proposed) and 0.27 and 0.26 on transistor (8 NG; 1 of 8). So it helps on an even surface, and not where the defect
    is that something of the part is missing or moved.
    """
    from skimage.filters import threshold_li
    from skimage.morphology import remove_small_objects

    if picture.shape != (*mask.shape, 3) or mask.dtype != bool:
        raise ShapeError(f"expected a picture (s, s, 3) and a mask bool (s, s), got {picture.shape} and {mask.shape}")
    if not mask.any() or mask.all():
        return mask.copy()
    bytes_ = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((_RING_PX, _RING_PX), np.uint8))
    background = cv2.inpaint(bytes_, grown, _REACH_PX, cv2.INPAINT_TELEA)
    colours, expected = (cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in (bytes_, background))
    distance = cv2.GaussianBlur(np.linalg.norm(colours - expected, axis=2), (0, 0), _SIGMA_PX)
    differs = remove_small_objects(mask & (distance > threshold_li(distance[mask])), max_size=_SPECK_PX, connectivity=2)
    return differs if differs.any() else mask.copy()


def mask_of_stroke(path: np.ndarray, *, width_px: int, side_px: int) -> np.ndarray:
    """What a round brush paints on its way.

    Parameters
    ----------
    path : ndarray of shape (k, 2)
        x and y of k >= 2 places, in px from the picture's upper left corner.
    width_px, side_px : int
        Of the brush, at least 1, and of the square picture.

    Returns
    -------
    ndarray of shape (side_px, side_px)
        bool.

    Raises
    ------
    ShapeError
        No finite path, or no brush.

    Examples
    --------
    >>> mask_of_stroke(np.array([(0.5, 1.5), (2.5, 1.5)]), width_px=1, side_px=4).astype(int)
    array([[0, 0, 0, 0],
           [1, 1, 1, 0],
           [0, 0, 0, 0],
           [0, 0, 0, 0]])
    """
    if path.ndim != 2 or path.shape[1] != 2 or len(path) < 2 or not np.isfinite(path).all() or width_px < 1:
        raise ShapeError(
            f"expected 2 or more finite places (x, y) and a brush of at least 1 px, got {path.shape} and {width_px}"
        )
    painted = np.zeros((side_px, side_px), np.uint8)
    places = np.round(path - 0.5).astype(np.int32)  # pixel i lies between i and i + 1
    cv2.polylines(painted, [places[:, None]], isClosed=False, color=1, thickness=width_px)
    return painted.astype(bool)


def cover_at_size(mask: np.ndarray, size: int) -> np.ndarray:
    """The mask on ``size`` x ``size`` px: every pixel that it touches.

    Ours. Nearest neighbour, as ground truth is resized for counting, loses a straight crack of 1 px in 7 of 10 places
    on the way from 768 to 224 px, and half coverage loses it everywhere. Too much costs little here: where the mask is
    too wide there is no defect to carry over, but where it is too narrow some of the defect is taken for surroundings.
    The picture itself is reduced by a filter that spreads a pixel at least as far.

    Parameters
    ----------
    mask : ndarray of shape (h, w)
        bool, of all of the picture.
    size : int

    Returns
    -------
    ndarray of shape (size, size)
        bool.

    Examples
    --------
    >>> crack = np.zeros((9, 9), bool)
    >>> crack[:, 4] = True
    >>> cover_at_size(crack, 3).astype(int).tolist()
    [[0, 1, 0], [0, 1, 0], [0, 1, 0]]
    """
    if mask.ndim != 2 or mask.dtype != bool or size < 1:
        raise ShapeError(f"expected a mask bool (h, w) and a size of at least 1 px, got {mask.dtype} {mask.shape}")
    times = [-(-size // side) for side in mask.shape]  # whole pixels first: area weights are exact only downwards
    repeated = mask.astype(np.float32).repeat(times[0], 0).repeat(times[1], 1)
    return cv2.resize(repeated, (size, size), interpolation=cv2.INTER_AREA) > 0
