"""Poisson blending: a picture whose gradients inside a mask are a source's, and whose rim there is the target's.

Perez, Gangnet, Blake, "Poisson Image Editing", ACM Trans. Graph. 22 (2003), 313-318, equation 7 and, for mixed
gradients, 12 and 13. Our own solve because cv2.seamlessClone erodes the mask by 2 to 3 px, fails on masks of 1 or 2 px
and returns the target unchanged for small ones; scikit-image has no such function.
"""

from collections.abc import Callable

import numpy as np

from ias_core.errors import ShapeError

Pixels = tuple[np.ndarray, np.ndarray]  # rows and columns, (k,) each
_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def blend(target: np.ndarray, source: np.ndarray, mask: np.ndarray, *, mixed: bool = False) -> np.ndarray:
    """The target with the source's gradients inside the mask.

    Parameters
    ----------
    target, source : ndarray of shape (h, w, 3)
        float32, in register.
    mask : ndarray of shape (h, w)
        bool; its pixels on the picture's outermost ring are left out: they have no rim.
    mixed : bool
        Of each pair of neighbours the larger gradient of the two, channel by channel, instead of the source's.

    Returns
    -------
    ndarray of shape (h, w, 3)
        float32, unclipped; equal to the target outside the mask.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the mask is not bool.

    Examples
    --------
    >>> target, mask = np.full((8, 8, 3), 0.5, np.float32), np.zeros((8, 8), bool)
    >>> mask[2:6, 2:6] = True
    >>> bool(np.allclose(blend(target, target + 0.3, mask), target))  # a constant has no gradient
    True
    """
    if source.shape != target.shape:
        raise ShapeError(f"expected target and source of one shape, got {target.shape} and {source.shape}")

    def guide(p: Pixels, q: Pixels) -> np.ndarray:
        from_source = source[p].astype(np.float64) - source[q]
        if not mixed:
            return from_source
        own = target[p].astype(np.float64) - target[q]
        return np.where(np.abs(own) > np.abs(from_source), own, from_source)

    return solve(target, mask, guide)


def solve(target: np.ndarray, mask: np.ndarray, guide: Callable[[Pixels, Pixels], np.ndarray]) -> np.ndarray:
    """The target with the gradients inside the mask that ``guide`` asks for.

    Parameters
    ----------
    target : ndarray of shape (h, w, 3)
    mask : ndarray of shape (h, w)
        bool; see ``blend``.
    guide : callable
        Takes two indices (rows, columns) of k pixels and of one neighbour of each, gives the wanted differences
        (k, 3), first minus second.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the mask is not bool.

    Notes
    -----
    For every unknown p and its four neighbours q: 4 x_p - sum over unknown q of x_q = sum of guide(p, q) + sum over
    known q of target_q. One sparse factorisation serves all channels.
    """
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    if target.ndim != 3 or mask.shape != target.shape[:2] or mask.dtype != bool:
        raise ShapeError(
            f"expected an image (h, w, 3) and a bool mask (h, w), got {target.shape} and {mask.dtype} {mask.shape}"
        )
    inside = mask.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = False
    out = target.copy()
    rows, columns = np.nonzero(inside)
    n = len(rows)
    if n == 0:
        return out
    number = np.full(mask.shape, -1)
    number[rows, columns] = np.arange(n)
    right = np.zeros((n, target.shape[2]))
    here, there = [np.arange(n)], [np.arange(n)]
    for down, across in _NEIGHBOURS:
        q = rows + down, columns + across
        right += guide((rows, columns), q)
        known = number[q] < 0
        right[known] += target[q[0][known], q[1][known]]
        here.append(np.flatnonzero(~known))
        there.append(number[q][~known])
    values = np.concatenate([np.full(n, 4.0), np.full(sum(map(len, here)) - n, -1.0)])
    matrix = csc_matrix((values, (np.concatenate(here), np.concatenate(there))), (n, n))
    out[rows, columns] = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(right)
    return out
