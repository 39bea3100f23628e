"""Perlin noise and the mask recipe of GLASS (Chen et al., ECCV 2024; repository perlin.py)."""

import numpy as np
from scipy.ndimage import rotate

from ias_core.errors import ShapeError

_MAX_LOG_SCALE = 5
_THRESHOLD = 0.5
_TRIES = 20


def perlin_noise(size: int, scales: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Gradient noise on a lattice (Perlin 1985, with the 2002 fade curve).

    Parameters
    ----------
    size : int
        Side in px; a multiple of both scales.
    scales : (int, int)
        Number of lattice cells down and across.

    Returns
    -------
    ndarray of shape (size, size)
        float32, about [-1, 1], zero on lattice points.
    """
    down, across = scales
    if size % down or size % across:
        raise ShapeError(f"expected a size divisible by the scales {scales}, got {size}")
    angles = rng.uniform(0, 2 * np.pi, (down + 1, across + 1))
    gradients = np.stack([np.cos(angles), np.sin(angles)], -1)
    y, x = np.arange(size) * down / size, np.arange(size) * across / size
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = y - y0, x - x0

    def corner(dy: int, dx: int) -> np.ndarray:
        g = gradients[np.ix_(y0 + dy, x0 + dx)]  # (size, size, 2)
        return g[..., 0] * (fy - dy)[:, None] + g[..., 1] * (fx - dx)[None, :]

    def fade(t: np.ndarray) -> np.ndarray:
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    u, v = fade(fy)[:, None], fade(fx)[None, :]
    top = corner(0, 0) * (1 - v) + corner(0, 1) * v
    bottom = corner(1, 0) * (1 - v) + corner(1, 1) * v
    return (np.sqrt(2) * (top * (1 - u) + bottom * u)).astype(np.float32)


def _field(size: int, rng: np.random.Generator) -> np.ndarray:
    """One thresholded, rotated Perlin field, bool (size, size)."""
    padded = 1 << max(size - 1, 2**_MAX_LOG_SCALE - 1).bit_length()  # a power of two, divisible by every scale
    scales = tuple(int(2 ** rng.integers(0, _MAX_LOG_SCALE + 1)) for _ in range(2))
    noise = perlin_noise(padded, scales, rng)
    noise = rotate(noise, rng.uniform(-90, 90), reshape=False, order=1, mode="constant")
    return noise[:size, :size] > _THRESHOLD


def glass_mask(size: int, rng: np.random.Generator, *, foreground: np.ndarray | None = None) -> np.ndarray:
    """Defect mask: of two fields the union, the intersection or the first alone, one third of the time each.

    Parameters
    ----------
    size : int
        Side in px.
    foreground : ndarray of shape (size, size), optional
        bool, where the part is; the mask stays on it.

    Returns
    -------
    ndarray of shape (size, size)
        bool, not empty.

    Raises
    ------
    ShapeError
        If 20 draws all miss the foreground.
    """
    for _ in range(_TRIES):
        first, second = _field(size, rng), _field(size, rng)
        kind = rng.integers(3)
        mask = first | second if kind == 0 else first & second if kind == 1 else first
        if foreground is not None:
            mask = mask & foreground
        if mask.any():
            return mask
    raise ShapeError(f"{_TRIES} random masks missed the foreground: it covers too few pixels")
