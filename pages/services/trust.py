"""How far the recommended threshold can be trusted: everything beside the number itself, computed once per evidence."""

from dataclasses import dataclass

import numpy as np

from calibration.collect import Plan, plan
from calibration.counts import counts_at
from calibration.evidence import Evidence as EvidenceClass
from calibration.evidence import evidence_class
from calibration.outliers import outliers
from calibration.pod import PodCurve, pod_curve
from calibration.policy import all_choices
from calibration.resampling import BootstrapBand, bootstrap_band
from calibration.review import ReviewBand, by_cost, by_staffing
from calibration.robustness import SeedScores, Spread, robustness
from calibration.rules import is_ng, title_of
from calibration.sessions import SessionGap
from calibration.synthetic_rules import youden
from calibration.transfer import Transfer, transfer
from calibration.types import RateBound, ThresholdChoice
from pages.services import sessions
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.seeds import seed_scores
from pages.services.settings import RunConfig
from pages.services.thresholds import Evidence, ThresholdTable, evidence_of, threshold_table
from pages.services.verification import free_ng
from pages.services.workspace import Workspace

SIZE, SNR, INTEGRATED = "size in px", "signal-to-noise ratio", "size in px x signal-to-noise ratio"


@dataclass(frozen=True, slots=True)
class MovedRule:
    """A rule's threshold with and without the OK images that stand apart; None where it then gives none."""

    rule: str
    title: str
    value: float
    without: float | None


@dataclass(frozen=True, slots=True)
class StandingApart:
    """OK images that score far above the others, and what they do to the thresholds.

    images : (name, sha256, score), highest first
    set_name : key of the detector's set they are in
    moved : rules whose threshold they move
    """

    images: tuple[tuple[str, str, float], ...]
    set_name: str
    moved: tuple[MovedRule, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """What the recommended threshold is worth.

    evidence : class of the recommended threshold
    caught : real NG at or above it, None where there are none
    spreads : ranges of the recommendation; empty without one
    pods : probability of detection of the graded NG at the recommended threshold, see ``pods_at``
    transfers : method -> its Youden threshold on real NG; empty without real NG
    reviews : by staffing and by cost; empty without a recommended threshold
    plan_ok : OK scores that the FPR asked for takes, where the threshold lies just above their maximum
    plan_ng : real NG that the recall asked for takes
    bands : curve -> pointwise bootstrap band; keys are methods, and "real"
    sessions : leave-one-session-out beside leave-one-out, None where there is one session
    """

    evidence: EvidenceClass
    caught: RateBound | None
    apart: StandingApart
    spreads: tuple[Spread, ...]
    pods: tuple[PodCurve, ...]
    transfers: dict[str, Transfer]
    reviews: tuple[ReviewBand, ...]
    plan_ok: Plan
    plan_ng: Plan
    bands: dict[str, BootstrapBand | None]
    sessions: SessionGap | None


def trust_of(
    table: ThresholdTable, detector: DetectorResult, config: RunConfig, seeds: tuple[SeedScores, ...] = ()
) -> Trust:
    """Everything beside the recommended threshold. Seeded: the same evidence and seed give the same numbers."""
    evidence, asked = table.evidence, config.thresholds
    chosen = table.recommendation.choice
    # Streams of their own: what is drawn for real NG must not move what is shown before they are.
    rng, of_spreads, of_real = (np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(3))
    caught = _caught(evidence, chosen.value, config) if chosen.value is not None else None
    bands = {
        name: bootstrap_band(evidence.ok, scores, rng=rng, sources=evidence.sources.get(name))
        for name, scores in evidence.synthetic.items()
    }
    judging, _ = evidence.judging_ok
    if len(evidence.ng_real):
        bands["real"] = bootstrap_band(judging, evidence.ng_real, rng=of_real)
    return Trust(
        evidence=class_of(caught, evidence, config),
        caught=caught,
        apart=_standing_apart(table, detector, config),
        spreads=_spreads(chosen, evidence, of_spreads, seeds) if chosen.value is not None else (),
        pods=pods_at(evidence, chosen.value) if chosen.value is not None else (),
        transfers=_transfers(evidence, config, of_real),
        reviews=_reviews(chosen, evidence, config) if chosen.value is not None else (),
        plan_ok=plan(0, chosen.n_ok, rate=asked.max_fpr, confidence=asked.confidence),
        plan_ng=plan(*_missed(caught), rate=1.0 - asked.target_recall, confidence=asked.confidence),
        bands=bands,
        sessions=sessions.gap_of(detector),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Every threshold, and what the recommended one is worth."""

    table: ThresholdTable
    trust: Trust


def judge(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    ng_ids: set[str],
) -> Judgement:
    """Thresholds and their worth on the stored scores; ``ng_ids`` are the real NG (sha256) that may judge."""
    table = threshold_table(evidence_of(detector, synthesis, ng_ids), config)
    return Judgement(table, trust_of(table, detector, config, seed_scores(ws, detector, synthesis, config)))


def class_of(caught: RateBound | None, evidence: Evidence, config: RunConfig) -> EvidenceClass:
    """Evidence class of a threshold that caught these real NG."""
    asked = config.thresholds
    return evidence_class(
        caught,
        n_synthetic=sum(map(len, evidence.synthetic.values())),
        target_recall=asked.target_recall,
        confidence=asked.confidence,
    )


def real_class(
    ws: Workspace,
    threshold: float,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    *,
    checked: bool,
) -> EvidenceClass:
    """Class of a fixed threshold; real NG count only once it was checked on them."""
    evidence = evidence_of(detector, synthesis, free_ng(ws))
    return class_of(_caught(evidence, threshold, config) if checked else None, evidence, config)


def pods_at(evidence: Evidence, threshold: float) -> tuple[PodCurve, ...]:
    """POD of the graded NG at a threshold; empty where none were made.

    By size x signal-to-noise ratio, then by each alone. A small spot is missed however strong it is and a faint one
    however large, so each alone mixes both; their product is the integrated signal-to-noise ratio of A. Rose (J. Opt.
    Soc. Am. 38 (1948), 196-208), contrast x root of the area / noise, but for the constant of the diameter.
    """
    graded = evidence.graded
    if graded is None:
        return ()
    found = is_ng(graded.scores, threshold)
    return tuple(pod_curve(a, found, measure=measure) for measure, a in measures_of(graded.size_px, graded.snr))


def measures_of(size_px: np.ndarray, snr: np.ndarray) -> tuple[tuple[str, np.ndarray], ...]:
    """The axes on which a defect is measured, in the order of ``pods_at``."""
    return ((INTEGRATED, size_px * snr), (SIZE, size_px), (SNR, snr))


def _caught(evidence: Evidence, threshold: float, config: RunConfig) -> RateBound | None:
    """Real NG caught, with limits at the confidence asked for; None where there are none."""
    if not len(evidence.ng_real):
        return None
    return counts_at(evidence.ng_real, threshold, config.thresholds.confidence)


def _missed(caught: RateBound | None) -> tuple[int, int]:
    return (caught.n - caught.k, caught.n) if caught else (0, 0)


def _transfers(evidence: Evidence, config: RunConfig, rng: np.random.Generator) -> dict[str, Transfer]:
    """Each method's Youden threshold, set on OK and synthetic NG, judged by check OK and real NG."""
    if not len(evidence.ng_real):
        return {}
    judging, _ = evidence.judging_ok
    values = {
        name: youden(evidence.ok, scores, source=evidence.ok_source).value
        for name, scores in evidence.synthetic.items()
    }
    return {
        name: transfer(
            judging,
            evidence.synthetic[name],
            evidence.ng_real,
            value,
            rng=rng,
            margin=config.thresholds.margin,
            sources=evidence.sources.get(name),
        )
        for name, value in values.items()
        if value is not None
    }


def _standing_apart(table: ThresholdTable, detector: DetectorResult, config: RunConfig) -> StandingApart:
    evidence = table.evidence
    set_name = evidence.ok_set
    scored = detector.sets[set_name]
    found = outliers(evidence.ok) if len(evidence.ok) else ()
    images = tuple((scored.names[one.place], scored.ids[one.place], one.score) for one in found)
    if not found:
        return StandingApart(images, set_name, ())
    rest = np.delete(evidence.ok, [one.place for one in found])
    without = _rows(
        all_choices(
            ok_held_out=rest if set_name == "calibration" else None,
            ok_loo=rest if set_name == "bank" else None,
            synthetic=evidence.synthetic.get(evidence.primary) if evidence.primary else None,
            rng=np.random.default_rng(config.seed),
            config=config.thresholds,
        )
    )
    moved = [
        MovedRule(choice.rule, title_of(choice), choice.value, without[row].value)
        for row, choice in _rows(table.choices).items()
        if choice.source == evidence.ok_source and row in without
        if choice.value is not None and without[row].value != choice.value
    ]
    return StandingApart(images, set_name, tuple(moved))


def _rows(choices: tuple[ThresholdChoice, ...]) -> dict[tuple[str, float | None], ThresholdChoice]:
    """Rows by rule and, since the maximum may follow as one more percentile, by percentile."""
    return {(choice.rule, choice.params.get("q")): choice for choice in choices}


def _spreads(
    chosen: ThresholdChoice, evidence: Evidence, rng: np.random.Generator, seeds: tuple[SeedScores, ...]
) -> tuple[Spread, ...]:
    return robustness(
        chosen,
        evidence.ok,
        evidence.synthetic,
        primary=evidence.primary or "",
        severities=evidence.severities,
        rng=rng,
        seeds=seeds,
        sources=evidence.sources,
    )


def _reviews(chosen: ThresholdChoice, evidence: Evidence, config: RunConfig) -> tuple[ReviewBand, ...]:
    asked = config.thresholds
    staffed = by_staffing(
        evidence.ok,
        chosen.value,
        max_share=asked.review_share,
        confidence=asked.confidence,
        source=evidence.ok_source,
    )
    primary = evidence.synthetic.get(evidence.primary) if evidence.primary else None
    if primary is None:
        return (staffed,)
    costs = {name: getattr(asked, name) for name in ("cost_escape", "cost_overkill", "cost_review", "ng_share")}
    return (staffed, by_cost(evidence.ok, primary, **costs))
