"""TF-IDG's tier A5: its own loop over a plain 4-channel U-Net, from the collage or from the OK picture.

The project's notes on TF-IDG, section 3 step 4: blended latents, guidance by features, moments of the OK latent, and
the OK pass's keys and values. The guided noise serves both terms of DDIM's step, as classifier guidance has it; the
public code leaves the old one in the term that points back to the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ias_core.synthesis.pretrained.appearance import (
    adain,
    appearance_shift,
    bags,
    decoder_features,
    still_normal,
)
from ias_core.synthesis.pretrained.attention import SharedKeys, shared_keys
from ias_core.synthesis.pretrained.latents import (
    blended,
    clean_estimate,
    ddim,
    decode,
    embed,
    encode,
    latent_mask,
    noise_estimate,
    predicted,
    starting,
    to_picture,
    to_pixels,
    with_noise_shifted,
)

if TYPE_CHECKING:
    import numpy as np

    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.windows import Window

EVERY, EVERY_OTHER = 0.2, 0.6  # shares of the steps: each of the first 10 of 50, then the even ones up to the 30th
ADAIN_ABOVE = 0.8  # of the schedule: the public code's first fifth, counted from pure noise


def steps_guided(steps: int) -> frozenset[int]:
    """Which of so many steps are guided by features.

    Examples
    --------
    >>> sorted(steps_guided(10))
    [0, 1, 2, 4]
    """
    return frozenset(i for i in range(steps) if i < EVERY * steps or (i % 2 == 0 and i < EVERY_OTHER * steps))


@dataclass(slots=True, eq=False)
class GuidedPasses:
    """Two passes over one window: ``plain`` over the OK picture, ``defective`` over the collage beside it.

    Both take their noise from generators of one state, and blend, denoise and match moments alike, so that their
    difference is the defect's. Guided by features is the second alone: the first would be drawn to where it is.
    """

    backend: Backend
    window: Window
    prompts: tuple[str, str]  # of the OK part, and of the NG
    steps: int
    strength: float
    guidance_scale: float

    def plain(self, seed: int) -> np.ndarray:
        """(w, w, 3): the pass that no defect is asked of."""
        setting = self._setting()
        return self._picture(setting.sampled(setting.canvas, self._texts(self.prompts[0]), seed))

    def both(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(w, w, 3) each: the defective pass, and the plain one."""
        setting, window = self._setting(), self.window
        collage, reference = self._latent(window.collage), self._latent(window.reference)
        with shared_keys(self.backend.unet, setting.times[len(setting.times) // 2 :]) as keys:
            with keys.storing():
                plain = setting.sampled(setting.canvas, self._texts(self.prompts[0]), seed)
            guide = _Guide(reference, latent_mask(window.reference_mask, self.backend.side_px, self.backend), keys)
            with keys.taking():
                made = setting.sampled(collage, self._texts(self.prompts[1]), seed, guide)
        return self._picture(made), self._picture(plain)

    def _setting(self) -> _Setting:
        backend, scheduler = self.backend, ddim(self.backend, self.steps)
        return _Setting(
            backend.unet,
            scheduler,
            starting(scheduler.timesteps, self.strength),
            self._latent(self.window.canvas),
            latent_mask(self.window.target, backend.side_px, backend),
            self.guidance_scale,
        )

    def _latent(self, picture: np.ndarray) -> torch.Tensor:
        return encode(to_pixels(picture, self.backend.side_px, self.backend), self.backend)

    def _texts(self, prompt: str) -> torch.Tensor:
        return embed(["", prompt] if self.guidance_scale > 1 else [prompt], self.backend)

    def _picture(self, latent: torch.Tensor) -> np.ndarray:
        return to_picture(decode(latent, self.backend), len(self.window.canvas))


@dataclass(frozen=True, slots=True, eq=False)
class _Guide:
    """The real defect: its latent, where in it it is, and the keys that its own passes must leave alone."""

    reference: torch.Tensor
    inside: torch.Tensor
    keys: SharedKeys


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    unet: Any
    scheduler: Any
    times: torch.Tensor
    canvas: torch.Tensor
    target: torch.Tensor
    guidance_scale: float

    def sampled(self, start: torch.Tensor, texts: torch.Tensor, seed: int, guide: _Guide | None = None) -> torch.Tensor:
        """(1, c, h, w) made of a latent that is noised to the first time; the canvas outside the target."""
        if not len(self.times):
            return self.target * start + (1 - self.target) * self.canvas
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(start.shape, generator=generator).to(start)
        guided = steps_guided(len(self.times)) if guide else frozenset()

        def predict(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
            if step not in guided:
                return predicted(self.unet, latent, time, texts, self.guidance_scale)
            return self._guided(latent, time, texts, noise, guide)

        def matched(latent: torch.Tensor, time: torch.Tensor, step: int) -> torch.Tensor:
            if time < ADAIN_ABOVE * self.scheduler.config.num_train_timesteps:
                return latent
            return adain(latent, self.scheduler.add_noise(self.canvas, noise, time[None]), self.target)

        return blended(
            predict,
            self.scheduler,
            self.times,
            self.scheduler.add_noise(start, noise, self.times[:1]),
            self.canvas,
            self.target,
            generator=generator,
            adjust=matched,
        )

    def _guided(
        self, latent: torch.Tensor, time: torch.Tensor, texts: torch.Tensor, noise: torch.Tensor, guide: _Guide
    ) -> torch.Tensor:
        """What the U-Net predicts, shifted so that its features inside the target come nearer to the real defect's."""
        with decoder_features(self.unet) as features:
            with guide.keys.resting():
                self.unet(self.scheduler.add_noise(guide.reference, noise, time[None]), time, texts[-1:])
            reference = bags(features, guide.inside)
            with torch.enable_grad():
                latent = latent.detach().requires_grad_()
                output = predicted(self.unet, latent, time, texts, self.guidance_scale)
                told = self.scheduler, output.detach(), time, latent.detach()
                shift = appearance_shift(
                    latent,
                    features,
                    reference,
                    noise_estimate(*told),
                    inside=self.target,
                    normal=still_normal(clean_estimate(*told), self.canvas, self.target),
                )
        return with_noise_shifted(self.scheduler, output.detach(), time, shift)
