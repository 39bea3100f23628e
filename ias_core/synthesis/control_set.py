"""The control set: what a method makes where it should draw no defect.

The project's notes on TF-IDG, section 5.3: pictures at amplitude 0 must score like OK, else the detector finds the
method's traces and not its defects. Where only the difference that the defect makes is kept they are the good parts
themselves; where a network decodes the whole picture they are not, and that is what this set shows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import check_dials, check_request
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.recipe import Recipe, Scene, Void

_TRIES = 20


def control_pictures(
    method: Recipe,
    images: np.ndarray,
    *,
    count: int,
    seed: int,
    size_px: float | None = None,
    foregrounds: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What the method makes of good parts where it should draw no defect, see ``Recipe.control``.

    Drawn from the seeds that ``method`` itself uses, so that control i lies where its defect i does, as long as no try
    of that one was too faint to be seen.

    Parameters
    ----------
    method : Recipe
    images : ndarray of shape (n, s, s, 3)
        OK images, float32 in [0, 1].
    count, seed, size_px, foregrounds
        As of ``ias_core.synthesis.base.ImageSynthesizer``.

    Returns
    -------
    pictures : ndarray of shape (count, s, s, 3)
        float32.
    parents : ndarray of shape (count,)
        int, place of the OK image each was drawn on.

    Raises
    ------
    ShapeError
        Images or dials that do not fit.
    SynthesisError
        20 draws on every OK image found no place.
    """
    check_request(images, count)
    check_dials(images, None, size_px, foregrounds)
    textures = MadeTextures()
    pictures, parents = np.empty((count, *images.shape[1:]), np.float32), np.empty(count, int)
    for i, child in enumerate(np.random.SeedSequence(seed).spawn(count)):
        rng = np.random.default_rng(child)
        scenes = (
            Scene(images, parent, None if foregrounds is None else foregrounds[parent], size_px, textures)
            for parent in ((i + k) % len(images) for k in range(len(images)))
        )
        parents[i], pictures[i] = _first(method, scenes, rng)
    return pictures, parents


def _first(method: Recipe, scenes: Iterable[Scene], rng: np.random.Generator) -> tuple[int, np.ndarray]:
    """Place of the first OK image that offers a place, and the picture drawn on it."""
    reason = ""
    for scene in scenes:
        for _ in range(_TRIES):
            rng.uniform(*method.severities)  # as the method does
            try:
                return scene.parent, method.control(scene, rng)
            except Void as void:
                reason = str(void)
    raise SynthesisError(
        f"{method.name}: no good part took a control picture ({reason}); change the size, or choose another method for "
        "this product"
    )
