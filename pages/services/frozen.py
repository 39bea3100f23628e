"""The pictures a record stands on, frozen: what each one holds, where it lay, and what else lay in these folders.

Every changed, added or removed picture is found again later, by content and never by name alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ias_core.folders import is_picture_name
from pages.services.ledger import ImageRecord


def freeze(images: Sequence[ImageRecord]) -> dict[str, Any]:
    """JSON-ready: the folders with the names of all pictures in them, and each picture of the dataset.

    Returns
    -------
    dict
        "folders": [{"path", "files"}], sorted; "images": [{"sha256", "name", "folder", "file"}] in the ledger's order,
        ``folder`` being a place in "folders" and ``file`` the path below it.
    """
    roots = [_root(one) for one in images]
    folders = sorted(set(roots))
    return {
        "folders": [{"path": str(folder), "files": _pictures(folder)} for folder in folders],
        "images": [
            {
                "sha256": one.sha256,
                "name": one.name,
                "folder": folders.index(root),
                "file": one.path.relative_to(root).as_posix(),
            }
            for one, root in zip(images, roots, strict=True)
        ],
    }


def text_of(frozen: dict[str, Any]) -> str:
    """What ``frozen.json`` holds."""
    return json.dumps(frozen, ensure_ascii=False, indent=0)


def digest_of(frozen: dict[str, Any]) -> str:
    """sha256 of that text."""
    return hashlib.sha256(text_of(frozen).encode()).hexdigest()


def stats_of(frozen: dict[str, Any]) -> list[list[int] | None]:
    """Size and time of change of each picture now, None where it is gone: what ``differences`` can skip by."""
    return [stat_of(_path(one, frozen)) for one in frozen["images"]]


def differences(frozen: dict[str, Any], stats: Sequence[list[int] | None] | None = None) -> list[str]:
    """A sentence for every picture that was changed, removed or added where they lay when they were frozen.

    ``stats``: of a moment when all was well; a picture whose size and time of change are those of then is not read.
    """
    found = []
    for place, one in enumerate(frozen["images"]):
        path = _path(one, frozen)
        if stats is not None and stats[place] is not None and stats[place] == stat_of(path):
            continue
        sha256 = file_sha256(path)
        if sha256 is None:
            found.append(f"{one['name']} was removed or cannot be read ({path})")
        elif sha256 != one["sha256"]:
            found.append(f"{one['name']} was changed ({path})")
    for folder in frozen["folders"]:
        added = sorted(set(_pictures(Path(folder["path"]))) - set(folder["files"]))
        found += [f"{name} was added ({folder['path']})" for name in added]
    return found


def differences_in(folder: Path, frozen: dict[str, Any]) -> list[str]:
    """The same for a copy of the pictures in one folder, subfolders included, under whatever names."""
    names: dict[str, list[str]] = {}
    for one in frozen["images"]:
        names.setdefault(one["sha256"], []).append(one["name"])
    present: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and is_picture_name(p.name)):
        present.setdefault(file_sha256(path) or "", []).append(path)
    found = [f"{', '.join(names[sha])} was changed or removed" for sha in names if sha not in present]
    for sha, paths in present.items():
        found += [f"{path} was added or changed" for path in (paths if sha not in names else paths[len(names[sha]) :])]
    return found


def file_sha256(path: str | os.PathLike[str]) -> str | None:
    """sha256 of a file's content, None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _path(image: dict[str, Any], frozen: dict[str, Any]) -> str:
    return os.path.join(frozen["folders"][image["folder"]]["path"], image["file"])


def stat_of(path: str | os.PathLike[str]) -> list[int] | None:
    """Size and time of change of a file, None where it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _root(image: ImageRecord) -> Path:
    """The folder that was imported: what is left of the path without the name the user knows."""
    parts = PurePosixPath(image.name).parts
    return Path(*image.path.parts[: -len(parts)]) if image.path.parts[-len(parts) :] == parts else image.path.parent


def _pictures(folder: Path) -> list[str]:
    """Pictures in a folder and below, as paths from there; none where it is not there."""
    found = []
    for where, _, names in os.walk(folder):
        below = "" if where == str(folder) else f"{Path(where).relative_to(folder).as_posix()}/"
        found += [below + name for name in names if is_picture_name(name)]
    return sorted(name.encode("utf-8", "backslashreplace").decode() for name in found)
