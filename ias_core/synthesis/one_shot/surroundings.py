"""What a real NG tells of the part without its defect: the background under the mask, and the grain.

The project's notes on TF-IDG, section 4, B2.2.
"""

from __future__ import annotations

import cv2
import numpy as np

from ias_core.synthesis.base import NgSource
from ias_core.synthesis.one_shot.variation import DILATION
from ias_core.synthesis.poisson import blend

_INPAINT_RADIUS_PX = 5
_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # the difference of two
_GAIN = 6.0  # root of the sum of their squares
_MEDIAN = 0.6745  # of the absolute values of a standard normal distribution


def background(source: NgSource) -> np.ndarray:
    """(s, s, 3) float32: the NG without its defect, as far as what surrounds its mask, dilated 5 x 5, tells.

    Inpainted (A. Telea, J. Graphics Tools 9 (2004), 23-34; radius 5 px), as the notes have it. That joins what it
    brings in from either side along sharp rays, which would be cut out with the defect and shown on good parts; so the
    inside is then the smoothest surface that meets the surroundings (Laplace's equation; ours). Only on the picture's
    border, where that has no rim to meet, the inpainted values stay and serve as one.
    """
    under = cv2.dilate(source.mask.astype(np.uint8), DILATION)
    pixels = np.rint(source.image * 255).clip(0, 255).astype(np.uint8)
    filled = cv2.inpaint(pixels, under, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA).astype(np.float32) / 255
    start = np.where(under[..., None], filled, source.image)
    return blend(start, np.zeros_like(start), under.astype(bool))


def grain(image: np.ndarray) -> np.ndarray:
    """(3,) standard deviation of the noise in a picture (h, w, 3), in its own unit.

    J. Immerkaer, Computer Vision and Image Understanding 64 (1996), 300-302, with the median in the place of his mean,
    which edges of the part would raise.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0.5, 0.03, (64, 64, 3)).astype(np.float32)
    >>> noise[:, :32] += 0.4
    >>> bool(np.allclose(grain(noise), 0.03, atol=0.003))
    True
    """
    fine = np.abs(cv2.filter2D(image, -1, _LAPLACIANS))
    return np.median(fine.reshape(-1, 3), 0) / (_GAIN * _MEDIAN)
