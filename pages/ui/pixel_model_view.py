"""The pixel model: train it for some minutes, watch it learn, and see whether it is any good."""

from functools import partial

import streamlit as st

from ias_core.synthesis.one_shot.model_facts import MOST_OK_CHANGE
from pages.services import jobs
from pages.services.pixel_model import PIXEL_MODEL, Current, current_model, preview, why_not
from pages.services.settings import RunConfig, to_dict
from pages.services.workspace import Workspace
from pages.ui import widgets
from pages.ui.charts.loss_curve import loss_curve

_MINUTES = {"2.5 minutes": 150.0, "5 minutes": 300.0, "10 minutes": 600.0}
_USUAL = "5 minutes"
_ENDS = {
    "time": "it used its time",
    "steps": "it took its steps",
    "stopped": "it was stopped early",
    "loss not finite": "its loss was no number any more, and the weights before that were kept",
}


def show(ws: Workspace, config: RunConfig) -> None:
    """What the model is for, a way to train it, and what is known of the one that is kept."""
    st.markdown(
        "A small diffusion model learns what good parts look like, on this machine and from the memory bank's pictures "
        "alone. With it a transplanted defect can be made **fainter and softer**, and SDAS-lite can run. Nothing else "
        "needs it."
    )
    running = [job for job in jobs.active(ws) if job.kind == PIXEL_MODEL]
    _start(ws, config, busy=bool(running))
    widgets.job_panel(ws, (PIXEL_MODEL,))
    if running:
        _live_preview(ws, running[0].started)
        return
    found = widgets.told(partial(current_model, ws, config))
    if found is not None:
        _facts(ws, config, found)


def _start(ws: Workspace, config: RunConfig, *, busy: bool) -> None:
    reason = why_not(ws, config)
    if reason:
        st.info(f"{reason[0].upper()}{reason[1:]}. The instant mode works without a model.")
    left, right = st.columns([3, 4], vertical_alignment="bottom")
    minutes = (
        left.segmented_control(
            "Train for",
            list(_MINUTES),
            default=_USUAL,
            key="pixel-model-minutes",
            help="2.5 minutes on two free cores are nearly as good as 5. A machine that is busy needs longer",
        )
        or _USUAL
    )
    flips = right.checkbox(
        "A mirrored good part is a good part",
        value=True,
        key="pixel-model-flips",
        help="Mirrored pictures teach too. Untick where text or light comes from one side",
    )
    sources = right.checkbox(
        "Show it the chosen NG as well",
        value=False,
        disabled=not config.synthesis.sources,
        key="pixel-model-sources",
        help="A tenth of what it sees is then around their defects. Whether that helps is not known. SDAS-lite needs a "
        "model of good parts alone and cannot use such a one",
    )
    if st.button("Train the pixel model", disabled=busy or bool(reason), key="pixel-model"):
        params = {
            "settings": to_dict(config),
            "budget_s": _MINUTES[minutes],
            "sources": sources and bool(config.synthesis.sources),
            "flips": flips,
        }
        widgets.start_job(ws, PIXEL_MODEL, params)
        st.rerun()
    st.caption(
        "Who cancels keeps what it has learned by then, to be tested before it is used; unless the model before it "
        "learned from the same pictures for more steps."
    )


@st.fragment(run_every=5.0)
def _live_preview(ws: Workspace, started: float | None) -> None:
    picture = None if started is None else preview(ws, since=started)
    if picture is None:
        st.caption("A first preview comes about 15 seconds after the start.")
        return
    st.image(
        picture,
        caption="Above: pieces of good parts. Below: what the model makes of each from 40 grey levels of noise. The "
        "nearer to the piece above it, the better",
        width=3 * 160,
    )


def _facts(ws: Workspace, config: RunConfig, found: Current) -> None:
    meta = found.meta
    with st.container(border=True):
        if not found.fits:
            st.warning(
                "This model is of other pictures: the memory bank or the size of its pictures changed since. Train "
                "again."
            )
        _worth(ws, config, found)
        columns = st.columns(4)
        columns[0].metric("Steps", f"{meta['steps']:,}", help=f"Of {meta['batch']} pieces of good parts each")
        columns[1].metric("Trained for", f"{meta['seconds']:.0f} s", help=f"On {meta['device']}")
        columns[2].metric(
            "Loss at the end", f"{meta['final_loss']:.3f}", help="Mean of the last 50 steps; 1 = nothing learned"
        )
        if "peak_memory_bytes" in meta:  # known once a training has ended by itself or was stopped in time
            columns[3].metric("Peak memory", f"{meta['peak_memory_bytes'] / 2**20:,.0f} MiB")
        st.plotly_chart(loss_curve(meta["loss"], steps=meta["steps"]), width="stretch")
        ng = f" and {len(meta['ng'])} NG ({', '.join(meta['ng'])})" if meta["ng"] else " and no NG"
        st.caption(
            f"Learned from {meta['n_pictures']} good parts{ng}, seed {meta['seed']}; training ended because "
            f"{_ENDS[meta['ended']]}. Digest {found.digest[:12]}. {meta.get('notice', '')}"
        )


def _worth(ws: Workspace, config: RunConfig, found: Current) -> None:
    """The OK-to-OK change, and what it means."""
    change = found.meta["ok_to_ok"]
    if change is None:
        st.warning(
            "Not usable yet: it has not been tested on good parts that it never saw, so nobody knows what it is worth."
        )
        if st.button(
            "Test it",
            disabled=not found.n_to_test,
            key="pixel-model-test",
            help=f"Redraws {found.n_to_test} calibration OK pictures, which it never saw",
        ):
            widgets.start_job(ws, PIXEL_MODEL, {"settings": to_dict(config), "test_only": True})
            st.rerun()
    elif found.trouble:
        st.error(f"Not usable: {found.trouble}.")
    else:
        n = found.meta["n_tested"]
        st.markdown(
            f"**When it only redraws good parts it changes them by {change:.1f} grey levels of 255** (mean of {n} "
            f"calibration OK picture{'' if n == 1 else 's'} that it never saw; above {MOST_OK_CHANGE:.0f} it could not "
            "be used)."
        )
        st.caption(
            "None of this reaches the synthetic NG: only the difference that a defect makes is added to the good part. "
            "The number says how well the model knows the surface."
        )
