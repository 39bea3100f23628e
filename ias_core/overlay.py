"""A picture with its anomaly map on top, on one colour scale for all pictures."""

import numpy as np

from ias_core.errors import ShapeError

# Matplotlib's colour map plasma (S. van der Walt and N. Smith, 2015), which grows evenly lighter, at ten stops.
_PLASMA = "0d0887 46039f 7201a8 9c179e bd3786 d8576b ed7953 fb9f3a fdca26 f0f921"
_STOPS = np.array([list(bytes.fromhex(stop)) for stop in _PLASMA.split()]) / 255  # (10, 3)
_TINTS = np.stack([np.interp(np.linspace(0, 9, 256), np.arange(10), channel) for channel in _STOPS.T], axis=1).astype(
    np.float32
)  # (256, 3)


def colour_scale(ok_patch_scores: np.ndarray) -> tuple[float, float]:
    """One fixed scale for all maps: from the OK images' median patch score to just above their highest.

    ok_patch_scores : (n, gh, gw), feature distance.
    """
    return float(np.median(ok_patch_scores)), float(ok_patch_scores.max() * 1.15)


def anomaly_overlay(image: np.ndarray, amap: np.ndarray, *, vmin: float, vmax: float, opacity: float) -> np.ndarray:
    """Picture with its anomaly map on top, on the colour scale the caller fixes for all pictures.

    The tint grows from none at ``vmin`` to ``opacity`` at ``vmax``, so the picture stays visible where the
    detector sees nothing. Scaling each picture by its own maximum would make every good part look defective.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3)
        float, RGB in [0, 1].
    amap : ndarray of shape (h, w)
        Feature distance.
    vmin, vmax : float
        vmin < vmax, the same for every picture on the page.
    opacity : float
        In [0, 1].

    Returns
    -------
    ndarray of shape (h, w, 3)
        uint8, RGB.

    Raises
    ------
    ShapeError
        If the shapes do not fit, the map holds a NaN, vmin >= vmax, or ``opacity`` is outside [0, 1].
    """
    if image.ndim != 3 or image.shape[2] != 3 or amap.shape != image.shape[:2]:
        raise ShapeError(f"overlay: expected shapes (h, w, 3) and (h, w), got {image.shape} and {amap.shape}")
    if not vmin < vmax:
        raise ShapeError(f"overlay: expected vmin < vmax, got {vmin} and {vmax}")
    if not 0 <= opacity <= 1:
        raise ShapeError(f"overlay: expected an opacity in [0, 1], got {opacity}")
    if not np.isfinite(amap).all():
        raise ShapeError("overlay: expected a finite anomaly map, got NaN or infinity")
    level = np.clip((amap - vmin) / (vmax - vmin), 0, 1)  # (h, w)
    tint = _TINTS[(level * 255).astype(np.uint8)]  # (h, w, 3)
    alpha = (opacity * level)[..., None]
    return np.rint(255 * np.clip((1 - alpha) * image + alpha * tint, 0, 1)).astype(np.uint8)


def colour_bar_caption(vmin: float, vmax: float) -> str:
    """One sentence that stands under every overlay.

    Examples
    --------
    >>> colour_bar_caption(4.0, 20.0)
    'Same colour scale on every picture: no tint at 4 or below, yellow at 20 or above (feature distance).'
    """
    return (
        f"Same colour scale on every picture: no tint at {vmin:.3g} or below, "
        f"yellow at {vmax:.3g} or above (feature distance)."
    )
