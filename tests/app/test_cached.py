"""Trap of Streamlit: large arrays are hashed by a sample, so a scratch can get the good part's cached answer."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from ias_core.errors import ImageRefused
from pages.services.ledger import ImageRecord
from pages.services.pictures import read_at_size
from pages.ui import cached

SIDE_PX = 512


@pytest.fixture
def pair(tmp_path) -> tuple[ImageRecord, ImageRecord]:
    """A good part, and the same picture with a scratch one pixel wide."""
    st.cache_data.clear()
    good = np.random.default_rng(5).integers(60, 180, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    bad = good.copy()
    bad[200:260, 300] = 255
    return save(good, tmp_path / "good.png"), save(bad, tmp_path / "bad.png")


def save(pixels: np.ndarray, path: Path) -> ImageRecord:
    Image.fromarray(pixels).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ImageRecord(sha256, path.name, path, "ok", "good", None, None, SIDE_PX, SIDE_PX, sha256, None)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png))).astype(int)


@pytest.mark.parametrize("size", [160, SIDE_PX])
def test_thumbnails_of_nearly_equal_pictures_differ(pair, size):
    good, bad = (pixels_of(cached.thumbnail(record, size)) for record in pair)
    assert good.shape == (size, size, 3)
    rows, columns = np.nonzero(np.abs(good - bad).max(axis=2) > 8)
    scale = size / SIDE_PX
    assert 0.3 * 60 * scale < len(rows)
    assert np.all(np.abs(columns - 300 * scale) <= 3)
    assert np.all((rows > 195 * scale - 3) & (rows < 265 * scale + 3))


def overlay(record: ImageRecord, patch: np.ndarray, *, scored_by: str = "bank", **changes) -> bytes:
    asked = {"scale": (0.0, 1.0), "opacity": 0.4, "size": SIDE_PX} | changes
    return cached.overlay(record.sha256, scored_by, lambda: read_at_size(record, SIDE_PX), patch, **asked)


def test_overlays_of_nearly_equal_pictures_differ(pair):
    patch = np.full((32, 32), 0.2, np.float32)
    good, bad = (pixels_of(overlay(record, patch)) for record in pair)
    rows, columns = np.nonzero(np.abs(good - bad).max(axis=2) > 4)
    assert set(columns) <= {299, 300, 301}
    assert len(rows) >= 40


def test_overlay_depends_on_everything_it_shows(pair):
    good, _ = pair
    patch = np.full((32, 32), 0.2, np.float32)
    pictures = {
        overlay(good, patch),
        overlay(good, patch * 4, scored_by="another bank"),
        overlay(good, patch, scale=(0.1, 0.3)),
        overlay(good, patch, opacity=0.9),
    }
    assert len(pictures) == 4


def test_same_picture_is_drawn_once(pair):
    good, _ = pair
    patch = np.full((32, 32), 0.2, np.float32)
    first = overlay(good, patch)
    gone = replace(good, path=good.path.with_name("gone.png"))
    assert overlay(gone, patch) == first
    with pytest.raises(ImageRefused, match=r"good\.png: the file is not there"):
        overlay(gone, patch, opacity=0.5)
