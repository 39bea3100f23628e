"""The feature-space rulers: kept whole, shown one at a time, and what cannot be laid says why."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.ruler import smallest_shift_found
from ias_core.errors import FeatureError
from ias_core.synthesis.feature_space.base import feature_synthesizers
from ias_core.synthesis.feature_space.dsr_codebook import DsrCodebook
from pages.services.artifacts import DETECTOR, SYNTHESIS, fresh_folder, load_result, save_result
from pages.services.detection import FeatureSource
from pages.services.ruler import IMAGES, lay_rulers, stored_rulers
from pages.ui import words
from tests.app import small_run
from tests.app.browse import open_page, text_of

FIRST = "glass-gas-manifold"


def stored_anew(ws, **meta):
    """The synthesis with other facts, in a folder of its own, so that no cache knows it."""
    result = load_result(ws, SYNTHESIS)
    folder = fresh_folder(ws, SYNTHESIS)
    for file in result.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    save_result(ws, SYNTHESIS, replace(result, folder=folder, meta=result.meta | meta))


def test_every_method_is_kept_and_has_a_name_on_screen(ws):
    result = load_result(ws, SYNTHESIS)
    rulers, reasons = stored_rulers(result)
    assert set(rulers) | set(reasons) == set(feature_synthesizers.names()) and not reasons
    n = min(IMAGES, len(load_result(ws, DETECTOR).sets["calibration"].ids))
    for name, ruler in rulers.items():
        assert words.method(name) != name
        assert ruler.scores.shape == (len(ruler.regions), len(ruler.dial), n)
        assert (ruler.scores[:, 0] == ruler.scores[0, 0]).all()  # untouched
        assert ruler.shift_in_R.shape == ruler.dial.shape and ruler.points.shape[1] == 2
        assert len(ruler.example_maps) == len(ruler.example_titles)
    assert rulers[FIRST].regions == ("1 patch", "4 patches", "16 patches")


def test_every_method_can_be_shown(ws):
    page = open_page("synthesis")
    picker = page.selectbox(key="ruler-method")
    assert picker.value == FIRST and len(picker.options) == len(feature_synthesizers.names())
    rulers, _ = stored_rulers(load_result(ws, SYNTHESIS))
    for name, ruler in rulers.items():
        page.selectbox(key="ruler-method").set_value(name).run()
        assert not page.exception, name
        text = text_of(page)
        assert ruler.meaning in text and "A ruler, not evidence" in text


def test_the_table_says_the_smallest_shift_of_every_method(ws, table):
    page = open_page("synthesis")
    (shown,) = [frame.value for frame in page.dataframe if "1 patch" in frame.value.columns]
    rulers, _ = stored_rulers(load_result(ws, SYNTHESIS))
    threshold = table.recommendation.choice.value
    assert set(shown["method"]) == {words.method(name) for name in rulers}
    for name, ruler in rulers.items():
        row = shown[shown["method"] == words.method(name)].iloc[0]
        for region, found in zip(ruler.regions, smallest_shift_found(ruler.scores, ruler.dial, threshold), strict=True):
            said = f"{found * (1 if ruler.unit == 'R' else 100):g} {ruler.unit}" if found is not None else "not found"
            assert row[region].startswith(said)


def test_a_method_that_cannot_be_laid_says_why(ws):
    result = load_result(ws, SYNTHESIS)
    methods = result.meta["ruler"]["methods"] | {"dsr-codebook": {"reason": "they show the product itself"}}
    stored_anew(ws, ruler=result.meta["ruler"] | {"methods": methods})
    page = open_page("synthesis")
    assert not page.exception
    assert "DSR codebook: cannot tell, because they show the product itself." in text_of(page)
    assert "dsr-codebook" not in page.selectbox(key="ruler-method").options


def test_no_ruler_at_all_says_why(ws):
    stored_anew(ws, ruler={"scale": 1.0, "methods": {FIRST: {"reason": "expected 1..9 cells, got 16"}}})
    page = open_page("synthesis")
    assert not page.exception
    assert "GLASS, manifold: cannot tell, because expected 1..9 cells, got 16." in text_of(page)


def test_a_refusal_leaves_the_other_rulers_as_they_are(ws, monkeypatch):
    def refuse(*_, **__):
        raise FeatureError("no")

    monkeypatch.setattr(DsrCodebook, "shifted", refuse)
    source = FeatureSource(small_run.CONFIG.detector)
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0, 1, (3, 64, 64, 3)).astype(np.float32)
    features = source.of_pictures(list(pictures))

    class Bank:
        features = source.of_pictures(list(pictures[::-1, ::-1])).reshape(-1, 152).numpy()

    d0 = np.full(features.shape[:3], 3.0, np.float32)
    shifts, projection, facts = lay_rulers(pictures, features, d0, Bank, source, 1)
    assert facts["methods"]["dsr-codebook"] == {"reason": "no"}
    assert "dsr-codebook/scores" not in shifts and f"{FIRST}/scores" in shifts
    assert facts["scale"] == 3.0 and projection["ok"].shape[1] == 2


@pytest.mark.parametrize("meta", [{"ruler": {}}, {"ruler": {"methods": {}}}])
def test_results_from_before_the_rulers_ask_to_be_made_again(ws, meta):
    stored_anew(ws, **meta)
    page = open_page("synthesis")
    assert not page.exception
    assert "before there were several rulers: make them again" in text_of(page)
