"""What the Synthetic NG page lets the engineer decide: dials with a preview, a mixture, textures; and its gallery."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from ias_core.errors import SynthesisError
from pages.services import preview
from pages.services.artifacts import SYNTHESIS, load_result, save_result
from pages.services.settings import SynthesisConfig
from pages.services.steps import load_config, save_config, steps
from pages.ui import cached
from tests.app import small_run
from tests.app.browse import open_page, text_of


@pytest.fixture
def page(ws) -> AppTest:
    page = open_page("synthesis")
    assert not page.exception
    return page


def synthesis_of(ws) -> SynthesisConfig:
    return load_config(ws).synthesis


# --- preview --------------------------------------------------------------------------------------------------


def test_a_dial_is_kept_for_the_run_only_when_asked(ws, page):
    page.selectbox(key="preview-method").set_value("cutout").run()
    page.toggle(key="preview-Severity-on-cutout").set_value(True).run()
    page.slider(key="preview-Severity-cutout").set_value(0.35).run()
    page.toggle(key="preview-Size in px-on-cutout").set_value(True).run()
    assert not page.exception and synthesis_of(ws).severity == {}
    page.button(key="preview-keep").click().run()
    kept = synthesis_of(ws)
    assert kept.severity == {"cutout": 0.35} and kept.size_px == {"cutout": 12.0}
    assert steps(ws)["synthesis"].state == "out of date"
    page.toggle(key="preview-Severity-on-cutout").set_value(False).run()
    page.button(key="preview-keep").click().run()
    assert synthesis_of(ws).severity == {} and synthesis_of(ws).size_px == {"cutout": 12.0}


def test_a_method_without_a_size_offers_none(page):
    page.selectbox(key="preview-method").set_value("glass-las-own").run()
    assert "no size of its own" in text_of(page)
    assert "preview-Size in px-on-glass-las-own" not in [toggle.key for toggle in page.toggle]


def test_what_cannot_be_made_is_one_sentence(page, monkeypatch):
    def nothing(*rest, **asked):
        raise SynthesisError("cutout: 20 draws made no visible defect; change severity or size")

    monkeypatch.setattr(cached, "preview_of", nothing)
    page.selectbox(key="preview-method").set_value("cutout").run()
    assert not page.exception and "20 draws made no visible defect" in text_of(page)


def test_the_preview_is_the_first_picture_of_such_a_set(ws):
    records = preview.candidates(ws)
    assert 1 < len(records) <= 12
    asked = {"side": 64, "severity": 0.8, "size_px": 10.0, "seed": 3}
    one, again = (preview.preview(records, "cutout", **asked) for _ in range(2))
    other = preview.preview(records, "cutout", **asked | {"seed": 4})
    assert np.array_equal(one.image, again.image) and not np.array_equal(one.image, other.image)
    assert one.facts["severities"] == pytest.approx(0.8) and one.facts["area_px"] == one.mask.sum() <= 81


def test_candidates_are_spread_over_all_calibration_pictures(ws):
    every = preview.candidates(ws, 10**6)
    few = preview.candidates(ws, 3)
    assert (few[0], few[-1]) == (every[0], every[-1]) and len(few) == 3


# --- mixture, textures ------------------------------------------------------------------------------------------


def test_a_mixture_is_kept_with_its_shares_and_can_be_what_thresholds_use(ws, page):
    page.multiselect(key="mixture-methods").set_value(["cutout", "scratch"]).run()
    page.number_input(key="mixture-share-cutout").set_value(30.0).run()
    assert not page.exception and synthesis_of(ws).mixture == {"cutout": 30.0, "scratch": 10.0}
    assert "75 % CutOut, 25 % scratch" in text_of(page)
    page.selectbox(key="pick-method-primary").set_value("mixture").run()
    assert synthesis_of(ws).primary == "mixture"
    page.multiselect(key="mixture-methods").set_value([]).run()
    assert not page.exception
    assert synthesis_of(ws).mixture == {} and synthesis_of(ws).primary == "glass-las-own"


def test_a_folder_of_textures_is_checked_before_it_is_kept(ws, page, tmp_path):
    page.text_input(key="textures-folder").set_value(str(tmp_path / "nowhere")).run()
    assert not page.exception and page.error and synthesis_of(ws).textures == ""
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    page.text_input(key="textures-folder").set_value(str(tmp_path)).run()
    assert not page.exception and synthesis_of(ws).textures == str(tmp_path)
    page.text_input(key="textures-folder").set_value("").run()
    assert synthesis_of(ws).textures == ""


# --- gallery ----------------------------------------------------------------------------------------------------


def test_rejected_pictures_say_why_and_can_be_hidden(ws):
    result = load_result(ws, SYNTHESIS)
    rejected = ["no patch score moves"] * 4 + [""] * 6
    methods = result.meta["methods"] | {
        "glass-las-own": result.meta["methods"]["glass-las-own"] | {"rejected": rejected}
    }
    save_result(ws, SYNTHESIS, replace(result, meta=result.meta | {"methods": methods}))
    page = open_page("synthesis")
    assert not page.exception
    assert captions(page).count("rejected: no patch score moves") == 4 and "10 made, 6 kept" in text_of(page)
    page.toggle(key="gallery-rejected").set_value(False).run()
    assert not page.exception and "rejected" not in captions(page)


def captions(page: AppTest) -> str:
    return "\n".join(caption for image in page.get("image") for caption in image.captions)


@pytest.mark.parametrize("view", ["Picture", "Mask", "Anomaly map"])
def test_every_view_of_every_method(page, view):
    page.segmented_control(key="gallery-view").set_value(view).run()
    for method in ("glass-las-foreign", "graded-spot"):
        page.segmented_control(key="gallery-method").set_value(method).run()
        assert not page.exception


def test_the_mixture_says_which_method_made_a_picture(ws, built):
    config = replace(
        small_run.CONFIG, synthesis=replace(small_run.CONFIG.synthesis, mixture={"cutout": 1.0, "scratch": 1.0})
    )
    save_config(ws, config)
    from pages.services.detection import current_detector
    from pages.services.progress import silent
    from pages.services.synthesis import synthesize

    synthesize(ws, current_detector(ws, config), config, silent)
    page = open_page("synthesis")
    page.segmented_control(key="gallery-method").set_value("mixture").run()
    assert not page.exception
    assert captions(page).count("CutOut") == captions(page).count("scratch") == 5


def test_what_a_run_left_out_is_said(ws):
    result = load_result(ws, SYNTHESIS)
    save_result(ws, SYNTHESIS, replace(result, meta=result.meta | {"failed": {"pii": "pii: 20 draws made nothing"}}))
    assert "Left out: pii: 20 draws made nothing." in text_of(open_page("synthesis"))
