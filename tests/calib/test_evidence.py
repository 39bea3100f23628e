"""Which class a threshold has, and that the words do not promise more than the class."""

import pytest

from calibration.bounds import needed_ng, rate_bound
from calibration.evidence import CLASSES, REFUTED, REFUTED_TITLE, evidence_class


@pytest.mark.parametrize(
    ("caught", "n_synthetic", "key"),
    [(None, 0, "T0"), (None, 1, "T1"), ((1, 1), 0, "T2"), ((28, 28), 40, "T2"), ((29, 29), 40, "T3")]
    + [((45, 46), 0, "T3"), ((44, 45), 0, "T2")],
)
def test_class_by_what_was_seen(caught, n_synthetic, key):
    bound = caught and rate_bound(*caught)
    found = evidence_class(bound, n_synthetic=n_synthetic, target_recall=0.9)
    assert (found.key, found.refuted) == (key, False)
    assert found.may == CLASSES[key].may


def test_the_plan_and_the_class_agree():
    for missed in range(4):
        n = needed_ng(0.95, missed=missed)
        keys = [evidence_class(rate_bound(k - missed, k), n_synthetic=0, target_recall=0.95).key for k in (n - 1, n)]
        assert keys == ["T2", "T3"]


def test_refuted_by_real_ng_is_said_whatever_the_class():
    found = evidence_class(rate_bound(5, 20), n_synthetic=40, target_recall=0.9)
    assert found.refuted and (found.title, found.may) == (REFUTED_TITLE, REFUTED) and found.key == "T2"
    assert not evidence_class(rate_bound(0, 1), n_synthetic=0, target_recall=0.9).refuted  # 1 of 1 missed: up to 95 %


def test_only_verified_thresholds_are_released():
    assert [key for key, found in CLASSES.items() if not found.may.startswith("Not for release")] == ["T2", "T3"]
    assert "still inspected" in CLASSES["T2"].may and "still" not in CLASSES["T3"].may
