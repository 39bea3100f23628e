"""What stands before a verification, and what it says for each kind of defect."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from calibration.evidence import Evidence
from calibration.rules import percent
from calibration.types import RateBound
from pages.services.decision import Decision
from pages.services.verification import Plan, Verification
from pages.ui import widgets
from pages.ui.coverage_view import kind_name, real_sentence


def stated(decision: Decision, plan: Plan) -> None:
    """The target, when it was stated, and that it cannot be moved afterwards."""
    at = decision.fixed_at[:16].replace("T", " ")
    st.markdown(
        f"**Target: at least {percent(plan.target_recall)} of defects caught, at {percent(plan.confidence)} "
        f"confidence.** Stated with the threshold {decision.value:.4f} ({decision.origin}) on {at}, {_when(decision)} "
        "Changing it after the look spends these NG: they can never verify again."
    )


def _when(decision: Decision) -> str:
    if not decision.real_in_view:
        return "before any real NG score was shown."
    return (
        "in settings that stood before these scores were shown. Some real NG had been on screen when the threshold was "
        "fixed; those seen under another target or rule were taken out."
    )


def plan(found: Plan, best: Evidence) -> None:
    """How many real NG the target takes, how many there are, and the most that they can show.

    ``best`` is the class if every free NG is caught.
    """
    st.subheader("The plan")
    left, right = st.columns([1, 1.4])
    with left:
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "missed": missed,
                        "real NG it takes": n,
                        "free": found.free,
                        "enough": "yes" if found.free >= n else f"no, {n - found.free} more",
                    }
                    for missed, n in found.needed
                ]
            ),
            hide_index=True,
        )
    with right:
        if found.best is None:
            st.markdown("**0 real NG are free.** Nothing can be proven: the threshold stays provisional.")
        else:
            st.markdown(
                f"**{found.free} real NG are free.** If all are caught they prove a recall of at least "
                f"{widgets.percent(found.best.low)} at {percent(found.confidence)}: at most "
                f"{widgets.percent(1.0 - found.best.low)} of defects missed."
            )
            st.markdown(_tolerated(found))
        st.markdown("The class it can then reach:" if found.best is not None else "The class it stays in:")
        widgets.evidence_line(best)
    st.caption(
        "Exact binomial limits (Clopper-Pearson, one-sided). Fix the number first: collecting until the target comes "
        "true proves less than it says."
    )


def _tolerated(found: Plan) -> str:
    if found.may_miss is None:
        return f"Too few for the target, even if none is missed: it takes {found.needed[0][1]}."
    if not found.may_miss:
        return "The target is proven only if none is missed."
    return f"The target is proven with up to {found.may_miss} missed of {found.free}."


def result(found: Verification) -> None:
    """The two counts, each with its limit at the stated confidence."""
    left, right = st.columns(2)
    with left.container(border=True):
        if found.caught_ng is None:
            st.markdown("### Provisional: no real NG")
            st.caption("Nothing is called verified that was not checked on real NG.")
        else:
            n = found.caught_ng
            st.markdown(f"### {real_sentence(n)}")
            st.caption(
                f"{n.n - n.k} of {n.n} missed: proves at most {widgets.percent(1.0 - n.low)} escape at "
                f"{percent(n.confidence)}"
            )
    with right.container(border=True):
        if found.rejected_ok is None:
            st.markdown("### No check OK pictures")
            st.caption("Too few good parts to keep some apart: nothing independent is known about rejected good parts.")
        else:
            n = found.rejected_ok
            st.markdown(
                f"### {n.k} of {n.n} good parts would be rejected ({percent(n.confidence)}: up to "
                f"{widgets.percent(n.high)})"
            )
            st.caption("check OK pictures: in no other role")


def by_kind(found: Sequence[tuple[str, RateBound]], target_recall: float) -> None:
    """Caught of each kind of defect, each with its limits and what they say about the target."""
    if not found:
        return
    st.subheader("By kind of defect")
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "kind": kind_name(kind),
                    "caught": f"{bound.k} of {bound.n}",
                    "at least": percent(bound.low),
                    "at most": percent(bound.high),
                    f"recall of {percent(target_recall)}": verdict(bound, target_recall),
                }
                for kind, bound in found
            ]
        ),
        hide_index=True,
    )
    st.caption(
        f"Limits at {percent(found[0][1].confidence)}, each on its own: of many kinds, some are off by chance. The "
        "release rests on all NG together; a kind that is missed is a failure mode to look at."
    )


def verdict(bound: RateBound, target_recall: float) -> str:
    """What k of n say about a recall.

    Examples
    --------
    >>> from calibration.bounds import rate_bound
    >>> [verdict(rate_bound(k, n), 0.9) for k, n in ((29, 29), (3, 3), (0, 2))]
    ['proven', 'cannot tell at this n', 'refuted']
    """
    if bound.low >= target_recall:
        return "proven"
    return "refuted" if bound.high < target_recall else "cannot tell at this n"
