"""Take synthetic NG made elsewhere: every file of a folder or zip is accepted or answered by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ias_core import folders, imaging, twins
from ias_core.errors import ImageRefused, IntakeRefused
from ias_core.folders import NG, OK
from ias_core.synthesis.base import is_grey
from pages.services.foreign_checks import Checked, check
from pages.services.foreign_files import FoundPicture, FoundSet, arranged
from pages.services.foreign_parents import ParentFinder
from pages.services.foreign_set import ForeignPicture, ForeignSet, ManifestFacts, keep
from pages.services.intake import Rejected, refuse_around
from pages.services.ledger import ImageRecord, Ledger
from pages.services.made_pictures import MadePicture, register
from pages.services.progress import Progress, silent
from pages.services.workspace import Workspace

MOST_PICTURES = 500


def take(
    ws: Workspace,
    source: str | os.PathLike[str],
    *,
    name: str = "",
    squeezed: bool = False,
    progress: Progress = silent,
) -> ForeignSet:
    """Check a folder or zip and keep what can be used.

    Parameters
    ----------
    source : path
        Folder or zip: see ``pages.services.foreign_files`` for the layouts.
    name : str, optional
        What the user calls it; default: the name of folder or zip.
    squeezed : bool
        Square pictures of parts that are not square show all of the part, as this product's own do; else they are
        refused, for they may show a piece of it.

    Raises
    ------
    IntakeRefused
        No good parts to compare with, a folder, zip or manifest that cannot be read, more than 500 pictures, or none
        that can be used.
    """
    source = Path(source).expanduser()
    ledger = Ledger(ws)
    good = ledger.records(label=OK)
    if not good:
        raise IntakeRefused("There are no good parts to compare the pictures with; load them on the data page first.")
    with _files_of(ws, source) as files, tempfile.TemporaryDirectory(dir=ws.images, prefix="taking-") as staging:
        found = arranged(files)
        for what, some in (("pictures", found.pictures), ("controls", found.control)):
            if len(some) > MOST_PICTURES:
                raise IntakeRefused(f"Expected at most {MOST_PICTURES} {what}, but found {len(some):,}; take a part.")
        work = Path(staging) / "set"
        work.mkdir()
        look = partial(check, work=work, good=good, squeezed=squeezed or found.manifest.ours)
        checked, refused = _sorted_out([*found.pictures, *found.control], look, progress)
        progress("copies", 0, 1, "looking for copies of real NG and of good parts")
        checked, more = _without_known(ledger, good, checked)
        refused = sorted([*found.refused, *refused, *more], key=lambda r: r.name)
        entries, facts, more = _with_lineage(ledger, good, checked, found, work, progress)
        refused += more
        if not entries:
            raise IntakeRefused("None of these files can be used as synthetic NG with a mask.", refused)
        control = tuple(one.entry for one in checked if not one.entry.mask_file)
        grey_line = is_grey(_read(good[0])[None])
        _register(ws, checked, entries, control)
        return keep(ws, work, name or source.stem, entries, control, refused, facts, grey_line=grey_line)


def _register(
    ws: Workspace, checked: Sequence[Checked], entries: Sequence[ForeignPicture], control: Sequence[ForeignPicture]
) -> None:
    """None of them may verify, also when the set is removed."""
    print_of = {one.entry.sha256: one.print for one in checked}
    register(
        ws,
        [
            MadePicture(
                one.sha256,
                print_of[one.sha256],
                one.method or "imported",
                tuple(sha for sha in (one.parent, *one.sources) if sha),
            )
            for one in (*entries, *control)
        ],
    )


def take_upload(
    ws: Workspace, name: str, content: bytes | memoryview, *, squeezed: bool = False, progress: Progress = silent
) -> ForeignSet:
    """As ``take``, of a zip that came through the browser; the zip itself is not kept."""
    with tempfile.TemporaryDirectory(dir=ws.root, prefix="upload-") as arrived:
        path = Path(arrived) / "set.zip"  # no name from outside becomes a path
        path.write_bytes(content)
        stem = name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".zip")
        return take(ws, path, name=stem, squeezed=squeezed, progress=progress)


@contextmanager
def _files_of(ws: Workspace, source: Path) -> Iterator[list[tuple[str, Path]]]:
    if source.is_dir():
        refuse_around(ws.root, source)
        yield [(file.name, file.path) for file in folders.scan_folder(source, label=NG)]
        return
    if not source.is_file():
        raise IntakeRefused(f"Expected a folder or a zip of synthetic NG, but {source} does not exist; check the path.")
    with tempfile.TemporaryDirectory(dir=ws.root, prefix="unpack-") as unpacked:
        yield folders.extract_zip(source, unpacked)


def _sorted_out(
    found: Sequence[FoundPicture], check: Callable[[FoundPicture], Checked | Rejected], progress: Progress
) -> tuple[list[Checked], list[Rejected]]:
    checked, refused = [], []
    name_of: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the decoders work outside the interpreter's lock
        for done, one in enumerate(pool.map(check, found), start=1):
            if isinstance(one, Rejected):
                refused.append(one)
            elif (first := name_of.setdefault(one.entry.sha256, one.entry.name)) != one.entry.name:
                refused.append(Rejected(one.entry.name, f"same picture as {first}; it would count twice"))
            else:
                checked.append(one)
            progress("read", done, len(found), "reading the pictures")
    return checked, refused


def _without_known(
    ledger: Ledger, good: Sequence[ImageRecord], checked: Sequence[Checked]
) -> tuple[list[Checked], list[Rejected]]:
    """Those that are no photograph of this workspace: copies of real NG verify nothing, copies of good parts control
    nothing."""
    reasons: dict[int, str] = {}
    controls = [i for i, one in enumerate(checked) if not one.entry.mask_file]
    for places, others, reason in (
        (range(len(checked)), ledger.records(label=NG), "a copy or near twin of the real NG {}: it is no synthetic NG"),
        (controls, good, "a copy or near twin of the good part {}: a control is drawn by the generator"),
    ):
        pairs = twins.find_twins([checked[i].print for i in places], ledger.prints([r.sha256 for r in others]))
        sha_of = {record.sha256: record.name for record in others}
        copies = {i: sha_of[checked[i].entry.sha256] for i in places if checked[i].entry.sha256 in sha_of}
        for i, name in ({places[i]: others[j].name for i, j in pairs} | copies).items():
            reasons.setdefault(i, reason.format(name))
    kept = [one for i, one in enumerate(checked) if i not in reasons]
    return kept, [Rejected(checked[i].entry.name, reason) for i, reason in reasons.items()]


def _with_lineage(
    ledger: Ledger,
    good: Sequence[ImageRecord],
    checked: Sequence[Checked],
    found: FoundSet,
    work: Path,
    progress: Progress,
) -> tuple[list[ForeignPicture], ManifestFacts, list[Rejected]]:
    """Pictures with their good part and the NG they were made from, what the manifest says, and those made on NG."""
    real = ledger.records(label=NG)
    good = sorted(good, key=lambda record: record.sha256)  # by content: which ones are compared first is no choice
    greys = np.stack([one.grey for one in ledger.prints([record.sha256 for record in good])])
    read = lru_cache(maxsize=8)(lambda place: _read(good[place]))
    finder = ParentFinder(greys, [record.group for record in good], read)
    entries, refused = [], []
    for done, one in enumerate(checked):
        if not one.entry.mask_file:
            continue
        progress("good parts", done, len(checked), "looking for the good part behind each picture")
        named = next((place for text in one.row.parents if (place := _place(text, good)) >= 0), -1)
        on_ng = next((place for text in one.row.parents if (place := _place(text, real)) >= 0), -1)
        if named < 0 <= on_ng:
            reason = f"made on the real NG {real[on_ng].name}: it would be a copy of that NG with more on it"
            refused.append(Rejected(one.entry.name, reason))
            continue
        picture = imaging.load_image(work / one.entry.file)
        mask = imaging.decode(imaging.read_bytes(work / one.entry.mask_file))[..., 0] > 0
        place, match = finder(picture, one.print.grey, mask, named)
        parent = good[place].sha256 if place >= 0 else ""
        sources, _ = _ng_of(one.row.seed_ng, real)
        entries.append(replace(one.entry, parent=parent, match=match, sources=sources))
    about = found.manifest
    seeds, elsewhere = _ng_of([*about.seed_ng, *(text for one in checked for text in one.row.seed_ng)], real)
    return entries, ManifestFacts(about.name, seeds, elsewhere, about.unused), refused


def _ng_of(texts: Sequence[str], real: Sequence[ImageRecord]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """sha256 of the real NG that a manifest names, and the names that none of this workspace has."""
    places = {text: _place(text, real) for text in texts}
    known = {real[place].sha256 for place in places.values() if place >= 0}
    return tuple(sorted(known)), tuple(sorted(text for text, place in places.items() if place < 0))


def _place(text: str, records: Sequence[ImageRecord]) -> int:
    """Of the record of this sha256, this name, or, where only one has it, this file name; -1 where there is none."""
    for named in (
        [i for i, record in enumerate(records) if text in (record.sha256, record.name)],
        [i for i, record in enumerate(records) if text == record.name.rsplit("/", 1)[-1]],
    ):
        if len(named) == 1:
            return named[0]
    return -1


def _read(record: ImageRecord) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1] at its own size; raises ImageRefused, by name, if it is not the file taken in."""
    try:
        return imaging.load_image(record.path, sha256=record.sha256)
    except ImageRefused as refused:
        raise ImageRefused(f"{record.name}: {refused}") from refused
