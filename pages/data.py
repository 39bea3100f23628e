"""Which pictures: the demo, a folder, a zip or an upload; what was refused and why; which role each picture has."""

from functools import partial

import streamlit as st

from ias_core.errors import IntakeRefused
from pages.services import demo, intake, jobs, sessions
from pages.services.ledger import ImageRecord, Ledger
from pages.services.steps import load_config
from pages.services.uploads import keep_zip
from pages.ui import cached, frame, widgets

ROLE_TITLES = {
    "memory_bank": ("Memory bank", "the detector learns from these"),
    "calibration_ok": ("Calibration OK", "set the threshold; synthetic NG are made from them"),
    "check_ok": ("Check OK", "kept apart: count wrongly rejected good parts at the end"),
    "threshold_ng": ("Threshold NG", "real NG that helped to set a threshold; they can never verify it"),
    "generator_seed": ("Generator seed", "real NG that synthetic ones were made from; they can never verify"),
    "verification_ng": ("Verification NG", "real NG kept apart: count missed defects at the end"),
}
SOURCES = {
    "demo": "Demo",
    "folders": "Folder on this computer",
    "upload": "Upload",
    "tree": "MVTec-style tree",
    "zip": "Zip",
}

ws, steps = frame.bootstrap("data")
config = load_config(ws)
st.markdown(
    "Decided here: **which pictures of good parts** the detector learns from, and which pictures stay apart "
    "to check it."
)


def start_intake(**params) -> None:
    widgets.start_job(ws, "intake", params | {"seed": config.seed})
    st.rerun()


def show_refusal(message: str, rejected: list[tuple[str, str]]) -> None:
    st.error(message)
    if rejected:
        st.dataframe(
            {"file": [n for n, _ in rejected], "why it was refused": [r for _, r in rejected]},
            hide_index=True,
        )


def choose_source() -> None:
    source = st.segmented_control(
        "Where are the pictures?",
        list(SOURCES),
        format_func=SOURCES.get,
        default="demo",
        key="data-source",
        persist_state="session",
    )
    if source == "demo":
        st.markdown(
            "Real electroluminescence pictures of solar cells: 588 good ones and 313 with real defects. "
            "Free for non-commercial use."
        )
        st.caption(demo.LICENSE)
        if not demo.available():
            st.info(
                "The demo pictures are not installed. To get them: `pip install elpv-dataset==1.0.0.post1`, "
                "then reload."
            )
        elif st.button("Load the demo", type="primary", key="load-demo"):
            start_intake(source="demo")
    elif source == "folders":
        ok = st.text_input("Folder of good parts (OK)", key="ok-folder", persist_state="session")
        ng = st.text_input(
            "Folder of real defective parts (NG), if there are any",
            key="ng-folder",
            persist_state="session",
            help="Subfolders are kinds of defect",
        )
        if st.button("Load the folders", type="primary", disabled=not ok):
            start_intake(source="folders", ok=ok, ng=ng)
    elif source == "tree":
        path = st.text_input(
            "Folder that holds train/good, test/<kind>, ground_truth/<kind>",
            key="tree-folder",
            persist_state="session",
        )
        if st.button("Load the tree", type="primary", disabled=not path):
            start_intake(source="tree", path=path)
    elif source == "zip":
        file = st.file_uploader("Zip of an MVTec-style tree, or of folders ok and ng", type="zip", key="zip-file")
        if st.button("Load the zip", type="primary", disabled=file is None):
            start_intake(source="zip", path=str(keep_zip(ws, file.name, file.getbuffer())))
    elif source == "upload":
        whole = st.toggle("Whole folders instead of single files", key="whole-folders", persist_state="session")
        many = "directory" if whole else True
        left, right = st.columns(2)
        ok = left.file_uploader("Good parts (OK)", accept_multiple_files=many, key=f"ok-{whole}")
        ng = right.file_uploader(
            "Real defective parts (NG), if any",
            accept_multiple_files=many,
            key=f"ng-{whole}",
        )
        if st.button("Take the pictures in", type="primary", disabled=not ok):
            take_upload([(f.name, f.getvalue()) for f in ok], [(f.name, f.getvalue()) for f in ng or []])


def take_upload(ok: list[tuple[str, bytes]], ng: list[tuple[str, bytes]]) -> None:
    try:
        with st.spinner(f"Reading {len(ok) + len(ng)} pictures..."):
            intake.import_uploads(ws, ok, ng)
            intake.assign_roles(ws, seed=config.seed)
    except IntakeRefused as refused:
        show_refusal(str(refused), [(r.name, r.reason) for r in refused.rejected])
    else:
        st.rerun()


def show_data(data: intake.Intake) -> None:
    records = Ledger(ws).records()
    n_ok = sum(r.label == "ok" for r in records)
    n_ng = len(records) - n_ok
    left, middle, right = st.columns(3)
    left.metric("Good parts (OK)", n_ok, border=True)
    middle.metric("Real defective parts (NG)", n_ng, border=True)
    right.metric("Refused files", len(data.rejected), border=True)
    show_sessions([r for r in records if r.label == "ok"], data.sessions_from)
    if n_ng == 0:
        st.info(
            "You have 0 real NG. What you can still claim: how many good parts would be rejected. "
            "One real NG that is caught proves an escape rate of at most 95 %, ten prove at most 26 % (with "
            "95 % confidence)."
        )
    if st.button(
        "Run to a provisional threshold",
        type="secondary" if steps["synthesis"].state == "done" else "primary",
        key="run-all",
        help="Builds the detector and makes synthetic NG with the settings of the next two pages",
    ):
        from pages.services.settings import to_dict

        widgets.start_job(ws, "pipeline", to_dict(config))
        st.rerun()
    for notice in data.notices:
        st.warning(notice)
    if data.rejected:
        with st.expander(f"{len(data.rejected)} files were refused; the others are all here", expanded=True):
            st.dataframe(
                {
                    "file": [r.name for r in data.rejected],
                    "why it was refused": [r.reason for r in data.rejected],
                },
                hide_index=True,
            )
    st.subheader("Roles")
    st.caption("Every picture has one role. A picture that set a threshold or seeded a generator can never verify it.")
    st.dataframe(
        {
            "role": [title for title, _ in ROLE_TITLES.values()],
            "pictures": [sum(r.role == role for r in records) for role in ROLE_TITLES],
            "what for": [what for _, what in ROLE_TITLES.values()],
        },
        hide_index=True,
    )
    st.subheader("Pictures")
    for label, title in (("ok", "Good parts"), ("ng", "Real NG")):
        some = [r for r in records if r.label == label][:10]
        if some:
            st.caption(f"{title}: the first {len(some)} of {n_ok if label == 'ok' else n_ng}")
            widgets.gallery(widgets.drawn([(partial(cached.thumbnail, r), r.name) for r in some]), columns=10)


def show_sessions(ok: list[ImageRecord], source: str) -> None:
    of_session = sessions.counts(ok)
    several = len(of_session) > 1
    st.badge(
        sessions.found_sentence(ok, source),
        icon=":material/event:",
        color="blue" if several else "orange",
        help="A session is what was taken in one go: a shift, a lot, a day. It comes from a table sessions.csv beside "
        "the pictures (columns file and session), else from the subfolders of the good parts, else from EXIF dates",
    )
    if several:
        with st.expander("Good parts of each session"):
            st.dataframe({"session": list(of_session), "good parts": list(of_session.values())}, hide_index=True)


widgets.job_panel(ws, ("intake",))
widgets.job_panel(ws, ("pipeline",))
last = jobs.latest(ws, "intake")
if last is not None and last.result and "refused" in last.result and not last.is_active:
    show_refusal(last.result["refused"], [(r["name"], r["reason"]) for r in last.result["rejected"]])
data = intake.current(ws)
if data is None:
    if steps["data"].state != "running":
        choose_source()
else:
    if steps["synthesis"].state == "done":
        st.success("Detector and synthetic NG are ready.")
        st.page_link(
            frame.page_path("thresholds"),
            label="See the threshold and what it is worth",
            icon=":material/arrow_forward:",
        )
    show_data(data)
    with st.expander("Load other pictures (replaces these; the ledger remembers every role)"):
        choose_source()
