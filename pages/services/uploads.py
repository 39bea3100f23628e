"""Files that came through the browser, kept in the workspace on arrival."""

import hashlib
from pathlib import Path

from pages.services.workspace import Workspace


def keep_zip(ws: Workspace, name: str, content: memoryview | bytes) -> Path:
    """Write an uploaded zip to the workspace under its hash; returns the path. ``name`` is only for its suffix."""
    path = ws.images / f"{hashlib.sha256(content).hexdigest()}{Path(name).suffix or '.zip'}"
    if not path.exists():
        path.write_bytes(content)
    return path
