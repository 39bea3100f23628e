"""What can be known of a pixel model without torch: what it needs, what its file says, and whether it is any good.

Pages tell the user all of this, and do without torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ias_core.errors import IasError

WINDOW_PX = 64
LEAST_PICTURES = 3
MOST_OK_CHANGE = 10.0  # grey levels: a model that changes good parts by more in an OK-to-OK pass is of no use
FORM = "ias pixel model 1"


def read_about(path: Path) -> dict[str, Any]:
    """ "settings", "meta" and "digest" of a model's file; its weights are not read.

    Raises
    ------
    IasError
        The file is missing, damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
        if about.get("form") != FORM:
            raise unreadable(path, "it holds something else")
        return {key: json.loads(about[key]) for key in ("settings", "meta")} | {"digest": about["digest"]}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise unreadable(path, error) from error


def trouble_of(meta: dict[str, Any]) -> str:
    """Why a model of these facts should not be used, in a sentence; empty where nothing speaks against it.

    Examples
    --------
    >>> trouble_of({"ok_to_ok": 4.2})
    ''
    """
    change = meta.get("ok_to_ok")
    if change is None or change <= MOST_OK_CHANGE:
        return ""
    return (
        f"the pixel model changes good parts by {change:.1f} grey levels when it only redraws them, at most "
        f"{MOST_OK_CHANGE:.0f} are allowed: train longer, or use the instant mode, which needs no model"
    )


def unreadable(path: Path, why: object) -> IasError:
    """The one sentence about a file that is no model."""
    return IasError(f"expected a pixel model at {path}, it could not be read ({why}): train it again")
