"""The same pictures on memory banks of other coreset seeds: how far does the draw of the patches move the threshold?"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.policy import on_ok_alone, preferred
from calibration.robustness import SeedScores
from ias_core.errors import IasError
from pages.services import detection, settings
from pages.services.artifacts import SYNTHESIS, DetectorResult, SynthesisResult, digest_of, fresh_folder, load_result
from pages.services.ledger import Ledger
from pages.services.progress import Progress
from pages.services.quality import kept
from pages.services.synthesis import synthesis_digest
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    import torch

SEEDS = "seeds"
HOW_MANY = 4
_BATCH = 16


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are the settings of a RunConfig."""
    config = settings.from_dict(settings.RunConfig, params)
    return {"seeds": score_other_seeds(ws, config, progress)}


def score_other_seeds(ws: Workspace, config: settings.RunConfig, progress: Progress) -> list[int]:
    """Choose the patches anew with the next seeds, and score good parts and primary synthetic NG on each bank.

    Raises
    ------
    IasError
        If detector or synthetic NG are missing or out of date, or a picture changed since it was taken in.
    """
    detector = detection.current_detector(ws, config)
    synthesis = load_result(ws, SYNTHESIS)
    if not isinstance(synthesis, SynthesisResult) or synthesis.digest != synthesis_digest(detector.digest, config):
        raise IasError("the synthetic NG are missing or out of date: make them on the synthetic NG page first")
    from ias_core.patchcore.scoring import Scorer

    progress("load", 0, 1, "loading the network")
    source = detection.FeatureSource(config.detector)
    records = Ledger(ws).records(role="memory_bank")
    groups = [record.group for record in records]
    bank_features, hidden = detection.patch_features(records, source, progress), groups
    ok_features = bank_features
    if evidence_of(detector, synthesis).ok_source == "held-out":
        ok_features = detection.patch_features(Ledger(ws).records(role="calibration_ok"), source, progress)
        hidden = None
    ng_features = _synthetic_features(synthesis, source, progress)
    arrays: dict[str, np.ndarray] = {}
    seeds = [(config.seed + i) % 2**32 for i in range(1, HOW_MANY + 1)]
    for place, seed in enumerate(seeds):

        def show(_: int = 0, place: int = place, seed: int = seed) -> None:
            progress("seeds", place, len(seeds), f"memory bank with coreset seed {seed}")

        show()
        bank, _ = detection.choose_patches(bank_features, groups, source, replace(config, seed=seed), progress)
        scorer = Scorer(bank, source.device, num_neighbors=config.detector.num_neighbors)
        arrays[f"{seed}/ok"] = detection.score_features(scorer, ok_features, hidden, show).image_scores
        arrays[f"{seed}/synthetic"] = (
            np.empty(0, np.float32)
            if ng_features is None
            else detection.score_features(scorer, ng_features, None, show).image_scores
        )
    _keep(ws, arrays, _digest(detector, synthesis))
    return seeds


def seed_scores(
    ws: Workspace, detector: DetectorResult, synthesis: SynthesisResult, config: settings.RunConfig
) -> tuple[SeedScores, ...]:
    """What is stored for other seeds, with what the policy picks there; empty where none fits these results."""
    pointer = ws.get_choice(SEEDS)
    if not pointer or pointer["digest"] != _digest(detector, synthesis):
        return ()
    file = ws.artifacts / pointer["folder"] / "scores.npz"
    if not file.is_file():
        return ()
    with np.load(file) as stored:
        arrays = {key: stored[key] for key in stored.files}
    source = evidence_of(detector, synthesis).ok_source
    found = []
    for seed in sorted({int(key.partition("/")[0]) for key in arrays}):
        ok = arrays[f"{seed}/ok"]
        threshold = preferred(on_ok_alone(ok, source=source, config=config.thresholds)).value
        found.append(SeedScores(seed, threshold, arrays[f"{seed}/synthetic"], ok))
    return tuple(found)


def stored(ws: Workspace) -> str:
    """Names what is stored, for caches; empty where nothing is."""
    pointer = ws.get_choice(SEEDS)
    return pointer["folder"] if pointer else ""


def _digest(detector: DetectorResult, synthesis: SynthesisResult) -> str:
    return digest_of(detector.digest, synthesis.digest)


def _synthetic_features(
    synthesis: SynthesisResult, source: detection.FeatureSource, progress: Progress
) -> torch.Tensor | None:
    """(n, gh, gw, d) patch features of the primary synthetic NG that count, in main memory; None where none does."""
    import torch

    primary = synthesis.meta["primary"]
    counts = kept(synthesis.meta["methods"][primary])
    stems = [stem for stem, counted in zip(synthesis.sets[primary].ids, counts, strict=True) if counted]
    parts = []
    for a in range(0, len(stems), _BATCH):
        progress("synthetic features", a, len(stems), "reading the synthetic NG")
        pictures = [synthesis.picture(stem) for stem in stems[a : a + _BATCH]]
        parts.append(source.of_pictures(pictures).cpu())
    return torch.cat(parts) if parts else None


def _keep(ws: Workspace, arrays: dict[str, np.ndarray], digest: str) -> None:
    folder = fresh_folder(ws, SEEDS)
    np.savez(folder / "scores.npz", **arrays)
    ws.set_choice(SEEDS, {"digest": digest, "folder": folder.name})
    for old in ws.artifacts.glob(f"{SEEDS}-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
