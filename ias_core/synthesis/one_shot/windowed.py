"""A window of the model's size around a defect of any size, and its difference back at the picture's size.

The project's notes on TF-IDG, section 4 B2 step 1: a defect whose box is longer than 44 px of the 64 px window is
worked on in a picture made smaller, and only the difference is enlarged, so the good part keeps its own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ias_core.errors import ShapeError

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.one_shot.pixel_model import PixelModel

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
        """What the model made, (w, w, 3), at the picture's size."""
        if self.side == self.model_px:
            return part
        return cv2.resize(part, (self.side, self.side), interpolation=cv2.INTER_CUBIC)


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


def difference_in_window(
    model: PixelModel,
    picture: np.ndarray,
    collage: np.ndarray,
    mask: np.ndarray,
    *,
    sigma: float,
    guidance: float,
    generator: torch.Generator,
) -> np.ndarray:
    """What a pasted defect adds to a good part once the model has redrawn it, whatever the defect's size.

    Parameters
    ----------
    picture, collage : ndarray of shape (s, s, 3)
        The good part, and the same with the defect pasted in; float32 in [0, 1], s at least the model's window.
    mask : ndarray of shape (s, s)
        bool, the defect's place.
    sigma, guidance, generator
        As of ``ias_core.synthesis.one_shot.sampling.redrawn``.

    Returns
    -------
    ndarray of shape (s, s, 3)
        float32, in units of [0, 1] intensity, of either sign: to be added to ``picture`` and clipped. 0 outside the
        mask grown by 4 px, and 0 everywhere where collage and picture are the same.

    Raises
    ------
    ShapeError
        An empty mask, a picture smaller than the model's window, or arrays that do not fit.
    """
    if picture.shape != (*mask.shape, 3) or collage.shape != picture.shape or mask.dtype != bool:
        raise ShapeError(
            f"expected picture and collage (s, s, 3) with a bool mask (s, s), got {picture.shape}, {collage.shape} and "
            f"{mask.dtype} {mask.shape}"
        )
    from ias_core.synthesis.one_shot.sampling import redrawn

    window = around(mask, model.window_px)
    edit = edit_mask(mask)
    core = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)
    difference = redrawn(
        model,
        window.reduced(picture),
        window.reduced(collage),
        window.reduced(edit),
        window.reduced(core),
        sigma=sigma,
        guidance=guidance,
        generator=generator,
    )
    return placed(difference, window, edit, mask)
