"""The picker: every method of the field in its place, those made here to be ticked, the others with what is missing."""

import re

import pytest
from streamlit.testing.v1 import AppTest

import ias_core.synthesis  # noqa: F401  registers the methods
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.taxonomy import METHODS, PARADIGMS
from pages.ui import method_picker, words
from tests.app.browse import text_of

GRADED = "graded-spot"


def view() -> None:
    from pages.ui import cached, method_picker

    ws = cached.workspace()
    chosen, primary = ws.get_choice("picked", [["nsa", "cutout"], "nsa"])
    method_picker.pick(
        tuple(chosen),
        primary,
        save=lambda methods, first: ws.set_choice("picked", [list(methods), first]),
        graded="graded-spot",
        also_primary=("mixture",),
        lacking={"defectfill": "needs Stable Diffusion weights", "sdas": "needs a pixel model"},
    )


@pytest.fixture
def picker(empty_ws) -> AppTest:
    page = AppTest.from_function(view, default_timeout=30).run()
    assert not page.exception
    return page


def turn_to(page: AppTest, paradigm: str) -> AppTest:
    page.segmented_control(key="pick-method-paradigm").set_value(paradigm).run()
    assert not page.exception
    return page


def box(page: AppTest, name: str):
    return page.checkbox(key=f"pick-method-{name}")


def picked(ws) -> tuple[list[str], str]:
    return tuple(ws.get_choice("picked"))


def test_every_method_made_here_can_be_ticked_in_one_place(picker):
    shown = [b.key.removeprefix("pick-method-") for p in PARADIGMS for b in turn_to(picker, p).checkbox]
    assert sorted(shown) == list(synthesizers.names())


def test_every_method_of_the_field_is_on_screen(picker):
    read = {paradigm: text_of(turn_to(picker, paradigm)) for paradigm in PARADIGMS}
    for method in METHODS:
        if not method.registered and not method.with_weights:
            assert method.name in read[method.paradigm], method.name


def test_what_stands_grey_says_what_is_missing(picker):
    read = text_of(turn_to(picker, PARADIGMS[3]))
    assert "**CAGEN, AnomalyControl (He et al.), Photovoltaic defect generator**: no code found" in read
    grey = box(picker, "defectfill")
    assert grey.disabled and "needs Stable Diffusion weights" in grey.label and "**DefectFill**: needs" not in read
    assert not box(picker, "tf-idg").disabled  # nothing is said to be lacking there


def test_what_was_ticked_can_be_unticked_when_it_lacks_something(picker, empty_ws):
    empty_ws.set_choice("picked", [["nsa", "sdas"], "nsa"])
    turn_to(picker, PARADIGMS[2])
    assert box(picker, "sdas").value and not box(picker, "sdas").disabled
    box(picker, "sdas").uncheck().run()
    assert picked(empty_ws) == (["nsa"], "nsa") and box(picker, "sdas").disabled


def test_each_subcategory_says_what_goes_in_and_comes_out(picker):
    read = text_of(turn_to(picker, PARADIGMS[0]))
    facts = "In: good parts, reference · Out: image and mask · Cost: low · Control: medium · Trade-off: richer looks"
    assert facts in read and "Self-contained" in read and "Inpainting-based" in read


def test_ticking_is_saved_at_once_and_survives_another_paradigm(picker, empty_ws):
    assert box(picker, "nsa").value and not box(picker, "reb").value
    box(picker, "reb").check().run()
    assert picked(empty_ws) == (["nsa", "cutout", "reb"], "nsa")
    turn_to(picker, PARADIGMS[1])
    box(picker, "glass-las-own").check().run()
    turn_to(picker, PARADIGMS[0])
    assert box(picker, "reb").value and "4 chosen" in text_of(picker)
    box(picker, "cutout").uncheck().run()
    assert picked(empty_ws) == (["nsa", "reb", "glass-las-own"], "nsa")


def test_the_next_one_is_primary_when_the_primary_goes(picker, empty_ws):
    box(picker, "nsa").uncheck().run()
    assert picked(empty_ws) == (["cutout"], "cutout")
    assert picker.selectbox(key="pick-method-primary").value == "cutout"


def test_the_last_one_stays_and_the_graded_one_is_fixed(picker, empty_ws):
    box(picker, "nsa").uncheck().run()
    assert box(picker, "cutout").disabled and not box(picker, "nsa").disabled
    assert box(picker, GRADED).disabled and box(picker, GRADED).value


def test_another_set_may_be_primary(picker, empty_ws):
    picker.selectbox(key="pick-method-primary").set_value("mixture").run()
    assert picked(empty_ws) == (["nsa", "cutout"], "mixture")
    box(picker, "nsa").uncheck().run()
    assert picked(empty_ws) == (["cutout"], "mixture")


def test_what_was_saved_elsewhere_is_shown(picker, empty_ws):
    empty_ws.set_choice("picked", [["reb"], "reb"])
    picker.run()
    assert box(picker, "reb").value and not box(picker, "nsa").value


def test_no_figure_of_merit_is_on_screen(picker):
    for paradigm in PARADIGMS:
        turn_to(picker, paradigm)
        read = text_of(picker) + "".join(b.label for b in picker.checkbox)
        assert "AUROC" not in read and not re.search(r"\b0?\.\d{2}|\b9\d\.\d", read)


def test_the_whole_field_is_one_table(empty_ws):
    def whole() -> None:
        from pages.ui import method_picker

        method_picker.table()

    page = AppTest.from_function(whole, default_timeout=30).run()
    assert not page.exception
    (frame,) = [element.value for element in page.dataframe]
    assert list(frame["method"]) == [method.name for method in METHODS]
    assert frame["runs here"].sum() == sum(method.runs_now for method in METHODS)
    assert "eleven hand-crafted methods" in text_of(page) and "GeneralAD" in text_of(page)


@pytest.mark.parametrize("name", synthesizers.names())
def test_every_method_has_a_name_and_a_sentence(name):
    assert words.method(name) != name or name in ("scratch", "dent", "stain")
    assert len(words.METHOD_HELP[name].partition(":")[0]) < 75 and not words.METHOD_HELP[name].endswith(".")


def test_names_of_methods_are_the_registered_ones():
    assert set(words.METHODS) == set(words.METHOD_HELP) == set(synthesizers.names())
    assert len(set(words.METHODS.values())) == len(words.METHODS)
    assert set(words.FEATURE_METHODS) == {name for method in METHODS for name in method.rulers}
    assert set(words.DISCRIMINATORS) == {name for method in METHODS for name in method.discriminators}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("without cutpaste-scar", "without CutPaste-Scar"),
        ("cutpaste, cutpaste-scar-asbench", "CutPaste, CutPaste-Scar of ASBench"),
        ("identical, a student, fresh paint", "identical, a student, fresh paint"),
        ("method glass-las-own", "method own texture"),
        ("", ""),
    ],
)
def test_keys_in_a_sentence_become_names_as_wholes(said, shown):
    assert words.in_sentence(said) == shown


def test_ticking_twice_changes_nothing():
    assert method_picker.ticked(("nsa",), "nsa", "nsa", True) == (("nsa",), "nsa")
    assert method_picker.ticked(("nsa", "pii"), "pii", "nsa", False) == (("pii",), "pii")
