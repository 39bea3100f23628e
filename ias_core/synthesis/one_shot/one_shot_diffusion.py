"""One-shot transplant: the defect of one real NG on good parts, as it is, or redrawn by a small pixel model.

The project's notes on TF-IDG (ICCV 2025), section 4: what is left of a one-shot diffusion method where no pretrained
weights are at hand. The defect's look comes from a residual collage (B2); a model that knows the product's good parts
may redraw it (B3), of which only the difference is kept (B5, ours). Not TF-IDG: it knows no objects and no materials,
every defect has the look of the one NG, and light is not rendered anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.one_shot.piece import PLACES, changed, collage, cut, drawn, laid
from ias_core.synthesis.one_shot.variation import DILATION, TURNS
from ias_core.synthesis.one_shot.window import reach
from ias_core.synthesis.recipe import Draw, Recipe, Scene

if TYPE_CHECKING:
    from ias_core.synthesis.one_shot.pixel_model import PixelModel


@synthesizers.register("one-shot-diffusion")
@dataclass(frozen=True, slots=True)
class OneShotDiffusion(Recipe):
    """A real NG's defect, added to good parts in other places, sizes and turns.  Family: diffusion.  Space: image.

    The severity is the amplitude: 1 is the defect as it was seen, a half adds half of it. A softness above 0 has the
    pixel model redraw it from that much noise, which makes it fainter and softer, and hardly more diverse.

    sources : of each image one, at random
    model : needed for a softness above 0
    softness : sigma, grey levels of 255; 0: the defect as it is, no model needed
    guidance : lambda, how firmly the redrawing is held to the defect as it is
    place : "part", "near": see ``piece.laid``
    turn : "any", "quarter", "none": see ``variation.Variation``
    """

    sources: tuple[NgSource, ...] = ()
    model: PixelModel | None = None
    softness: float = field(default=0.0, metadata={"min": 0.0, "max": 255.0})
    guidance: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    place: str = field(default="part", metadata={"choices": PLACES})
    turn: str = field(default="any", metadata={"choices": TURNS})

    name = "one-shot-diffusion"
    severities = (0.25, 1.0)
    needs = ("sources",)
    has_control = True

    def __post_init__(self) -> None:
        for value, choices in ((self.place, PLACES), (self.turn, TURNS)):
            if value not in choices:
                raise SynthesisError(f"expected one of {', '.join(choices)}, got {value!r}: choose one of them")
        if not 0 <= self.softness <= 255:
            raise SynthesisError(f"expected a softness in 0 to 255 grey levels, got {self.softness}: 20 is usual")
        if not 0 <= self.guidance <= 1:
            raise SynthesisError(f"expected a guidance in [0, 1], got {self.guidance}: 0.5 is usual")
        if self.softness > 0 and self.model is None:
            raise SynthesisError(
                f"a softness of {self.softness:g} needs a pixel model of this product: train one, or set the softness "
                "to 0"
            )
        for source in self.sources:
            cut(source)  # what cannot be used is refused here, before anything is made

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        if not self.sources:
            raise SynthesisError(f"{self.name} needs a real NG with a mask of its defect: give it one")
        piece = cut(self.sources[rng.integers(len(self.sources))])
        variation = drawn(piece, rng, size_px=scene.size_px, turn=self.turn)
        residual, mask = laid(changed(piece, variation), scene, rng, place=self.place)
        noise_seed = int(rng.integers(2**62))  # drawn without a model as well: one seed, one defect for every softness
        picture, lost = collage(scene.picture, residual, mask, amplitude=severity)
        if self.softness > 0:
            picture = self._redrawn(scene.picture, picture, mask, noise_seed)
            written = reach(mask)
        else:
            written = cv2.dilate(mask.astype(np.uint8), DILATION).astype(bool)
        settings = {
            "source": piece.source,
            "amplitude": severity,
            "scale": variation.scale,
            "angle_degrees": variation.degrees,
            "upside_down": variation.flips[0],
            "mirrored": variation.flips[1],
            "place": self.place,
            "softness": self.softness,
            "guidance": self.guidance,
            "lost_to_clipping": lost,
        }
        return Draw(picture, written, f"real NG {piece.source}", settings)

    def _redrawn(self, picture: np.ndarray, pasted: np.ndarray, mask: np.ndarray, noise_seed: int) -> np.ndarray:
        """(s, s, 3): the good part and what the pixel model makes of the defect on it."""
        import torch  # pages import this module, and do without torch

        from ias_core.synthesis.one_shot.sampling import difference_in_window

        difference = difference_in_window(
            self.model,
            picture,
            pasted,
            mask,
            sigma=self.softness,
            guidance=self.guidance,
            generator=torch.Generator().manual_seed(noise_seed),
        )
        return np.clip(picture + difference, 0, 1)
