"""Builds the folder of 30 hostile files, and says of each what the intake must answer.

Used by the tests and by hand: ``python -m tests.hostile DIR``.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIDE_PX = 64


def part(seed: int, side: int = SIDE_PX) -> np.ndarray:
    """A small picture with grain, different for every seed: (side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(60, 190, (8, 8, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def build(root: str | os.PathLike[str]) -> dict[str, str | None]:
    """Write 30 files into ``root``; name -> a word of the reason for which it is rejected, None if accepted."""
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    expected: dict[str, str | None] = {}

    def put(name: str, content: bytes, reason: str | None = None) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        expected[name] = reason

    def saved(image: Image.Image, format: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    whole = encoded(part(1))
    alpha = np.full((SIDE_PX, SIDE_PX, 1), 128, np.uint8)
    deep = part(2).astype(np.uint16) * 257
    turned = Image.Exif()
    turned[0x0112] = 6

    # Good pictures in every dress.
    put("plain.png", whole)
    put("16-bit grey.png", encoded(deep[..., 0]))
    put("16-bit colour.png", cv2.imencode(".png", part(3).astype(np.uint16) * 257)[1].tobytes())
    put("16-bit colour.tiff", cv2.imencode(".tiff", part(4).astype(np.uint16) * 257)[1].tobytes())
    put("cmyk.jpg", saved(Image.fromarray(part(5)).convert("CMYK"), "JPEG"))
    put("palette.png", saved(Image.fromarray(part(6)).quantize(64), "PNG"))
    put("rgba.png", encoded(np.concatenate([part(7), alpha], 2)))
    put("grey-alpha.png", encoded(np.concatenate([part(8)[..., :1], alpha], 2)))
    put("one-bit.png", saved(Image.fromarray(part(9)).convert("1"), "PNG"))
    put("turned.jpg", encoded(part(10, 80)[:SIDE_PX], "JPEG", exif=turned))
    put("bitmap.bmp", encoded(part(11), "BMP"))
    put("部品 № 1 – été.png", encoded(part(12)))
    put("jpeg named.png", encoded(part(13), "JPEG"))
    put("no suffix", encoded(part(14)))
    # Bad ones.
    put("truncated.png", whole[: len(whole) // 2], "damaged")
    put("truncated.jpg", encoded(part(15), "JPEG")[:-400], "damaged")
    put("wrong-crc.png", whole[:60] + bytes([whole[60] ^ 255]) + whole[61:], "damaged")
    put("cut 16-bit.png", cv2.imencode(".png", deep)[1].tobytes()[:-3000], "damaged")
    put("text.png", b"this is no picture\n", "not a PNG")
    put("zero.png", b"", "empty")
    put("one-pixel.png", encoded(part(16)[:1, :1]), "1 x 1 px")
    put("wide.png", saved(Image.new("L", (20_000, 40)), "PNG"), "20,000 x 40 px")
    put("bomb.png", _claims(30_000, 30_000), "30,000 x 30,000 px")
    put("many-pixels.png", _claims(12_000, 12_000), "144 million pixels")
    frames = [Image.fromarray(part(s)) for s in (17, 18)]
    put("animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), "2 pictures")
    put("pages.tiff", saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "2 pictures")
    put("animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), "not a PNG")
    floating = Image.fromarray(part(19)[..., 0].astype(np.float32))
    put("float.tiff", saved(floating, "TIFF"), "floating point")
    put("plain again.png", whole, "same picture as plain")
    (root / "folder.png").mkdir(exist_ok=True)
    expected["folder.png"] = "folder"
    assert len(expected) == 30
    return expected


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    """A zip with these members, names taken as they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims this many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


if __name__ == "__main__":
    for file, answer in build(sys.argv[1]).items():
        print(f"{file}: {answer or 'accepted'}")
