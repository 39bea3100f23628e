"""A target that does not come from an NG's own mask, made ready to be drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.synthesis.pretrained.base import Placed
from ias_core.synthesis.pretrained.windows import Box, Window, resized, resized_mask

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.base import Pretrained
    from ias_core.synthesis.recipe import Scene


def names_of(sources: Sequence[NgSource]) -> str:
    """One name for all of them: what was learned from several and shows none in particular counts as one NG."""
    return " + ".join(source.name for source in sources)


def placed_at(
    method: Pretrained, scene: Scene, mask: np.ndarray, box: Box, source: NgSource, seed: int, told: dict[str, Any]
) -> Placed:
    """The window on this target, for methods that look at neither collage nor reference: the good part stands there.

    Parameters
    ----------
    mask : (s, s) bool
        The target.
    box : Box
        The square of the scene that the model sees.
    told : dict
        What was drawn; window and seed are added.
    """
    side = method.backend.side_px
    canvas = resized(box.of(scene.picture), side)
    target = resized_mask(box.of(mask), side)
    window = Window(canvas=canvas, target=target, collage=canvas, reference=canvas, reference_mask=target)
    return Placed(source, box, window, mask, seed, told | {"window_px": box.side, "noise_seed": seed})
