"""A square cut out of a picture at random, turned, and brought to the size a method asks for."""

import cv2
import numpy as np


def random_crop(pixels: np.ndarray, side_px: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """One of the picture's squares of this side, in one of its eight turned and mirrored views.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3)
        uint8 RGB, left unchanged.
    side_px : int
        At least 1; the shorter side of the picture at most.
    size : int
        Side of what is returned, in px.

    Returns
    -------
    ndarray of shape (size, size, 3)
        float32 in [0, 1]. Reduced by averaging, enlarged linearly.
    """
    height, width = pixels.shape[:2]
    side = min(side_px, height, width)
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    quarter_turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    square = pixels[top : top + side, left : left + side]
    if side != size:
        smooth = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
        square = cv2.resize(square, (size, size), interpolation=smooth)
    view = np.rot90(square, quarter_turns)
    view = view[:, ::-1] if mirrored else view
    return np.divide(view, np.float32(255), dtype=np.float32, order="C")
