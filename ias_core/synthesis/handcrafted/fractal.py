"""Random fractals: attractors of two affine contractions, rasterised.

Anderson, Farrell, "Improving Fractal Pre-training", WACV 2022, arXiv 2110.03091; repository
catalys1/fractal-pretraining, ifs.py, which FractalAD takes its shapes from. It follows one point for 100,000 steps in
numba; here 1,000 points are followed for 120 and the first 20 dropped, which gives the same attractor.
"""

import cv2
import numpy as np

_CHAINS, _STEPS, _DROPPED = 1_000, 120, 20
_SIGMA_FACTORS = 3.5, 4.0  # for two maps: (5 + n) / 2 to (6 + n) / 2


def singular_values(factor: float, rng: np.random.Generator) -> np.ndarray:
    """Two pairs with 1 >= s1 >= s2 >= 0, the sum of s1 + 2 s2 over the pairs being the factor.

    The larger the factor, the larger and denser the attractor (their section 3.2).

    Returns
    -------
    ndarray of shape (2, 2)
        One row per map: s1, s2.
    """
    s1 = rng.uniform(max(0.0, (factor - 3) / 3), min(1.0, factor))
    s2 = rng.uniform(max(0.0, (factor - 3 - s1) / 2), min(s1, (factor - s1) / 2))
    rest = factor - s1 - 2 * s2
    last = rng.uniform(max(0.0, (rest - 1) / 2), rest / 3)
    return np.array([[s1, s2], [rest - 2 * last, last]])


def random_system(rng: np.random.Generator) -> np.ndarray:
    """Two contractions x -> A x + t with A = U diag(s1, s2) V; U and V random rotations with signs, t in [-1, 1].

    Returns
    -------
    ndarray of shape (2, 2, 3)
        A and t of each map.
    """
    angles = rng.uniform(-np.pi, np.pi, (2, 2))
    signs = rng.choice((-1.0, 1.0), (2, 2, 1, 2))
    cos, sin = np.cos(angles), np.sin(angles)
    u, v = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), (0, 1), (2, 3)) * signs  # (2, 2, 2) each
    values = singular_values(rng.uniform(*_SIGMA_FACTORS), rng)
    translations = rng.uniform(-1, 1, (2, 2, 1))
    return np.concatenate([u * values[:, None, :] @ v, translations], -1)


def attractor(system: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points of the attractor: maps applied in random order, as often as their |det A| is large.

    Parameters
    ----------
    system : ndarray of shape (2, 2, 3)

    Returns
    -------
    ndarray of shape (2, 100000)
        Down and across. All chains start at the fixed point of the first map, which lies on the attractor.
    """
    linear, translation = system[..., :2], system[..., 2]
    sizes = np.abs(np.linalg.det(linear))
    second = (rng.random((_STEPS, _CHAINS)) >= sizes[0] / sizes.sum()).astype(np.intp)
    # As complex numbers, A z + t reads p z + q conj(z) + t: one product instead of four.
    (a, b), (c, d) = linear[:, 0].T, linear[:, 1].T
    p, q = ((a + d) + 1j * (c - b)) / 2, ((a - d) + 1j * (c + b)) / 2
    p, q, t = p[second], q[second], (translation @ (1, 1j))[second]  # (steps, chains) each
    z = np.full(_CHAINS, np.linalg.solve(np.eye(2) - linear[0], translation[0]) @ (1, 1j))
    points = np.empty((_STEPS, _CHAINS), complex)
    for step in range(_STEPS):
        points[step] = z = p[step] * z + q[step] * z.conj() + t[step]
    kept = points[_DROPPED:].ravel()
    return np.stack([kept.real, kept.imag])


def rasterised(points: np.ndarray, side_px: int, stamp: np.ndarray) -> np.ndarray:
    """The points in a square that they just fill, each drawn as the stamp.

    Parameters
    ----------
    points : ndarray of shape (2, n)
    side_px : int
        At least 2.
    stamp : ndarray of shape (3, 3)
        bool, not empty, centred on each point; what would lie outside the square is cut off.

    Returns
    -------
    ndarray of shape (side_px, side_px)
        bool.
    """
    low = points.min(1, keepdims=True)
    extent = np.maximum(points.max(1, keepdims=True) - low, np.finfo(float).tiny)
    rows, columns = ((points - low) * ((side_px - 1) / extent)).astype(np.intp)
    hit = np.zeros((side_px, side_px), np.uint8)
    hit[rows, columns] = 1
    return cv2.dilate(hit, stamp[::-1, ::-1].astype(np.uint8)).astype(bool)  # OpenCV looks where a pixel may come from
