"""Arrays that cross module borders, each with its shape checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ias_core.errors import ShapeError


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: == on arrays has no single truth value
class Images:
    """n pictures of one size; every field in the same order.

    pixels : (n, h, w, 3) float32   RGB in [0, 1]
    names  : n strings              what the user calls the file
    sha256 : n strings              content of the file, the key of the ledger
    """

    pixels: np.ndarray
    names: tuple[str, ...]
    sha256: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[3] != 3 or self.pixels.dtype != np.float32:
            raise ShapeError(
                f"Expected pixels of shape (n, h, w, 3) and type float32, "
                f"but got {self.pixels.shape} {self.pixels.dtype}; load them with ias_core.imaging."
            )
        if not len(self.pixels) == len(self.names) == len(self.sha256):
            raise ShapeError(
                f"Expected one name and one sha256 per picture, but got {len(self.pixels)} pictures, "
                f"{len(self.names)} names and {len(self.sha256)} sha256."
            )

    def __len__(self) -> int:
        return len(self.pixels)
