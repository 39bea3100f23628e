"""The part of a picture that a diffusion model sees, and how what it painted comes back.

The project's notes on TF-IDG, section 3 step 1: a square around the target mask, enlarged to the side the model was
trained for. Back goes only the difference of two passes (section 4, B5), so that what the autoencoder does to good
surface cancels; that on Stable Diffusion this is better than pasting was not measured.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import ShapeError

LEAST_PX = 96  # a smaller window would be enlarged until nothing but blur is left
CONTEXT = 4  # sides of the mask in a side of the window
_DILATED = np.ones((9, 9), np.uint8)
_EDIT = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What a method paints on; everything at the side w that the weights were trained for.

    canvas : (w, w, 3) float32      the OK part, in [0, 1]
    target : (w, w) bool            where the defect is to be; never empty
    collage : (w, w, 3) float32     the canvas with the NG's residual added there
    reference : (w, w, 3) float32   the NG around its defect, in the same proportions
    reference_mask : (w, w) bool    that defect
    """

    canvas: np.ndarray
    target: np.ndarray
    collage: np.ndarray
    reference: np.ndarray
    reference_mask: np.ndarray

    def __post_init__(self) -> None:
        w = len(self.canvas)
        pictures = (self.canvas, self.collage, self.reference)
        masks = (self.target, self.reference_mask)
        if any(one.shape != (w, w, 3) for one in pictures) or any(one.shape != (w, w) for one in masks):
            raise ShapeError("expected three pictures (w, w, 3) and two masks (w, w) of one side w")
        if any(one.dtype != bool or not one.any() for one in masks):
            raise ShapeError("expected two bool masks with at least one pixel each")


@dataclass(frozen=True, slots=True)
class Box:
    """A square of a picture: first row, first column, side, all in px."""

    top: int
    left: int
    side: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """View (side, side, ...) of it."""
        return picture[self.top : self.top + self.side, self.left : self.left + self.side]


def box_around(mask: np.ndarray, *, side_px: int, cell_px: int) -> Box:
    """Square around a mask: 4 of its sides and at least 96 px, clipped to the picture, and moved to lie in it.

    A mask that would be narrower than one cell of the latent is looked at from nearer, so that it fills one.

    Parameters
    ----------
    mask : ndarray of shape (s, s)
        bool, not empty.
    side_px, cell_px : int
        Side of the model's pictures, and side of the part of it that one place of the latent stands for.

    Examples
    --------
    >>> mask = np.zeros((300, 300), bool)
    >>> mask[10:60, 140:160] = True
    >>> box_around(mask, side_px=512, cell_px=8)
    Box(top=0, left=50, side=200)
    """
    longest = max(cv2.boundingRect(mask.astype(np.uint8))[2:])
    side = min(max(CONTEXT * longest, LEAST_PX), max(longest, longest * side_px // cell_px))
    return square_around(mask, side)


def square_around(mask: np.ndarray, side: int) -> Box:
    """Square of this side, or the picture's if that is smaller, with the mask in its middle where the picture allows.

    Raises
    ------
    ShapeError
        An empty mask.
    """
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if width == 0:
        raise ShapeError("expected a mask with at least one pixel, got an empty one")
    side = min(side, len(mask))
    first = [
        min(max(int(start + length / 2 - side / 2), 0), len(mask) - side)
        for start, length in ((top, height), (left, width))
    ]
    return Box(*first, side)


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """(side, side, ...) float32 of a square picture: means of pixels where it shrinks, bilinear where it grows."""
    way = cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(picture, np.float32), (side, side), interpolation=way)


def resized_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """(side, side) bool of a square mask: a pixel is in where any of what it stands for is, so none vanishes."""
    if side < len(mask):
        return resized(mask, side) > 0
    return cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST).astype(bool)


def opacity_of(mask: np.ndarray) -> np.ndarray:
    """(s, s) float32: 1 inside the mask, falling to 0 within the 4 px around it (B2's edit mask, B5's limit)."""
    edit = cv2.GaussianBlur(cv2.dilate(mask.astype(np.uint8), _EDIT).astype(np.float32), (0, 0), 1.0)
    edit[mask] = 1
    return edit * cv2.dilate(mask.astype(np.uint8), _DILATED)
