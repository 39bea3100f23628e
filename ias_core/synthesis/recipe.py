"""What all image-space recipes share: donors, places, redraws, the exact mask, and rounding once.

A recipe draws one defect; here it is looked at. Where the picture changed by no more than one grey level, the parent's
pixels are put back, and a draw that nobody could see is drawn again: a patch that was pasted onto its like is no
defect, and labelling it one would poison every recall computed from it. The public codes label where they wrote.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np

from ias_core.errors import ShapeError, SynthesisError
from ias_core.synthesis.base import SyntheticDefects, check_dials, check_request, is_grey
from ias_core.synthesis.measures import GREY_LEVEL
from ias_core.synthesis.texture_source import TextureSource

PUBLISHED_SIDE_PX = 256  # the sources quote sizes for pictures of this side
LEAST_SIDE_PX = 32
LEAST_AREA_PX = 4
LEAST_CHANGE = 2 * GREY_LEVEL  # mean over the mask
_PARENTS = 5  # OK images that are tried before a defect is given up: one part may offer it no place
_CLOSING = np.ones((5, 5), np.uint8)
_REACH = 2  # of the closing


class Void(Exception):
    """This draw makes no defect; the text says why. The recipe is asked again."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What one defect is drawn on, and from.

    images : (n, s, s, 3) float32   all OK images, in [0, 1]; read only
    parent : int                    place of the one to draw on
    foreground : (s, s) bool        where the part is; None: everywhere
    size_px : float                 equivalent diameter asked for; None: as published
    textures : TextureSource
    """

    images: np.ndarray
    parent: int
    foreground: np.ndarray | None
    size_px: float | None
    textures: TextureSource

    @property
    def picture(self) -> np.ndarray:
        """(s, s, 3), read only."""
        return self.images[self.parent]

    @property
    def side(self) -> int:
        """s."""
        return self.images.shape[1]

    @property
    def asked_area_px(self) -> float:
        """Area of the disc of the asked diameter; only where one is asked for."""
        return np.pi * self.size_px**2 / 4

    def px(self, published: float) -> float:
        """A length that was published for 256 px pictures, at this size."""
        return published * self.side / PUBLISHED_SIDE_PX

    def place(self, rng: np.random.Generator) -> tuple[int, int]:
        """Row and column of a random pixel of the part."""
        if self.foreground is None:
            return int(rng.integers(self.side)), int(rng.integers(self.side))
        on_part = np.flatnonzero(self.foreground)
        return divmod(int(on_part[rng.integers(len(on_part))]), self.side)

    def donor(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """Another OK image (s, s, 3) and its name; where there is only one, that one mirrored."""
        if len(self.images) == 1:
            return self.picture[:, ::-1], "own image, mirrored"
        other = (self.parent + 1 + int(rng.integers(len(self.images) - 1))) % len(self.images)
        return self.images[other], f"own image {other}"


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One drawn defect, before it is looked at.

    picture : (s, s, 3) float32   the parent with the defect, at the severity asked for; clipped and rounded later
    written : (s, s) bool         where the recipe wrote: outside, ``picture`` is not used
    texture : str                 where the matter came from
    settings : JSON-ready values that were drawn, by name
    """

    picture: np.ndarray
    written: np.ndarray
    texture: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Base of the recipes; a subclass sets the class variables and defines ``draw``.

    name : registered name
    severities : the range that the published recipe draws its strength from
    has_size : whether ``draw`` obeys ``scene.size_px``
    needs, has_control : see ``ias_core.synthesis.base.ImageSynthesizer``
    tries : draws on one good part until one can be seen
    """

    name: ClassVar[str]
    severities: ClassVar[tuple[float, float]] = (1.0, 1.0)
    has_size: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    has_control: ClassVar[bool] = False
    tries: ClassVar[int] = 20

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        """One defect; raises Void where this draw makes none."""
        raise NotImplementedError

    def control(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """(s, s, 3): the good part where it should draw no defect, as a file would hold it; Void as of ``draw``."""
        return shown(self.draw(scene, 0.0, rng), scene, grey=is_grey(scene.images))

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
        check_request(images, count)
        check_dials(images, severity, size_px, foregrounds)
        side = images.shape[1]
        if side < LEAST_SIDE_PX:
            raise ShapeError(f"expected pictures of at least {LEAST_SIDE_PX} px a side, got {side}")
        if size_px is not None and not self.has_size:
            raise ShapeError(f"{self.name} has no size of its own: leave the size open for it")
        if textures is None:
            from ias_core.synthesis.made_textures import MadeTextures

            textures = MadeTextures()
        grey = is_grey(images)
        parents = np.empty(count, int)
        out = np.empty((count, side, side, 3), np.float32)
        masks = np.empty((count, side, side), bool)
        severities = np.empty(count, np.float32)
        names, settings = [], []
        for i, child in enumerate(np.random.SeedSequence(seed).spawn(count)):  # image i does not depend on count
            rng = np.random.default_rng(child)
            scenes = (
                Scene(images, parent, None if foregrounds is None else foregrounds[parent], size_px, textures)
                for parent in ((i + k) % len(images) for k in range(min(_PARENTS, len(images))))
            )
            parents[i], out[i], masks[i], severities[i], found = self._on_first(scenes, severity, rng, grey)
            names.append(found.texture)
            settings.append(found.settings)
        return SyntheticDefects(out, masks, parents, self.name, severities, tuple(names), seed, tuple(settings))

    def _on_first(
        self, scenes: Iterable[Scene], severity: float | None, rng: np.random.Generator, grey: bool
    ) -> tuple[int, np.ndarray, np.ndarray, float, Draw]:
        """On the first OK image that offers a place: its own place, and what ``_visible`` gives."""
        failed: SynthesisError | None = None
        for scene in scenes:
            try:
                return scene.parent, *self._visible(scene, severity, rng, grey)
            except SynthesisError as error:
                failed = error
        raise failed

    def _visible(
        self, scene: Scene, severity: float | None, rng: np.random.Generator, grey: bool
    ) -> tuple[np.ndarray, np.ndarray, float, Draw]:
        """The first draw that can be seen; a severity that was drawn too faint is drawn again as well."""
        reason = ""
        for _ in range(self.tries):
            drawn = rng.uniform(*self.severities)  # also where it is given: the rest of the draw stays the same
            strength = drawn if severity is None else severity
            try:
                found = self.draw(scene, strength, rng)
                child, mask = looked_at(scene.picture, found, scene.foreground, grey=grey)
            except Void as void:
                reason = str(void)
                continue
            return child, mask, strength, found
        at = "" if severity is None else f" at severity {severity:g}"
        raise SynthesisError(
            f"{self.name}: {self.tries} draws{at} made no visible defect ({reason}); change severity or size, or "
            "choose another method for this product"
        )


def looked_at(
    parent: np.ndarray, draw: Draw, foreground: np.ndarray | None, *, grey: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The NG image and its exact mask.

    Returns
    -------
    child : ndarray of shape (s, s, 3)
        float32 in [0, 1]; inside the mask on the grid of 8-bit values, outside the parent bit for bit.
    mask : ndarray of shape (s, s)
        bool: written, on the part, and changed by more than one grey level in the mean of the channels, or enclosed by
        such pixels (closing 5 x 5). NSA's 5 x 5 median is left out: it erases lines of up to 2 px.

    Raises
    ------
    Void
        Fewer than 4 px, or a mean change below 2 grey levels.
    """
    written = draw.written if foreground is None else draw.written & foreground
    box = cv2.boundingRect(written.astype(np.uint8))  # left, top, width, height
    rows, columns = slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2])
    written, before = written[rows, columns], parent[rows, columns]
    drawn = draw.picture[rows, columns]
    if grey:
        drawn = _mean(drawn)[..., None].repeat(3, 2)
    drawn = np.rint(np.clip(drawn, 0, 1) * 255).astype(np.float32) / np.float32(255)
    change = _mean(np.abs(drawn - before))
    changed = (written & (change > GREY_LEVEL)).astype(np.uint8)
    # Padded: OpenCV erodes as if more of the same lay beyond the array, and would mark the crop's own rim.
    closed = cv2.morphologyEx(np.pad(changed, _REACH), cv2.MORPH_CLOSE, _CLOSING)[_REACH:-_REACH, _REACH:-_REACH]
    inside = written & closed.astype(bool)
    area = int(np.count_nonzero(inside))
    if area < LEAST_AREA_PX:
        raise Void(f"{area} px changed, at least {LEAST_AREA_PX} are needed")
    mean_change = float(change[inside].mean())
    if mean_change < LEAST_CHANGE:
        raise Void(f"the mean change is {mean_change / GREY_LEVEL:.1f} grey levels, at least 2 are needed")
    child, mask = parent.copy(), np.zeros(parent.shape[:2], bool)
    child[rows, columns][inside], mask[rows, columns] = drawn[inside], inside
    return child, mask


def shown(draw: Draw, scene: Scene, *, grey: bool) -> np.ndarray:
    """(s, s, 3) float32: the drawn picture as a file would hold it, before the exact mask puts pixels back.

    Where the method wrote and the pixel differs from the parent's at all: clipped and rounded to 8 bit. Elsewhere the
    parent's pixel bit for bit, whether it lies on the grid of 8-bit values or not. ``grey``: of a grey camera.
    """
    written = draw.written if scene.foreground is None else draw.written & scene.foreground
    new = written[..., None] & (draw.picture != scene.picture)
    drawn = _mean(draw.picture)[..., None].repeat(3, 2) if grey else draw.picture
    rounded = np.rint(np.clip(drawn, 0, 1) * 255).astype(np.float32) / np.float32(255)
    return np.where(new, rounded, scene.picture)


def _mean(image: np.ndarray) -> np.ndarray:
    """Mean of the three channels; numpy's own over so short an axis takes five times as long."""
    return (image[..., 0] + image[..., 1] + image[..., 2]) / np.float32(3)
