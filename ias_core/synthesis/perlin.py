"""Perlin noise, in float32 for many pictures a second, and the mask recipe of GLASS.

Gradient noise: K. Perlin, "Improving noise", ACM Trans. Graph. 21 (2002), 681-682. GLASS: Chen et al., ECCV 2024,
repository perlin.py.
"""

import cv2
import numpy as np
from scipy.ndimage import rotate

from ias_core.errors import ShapeError

MAX_LOG_SCALE = 5
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


def perlin_field(size: int, scales: tuple[int, int], rng: np.random.Generator, *, periodic: bool = False) -> np.ndarray:
    """``perlin_noise`` in float32 and a fraction of its time, for any size.

    The lattice is stretched over the picture, so that the field's look does not depend on the size; the public codes
    fill the next power of two instead and cut the picture out of it.

    Parameters
    ----------
    size : int
        Side in px.
    scales : (int, int)
        Number of lattice cells down and across.
    periodic : bool
        The last gradients are the first again, so that the field has no seam when it is rolled.

    Returns
    -------
    ndarray of shape (size, size)
        float32, about [-1, 1], zero on lattice points.

    Notes
    -----
    Interpolation with weights w and v over corners (j, k) of the cell, sum of w_j v_k (g_y (y - j) + g_x (x - k)), is
    done down first, on the few columns of the lattice, and then across.
    """
    down, across = scales
    gradients = _gradients(scales, rng, periodic).astype(np.float32)
    y0, fy, w0, w1 = _places(size, down)
    x0, fx, v0, v1 = _places(size, across)
    above, below = gradients[y0], gradients[y0 + 1]  # (size, across + 1, 2)
    fy, w0, w1 = fy[:, None], w0[:, None], w1[:, None]
    along_y = w0 * fy * above[..., 0] + w1 * (fy - 1) * below[..., 0]  # (size, across + 1)
    along_x = w0 * above[..., 1] + w1 * below[..., 1]
    left = along_y.take(x0, 1) + fx * along_x.take(x0, 1)
    right = along_y.take(x0 + 1, 1) + (fx - 1) * along_x.take(x0 + 1, 1)
    return np.float32(np.sqrt(2)) * (v0 * left + v1 * right)


def resized_perlin_field(size: int, scales: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The field as DestSeg's code draws it: each corner's map of gradients is brought to the picture's size.

    A map repeats each gradient floor(size / scale) times and is then resized linearly (cv2.resize in data_utils.py of
    apple/ml-destseg). Where the scales divide the size that changes nothing, and the field is ``perlin_field``'s: so
    at 256 and 224 px. At other sizes the borders between cells are blurred, and lie some pixels from where the
    fractions turn.

    Parameters, returns : as ``perlin_field``.
    """
    if size % scales[0] == 0 and size % scales[1] == 0:
        return perlin_field(size, scales, rng)
    gradients = _gradients(scales, rng, periodic=False).astype(np.float32)
    _, fy, w0, w1 = _places(size, scales[0])
    _, fx, v0, v1 = _places(size, scales[1])
    field = np.zeros((size, size), np.float32)
    for j, w in enumerate((w0, w1)):
        for k, v in enumerate((v0, v1)):
            corner = gradients[j : scales[0] + j, k : scales[1] + k]
            repeated = corner.repeat(size // scales[0], 0).repeat(size // scales[1], 1)
            g = cv2.resize(repeated, (size, size), interpolation=cv2.INTER_LINEAR)
            field += w[:, None] * v * (g[..., 0] * (fy - j)[:, None] + g[..., 1] * (fx - k))
    return np.float32(np.sqrt(2)) * field


def _gradients(scales: tuple[int, int], rng: np.random.Generator, periodic: bool) -> np.ndarray:
    """(down + 1, across + 1, 2): y and x of a unit vector at every lattice point."""
    angles = rng.uniform(0, 2 * np.pi, (scales[0] + 1, scales[1] + 1))
    if periodic:
        angles[-1], angles[:, -1] = angles[0], angles[:, 0]
    return np.stack([np.cos(angles), np.sin(angles)], -1)


def _places(size: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cell of every pixel, its place in the cell, and the weights of the cell's first and second end."""
    at = np.arange(size) * (cells / size)
    cell = np.minimum(at.astype(int), cells - 1)
    t = at - cell
    fade = t**3 * (t * (6 * t - 15) + 10)
    return cell, t.astype(np.float32), (1 - fade).astype(np.float32), fade.astype(np.float32)


def padded_side(size: int) -> int:
    """The next power of two that every scale up to 2^MAX_LOG_SCALE divides.

    Examples
    --------
    >>> padded_side(28), padded_side(224), padded_side(256)
    (32, 256, 256)
    """
    return 1 << max(size - 1, 2**MAX_LOG_SCALE - 1).bit_length()


def _field(size: int, rng: np.random.Generator) -> np.ndarray:
    """One thresholded, rotated Perlin field, bool (size, size)."""
    padded = padded_side(size)
    scales = tuple(int(2 ** rng.integers(0, MAX_LOG_SCALE + 1)) for _ in range(2))
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
