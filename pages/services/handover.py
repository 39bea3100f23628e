"""The release folder: the record, the two forms to hand over, where its pictures lay, and what the line is given."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ias_core.errors import IasError
from pages.services import document, record_file, records
from pages.services import frozen as frozen_pictures
from pages.services.seal import frozen_of
from pages.services.workspace import Workspace

HTML, PDF, FROZEN, MANIFEST = "record.html", "record.pdf", "frozen.json", "line/manifest.json"


@dataclass(frozen=True, slots=True)
class Handed:
    """``record``: its hash; ``files``: path below the folder -> sha256 of what ``record.json`` notes as handed over."""

    record: str
    files: dict[str, str]


def write(ws: Workspace, folder: Path, *, now: str, signed: records.Signed | None = None) -> Handed:
    """Write a record and note in the chain what was handed over; what else lies in the folder stays.

    Parameters
    ----------
    signed : Signed, optional
        Of this workspace's chain; default: the newest.
    now : str
        ISO time, noted in the chain and in none of the files.

    Raises
    ------
    IasError
        Nothing is signed, or the folder cannot be written.
    """
    signed = signed or records.newest(records.entries_of(ws))
    if signed is None:
        raise IasError("nothing is signed yet: sign first, then hand it over")
    bodies = [entry.body | {"sha256": entry.sha256} for entry in signed.signatures]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / HTML).write_bytes(document.html(signed.content, bodies, signed.sha256).encode())
        (folder / PDF).write_bytes(document.pdf(signed.content, bodies, signed.sha256))
        (folder / FROZEN).write_bytes(frozen_pictures.text_of(frozen_of(ws, signed)).encode())
        names = [HTML, PDF, FROZEN, *([MANIFEST] if (folder / MANIFEST).exists() else [])]
        files = {name: str(frozen_pictures.file_sha256(folder / name)) for name in names}
        entries = records.add_document(ws, files, of=signed.sha256, now=now)
        (folder / record_file.NAME).write_bytes(record_file.text_of(entries).encode())
    except OSError as error:
        raise IasError(
            f"the record could not be written to {folder} ({error.strerror}): choose another folder"
        ) from error
    return Handed(signed.sha256, files)


def zipped(ws: Workspace, *, now: str) -> bytes:
    """The release folder as one zip, for the browser."""
    with tempfile.TemporaryDirectory(dir=ws.root, prefix="handover-") as made:
        folder = Path(made) / "release"
        write(ws, folder, now=now)
        return Path(shutil.make_archive(str(Path(made) / "release"), "zip", folder)).read_bytes()
