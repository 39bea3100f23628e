"""One real NG becomes many, through the whole run: who counts, what intervals rest on, and what a person takes out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.control import IDENTICAL
from calibration.counts import counts_at
from ias_core.errors import SynthesisError
from ias_core.synthesis.one_shot.one_shot_diffusion import OneShotDiffusion
from pages.services import control, filters, ng_masks, ng_sources, synthesis
from pages.services.artifacts import DETECTOR, SYNTHESIS, DetectorResult, SynthesisResult, load_result
from pages.services.dataset import of_result
from pages.services.kit import Kit
from pages.services.ledger import Ledger
from pages.services.made import lacking, usable_methods
from pages.services.preview import candidates, ladder
from pages.services.progress import silent
from pages.services.quality import kept, picture_id
from pages.services.settings import RunConfig, SynthesisConfig
from pages.services.steps import load_config, save_config, steps
from pages.services.thresholds import evidence_of, threshold_table
from pages.services.verification import free_ng
from pages.services.workspace import Workspace
from tests.app import small_run

METHOD, BESIDE, N = "one-shot-diffusion", "glass-las-own", 12


@pytest.fixture(scope="module")
def made_from_one(built, tmp_path_factory) -> Path:
    """The small product with one NG chosen, its mask proposed, and 12 made from it; never changed, only copied."""
    ws = small_run.copy_of(built, tmp_path_factory.mktemp("one") / "ws")
    detector = load_result(ws, DETECTOR)
    record = max(Ledger(ws).records(label="ng"), key=lambda one: score_of(detector, one.sha256))
    proposal = ng_masks.proposal_for(detector, record)
    assert not proposal.why_none
    choice = ng_masks.keep_mask(ws, ng_masks.PROPOSED, proposal.mask)
    asked = replace(small_run.CONFIG, synthesis=replace(small_run.CONFIG.synthesis, count=N, graded=""))
    config = ng_sources.choose(ws, asked, record.sha256, choice, by="test", why="its look")
    config = replace(config, synthesis=replace(config.synthesis, methods=(BESIDE, METHOD), primary=METHOD))
    save_config(ws, config)
    synthesis.synthesize(ws, detector, config, silent)
    return ws.root


def score_of(detector: DetectorResult, sha256: str) -> float:
    scored = detector.sets["ng"]
    return float(scored.image_scores[scored.ids.index(sha256)])


@pytest.fixture
def product(made_from_one, tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("IAS_WORKSPACE", str(tmp_path / "copy"))
    return small_run.copy_of(made_from_one, tmp_path / "copy")


def results(ws: Workspace) -> tuple[DetectorResult, SynthesisResult, RunConfig]:
    return load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), load_config(ws)


def test_the_seed_is_in_every_picture_s_facts_and_never_verifies(product):
    _, result, config = results(product)
    (sha256,) = config.synthesis.sources
    record = next(one for one in Ledger(product).records() if one.sha256 == sha256)
    assert {drawn["source"] for drawn in result.meta["methods"][METHOD]["settings"]} == {record.name}
    assert record.role == "generator_seed" and sha256 not in free_ng(product)
    assert steps(product)["synthesis"].state == "done"


def test_the_control_set_is_the_good_part_itself(product):
    _, result, _ = results(product)
    found = result.meta["methods"][METHOD]["control"]
    assert found["verdict"] == IDENTICAL and found["median_shift"] == 0
    assert found["n"] == len(Ledger(product).records(role="calibration_ok"))
    assert "pixel for pixel" in control.sentence(found)
    assert "control" not in result.meta["methods"][BESIDE]  # nothing is redrawn there


def test_intervals_rest_on_one_ng_and_not_on_twelve_pictures(product):
    detector, result, config = results(product)
    evidence = evidence_of(detector, result, free_ng(product))
    assert len(set(evidence.sources[METHOD])) == 1 and BESIDE not in evidence.sources
    lowest = float(evidence.synthetic[METHOD].min())
    caught = evidence.caught(METHOD, lowest)
    assert caught.k == caught.n and caught.low < 0.05 < counts_at(evidence.synthetic[METHOD], lowest).low
    area, band = threshold_table(evidence, config).synthetic_roc[METHOD]
    assert area.low < 0.5 and (band.recall_low == 0).all()


def test_a_picture_rejected_by_hand_counts_nowhere_until_it_is_taken_back(product):
    detector, result, config = results(product)
    facts = result.meta["methods"][METHOD]
    before = kept(facts)
    stems = [stem for stem, counts in zip(result.sets[METHOD].ids, before, strict=True) if counts][:2]
    pictures = [picture_id(result.picture(stem)) for stem in stems]
    assert set(pictures) <= set(facts["picture_ids"])
    for one in pictures:
        filters.reject(product, detector, load_config(product), one, "by hand: not like a defect of this part")
    _, after, config = results(product)
    assert kept(after.meta["methods"][METHOD]).sum() == before.sum() - 2 and config.synthesis.rejected.keys() == set(
        pictures
    )
    assert len(evidence_of(detector, after).synthetic[METHOD]) == before.sum() - 2
    assert steps(product)["synthesis"].state == "done" and after.digest != result.digest
    saved = next(one for one in of_result(after)[0] if one.method == METHOD)
    assert len(saved.images) == before.sum() - 2
    for one in pictures:
        filters.reject(product, detector, load_config(product), one, "")
    again = load_result(product, SYNTHESIS)
    assert again.digest == result.digest and (kept(again.meta["methods"][METHOD]) == before).all()


def test_what_was_rejected_stays_rejected_when_it_is_made_again(product):
    detector, result, config = results(product)
    one = result.meta["methods"][METHOD]["picture_ids"][0]
    config = replace(config, synthesis=replace(config.synthesis, rejected={one: "by hand"}))
    again = synthesis.synthesize(product, detector, config, silent)
    facts = again.meta["methods"][METHOD]
    assert facts["picture_ids"][0] == one and facts["rejected"][0] == "by hand"


def test_a_method_that_lifts_good_surface_has_no_voice(product, monkeypatch):
    """Every control picture gets a white bar: the detector would find that, and not the defect."""

    def barred(self, scene, rng):
        picture = scene.picture.copy()
        picture[20:40] = 1.0
        return picture

    monkeypatch.setattr(OneShotDiffusion, "control", barred)
    detector, _, config = results(product)
    result = synthesis.synthesize(product, detector, config, silent)
    facts = result.meta["methods"][METHOD]
    assert "is blocked" in facts["blocked"] and not kept(facts).any()
    evidence = evidence_of(detector, result)
    assert METHOD not in evidence.synthetic and evidence.voiceless[METHOD] == facts["blocked"]


def test_without_an_ng_the_method_says_what_it_needs(product):
    detector, _, config = results(product)
    assert METHOD in usable_methods(config.synthesis)
    (sha256,) = config.synthesis.sources
    dropped = ng_sources.drop(config, sha256)
    assert lacking(dropped.synthesis)[METHOD] == "needs a real NG with a mask of its defect"
    with pytest.raises(SynthesisError, match="needs a real NG with a mask"):
        synthesis.synthesize(product, detector, dropped, silent)
    assert lacking(SynthesisConfig())["tf-idg"].startswith("needs a real NG with a mask of its defect and Stable")


def test_the_ladder_rises_from_the_good_part(product):
    _, _, config = results(product)
    steps_ = ladder(product, candidates(product), config, seed=0)
    change = [float(np.abs(picture - steps_[0][0]).mean()) for picture, _ in steps_]
    assert change[0] == 0 and (np.diff(change) > 0).all() and len(steps_) == 5


def test_a_method_over_weights_is_drawn_again_with_smaller_ones_when_memory_runs_out():
    tried = []

    class Weights:
        notices = ("half the side",)

        def __call__(self, action):
            try:
                return action("large")
            except MemoryError:
                return action("small")

    def drawn(method):
        tried.append(method.backend)
        if method.backend == "large":
            raise MemoryError
        return method.name

    kit = Kit({"sources": (), "steps": 3}, weights=Weights())
    assert kit.run("realnet-sdas", drawn) == "realnet-sdas" and tried == ["large", "small"]
    assert kit.notices == ["half the side"] and Kit().notices == []
    assert kit.run("cutout", lambda method: method.name) == "cutout"
