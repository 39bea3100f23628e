"""Where methods take foreign matter from: a folder of the user's, or textures this package makes."""

from typing import Protocol

import numpy as np


class TextureSource(Protocol):
    """Gives textures; what it is goes into every manifest.

    name : str   "made here", or the folder's name
    """

    name: str

    def __call__(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """One texture (size, size, 3), float32 RGB in [0, 1], and what it is, such as "made here: Worley noise"."""
        ...
