"""Textures that are blended into OK images: the product's own, or foreign ones this package makes.

GLASS takes foreign textures from DTD, which cannot be shipped; procedural noise, stripes, checks and flat colours
stand in for it, under that name.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ias_core.synthesis.perlin import perlin_noise

_AUGMENTATIONS_PER_TEXTURE = 3


def _pil(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.round(image * 255).astype(np.uint8), "RGB")


def _shift_hue(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    h, s, v = image.convert("HSV").split()
    turn = int(rng.uniform(-0.2, 0.2) * 255)
    h = h.point([(i + turn) % 256 for i in range(256)])
    return ImageEnhance.Color(Image.merge("HSV", (h, s, v)).convert("RGB")).enhance(rng.uniform(0.8, 1.2))


def _turn(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rotation up to 45 degrees; the corners are filled from a mirrored border, not with black."""
    array = np.asarray(image)
    pad = array.shape[0] // 4
    wide = Image.fromarray(np.pad(array, ((pad, pad), (pad, pad), (0, 0)), mode="reflect"), "RGB")
    turned = wide.rotate(rng.uniform(-45, 45), resample=Image.Resampling.BILINEAR)
    return turned.crop((pad, pad, pad + array.shape[1], pad + array.shape[0]))


# The nine of GLASS's training data (repository, datasets/mvtec.py); three of them are applied to each texture.
_AUGMENTATIONS: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (
    lambda image, rng: ImageEnhance.Contrast(image).enhance(rng.uniform(0.8, 1.2)),
    lambda image, rng: ImageEnhance.Brightness(image).enhance(rng.uniform(0.8, 1.2)),
    _shift_hue,
    lambda image, rng: ImageOps.mirror(image),
    lambda image, rng: ImageOps.flip(image),
    lambda image, rng: ImageOps.grayscale(image).convert("RGB"),
    lambda image, rng: ImageOps.autocontrast(image),
    lambda image, rng: ImageOps.equalize(image),
    _turn,
)


def augment(texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three different ones of nine augmentations, in random order; (s, s, 3) float32 in and out, [0, 1]."""
    image = _pil(texture)
    for place in rng.choice(len(_AUGMENTATIONS), _AUGMENTATIONS_PER_TEXTURE, replace=False):
        image = _AUGMENTATIONS[place](image, rng)
    return np.asarray(image, np.float32) / 255


def own_texture(images: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """The product's own surface, from another place: a random OK image, rolled by a random offset.

    Returns
    -------
    texture : ndarray of shape (s, s, 3)
    name : str
    """
    place = int(rng.integers(len(images)))
    size = images.shape[1]
    shift = rng.integers(size // 8, size - size // 8, 2)  # never in register with where it came from
    return np.roll(images[place], tuple(int(s) for s in shift), (0, 1)), f"own image {place}"


def foreign_texture(size: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A surface the product does not have: coloured Perlin noise, stripes, checks or a flat colour."""
    kind = ("noise", "stripes", "checks", "flat")[rng.integers(4)]
    first, second = rng.uniform(0, 1, (2, 3))
    if kind == "flat":
        weight = np.zeros((size, size))
    elif kind == "noise":
        padded = 1 << (size - 1).bit_length()
        scale = int(2 ** rng.integers(2, min(6, padded.bit_length() - 1)))
        weight = np.clip((perlin_noise(padded, (scale, scale), rng)[:size, :size] + 1) / 2, 0, 1)
    else:
        period, phase = rng.uniform(6, 40), rng.uniform(0, 2 * np.pi)
        angle = rng.uniform(0, np.pi)
        y, x = np.mgrid[:size, :size]
        along = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + phase)
        across = np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / period + phase)
        weight = ((along if kind == "stripes" else along * across) > 0).astype(float)
    texture = first + weight[..., None] * (second - first)
    return texture.astype(np.float32), f"made here: {kind}"
