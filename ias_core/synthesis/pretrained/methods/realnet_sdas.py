"""RealNet's SDAS at full scale (CVPR 2024, arXiv 2403.05897): the whole part drawn with too much noise per step.

Needs no NG. The published model is an ADM U-Net of 256 px from ImageNet weights, 48 hours on four A40 over all classes,
with a learned variance. Two kinds of weights come near it. A small pixel model of good parts (diffusers' UNet2DModel in
a folder with its scheduler, see ``unconditional``) is the same method without the learned variance; Stable Diffusion
with an empty prompt never saw the part, and only says what pictures look like.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.synthesis import shapes
from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.handcrafted.perlin_mask import grown
from ias_core.synthesis.handcrafted.turn import turned
from ias_core.synthesis.perlin import MAX_LOG_SCALE, perlin_field
from ias_core.synthesis.pretrained.base import Placed, Pretrained
from ias_core.synthesis.pretrained.unconditional import FAMILY, KIND
from ias_core.synthesis.pretrained.windows import Box, Window
from ias_core.synthesis.recipe import LEAST_AREA_PX, Draw, Scene, Void

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend

_THRESHOLD = 0.5  # of the Perlin field, as published
_STARTS = {"min": 0.05, "max": 1.0}


@synthesizers.register("realnet-sdas")
@dataclass(frozen=True, slots=True)
class RealNetSdas(Pretrained):
    """A Perlin region of a part drawn with excess noise.  Family: diffusion, pretrained.  Space: image.

    out = (1 - M) I + M (d A + (1 - d) I), M = Perlin and part, d the severity, published in [0.5, 1].

    excess_min, excess_max : s, drawn for each image. Published is 0.1 to 0.2, from pure noise and without difference;
        in a difference that cannot be seen, so the range is that of ``sdas``, as measured for its small model
    start : share of the schedule that a good part is noised to before it is drawn again; published is 1, pure noise,
        which only a model of this very part can turn into one
    difference : add what the excess alone changed, against the pass with none from the same random numbers, so that
        the model's own errors are no defects; ours. Published is to paste the picture (off)
    eta : share of the ancestral step's noise; 0, a deterministic sampler, is refused
    """

    steps: int = field(default=20, metadata={"min": 1, "max": 1000})
    excess_min: float = field(default=2.0, metadata={"min": 0.0, "max": 16.0})
    excess_max: float = field(default=16.0, metadata={"min": 0.0, "max": 16.0})
    start: float = field(default=0.5, metadata=_STARTS)
    difference: bool = True
    eta: float = field(default=1.0, metadata=_STARTS)

    name = "realnet-sdas"
    severities = (0.5, 1.0)
    needs = ("backend",)
    kinds = ("text-to-image", KIND)
    families = ("sd", FAMILY)
    least_ng = 0
    style_of = (
        "RealNet-style: excess noise per step over the weights at hand; the published model was trained on good parts "
        "for two days and learned its variance, and Stable Diffusion has seen no part of yours"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.excess_min <= self.excess_max:
            raise SynthesisError(
                f"expected a range of excess noise with 0 <= smallest <= largest, got {self.excess_min} to "
                f"{self.excess_max}"
            )
        if not 0 < self.start <= 1:
            raise SynthesisError(f"expected a start in (0, 1], got {self.start}: 1 is pure noise")
        if not 0 < self.eta <= 1:
            raise SynthesisError(
                f"expected a share of noise (eta) above 0 and up to 1, got {self.eta}: a deterministic sampler has no "
                "noise that could be too much"
            )

    @classmethod
    def check_backend(cls, backend: Backend) -> None:
        """See ``Pretrained``, which words this for weights that take a prompt."""
        if (backend.kind, backend.family) not in zip(cls.kinds, cls.families, strict=True):
            raise WeightsUnavailable(
                f"{cls.name} needs a model of pixels without a prompt (DDPM), or Stable Diffusion 1.x or 2.x for text "
                f"to image, loaded is {backend.kind} ({backend.family}): load others, or choose another method"
            )
        if "ip-adapter" in backend.extras:
            raise WeightsUnavailable(f"{cls.name} cannot draw with an IP-Adapter loaded: load the weights without")

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        excess = float(rng.uniform(self.excess_min, self.excess_max))
        found = Pretrained.draw(replace(self, excess_min=excess, excess_max=excess), scene, severity, rng)
        return replace(found, texture="excess noise")

    def placed(self, scene: Scene, rng: np.random.Generator) -> Placed:
        """The whole picture, since whole pictures are what such a model draws."""
        from ias_core.synthesis.pretrained.placing import placed_at

        mask, told = _region(scene, rng)
        none = NgSource("none", scene.picture, mask)  # stands where other methods have a real NG
        return placed_at(self, scene, mask, Box(0, 0, scene.side), none, int(rng.integers(2**32)), told)

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        return self._redrawn(window, generator, self.excess_max)

    def unpainted(self, window: Window, generator: torch.Generator) -> np.ndarray:
        """The pass without excess; as published, the part itself, which the painted picture is to replace."""
        return self._redrawn(window, generator, 0.0) if self.difference else window.canvas

    def control(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """The pass without excess, in either way of blending: whether the model can draw a good part at all."""
        rng.uniform(self.excess_min, self.excess_max)  # as ``draw`` begins
        return Pretrained.control(replace(self, difference=True), scene, rng)

    def details(self) -> dict[str, Any]:
        return {"excess": self.excess_max, "start": self.start, "difference": self.difference, "eta": self.eta}

    def _redrawn(self, window: Window, generator: torch.Generator, excess: float) -> np.ndarray:
        from ias_core.synthesis.pretrained.excess_noise import redrawn

        return redrawn(
            window.canvas,
            self.backend,
            steps=self.steps,
            start=self.start,
            excess=excess,
            eta=self.eta,
            generator=generator,
        )


def _region(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
    """(s, s) bool, a Perlin field above its threshold, on the part; of the asked area, where one is asked for."""
    scales = tuple(int(2 ** rng.integers(MAX_LOG_SCALE + 1)) for _ in range(2))
    degrees = float(rng.uniform(-90, 90))
    height = turned(perlin_field(scene.side, scales, rng), degrees)
    told = {"scales": list(scales), "degrees": degrees}
    if scene.size_px is not None:
        return grown(height, shapes.area_px(scene.size_px), scene.foreground), told
    mask = height > _THRESHOLD
    mask = mask if scene.foreground is None else mask & scene.foreground
    if np.count_nonzero(mask) < LEAST_AREA_PX:
        raise Void("the noise stayed below its threshold on the part")
    return mask, told
