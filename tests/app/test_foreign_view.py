"""The page's block for sets made elsewhere: nothing is imported before its questions are answered."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.services.foreign_answers import admit, imported
from pages.services.foreign_take import take
from pages.services.ledger import Ledger
from pages.services.steps import load_config, save_config
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.browse import button_of, text_of
from tests.app.foreign import SQUARE, lineage, manifest, on_parts, png, spotted, written

NAME = "imported-set"


def view() -> None:
    from dataclasses import replace

    from pages.services.steps import load_config, save_config
    from pages.ui import cached, foreign_view

    ws = cached.workspace()

    def save(sets: dict[str, str]) -> None:
        now = load_config(ws)
        save_config(ws, replace(now, synthesis=replace(now.synthesis, imported=sets)))

    foreign_view.show(ws, load_config(ws), save)


def shown() -> AppTest:
    return checked(AppTest.from_function(view, default_timeout=60).run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception
    return page


@pytest.fixture
def folder(ws, tmp_path) -> Path:
    """Two good pictures, one of them with its NG named, and a refused one."""
    files = on_parts(Ledger(ws).records(role="calibration_ok")[:2]) | {"images/lost.png": png(small_run.plate(900))}
    rows = [{"file": "images/00.png", "seed_ng": "ng_01.png"}, {"file": "images/01.png"}, {"file": "images/lost.png"}]
    return written(tmp_path / "set", files | {"manifest.json": manifest(*rows)})


def read(page: AppTest, folder: Path) -> AppTest:
    page.text_input(key="foreign-folder").set_value(str(folder)).run()
    return checked(button_of(page, "Read the set").click().run())


def field(kind, label: str):
    (found,) = [one for one in kind if one.label.startswith(label)]
    return found


def answer(page: AppTest, *, seeds: str | None = None, backgrounds: str = "edited", bank: str | None = None) -> AppTest:
    field(page.text_input, "1. ").set_value("LoRA of *ours*")
    field(page.text_input, "Answered by").set_value("A. Weber")
    if seeds:
        field(page.radio, "2. ").set_value(seeds)
    field(page.radio, "3. ").set_value(backgrounds).run()
    if bank:
        field(page.radio, "4. ").set_value(bank).run()
    return checked(page)


def sets_of(ws: Workspace) -> dict[str, str]:
    return load_config(ws).synthesis.imported


def test_from_a_folder_to_an_imported_set_and_out_again(ws, folder):
    page = read(shown(), folder)
    assert [metric.value for metric in page.metric] == ["2", "0", "1"]
    refused, taken = (frame.value for frame in page.dataframe)
    assert refused["file"].tolist() == ["images/lost.png"] and "no mask" in refused["why it was refused"][0]
    assert taken["good part matches"].tolist() == ["exactly", "exactly"] and taken["real NG"][0] == "ng_01.png"
    assert button_of(page, "Import the set").disabled and "What follows from the answers is said" in text_of(page)
    assert page.multiselect[0].value == [Ledger(ws).records(label="ng")[1].sha256]  # as the manifest says
    page = answer(page)
    picked = page.multiselect[0].value
    checked(page.multiselect[0].set_value([]).run())
    assert button_of(page, "Import the set").disabled
    checked(page.multiselect[0].set_value(picked).run())
    assert "never verify again" in text_of(page) and "5 real NG stay free" in text_of(page)
    assert {r.role for r in Ledger(ws).records(label="ng")} == {"verification_ng"} and not sets_of(ws)
    checked(button_of(page, "Import the set").click().run())
    one = imported(ws, sets_of(ws)[NAME])
    assert one.lineage.generator == "LoRA of *ours*" and one.lineage.in_bank == "no"  # known without asking
    assert Ledger(ws).records(label="ng")[1].role == "generator_seed"
    assert f"**{NAME}**: 2 pictures by LoRA of \\*ours\\*; answered by A. Weber" in text_of(page)
    assert not page.metric and "Nothing counts it" not in text_of(page)
    checked(page.button(key=f"foreign-remove-{NAME}").click().run())
    assert not sets_of(ws) and not one.set.folder.exists() and NAME not in text_of(page)
    assert Ledger(ws).records(label="ng")[1].role == "generator_seed"


def test_not_knowing_is_an_answer_and_says_what_it_costs(ws, tmp_path):
    strange = {"a.png": png(spotted(small_run.plate(9001))), "a_mask.png": png(SQUARE)}
    page = answer(read(shown(), written(tmp_path / "set", strange)), seeds="unknown")
    assert button_of(page, "Import the set").disabled  # the memory bank has to be asked about
    field(page.radio, "4. ").set_value("unknown").run()
    assert "no rule counts it and it cannot be the primary one" in text_of(page)
    checked(button_of(page, "Import the set").click().run())
    assert "Nothing counts it" in text_of(page)
    first = sets_of(ws)[NAME]
    checked(page.button(key=f"foreign-again-{NAME}").click().run())
    page = answer(page, seeds="none", bank="no")
    assert "in the place of the set of this name" in text_of(page)
    checked(button_of(page, "Import the set").click().run())
    assert sets_of(ws)[NAME] != first and "Nothing counts it" not in text_of(page)
    assert imported(ws, sets_of(ws)[NAME]).set.folder.is_dir()  # the same pictures under other answers


def test_drawn_pictures_without_a_control(ws, folder):
    page = answer(read(shown(), folder), backgrounds="drawn", bank="no")
    assert "no folder control/" in text_of(page)
    before = list(ws.images.glob("foreign-*"))
    checked(button_of(page, "Discard").click().run())
    assert len(before) == 1 and not list(ws.images.glob("foreign-*")) and not page.metric


def test_a_zip_from_the_browser(ws, folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, f"top/{path.relative_to(folder).as_posix()}")
    page = shown()
    page.segmented_control(key="foreign-way").set_value("A zip").run()
    page.file_uploader(key="foreign-zip").upload("my.zip", buffer.getvalue()).run()
    checked(button_of(page, "Read the set").click().run())
    assert [metric.value for metric in page.metric] == ["2", "0", "1"]
    assert field(page.text_input, "Name of the set").value == "my"


def test_what_cannot_be_read_is_a_sentence_with_every_file(ws, tmp_path):
    page = read(shown(), tmp_path / "nowhere")
    assert "does not exist" in text_of(page) and not page.dataframe
    page = read(page, written(tmp_path / "set", {"a_b.png": png(small_run.plate(1000))}))
    assert "None of these files can be used" in text_of(page)
    assert page.dataframe[0].value["file"].tolist() == ["a_b.png"]


def view_of_primary(sets: dict[str, str], primary: str) -> None:
    from types import SimpleNamespace

    from pages.ui import cached, foreign_view

    config = SimpleNamespace(synthesis=SimpleNamespace(imported=sets, primary=primary))
    foreign_view.show(cached.workspace(), config, lambda sets: None)


def test_the_primary_set_stays_and_a_lost_one_can_be_taken_out(ws, folder):
    sets = {NAME: admit(ws, take(ws, folder), lineage(ws)), "imported-lost": "0" * 64}
    asked = {"sets": sets, "primary": NAME}
    page = checked(AppTest.from_function(view_of_primary, kwargs=asked, default_timeout=60).run())
    assert page.button(key=f"foreign-remove-{NAME}").disabled
    assert "imported-lost: the answers on the imported set 00000000 cannot be read" in text_of(page)
    config = load_config(ws)
    save_config(ws, replace(config, synthesis=replace(config.synthesis, imported=sets)))
    checked(shown().button(key="foreign-remove-imported-lost").click().run())
    assert sets_of(ws) == {NAME: sets[NAME]}


def test_without_good_parts_the_page_says_what_is_missing(empty_ws):
    assert "compared with good parts, and there is none" in text_of(shown())
