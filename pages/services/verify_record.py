"""Check a release folder offline, without the app: does everything fit, and if not, what does not fit first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ias_core.errors import IasError
from pages.services import frozen as frozen_pictures
from pages.services import line_manifest
from pages.services.handover import FROZEN, MANIFEST
from pages.services.record_file import RecordFile, read_record


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fits``: a sentence per thing that fits, in the order looked at; ``wrong``: the first that does not, or ""."""

    fits: tuple[str, ...]
    wrong: str


def verify_record(path: Path, *, images: Path | None = None, record_only: bool = False) -> Verdict:
    """Check the record, everything handed over with it, and the pictures it stands on.

    Parameters
    ----------
    path : Path
        Of ``record.json``, or of the folder it lies in.
    images : Path, optional
        A folder with a copy of the pictures, under whatever names; default: where they lay when it was signed.
    record_only : bool
        Leave out the pictures, where they are not at hand.
    """
    fits: list[str] = []
    try:
        record = read_record(path / "record.json" if path.is_dir() else path)
        fits.append(
            f"record: {len(record.entries)} entries, each with its hash and in order; record hash {record.sha256}"
        )
        fits += _signatures(record)
        files = _documents(record)
        fits.append(f"handed over with it, unchanged: {', '.join(files)}")
        if MANIFEST in files:
            fits.append(_line(record))
        if not record_only:
            fits.append(_pictures(record, images))
    except IasError as error:
        return Verdict(tuple(fits), str(error))
    return Verdict(tuple(fits), "")


def _signatures(record: RecordFile) -> Iterator[str]:
    for one in record.signatures:
        how = one["identity"]["how"]
        yield f"{one['meaning']} by {one['signed_by']} ({how}) at {one['at']}: {one['reason']}"


def _documents(record: RecordFile) -> dict[str, str]:
    """The files handed over with the newest signature, by the newest note of them."""
    notes = [entry for entry in record.signed.documents if entry.body["of"] == record.sha256]
    if not notes:
        raise IasError("nothing was handed over after the last signature: write the record again")
    files = notes[-1].body["files"]
    for name, sha256 in files.items():
        found = frozen_pictures.file_sha256(record.folder / name)
        if found is None:
            raise IasError(f"{name} is missing beside the record")
        if found != sha256:
            raise IasError(f"{name} was changed after it was handed over")
    return files


def _line(record: RecordFile) -> str:
    """What the line is given: every file as the manifest names it, and none besides."""
    if wrong := line_manifest.differences(record.folder, record.sha256):
        raise IasError(wrong[0])
    told = line_manifest.read_manifest(record.folder)
    assert told is not None  # its hash is in the chain
    return f"for the line: {', '.join(told['files'])}, unchanged"


def _pictures(record: RecordFile, images: Path | None) -> str:
    listed = (record.folder / FROZEN).read_bytes()
    if hashlib.sha256(listed).hexdigest() != record.content["inputs"]["frozen_sha256"]:
        raise IasError(f"{FROZEN} is not the list of pictures that was signed")
    frozen = json.loads(listed)
    n, n_ok = len(frozen["images"]), sum(one["label"] == "ok" for one in record.content["inputs"]["images"])
    if images is not None and not images.is_dir():
        raise IasError(f"expected a folder of pictures at {images}, there is none")
    wrong = frozen_pictures.differences(frozen) if images is None else frozen_pictures.differences_in(images, frozen)
    if wrong:
        more = f"; {len(wrong) - 1} more differences" if len(wrong) > 1 else ""
        hint = "" if images else " (a copy of the pictures elsewhere: --images DIR; without pictures: --record-only)"
        raise IasError(f"pictures: {wrong[0]}{more}{hint}")
    return f"pictures: {n} frozen ({n_ok} OK, {n - n_ok} NG), none changed, added or removed"
