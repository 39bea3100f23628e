"""Where the defect of a real NG is: its ground truth, or a mask that was uploaded, drawn or proposed by the detector.

The choice is a string, kept in ``SynthesisConfig.sources``: "truth" for the ground truth that came with the picture,
else "uploaded:", "drawn:" or "proposed:" and the sha256 of the mask's file in the workspace. A proposal that a hand
corrected counts as drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ias_core.defect_mask import Proposal, cover_at_size, follow_edges, propose
from ias_core.errors import IasError, ImageRefused, SynthesisError
from ias_core.imaging import decode, read_bytes
from ias_core.patchcore.anomaly_maps import anomaly_map
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.measures import equivalent_diameter_px
from pages.services import masks
from pages.services.artifacts import DetectorResult
from pages.services.ledger import ImageRecord
from pages.services.pictures import read_at_size
from pages.services.workspace import Workspace

TRUTH, UPLOADED, DRAWN, PROPOSED = "truth", "uploaded", "drawn", "proposed"
_GOOD_PARTS = 100  # enough for a median; each takes milliseconds, and a page waits


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """Area in px, diameter of the disc of equal area in px, share of the picture, pieces that hang together."""

    area_px: int
    diameter_px: float
    share: float
    pieces: int


def kind_of(choice: str) -> str:
    """TRUTH, UPLOADED, DRAWN or PROPOSED; an IasError for anything else.

    Examples
    --------
    >>> kind_of("truth"), kind_of("drawn:" + 64 * "0")
    ('truth', 'drawn')
    """
    kind, _, digest = choice.partition(":")
    if choice == TRUTH or (kind in (UPLOADED, DRAWN, PROPOSED) and masks.is_sha256(digest)):
        return kind
    raise IasError(
        "setting sources: expected 'truth', or 'uploaded:', 'drawn:' or 'proposed:' and a sha256 as the mask of an NG, "
        f"got {choice!r}"
    )


def keep_mask(ws: Workspace, kind: str, mask: np.ndarray) -> str:
    """Keep a mask (h, w) bool of all of an NG's picture; returns the choice that names it."""
    return f"{kind}:{masks.keep(ws, mask)}"


def mask_of(ws: Workspace, record: ImageRecord, choice: str) -> np.ndarray:
    """The mask that ``choice`` names, (h, w) bool of all of the picture, at the size it was made.

    Raises
    ------
    IasError
        An unknown choice, or a mask that is not there or was changed.
    """
    kind = kind_of(choice)
    if kind != TRUTH:
        return masks.kept(ws, choice.partition(":")[2], what=f"the mask of {record.name}")
    if record.mask_path is None:
        raise IasError(f"{record.name} came without ground truth: upload, draw or propose a mask of its defect")
    try:
        return decode(read_bytes(record.mask_path)).max(axis=2) > 0
    except ImageRefused as refused:
        raise IasError(f"the ground truth of {record.name} cannot be read: {refused}") from refused


def uploaded_mask(record: ImageRecord, content: bytes) -> np.ndarray:
    """(h, w) bool: what is brighter than half of the brightest pixel of an uploaded mask.

    Raises
    ------
    ImageRefused
        No picture, or not of the NG's proportions: it would lie beside the defect.
    """
    values = decode(content).max(axis=2).astype(np.int64)
    height, width = values.shape
    if abs(height - width * record.height / record.width) > 1:
        raise ImageRefused(
            f"the mask is {width} x {height} px and {record.name} is {record.width} x {record.height} px: upload a "
            "mask of the whole picture"
        )
    return 2 * values > values.max()


def mask_at_size(ws: Workspace, record: ImageRecord, choice: str, size: int) -> np.ndarray:
    """(size, size) bool; errors as of ``mask_of``, and where nothing or everything is marked."""
    mask = cover_at_size(mask_of(ws, record, choice), size)
    if mask.all() or not mask.any():
        marks = "everything" if mask.any() else "nothing"
        raise IasError(f"the mask of {record.name} marks {marks} at {size} px: mark its defect")
    return mask


def proposal_for(
    detector: DetectorResult, record: ImageRecord, *, level: float | None = None, edges: bool = True
) -> Proposal:
    """A mask (s, s) at the detector's input size, from the stored scores: the network does not run again.

    Parameters
    ----------
    level : float, optional
        Where a person cuts the map; see ``ias_core.defect_mask.propose``.
    edges : bool
        Whether the mask follows the picture's own edges inside what is cut out of the map.

    Raises
    ------
    IasError
        The detector has no scores of this NG, or its file is not the one taken in.
    """
    size = detector.meta["input_size"]
    found = propose(anomaly_map(patch_scores_of(detector, record), size), floor=good_peak(detector), level=level)
    if not edges or found.why_none:
        return found
    return replace(found, mask=follow_edges(read_at_size(record, size), found.mask))


def patch_scores_of(detector: DetectorResult, record: ImageRecord) -> np.ndarray:
    """(gh, gw) of one NG; an IasError where the detector has none."""
    scored = detector.sets["ng"]
    if record.sha256 not in scored.ids:
        raise IasError(f"the detector has no scores of {record.name}, so it proposes no mask: upload or draw one")
    return scored.patch_scores[scored.ids.index(record.sha256)]


@lru_cache(maxsize=4)
def good_peak(detector: DetectorResult) -> float:
    """Median over good parts of the highest place of their anomaly maps; check OK are not asked."""
    good = np.concatenate(
        [detector.sets[name].patch_scores for name in ("bank", "calibration") if detector.sets[name].ids]
    )
    some = np.unique(np.linspace(0, len(good) - 1, min(_GOOD_PARTS, len(good))).round().astype(int))
    return float(np.median([anomaly_map(good[i], detector.meta["input_size"]).max() for i in some]))


def mask_facts(mask: np.ndarray) -> MaskFacts:
    """Of a mask (s, s) bool.

    Examples
    --------
    >>> mask_facts(np.eye(4, dtype=bool))                       # pixels that touch at a corner hang together
    MaskFacts(area_px=4, diameter_px=2.256758334191025, share=0.25, pieces=1)
    """
    from scipy import ndimage

    _, pieces = ndimage.label(mask, np.ones((3, 3)))
    return MaskFacts(int(mask.sum()), equivalent_diameter_px(mask), float(mask.mean()), int(pieces))


def source_of(record: ImageRecord, mask: np.ndarray) -> NgSource:
    """The NG at the size of its mask (s, s); raises ImageRefused, by name, if the file is not the one taken in."""
    return NgSource(record.name, read_at_size(record, len(mask)), mask)


def why_no_piece(source: NgSource) -> str:
    """Why the defect cannot be cut out of its surroundings, as some methods do, "" where it can."""
    from ias_core.synthesis.one_shot.piece import cut

    try:
        cut(source)
    except SynthesisError as refused:
        return str(refused)
    return ""
