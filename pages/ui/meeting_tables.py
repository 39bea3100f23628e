"""The second half of the meeting's page as HTML: failure modes, conditions, signatures. Every text is escaped."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from calibration.rules import percent
from pages.services.coverage import refuted, to_do
from pages.services.records import MEANINGS, TYPED
from pages.ui import theme, widgets
from pages.ui.coverage_view import CHIPS


def coverage(content: dict[str, Any]) -> None:
    """A line per failure mode; what has no real NG says what to collect."""
    rows, stated = content["coverage"], content["verification"]["stated"]
    if not rows:
        st.html("<p><b>No failure modes are listed.</b> Nobody can say what has no evidence.</p>")
        return
    checked = sum(row["evidence"] == "real" for row in rows)
    body = "".join(_mode(row, stated) for row in rows)
    st.html(
        f"<p><b>{checked} of {len(rows)}</b> were checked on real NG. The rest is the to-do list.</p>"
        '<table class="wall"><thead><tr><th>Failure mode</th><th>Severity</th><th>Evidence</th><th>To do</th></tr>'
        f"</thead><tbody>{body}</tbody></table>"
    )


def _mode(row: dict[str, Any], stated: dict[str, Any]) -> str:
    severity = "not rated" if row["severity"] is None else str(row["severity"])
    note = f"<br><small>{escape(row['note'])}</small>" if row["note"] else ""
    target = {"recall": stated["target_recall"], "confidence": stated["confidence"]}
    next_step = to_do(row, **target) or "Target proven."
    look = "refuted" if refuted(row, **target) else row["evidence"]
    return (
        f'<tr class="evidence-{look}"><td>{escape(row["mode"])}{note}</td><td>{severity}</td>'
        f"<td>{_evidence(row, stated['confidence'])}</td><td>{escape(next_step)}</td></tr>"
    )


def _evidence(row: dict[str, Any], confidence: float) -> str:
    real = (
        f"{row['caught_real']} of {row['n_real']} real NG caught "
        f"({percent(confidence)}: at least {widgets.percent(row['low_real'])})"
        if row["n_real"]
        else ""
    )
    synthetic = (
        f"{row['caught_synthetic']} of {row['n_synthetic']} synthetic NG caught; not evidence of escape"
        if row["n_synthetic"]
        else ""
    )
    chip = theme.evidence_chip(*CHIPS[row["evidence"]])
    return "<br>".join(part for part in (chip, real, synthetic) if part)


def conditions(found: dict[str, Any]) -> None:
    """Expiry, what asks for a new verification, and which NG to collect next."""
    expires = f"until {escape(found['expires'])}" if found["expires"] else "no expiry date was given"
    left, middle, right = st.columns(3)
    for place, title, lines in (
        (left, f"It holds {expires}, for", found["valid_for"]),
        (middle, "Verify again when", found["verify_again_when"]),
        (right, "Collect next", found["collect_next"]),
    ):
        items = "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>nothing is named</li>"
        with place.container(border=True, height="stretch"):
            st.html(f"<p><b>{title}</b></p><ul>{items}</ul>")


def signatures(given: Sequence[dict[str, Any]], void: Sequence[str]) -> None:
    """One line per signature, and one for each that is missing; ``void`` says why those given count no more."""
    if void:
        st.html(f'<div class="standing standing-refuted"><b>Void</b> {escape("; ".join(void))}.</div>')
        given = ()
    lines = []
    for meaning in MEANINGS:
        own = [one for one in given if one["meaning"] == meaning]
        lines += [_signature(one) for one in own]
        if not own:
            lines.append(f'<tr class="evidence-none"><td>{meaning}</td><td colspan="4">not signed yet</td></tr>')
    st.html(
        '<table class="wall"><thead><tr><th>Meaning</th><th>Name</th><th>Identity</th><th>When</th><th>Reason</th></tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _signature(one: dict[str, Any]) -> str:
    how, email = escape(one["identity"]["how"]), escape(one["identity"]["email"])
    who = f"<b>{how}</b>" if how == TYPED else f"{how}<br><small>{email}</small>"
    role = f"<br><small>{escape(one['role'])}</small>" if one["role"] else ""
    at = one["at"][:16].replace("T", " ")
    return (
        f"<tr><td>{escape(one['meaning'])}</td><td>{escape(one['signed_by'])}{role}</td><td>{who}</td>"
        f"<td>{escape(at)}</td><td>{escape(one['reason'])}</td></tr>"
    )
