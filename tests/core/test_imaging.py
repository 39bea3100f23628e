"""Files to pixels: values known by hand, every mode, and refusals that say what is wrong."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from ias_core import imaging
from ias_core.errors import ImageRefused, ShapeError
from tests import hostile


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def load(tmp_path: Path, content: bytes) -> np.ndarray:
    path = tmp_path / "x"
    path.write_bytes(content)
    return imaging.load_image(path)


def test_values_known_by_hand(tmp_path):
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[0, 0] = (255, 51, 0)
    image = load(tmp_path, hostile.encoded(pixels))
    assert image.shape == (40, 50, 3) and image.dtype == np.float32
    np.testing.assert_allclose(image[0, 0], [1.0, 0.2, 0.0], atol=1e-7)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_colour_keeps_its_depth(tmp_path, suffix):
    values = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    image = load(tmp_path, cv2.imencode(suffix, values[..., ::-1])[1].tobytes())
    np.testing.assert_allclose(image, values / 65535.0, atol=1e-7)


def test_16_bit_grey_keeps_its_depth(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (40, 50)).astype(np.uint16)
    image = load(tmp_path, hostile.encoded(values))
    np.testing.assert_allclose(image, np.repeat(values[..., None] / 65535.0, 3, 2), atol=1e-7)


def test_transparent_pixels_lie_on_black(tmp_path):
    rgba = np.full((40, 40, 4), 200, np.uint8)
    rgba[..., 3] = 0
    rgba[:20, :, 3] = 255
    image = load(tmp_path, hostile.encoded(rgba))
    np.testing.assert_allclose(image[:20], 200 / 255, atol=1e-6)
    assert not image[20:].any()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LA", "RGBA", "YCbCr"])
def test_every_mode_gives_rgb(tmp_path, mode):
    picture = Image.fromarray(hostile.part(0)).convert(mode)
    format = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    image = load(tmp_path, saved(picture, format))
    assert image.shape == (64, 64, 3) and 0 <= image.min() < image.max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_at_8_and_16_bit(orientation):
    picture = Image.fromarray(hostile.part(0, 80)[:64])
    exif = picture.getexif()
    exif[0x0112] = orientation
    data = saved(picture, "TIFF", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(imaging.decode(data), upright)
    header = imaging.probe_image(data)
    assert (header.height, header.width) == upright.shape[:2]
    data = saved(picture, "JPEG", exif=exif)
    header = imaging.probe_image(data)
    assert (header.height, header.width) == upright.shape[:2] == imaging.decode(data).shape[:2]

    grey = np.asarray(picture)[..., 0].astype(np.uint16) * 257
    data = saved(Image.fromarray(grey), "PNG", exif=exif)
    np.testing.assert_array_equal(imaging.decode(data)[..., 0], upright[..., 0].astype(np.uint16) * 257)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_of_16_bit_tiff(orientation):
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    buffer = io.BytesIO()
    tags = [(274, "H", 1, orientation, False)]
    tifffile.imwrite(buffer, values, photometric="rgb", extratags=tags)
    expected = imaging._upright(values, orientation)
    header = imaging.probe_image(buffer.getvalue())
    assert (header.height, header.width) == expected.shape[:2]
    np.testing.assert_array_equal(imaging.decode(buffer.getvalue()), expected)


def test_a_bomb_is_never_decoded(monkeypatch, tmp_path):
    files = hostile.build(tmp_path)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    for name in ("bomb.png", "many-pixels.png", "wide.png", "one-pixel.png"):
        with pytest.raises(ImageRefused, match=files[name]):
            imaging.probe_image(tmp_path / name)


def test_a_file_that_changed_since_import_is_refused(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(hostile.encoded(hostile.part(0)))
    known = imaging.sha256_of(path)
    imaging.load_image(path, sha256=known)
    path.write_bytes(hostile.encoded(hostile.part(1)))
    with pytest.raises(ImageRefused, match="changed since import"):
        imaging.load_image(path, sha256=known)


def test_hostile_files_are_refused_by_reason(tmp_path):
    for name, reason in hostile.build(tmp_path).items():
        if reason is None or reason.startswith("same picture"):
            imaging.load_image(tmp_path / name)
        else:
            with pytest.raises(ImageRefused, match=reason):
                imaging.load_image(tmp_path / name)


def test_missing_file(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ImageRefused, match="not there"):
        imaging.load_image(tmp_path / "link.png")


def test_resize_equals_torchvision():
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).random((90, 140, 3), dtype=np.float32)
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None])
    expected = torch.nn.functional.interpolate(tensor, (48, 48), mode="bilinear", antialias=True, align_corners=False)
    before = image.copy()
    ours = imaging.resize_image(image, 48)
    np.testing.assert_allclose(ours, expected[0].numpy().transpose(1, 2, 0), atol=1e-5)
    np.testing.assert_array_equal(image, before)


def test_resize_refuses_another_shape():
    with pytest.raises(ShapeError, match="h, w, 3"):
        imaging.resize_image(np.zeros((4, 4), np.float32), 8)


def test_mask(tmp_path):
    drawn = np.zeros((64, 64), np.uint8)
    drawn[16:32, 8:24] = 255
    (tmp_path / "m.png").write_bytes(hostile.encoded(drawn))
    mask = imaging.load_mask(tmp_path / "m.png", 32)
    assert mask.dtype == bool and mask.shape == (32, 32)
    assert mask[8:16, 4:12].all() and mask.sum() == 64


def test_no_heavy_import():
    code = (
        "import sys; import pages.services.intake, pages.services.demo; "
        "print(sorted({'torch', 'anomalib', 'timm', 'streamlit'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
