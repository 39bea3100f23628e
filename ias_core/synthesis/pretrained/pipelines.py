"""TF-IDG's tiers A1 to A4: the inpainting pipelines of diffusers, over the parts of a backend.

The project's notes on TF-IDG, section 3. The collage is what they start from, the target mask what they redraw. Their
own cropping and pasting is not used: the window is cut and put back by ``windows.py``. Latents are handed in where a
pipeline takes them, since it would draw its own at random from the VAE's distribution.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from ias_core.synthesis.pretrained.attention import shared_keys
from ias_core.synthesis.pretrained.latents import (
    cell_px,
    ddim,
    encode,
    latent_mask,
    round_trip,
    starting,
    to_pixels,
)
from ias_core.synthesis.pretrained.windows import square_around

if TYPE_CHECKING:
    from PIL.Image import Image

    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.windows import Window

CROP = 1.2  # sides of the mask in a side of the picture that is shown as an example (TF-IDG 2.2)
CANNY = (100, 200)  # thresholds that ControlNet's own edge maps are made with (diffusers' documentation)


def tier_of(backend: Backend) -> str:
    """Which of A1 to A5 these weights allow; what is loaded beside the U-Net decides, else its channels."""
    if "paint-by-example" in backend.extras:
        return "A3"
    if backend.controlnet is not None:
        return "A4"
    if "ip-adapter" in backend.extras:
        return "A2"
    return "A1" if backend.kind == "inpainting" or backend.family == "sdxl" else "A5"


@dataclass(slots=True, eq=False)
class PipelinePasses:
    """Two passes over one window, as ``GuidedPasses``; tiers A1, A2 and A4 share keys, A3 starts from pure noise.

    What A3 makes of good surface shares nothing with what it makes of the defect, so its defective pass is compared
    with the canvas through the VAE, and its plain one is for the control alone.
    """

    backend: Backend
    window: Window
    prompts: tuple[str, str]  # of the OK part, and of the NG
    steps: int
    strength: float
    guidance_scale: float

    def plain(self, seed: int) -> np.ndarray:
        """(w, w, 3): the pass that no defect is asked of."""
        if tier_of(self.backend) == "A3":
            return self._by_example(self.window.canvas, self.window.target, seed)
        kept = self._times()
        return self._without(self._pipeline(), len(kept), seed) if len(kept) else self._by_vae(self.window.canvas)

    def both(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(w, w, 3) each: the defective pass, and what it is compared with."""
        window = self.window
        if tier_of(self.backend) == "A3":
            return self._by_example(window.reference, window.reference_mask, seed), self._by_vae(window.canvas)
        kept = self._times()
        if not len(kept):
            return self._by_vae(window.collage), self._by_vae(window.canvas)
        pipeline, example = self._pipeline(), (window.reference, window.reference_mask)
        with shared_keys(self.backend.unet, kept[len(kept) // 2 :]) as keys:
            with keys.storing():
                plain = self._without(pipeline, len(kept), seed)
            with keys.taking():
                made = self._inpainted(pipeline, window.collage, self.prompts[1], example, len(kept), seed)
        return made, plain

    def _times(self) -> torch.Tensor:
        return starting(ddim(self.backend, self.steps).timesteps, self.strength)

    def _by_vae(self, picture: np.ndarray) -> np.ndarray:
        return round_trip(picture, self.backend)

    def _without(self, pipeline: Any, kept_steps: int, seed: int) -> np.ndarray:
        canvas = self.window.canvas
        return self._inpainted(pipeline, canvas, self.prompts[0], (canvas, self.window.target), kept_steps, seed)

    def _inpainted(
        self,
        pipeline: Any,
        start: np.ndarray,
        prompt: str,
        example: tuple[np.ndarray, np.ndarray],
        kept_steps: int,
        seed: int,
    ) -> np.ndarray:
        """One pass from a picture (w, w, 3)."""
        backend, side = self.backend, self.backend.side_px
        cells = latent_mask(self.window.target, side, backend)
        mask = torch.nn.functional.interpolate(cells.float(), scale_factor=float(cell_px(backend)))  # (1, 1, w, w)
        given = {
            "prompt": prompt,
            "mask_image": mask,
            "height": side,
            "width": side,
            # the pipeline keeps int(steps x strength); where it keeps all, it starts from noise without the picture
            "strength": min((kept_steps + 0.5) / self.steps, 1.0),
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "generator": torch.Generator().manual_seed(seed),
            "output_type": "pt",
        }
        if backend.controlnet is not None:
            given |= {
                "image": (to_pixels(start, side, backend).float() + 1) / 2,
                "control_image": edges(start).to(backend.device, backend.dtype),
                "controlnet_conditioning_scale": 1.0,
            }
        else:
            canvas = to_pixels(self.window.canvas, side, backend)
            given |= {
                "image": encode(to_pixels(start, side, backend), backend),
                "masked_image_latents": encode(canvas * (1 - mask.to(canvas)), backend),
            }
        if "ip-adapter" in backend.extras:
            given["ip_adapter_image"] = crop_around(*example)
        return _picture(pipeline(**given).images)

    def _by_example(self, example: np.ndarray, where: np.ndarray, seed: int) -> np.ndarray:
        """Tier A3: the target redrawn after an example, from pure noise."""
        backend, side = self.backend, self.backend.side_px
        cells = latent_mask(self.window.target, side, backend).float()
        made = self._pipeline()(
            example_image=crop_around(example, where),
            image=to_pixels(self.window.canvas, side, backend).float(),
            mask_image=torch.nn.functional.interpolate(cells, scale_factor=float(cell_px(backend))),
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
        )
        return _picture(made.images)

    def _pipeline(self) -> Any:
        """The backend's own on a schedule of ours, or one made of its parts."""
        from diffusers import StableDiffusionControlNetInpaintPipeline, StableDiffusionInpaintPipeline

        backend, scheduler = self.backend, ddim(self.backend, self.steps)
        if backend.pipeline is not None:
            pipeline = copy(backend.pipeline)  # the parts stay shared, and the original keeps its schedule
            pipeline.scheduler = scheduler
        else:
            parts = {part: getattr(backend, part) for part in ("vae", "unet", "text_encoder", "tokenizer")}
            parts |= {"scheduler": scheduler, "feature_extractor": None}
            parts |= {"safety_checker": None, "requires_safety_checker": False}
            if backend.controlnet is None:
                pipeline = StableDiffusionInpaintPipeline(**parts)
            else:
                pipeline = StableDiffusionControlNetInpaintPipeline(**parts, controlnet=backend.controlnet)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def edges(picture: np.ndarray) -> torch.Tensor:
    """(1, 3, w, w) of 0 and 1: Canny's edges of a picture (w, w, 3), the hint that the ControlNet for edges takes."""
    grey = np.rint(picture.mean(2) * 255).astype(np.uint8)
    found = cv2.Canny(grey, *CANNY) > 0
    return torch.from_numpy(found[None, None].repeat(3, 1).astype(np.float32))


def crop_around(picture: np.ndarray, mask: np.ndarray) -> Image:
    """A picture (w, w, 3) cut to a square around the mask, 1.2 of its sides, for the encoder of an example."""
    from PIL import Image

    longest = max(cv2.boundingRect(mask.astype(np.uint8))[2:])
    part = square_around(mask, int(np.ceil(CROP * longest))).of(picture)
    return Image.fromarray(np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8))


def _picture(made: torch.Tensor) -> np.ndarray:
    """(w, w, 3) of a pipeline's (1, 3, w, w) in [0, 1]."""
    return made[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy()
