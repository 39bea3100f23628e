"""Textures made here, those of scikit-image's wheel, and the user's own folder."""

import importlib.metadata
import socket
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from ias_core.errors import IasError
from ias_core.synthesis import made_textures
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.folder_textures import FolderTextures
from ias_core.synthesis.made_textures import PHOTOGRAPHS, TILES_PER_KIND, MadeTextures, photograph, tile
from ias_core.synthesis.texture_crop import random_crop
from tests.core.small import pictures

KINDS = tuple(made_textures._KINDS)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def save(path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def one_colour(*colour: int, height: int = 40, width: int = 50) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


# Made here


@pytest.mark.parametrize("size", [32, 100, 300])
def test_any_size_in_range_and_the_same_again(size):
    for seed in range(6):
        (texture, what), (again, _) = (MadeTextures()(size, rng(seed)) for _ in range(2))
        assert texture.shape == (size, size, 3) and texture.dtype == np.float32
        assert 0 <= texture.min() and texture.max() <= 1  # noqa: SIM300
        assert np.array_equal(texture, again)
        assert what.split(": ")[0] in ("made here", "scikit-image")


def test_kinds_are_equally_often_and_photographs_too():
    random, source = rng(), MadeTextures()
    names = Counter(source(32, random)[1] for _ in range(900))
    photographs = {name: n for name, n in names.items() if name.startswith("scikit-image: ")}
    kinds = Counter({name.removeprefix("made here: "): n for name, n in names.items() if name not in photographs})
    kinds["photographs"] = sum(photographs.values())
    assert set(kinds) == {*KINDS, "photographs"}
    assert max(abs(n - 150) for n in kinds.values()) < 4 * np.sqrt(900 * 5 / 36)
    assert set(photographs) == {f"scikit-image: {name}" for name in PHOTOGRAPHS}


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_have_no_seam_and_a_texture(kind):
    inner, seam = [], []
    for number in range(3):
        pixels = tile(kind, number).astype(int)
        assert pixels.shape == (256, 256, 3) and pixels.std((0, 1)).max() > 10
        for axis in (0, 1):
            inner.append(np.abs(np.diff(pixels, axis=axis)).mean())
            seam.append(np.abs(pixels.take(0, axis) - pixels.take(-1, axis)).mean())
    assert np.mean(seam) < 1.5 * np.mean(inner) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_is_fixed_shared_and_read_only(kind):
    pixels = tile(kind, 0)
    assert tile(kind, 0) is pixels and np.array_equal(tile.__wrapped__(kind, 0), pixels)
    assert not np.array_equal(tile(kind, 1), pixels)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 0


def test_the_bank_is_bounded_and_textures_from_it_are_not():
    random, source = rng(5), MadeTextures()
    seen = {source(32, random)[0].tobytes() for _ in range(300)}
    assert len(seen) > 297
    assert tile.cache_info().currsize <= len(KINDS) * TILES_PER_KIND
    assert photograph.cache_info().currsize <= len(PHOTOGRAPHS)


def test_photographs_lie_in_the_wheel_and_need_no_network(monkeypatch):
    def no_network(*_):
        raise AssertionError("a photograph asked for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    files = {path.name.split(".")[0] for path in importlib.metadata.files("scikit-image") if "data" in path.parts}
    for name in PHOTOGRAPHS:
        assert {"immunohistochemistry": "ihc"}.get(name, name) in files
        pixels = photograph.__wrapped__(name)
        assert pixels.dtype == np.uint8 and pixels.shape[2] == 3 and min(pixels.shape[:2]) >= 128
        assert not pixels.flags.writeable


# Crops


def test_a_crop_is_a_square_of_the_picture_in_one_of_eight_views():
    pixels = np.arange(12 * 9 * 3, dtype=np.int64).reshape(12, 9, 3).astype(np.uint8)
    squares = {
        np.rot90(pixels[r : r + 5, c : c + 5], turn)[:, ::step].tobytes()
        for r in range(8)
        for c in range(5)
        for turn in range(4)
        for step in (1, -1)
    }
    seen = set()
    for seed in range(200):
        crop = np.round(random_crop(pixels, 5, 5, rng(seed)) * 255).astype(np.uint8)
        assert crop.tobytes() in squares
        seen.add(crop.tobytes())
    assert len(seen) > 100


@pytest.mark.parametrize(("side_px", "size"), [(8, 16), (8, 4), (40, 32)])
def test_a_crop_has_the_asked_size_and_keeps_an_even_colour(side_px, size):
    crop = random_crop(one_colour(10, 200, 30), side_px, size, rng())
    np.testing.assert_allclose(crop, np.broadcast_to(np.array([10, 200, 30]) / 255, (size, size, 3)), atol=1e-6)


# The user's folder


def test_pictures_of_the_folder_are_named_and_all_used(tmp_path):
    folder = tmp_path / "steel"
    save(folder / "b.png", one_colour(0, 255, 0))
    save(folder / "sub" / "a.bmp", one_colour(0, 0, 255))
    save(folder / "a.png", one_colour(255, 0, 0))
    (folder / ".hidden.png").write_bytes((folder / "a.png").read_bytes())
    source, random = FolderTextures(folder), rng()
    assert source.name == "steel" and source.skipped == 0
    seen = {}
    for _ in range(40):
        texture, what = source(32, random)
        assert texture.shape == (32, 32, 3) and texture.dtype == np.float32
        seen[what] = texture[0, 0].tolist()
    assert seen == {"steel: a.png": [1, 0, 0], "steel: b.png": [0, 1, 0], "steel: sub/a.bmp": [0, 0, 1]}


def test_same_folder_same_rng_same_texture(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.png", rng(number).integers(0, 256, (60, 80, 3), np.uint8))
    first, second = (FolderTextures(tmp_path) for _ in range(2))
    for seed in range(10):
        (texture, what), (again, same) = first(24, rng(seed)), second(24, rng(seed))
        assert what == same and np.array_equal(texture, again)


def test_unreadable_files_are_skipped_and_counted(tmp_path):
    save(tmp_path / "good.png", one_colour(1, 2, 3))
    (tmp_path / "a.txt").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "z_cut.png").write_bytes(_cut_off(tmp_path))
    source = FolderTextures(tmp_path)
    assert source.skipped == 2  # the one that is cut off has a sound header
    assert {source(16, rng(seed))[1] for seed in range(30)} == {f"{tmp_path.name}: good.png"}


def _cut_off(folder) -> bytes:
    whole = folder / "whole.png"
    save(whole, rng().integers(0, 256, (64, 64, 3), np.uint8))
    data = whole.read_bytes()
    whole.unlink()
    return data[: len(data) // 2]


def test_a_large_picture_is_reduced_and_16_bit_are_kept_as_8(tmp_path):
    save(tmp_path / "large.png", one_colour(9, 8, 7, height=1100, width=2000))
    source = FolderTextures(tmp_path)
    np.testing.assert_allclose(source(64, rng())[0], np.broadcast_to(np.array([9, 8, 7]) / 255, (64, 64, 3)), atol=1e-6)
    assert source._pixels(tmp_path / "large.png").shape == (1024, 1862, 3)
    Image.fromarray(np.full((40, 40), 32_768, np.uint16)).save(tmp_path / "large.png")
    assert FolderTextures(tmp_path)(32, rng())[0][0, 0, 0] == pytest.approx(128 / 255, abs=1e-6)


@pytest.mark.parametrize(
    ("files", "words"),
    [({}, "none of its 0 files"), ({"a.txt": b"text"}, "none of its 1 files"), (None, "there is none")],
)
def test_a_folder_without_pictures_is_one_clear_error(tmp_path, files, words):
    folder = tmp_path / "textures"
    if files is not None:
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
    with pytest.raises(IasError, match=words):
        FolderTextures(folder)


def test_a_folder_whose_pictures_are_all_damaged_is_an_error_when_used(tmp_path):
    (tmp_path / "cut.png").write_bytes(_cut_off(tmp_path))
    source = FolderTextures(tmp_path)
    with pytest.raises(IasError, match="can be decoded"):
        source(16, rng())


def test_methods_say_which_picture_of_the_folder_they_used(tmp_path):
    folder = tmp_path / "mine"
    save(folder / "red.png", one_colour(255, 0, 0))
    made = synthesizers["destseg"]()(pictures(2, 64), count=3, seed=0, severity=1.0, textures=FolderTextures(folder))
    assert set(made.textures) == {"mine: red.png"}
    for image, mask in zip(made.images, made.masks, strict=True):
        assert (image[mask] == (1, 0, 0)).all()
