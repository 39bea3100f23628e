"""What scoring synthetic NG takes, however they were made: features by the batch, files, and how far features move."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pages.services.detection import FeatureSource

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.base import SyntheticDefects

_BATCH = 16


def features_of(pictures: Sequence[np.ndarray], source: FeatureSource) -> torch.Tensor:
    """(n, gh, gw, d) patch features of n >= 1 pictures (s, s, 3) at the input size."""
    import torch

    return torch.cat([source.of_pictures(list(pictures[a : a + _BATCH])) for a in range(0, len(pictures), _BATCH)])


def write_pictures(made: SyntheticDefects, stems: Sequence[str], folder: Path) -> None:
    """``<stem>.png`` and ``<stem>_mask.png`` of each."""
    from PIL import Image

    for image, mask, stem in zip(made.images, made.masks, stems, strict=True):
        Image.fromarray(np.round(image * 255).astype(np.uint8), "RGB").save(folder / f"{stem}.png")
        Image.fromarray(mask).save(folder / f"{stem}_mask.png")


def median_shift(
    features: torch.Tensor, parent_features: torch.Tensor, made: SyntheticDefects, scale: float
) -> float | None:
    """Median feature shift inside the masks, in units of ``scale``, that of R: ties pictures to the ruler."""
    import torch

    moved = torch.linalg.norm(features - parent_features[torch.as_tensor(made.parents)], dim=3)  # (n, gh, gw)
    masks = torch.as_tensor(made.masks, dtype=torch.float32)[:, None]
    inside = torch.nn.functional.adaptive_max_pool2d(masks, moved.shape[1:])[:, 0].to(moved.device) > 0
    return round(float(moved[inside].median()) / scale, 3) if scale > 0 else None
