"""Charts of what a threshold is worth: what is drawn are the numbers that came in, and no other."""

import math
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.pod import PodCurve, pod_curve
from calibration.robustness import RECALL, RECOMMENDED, YOUDEN, Spread
from ias_core.errors import ShapeError
from pages.ui import charts, theme
from pages.ui.charts.detection_curve import _log_ticks, _plain
from pages.ui.charts.ranges import _percent_ticks
from pages.ui.charts.synthetic_ranks import MAX_STEPS

# --- probability of detection -----------------------------------------------------------------------------------------

A = np.repeat([2.0, 4.0, 8.0, 16.0, 32.0], 16)
FOUND = np.concatenate([np.arange(16) < k for k in (1, 5, 10, 15, 16)])
CURVE = pod_curve(A, FOUND, measure="size in px")


def pod(curve: PodCurve = CURVE, a: np.ndarray = A, found: np.ndarray = FOUND, **more) -> go.Figure:
    return charts.pod(curve, graded_a=a, graded_found=found, **({"threshold": 28.2, "unit": "px"} | more))


def named(figure: go.Figure, start: str) -> go.Scatter:
    (trace,) = [trace for trace in figure.data if (trace.name or "").startswith(start)]
    return trace


def marks(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.text[1].removeprefix("<b>").removesuffix("</b>"): trace for trace in figure.data if trace.text}


def key_text(figure: go.Figure) -> str:
    (text,) = [a.text for a in figure.layout.annotations]
    return text


def test_pod_draws_the_curve_and_its_limits_as_they_are() -> None:
    figure = pod()
    fitted, limits = named(figure, "POD"), named(figure, "limits")
    np.testing.assert_array_equal(fitted.x, CURVE.a)
    np.testing.assert_allclose(fitted.y, 100 * CURVE.pod)
    k = len(CURVE.a)
    np.testing.assert_array_equal(limits.x, np.concatenate([CURVE.a, CURVE.a[::-1]]))
    np.testing.assert_allclose(limits.y[:k], 100 * CURVE.high)
    np.testing.assert_allclose(limits.y[k:], 100 * CURVE.low[::-1])
    assert "95 % each, one-sided" in limits.name and limits.line.dash != (fitted.line.dash or "solid")


def test_pod_says_what_it_is_and_what_it_is_not() -> None:
    layout = pod().layout
    assert layout.title.text == "Probability of detection of graded spots at threshold 28.20"
    assert "not evidence about real defects" in layout.title.subtitle.text
    assert layout.xaxis.title.text == "size in px" and "%" in layout.yaxis.title.text
    assert pod(unit="mm").layout.xaxis.title.text == "size in px (mm)"
    assert pod(unit="").layout.xaxis.title.text == "size in px"


def test_pod_marks_three_sizes_by_symbol_and_name() -> None:
    figure = pod()
    found = marks(figure)
    assert {name: (m.x, m.y[1]) for name, m in found.items()} == {
        "a50": ((CURVE.a50, CURVE.a50), 50),
        "a90": ((CURVE.a90, CURVE.a90), 90),
        "a90/95": ((CURVE.a90_95, CURVE.a90_95), 90),
    }
    assert len({m.marker.symbol for m in found.values()}) == len({m.line.dash for m in found.values()}) == 3
    lines = key_text(figure).split("<br>")
    assert f"a50 = {CURVE.a50:.3g} px</b>: half" in lines[0] and f"a90 = {CURVE.a90:.3g} px</b>: nine" in lines[1]
    assert f"a90/95 = {CURVE.a90_95:.3g} px</b>: with 95 % confidence" in lines[2]


def test_pod_shows_each_spot_above_or_below_and_open_where_missed() -> None:
    spots = named(pod(), "graded spots")
    assert spots.name == "graded spots: 47 of 80 found (open: missed)"
    assert sorted(spots.x) == sorted(A)
    is_open = np.array([symbol.endswith("-open") for symbol in spots.marker.symbol])
    y = np.array(spots.y)
    assert (y[is_open] < 0).all() and (y[~is_open] > 100).all()
    for size in np.unique(A):
        at = np.array(spots.x) == size
        assert np.count_nonzero(at & ~is_open) == np.count_nonzero(FOUND[size == A])
        assert len(set(y[at])) == at.sum()  # equal ones do not hide each other
    assert pod() == pod()


def test_pod_keeps_real_ng_in_a_strip_of_their_own_with_their_names() -> None:
    a, found = np.array([3.0, 60.0, 10.0]), np.array([False, True, True])
    figure = pod(real_a=a, real_found=found, real_names=("s.png", "l.png", "m.png"))
    real, spots = named(figure, "real NG"), named(figure, "graded spots")
    assert real.name == "real NG: 2 of 3 found (open: missed)"
    assert list(zip(real.x, [row[0] for row in real.customdata], real.marker.symbol, strict=True)) == [
        (60.0, "l.png", "square"),
        (10.0, "m.png", "square"),
        (3.0, "s.png", "square-open"),
    ]
    assert min(y for y in real.y if y > 0) > max(spots.y) and max(y for y in real.y if y < 0) < min(spots.y)
    low, high = figure.layout.yaxis.range
    assert low < min(real.y) and max(real.y) < high
    assert figure.layout.xaxis.range[1] > np.log10(60)
    assert {trace.name for trace in pod(real_a=np.empty(0)).data} == {trace.name for trace in pod().data}


def test_hundreds_of_real_ng_are_drawn_small_and_see_through() -> None:
    a = np.geomspace(3, 60, 300)
    real = named(pod(real_a=a, real_found=a > 9, real_names=tuple(map(str, a))), "real NG")
    assert real.marker.size < 9 and real.marker.opacity < 0.7


def test_pod_without_a_curve_shows_hits_misses_and_the_reason() -> None:
    curve = pod_curve(A, A > 5, measure="size in px")
    figure = pod(curve, found=A > 5)
    (spots,) = figure.data
    assert np.count_nonzero(np.array(spots.y) > 100) == 48 and not marks(figure)
    assert key_text(figure).replace("<br>", " ") == f"No curve: {curve.reason}"
    assert max(map(len, key_text(figure).split("<br>"))) <= 64
    markup = replace(curve, reason="detection falls with a<b")
    assert key_text(pod(markup, found=A > 5)) == "No curve: detection falls with a&lt;b"


def test_pod_names_what_is_extrapolated_and_what_is_out_of_reach() -> None:
    near = pod(replace(CURVE, a90_95=50.0))
    assert "a90/95 = 50 px</b> (extrapolated)" in key_text(near)
    assert marks(near)["a90/95"].x[0] == 50.0 and near.layout.xaxis.range[1] > np.log10(50)
    assert marks(near)["a90/95"].textposition.endswith("left")  # the name would leave the axis on the right
    far = pod(replace(CURVE, a90_95=7.1e18))
    assert "a90/95</b> lies far beyond what was tested" in key_text(far) and set(marks(far)) == {"a50", "a90"}
    assert far.layout.xaxis.range == pod(replace(CURVE, a90_95=None)).layout.xaxis.range
    assert "a90/95</b> is not reached" in key_text(pod(replace(CURVE, a90_95=None)))


def test_pod_on_a_plain_scale() -> None:
    a = np.linspace(0.0, 1.0, 40)
    found = np.sin(40 * a) + 6 * a > 3
    figure = pod(pod_curve(a, found, measure="severity", log_scale=False), a, found, unit="")
    assert figure.layout.xaxis.type is None
    assert figure.layout.xaxis.range[0] < 0 < 1 < figure.layout.xaxis.range[1]
    assert "px" not in key_text(figure)


def test_log_axis_has_plain_numbers() -> None:
    axis = pod().layout.xaxis
    assert axis.type == "log" and axis.ticktext == tuple(_plain(tick) for tick in axis.tickvals)
    assert axis.ticktext == ("2", "3", "5", "7", "10", "15", "20", "30")
    assert _plain(2000000.0) == "2000000" and _plain(0.00005) == "0.00005" and _plain(12.345) == "12.3"


@given(st.floats(-4, 4), st.floats(0.01, 8))
def test_ticks_of_any_log_axis_are_inside_and_enough(low: float, span: float) -> None:
    ticks = _log_ticks(low, low + span)
    assert len(ticks) >= 5 and (np.diff(ticks) > 0).all()
    assert low <= math.log10(ticks[0]) + 1e-9 and math.log10(ticks[-1]) <= low + span + 1e-9


def test_pod_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="47 of 80 found, got 46 of 79"):
        pod(a=A[1:], found=FOUND[1:])
    with pytest.raises(ShapeError, match="one bool per graded NG"):
        pod(found=FOUND.astype(int))
    with pytest.raises(ShapeError, match="one bool per real NG"):
        pod(real_a=A, real_names=tuple(map(str, A)))
    with pytest.raises(ShapeError, match="one name per real NG, got 0 for 1"):
        pod(real_a=np.ones(1), real_found=np.ones(1, bool))
    for wrong in (0.0, np.nan):
        with pytest.raises(ShapeError, match="finite positive measures of real NG"):
            pod(real_a=np.array([wrong]), real_found=np.ones(1, bool), real_names=("x",))


# --- ranges -----------------------------------------------------------------------------------------------------------

ROWS = (
    Spread(RECOMMENDED, "which OK images were drawn", 23.5, 25.0, 24.5, 1000),
    Spread(YOUDEN, "which images were drawn", 22.0, 24.0, 23.5, 1000),
    Spread(YOUDEN, "generator", 23.5, 26.0, 23.5, 3, ("own <texture>", "a generator with a name that is very long")),
    Spread(RECALL, "generator", 0.25, 1.0, 0.75, 3, ("weak", "strong")),
)


def bars(figure: go.Figure) -> list[go.Bar]:
    return [trace for trace in figure.data if trace.type == "bar"]


def test_ranges_draw_one_quantity_from_end_to_end() -> None:
    figure = charts.spreads(ROWS, YOUDEN, unit="feature distance")
    drawn, named_ends = bars(figure)
    assert (drawn.base, drawn.x, named_ends.base, named_ends.x) == ((22.0,), (2.0,), (23.5,), (2.5,))
    assert drawn.marker.pattern.shape != named_ends.marker.pattern.shape
    assert drawn.name == "2.5 to 97.5 % of n = 1,000 bootstrap draws"
    assert named_ends.name == "lowest to highest of n = 3 values"
    assert figure.layout.yaxis.ticktext == ("which images were drawn<br>n = 1,000 draws", "generator<br>n = 3 values")
    assert figure.layout.xaxis.title.text == "Youden threshold (feature distance)"
    (diamonds,) = [trace for trace in figure.data if trace.type == "scatter"]
    assert diamonds.x == (23.5, 23.5) and diamonds.marker.symbol == "diamond"
    assert [shape.x0 for shape in figure.layout.shapes] == [23.5]


def test_ranges_say_at_each_end_the_number_and_what_gave_it() -> None:
    texts = {(a.x, a.xanchor): a.text for a in charts.spreads(ROWS, YOUDEN, unit="").layout.annotations}
    assert texts[23.5, "right"] == "<b>23.50</b><br>own &lt;texture&gt;"
    assert texts[26.0, "left"] == "<b>26.00</b><br>a generator with a<br>name that is very long"
    assert texts[22.0, "right"] == "<b>22.00</b>"
    assert texts[23.5, None] == "Youden threshold in use 23.50"


def test_a_recall_is_drawn_in_percent_and_is_no_evidence() -> None:
    figure = charts.spreads(ROWS, RECALL, unit="%")
    (bar,) = bars(figure)
    assert (bar.base, bar.x) == ((25.0,), (75.0,))
    assert "not evidence" in figure.layout.title.subtitle.text
    assert any("75.0\u00a0%" in a.text for a in figure.layout.annotations)
    assert max(figure.layout.xaxis.tickvals) == 100 < figure.layout.xaxis.range[1]


def test_what_the_synthetic_ng_cannot_move_has_the_colour_of_the_good_parts() -> None:
    (bar,) = bars(charts.spreads(ROWS, RECOMMENDED, unit=""))
    assert bar.marker.color == theme.STYLES["ok"].colour
    assert bars(charts.spreads(ROWS, YOUDEN, unit=""))[0].marker.color == theme.STYLES["synthetic"].colour


def test_a_range_of_nothing_still_draws() -> None:
    figure = charts.spreads([Spread(YOUDEN, "generator", 3.0, 3.0, 3.0, 2, ("a", "b"))], YOUDEN, unit="")
    low, high = figure.layout.xaxis.range
    assert low < 3.0 < high and bars(figure)[0].x == (0.0,)


def test_ranges_refuse_none_and_two_values_in_use() -> None:
    with pytest.raises(ShapeError, match="got 0"):
        charts.spreads(ROWS[:1], YOUDEN, unit="")
    with pytest.raises(ShapeError, match="got 2 about 2 values"):
        charts.spreads([ROWS[1], replace(ROWS[1], at=22.5)], YOUDEN, unit="")


@given(st.floats(-60, 99), st.floats(2.5, 160))
def test_percent_ticks_stay_between_0_and_100(low: float, span: float) -> None:
    ticks = _percent_ticks(low, low + span)
    assert all(max(low, 0) - 1e-9 <= tick <= min(low + span, 100) + 1e-9 for tick in ticks)
    assert len(ticks) >= 4 or min(low + span, 100) - max(low, 0) < 2.5


# --- ranks ------------------------------------------------------------------------------------------------------------

SYNTHETIC = np.array([5.0, 1.0, 4.0, 2.0, 3.0])


def ranks_of(synthetic: np.ndarray, real: np.ndarray) -> list[float]:
    return [float(((synthetic < x).sum() + (synthetic == x).sum() / 2) / len(synthetic)) for x in real]


def ranks(synthetic: np.ndarray, real: np.ndarray) -> go.Figure:
    names = tuple(f"{i}.png" for i in range(len(real)))
    return charts.transfer_ranks(synthetic, real, names, ranks_of(synthetic, real), "own texture")


def share_drawn(line: go.Scatter, score: float) -> float:
    """What the steps say at a score: the height reached last."""
    assert line.line.shape == "hv"
    return max(y for x, y in zip(line.x, line.y, strict=True) if x <= score)


def test_steps_are_the_share_of_synthetic_ng_at_or_below() -> None:
    line, _ = ranks(SYNTHETIC, np.array([0.5, 9.0])).data
    assert list(zip(line.x, line.y, strict=True))[1:-1] == [(1, 20), (2, 40), (3, 60), (4, 80), (5, 100)]
    assert line.y[0] == 0 and line.y[-1] == 100
    assert [share_drawn(line, score) for score in (0.9, 1.0, 3.5, 9.0)] == [0, 20, 60, 100]
    assert line.name == "synthetic NG, own texture, n = 5"


def test_real_ng_are_squares_at_their_score_and_rank_on_the_steps() -> None:
    real = np.array([3.5, 0.5, 9.0, 1.5])
    line, squares = ranks(SYNTHETIC, real).data
    assert (list(squares.x), list(squares.y)) == (list(real), [60.0, 0.0, 100.0, 20.0])
    assert [share_drawn(line, x) for x in squares.x] == list(squares.y)
    assert squares.marker.symbol == "square" and squares.name == "real NG, n = 4"
    assert [row[0] for row in squares.customdata] == ["0.png", "1.png", "2.png", "3.png"]


def test_many_synthetic_ng_are_thinned_below_what_can_be_seen() -> None:
    rng = np.random.default_rng(0)
    synthetic, real = rng.gamma(45, 0.62, 5000), rng.gamma(40, 0.7, 300)
    line, squares = ranks(synthetic, real).data
    assert len(line.x) <= MAX_STEPS + 2
    off = [abs(share_drawn(line, x) - y) for x, y in zip(squares.x, squares.y, strict=True)]
    assert max(off) <= 100 / MAX_STEPS + 0.1
    assert squares.marker.opacity < 0.5 and squares.marker.size < 12


def test_lines_at_5_and_95_percent_are_named_where_the_steps_do_not_run() -> None:
    middle = ranks(np.linspace(1, 9, 50), np.array([0.0, 10.0])).layout
    assert [shape.y0 for shape in middle.shapes] == [5, 95]
    assert [(a.y, a.xanchor) for a in middle.annotations] == [(95, "left"), (5, "right")]
    left = ranks(np.linspace(1, 2, 50), np.array([0.0, 10.0])).layout
    assert [a.xanchor for a in left.annotations] == ["right", "right"]
    right = ranks(np.linspace(8, 9, 50), np.array([0.0, 10.0])).layout
    assert [a.xanchor for a in right.annotations] == ["left", "left"]


def test_ranks_refuse_what_does_not_fit() -> None:
    real = np.array([1.0, 2.0])
    for synthetic, names, given_ranks in (
        (np.empty(0), ("a", "b"), (0.1, 0.2)),
        (SYNTHETIC, ("a",), (0.1, 0.2)),
        (SYNTHETIC, ("a", "b"), (0.1,)),
    ):
        with pytest.raises(ShapeError, match="one name and one rank per real NG"):
            charts.transfer_ranks(synthetic, real, names, given_ranks, "own texture")
    with pytest.raises(ShapeError, match="finite scores"):
        charts.transfer_ranks(SYNTHETIC, np.array([np.nan]), ("a",), (0.1,), "own texture")
    assert len(ranks(np.array([2.0]), np.array([2.0])).data) == 2
