"""Inputs and blocks that several pages show."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from calibration.errors import CalibrationError
from calibration.evidence import Evidence
from calibration.types import RateBound
from ias_core.errors import IasError, ImageRefused
from ias_core.overlay import colour_bar_caption
from pages.services import jobs
from pages.services.workspace import Workspace
from pages.ui import cached, theme, words

_JOB_TITLES = {
    "intake": "Reading pictures",
    "pipeline": "Detector and synthetic NG",
    "detector": "Building the detector",
    "synthesis": "Making synthetic NG",
    "score": "Scoring the added NG",
    "seeds": "Varying the seed of the coreset",
    "opinion": "Training the second opinion",
    "pixel-model": "Training the pixel model",
    "adapter": "Training on your NG",
    "export": "Exporting for the line",
    "watch": "Looking at the line",
}


def percent(rate: float) -> str:
    """A rate for the screen; small ones keep two digits.

    Examples
    --------
    >>> percent(0.0361), percent(0.5), percent(0.00052)
    ('3.6 %', '50.0 %', '0.05 %')
    """
    return f"{100 * rate:.2f} %" if 0 < rate < 0.001 else f"{100 * rate:.1f} %"


def rejected_sentence(bound: RateBound, parts: str = "good parts") -> str:
    """Count, denominator, bound.

    Examples
    --------
    >>> rejected_sentence(RateBound(3, 212, 0.004, 0.036, 0.95))
    '3 of 212 good parts would be rejected (95 %: up to 3.6 %)'
    """
    return f"{bound.k} of {bound.n} {parts} would be rejected (95 %: up to {percent(bound.high)})"


def caught_sentence(bound: RateBound, parts: str) -> str:
    """Count, denominator, bound.

    Examples
    --------
    >>> caught_sentence(RateBound(11, 11, 0.762, 1.0, 0.95), "real NG")
    '11 of 11 real NG caught (95 %: at least 76.2 %)'
    """
    return f"{bound.k} of {bound.n} {parts} caught (95 %: at least {percent(bound.low)})"


def missed_sentence(bound: RateBound) -> str:
    """What the misses prove about escapes; ``bound`` counts the NG caught.

    Examples
    --------
    >>> from calibration.bounds import rate_bound
    >>> missed_sentence(rate_bound(2, 2))
    '0 of 2 missed: proves at most 77.6 % escape at 95 %'
    """
    return f"{bound.n - bound.k} of {bound.n} missed: proves at most {percent(1.0 - bound.low)} escape at 95 %"


def evidence_line(found: Evidence) -> None:
    """The class of a threshold as a chip, with what it stands on and what may be released on it."""
    st.html(theme.evidence_chip(words.EVIDENCE_LOOKS[found.key], f"Evidence {found.key}: {found.title}"))
    st.caption(f"Stands on {found.stands_on}. {found.may}")


def told(action: Callable[[], Any]) -> Any:
    """Run an action; what the input is to blame for becomes a message, anything else is a bug and stays visible."""
    try:
        return action()
    except (IasError, CalibrationError) as error:
        st.error(str(error))
        return None


def start_job(ws: Workspace, kind: str, params: dict[str, Any]) -> None:
    """Submit a job and make sure somebody works on it."""
    jobs.submit(ws, kind, params)
    jobs.ensure_worker(ws)


def job_panel(ws: Workspace, kinds: Sequence[str]) -> None:
    """Progress of a running job of these kinds, with cancel; else what became of the last one, if it went wrong."""
    running = [job for job in jobs.active(ws) if job.kind in kinds]
    if running:
        _live(ws, running[0].id)
        return
    ended = [job for kind in kinds if (job := jobs.latest(ws, kind)) is not None]
    if not ended:
        return
    last = max(ended, key=lambda job: job.id)
    if last.state in ("failed", "interrupted"):
        st.error(f"{_JOB_TITLES[last.kind]}: {last.error}")
    elif last.state == "cancelled":
        st.warning(f"{_JOB_TITLES[last.kind]} was cancelled.")


@st.fragment(run_every=1.0)
def _live(ws: Workspace, job_id: int) -> None:
    job = jobs.get(ws, job_id)
    if job is None or not job.is_active:
        st.rerun(scope="app")
    with st.container(border=True):
        if job.state == "queued":
            st.progress(0.0, text=f"{_JOB_TITLES[job.kind]}: waiting for the worker to start")
        else:
            share = min(job.done / job.total, 1.0) if job.total else 0.0
            left = jobs.eta_s(job, time.time())
            rest = f", about {left:.0f} s left in this stage" if left is not None and left >= 1 else ""
            count = f" {job.done} of {job.total}" if job.total > 1 else ""
            st.progress(share, text=f"{_JOB_TITLES[job.kind]}: {job.message or job.stage}{count}{rest}")
        st.button("Cancel", key=f"cancel-{job_id}", on_click=jobs.cancel_within, args=(ws, job_id))


def gallery(items: Sequence[tuple[bytes, str]], *, columns: int = 5, width: int | str = "stretch") -> None:
    """Pictures with captions, in rows."""
    for a in range(0, len(items), columns):
        for place, (picture, caption) in zip(st.columns(columns), items[a : a + columns], strict=False):
            place.image(picture, caption=caption, width=width)


def drawn(pictures: Sequence[tuple[Callable[[], bytes], str]]) -> list[tuple[bytes, str]]:
    """Pictures with captions, ready for ``gallery``; those whose files were moved or changed are left out and told."""
    items, gone = [], []
    for draw, caption in pictures:
        try:
            items.append((draw(), caption))
        except ImageRefused as refused:
            gone.append(str(refused))
    if gone:
        others = f" ({len(gone)} pictures in all)" if len(gone) > 1 else ""
        st.warning(f"{gone[0]}{others}. What was scored before stays as it is.")
    return items


def overlay_items(
    ids: Sequence[str],
    captions: Sequence[str],
    pictures: Sequence[Callable[[], np.ndarray]],
    patch_scores: Sequence[np.ndarray],
    *,
    scored_by: str,
    scale: tuple[float, float],
    opacity: float,
    size: int,
) -> list[tuple[bytes, str]]:
    """Pictures under their anomaly maps, ready for ``gallery``."""
    return drawn(
        [
            (partial(cached.overlay, i, scored_by, picture, patch, scale=scale, opacity=opacity, size=size), caption)
            for i, caption, picture, patch in zip(ids, captions, pictures, patch_scores, strict=True)
        ]
    )


def scale_caption(scale: tuple[float, float]) -> None:
    st.caption(colour_bar_caption(*scale))
