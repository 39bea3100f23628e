"""CutOut, CutPaste, Scar, FPI, PII, RIAD and ASBench's variants: closed forms, published ranges, what is refused.

What every method promises is in test_synthesizers.py.
"""

import cv2
import numpy as np
import pytest
import torch

from ias_core.errors import IasError, ShapeError, SynthesisError
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted import places
from ias_core.synthesis.handcrafted.cutout import CutOut
from ias_core.synthesis.handcrafted.cutpaste import CutPaste
from ias_core.synthesis.handcrafted.cutpaste_scar import CutPasteScar, turned
from ias_core.synthesis.handcrafted.cutpaste_scar_asbench import CutPasteScarAsbench
from ias_core.synthesis.handcrafted.fpi import FPI, interpolate
from ias_core.synthesis.handcrafted.fpi_asbench import FPIAsbench
from ias_core.synthesis.handcrafted.jitter import jitter_colour
from ias_core.synthesis.handcrafted.pii import PII, interpolate_gradients
from ias_core.synthesis.handcrafted.riad import RIAD, grid_masks
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.measures import equivalent_diameter_px
from ias_core.synthesis.recipe import Scene, Void
from tests.core.small import pictures

SIDE = 64
NAMES = (
    "cutout",
    "cutpaste",
    "cutpaste-scar",
    "cutpaste-scar-asbench",
    "fpi",
    "fpi-asbench",
    "pii",
    "riad",
)


def photos(n: int = 3, side: int = SIDE, *, low: float = 0.3, high: float = 0.7) -> np.ndarray:
    """As ``pictures``, squeezed into [low, high] and on the 8-bit grid, so that nothing is rounded or clipped."""
    return eight_bit(low + (high - low) * pictures(n, side))


def eight_bit(images: np.ndarray) -> np.ndarray:
    return np.rint(images * 255).astype(np.float32) / np.float32(255)


def boxed(top: int, left: int, height: int, width: int, side: int = SIDE) -> np.ndarray:
    """bool (side, side): the box, cut off at the border."""
    row, column = np.ogrid[:side, :side]
    return (top <= row) & (row < top + height) & (left <= column) & (column < left + width)


def drawn_on(images, made):
    """Parent, NG image, mask and drawn values of each."""
    return zip(images[made.parents], made.images, made.masks, made.settings, strict=True)


def on_grid(values, expected) -> None:
    """Equal after rounding to 8 bits; float32 may decide a tie either way."""
    np.testing.assert_allclose(values, expected, atol=0.5001 / 255)


def column(made, name: str) -> np.ndarray:
    return np.array([settings[name] for settings in made.settings])


# --- all of them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_one_seed_differ_in_strength_alone(name):
    images = photos(low=0.0, high=1.0)
    weak, strong = (synthesizers[name]()(images, count=6, seed=1, severity=s) for s in (0.8, 1.0))
    assert weak.settings == strong.settings and weak.textures == strong.textures
    for parent, faint, plain in zip(images[weak.parents], weak.images, strong.images, strict=True):
        assert np.abs(faint - parent).mean() < np.abs(plain - parent).mean()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("fpi", "fpi-asbench")])
def test_severity_is_opacity(name):
    images = photos()
    weak, strong = (synthesizers[name]()(images, count=6, seed=2, severity=s) for s in (0.6, 1.0))
    for parent, faint, plain, mask in zip(images[weak.parents], weak.images, strong.images, weak.masks, strict=True):
        # both are rounded, the second by half a grey level before it is weighted
        np.testing.assert_allclose(faint[mask], (0.4 * parent + 0.6 * plain)[mask], atol=0.81 / 255)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_see_is_never_labelled(name):
    with pytest.raises(SynthesisError, match=f"{name}: 20 draws at severity 0 made no visible defect"):
        synthesizers[name]()(photos(), count=1, seed=0, severity=0.0)


@pytest.mark.parametrize(
    "method",
    [
        CutOut(fill="image mean"),
        CutPaste(jitter=0.0),
        CutPasteScar(jitter=0.0),
        FPI(),
        PII(),
        FPIAsbench(),
        RIAD(fill="mean"),
        RIAD(fill="noise"),
    ],
    ids=str,
)
def test_constant_picture_gives_nothing_to_these(method):
    with pytest.raises(SynthesisError, match="no visible defect"):
        method(np.full((2, SIDE, SIDE, 3), 0.5, np.float32), count=1, seed=0)


@pytest.mark.parametrize("method", [CutOut(), CutOut(fill="noise"), RIAD(), CutPasteScarAsbench()], ids=str)
def test_constant_picture_is_enough_for_these(method):
    assert method(np.full((1, SIDE, SIDE, 3), 0.5, np.float32), count=2, seed=0).masks.any((1, 2)).all()


@pytest.mark.parametrize(
    ("method", "dials", "words"),
    [
        (CutOut, {"side_min_px": 60.0}, "sides .* 60.0 to 50.0"),
        (CutOut, {"fill": "white"}, "fill out of black.* 'white'"),
        (CutPaste, {"area_min": 0.0}, "areas"),
        (CutPaste, {"aspect_max": 0.1}, "aspects"),
        (CutPasteScar, {"width_min_px": 20.0}, "widths"),
        (CutPasteScar, {"length_max_px": float("nan")}, "lengths"),
        (CutPasteScarAsbench, {"width_max_px": 1.0}, "widths"),
        (CutPasteScarAsbench, {"length_min_px": 26.0}, "lengths"),
        (FPI, {"half_width_min": -0.1}, "half-widths"),
        (FPI, {"core": 1.1}, "fpi: expected a core"),
        (PII, {"half_width_max": 0.01}, "half-widths"),
        (PII, {"factor_max": 0.01}, "factors"),
        (PII, {"core": 0.0}, "pii: expected a core"),
        (FPIAsbench, {"radius_min": 0.2}, "radii"),
        (FPIAsbench, {"core": 0.0}, "fpi-asbench: expected a core"),
        (RIAD, {"cell_min_px": 17.0}, "cells"),
        (RIAD, {"window_min": 0.4}, "windows"),
        (RIAD, {"window_max": 1.5}, "whole picture"),
        (RIAD, {"fill": "white"}, "fill out of black"),
    ],
)
def test_dials_that_make_no_sense_are_refused(method, dials, words):
    with pytest.raises(IasError, match=words):
        method(**dials)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_px", [12.0, 30.0])
def test_size_is_the_diameter_of_the_disc_of_equal_area(name, size_px):
    """Within what rounding to whole px and the border leave."""
    made = synthesizers[name]()(photos(2, 128, low=0.0, high=1.0), count=12, seed=0, severity=1.0, size_px=size_px)
    if name in ("cutout", "fpi", "pii"):
        assert set(column(made, "side_px")) == {round(size_px * np.pi**0.5 / 2)}
    elif name == "fpi-asbench":
        assert set(column(made, "radius_px")) == {size_px / 2}
    else:
        found = [equivalent_diameter_px(mask) for mask in made.masks]
        assert np.median(found) == pytest.approx(size_px, rel=0.09)


# --- where they write -------------------------------------------------------------------------------------------


def scene(foreground: np.ndarray | None = None) -> Scene:
    return Scene(photos(1), 0, foreground, None, MadeTextures())


def test_corners_are_all_that_fit():
    rng = np.random.default_rng(0)
    found = {places.corner(scene(), SIDE - 2, SIDE - 1, rng) for _ in range(200)}
    assert found == {(row, column) for row in range(3) for column in range(2)}
    with pytest.raises(Void, match="65 x 3 px do not fit into a picture of 64 px"):
        places.corner(scene(), 65, 3, rng)


@pytest.mark.parametrize("pixel", [(0, 0), (63, 0), (30, 40), (2, 62)])
def test_box_holds_a_pixel_of_the_part_and_lies_in_the_picture(pixel):
    part = np.zeros((SIDE, SIDE), bool)
    part[pixel] = True
    for height, width in ((1, 1), (7, 20), (63, 64)):
        top, left = places.corner(scene(part), height, width, np.random.default_rng(0))
        assert boxed(top, left, height, width)[pixel]
        assert boxed(top, left, height, width).sum() == height * width
    assert places.core_place(scene(part), 0.1, np.random.default_rng(0)) == pixel


# --- CutOut -----------------------------------------------------------------------------------------------------


def test_cutout_is_the_clipped_square_and_exactly_black():
    images = photos()
    made = CutOut()(images, count=60, seed=0, severity=1.0)
    cut_off = 0
    for parent, child, mask, drawn in drawn_on(images, made):
        side = drawn["side_px"]
        box = boxed(drawn["row_px"] - side // 2, drawn["column_px"] - side // 2, side, side)
        assert np.array_equal(mask, box)
        assert (child[box] == 0).all() and np.array_equal(child[~box], parent[~box])
        cut_off += box.sum() < side**2
    assert 5 < cut_off < 40
    sides = column(made, "side_px")
    assert sides.min() == 5 and sides.max() in (12, 13)  # 20 to 50 px at 256 px
    assert set(made.severities.tolist()) == {1.0} and set(made.textures) == {"none"}


def test_cutout_fills():
    images = photos()
    parts = np.zeros(images.shape[:3], bool)
    parts[:, 8:40, 16:] = True
    for fill, expected in (
        ("image mean", [image.mean((0, 1)) for image in images]),
        ("part mean", [image[part].mean(0) for image, part in zip(images, parts, strict=True)]),
    ):
        made = CutOut(fill=fill)(images, count=6, seed=1, foregrounds=parts)
        for parent, child, mask in zip(made.parents, made.images, made.masks, strict=True):
            on_grid(child[mask], np.broadcast_to(expected[parent], child[mask].shape))
    unknown, whole = (CutOut(fill=fill)(images, count=3, seed=1) for fill in ("part mean", "image mean"))
    assert np.array_equal(unknown.images, whole.images)
    noise = CutOut(fill="noise")(images, count=6, seed=1)
    values = np.concatenate([child[mask] for child, mask in zip(noise.images, noise.masks, strict=True)])
    assert abs(values.mean() - 0.5) < 0.05 and abs(values.std() - 12**-0.5) < 0.02


# --- CutPaste ---------------------------------------------------------------------------------------------------


def test_cutpaste_is_an_exact_copy_of_the_recorded_block():
    images = photos()
    made = CutPaste(jitter=0.0)(images, count=20, seed=0)
    for parent, child, mask, drawn in drawn_on(images, made):
        height, width = drawn["height_px"], drawn["width_px"]
        box = np.s_[drawn["top_px"] : drawn["top_px"] + height, drawn["left_px"] : drawn["left_px"] + width]
        match = cv2.matchTemplate(parent, np.ascontiguousarray(child[box]), cv2.TM_SQDIFF)
        best, _, (left, top), _ = cv2.minMaxLoc(match)
        assert (top, left) == (drawn["source_top_px"], drawn["source_left_px"]) and best < 1e-2
        assert np.array_equal(child[box], parent[top : top + height, left : left + width])
        assert not (mask & ~boxed(drawn["top_px"], drawn["left_px"], height, width)).any()
    assert made.textures == tuple(f"own image {parent}" for parent in made.parents)


def test_cutpaste_draws_the_published_areas_and_aspects_anywhere():
    made = CutPaste()(photos(2, 128), count=300, seed=1)
    height, width = column(made, "height_px"), column(made, "width_px")
    area, aspect = height * width / 128**2, width / height
    assert 0.018 < area.min() < 0.03 and 0.14 < area.max() < 0.153
    assert abs(area.mean() - 0.085) < 0.01
    assert 0.28 < aspect.min() < 0.35 and 2.9 < aspect.max() < 3.5
    assert abs(np.log(aspect).mean()) < 0.12  # even on the logarithmic scale, where 0.3 and 3.3 are opposite
    for start, extent in (("top_px", height), ("left_px", width), ("source_top_px", height), ("source_left_px", width)):
        places_left = column(made, start) / (128 - extent)
        assert places_left.min() < 0.02 and places_left.max() > 0.98 and abs(places_left.mean() - 0.5) < 0.06


@pytest.mark.parametrize("size_px", [3.0, 10.0, 40.0, 64.0])
def test_cutpaste_keeps_the_asked_area_also_where_the_picture_is_too_narrow(size_px):
    made = CutPaste()(photos(low=0.1, high=0.9), count=20, seed=2, size_px=size_px)
    drawn = column(made, "height_px") * column(made, "width_px")
    np.testing.assert_allclose(np.sqrt(4 * drawn / np.pi), size_px, rtol=0.02 if size_px > 10 else 0.2)


def test_jitter_is_torchvisions():
    from ias_core.torchvision_operators import ensure_torchvision

    ensure_torchvision()
    from torchvision.transforms import functional

    patch = pictures(1, 16)[0]
    steps = {
        "brightness": functional.adjust_brightness,
        "contrast": functional.adjust_contrast,
        "saturation": functional.adjust_saturation,
        "hue": functional.adjust_hue,
    }
    orders = set()
    for seed in range(20):
        out, drawn = jitter_colour(patch, 0.3, np.random.default_rng(seed))
        other = torch.tensor(patch).permute(2, 0, 1)
        for step in drawn["order"]:
            other = steps[step](other, drawn[step])
        np.testing.assert_allclose(out, other.permute(1, 2, 0).numpy(), atol=2e-3)
        assert all(0.7 <= drawn[step] <= 1.3 for step in ("brightness", "contrast", "saturation"))
        assert -0.3 <= drawn["hue"] <= 0.3
        orders.add(tuple(drawn["order"]))
    assert len(orders) > 8


def test_no_jitter_leaves_the_patch():
    patch = pictures(1, 16)[0]
    out, _ = jitter_colour(patch, 0.0, np.random.default_rng(0))
    assert np.array_equal(out, patch) and not np.shares_memory(out, patch)


# --- CutPaste-Scar ----------------------------------------------------------------------------------------------


def test_scar_mask_has_the_drawn_sides_and_angle():
    images = photos(4, 256, low=0.1, high=0.9)
    made = CutPasteScar()(images, count=60, seed=0)
    upright = 0
    for mask, drawn in zip(made.masks, made.settings, strict=True):
        points = np.argwhere(mask)[:, ::-1].astype(np.float32)
        _, sides, _ = cv2.minAreaRect(points)  # of pixel centres: half a pixel short on either side
        width, length = sorted((drawn["width_px"], drawn["length_px"]))
        np.testing.assert_allclose(np.sort(sides) + 1, (width, length), atol=2)
        if length >= 2.5 * width:
            _, _, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
            angle = np.radians(drawn["angle_deg"])
            assert abs(axes[0] @ (np.sin(angle), np.cos(angle))) > np.cos(np.radians(5))
            upright += 1
    assert upright > 10
    assert column(made, "width_px").min() in (2, 3) and column(made, "width_px").max() in (15, 16)
    assert column(made, "length_px").min() in (10, 11) and column(made, "length_px").max() in (24, 25)
    angles = column(made, "angle_deg")
    assert -45 <= angles.min() < -38 and 38 < angles.max() <= 45


def test_scar_is_pasted_through_its_alpha():
    """Nothing darker than the picture itself appears: no black from outside the strip."""
    images = photos(2, 128, low=0.5, high=0.9)
    made = CutPasteScar(jitter=0.0)(images, count=40, seed=1)
    for parent, child, mask, drawn in drawn_on(images, made):
        assert child.min() >= parent.min() - 0.5 / 255
        assert mask.sum() < 1.3 * drawn["width_px"] * drawn["length_px"] + 4


def test_scar_without_turn_and_jitter_is_an_exact_copy():
    images = photos(2, 128)
    for method in (CutPasteScar(jitter=0.0, angle_deg=0.0), CutPasteScarAsbench(angle_deg=0.0)):
        made = method(images, count=10, seed=2)
        for parent, child, _, drawn in drawn_on(images, made):
            (top, left), (source_top, source_left) = (
                (drawn[f"{kind}top_px"], drawn[f"{kind}left_px"]) for kind in ("", "source_")
            )
            size = np.s_[: drawn["length_px"], : drawn["width_px"]]
            np.testing.assert_allclose(
                child[top:, left:][size], parent[source_top:, source_left:][size], atol=1.01 / 255
            )


@pytest.mark.parametrize(("height", "width"), [(10, 1), (11, 2), (25, 16), (4, 9)])
@pytest.mark.parametrize("degrees", [0.0, 17.0, -45.0, 90.0])
def test_turned_strip_covers_its_own_area_in_its_own_colour(height, width, degrees):
    colour, alpha = turned(np.full((height, width, 3), 0.7, np.float32), degrees)
    assert alpha.sum() == pytest.approx(height * width, rel=0.02)
    np.testing.assert_allclose(colour, 0.7, atol=1e-6)
    assert colour.shape[:2] == alpha.shape and alpha.min() >= 0 and alpha.max() <= 1
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    np.testing.assert_allclose(alpha.shape, (width * sin + height * cos, width * cos + height * sin), atol=1)


def test_scar_too_long_for_the_picture_is_refused():
    with pytest.raises(SynthesisError, match="larger than the picture|do not fit"):
        CutPasteScar(width_min_px=1.0, width_max_px=1.0)(photos(), count=1, seed=0, size_px=40.0)


def test_asbench_scar_is_the_whole_box_with_black_corners():
    images = photos(3, 128, low=0.3, high=0.9)
    made = CutPasteScarAsbench()(images, count=40, seed=0)
    black = 0
    for parent, child, mask, drawn in drawn_on(images, made):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        cos, sin = np.cos(np.radians(drawn["angle_deg"])), abs(np.sin(np.radians(drawn["angle_deg"])))
        width, length = drawn["width_px"], drawn["length_px"]
        box = width * sin + length * cos, width * cos + length * sin
        np.testing.assert_allclose((len(rows), len(columns)), box, atol=1.01)
        black += child[mask].min() == 0
        assert parent.min() > 0.2
    assert black > 25
    assert np.abs(column(made, "angle_deg")).max() <= 30


# --- FPI --------------------------------------------------------------------------------------------------------


def test_fpi_is_the_asked_mixture_of_two_ok_images():
    images = photos(3, low=0.1, high=0.9)
    made = FPI()(images, count=30, seed=0)
    for i, (parent, child, mask, drawn) in enumerate(drawn_on(images, made)):
        donor = images[int(made.textures[i].removeprefix("own image "))]
        a = made.severities[i]
        assert not np.array_equal(donor, parent)
        on_grid(child[mask], ((1 - a) * parent + a * donor)[mask])
        side = drawn["side_px"]
        box = boxed(drawn["row_px"] - side // 2, drawn["column_px"] - side // 2, side, side)
        assert not (mask & ~box).any()
        assert np.abs(donor - parent)[box & ~mask].mean() * a < 2 / 255 if (box & ~mask).any() else True


def test_fpi_sums_to_both_images_and_is_linear_in_its_factor():
    a, b = pictures(2, SIDE)
    for factor in (0.0, 0.05, 0.4, 1.0):
        np.testing.assert_allclose(interpolate(a, b, factor) + interpolate(b, a, factor), a + b, atol=1e-6)
    assert np.array_equal(interpolate(a, b, 0.0), a) and np.array_equal(interpolate(a, b, 1.0), b)


def test_fpi_draws_the_published_factors_sides_and_centres():
    made = FPI()(photos(4, 128, low=0.0, high=1.0), count=300, seed=1)
    factors, sides = made.severities, column(made, "side_px")
    assert 0.05 <= factors.min() < 0.07 and 0.93 < factors.max() <= 0.95 and abs(factors.mean() - 0.5) < 0.06
    assert sides.min() in (12, 14) and sides.max() in (50, 52)  # twice 5 and 20 % of 128 px
    for name in ("row_px", "column_px"):
        centres = column(made, name)
        assert 13 <= centres.min() < 17 and 111 < centres.max() <= 115


def test_one_ok_image_is_mixed_with_its_mirror_image_and_says_so():
    image = photos(1)
    for method in (FPI(), PII()):
        made = method(image, count=2, seed=0)
        assert set(made.textures) == {"own image, mirrored"}
    made = FPI()(image, count=2, seed=0, severity=1.0)
    for child, mask in zip(made.images, made.masks, strict=True):
        assert np.array_equal(child[mask], image[0][:, ::-1][mask])


@pytest.mark.parametrize("method", [FPI(), PII(factor_min=1.0, factor_max=1.0)], ids=str)
def test_equal_ok_images_give_nothing_to_interpolate(method):
    with pytest.raises(SynthesisError, match="no visible defect"):
        method(np.repeat(photos(1), 2, 0), count=1, seed=0)


# --- PII --------------------------------------------------------------------------------------------------------


def patch_of(side: int = 24) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[5:19, 4:20] = True
    return mask


def test_pii_takes_no_even_difference_over():
    a = photos(1, 24)[0]
    for factor in (0.0, 1.0):  # between, the same gradient twice is weakened
        np.testing.assert_allclose(interpolate_gradients(a, a + 0.2, patch_of(), factor), a, atol=1e-6)


@pytest.mark.parametrize("factor", [0.1, 0.5, 0.8])
def test_pii_of_like_images_weakens_contrast_and_keeps_the_rim(factor):
    """Rim of one value b: the solution is b + max(a, 1 - a) (A - b)."""
    rng = np.random.default_rng(0)
    a = np.full((24, 24, 3), 0.5, np.float32)
    a[patch_of()] = rng.uniform(0.1, 0.9, (patch_of().sum(), 3))
    out = interpolate_gradients(a, a, patch_of(), factor)
    np.testing.assert_allclose(out, 0.5 + max(factor, 1 - factor) * (a - 0.5), atol=1e-6)


def test_pii_leaves_the_rest_of_the_picture_and_its_range():
    a, b = photos(2, 24, low=0.4, high=0.6)
    out = interpolate_gradients(a, 5 * b, patch_of(), 0.9)
    assert np.array_equal(out[~patch_of()], a[~patch_of()]) and not np.allclose(out[patch_of()], a[patch_of()])
    assert (out.min((0, 1)) >= a.min((0, 1))).all() and (out.max((0, 1)) <= a.max((0, 1))).all()
    assert (out == a.max((0, 1))).any(-1)[patch_of()].sum() > 10  # it had to be clipped


def test_pii_draws_its_factor_and_shows_the_solution():
    images = photos(3)
    made = PII()(images, count=12, seed=0)
    for i, (parent, child, mask, drawn) in enumerate(drawn_on(images, made)):
        donor = images[int(made.textures[i].removeprefix("own image "))]
        side = drawn["side_px"]
        box = boxed(drawn["row_px"] - side // 2, drawn["column_px"] - side // 2, side, side)
        solution = interpolate_gradients(parent, donor, box, drawn["factor"])
        on_grid(child[mask], solution[mask])
        assert not mask[[0, -1]].any() and not mask[:, [0, -1]].any()
    factors = column(PII()(photos(low=0.0, high=1.0), count=60, seed=1), "factor")
    assert 0.05 <= factors.min() < 0.12 and 0.88 < factors.max() <= 0.95


def test_pii_has_no_seam_at_the_edge_of_the_part():
    """The solve ends there; a larger one, cut off later, would leave a step."""
    images = photos(2, low=0.1, high=0.9)
    parts = np.zeros(images.shape[:3], bool)
    parts[:, 20:44, 20:44] = True
    made = PII()(images, count=6, seed=0, foregrounds=parts)
    for i, (parent, child, mask, drawn) in enumerate(drawn_on(images, made)):
        donor = images[int(made.textures[i].removeprefix("own image "))]
        side = drawn["side_px"]
        box = boxed(drawn["row_px"] - side // 2, drawn["column_px"] - side // 2, side, side)
        on_grid(child[mask], interpolate_gradients(parent, donor, box & parts[0], drawn["factor"])[mask])


# --- RIAD -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "cell_px"), [(2, 5), (3, 2), (7, 4), (10, 1)])
def test_grid_masks_are_disjoint_whole_cells_and_fill_the_window(cells, cell_px):
    seen = set()
    for seed in range(20):
        masks = grid_masks(cells, cell_px, np.random.default_rng(seed))
        assert masks.shape == (3, cells * cell_px, cells * cell_px) and masks.dtype == bool
        assert (masks.sum(0) == 1).all()
        counts = masks.sum((1, 2)) // cell_px**2
        assert counts.sum() == cells**2 and np.ptp(counts) <= 1
        for row in range(0, cells * cell_px, cell_px):
            for start in range(0, cells * cell_px, cell_px):
                cell = masks[:, row : row + cell_px, start : start + cell_px]
                assert (cell == cell[:, :1, :1]).all()
        seen.add(masks.tobytes())
    assert len(seen) > 5


def test_riad_takes_out_a_third_of_the_cells_of_a_window():
    images = photos(2, 256, low=0.2)
    made = RIAD()(images, count=80, seed=0)
    for parent, child, mask, drawn in drawn_on(images, made):
        cells, cell = drawn["cells"], drawn["cell_px"]
        window = boxed(drawn["top_px"], drawn["left_px"], cells * cell, cells * cell, 256)
        assert window.sum() == (cells * cell) ** 2 and not (mask & ~window).any()
        assert (child[mask] == 0).all() and np.array_equal(child[~mask], parent[~mask])
        assert mask.sum() / cell**2 in (cells**2 // 3, -(-(cells**2) // 3))
    assert set(column(made, "cell_px")) == {2, 4, 8, 16}
    windows = column(made, "cells") * column(made, "cell_px") / 256
    assert 0.08 < windows.min() < 0.15 and 0.25 < windows.max() < 0.33


@pytest.mark.parametrize(("side", "cells"), [(32, {2}), (64, {2, 4}), (128, {2, 4, 8}), (224, {4, 7, 14})])
def test_riad_draws_no_cell_below_two_pixels(side, cells):
    images = np.full((1, side, side, 3), 0.5, np.float32)
    assert set(column(RIAD(window_min=0.3)(images, count=40, seed=0), "cell_px")) == cells


def test_riad_with_nothing_but_too_small_cells_is_refused():
    with pytest.raises(ShapeError, match="at least 2 px .* from 2 to 3 in pictures of 64 px; allow larger"):
        RIAD(cell_max_px=3.0)(photos(), count=1, seed=0)


def test_riad_fills():
    images = photos(2, 128)
    made = RIAD(fill="mean")(images, count=4, seed=0)
    for parent, child, mask, _ in drawn_on(images, made):
        on_grid(child[mask], np.broadcast_to(parent.mean((0, 1)), child[mask].shape))
    noise = RIAD(fill="noise", window_min=0.9, window_max=1.0)(images[:1], count=3, seed=0)
    values = np.concatenate([child[mask] for child, mask in zip(noise.images, noise.masks, strict=True)])
    np.testing.assert_allclose(values.mean(0), images[0].mean((0, 1)), atol=0.01)
    np.testing.assert_allclose(values.std(0), images[0].std((0, 1)), rtol=0.1)


@pytest.mark.parametrize("size_px", [3.0, 6.0, 40.0, 80.0])
def test_riad_size_is_that_of_all_cells(size_px):
    made = RIAD()(photos(2, 128), count=12, seed=0, size_px=size_px)
    found = [equivalent_diameter_px(mask) for mask in made.masks]
    np.testing.assert_allclose(np.median(found), size_px, rtol=0.2)
    with pytest.raises(ShapeError, match="up to 83 px, a third of the picture, got 90"):
        RIAD()(photos(2, 128), count=1, seed=0, size_px=90.0)


# --- FPI as in ASBench ------------------------------------------------------------------------------------------


def test_asbench_fpi_is_a_disc_with_a_constant_offset():
    images = photos(3, 128, low=0.4, high=0.6)
    made = FPIAsbench()(images, count=60, seed=0)
    for i, (parent, child, mask, drawn) in enumerate(drawn_on(images, made)):
        row, start, radius = drawn["row_px"], drawn["column_px"], drawn["radius_px"]
        disc = np.zeros((128, 128), bool)
        for y in range(128):
            for x in range(128):
                disc[y, x] = (y - row) ** 2 + (x - start) ** 2 < radius**2
        assert np.array_equal(mask, disc)
        offset = drawn["sign"] * made.severities[i] * (parent.max() - parent.min())
        on_grid(child[mask], parent[mask] + offset)
    assert 6.4 <= column(made, "radius_px").min() < 7 and 12 < column(made, "radius_px").max() <= 12.8
    for name in ("row_px", "column_px"):
        assert 32 <= column(made, name).min() < 40 and 88 < column(made, name).max() < 96
    assert set(column(made, "sign")) == {-1, 1}
    assert 0.2 <= made.severities.min() < 0.22 and 0.28 < made.severities.max() <= 0.3


def test_asbench_fpi_clips_instead_of_wrapping_around():
    images = photos(2, low=0.0, high=1.0)
    made = FPIAsbench()(images, count=30, seed=0, severity=1.0)
    for parent, child, mask, drawn in drawn_on(images, made):
        assert (drawn["sign"] * (child - parent)[mask] >= 0).all()
        assert (child[mask] == (1.0 if drawn["sign"] > 0 else 0.0)).mean() > 0.3
