"""Make synthetic NG from calibration OK images and score them as the line would; lay the feature-space ruler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError, SynthesisError
from ias_core.peak_memory import PeakMemory
from pages.services import settings
from pages.services.artifacts import (
    SYNTHESIS,
    DetectorResult,
    ScoredSet,
    SynthesisResult,
    digest_of,
    fresh_folder,
    save_result,
)
from pages.services.control import control_facts
from pages.services.detection import FeatureSource, current_detector
from pages.services.foreground import part_masks
from pages.services.foreign_answers import imported
from pages.services.foreign_scores import Bench, score_foreign
from pages.services.kit import Kit, kit_of
from pages.services.ledger import ImageRecord, Ledger
from pages.services.made import MOST_PARENTS, facts_of, make, method_class, texture_source
from pages.services.made_pictures import of_files, register
from pages.services.picture_scores import features_of, median_shift, write_pictures
from pages.services.pictures import read_at_size
from pages.services.progress import Progress, StageClock
from pages.services.quality import Inspector, judged, picture_id
from pages.services.ruler import lay_rulers
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from ias_core.patchcore.scoring import PatchScores, Scorer
    from ias_core.synthesis.base import SyntheticDefects
    from ias_core.synthesis.texture_source import TextureSource


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What every method is made and scored with.

    parents : n records of OK pictures that defects are made on
    pictures : (n, s, s, 3) float32; features : (n, gh, gw, d); d0 : (n, gh, gw) patch scores; parent_scores : (n,)
        image scores; all of the parents
    parts : (n, s, s) bool, where defects may lie, or None for anywhere
    """

    parents: Sequence[ImageRecord]
    pictures: np.ndarray
    parts: np.ndarray | None
    features: torch.Tensor
    d0: np.ndarray
    parent_scores: np.ndarray
    source: FeatureSource
    scorer: Scorer
    textures: TextureSource | None
    kit: Kit

    def scored(self, pictures: Sequence[np.ndarray]) -> PatchScores:
        """Scores of pictures (s, s, 3) as the line would have them."""
        return self.scorer(features_of(pictures, self.source))


def synthesis_digest(detector: str, config: settings.RunConfig) -> str:
    """Digest of everything the synthetic scores depend on."""
    return digest_of(detector, settings.to_dict(config.synthesis), config.seed)


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are the settings of a RunConfig."""
    config = settings.from_dict(settings.RunConfig, params)
    result = synthesize(ws, current_detector(ws, config), config, progress)
    return {"digest": result.digest, "seconds": result.meta["seconds"]}


def synthesize(
    ws: Workspace, detector: DetectorResult, config: settings.RunConfig, progress: Progress
) -> SynthesisResult:
    """Synthetic NG of every method asked for, their scores, and the ruler; kept as the current synthesis.

    The graded ones are kept among the sets like the others, and ``meta["graded"]`` names them ("" where there are
    none): they are made to be missed in part, so nothing that judges a threshold may count them. A method other than
    the primary one that cannot make a visible defect on this product is left out, and ``meta["failed"]`` says why.

    Raises
    ------
    IasError
        No calibration OK image to make NG from, a primary method that cannot make a visible defect, or a picture that
        changed since it was taken in.
    """
    clock = StageClock()
    candidates = Ledger(ws).records(role="calibration_ok")
    if not candidates:
        raise IasError("synthetic NG are made from calibration OK images and there is none: add good parts")
    # At random: file names follow the camera's day, and the first ones would stand for one batch only.
    order = np.random.default_rng(config.seed).permutation(len(candidates))[:MOST_PARENTS]
    parents = [candidates[i] for i in order]
    progress("load", 0, 1, "loading the network")
    with clock("load"):
        from ias_core.patchcore.memory_bank import MemoryBank
        from ias_core.patchcore.scoring import Scorer
        from ias_core.quality.movement import pooling_reach

        source = FeatureSource(config.detector)
        bank = MemoryBank.load(detector.bank_path)
        scorer = Scorer(bank, source.device, num_neighbors=config.detector.num_neighbors)
    pictures = np.stack([read_at_size(record, source.input_size) for record in parents])
    with clock("features of the parents"):
        features = features_of(list(pictures), source)
        of_parents = scorer(features)
        d0 = of_parents.patch_scores
    inspect = Inspector(
        pictures,
        [record.group for record in parents],
        d0,
        score=lambda dithered: scorer(features_of(list(dithered), source)).patch_scores,
        reach=pooling_reach(source.backbone),
        seed=config.seed,
    )
    setup = Setup(
        parents,
        pictures,
        part_masks(ws, config.synthesis.foreground, pictures),
        features,
        d0,
        of_parents.image_scores,
        source,
        scorer,
        texture_source(config.synthesis.textures),
        kit_of(ws, config, _drawn_by(config)),
    )
    digest = synthesis_digest(detector.digest, config)
    folder = fresh_folder(ws, SYNTHESIS)
    sets: dict[str, ScoredSet] = {}
    facts: dict[str, Any] = {}
    failed: dict[str, str] = {}
    asked = (*config.synthesis.methods, settings.MIXTURE) if config.synthesis.mixture else config.synthesis.methods
    counts = dict.fromkeys(asked, config.synthesis.count)
    if config.synthesis.graded:
        counts[config.synthesis.graded] = config.synthesis.graded_count
    for k, (name, count) in enumerate(counts.items()):
        progress("synthetic NG", k, len(counts), f"making and scoring {name}")
        try:
            with clock(name), PeakMemory(str(source.device)) as peak:
                sets[name], facts[name], made = _one_method(name, count, setup, config, folder)
            with clock("quality control"):
                controls = control_facts(name, setup, config)
        except SynthesisError as error:
            if name == config.synthesis.primary:  # nothing else can stand in for what the rules were told to use
                raise
            failed[name] = str(error)
            continue
        facts[name] |= {"seconds": clock.seconds[name], "peak_memory_bytes": peak.bytes} | controls
        if name != config.synthesis.graded:  # graded ones are meant to be missed in part
            with clock("quality control"):
                facts[name]["quality"] = inspect(made, sets[name].patch_scores)
            stems = sets[name].ids
            facts[name] |= judged(facts[name], config.synthesis.filters, stems, config.synthesis.rejected)
    bench = Bench(
        source=source,
        scorer=scorer,
        ok=evidence_of(detector, None).ok,
        unit=float(np.median(d0)),
        seed=config.seed,
        filters=config.synthesis.filters,
        rejected=config.synthesis.rejected,
        folder=folder,
    )
    for name, imported_digest in config.synthesis.imported.items():
        progress("imported", 0, 1, f"scoring {name}")
        try:
            with clock(name), PeakMemory(str(source.device)) as peak:
                sets[name], facts[name], _ = score_foreign(ws, name, imported(ws, imported_digest), bench)
            facts[name] |= {"seconds": clock.seconds[name], "peak_memory_bytes": peak.bytes}
        except IasError as error:  # files that were moved or changed
            if name == config.synthesis.primary:
                raise
            failed[name] = str(error)
    progress("ruler", 0, 1, "shifting features beside the memory bank")
    with clock("ruler"):
        shifts, projection, ruler = lay_rulers(pictures, features, d0, bank, source, config.seed)
    result = SynthesisResult(
        folder=folder,
        digest=digest,
        sets=sets,
        shifts=shifts,
        projection=projection,
        meta={
            "methods": facts,
            "failed": failed,
            "primary": config.synthesis.primary,
            "graded": config.synthesis.graded if config.synthesis.graded in sets else "",
            "seed": config.seed,
            "ruler": ruler,
            "seconds": clock.seconds,
            "notices": [*source.notices, *setup.kit.notices],
        },
    )
    with clock("register"):
        for name, scored in sets.items():
            seeds = _seeds_of(name, config.synthesis)
            parents = [(parent, *seeds) for parent in facts[name]["parents"]]
            register(ws, of_files([folder / f"{stem}.png" for stem in scored.ids], name, parents))
    save_result(ws, SYNTHESIS, result)
    return result


def _seeds_of(name: str, config: settings.SynthesisConfig) -> list[str]:
    """sha256 of the real NG that a method of this package drew from; those of imported sets are known from them."""
    if name in config.imported:
        return []
    drawing = config.mixture if name == settings.MIXTURE else (name,)
    return sorted(config.sources) if any("sources" in method_class(one).needs for one in drawing) else []


def _drawn_by(config: settings.RunConfig) -> tuple[str, ...]:
    """Every method that draws in this run, those of the mixture with them."""
    synthesis = config.synthesis
    graded = (synthesis.graded,) if synthesis.graded else ()
    return tuple(dict.fromkeys((*synthesis.methods, *synthesis.mixture, *graded)))


def _one_method(
    name: str, count: int, setup: Setup, config: settings.RunConfig, folder: Path
) -> tuple[ScoredSet, dict[str, Any], SyntheticDefects]:
    made = make(
        name,
        setup.pictures,
        config.synthesis,
        count=count,
        seed=config.seed,
        foregrounds=setup.parts,
        textures=setup.textures,
        kit=setup.kit,
    )
    features = features_of(list(made.images), setup.source)
    scores = setup.scorer(features)
    stems = tuple(f"{name}-{i:03d}" for i in range(len(made.images)))
    write_pictures(made, stems, folder)
    parent_of = [setup.parents[int(p)] for p in made.parents]
    facts = {
        "parents": [record.sha256 for record in parent_of],
        "parent_names": [record.name for record in parent_of],
        **facts_of(made, setup.pictures),
        "made_with": {} if name == settings.MIXTURE else setup.kit.made_with(name),
        "picture_ids": [picture_id(image) for image in made.images],
        "shift_in_R": median_shift(features, setup.features, made, float(np.median(setup.d0))),
    }
    return ScoredSet(stems, stems, scores.image_scores, scores.patch_scores), facts, made
