"""DefectFill: an inpainting model learns one defect, and puts it on good parts inside a given mask.

J. Song et al., CVPR 2025, arXiv 2503.13985; numbers from re-implementations, see ``defectfill_training``.

The paper keeps, of 8 candidates, the one that is least like the good part. That is left out: it picks the defects that
are easiest to see, and a threshold chosen on them would look safer than it is. All are kept and their change is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.measures import GREY_LEVEL
from ias_core.synthesis.pretrained import views
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.base import Pretrained, Watch
from ias_core.synthesis.pretrained.finetuned import Finetuned
from ias_core.synthesis.pretrained.placing import names_of
from ias_core.synthesis.pretrained.windows import Window, box_around, resized_mask
from ias_core.synthesis.recipe import LEAST_CHANGE, Draw, Scene

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend

RANK, LORA_ALPHA, DROPOUT = 8, 16, 0.1  # [re]
BATCH, WARM_UP = 4, 100  # [re]
UNET_RATE, TEXT_RATE = 2e-4, 4e-5  # [re]


@synthesizers.register("defectfill")
@dataclass(frozen=True, slots=True)
class DefectFill(Finetuned):
    """The defect of your NG, painted into good parts at a mask.  Family: diffusion, fine-tuned.  Space: image.

    2,000 steps [re] take 20 to 40 min on a GPU with 24 GB (estimate, not measured).
    """

    guidance: float = field(default=7.5, metadata={"min": 1.0, "max": 15.0})  # 7.5 or 2.0: re-implementations disagree
    n_candidates: int = field(default=1, metadata={"min": 1, "max": 8})  # tries at a place until a change shows

    name = "defectfill"
    kinds = ("inpainting",)
    style_of = (
        "No code of the authors is public: the numbers are those of re-implementations, and no candidate is picked for "
        "being plain, as the paper does"
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
    ) -> Adapter:
        """Low-rank adapters on the attention of U-Net and text encoder; good parts take no part in it.

        ``product`` goes into the adapter: prompts are the same when it draws.
        """
        import torch

        from ias_core.synthesis.pretrained import defectfill_training as training
        from ias_core.synthesis.pretrained.finetune import finetune
        from ias_core.synthesis.pretrained.latents import cell_px
        from ias_core.synthesis.pretrained.lora import parts, stored

        cls.check_backend(backend)
        cls.check_sources(sources)
        for source in sources:
            box = box_around(source.mask, side_px=backend.side_px, cell_px=cell_px(backend))
            mask = resized_mask(box.of(source.mask), backend.side_px)
            views.check_cells(mask, cell_px(backend), source.name)
            if mask.all():
                raise SynthesisError(
                    f"{source.name}: its mask covers the whole picture, and nothing is left to fill it from: mark the "
                    "defect alone"
                )
        generator = torch.Generator().manual_seed(seed)
        own = _adapted(backend, generator)
        own.unet.train()
        own.text_encoder.train()

        def loss_of() -> torch.Tensor:
            batch = training.drawn_batch(sources, backend, generator, size=BATCH, cell_px=cell_px(backend))
            found = training.losses(own, batch, product, generator)
            return sum(weight * loss for weight, loss in zip(training.WEIGHTS, found, strict=True))

        unet, text = parts(own.unet), parts(own.text_encoder)
        told = finetune(
            [(list(unet.values()), UNET_RATE), (list(text.values()), TEXT_RATE)],
            loss_of,
            backend,
            steps=steps,
            watch=watch,
            warm_up=WARM_UP,
        )
        told |= views.told(sources, seed) | {"product": product}
        return Adapter(cls.name, backend.digest, stored("unet", unet) | stored("text_encoder", text), told)

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        from ias_core.synthesis.pretrained.defectfill_training import inpainted, object_prompt

        own = self.trained()
        plain = self.unpainted(window, generator)
        for _ in range(self.n_candidates):
            painted = inpainted(
                own,
                window.canvas,
                window.target,
                object_prompt(self.adapter.meta["product"]),
                steps=self.steps,
                guidance=self.guidance,
                generator=generator,
            )
            if np.abs(painted - plain)[window.target].mean() >= LEAST_CHANGE:
                break
        return painted

    def lay(self) -> Backend:
        import torch

        from ias_core.synthesis.pretrained.lora import parts, restore

        own = _adapted(self.backend, torch.Generator())
        restore("unet", parts(own.unet), self.adapter.tensors)
        restore("text_encoder", parts(own.text_encoder), self.adapter.tensors)
        return own

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        """As all; what it changed is told as well, since no candidate is picked by it.

        The mask is one NG's, the look was learned from all of them: they count as one.
        """
        drawn = Pretrained.draw(self, scene, severity, rng)
        change = np.abs(drawn.picture - scene.picture)[drawn.written].mean() / GREY_LEVEL
        names = names_of(self.sources)
        told = {
            "source": names,
            "mask_of": drawn.settings["source"],
            "change_grey_levels": round(float(change), 3),
        }
        return replace(drawn, texture=f"real NG {names}", settings=drawn.settings | told)

    def details(self) -> dict[str, Any]:
        return {"guidance": self.guidance, "trained_steps": self.adapter.meta["steps"]}


def _adapted(backend: Backend, generator: torch.Generator) -> Backend:
    from ias_core.synthesis.pretrained.lora import adapted

    return adapted(backend, rank=RANK, alpha=LORA_ALPHA, generator=generator, text=True, dropout=DROPOUT)
