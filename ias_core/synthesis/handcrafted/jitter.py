"""Colour jitter as CutPaste and others use it: torchvision's ColorJitter, in float instead of 8 bit.

Brightness multiplies, contrast pulls away from the patch's mean grey, saturation away from each pixel's grey, hue turns
the colour circle; in random order, clipped after each.
"""

import cv2
import numpy as np

_STEPS = ("brightness", "contrast", "saturation", "hue")


def jitter_colour(
    patch: np.ndarray, amount: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float | list[str]]]:
    """The patch in slightly other colours.

    Parameters
    ----------
    patch : ndarray of shape (h, w, 3)
        float32 RGB in [0, 1].
    amount : float
        In [0, 0.5]. The three factors are uniform in 1 - amount to 1 + amount, the turn of hue in -amount to amount of
        a full circle. 0 leaves the patch as it is.

    Returns
    -------
    patch : ndarray of shape (h, w, 3)
        A new array.
    drawn : dict
        The drawn values by name, and their order.

    Examples
    --------
    >>> grey = np.full((4, 4, 3), 0.5, np.float32)
    >>> patch, drawn = jitter_colour(grey, 0.1, np.random.default_rng(0))
    >>> bool(np.allclose(patch, 0.5 * drawn["brightness"]))  # nothing else changes an even grey
    True
    """
    values = dict(zip(_STEPS, (1, 1, 1, 0) + amount * rng.uniform(-1, 1, 4), strict=True))
    order = rng.permutation(_STEPS).tolist()
    drawn = {name: float(value) for name, value in values.items()} | {"order": order}
    patch = patch.copy()
    if amount == 0:
        return patch, drawn
    for step in order:
        value = np.float32(values[step])
        if step == "hue":
            hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0] + 360 * value) % 360  # OpenCV's hue of float pictures is in degrees
            patch = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
            continue
        away_from = np.float32(0)
        if step != "brightness":
            grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
            away_from = grey.mean() if step == "contrast" else grey[..., None]
        patch = np.clip(away_from + value * (patch - away_from), 0, 1)
    return patch, drawn
