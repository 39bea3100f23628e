"""The app on a real server, and a real browser in front of it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser import ARGUMENTS, ensure_browser

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def served(workspace: Path) -> Iterator[str]:
    """Start the app on a free port with its own workspace; yields the address and stops the server at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "cli.py", "app", "--no-browser", "--port", str(port), "--workspace", str(workspace)],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"} | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                    break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError("the app did not start") from None
                time.sleep(0.2)
        yield address
    finally:
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, 15)
        process.wait(timeout=30)


@contextmanager
def browsing(address: str, *, width: int = 1440, height: int = 900) -> Iterator:
    """A page of a headless browser, opened at the address; yields playwright's Page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=ensure_browser(), args=list(ARGUMENTS))
        try:
            page = browser.new_context(viewport={"width": width, "height": height}).new_page()
            page.set_default_timeout(60_000)
            page.goto(address)
            yield page
        finally:
            browser.close()
