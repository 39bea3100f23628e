"""Every rule's threshold with its promise; one slider moves the threshold, counts and curves follow at once."""

from datetime import datetime

import numpy as np
import pandas as pd
import streamlit as st

from calibration.counts import counts_at
from calibration.rules import RULES, title_of
from calibration.types import ThresholdChoice
from pages.services.decision import current_decision, fix_threshold
from pages.services.settings import to_dict
from pages.services.steps import load_config
from pages.services.thresholds import ThresholdTable
from pages.services.verification import basis_of, free_ng, last_verification, note_seen
from pages.ui import cached, charts, frame, state, widgets, words

SLIDER = "threshold-slider"
STEPS = 2000

ws, steps = frame.bootstrap("thresholds")
st.markdown(
    "Decided here: **from which score on a part is NG**. The recommended value follows a rule stated "
    "beforehand; synthetic NG do not move it."
)
frame.stop_if_missing(steps["thresholds"])
config = load_config(ws)
detector, synthesis = cached.detector(ws), cached.synthesis(ws)
ng_free = free_ng(ws)
table: ThresholdTable = cached.table(detector, synthesis, config, ng_free)
evidence = table.evidence
recommended = table.recommendation.choice
scores = np.concatenate([evidence.ok, *evidence.synthetic.values()])
low, high = float(scores.min()), float(scores.max())
step = (high - low) / STEPS or 1e-6


def rounded(value: float) -> float:
    """The slider's nearest stop; the exact value is kept beside it."""
    return round(low + round((min(max(value, low), high + step) - low) / step) * step, 9)


def origin_now() -> tuple[str, str, float]:
    """(origin, rule, exact value) of the threshold on the slider."""
    kept = state.get("threshold")
    if kept and kept["detector"] == detector.digest and kept["synthesis"] == synthesis.digest:
        return kept["origin"], kept["rule"], kept["value"]
    if recommended.value is not None:
        return "recommended", recommended.rule, recommended.value
    return "by hand", "", (low + high) / 2


def keep(origin: str, rule: str, value: float) -> None:
    state.put(
        "threshold",
        {
            "detector": detector.digest,
            "synthesis": synthesis.digest,
            "origin": origin,
            "rule": rule,
            "value": value,
        },
    )


def slider_moved() -> None:
    keep("by hand", "", state.widget_value(SLIDER))


def take(choice: ThresholdChoice, origin: str) -> None:
    keep(origin, choice.rule, choice.value)
    state.set_widget(SLIDER, rounded(choice.value))


def fix(show_real: bool) -> None:
    origin, rule, value = origin_now()
    _, spent = fix_threshold(
        ws,
        value=value,
        rule=rule,
        origin=origin,
        real_in_view=show_real,
        detector=detector,
        synthesis=synthesis,
        config=config,
        now=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    state.put("spent", spent)


if recommended.value is None:
    st.error(table.recommendation.why)
else:
    st.success(
        f"**Recommended: {recommended.value:.3f}** (feature distance, rule: {title_of(recommended)}). "
        f"{table.recommendation.why}"
    )


@st.fragment
def threshold_at_work() -> None:
    verified = last_verification(ws)
    opened = bool(verified and verified["status"] == "checked")
    show_real = False
    if len(evidence.ng_real):
        show_real = st.toggle(
            f"Show the {len(evidence.ng_real)} real NG that are kept for verification",
            value=opened,
            key="show-real",
            help="Seen before another value than the recommended one is fixed, they can never verify it",
        )
        if show_real:
            note_seen(ws, ng_free, basis=basis_of(detector.meta["bank_id"], to_dict(config)["thresholds"]))
    basis = (detector.digest, synthesis.digest)
    if not state.has_widget(SLIDER) or state.get("slider-basis") != basis:  # another tab may have built again
        state.set_widget(SLIDER, rounded(origin_now()[2]))
        state.put("slider-basis", basis)
    left, middle, right = st.columns([6, 1.3, 1.3], vertical_alignment="bottom")
    left.slider(
        "Threshold (feature distance): a part is NG when its score is at or above it",
        low,
        high + step,
        step=step,
        format="%.3f",
        key=SLIDER,
        on_change=slider_moved,
    )
    if recommended.value is not None:
        middle.button("Recommended", on_click=take, args=(recommended, "recommended"), width="stretch")
    origin, rule, value = origin_now()
    if right.button("Fix this threshold", type="primary", on_click=fix, args=(show_real,), width="stretch", key="fix"):
        st.rerun(scope="app")  # rail and later steps change, not only this fragment
    ok = counts_at(evidence.ok, value)
    caught = {name: counts_at(found, value) for name, found in evidence.synthetic.items()}
    real = counts_at(evidence.ng_real, value) if show_real else None
    columns = st.columns(3)
    with columns[0].container(border=True):
        st.markdown(f"##### {widgets.rejected_sentence(ok)}")
        st.caption(
            f"{words.OK_SOURCES[evidence.ok_source]} pictures; the limit holds for a threshold fixed before "
            "looking at them"
        )
    with columns[1].container(border=True):
        for name, bound in caught.items():
            st.markdown(f"##### {bound.k} of {bound.n} synthetic NG caught ({words.method(name)})")
        st.caption("this is not evidence of escape")
    with columns[2].container(border=True):
        if real is not None:
            st.markdown(f"##### {widgets.caught_sentence(real, 'real NG')}")
            st.caption("seen here, they can only verify the recommended threshold")
        elif len(evidence.ng_real):
            st.markdown("##### Real NG: kept for verification")
            st.caption("not looked at yet")
        else:
            st.markdown("##### 0 real NG: nothing is known about escapes")
            st.caption("one caught NG would prove an escape rate of at most 95 %, two 77.6 %, ten 25.9 %")
    st.caption(
        f"Threshold in use: {value:.4f}, {origin}{f' ({RULES[rule].title})' if rule else ''}. Evidence: "
        f"{'real NG seen' if show_real else 'synthetic and OK only'}, provisional."
    )
    draw(value, ok, caught, real)


def draw(value, ok, caught, real) -> None:
    groups = [charts.ScoreGroup("ok", f"OK ({words.OK_SOURCES[evidence.ok_source]})", evidence.ok, ok_names())]
    groups += [
        charts.ScoreGroup("synthetic", f"Synthetic NG, {words.method(n)}", s, synthesis.sets[n].names)
        for n, s in evidence.synthetic.items()
    ]
    bands = [
        ("synthetic", f"synthetic NG, {words.method(n)}", band, area) for n, (area, band) in table.synthetic_roc.items()
    ]
    operating = [("synthetic", words.method(n), ok, bound) for n, bound in caught.items()]
    if real is not None:
        groups.append(charts.ScoreGroup("real", "Real NG", evidence.ng_real, real_names()))
        area, band = table.real_roc
        judge = evidence.ok_check if table.real_ok_source == "check" else evidence.ok
        bands.append(("real", f"real NG ({table.real_ok_source} OK)", band, area))
        operating.append(("real", "real NG", counts_at(judge, value), real))
    st.plotly_chart(
        charts.score_distribution(groups, value, recommended.value),
        key="distribution",
        alt=f"{ok.k} of {ok.n} good parts at or above the threshold {value:.3f}",
    )
    st.plotly_chart(charts.roc(bands, operating), key="roc", alt="ROC of synthetic and real NG with bands")


def ok_names() -> tuple[str, ...]:
    return detector.sets["calibration" if evidence.ok_source == "held-out" else "bank"].names


def real_names() -> tuple[str, ...]:
    ng = detector.sets["ng"]
    return tuple(name for name, image in zip(ng.names, ng.ids, strict=True) if image in ng_free)


threshold_at_work()
decision = current_decision(ws)
if steps["thresholds"].state == "done" and decision is not None:
    st.success(f"Fixed: {decision.value:.4f} ({decision.origin}) at {decision.fixed_at}. Next: check it on real NG.")
    if state.get("spent"):
        st.warning(
            f"{state.get('spent')} real NG were seen before this value was fixed. They are threshold NG now "
            "and can never verify it."
        )
    st.page_link(frame.page_path("verification"), label="Go to Verification", icon=":material/arrow_forward:")
elif steps["thresholds"].state == "out of date":
    st.warning("A threshold was fixed for another detector, other synthetic NG or other settings. Fix one again.")

st.subheader("Every rule")
rows = [
    {
        "rule": title_of(c),
        "threshold": c.value,
        "expects to reject": None if c.expected_fpr is None else 100 * c.expected_fpr,
        "at most (95 %)": None if c.fpr_upper_95 is None else 100 * c.fpr_upper_95,
        "set on": f"{c.n_ok} {words.OK_SOURCES[c.source]}" + (f", {c.n_ng} synthetic NG" if c.n_ng else ""),
        "what it promises": c.promise or f"no threshold: {c.reason}",
    }
    for c in table.choices
]
percent = st.column_config.NumberColumn(format="%.2f %%", width=110, help="share of good parts rejected")
st.dataframe(
    pd.DataFrame(rows),
    hide_index=True,
    column_config={
        "rule": st.column_config.TextColumn(width=190),
        "threshold": st.column_config.NumberColumn(format="%.3f", width=75, help="feature distance"),
        "expects to reject": percent,
        "at most (95 %)": percent,
        "set on": st.column_config.TextColumn(width=150),
        "what it promises": st.column_config.TextColumn(width=330),
    },
)
usable = [c for c in table.choices if c.value is not None]
with st.expander("How was this computed, and take another rule"):
    for place, choice in enumerate(usable):
        text, button = st.columns([6, 1])
        rule_text = RULES[choice.rule]
        text.markdown(
            f"**{title_of(choice)}: {choice.value:.4f}** on {choice.n_ok} {words.OK_SOURCES[choice.source]} "
            f"images{f' and {choice.n_ng} synthetic NG' if choice.n_ng else ''}. Assumes: "
            f"{rule_text.assumes}. Promises: {choice.promise}. {' '.join(choice.notes)}"
        )
        button.button(
            "Use",
            key=f"use-{place}",
            on_click=take,
            args=(choice, "recommended" if choice == recommended else "rule"),
        )
    st.caption(
        f"Seed {config.seed}. Memory bank {detector.meta['bank_id'][:16]}: on another bank these numbers mean nothing."
    )
