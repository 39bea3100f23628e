"""Scores to thresholds and what each is worth: the one place where core scores meet the calibration package."""

from dataclasses import dataclass, field, replace

import numpy as np

from calibration.counts import counts_at
from calibration.curves import auroc, roc_band
from calibration.policy import all_choices, ok_source, preferred, recommend
from calibration.rules import RULES
from calibration.types import Auroc, RateBound, Recommendation, RocBand, ThresholdChoice
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.quality import kept, sources_of, why_none
from pages.services.settings import RunConfig


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """Synthetic NG laid out from invisible to plain: what a probability of detection is read from, and no rule counts.

    scores, size_px, snr : (n,)   image score, equivalent diameter at the input size, signal-to-noise ratio
    """

    method: str
    scores: np.ndarray
    size_px: np.ndarray
    snr: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All scores a threshold can be judged by, each with its origin; synthetic and real are never pooled.

    Synthetic NG that quality control rejected are not among them.

    ok : (n,) OK scores that rank rules use; ``ok_source`` says which
    ok_loo, ok_held_out, ok_check : (n,)   leave-one-out, calibration and check scores
    synthetic : method -> (n,), n >= 1
    names : method -> n names, in the order of its scores
    severities : method -> (n,) severity of each synthetic NG, in the method's own meaning
    voiceless : method -> why none of its synthetic NG counts
    sources : method -> the real NG each synthetic one was made from; only methods that start from real NG
    ng_real : (n,)
    """

    ok: np.ndarray
    ok_source: str
    ok_loo: np.ndarray
    ok_held_out: np.ndarray
    ok_check: np.ndarray
    synthetic: dict[str, np.ndarray]
    primary: str | None
    ng_real: np.ndarray
    severities: dict[str, np.ndarray] = field(default_factory=dict)
    graded: Graded | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    voiceless: dict[str, str] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ok_set(self) -> str:
        """Key of the detector's set that ``ok`` are the scores of."""
        return "calibration" if self.ok_source == "held-out" else "bank"

    @property
    def judging_ok(self) -> tuple[np.ndarray, str]:
        """OK scores that may judge a threshold, and which they are: check OK where there are any."""
        return (self.ok_check, "check") if len(self.ok_check) else (self.ok, self.ok_source)

    def caught(self, method: str, threshold: float) -> RateBound:
        """Synthetic NG of a method at or above a threshold; limits over real NG where it starts from some."""
        return counts_at(self.synthetic[method], threshold, sources=self.sources.get(method))


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdTable:
    """Every rule's threshold, the recommended one, and the curves behind them.

    ``synthetic_roc`` and ``real_roc`` are against ``evidence.ok`` and against the check OK images.
    """

    evidence: Evidence
    choices: tuple[ThresholdChoice, ...]
    recommendation: Recommendation
    synthetic_roc: dict[str, tuple[Auroc, RocBand]]
    real_roc: tuple[Auroc, RocBand] | None
    real_ok_source: str


@dataclass(frozen=True, slots=True)
class RealResult:
    """What one threshold does to real parts that no other role has seen; None where there are none."""

    rejected_ok: RateBound | None
    caught_ng: RateBound | None


def evidence_of(
    detector: DetectorResult, synthesis: SynthesisResult | None, ng_ids: set[str] | None = None
) -> Evidence:
    """Scores by origin. ``ng_ids``: only these real NG (sha256); None takes all that were scored."""
    sets = detector.sets
    methods = synthesis.meta["methods"] if synthesis else {}
    graded = synthesis.meta.get("graded", "") if synthesis else ""
    counting = {name: kept(methods[name]) for name in synthesis.sets if name != graded} if synthesis else {}
    voices = {name: counts for name, counts in counting.items() if counts.any()}
    ng = sets["ng"]
    keep = [ng_ids is None or image in ng_ids for image in ng.ids]
    held_out, loo = sets["calibration"].image_scores, sets["bank"].image_scores
    source = ok_source(n_held_out=len(held_out), n_loo=len(loo))
    return Evidence(
        ok=held_out if source == "held-out" else loo,
        ok_source=source,
        ok_loo=loo,
        ok_held_out=held_out,
        ok_check=sets["check"].image_scores,
        synthetic={name: synthesis.sets[name].image_scores[counts] for name, counts in voices.items()},
        primary=synthesis.meta["primary"] if synthesis else None,
        ng_real=ng.image_scores[np.array(keep, dtype=bool)],
        severities={name: np.array(methods[name]["severities"])[counts] for name, counts in voices.items()},
        graded=_graded(graded, synthesis) if synthesis and graded else None,
        names={name: tuple(np.array(synthesis.sets[name].names)[counts].tolist()) for name, counts in voices.items()},
        voiceless={name: why_none(methods[name], name) for name in counting if name not in voices},
        sources={
            name: tuple(np.array(found)[counts].tolist())
            for name, counts in voices.items()
            if (found := sources_of(methods[name]))
        },
    )


def _graded(method: str, synthesis: SynthesisResult) -> Graded:
    facts = synthesis.meta["methods"][method]
    return Graded(method, synthesis.sets[method].image_scores, np.array(facts["size_px"]), np.array(facts["snr"]))


def threshold_table(evidence: Evidence, config: RunConfig) -> ThresholdTable:
    """Every rule on this evidence. Real NG change no threshold here: they only judge."""
    primary = evidence.synthetic.get(evidence.primary) if evidence.primary else None
    why_none = evidence.voiceless.get(evidence.primary or "", "")
    choices = all_choices(
        ok_held_out=evidence.ok_held_out,
        ok_loo=evidence.ok_loo,
        synthetic=primary,
        rng=np.random.default_rng(config.seed),
        config=config.thresholds,
    )
    if why_none:
        choices = tuple(replace(c, reason=why_none) if RULES[c.rule].origin == "synthetic" else c for c in choices)
    curves = {
        name: (
            auroc(evidence.ok, scores, sources=evidence.sources.get(name)),
            roc_band(evidence.ok, scores, sources=evidence.sources.get(name)),
        )
        for name, scores in evidence.synthetic.items()
    }
    judge_ok, judge_source = evidence.judging_ok
    first = preferred(choices).value
    caught = evidence.caught(evidence.primary, first) if primary is not None and first is not None else None
    real = (auroc(judge_ok, evidence.ng_real), roc_band(judge_ok, evidence.ng_real)) if len(evidence.ng_real) else None
    recommendation = recommend(
        choices,
        synthetic_auroc=curves[evidence.primary][0] if primary is not None else None,
        caught=caught,
    )
    if why_none:
        recommendation = replace(recommendation, why=f"{recommendation.why} {why_none[0].upper()}{why_none[1:]}.")
    return ThresholdTable(
        evidence=evidence,
        choices=choices,
        recommendation=recommendation,
        synthetic_roc=curves,
        real_roc=real,
        real_ok_source=judge_source,
    )


def real_result(evidence: Evidence, threshold: float, *, confidence: float = 0.95) -> RealResult:
    """Counts on check OK images and real NG, with exact one-sided limits."""
    return RealResult(
        rejected_ok=counts_at(evidence.ok_check, threshold, confidence) if len(evidence.ok_check) else None,
        caught_ng=counts_at(evidence.ng_real, threshold, confidence) if len(evidence.ng_real) else None,
    )
