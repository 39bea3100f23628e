"""Which code gave the numbers: the version, and the sha256 of every file that takes part in them."""

import hashlib
import tomllib
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("ias_core", "calibration", "pages/services")


@lru_cache(maxsize=1)
def code_version() -> dict[str, str]:
    """``version`` of this product and ``sha256`` over its numerical code, whatever the line ends of the checkout."""
    sha = hashlib.sha256()
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_bytes().replace(b"\r\n", b"\n")
            sha.update(f"{path.relative_to(ROOT).as_posix()} {len(text)}\n".encode() + text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"version": project["version"], "sha256": sha.hexdigest()}
