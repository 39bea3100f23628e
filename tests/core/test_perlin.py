"""Perlin noise and GLASS masks: exact on the lattice, never empty, the same for the same seed."""

import numpy as np
import pytest

from ias_core.errors import ShapeError
from ias_core.synthesis import perlin
from ias_core.synthesis.perlin import glass_mask, perlin_noise


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain_perlin(size, scales, rng):
    """Pixel by pixel, by definition."""
    angles = rng.uniform(0, 2 * np.pi, (scales[0] + 1, scales[1] + 1))

    def fade(t):
        return t**3 * (t * (6 * t - 15) + 10)

    out = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            y, x = i * scales[0] / size, j * scales[1] / size
            row, column = int(y), int(x)
            total = 0.0
            for dy in (0, 1):
                for dx in (0, 1):
                    angle = angles[row + dy, column + dx]
                    dot = np.cos(angle) * (y - row - dy) + np.sin(angle) * (x - column - dx)
                    weight_y = fade(y - row) if dy else 1 - fade(y - row)
                    weight_x = fade(x - column) if dx else 1 - fade(x - column)
                    total += weight_y * weight_x * dot
            out[i, j] = np.sqrt(2) * total
    return out


@pytest.mark.parametrize("scales", [(1, 1), (2, 8), (4, 4)])
def test_equals_the_plain_loop(scales):
    np.testing.assert_allclose(perlin_noise(16, scales, rng()), plain_perlin(16, scales, rng()), atol=1e-6)


def test_zero_on_the_lattice_and_within_its_range():
    noise = perlin_noise(64, (8, 4), rng())
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise[::8, ::16], 0, atol=1e-6)
    assert 0.2 < np.abs(noise).max() <= 1.01


def test_size_that_the_scales_do_not_divide_raises():
    with pytest.raises(ShapeError, match="divisible by the scales"):
        perlin_noise(50, (4, 4), rng())


@pytest.mark.parametrize("size", [32, 64, 100, 224])
def test_masks_of_any_size_are_some_of_the_picture(size):
    shares = [glass_mask(size, rng(seed)).mean() for seed in range(30)]
    assert glass_mask(size, rng()).shape == (size, size) and glass_mask(size, rng()).dtype == bool
    assert min(shares) > 0 and max(shares) < 0.9
    assert len({round(share, 6) for share in shares}) > 15


def test_same_seed_same_mask():
    assert np.array_equal(glass_mask(96, rng(5)), glass_mask(96, rng(5)))
    assert not np.array_equal(glass_mask(96, rng(5)), glass_mask(96, rng(6)))


def test_mask_stays_on_the_foreground():
    part = np.zeros((64, 64), bool)
    part[10:50, 20:60] = True
    for seed in range(20):
        mask = glass_mask(64, rng(seed), foreground=part)
        assert mask.any() and not (mask & ~part).any()


def test_empty_foreground_stops_after_20_draws(monkeypatch):
    draws = []
    field = perlin._field
    monkeypatch.setattr(perlin, "_field", lambda size, rng: draws.append(1) or field(size, rng))
    with pytest.raises(ShapeError, match="20 random masks missed the foreground"):
        glass_mask(64, rng(), foreground=np.zeros((64, 64), bool))
    assert len(draws) == 2 * 20
