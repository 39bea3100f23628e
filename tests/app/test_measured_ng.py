"""Real NG with a mask on the axes of the graded spots: sizes and contrasts known from how the picture was made."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pages.services import intake
from pages.services.artifacts import DetectorResult, ScoredSet
from pages.services.ledger import Ledger
from pages.services.measured_ng import MeasuredNg, measured_ng
from pages.services.workspace import Workspace
from tests.app import small_run

SIZE = 64
SPOT = np.s_[20:36, 24:40]  # 16 x 16 px at the input size, on the even places that halving keeps apart
SIDE_PX = 16
RISE = 10  # grey levels of the spot above the flat surface


def flat_with_spot(grey: int, *, scale: int = 1, rise: int = RISE) -> np.ndarray:
    picture = np.full((SIZE, SIZE, 3), grey, np.uint8)
    picture[SPOT] += rise
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def spot_mask(*, scale: int = 1, value: int = 255) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[SPOT] = value
    return mask.repeat(scale, axis=0).repeat(scale, axis=1)


def save(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def measured(tmp_path):
    """``measured({"a": (picture, mask or None)})``: through a tree on disk; every NG scored 1, 2, 3 ... by name."""
    tree, ws = tmp_path / "tree", Workspace(tmp_path / "ws")
    for i in range(5):
        save(small_run.plate(i), tree / "train" / "good" / f"{i}.png")

    def measured(pairs: dict[str, tuple[np.ndarray, np.ndarray | None]], meanwhile=lambda ws: None, among=None):
        for name, (picture, mask) in pairs.items():
            save(picture, tree / "test" / "spot" / f"{name}.png")
            if mask is not None:
                save(mask, tree / "ground_truth" / "spot" / f"{name}_mask.png")
        intake.import_tree(ws, tree)
        records = Ledger(ws).records(label="ng")
        assert len(records) == len(pairs)
        meanwhile(ws)
        ids = tuple(record.sha256 for record in records)
        scores = np.arange(1.0, len(ids) + 1, dtype=np.float32)
        scored = ScoredSet(tuple(r.name for r in records), ids, scores, np.ones((len(ids), 1, 1), np.float32))
        detector = DetectorResult(ws.root, "", {"ng": scored}, {}, {"input_size": SIZE})
        chosen = set(ids) if among is None else {r.sha256 for r in records if Path(r.name).stem in among}
        return measured_ng(ws, detector, chosen)

    return measured


def stems(found: MeasuredNg) -> list[str]:
    return [Path(name).stem for name in found.names]


@pytest.mark.parametrize("rise", [RISE, 2, 80])
def test_size_and_contrast_in_closed_form(measured, rise):
    """A square of 16 px has the area of a disc of 16 sqrt(4 / pi) px. On a flat surface the noise is one grey level,
    so a spot r levels above it stands out by sqrt(r^2 - 1)."""
    found = measured({"a": (flat_with_spot(100, rise=rise), spot_mask())})
    assert stems(found) == ["a"] and found.without == 0
    assert found.size_px == pytest.approx([SIDE_PX * math.sqrt(4 / math.pi)])
    assert found.snr == pytest.approx([math.sqrt(rise**2 - 1)], rel=1e-4)
    assert found.scores.tolist() == [1.0]


def test_a_larger_picture_is_measured_at_the_input_size(measured):
    """Twice as large: the mask is halved as it is, the picture with weights 1/8, 3/8, 3/8, 1/8 of its pixels."""
    rise = 80
    found = measured({"a": (flat_with_spot(100, scale=2, rise=rise), spot_mask(scale=2))})
    assert found.size_px == pytest.approx([SIDE_PX * math.sqrt(4 / math.pi)])
    inside = spot_mask() > 0
    rows, columns = inside.any(1).astype(float), inside.any(0).astype(float)
    kept = [0.75 * line + 0.125 * (np.roll(line, 1) + np.roll(line, -1)) for line in (rows, columns)]
    levels = rise * np.outer(*kept)
    around = np.zeros_like(inside)
    for y, x in zip(*np.nonzero(~inside), strict=True):
        away = min(math.hypot(y - v, x - u) for v, u in zip(*np.nonzero(inside), strict=True))
        around[y, x] = away <= found.size_px[0] / 2
    noise, middle = levels[around].std(), levels[around].mean()
    assert noise > 1  # the blurred rim, above the floor of one grey level
    change = np.mean((levels[inside] - middle) ** 2)
    assert found.snr == pytest.approx([math.sqrt(change - noise**2) / noise], rel=1e-3)


def test_any_grey_but_black_is_mask(measured):
    found = measured({"a": (flat_with_spot(100), spot_mask(value=1))})
    assert found.size_px == pytest.approx([SIDE_PX * math.sqrt(4 / math.pi)])


def test_everything_in_one_order_and_only_the_ng_asked_for(measured):
    pairs = {
        "a": (flat_with_spot(60), spot_mask()),
        "b": (flat_with_spot(90), None),
        "c": (flat_with_spot(120, rise=30), spot_mask()),
        "d": (flat_with_spot(150, rise=40), spot_mask()),
    }
    found = measured(pairs, among={"a", "b", "d"})
    assert stems(found) == ["a", "d"] and found.scores.tolist() == [1.0, 4.0]
    assert found.snr == pytest.approx([math.sqrt(99), math.sqrt(1599)], rel=1e-4)
    assert found.without == 1


def test_what_has_no_usable_mask_counts_as_without(measured):
    """No mask; one that marks nothing; one on a spot that is not there; mask, then picture, lost or changed."""
    paths = {}

    def meanwhile(ws):
        paths.update({Path(record.name).stem: record for record in Ledger(ws).records(label="ng")})
        paths["d"].mask_path.unlink()
        paths["e"].path.unlink()
        save(flat_with_spot(1), paths["f"].path)
        paths["g"].mask_path.write_bytes(b"no picture")

    pairs = {
        "a": (flat_with_spot(40), None),
        "b": (flat_with_spot(60), np.zeros((SIZE, SIZE), np.uint8)),
        "c": (flat_with_spot(80, rise=0), spot_mask()),
        **{name: (flat_with_spot(100 + 20 * i), spot_mask()) for i, name in enumerate("defgh")},
    }
    found = measured(pairs, meanwhile)
    assert stems(found) == ["h"] and found.without == 7


def test_none_asked_for_is_empty_columns(measured):
    found = measured({"a": (flat_with_spot(100), spot_mask())}, among=set())
    assert found.names == () and found.without == 0
    assert found.scores.shape == found.size_px.shape == found.snr.shape == (0,)


def test_scores_of_pictures_that_left_the_ledger_count_as_without(tmp_path):
    gone = hashlib.sha256(b"gone").hexdigest()
    scored = ScoredSet(("gone.png",), (gone,), np.ones(1, np.float32), np.ones((1, 1, 1), np.float32))
    detector = DetectorResult(tmp_path, "", {"ng": scored}, {}, {"input_size": SIZE})
    assert measured_ng(Workspace(tmp_path / "ws"), detector, {gone}).without == 1
