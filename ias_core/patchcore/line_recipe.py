"""How a picture must be prepared for the models in this folder. Needs numpy and Pillow only.

    pixels = prepare("part.png", 224)      # the input size stands in threshold.json
    score, is_ng = model(pixels)           # model.onnx, model.xml or model.ckpt

Other libraries resize in other ways (OpenCV does not smooth before it reduces), and then all scores are others. JPEG
files decoded by another library may differ by a grey level.
"""

import numpy as np
from PIL import Image, ImageOps


def prepare(path, size):
    """(1, 3, size, size) float32, RGB in [0, 1], of a picture with 8 bits per channel; the aspect ratio is not kept.

    Raises
    ------
    ValueError
        If the picture has more than 8 bits per channel, or is not grey or RGB.
    """
    with Image.open(path) as picture:
        if _bits(picture, path) > 8 or picture.mode not in ("1", "L", "P", "RGB", "LA", "PA", "RGBA"):
            raise ValueError(f"{path}: expected 8 bits per channel, grey or RGB, got {picture.mode}: convert it first")
        picture = ImageOps.exif_transpose(picture)
        if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
            black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
            picture = Image.alpha_composite(black, picture.convert("RGBA"))
        pixels = np.asarray(picture.convert("RGB")).astype(np.float32) / np.float32(255)  # (h, w, 3)
    channels = [
        Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize((size, size), Image.Resampling.BILINEAR)
        for c in range(3)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels])[None], 0, 1)


def _bits(picture, path):
    """Bits per channel as the file says: Pillow cuts 16-bit colour to 8 without a word."""
    if picture.format == "PNG":
        with open(path, "rb") as file:
            return file.read(25)[24]
    return max(picture.tag_v2.get(258, (8,))) if picture.format == "TIFF" else 8
