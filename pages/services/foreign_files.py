"""A folder or zip of synthetic NG made elsewhere: which file is a picture, and which its mask.

Nothing is decoded here, and no name in a manifest ever becomes a path: it is looked up among the files that are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ias_core.folders import IMAGE_SUFFIXES
from pages.services.foreign_manifest import MANIFESTS, Manifest, Row, one_spelling, read_manifest
from pages.services.intake import Rejected
from pages.services.settings import SynthesisConfig

CONTROL, _CONTACT = "control", "contact"
_PICTURES, _MASKS = ("images", "test"), ("masks", "ground_truth")
_KNOWN_FOLDERS = {CONTROL, _CONTACT, *_PICTURES, *_MASKS}
_MASK_END = "_mask"


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A file that claims to be a picture of the set; ``mask`` is None in the control."""

    name: str
    path: Path
    mask: Path | None
    row: Row


@dataclass(frozen=True, slots=True)
class FoundSet:
    """Every file has its place in exactly one of ``pictures``, ``control``, ``refused``, the masks and the manifest."""

    pictures: tuple[FoundPicture, ...]
    control: tuple[FoundPicture, ...]
    refused: tuple[Rejected, ...]
    manifest: Manifest


def arranged(files: Iterable[tuple[str, Path]]) -> FoundSet:
    """Sort the files of a set by what they are.

    Parameters
    ----------
    files : iterable of (str, Path)
        Relative name, with ``/``, and where the content lies. One folder around everything is looked through.

    Raises
    ------
    IntakeRefused
        A manifest that cannot be read, two of them, or one that lists a picture twice.
    """
    by_name: dict[str, Path] = {}
    refused = []
    for name, path in files:
        if not name.isprintable():  # also bytes that the file system could not read as text
            shown = name.encode("unicode_escape").decode()
            refused.append(Rejected(shown, "its name holds characters that cannot be shown; rename it"))
        elif by_name.setdefault(one_spelling(name), path) is not path:
            refused.append(Rejected(name, "another file has the same name, written with other characters"))
    by_name = _without_top(by_name)
    manifest = read_manifest(by_name)
    unknown = [name for name in manifest.rows if name not in by_name]
    refused += [Rejected(name, "the manifest names it, and there is no such file in the folder") for name in unknown]
    pictures, masks, control = [], [], []
    named_masks = {row.mask for row in manifest.rows.values()}
    for name in sorted(by_name):
        if name in MANIFESTS:
            continue
        kind = "mask" if name in named_masks - manifest.rows.keys() else _kind(name, manifest)
        if kind == CONTROL:
            control.append(FoundPicture(name, by_name[name], None, manifest.rows.get(name, Row())))
        elif kind == "mask":
            masks.append(name)
        elif kind == "picture":
            pictures.append(name)
        else:
            refused.append(Rejected(name, kind))
    mask_of, used, without = _masks_of(pictures, masks, by_name, manifest.rows)
    refused += without
    refused += [Rejected(name, "a mask that no picture has") for name in masks if name not in used]
    found = [FoundPicture(n, by_name[n], by_name[mask_of[n]], manifest.rows.get(n, Row())) for n in mask_of]
    return FoundSet(tuple(found), tuple(control), tuple(sorted(refused, key=lambda r: r.name)), manifest)


def _without_top(by_name: dict[str, Path]) -> dict[str, Path]:
    """As most zip programs make it, one folder may lie around everything."""
    tops = {_top(name) for name in by_name}
    if len(tops) != 1 or tops & {"", *_KNOWN_FOLDERS}:
        return by_name
    return {name.split("/", 1)[1]: path for name, path in by_name.items()}


def _top(name: str) -> str:
    return name.split("/", 1)[0].lower() if "/" in name else ""


def _kind(name: str, manifest: Manifest) -> str:
    """CONTROL, "mask", "picture", or the reason why the file is none of them."""
    path, top = PurePosixPath(name), _top(name)
    if top == CONTROL:
        return CONTROL
    if name in manifest.rows:
        method = manifest.rows[name].method
        if manifest.ours and method == SynthesisConfig().graded:
            return f"{method} is made to be missed in part, so it counts in no rule"
        return "picture"
    if top == _CONTACT:
        return "a contact sheet, no picture of the set"
    if top in _MASKS or path.stem.endswith(_MASK_END):
        return "mask"
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return f"no picture by its name; beside pictures and masks only {' or '.join(MANIFESTS)} is read"
    return "the manifest does not list it" if manifest.rows else "picture"


def _masks_of(
    pictures: Sequence[str], masks: Sequence[str], by_name: Mapping[str, Path], rows: Mapping[str, Row]
) -> tuple[dict[str, str], set[str], list[Rejected]]:
    """Picture -> its mask; the masks in use, also by pictures that are refused; and the pictures without one."""
    fitting: dict[tuple[str, str], list[str]] = {}
    for name in masks:
        fitting.setdefault(_slot(name, mask=True), []).append(name)
    sharing = Counter(_slot(name) for name in pictures if not rows.get(name, Row()).mask)
    found: dict[str, str] = {}
    used: set[str] = set()
    refused = []
    for name in pictures:
        named = rows.get(name, Row()).mask
        slot = _slot(name)
        own = [named] if named else fitting.get(slot, [])
        used.update(own)
        if named and (named not in by_name or named == name):
            what = "the picture itself" if named == name else "no file of the folder"
            refused.append(Rejected(name, f"the manifest says that its mask is {named!r}, which is {what}"))
        elif not own:
            stem = PurePosixPath(name).stem
            refused.append(Rejected(name, f"no mask: expected masks/{stem}.png or {stem}{_MASK_END}.png beside it"))
        elif len(own) > 1:
            refused.append(Rejected(name, f"two masks fit it, {own[0]} and {own[1]}: remove one"))
        elif not named and sharing[slot] > 1:
            refused.append(Rejected(name, f"another picture of the same name would share its mask {own[0]}"))
        else:
            found[name] = own[0]
    return found, used, refused


def _slot(name: str, *, mask: bool = False) -> tuple[str, str]:
    """Folder below images, masks and so on, and stem: the same for a picture and its mask."""
    path = PurePosixPath(name)
    folders = path.parts[:-1]
    if folders and folders[0].lower() in (*_PICTURES, *_MASKS):
        folders = folders[1:]
    return "/".join(folders), path.stem.removesuffix(_MASK_END) if mask else path.stem
