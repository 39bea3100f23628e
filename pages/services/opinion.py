"""The second opinion: discriminators trained on the memory bank's pictures, each with a threshold of its own.

Which pictures do what: the memory bank's teach, and so do defects put into them (GLASS); calibration OK set the
threshold; check OK and free real NG judge it. A calibration picture that taught, even with a defect put into it, would
score lower than good parts to come, and its threshold would promise too much. Nothing here moves PatchCore's threshold.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.counts import counts_at
from calibration.policy import on_ok_alone, recommend
from calibration.rules import is_ng
from calibration.types import RateBound, ThresholdChoice
from ias_core.errors import IasError
from pages.services import detection, settings
from pages.services.artifacts import DetectorResult, digest_of, fresh_folder
from pages.services.decision import current_decision
from pages.services.ledger import ImageRecord, Ledger
from pages.services.pictures import batches
from pages.services.progress import Progress
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from ias_core.discriminators import LocalAnomalies, Trained
    from ias_core.discriminators.base import FeatureDiscriminator

OPINION = "opinion"
SETS = ("calibration", "check", "ng")

# Seconds of training on one core of a server (AMD EPYC, with others at work), for 152 numbers a patch. The number of
# steps is fixed, so more good parts take no longer; a wider patch does.
SECONDS = {
    "cras": 50.0,
    "glass-hypersphere": 132.0,
    "glass-manifold": 146.0,
    "pbas": 79.0,
    "simplenet": 64.0,
    "supersimplenet": 524.0,
}
_MEASURED_WIDTH = 152
_FROM_LAS = ("glass-hypersphere", "glass-manifold")
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What one trained discriminator said.

    method : str
    scores : set -> (n,) float32   logits, higher = more anomalous
    ids : set -> n strings         sha256
    facts : JSON-ready: epochs, steps, n_images, losses, seconds, notes
    """

    method: str
    scores: dict[str, np.ndarray]
    ids: dict[str, tuple[str, ...]]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A picture that one calls NG and the other OK."""

    name: str
    sha256: str
    opinion_says_ng: bool
    is_real_ng: bool


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One opinion with its threshold, and what that does to pictures which nothing before has used.

    choice : ThresholdChoice   in logits; None where it cannot tell
    why : str                  its promise, or the reason why there is none
    rejected_ok, caught_ng : RateBound, or None without a threshold or without pictures
    n_unscored : real NG in view that came after the training
    agree, n_both : pictures on which PatchCore and this opinion say the same, of those that both judged
    kappa : Cohen's, agreement beyond chance; None where one of the two says the same of all pictures
    disagreements : tuple of Disagreement
    """

    opinion: Opinion
    choice: ThresholdChoice | None
    why: str
    rejected_ok: RateBound | None
    caught_ng: RateBound | None
    n_unscored: int
    agree: int
    n_both: int
    kappa: float | None
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Judgements:
    """All opinions on one detector.

    of_methods : tuple of Judged, by name
    out_of_date : methods that were trained for another detector or other settings
    patchcore : PatchCore's threshold that they are compared with, None where it has none
    patchcore_is : "fixed" or "recommended"
    """

    of_methods: tuple[Judged, ...]
    out_of_date: tuple[str, ...]
    patchcore: float | None
    patchcore_is: str


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are "settings", those of a RunConfig, and "methods", a list of names."""
    config = settings.from_dict(settings.RunConfig, params["settings"])
    return {"methods": list(train(ws, config, params["methods"], progress))}


def train(ws: Workspace, config: settings.RunConfig, methods: Sequence[str], progress: Progress) -> tuple[str, ...]:
    """Train on the memory bank's pictures, score all others, and keep the scores beside those of other methods.

    Returns
    -------
    tuple of str
        The methods trained.

    Raises
    ------
    IasError
        No or unknown methods, a detector that is missing or out of date, a picture that changed since it was taken in,
        or pictures that a method cannot learn from.
    """
    detector = detection.current_detector(ws, config)
    unknown = [name for name in methods if name not in SECONDS]
    if unknown or not methods:
        got = repr(unknown[0]) if unknown else "none"
        raise IasError(f"second opinion: expected some of {', '.join(SECONDS)}, got {got}")
    progress("load", 0, 1, "loading the network")
    records = {record.sha256: record for record in Ledger(ws).records()}
    source = detection.FeatureSource(config.detector)
    trained = _trained(_known(detector, "bank", records), source, methods, config.seed, progress)
    known = {name: _known(detector, name, records) for name in SETS}
    scores = _scores(known, source, trained, progress)
    _keep(ws, detector, config, trained, known, scores)
    return tuple(trained)


def judgements(ws: Workspace, detector: DetectorResult, config: settings.RunConfig, ng: set[str]) -> Judgements:
    """Every stored opinion that fits this detector and seed, judged; ``ng``: see ``judge``."""
    threshold, which = patchcore_threshold(ws, detector, config)
    found, old = opinions(ws, detector, config)
    return Judgements(
        of_methods=tuple(judge(opinion, detector, config, threshold=threshold, ng=ng) for opinion in found),
        out_of_date=old,
        patchcore=threshold,
        patchcore_is=which,
    )


def opinions(
    ws: Workspace, detector: DetectorResult, config: settings.RunConfig
) -> tuple[tuple[Opinion, ...], tuple[str, ...]]:
    """What is stored for this detector and seed, by name, and the names of what is stored for others."""
    facts, arrays = _stored(ws)
    fitting = [name for name in sorted(facts) if facts[name]["digest"] == _digest(detector, config, name)]
    found = tuple(
        Opinion(
            method=name,
            scores={key: arrays[f"{name}/{key}"] for key in SETS},
            ids={key: tuple(facts[name]["ids"][key]) for key in SETS},
            facts={key: value for key, value in facts[name].items() if key not in ("ids", "digest")},
        )
        for name in fitting
    )
    return found, tuple(sorted(set(facts) - set(fitting)))


def stored(ws: Workspace) -> str:
    """Names what is stored, for caches; empty where nothing is."""
    pointer = ws.get_choice(OPINION)
    return pointer["folder"] if pointer else ""


def method_of(name: str) -> FeatureDiscriminator:
    """A method as published, but for what its module says of itself."""
    from ias_core.discriminators import discriminators

    return discriminators[name]()


def estimate_s(detector: DetectorResult, methods: Sequence[str]) -> float:
    """About how long a run takes on one idle core: reading all pictures again, and training."""
    took = detector.meta["seconds"]
    bank = took.get("features", 0.0)
    reading = bank + took.get("scoring", 0.0) + (bank if set(methods) & set(_FROM_LAS) else 0.0)
    return reading + sum(SECONDS[name] for name in methods) * detector.meta["width"] / _MEASURED_WIDTH


def patchcore_threshold(
    ws: Workspace, detector: DetectorResult, config: settings.RunConfig
) -> tuple[float | None, str]:
    """PatchCore's threshold and which it is: the fixed one, else the one its rules give; None where they give none."""
    decision = current_decision(ws)
    if decision is not None and decision.bank_id == detector.meta["bank_id"]:
        return decision.value, "fixed"
    evidence = evidence_of(detector, None)
    choice, _ = _by_policy(evidence.ok, evidence.ok_source, config)
    return choice and choice.value, "recommended"


def judge(
    opinion: Opinion,
    detector: DetectorResult,
    config: settings.RunConfig,
    *,
    threshold: float | None,
    ng: set[str],
) -> Judged:
    """The opinion's own threshold, from calibration OK by PatchCore's policy, and what it does to check OK and real NG.

    Parameters
    ----------
    threshold : float or None
        PatchCore's, for the comparison.
    ng : set of str
        sha256 of the real NG that may judge; empty while they are not in view.
    """
    choice, why = _by_policy(opinion.scores["calibration"], "held-out", config)
    own = choice and choice.value
    seen = [image in ng for image in opinion.ids["ng"]]
    of_ng = opinion.scores["ng"][np.array(seen, dtype=bool)]
    ng_ids = tuple(image for image, use in zip(opinion.ids["ng"], seen, strict=True) if use)
    both = ()
    if own is not None and threshold is not None:
        both = (
            *_compared(detector, "check", opinion.ids["check"], opinion.scores["check"], own, threshold),
            *_compared(detector, "ng", ng_ids, of_ng, own, threshold),
        )
    return Judged(
        opinion=opinion,
        choice=choice,
        why=why,
        rejected_ok=_counts(opinion.scores["check"], own),
        caught_ng=_counts(of_ng, own),
        n_unscored=len(ng & set(detector.sets["ng"].ids)) - len(ng_ids),
        agree=sum(one.opinion_says_ng == patchcore for one, patchcore in both),
        n_both=len(both),
        kappa=_kappa([(one.opinion_says_ng, patchcore) for one, patchcore in both]),
        disagreements=tuple(one for one, patchcore in both if one.opinion_says_ng != patchcore),
    )


def _by_policy(ok: np.ndarray, source: str, config: settings.RunConfig) -> tuple[ThresholdChoice | None, str]:
    """Tolerance bound, else conformal, else the maximum: ``calibration.policy``, on OK scores alone.

    Leave-one-out has no like here: it would take a training for each picture. So only calibration OK count, and where
    there are fewer than two, the answer is that nothing can be told.
    """
    if len(ok) < 2:
        n = len(ok)
        return None, (
            f"Cannot tell: there {'is' if n == 1 else 'are'} {n} calibration OK picture{'' if n == 1 else 's'}, and a "
            "trained network needs at least 2 good parts that it never saw. Leaving each one out in turn, as PatchCore "
            "does, would take a training for every picture. Add good parts on the Data page."
        )
    found = recommend(on_ok_alone(ok, source=source, config=config.thresholds), synthetic_auroc=None)
    return (None, found.why) if found.choice.value is None else (found.choice, found.choice.promise)


def _counts(scores: np.ndarray, threshold: float | None) -> RateBound | None:
    return counts_at(scores, threshold) if len(scores) and threshold is not None else None


def _compared(
    detector: DetectorResult, key: str, ids: Sequence[str], scores: np.ndarray, own: float, patchcore: float
) -> list[tuple[Disagreement, bool]]:
    """Each picture that PatchCore scored too, as it would be shown, and whether PatchCore calls it NG."""
    if not len(ids):
        return []
    scored = detector.sets[key]
    place = {image: i for i, image in enumerate(scored.ids)}
    theirs = is_ng(scored.image_scores, patchcore)
    return [
        (Disagreement(scored.names[place[image]], image, bool(says), key == "ng"), bool(theirs[place[image]]))
        for image, says in zip(ids, is_ng(scores, own), strict=True)
        if image in place
    ]


def _kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Agreement beyond chance (Cohen, Educ. Psychol. Meas. 20 (1960), 37-46); None where chance alone agrees always.

    Examples
    --------
    >>> _kappa([(True, True), (True, False), (False, False), (False, False)])      # 3 of 4, 2 of 4 by chance
    0.5
    >>> _kappa([(False, False)]) is None
    True
    """
    n = len(pairs)
    if not n:
        return None
    first, second = (sum(pair[side] for pair in pairs) / n for side in (0, 1))
    by_chance = first * second + (1 - first) * (1 - second)
    seen = sum(a == b for a, b in pairs) / n
    return (seen - by_chance) / (1 - by_chance) if by_chance < 1 else None


def _known(detector: DetectorResult, key: str, records: dict[str, ImageRecord]) -> list[ImageRecord]:
    """The detector's pictures of one set, in its order, that are still in the data set."""
    return [records[image] for image in detector.sets[key].ids if image in records]


def _trained(
    records: list[ImageRecord],
    source: detection.FeatureSource,
    methods: Sequence[str],
    seed: int,
    progress: Progress,
) -> dict[str, Trained]:
    from ias_core.devices import or_on_cpu

    features = detection.patch_features(records, source, progress)
    las = _las(records, source, features.shape[1:3], seed, progress) if set(methods) & set(_FROM_LAS) else None
    trained = {}
    for name in sorted(set(methods)):

        def show(done: int, total: int, name: str = name) -> None:
            progress(f"train {name}", done, total, f"training {name}, step")

        def fit(device: torch.device, name: str = name, show: Any = show) -> Trained:
            return method_of(name)(
                features, seed=seed, device=device, on_step=show, las=las if name in _FROM_LAS else None
            )

        one, notice = or_on_cpu(fit, source.device, doing=f"training {name}")
        trained[name] = replace(one, notes=(*one.notes, notice)) if notice else one
    return trained


def _las(
    records: list[ImageRecord],
    source: detection.FeatureSource,
    grid: tuple[int, int],
    seed: int,
    progress: Progress,
) -> LocalAnomalies:
    """GLASS's pictures with local defects: one of each memory-bank picture, with the product's own texture.

    The published code blends textures of a data set that this product does not have. Own texture is the harder case
    (``ias_core.synthesis.glass_local``); the defect may lie anywhere on the picture.
    """
    import torch
    import torch.nn.functional as F

    from ias_core.discriminators import LocalAnomalies
    from ias_core.synthesis.glass_local import GlassLocalOwn

    features, masks = [], []
    for chunk, pictures in batches(records, source.input_size, _BATCH):
        done = sum(map(len, features))
        progress("local defects", done, len(records), "putting defects into the memory bank's pictures")
        draw = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
        made = GlassLocalOwn()(np.stack(pictures), count=len(chunk), seed=draw)
        features.append(source.of_pictures(list(made.images)).cpu())
        pooled = F.adaptive_max_pool2d(torch.from_numpy(made.masks).float().unsqueeze(1), tuple(grid))
        masks.append(pooled[:, 0] > 0)
    return LocalAnomalies(torch.cat(features), torch.cat(masks))


def _scores(
    known: dict[str, list[ImageRecord]],
    source: detection.FeatureSource,
    trained: dict[str, Trained],
    progress: Progress,
) -> dict[str, np.ndarray]:
    """ "method/set" -> (n,) image scores; each picture is read once for all methods."""
    total, done = sum(map(len, known.values())), 0
    found: dict[str, list[np.ndarray]] = {f"{name}/{key}": [] for name in trained for key in known}
    for key, records in known.items():
        for chunk, pictures in batches(records, source.input_size, _BATCH):
            features = source.of_pictures(pictures)
            for name, opinion in trained.items():
                progress("scoring", done, total, "scoring the other pictures")
                found[f"{name}/{key}"].append(opinion(features).image_scores)
            done += len(chunk)
    return {key: np.concatenate(parts) if parts else np.empty(0, np.float32) for key, parts in found.items()}


def _keep(
    ws: Workspace,
    detector: DetectorResult,
    config: settings.RunConfig,
    trained: dict[str, Trained],
    known: dict[str, list[ImageRecord]],
    scores: dict[str, np.ndarray],
) -> None:
    """Store the scores beside those of other methods, then make them the current ones."""
    facts, arrays = _stored(ws)
    for name, opinion in trained.items():
        facts[name] = {
            "digest": _digest(detector, config, name),
            "epochs": opinion.epochs,
            "steps": opinion.steps,
            "n_images": opinion.n_images,
            "losses": list(opinion.losses),
            "seconds": round(opinion.seconds, 1),
            "notes": list(opinion.notes),
            "ids": {key: [record.sha256 for record in records] for key, records in known.items()},
        }
    folder = fresh_folder(ws, OPINION)
    np.savez(folder / "scores.npz", **(arrays | scores))
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    ws.set_choice(OPINION, {"folder": folder.name})
    for old in ws.artifacts.glob(f"{OPINION}-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _stored(ws: Workspace) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    folder = ws.artifacts / stored(ws)
    if not stored(ws) or not (folder / "facts.json").is_file():
        return {}, {}
    with np.load(folder / "scores.npz") as file:
        arrays = {key: file[key] for key in file.files}
    return json.loads((folder / "facts.json").read_text(encoding="utf-8")), arrays


def _digest(detector: DetectorResult, config: settings.RunConfig, name: str) -> str:
    """Everything a discriminator's scores depend on; the detector's digest holds pictures, roles and backbone."""
    return digest_of(detector.digest, config.seed, name, asdict(method_of(name)))
