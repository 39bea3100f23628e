"""GLASS local anomaly synthesis (LAS): a texture blended into an OK image inside a Perlin mask.

Chen, Luo, Lv, Zhang, "A Unified Anomaly Synthesis Strategy with Gradient Ascent", ECCV 2024, arXiv 2407.09359,
section 3.3; recipe as in the repository cqylunlun/GLASS:

    x_las = x (1 - m) + m [(1 - beta) x' + beta x],   beta ~ N(0.5, 0.1) clipped to [0.2, 0.8]

Here the images run through the production PatchCore like any part. That use is ours, not the paper's: GLASS trains a
discriminator on them. Registered twice, because the two texture sources give different evidence: the product's own
texture is the hard case, a foreign texture the easy end.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ias_core.errors import ShapeError
from ias_core.synthesis.base import SyntheticDefects, check_dials, check_request, is_grey, synthesizers
from ias_core.synthesis.perlin import glass_mask
from ias_core.synthesis.texture_source import TextureSource
from ias_core.synthesis.textures import augment, foreign_texture, own_texture


@dataclass(frozen=True, slots=True)
class _GlassLocal:
    """What both registered methods share; they differ in where the texture comes from."""

    beta_mean: float = field(default=0.5, metadata={"min": 0.2, "max": 0.8})  # share of the OK image that stays
    beta_std: float = field(default=0.1, metadata={"min": 0.0, "max": 0.3})

    name: ClassVar[str]
    has_size: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    has_control: ClassVar[bool] = False
    own: ClassVar[bool]

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
        """See ``ias_core.synthesis.base.ImageSynthesizer``; the severity is 1 - beta, the size is the mask's."""
        check_request(images, count)
        check_dials(images, severity, size_px, foregrounds)
        if size_px is not None:
            raise ShapeError(f"{self.name} has no size of its own: leave the size open for it")
        size = images.shape[1]
        out = np.empty((count, size, size, 3), np.float32)
        masks = np.empty((count, size, size), bool)
        betas = np.empty(count, np.float32)
        sources = []
        parents = np.arange(count) % len(images)
        grey = is_grey(images)
        for i, child in enumerate(np.random.SeedSequence(seed).spawn(count)):  # image i does not depend on count
            rng = np.random.default_rng(child)
            x = images[parents[i]]
            masks[i] = m = glass_mask(size, rng, foreground=None if foregrounds is None else foregrounds[parents[i]])
            texture, source = own_texture(images, rng) if self.own else (textures or foreign_texture)(size, rng)
            if grey:  # a grey camera cannot see a colour
                texture = np.repeat(texture.mean(2, keepdims=True), 3, 2)
            sources.append(source)
            drawn = np.clip(rng.normal(self.beta_mean, self.beta_std), 0.2, 0.8)
            beta = betas[i] = drawn if severity is None else 1 - severity
            blended = (1 - beta) * augment(texture, rng) + beta * x
            out[i] = np.where(m[..., None], blended, x)
        return SyntheticDefects(out, masks, parents, self.name, 1 - betas, tuple(sources), seed)


@synthesizers.register("glass-las-own")
class GlassLocalOwn(_GlassLocal):
    """LAS with the product's own texture.  Family: feature-space paper, image-space part.  Space: image."""

    __slots__ = ()
    name = "glass-las-own"
    own = True


@synthesizers.register("glass-las-foreign")
class GlassLocalForeign(_GlassLocal):
    """LAS with textures made here (the published code uses DTD).  Family: as above.  Space: image."""

    __slots__ = ()
    name = "glass-las-foreign"
    own = False
