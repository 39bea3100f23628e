"""From files to the workspace's dataset: every file is either accepted or answered by name, and none is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ias_core import folders, imaging, twins
from ias_core.errors import ImageRefused, IntakeRefused, RoleConflict
from ias_core.folders import NG, OK, FoundFile
from pages.services import sessions
from pages.services.ledger import ImageRecord, Ledger
from pages.services.spoiling import spoiling_pictures
from pages.services.workspace import Workspace

LEAST_OK = 5
# Below this many OK pictures none can be spared for a check set.
CHECK_FROM_OK = 20
CHECK_SHARE = 0.25
# From here on a third of the rest calibrates, at least as many as a 5 % tolerance bound needs (59); the bank gains
# more from a picture than the bound does. Below, leave-one-out scores calibrate, and held-out parents are few.
HELD_OUT_FROM_OK = 120
HELD_OUT_SHARE = 1 / 3
HELD_OUT_LEAST = 60
CALIBRATION_SHARE = 0.20
LEAST_BANK = 4

Progress = Callable[[int, int, str], None]
_CHOICE = "intake"
BY = "intake"  # who adds pictures where nobody is named


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that was turned away, by the name the user knows, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What an import left in the workspace.

    dataset_id    : sha256 over the sorted content, labels, parts and kinds: the same files give the same id
    accepted      : every picture of the dataset, sorted by name
    rejected      : every file turned away
    notices       : sentences the user should read
    sessions_from : where the sessions of the OK pictures come from: "column", "folder", "EXIF date", or "" for none
    """

    dataset_id: str
    accepted: tuple[ImageRecord, ...]
    rejected: tuple[Rejected, ...]
    notices: tuple[str, ...]
    sessions_from: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Checked:
    """A file that decodes, with what the ledger keeps of it; ``taken`` is the day of its EXIF date, or ""."""

    found: FoundFile
    sha256: str
    format: str
    width: int
    height: int
    taken: str
    print: twins.Print


def import_folders(
    ws: Workspace,
    ok_dir: str | os.PathLike[str],
    ng_dir: str | os.PathLike[str] | None = None,
    *,
    sessions_table: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    by: str = BY,
) -> Intake:
    """Take an OK folder and, if there is one, an NG folder whose subfolders are kinds.

    The pictures stay where they are.  The previous dataset is replaced; its history in the ledger stays.
    ``sessions_table`` says which session each picture belongs to, instead of any table among the pictures, and
    ``by`` who adds them.

    Raises
    ------
    IntakeRefused
        If a folder is not there, fewer than 5 OK pictures can be used, a picture (or its near twin) is both
        OK and NG, or a table of sessions does not fit.  Then the previous dataset stays.
    """
    refuse_around(ws.root, ok_dir, *([] if ng_dir is None else [ng_dir]))
    found = folders.scan_folder(ok_dir, label=OK)
    if ng_dir is not None:
        found += folders.scan_folder(ng_dir, label=NG)
    return _take(ws, found, sessions_table=sessions_table, progress=progress, by=by)


def import_found(
    ws: Workspace, found: Sequence[FoundFile], *, progress: Progress | None = None, by: str = BY
) -> Intake:
    """Take files whose labels are known already; as `import_folders` otherwise."""
    return _take(ws, found, progress=progress, by=by)


def import_tree(
    ws: Workspace,
    data_dir: str | os.PathLike[str],
    *,
    sessions_table: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    by: str = BY,
) -> Intake:
    """Take an MVTec-style tree; as `import_folders` otherwise."""
    refuse_around(ws.root, data_dir)
    return _take(ws, folders.scan_tree(data_dir), sessions_table=sessions_table, progress=progress, by=by)


def import_zip(
    ws: Workspace,
    path: str | os.PathLike[str],
    *,
    sessions_table: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    by: str = BY,
) -> Intake:
    """Take a zip: an MVTec-style tree, or ``ok`` and ``ng`` folders, or OK pictures only.

    The pictures are copied into the workspace; as `import_folders` otherwise.

    Raises
    ------
    IntakeRefused
        Also if the zip is damaged, encrypted, a bomb, or holds a link or a path that leaves the folder.
    """
    with tempfile.TemporaryDirectory(dir=ws.root, prefix="unpack-") as unpacked:
        found = folders.by_zip(folders.extract_zip(path, unpacked))
        return _take(ws, found, sessions_table=sessions_table, progress=progress, store=True, by=by)


def import_uploads(
    ws: Workspace,
    ok: Iterable[tuple[str, bytes]],
    ng: Iterable[tuple[str, bytes]] = (),
    *,
    progress: Progress | None = None,
    by: str = BY,
) -> Intake:
    """Take uploaded files, (name, content) each; folders in the names of OK are sessions, of NG kinds.

    The pictures are copied into the workspace; as `import_folders` otherwise.
    """
    with tempfile.TemporaryDirectory(dir=ws.root, prefix="upload-") as arrived:
        found = folders.by_upload(_written(ok, Path(arrived), "ok"))
        found += folders.by_label(_written(ng, Path(arrived), "ng"), NG)
        return _take(ws, found, progress=progress, store=True, by=by)


def add_verification_ng(
    ws: Workspace, files: Iterable[tuple[str, bytes]], *, progress: Progress | None = None, by: str = BY
) -> Intake:
    """Add real NG pictures, (name, content) each, to the dataset, as verification.

    Returns
    -------
    Intake
        The whole dataset; ``rejected`` and ``notices`` are those of these files.  ``dataset_id`` stays: it names
        the pictures the detector and the thresholds were made from.

    Raises
    ------
    IntakeRefused
        If there is no dataset yet, none of the files can be used, or one is a copy of an OK picture.
    RoleConflict
        If one of them, or a copy of it, ever seeded a generator or set a threshold, or was made here.  Nothing is
        added.
    """
    stored = ws.get_choice(_CHOICE)
    if stored is None:
        raise IntakeRefused("There is no dataset to verify yet; import OK pictures first.")
    ledger = Ledger(ws)
    present = ledger.records()
    with tempfile.TemporaryDirectory(dir=ws.root, prefix="upload-") as arrived:
        found, tables = sessions.without_tables(folders.by_label(_written(files, Path(arrived), "ng"), NG))
        by_table = sessions.sessions_by_table(found, tables)
        checked, rejected = _check_all(found, progress)
        name_of_ng = {r.sha256: r.name for r in present if r.label == NG}
        for item in checked:
            if item.sha256 in name_of_ng:
                rejected.append(_same_picture(item.found.name, name_of_ng[item.sha256]))
        fresh, repeated = _without_repeats([item for item in checked if item.sha256 not in name_of_ng])
        rejected += repeated
        if not fresh:
            raise IntakeRefused("None of these files can be used as verification NG.", rejected)

        prints = [item.print for item in fresh]
        pairs = twins.find_twins(prints, ledger.prints([r.sha256 for r in present])) if present else []
        for i, j in pairs:
            if present[j].label == OK:
                raise IntakeRefused(_both_sentence(present[j].name, fresh[i].found.name), rejected)
        spoilt, _ = spoiling_pictures(ws, [item.sha256 for item in fresh], prints)
        for item in fresh:
            if item.sha256 in spoilt:
                raise RoleConflict(spoilt[item.sha256].sentence(item.found.name))
        groups = _groups(fresh, twins.find_twins(prints))
        for i, j in pairs:
            groups[i] = present[j].group
        session_of, _ = _sessions(fresh, by_table)
        records = [_record(ws, item, groups[i], session_of[i], True, by) for i, item in enumerate(fresh)]
        _write(ws, records, fresh, replace=False)
    ledger.assign([r.sha256 for r in records], "verification_ng", by=by, why="added for verification")
    twin_notes = [
        f"{fresh[i].found.name} is a near twin of {present[j].name}: together they count as one part." for i, j in pairs
    ]
    return Intake(
        stored["dataset_id"],
        ledger.records(),
        tuple(rejected),
        tuple(twin_notes),
        stored.get("sessions_from", ""),
    )


def refuse_around(results: Path, *sources: str | os.PathLike[str]) -> None:
    """Results must not lie inside the pictures: the next run would read synthetic NG as parts.

    Raises
    ------
    IntakeRefused
        If ``results`` is one of the folders ``sources`` or inside it.
    """
    for source in sources:
        if results.resolve().is_relative_to(Path(source).expanduser().resolve()):
            raise IntakeRefused(
                f"The results would lie inside the pictures: {results} is in {source}; "
                "choose a folder for the results outside."
            )


def current(ws: Workspace) -> Intake | None:
    """The workspace's dataset as its import left it, with the roles of now; None if there is none."""
    stored = ws.get_choice(_CHOICE)
    if stored is None:
        return None
    rejected = tuple(Rejected(**item) for item in stored["rejected"])
    return Intake(
        stored["dataset_id"],
        Ledger(ws).records(),
        rejected,
        tuple(stored["notices"]),
        stored.get("sessions_from", ""),  # none in a workspace from before sessions
    )


def assign_roles(ws: Workspace, *, seed: int) -> dict[str, int]:
    """Give every picture its role; near twins stay on one side of every split.

    Parameters
    ----------
    ws : Workspace
    seed : int
        The same seed and content give the same roles, whatever the files are called and wherever they lie.

    Returns
    -------
    dict
        Role -> number of pictures.

    Raises
    ------
    IntakeRefused
        If there is no dataset, or near twins leave fewer than 4 pictures for the memory bank.

    Notes
    -----
    A tree's ``test/good`` is the check set; without a tree a quarter of the OK pictures is, from 20 on.  Of the
    rest, from 120 on a third calibrates, at least 60; below 120 a fifth.  Real NG verify, except where the
    ledger forbids it or the picture has a role already.
    """
    ledger = Ledger(ws)
    ok = ledger.records(label=OK)
    if not ok:
        raise IntakeRefused("There is no dataset yet; import OK pictures first.")
    by_group: dict[str, list[ImageRecord]] = {}
    for record in sorted(ok, key=lambda r: r.sha256):
        by_group.setdefault(record.group, []).append(record)
    groups = [by_group[name] for name in sorted(by_group)]
    np.random.default_rng(seed).shuffle(groups)

    is_tree = any(record.part for record in ok)
    check: list[ImageRecord] = []
    rest: list[list[ImageRecord]] = []
    check_size = round(CHECK_SHARE * len(ok)) if len(ok) >= CHECK_FROM_OK and not is_tree else 0
    for group in groups:
        # A near twin of a training picture would make an easy check: the whole group trains.
        of_test = is_tree and all(r.part == "test" for r in group)
        if of_test or len(check) + len(group) <= check_size:
            check += group
        else:
            rest.append(group)

    n = sum(map(len, rest))
    held_out = n >= HELD_OUT_FROM_OK
    wanted = max(HELD_OUT_LEAST, round(HELD_OUT_SHARE * n)) if held_out else max(1, round(CALIBRATION_SHARE * n))
    calibration_size = min(wanted, n - LEAST_BANK)
    calibration: list[ImageRecord] = []
    bank: list[ImageRecord] = []
    for group in rest:
        fits = len(calibration) + len(group) <= calibration_size
        (calibration if fits else bank).extend(group)
    if len(bank) < LEAST_BANK or not calibration:
        raise IntakeRefused(
            f"Expected OK pictures for a memory bank of {LEAST_BANK} and for calibration, but of {len(ok)} too "
            "many are near twins or test pictures; add OK pictures of other parts."
        )
    chosen = {
        "memory_bank": [r.sha256 for r in bank],
        "calibration_ok": [r.sha256 for r in calibration],
        "check_ok": [r.sha256 for r in check],
    }
    free_ng = [r.sha256 for r in ledger.records(label=NG) if r.role in (None, "verification_ng")]
    spoilt, _ = spoiling_pictures(ws, free_ng)
    chosen["verification_ng"] = [sha for sha in free_ng if sha not in spoilt]
    ledger.assign_many(chosen, by="intake", why=f"split with seed {seed}")
    return dict(Counter(r.role for r in ledger.records() if r.role is not None))


def _take(
    ws: Workspace,
    found: Sequence[FoundFile],
    *,
    sessions_table: str | os.PathLike[str] | None = None,
    progress: Progress | None,
    store: bool = False,
    by: str,
) -> Intake:
    pictures, tables = sessions.without_tables(found)
    by_table = sessions.sessions_by_table(pictures, tables, sessions_table)
    checked, rejected = _check_all(pictures, progress)
    ok, repeated = _without_repeats([item for item in checked if item.found.label == OK])
    ng, repeated_ng = _without_repeats([item for item in checked if item.found.label == NG])
    rejected = sorted([*rejected, *repeated, *repeated_ng], key=lambda r: r.name)
    if len(ok) < LEAST_OK:
        what = "no OK picture" if not ok else f"only {len(ok)}"
        raise IntakeRefused(
            f"Expected at least {LEAST_OK} OK pictures that can be used, but found {what}; "
            f"add more{f', or correct what was refused ({len(rejected)})' if rejected else ''}.",
            rejected,
        )
    accepted = [*ok, *ng]
    name_of_ok = {item.sha256: item.found.name for item in ok}
    for item in ng:
        if item.sha256 in name_of_ok:
            raise IntakeRefused(_both_sentence(name_of_ok[item.sha256], item.found.name), rejected)
    ok_prints, ng_prints = ([item.print for item in items] for items in (ok, ng))
    for j, i in twins.find_twins(ng_prints, ok_prints):
        raise IntakeRefused(_both_sentence(ok[i].found.name, ng[j].found.name), rejected)
    pairs = twins.find_twins(ok_prints, thorough=False)  # good parts verify nothing
    pairs += [(len(ok) + i, len(ok) + j) for i, j in twins.find_twins(ng_prints)]

    groups = _groups(accepted, pairs)
    ok_sessions, sessions_from = _sessions(ok, by_table)
    session_of = ok_sessions + _sessions(ng, by_table)[0]
    records = [_record(ws, item, groups[i], session_of[i], store, by) for i, item in enumerate(accepted)]
    content = sorted(f"{r.sha256} {r.label} {r.part} {r.kind}" for r in records)
    dataset_id = hashlib.sha256("\n".join(content).encode()).hexdigest()
    _write(ws, records, accepted, replace=True)
    notices = _notices(accepted, pairs) + _spoilt_notices(ws, ng)
    ws.set_choice(
        _CHOICE,
        {
            "dataset_id": dataset_id,
            "rejected": [asdict(r) for r in rejected],
            "notices": notices,
            "sessions_from": sessions_from,
        },
    )
    return Intake(dataset_id, Ledger(ws).records(), tuple(rejected), tuple(notices), sessions_from)


def _check_all(found: Sequence[FoundFile], progress: Progress | None) -> tuple[list[_Checked], list[Rejected]]:
    checked: list[_Checked] = []
    rejected: list[Rejected] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the decoders work outside the interpreter's lock
        for done, (file, result) in enumerate(zip(found, pool.map(_check, found), strict=True), start=1):
            if isinstance(result, Rejected):
                rejected.append(result)
            else:
                checked.append(result)
            if progress is not None:
                progress(done, len(found), file.name)
    return checked, rejected


def _check(file: FoundFile) -> _Checked | Rejected:
    try:
        if not _is_text(str(file.path)):
            shown = file.name.encode("utf-8", "backslashreplace").decode()
            return Rejected(shown, "its name, or that of its folder, is not valid UTF-8; rename it")
        if file.label is None:
            raise ImageRefused(
                "its folder says neither OK nor NG (a tree has train/good and test/<kind>, a zip may have ok "
                "and ng); move it"
            )
        data = imaging.read_bytes(file.path)
        header = imaging.probe_image(data)
        pixels = imaging.decode(data)
    except ImageRefused as refusal:
        return Rejected(file.name, str(refusal))
    sha256 = hashlib.sha256(data).hexdigest()
    height, width = pixels.shape[:2]
    return _Checked(file, sha256, header.format, width, height, header.taken, twins.print_of(pixels))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that the file system could not read as text
        return False
    return True


def _without_repeats(checked: Sequence[_Checked]) -> tuple[list[_Checked], list[Rejected]]:
    """The first file of each content, by name; the later ones are rejected."""
    first: dict[str, _Checked] = {}
    repeated = []
    for item in sorted(checked, key=lambda c: c.found.name):
        if item.sha256 in first:
            repeated.append(_same_picture(item.found.name, first[item.sha256].found.name))
        else:
            first[item.sha256] = item
    return list(first.values()), repeated


def _same_picture(name: str, other: str) -> Rejected:
    return Rejected(name, f"same picture as {other}; it would count twice")


def _both_sentence(ok_name: str, ng_name: str) -> str:
    return (
        f"{ok_name} (OK) and {ng_name} (NG) are the same picture or near twins, and no picture can be both; "
        "decide which it is, remove the other, and import again."
    )


def _groups(items: Sequence[_Checked], pairs: Iterable[tuple[int, int]]) -> list[str]:
    """A chain of near twins is one group, named after its lowest sha256."""
    leader = list(range(len(items)))

    def lead(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for i, j in pairs:
        a, b = lead(i), lead(j)
        first, second = (a, b) if items[a].sha256 <= items[b].sha256 else (b, a)
        leader[second] = first
    return [items[lead(i)].sha256 for i in range(len(items))]


def _notices(accepted: Sequence[_Checked], pairs: Sequence[tuple[int, int]]) -> list[str]:
    notices = []
    if pairs:
        i, j = pairs[0]
        members = len({place for pair in pairs for place in pair})
        notices.append(
            f"{members} pictures are near twins of another one (such as {accepted[i].found.name} and "
            f"{accepted[j].found.name}): each group stays together in every split."
        )
    sizes = Counter((item.width, item.height) for item in accepted)
    if len(sizes) > 1:
        (width, height), most = sizes.most_common(1)[0]
        notices.append(
            f"The pictures have {len(sizes)} sizes (most, {most} of {len(accepted)}: {width} x {height} px): all are "
            "brought to one square, so parts of another shape look distorted."
        )
    return notices


def _spoilt_notices(ws: Workspace, ng: Sequence[_Checked]) -> list[str]:
    spoilt, _ = spoiling_pictures(ws, [item.sha256 for item in ng])
    refused = [(item, spoilt[item.sha256]) for item in ng if item.sha256 in spoilt]
    if not refused:
        return []
    (item, spoiler), n = refused[0], len(refused)
    return [f"{n} of {len(ng)} NG will not verify. {spoiler.sentence(item.found.name)}"]


def _sessions(items: Sequence[_Checked], by_table: Mapping[Path, str]) -> tuple[list[str], str]:
    """Sessions of the pictures of one label, and where they come from."""
    return sessions.choose(
        by_table=[by_table.get(item.found.path, "") for item in items],
        by_folder=[item.found.session for item in items],
        by_date=[item.taken for item in items],
    )


def _record(ws: Workspace, item: _Checked, group: str, session: str, store: bool, by: str) -> ImageRecord:
    path, mask = item.found.path, item.found.mask
    if store:
        path = _stored(ws, path, f"{item.sha256}.{item.format.lower()}")
        if mask is not None:
            mask = _stored(ws, mask, f"{item.sha256}_mask{mask.suffix.lower()}")
    return ImageRecord(
        sha256=item.sha256,
        name=item.found.name,
        path=path,
        label=str(item.found.label),
        kind=item.found.kind,
        part=item.found.part,
        mask_path=mask,
        width=item.width,
        height=item.height,
        group=group,
        role=None,
        session=session,
        added_by=by,
        added_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _stored(ws: Workspace, path: Path, name: str) -> Path:
    kept = ws.images / name
    shutil.copyfile(path, kept)
    return kept


def _written(files: Iterable[tuple[str, bytes]], folder: Path, prefix: str) -> list[tuple[str, Path]]:
    """Content under numbers, so that no name from outside ever becomes a path."""
    written = []
    for number, (name, content) in enumerate(files):
        path = folder / f"{prefix}{number:06d}"
        path.write_bytes(content)
        written.append((name.replace("\\", "/").lstrip("/"), path))
    return written


def _write(ws: Workspace, records: Sequence[ImageRecord], items: Sequence[_Checked], *, replace: bool) -> None:
    Ledger(ws)  # makes the tables
    with ws.transaction() as db:
        if replace:
            db.execute("DELETE FROM images")
        db.executemany(
            'INSERT INTO images (sha256, name, path, label, kind, part, mask_path, width, height, "group", session, '
            "added_by, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    r.sha256,
                    r.name,
                    str(r.path),
                    r.label,
                    r.kind,
                    r.part,
                    None if r.mask_path is None else str(r.mask_path),
                    r.width,
                    r.height,
                    r.group,
                    r.session,
                    r.added_by,
                    r.added_at,
                )
                for r in records
            ],
        )
        db.executemany(
            "INSERT OR REPLACE INTO prints (sha256, print) VALUES (?, ?)",
            [(item.sha256, item.print.to_bytes()) for item in items],
        )
