"""What every synthesis method gives and takes, and the registry of methods."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from ias_core.errors import ShapeError, SynthesisError
from ias_core.registry import Registry
from ias_core.synthesis.texture_source import TextureSource

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
    settings : n dicts              JSON-ready: every value that was drawn for the image, by name
    """

    images: np.ndarray
    masks: np.ndarray
    parents: np.ndarray
    method: str
    severities: np.ndarray
    textures: tuple[str, ...]
    seed: int
    settings: tuple[dict[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.ndim != 4 or self.images.shape[3] != 3 or self.masks.shape != self.images.shape[:3]:
            raise ShapeError(f"images {self.images.shape} and masks {self.masks.shape} do not fit")
        if not (self.parents.shape == self.severities.shape == (n,) and len(self.textures) == n):
            raise ShapeError("expected one parent, one severity and one texture name per image")
        if self.settings and len(self.settings) != n:
            raise ShapeError(f"expected one set of drawn values per image, got {len(self.settings)} for {n} images")


@dataclass(frozen=True, slots=True, eq=False)
class NgSource:
    """One real NG that a method makes others from, at the size of the OK images.

    name : str                     what the user calls the picture
    image : (s, s, 3) float32      RGB in [0, 1]
    mask : (s, s) bool             where its defect is
    """

    name: str
    image: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        side = self.image.shape[0]
        if self.image.shape != (side, side, 3) or self.mask.shape != (side, side) or self.mask.dtype != bool:
            raise ShapeError(
                f"expected an NG (s, s, 3) and its mask bool (s, s), got {self.image.shape} and {self.mask.dtype} "
                f"{self.mask.shape}"
            )


NEEDS = {
    "sources": "a real NG with a mask of its defect",
    "model": "a pixel model trained on this product's good parts",
    "backend": "Stable Diffusion weights",
    "adapter": "a training on your NG with those weights",
}


def build(name: str, given: Mapping[str, Any]) -> "ImageSynthesizer":
    """The method of this name, with what it takes out of ``given``: field name -> value.

    Raises
    ------
    KeyError
        No such method.
    SynthesisError
        Something that the method cannot do without is not given.
    """
    method = synthesizers[name]
    taken = {one.name: given[one.name] for one in fields(method) if given.get(one.name) is not None}
    missing = [NEEDS[need] for need in method.needs if not taken.get(need)]
    if missing:
        raise SynthesisError(f"{name} needs {' and '.join(missing)}: give it that, or choose another method")
    return method(**taken)


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


def check_dials(
    images: np.ndarray, severity: float | None, size_px: float | None, foregrounds: np.ndarray | None
) -> None:
    """Refuse dials out of range, and part masks that do not fit the images.

    Raises
    ------
    ShapeError
        ``severity`` outside [0, 1], ``size_px`` not above 0 or wider than the picture, or ``foregrounds`` not bool
        (n, s, s) with at least one pixel each.
    """
    if severity is not None and not 0 <= severity <= 1:
        raise ShapeError(f"expected a severity in [0, 1], got {severity}")
    if size_px is not None and not 0 < size_px <= images.shape[1]:
        raise ShapeError(f"expected a size above 0 and up to the picture's {images.shape[1]} px, got {size_px}")
    if foregrounds is None:
        return
    if foregrounds.dtype != bool or foregrounds.shape != images.shape[:3]:
        raise ShapeError(
            f"expected part masks bool {images.shape[:3]}, got {foregrounds.dtype} {foregrounds.shape}: one per image"
        )
    if not foregrounds.any((1, 2)).all():
        raise ShapeError("expected part masks with at least one pixel each: one is empty, so no defect has a place")


def is_grey(images: np.ndarray) -> bool:
    """Whether a grey camera took them: its pictures have three equal channels, and a defect in them no colour."""
    return bool((images[..., 0] == images[..., 1]).all() and (images[..., 1] == images[..., 2]).all())


class ImageSynthesizer(Protocol):
    """Space: image. OK images in, NG images with exact masks out.

    has_size : whether the method takes ``size_px``
    needs : of NEEDS, what it cannot do without; fields of these names take it
    has_control : whether it can be asked for good parts redrawn without a defect
    """

    has_size: ClassVar[bool]
    needs: ClassVar[tuple[str, ...]] = ()
    has_control: ClassVar[bool] = False

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
        """Make ``count`` NG images; image i does not depend on ``count``.

        Parameters
        ----------
        images : ndarray of shape (n, s, s, 3)
            float32 RGB in [0, 1], left unchanged.
        count, seed : int
            The same seed gives the same pixels.
        severity : float, optional
            In [0, 1]; None draws it as published. More severity never looks more like the parent.
        size_px : float, optional
            Equivalent diameter of the defect at the images' size; None draws it as published.
        foregrounds : ndarray of shape (n, s, s), optional
            bool, where the part is: no defect leaves it.
        textures : TextureSource, optional
            Where methods that need foreign matter take it from; None: made by this package.

        Raises
        ------
        ShapeError
            Images or dials that do not fit, or a ``size_px`` for a method without a size.
        SynthesisError
            Many draws in a row that changed nothing a person could see.
        """
        ...
