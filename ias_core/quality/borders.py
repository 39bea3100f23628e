"""Numbers for the border of a mask alone: what would betray that something was pasted there.

The same ring of pixels can be laid on a picture that nobody changed, so both can be compared. Which numbers are taken
is ours: steps, edges and grain are what a seam leaves (the survey's "local mismatch at the border").
"""

import cv2
import numpy as np

from ias_core.errors import ShapeError

RING_PX = 2  # on either side of the border; edges and curvature look one pixel further
DESCRIPTORS = (
    "mean edge across the border",
    "95 % edge across the border",
    "mean edge along the border",
    "mean curvature of grey",
    "spread of grey inside",
    "spread of grey outside",
    "step of grey",
    "step of colour",
    "how far its darkest 2 % fall below the ring's median",
    "how far its brightest 2 % rise above it",
)


def has_border(mask: np.ndarray) -> bool:
    """Whether the mask has an inside and an outside."""
    return bool(mask.any() and not mask.all())


def border_descriptors(pictures: list[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """What the ring along the border of one mask looks like on several pictures.

    Parameters
    ----------
    pictures : list of k arrays of shape (h, w, 3)
        RGB in [0, 1].
    mask : ndarray of shape (h, w)
        bool. The picture's own frame is no border.

    Returns
    -------
    ndarray of shape (k, 10)
        log(1 + x) of ``DESCRIPTORS`` in grey levels of 0..255. No pixel more than 3 px from the border plays a part.

    Raises
    ------
    ShapeError
        Shapes that do not fit, or a mask without a border.

    Examples
    --------
    >>> mask = np.zeros((16, 16), bool)
    >>> mask[4:12, 4:12] = True
    >>> flat = np.full((16, 16, 3), 0.5, np.float32)
    >>> raised = flat + mask[..., None] * np.float32(10 / 255)
    >>> np.expm1(border_descriptors([flat, raised], mask))[:, 6].round(3)  # the step of grey
    array([ 0., 10.])
    """
    if mask.dtype != bool or not has_border(mask) or any(p.shape != (*mask.shape, 3) for p in pictures):
        raise ShapeError(
            f"expected pictures {(*mask.shape, 3)} and a bool mask with an inside and an outside, got "
            f"{[p.shape for p in pictures]} and {mask.dtype} with {np.count_nonzero(mask)} of {mask.size} px"
        )
    depth, height = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for side in (mask, ~mask)
    )
    inside, outside = mask & (depth <= RING_PX), ~mask & (height <= RING_PX)
    ring = inside | outside
    # The signed distance rises across the border; smoothed, because its gradient jumps where the mask is thin.
    rise = cv2.GaussianBlur(height - depth, (0, 0), 1.0)
    normal = np.stack([cv2.Sobel(rise, cv2.CV_32F, 1, 0)[ring], cv2.Sobel(rise, cv2.CV_32F, 0, 1)[ring]])
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-6)
    rows = [_row(np.asarray(p, np.float32) * 255, inside, outside, ring, normal) for p in pictures]
    return np.log1p(np.array(rows, np.float64))


def _row(
    levels: np.ndarray, inside: np.ndarray, outside: np.ndarray, ring: np.ndarray, normal: np.ndarray
) -> list[float]:
    grey = levels.mean(2)
    edge = np.stack([cv2.Sobel(grey, cv2.CV_32F, *axes, scale=1 / 8)[ring] for axes in ((1, 0), (0, 1))])
    across = np.abs((edge * normal).sum(0))
    along = np.abs(edge[0] * normal[1] - edge[1] * normal[0])
    colour = levels - grey[..., None]
    in_ring = grey[ring]
    dark, middle, bright = np.quantile(in_ring, [0.02, 0.5, 0.98])
    return [
        across.mean(),
        np.quantile(across, 0.95),
        along.mean(),
        np.abs(cv2.Laplacian(grey, cv2.CV_32F)[ring]).mean(),
        grey[inside].std(),
        grey[outside].std(),
        abs(grey[inside].mean() - grey[outside].mean()),
        np.abs(colour[inside].mean(0) - colour[outside].mean(0)).mean(),
        middle - dark,
        bright - middle,
    ]
