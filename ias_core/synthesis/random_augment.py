"""DRAEM's random augmentation of a texture: three different ones of ten, in the order they are drawn.

Zavrtanik, Kristan, Skocaj, "DRAEM", ICCV 2021, data_loader.py of the authors' repository. It uses imgaug, which is no
longer maintained; here each operation is OpenCV's or one table of 256 levels, equal to Pillow's where Pillow has it.
Strengths that the list leaves to imgaug's defaults are those of imgaug 0.4: sharpness 0 to 2, posterise to 1 to 8 bits,
autocontrast after cutting 0 to 20 %.
"""

from collections.abc import Callable

import cv2
import numpy as np

_PER_TEXTURE = 3
_LEVELS = np.arange(256)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # PIL.ImageFilter.SMOOTH


def random_augment(texture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """The texture through three different operations.

    Parameters
    ----------
    texture : ndarray of shape (s, s, 3)
        float32 RGB in [0, 1], left unchanged. The authors' arrays are BGR, so that their shifts of hue act on swapped
        channels; colours here are drawn at random, and the difference cannot be told.

    Returns
    -------
    texture : ndarray of shape (s, s, 3)
        float32, on the grid of 8-bit values.
    operations : list of str
        In the order they were applied.
    """
    names = [list(OPERATIONS)[place] for place in rng.choice(len(OPERATIONS), _PER_TEXTURE, replace=False)]
    pixels = cv2.convertScaleAbs(texture, alpha=255)  # to 8 bit
    for name in names:
        pixels = OPERATIONS[name](pixels, rng)
    return np.divide(pixels, np.float32(255), dtype=np.float32), names


def _through(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Every value looked up in a table of 256 values, or of (3, 256) for the channels."""
    table = np.clip(np.round(table), 0, 255).astype(np.uint8)
    return cv2.LUT(pixels, table if table.ndim == 1 else np.ascontiguousarray(table.T)[None])


def _gamma(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _through(pixels, 255 * (_LEVELS / 255) ** rng.uniform(0.5, 2.0, (3, 1)))


def _brightness(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All channels alike; imgaug does it in a colour space that it draws."""
    return _through(pixels, _LEVELS * rng.uniform(0.8, 1.2) + rng.uniform(-30, 30))


def _sharpness(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pillow's, by OpenCV: away from a smoothed picture, or towards it."""
    factor = rng.uniform(0, 2)
    return cv2.addWeighted(pixels, factor, cv2.filter2D(pixels, -1, _SMOOTH), 1 - factor, 0)


def _hue_and_saturation(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn, shift = rng.integers(-50, 51, 2)  # of 255, which is a full turn
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
    return cv2.cvtColor(
        _through(hsv, np.stack([(_LEVELS + turn) % 256, _LEVELS + shift, _LEVELS])), cv2.COLOR_HSV2RGB_FULL
    )


def _solarize(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every other time; else the picture stays."""
    drawn, threshold = rng.random() < 0.5, int(rng.integers(32, 129))
    return _through(pixels, np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS)) if drawn else pixels


def _posterize(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    dropped = 8 - int(rng.integers(1, 9))  # bits
    return _through(pixels, _LEVELS >> dropped << dropped)


def _invert(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 255 - pixels


def _autocontrast(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each channel stretched between the levels that the cut leaves; as Pillow does it, but by one table."""
    cut = pixels[..., 0].size * int(rng.integers(21)) // 100
    tables = np.tile(_LEVELS, (3, 1))
    for table, channel in zip(tables, cv2.split(pixels), strict=True):
        counts = np.bincount(channel.ravel(), minlength=256)
        low = int((counts.cumsum() > cut).argmax())
        high = 255 - int((counts[::-1].cumsum() > cut).argmax())
        if high > low:
            table[:] = np.clip((_LEVELS - low) * 255 / (high - low), 0, 255)  # integers: the fraction is dropped
    return _through(pixels, tables)


def _equalize(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(pixels)])


def _rotate(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The corners are filled from a mirrored border (ours): the published black ones are no texture."""
    centre = (pixels.shape[1] - 1) / 2, (pixels.shape[0] - 1) / 2
    turn = cv2.getRotationMatrix2D(centre, rng.uniform(-45, 45), 1)
    return cv2.warpAffine(pixels, turn, pixels.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)


OPERATIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "gamma": _gamma,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "hue and saturation": _hue_and_saturation,
    "solarize": _solarize,
    "posterize": _posterize,
    "invert": _invert,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "rotate": _rotate,
}
