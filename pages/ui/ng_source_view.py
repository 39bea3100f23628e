"""Real NG that methods start from: what is chosen, what another one costs, and where its defect is."""

from functools import partial

import numpy as np
import streamlit as st

from calibration.bounds import rate_bound
from ias_core.errors import IasError
from pages.services import ng_sources
from pages.services.artifacts import DetectorResult
from pages.services.intake import add_verification_ng
from pages.services.ledger import ImageRecord, Ledger
from pages.services.ng_masks import TRUTH, keep_mask, kind_of, mask_at_size
from pages.services.ng_sources import Candidate
from pages.services.settings import RunConfig
from pages.services.steps import load_config, save_config
from pages.services.workspace import Workspace
from pages.ui import cached, ng_mask_view, state, widgets, words

_PICKED = "ng-source"
_COLUMNS, _PER_PAGE = 6, 12


def show(ws: Workspace, config: RunConfig, detector: DetectorResult | None) -> None:
    """Chosen NG as cards, and the way to another one; what is chosen is kept at once."""
    st.markdown(
        "Some methods carry the defect of a **real NG** over to good parts. One or two NG are enough to start, and "
        "each that is used here teaches: it can never verify the threshold."
    )
    _chosen(ws, config)
    st.subheader("Add an NG")
    found = [one for one in ng_sources.candidates(ws, config) if one.record.sha256 not in config.synthesis.sources]
    picked = next((one for one in found if one.record.sha256 == state.get(_PICKED)), None)
    if picked is not None:
        _add(ws, config, detector, picked)
        return
    if found:
        _pick(found)
    else:
        _none_left(n_sources=len(config.synthesis.sources))
    _upload(ws)


def _chosen(ws: Workspace, config: RunConfig) -> None:
    sources = config.synthesis.sources
    if not sources:
        st.caption("None is chosen yet: methods that need a real NG cannot run.")
        return
    records = {record.sha256: record for record in Ledger(ws).records()}
    size = config.detector.input_size
    defects = "1 defect" if len(sources) == 1 else f"{len(sources)} defects"
    st.caption(f"{len(sources)} chosen. However many pictures are made from this, they show {defects}.")
    columns = st.columns(4)
    for k, (sha256, choice) in enumerate(sorted(sources.items())):
        with columns[k % 4].container(border=True):
            if sha256 in records:
                widgets.told(partial(_card, ws, records[sha256], choice, size))
            else:
                st.error(f"The NG {sha256[:12]} is not in the dataset any more.")
            st.button(
                "Take it out",
                key=f"ng-source-drop-{sha256}",
                on_click=partial(_drop, ws, sha256),
                help="Methods no longer start from it. It stays a generator seed in the ledger and still can never "
                "verify",
            )


def _card(ws: Workspace, record: ImageRecord, choice: str, size: int) -> None:
    mask = mask_at_size(ws, record, choice, size)
    st.image(ng_mask_view.rimmed(record, mask), width="stretch", alt=f"{record.name} with the rim of its mask")
    st.markdown(f"**{record.name}**")
    st.caption(f"{words.capital(ng_mask_view.ORIGINS[kind_of(choice)])}: {ng_mask_view.facts_sentence(mask)}")
    st.badge("can never verify", icon=":material/lock:", color="orange")


def _none_left(*, n_sources: int) -> None:
    if n_sources:
        st.info("Every real NG of the dataset is a source already. Another one can be added as a new picture.")
    else:
        st.info(
            "You have 0 NG. Methods that make defects by recipe work without any. One NG would add the look of a "
            "defect that really occurred, at many places and strengths; it would still be one defect, and no proof "
            "of escape."
        )


def _pick(found: list[Candidate]) -> None:
    name = st.text_input("Part of its name", key="ng-source-name", placeholder="all NG").strip().lower()
    found = [one for one in found if name in one.record.name.lower()]
    spent = sum(not one.is_free for one in found)
    first = "first one" if spent == 1 else f"first {spent}"
    cheap = f" The {first} cannot verify any more, so starting from there costs nothing." if spent else ""
    st.caption(f"{len(found)} real NG.{cheap}")
    pages = -(-len(found) // _PER_PAGE)
    page = (st.pagination(pages, key="ng-source-page") or 1) - 1 if pages > 1 else 0
    shown = found[page * _PER_PAGE : (page + 1) * _PER_PAGE]
    for a in range(0, len(shown), _COLUMNS):
        for place, one in zip(st.columns(_COLUMNS), shown[a : a + _COLUMNS], strict=False):
            with place:
                widgets.gallery(widgets.drawn([(partial(cached.thumbnail, one.record), one.record.name)]), columns=1)
                st.button(
                    "Pick",
                    key=f"ng-source-pick-{one.record.sha256}",
                    on_click=partial(state.put, _PICKED, one.record.sha256),
                    disabled=bool(one.why_not),
                    help=words.capital(one.why_not) or cost_sentence(one),
                    width="stretch",
                )


def _upload(ws: Workspace) -> None:
    with st.expander("It is not among them: add a new picture"):
        st.caption("It joins the real NG of the dataset. Nothing is used up before you press *Use this NG*.")
        file = st.file_uploader("Picture of a defective part", key="ng-source-file")
        if not st.button("Add it", disabled=file is None, key="ng-source-add"):
            return
        before = {record.sha256 for record in Ledger(ws).records()}
        try:
            added = add_verification_ng(ws, [(file.name, file.getvalue())])
        except IasError as error:
            st.error(" ".join([str(error), *(f"{one.reason}." for one in getattr(error, "rejected", ()))]))
            return
        state.put(_PICKED, next(record.sha256 for record in added.accepted if record.sha256 not in before))
        st.rerun()


def _add(ws: Workspace, config: RunConfig, detector: DetectorResult | None, picked: Candidate) -> None:
    record = picked.record
    name, back = st.columns([4, 1], vertical_alignment="center")
    name.markdown(f"**{record.name}**")
    back.button("Pick another one", key="ng-source-back", on_click=partial(state.put, _PICKED, None), width="stretch")
    if picked.why_not:
        st.error(f"{words.capital(picked.why_not)}.")
        return
    lead = "**This NG will teach a generator. It can never verify the threshold afterwards.**"
    (st.warning if picked.is_free else st.info)(f"{lead} {cost_sentence(picked)}")
    ng_mask_view.ask(ws, config, detector, record, partial(_use, ws, record))


def cost_sentence(one: Candidate) -> str:
    """What verification loses by this NG."""
    if not one.is_free:
        return "It cannot verify any more as it is, so starting from it costs nothing."
    twins = ", ".join(twin.name for twin in one.twins)
    with_it = f" {twins}, nearly the same picture, goes with it." if twins else ""
    if not one.left:
        return (
            f"It leaves 0 of {one.verifying} NG for verification.{with_it} Nothing could be said about missed defects, "
            "and every threshold would stay provisional until new NG arrive."
        )
    proves, now = (widgets.percent(1 - rate_bound(n, n).low) for n in (one.left, one.verifying))
    return (
        f"It leaves {one.left} of {one.verifying} NG for verification.{with_it} If all of them were caught, that would "
        f"prove at most {proves} missed defects at 95 % (now {now})."
    )


def _use(ws: Workspace, record: ImageRecord, kind: str, mask: np.ndarray) -> None:
    def chosen() -> RunConfig:
        choice = TRUTH if kind == TRUTH else keep_mask(ws, kind, mask)
        why = "its defect is carried over to good parts"
        return ng_sources.choose(ws, load_config(ws), record.sha256, choice, by="synthesis page", why=why)

    config = widgets.told(chosen)
    if config is not None:
        save_config(ws, config)
        state.put(_PICKED, None)
        st.rerun()


def _drop(ws: Workspace, sha256: str) -> None:
    save_config(ws, ng_sources.drop(load_config(ws), sha256))
