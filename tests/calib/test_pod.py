"""POD: two-level answers by hand, a slow profile likelihood beside the fast one, relations, refusals, coverage."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, log_expit, logit
from scipy.stats import chi2, norm

from calibration.errors import CalibrationError
from calibration.pod import PodCurve, pod_at, pod_curve

SNR = "signal-to-noise"
DRAWS = 2_000


def levels(values, counts, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n NG at each value of a, the first ``count`` of them found."""
    return np.repeat(np.array(values, float), n), np.concatenate([np.arange(n) < count for count in counts])


def simulated(n: int, seed: int, *, slope: float = 3.0, a50: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(math.log(0.4), math.log(10.0), n)
    return np.exp(x), rng.random(n) < expit(slope * (x - math.log(a50)))


# --- answers known by hand


def test_two_levels_pass_through_the_shares_seen():
    """With two values of a the likelihood is at its maximum where both fitted POD are k / n."""
    a, found = levels([1.0, 2.0], [4, 17], 20)
    curve = pod_curve(a, found, measure=SNR, points=2)
    b1 = (logit(0.85) - logit(0.2)) / math.log(2.0)
    assert (curve.b0, curve.b1) == pytest.approx((logit(0.2), b1), rel=1e-10)
    assert curve.a50 == pytest.approx(math.exp(-logit(0.2) / b1), rel=1e-10)
    assert curve.a90 == pytest.approx(math.exp((math.log(9.0) - logit(0.2)) / b1), rel=1e-10)
    assert curve.a.tolist() == [1.0, 2.0]
    assert curve.pod == pytest.approx([0.2, 0.85], rel=1e-10)
    assert (curve.n, curve.n_found, curve.tested, curve.reason) == (40, 21, (1.0, 2.0), "")


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_limits_at_one_of_two_levels_are_those_of_one_binomial(confidence):
    """The other level is free to keep its share, so the profile deviance is that of k of n alone."""
    a, found = levels([1.0, 2.0], [4, 17], 20)
    curve = pod_curve(a, found, measure=SNR, points=2, confidence=confidence)
    z = norm.ppf(confidence)

    def root(share, pod):
        r = math.sqrt(2 * 20 * (share * math.log(share / pod) + (1 - share) * math.log((1 - share) / (1 - pod))))
        q = abs(logit(share) - logit(pod)) * math.sqrt(20 * share * (1 - share))
        return min(r, r + math.log(q / r) / r)

    for share, low, high in zip([0.2, 0.85], curve.low, curve.high, strict=True):
        assert low == pytest.approx(brentq(lambda p, s=share: root(s, p) - z, 1e-6, share - 0.01), abs=1e-8)
        assert high == pytest.approx(brentq(lambda p, s=share: root(s, p) - z, share + 0.01, 1 - 1e-6), abs=1e-8)


def test_limits_at_two_levels_enclose_the_region_of_a_fine_grid():
    """All pairs of POD whose deviance stays within the plain cutoff: the limits lie outside, and not far."""
    a, found = levels([1.0, 2.0], [8, 34], 40)
    curve = pod_curve(a, found, measure=SNR, points=2)
    pod = np.linspace(0.0005, 0.9995, 2000)
    gain = [k * np.log(pod) + (40 - k) * np.log1p(-pod) for k in (8, 34)]
    deviance = 2 * (sum(g.max() for g in gain) - gain[0][:, None] - gain[1][None, :])  # (POD at 1, POD at 2)
    inside = deviance <= chi2.ppf(0.90, 1)
    for i, region in enumerate([inside.any(1), inside.any(0)]):
        assert curve.low[i] <= pod[region].min() + 5e-4 and curve.low[i] == pytest.approx(pod[region].min(), abs=0.02)
        assert curve.high[i] >= pod[region].max() - 5e-4 and curve.high[i] == pytest.approx(pod[region].max(), abs=0.02)

    x90 = math.log(2.0) * (math.log(9.0) - logit(pod)[:, None]) / (logit(pod)[None, :] - logit(pod)[:, None] + 1e-300)
    rising = inside & (pod[None, :] > pod[:, None])
    assert math.log(curve.a90_95) >= x90[rising].max() - 2e-3
    assert math.log(curve.a90_95) == pytest.approx(x90[rising].max(), abs=0.15)


def test_symmetric_levels_put_a50_in_their_middle():
    a, found = levels([1.0, 2.0, 4.0, 8.0], [1, 6, 14, 19], 20)
    curve = pod_curve(a, found, measure=SNR)
    assert curve.a50 == pytest.approx(math.sqrt(8.0), rel=1e-12)
    assert curve.low == pytest.approx(1.0 - curve.high[::-1], abs=1e-8)


# --- other implementations


@pytest.mark.parametrize("log_scale", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_same_fit_as_scikit_learn(seed, log_scale):
    from sklearn.linear_model import LogisticRegression

    a, found = simulated(150, seed)
    curve = pod_curve(a, found, measure=SNR, log_scale=log_scale)
    x = (np.log(a) if log_scale else a)[:, None]
    fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(x, found)
    assert curve.b0 == pytest.approx(fit.intercept_[0], rel=1e-4)
    assert curve.b1 == pytest.approx(fit.coef_[0, 0], rel=1e-4)
    assert pod_at(curve, a) == pytest.approx(fit.predict_proba(x)[:, 1], abs=1e-4)
    ours = log_expit(np.where(found, 1, -1) * (curve.b0 + curve.b1 * x[:, 0])).sum()
    assert ours >= log_expit(np.where(found, 1, -1) * fit.decision_function(x)).sum() - 1e-12


class SlowProfile:
    """Profile likelihood by a general minimiser, in the unit of x; nothing shared with the module."""

    def __init__(self, x, found, b0, b1):
        self.x, self.found, self.b0, self.b1 = x, found, b0, b1
        self.best = self.loglik(b0 + b1 * x)

    def loglik(self, logits):
        return log_expit(np.where(self.found, 1, -1) * logits).sum()

    def information(self, logits, columns):
        weight = expit(logits) * expit(-logits)
        return np.linalg.det(np.atleast_2d((columns * weight) @ columns.T))

    def r_and_q(self, at, level):
        arm = self.x - at
        width = 30.0 * (1.0 + abs(self.b1))
        slope = minimize_scalar(
            lambda b: -self.loglik(level + b * arm), bounds=(-width, width), method="bounded", options={"xatol": 1e-10}
        ).x
        r = math.sqrt(max(2 * (self.best - self.loglik(level + slope * arm)), 0.0))
        full = self.information(self.b0 + self.b1 * self.x, np.stack([np.ones_like(self.x), self.x]))
        rest = self.information(level + slope * arm, arm[None])
        return r, abs(self.b0 + self.b1 * at - level) * math.sqrt(full / rest)

    def root(self, at, level):
        r, q = self.r_and_q(at, level)
        return min(r, r + math.log(q / r) / r)


@pytest.mark.parametrize("log_scale", [True, False])
@pytest.mark.parametrize(("n", "seed"), [(25, 1), (60, 2), (200, 3)])
def test_same_limits_as_a_slow_profile(n, seed, log_scale):
    a, found = simulated(n, seed)
    curve = pod_curve(a, found, measure=SNR, log_scale=log_scale, points=7, confidence=0.9)
    x = np.log(a) if log_scale else a
    slow = SlowProfile(x, found, curve.b0, curve.b1)
    z = norm.ppf(0.9)
    grid = np.log(curve.a) if log_scale else curve.a
    for at, low, high in zip(grid, curve.low, curve.high, strict=True):
        for limit in (low, high):
            assert slow.root(at, logit(limit)) == pytest.approx(z, abs=2e-5)
    x90 = (math.log(9.0) - curve.b0) / curve.b1
    upper = brentq(lambda at: slow.root(at, math.log(9.0)) - norm.ppf(0.95), x90 + 0.02, x90 + 50.0)
    assert (math.log(curve.a90_95) if log_scale else curve.a90_95) == pytest.approx(upper, abs=1e-4)


def test_p_value_is_that_of_the_likelihood_ratio_but_for_a_small_term():
    a, found = simulated(300, 5, slope=0.5)
    curve = pod_curve(a, found, measure=SNR)
    share = found.mean()
    alone = 300 * (share * math.log(share) + (1 - share) * math.log(1 - share))
    fitted = log_expit(np.where(found, 1, -1) * (curve.b0 + curve.b1 * np.log(a))).sum()
    assert norm.isf(curve.p_slope) == pytest.approx(math.sqrt(2 * (fitted - alone)), abs=0.02)
    assert norm.isf(curve.p_slope) <= math.sqrt(2 * (fitted - alone))


def test_a90_95_is_where_the_lower_limit_passes_90_percent():
    a, found = simulated(300, 7)
    curve = pod_curve(a, found, measure=SNR, points=2001)
    assert curve.a90 < curve.a90_95 < curve.tested[1]
    assert np.interp(math.log(curve.a90_95), np.log(curve.a), logit(curve.low)) == pytest.approx(logit(0.9), abs=1e-5)


def test_long_inputs_are_worked_in_blocks_that_leave_no_mark():
    a, found = simulated(3_000, 8)
    whole, ends = (pod_curve(a, found, measure=SNR, points=points) for points in (101, 3))
    assert whole.low[::50] == pytest.approx(ends.low, abs=1e-8)
    assert whole.high[::50] == pytest.approx(ends.high, abs=1e-8)


# --- relations

SAMPLES = st.tuples(st.integers(15, 80), st.integers(0, 10_000), st.floats(0.8, 6.0))


def fitted(sample, **settings_of_fit) -> tuple[np.ndarray, np.ndarray, PodCurve]:
    n, seed, slope = sample
    a, found = simulated(n, seed, slope=slope)
    curve = pod_curve(a, found, measure=SNR, points=9, **settings_of_fit)
    assume(not curve.reason and curve.p_slope < 0.04)  # nearer to 0.05 a90/95 can be beyond any number
    return a, found, curve


@settings(deadline=None, max_examples=60)
@given(SAMPLES, st.sampled_from([0.51, 0.8, 0.95, 0.999]))
def test_limits_enclose_the_fit_and_a_fit_has_every_value(sample, confidence):
    a, _, curve = fitted(sample, confidence=confidence)
    assert curve.a[0] == curve.tested[0] == a.min() and curve.a[-1] == curve.tested[1] == a.max()
    assert np.all(np.diff(curve.a) > 0) and np.all(np.diff(curve.pod) >= 0)
    assert np.all((curve.low >= 0) & (curve.low <= curve.pod) & (curve.pod <= curve.high) & (curve.high <= 1))
    assert curve.p_slope < 0.05 and curve.b1 > 0
    assert curve.a50 < curve.a90 < curve.a90_95
    assert pod_at(curve, np.array([curve.a50, curve.a90])) == pytest.approx([0.5, 0.9], abs=1e-9)
    assert pod_at(curve, curve.a) == pytest.approx(curve.pod, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(SAMPLES, st.floats(1e-6, 1e6))
def test_another_unit_of_a_scales_every_a(sample, unit):
    for log_scale in (True, False):
        a, found, curve = fitted(sample, log_scale=log_scale)
        other = pod_curve(unit * a, found, measure=SNR, points=9, log_scale=log_scale)
        for name in ("a50", "a90", "a90_95"):
            assert getattr(other, name) == pytest.approx(unit * getattr(curve, name), rel=1e-6)
        assert other.low == pytest.approx(curve.low, abs=1e-7) and other.high == pytest.approx(curve.high, abs=1e-7)
        assert other.p_slope == pytest.approx(curve.p_slope, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(SAMPLES)
def test_misses_for_hits_at_one_over_a_mirror_the_curve(sample):
    a, found, curve = fitted(sample)
    mirror = pod_curve(1 / a, ~found, measure=SNR, points=9)
    assert mirror.a50 == pytest.approx(1 / curve.a50, rel=1e-8)
    assert mirror.low[::-1] == pytest.approx(1 - curve.high, abs=1e-8)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(SAMPLES, st.integers(0, 79))
def test_one_miss_turned_into_a_hit_raises_the_pod_there(sample, at):
    a, found, curve = fitted(sample)
    at %= a.size
    flipped = found.copy()
    flipped[at] = True
    after = pod_curve(a, flipped, measure=SNR)
    assume(not after.reason and not found[at])
    assert pod_at(after, a[[at]])[0] > pod_at(curve, a[[at]])[0]


def test_more_confidence_and_fewer_ng_widen():
    a, found = simulated(80, 4)
    narrow, wide = (pod_curve(a, found, measure=SNR, confidence=level) for level in (0.8, 0.99))
    assert np.all(wide.low < narrow.low) and np.all(wide.high > narrow.high)
    assert wide.a90_95 == narrow.a90_95  # always at 95 %
    twice = pod_curve(np.tile(a, 2), np.tile(found, 2), measure=SNR, confidence=0.8)
    assert twice.a90 == pytest.approx(narrow.a90, rel=1e-9) and twice.a90_95 < narrow.a90_95
    assert np.all(twice.low > narrow.low) and np.all(twice.high < narrow.high)


def test_order_and_dtype_do_not_matter_and_input_stays():
    a, found = levels([1, 2, 4, 8], [1, 6, 14, 19], 20)
    kept = a.copy(), found.copy()
    curve = pod_curve(a, found, measure=SNR)
    assert np.array_equal(a, kept[0]) and np.array_equal(found, kept[1])
    order = np.random.default_rng(0).permutation(a.size)
    for other_a in (a.astype(np.float32), a.astype(int)):
        other = pod_curve(other_a[order], found[order], measure=SNR)
        assert other.a90_95 == pytest.approx(curve.a90_95, rel=1e-9)


# --- next to separation, and far outliers


def test_one_narrow_overlap_keeps_the_limits_outside_the_fit():
    """Here r* alone would put the lower limit above the fit."""
    a = np.exp(np.array([-1.6, -1.4, -0.61, -0.6, 0.219, 0.239, 0.26, 0.75, 1.28, 1.49]))
    found = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1], bool)
    curve = pod_curve(a, found, measure=SNR)
    assert curve.a90 < curve.a90_95 < math.inf
    assert np.all(curve.low <= curve.pod) and np.all(curve.pod <= curve.high)
    slow = SlowProfile(np.log(a), found, curve.b0, curve.b1)
    r, q = slow.r_and_q(-1.6, curve.b0 - 1.6 * curve.b1 - 0.5)  # half a logit below the fit at the smallest a
    assert r < 0.1 and r + math.log(q / r) / r > norm.ppf(0.95)
    assert slow.root(math.log(curve.a90_95), math.log(9.0)) == pytest.approx(norm.ppf(0.95), abs=1e-4)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 100_000), st.sampled_from([10, 20, 60]), st.sampled_from(["cauchy", "clump", "steps"]))
def test_hard_samples_end_in_a_curve_or_a_reason(seed, n, kind):
    rng = np.random.default_rng(seed)
    x = {
        "cauchy": np.clip(rng.standard_cauchy(n), -200, 200),
        "clump": np.concatenate([1e-3 * rng.normal(size=n - 2), [-50.0, 50.0]]),
        "steps": np.round(rng.uniform(-2, 2, n)),
    }[kind]
    found = rng.random(n) < expit(10 ** rng.uniform(-1, 3) * (x - np.quantile(x, rng.uniform())) / x.std())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = pod_curve(np.exp(x), found, measure=SNR, points=5)
    if not curve.reason:
        assert np.all((curve.low <= curve.pod) & (curve.pod <= curve.high))
        assert curve.a90_95 is None or curve.a90 < curve.a90_95


# --- refusals and notes


def refused(a, found, **settings_of_fit) -> str:
    curve = pod_curve(np.asarray(a, float), np.asarray(found, bool), measure=SNR, **settings_of_fit)
    assert curve.a.size == curve.pod.size == curve.low.size == curve.high.size == 0
    assert (curve.a50, curve.a90, curve.a90_95, curve.b0, curve.b1) == (None,) * 5
    assert (curve.n, curve.n_found, curve.tested) == (len(a), int(np.sum(found)), (min(a), max(a)))
    with pytest.raises(CalibrationError, match="got none: "):
        pod_at(curve, np.array([1.0]))
    return curve.reason


RISING = np.arange(1.0, 21.0)


def test_too_few():
    assert refused(RISING[:9], RISING[:9] > 4) == "a POD curve needs at least 10 graded NG, has 9"
    alternating = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1], bool)
    assert pod_curve(RISING[:10], alternating, measure=SNR).reason == ""


def test_all_found_and_none_found():
    assert refused(RISING, RISING > 0) == "all 20 graded NG are found, down to 1: grade weaker ones"
    assert refused(RISING, RISING < 0) == "none of 20 graded NG is found, up to 20: grade stronger ones"


def test_one_value_of_a():
    expected = "all graded NG have one signal-to-noise, 3: grade them over a range"
    assert refused(np.full(20, 3.0), RISING > 10) == expected


def test_complete_separation_gives_both_values():
    assert refused(RISING, RISING > 7) == (
        "every NG up to 7 is missed and every NG from 8 on is found: a50 lies between, the slope has no finite estimate"
    )


def test_separation_with_one_shared_value():
    """At 8 one is missed and one found, below none, above all: the likelihood still rises with the slope for ever."""
    a = np.append(RISING, 8.0)
    found = np.append(RISING > 8, True)
    assert refused(a, found).startswith("every NG below 8 is missed and every NG above 8 is found: a50 is at this")


def test_detection_that_falls_or_does_not_rise():
    assert refused(RISING, RISING < 7).startswith("detection falls with signal-to-noise")
    falls = levels([1.0, 2.0, 4.0], [15, 10, 5], 20)
    assert refused(*falls).startswith("detection does not rise with signal-to-noise")
    assert pod_curve(*falls, measure=SNR).p_slope > 0.99
    flat = levels([1.0, 2.0, 4.0], [10, 10, 10], 20)
    assert refused(*flat) == "detection does not rise with signal-to-noise (likelihood ratio, p = 0.5): no a90"
    weak = levels([1.0, 2.0, 4.0], [9, 11, 13], 20)
    assert 0.05 < pod_curve(*weak, measure=SNR).p_slope < 0.2 and refused(*weak)


def test_curve_exactly_where_p_is_below_5_percent():
    """Adding hits at the top: refusal turns into a curve, with a finite a90/95 from the first one on."""
    seen = []
    for hits in range(9, 20):
        curve = pod_curve(*levels([1.0, 2.0], [9, hits], 20), measure=SNR, log_scale=False)
        seen.append(bool(curve.reason))
        assert bool(curve.reason) == (curve.p_slope >= 0.05)
        assert curve.reason or math.isfinite(curve.a90_95)
    assert seen == sorted(seen, reverse=True) and seen[0] and not seen[-1]


def test_notes():
    few = pod_curve(*levels([1.0, 2.0, 4.0, 8.0], [0, 5, 10, 14], 14), measure=SNR)
    assert "56 graded NG: MIL-HDBK-1823A asks for at least 60" in few.notes
    enough = pod_curve(*levels([1.0, 2.0, 4.0, 8.0], [0, 5, 10, 15], 15), measure=SNR)
    assert not any("MIL-HDBK" in note for note in enough.notes)

    top = pod_curve(*levels([1.0, 2.0, 4.0, 8.0], [1, 6, 14, 19], 20), measure=SNR)
    assert top.a90 < 8 < top.a90_95
    assert top.notes == ("a90/95 is extrapolated beyond the tested range 1 to 8",)
    beyond = pod_curve(*levels([1.0, 2.0, 4.0], [1, 5, 9], 30), measure=SNR)
    assert [note.split()[0] for note in beyond.notes] == ["a50", "a90", "a90/95"]
    below = pod_curve(*levels([4.0, 8.0, 16.0], [21, 27, 30], 30), measure=SNR)
    assert below.a50 < 4 and [note.split()[0] for note in below.notes] == ["a50"]


def test_a_value_beyond_any_number_is_none():
    """POD from 0.40 to 0.60 over 400 powers of ten: 90 % lie at 10^1000 and more."""
    curve = pod_curve(*levels([1e-200, 1e200], [80, 120], 200), measure=SNR)
    assert curve.a50 == pytest.approx(1.0) and curve.a90 is None and curve.a90_95 is None
    assert curve.notes == (
        "a90 is not reached: it lies beyond any number",
        "a90/95 is not reached: it lies beyond any number",
    )
    assert np.isfinite(curve.low).all()
    assert pod_curve(*levels([1e-200, 1e200], [180, 195], 200), measure=SNR).a50 is None


# --- inputs


@pytest.mark.parametrize(
    ("a", "found", "message"),
    [
        ([1.0, math.nan, 2.0], [True, False, True], "1 NaN or infinite of 3"),
        ([1.0, math.inf, 2.0], [True, False, True], "1 NaN or infinite of 3"),
        ([1.0, 0.0, 2.0], [True, False, True], "expected positive numbers, got 0"),
        ([1.0, 2.0], [True, False, True], r"expected bool of shape \(2,\)"),
        ([1.0, 2.0], [1, 0], "got int64 of shape"),
        ([[1.0, 2.0]], [True, False], "non-empty 1-D"),
        ([], [], "non-empty 1-D"),
        (["a", "b"], [True, False], "real numbers"),
        ([True, False], [True, False], "real numbers"),
    ],
)
def test_impossible_inputs(a, found, message):
    with pytest.raises(CalibrationError, match=message):
        pod_curve(np.array(a), np.array(found), measure=SNR)


def test_a_linear_scale_takes_any_sign():
    a, found = simulated(100, 3)
    shifted = pod_curve(np.log(a) - 5.0, found, measure="log contrast", log_scale=False)
    assert shifted.a90 == pytest.approx(math.log(pod_curve(a, found, measure=SNR).a90) - 5.0, rel=1e-9)


@pytest.mark.parametrize("confidence", [0.0, 0.5, 1.0, 95, math.nan, "high"])
def test_impossible_confidence(confidence):
    with pytest.raises(CalibrationError, match="confidence"):
        pod_curve(RISING, RISING > 7, measure=SNR, confidence=confidence)


@pytest.mark.parametrize("points", [1, 0, 2.5, "many"])
def test_impossible_points(points):
    with pytest.raises(CalibrationError, match="points"):
        pod_curve(RISING, RISING > 7, measure=SNR, points=points)


def test_pod_at_takes_what_the_fit_takes():
    curve = pod_curve(*simulated(100, 3), measure=SNR)
    with pytest.raises(CalibrationError, match="positive"):
        pod_at(curve, np.array([-1.0]))


def test_result_checks_itself():
    curve = pod_curve(*simulated(100, 3), measure=SNR)
    fields = {name: getattr(curve, name) for name in curve.__slots__}
    with pytest.raises(CalibrationError, match="four 1-D arrays"):
        PodCurve(**fields | {"low": curve.low[:-1]})
    with pytest.raises(CalibrationError, match="a curve or a reason"):
        PodCurve(**fields | {"reason": "no"})


# --- the promise


def share_held_by_the_plain_limit(x: np.ndarray, found: np.ndarray, best: np.ndarray, x90: float) -> float:
    """Share of draws (rows) in which the uncorrected likelihood ratio does not exclude POD(x90) >= 0.9.

    Newton on the slope alone, all rows at once; ``best`` is each row's likelihood at its fit.
    """
    arm, level, slope = x - x90, math.log(9.0), np.full(len(found), 2.0)
    for _ in range(50):
        pod = expit(level + slope[:, None] * arm)
        slope += ((found - pod) * arm).sum(1) / (pod * (1 - pod) * arm**2).sum(1)
    profile = log_expit(np.where(found, 1, -1) * (level + slope[:, None] * arm)).sum(1)
    fitted_above = ((found - expit(level + slope[:, None] * arm)).sum(1)) > 0  # the fit lies above 0.9 there
    root = np.where(fitted_above, 1, -1) * np.sqrt(2 * np.maximum(best - profile, 0))
    return float(np.mean(root <= norm.ppf(0.95)))


@pytest.mark.promise
@pytest.mark.parametrize("n", [60, 200])
def test_a90_95_holds_in_95_percent_of_tests(n):
    """Known curve, the same graded NG each time; the plain limit falls short at n = 60, hence the small-sample term."""
    x = np.linspace(-1.5, 1.5, n)
    x90, slope = 0.7, 3.1
    pod = expit(math.log(9.0) + slope * (x - x90))
    found = np.random.default_rng(20).random((DRAWS, n)) < pod
    curves = [pod_curve(np.exp(x), row, measure=SNR, points=2) for row in found]
    kept = np.array([not curve.reason for curve in curves])
    assert kept.mean() > 0.99
    curves = [curve for curve in curves if not curve.reason]
    slack = 3 * math.sqrt(0.05 * 0.95 / len(curves))

    held = np.mean([curve.a90_95 >= math.exp(x90) for curve in curves])
    assert 0.95 - slack <= held <= 0.98
    for end in (0, 1):
        assert np.mean([curve.low[end] <= pod[-end] for curve in curves]) >= 0.95 - slack
        assert np.mean([curve.high[end] >= pod[-end] for curve in curves]) >= 0.95 - slack

    b0, b1 = (np.array([getattr(curve, name) for curve in curves]) for name in ("b0", "b1"))
    best = log_expit(np.where(found[kept], 1, -1) * (b0[:, None] + b1[:, None] * x)).sum(1)
    plain = share_held_by_the_plain_limit(x, found[kept], best, x90)
    assert plain < held
    if n == 60:
        assert plain < 0.95 - slack
