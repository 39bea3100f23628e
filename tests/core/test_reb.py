"""REB: closed regions of the drawn area, soft edges that stay inside, fills that are what they are called."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, label

from ias_core.errors import IasError
from ias_core.synthesis.handcrafted import reb
from ias_core.synthesis.handcrafted.reb import Reb, block_noise, clumped, region, softened
from ias_core.synthesis.recipe import Scene
from tests.core.small import pictures

SIDE = 64
LEVEL = 1 / 255
EVERYWHERE = np.ones((3, 3))


def scene(side: int = 256, size_px: float | None = None) -> Scene:
    return Scene(np.zeros((1, side, side, 3), np.float32), 0, None, size_px, None)


@pytest.mark.parametrize("kind", ["bezier", "scar"])
@pytest.mark.parametrize("size_px", [None, 30.0])
def test_a_region_is_one_closed_piece_of_the_drawn_area(kind, size_px):
    for seed in range(40):
        mask, drawn = region(kind, scene(size_px=size_px), np.random.default_rng(seed))
        assert label(mask, EVERYWHERE)[1] == 1
        assert binary_fill_holes(mask).sum() <= 1.01 * mask.sum()
        assert mask.sum() == pytest.approx(drawn["area_px"], rel=0.1, abs=1)
        if size_px:
            assert drawn["area_px"] == pytest.approx(np.pi * 30**2 / 4)
        box = drawn["width_px"] * drawn["length_px"]
        assert 0.15 < drawn["area_px"] / box < 0.95


def test_boxes_are_as_published():
    boxes = np.array(
        [
            [d["width_px"], d["length_px"]]
            for d in (region("bezier", scene(), np.random.default_rng(seed))[1] for seed in range(80))
        ]
    )
    areas, aspects = boxes.prod(1) / 256**2, boxes[:, 0] / boxes[:, 1]
    assert areas.min() >= 0.02 and areas.max() <= 0.15
    assert areas.min() < 0.03 and areas.max() > 0.13
    assert aspects.min() > 1 / 3.31 and aspects.max() < 3.31
    assert aspects.min() < 0.5 and aspects.max() > 2
    mask, drawn = region("bezier", scene(), np.random.default_rng(0))
    np.testing.assert_allclose(mask.shape, (drawn["length_px"], drawn["width_px"]), atol=4)


def test_scars_are_as_published_and_scaled():
    for side in (256, 128):
        drawn = [region("scar", scene(side), np.random.default_rng(seed))[1] for seed in range(40)]
        widths, lengths = (np.array([d[name] for d in drawn]) * 256 / side for name in ("width_px", "length_px"))
        assert widths.min() >= 2 and widths.max() <= 16 and lengths.min() >= 10 and lengths.max() <= 25


@pytest.mark.parametrize("size_px", [None, 24.0])
def test_a_clump_is_two_fifths_of_its_region(size_px):
    pieces = []
    for seed in range(20):
        mask, drawn = region("clump", scene(size_px=size_px), np.random.default_rng(seed))
        assert mask.sum() == pytest.approx(drawn["area_px"], rel=0.1)
        pieces.append(label(mask, EVERYWHERE)[1])
    assert np.median(pieces) > 3
    inside = np.zeros((40, 40), bool)
    inside[5:35, 10:30] = True
    kept = clumped(inside, 3, np.random.default_rng(0))
    assert kept.sum() == 240 and not (kept & ~inside).any()


def test_soft_edge_lies_inside_the_region():
    mask = region("bezier", scene(), np.random.default_rng(1))[0]
    alpha = softened(mask)
    assert alpha.dtype == np.float32 and alpha.min() >= 0 and alpha.max() <= 1 + 1e-6
    assert not alpha[~mask].any() and (alpha[mask] > 0).mean() > 0.95
    square = np.ones((9, 9), bool)
    soft = softened(square)
    np.testing.assert_allclose(soft[2:-2, 2:-2], 1, atol=1e-6)
    assert 0.2 < soft[0, 4] < 0.5 < soft[1, 4] < 1
    assert (softened(np.ones((2, 9), bool)) == 1).all()  # too thin to be eroded


def test_a_crop_is_a_piece_of_another_image(monkeypatch):
    monkeypatch.setattr(reb, "jitter_colour", lambda patch, amount, rng: (patch, {}))
    images = pictures(3, SIDE)
    made = Reb(fill="crop", kind="bezier")(images, count=16, seed=1)
    seen = set()
    for image, mask, parent, texture, s in zip(
        made.images, made.masks, made.parents, made.textures, made.settings, strict=True
    ):
        donor = int(texture.removeprefix("own image "))
        assert donor != parent and s["weight"] == 1
        shift = s["source_top_px"] - s["top_px"], s["source_left_px"] - s["left_px"]
        rows, columns = np.nonzero(mask)
        change = image[rows, columns] - images[donor][rows + shift[0], columns + shift[1]]
        seen.add(s["soft"])
        hard = np.abs(change).max(1) < 0.51 * LEVEL
        assert hard.all() if not s["soft"] else 0.2 < hard.mean() < 1
    assert seen == {True, False}


def test_noise_fills_have_the_drawn_mean_and_a_weight_of_half_to_one():
    for seed in range(30):
        noise, drawn = block_noise((60, 60), 1.0, np.random.default_rng(seed))
        assert noise.shape == (60, 60, 3) and noise.min() >= 0 and noise.max() <= 1
        assert noise.mean() * 255 == pytest.approx(drawn["noise_mean"], abs=2 + 0.1 * drawn["noise_fluctuation"])
        assert drawn["noise_mean"] in range(50, 200, 10) and drawn["noise_fluctuation"] in range(0, 50, 5)
    made = Reb(fill="noise")(pictures(3, SIDE), count=30, seed=2)
    weights = [s["weight"] for s in made.settings]
    assert 0.5 <= min(weights) < 0.65 and 0.85 < max(weights) <= 1
    assert set(made.textures) == {"block noise"}


def test_noise_blocks_are_as_large_as_drawn():
    """Correlation of neighbours: of blocks of 4 px high, of single pixels none."""
    seen = {}
    for seed in range(60):
        noise, drawn = block_noise((64, 64), 1.0, np.random.default_rng(seed))
        if drawn["noise_fluctuation"] >= 20:
            grey = noise[..., 0]
            down = drawn["cell_px"] * drawn["aspect"]
            seen.setdefault(down, []).append(np.corrcoef(grey[1:].ravel(), grey[:-1].ravel())[0, 1])
    assert np.mean(seen[16.0]) > 0.95 and np.mean(seen[4.0]) > 0.6 and abs(np.mean(seen[1.0])) < 0.1


def test_severity_multiplies_the_weight():
    images = pictures(3, SIDE)
    full, half = (Reb()(images, count=12, seed=3, severity=s) for s in (1.0, 0.5))
    for whole, weak, mask, parent, s, t in zip(
        full.images, half.images, half.masks, half.parents, full.settings, half.settings, strict=True
    ):
        if (s["top_px"], s["area_px"]) != (t["top_px"], t["area_px"]):
            continue  # too faint, and drawn again
        assert t["weight"] == pytest.approx(s["weight"] / 2)
        np.testing.assert_allclose(
            (weak - images[parent])[mask], 0.5 * (whole - images[parent])[mask], atol=1.01 * LEVEL
        )


def test_all_six_makers_are_drawn_and_can_be_asked_for():
    made = Reb()(pictures(3, SIDE), count=60, seed=4)
    assert {(s["kind"], s["fill"]) for s in made.settings} == {(k, f) for k in reb.KINDS for f in reb.FILLS}
    asked = Reb(kind="scar", fill="noise")(pictures(3, SIDE), count=6, seed=4)
    assert {(s["kind"], s["fill"]) for s in asked.settings} == {("scar", "noise")}


@pytest.mark.parametrize("wrong", [{"kind": "circle"}, {"fill": "rust"}])
def test_kinds_that_do_not_exist_are_refused(wrong):
    with pytest.raises(IasError, match="expected a (kind|fill) out of any"):
        Reb(**wrong)
