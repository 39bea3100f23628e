"""On the line, second part: does the line still score as it was signed? The last look first, then the next one."""

from datetime import datetime

import streamlit as st

from calibration.challenge import SHOTS
from calibration.drift_power import ALARM, CANNOT_TELL
from pages.services import jobs, watch_log
from pages.services.line_csv import read_scores
from pages.services.line_watch import Look, record_range, release_key
from pages.services.record_file import RecordFile
from pages.services.watch_report import (
    advice,
    compared,
    headline,
    how_computed,
    mismatch,
    notes,
    parts_shown,
    reasons,
)
from pages.services.workspace import Workspace
from pages.ui import widgets
from pages.ui.charts.drift import look_history, score_run

WATCH = "watch"
_SOURCES = {"table": "Table of scores (CSV)", "folder": "Folder of pictures"}
_BOXES = {ALARM: st.error, CANNOT_TELL: st.warning}
_TABLE_HELP = (
    "Columns file and score, as `cli.py score` writes them; verdict and at (time) if there are any. Without times the "
    "order of the lines is that of time. Semicolons and decimal commas are read as well."
)
_SEED = 0


def show(ws: Workspace, record: RecordFile) -> None:
    """What the last look said, a new look, then the pictures behind the last one."""
    st.subheader("Is the line still as it was signed?")
    release = release_key(record)
    found = watch_log.newest(ws, release)
    if found is None:
        st.info(
            "No look yet. Bring the newest scores of the line, and those of the challenge parts: a look says whether "
            "camera or process changed since the record was signed, and how large a change it could have missed."
        )
    else:
        _answer(found)
    _ask(ws, record, release)
    if found is not None:
        _details(ws, record, found, release)


def _answer(found: Look) -> None:
    steps = "".join(f"\n{i}. {step}" for i, step in enumerate(advice(found), start=1))
    why = "".join(f"\n- {reason}" for reason in reasons(found))
    _BOXES.get(found.verdict, st.info)(f"**{headline(found)}**\n{why}\n{steps}")
    st.caption(f"Last look: {_minutes(found.at)}, {found.source}.")
    if warning := mismatch(found):
        st.warning(warning)
    for note in notes(found):
        st.caption(note)


def _ask(ws: Workspace, record: RecordFile, release: str) -> None:
    with st.container(border=True):
        st.markdown("##### Look at new scores")
        source = st.segmented_control(
            "From", list(_SOURCES), default="table", format_func=_SOURCES.get, key="watch-source", required=True
        )
        left, right = st.columns(2)
        n_good = len(record.content["scores"]["reference"])
        with st.expander("Settings, and limits of the challenge parts"):
            window = st.number_input(
                "Newest parts to look at",
                1,
                100_000,
                n_good,
                key="watch-window",
                persist_state="session",
                help=f"The record has {n_good} good scores: more parts than that see little more, and mix old with new",
            )
            _ask_shots(ws, record, release)
        if source == "folder":
            _ask_folder(ws, record, left, right, int(window))
        else:
            _ask_table(ws, record, release, left, right, int(window))
        widgets.job_panel(ws, (WATCH,))


def _ask_table(ws: Workspace, record: RecordFile, release: str, left, right, window: int) -> None:
    table = left.file_uploader(
        "Scores of the line's parts", type=["csv", "tsv", "txt"], help=_TABLE_HELP, key="watch-csv"
    )
    challenge = right.file_uploader(
        "Scores of the challenge parts, if they were shown",
        type=["csv", "tsv", "txt"],
        help="Columns file and score; file names the part. Several rows of one part are several shots",
        key="watch-challenge",
    )
    if not st.button("Look", type="primary", disabled=table is None, key="watch-look"):
        return
    with st.spinner("Comparing with the record, and simulating what such a look can see..."):
        kept = widgets.told(
            lambda: watch_log.look_and_keep(
                ws,
                record,
                read_scores(table.getvalue(), table.name),
                challenge=None if challenge is None else read_scores(challenge.getvalue(), challenge.name),
                now=_now(),
                window=window,
                seed=_SEED,
            )
        )
    if kept is not None:
        st.rerun()


def _ask_folder(ws: Workspace, record: RecordFile, left, right, window: int) -> None:
    if not (record.path.exists() and (record.folder / "line").is_dir()):
        left.info("Pictures are scored with what was handed over: export for the line first.")
        return
    images = left.text_input("Folder of the line's pictures, named in order of time", key="watch-images")
    challenge = right.text_input(
        "Folder of shots of the challenge parts, if they were shown",
        help="Each shot named after its part, or in a folder named after it",
        key="watch-challenge-images",
    )
    if st.button("Score and look", type="primary", disabled=not images or bool(jobs.active(ws)), key="watch-look"):
        params = {"record": str(record.path), "images": images, "challenge": challenge, "window": window, "seed": _SEED}
        widgets.start_job(ws, WATCH, params)
        st.rerun()


def _ask_shots(ws: Workspace, record: RecordFile, release: str) -> None:
    """Limits of the challenge parts, from shots at release."""
    if not record.content["challenge"]:
        return
    shots = watch_log.shots_at_release(ws, release)
    known = f"from {len(shots.files)} shots in {shots.source}" if shots else "**not known yet**"
    names = ", ".join(part["file"] for part in record.content["challenge"])
    st.markdown(
        f"Limits of the challenge parts: {known}. Take {SHOTS} shots of each ({names}) at release, over a day, with "
        "the part taken out and put back each time, and score them."
    )
    table = st.file_uploader(
        "Scores of these shots, one row for each shot", type=["csv", "tsv", "txt"], help=_TABLE_HELP, key="watch-shots"
    )
    if st.button("Keep these shots", disabled=table is None, key="watch-keep-shots"):
        kept = widgets.told(
            lambda: watch_log.keep_shots(ws, record, read_scores(table.getvalue(), table.name), now=_now())
        )
        if kept is not None:
            st.rerun()


def _details(ws: Workspace, record: RecordFile, found: Look, release: str) -> None:
    names = [
        f"{file}, {time.replace('T', ' ')}" if time else file
        for file, time in zip(found.files, found.times or [""] * len(found.files), strict=True)
    ]
    figure = score_run(found.window, names, found.threshold, record=record_range(record), review_from=found.review_from)
    st.plotly_chart(figure, key="watch-run", alt=headline(found))
    if found.challenge:
        st.markdown("##### Challenge parts")
        st.dataframe(parts_shown(found), hide_index=True)
    looks = watch_log.history(ws, release)
    alarms = sum(one.verdict == ALARM for one in looks)
    st.plotly_chart(look_history(looks), key="watch-history", alt=f"{alarms} of {len(looks)} looks are alarms")
    with st.expander("How was this computed"):
        st.dataframe(compared(found), hide_index=True)
        st.markdown("\n".join(f"- {line}" for line in how_computed(found)))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _minutes(at: str) -> str:
    return at[:16].replace("T", " ")
