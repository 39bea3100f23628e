"""The day a picture was taken: which tag counts, and that no tag, or a damaged one, costs no picture."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from ias_core import imaging
from tests import hostile

ORIGINAL, DIGITIZED, CHANGED = "DateTimeOriginal", "DateTimeDigitized", "DateTime"


def picture(format: str = "JPEG", **dates: str) -> bytes:
    exif = Image.Exif()
    for name, text in dates.items():
        place = exif if name == CHANGED else exif.get_ifd(ExifTags.IFD.Exif)
        place[ExifTags.Base[name]] = text
    # As bytes: of an Exif object Pillow leaves out the inner tags when it writes a TIFF.
    return hostile.encoded(hostile.part(0), format, exif=exif.tobytes())


def taken(**dates: str) -> str:
    return imaging.probe_image(picture(**dates)).taken


def test_the_original_date_goes_before_the_others():
    every = {ORIGINAL: "2026:01:05 23:59:59", DIGITIZED: "2026:01:06 10:00:00", CHANGED: "2026:01:07 10:00:00"}
    assert taken(**every) == "2026-01-05"
    del every[ORIGINAL]
    assert taken(**every) == "2026-01-06"
    del every[DIGITIZED]
    assert taken(**every) == "2026-01-07"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_every_format_that_holds_exif(format):
    header = imaging.probe_image(picture(format, **{ORIGINAL: "2026:01:05 08:00:00"}))
    assert (header.format, header.taken) == (format, "2026-01-05")


@pytest.mark.parametrize("text", ["", "0000:00:00 00:00:00", "    :  :     :  :  ", "2026:13:40 00:00:00", "yesterday"])
def test_a_clock_that_was_never_set_gives_no_date_but_lets_the_next_tag_speak(text):
    assert taken(**{ORIGINAL: text}) == ""
    assert taken(**{ORIGINAL: text, CHANGED: "2026:01:07 08:00:00"}) == "2026-01-07"


def test_no_exif_no_date():
    for format in ("JPEG", "PNG", "BMP", "TIFF"):
        assert imaging.probe_image(hostile.encoded(hostile.part(0), format)).taken == ""


def damaged() -> bytes:
    """The pointer to the tag with the date leads out of the file."""
    content = bytearray(picture(**{ORIGINAL: "2026:01:05 08:00:00"}))
    content[content.index(b"\x87\x69") + 8] = 0xFF
    return bytes(content)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest puts its own filters before the product's
def test_a_damaged_date_costs_neither_the_picture_nor_its_pixels():
    assert imaging.probe_image(damaged()).taken == ""
    assert imaging.decode(damaged()).shape == (hostile.SIDE_PX, hostile.SIDE_PX, 3)


def test_a_damaged_date_is_silent(tmp_path):
    (tmp_path / "x.jpg").write_bytes(damaged())
    code = "import sys; from ias_core.imaging import probe_image; print(probe_image(sys.argv[1]).format)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.jpg")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("JPEG", "")


def test_the_date_is_read_without_decoding(monkeypatch):
    content = picture("PNG", **{ORIGINAL: "2026:01:05 08:00:00"})
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert imaging.probe_image(content).taken == "2026-01-05"


def test_a_date_and_an_orientation_go_together():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:05 08:00:00"
    buffer = io.BytesIO()
    Image.fromarray(hostile.part(0, 80)[:64]).save(buffer, "JPEG", exif=exif)
    header = imaging.probe_image(buffer.getvalue())
    assert (header.width, header.height, header.taken) == (64, 80, "2026-01-05")
