"""Whether what was signed still stands: every file and every setting it was made from, watched from then on.

A seal is written beside a signature: all files with their hash, size and time of change. A file is read again only
where size or time differ, so that the rail of every page can say at once that a sign-off is void.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ias_core.errors import IasError
from pages.services import frozen as frozen_pictures
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.code_version import code_version
from pages.services.decision import current_decision
from pages.services.inputs import image_rows, weights_file
from pages.services.ledger import Ledger
from pages.services.records import Signed
from pages.services.settings import RunConfig, to_dict
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from pages.services.release import Release

_NAMED = 3  # differences that are told one by one


def seal(
    ws: Workspace, release: Release, detector: DetectorResult, synthesis: SynthesisResult, config: RunConfig
) -> None:
    """Keep what is about to be signed, and what its files hold.

    Raises
    ------
    IasError
        A picture does not hold any more what it held when it was taken in: nothing may be signed on it.
    """
    if wrong := frozen_pictures.differences(release.frozen):
        raise IasError(f"{_told(wrong)}: import the pictures again before you sign")
    kept = {
        "files": [
            {"what": what, "path": str(path), "sha256": sha256, "stat": frozen_pictures.stat_of(path)}
            for what, path, sha256 in _files(release, detector, synthesis, config)
        ],
        "pictures": frozen_pictures.stats_of(release.frozen),
    }
    folder = _folder(ws)
    folder.mkdir(exist_ok=True)
    name = release.content["inputs"]["frozen_sha256"]
    (folder / f"{name}.json").write_text(frozen_pictures.text_of(release.frozen), encoding="utf-8", newline="")
    (folder / f"{release.key}.seal.json").write_text(json.dumps(kept), encoding="utf-8")


def frozen_of(ws: Workspace, signed: Signed) -> dict[str, Any]:
    """Where the pictures lay when it was signed.

    Raises
    ------
    IasError
        The workspace does not have it any more.
    """
    path = _folder(ws) / f"{signed.content['inputs']['frozen_sha256']}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IasError(f"the list of pictures of this record is gone or damaged ({path.name}): sign again") from error


def broken(ws: Workspace, signed: Signed, config: RunConfig) -> list[str]:
    """What changed since it was signed, a sentence each; empty as long as the sign-off stands."""
    content = signed.content
    found = []
    decision = current_decision(ws)
    if decision is None or decision.digest != content["decision"]:
        found.append("the threshold was fixed anew")
    found += _pictures_changed(ws, content)
    if config_differs := _differing(content["inputs"]["config"], to_dict(config)):
        found.append(f"settings changed: {_told(config_differs)}")
    if code_version() != content["inputs"]["code"]:
        now, then = code_version(), content["inputs"]["code"]
        found.append(
            f"this software changed (version {then['version']}, {then['sha256'][:8]}; now {now['sha256'][:8]})"
        )
    return found + _files_changed(ws, signed)


def _pictures_changed(ws: Workspace, content: dict[str, Any]) -> list[str]:
    """Added, removed, or in another role."""

    def key(row: dict[str, Any]) -> tuple[str, ...]:
        return row["sha256"], row["label"], row["role"], row["kind"]

    then = Counter(map(key, content["inputs"]["images"]))
    now = Counter(map(key, image_rows(Ledger(ws).records())))
    names = {key(row): row["name"] for row in content["inputs"]["images"]}
    gone, come = then - now, now - then
    if not gone and not come:
        return []
    named = f" ({_told([names[one] for one in gone])})" if gone else ""
    return [f"the dataset changed: {len(gone)} pictures gone or in another role{named}, {len(come)} new or so"]


def _files_changed(ws: Workspace, signed: Signed) -> list[str]:
    try:
        kept = json.loads((_folder(ws) / f"{signed.key}.seal.json").read_text(encoding="utf-8"))
        wrong = frozen_pictures.differences(frozen_of(ws, signed), kept["pictures"])
        for one in kept["files"]:
            path = Path(one["path"])
            if frozen_pictures.stat_of(path) != one["stat"] and frozen_pictures.file_sha256(path) != one["sha256"]:
                wrong.append(f"{one['what']} was changed or removed")
    except (IasError, OSError, ValueError, KeyError):
        return ["the seal of this record is gone or damaged: nobody can say whether its files are unchanged"]
    return [_told(wrong)] if wrong else []


def _files(
    release: Release, detector: DetectorResult, synthesis: SynthesisResult, config: RunConfig
) -> Iterator[tuple[str, Path, str | None]]:
    """What each file is, where it lies, and its hash; the pictures of the dataset have a list of their own."""
    of_detector = release.content["detector"]
    yield "the memory bank", detector.bank_path, of_detector["bank_file_sha256"]
    weights = weights_file(config)
    if weights:
        yield "the weights file of the backbone", weights, of_detector["weights_file_sha256"]
    for path in sorted(synthesis.folder.glob("*.png")):
        yield f"synthetic NG {path.name}", path, frozen_pictures.file_sha256(path)


def _differing(then: Any, now: Any, name: str = "") -> list[str]:
    """Names of the settings that differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = sorted(set(then) | set(now))
        return [one for key in keys for one in _differing(then.get(key), now.get(key), f"{name}.{key}".lstrip("."))]
    return [] if then == now else [name]


def _told(many: list[str]) -> str:
    more = f" and {len(many) - _NAMED} more" if len(many) > _NAMED else ""
    return f"{', '.join(many[:_NAMED])}{more}"


def _folder(ws: Workspace) -> Path:
    return ws.root / "seals"
