"""Classifier two-sample test: scikit-learn's ridge as oracle, every exchange listed, and the promise about alarms."""

from itertools import product

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from calibration.errors import CalibrationError
from calibration.two_sample import two_sample_test


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_sklearn(first: np.ndarray, second: np.ndarray, fold: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Out-of-fold scores of a pipeline that knows nothing of our algebra."""
    rows, folds = np.concatenate([first, second]), np.concatenate([fold, fold])
    scores = np.empty(len(rows))
    for k in np.unique(folds):
        tested = folds == k
        model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(rows[~tested], names[~tested])
        scores[tested] = model.predict(rows[tested])
    return scores


def test_scores_and_area_are_those_of_scikit_learn():
    blocks = np.repeat(np.arange(12), 2)
    first, second = rng(1).normal(size=(24, 5)), rng(2).normal(0.7, 1.5, size=(24, 5))
    found = two_sample_test(first, second, blocks, rng=rng())
    names = np.repeat([-1.0, 1.0], 24)
    theirs = by_sklearn(first, second, blocks % 5, names)
    np.testing.assert_allclose(np.concatenate([found.first, found.second]), theirs, atol=1e-10)
    assert found.area.auroc == pytest.approx(roc_auc_score(names, theirs))


def test_p_is_the_share_of_all_exchanges_with_as_large_an_area():
    blocks = np.array([0, 0, 1, 2, 3, 4, 4, 5, 6])
    first, second = rng(3).normal(size=(9, 2)), rng(4).normal(0.8, 1, size=(9, 2))

    def area(signs: tuple[int, ...]) -> float:
        names = np.repeat([-1.0, 1.0], 9) * np.array(signs)[np.concatenate([blocks, blocks])]
        return roc_auc_score(names, by_sklearn(first, second, blocks % 5, names))

    areas = np.array([area(signs) for signs in product((1, -1), repeat=7)])
    exact = np.mean(areas >= areas[0] - 1e-9)
    draws = 4000
    found = two_sample_test(first, second, blocks, rng=rng(), draws=draws)
    assert 0.02 < exact < 0.98  # else this compares nothing
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / draws))


def test_equal_samples_are_not_told_apart():
    rows = rng(5).normal(size=(30, 4))
    found = two_sample_test(rows, rows, np.arange(30), rng=rng())
    assert (found.area.auroc, found.p, found.verdict) == (0.5, 1.0, "not seen")


def test_a_plain_difference_is_seen_whatever_unit_it_has():
    first = rng(6).normal(size=(30, 3))
    second = first + [2.0, 0.0, 0.0]
    found = two_sample_test(first, second, np.arange(30), rng=rng())
    assert found.verdict == "separable" and found.p == 0.001 and found.area.auroc > 0.85
    scaled = two_sample_test(7 + 1e4 * first, 7 + 1e4 * second, np.arange(30), rng=rng())
    assert (scaled.area.auroc, scaled.p) == (found.area.auroc, found.p)


def test_a_column_that_never_varies_changes_nothing():
    first, second = rng(7).normal(size=(20, 2)), rng(8).normal(0.5, 1, size=(20, 2))
    one = np.ones((20, 1))
    plain = two_sample_test(first, second, np.arange(20), rng=rng())
    padded = two_sample_test(np.hstack([first, one]), np.hstack([second, one]), np.arange(20), rng=rng())
    assert padded.p == plain.p and padded.area == plain.area


@pytest.mark.parametrize(("n_blocks", "verdict"), [(5, "cannot tell"), (6, "separable")])
def test_so_few_blocks_can_tell_nothing(n_blocks, verdict):
    """Five blocks have 2^4 different areas: the smallest p is 1/16, above 0.05. Six have 2^5."""
    blocks = np.arange(8 * n_blocks) % n_blocks
    first = rng(9).normal(size=(len(blocks), 2))
    found = two_sample_test(first, first + 50, blocks, rng=rng(), draws=9999)
    assert found.least_p == 0.5 ** (n_blocks - 1)
    assert found.p == pytest.approx(found.least_p, rel=0.15)
    assert found.verdict == verdict and found.n_blocks == n_blocks


def test_same_seed_same_answer():
    first, second = rng(10).normal(size=(20, 3)), rng(11).normal(0.4, 1, size=(20, 3))
    p = [two_sample_test(first, second, np.arange(20), rng=rng(seed)).p for seed in (1, 1, 2, 3, 4)]
    assert p[0] == p[1] and len(set(p)) > 1


@pytest.mark.parametrize(
    ("first", "second", "blocks", "draws"),
    [
        (np.zeros((4, 2)), np.zeros((5, 2)), np.arange(4), 9),
        (np.zeros(4), np.zeros(4), np.arange(4), 9),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), np.arange(4), 9),
        (np.zeros((4, 2)), np.zeros((4, 2)), np.arange(3), 9),
        (np.zeros((4, 2)), np.zeros((4, 2)), np.zeros(4), 9),
        (np.zeros((4, 2)), np.zeros((4, 2)), np.arange(4), 0),
    ],
)
def test_what_cannot_be_tested_is_refused(first, second, blocks, draws):
    with pytest.raises(CalibrationError, match="expected"):
        two_sample_test(first, second, blocks, rng=rng(), draws=draws)


def alarms(simulations: int, alpha: float) -> float:
    """Share of "separable" among samples of one kind. Two pictures a block, each with a look of its own, one of them
    four times in each sample: row by row they would vouch for each other."""
    seen = 0
    for seed in range(simulations):
        draw = rng(1000 + seed)
        looks = draw.normal(size=(10, 2, 3))  # block, picture, descriptor
        rows = [
            (block, looks[block, other] + draw.normal(0, 0.3, 3), looks[block, own] + draw.normal(0, 0.3, 3))
            for block in range(10)
            for own, other in 4 * [(1, 0)]
        ]
        blocks, first, second = (np.array(column) for column in zip(*rows, strict=True))
        seen += two_sample_test(first, second, blocks, rng=draw, alpha=alpha, draws=99).verdict == "separable"
    return seen / simulations


@pytest.mark.promise
def test_false_alarms_stay_within_alpha():
    simulations, alpha = 1500, 0.1
    rate = alarms(simulations, alpha)
    spread = 3 * np.sqrt(alpha * (1 - alpha) / simulations)
    assert rate <= alpha + spread
    assert rate >= alpha - 0.03 - spread  # and it is no test that never speaks
