"""From folders, MVTec-style trees and zip files to a list of pictures with label, part, kind and mask.

Nothing is decoded here.  All but the operating systems' own litter is listed, so that the intake can answer
each file by name.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ias_core.errors import IntakeRefused
from ias_core.imaging import may_be_read

OK, NG = "ok", "ng"
# A table of this name among the pictures says which session each belongs to: it is listed too, and is no picture.
SESSIONS_FILE = "sessions.csv"
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

MAX_ZIP_FILES = 50_000
MAX_ZIP_BYTES = 16 * 2**30
# Pictures hardly shrink in a zip; only what unpacks to over 64 MB a file, or 1 GB in all, is held to a ratio.
MAX_ZIP_RATIO = 100
_RATIO_FROM_BYTES = 64 * 2**20
_TOTAL_RATIO_FROM_BYTES = 2**30
_CHUNK_BYTES = 2**20

_LITTER = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx"})
_OK_NAMES = frozenset({"ok", "good", "train"})
_NG_NAMES = frozenset({"ng", "bad", "defect", "defects", "defective"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file that claims to be a picture.

    path    : where its content lies
    name    : what the user calls it: relative, with ``/``
    label   : "ok", "ng", or None where its folder says neither
    part    : "train" or "test" in a tree, else None
    kind    : of defect; "good" for OK
    mask    : its ground truth, or None
    session : first folder below that of the OK pictures, else ""; folders of NG are kinds
    """

    path: Path
    name: str
    label: str | None
    part: str | None = None
    kind: str = "good"
    mask: Path | None = None
    session: str = ""


def scan_folder(root: str | os.PathLike[str], *, label: str) -> list[FoundFile]:
    """Every file under a folder of OK or of NG, subfolders included: those of OK are sessions, of NG kinds.

    Raises
    ------
    IntakeRefused
        If ``root`` is no folder or cannot be read.
    """
    root = _folder(root, f"the {label.upper()} pictures")
    return by_label(_walk(root), label)


def scan_tree(root: str | os.PathLike[str]) -> list[FoundFile]:
    """An MVTec-style tree: ``train/good``, ``test/<kind>``, ``ground_truth/<kind>``.

    Raises
    ------
    IntakeRefused
        If ``root`` is no folder, cannot be read, or has no ``train/good``.
    """
    root = _folder(root, "the tree")
    if not (root / "train" / "good").is_dir():
        raise IntakeRefused(
            f"Expected a folder train/good in {root}, but there is none; "
            "give the folder that holds train, test and ground_truth, or use separate OK and NG folders."
        )
    return by_tree(_walk(root))


def by_label(files: Iterable[tuple[str, Path]], label: str) -> list[FoundFile]:
    """Names and paths of one label; the first folder in the name of an OK is its session, of an NG its kind."""
    if label == OK:
        return [FoundFile(path, name, OK, session=_first_folder(name)) for name, path in files]
    return [FoundFile(path, name, NG, kind=_first_folder(name) or NG) for name, path in files]


def by_upload(files: Iterable[tuple[str, Path]]) -> list[FoundFile]:
    """Names and paths of uploaded OK; a browser puts the chosen folder before every name, which is no session."""
    found = by_label(files, OK)
    chosen = {file.session for file in found}
    if len(chosen) == 1 and "" not in chosen:
        return [replace(file, session=_first_folder(file.name.split("/", 1)[1])) for file in found]
    return found


def by_tree(files: Iterable[tuple[str, Path]]) -> list[FoundFile]:
    """Names and paths as in an MVTec-style tree.  What lies outside its three folders is no picture."""
    files = list(files)
    masks = {}
    for name, path in files:
        if name.startswith("ground_truth/"):
            kind, last = name.removeprefix("ground_truth/").rpartition("/")[::2]
            masks[kind, PurePosixPath(last).stem.removesuffix("_mask")] = path
    found = []
    for name, path in files:
        *folders, last = name.split("/")
        part, middle = (folders[0], folders[1:]) if folders else ("", [])
        if part == "ground_truth":
            continue
        if part not in ("train", "test") or not middle or (part == "train" and middle[0] != "good"):
            if _is_listed(name):
                found.append(FoundFile(path, name, None))
        elif middle[0] == "good":
            found.append(FoundFile(path, name, OK, part, session="".join(middle[1:2])))
        else:
            kind = "/".join(middle)
            found.append(FoundFile(path, name, NG, part, kind, masks.get((kind, PurePosixPath(last).stem))))
    return found


def by_zip(files: Iterable[tuple[str, Path]]) -> list[FoundFile]:
    """Names and paths as in a zip: a tree, or ``ok`` and ``ng`` folders, or OK pictures only.

    One folder around everything, as most zip programs make it, is looked through.
    """
    files = list(files)
    while files and len({PurePosixPath(name).parts[0] for name, _ in files}) == 1:
        top = _first_folder(files[0][0]).lower()
        if any("/" not in name for name, _ in files) or top in _OK_NAMES | _NG_NAMES:
            break
        files = [(name.split("/", 1)[1], path) for name, path in files]
    if any(name.startswith("train/good/") for name, _ in files):
        return by_tree(files)
    tops = {_first_folder(name).lower() for name, _ in files}
    found = []
    for name, path in files:
        top = _first_folder(name)
        below = _first_folder(name.removeprefix(f"{top}/"))
        if top.lower() in _NG_NAMES:
            found.append(FoundFile(path, name, NG, kind=below or NG))
        elif top.lower() in _OK_NAMES:
            found.append(FoundFile(path, name, OK, session=below))
        elif not tops & _NG_NAMES:
            found.append(FoundFile(path, name, OK, session=top))
        elif _is_listed(name):
            found.append(FoundFile(path, name, None))
    return found


def is_sessions_file(name: str) -> bool:
    """Whether a file of this name is a table of sessions."""
    return PurePosixPath(name).name.lower() == SESSIONS_FILE


def extract_zip(archive: str | os.PathLike[str], into: str | os.PathLike[str]) -> list[tuple[str, Path]]:
    """Unpack a zip safely: members are written as numbered files, so no name in it ever becomes a path.

    Parameters
    ----------
    archive : path
    into : path
        An existing folder.

    Returns
    -------
    list of (str, Path)
        Name in the zip and where its content lies now.  A damaged member keeps its place with a part of its
        content, and is refused later as a damaged picture.

    Raises
    ------
    IntakeRefused
        If it is no zip, is encrypted, has a path that leaves the folder or a link, or is a bomb (more than
        50,000 files, 16 GiB, or a file over 64 MB that shrank a hundredfold).
    """
    archive = Path(archive)
    name = archive.name
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _check_members(members, name)
            wanted = [member for member in members if not _is_litter(_posix(member.filename))]
            return [
                (_posix(member.filename), _unpack(opened, member, Path(into) / f"{number:06d}", name))
                for number, member in enumerate(wanted)
            ]
    except (zipfile.BadZipFile, EOFError, UnicodeDecodeError) as error:
        raise IntakeRefused(f"{name} is not a zip file or is cut off; make or upload it again.") from error
    except OSError as error:
        raise IntakeRefused(f"{name} cannot be read ({error.strerror}); check that it is there.") from error


def _check_members(members: list[zipfile.ZipInfo], name: str) -> None:
    if len(members) > MAX_ZIP_FILES:
        raise IntakeRefused(f"{name} holds {len(members):,} files, and at most {MAX_ZIP_FILES:,} are taken.")
    for member in members:
        inner = _posix(member.filename)
        if inner.startswith("/") or re.match(r"[A-Za-z]:", inner) or ".." in inner.split("/"):
            raise IntakeRefused(
                f"{name} holds the path {inner!r}, which leaves the folder; nothing was unpacked: "
                "make the zip again from inside the folder of pictures."
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise IntakeRefused(f"{name} holds the link {inner!r}; make the zip again with real files.")
        if member.flag_bits & 1:
            raise IntakeRefused(f"{name} is encrypted; make it again without a password.")
        if member.file_size > max(_RATIO_FROM_BYTES, MAX_ZIP_RATIO * member.compress_size):
            raise IntakeRefused(
                f"{name} holds {inner!r}, which would unpack to {member.file_size / 2**20:,.0f} MB, over "
                f"{MAX_ZIP_RATIO} times its packed size (a zip bomb); nothing was unpacked."
            )
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > max(_TOTAL_RATIO_FROM_BYTES, MAX_ZIP_RATIO * packed):
        raise IntakeRefused(
            f"{name} would unpack to {total / 2**20:,.0f} MB, over {MAX_ZIP_RATIO} times its packed size "
            "(a zip bomb); nothing was unpacked."
        )
    if total > MAX_ZIP_BYTES:
        raise IntakeRefused(
            f"{name} would unpack to {total / 2**30:,.1f} GiB, and at most {MAX_ZIP_BYTES // 2**30} GiB "
            "are taken; give the folder itself."
        )


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path, name: str) -> Path:
    written = 0
    with open(to, "wb") as target:
        try:
            with opened.open(member) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    written += len(chunk)
                    if written > member.file_size:  # the size checked above was a lie
                        raise IntakeRefused(f"{name} holds more than it says (a zip bomb); make it again.")
                    target.write(chunk)
        except IntakeRefused:
            raise
        except Exception:  # one damaged member, in any way: the intake refuses what there is of it
            target.truncate(min(written, _CHUNK_BYTES) // 2)
    return to


def _walk(root: Path) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []

    def unreadable(error: OSError) -> None:
        folder = Path(error.filename)
        found.append((folder.relative_to(root).as_posix(), folder))

    for folder, inner, names in os.walk(root, onerror=unreadable):
        inner[:] = sorted(name for name in inner if not _is_litter(name))
        # A folder called x.png is looked through like any other, and answered by name as well. A link to a folder
        # may lead anywhere, back to here too: it is not followed, and so answered by name.
        pretenders = [name for name in inner if is_picture_name(name) or os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *pretenders]):
            path = Path(folder) / name
            if not _is_litter(name):
                found.append((path.relative_to(root).as_posix(), path))
    return found


def _folder(path: str | os.PathLike[str], purpose: str) -> Path:
    root = Path(path).expanduser()
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise IntakeRefused(f"Expected a folder for {purpose}, but {root} {what}; check the path.")
    if not may_be_read(root):
        raise IntakeRefused(f"The folder {root} may not be read; check its permissions.")
    return root.absolute()


def _first_folder(name: str) -> str:
    return name.split("/", 1)[0] if "/" in name else ""


def is_picture_name(name: str) -> bool:
    """Whether a file of this name is taken for a picture when a folder is scanned."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _is_listed(name: str) -> bool:
    """Whether a file in no known folder is answered by name, or looked at."""
    return is_picture_name(name) or is_sessions_file(name)


def _is_litter(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith(".") or part.lower() in _LITTER for part in parts)


def _posix(name: str) -> str:
    return name.replace("\\", "/")
