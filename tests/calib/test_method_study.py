"""Methods compared over the same splits: by hand, against the rule itself, and what pairs them."""

import math

import numpy as np
import pytest

from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.method_study import joined_methods, method_study
from calibration.rules import is_ng
from calibration.synthetic_rules import youden
from calibration.transfer import regret

RNG = np.random.default_rng(0)
OK, NG = RNG.normal(10, 1, 80), RNG.normal(13, 1, 30)
NAMES = [f"part {i}" for i in range(80)]
SYNTHETIC = {"alike": RNG.normal(13, 1, 40), "plain": RNG.normal(20, 1, 40)}


def studied(**other):
    asked = {"ok": OK, "ok_groups": NAMES, "ng": NG, "ng_groups": NAMES[:30], "synthetic": SYNTHETIC}
    return method_study(**asked | {"splits": 30, "seed": 4} | other)


def test_figures_are_those_of_the_rule_on_each_split():
    """The splits again, by hand: halves of the names, the rule, the counts."""
    found = studied()["alike"]
    expected = []
    for child in np.random.SeedSequence(4).spawn(30):
        rng = np.random.default_rng(child)
        order = sorted(NAMES)  # groups are numbered in order of their names
        first = {order[i] for i in rng.permutation(80)[:40]}
        calibrating = OK[[name in first for name in NAMES]]
        judging = OK[[name not in first for name in NAMES]]
        order = sorted(NAMES[:30])
        first = {order[i] for i in rng.permutation(30)[:15]}
        judging_ng = NG[[name not in first for name in NAMES[:30]]]
        value = youden(calibrating, SYNTHETIC["alike"], source="held-out").value
        rates = is_ng(judging, value).mean(), is_ng(judging_ng, value).mean()
        expected.append((*rates, regret(judging, judging_ng, value).value))
    np.testing.assert_allclose(np.stack([found.fpr, found.recall, found.regret], 1), expected)


def test_auroc_is_of_all_parts_outside_the_bank():
    for name, row in studied().items():
        assert row.synthetic_auroc == pytest.approx([auroc(OK, SYNTHETIC[name]).auroc])
        assert row.real_auroc == pytest.approx([auroc(OK, NG).auroc])


def test_plain_synthetic_ng_cost_more_than_those_like_the_real_ones():
    found = studied()
    assert np.median(found["plain"].regret) > np.median(found["alike"].regret) + 0.05


def test_a_method_meets_the_same_splits_whatever_is_beside_it():
    alone, beside = studied(synthetic={"plain": SYNTHETIC["plain"]})["plain"], studied()["plain"]
    np.testing.assert_array_equal(alone.regret, beside.regret)


def test_a_method_that_scores_below_good_parts_or_made_nothing_gives_no_threshold():
    found = studied(synthetic={"below": OK[:20] - 5, "none": np.empty(0)})
    assert [(row.splits, row.fpr.size) for row in found.values()] == [(30, 0), (30, 0)]
    assert math.isnan(found["none"].synthetic_auroc[0]) and found["none"].n_synthetic.tolist() == [0]


def test_twins_stay_on_one_side():
    """Two of each part: were they parted, no gap between equal scores could ever be the threshold's."""
    doubled, names = np.repeat(OK[:40], 2), [name for name in NAMES[:40] for _ in range(2)]
    found = studied(ok=doubled, ok_groups=names)["alike"]
    assert set(np.unique(np.round(found.fpr * 40, 9) % 2)) == {0.0}


def test_ng_that_taught_a_method_judge_it_in_no_split():
    weak = np.argsort(NG).argsort() < 15
    found, plain = studied(taught={"alike": weak}), studied()
    value = youden(OK, SYNTHETIC["alike"], source="held-out").value
    assert is_ng(NG[~weak], value).all() and not is_ng(NG, value).all()  # the strong ones are all found
    assert found["alike"].recall.mean() > plain["alike"].recall.mean() + 0.02
    np.testing.assert_array_equal(found["alike"].fpr, plain["alike"].fpr)
    np.testing.assert_array_equal(found["plain"].recall, plain["plain"].recall)
    with pytest.raises(CalibrationError, match="plain: expected real NG to judge it that did not teach it"):
        studied(synthetic={"plain": OK + 2}, taught={"plain": np.ones(30, bool)})


def test_banks_are_put_one_after_the_other():
    one, two = studied(), studied(seed=5, synthetic={"alike": SYNTHETIC["alike"]})
    both = joined_methods([one, two])
    assert both["alike"].splits == 60 and both["plain"].splits == 30
    np.testing.assert_array_equal(both["alike"].regret, np.concatenate([one["alike"].regret, two["alike"].regret]))
    assert both["alike"].real_auroc.size == 2


@pytest.mark.parametrize("change", [{"ok": OK[:3], "ok_groups": NAMES[:3]}, {"ng_groups": NAMES[:29]}])
def test_too_few_parts_or_names_are_refused(change):
    with pytest.raises(CalibrationError):
        studied(**change)
