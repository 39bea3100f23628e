"""Any finite scores and any settings give a threshold or a reason: numbers in their range, no warning, one error."""

import json
import math
import warnings
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.bounds import rate_bound
from calibration.curves import auroc, roc_band
from calibration.errors import CalibrationError
from calibration.outliers import outliers
from calibration.policy import ThresholdConfig, all_choices, preferred, recommend
from calibration.resampling import bootstrap_band
from calibration.robustness import RECOMMENDED, SeedScores, robustness
from calibration.rules import RULES, is_ng, title_of

BIGGEST = 9e29  # just below what is taken for a placeholder


@pytest.fixture(autouse=True)
def every_warning_is_an_error():
    with warnings.catch_warnings(), np.errstate(over="warn", divide="warn", invalid="warn"):
        warnings.simplefilter("error")
        yield


@st.composite
def scores(draw, most=120):
    """What a scorer may give: continuous, tied, equal, next to equal, far apart, zero, negative, huge, minute."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    n = draw(st.sampled_from([1, 2, 3, 7, 8, 9, 19, 20, 59, 60, most, 600]) | st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    made = draw(
        st.sampled_from(
            [
                lambda: rng.gamma(30.0, 1.0 / 6.0, n),
                lambda: rng.integers(0, 5, n),
                lambda: np.full(n, rng.uniform(0.0, 9.0)),
                lambda: np.where(rng.uniform(size=n) < 0.9, 3.0, rng.uniform(1.0, 9.0, n)),
                lambda: 5.0 * (1.0 + 10.0 ** -rng.integers(3, 16) * rng.uniform(size=n)),
                lambda: np.nextafter(dtype(5.0), dtype(9.0)) * rng.integers(0, 2, n) + 5.0 * rng.integers(0, 2, n),
                lambda: np.exp(rng.normal(0.0, rng.choice([3.0, 10.0, 20.0]), n)),
                lambda: rng.pareto(0.3, n),
                lambda: rng.normal(0.0, 1.0, n),
                lambda: np.append(rng.uniform(size=n - 1), [0.0]),
                lambda: BIGGEST * rng.uniform(0.5, 1.0, n),
                lambda: BIGGEST * rng.choice([-1.0, 0.0, 1.0], n),
                lambda: np.where(rng.uniform(size=n) < 0.5, BIGGEST, 1.0),
                lambda: np.finfo(dtype).smallest_subnormal * rng.integers(0, 9, n).astype(float),
                lambda: float(np.finfo(dtype).tiny) * rng.uniform(0.5, 9.0, n),
                lambda: rng.choice([5.0, 5.0, 5.0, 40.0, 1e30], n),
            ]
        )
    )()
    return np.clip(made, -BIGGEST, BIGGEST).astype(dtype)


RATES = st.sampled_from([1e-15, 1e-12, 1e-6, 0.001, 0.01, 0.05, 0.29, 0.5, 0.9, 0.999, 1 - 1e-9, 1 - 1e-12])
AMOUNTS = st.sampled_from([1e-100, 1e-9, 0.2, 1.0, 3.0, 100.0, 1e9, 1e100])
CONFIGS = st.builds(
    ThresholdConfig,
    **{
        one.name: AMOUNTS if one.name == "mad_k" or one.name.startswith("cost_") else RATES
        for one in fields(ThresholdConfig)
    },
)


def checked_row(row, ok, synthetic):
    given = asdict(row)
    back = json.loads(json.dumps(given, allow_nan=False))
    assert back.keys() == given.keys() and row.rule in RULES and title_of(row)
    if row.value is None:
        assert row.reason and not row.promise and row.expected_fpr is row.fpr_upper_95 is row.gap is None
        return
    assert type(row.value) is float and math.isfinite(row.value) and row.promise and not row.reason
    assert 0.0 <= row.fpr_upper_95 <= 1.0 and (row.expected_fpr is None or 0.0 <= row.expected_fpr <= 1.0)
    assert is_ng(ok, row.value).mean() <= row.fpr_upper_95
    for words in (row.promise, *row.notes):
        assert "nan" not in words and "inf" not in words.replace("infinit", "")
    if RULES[row.rule].kind == "bound":
        assert "100 % confidence" not in row.promise
    if row.gap is not None:
        assert row.gap[0] <= row.value <= row.gap[1]


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.none() | scores(), st.none() | scores(), st.none() | scores(60), st.none() | CONFIGS)
def test_every_rule_gives_a_threshold_or_a_reason_and_the_policy_follows(held_out, loo, synthetic, config):
    before = [None if s is None else s.copy() for s in (held_out, loo, synthetic)]
    rows = all_choices(
        ok_held_out=held_out, ok_loo=loo, synthetic=synthetic, rng=np.random.default_rng(0), config=config
    )
    assert [row.rule for row in rows[: len(RULES)]] == list(RULES)
    of = {"held-out": held_out, "leave-one-out": loo}
    for row in rows:
        checked_row(row, of[row.source], synthetic)

    ok = of[preferred(rows).source]
    area = caught = None
    if ok is not None and synthetic is not None:
        area = auroc(ok, synthetic)
        assert 0.0 <= area.low <= area.auroc <= area.high <= 1.0
        if (value := preferred(rows).value) is not None:
            caught = rate_bound(int(is_ng(synthetic, value).sum()), synthetic.size)
    found = recommend(rows, synthetic_auroc=area, caught=caught)
    assert found.why and bool(found.advice) == (found.choice.value is None)
    if found.choice.value is not None:
        checked_row(found.choice, ok, synthetic)
    json.dumps(asdict(found), allow_nan=False)
    for was, now in zip(before, (held_out, loo, synthetic), strict=True):
        np.testing.assert_array_equal(was, now)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(scores(), st.lists(scores(60), min_size=0, max_size=3), st.integers(0, 99))
def test_ranges_and_bands_are_finite_and_enclose_what_they_are_of(ok, synthetic, seed):
    rng = np.random.default_rng(seed)
    rows = all_choices(ok_held_out=ok, ok_loo=None, synthetic=None, rng=rng)
    chosen = recommend(rows, synthetic_auroc=None).choice
    of = {f"generator {i}": s for i, s in enumerate(synthetic)}
    if chosen.value is not None:
        seeds = [SeedScores(seed=1, threshold=chosen.value, synthetic=s, ok=ok) for s in synthetic[:1]]
        severities = {name: np.arange(float(s.size)) for name, s in of.items()}
        found = robustness(chosen, ok, of, primary="generator 0", severities=severities, rng=rng, seeds=seeds, draws=20)
        assert found[0].quantity == RECOMMENDED
        for row in found:
            assert math.isfinite(row.low) and row.low <= row.high and math.isfinite(row.high) and math.isfinite(row.at)
        json.dumps([asdict(row) for row in found], allow_nan=False)
    for ng in synthetic:
        band = roc_band(ok, ng)
        ends = [band.fpr_low, band.curve.fpr, band.fpr_high, band.recall_low, band.curve.recall, band.recall_high]
        assert all(((end >= 0.0) & (end <= 1.0)).all() for end in ends)
        drawn = bootstrap_band(ok, ng, rng=rng, draws=20, grid=11)
        assert (drawn is None) == (min(ok.size, ng.size) < 10)
        if drawn is not None:
            assert ((drawn.low >= 0) & (drawn.low <= drawn.recall)).all()
            assert ((drawn.recall <= drawn.high) & (drawn.high <= 1)).all()
    for one in outliers(ok):
        assert 0.0 <= one.p_value < 0.01 and one.score == float(ok[one.place])


BAD = [np.array([]), np.array([np.nan, 1.0]), np.array([1.0, np.inf]), np.ones((2, 2)), np.array(["1"]), [1 + 1j]]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(BAD), scores(20), st.sampled_from(["ok_held_out", "ok_loo", "synthetic"]))
def test_bad_scores_raise_one_error(bad, good, place):
    given = {"ok_held_out": good, "ok_loo": good, "synthetic": good} | {place: bad}
    if np.size(bad) == 0:  # none there
        assert len(all_choices(**given, rng=np.random.default_rng(0))) >= len(RULES)
        return
    with pytest.raises(CalibrationError):
        all_choices(**given, rng=np.random.default_rng(0))


@settings(deadline=None)
@given(
    st.sampled_from([one.name for one in fields(ThresholdConfig)]),
    st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, 5e-324, 1e308, "0.05", "high", None, True, [0.05], 1j]),
)
def test_settings_are_numbers_in_their_range_or_one_error(name, value):
    amount = name == "mad_k" or name.startswith("cost_")
    if amount and value == 1.0 and value is not True:
        assert getattr(ThresholdConfig(**{name: value}), name) == 1.0
        return
    with pytest.raises(CalibrationError, match=name):
        ThresholdConfig(**{name: value})
