"""What every synthesis method gives and takes, and the registry of methods."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ias_core.errors import ShapeError
from ias_core.registry import Registry

synthesizers = Registry("synthesis method")


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticDefects:
    """n synthetic NG images, one defect pattern each; all arrays in one order.

    images : (n, s, s, 3) float32   RGB in [0, 1]
    masks : (n, s, s) bool          exactly the pixels that may differ from the parent
    parents : (n,) int              place of the OK image each was made from
    method : str                    registered name
    severities : (n,) float32       0 = invisible, 1 = the method's strongest; its meaning is the method's own
    textures : n strings            where the foreign matter came from
    seed : int
    """

    images: np.ndarray
    masks: np.ndarray
    parents: np.ndarray
    method: str
    severities: np.ndarray
    textures: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.ndim != 4 or self.images.shape[3] != 3 or self.masks.shape != self.images.shape[:3]:
            raise ShapeError(f"images {self.images.shape} and masks {self.masks.shape} do not fit")
        if not (self.parents.shape == self.severities.shape == (n,) and len(self.textures) == n):
            raise ShapeError("expected one parent, one severity and one texture name per image")


def check_request(images: np.ndarray, count: int) -> None:
    """Refuse what no method can make defects from.

    Raises
    ------
    ShapeError
        No square RGB images (n, s, s, 3), or ``count`` below 1.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.shape[1] != images.shape[2] or len(images) == 0:
        raise ShapeError(f"expected images (n, s, s, 3) with n >= 1, got shape {images.shape}")
    if count < 1:
        raise ShapeError(f"expected at least 1 synthetic NG, got {count}")


class ImageSynthesizer(Protocol):
    """Space: image. OK images in, NG images with exact masks out."""

    def __call__(self, images: np.ndarray, *, count: int, seed: int) -> SyntheticDefects:
        """``images``: (n, s, s, 3) float32 RGB in [0, 1], left unchanged; the same seed gives the same pixels."""
        ...
