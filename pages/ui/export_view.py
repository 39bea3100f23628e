"""On the line, first part: hand over the signed threshold, and see what each form said of known pictures."""

from typing import Any

import numpy as np
import streamlit as st

from ias_core.patchcore.line_forms import FORMS, OWN
from ias_core.patchcore.line_threshold import smallest_float32
from pages.services import jobs
from pages.services.line_export import possible_forms, zipped
from pages.services.line_manifest import MUST, read_manifest
from pages.services.record_file import RecordFile
from pages.services.workspace import Workspace
from pages.ui import widgets
from pages.ui.markdown import plain_text

EXPORT = "export"
_TIE = (
    "NG from the threshold on (>=). anomalib decides with > and in float32, so its threshold stands one step of "
    "float32 lower, on a scale (min, max, sensitivity) on which no rounding moves a score across it."
)


def show(ws: Workspace, record: RecordFile) -> None:
    """One button, then what was exported, checked and may be downloaded."""
    st.subheader("Hand over to the line")
    possible = possible_forms()
    told = widgets.told(lambda: read_manifest(record.folder))
    current = told is not None and told["record"] == record.sha256
    ready = [form for form, missing in possible.items() if not missing]
    st.markdown(
        f"Threshold **{record.content['threshold']['value']:.4f}**, record {record.sha256[:16]}. Every form scores "
        "known pictures again in a fresh process. One that does not give the signed verdicts is not handed over."
    )
    if st.button(
        "Export again" if current else "Export for the line",
        type="secondary" if current else "primary",
        disabled=bool(jobs.active(ws)),
        key="export",
        help="About a minute: anomalib's own export, then a fresh process for each form",
    ):
        widgets.start_job(ws, EXPORT, {"record": record.sha256, "forms": ready})
        st.rerun()
    st.caption(f"Possible here: {', '.join(FORMS[form].title for form in ready)}.")
    for missing in filter(None, possible.values()):
        st.caption(f"Not possible here: {missing}")
    widgets.job_panel(ws, (EXPORT,))
    if current:
        _exported(ws, record, told)


def _exported(ws: Workspace, record: RecordFile, told: dict[str, Any]) -> None:
    given = [one for one in told["forms"] if one["handed_over"]]
    refused = [one for one in told["forms"] if not one["handed_over"]]
    st.success(f"**{len(given)} of {len(told['forms'])} forms may go to the line.** {_verdicts(given)}")
    for one in refused:
        st.error(f"Not handed over: {one['reason']}")
    st.dataframe(_table(ws, record, told), hide_index=True)
    st.download_button(
        "Download the release (zip)",
        lambda: zipped(record),
        f"release-{record.sha256[:16]}.zip",
        "application/zip",
        type="primary",
        on_click="ignore",
    )
    moved = _moved(record, told, given)
    if moved:
        st.warning(moved)
    st.markdown("**What the line must do**\n" + "\n".join(f"{i}. {line}" for i, line in enumerate(MUST, start=1)))
    with st.expander("How was this computed"):
        st.markdown(_TIE)
        alike, gone = told["prepared_alike"], told["probes_gone"]
        st.markdown(
            f"`prepare.py` gave the very pixels that were signed for {alike['same']} of {alike['n']} pictures."
            + (f" Not found any more, so not scored: {', '.join(gone)}." if gone else "")
        )
        st.markdown("Pictures scored again: challenge parts, then those nearest to the threshold from both sides.")
        st.dataframe([{"file": p["file"], "signed score": p["score"], "verdict": p["verdict"]} for p in told["probes"]])
        st.json({"files": told["files"], "versions": told["versions"], "bank": told["bank_id"]}, expanded=False)


def _verdicts(given: list[dict[str, Any]]) -> str:
    """The least that any of them agrees: counts first."""
    worst = min(given, key=lambda one: one["same_verdict"])
    differences = [
        one["largest_relative_difference"] for one in given if one["largest_relative_difference"] is not None
    ]
    text = f"{worst['same_verdict']} of {worst['probes']} known pictures have the signed verdict"
    if worst["too_close_to_tell"]:
        text += f", {worst['too_close_to_tell']} too close to the threshold for two computers to agree"
    return f"{text}; scores differ by at most {_tiny(max(differences))}." if differences else f"{text}."


def _table(ws: Workspace, record: RecordFile, told: dict[str, Any]) -> list[dict[str, Any]]:
    last = jobs.latest(ws, EXPORT)
    known = last is not None and last.result is not None and last.result["record"] == record.sha256
    times = last.result["ms_per_picture"] if known else {}
    return [
        {
            "form": one["title"],
            "handed over": "yes" if one["handed_over"] else "no",
            "verdicts as signed": f"{one['same_verdict']} of {one['probes']}",
            "scores differ by at most": _difference(one),
            "NG from": f"{one['threshold']:.5f}",
            "ms per picture here": times.get(one["form"]),
            "MB": round(sum(told["files"][name]["bytes"] for name in one["files"]) / 1e6, 1),
            "files": ", ".join(one["files"]),
        }
        for one in told["forms"]
    ]


def _difference(form: dict[str, Any]) -> str:
    largest, n = form["largest_relative_difference"], form["scores_compared"]
    if largest is None:
        return "not compared"
    return f"{_tiny(largest)} ({n} scores)"


def _tiny(share: float) -> str:
    """A share of the score, without an exponent.

    Examples
    --------
    >>> _tiny(0.0), _tiny(9.7e-7)
    ('0', '0.0001 %')
    """
    return np.format_float_positional(100 * share, precision=1, fractional=False, trim="-") + (" %" if share else "")


def _moved(record: RecordFile, told: dict[str, Any], given: list[dict[str, Any]]) -> str:
    """Why the exported threshold is not, to the last digit, the signed one; "" where it is."""
    signed = record.content["threshold"]["value"]
    others = [one["threshold"] for one in given if one["form"] != OWN]
    if not others or others[0] == smallest_float32(signed):
        return ""
    share = (others[0] - signed) / signed
    nearest = min(told["probes"], key=lambda one: abs(one["score"] - signed))
    return (
        f"In the anomalib forms NG begins at {others[0]:.5f}, signed was {signed:.5f} ({100 * share:+.2g} %). "
        f"{plain_text(nearest['file'])} ({nearest['score']:.5f}, {nearest['verdict']}) lies nearer to the signed "
        "threshold than two computers agree, and every form must give it the signed verdict. `cli.py score` keeps the "
        "signed threshold and marks such pictures."
    )
