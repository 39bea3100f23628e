"""Every rule's threshold with its promise; one slider moves the threshold, counts and curves follow at once."""

from datetime import datetime

import numpy as np
import streamlit as st

from calibration.counts import counts_at
from calibration.rules import RULES, title_of
from calibration.simultaneous import rate_bound_anywhere
from calibration.types import ThresholdChoice
from pages.services import jobs
from pages.services.decision import current_decision, fix_threshold
from pages.services.ledger import Ledger
from pages.services.settings import to_dict
from pages.services.steps import load_config
from pages.services.thresholds import ThresholdTable
from pages.services.trust import Trust, class_of
from pages.services.verification import basis_of, free_ng, last_verification, note_seen, seen_ng
from pages.ui import cached, charts, frame, rules_view, state, trust_view, widgets, words

SLIDER = "threshold-slider"
SHOW_REAL = "show-real"
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
trust: Trust = cached.trust(ws, detector, synthesis, config, ng_free)
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


verified = last_verification(ws)
opened = bool(verified and verified["status"] == "checked")  # how the toggle for real NG starts
in_view = bool(len(evidence.ng_real)) and (state.widget_value(SHOW_REAL) if state.has_widget(SHOW_REAL) else opened)
basis = basis_of(detector.meta["bank_id"], to_dict(config)["thresholds"])
# Before real NG are in view, a class that rests on them would give away what they say. Seen with another memory bank or
# other settings, they no longer are NG that nothing before has used.
used_before = bool(ng_free & seen_ng(ws, other_than=basis))
shown = trust.evidence if in_view and not used_before else class_of(None, evidence, config)
if recommended.value is None:
    st.error(table.recommendation.why)
    st.markdown("What to change:\n" + "\n".join(f"{i}. {way}" for i, way in enumerate(table.recommendation.advice, 1)))
else:
    st.success(
        f"**Recommended: {recommended.value:.3f}** (feature distance, rule: {title_of(recommended)}). "
        f"{table.recommendation.why}"
    )
    widgets.evidence_line(shown)
trust_view.standing_apart(trust.apart, detector, {r.sha256: r for r in Ledger(ws).records(label="ok")})


@st.fragment
def threshold_at_work() -> None:
    show_real = False
    if len(evidence.ng_real):
        show_real = st.toggle(
            f"Show the {len(evidence.ng_real)} real NG that are kept for verification",
            value=opened,
            key=SHOW_REAL,
            help="Seen before another value than the recommended one is fixed, they can never verify it",
        )
        if show_real:
            note_seen(ws, ng_free, basis=basis)
    if show_real != in_view:
        st.rerun(scope="app")  # the blocks around the fragment show real NG too
    results = (detector.digest, synthesis.digest)
    if not state.has_widget(SLIDER) or state.get("slider-basis") != results:  # another tab may have built again
        state.set_widget(SLIDER, rounded(origin_now()[2]))
        state.put("slider-basis", results)
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
    flagged = counts_at(evidence.ok, value)
    # A threshold on a slider is picked while looking: its limit must hold at every threshold at once.
    ok = flagged if origin == "recommended" else rate_bound_anywhere(flagged.k, flagged.n)
    caught = {name: evidence.caught(name, value) for name in evidence.synthetic}
    real = counts_at(evidence.ng_real, value) if show_real else None
    columns = st.columns(3)
    with columns[0].container(border=True):
        st.markdown(f"##### {widgets.rejected_sentence(ok)}")
        how = "by a rule stated before" if origin == "recommended" else "while looking at them"
        st.caption(f"{words.OK_SOURCES[evidence.ok_source]} pictures; the limit holds for a threshold chosen {how}")
    with columns[1].container(border=True):
        for name, bound in caught.items():
            st.markdown(f"##### {bound.k} of {bound.n} synthetic NG caught ({words.method(name)})")
            if name in evidence.sources:
                st.caption(words.one_defect(evidence.sources[name]))
        if caught:
            st.caption("this is not evidence of escape")
        for why in evidence.voiceless.values():
            st.caption(f"{words.capital(why)}.")
    with columns[2].container(border=True):
        if real is not None:
            st.markdown(f"##### {widgets.caught_sentence(real, 'real NG')}")
            st.caption(f"{widgets.missed_sentence(real)}; seen here, they can only verify the recommended threshold")
        elif len(evidence.ng_real):
            st.markdown("##### Real NG: kept for verification")
            st.caption("not looked at yet")
        else:
            st.markdown("##### 0 real NG: nothing is known about escapes")
            st.caption("one caught NG would prove an escape rate of at most 95 %, two 77.6 %, ten 25.9 %")
    st.caption(f"Threshold in use: {value:.4f}, {origin}{f' ({RULES[rule].title})' if rule else ''}.")
    draw(value, ok, caught, real)


def draw(value, ok, caught, real) -> None:
    groups = [charts.ScoreGroup("ok", f"OK ({words.OK_SOURCES[evidence.ok_source]})", evidence.ok, ok_names())]
    groups += [
        charts.ScoreGroup("synthetic", f"Synthetic NG, {words.method(n)}", s, evidence.names[n])
        for n, s in evidence.synthetic.items()
    ]
    labels = {n: f"synthetic NG, {words.method_from(n, evidence.sources.get(n, ()))}" for n in table.synthetic_roc}
    bands = [("synthetic", labels[n], band, area) for n, (area, band) in table.synthetic_roc.items()]
    pointwise = {labels[n]: trust.bands[n] for n in table.synthetic_roc}
    operating = [("synthetic", words.method(n), ok, bound) for n, bound in caught.items()]
    if real is not None:
        groups.append(charts.ScoreGroup("real", "Real NG", evidence.ng_real, real_names()))
        area, band = table.real_roc
        judging, _ = evidence.judging_ok
        label = f"real NG ({table.real_ok_source} OK)"
        bands.append(("real", label, band, area))
        pointwise[label] = trust.bands["real"]
        operating.append(("real", "real NG", counts_at(judging, value), real))
    st.plotly_chart(
        charts.score_distribution(groups, value, recommended.value, review_from=review_from(value)),
        key="distribution",
        alt=f"{ok.k} of {ok.n} good parts at or above the threshold {value:.3f}",
    )
    st.plotly_chart(
        charts.roc(bands, operating, pointwise=pointwise), key="roc", alt="ROC of synthetic and real NG with bands"
    )


def review_from(value: float) -> float | None:
    """Where the review band of the staffing limit begins, while the recommended threshold is in use."""
    staffed = trust.reviews[0] if trust.reviews else None
    return staffed.review_from if staffed is not None and value == recommended.value else None


def ok_names() -> tuple[str, ...]:
    return detector.sets[evidence.ok_set].names


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


def as_card(choice: ThresholdChoice) -> rules_view.Card:
    primary = evidence.synthetic.get(evidence.primary or "")
    caught = f"{evidence.voiceless.get(evidence.primary or '', 'none scored yet')}."
    if primary is not None and choice.value is not None:
        bound = evidence.caught(evidence.primary, choice.value)
        caught = f"{bound.k} of {bound.n} caught ({words.method(evidence.primary)}); this is not evidence of escape."
    return rules_view.Card(choice, caught, shown if choice == recommended else class_of(None, evidence, config))


def vary_seeds() -> None:
    widgets.start_job(ws, "seeds", to_dict(config))
    st.rerun()


st.header("How far can this be trusted?")
rules_tab, range_tab, pod_tab, transfer_tab, review_tab, collect_tab = st.tabs(
    ["Every rule", "Robustness", "Smallest defect found", "Synthetic against real", "Review band", "What to collect"]
)
with rules_tab:
    rules_view.table(table.choices)
    rules_view.cards(
        [as_card(choice) for choice in table.choices],
        recommended,
        take,
        footer=(
            f"Seed {config.seed}. Memory bank {detector.meta['bank_id'][:16]}: "
            "on another bank these numbers mean nothing."
        ),
    )
with range_tab:
    if recommended.value is None:
        st.info("There is no recommended threshold that could move.")
    else:
        widgets.job_panel(ws, ("seeds",))
        trust_view.robustness(trust, start_seeds=vary_seeds, running=bool(jobs.active(ws)))
with pod_tab:
    if recommended.value is None:
        st.info("There is no recommended threshold to find defects with.")
    else:
        measured = cached.measured(ws, detector, ng_free) if in_view else None
        trust_view.pod(trust, evidence, measured, recommended.value)
with transfer_tab:
    if in_view:
        trust_view.transfers(trust, evidence, real_names())
    elif len(evidence.ng_real):
        st.info(
            f"{len(evidence.ng_real)} real NG are kept for verification. The comparison is shown once the threshold "
            "is fixed and checked, or when you switch real NG on above; seen earlier, they can only verify the "
            "recommended threshold."
        )
    else:
        st.info("0 real NG: nobody knows whether synthetic NG are like them. Two can refute it, dozens can show it.")
with review_tab:
    if trust.reviews:
        trust_view.reviews(trust.reviews)
    else:
        st.info("There is no recommended threshold to put a review band below.")
with collect_tab:
    seen = in_view and recommended.value is not None
    trust_view.collect(evidence, trust.plan_ng if seen else None, len(ng_free), config.thresholds)
