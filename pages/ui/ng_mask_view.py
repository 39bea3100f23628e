"""Where the defect of one NG is: its ground truth, a proposal of the detector to put right, an upload, a drawing."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from ias_core.defect_mask import Proposal, cover_at_size
from ias_core.errors import IasError
from ias_core.overlay import colour_scale
from pages.services import jobs, ng_masks
from pages.services.artifacts import DetectorResult
from pages.services.contact_sheet import with_rim
from pages.services.ledger import ImageRecord
from pages.services.ng_masks import DRAWN, PROPOSED, TRUTH, UPLOADED
from pages.services.pictures import read_at_size
from pages.services.settings import RunConfig, to_dict
from pages.services.verification import basis_of, note_seen
from pages.services.workspace import Workspace
from pages.ui import cached, mask_editor, widgets, words

ORIGINS = {
    TRUTH: "ground truth",
    PROPOSED: "proposed by the detector",
    UPLOADED: "uploaded",
    DRAWN: "drawn by hand",
}
_WAYS = {
    TRUTH: "Its ground truth",
    PROPOSED: "Propose it from the anomaly map",
    UPLOADED: "Upload it",
    DRAWN: "Draw it",
}
_SIDE_PX = 480
Marked = tuple[str, np.ndarray]  # how it was marked, and the mask (h, w) bool of all of the picture


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked about, and where on the page: the picture on the left, all else on the right."""

    ws: Workspace
    config: RunConfig
    detector: DetectorResult | None
    record: ImageRecord
    left: DeltaGenerator
    right: DeltaGenerator

    @property
    def size(self) -> int:
        return self.config.detector.input_size


@st.fragment
def ask(
    ws: Workspace,
    config: RunConfig,
    detector: DetectorResult | None,
    record: ImageRecord,
    use: Callable[[str, np.ndarray], None],
) -> None:
    """Ask where the defect is; ``use`` gets kind and mask once somebody has looked at it and pressed the button."""
    has_truth = record.mask_path is not None
    ways = [way for way in _WAYS if way != TRUTH or has_truth]
    way = st.segmented_control(
        "Where is its defect?",
        ways,
        default=TRUTH if has_truth else None,
        format_func=_WAYS.get,
        key=f"ng-mask-way-{record.sha256}",
        help="The mask says which pixels are the defect. Only they are carried over to good parts",
    )
    asked = _Asked(ws, config, detector, record, *st.columns(2))
    read = {TRUTH: _truth, PROPOSED: _proposed, UPLOADED: _uploaded, DRAWN: _drawn}.get(way)
    if read is None:
        _plain(asked)
        return
    try:
        marked = read(asked)
    except IasError as error:
        asked.right.error(f"{words.capital(str(error))}.")
        return
    if marked is None:
        return
    kind, mask = marked
    small = cover_at_size(mask, asked.size)
    with asked.right:
        st.markdown(f"**The defect:** {facts_sentence(small)}.")
        if why := ng_masks.why_no_piece(ng_masks.source_of(record, small)):
            st.warning(f"Methods that cut the defect out cannot use this mask. {words.capital(why)}.")
        if st.button("Use this NG", type="primary", key="ng-source-use"):
            use(kind, mask)


def rimmed(record: ImageRecord, mask: np.ndarray) -> bytes:
    """PNG of the NG with the rim of its mask (s, s)."""
    picture = np.asarray(Image.open(io.BytesIO(cached.thumbnail(record, len(mask)))), np.float32) / 255
    buffer = io.BytesIO()
    Image.fromarray(with_rim(picture, mask)).save(buffer, "PNG")
    return buffer.getvalue()


def facts_sentence(mask: np.ndarray) -> str:
    """Size of a defect in words; ``mask`` (s, s) bool.

    Examples
    --------
    >>> facts_sentence(np.eye(8, dtype=bool))
    '8 px in 1 piece, 12.5 % of the picture, the area of a disc 3.2 px across'
    """
    facts = ng_masks.mask_facts(mask)
    pieces = f"{facts.pieces} piece{'' if facts.pieces == 1 else 's'}"
    share = widgets.percent(facts.share)
    return (
        f"{facts.area_px} px in {pieces}, {share} of the picture, the area of a disc {facts.diameter_px:.1f} px across"
    )


def _truth(asked: _Asked) -> Marked:
    mask = ng_masks.mask_of(asked.ws, asked.record, TRUTH)
    _look(asked, mask)
    asked.right.caption("The mask that came with the picture.")
    return TRUTH, mask


def _uploaded(asked: _Asked) -> Marked | None:
    file = asked.right.file_uploader(
        "Mask: white is the defect",
        type=["png", "bmp", "tif", "tiff", "jpg", "jpeg"],
        key=f"ng-mask-file-{asked.record.sha256}",
        help="Of any size, with sides in the proportion of the picture",
    )
    if file is None:
        _plain(asked)
        return None
    mask = ng_masks.uploaded_mask(asked.record, file.getvalue())
    _look(asked, mask)
    return UPLOADED, mask


def _drawn(asked: _Asked) -> Marked | None:
    asked.right.caption(
        "Paint over the defect with the mouse held down, or draw around it. The rectangle above the picture takes what "
        "is inside it. The line shown is the rim, just outside the mask."
    )
    with asked.left:
        empty = np.zeros((asked.size, asked.size), bool)
        mask, _ = mask_editor.edit(asked.record, empty, key=f"{asked.record.sha256}-drawn")
    return (DRAWN, mask) if mask.any() else None


def _proposed(asked: _Asked) -> Marked | None:
    detector, record = asked.detector, asked.record
    with asked.right:
        if detector is None or record.sha256 not in detector.sets["ng"].ids:
            _score_first(asked)
            return None
        if record.role == "verification_ng":
            basis = basis_of(detector.meta["bank_id"], to_dict(asked.config)["thresholds"])
            note_seen(asked.ws, {record.sha256}, basis=basis)
            st.caption(
                "The anomaly map shows how this NG scores, so it counts as seen. If you do not use it, it can still "
                "verify the recommended threshold, but no longer one that is set by hand."
            )
        found = _cut(detector, record)
    with asked.left:
        mask, by_hand = mask_editor.edit(record, found.mask, key=f"{record.sha256}-proposed")
    with asked.right:
        st.caption(
            "A proposal shows **what the detector sees** of the defect. What it does not see is missing, so synthetic "
            "NG made from it are easier to find than real ones. Put it right on the picture."
        )
        size = detector.meta["input_size"]
        widgets.gallery(
            widgets.overlay_items(
                [record.sha256],
                ["anomaly map"],
                [lambda: read_at_size(record, size)],
                [ng_masks.patch_scores_of(detector, record)],
                scored_by=detector.meta["bank_id"],
                scale=colour_scale(detector.sets["bank"].patch_scores),
                opacity=0.6,
                size=size,
            ),
            columns=3,
        )
    return (DRAWN if by_hand else PROPOSED, mask) if mask.any() else None


def _cut(detector: DetectorResult, record: ImageRecord) -> Proposal:
    """The proposal as the dials stand."""
    edges = st.toggle(
        "Follow the picture's edges",
        value=True,
        key=f"ng-mask-edges-{record.sha256}",
        help="The map is coarse: one value for each patch. On, the mask keeps what differs from its surroundings, so "
        "that a crack stays thin. Off, for a defect that is something missing or moved",
    )
    first = ng_masks.proposal_for(detector, record, edges=edges)
    if first.usual >= first.peak:
        raise IasError("its anomaly map is the same everywhere: draw the mask")
    at = min(first.level, first.peak)
    level = st.slider(
        "Level of the map",
        first.usual,
        first.peak,
        at,
        key=f"ng-mask-level-{record.sha256}",
        format="%.1f",
        help=f"Feature distance. Lower takes more. Proposed: {at:.1f}. Every second good part reaches "
        f"{first.floor:.1f} somewhere",
    )
    if level != at:
        return ng_masks.proposal_for(detector, record, level=level, edges=edges)
    if first.why_none:
        st.info(f"Cannot tell where the defect is: {first.why_none}. Lower the level yourself, or paint it.")
    return first


def _score_first(asked: _Asked) -> None:
    widgets.job_panel(asked.ws, ("score",))
    st.info(f"The detector has no scores of {asked.record.name} yet, so there is no anomaly map of it.")
    running = any(job.kind == "score" for job in jobs.active(asked.ws))
    if asked.record.role == "verification_ng" and not running and st.button("Score it", key="ng-mask-score"):
        widgets.start_job(asked.ws, "score", to_dict(asked.config))
        st.rerun()


def _look(asked: _Asked, mask: np.ndarray) -> None:
    small = cover_at_size(mask, asked.size)
    asked.left.image(rimmed(asked.record, small), width=_SIDE_PX, alt=f"{asked.record.name} with the rim of its mask")


def _plain(asked: _Asked) -> None:
    asked.left.image(cached.thumbnail(asked.record, _SIDE_PX), width="content", alt=asked.record.name)
