"""TF-IDG (ICCV 2025) over Stable Diffusion weights: training-free, one real NG in, its kind of defect on good parts.

The project's notes on TF-IDG, section 3; the paper's text was not at hand, its public code was, and what that gets
wrong is not copied (section 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.pretrained.base import Pretrained

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.windows import Window


@synthesizers.register("tf-idg")
@dataclass(frozen=True, slots=True)
class TfIdg(Pretrained):
    """An NG's residual, noised and redrawn by the weights, held to the NG's look.  Family: diffusion.  Space: image.

    The published method is AnyDoor with DINOv2-g, which nobody has beside a detector; this is in its style. Which tier
    runs is told with each image, and follows from the weights:

    A1  inpainting weights (Stable Diffusion, or XL with either U-Net): the collage is where denoising starts
    A2  with an IP-Adapter: the NG's crop as a picture prompt as well
    A3  Paint-by-Example: the NG's crop as the example, from pure noise
    A4  with a ControlNet for edges: the collage's edges as the hint
    A5  plain 4-channel weights: blended latents, guidance by features with the adaptive mask, moments of the OK latent

    A1, A2, A4 and A5 look at the OK pass's keys and values in the second half of their steps. That holds them in memory
    in between: about 1 GB for Stable Diffusion 1.5 in float32, half of it in half precision, at 50 steps.

    strength : share of the schedule that is denoised; 0 gives the collage through the autoencoder. 0.3 to 0.7 is a rule
        of thumb that was not tested; A3 has none.
    guidance_scale : of the prompt (A3: the example) against none, as published; 1 to leave it out
    """

    strength: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    guidance_scale: float = field(default=3.5, metadata={"min": 1.0, "max": 15.0})

    name = "tf-idg"
    kinds = ("inpainting", "text-to-image")
    families = ("sd", "sdxl")
    extras = ("controlnet", "ip-adapter", "paint-by-example")
    style_of = (
        "In the style of TF-IDG: published with AnyDoor and DINOv2-g, here its guidance, adaptive mask and shared "
        "attention run on Stable Diffusion weights; with inpainting weights their own conditioning replaces the first "
        "two."
    )

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise SynthesisError(f"expected a strength in [0, 1], got {self.strength}: 0.3 to 0.7 is usual")
        if not self.guidance_scale >= 1:
            raise SynthesisError(f"expected a guidance scale of at least 1, got {self.guidance_scale}: 3.5 is usual")

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        return self._passes(window).both(_seed(generator))[0]

    def unpainted(self, window: Window, generator: torch.Generator) -> np.ndarray:
        return self._passes(window).plain(_seed(generator))

    def both(self, window: Window, seed: int) -> tuple[np.ndarray, np.ndarray]:
        import torch

        with torch.no_grad():
            return self._passes(window).both(_seed(torch.Generator().manual_seed(seed)))

    def details(self) -> dict[str, Any]:
        from ias_core.synthesis.pretrained.pipelines import tier_of

        return {
            "tier": tier_of(self.backend),
            "strength": self.strength,
            "guidance_scale": self.guidance_scale,
        }

    @classmethod
    def check_backend(cls, backend: Backend) -> None:
        Pretrained.check_backend.__func__(cls, backend)
        if backend.pipeline is None and (backend.family == "sdxl" or set(backend.extras) - {"controlnet"}):
            raise WeightsUnavailable("tf-idg needs the pipeline that these weights came with: load them from a folder")

    def _passes(self, window: Window) -> Any:
        from ias_core.torchvision_operators import ensure_torchvision

        ensure_torchvision()
        from ias_core.synthesis.pretrained.guided import GuidedPasses
        from ias_core.synthesis.pretrained.pipelines import PipelinePasses, tier_of

        passes = GuidedPasses if tier_of(self.backend) == "A5" else PipelinePasses
        prompts = f"a photo of a {self.product}", f"a photo of a {self.product} with a {self.defect}"
        return passes(self.backend, window, prompts, self.steps, self.strength, self.guidance_scale)


def _seed(generator: torch.Generator) -> int:
    """One number for the generators of both passes."""
    import torch

    return int(torch.randint(2**31, (), generator=generator))
