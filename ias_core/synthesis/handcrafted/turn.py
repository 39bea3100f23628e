"""A square turned about its centre."""

import cv2
import numpy as np


def turned(square: np.ndarray, degrees: float, *, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The square (s, s) or (s, s, c) turned counterclockwise without growing; zero where nothing comes from."""
    side = len(square)
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1)
    return cv2.warpAffine(square, turn, (side, side), flags=interpolation)
