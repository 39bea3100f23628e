"""SDAS-lite: too much noise per step of a small diffusion model that knows good parts alone.

X. Zhang, M. Xu, X. Zhou, "RealNet", CVPR 2024: strength-controllable diffusion anomaly synthesis. Theirs draws whole
pictures of 256 px with a net trained for days; here a model of minutes redraws a window of a good part, after the
project's notes on RealNet, "SDAS-lite". Faithful in mechanism, small in scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis import shapes
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.graded import each_px, put
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.measures import surrounding_noise
from ias_core.synthesis.one_shot.window import around, placed
from ias_core.synthesis.recipe import Draw, Recipe, Scene

if TYPE_CHECKING:
    from ias_core.synthesis.one_shot.pixel_model import PixelModel

MOST_STRENGTH = 16.0  # the notes' useful range; the published 0.1 to 0.2 is of whole pictures and cannot be seen here
START_SIGMA = 40.0
_GROWN = np.ones((5, 5), np.uint8)


@synthesizers.register("sdas")
@dataclass(frozen=True, slots=True)
class Sdas(Recipe):
    """A spot or blot of excess grain whose strength is a dial.  Family: diffusion.  Space: image.

    An axis from OK to NG, not realism: what it draws is little different from added noise of the same amplitude. The
    severity is s / 16, s being the excess of the noise's variance; 0 is the good part itself. Compare products by
    ``change_to_noise`` of the drawn values (mean change over the part's own noise), not by s.

    model : trained on good parts alone
    """

    model: PixelModel | None = None
    size_min_px: float = field(default=10.0, metadata={"min": 2.0, "max": 128.0})  # the smallest dot of H13, at 256 px
    size_max_px: float = field(default=40.0, metadata={"min": 2.0, "max": 128.0})  # larger ones outgrow the window

    name = "sdas"
    severities = (2 / MOST_STRENGTH, 1.0)
    needs = ("model",)
    has_control = True

    def __post_init__(self) -> None:
        check_range("sizes", self.size_min_px, self.size_max_px)
        if self.model is None:
            return
        if self.model.meta.get("ng"):
            raise SynthesisError(
                f"{self.name} needs a pixel model that saw good parts alone, this one also saw "
                f"{len(self.model.meta['ng'])} NG: train one without them"
            )
        if self.model.trouble:
            raise SynthesisError(self.model.trouble)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        if self.model is None:
            raise SynthesisError(f"{self.name} needs a pixel model of this product: train one")
        size_px = each_px(scene, rng.uniform(self.size_min_px, self.size_max_px), 1)
        blot = bool(rng.integers(2))
        (mask,), _ = put(scene, rng, (shapes.free_form if blot else shapes.dot)(size_px, rng)[0])
        strength = MOST_STRENGTH * severity
        change = self._excess(scene.picture, mask, strength, int(rng.integers(2**62)))
        picture = np.clip(scene.picture + change, 0, 1)
        reached = float(np.abs((picture - scene.picture).mean(2))[mask].mean())
        settings = {
            "strength": strength,
            "start_sigma": START_SIGMA,
            "size_px": size_px,
            "shape": "free form" if blot else "dot",
            "change_to_noise": reached / surrounding_noise(scene.picture, mask),
        }
        return Draw(picture, cv2.dilate(mask.astype(np.uint8), _GROWN).astype(bool), "excess noise", settings)

    def _excess(self, picture: np.ndarray, mask: np.ndarray, strength: float, noise_seed: int) -> np.ndarray:
        """(s, s, 3): what the excess adds to the good part; 0 at strength 0."""
        import torch  # pages import this module, and do without torch

        from ias_core.synthesis.one_shot.sampling import overnoised

        window = around(mask, self.model.window_px)
        edit = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1)
        difference = overnoised(
            self.model,
            window.reduced(picture),
            window.reduced(edit),
            strength=strength,
            sigma=START_SIGMA,
            generator=torch.Generator().manual_seed(noise_seed),
        )
        return placed(difference, window, edit, mask)
