"""One picture of many: every NG beside itself with the rim of its mask drawn, for a person to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

RIM = (230, 159, 0)  # synthetic NG, as on the pages
_COLUMNS = 4
_MOST = 24
_SIDE_PX = 224
_GAP_PX, _TEXT_PX, _HEAD_PX = 8, 18, 34


def caption(severity: float, size_px: float, snr: float) -> str:
    """A few words under a synthetic NG.

    Examples
    --------
    >>> caption(0.5, 12.0, 3.25)
    'severity 0.50, 12.0 px, signal-to-noise 3.2'
    """
    return f"severity {severity:.2f}, {size_px:.1f} px, signal-to-noise {snr:.1f}"


def rim(mask: np.ndarray, width_px: int = 1) -> np.ndarray:
    """bool (h, w): the pixels just outside the mask."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=width_px)
    return grown.astype(bool) & ~mask


def with_rim(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with the rim of the mask drawn just outside it.

    image : (h, w, 3) float32 in [0, 1]; mask : (h, w) bool. Returns uint8.
    """
    drawn = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    drawn[rim(mask)] = RIM
    return drawn


def sheet(
    title: str, images: Sequence[np.ndarray], masks: Sequence[np.ndarray], captions: Sequence[str]
) -> Image.Image:
    """The first 24 pictures, four pairs a row.

    Parameters
    ----------
    images : n arrays of shape (h, w, 3)
        float32 RGB in [0, 1].
    masks : n arrays of shape (h, w)
    captions : n strings
    """
    n = min(len(images), _MOST)
    pair = 2 * _SIDE_PX + _GAP_PX // 2
    rows = -(-n // _COLUMNS)
    width = _COLUMNS * (pair + _GAP_PX) + _GAP_PX
    page = Image.new("RGB", (width, _HEAD_PX + rows * (_SIDE_PX + _TEXT_PX + _GAP_PX) + _GAP_PX), "white")
    draw = ImageDraw.Draw(page)
    more = f", the first {n} of {len(images)}" if len(images) > n else ""
    draw.text((_GAP_PX, 8), title + more, fill="black", font=ImageFont.load_default(18))
    small = ImageFont.load_default(12)
    for i in range(n):
        left = _GAP_PX + (i % _COLUMNS) * (pair + _GAP_PX)
        top = _HEAD_PX + (i // _COLUMNS) * (_SIDE_PX + _TEXT_PX + _GAP_PX)
        plain = np.round(np.clip(images[i], 0, 1) * 255).astype(np.uint8)
        for k, picture in enumerate((plain, with_rim(images[i], masks[i]))):
            tile = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
            page.paste(Image.fromarray(tile), (left + k * (_SIDE_PX + _GAP_PX // 2), top))
        draw.text((left, top + _SIDE_PX + 2), captions[i], fill="black", font=small)
    return page
