"""A window of the model's size around a defect of any size, and its difference back at the picture's size.

The project's notes on TF-IDG, section 4 B2 step 1: a defect whose box is longer than 44 px of the 64 px window is
worked on in a picture made smaller, and only the difference is enlarged, so the good part keeps its own pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import ShapeError

_MOST_OF_WINDOW = 44 / 64  # of its side: the longest that a defect's box may be
_EDIT = np.ones((5, 5), np.uint8)
_REACH = np.ones((9, 9), np.uint8)


@dataclass(frozen=True, slots=True)
class Window:
    """A square of a picture, and the side at which the model sees it."""

    top: int
    left: int
    side: int
    model_px: int

    @property
    def box(self) -> tuple[slice, slice]:
        return np.s_[self.top : self.top + self.side, self.left : self.left + self.side]

    def reduced(self, whole: np.ndarray) -> np.ndarray:
        """The square of (s, s) or (s, s, 3), at the model's size."""
        part = np.ascontiguousarray(whole[self.box], np.float32)
        if self.side == self.model_px:
            return part
        return cv2.resize(part, (self.model_px, self.model_px), interpolation=cv2.INTER_AREA)

    def enlarged(self, part: np.ndarray) -> np.ndarray:
        """What the model made, (w, w, 3), at the picture's size; linear, since cubic would put a halo around it."""
        if self.side == self.model_px:
            return part
        return cv2.resize(part, (self.side, self.side), interpolation=cv2.INTER_LINEAR)


def around(mask: np.ndarray, model_px: int) -> Window:
    """The window around a defect, moved so that it lies on the picture.

    Parameters
    ----------
    mask : ndarray of shape (s, s)
        bool, with at least one pixel.

    Raises
    ------
    ShapeError
        An empty mask, or a picture smaller than the model's window.
    """
    height, width = mask.shape
    if not mask.any() or min(height, width) < model_px:
        raise ShapeError(
            f"expected a defect on a picture of at least {model_px} px a side, the window of the pixel model; got "
            f"{int(mask.sum())} px of defect on {height} x {width} px"
        )
    left, top, across, down = cv2.boundingRect(mask.astype(np.uint8))
    needed = int(np.ceil(max(across, down) / _MOST_OF_WINDOW))
    side = min(max(model_px, needed), height, width)
    corner = [
        min(max(start + extent // 2 - side // 2, 0), whole - side)
        for start, extent, whole in ((top, down, height), (left, across, width))
    ]
    return Window(*corner, side, model_px)


def edit_mask(mask: np.ndarray) -> np.ndarray:
    """Where the model may draw: the defect grown by 2 px, its edge blurred by 1 px; (s, s) float32."""
    return cv2.GaussianBlur(cv2.dilate(mask.astype(np.float32), _EDIT), (0, 0), 1)


def reach(mask: np.ndarray) -> np.ndarray:
    """bool (s, s): the defect grown by 4 px, beyond which no difference is used."""
    return cv2.dilate(mask.astype(np.uint8), _REACH).astype(bool)


def placed(difference: np.ndarray, window: Window, edit: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A window's difference (w, w, 3) on an empty picture (s, s, 3); 0 beyond ``reach`` of the mask.

    An enlarged one spills over the defect's edge by as much as its pixels grew, so it is faded by the edit mask once
    more (ours).
    """
    whole = np.zeros((*mask.shape, 3), np.float32)
    whole[window.box] = window.enlarged(difference)
    if window.side != window.model_px:
        whole *= edit[..., None]
    return np.where(reach(mask)[..., None], whole, np.float32(0))
