"""AnomalyDiffusion (AAAI 2024, arXiv 2312.05767): the look of a defect and its place, learned apart.

Published over a latent diffusion model of 2022 with a BERT text encoder; over Stable Diffusion it is in its style.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.base import NgSource, synthesizers
from ias_core.synthesis.measures import equivalent_diameter_px
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.base import Placed, Pretrained, Watch
from ias_core.synthesis.pretrained.windows import Window
from ias_core.synthesis.recipe import Scene, Void

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend

MASKS = ("real", "generated")
_MASK_SHARE = 0.25  # of the training, for the vectors of the mask generator
_MASK_TRIES = 5
_SCALES = (0.7, 1.3)  # of the NG's size, as an NG's own mask is varied
_VECTORS = "masks"  # name of an adapter's tensor


@synthesizers.register("anomalydiffusion")
@dataclass(frozen=True, slots=True)
class AnomalyDiffusion(Pretrained):
    """Textual and spatial embedding, blended sampling, attention drawn to what still looks good.

    Family: diffusion, pretrained.  Space: image.

    3,000 steps of training at 512 px take 30 to 60 minutes on a GPU of 24 GB, and are out of reach of a CPU; both are
    the specification's estimates, not measured.

    most_weight : upper clamp of the attention's weights; 1: none, the sampling is blended latent diffusion
    structural : the defect changes the part's form: the authors leave the re-weighting out there
    mask_from : "real": the NG's own masks, varied; "generated": forms that a second inversion has learned from them
    """

    most_weight: float = field(default=1.5, metadata={"min": 1.0, "max": 3.0})
    structural: bool = False
    mask_from: str = field(default="real", metadata={"choices": MASKS})

    name = "anomalydiffusion"
    needs = ("sources", "backend", "adapter")
    least_ng = 2  # one place teaches no encoder what a place is
    style_of = "AnomalyDiffusion-style on Stable Diffusion, not the published model"

    def __post_init__(self) -> None:
        if self.mask_from not in MASKS:
            raise SynthesisError(f"expected masks of {' or '.join(MASKS)}, got {self.mask_from!r}: choose one of them")
        if self.most_weight < 1:
            raise SynthesisError(f"expected a largest weight of at least 1, got {self.most_weight}: raise it")

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
        """Three quarters of the steps for the embeddings, the last quarter for the mask generator; ``ok`` is not used.

        Stopped before the last quarter, the embeddings are whole and masks cannot be generated.
        """
        cls.check_backend(backend)
        cls.check_sources(sources)
        from ias_core.synthesis.pretrained.anomaly_embedding import learn_embeddings
        from ias_core.synthesis.pretrained.inversion import in_stage
        from ias_core.synthesis.pretrained.mask_inversion import learn_masks
        from ias_core.synthesis.pretrained.views import told

        for_masks = int(steps * _MASK_SHARE)
        goes_on = True

        def first(step: int, _: int, loss: float) -> bool:
            nonlocal goes_on
            goes_on = watch(step, steps, loss)
            return goes_on

        tensors, about = learn_embeddings(backend, sources, seed=seed, steps=steps - for_masks, watch=first)
        about |= {"asked_steps": steps, "mask_steps": 0}
        if goes_on and for_masks:
            second = in_stage(watch, done=steps - for_masks, steps=steps)
            tensors[_VECTORS], masks = learn_masks(backend, sources, seed=seed, steps=for_masks, watch=second)
            about |= {
                "steps": about["steps"] + masks["steps"],
                "mask_steps": masks["steps"],
                "skipped_steps": about["skipped_steps"] + masks["skipped_steps"],
                "seconds": about["seconds"] + masks["seconds"],
                "mask_loss": masks["loss"],
                "peak_memory_bytes": max(about["peak_memory_bytes"], masks["peak_memory_bytes"]),
            }
        return Adapter(cls.name, backend.digest, tensors, about | told(sources, seed))

    def check(self) -> None:
        Pretrained.check(self)
        if self.mask_from == "generated" and _VECTORS not in self.adapter.tensors:
            raise SynthesisError(
                f"the training of {self.name} was stopped before it came to masks: take those of the NG, or train on"
            )

    def placed(self, scene: Scene, rng: np.random.Generator) -> Placed:
        if self.mask_from == "real":
            return Pretrained.placed(self, scene, rng)
        from ias_core.synthesis.one_shot.piece import Piece, laid
        from ias_core.synthesis.pretrained.placing import names_of, placed_at

        source = self.sources[int(rng.integers(len(self.sources)))]
        form, mask_seed = self._form(rng)
        scale = float(rng.uniform(*_SCALES))
        size_px = scene.size_px or scale * equivalent_diameter_px(source.mask)
        shape = _shaped(form, size_px)
        piece = Piece(source.name, np.zeros((*shape.shape, 3), np.float32), shape, (0.0, 0.0))
        _, mask = laid(piece, scene, rng)
        told = {"source": names_of(self.sources), "size_px": size_px, "mask_seed": mask_seed}
        return placed_at(self, scene, mask, self.box(mask), source, int(rng.integers(2**32)), told)

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        from ias_core.synthesis.pretrained.anomaly_embedding import painted

        return painted(
            self.adapter.tensors,
            window.canvas,
            window.target,
            self.backend,
            steps=self.steps,
            most_weight=1.0 if self.structural else self.most_weight,
            generator=generator,
        )

    def details(self) -> dict[str, Any]:
        return {"mask_from": self.mask_from, "structural": self.structural, "trained_steps": self.adapter.meta["steps"]}

    def _form(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """(w, w) bool, a generated mask, and the seed it came from; Void where five in a row are not usable."""
        import torch

        from ias_core.synthesis.pretrained.mask_inversion import generated, usable

        for _ in range(_MASK_TRIES):
            seed = int(rng.integers(2**32))
            generator = torch.Generator().manual_seed(seed)
            form = generated(self.adapter.tensors[_VECTORS], self.backend, generator=generator)
            if usable(form):
                return form, seed
        raise Void(f"{_MASK_TRIES} generated masks were empty or touched more than a third of a side")


def _shaped(form: np.ndarray, size_px: float) -> np.ndarray:
    """(h, w) bool: what is in the mask, at the asked equivalent diameter, with a rim of 2 px around it."""
    import cv2

    left, top, width, height = cv2.boundingRect(form.astype(np.uint8))
    cut = form[top : top + height, left : left + width].astype(np.float32)
    factor = size_px / equivalent_diameter_px(form)
    to = (max(1, round(width * factor)), max(1, round(height * factor)))
    smaller = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.pad(cv2.resize(cut, to, interpolation=smaller) >= 0.5, 2)
