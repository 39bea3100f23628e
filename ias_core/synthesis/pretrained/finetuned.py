"""What methods share that lay what they trained over the networks of the backend. Imports without torch."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from ias_core.synthesis.base import SyntheticDefects
from ias_core.synthesis.pretrained.base import Pretrained
from ias_core.synthesis.recipe import Recipe
from ias_core.synthesis.texture_source import TextureSource

_LAID: ContextVar[list[Any] | None] = ContextVar("laid", default=None)


@dataclass(frozen=True, slots=True)
class Finetuned(Pretrained):
    """Base of methods that are trained; a subclass defines ``lay``."""

    needs = ("sources", "backend", "adapter")

    def lay(self) -> Any:
        """Networks with the adapter laid over them, ready to draw; the backend's own stay bare."""
        raise NotImplementedError

    def trained(self) -> Any:
        """What ``lay`` gives; within one call of the method the same for all pictures, as laying takes a second."""
        laid = _LAID.get()
        if laid is None:
            return self.lay()
        if not laid:
            laid.append(self.lay())
        return laid[0]

    def __call__(
        self,
        images: np.ndarray,
        *,
        count: int,
        seed: int,
        severity: float | None = None,
        size_px: float | None = None,
        foregrounds: np.ndarray | None = None,
        textures: TextureSource | None = None,
    ) -> SyntheticDefects:
        """See ``ias_core.synthesis.base.ImageSynthesizer``."""
        before = _LAID.set([])
        try:
            return Recipe.__call__(
                self,
                images,
                count=count,
                seed=seed,
                severity=severity,
                size_px=size_px,
                foregrounds=foregrounds,
                textures=textures,
            )
        finally:
            _LAID.reset(before)
