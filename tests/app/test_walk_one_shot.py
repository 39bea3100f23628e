"""A walk in a real browser: one NG is chosen, its proposed mask accepted, 20 made of it, two rejected, and all follows.

The screenshots go to ``$IAS_SCREENSHOTS`` when it is set, as those of ``test_walk``.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.ledger import Ledger
from pages.services.quality import kept
from pages.services.settings import RunConfig
from pages.services.steps import load_config, save_config
from pages.services.thresholds import evidence_of, threshold_table
from pages.services.verification import free_ng
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.server import browsing, served
from tests.app.test_walk import open_step, shoot

pytestmark = pytest.mark.browser

METHOD, MADE, JOB_TIMEOUT_MS = "one-shot-diffusion", 20, 240_000
FROM_NG = "From one or two real NG"


def wide_shot(page, name: str) -> None:
    """What stands in the block of settings that is open."""
    if folder := os.environ.get("IAS_SCREENSHOTS"):
        page.mouse.move(720, 5)
        page.set_viewport_size({"width": 1440, "height": 2400})  # an element is drawn as far as the window reaches
        page.wait_for_timeout(2500)
        page.locator("[data-testid=stExpander]", has_text=FROM_NG).first.screenshot(path=Path(folder, f"{name}.png"))
        page.set_viewport_size({"width": 1440, "height": 900})


def youdens(ws: Workspace, config: RunConfig) -> float:
    table = threshold_table(evidence_of(load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), free_ng(ws)), config)
    return next(choice.value for choice in table.choices if choice.rule == "youden")


def youdens_card(page) -> str:
    """Threshold and the gap of scores it lies in, as they stand on screen."""
    page.get_by_text("Open every card").click()
    page.get_by_role("button", name="Use this threshold").first.wait_for()
    page.wait_for_timeout(1500)
    text = page.locator("[role=tabpanel]:visible").inner_text()
    return text[text.index("Youden") :]


@pytest.mark.timeout(600)
def test_one_ng_becomes_twenty_and_a_person_takes_two_out(built, tmp_path):
    ws = small_run.copy_of(built, tmp_path / "ws")
    config = load_config(ws)
    save_config(ws, replace(config, synthesis=replace(config.synthesis, count=MADE, graded_count=10)))
    with served(ws.root) as address, browsing(f"{address}/synthesis") as page:
        page.get_by_text(FROM_NG).click()
        page.get_by_label("Part of its name").fill("ng_01")
        page.keyboard.press("Enter")
        page.get_by_text("1 real NG.").wait_for()
        page.get_by_role("button", name="Pick", exact=True).click()
        page.get_by_text("It leaves 5 of 6 NG for verification.").wait_for()
        page.get_by_text("Propose it from the anomaly map").click()
        page.get_by_role("button", name="Use this NG").wait_for()
        wide_shot(page, "ng-mask")
        page.get_by_role("button", name="Use this NG").click()
        page.get_by_text("can never verify").first.wait_for()
        taught = next(record for record in Ledger(ws).records(role="generator_seed"))
        assert taught.name == "ng_01.png" and taught.sha256 not in free_ng(ws)

        page.get_by_role("tab", name="How its defect is carried over").click()
        page.get_by_role("button", name=f"Make {MADE} of these with every run").wait_for()
        page.get_by_text("amplitude 1", exact=True).wait_for()
        wide_shot(page, "one-shot")
        page.get_by_role("button", name=f"Make {MADE} of these with every run").click()
        page.get_by_role("button", name=f"Make {MADE} of these with every run").wait_for(state="hidden")
        now = load_config(ws)
        save_config(ws, replace(now, synthesis=replace(now.synthesis, primary=METHOD)))

        page.get_by_role("button", name="Make synthetic NG").click()
        page.get_by_role("button", name="Make them again").wait_for(timeout=JOB_TIMEOUT_MS)
        page.get_by_text("one-shot transplant", exact=True).first.click()
        page.get_by_text(re.compile(f"one defect seen from {MADE} places")).wait_for()
        config = load_config(ws)
        before = youdens(ws, config)
        open_step(page, "Thresholds")
        page.get_by_text(re.compile(rf"\d+ of {MADE} synthetic NG caught \(one-shot transplant\)")).wait_for()
        area = page.get_by_text(re.compile("one-shot transplant from 1 real NG: AUROC")).first
        area_before, card_before = area.text_content(), youdens_card(page)

        # the two that score lowest go: the curve, and the range that Youden's threshold may lie in, follow
        result = load_result(ws, SYNTHESIS)
        ids = result.meta["methods"][METHOD]["picture_ids"]
        faint = result.sets[METHOD].image_scores.argsort()[:2]
        open_step(page, "Synthetic NG")
        page.get_by_text("one-shot transplant", exact=True).first.click()
        for i in sorted(int(i) for i in faint):
            if i >= 10:
                page.get_by_label("Page 2", exact=True).click()
                page.wait_for_timeout(1500)
            page.locator(f".st-key-reject-{ids[i]} label").first.click()
            page.get_by_text(re.compile("rejected: by hand")).first.wait_for()
            page.wait_for_timeout(1500)
            if i >= 10:
                page.get_by_label("Page 1", exact=True).click()
                page.wait_for_timeout(1500)
        page.get_by_text(f"{MADE} made, {MADE - 2} kept").wait_for()
        shoot(page, "one-shot-gallery")
        assert kept(load_result(ws, SYNTHESIS).meta["methods"][METHOD]).sum() == MADE - 2
        open_step(page, "Thresholds")
        page.get_by_text(re.compile(rf"\d+ of {MADE - 2} synthetic NG caught \(one-shot transplant\)")).wait_for()
        area = page.get_by_text(re.compile("one-shot transplant from 1 real NG: AUROC")).first
        assert area.text_content() != area_before and youdens_card(page) != card_before
        assert youdens(ws, load_config(ws)) > before
