"""Small trained networks beside PatchCore: start them, and read where they agree with it and where not."""

import streamlit as st

from calibration.rules import title_of
from pages.services import jobs
from pages.services.artifacts import DetectorResult
from pages.services.ledger import ImageRecord
from pages.services.opinion import Disagreement, Judged, estimate_s
from pages.services.settings import RunConfig, to_dict
from pages.services.verification import basis_of, free_ng, note_seen, seen_ng
from pages.services.workspace import Workspace
from pages.ui import cached, widgets, words

HELP = {
    "simplenet": "Learns to tell features of good parts from the same features with noise",
    "pbas": "Learns to tell features of good parts from features pushed away from their centre",
    "cras": "Looks at what is left after the nearest centre is taken away; noise grows near the centre",
    "glass-manifold": "Anomalies close to each patch that look as normal as can be, and pictures with defects put in",
    "glass-hypersphere": "The same around the centre of each place; for parts that always lie alike",
    "supersimplenet": "Noise in regions; a second network head judges the whole picture",
}
TITLES = {name: words.method(name) for name in HELP}
_FIRST = ("simplenet", "pbas", "cras")
# "recommended" is what the rules give on good parts alone; whether synthetic NG veto it is said on the Thresholds page.
_PATCHCORE = {"fixed": "the fixed threshold", "recommended": "what its rules give on good parts alone"}
_SHOWN = 12
_COLUMNS = 6


def show(
    ws: Workspace, detector: DetectorResult, config: RunConfig, records: dict[str, ImageRecord], *, ready: bool
) -> None:
    """The section "Second opinion".

    Parameters
    ----------
    ready : bool
        Whether the detector fits pictures and settings, so that networks may be trained beside it.
    """
    st.subheader("Second opinion")
    st.markdown(
        "Small networks learn from the same good parts, each in the way of its paper. They are for one thing: **to "
        "show pictures on which PatchCore stands alone**. Their scores have another unit and a threshold of their own. "
        "They never move PatchCore's threshold."
    )
    _start(ws, detector, config, ready=ready)
    widgets.job_panel(ws, ("opinion",))
    free = free_ng(ws) & set(detector.sets["ng"].ids)
    seen = free & seen_ng(ws)
    found = widgets.told(lambda: cached.opinions(ws, detector, config, seen))
    if found is None:
        return
    if found.out_of_date:
        names = ", ".join(TITLES.get(name, name) for name in found.out_of_date)
        st.warning(f"Out of date: {names}. The detector or its settings changed since; train again.")
    if not found.of_methods:
        return
    if seen:  # what they say of this detector is on screen now, whatever detector they were first seen with
        note_seen(ws, seen, basis=basis_of(detector.meta["bank_id"], to_dict(config)["thresholds"]))
    if found.patchcore is None:
        st.caption("PatchCore has no threshold, so there is nothing to compare with.")
    else:
        st.caption(
            f"Compared with PatchCore at {found.patchcore:.3f} feature distance ({_PATCHCORE[found.patchcore_is]}). "
            "Thresholds in logits: a number without a unit, of either sign; higher is more abnormal."
        )
    for judged in found.of_methods:
        _method(judged, records, kept_ng=len(free) - len(seen))


def _start(ws: Workspace, detector: DetectorResult, config: RunConfig, *, ready: bool) -> None:
    methods = st.multiselect(
        "Methods",
        list(TITLES),
        default=list(_FIRST),
        format_func=TITLES.get,
        key="opinion-methods",
        help="  \n".join(f"**{title}**: {HELP[name]}" for name, title in TITLES.items()),
    )
    running = any(job.kind == "opinion" for job in jobs.active(ws))
    takes = max(1, round(estimate_s(detector, methods) / 60))
    if st.button(
        f"Train and score (about {takes} min on one free core)" if methods else "Train and score",
        disabled=running or not ready or not methods,
        key="opinion",
        help="Shorter on several cores or with a GPU. Each trains for a number of steps fixed beforehand and is "
        "kept as it is at the end: none is picked by how it does on check OK or real NG",
    ):
        widgets.start_job(ws, "opinion", {"settings": to_dict(config), "methods": methods})
        st.rerun()
    st.caption(
        "DSR is not on the list: it needs a dictionary of image parts learned from a large set of natural pictures, "
        "which cannot be made from good parts of one product."
    )


def _method(judged: Judged, records: dict[str, ImageRecord], *, kept_ng: int) -> None:
    """``kept_ng``: real NG that nobody has seen yet."""
    opinion, facts = judged.opinion, judged.opinion.facts
    with st.container(border=True):
        st.markdown(f"#### {TITLES[opinion.method]}", help=HELP[opinion.method])
        if judged.choice is None:
            st.info(judged.why)
        else:
            _counts(judged, kept_ng=kept_ng)
        for note in facts["notes"]:
            st.caption(f"{words.capital(note)}.")
        if judged.n_unscored:
            st.caption(f"{judged.n_unscored} real NG came after the training and have no score here: train again.")
        st.caption(
            f"Trained {facts['epochs']} epochs ({facts['steps']:,} steps) on {facts['n_images']} good parts in "
            f"{facts['seconds']:.0f} s; training loss {facts['losses'][0]:.2f} in the first epoch, "
            f"{facts['losses'][-1]:.2f} in the last, which was kept."
        )
        if judged.disagreements:
            _disagreements(judged.disagreements, records)


def _counts(judged: Judged, *, kept_ng: int) -> None:
    columns = st.columns(4)
    with columns[0]:
        st.markdown(f"**Threshold {judged.choice.value:.3f}** (logit)")
        st.caption(f"{title_of(judged.choice)}, on {judged.choice.n_ok} calibration OK: {judged.why}")
    with columns[1]:
        if judged.rejected_ok is None:
            st.markdown("**No check OK pictures**")
            st.caption("nothing independent is known about rejected good parts")
        else:
            st.markdown(f"**{widgets.rejected_sentence(judged.rejected_ok)}**")
            st.caption("check OK pictures: in no other role")
    with columns[2]:
        if judged.caught_ng is not None:
            st.markdown(f"**{widgets.caught_sentence(judged.caught_ng, 'real NG')}**")
            st.caption(
                widgets.missed_sentence(judged.caught_ng),
                help="Who picks a method by these counts has no real NG left to check that method",
            )
        elif kept_ng:
            st.markdown(f"**{kept_ng} real NG: kept for verification**")
            st.caption("counted here once they were on screen on the Thresholds or the Verification page")
        else:
            st.markdown("**0 real NG: nothing is known about escapes**")
    with columns[3]:
        if judged.n_both:
            st.markdown(f"**Same as PatchCore on {judged.agree} of {judged.n_both} pictures**")
            beyond = "is not defined: one of the two says the same of all"
            st.caption(
                f"agreement beyond chance {beyond if judged.kappa is None else f'{judged.kappa:.2f}'}",
                help="Cohen's kappa: 0 is what two would reach that know nothing of each other, 1 is always the same. "
                "On check OK, and on real NG where they are counted",
            )


def _disagreements(wrong: tuple[Disagreement, ...], records: dict[str, ImageRecord]) -> None:
    """Pictures that only one of the two calls NG; those that PatchCore lets pass come first."""
    in_order = sorted(wrong, key=lambda one: (not one.opinion_says_ng, not one.is_real_ng, one.name))
    shown = [one for one in in_order if one.sha256 in records][:_SHOWN]
    with st.expander(f"Where the two disagree ({len(wrong)} pictures)"):
        if len(shown) < len(wrong):
            st.caption(f"The first {len(shown)} of them; those that PatchCore lets pass come first.")
        widgets.gallery(
            widgets.drawn(
                [
                    (lambda one=one: cached.thumbnail(records[one.sha256]), f"{_who(one)}: {one.name}, {_truth(one)}")
                    for one in shown
                ]
            ),
            columns=_COLUMNS,
        )


def _truth(one: Disagreement) -> str:
    return "real NG" if one.is_real_ng else "good part"


def _who(one: Disagreement) -> str:
    return "NG only here" if one.opinion_says_ng else "NG only for PatchCore"
