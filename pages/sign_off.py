"""What was decided and what it is worth, on one page; signed with a typed name and handed over as a file."""

import json
from datetime import datetime

import streamlit as st

from calibration.rules import RULES
from pages.services import records
from pages.services.decision import current_decision
from pages.services.report import calibration_report_of, decision_row
from pages.services.steps import load_config
from pages.services.trust import Judgement, real_class
from pages.services.verification import free_ng, last_verification
from pages.ui import cached, frame, state, widgets

ws, steps = frame.bootstrap("sign_off")
st.markdown("Decided here: **who stands for this threshold**, and on what evidence.")
frame.stop_if_missing(steps["sign_off"])
config, decision = load_config(ws), current_decision(ws)
detector, synthesis = cached.detector(ws), cached.synthesis(ws)
verified = last_verification(ws)
checked = bool(verified and verified["decision"] == decision.digest and verified["status"] == "checked")
ng_free = free_ng(ws)
judgement = Judgement(
    cached.table(detector, synthesis, config, ng_free), cached.trust(ws, detector, synthesis, config, ng_free)
)
report = calibration_report_of(ws, config, detector, synthesis, judgement)
fixed = decision_row(ws, decision, detector, synthesis, config, checked=checked)
report["fixed"] = fixed
report["status"] = fixed["status"]

rule = RULES[decision.rule].title if decision.rule else "set by hand"
st.markdown(f"## Threshold {decision.value:.4f} - {'checked on real NG' if checked else 'PROVISIONAL'}")
st.markdown(f"{rule} ({decision.origin}), fixed {decision.fixed_at}. A part is NG when its score is at or above it.")
widgets.evidence_line(real_class(ws, decision.value, detector, synthesis, config, checked=checked))
if not checked:
    st.warning(
        "Provisional: this threshold was not checked on real NG of its own. It may be used to collect parts, "
        "not to release them."
    )
left, middle, right = st.columns(3)
left.metric("Good parts rejected (check OK)", fixed["rejected"] or "not checked", border=True)
middle.metric("Real NG caught", fixed["caught"] or "not checked", border=True)
n_synthetic = sum(len(scores) for scores in judgement.table.evidence.synthetic.values())
right.metric("Synthetic NG", f"{n_synthetic}, not evidence", border=True)
if fixed["rejected"]:
    left.caption(f"95 %: up to {widgets.percent(fixed['real_fpr_upper_95'])}")
if fixed["caught"]:
    middle.caption(
        f"95 %: at least {widgets.percent(fixed['real_recall_lower_95'])}; the misses prove at most "
        f"{widgets.percent(1 - fixed['real_recall_lower_95'])} escape at 95 %"
    )
st.subheader("Sign")
st.caption("No identity provider is configured: the name is typed and recorded as unverified.")
with st.form("sign", border=True):
    name = st.text_input("Printed name")
    meaning = st.selectbox("Meaning", records.MEANINGS)
    reason = st.text_area("Reason")
    if st.form_submit_button("Sign", type="primary"):
        signed = widgets.told(
            lambda: records.sign(
                ws,
                name=name,
                meaning=meaning,
                reason=reason,
                decision=decision.digest,
                report=report,
                now=datetime.now().astimezone().isoformat(timespec="seconds"),
            )
        )
        if signed is not None:
            state.put("signed", signed["sha256"])
            st.rerun()  # the rail counts the record too
signed_here = records.signed_records(ws)
if signed_here and signed_here[-1]["sha256"] == state.get("signed"):
    st.success(f"Signed. Record {state.get('signed')[:16]}")
if signed_here:
    st.subheader("Records")
    st.dataframe(
        [
            {
                "signed at": r["signed_at"],
                "name (typed, unverified)": r["signed_by"],
                "meaning": r["meaning"],
                "reason": r["reason"],
                "status": r["report"]["status"],
                "threshold": r["report"]["fixed"]["value"],
                "this threshold": r["decision"] == decision.digest,
                "record": r["sha256"][:16],
            }
            for r in reversed(signed_here)
        ],
        hide_index=True,
    )
    st.download_button(
        "Download the latest record (JSON)",
        records.canonical(signed_here[-1]),
        "record.json",
        "application/json",
        on_click="ignore",
    )
st.download_button(
    "Download calibration.json",
    lambda: json.dumps(report, indent=1, ensure_ascii=False),
    "calibration.json",
    "application/json",
    on_click="ignore",
)
