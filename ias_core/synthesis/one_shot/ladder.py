"""One and the same defect from faint to plain and from sharp to soft: what the two dials of the transplant do.

The project's notes on TF-IDG, section 4, B5 and B6: amplitude and sigma as axes of severity.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import is_grey
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.one_shot.one_shot_diffusion import OneShotDiffusion
from ias_core.synthesis.recipe import Scene, Void, shown

_TRIES = 20


def ladder(
    method: OneShotDiffusion,
    images: np.ndarray,
    *,
    seed: int,
    severities: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0),
    softnesses: tuple[float, ...] = (0.0,),
    size_px: float | None = None,
    foregrounds: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """One defect in the same place and geometry, at every severity and softness.

    Parameters
    ----------
    images : ndarray of shape (n, s, s, 3)
        OK images, float32 in [0, 1]; the first one with a place for it is used.
    softnesses : floats
        sigma in grey levels; those above 0 need ``method.model``.

    Returns
    -------
    pictures : ndarray of shape (len(softnesses), len(severities), s, s, 3)
        float32.
    parent : int
        Place of the OK image they are drawn on.

    Raises
    ------
    SynthesisError
        No OK image has a place, or a softness without a model.
    """
    grey, textures, reason = is_grey(images), MadeTextures(), ""
    methods = [replace(method, softness=softness) for softness in softnesses]
    for parent in range(len(images)):
        scene = Scene(images, parent, None if foregrounds is None else foregrounds[parent], size_px, textures)
        for child in np.random.SeedSequence((seed, parent)).spawn(_TRIES):
            try:  # whether a draw is void is the same at every severity and softness
                rows = [[one.draw(scene, step, np.random.default_rng(child)) for step in severities] for one in methods]
            except Void as void:
                reason = str(void)
            else:
                return np.array([[shown(one, scene, grey=grey) for one in row] for row in rows]), parent
    raise SynthesisError(f"{method.name}: no good part has a place for this defect ({reason}); change its size or turn")
