"""The one place that turns a file into pixels: RGB, float32, [0, 1], upright.

What a file is, is read from its content and never from its suffix.  The header is checked before anything is
decoded, so that a picture of a billion pixels costs nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from ias_core.errors import ImageRefused, ShapeError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 16_384
MIN_SIDE_PX = 32

# Pillow's own bomb warning would fire below our limit, and its error above it says less than ours.
Image.MAX_IMAGE_PIXELS = None
# Damaged EXIF tags of a whole picture are no message on the console: the picture has no date, and that is all.
warnings.filterwarnings("ignore", r"(Corrupt|Possibly corrupt) EXIF data", module=r"PIL\.")

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO = 0
_ON_ITS_SIDE = (5, 6, 7, 8)
_EXIF_DATE_LENGTH = len("2026:01:05")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says about itself before it is decoded.

    width, height : px, upright
    bits          : per channel
    taken         : "YYYY-MM-DD", the day the picture was taken by its EXIF, "" if it does not say
    """

    format: str
    width: int
    height: int
    bits: int
    taken: str = ""


def may_be_read(folder: Path) -> bool:
    """Whether a folder can be listed and entered; tried, because what the system says beforehand is not always so."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                break
    except PermissionError:
        return False
    return True


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole file.

    Raises
    ------
    ImageRefused
        If it is not there, is a folder, or may not be read.
    """
    path = Path(path)
    if path.is_dir():
        if not may_be_read(path):
            raise ImageRefused("this folder may not be read; check its permissions")
        what = "a link to a folder, which is not followed" if path.is_symlink() else "a folder, not a picture"
        raise ImageRefused(f"this is {what}; put the pictures themselves there")
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ImageRefused("this is no ordinary file (a pipe or a device); put the picture itself there")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageRefused("the file is not there (moved, deleted, or a broken link)") from error
    except OSError as error:
        raise ImageRefused(
            f"the file cannot be read ({error.strerror}); check its permissions and the drive"
        ) from error


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the file's content, 64 hex digits."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def probe_image(source: str | os.PathLike[str] | bytes) -> ImageHeader:
    """Check a file by its header alone; no pixel is decoded.

    Parameters
    ----------
    source : path or bytes

    Raises
    ------
    ImageRefused
        If it is no PNG, JPEG, BMP or TIFF, holds several pictures, has values without a fixed white
        (32 bit, floating point), or is outside the size limits.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> Image.new("L", (64, 48)).save(buffer, "PNG")
    >>> probe_image(buffer.getvalue())
    ImageHeader(format='PNG', width=64, height=48, bits=8, taken='')
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    with _open(data) as picture:
        return _checked_header(picture, data)


def load_image(path: str | os.PathLike[str], *, sha256: str | None = None) -> np.ndarray:
    """Decode a picture.

    Parameters
    ----------
    path : path
    sha256 : str, optional
        What the file held when it was imported.

    Returns
    -------
    ndarray of shape (h, w, 3), float32
        RGB in [0, 1], turned upright by its EXIF tag.  16-bit values keep their depth; transparent pixels are
        laid on black.

    Raises
    ------
    ImageRefused
        If it cannot be used (see `probe_image`), is damaged, or is not the file that was imported.
    """
    data = read_bytes(path)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ImageRefused("the file has changed since import; import the folder again")
    return as_float(decode(data))


def decode(data: bytes) -> np.ndarray:
    """Pixels at the file's own depth: (h, w, 3) uint8 or uint16 RGB, upright.

    Raises
    ------
    ImageRefused
        As `load_image`.
    """
    with _open(data) as picture:
        header = _checked_header(picture, data)
        orientation = _orientation(picture)
        try:
            picture.load()
            if header.bits == 16:
                return _decode_16_bit(picture, data, orientation)
            return _to_rgb(ImageOps.exif_transpose(picture))
        except ImageRefused:
            raise
        except MemoryError as error:
            raise ImageRefused("there is not enough memory to decode it; make the picture smaller") from error
        except Exception as error:  # a damaged file can make a decoder fail in any way
            raise ImageRefused(
                "the picture is damaged or cut off and cannot be decoded; save or copy it again"
            ) from error


def as_float(pixels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 to float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """Bring a picture to ``size`` x ``size`` px; the aspect ratio is not kept, as in anomalib.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), float32
        RGB in [0, 1].
    size : int
        In px.

    Returns
    -------
    ndarray of shape (size, size, 3), float32
        In [0, 1].  Antialiased: a triangle filter as wide as the reduction, as torchvision's
        ``Resize(antialias=True)``.

    Raises
    ------
    ShapeError
        If ``image`` is not (h, w, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ShapeError(f"Expected a picture of shape (h, w, 3), but got {image.shape}.")
    if image.shape[:2] == (size, size):
        return image.astype(np.float32)
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c], dtype=np.float32)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        for c in range(3)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0.0, 1.0)


def load_mask(path: str | os.PathLike[str], size: int) -> np.ndarray:
    """Ground truth of a real NG: (size, size) bool, True where the mask file is not black.

    Nearest neighbour, as anomalib resizes masks.

    Raises
    ------
    ImageRefused
        As `load_image`.
    """
    pixels = decode(read_bytes(path)).max(axis=2)  # (h, w)
    drawn = (pixels > 0).astype(np.uint8)
    return cv2.resize(drawn, (size, size), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageRefused("the file is empty (0 bytes); copy it again")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # a damaged header can make a parser fail in any way
        if data[:2] == b"\xff\xd8" or data[:8] == b"\x89PNG\r\n\x1a\n" or data[:4] in (b"II*\0", b"MM\0*"):
            raise ImageRefused("the picture is damaged or cut off; save or copy it again") from error
        raise ImageRefused(
            "this is not a PNG, JPEG, BMP or TIFF picture, whatever its name says; save it as one of these"
        ) from error


def _checked_header(picture: Image.Image, data: bytes) -> ImageHeader:
    _check_size(*picture.size)  # first of all: a look at tags or frames may already decode
    try:
        frames = getattr(picture, "n_frames", 1)
        bits = _bits(picture, data)
        orientation = _orientation(picture)
    except ImageRefused:
        raise
    except Exception as error:  # damaged tags can make a parser fail in any way
        raise ImageRefused("its header is damaged; save or copy it again") from error
    if frames > 1:
        raise ImageRefused(f"it holds {frames} pictures (animation or pages); save each as a file of its own")
    width, height = picture.size
    if orientation in _ON_ITS_SIDE and picture.format != "TIFF":  # Pillow gives a TIFF's size upright
        width, height = height, width
    format = "JPEG" if picture.format == "MPO" else str(picture.format)
    return ImageHeader(format, width, height, bits, _taken(picture))


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX:
        raise ImageRefused(
            f"it is {width:,} x {height:,} px, and a side may have at most {MAX_SIDE_PX:,} px; crop it to the part"
        )
    if width * height > MAX_PIXELS:
        raise ImageRefused(
            f"it has {width * height / 1e6:,.0f} million pixels, and at most {MAX_PIXELS // 10**6} million "
            "are taken; crop it or reduce it"
        )
    if min(width, height) < MIN_SIDE_PX:
        raise ImageRefused(
            f"it is {width} x {height} px, and at least {MIN_SIDE_PX} px a side are needed to see a defect"
        )


def _orientation(picture: Image.Image) -> int:
    # Not picture.getexif(): that of a PNG decodes the whole picture to look for a tag behind it.
    return Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1)


def _taken(picture: Image.Image) -> str:
    """Day of the EXIF tag DateTimeOriginal, else DateTimeDigitized, else DateTime; "" where none holds a day."""
    try:
        tags = Image.Image.getexif(picture)  # as in _orientation
        inner = tags.get_ifd(ExifTags.IFD.Exif)
        asked = ((inner, "DateTimeOriginal"), (inner, "DateTimeDigitized"), (tags, "DateTime"))
        found = [str(where.get(ExifTags.Base[name], "")) for where, name in asked]
    except Exception:  # damaged tags can make a parser fail in any way, and the picture itself may be whole
        return ""
    return next((day for text in found if (day := _day(text))), "")


def _day(text: str) -> str:
    """EXIF's "YYYY:MM:DD hh:mm:ss" to "YYYY-MM-DD"; "" for the zeros and blanks of a clock that was never set."""
    try:
        return date.fromisoformat(text[:_EXIF_DATE_LENGTH].replace(":", "-")).isoformat()
    except ValueError:
        return ""


def _bits(picture: Image.Image, data: bytes) -> int:
    """Bits per channel: 8 (or fewer) or 16; anything else has no fixed white and is refused."""
    if picture.format == "PNG":
        return 16 if data[24] == 16 else 8  # IHDR: bit depth
    if picture.format != "TIFF":
        return 8
    bits = set(picture.tag_v2.get(_TIFF_BITS, (1,)))
    whole = set(picture.tag_v2.get(_TIFF_SAMPLE_FORMAT, (1,))) == {1}
    if not whole or len(bits) != 1 or max(bits) not in (1, 2, 4, 8, 16):
        depth = "/".join(map(str, sorted(bits)))
        raise ImageRefused(
            f"its values are {depth}-bit {'integers' if whole else 'signed or floating point'}, so white has "
            "no fixed value; save it with 8 or 16 bits"
        )
    return 16 if bits == {16} else 8


def _to_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        black = Image.new("RGBA", with_alpha.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, with_alpha)
    return np.asarray(picture.convert("RGB"))


def _decode_16_bit(picture: Image.Image, data: bytes, orientation: int) -> np.ndarray:
    # Pillow cuts 16-bit colour to 8 bits.  It has decoded the file once, which proves it whole: OpenCV would
    # hand over a cut-off file half black without a word.
    if picture.mode in ("CMYK", "LAB"):
        raise ImageRefused(f"16-bit {picture.mode} is not read; save it as RGB")
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.dtype != np.uint16:
        raise ImageRefused("this kind of 16-bit picture is not read; save it as plain PNG or TIFF")
    if picture.format == "TIFF" and picture.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = np.iinfo(np.uint16).max - pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float64) / 65535.0
        pixels = np.rint(pixels[..., 2::-1] * alpha).astype(np.uint16)
    else:
        pixels = pixels[..., ::-1]
    if picture.format != "TIFF":  # OpenCV turns a TIFF upright by itself, and a PNG not
        pixels = _upright(pixels, orientation)
    return np.ascontiguousarray(pixels)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in _ON_ITS_SIDE:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
