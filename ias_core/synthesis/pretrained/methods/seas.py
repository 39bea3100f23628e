"""SeaS: one diffusion model learns the part by one word and its defect by four, and draws the part with and without.

Z. Dai et al., "SeaS: Few-shot Industrial Anomaly Image Generation with Separation and Sharing Fine-tuning", ICCV 2025,
arXiv 2410.14987. The loss is in ``seas_binding``, the mask in ``seas_mask``, training and sampling in
``seas_training``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.pretrained import views
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.base import Watch
from ias_core.synthesis.pretrained.whole import Pair, Whole

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.seas_training import Trained


@synthesizers.register("seas")
@dataclass(frozen=True, slots=True)
class Seas(Whole):
    """Your part drawn again with a defect like those of your NG.  Family: diffusion, fine-tuned.  Space: image.

    800 steps, once for the words and once for the mask, take about half an hour on a data-centre GPU; trained in full
    it needs 14 to 22 GB there, with low-rank adapters 12 GB (estimates, not measured).
    """

    steps: int = field(default=25, metadata={"min": 2, "max": 1000})
    guidance: float = field(default=8.0, metadata={"min": 1.0, "max": 15.0})
    # of the noise that the OK part starts from; the repository's add_noise_step was not traced: the default of
    # image-to-image in diffusers
    strength: float = field(default=0.8, metadata={"min": 0.1, "max": 1.0})

    name = "seas"
    least_ng = 2
    style_of = (
        "In the style of SeaS: low-rank adapters unless the whole U-Net is trained, one type of defect, and the defect "
        "is put on your own good part"
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
        full: bool = False,
    ) -> Adapter:
        """``steps`` of the words and the U-Net, then as many of the mask network: ``watch`` counts both.

        ``full`` trains the whole U-Net, as the paper does, and needs a GPU for it.
        """
        from ias_core.synthesis.pretrained.seas_training import trained

        cls.check_backend(backend)
        cls.check_sources(sources)
        tensors, told = trained(backend, sources, ok, seed=seed, steps=steps, watch=watch, full=full)
        return Adapter(cls.name, backend.digest, tensors, told | views.told(sources, seed))

    def pair(self, canvas: np.ndarray, generator: torch.Generator) -> Pair:
        from ias_core.synthesis.pretrained.seas_training import sampled

        return sampled(
            self.trained(),
            canvas,
            strength=self.strength,
            guidance=self.guidance,
            steps=self.steps,
            mask_known=self.adapter.meta["mask_steps"] > 0,
            generator=generator,
        )

    def lay(self) -> Trained:
        from ias_core.synthesis.pretrained.seas_training import restored

        return restored(self.backend, self.adapter.tensors, self.adapter.meta)

    def details(self) -> dict[str, Any]:
        meta = self.adapter.meta
        return {"guidance": self.guidance, "strength": self.strength, "trained_steps": meta["steps"]} | {
            key: meta[key] for key in ("full", "mask_steps")
        }
