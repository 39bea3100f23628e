"""What the one-shot transplant makes of many different real NG, for ``cli.py study --by method``.

Each NG is its own case: it and its near twins judge nothing there. Its mask is what the detector proposes, so no person
and no ground truth takes part; an NG without a proposal, or whose defect cannot be cut out, is left out and told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError
from pages.services import ng_masks
from pages.services.artifacts import DetectorResult, digest_of
from pages.services.detection import FeatureSource
from pages.services.kit import kit_of_sources
from pages.services.ledger import ImageRecord, Ledger
from pages.services.made import MOST_PARENTS, ONE_SHOT, make
from pages.services.picture_scores import features_of
from pages.services.pictures import read_at_size
from pages.services.progress import Progress
from pages.services.settings import RunConfig, to_dict
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource

HOW_MANY = 10  # different NG for each memory bank


@dataclass(frozen=True, slots=True, eq=False)
class OneShot:
    """Scores of the pictures made from one NG.

    name, sha256, group : of the NG
    scores : (n,)
    mask_px : pixels that were proposed as its defect
    """

    name: str
    sha256: str
    group: str
    scores: np.ndarray
    mask_px: int


def one_shots(
    ws: Workspace, detector: DetectorResult, config: RunConfig, progress: Progress
) -> tuple[tuple[OneShot, ...], dict[str, str]]:
    """Up to HOW_MANY NG, drawn at random, with ``config.synthesis.count`` pictures of each.

    Kept in the workspace: the same detector and settings compute nothing again.

    Returns
    -------
    tuple of OneShot
    dict
        Name of an NG that was drawn and could not be used -> why.
    """
    digest = digest_of(detector.digest, config.seed, config.synthesis.count, to_dict(config.synthesis.one_shot))
    path = ws.artifacts / f"{ONE_SHOT}-study-{digest[:16]}.npz"
    if not path.is_file():
        found, left_out = _made(ws, detector, config, progress)
        about = {one.sha256: [one.name, one.group, one.mask_px] for one in found}
        with path.with_suffix(".part").open("wb") as file:
            told = json.dumps({"about": about, "left_out": left_out})
            np.savez(file, told=np.array(told), **{one.sha256: one.scores for one in found})
        path.with_suffix(".part").replace(path)
    with np.load(path) as stored:
        told = json.loads(str(stored["told"]))
        found = tuple(
            OneShot(name, sha256, group, stored[sha256], mask_px)
            for sha256, (name, group, mask_px) in told["about"].items()
        )
    return found, told["left_out"]


def _made(
    ws: Workspace, detector: DetectorResult, config: RunConfig, progress: Progress
) -> tuple[list[OneShot], dict[str, str]]:
    from ias_core.patchcore.memory_bank import MemoryBank
    from ias_core.patchcore.scoring import Scorer

    ledger, rng = Ledger(ws), np.random.default_rng(config.seed)
    good = ledger.records(role="calibration_ok")
    parents = [good[i] for i in rng.permutation(len(good))[:MOST_PARENTS]]
    pictures = np.stack([read_at_size(record, detector.meta["input_size"]) for record in parents])
    known = {record.sha256: record for record in ledger.records(label="ng")}
    scored = [known[sha256] for sha256 in detector.sets["ng"].ids if sha256 in known]
    source = FeatureSource(config.detector)
    scorer = Scorer(MemoryBank.load(detector.bank_path), source.device, num_neighbors=config.detector.num_neighbors)
    found: list[OneShot] = []
    left_out: dict[str, str] = {}
    for i in rng.permutation(len(scored)):
        if len(found) == HOW_MANY:
            break
        record = scored[i]
        if record.group in {one.group for one in found}:
            continue
        progress("one-shot", len(found), HOW_MANY, "one-shot synthetic NG from different real NG")
        try:
            ng = _source(detector, record)
            made = make(
                ONE_SHOT,
                pictures,
                config.synthesis,
                count=config.synthesis.count,
                seed=config.seed,
                kit=kit_of_sources((ng,), config.synthesis),
            )
        except IasError as error:
            left_out[record.name] = str(error)
            continue
        scores = scorer(features_of(list(made.images), source)).image_scores
        found.append(OneShot(record.name, record.sha256, record.group, scores, int(ng.mask.sum())))
    return found, left_out


def _source(detector: DetectorResult, record: ImageRecord) -> NgSource:
    proposal = ng_masks.proposal_for(detector, record)
    if proposal.why_none:
        raise IasError(f"no mask is proposed: {proposal.why_none}")
    return ng_masks.source_of(record, proposal.mask)


def facts_of(found: Sequence[OneShot], rows: dict[str, Any]) -> list[dict[str, Any]]:
    """JSON-ready, one for each NG; ``rows``: sha256 -> its own figures."""
    return [{"ng": one.name, "sha256": one.sha256, "mask_px": one.mask_px, **rows[one.sha256]} for one in found]
