"""Trap of Streamlit: with ``pages/`` beside it, ``app.py`` does not run for a first visitor of a deep link."""

import re

import pytest

from pages.services.steps import TITLES
from pages.ui.frame import PAGES
from tests.app import small_run
from tests.app.server import browsing, served

pytestmark = pytest.mark.browser


def check_frame(page, title: str) -> None:
    from playwright.sync_api import expect

    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    rail = page.get_by_test_id("stSidebar").get_by_test_id("stPageLink")
    expect(rail).to_have_count(len(TITLES), timeout=60_000)
    assert [text.split(". ")[1].split("\n")[0] for text in rail.all_inner_texts()] == list(TITLES.values())
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_test_id("stSidebarNav").count() == 0, "Streamlit's own page list is shown"


def test_first_visit_ever_goes_straight_to_a_later_step(tmp_path):
    with served(tmp_path / "workspace") as address, browsing(f"{address}/thresholds") as page:
        page.get_by_text("This step waits: no pictures yet: load good parts.").wait_for()
        check_frame(page, "Thresholds")
        assert page.title() == "Thresholds - NG0"
        assert page.get_by_test_id("stSlider").count() == 0

        page.get_by_test_id("stMain").get_by_role("link", name="Go to Data").click()
        page.get_by_role("button", name="Load the demo").wait_for()
        check_frame(page, "Data")
        page.reload()
        page.get_by_role("button", name="Load the demo").wait_for()
        check_frame(page, "Data")


def test_a_guard_stands_at_every_page_of_a_cold_server(tmp_path):
    """Nobody has opened the root, so every page runs alone; one that needs something says what, and shows no more."""
    with served(tmp_path / "workspace") as address, browsing(f"{address}/line") as page:
        for key in [key for key in PAGES if key != "data"]:
            page.goto(f"{address}/{key}")
            reason = "no threshold is approved yet" if key == "line" else "no pictures yet: load good parts"
            page.get_by_text(f"This step waits: {reason}.").wait_for()
            page.get_by_role("link", name=re.compile("^Go to ")).wait_for()
            page.get_by_role("heading", name=PAGES[key], exact=True, level=1).wait_for()
            assert page.get_by_test_id("stException").count() == 0
            for widget in ("stButton", "stFormSubmitButton", "stDownloadButton", "stTextInput", "stFileUploader"):
                assert page.get_by_test_id("stMain").get_by_test_id(widget).count() == 0, f"{widget} on {key}"


def test_first_visit_to_a_finished_step_shows_it(built, tmp_path):
    ws = small_run.copy_of(built, tmp_path / "workspace")
    with served(ws.root) as address, browsing(f"{address}/thresholds") as page:
        page.get_by_text("of 24 good parts would be rejected").first.wait_for()
        check_frame(page, "Thresholds")
