"""Failure modes of the part against evidence: the table, and a form for each line of it."""

from collections.abc import Callable, Sequence

import streamlit as st

from calibration.rules import percent
from calibration.types import RateBound
from pages.services import failure_modes
from pages.services.coverage import Row, rows, to_do
from pages.services.failure_modes import SEVERITIES, Mode
from pages.services.ledger import NG
from pages.services.workspace import Workspace
from pages.ui import theme, widgets, words
from pages.ui.markdown import plain_text

CHIPS = {
    "none": ("threshold", "no evidence"),
    "synthetic": ("synthetic", "synthetic NG only"),
    "real": ("real", "real NG"),
}
"""Look and words of a row's evidence."""

_NOT_RATED = "not rated"
_WIDTHS = (2.3, 1.9, 2.9, 0.9)


def show(
    ws: Workspace,
    found: Sequence[Row],
    *,
    methods: Sequence[str],
    kinds: Sequence[str],
    recall: float,
    confidence: float,
) -> None:
    """The whole block: what stands behind each failure mode, what is missing, and the list to edit.

    ``methods`` and ``kinds`` are those that a mode may be given; ``recall`` and ``confidence`` the stated target.
    """
    st.subheader("Failure modes and what stands behind them")
    empty = sum(row.evidence != "real" for row in found)
    st.markdown(
        f"{len(found) - empty} of {len(found)} failure modes were checked on real NG. **The rest is the to-do list.**"
        if found
        else "No failure modes are listed yet. List how the part can fail: what has no evidence then shows."
    )
    for line, (row, plain) in enumerate(zip(found, rows(found), strict=True)):
        with st.container(border=True, key=f"mode-row-{line}"):
            left, middle, right, edit = st.columns(_WIDTHS, vertical_alignment="center")
            left.markdown(f"**{_title(row, plain['mode'])}**  \n{_about(row)}")
            middle.html(theme.evidence_chip(*CHIPS[row.evidence]))
            middle.markdown("  \n".join(_evidence(row)))
            right.markdown(_next(row, to_do(plain, recall=recall, confidence=confidence)))
            if row.listed:
                with edit.popover("Change", width="stretch"):
                    _change(ws, row.mode, methods, kinds)
    st.caption(
        "Most urgent first: severity × escape rate that is not excluded yet; a severity nobody rated counts as 10. "
        "To refute: if all of them are missed. To prove: if none is missed. Each limit stands on its own; of many, "
        "some are off by chance."
    )
    left, right = st.columns(2)
    with left.expander("Add a failure mode", expanded=not found):
        _add(ws, methods, kinds)
    with right.container():
        proposed = failure_modes.proposed(ws)
        if proposed and st.button(
            f"Add a failure mode for each kind of NG without one ({len(proposed)})",
            key="propose-modes",
            help=", ".join(mode.name for mode in proposed),
        ):
            _saved(lambda: failure_modes.add_modes(ws, proposed))


def kind_name(kind: str) -> str:
    """A kind as the screen says it; pictures that came without one have no name for it."""
    return "NG without a kind" if kind in (NG, "") else kind


def real_sentence(bound: RateBound) -> str:
    """Count, denominator, bound.

    Examples
    --------
    >>> from calibration.bounds import rate_bound
    >>> real_sentence(rate_bound(3, 3))
    '3 of 3 real NG caught (95 %: at least 36.8 %)'
    """
    return f"{bound.k} of {bound.n} real NG caught ({percent(bound.confidence)}: at least {widgets.percent(bound.low)})"


def _title(row: Row, name: str) -> str:
    return plain_text(words.capital(name) if not row.listed else name)


def _about(row: Row) -> str:
    if not row.listed:
        return "Nobody has said yet how the part fails here."
    severity = _NOT_RATED if row.mode.severity is None else f"{row.mode.severity} of 10"
    kinds = ", ".join(kind_name(kind) for kind in row.mode.kinds) or "none given yet"
    note = f"  \n{plain_text(row.mode.note)}" if row.mode.note else ""
    return f"Severity: {severity}. Kinds of NG: {plain_text(kinds)}.{note}"


def _evidence(row: Row) -> list[str]:
    said = []
    if row.real is not None:
        said.append(real_sentence(row.real))
    if row.n_synthetic:
        said.append(f"{row.caught_synthetic} of {row.n_synthetic} synthetic NG caught; not evidence of escape")
    return said


def _next(row: Row, collect: str) -> str:
    said = []
    if row.waiting:
        said.append(f"{row.waiting} real NG wait for the check.")
    if collect:
        said.append(plain_text(collect))
    elif row.listed:
        said.append("The target is proven for this one.")
    if row.spent:
        said.append(f"{row.spent} real NG taught a generator or set a threshold: they never count.")
    return "  \n".join(said)


def _add(ws: Workspace, methods: Sequence[str], kinds: Sequence[str]) -> None:
    key = f"add-mode-{len(failure_modes.modes(ws))}"  # empty again once one was added, and only then
    with st.form(key, border=False):
        given = _fields(Mode("new"), key, methods, kinds, name="")
        if st.form_submit_button("Add"):
            _saved(lambda: failure_modes.add_modes(ws, [_mode(*given)]))


def _change(ws: Workspace, mode: Mode, methods: Sequence[str], kinds: Sequence[str]) -> None:
    key = f"mode-{mode!r}"  # a changed mode has widgets of its own, which show what it is now
    with st.form(key, border=False):
        given = _fields(mode, key, methods, kinds, name=mode.name)
        if st.form_submit_button("Save", type="primary"):
            _saved(lambda: failure_modes.change_mode(ws, mode, _mode(*given)))
        if st.form_submit_button("Remove from the list"):
            _saved(lambda: failure_modes.remove_mode(ws, mode))


def _fields(mode: Mode, key: str, methods: Sequence[str], kinds: Sequence[str], *, name: str) -> tuple:
    severities = [None, *SEVERITIES]
    return (
        st.text_input("Failure mode", name, max_chars=failure_modes.LONGEST_NAME, key=f"{key}/name"),
        st.selectbox(
            "Severity",
            severities,
            index=severities.index(mode.severity),
            format_func=lambda value: _NOT_RATED if value is None else str(value),
            help="1: nobody notices. 10: somebody is hurt",
            key=f"{key}/severity",
        ),
        st.multiselect(
            "Kinds of real NG that show it",
            sorted({*kinds, *mode.kinds}),
            mode.kinds,
            format_func=kind_name,
            key=f"{key}/kinds",
        ),
        st.multiselect(
            "Synthetic NG that stand for it",
            sorted({*methods, *mode.methods}),
            mode.methods,
            format_func=words.method,
            help="They show that something like it can be seen; they are no evidence of escape",
            key=f"{key}/methods",
        ),
        st.text_area("Note", mode.note, key=f"{key}/note", height=80),
    )


def _mode(name: str, severity: int | None, kinds: list[str], methods: list[str], note: str) -> Mode:
    return Mode(" ".join(name.split()), severity, tuple(kinds), tuple(methods), note.strip())


def _saved(action: Callable[[], None]) -> None:
    """Show the list as it is now; a mode that cannot be is answered beside its form."""
    if widgets.told(lambda: action() or True):
        st.rerun()
