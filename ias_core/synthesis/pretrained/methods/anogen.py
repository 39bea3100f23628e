"""AnoGen (ECCV 2024): one learned word for a defect, painted into boxes on good parts.

Published over a latent diffusion model of 2022 with a BERT text encoder; over Stable Diffusion it is in its style. Its
detector, which is told the box alone, is left out: here the label is what changed, measured afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.base import Placed, Pretrained, Watch
from ias_core.synthesis.pretrained.windows import Window
from ias_core.synthesis.recipe import Draw, Scene

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend

_VECTOR = "vector"  # name of the adapter's tensor
_SHARE = {"min": 0.01, "max": 1.0}


@synthesizers.register("anogen")
@dataclass(frozen=True, slots=True)
class AnoGen(Pretrained):
    """Textual inversion of one vector, latent blending inside a box.  Family: diffusion, pretrained.  Space: image.

    3,000 steps of training at 512 px take 10 to 20 minutes on a GPU of 24 GB (the specification's estimate, not
    measured); 6,000 over-fit three NG.

    guidance_min, guidance_max : each image draws its own; published is 10 for all, which makes plain defects only. That
        more guidance makes stronger ones is not verified: the drawn value is told, to be held against the scores
    height_min, ... : sides of the box in shares of the picture; where a size is asked for, only their ratio counts
    swapped : height and width change places half of the time
    """

    guidance_min: float = field(default=2.0, metadata={"min": 1.0, "max": 20.0})
    guidance_max: float = field(default=10.0, metadata={"min": 1.0, "max": 20.0})
    height_min: float = field(default=0.05, metadata=_SHARE)
    height_max: float = field(default=0.1, metadata=_SHARE)
    width_min: float = field(default=0.05, metadata=_SHARE)
    width_max: float = field(default=0.1, metadata=_SHARE)
    swapped: bool = True

    name = "anogen"
    needs = ("sources", "backend", "adapter")
    style_of = "AnoGen-style on Stable Diffusion, not the published model"

    def __post_init__(self) -> None:
        check_range("guidances", self.guidance_min, self.guidance_max)
        check_range("heights", self.height_min, self.height_max)
        check_range("widths", self.width_min, self.width_max)
        if max(self.height_max, self.width_max) > 1:
            raise SynthesisError("expected a box within the picture, got a side above 1 of it: make it smaller")

    @classmethod
    def fit(
        cls,
        backend: Backend,
        sources: tuple[NgSource, ...],
        ok: np.ndarray,
        *,
        seed: int,
        steps: int,
        watch: Watch,
    ) -> Adapter:
        """One vector, on close-ups of the NG; ``ok`` is not used."""
        cls.check_backend(backend)
        cls.check_sources(sources)
        from ias_core.synthesis.pretrained.learned_word import learn_word
        from ias_core.synthesis.pretrained.views import told

        vector, about = learn_word(backend, sources, seed=seed, steps=steps, watch=watch)
        return Adapter(cls.name, backend.digest, {_VECTOR: vector}, about | told(sources, seed))

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        guidance = float(rng.uniform(self.guidance_min, self.guidance_max))
        found = Pretrained.draw(replace(self, guidance_min=guidance, guidance_max=guidance), scene, severity, rng)
        return replace(found, texture=f"real NG {found.settings['source']}")

    def control(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        rng.uniform(self.guidance_min, self.guidance_max)  # as ``draw`` begins
        return Pretrained.control(self, scene, rng)

    def placed(self, scene: Scene, rng: np.random.Generator) -> Placed:
        from ias_core.synthesis.pretrained.boxes import drawn_box
        from ias_core.synthesis.pretrained.placing import names_of, placed_at

        shares = ((self.height_min, self.height_max), (self.width_min, self.width_max))
        box = drawn_box(scene, rng, shares=shares, swapped=self.swapped)
        mask = box.mask(scene.side)
        told = {
            "source": names_of(self.sources),
            "box": [box.top, box.left, box.height, box.width],
            "box_on_part": box.on_part,
        }
        return placed_at(self, scene, mask, self.box(mask), self.sources[0], int(rng.integers(2**32)), told)

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        from ias_core.synthesis.pretrained.learned_word import painted

        return painted(
            self.adapter.tensors[_VECTOR],
            window.canvas,
            window.target,
            self.backend,
            steps=self.steps,
            guidance=self.guidance_max,
            generator=generator,
        )

    def details(self) -> dict[str, Any]:
        return {"guidance": self.guidance_max, "trained_steps": self.adapter.meta["steps"]}
