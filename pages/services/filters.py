"""Take made synthetic NG out of every count, by filters or by hand, and say what each filter does to the numbers."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from calibration.curves import auroc
from calibration.policy import on_ok_alone, preferred, recommend
from calibration.synthetic_rules import youden
from calibration.types import Auroc, RateBound, ThresholdChoice
from pages.services import settings
from pages.services.artifacts import (
    SYNTHESIS,
    DetectorResult,
    SynthesisResult,
    current_digest,
    fresh_folder,
    load_result,
    save_result,
)
from pages.services.quality import with_filters
from pages.services.steps import save_config
from pages.services.synthesis import synthesis_digest
from pages.services.thresholds import Evidence, evidence_of
from pages.services.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Effect:
    """What the primary method's numbers are with some filters in force; None where nothing gives the number.

    filters : those in force
    made, kept : synthetic NG of the primary method
    area : of the OK scores that rules use against the kept ones
    youden, recommended : thresholds
    caught : kept synthetic NG at or above the recommended threshold, or above the one that they veto
    why : why there is no recommended threshold
    """

    filters: tuple[str, ...]
    made: int
    kept: int
    area: Auroc | None
    youden: float | None
    recommended: float | None
    caught: RateBound | None
    why: str


def effects(detector: DetectorResult, synthesis: SynthesisResult, config: settings.RunConfig) -> tuple[Effect, ...]:
    """No filter, each one alone, and those in force. Real NG play no part."""
    ways = dict.fromkeys([(), *((name,) for name in settings.FILTERS), config.synthesis.filters])
    rejected = config.synthesis.rejected
    found = [evidence_of(detector, with_filters(synthesis, way, rejected), set()) for way in ways]
    ok, source = found[0].ok, found[0].ok_source
    rows = on_ok_alone(ok, source=source, config=config.thresholds)
    made = len(synthesis.sets[synthesis.meta["primary"]].ids)
    return tuple(_effect(way, made, evidence, rows) for way, evidence in zip(ways, found, strict=True))


def effect_of(
    detector: DetectorResult, synthesis: SynthesisResult, config: settings.RunConfig, rejected: Mapping[str, str]
) -> Effect:
    """The filters in force, with these pictures rejected by hand instead of those that are."""
    evidence = evidence_of(detector, with_filters(synthesis, config.synthesis.filters, rejected), set())
    rows = on_ok_alone(evidence.ok, source=evidence.ok_source, config=config.thresholds)
    return _effect(config.synthesis.filters, len(synthesis.sets[synthesis.meta["primary"]].ids), evidence, rows)


def _effect(filters: tuple[str, ...], made: int, evidence: Evidence, rows: tuple[ThresholdChoice, ...]) -> Effect:
    scores, first = evidence.synthetic.get(evidence.primary or ""), preferred(rows).value
    if scores is None:
        found = recommend(rows, synthetic_auroc=None)
        return Effect(filters, made, 0, None, None, found.choice.value, None, found.choice.reason)
    area = auroc(evidence.ok, scores, sources=evidence.sources.get(evidence.primary))
    caught = evidence.caught(evidence.primary, first) if first is not None else None
    found = recommend(rows, synthetic_auroc=area, caught=caught)
    at_youden = youden(evidence.ok, scores, source=evidence.ok_source).value
    return Effect(filters, made, len(scores), area, at_youden, found.choice.value, caught, found.choice.reason)


def switch_filters(ws: Workspace, detector: DetectorResult, config: settings.RunConfig, filters: Sequence[str]) -> None:
    """Put other filters in force, see ``_put_in_force``."""
    _put_in_force(ws, detector, config, replace(config.synthesis, filters=tuple(filters)))


def reject(ws: Workspace, detector: DetectorResult, config: settings.RunConfig, picture: str, why: str) -> None:
    """Take one picture (``quality.picture_id``) out of every count, or with ``why`` empty back in."""
    reject_many(ws, detector, config, {picture: why})


def reject_many(
    ws: Workspace, detector: DetectorResult, config: settings.RunConfig, reasons: Mapping[str, str]
) -> None:
    """``reject`` for several pictures, picture -> why, in one step; those that are not named stay as they are."""
    others = {one: why for one, why in config.synthesis.rejected.items() if one not in reasons}
    rejected = others | {one: why for one, why in reasons.items() if why}
    _put_in_force(ws, detector, config, replace(config.synthesis, rejected=rejected))


def _put_in_force(
    ws: Workspace, detector: DetectorResult, config: settings.RunConfig, synthesis: settings.SynthesisConfig
) -> None:
    """Synthetic NG that fit the settings fit the new ones too, with no picture made anew.

    They become a new result, so a threshold that was fixed on the old one is out of date.
    """
    asked = replace(config, synthesis=synthesis)
    fits = current_digest(ws, SYNTHESIS) == synthesis_digest(detector.digest, config)
    save_config(ws, asked)
    if not fits:
        return
    result = load_result(ws, SYNTHESIS)
    assert isinstance(result, SynthesisResult)
    folder = fresh_folder(ws, SYNTHESIS)
    for picture in result.folder.glob("*.png"):
        shutil.copy(picture, folder)
    digest = synthesis_digest(detector.digest, asked)
    changed = with_filters(result, synthesis.filters, synthesis.rejected)
    save_result(ws, SYNTHESIS, replace(changed, folder=folder, digest=digest))
