"""Real NG that methods start from: what teaches never verifies, masks are what they say, and every NG has its scale."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ias_core.errors import IasError, ImageRefused, RoleConflict
from pages.services import intake, masks, ng_masks, ng_sources
from pages.services.artifacts import DETECTOR, DetectorResult, load_result
from pages.services.decision import current_decision
from pages.services.ledger import ImageRecord, Ledger
from pages.services.settings import DetectorConfig, RunConfig, from_dict, to_dict
from pages.services.verification import free_ng, verify
from pages.services.workspace import Workspace
from tests import hostile
from tests.app import small_run

SIZE = 32
CONFIG = RunConfig(detector=DetectorConfig(input_size=SIZE))
SPOT = np.zeros((SIZE, SIZE), bool)
SPOT[10:16, 12:20] = True


def files(first: int, n: int) -> list[tuple[str, bytes]]:
    return [(f"{seed:03d}.png", hostile.encoded(hostile.part(seed))) for seed in range(first, first + n)]


def again(content: bytes) -> bytes:
    """A near twin: the same picture under another compression."""
    return hostile.encoded(np.asarray(Image.open(io.BytesIO(content))), "JPEG", quality=95, subsampling=0)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    """6 good parts and 3 NG, of which 051.png has a near twin; without a detector. Never changed, only copied."""
    ws = Workspace(tmp_path_factory.mktemp("imported"))
    ng = files(50, 2)
    intake.import_uploads(ws, files(0, 6), [*ng, ("twin.jpg", again(ng[1][1]))])
    intake.assign_roles(ws, seed=0)
    return ws.root


@pytest.fixture
def product(imported, tmp_path) -> Workspace:
    return small_run.copy_of(imported, tmp_path / "copy")


@pytest.fixture
def named(product) -> Callable[[str], ImageRecord]:
    return lambda name: next(record for record in Ledger(product).records() if record.name == name)


def chosen(ws: Workspace, record: ImageRecord, config: RunConfig = CONFIG, mask: np.ndarray = SPOT) -> RunConfig:
    choice = ng_masks.keep_mask(ws, ng_masks.DRAWN, mask)
    return ng_sources.choose(ws, config, record.sha256, choice, by="test", why="its look")


def history(ws: Workspace, record: ImageRecord) -> list[str]:
    return [entry.role for entry in Ledger(ws).history(record.sha256)]


def test_an_ng_that_is_chosen_teaches_with_its_twin_and_the_settings_name_it(product, named):
    config = chosen(product, named("051.png"))
    assert set(config.synthesis.sources) == {named("051.png").sha256}
    assert named("051.png").role == named("twin.jpg").role == ng_sources.SEED
    assert free_ng(product) == {named("050.png").sha256}
    entry = Ledger(product).history(named("twin.jpg").sha256)[-1]
    assert (entry.role, entry.by, entry.why) == (ng_sources.SEED, "test", "its look")
    assert from_dict(RunConfig, to_dict(config)) == config


def test_another_mask_for_the_same_ng_is_no_new_entry_in_its_history(product, named):
    first = chosen(product, named("050.png"))
    before = history(product, named("050.png"))
    second = chosen(product, named("050.png"), first, mask=SPOT.T)
    assert first != second and len(second.synthesis.sources) == 1
    assert history(product, named("050.png")) == before == ["verification_ng", ng_sources.SEED]


def test_no_way_leads_back_to_verification(product, named):
    seed, free = named("051.png").sha256, named("050.png").sha256
    config = chosen(product, named("051.png"))
    intake.assign_roles(product, seed=7)  # a new split
    assert free_ng(product) == {free} and named("051.png").role == ng_sources.SEED
    with pytest.raises(RoleConflict, match=r"051\.png|twin\.jpg"):  # a twin of it arrives late
        intake.add_verification_ng(product, [("late.png", again(again(files(51, 1)[0][1])))])
    intake.add_verification_ng(product, files(60, 1))  # another NG arrives
    intake.assign_roles(product, seed=8)
    assert free_ng(product) == {free, named("060.png").sha256}
    assert ng_sources.drop(config, seed).synthesis.sources == {}  # taken out of the settings
    intake.assign_roles(product, seed=9)
    with pytest.raises(RoleConflict, match="seeded a generator"):
        Ledger(product).assign([seed], "verification_ng", by="test", why="try")
    ng = files(50, 2)
    intake.import_uploads(product, files(0, 6), [ng[0], ("renamed.png", ng[1][1])])  # imported anew
    intake.assign_roles(product, seed=0)
    assert free_ng(product) == {free} and named("renamed.png").role is None
    (source,) = ng_sources.load_sources(product, config, SIZE)  # and it still teaches
    assert source.name == "renamed.png"


def test_verification_goes_on_without_it(ws, fix):
    fix()
    detector, decision = load_result(ws, DETECTOR), current_decision(ws)
    before = verify(ws, detector, decision)
    record = Ledger(ws).records(label="ng")[0]
    chosen(ws, record, small_run.CONFIG)
    after = verify(ws, detector, decision)
    assert set(before.ng) - set(after.ng) == {record.sha256} and after.caught_ng.n == before.caught_ng.n - 1


def test_candidates_say_what_each_costs(product, named):
    costs = {one.record.name: (one.left, one.verifying, one.is_free) for one in ng_sources.candidates(product, CONFIG)}
    assert costs == {"050.png": (2, 3, True), "051.png": (1, 3, True), "twin.jpg": (1, 3, True)}
    config = chosen(product, named("051.png"))
    found = ng_sources.candidates(product, config)
    assert [one.record.name for one in found] == ["051.png", "twin.jpg", "050.png"]  # those that cost nothing first
    assert [(one.left, one.is_free) for one in found] == [(1, False), (1, False), (0, True)]
    assert "one part would count as two" in found[1].why_not and not found[0].why_not


def test_near_twins_are_one_source(product, named):
    config = chosen(product, named("051.png"))
    with pytest.raises(IasError, match=r"twin\.jpg is a near twin of 051\.png"):
        chosen(product, named("twin.jpg"), config)


def test_an_ng_of_another_size_is_never_rescaled(product, named):
    large = np.asarray(Image.fromarray(hostile.part(70)).resize((128, 96)))
    intake.add_verification_ng(product, [("large.png", hostile.encoded(large))])
    (large,) = [one for one in ng_sources.candidates(product, CONFIG) if one.record.name == "large.png"]
    good = named("000.png")
    assert f"large.png is 128 x 96 px and the good parts are {good.width} x {good.height} px" in large.why_not
    with pytest.raises(IasError, match="take a picture with the same camera and crop"):
        chosen(product, large.record)
    assert named("large.png").role == "verification_ng"


STRIPES = np.zeros((2 * SIZE, 2 * SIZE), bool)
STRIPES[::2] = True  # touches every pixel of SIZE


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        ("truth", "came without ground truth"),
        ("drawn:" + 64 * "0", "cannot be read"),
        (STRIPES, f"marks everything at {SIZE} px"),
        ("painted:" + 64 * "0", "expected 'truth'"),
        ("drawn:../../secret", "expected 'truth'"),
    ],
    ids=["none came", "gone", "everything", "unknown kind", "no digest"],
)
def test_without_a_mask_no_role_changes(product, named, mask, why):
    choice = mask if isinstance(mask, str) else ng_masks.keep_mask(product, ng_masks.DRAWN, mask)
    with pytest.raises(IasError, match=why):
        ng_sources.choose(product, CONFIG, named("050.png").sha256, choice, by="test", why="try")
    assert history(product, named("050.png")) == ["verification_ng"]


def test_only_real_ng_of_the_dataset_can_be_chosen(product, named):
    choice = ng_masks.keep_mask(product, ng_masks.DRAWN, SPOT)
    for sha256 in (named("000.png").sha256, 64 * "0"):
        with pytest.raises(IasError, match="not in the dataset"):
            ng_sources.choose(product, CONFIG, sha256, choice, by="test", why="try")
    assert named("000.png").role in ("memory_bank", "calibration_ok")


def test_sources_come_in_one_order_with_picture_and_mask(product, named):
    config = chosen(product, named("050.png"))
    config = chosen(product, named("051.png"), config, mask=SPOT.T)
    turned = dict(reversed(config.synthesis.sources.items()))
    other = replace(config, synthesis=replace(config.synthesis, sources=turned))
    first, second = (ng_sources.load_sources(product, one, SIZE) for one in (config, other))
    assert [one.name for one in first] == [one.name for one in second]
    masks_of = {one.name: one.mask for one in first}
    assert np.array_equal(masks_of["050.png"], SPOT) and np.array_equal(masks_of["051.png"], SPOT.T)
    assert first[0].image.shape == (SIZE, SIZE, 3) and first[0].image.dtype == np.float32
    assert ng_sources.load_sources(product, config, 16)[0].mask.sum() < first[0].mask.sum()


def test_settings_alone_make_no_source(product, named):
    """A settings file may name any NG: without the ledger's word it would teach and verify."""
    config = chosen(product, named("050.png"))
    borrowed = {named("051.png").sha256: ng_masks.keep_mask(product, ng_masks.DRAWN, SPOT)}
    with pytest.raises(IasError, match=r"051\.png is no generator seed"):
        ng_sources.load_sources(product, replace(config, synthesis=replace(config.synthesis, sources=borrowed)), SIZE)
    lost = replace(config, synthesis=replace(config.synthesis, sources={64 * "0": "truth"}))
    with pytest.raises(IasError, match="not in the dataset"):
        ng_sources.load_sources(product, lost, SIZE)


def test_a_mask_that_was_changed_is_told_by_the_name_of_the_ng(product, named):
    config = chosen(product, named("050.png"))
    (path,) = [file for file in product.images.iterdir() if file.stem == masks.sha256_of(SPOT)]
    Image.fromarray(SPOT.T).save(path)
    with pytest.raises(IasError, match=r"the mask of 050\.png was changed"):
        ng_sources.load_sources(product, config, SIZE)


def test_ground_truth_is_read_from_its_file_and_no_thin_line_is_lost(product, named, tmp_path):
    line = np.zeros((96, 96), np.uint8)
    line[:, 50] = 1  # not black is the defect, as for counting
    Image.fromarray(line).save(tmp_path / "truth.png")
    record = replace(named("050.png"), mask_path=tmp_path / "truth.png")
    assert np.array_equal(ng_masks.mask_of(product, record, "truth"), line > 0)
    small = ng_masks.mask_at_size(product, record, "truth", SIZE)
    assert small.any(1).all() and small.sum() == SIZE
    with pytest.raises(IasError, match=r"ground truth of 050\.png cannot be read"):
        ng_masks.mask_of(product, replace(record, mask_path=Path("/nowhere")), "truth")


def test_an_uploaded_mask_has_the_proportions_of_its_picture(named):
    record = replace(named("050.png"), width=200, height=100)

    def sized(width: int, height: int) -> bytes:
        drawn = np.zeros((height, width), np.uint8)
        drawn[: height // 2] = 200
        drawn[-1] = 60  # what a lossy file leaves
        return hostile.encoded(drawn)

    for width, height in ((200, 100), (101, 50), (64, 32)):
        mask = ng_masks.uploaded_mask(record, sized(width, height))
        assert mask.shape == (height, width) and mask.sum() == width * (height // 2)
    with pytest.raises(ImageRefused, match="64 x 34 px and 050.png is 200 x 100 px"):
        ng_masks.uploaded_mask(record, sized(64, 34))
    with pytest.raises(ImageRefused, match="not a PNG"):
        ng_masks.uploaded_mask(record, b"no picture")


def test_the_stored_map_proposes_where_the_scratch_is(ws):
    detector = load_result(ws, DETECTOR)
    seen = 0
    for record in Ledger(ws).records(label="ng"):
        seed = 1000 + int(record.name[3:5])
        if seed % 3 == 0:  # too faint on purpose
            continue
        difference = np.abs(small_run.scratched(seed).astype(int) - small_run.plate(seed)).sum(2) > 30
        scratch = ng_masks.cover_at_size(difference, 64)
        band, thin = (ng_masks.proposal_for(detector, record, edges=edges).mask for edges in (False, True))
        assert band.shape == (64, 64) and not (thin & ~band).any()
        inside, of_band = ((mask & scratch).sum() / mask.sum() for mask in (thin, band))
        assert inside > 0.5 and inside > 2 * of_band  # one patch is 8 px wide, a scratch 2
        seen += 1
    assert seen == 4


def test_the_floor_is_of_good_parts_that_verification_does_not_use(ws):
    detector = load_result(ws, DETECTOR)

    def with_patches(name: str, times: float) -> DetectorResult:
        changed = replace(detector.sets[name], patch_scores=detector.sets[name].patch_scores * times)
        return replace(detector, sets=detector.sets | {name: changed})

    assert ng_masks.good_peak(with_patches("check", 9)) == ng_masks.good_peak(detector)
    assert ng_masks.good_peak(with_patches("bank", 9)) > 5 * ng_masks.good_peak(detector)
    record = Ledger(ws).records(label="ng")[0]
    none = replace(detector, sets=detector.sets | {"ng": replace(detector.sets["ng"], ids=(), names=())})
    with pytest.raises(IasError, match=f"no scores of {record.name}"):
        ng_masks.proposal_for(none, record)


def test_a_defect_that_cannot_be_cut_out_says_why(product, named):
    record = named("050.png")
    assert ng_masks.why_no_piece(ng_masks.source_of(record, SPOT)) == ""
    most = np.ones((SIZE, SIZE), bool)
    most[:4] = False
    assert "covers 88% of the picture" in ng_masks.why_no_piece(ng_masks.source_of(record, most))
