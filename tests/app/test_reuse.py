"""What touched detector, generator or threshold, or was made here, verifies nothing, however it is dressed up."""

from __future__ import annotations

import sqlite3
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from ias_core import twins
from ias_core.errors import IntakeRefused, RoleConflict
from pages.services import intake, made_pictures
from pages.services.artifacts import SYNTHESIS, load_result
from pages.services.ledger import Ledger
from pages.services.prints import load_prints
from pages.services.spoiling import MADE, spoiling_pictures
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.core import reuse
from tests.core.reuse import ONCE, encoded, used_again

SINGLE = [(way,) for way in ONCE]
# Two croppings are one that is too deep, and two resizings one that is too small.
TWICE = [
    pair
    for pair in combinations(ONCE, 2)
    if not {"cropped", "cropped to half"} >= set(pair) and sum("size" in way for way in pair) < 2
]
# A plate is 96 px wide: of 48 px at JPEG quality 75 no grain is left.
TOO_SMALL = {"cropped to half"}


def table(pictures: list[np.ndarray], ways: list[tuple[str, ...]], each: int) -> tuple[list[np.ndarray], list[int]]:
    """Pictures used again, ``each`` of them in every way, and the places of those they are made of."""
    places = [(k * each + i) % len(pictures) for k in range(len(ways)) for i in range(each)]
    return [used_again(pictures[p], ways[n // each], seed=n) for n, p in enumerate(places)], places


def refused(tried: list[np.ndarray], pictures: list[np.ndarray]) -> set[tuple[int, int]]:
    return set(twins.find_twins([twins.print_of(p) for p in tried], [twins.print_of(p) for p in pictures]))


@pytest.mark.skipif(not reuse.has_photographs(), reason="the photographs lie beside the developers' checkout")
@pytest.mark.parametrize("name", ["transistor", "hazelnut"])
def test_every_way_to_use_a_photograph_again_is_found(name):
    pictures = reuse.photographs(name, 24)
    tried, places = table(pictures[:12], SINGLE + TWICE, 1)
    found = refused(tried, pictures)
    assert {i for i, j in found if places[i] == j} == set(range(len(tried)))
    assert all(places[i] == j for i, j in found)  # the innocent are nobody's copy


def test_every_way_to_use_a_plate_again_is_found():
    pictures = [small_run.plate(i) for i in range(8)] + [small_run.scratched(1000 + i) for i in range(4)]
    ways = [ways for ways in SINGLE + TWICE if not TOO_SMALL & set(ways) or len(ways) == 1]
    tried, places = table(pictures, ways, 1)
    found = refused(tried, pictures)
    assert {i for i, j in found if places[i] == j} == set(range(len(tried)))
    assert all(places[i] == j for i, j in found)


def file(pixels: np.ndarray, format: str = "PNG") -> tuple[str, bytes]:
    return f"brand new.{format.lower()}", encoded(pixels, format, **({"quality": 75} if format == "JPEG" else {}))


def ok_pixels(ws: Workspace, place: int) -> np.ndarray:
    return np.asarray(Image.open(Ledger(ws).records(label="ok")[place].path).convert("RGB"))


@pytest.mark.parametrize("ways", [(), ("mirrored",), ("cropped", "turned"), ("half the size",)])
@pytest.mark.parametrize("format", ["PNG", "BMP", "JPEG"])
def test_no_good_part_of_the_detector_verifies(ws, ways, format):
    before = Ledger(ws).records()
    with pytest.raises(IntakeRefused, match="same picture or near twins"):
        intake.add_verification_ng(ws, [file(used_again(ok_pixels(ws, 3), ways, 0), format)])
    assert Ledger(ws).records() == before


@pytest.mark.parametrize("role", ["generator_seed", "threshold_ng"])
def test_no_ng_that_taught_or_set_verifies_in_any_later_dataset(ws, tmp_path, role):
    ledger = Ledger(ws)
    spent = ledger.records(label="ng")[1]
    pixels = np.asarray(Image.open(spent.path).convert("RGB"))
    ledger.assign([spent.sha256], role, by="Anna", why="test")
    done = {"generator_seed": "seeded a generator", "threshold_ng": "set a threshold"}[role]
    copies = [used_again(pixels, ways, 0) for ways in ((), ("mirrored",), ("cropped", "mirrored"), ("turned",))]
    for copy in copies:
        with pytest.raises((RoleConflict, IntakeRefused), match=f"{done}|None of these"):
            intake.add_verification_ng(ws, [file(copy)])
    # In a dataset of other good parts, where it comes with the import.
    ok = [(f"{i}.png", encoded(small_run.plate(500 + i))) for i in range(6)]
    innocent = ("innocent.png", encoded(small_run.scratched(2001)))
    new = intake.import_uploads(ws, ok, [*[(f"{i}.png", file(p)[1]) for i, p in enumerate(copies)], innocent])
    assert any(
        f"4 of 5 NG will not verify. 0.png cannot be used for verification: {spent.name}" in n for n in new.notices
    )
    intake.assign_roles(ws, seed=0)
    assert [r.name for r in ledger.records(role="verification_ng")] == ["innocent.png"]
    with pytest.raises(RoleConflict, match=done):
        intake.add_verification_ng(ws, [("late.bmp", encoded(used_again(pixels, ("mirrored", "cropped"), 1), "BMP"))])
    with pytest.raises(RoleConflict, match=done):
        sha = next(r.sha256 for r in ledger.records(label="ng") if r.role is None)
        ledger.assign([sha], "verification_ng", by="Anna", why="try")


def test_an_import_with_a_copy_of_a_good_part_among_the_ng_is_refused(ws):
    ok = [(f"{i}.png", encoded(small_run.plate(i))) for i in range(6)]
    copy = used_again(small_run.plate(4), ("cropped", "mirrored"), 2)
    before = Ledger(ws).records()
    with pytest.raises(IntakeRefused, match="4.png.*bad.png"):
        intake.import_uploads(ws, ok, [("bad.png", encoded(copy))])
    assert Ledger(ws).records() == before


def test_copies_of_one_ng_go_the_same_way(ws):
    ok = [(f"{i}.png", encoded(small_run.plate(i))) for i in range(6)]
    bad = small_run.scratched(3001)
    files = [("a.png", encoded(bad)), ("b.png", encoded(used_again(bad, ("cropped", "mirrored"), 3)))]
    taken = intake.import_uploads(ws, ok, files)
    assert len({r.group for r in taken.accepted if r.label == "ng"}) == 1
    intake.assign_roles(ws, seed=0)
    ledger = Ledger(ws)
    with pytest.raises(RoleConflict, match="near twin"):
        ledger.assign([ledger.records(label="ng")[0].sha256], "threshold_ng", by="Anna", why="try")


def made(ws: Workspace) -> list[made_pictures.MadePicture]:
    with ws.transaction() as db:
        return made_pictures.made_pictures(db)


def test_what_synthesis_writes_is_on_the_list_with_its_parents(ws):
    result = load_result(ws, SYNTHESIS)
    on_list = {one.sha256: one for one in made(ws)}
    written = [(name, stem) for name, scored in result.sets.items() for stem in scored.ids]
    assert len(on_list) == len(written)
    parents = {r.sha256 for r in Ledger(ws).records(role="calibration_ok")}
    assert all(set(one.parents) <= parents and len(one.parents) == 1 and one.made_at for one in on_list.values())
    name, stem = written[-1]
    of_file = made_pictures.of_files([result.folder / f"{stem}.png"], name, [("",)])[0]
    facts = result.meta["methods"][name]["parents"]
    assert on_list[of_file.sha256].method == name and on_list[of_file.sha256].parents == (facts[-1],)
    made_pictures.register(ws, [of_file])  # a second time changes nothing
    assert {one.sha256: one.parents for one in made(ws)} == {sha: one.parents for sha, one in on_list.items()}


@pytest.mark.parametrize(
    "statement", ["DELETE FROM made", "UPDATE made SET parents = '[]'", "REPLACE INTO made SELECT * FROM made"]
)
def test_the_list_of_made_pictures_is_append_only(ws, statement):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), ws.transaction() as db:
        db.execute(statement)


def test_no_made_picture_verifies_whatever_became_of_its_parent(ws):
    result = load_result(ws, SYNTHESIS)
    pictures = [
        np.asarray(Image.open(result.folder / f"{scored.ids[i]}.png").convert("RGB"))
        for scored in result.sets.values()
        for i in (0, 1)
    ]
    # Its parent is gone with the dataset: only the list knows.
    intake.import_uploads(ws, [(f"{i}.png", encoded(small_run.plate(700 + i))) for i in range(6)])
    tried = [
        used_again(p, ways, 5) for p in pictures for ways in ((), ("re-encoded",), ("mirrored",), ("cropped", "turned"))
    ]
    innocent = [small_run.scratched(4000 + i) for i in range(8)]
    names = [str(i) for i in range(len(tried) + len(innocent))]
    found, _ = spoiling_pictures(ws, names, [twins.print_of(p) for p in (*tried, *innocent)])
    assert sorted(found, key=int) == names[: len(tried)]
    assert {spoiler.what for spoiler in found.values()} == {MADE}
    with pytest.raises(RoleConflict, match="synthetic NG made here"):
        intake.add_verification_ng(ws, [file(tried[3])])


def test_a_synthetic_ng_made_elsewhere_shows_the_grain_of_its_part(ws):
    pixels = ok_pixels(ws, 5).copy()
    pixels[20:40, 30:50] = 250
    with pytest.raises(IntakeRefused, match="same picture or near twins"):
        intake.add_verification_ng(ws, [file(used_again(pixels, ("mirrored",), 0), "JPEG")])


def test_innocent_ng_are_all_taken_and_who_added_them_is_kept(ws):
    files = [(f"{i}.png", encoded(small_run.scratched(5000 + i))) for i in range(12)]
    added = intake.add_verification_ng(ws, files, by="Anna Weber")
    new = [r for r in added.accepted if r.added_by == "Anna Weber"]
    assert len(new) == 12 and not added.rejected and not added.notices
    assert all(r.role == "verification_ng" and r.added_at[:2] == "20" and r.added_at.endswith("+00:00") for r in new)
    assert {r.added_by for r in added.accepted} == {"intake", "Anna Weber"}
    assert {entry.by for r in new for entry in Ledger(ws).history(r.sha256)} == {"Anna Weber"}


def test_a_workspace_from_before_is_brought_up_to_date(ws):
    ledger = Ledger(ws)
    some = ledger.records()[:3]
    with ws.transaction() as db:
        db.execute("ALTER TABLE images DROP COLUMN added_by")
        db.execute("ALTER TABLE images DROP COLUMN added_at")
        db.execute("UPDATE prints SET print = substr(print, 1, 13312)")
        db.execute("UPDATE images SET path = '/gone.png' WHERE sha256 = ?", (some[2].sha256,))
    assert {r.added_by for r in Ledger(ws).records()} == {""}
    views = [bool(one.view) for one in load_prints(ws, [r.sha256 for r in some])]
    assert views == [True, True, False]
    with ws.transaction() as db:
        sizes = [len(db.execute("SELECT print FROM prints WHERE sha256 = ?", (r.sha256,)).fetchone()[0]) for r in some]
    assert sizes[0] > 13312 and sizes[2] == 13312
    with pytest.raises(IntakeRefused, match="same picture or near twins"):
        intake.add_verification_ng(ws, [file(used_again(ok_pixels(ws, 7), ("cropped", "mirrored"), 0))])
