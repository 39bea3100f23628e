"""Figures say what they show, and one table of colours holds everywhere."""

import re
import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.counts import counts_at
from calibration.curves import auroc, roc_band
from calibration.pod import pod_curve
from calibration.resampling import BootstrapBand, bootstrap_band
from calibration.robustness import RECALL, YOUDEN, Spread
from ias_core import overlay
from ias_core.errors import ShapeError
from pages.ui import charts, theme
from pages.ui.charts.roc_curves import MAX_POINTWISE, thinned

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def group(key: str, scores: list[float] | np.ndarray) -> charts.ScoreGroup:
    scores = np.asarray(scores, float)
    return charts.ScoreGroup(key, f"{key} label", scores, tuple(f"{key}_{i}.png" for i in range(len(scores))))


def roc_of(ok: np.ndarray, ng: np.ndarray, threshold: float, **more) -> go.Figure:
    return charts.roc(
        [("real", "Real NG", roc_band(ok, ng), auroc(ok, ng))],
        [("real", "Threshold", counts_at(ok, threshold), counts_at(ng, threshold))],
        **more,
    )


def band_of(ok: np.ndarray, ng: np.ndarray) -> BootstrapBand:
    return bootstrap_band(ok, ng, rng=np.random.default_rng(3), draws=50)


def pod_of(found_from: float | None = None) -> go.Figure:
    rng = np.random.default_rng(2)
    a = np.exp(rng.uniform(np.log(2), np.log(40), 80))
    found = a >= found_from if found_from else rng.random(80) < 1 / (1 + (6 / a) ** 4)
    return charts.pod(
        pod_curve(a, found, measure="size in px"),
        graded_a=a,
        graded_found=found,
        real_a=np.array([5.0, 50.0]),
        real_found=np.array([False, True]),
        real_names=("small.png", "large.png"),
        threshold=28.2,
        unit="px",
    )


def ruler_of(**more) -> go.Figure:
    recall = {"1 patch": np.array([0.0, 0.5]), "16 patches": np.array([0.4, 1.0])}
    smallest = {"1 patch": None, "16 patches": 1.0}
    return charts.ruler(np.array([0.5, 1.0]), recall, 12.5, smallest, "shift in R = 8.1", unit="R", n=40, **more)


def every_figure() -> dict[str, go.Figure]:
    rng = np.random.default_rng(0)
    ok, synthetic, real = rng.normal(9, 1, 200), rng.normal(12, 2, 50), rng.normal(13, 2, 11)
    return {
        "scores": charts.score_distribution(
            [group("ok", ok), group("synthetic", synthetic), group("real", real)], 11.0, 10.5
        ),
        "scores with review": charts.score_distribution([group("ok", ok)], 11.0, 10.5, review_from=10.0),
        "roc": roc_of(ok, real, 11.0),
        "roc with pointwise limits": roc_of(ok, real, 11.0, pointwise={"Real NG": band_of(ok, real)}),
        "ruler": ruler_of(),
        "ruler with marks": ruler_of(marks={"CutOut": 2.0, "own texture": 1.0, "foreign texture": 1.01}),
        "projection": charts.projection(
            {
                "ok": rng.normal(size=(3000, 2)),
                "bank": rng.normal(size=(30, 2)),
                "synthetic": rng.normal(size=(20, 2)),
            },
            (0.4, 0.1),
        ),
        "sources": charts.loo_histogram(ok[:80], ok[80:160], ok[160:]),
        "pod": pod_of(),
        "pod without a curve": pod_of(found_from=5.0),
        "spreads": charts.spreads(
            [
                Spread(YOUDEN, "which images were drawn", 10.0, 12.0, 11.0, 1000),
                Spread(YOUDEN, "generator", 10.5, 14.0, 11.0, 3, ("a", "b")),
            ],
            YOUDEN,
            unit="feature distance",
        ),
        "spreads of a recall": charts.spreads(
            [Spread(RECALL, "generator", 0.2, 1.0, 0.9, 3, ("a", "b"))], RECALL, unit="%"
        ),
        "ranks": charts.transfer_ranks(
            synthetic,
            real,
            tuple(map(str, range(11))),
            [float((synthetic < x).mean()) for x in real],
            "own texture",
        ),
    }


@pytest.mark.parametrize("name", every_figure())
def test_figure_has_title_axes_legend_with_n_and_no_background(name: str) -> None:
    figure = every_figure()[name]
    layout = figure.layout
    assert layout.title.text and layout.title.subtitle.text and layout.height
    assert layout.showlegend and layout.template.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"
    axes = [axis for axis in layout.to_plotly_json() if axis.startswith(("xaxis", "yaxis"))]
    assert axes and all(layout[axis].title.text for axis in axes)
    listed = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert listed and all(re.search(r"n = \d| of \d", text) for text in listed)
    assert all(trace.hovertemplate for trace in figure.data if trace.hoverinfo != "skip")
    for trace in figure.data:
        for values in (trace.x, trace.y):
            assert np.isfinite(np.asarray(values, float)).all()


def test_bars_count_every_score_and_name_the_highest_file_of_a_bin() -> None:
    figure = charts.score_distribution([group("ok", [1.0, 1.001, 2.0, 9.0, 9.0])], None, None)
    (bars,) = figure.data
    assert bars.type == "bar" and sum(bars.y) == 5
    assert [row[0] for row in bars.customdata] == ["ok_1.png", "ok_2.png", "ok_4.png"]


def test_many_ok_scores_are_never_single_points() -> None:
    ok = np.random.default_rng(0).gamma(30, 0.3, 5000)
    (bars,) = charts.score_distribution([group("ok", ok)], 12.0, None).data
    assert bars.type == "bar" and len(bars.x) <= 240 and sum(bars.y) == 5000


def test_real_ng_at_the_threshold_is_caught_and_below_it_open_with_its_name() -> None:
    figure = charts.score_distribution([group("ok", [1.0, 4.0]), group("real", [3.0, 2.0, 1.0])], 2.0, None)
    dots = figure.data[1]
    assert list(dots.x) == [1.0, 2.0, 3.0]
    assert list(dots.marker.symbol) == ["square-open", "square", "square"]
    assert [row[0] for row in dots.customdata] == ["real_2.png", "real_1.png", "real_0.png"]
    assert list(dots.text) == ["real_2.png", "", ""]


def test_a_missed_ng_is_named_only_where_no_dot_stands_above_its_name() -> None:
    figure = charts.score_distribution([group("ok", [1.0, 99.0]), group("real", [20.0, 50.0, 50.0, 50.0])], 60.0, None)
    assert list(figure.data[1].text) == ["real_0.png", "", "", "real_3.png"]


def test_equal_real_scores_stack_instead_of_hiding_each_other() -> None:
    figure = charts.score_distribution([group("ok", [1.0, 4.0]), group("real", [3.0] * 4)], None, None)
    assert list(figure.data[1].y) == [1, 2, 3, 4]


def test_many_real_ng_become_a_histogram() -> None:
    scores = np.linspace(1, 2, charts.MAX_DOTS + 1)
    assert charts.score_distribution([group("real", scores)], 1.5, None).data[0].type == "bar"


def test_markup_in_a_file_name_is_shown_as_text() -> None:
    real = charts.ScoreGroup("real", "Real NG", np.array([1.0]), ("a<b>&.png",))
    dots = charts.score_distribution([group("ok", [1.0, 4.0]), real], 2.0, None).data[1]
    assert dots.text[0] == "a&lt;b&gt;&amp;.png" and dots.customdata[0][0] == "a<b>&.png"


def test_nothing_jumps_while_the_threshold_moves() -> None:
    groups = [group("ok", [1.0, 2.0, 3.0]), group("real", [2.5, 4.0])]
    figures = [charts.score_distribution(groups, threshold, 3.0) for threshold in (0.0, 1.7, 3.0, 99.0)]
    axes = [
        {name: value for name, value in figure.layout.to_plotly_json().items() if "axis" in name} for figure in figures
    ]
    assert all(axis == axes[0] for axis in axes)
    assert len({tuple(trace.name for trace in figure.data) for figure in figures}) == 1


def test_review_band_reaches_from_its_start_to_the_threshold_and_is_dotted_and_named() -> None:
    groups = [group("ok", [1.0, 2.0, 3.0, 9.0])]
    figure = charts.score_distribution(groups, 3.0, None, review_from=2.0)
    colour, dash = theme.fill("review", 0.3), theme.STYLES["review"].dash
    assert [(s.x0, s.x1) for s in figure.layout.shapes if s.fillcolor == colour] == [(2.0, 3.0)]
    assert [s.x0 for s in figure.layout.shapes if s.line.dash == dash] == [2.0]
    assert any("review" in a.text for a in figure.layout.annotations)
    assert "review" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    ("threshold", "review_from"),
    [(3.0, None), (3.0, 3.0), (3.0, 4.0), (3.0, np.inf), (3.0, np.nan), (None, 2.0), (np.inf, 2.0)],
)
def test_no_review_band_where_there_is_nothing_between(threshold: float | None, review_from: float | None) -> None:
    groups = [group("ok", [1.0, 2.0, 3.0, 9.0])]
    figure = charts.score_distribution(groups, threshold, None, review_from=review_from)
    assert figure == charts.score_distribution(groups, threshold, None)


def test_review_band_moves_no_axis_and_stays_inside() -> None:
    groups = [group("ok", [1.0, 2.0, 3.0]), group("real", [2.5, 4.0])]
    without = charts.score_distribution(groups, 3.0, 3.0)
    for review_from in (2.0, -50.0):
        figure = charts.score_distribution(groups, 3.0, 3.0, review_from=review_from)
        assert figure.data == without.data and figure.layout.height == without.layout.height
        assert figure.layout.xaxis == without.layout.xaxis and figure.layout.yaxis2 == without.layout.yaxis2
        assert all(s.x0 >= without.layout.xaxis.range[0] for s in figure.layout.shapes)


def test_threshold_and_recommended_are_labelled_and_one_label_when_equal() -> None:
    groups = [group("ok", [10.0, 12.0])]
    apart = [a.text for a in charts.score_distribution(groups, 12.0, 11.0).layout.annotations]
    assert any("threshold 12.00" in text for text in apart) and "recommended 11.00" in apart
    (label,) = charts.score_distribution(groups, 11.0, 11.0).layout.annotations
    assert "threshold 11.00" in label.text and "= recommended" in label.text
    assert not charts.score_distribution(groups, None, None).layout.annotations
    assert not charts.score_distribution(groups, np.inf, None).layout.annotations


def test_empty_group_says_so_and_equal_scores_still_draw() -> None:
    figure = charts.score_distribution([group("ok", [2.0, 2.0]), group("real", [])], 2.0, None)
    assert figure.data[1].name == "real label, n = 0"
    assert "real label: none yet" in [a.text for a in figure.layout.annotations]
    assert sum(figure.data[0].y) == 2


def test_score_group_refuses_what_cannot_be_drawn() -> None:
    with pytest.raises(ShapeError, match="one name per score"):
        charts.ScoreGroup("ok", "OK", np.ones(2), ("a",))
    with pytest.raises(ShapeError, match="finite"):
        group("ok", [1.0, np.nan])
    with pytest.raises(ShapeError, match="key"):
        group("good", [1.0])
    with pytest.raises(ShapeError, match="at least one score"):
        charts.score_distribution([group("ok", [])], None, None)
    with pytest.raises(ShapeError, match="at least one score"):
        charts.loo_histogram(None, np.empty(0), None)


@given(
    st.integers(2, 3000).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.05, 0.5]))
    )
)
def test_thinning_keeps_both_ends_and_at_most_the_limit(drawn: tuple[int, int, float]) -> None:
    n, seed, zoom = drawn
    rng = np.random.default_rng(seed)
    fpr, recall = (np.concatenate([[0], np.sort(rng.random(n)), [1]]) for _ in range(2))
    kept = thinned(fpr, recall, zoom)
    assert kept[0] == 0 and kept[-1] == n + 1 and len(kept) <= charts.MAX_VERTICES
    assert (np.diff(kept) > 0).all()


def test_thinned_roc_stays_on_the_full_curve() -> None:
    rng = np.random.default_rng(1)
    ok, ng = rng.normal(0, 1, 5000), rng.normal(2, 1, 500)
    band = roc_band(ok, ng)
    line = next(trace for trace in roc_of(ok, ng, 1.0).data if trace.mode == "lines" and trace.name)
    assert len(line.x) <= charts.MAX_VERTICES
    full = np.interp(line.customdata[1:], band.curve.thresholds[:0:-1], band.curve.recall[:0:-1])
    np.testing.assert_allclose(np.array(line.y[1:]), 100 * full)
    steps = np.diff(line.x).max(), np.diff(line.y).max()
    assert max(steps) <= 1.5  # percent: what lies between two kept points is thinner than the line


def test_roc_band_is_drawn_in_the_window_only_where_it_bounds_something() -> None:
    rng = np.random.default_rng(1)
    few = roc_of(rng.normal(0, 1, 50), rng.normal(3, 1, 20), 2.0)
    many = roc_of(rng.normal(0, 1, 5000), rng.normal(3, 1, 500), 2.0)
    assert sum(trace.fill == "toself" for trace in few.data) == 1
    assert sum(trace.fill == "toself" for trace in many.data) == 2
    assert any("would fill this window" in a.text for a in few.layout.annotations)
    assert not any("would fill this window" in a.text for a in many.layout.annotations)


def test_pointwise_limits_are_the_band_in_both_panels_with_one_entry() -> None:
    rng = np.random.default_rng(1)
    ok, ng = rng.normal(0, 1, 300), rng.normal(2, 1, 200)
    band = band_of(ok, ng)
    figure = roc_of(ok, ng, 1.0, pointwise={"Real NG": band})
    limits = [trace for trace in figure.data if "bootstrap" in (trace.name or "")]
    assert [trace.xaxis for trace in limits] == [None, "x2"] and limits[1].showlegend is False
    assert limits[0].name == "Real NG: pointwise 95 %, bootstrap of 50 draws"
    for trace in limits:
        assert trace.fill is None and trace.line.dash == "dot" and trace.line.width < 2
        x, y = np.array(trace.x) / 100, np.array(trace.y) / 100
        half = len(x) // 2
        assert half <= MAX_POINTWISE < len(band.fpr) and x[0] == 0 and x[half - 1] == x[half] == 1
        place = np.searchsorted(band.fpr, x[:half] - 1e-12)
        np.testing.assert_allclose(y[:half], band.low[place])
        np.testing.assert_allclose(y[half:], band.high[place][::-1])


def test_pointwise_limits_of_two_curves_of_one_origin_differ_in_dash() -> None:
    rng = np.random.default_rng(1)
    ok, ng = rng.normal(0, 1, 100), rng.normal(2, 1, 50)
    curves = [("synthetic", label, roc_band(ok, ng), auroc(ok, ng)) for label in ("one", "two")]
    figure = charts.roc(curves, [], pointwise={"one": band_of(ok, ng), "two": band_of(ok, ng)})
    dashes = [t.line.dash for t in figure.data if "bootstrap" in (t.name or "") and t.xaxis is None]
    assert len(set(dashes)) == 2


def test_window_without_a_band_says_that_the_dotted_lines_are_pointwise() -> None:
    rng = np.random.default_rng(1)
    few, ng = rng.normal(0, 1, 50), rng.normal(3, 1, 20)
    many, many_ng = rng.normal(0, 1, 5000), rng.normal(3, 1, 500)

    def says(ok, ng, pointwise) -> bool:
        texts = [a.text for a in roc_of(ok, ng, 2.0, pointwise=pointwise).layout.annotations]
        return any("pointwise only" in text for text in texts)

    assert says(few, ng, {"Real NG": band_of(few, ng)})
    assert not says(few, ng, None) and not says(few, ng, {"Real NG": None})
    assert not says(many, many_ng, {"Real NG": band_of(many, many_ng)})


def test_pointwise_limits_of_a_curve_that_is_not_drawn_are_refused() -> None:
    ok, ng = np.arange(20.0), np.arange(10.0, 30.0)
    with pytest.raises(ShapeError, match="drawn curves only, got other"):
        roc_of(ok, ng, 19.0, pointwise={"other": band_of(ok, ng)})
    assert roc_of(ok, ng, 19.0, pointwise={"Real NG": None}) == roc_of(ok, ng, 19.0)


def test_roc_makes_room_for_its_legend_and_keeps_its_height_while_the_threshold_moves() -> None:
    ok, ng = np.arange(200.0), np.arange(100.0, 300.0)
    layouts = [roc_of(ok, ng, threshold).layout for threshold in (0.0, 150.0, 400.0)]
    assert len({(layout.height, layout.margin.b) for layout in layouts}) == 1
    longer = roc_of(ok, ng, 150.0, pointwise={"Real NG": band_of(ok, ng)}).layout
    assert longer.height - longer.margin.b == layouts[0].height - layouts[0].margin.b
    assert longer.height > layouts[0].height


def test_roc_marks_the_operating_point_with_its_exact_limits() -> None:
    ok, ng = np.arange(20.0), np.array([18.0, 25.0, 30.0])
    figure = roc_of(ok, ng, 19.0)
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(points) == 2 and points[0].x == (5.0,) and points[0].y[0] == pytest.approx(200 / 3)
    assert "1 of 20 good parts rejected, 2 of 3 caught" in points[0].name
    bound = counts_at(ok, 19.0)
    assert points[0].error_x.array[0] == pytest.approx(100 * (bound.high - bound.estimate))


def test_ruler_says_per_region_what_is_found() -> None:
    names = [trace.name for trace in ruler_of().data]
    assert names == [
        "1 patch: not found at any tested shift, n = 40 per point",
        "16 patches: found from 1 R on, n = 40 per point",
    ]
    assert "not evidence" in ruler_of().layout.title.subtitle.text


def test_ruler_marks_every_picture_method_and_names_those_that_do_not_hide_each_other() -> None:
    figure = ruler_of(marks={"CutOut": 2.0, "own texture": 1.0, "foreign texture": 1.01})
    marks = figure.data[-1]
    assert list(zip(marks.text, marks.x, strict=True)) == [
        ("CutOut", 2.0),
        ("own texture", 1.0),
        ("foreign texture", 1.01),
    ]
    assert [note.text for note in figure.layout.annotations] == ["90 % counts as found", "own texture", "CutOut"]


def test_projection_thins_evenly_and_says_so() -> None:
    cloud = np.column_stack([np.arange(5000.0), np.zeros(5000)])
    (trace,) = charts.projection({"ok": cloud}, (0.5, 0.2)).data
    assert len(trace.x) == charts.MAX_CLOUD and trace.x[0] == 0 and trace.x[-1] == 4999
    assert trace.name == "OK patches, n = 5,000 (800 drawn)"
    with pytest.raises(ShapeError, match="projection"):
        charts.projection({"ok": np.ones((3, 3))}, (0.5, 0.2))


def test_overlay_has_one_scale_for_all_pictures() -> None:
    image = np.full((4, 5, 3), 0.5, np.float32)
    amap = np.full((4, 5), 2.0)
    amap[1, 1], amap[2, 2] = 10.0, 50.0
    before = image.copy(), amap.copy()
    shown = overlay.anomaly_overlay(image, amap, vmin=2.0, vmax=10.0, opacity=1.0)
    assert shown.shape == (4, 5, 3) and shown.dtype == np.uint8
    assert (shown[0, 0] == 128).all()  # at vmin the picture is untouched
    assert (shown[1, 1] == shown[2, 2]).all()  # above vmax nothing changes any more
    alone = overlay.anomaly_overlay(image, np.full((4, 5), 10.0), vmin=2.0, vmax=10.0, opacity=1.0)
    assert (alone == shown[1, 1]).all()  # the picture's own maximum plays no part
    assert (overlay.anomaly_overlay(image, amap, vmin=2.0, vmax=10.0, opacity=0.0) == 128).all()
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(amap, before[1])


@pytest.mark.parametrize(
    ("shape", "scale", "opacity"),
    [((4, 6), (0, 1), 0.5), ((4, 5), (1, 1), 0.5), ((4, 5), (0, np.nan), 0.5), ((4, 5), (0, 1), 1.5)],
)
def test_overlay_refuses(shape: tuple[int, int], scale: tuple[float, float], opacity: float) -> None:
    with pytest.raises(ShapeError, match="overlay"):
        overlay.anomaly_overlay(np.zeros((4, 5, 3)), np.zeros(shape), vmin=scale[0], vmax=scale[1], opacity=opacity)


# Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009) 1291-1298, severity 1.0, on linear RGB
VISION = {
    "normal": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protan": [0.1523, 1.0526, -0.2049, 0.1145, 0.7863, 0.0992, -0.0039, -0.0481, 1.0520],
    "deutan": [0.3673, 0.8606, -0.2280, 0.2801, 0.6725, 0.0474, -0.0118, 0.0429, 0.9689],
    "tritan": [1.2555, -0.0767, -0.1788, -0.0784, 0.9308, 0.1476, 0.0047, 0.6914, 0.3039],
}


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("vision", VISION)
def test_evidence_colours_differ_for_every_eye(vision: str) -> None:
    eye = np.reshape(VISION[vision], (3, 3))
    seen = {key: lab(eye @ linear(theme.STYLES[key].colour)) for key in ("ok", "synthetic", "real")}
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 30, (one, other)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_evidence_outlines_stand_out_from_the_page(mode: str) -> None:
    page = CONFIG["theme"][mode]["backgroundColor"]
    for key, style in theme.STYLES.items():
        assert contrast(style.outline, page) >= 3, key
    assert contrast(CONFIG["theme"][mode]["textColor"], page) >= 7


def test_evidence_differs_in_more_than_colour() -> None:
    styles = [theme.STYLES[key] for key in ("ok", "synthetic", "real")]
    assert len({style.symbol for style in styles}) == len({style.hatch for style in styles}) == 3
    assert len({style.glyph for style in theme.STYLES.values()}) == len(theme.STYLES)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_config_uses_the_colours_of_the_theme(mode: str) -> None:
    colours = [style.colour for style in theme.STYLES.values()]
    section = CONFIG["theme"][mode]
    assert section["chartCategoricalColors"] == colours
    assert [section["blueColor"], section["orangeColor"], section["redColor"]] == colours[:3]


def test_css_uses_the_colours_of_the_theme() -> None:
    css = theme.STYLE_CSS.read_text(encoding="utf-8")
    chips = dict(re.findall(r"\.chip-(\w+) \{ --chip: (#\w{6})", css))
    assert chips == {key: style.colour for key, style in theme.STYLES.items()}
    assert "http" not in css and theme.ICON.read_bytes().startswith(b"\x89PNG")


def test_overlay_refuses_a_map_with_nan() -> None:
    with pytest.raises(ShapeError, match="finite"):
        overlay.anomaly_overlay(np.zeros((1, 1, 3)), np.array([[np.nan]]), vmin=0, vmax=1, opacity=1)


def test_config_keeps_the_app_local_quiet_and_opening_a_browser() -> None:
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert "headless" not in CONFIG["server"] and CONFIG["server"]["showEmailPrompt"] is False
    assert CONFIG["browser"]["gatherUsageStats"] is False
