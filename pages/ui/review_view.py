"""One picture at a time, by the keyboard: what a reviewer sees, and nothing that tells what kind the picture is of.

Widget keys reach the browser, so they name no picture. Until a drawing is complete the browser keeps the buttons of the
one before, and a key then presses both: each button acts only while what it was drawn from is still how things stand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import streamlit as st

from ias_core.errors import IasError, ImageRefused
from pages.services import review_store
from pages.services.artifacts import SynthesisResult
from pages.services.blind_review import Desk, desk_of
from pages.services.ledger import ImageRecord
from pages.services.review_store import Item, Round
from pages.services.workspace import Workspace
from pages.ui import cached, state, widgets, words

_VERDICTS = (("OK", "OK", "1"), ("NG", "NG", "2"), ("cannot tell", "Cannot tell", "3"))
# Streamlit keeps R and C for itself, so the looks go on with the digits.
_LOOKS = (("real", "Looks real", "4"), ("made", "Looks made", "5"))
_SKIP = (("", "Skip this question", "Space"),)
_SHOWN_PX = 540
_PENDING, _TOLD = "review-pending", "review-told"
# The browser loads them while the reviewer looks at the picture before.
_HIDDEN = "<style>.st-key-review-ahead {position: absolute; height: 0; overflow: hidden; opacity: 0}</style>"


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


@st.fragment
def judge(
    ws: Workspace,
    round_: Round,
    reviewer: str,
    size: int,
    records: dict[str, ImageRecord],
    synthesis: SynthesisResult,
) -> None:
    """The picture to judge now, the keys for it, and the way back or out.

    Parameters
    ----------
    size : int
        Side of every picture in pixels, whatever its kind.
    """
    desk = desk_of(ws, round_, reviewer)
    if desk.ended:
        st.rerun()  # in another tab, or by the button below
    if told := state.get(_TOLD):
        st.error(told)
        state.put(_TOLD, "")
    left, right = st.columns([3, 2], gap="large")
    with right:
        # A missing picture is told beside the keys, so that they stay where the hand expects them.
        st.progress(desk.done / desk.total, text=f"**{min(desk.done + 1, desk.total)} of {desk.total}**")
        if desk.item is not None:
            _keys(ws, round_, reviewer, desk)
        _back_and_out(ws, round_, reviewer, desk)
    with left:
        if desk.item is None:
            st.success(f"All {desk.total} pictures are judged and saved. You can still undo the last one.")
            return
        _picture(desk.item, size, records, synthesis)
        st.html(_HIDDEN)
        with st.container(key="review-ahead"):
            for item in desk.ahead:
                _picture(item, size, records, synthesis, ahead=True)


def _picture(
    item: Item, size: int, records: dict[str, ImageRecord], synthesis: SynthesisResult, *, ahead: bool = False
) -> None:
    try:
        png = cached.review_picture(item, size, records, synthesis)
    except ImageRefused as refused:
        if not ahead:
            st.warning(f"{words.capital(str(refused))}. Say “cannot tell”.")
        return
    st.image(png, width=_SHOWN_PX, output_format="PNG", alt="" if ahead else "The picture to judge")


def _keys(ws: Workspace, round_: Round, reviewer: str, desk: Desk) -> None:
    verdict = _verdict(round_, reviewer, desk)
    asked = (ws, round_, reviewer, desk)

    def row(question: str, choices: tuple[tuple[str, str, str], ...], act: Callable[..., None]) -> None:
        for column, (value, label, key) in zip(st.columns(len(choices)), choices, strict=True):
            column.button(
                label,
                key=f"{question}-{desk.version}-{key}",
                shortcut=key,
                type="primary" if value and value == verdict else "secondary",
                width="stretch",
                on_click=act,
                args=(*asked, value),
            )

    st.markdown("**Is this part OK or NG?**")
    row("verdict", _VERDICTS, _keep)
    st.markdown("**Does the picture look real, or made by a computer?**")
    row("look", _LOOKS, _store)
    row("skip", _SKIP, _store)
    st.caption(
        "A picture is saved once both questions are answered, or the second one is skipped. Answer the first one first."
    )


def _verdict(round_: Round, reviewer: str, desk: Desk) -> str:
    """The verdict given for this picture and not saved yet; one for another picture is forgotten."""
    given_for, verdict = state.get(_PENDING, (None, ""))
    return verdict if given_for == (round_.number, reviewer, desk.version) else ""


def _keep(ws: Workspace, round_: Round, reviewer: str, desk: Desk, verdict: str) -> None:
    if _stands(ws, round_, reviewer, desk):
        state.put(_PENDING, ((round_.number, reviewer, desk.version), verdict))


def _store(ws: Workspace, round_: Round, reviewer: str, desk: Desk, look: str) -> None:
    """Without a verdict nothing is stored: a look alone was typed too fast, for the picture before."""
    verdict = _verdict(round_, reviewer, desk)
    if verdict and _stands(ws, round_, reviewer, desk):
        _try(
            lambda: review_store.save(
                ws,
                reviewer=reviewer,
                number=round_.number,
                item=desk.item.key,
                sequence=desk.sequence,
                verdict=verdict,
                look=look,
                now=now(),
            )
        )


def _undo(ws: Workspace, round_: Round, reviewer: str, desk: Desk) -> None:
    if _stands(ws, round_, reviewer, desk):
        key, sequence = desk.last
        _try(
            lambda: review_store.withdraw(
                ws, reviewer=reviewer, number=round_.number, item=key, sequence=sequence, now=now()
            )
        )


def _stands(ws: Workspace, round_: Round, reviewer: str, desk: Desk) -> bool:
    return desk_of(ws, round_, reviewer).version == desk.version


def _back_and_out(ws: Workspace, round_: Round, reviewer: str, desk: Desk) -> None:
    st.button(
        "Undo the last one",
        key=f"undo-{desk.version}",
        shortcut="U",
        icon=":material/undo:",
        disabled=desk.last is None,
        width="stretch",
        on_click=_undo,
        args=(ws, round_, reviewer, desk),
    )
    if desk.item is None:
        if st.button("Finish, and see the results", key="review-finish", type="primary", width="stretch"):
            _end(ws, round_, reviewer)
        st.caption("After that you are not blind any more, and your choices of this round are final.")
        return
    with st.popover("Stop here", width="stretch"):
        st.markdown(
            f"{desk.done} of {desk.total} pictures are judged and saved. **Come back any time** under the same name "
            "and go on. Or see the results now: then you are not blind any more, and cannot go on in this round."
        )
        if st.button("End my review, and see the results", key="review-end", disabled=not desk.done):
            _end(ws, round_, reviewer)


def _end(ws: Workspace, round_: Round, reviewer: str) -> None:
    widgets.told(lambda: review_store.end(ws, reviewer=reviewer, number=round_.number, now=now()))
    st.rerun()


def _try(action: Callable[[], object]) -> None:
    """A callback cannot draw in the fragment, so what went wrong is told at the next drawing."""
    try:
        action()
    except IasError as error:
        state.put(_TOLD, str(error))
