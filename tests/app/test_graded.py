"""Graded synthetic NG beside the others: made, measured, shown, and no voter; results from before they existed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ias_core.synthesis.measures import equivalent_diameter_px
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.progress import silent
from pages.services.steps import load_config, save_config
from pages.services.synthesis import synthesize
from pages.ui import cached
from tests.app import small_run
from tests.app.browse import open_page, text_of

GRADED = "graded-spot"


@pytest.fixture
def result(ws):
    return load_result(ws, SYNTHESIS)


def test_kept_beside_the_methods_and_named_as_graded(result):
    assert result.meta["graded"] == GRADED
    assert set(result.sets) == set(result.meta["methods"]) == {*small_run.CONFIG.synthesis.methods, GRADED}
    assert len(result.sets[GRADED].ids) == small_run.CONFIG.synthesis.graded_count
    assert [len(result.sets[name].ids) for name in small_run.CONFIG.synthesis.methods] == [10, 10]


def test_every_synthetic_ng_of_every_method_is_measured(result):
    for name, facts in result.meta["methods"].items():
        n = len(result.sets[name].ids)
        assert len(facts["size_px"]) == len(facts["snr"]) == n
        for i, stem in enumerate(result.sets[name].ids):
            mask = np.asarray(Image.open(result.folder / f"{stem}_mask.png")).astype(bool)
            assert facts["size_px"][i] == pytest.approx(equivalent_diameter_px(mask), abs=1e-3)
        assert min(facts["snr"]) > 0


def test_measured_ratio_follows_what_was_asked(result):
    facts = result.meta["methods"][GRADED]
    asked = 0.25 * 64 ** np.array(facts["severities"])
    assert np.corrcoef(np.log(asked), np.log(facts["snr"]))[0, 1] > 0.9
    assert np.mean(np.abs(np.array(facts["snr"]) / asked - 1) < 0.01) > 0.6  # the rest met black or white


def test_each_file_differs_from_its_parent(result):
    """What is kept as a file is a defect there too; outside the mask two of one parent are alike."""
    facts, stems = result.meta["methods"][GRADED], result.sets[GRADED].ids
    first: dict[str, int] = {}
    for i, parent in enumerate(facts["parents"]):
        if parent in first:
            pictures = [
                np.asarray(Image.open(result.folder / f"{stems[k]}.png")).astype(int) for k in (first[parent], i)
            ]
            masks = [np.asarray(Image.open(result.folder / f"{stems[k]}_mask.png")) for k in (first[parent], i)]
            changed = (pictures[0] != pictures[1]).any(2)
            assert (changed & masks[0]).any() and (changed & masks[1]).any()
            assert not (changed & ~masks[0] & ~masks[1]).any()
        first.setdefault(parent, i)
    assert len(first) < len(stems)


def test_switched_off_nothing_graded_is_made(ws, result):
    config = replace(small_run.CONFIG, synthesis=replace(small_run.CONFIG.synthesis, graded=""))
    off = synthesize(ws, load_result(ws, DETECTOR), config, silent)
    assert off.meta["graded"] == "" and set(off.sets) == set(config.synthesis.methods)
    assert off.digest != result.digest
    for name in config.synthesis.methods:  # the others are what they were
        np.testing.assert_array_equal(off.sets[name].image_scores, result.sets[name].image_scores)


def test_gallery_shows_them_without_an_auroc(ws):
    page = open_page("synthesis")
    assert "AUROC against" in text_of(page)
    page.segmented_control(key="gallery-method").set_value(GRADED).run()
    assert not page.exception, [e.message for e in page.exception]
    text = text_of(page)
    assert "30 made." in text and "AUROC against" not in text and "invisible by design" in text


def test_page_offers_them_neither_as_a_method_nor_drops_them(ws):
    page = open_page("synthesis")
    assert "graded spots" not in page.multiselect[0].options
    page.slider[0].set_value(30).run()
    assert load_config(ws).synthesis == replace(small_run.CONFIG.synthesis, count=30)
    save_config(ws, replace(small_run.CONFIG, synthesis=replace(small_run.CONFIG.synthesis, graded="")))
    page = open_page("synthesis")
    assert not page.exception and "graded spots" not in page.multiselect[0].options


def test_a_result_from_before_still_opens(ws, result):
    path = result.folder / "facts.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    del facts["meta"]["graded"], facts["meta"]["methods"][GRADED], facts["sets"][GRADED]
    for method in facts["meta"]["methods"].values():
        del method["size_px"], method["snr"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    cached._result.clear()
    cached._table.clear()
    assert set(load_result(ws, SYNTHESIS).sets) == set(small_run.CONFIG.synthesis.methods)
    page = open_page("synthesis")
    assert not page.exception, [e.message for e in page.exception]
    assert "10 made; AUROC against" in text_of(page)
    cached._result.clear()
    cached._table.clear()
