"""DualAnoDiff: the part and its defect alone are drawn side by side, each knowing of the other.

Y. Jin et al., "Dual-Interrelated Diffusion Model for Few-Shot Anomaly Image Generation", CVPR 2025, arXiv 2408.13509;
numbers of a public fork [fork], see ``dualanodiff_training``.
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

RATE, BATCH = 2e-5, 4  # [fork]


@synthesizers.register("dualanodiff")
@dataclass(frozen=True, slots=True)
class DualAnoDiff(Whole):
    """Part and defect invented together, so that the mask fits.  Family: diffusion, fine-tuned.  Space: image.

    5,000 steps [fork] take 1 to 1.5 h on a GPU with 24 GB, a picture of 100 steps 8 to 15 s, and as long again for its
    twin without a defect (estimates, not measured).
    """

    steps: int = field(default=100, metadata={"min": 1, "max": 1000})  # [fork]
    guidance: float = field(default=2.5, metadata={"min": 1.0, "max": 15.0})  # [fork]

    name = "dualanodiff"
    style_of = (
        "In the style of DualAnoDiff: the mask by a threshold in place of a saliency network, a narrower coupling, and "
        "the defect is put on your own good part; with few NG it repeats them"
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
    ) -> Adapter:
        """Adapters and couplings on pairs of an NG and its defect alone; good parts take no part in it."""
        import torch

        from ias_core.synthesis.pretrained import dualanodiff_training as training
        from ias_core.synthesis.pretrained.finetune import finetune
        from ias_core.synthesis.pretrained.lora import stored

        cls.check_backend(backend)
        cls.check_sources(sources)
        generator = torch.Generator().manual_seed(seed)
        own = training.untrained(backend, generator)
        fill = training.fill_of(sources)
        pairs = training.pairs(sources, fill, backend)

        def loss_of() -> torch.Tensor:
            drawn = torch.randint(len(pairs), (BATCH,), generator=generator)
            return training.loss(own, pairs[drawn], generator)

        weights = training.trained_weights(own)
        groups = [(list(part.values()), RATE) for part in weights.values()]
        told = finetune(groups, loss_of, backend, steps=steps, watch=watch)
        told |= views.told(sources, seed) | {"fill": fill.tolist()}
        if len(sources) < views.FEW_NG:
            told["note"] = f"learned from {len(sources)} real NG: it will reproduce the given images"
        tensors = {name: one for part, found in weights.items() for name, one in stored(part, found).items()}
        return Adapter(cls.name, backend.digest, tensors, told)

    def pair(self, canvas: np.ndarray, generator: torch.Generator) -> Pair:
        """The OK part is not looked at: what is drawn is invented."""
        from ias_core.synthesis.pretrained.dualanodiff_training import sampled

        fill = np.array(self.adapter.meta["fill"], np.float32)
        return sampled(self.trained(), fill, steps=self.steps, guidance=self.guidance, generator=generator)

    def lay(self) -> Backend:
        import torch

        from ias_core.synthesis.pretrained.dualanodiff_training import trained_weights, untrained
        from ias_core.synthesis.pretrained.lora import restore

        own = untrained(self.backend, torch.Generator())
        for part, weights in trained_weights(own).items():
            restore(part, weights, self.adapter.tensors)
        return own

    def details(self) -> dict[str, Any]:
        return {"guidance": self.guidance, "trained_steps": self.adapter.meta["steps"]}
