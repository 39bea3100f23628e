"""Textures without a download: five kinds made here, and the photographs that lie inside the scikit-image wheel.

They stand in for DTD, the 5,640 photographs that DRAEM, DestSeg and MemSeg take their textures from and that cannot be
shipped: numbers differ from the papers'. Kinds and ranges: the project's notes on hand-crafted synthesis, T5.
"""

from collections.abc import Callable
from functools import cache, lru_cache

import cv2
import numpy as np

from ias_core.synthesis.perlin import perlin_field
from ias_core.synthesis.texture_crop import random_crop

TILE_PX = 256  # what ranges in px refer to; tiles have no seam, so that a rolled one is another texture
TILES_PER_KIND = 12
_BANK_SEED = 20_240_717  # any fixed number: the bank is the same on every machine
_SMALLEST_CROP = 0.5  # of a tile's side: it shows cells twice as large
_OCTAVES = 5
# Functions of skimage.data whose file is in the wheel itself (its RECORD) and opens without a network. Left out: faces
# and animals, which are no texture, and those that skimage.data fetches, such as skin.
PHOTOGRAPHS = (
    "brick",
    "grass",
    "gravel",
    "coffee",
    "coins",
    "moon",
    "rocket",
    "immunohistochemistry",
    "retina",
    "hubble_deep_field",
    "cell",
    "page",
    "text",
)
_SMALLEST_PHOTOGRAPH_CROP_PX, _LARGEST_PHOTOGRAPH_CROP_PX = 128, 512


class MadeTextures:
    """Every kind as often as the other; of the five made here, from a bank of 12 tiles each that fills as it is used.

    A tile is rolled, cropped, turned, mirrored and its channels swapped at random, which costs a fraction of making a
    new one. Lengths grow with the asked size, so that a texture looks the same at every size. The bank is shared and
    takes 12 MB when full, the photographs 16 MB.

    Examples
    --------
    >>> texture, what = MadeTextures()(64, np.random.default_rng(0))
    >>> texture.shape, texture.dtype, what
    ((64, 64, 3), dtype('float32'), 'scikit-image: retina')
    """

    name = "made here"

    def __call__(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """See ``ias_core.synthesis.texture_source.TextureSource``."""
        place = int(rng.integers(len(_KINDS) + 1))
        if place == len(_KINDS):
            name = PHOTOGRAPHS[rng.integers(len(PHOTOGRAPHS))]
            side = int(rng.integers(_SMALLEST_PHOTOGRAPH_CROP_PX, _LARGEST_PHOTOGRAPH_CROP_PX + 1))
            return random_crop(photograph(name), side, size, rng), f"scikit-image: {name}"
        kind = tuple(_KINDS)[place]
        channels = cv2.split(tile(kind, int(rng.integers(TILES_PER_KIND))))
        swapped = cv2.merge([channels[place] for place in rng.permutation(3)])
        rolled = np.roll(swapped, rng.integers(TILE_PX, size=2), (0, 1))
        side = int(rng.integers(int(TILE_PX * _SMALLEST_CROP), TILE_PX + 1))
        return random_crop(rolled, side, size, rng), f"made here: {kind}"


@cache  # as many as there are kinds and numbers
def tile(kind: str, number: int) -> np.ndarray:
    """One tile of the bank, (256, 256, 3) uint8, read only; the same on every machine."""
    rng = np.random.default_rng([_BANK_SEED, list(_KINDS).index(kind), number])
    pixels = np.round(_KINDS[kind](rng) * 255).astype(np.uint8)
    pixels.setflags(write=False)
    return pixels


@lru_cache(maxsize=len(PHOTOGRAPHS))
def photograph(name: str) -> np.ndarray:
    """One of ``PHOTOGRAPHS``, (h, w, 3) uint8 RGB, read only."""
    from skimage import data

    pixels = getattr(data, name)()
    pixels = np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels.copy()
    pixels.setflags(write=False)
    return pixels


def _fractal_noise(rng: np.random.Generator) -> np.ndarray:
    """(a) Five octaves of Perlin noise."""
    coarsest, persistence = 2 ** int(rng.integers(3)), rng.uniform(0.4, 0.8)
    octaves = (
        persistence**k * perlin_field(TILE_PX, (coarsest * 2**k,) * 2, rng, periodic=True) for k in range(_OCTAVES)
    )
    return _coloured(sum(octaves), rng)


def _power_law_noise(rng: np.random.Generator) -> np.ndarray:
    """(b) Noise whose power falls as 1/f^a, up to eight times longer than wide."""
    exponent, elongation, angle = rng.uniform(0.5, 2.5), rng.uniform(1, 8), rng.uniform(0, np.pi)
    v, u = np.fft.fftfreq(TILE_PX)[:, None], np.fft.rfftfreq(TILE_PX)
    frequency = np.hypot(u * np.cos(angle) + v * np.sin(angle), (v * np.cos(angle) - u * np.sin(angle)) / elongation)
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(rng.standard_normal((TILE_PX, TILE_PX))) * frequency ** (-exponent / 2)
    return _coloured(np.fft.irfft2(spectrum, (TILE_PX, TILE_PX)), rng)


def _worley_noise(rng: np.random.Generator) -> np.ndarray:
    """(c) Distance to the nearest of 20 to 400 points, or by how much the second nearest is farther: cell walls."""
    distances, _ = _nearest(int(rng.integers(20, 401)), 2, rng)
    return _coloured(distances[..., 0] if rng.integers(2) else distances[..., 1] - distances[..., 0], rng)


def _warped_gratings(rng: np.random.Generator) -> np.ndarray:
    """(d) One to three sine waves of 4 to 64 px, bent by a small Perlin displacement."""
    y, x = np.mgrid[:TILE_PX, :TILE_PX]
    bend = rng.uniform(0, 10)  # px
    y, x = (axis + bend * perlin_field(TILE_PX, (4, 4), rng, periodic=True) for axis in (y, x))
    field = np.zeros((TILE_PX, TILE_PX))
    for _ in range(int(rng.integers(1, 4))):
        waves = TILE_PX / 4 ** rng.uniform(1, 3)  # waves a tile; periods of 4 to 64 px, evenly on a logarithmic scale
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        down, across = round(waves * np.sin(angle)), round(waves * np.cos(angle))  # whole waves leave no seam
        field += np.sin(2 * np.pi * (down * y + across * x) / TILE_PX + phase)
    return _coloured(field, rng)


def _voronoi_mosaic(rng: np.random.Generator) -> np.ndarray:
    """(e) The cells of 20 to 400 points, each in a colour of its own."""
    n = int(rng.integers(20, 401))
    _, nearest = _nearest(n, 1, rng)
    return rng.uniform(0, 1, (n, 3))[nearest]


def _nearest(n: int, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the k nearest of n random points, and which they are; the tile's opposite rims touch."""
    from scipy.spatial import KDTree

    points = KDTree(rng.uniform(0, TILE_PX, (n, 2)), boxsize=TILE_PX)
    return points.query(np.stack(np.mgrid[:TILE_PX, :TILE_PX], -1), k)


def _coloured(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A field through a gradient of three random colours, from its 1st to its 99th percentile."""
    low, high = np.percentile(field, (1, 99))
    colours = rng.uniform(0, 1, (3, 3))
    at = (field - low) / (high - low)
    return np.stack([np.interp(at, (0, 0.5, 1), channel) for channel in colours.T], -1)


_KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "fractal noise": _fractal_noise,
    "1/f noise": _power_law_noise,
    "Worley noise": _worley_noise,
    "warped gratings": _warped_gratings,
    "Voronoi mosaic": _voronoi_mosaic,
}
