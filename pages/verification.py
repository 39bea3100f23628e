"""The fixed threshold against real NG that nothing before has used."""

import numpy as np
import streamlit as st

from ias_core.overlay import colour_scale
from pages.services.coverage import coverage
from pages.services.decision import current_decision
from pages.services.detection import unscored_ng
from pages.services.foreign_answers import nobody_was_asked_about
from pages.services.intake import add_verification_ng
from pages.services.ledger import Ledger
from pages.services.pictures import read_at_size
from pages.services.settings import to_dict
from pages.services.steps import load_config
from pages.services.thresholds import evidence_of
from pages.services.trust import class_of, real_class
from pages.services.verification import free_ng, plan_of, recall_by_kind, verify
from pages.ui import cached, coverage_view, frame, state, verification_view, widgets

PER_PAGE = 10

ws, steps = frame.bootstrap("verification")
st.markdown(
    "Decided here: **whether the fixed threshold holds on real defects** that no step before has used. Never optional."
)
frame.stop_if_missing(steps["verification"])
decision, detector, config = current_decision(ws), cached.detector(ws), load_config(ws)
synthesis, free, plan = cached.synthesis(ws), free_ng(ws), plan_of(ws, decision)
verification_view.stated(decision, plan)
if not free:
    st.info(
        "0 real NG are free for verification, so the threshold stays **provisional**. One caught NG would "
        "prove an escape "
        "rate of at most 95 %, ten caught of ten at most 26 %, 59 of 59 at most 5 % (95 % confidence)."
    )
if unasked := nobody_was_asked_about(ws, config.synthesis.imported):
    st.warning(
        f"{len(unasked)} real NG came after a set made elsewhere was imported, and nobody has said whether they taught "
        f"it: {', '.join(record.name for record in unasked[:5])}{', ...' if len(unasked) > 5 else ''}. Import the set "
        "again and answer, or take it out; what taught a generator can never verify."
    )
with st.expander("Add real NG for verification", expanded=not free):
    files = st.file_uploader(
        "Pictures of defective parts that nothing before has used",
        accept_multiple_files=True,
        key="more-ng",
    )
    if st.button("Add them", disabled=not files):
        added = widgets.told(lambda: add_verification_ng(ws, [(f.name, f.getvalue()) for f in files]))
        if added is not None:
            state.put("refused-ng", [(r.name, r.reason) for r in added.rejected])
            widgets.start_job(ws, "score", to_dict(config))
            st.rerun()
for name, reason in state.get("refused-ng", []):
    st.warning(f"{name}: {reason}")
widgets.job_panel(ws, ("score",))
waiting = unscored_ng(ws, detector)
if waiting and steps["verification"].state != "running":
    st.warning(f"{len(waiting)} real NG were added and have no score yet.")
    if st.button("Score the added NG", type="primary", key="score"):
        widgets.start_job(ws, "score", to_dict(config))
        st.rerun()


def failure_modes() -> None:
    """The list is best made before the look; what the NG say for it shows after."""
    coverage_view.show(
        ws,
        coverage(ws, detector, synthesis, decision),
        methods=sorted(name for name in synthesis.sets if name != synthesis.meta.get("graded")),
        kinds=sorted({record.kind for record in Ledger(ws).records(label="ng")}),
        recall=plan.target_recall,
        confidence=plan.confidence,
    )


if waiting:
    failure_modes()
    st.stop()
if steps["verification"].state != "done":
    evidence = evidence_of(detector, synthesis, set())
    verification_view.plan(plan, class_of(plan.best, evidence, config))
    if st.button("Check the threshold", type="primary", key="verify"):
        widgets.told(lambda: verify(ws, detector, decision))
        st.rerun()
    failure_modes()
    st.stop()

result = widgets.told(lambda: verify(ws, detector, decision))
if result is None:
    st.stop()
widgets.evidence_line(real_class(ws, decision.value, detector, synthesis, config, checked=True))
verification_view.result(result)
verification_view.by_kind(recall_by_kind(detector, decision, result.ng), plan.target_recall)
records = {r.sha256: r for r in Ledger(ws).records()}
scale = colour_scale(detector.sets["bank"].patch_scores)
size = detector.meta["input_size"]
opacity = st.slider("Map opacity", 0.0, 1.0, 0.6, key="map-opacity", persist_state="session")


def show(title: str, wrong: tuple[tuple[str, str, float], ...], set_name: str, none: str) -> None:
    st.subheader(f"{title} ({len(wrong)})")
    wrong = [w for w in wrong if w[1] in records]
    if not wrong:
        st.caption(none)
        return
    pages = -(-len(wrong) // PER_PAGE)
    page = (st.pagination(pages, key=f"page-{set_name}") or 1) - 1 if pages > 1 else 0
    shown = wrong[page * PER_PAGE : (page + 1) * PER_PAGE]
    place = {image: i for i, image in enumerate(detector.sets[set_name].ids)}
    widgets.gallery(
        widgets.overlay_items(
            [image for _, image, _ in shown],
            [f"{name}: {score:.2f} ({score - decision.value:+.2f})" for name, _, score in shown],
            [lambda r=records[image]: read_at_size(r, size) for _, image, _ in shown],
            [detector.sets[set_name].patch_scores[place[image]] for _, image, _ in shown],
            scored_by=detector.meta["bank_id"],
            scale=scale,
            opacity=opacity,
            size=size,
        )
    )


show(
    "Missed real NG, the furthest below the threshold first",
    result.missed,
    "ng",
    "None was missed." if result.caught_ng else "No real NG yet.",
)
show(
    "Rejected good parts, the highest score first",
    result.false_rejects,
    "check",
    "None was rejected." if result.rejected_ok else "No check OK pictures.",
)
widgets.scale_caption(scale)
failure_modes()
with st.expander("How was this computed"):
    iqr = float(np.subtract(*np.percentile(detector.sets["bank"].image_scores, [75, 25])))
    st.markdown(
        f"A part is NG when its score is at or above {decision.value!r}. Limits: exact one-sided "
        f"Clopper-Pearson, {100 * plan.confidence:g} %. "
        f"Real NG used: {len(result.ng)}, each in the role verification NG and in no other. Interquartile range of "
        f"leave-one-out OK scores, to judge the margins by: {iqr:.2f}. Memory bank {detector.meta['bank_id'][:16]}."
    )
