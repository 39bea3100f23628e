"""One walk through the whole app in a real browser: demo data to signed record; writes the README's screenshots.

The screenshots go to ``$IAS_SCREENSHOTS`` when it is set, else they are taken and dropped.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from calibration.rules import is_ng
from pages.services import demo
from pages.services.artifacts import DETECTOR, load_result
from pages.services.workspace import Workspace
from tests.app.server import ROOT, browsing, served

pytestmark = pytest.mark.browser

JOB_TIMEOUT_MS = 540_000
NAMES = ("Ada Beispiel 検査", "Jürgen Weißmüller", "王 伟")
PRODUCT = {"Part": "solar cell, monocrystalline", "Line": "demo", "Camera and lens": "EL camera", "Light": "EL"}


def shoot(page, name: str, *, tab: str | None = None) -> None:
    """Whole page at 1440 px, or what is below one of its tabs, once its charts are drawn."""
    main = "document.querySelector('[data-testid=stMainBlockContainer]')"
    page.set_viewport_size({"width": 1440, "height": 900})
    if tab is not None:
        page.get_by_role("tab", name=tab).click()
    page.mouse.move(720, 5)  # no tooltip in the picture
    page.wait_for_timeout(1500)
    height = page.evaluate(f"{main} ? {main}.scrollHeight : 900")
    page.set_viewport_size({"width": 1440, "height": min(int(height) + 60, 4000 if tab is None else 9000)})
    page.wait_for_timeout(2500)
    picture = page.screenshot() if tab is None else page.locator("[role=tabpanel]:visible").screenshot()
    page.set_viewport_size({"width": 1440, "height": 900})
    if path := screenshot_path(name):
        path.write_bytes(picture)
    assert page.get_by_test_id("stException").count() == 0, f"an exception is shown on {name}"


def screenshot_path(name: str) -> Path | None:
    folder = os.environ.get("IAS_SCREENSHOTS")
    return Path(folder, f"{name}.png") if folder else None


def open_step(page, title: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("link", name=re.compile(rf"\d\. {re.escape(title)}")).click()
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()


def rejected(page) -> tuple[int, int]:
    """k and n of 'k of n good parts would be rejected'."""
    text = page.get_by_text(re.compile(r"\d+ of \d+ good parts would be rejected")).first.inner_text()
    k, n = re.match(r"(\d+) of (\d+)", text).groups()
    return int(k), int(n)


def slider_value(page) -> float:
    return float(page.locator("[data-testid=stSlider] input[type=range]").first.input_value())


def drag_slider(page, *, to_share: float) -> None:
    """Drag the thumb with the mouse to a share of the track's length."""
    page.locator("[data-testid=stSlider]").first.scroll_into_view_if_needed()
    track = page.locator("[data-testid=stSlider] [role=group]").first.bounding_box()
    thumb = page.locator("[data-testid=stSlider] input[type=range]").first.evaluate(
        "e => { const r = e.parentElement.parentElement.getBoundingClientRect();"
        " return [r.x + r.width / 2, r.y + r.height / 2] }"
    )
    page.mouse.move(*thumb)
    page.mouse.down()
    page.mouse.move(track["x"] + to_share * track["width"], thumb[1], steps=8)
    page.mouse.up()


@pytest.mark.timeout(1200)
def test_demo_from_data_to_signed_record(tmp_path):
    assert demo.available(), "requirements.txt installs the demo pictures"
    workspace = tmp_path / "workspace"
    with served(workspace) as address, browsing(address) as page:
        page.get_by_role("button", name="Load the demo").click()
        page.get_by_role("button", name="Run to a provisional threshold").wait_for(timeout=JOB_TIMEOUT_MS)
        shoot(page, "data")
        page.get_by_role("button", name="Run to a provisional threshold").click()
        page.get_by_role("button", name="Cancel").wait_for()

        # a second tab sees the same job
        other = page.context.new_page()
        other.goto(f"{address}/detector")
        other.get_by_role("button", name="Cancel").wait_for()
        other.close()

        page.get_by_text("Detector and synthetic NG are ready").wait_for(timeout=JOB_TIMEOUT_MS)
        for title, name in (("Detector", "detector"), ("Synthetic NG", "synthesis"), ("Thresholds", "thresholds")):
            open_step(page, title)
            page.wait_for_timeout(1500)
            shoot(page, name)
            if name == "synthesis":
                page.get_by_text("What is made: methods").click()
                page.get_by_role("tab", name="Methods", exact=True).wait_for()
                page.wait_for_timeout(1500)
                page.locator("[data-testid=stExpander]").first.screenshot(path=screenshot_path("methods"))
                page.get_by_text("What is made: methods").click()
                shoot(page, "quality", tab="Quality control")
                shoot(page, "rulers", tab="How large a feature shift would be found?")

        # every rule has a card; the range and the smallest defect found have a chart
        assert page.get_by_text("Evidence T1: synthetic NG").first.is_visible()
        page.get_by_text("Open every card").click()
        page.get_by_role("button", name="Use this threshold").first.wait_for()
        shoot(page, "rules", tab="Every rule")
        page.get_by_text("Open every card").click()
        shoot(page, "robustness", tab="Robustness")
        page.get_by_role("tab", name="Smallest defect found").click()
        page.get_by_text(re.compile(r"\d+ of 80 graded spots found")).first.wait_for()
        shoot(page, "pod", tab="Smallest defect found")

        # the numbers on the page are those of the stored scores
        detector = load_result(Workspace(workspace), DETECTOR)
        scores = detector.sets["calibration"].image_scores
        k_before, n = rejected(page)
        assert n == len(scores)
        at = slider_value(page)
        assert abs(k_before - int(is_ng(scores, at).sum())) <= 1  # the slider shows the nearest stop

        # drag it to the left: more good parts are rejected, and the counts follow the slider
        drag_slider(page, to_share=0.05)
        page.get_by_text("by hand").first.wait_for()
        page.wait_for_timeout(1500)
        moved = slider_value(page)
        assert moved < at
        k_after, _ = rejected(page)
        assert k_after == int(is_ng(scores, moved).sum()) > k_before

        # back to the recommended value, fix it, check it on real NG
        page.get_by_role("button", name="Recommended").click()
        page.wait_for_timeout(1500)
        assert rejected(page)[0] == k_before
        page.get_by_role("button", name="Fix this threshold").click()
        page.get_by_role("link", name="Go to Verification").wait_for()
        open_step(page, "Verification")
        page.get_by_role("button", name="Check the threshold").click()
        caught_text = page.get_by_text(re.compile(r"\d+ of \d+ real NG caught")).first
        caught_text.wait_for()
        k, total = map(int, re.match(r"(\d+) of (\d+)", caught_text.inner_text()).groups())
        ng = detector.sets["ng"].image_scores
        assert total == len(ng)
        value = Workspace(workspace).get_choice("decision")["value"]
        assert k == int(np.count_nonzero(ng >= value))
        page.get_by_text("Evidence T2: real NG refute the target").wait_for()  # 236 of 313 is far from 90 %
        shoot(page, "verification")

        # now that they verified, the real NG say whether the synthetic ones were like them
        open_step(page, "Thresholds")
        page.get_by_role("tab", name="Synthetic against real").click()
        page.get_by_text(re.compile("^(Transfers|Does not transfer|Cannot tell)")).first.wait_for()
        shoot(page, "transfer", tab="Synthetic against real")

        open_step(page, "Sign-off")
        for label, text in PRODUCT.items():
            page.get_by_label(label).fill(text)
        page.get_by_role("button", name="Save", exact=True).click()
        page.wait_for_timeout(5000)  # what is signed is what the page shows, and it is drawn anew with the part's name
        for name, expected in zip(
            NAMES, ("Still to come: reviewed, approved", "Still to come: approved", "Approved"), strict=True
        ):
            page.get_by_label("Printed name").fill(name)
            page.get_by_label("Reason").fill("looked at every missed part")
            page.get_by_role("button", name="Sign", exact=True).click()
            page.get_by_text(expected).wait_for()
        shoot(page, "sign_off")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the record").click()
        release = unzipped(download.value.path(), tmp_path / "release")
        (release / "record.html").read_text(encoding="utf-8").index("検査")
        fits = run_cli("verify", release / "record.json")
        assert (fits.returncode, fits.stdout.count("fits: ")) == (0, 6), fits.stderr

        # the meeting, then the line: export, and score again with what was exported
        page.get_by_role("link", name="Show this in the meeting").click()
        page.get_by_role("heading", name="Meeting", exact=True, level=1).wait_for()
        page.wait_for_timeout(1500)
        shoot(page, "meeting")
        page.goto(f"{address}/line")
        page.get_by_role("button", name="Export for the line").click()
        page.get_by_text("forms may go to the line").wait_for(timeout=JOB_TIMEOUT_MS)
        shoot(page, "line")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the release").click()
        release = unzipped(download.value.path(), tmp_path / "exported")
    assert run_cli("verify", release).returncode == 0
    scored = {name: score for part in ("check", "ng") for name, score in of_set(detector, part)}
    chosen = sorted(scored, key=lambda name: abs(scored[name] - value))[:: len(scored) // 8]
    (tmp_path / "shift").mkdir()
    for file in demo.found_files():
        if file.name in chosen:
            shutil.copy(file.path, tmp_path / "shift" / file.name)
    lines = run_cli("score", "--record", release / "record.json", "--images", tmp_path / "shift").stdout.splitlines()
    rows = {row["file"]: row for row in csv.DictReader(lines)}
    assert set(rows) == set(chosen)
    for name, row in rows.items():
        assert float(row["score"]) == pytest.approx(scored[name], rel=1e-4)
        assert (row["verdict"] == "NG") == (scored[name] >= value), name


def unzipped(path: Path, folder: Path) -> Path:
    """The folder that holds ``record.json``."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    (record,) = folder.rglob("record.json")
    return record.parent


def run_cli(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "cli.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300)


def of_set(detector, part: str) -> list[tuple[str, float]]:
    scored = detector.sets[part]
    return list(zip(scored.names, map(float, scored.image_scores), strict=True))


@pytest.mark.timeout(300)
def test_cancel_answers_within_a_second_and_the_page_says_so(tmp_path):
    assert demo.available(), "requirements.txt installs the demo pictures"
    with served(tmp_path / "workspace") as address, browsing(address) as page:
        page.get_by_role("button", name="Load the demo").click()
        page.get_by_role("button", name="Cancel").click()
        started = time.monotonic()
        page.get_by_text("was cancelled").wait_for()
        # the promise of one second is the job's; the browser's way there and back comes on top
        assert time.monotonic() - started < 10
        page.get_by_role("button", name="Load the demo").wait_for()
