"""Does a synthetic defect move the patch scores, and does it move them where it lies?

Dropping what a detector cannot see raises its recall by construction. So "does not move" is taken as narrowly as it
can be: by no more than the last digit of an 8-bit picture moves them anyway. The rule is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ias_core.backbones import Backbone
from ias_core.errors import ShapeError
from ias_core.synthesis.base import is_grey
from ias_core.synthesis.measures import GREY_LEVEL


def rounding_floors(
    pictures: np.ndarray,
    patch_scores: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    rngs: Sequence[np.random.Generator],
) -> np.ndarray:
    """How far the last digit of 8-bit grey levels moves the patch scores of each picture.

    Every level is moved by uniform noise of +-1/2, what rounding hides, in all channels alike where the pictures are
    grey; the floor is the largest change of any patch score, up or down.

    Parameters
    ----------
    pictures : ndarray of shape (n, s, s, 3)
        OK images at the input size, RGB in [0, 1].
    patch_scores : ndarray of shape (n, gh, gw)
        Of these pictures.
    score : callable
        Pictures to patch scores.
    rngs : n Generators
        One per picture, so that a floor does not depend on the pictures beside it.

    Returns
    -------
    ndarray of shape (n,)
        In the unit of ``patch_scores``, a feature distance.
    """
    shapes = [(*picture.shape[:2], 1 if is_grey(picture[None]) else 3) for picture in pictures]
    noise = [GREY_LEVEL * rng.uniform(-0.5, 0.5, shape) for rng, shape in zip(rngs, shapes, strict=True)]
    dithered = np.stack([p + n.astype(np.float32) for p, n in zip(pictures, noise, strict=True)])
    return np.abs(score(dithered) - patch_scores).max((1, 2))


def pooling_reach(backbone: Backbone) -> int:
    """Cells of the finest grid that one pixel reaches by pooling and resizing alone, in each direction.

    A coarse level of r times the stride is averaged over 3 x 3 of its cells and interpolated between neighbours: a
    change in one coarse cell reaches every place less than 2 coarse cells from its centre, which is less than
    2.5 r - 0.5 fine cells from the fine cell it lies in. What convolutions or attention carry further is not counted.
    """
    levels = backbone.module.feature_info
    strides = [levels[i]["reduction"] for i in backbone.indices]
    return math.ceil(2.5 * max(strides) / min(strides) - 0.5) - 1


def moves(
    patch_scores: np.ndarray, parent_scores: np.ndarray, masks: np.ndarray, *, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Largest change of a patch score at the mask, and away from it.

    At the mask: in the cells that the mask touches and up to ``reach`` cells from them. Changes count up or down: a
    defect that lowers the scores is one that the detector misses, not one that is not there.

    Parameters
    ----------
    patch_scores, parent_scores : ndarray of shape (n, gh, gw)
        Of the synthetic NG, and of the OK image each was made from.
    masks : ndarray of shape (n, s, s)
        bool.
    reach : int
        See ``pooling_reach``.

    Returns
    -------
    near, far : ndarray of shape (n,)
        Feature distance; 0 where there is no such cell.

    Examples
    --------
    >>> parent = np.zeros((1, 4, 4))
    >>> child, mask = parent.copy(), np.zeros((1, 8, 8), bool)
    >>> child[0, 0, 1], child[0, 3, 3] = -2.0, 1.5
    >>> mask[0, 0, 0] = True
    >>> [float(change[0]) for change in moves(child, parent, mask, reach=1)]
    [2.0, 1.5]
    """
    if patch_scores.shape != parent_scores.shape or masks.shape[:1] != patch_scores.shape[:1] or masks.ndim != 3:
        raise ShapeError(
            f"expected scores (n, gh, gw) twice and masks (n, s, s), got {patch_scores.shape}, {parent_scores.shape} "
            f"and {masks.shape}"
        )
    touched = F.adaptive_max_pool2d(torch.from_numpy(masks.astype(np.float32))[:, None], patch_scores.shape[1:])
    at_mask = F.max_pool2d(touched, 2 * reach + 1, stride=1, padding=reach)[:, 0].numpy() > 0
    change = np.abs(patch_scores - parent_scores)
    return np.where(at_mask, change, 0).max((1, 2)), np.where(at_mask, 0, change).max((1, 2))
