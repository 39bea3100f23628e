"""What the methods share that draw the whole part, defect and all, and say themselves where the defect is.

The papers use the drawn pictures as they are. Then no pixel of the user's part is left, and a detector scores the
drawing of the good surface along with the defect. Here the part is drawn twice from the same noise, with a defect and
without, and the difference comes on a real good part inside the mask: ours, after section 4, B5 of tf-idg.md. Imports
without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, is_grey
from ias_core.synthesis.measures import GREY_LEVEL
from ias_core.synthesis.pretrained.finetuned import Finetuned
from ias_core.synthesis.pretrained.placing import names_of
from ias_core.synthesis.pretrained.windows import opacity_of, resized, resized_mask
from ias_core.synthesis.recipe import Draw, Scene, shown

if TYPE_CHECKING:
    import torch

MOST_COVERED = 0.6  # dualanodiff.md: more of the picture is no defect
TRIES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One part drawn twice from the same noise.

    painted, plain : (w, w, 3) float32   with the defect and without, in [0, 1]
    mask : (w, w) bool                   where the method says the defect is
    told : dict                          what else to tell, JSON-ready
    """

    painted: np.ndarray
    plain: np.ndarray
    mask: np.ndarray
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Whole(Finetuned):
    """Base of methods that draw the whole part; a subclass defines ``pair``.

    Every picture is made from all sources at once, so they count as one NG. The one that it is nearest to is told too:
    a small distance is memorisation.
    """

    has_size = False
    whole: ClassVar[bool] = True

    def pair(self, canvas: np.ndarray, generator: torch.Generator) -> Pair:
        """The whole part at the backend's side, drawn for an OK one (w, w, 3). Runs without gradients."""
        raise NotImplementedError

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        """The difference of a pair inside its mask, on the OK part; opacity, and nothing else, is the severity."""
        pair, seed, discarded = self._drawn(scene, rng)
        opacity = opacity_of(resized_mask(pair.mask, scene.side))
        change = resized(pair.painted - pair.plain, scene.side)
        picture = np.clip(scene.picture + np.float32(severity) * opacity[..., None] * change, 0, 1)
        name, distance = nearest(resized(pair.painted, scene.side), self.sources)
        names = names_of(self.sources)
        told = {
            "source": names,
            "nearest_ng": name,
            "nearest_ng_grey_levels": round(distance, 2),
            "noise_seed": seed,
            "steps": self.steps,
            "opacity": severity,
            "discarded": discarded,
        }
        return Draw(picture, opacity > 0, f"real NG {names}", told | pair.told | self.details())

    def control(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """See ``Pretrained.control``: the part as drawn without a defect, pasted where the mask of its pair lies."""
        pair, _, _ = self._drawn(scene, rng)
        opacity = opacity_of(resized_mask(pair.mask, scene.side))
        picture = scene.picture + opacity[..., None] * (resized(pair.plain, scene.side) - scene.picture)
        return shown(Draw(picture, opacity > 0, "none"), scene, grey=is_grey(scene.images))

    def _drawn(self, scene: Scene, rng: np.random.Generator) -> tuple[Pair, int, int]:
        """The first pair with a mask that can be a defect's, its seed, and how many came before it.

        Raises
        ------
        SynthesisError
            None of 10 had one.
        """
        import torch

        self.check()
        canvas = resized(scene.picture, self.backend.side_px)
        shares = []
        for seed in rng.integers(2**32, size=TRIES).tolist():
            with torch.no_grad():
                pair = self.pair(canvas, torch.Generator().manual_seed(seed))
            share = float(pair.mask.mean())
            if 0 < share <= MOST_COVERED:
                return pair, seed, len(shares)
            shares.append(share)
        empty = shares.count(0.0)
        raise SynthesisError(
            f"{self.name}: of {TRIES} drawn parts {empty} had no defect and {TRIES - empty} one over more than "
            f"{100 * MOST_COVERED:.0f} % of the picture; train longer, or choose another method"
        )


def nearest(picture: np.ndarray, sources: tuple[NgSource, ...]) -> tuple[str, float]:
    """Name of the NG that a picture (s, s, 3) is most like, and the root mean square difference in grey levels.

    The check for memorisation of dualanodiff.md: far below the distance between two of the NG, it is a copy.
    """
    distances = [float(np.sqrt(np.mean((picture - source.image) ** 2))) / GREY_LEVEL for source in sources]
    best = int(np.argmin(distances))
    return sources[best].name, distances[best]


def otsu(values: np.ndarray) -> np.ndarray:
    """(h, w) bool: above the threshold that N. Otsu (1979) would choose, on values (h, w) in [0, 1] at 8 bit.

    Empty where no two values differ.

    Examples
    --------
    >>> otsu(np.array([[0.1, 0.1, 0.8]]))
    array([[False, False,  True]])
    >>> otsu(np.full((1, 3), 0.4)).any()
    np.False_
    """
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    if levels.min() == levels.max():
        return np.zeros(values.shape, bool)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return levels > threshold
