"""Two people in front of one workspace: unsaved choices stay with each, records are the same for both."""

import pytest

from pages.services.artifacts import DETECTOR, load_result
from pages.services.records import entries_of, newest
from pages.services.verification import verify
from tests.app import small_run
from tests.app.conftest import NOW
from tests.app.server import browsing, served
from tests.app.signing import fix_recommended

pytestmark = pytest.mark.browser


def test_two_browsers_on_one_workspace(built, tmp_path):
    from playwright.sync_api import expect

    ws = small_run.copy_of(built, tmp_path / "workspace")
    verify(ws, load_result(ws, DETECTOR), fix_recommended(ws, now=NOW))
    with served(ws.root) as address, browsing(f"{address}/sign_off") as first:
        second = first.context.browser.new_context().new_page()
        second.goto(f"{address}/sign_off")
        for page, name in ((first, "Anna Erste"), (second, "Bert Zweiter")):
            page.get_by_label("Printed name").fill(name)
            page.get_by_label("Reason").fill(f"seen by {name}")
        expect(first.get_by_label("Printed name")).to_have_value("Anna Erste")
        expect(second.get_by_label("Reason")).to_have_value("seen by Bert Zweiter")

        first.get_by_role("button", name="Sign", exact=True).click()
        first.get_by_text("Signed so far: calibrated by Anna Erste").wait_for()
        assert second.get_by_text("Anna Erste").count() == 0, "nothing moves under the eyes of the other"

        # what the other saw is not what would be signed now
        second.get_by_role("button", name="Sign", exact=True).click()
        second.get_by_text("somebody else signed since this page was drawn").wait_for()
        assert len(newest(entries_of(ws)).signatures) == 1
        second.get_by_text("Signed so far: calibrated by Anna Erste").wait_for()  # and now it is shown
        expect(second.get_by_label("Reason")).to_have_value("seen by Bert Zweiter")  # nothing typed is lost
        second.get_by_role("button", name="Sign", exact=True).click()
        second.get_by_text("reviewed by Bert Zweiter").first.wait_for()

        first.reload()
        first.get_by_text("reviewed by Bert Zweiter").first.wait_for()
        assert [one.body["signed_by"] for one in newest(entries_of(ws)).signatures] == ["Anna Erste", "Bert Zweiter"]
