"""A set of synthetic NG made elsewhere, as it is kept in the workspace: by its content, whole or not at all.

It lies in ``images/foreign-<digest>``: pictures as they came, masks as black and white PNG, and ``set.json``, whose
sha256 is the digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ias_core import imaging
from ias_core.errors import IasError, ImageRefused
from pages.services.foreign_parents import NONE
from pages.services.intake import Rejected
from pages.services.workspace import Workspace

_PREFIX, _SET = "foreign-", "set.json"


@dataclass(frozen=True, slots=True)
class ForeignPicture:
    """One picture of a set; those of the control have no mask, no parent and no defect.

    name          : as the user calls it: relative, with ``/``
    file, sha256  : name in the set's folder, and content
    mask_file, mask_sha256 : the same of its mask
    width, height : px
    share         : of the picture that the mask marks
    coloured      : whether its channels differ
    parent, match : sha256 of the good part it was made on, "" for none; of ``foreign_parents.MATCHES``
    sources       : sha256 of the real NG that its manifest says it was made from
    method, severity : as the manifest has them; "" and None where it has none
    """

    name: str
    file: str
    sha256: str
    width: int
    height: int
    coloured: bool
    mask_file: str = ""
    mask_sha256: str = ""
    share: float = 0.0
    parent: str = ""
    match: str = NONE
    sources: tuple[str, ...] = ()
    method: str = ""
    severity: float | None = None


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What the manifest says of the set.

    name : of its file, "" where there is none
    seeds : sha256 of the real NG of this workspace that it names
    seeds_elsewhere : what else it names as such
    unused : columns that were not read
    """

    name: str = ""
    seeds: tuple[str, ...] = ()
    seeds_elsewhere: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignSet:
    """A set that was taken.

    digest  : names it, by the content of all its files
    name    : of the folder or zip it came from
    entries : its pictures, sorted by name; at least one
    control : defect-free pictures by the same generator
    refused : every other file, and why
    grey_line : whether the workspace's good parts have no colour
    """

    digest: str
    name: str
    entries: tuple[ForeignPicture, ...]
    control: tuple[ForeignPicture, ...]
    refused: tuple[Rejected, ...]
    manifest: ManifestFacts
    grey_line: bool
    folder: Path = field(compare=False)

    def picture(self, one: ForeignPicture, size: int) -> np.ndarray:
        """(size, size, 3) float32 RGB in [0, 1]; raises ImageRefused where the file is gone or changed."""
        return imaging.resize_image(imaging.load_image(self.folder / one.file, sha256=one.sha256), size)

    def mask(self, one: ForeignPicture) -> np.ndarray:
        """(h, w) bool, at the picture's own size; raises ImageRefused where the file is gone or changed."""
        data = imaging.read_bytes(self.folder / one.mask_file)
        if hashlib.sha256(data).hexdigest() != one.mask_sha256:
            raise ImageRefused("the mask has changed since import; import the set again")
        return imaging.decode(data)[..., 0] > 0


def keep(
    ws: Workspace,
    work: Path,
    name: str,
    entries: Sequence[ForeignPicture],
    control: Sequence[ForeignPicture],
    refused: Sequence[Rejected],
    facts: ManifestFacts,
    *,
    grey_line: bool,
) -> ForeignSet:
    """Make a folder with the files of these pictures, and with others, a set of the workspace; it is moved there."""
    values = {
        "name": name,
        "entries": [asdict(one) for one in entries],
        "control": [asdict(one) for one in control],
        "refused": [asdict(one) for one in refused],
        "manifest": asdict(facts),
        "grey_line": grey_line,
    }
    content = json.dumps(values, sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.sha256(content).hexdigest()
    folder = _folder(ws, digest)
    if not folder.is_dir():
        wanted = {file for one in (*entries, *control) for file in (one.file, one.mask_file)}
        for file in work.iterdir():
            if file.name not in wanted:
                file.unlink()
        (work / _SET).write_bytes(content)
        os.replace(work, folder)
    return load(ws, digest)


def load(ws: Workspace, digest: str) -> ForeignSet:
    """A kept set.

    Raises
    ------
    IasError
        It is gone from the workspace, or was changed there.
    """
    folder = _folder(ws, digest)
    try:
        content = imaging.read_bytes(folder / _SET)
    except ImageRefused as refused:
        raise IasError(f"the imported set {digest[:8]} cannot be read: {refused}; import it again") from refused
    if hashlib.sha256(content).hexdigest() != digest:
        raise IasError(f"the imported set {digest[:8]} was changed in the workspace; import it again")
    return _of_values(json.loads(content), digest, folder)


def forget(ws: Workspace, digest: str) -> None:
    """Delete the files of a set; one that is not there is no error."""
    shutil.rmtree(_folder(ws, digest), ignore_errors=True)


def _folder(ws: Workspace, digest: str) -> Path:
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise IasError(f"expected the digest of an imported set, 64 hex digits, got {digest!r}")
    return ws.images / f"{_PREFIX}{digest}"


def _of_values(values: dict[str, Any], digest: str, folder: Path) -> ForeignSet:
    def pictures(key: str) -> tuple[ForeignPicture, ...]:
        return tuple(ForeignPicture(**(one | {"sources": tuple(one["sources"])})) for one in values[key])

    facts = {key: value if key == "name" else tuple(value) for key, value in values["manifest"].items()}
    return ForeignSet(
        digest=digest,
        name=values["name"],
        entries=pictures("entries"),
        control=pictures("control"),
        refused=tuple(Rejected(**one) for one in values["refused"]),
        manifest=ManifestFacts(**facts),
        grey_line=values["grey_line"],
        folder=folder,
    )
