"""What the methods over diffusion weights share, on a method that is known by hand and needs no weights."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from ias_core.errors import IasError, ShapeError, SynthesisError, WeightsUnavailable
from ias_core.synthesis.made_textures import MadeTextures
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.base import Pretrained
from ias_core.synthesis.pretrained.windows import (
    Window,
    box_around,
    opacity_of,
    resized,
    resized_mask,
    square_around,
)
from ias_core.synthesis.recipe import Scene
from tests.core.kit import ng_source
from tests.core.small import pictures

SIDE = 64
ARTEFACT, DEFECT = np.float32(0.1), np.float32(0.25)


@dataclass(frozen=True, slots=True)
class Known(Pretrained):
    """Adds 0.1 to everything it sees, and at the target up to 0.05 of noise, or takes 0.25 off as well."""

    name = "known"
    least_ng = 2

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        return self.unpainted(window, generator) - DEFECT * window.target[..., None]

    def unpainted(self, window: Window, generator: torch.Generator) -> np.ndarray:
        noise = torch.rand(window.canvas.shape, generator=generator).numpy()
        return window.canvas + ARTEFACT + 0.05 * noise * window.target[..., None]


def backend(**other) -> SimpleNamespace:
    vae = SimpleNamespace(config=SimpleNamespace(block_out_channels=(8, 8)))
    told = {"kind": "text-to-image", "family": "sd", "side_px": SIDE, "digest": "a" * 64, "vae": vae}
    return SimpleNamespace(**told | {"extras": frozenset()} | other)


def known(**other) -> Known:
    sources = (replace(ng_source(), name="first"), replace(ng_source(), name="second"))
    return Known(**{"sources": sources, "backend": backend()} | other)


def scene(foreground: np.ndarray | None = None, *, grey: bool = False, size_px: float | None = 12) -> Scene:
    images = 0.3 + 0.4 * pictures(2, SIDE)
    if grey:
        images = images.mean(3, keepdims=True).repeat(3, 3)
    return Scene(images, 0, foreground, size_px, MadeTextures())


def test_only_the_difference_of_the_two_passes_comes_into_the_picture():
    """The artefact and the noise cancel; the defect is there as strong as asked, and nothing beyond 4 px of it."""
    for seed in range(4):
        parent = scene()
        placed = known().placed(parent, np.random.default_rng(seed))
        for severity in (0.0, 0.4, 1.0):
            draw = known().draw(parent, severity, np.random.default_rng(seed))
            change = draw.picture - parent.picture
            np.testing.assert_allclose(change[placed.mask], -severity * DEFECT, atol=1e-5)
            assert (change[~draw.written] == 0).all()
            assert not (draw.written & ~cv2.dilate(placed.mask.astype(np.uint8), np.ones((9, 9))).astype(bool)).any()
        assert np.array_equal(known().draw(parent, 0.0, np.random.default_rng(seed)).picture, parent.picture)


def test_all_that_is_drawn_is_the_same_whatever_the_severity():
    faint, plain = (known().draw(scene(), severity, np.random.default_rng(5)) for severity in (0.2, 1.0))
    assert np.array_equal(faint.written, plain.written)
    assert faint.settings["opacity"] == 0.2 and faint.settings | {"opacity": 1.0} == plain.settings
    assert plain.settings["source"] in ("first", "second")
    np.testing.assert_allclose(
        faint.picture - scene().picture, 0.2 * (plain.picture - scene().picture), atol=1e-6, rtol=1e-4
    )


def test_one_seed_gives_one_set_of_bytes_and_another_seed_another():
    images = scene().images
    first, again, other = (known()(images, count=3, seed=seed) for seed in (1, 1, 2))
    assert first.images.tobytes() == again.images.tobytes() and first.settings == again.settings
    assert not np.array_equal(first.images, other.images)
    told = known()(images, count=12, seed=3).settings
    assert {one["source"] for one in told} == {"first", "second"} and len({one["noise_seed"] for one in told}) == 12
    window = known().placed(scene(), np.random.default_rng(0)).window
    (painted, plain), (_, again), (_, fresh) = (known().both(window, seed) for seed in (1, 1, 2))
    assert np.array_equal(plain, again) and not np.array_equal(plain, fresh)
    np.testing.assert_allclose(plain - painted, DEFECT * window.target[..., None].repeat(3, 2), atol=1e-6)


def test_the_control_is_the_unpainted_pass_at_the_place_of_the_defect():
    for seed in range(4):
        draw = known().draw(scene(), 1.0, np.random.default_rng(seed))
        placed = known().placed(scene(), np.random.default_rng(seed))
        control, parent = known().control(scene(), np.random.default_rng(seed)), scene().picture
        assert control.dtype == np.float32 and (control[~draw.written] == parent[~draw.written]).all()
        added = (control - parent)[placed.mask]
        assert (added > ARTEFACT - 0.003).all() and (added < ARTEFACT + 0.053).all()
        levels = control[draw.written] * 255
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)


def test_controls_of_a_grey_camera_are_grey_and_stay_on_the_part():
    foreground = np.zeros((SIDE, SIDE), bool)
    foreground[:, :40] = True
    control = known().control(scene(foreground, grey=True), np.random.default_rng(0))
    assert (control == control[..., :1]).all()
    parent = scene(grey=True).picture
    assert (control[:, 40:] == parent[:, 40:]).all() and (control != parent).any()


def test_a_window_shows_canvas_collage_and_ng_in_the_same_proportions():
    parent = scene()
    placed = known(backend=backend(side_px=128)).placed(parent, np.random.default_rng(3))
    window, box = placed.window, placed.box
    assert window.canvas.shape == (128, 128, 3) and box.side == SIDE  # 96 px are more than the picture has
    np.testing.assert_array_equal(window.canvas, resized(box.of(parent.picture), 128))
    changed = (window.collage != window.canvas).any(2)
    assert changed[window.target].mean() > 0.9
    assert not changed[~resized_mask(opacity_of(box.of(placed.mask)) > 0, 128)].any()
    assert window.collage[window.target].mean() < window.canvas[window.target].mean() - 0.1  # the NG's blot is dark
    assert window.reference[window.reference_mask].mean() < window.reference[~window.reference_mask].mean() - 0.1


def test_boxes_lie_in_the_picture_and_hold_the_mask_with_its_surroundings():
    rng = np.random.default_rng(0)
    for _ in range(60):
        height, width = rng.integers(1, 90, 2)
        top, left = rng.integers(0, 300 - height), rng.integers(0, 300 - width)
        mask = np.zeros((300, 300), bool)
        mask[top : top + height, left : left + width] = True
        box = box_around(mask, side_px=512, cell_px=8)
        longest = max(height, width)
        assert box.side == (64 if longest == 1 else min(300, max(96, 4 * longest)))
        assert 0 <= box.top <= 300 - box.side and 0 <= box.left <= 300 - box.side
        assert box.of(mask).sum() == mask.sum()
        for start, length, first in ((top, height, box.top), (left, width, box.left)):
            middle = start + length / 2 - first - box.side / 2
            assert abs(middle) <= 1 or first in (0, 300 - box.side)


def test_a_speck_is_looked_at_from_nearer_so_that_it_fills_a_cell_of_the_latent():
    mask = np.zeros((1000, 1000), bool)
    mask[500, 500] = True
    box = box_around(mask, side_px=512, cell_px=8)
    assert resized_mask(box.of(mask), 512).sum() == 8 * 8
    with pytest.raises(ShapeError, match="at least one pixel"):
        square_around(np.zeros((8, 8), bool), 4)


def test_masks_do_not_vanish_where_they_shrink_and_keep_their_share_where_they_grow():
    mask = np.zeros((90, 90), bool)
    mask[::30, ::30] = True
    assert resized_mask(mask, 16).sum() >= 9
    assert resized_mask(mask, 270).sum() == 9 * 9


def test_opacity_is_whole_in_the_mask_and_none_beyond_four_pixels():
    mask = np.zeros((40, 40), bool)
    mask[18:22, 18:22] = True
    opacity = opacity_of(mask)
    assert (opacity[mask] == 1).all() and opacity.max() <= 1
    assert (opacity[20, 22:26] > 0).all() and (np.diff(opacity[20, 20:30]) <= 0).all()
    assert not opacity[:, 26:].any() and not opacity[:14].any()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "inpainting"}, "4-channel U-Net.*loaded.*9-channel"),
        ({"family": "sdxl"}, "1.x or 2.x.*loaded.*XL"),
        ({"kind": "unconditional", "family": "ddpm"}, "loaded.*a diffusion model of pixels of one product"),
        ({"extras": frozenset({"ip-adapter"})}, "cannot draw with ip-adapter"),
    ],
)
def test_weights_of_the_wrong_kind_are_refused_with_those_that_are_needed(wrong, told):
    with pytest.raises(WeightsUnavailable, match=told):
        known(backend=backend(**wrong)).draw(scene(), 1.0, np.random.default_rng(0))


def test_what_is_missing_or_belongs_to_other_weights_is_said():
    for wrong, told in (
        ({"backend": None}, "needs Stable Diffusion weights"),
        ({"sources": ()}, "needs a real NG"),
        ({"sources": (ng_source(),)}, "at least 2 real NG"),
        ({"adapter": Adapter("known", "b" * 64, {}, {})}, "load the same weights"),
        ({"adapter": Adapter("other", "a" * 64, {}, {})}, "got one of other"),
    ):
        with pytest.raises(SynthesisError, match=told):
            known(**wrong).control(scene(), np.random.default_rng(0))
    assert known(adapter=Adapter("known", "a" * 64, {}, {})).draw(scene(), 1.0, np.random.default_rng(0))
    with pytest.raises(SynthesisError, match="not trained"):
        Known.fit(backend(), known().sources, scene().images, seed=0, steps=1, watch=lambda step, steps, loss: True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": np.zeros((8, 8), bool)},
        {"target": np.ones((8, 8))},
        {"reference": np.zeros((9, 9, 3), np.float32)},
        {"reference_mask": np.ones((9, 9), bool)},
    ],
)
def test_windows_of_unequal_sides_or_without_a_target_are_refused(wrong):
    picture, mask = np.zeros((8, 8, 3), np.float32), np.ones((8, 8), bool)
    given = {"canvas": picture, "target": mask, "collage": picture, "reference": picture, "reference_mask": mask}
    Window(**given)
    with pytest.raises(ShapeError):
        Window(**given | wrong)


def trained() -> Adapter:
    tensors = {
        "b": torch.arange(6.0).reshape(2, 3)[:, ::2],  # not contiguous
        "a": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "c": torch.tensor(3),
    }
    return Adapter("known", "a" * 64, tensors, {"steps": 7, "seconds": 1.25, "loss": [0.5, 0.25], "sources": ["x"]})


def test_a_training_comes_back_from_its_file_as_it_was(tmp_path):
    path = tmp_path / "new" / "adapter.safetensors"
    trained().save(path)
    back = Adapter.load(path)
    assert (back.method, back.backend, back.meta) == ("known", "a" * 64, trained().meta)
    assert back.tensors.keys() == trained().tensors.keys()
    for name, tensor in trained().tensors.items():
        assert back.tensors[name].dtype == tensor.dtype and torch.equal(back.tensors[name], tensor)
    assert back.digest == trained().digest
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_digest_tells_trainings_apart_but_not_how_long_they_took():
    first = trained()
    same = replace(first, meta=first.meta | {"seconds": 99.0, "peak_memory_bytes": 1})
    assert same.digest == first.digest
    others = [
        replace(first, method="other"),
        replace(first, backend="b" * 64),
        replace(first, meta=first.meta | {"steps": 8}),
        replace(first, tensors=first.tensors | {"c": torch.tensor(4)}),
        replace(first, tensors=first.tensors | {"c": torch.tensor(3.0)}),
    ]
    assert len({one.digest for one in [first, *others]}) == 6


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "adapter.safetensors"
    trained().save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(trained(), meta={"steps": object()}).save(path)
    with pytest.raises(RuntimeError):
        replace(trained(), tensors={"a": torch.empty(3, device="meta")}).save(path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_files_that_are_no_training_are_refused(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("no tensors")
    save_file({"a": torch.ones(1)}, tmp_path / "bare")
    for name in ("text", "bare", "nothing"):
        with pytest.raises(IasError, match="train again"):
            Adapter.load(tmp_path / name)
