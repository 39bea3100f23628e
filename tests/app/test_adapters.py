"""From a folder of weights to pictures in a run: a method is trained in a job, kept, named, drawn with and judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ias_core.errors import IasError, SynthesisError
from pages.services import adapters, jobs, ng_masks, ng_sources, synthesis
from pages.services.artifacts import DETECTOR, load_result
from pages.services.ledger import Ledger
from pages.services.made import lacking, usable_methods
from pages.services.progress import silent
from pages.services.quality import kept
from pages.services.settings import PretrainedConfig, RunConfig, to_dict
from pages.services.steps import load_config, save_config
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.browse import text_of
from tests.core.tiny_diffusion import tiny_backend
from tests.core.tiny_weights import save_model

METHOD = "anogen"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return save_model(tiny_backend(folder / "first"), folder / "tiny")


@pytest.fixture
def product(ws, weights) -> Workspace:
    """The small product with one NG chosen and tiny weights named."""
    record = Ledger(ws).records(label="ng")[0]
    mask = np.zeros((64, 64), bool)
    mask[20:40, 24:30] = True
    config = ng_sources.choose(
        ws, small_run.CONFIG, record.sha256, ng_masks.keep_mask(ws, ng_masks.DRAWN, mask), by="test", why="its look"
    )
    named = PretrainedConfig(weights=str(weights), steps=2, product="plate", defect="scratch")
    save_config(ws, replace(config, synthesis=replace(config.synthesis, pretrained=named)))
    return ws


def test_a_training_is_kept_named_and_known_by_what_it_learned_from(product):
    config = load_config(product)
    assert METHOD in adapters.trainable() and "a training on your NG" in lacking(config.synthesis)[METHOD]
    told = []
    fitted, stopped = adapters.train(product, config, METHOD, 2, lambda *stage: told.append(stage))
    assert not stopped and told[-1][:3] == ("training", 2, 2)
    after = load_config(product)
    assert after.synthesis.pretrained.adapters == {METHOD: fitted.digest} and METHOD in usable_methods(after.synthesis)
    assert adapters.load_adapter(product, fitted.digest).digest == fitted.digest
    known = adapters.trained(product, after)[METHOD]
    assert known.fits and known.facts["steps"] == 2 and known.facts["sources"] == ["ng_00.png"]
    assert not adapters.trained(product, replace_sources(after, {}))[METHOD].fits


def replace_sources(config: RunConfig, sources: dict[str, str]) -> RunConfig:
    return replace(config, synthesis=replace(config.synthesis, sources=sources))


def test_who_cancels_keeps_what_was_learned(product):
    def cancel(stage, done, total, message=""):
        if stage == "training":
            raise jobs.JobCancelled

    params = {"config": to_dict(load_config(product)), "method": METHOD, "steps": 50}
    with pytest.raises(jobs.JobCancelled):
        adapters.run_job(product, params, cancel)
    assert adapters.trained(product, load_config(product))[METHOD].facts["steps"] == 1


def test_what_is_missing_is_said_before_anything_is_loaded(product):
    config = load_config(product)
    with pytest.raises(IasError, match="needs a real NG"):
        adapters.train(product, replace_sources(config, {}), METHOD, 1, silent)
    bare = replace(config, synthesis=replace(config.synthesis, pretrained=PretrainedConfig()))
    with pytest.raises(IasError, match="needs diffusion weights"):
        adapters.train(product, bare, METHOD, 1, silent)
    with pytest.raises(SynthesisError, match="train again"):
        adapters.load_adapter(product, 64 * "0")


def test_a_run_draws_with_the_weights_and_judges_what_they_do_to_good_parts(product):
    """Random weights ruin every surface: the control set says so, and the method has no voice."""
    config = load_config(product)
    asked = replace(config.synthesis, methods=("glass-las-own", "tf-idg"), count=3, graded="")
    result = synthesis.synthesize(product, load_result(product, DETECTOR), replace(config, synthesis=asked), silent)
    facts = result.meta["methods"]["tf-idg"]
    assert facts["control"]["n"] > 1 and facts["control"]["median_shift"] != 0
    assert {drawn["source"] for drawn in facts["settings"]} == {"ng_00.png"}
    assert list(facts["made_with"]) == ["weights"] and len(facts["made_with"]["weights"]) == 64
    assert facts["seconds"] > 0 and facts["peak_memory_bytes"] > 0
    assert kept(facts).any() != bool(facts.get("blocked"))


def view() -> None:
    from pages.services.steps import load_config
    from pages.ui import adapter_view, cached

    ws = cached.workspace()
    adapter_view.show(ws, load_config(ws))


def test_the_page_starts_a_training_and_says_what_each_method_is(product):
    page = AppTest.from_function(view, default_timeout=30).run()
    assert not page.exception
    read = text_of(page)
    assert "AnoGen" in read and "Needs at least 2 real NG; 1 chosen." in read
    assert page.button(key="adapter-seas").disabled and not page.button(key="adapter-anogen").disabled
    page.number_input(key="adapter-steps-anogen").set_value(7).run()
    page.button(key="adapter-anogen").click().run()
    job = jobs.latest(product, "adapter")
    assert (job.params["method"], job.params["steps"]) == (METHOD, 7)
