"""The user's own textures: a folder of pictures, such as DTD."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ias_core.errors import IasError, ImageRefused
from ias_core.imaging import load_image, may_be_read, probe_image
from ias_core.synthesis.texture_crop import random_crop

_KEPT_SIDE_PX = 1024  # of the shorter side; a larger picture is reduced when it is read
_KEPT = 32  # pictures kept in memory, about 4 MB each
_SMALLEST_CROP = 0.5  # of the shorter side


class FolderTextures:
    """Random squares of the pictures in a folder and its subfolders, half to all of a picture's shorter side wide.

    Pictures are taken in the order of their names. One that cannot be read gives its turn to the next; how many there
    are says ``skipped``. The published codes squeeze the whole picture into a square; crops are ours: a small folder
    goes further, and no texture is distorted.

    name : str   the folder's own name

    Raises
    ------
    IasError
        There is no such folder, it may not be read, or nothing in it is a picture.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise IasError(f"expected a folder of textures, but there is none at {folder}; check the path")
        if not may_be_read(folder):
            raise IasError(f"the folder of textures {folder} may not be read; check its permissions")
        self.name = folder.resolve().name
        self._folder = folder
        self._paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        self._pixels = lru_cache(maxsize=_KEPT)(_pixels_or_none)
        if not any(map(_is_picture, self._paths)):  # ends with the first
            raise IasError(
                f"expected pictures (PNG, JPEG, BMP, TIFF) in the folder of textures {folder}, but none of its "
                f"{len(self._paths)} files is one; name another folder, or none for textures made here"
            )

    @property
    def skipped(self) -> int:
        """Files under the folder that are no readable picture by their headers; looks at every file."""
        return sum(not _is_picture(path) for path in self._paths)

    def __call__(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """See ``ias_core.synthesis.texture_source.TextureSource``.

        Raises
        ------
        IasError
            Since the folder was opened, or behind their sound headers, all its pictures are damaged.
        """
        first = int(rng.integers(len(self._paths)))
        for step in range(len(self._paths)):
            path = self._paths[(first + step) % len(self._paths)]
            pixels = self._pixels(path)
            if pixels is not None:
                shorter = min(pixels.shape[:2])
                side = int(rng.integers(int(shorter * _SMALLEST_CROP), shorter + 1))
                name = path.relative_to(self._folder).as_posix()
                return random_crop(pixels, side, size, rng), f"{self.name}: {name}"
        raise IasError(f"no picture in the folder of textures {self._folder} can be decoded; save them again")


def _is_picture(path: Path) -> bool:
    try:
        probe_image(path)
    except ImageRefused:
        return False
    return True


def _pixels_or_none(path: Path) -> np.ndarray | None:
    """(h, w, 3) uint8, its shorter side at most 1024 px; None for what cannot be read."""
    try:
        image = load_image(path)
    except ImageRefused:
        return None
    factor = _KEPT_SIDE_PX / min(image.shape[:2])
    if factor < 1:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.round(image * 255).astype(np.uint8)
