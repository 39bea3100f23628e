"""Where the part is: found in a picture, read from a mask file, or drawn as an outline.

A defect that lies beside the part tests nothing. No automatic rule was trusted in the released configurations of
MemSeg, RealNet and NSA, which set thresholds and inversion by hand for each product; so a mask that is found is a
proposal, and somebody has to look at it.

Finding follows the project's notes on hand-crafted synthesis (T3), with three changes of ours. Grey and its inversion
became the colour distance from the picture's border. Otsu became Li's minimum cross entropy: Otsu's threshold lies
midway between background and part, and cuts off a part's shaded side, because an even background and an uneven part
differ in spread. And the border itself is asked whether it is background: Otsu's separation cannot tell, since one
normal distribution without any part in it already has 2 / pi = 0.64 of its variance between the two halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import ImageRefused, ShapeError
from ias_core.imaging import decode

_BLUR_PX, _AT_PX = 5, 256
_BORDER = 0.02  # of the side
_DISC = 0.01  # of the side: radius of closing and opening
_SMALLEST = 0.01  # of the picture: what is smaller is neither part nor hole
_LEAST_SHARE, _MOST_SHARE = 0.05, 0.95
_LEAST_SEPARATION = 0.5
_MOST_ON_BORDER = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FoundPart:
    """What ``find_part`` says.

    mask : (h, w) bool   the part; True everywhere for a texture product
    why_texture : str    why the picture is taken for one of a texture product, without any background; "" if it is not
    """

    mask: np.ndarray
    why_texture: str

    @property
    def share(self) -> float:
        """Share of the picture that is part."""
        return float(self.mask.mean())


def find_part(picture: np.ndarray) -> FoundPart:
    """The part in front of an even background, or the answer that the picture shows nothing but part.

    Parameters
    ----------
    picture : ndarray of shape (h, w, 3)
        float32 RGB in [0, 1]; one OK picture.

    Returns
    -------
    FoundPart

    Raises
    ------
    ShapeError
        Not (h, w, 3).

    Notes
    -----
    Distance (CIE Lab) of each pixel, blurred over 5 px at 256, from the median colour of the outer 2 %; threshold by
    minimum cross entropy (Li and Lee, Pattern Recognition 26 (1993), 617-625; scikit-image); closing, then opening,
    with a disc of 1 % of the side; pieces and holes below 1 % of the picture go. A texture product it is if less than
    5 % or more than 95 % remain, if less than half of the distances' variance lies between the two sides of the
    threshold, or if pixels beyond the threshold are more than half as frequent on the border as in the picture.
    Uneven light on a texture product is taken for a part, and an uneven background is taken into it; so are, measured,
    1 to 3 of 100 random surfaces whose grain is coarse, from a sixteenth of the side on.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64] - 31.5
    >>> disc = np.hypot(y, x) < 20
    >>> found = find_part(np.where(disc, 0.8, 0.2)[..., None].repeat(3, 2).astype(np.float32))
    >>> found.why_texture, round(found.share, 1), round(float(disc.mean()), 1)
    ('', 0.3, 0.3)
    >>> find_part(np.full((64, 64, 3), 0.5, np.float32)).why_texture
    'nothing stands out from the border of the picture'
    """
    from skimage.filters import threshold_li
    from skimage.morphology import remove_small_holes, remove_small_objects

    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < 2:
        raise ShapeError(f"expected a picture (h, w, 3), got shape {picture.shape}")
    side = min(picture.shape[:2])
    border = np.ones(picture.shape[:2], bool)
    rim = max(1, round(_BORDER * side))
    border[rim:-rim, rim:-rim] = False
    blur = 2 * int(_BLUR_PX * side / _AT_PX / 2) + 1
    colours = cv2.cvtColor(cv2.GaussianBlur(picture.astype(np.float32), (blur, blur), 0), cv2.COLOR_RGB2LAB)
    distance = np.linalg.norm(colours - np.median(colours[border], axis=0), axis=2)  # (h, w)
    far = distance > threshold_li(distance)
    if not far.any():
        return _texture(far.shape, "nothing stands out from the border of the picture")
    mask = _smoothed(far, max(1, round(_DISC * side)))
    smallest = int(_SMALLEST * mask.size)
    mask = remove_small_holes(remove_small_objects(mask, max_size=smallest), max_size=smallest)
    share = float(mask.mean())
    if share < _LEAST_SHARE:
        return _texture(mask.shape, "what stands out from the border is less than 5 % of the picture")
    if share > _MOST_SHARE:
        return _texture(mask.shape, "the part fills more than 95 % of the picture")
    if _separation(distance, far) < _LEAST_SEPARATION:
        return _texture(mask.shape, "part and background do not differ enough")
    if far[border].mean() > _MOST_ON_BORDER * far.mean():  # before small pieces go: fine grain would go with them
        return _texture(mask.shape, "the border of the picture is no even background")
    return FoundPart(mask, "")


def _texture(shape: tuple[int, int], why: str) -> FoundPart:
    return FoundPart(np.ones(shape, bool), why)


def _smoothed(mask: np.ndarray, radius_px: int) -> np.ndarray:
    """Closed, then opened, with a disc; beyond the border the picture goes on as it ends."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1,) * 2)
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), *(radius_px,) * 4, cv2.BORDER_REPLICATE)
    for operation in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN):
        padded = cv2.morphologyEx(padded, operation, disc)
    return padded[radius_px:-radius_px, radius_px:-radius_px].astype(bool)


def _separation(values: np.ndarray, above: np.ndarray) -> float:
    """Share of the variance that lies between the two classes (Otsu's criterion); both classes hold something."""
    high = float(above.mean())
    between = high * (1 - high) * (values[above].mean() - values[~above].mean()) ** 2
    return float(between / values.var())


def read_mask(data: bytes) -> np.ndarray:
    """A mask from an image file: True where it is brighter than half of its brightest pixel.

    So 0 / 1, 0 / 255 and 16-bit masks all mean the same, and what JPEG leaves around an edge is no part.

    Returns
    -------
    ndarray of shape (h, w)
        bool, at the file's own size.

    Raises
    ------
    ImageRefused
        No picture (see ``ias_core.imaging.decode``), or one that marks nothing or everything.
    """
    values = decode(data).max(axis=2)
    mask = 2 * values.astype(np.int64) > int(values.max())
    if not mask.any():
        raise ImageRefused("the mask is black all over, so no defect would have a place; paint the part white")
    if mask.all():
        raise ImageRefused("the mask marks the whole picture; paint what is not the part black")
    return mask


def mask_of_outlines(outlines: Sequence[np.ndarray], *, width: int, height: int) -> np.ndarray:
    """The inside of drawn outlines, all together.

    Parameters
    ----------
    outlines : sequence of ndarray of shape (k, 2)
        x and y of k >= 3 corners, in px from the picture's upper left corner; the last joins the first.
    width, height : int
        Of the picture, in px; what lies outside is cut off.

    Returns
    -------
    ndarray of shape (height, width)
        bool: pixels whose centre, half a pixel from their corner, lies inside one of the outlines.

    Raises
    ------
    ShapeError
        An outline with fewer than 3 corners or one that is not finite, or nothing inside the picture.

    Examples
    --------
    >>> mask_of_outlines([np.array([(1, 1), (3, 1), (3, 2), (1, 2)])], width=4, height=3).astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    from skimage.draw import polygon2mask

    mask = np.zeros((height, width), bool)
    for outline in outlines:
        if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3 or not np.isfinite(outline).all():
            raise ShapeError(f"expected outlines of at least 3 finite corners (x, y), got shape {outline.shape}")
        mask |= polygon2mask(mask.shape, outline[:, ::-1] - 0.5)
    if not mask.any():
        raise ShapeError("expected an outline around some of the picture, but nothing lies inside: draw it again")
    return mask


def mask_at_size(mask: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool, nearest neighbour, as the ground truth of real NG is resized."""
    return cv2.resize(mask.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
