"""How large a synthetic defect is, and how far it stands out: measured on the pixels, the same for every method.

The ratio of a flaw's signal to the noise around it is what radiography and ultrasonics grade a flaw by; taking the
root mean square for the signal and a ring for the noise is ours.
"""

import math

import cv2
import numpy as np

from ias_core.errors import ShapeError

GREY_LEVEL = 1 / 255  # the smallest step an 8-bit file can hold
_THINNEST_RING_PX = 3.0


def equivalent_diameter_px(mask: np.ndarray) -> float:
    """Diameter of the disc with the mask's area, sqrt(4 area / pi), in px of the mask; 0 for an empty mask.

    Parameters
    ----------
    mask : ndarray of shape (h, w)
        bool; several pieces count as one area.

    Examples
    --------
    >>> round(equivalent_diameter_px(np.ones((10, 10), bool)), 3)
    11.284
    """
    return float(np.sqrt(4 * np.count_nonzero(mask) / np.pi))


def surrounding_noise(parent: np.ndarray, mask: np.ndarray) -> float:
    """Standard deviation of the parent's grey values in a ring around the mask, never below one 8-bit grey level.

    The ring holds the pixels outside the mask that lie within max(3 px, equivalent radius) of it; structure of the
    part in it, such as an edge, counts as noise: a defect has to stand out from that too. A mask that leaves no ring
    is measured against the whole picture.

    Parameters
    ----------
    parent : ndarray of shape (h, w, 3)
        RGB in [0, 1]; grey is the mean of the channels.
    mask : ndarray of shape (h, w)
        bool, not empty.

    Returns
    -------
    float
        In units of [0, 1] intensity, at least 1/255.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the mask is empty: nothing has no surroundings.

    Examples
    --------
    >>> mask = np.zeros((16, 16), bool)
    >>> mask[8, 8] = True
    >>> surrounding_noise(np.full((16, 16, 3), 0.5), mask) == 1 / 255
    True
    """
    _check(parent, mask)
    if not mask.any():
        raise ShapeError("expected a mask with at least one pixel, got an empty one")
    ring = _ring(mask)
    values = (parent[ring] if ring.any() else parent.reshape(-1, 3)).mean(1, dtype=np.float64)
    return max(float(values.std()), GREY_LEVEL)


def signal_to_noise(parent: np.ndarray, child: np.ndarray, mask: np.ndarray) -> float:
    """Root mean square change of grey inside the mask, over the noise around it; dimensionless, 0 = no change.

    Parameters
    ----------
    parent, child : ndarray of shape (h, w, 3)
        The OK image and the synthetic NG made from it, RGB in [0, 1]; grey is the mean of the channels, so a change
        of colour alone counts as none.
    mask : ndarray of shape (h, w)
        bool, the pixels that may differ; an empty mask gives 0.

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    See Also
    --------
    surrounding_noise : the denominator, and its floor.

    Examples
    --------
    >>> parent, mask = np.full((16, 16, 3), 0.5), np.zeros((16, 16), bool)
    >>> mask[6:10, 6:10] = True
    >>> round(signal_to_noise(parent, parent + mask[..., None] * 10 / 255, mask), 6)  # ten grey levels on a flat one
    10.0
    """
    _check(parent, mask)
    if child.shape != parent.shape:
        raise ShapeError(f"expected parent and child of one shape, got {parent.shape} and {child.shape}")
    if not mask.any():
        return 0.0
    change = (child[mask].astype(np.float64) - parent[mask]).mean(1)
    return float(np.sqrt(np.mean(change**2))) / surrounding_noise(parent, mask)


def contrast_to_noise(picture: np.ndarray, mask: np.ndarray) -> float:
    """How far a real defect stands out: ``signal_to_noise`` where no picture of the part without it exists.

    The mean grey of the ring around the mask stands in for the part as it would be: root mean square difference of the
    pixels inside to it, less the noise that would be there anyway, over that noise. A good spot gives about 0.

    Parameters
    ----------
    picture : ndarray of shape (h, w, 3)
        RGB in [0, 1].
    mask : ndarray of shape (h, w)
        bool, the defect; an empty mask gives 0.

    Examples
    --------
    >>> mask = np.zeros((16, 16), bool)
    >>> mask[6:10, 6:10] = True
    >>> round(contrast_to_noise(0.5 + mask[..., None] * np.full(3, 10 / 255), mask), 2)
    9.95
    """
    _check(picture, mask)
    if not mask.any():
        return 0.0
    ring = _ring(mask)
    around = (picture[ring] if ring.any() else picture.reshape(-1, 3)).mean(1, dtype=np.float64)
    noise = surrounding_noise(picture, mask)
    change = float(np.mean((picture[mask].mean(1, dtype=np.float64) - around.mean()) ** 2))
    return math.sqrt(max(0.0, change - noise**2)) / noise


def _ring(mask: np.ndarray) -> np.ndarray:
    """Pixels outside the mask that lie within max(3 px, equivalent radius) of it."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return ~mask & (away <= max(_THINNEST_RING_PX, equivalent_diameter_px(mask) / 2))


def _check(parent: np.ndarray, mask: np.ndarray) -> None:
    if parent.ndim != 3 or parent.shape[2] != 3 or mask.shape != parent.shape[:2] or mask.dtype != bool:
        raise ShapeError(
            f"expected an image (h, w, 3) and a bool mask (h, w), got {parent.shape} and {mask.dtype} {mask.shape}"
        )
