"""Which browser drives the app in tests: one that is installed, or Debian's Chromium installed now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_WINDOWS = (
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
_MAC = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str | None:
    """Path of a Chromium, Chrome or Edge; ``$IAS_TEST_BROWSER`` wins."""
    wish = os.environ.get("IAS_TEST_BROWSER")
    places = [wish] if wish else [shutil.which(name) for name in _NAMES] + [*_WINDOWS, *_MAC]
    return next((str(place) for place in places if place and Path(place).is_file()), None)


def ensure_browser() -> str:
    """As ``find_browser``; installs Debian's chromium where that can be done without asking.

    Raises
    ------
    SystemExit
        With one sentence, where no browser is there and none can be installed from here.
    """
    found = find_browser()
    if found is None and sys.platform == "linux" and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-q"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-q", "chromium"], check=False)
        found = find_browser()
    if found is None:
        raise SystemExit(
            "The browser tests need Chromium, Chrome or Edge and found none: install one "
            "(Debian: sudo apt-get install chromium) or name it in IAS_TEST_BROWSER."
        )
    return found
