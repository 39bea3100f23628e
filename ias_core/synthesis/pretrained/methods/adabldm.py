"""AdaBLDM (arXiv 2402.19330): a ControlNet told by a trimap where the defect is, then blended latent diffusion.

The survey of the field cites it as 2403.10011. The released code trains one network for all types of a product; here
it is trained on the NG that are given.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.base import Placed, Pretrained, Watch
from ias_core.synthesis.pretrained.windows import Window, resized_mask
from ias_core.synthesis.recipe import Scene

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend


@synthesizers.register("adabldm")
@dataclass(frozen=True, slots=True)
class AdaBldm(Pretrained):
    """Trimap, ControlNet, three phases of blending.  Family: diffusion, pretrained.  Space: image.

    A ControlNet usually takes thousands of steps; the published few hundred under-fit one product (the specification's
    judgement). It has 361 million weights for Stable Diffusion 1.5: about 6 GB beside the U-Net while it is trained,
    and a file of 0.7 or 1.4 GB (reckoned, not measured).

    guidance : of the prompt, published
    free_until, blend_until : shares of the steps that end the phase without blending, and that of latents; published
        25 and 45 of 50. Re-encoding pixels earlier puts the autoencoder's noise into the picture
    adapt_steps : steps of fitting the decoder to each picture, published 200; 0: none. About 20 to 40 s at 512 px on a
        data-centre GPU (the specification's estimate), for a softer seam: what surrounds the defect is the good part's
        own in any case
    """

    guidance: float = field(default=9.0, metadata={"min": 1.0, "max": 20.0})
    free_until: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    blend_until: float = field(default=0.9, metadata={"min": 0.0, "max": 1.0})
    adapt_steps: int = field(default=0, metadata={"min": 0, "max": 1000})

    name = "adabldm"
    needs = ("sources", "backend", "adapter")

    def __post_init__(self) -> None:
        if not 0 <= self.free_until <= self.blend_until <= 1:
            raise SynthesisError(
                f"expected phases that end in order within [0, 1], got {self.free_until} and {self.blend_until}"
            )

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
        product: str = "part",
        defect: str = "defect",
    ) -> Adapter:
        """A ControlNet on close-ups of the NG; ``ok`` is not used. The words are kept, so that it draws with them."""
        cls.check_backend(backend)
        cls.check_sources(sources)
        from ias_core.foreground import find_part
        from ias_core.synthesis.pretrained.trimap_control import learn_control
        from ias_core.synthesis.pretrained.views import told

        prompt = f"a {product} with a {defect}"
        parts = [find_part(source.image).mask for source in sources]
        tensors, about = learn_control(backend, sources, parts, prompt, seed=seed, steps=steps, watch=watch)
        return Adapter(cls.name, backend.digest, tensors, about | told(sources, seed) | {"prompt": prompt})

    def placed(self, scene: Scene, rng: np.random.Generator) -> Placed:
        """As all, on the part alone: where no part is told, the one that is found in the picture."""
        from ias_core.foreground import find_part
        from ias_core.synthesis.pretrained.trimap import PartWindow

        part = find_part(scene.picture).mask if scene.foreground is None else scene.foreground
        placed = Pretrained.placed(self, replace(scene, foreground=part), rng)
        seen = placed.window
        # a part that is shrunk covers no less than a mask on it that is
        on_part = resized_mask(placed.box.of(part), len(seen.canvas))
        window = PartWindow(seen.canvas, seen.target, seen.collage, seen.reference, seen.reference_mask, on_part)
        return replace(placed, window=window)

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        from ias_core.synthesis.pretrained.trimap_control import painted, trained

        latent = painted(
            trained(self.backend, self.adapter.tensors),
            window,
            window.target,
            self.adapter.meta["prompt"],
            self.backend,
            steps=self.steps,
            guidance=self.guidance,
            free_until=self.free_until,
            blend_until=self.blend_until,
            generator=generator,
        )
        return self._decoded(latent, window.canvas, window.target)

    def unpainted(self, window: Window, generator: torch.Generator) -> np.ndarray:
        """The canvas's latent, decoded as a painted one is."""
        from ias_core.synthesis.pretrained.latents import encode, to_pixels

        latent = encode(to_pixels(window.canvas, self.backend.side_px, self.backend), self.backend)
        return self._decoded(latent, window.canvas, np.zeros_like(window.target))

    def details(self) -> dict[str, Any]:
        return {"guidance": self.guidance, "trained_steps": self.adapter.meta["steps"]}

    def _decoded(self, latent: torch.Tensor, canvas: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(w, w, 3) in [0, 1]."""
        from ias_core.synthesis.pretrained.latents import decode, to_picture
        from ias_core.synthesis.pretrained.trimap_control import decoded_adapted

        if self.adapt_steps:
            return decoded_adapted(latent, canvas, target, self.backend, steps=self.adapt_steps)
        return to_picture(decode(latent, self.backend), len(canvas))
