"""Names are spelled out: a taken one and an unknown one both stop."""

import pytest

from ias_core.registry import Registry


class Red:
    pass


def filled() -> Registry:
    colours = Registry("colour")
    colours.register("red")(Red)
    return colours


def test_gives_back_what_was_registered():
    colours = filled()
    assert colours["red"] is Red
    assert list(colours) == ["red"]


def test_taken_name_raises_and_keeps_the_first():
    colours = filled()
    with pytest.raises(ValueError, match="colour name 'red' is taken by Red"):
        colours.register("red")
    assert colours["red"] is Red


def test_unknown_name_raises_with_the_nearest():
    with pytest.raises(KeyError, match="no colour is called 'rot'; did you mean: red"):
        filled()["rot"]


def test_unknown_name_far_from_all_lists_all():
    with pytest.raises(KeyError, match="red"):
        filled()["zzzzzzz"]
