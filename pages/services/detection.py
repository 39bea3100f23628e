"""Build the memory bank and score every real image: bank images by leave-one-out, all others as the line would.

Where the bank images come from several sessions, they are scored without their own session as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError
from pages.services import sessions, settings
from pages.services.artifacts import (
    DETECTOR,
    DetectorResult,
    ScoredSet,
    current_digest,
    digest_of,
    fresh_folder,
    load_result,
    save_result,
)
from pages.services.intake import current
from pages.services.ledger import ImageRecord, Ledger
from pages.services.pictures import batches, read_at_size
from pages.services.progress import Progress, StageClock
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from ias_core.backbones import Backbone
    from ias_core.features import PatchFeatures
    from ias_core.patchcore.memory_bank import MemoryBank
    from ias_core.patchcore.scoring import PatchScores, Scorer

_BATCH = 16
_COMPARED_WITH_ANOMALIB = 4
_ROLES = {
    "memory_bank": "bank",
    "calibration_ok": "calibration",
    "check_ok": "check",
    "threshold_ng": "ng",
    "verification_ng": "ng",
}


def detector_digest(ws: Workspace, config: settings.RunConfig) -> str:
    """Digest of everything the memory bank and the OK scores depend on; real NG may come later.

    Sessions count from two on: below, nothing depends on them.
    """
    data = current(ws)
    if data is None:
        raise IasError("no pictures yet: load a folder of good parts on the data page first")
    ok = Ledger(ws).records(label="ok")
    roles = sorted((r.sha256, _ROLES[r.role]) for r in ok if r.role in _ROLES)
    asked = settings.to_dict(config.detector)
    session_of = {r.sha256: sessions.session_of(r) for r in ok if r.role == "memory_bank"}
    of_sessions = [session_of] if len(set(session_of.values())) > 1 else []
    return digest_of(data.dataset_id, roles, asked, config.seed, *of_sessions)


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are the settings of a RunConfig."""
    result = build_detector(ws, settings.from_dict(settings.RunConfig, params), progress)
    return {"digest": result.digest, "seconds": result.meta["seconds"], "notices": result.meta["notices"]}


def score_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: score real NG that were added after the detector was built."""
    result = score_added_ng(ws, settings.from_dict(settings.RunConfig, params), progress)
    return {"digest": result.digest, "scored": len(result.sets["ng"].ids)}


def unscored_ng(ws: Workspace, detector: DetectorResult) -> list[ImageRecord]:
    """Real NG that came after the detector was built and have no score yet."""
    scored = set(detector.sets["ng"].ids)
    return [r for r in Ledger(ws).records() if _ROLES.get(r.role or "") == "ng" and r.sha256 not in scored]


def score_added_ng(ws: Workspace, config: settings.RunConfig, progress: Progress) -> DetectorResult:
    """Score added real NG against the bank as it is, so that a threshold fixed for it stays fixed.

    Raises
    ------
    IasError
        If the detector is missing or does not fit pictures and settings any more.
    """
    from ias_core.patchcore.memory_bank import MemoryBank
    from ias_core.patchcore.scoring import Scorer

    detector = current_detector(ws, config)
    added = unscored_ng(ws, detector)
    progress("load", 0, 1, "loading the network")
    source = FeatureSource(config.detector)
    bank = MemoryBank.load(detector.bank_path)
    scorer = Scorer(bank, source.device, num_neighbors=config.detector.num_neighbors)
    new = _score_set(added, source, scorer, lambda done: progress("scoring", done, len(added), "scoring the added NG"))
    folder = fresh_folder(ws, DETECTOR)
    result = replace(
        detector,
        folder=folder,
        sets=detector.sets | {"ng": _joined(detector.sets["ng"], new)},
        kinds=detector.kinds | {record.sha256: record.kind for record in added},
    )
    bank.save(result.bank_path)
    save_result(ws, DETECTOR, result)
    return result


def current_detector(ws: Workspace, config: settings.RunConfig) -> DetectorResult:
    """The current detector, if it still fits pictures and settings; else an IasError that says what to run."""
    if current_digest(ws, DETECTOR) != detector_digest(ws, config):
        raise IasError("the detector is missing or out of date: build it on the detector page first")
    result = load_result(ws, DETECTOR)
    assert isinstance(result, DetectorResult)
    return result


def _joined(first: ScoredSet, second: ScoredSet) -> ScoredSet:
    if not first.ids or not second.ids:
        return first if first.ids else second
    return ScoredSet(
        first.names + second.names,
        first.ids + second.ids,
        np.concatenate([first.image_scores, second.image_scores]),
        np.concatenate([first.patch_scores, second.patch_scores]),
    )


class FeatureSource:
    """Backbone on the best device, with the memory of this machine in mind."""

    def __init__(self, config: settings.DetectorConfig) -> None:
        from ias_core.backbones import load_backbone
        from ias_core.devices import BatchRunner, choose_device
        from ias_core.features import PatchFeatures

        device, notice = choose_device(config.device)
        self.backbone: Backbone = load_backbone(
            config.backbone,
            layers=config.layers or None,
            weights_path=Path(config.weights_path) if config.weights_path else None,
        )
        self.input_size = config.input_size
        self._features: PatchFeatures = PatchFeatures(self.backbone, device)
        self._runner = BatchRunner(device, _BATCH, self._features.to)
        self._notices = [notice] if notice else []

    @property
    def device(self) -> torch.device:
        return self._runner.device

    @property
    def notices(self) -> list[str]:
        return self._notices + self._runner.notices

    def of_pictures(self, pictures: list[np.ndarray]) -> torch.Tensor:
        """(n, gh, gw, d) patch features of pictures at the input size."""
        import torch

        rows = self._runner(lambda batch, device: list(self._features(batch).to(device)), pictures)
        return torch.stack([row.to(self.device) for row in rows])


def build_detector(ws: Workspace, config: settings.RunConfig, progress: Progress) -> DetectorResult:
    """Bank from the memory-bank images, scores of all images; kept in the workspace as the current detector.

    Raises
    ------
    IasError
        No pictures, too few of them, missing weights, or a picture that changed since it was taken in.
    """
    clock = StageClock()
    progress("load", 0, 1, "loading the network")
    digest = detector_digest(ws, config)
    records = {name: [] for name in ("bank", "calibration", "check", "ng")}
    for record in Ledger(ws).records():
        if record.role in _ROLES:
            records[_ROLES[record.role]].append(record)
    if len({record.group for record in records["bank"]}) < 2:
        raise IasError("at least 2 different good parts are needed in the memory bank; add good parts on the data page")
    with clock("load"):
        from ias_core.patchcore.scoring import Scorer

        source = FeatureSource(config.detector)
    with clock("features"):
        bank_features = patch_features(records["bank"], source, progress)
    groups = [record.group for record in records["bank"]]
    with clock("coreset"):
        bank, notice = choose_patches(bank_features, groups, source, config, progress)
    scorer = Scorer(bank, source.device, num_neighbors=config.detector.num_neighbors)
    sets = _score_bank(records["bank"], bank_features, scorer, config.seed, clock, progress)
    del bank_features
    with clock("scoring"):
        sets |= _score_others(records, source, scorer, progress)
    agreement = None
    if config.detector.check_against_anomalib:
        progress("check", 0, 1, "comparing with anomalib")
        with clock("check against anomalib"):
            agreement = _compare_with_anomalib(records, sets, source, bank, config.detector)
    folder = fresh_folder(ws, DETECTOR)
    of_sessions = sessions.counts(records["bank"])
    result = DetectorResult(
        folder=folder,
        digest=digest,
        sets=sets,
        kinds={record.sha256: record.kind for record in records["ng"]},
        meta={
            "backbone": source.backbone.name,
            "weights_from": source.backbone.weights_from,
            "weights_digest": source.backbone.digest,
            "layers": list(source.backbone.layers),
            "input_size": config.detector.input_size,
            "num_neighbors": config.detector.num_neighbors,
            "coreset_ratio": config.detector.coreset_ratio,
            "bank_id": bank.bank_id,
            "bank_size": len(bank.features),
            "n_patches": bank.n_patches,
            "width": bank.features.shape[1],
            "device": str(source.device),
            "n_sessions": len(of_sessions),
            "sessions": of_sessions,
            "seed": config.seed,
            "seconds": clock.seconds,
            "notices": [*source.notices, *([notice] if notice else [])],
            "agreement_with_anomalib": agreement,
        },
    )
    bank.save(result.bank_path)
    save_result(ws, DETECTOR, result)
    return result


def choose_patches(
    features: torch.Tensor, groups: list[str], source: FeatureSource, config: settings.RunConfig, progress: Progress
) -> tuple[MemoryBank, str]:
    """The memory bank, and a notice if the device had too little memory to choose it."""
    import torch

    from ias_core.devices import or_on_cpu
    from ias_core.patchcore.memory_bank import Preprocessing, build_bank

    size = max(1, int(features[..., 0].numel() * config.detector.coreset_ratio))
    backbone = source.backbone
    return or_on_cpu(
        lambda device: build_bank(
            list(features),
            groups,
            ratio=config.detector.coreset_ratio,
            preprocessing=Preprocessing(backbone.name, backbone.digest, backbone.layers, config.detector.input_size),
            generator=torch.Generator().manual_seed(config.seed),
            device=device,
            on_pick=lambda done: progress("coreset", done, size, "choosing the patches to keep"),
        ),
        source.device,
        doing="choosing the patches to keep",
    )


def patch_features(records: Sequence[ImageRecord], source: FeatureSource, progress: Progress) -> torch.Tensor:
    """(n, gh, gw, d) patch features of good parts, in main memory."""
    import torch

    parts: list[torch.Tensor] = []
    for _, pictures in batches(records, source.input_size, _BATCH):
        progress("features", sum(map(len, parts)), len(records), "reading good parts for the memory bank")
        parts.append(source.of_pictures(pictures).cpu())  # all at once may be more than a GPU holds
    return torch.cat(parts)


def _score_bank(
    records: list[ImageRecord],
    features: torch.Tensor,
    scorer: Scorer,
    seed: int,
    clock: StageClock,
    progress: Progress,
) -> dict[str, ScoredSet]:
    """Leave-one-out scores; and without each image's session, where hiding one leaves something of the bank."""
    groups = [record.group for record in records]
    by_session = sessions.groups_to_hide(records)
    at_random = sessions.as_many_at_random(by_session, groups, np.random.default_rng(seed))
    asked = {"bank": (groups, "leave-one-out", "scoring each good part without its own patches")}
    if all(scorer.can_leave_out(hidden) for hidden in {*by_session, *at_random}):  # with one session nothing is left
        asked |= {
            sessions.BANK_BY_SESSION: (
                by_session,
                "leave-one-session-out",
                "scoring each good part without its session",
            ),
            sessions.BANK_AT_RANDOM: (at_random, "leave-as-many-out", "scoring each without as many others at random"),
        }
    sets = {}
    for name, (hidden, stage, message) in asked.items():
        with clock(stage):

            def show(done: int, stage: str = stage, message: str = message) -> None:
                progress(stage, done, len(records), message)

            sets[name] = scored_set(records, score_features(scorer, features, hidden, show))
    return sets


def score_features(
    scorer: Scorer,
    features: torch.Tensor,
    hidden: Sequence[str | tuple[str, ...]] | None,
    show: Callable[[int], None],
) -> PatchScores:
    """Scores of features at hand, batch by batch, so that a job can be cancelled between them.

    ``hidden``: per image what does not count for it, see ``Scorer``; None hides nothing. ``show`` is told how many are
    done.
    """
    from ias_core.patchcore.scoring import PatchScores

    parts = []
    for a in range(0, len(features), _BATCH):
        show(a)
        parts.append(scorer(features[a : a + _BATCH], leave_out=hidden and hidden[a : a + _BATCH]))
    return PatchScores.concatenate(parts)


def _score_others(
    records: dict[str, list[ImageRecord]], source: FeatureSource, scorer: Scorer, progress: Progress
) -> dict[str, ScoredSet]:
    names = ("calibration", "check", "ng")
    total, before, sets = sum(len(records[name]) for name in names), 0, {}
    for name in names:

        def show(done: int, before: int = before) -> None:
            progress("scoring", before + done, total, "scoring the other pictures")

        sets[name] = _score_set(records[name], source, scorer, show)
        before += len(records[name])
    return sets


def _score_set(
    records: list[ImageRecord], source: FeatureSource, scorer: Scorer, show: Callable[[int], None]
) -> ScoredSet:
    from ias_core.patchcore.scoring import PatchScores

    if not records:
        return ScoredSet((), (), np.empty(0, np.float32), np.empty((0, 1, 1), np.float32))
    parts, done = [], 0
    for chunk, pictures in batches(records, source.input_size, _BATCH):
        show(done)
        parts.append(scorer(source.of_pictures(pictures)))
        done += len(chunk)
    return scored_set(records, PatchScores.concatenate(parts))


def scored_set(records: list[ImageRecord], scores: PatchScores) -> ScoredSet:
    """Scores with the names and hashes of their images."""
    return ScoredSet(
        tuple(r.name for r in records),
        tuple(r.sha256 for r in records),
        scores.image_scores,
        scores.patch_scores,
    )


def _compare_with_anomalib(
    records: dict[str, list[ImageRecord]],
    sets: dict[str, ScoredSet],
    source: FeatureSource,
    bank: MemoryBank,
    config: settings.DetectorConfig,
) -> dict[str, Any]:
    """Largest relative difference of our image scores to anomalib's, on a few images outside the bank."""
    from ias_core.patchcore.anomalib_reference import anomalib_patchcore, anomalib_scores

    name = next((n for n in ("calibration", "check", "ng") if records[n]), None)
    if name is None:
        return {"images": 0, "largest_relative_difference": None}
    some = records[name][:_COMPARED_WITH_ANOMALIB]
    source.backbone.module.to("cpu")
    model = anomalib_patchcore(source.backbone, bank, num_neighbors=config.num_neighbors)
    theirs, _ = anomalib_scores(model, source.backbone, [read_at_size(r, config.input_size) for r in some])
    ours = sets[name].image_scores[: len(some)]
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-12)))
    return {"images": len(some), "largest_relative_difference": difference}
