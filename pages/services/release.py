"""What is signed: one JSON-ready content that says what was decided, for what, and on what evidence.

The pages of the meeting and of sign-off, the record, the export and the watch on the line all read this one content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration import challenge
from calibration.collect import plan
from calibration.review import by_staffing
from calibration.rules import RULES
from ias_core.overlay import colour_scale
from pages.services import blind_review, coverage
from pages.services import frozen as frozen_pictures
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.chain import sha256_of
from pages.services.decision import Decision
from pages.services.inputs import detector_facts, inputs_of
from pages.services.ledger import ImageRecord, Ledger
from pages.services.plain import plain
from pages.services.product import Product, product_of
from pages.services.report import calibration_report_of, decision_row
from pages.services.settings import RunConfig
from pages.services.thresholds import Evidence, evidence_of, real_result
from pages.services.thumbnails import thumbnails
from pages.services.trust import Judgement, real_class
from pages.services.verification import free_ng, last_verification, statement, wrong_in
from pages.services.workspace import Workspace

SCHEMA = "ng0-release/1"
_MOST_PICTURES = 6  # of the missed, and of the wrongly rejected
VERIFY_AGAIN = (
    "camera, lens, light, position or exposure changes",
    "part, material, supplier or process changes",
    "a drift alarm, or a challenge part with another verdict or outside its limits",
    "a defective part is found among those it passed",
    "memory bank, settings, weights or this software change",
)


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """What would be signed now.

    content : JSON-ready, what is signed; its keys are in the README
    frozen : where the pictures lie, see ``pages.services.frozen``; the content holds its sha256
    """

    content: dict[str, Any]
    frozen: dict[str, Any]

    @property
    def key(self) -> str:
        """sha256 of the content: the same for what was signed and what is shown."""
        return sha256_of(self.content)


def is_checked(ws: Workspace, decision: Decision) -> bool:
    """Whether this very threshold was checked on all the real NG that are free now."""
    last = last_verification(ws)
    return bool(
        last and last["decision"] == decision.digest and last["status"] == "checked" and set(last["ng"]) == free_ng(ws)
    )


def release_of(
    ws: Workspace,
    decision: Decision,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    judgement: Judgement,
) -> Release:
    """The content to sign: the same workspace gives the same content. ``judgement`` is of these very results."""
    checked = is_checked(ws, decision)
    images = Ledger(ws).records()
    frozen = frozen_pictures.freeze(images)
    evidence = evidence_of(detector, synthesis, free_ng(ws))
    fixed = decision_row(ws, decision, detector, synthesis, config, checked=checked)
    report = calibration_report_of(ws, config, detector, synthesis, judgement)
    product = product_of(ws)
    grade = real_class(ws, decision.value, detector, synthesis, config, checked=checked)
    ng = free_ng(ws) if checked else set()
    of_ng = [image in ng for image in detector.sets["ng"].ids]
    missed = wrong_in(detector.sets["ng"], decision.value, flagged=False, among=of_ng)
    false_rejects = wrong_in(detector.sets["check"], decision.value, flagged=True)
    threshold = _threshold(decision, evidence, config)
    modes = coverage.rows(coverage.coverage(ws, detector, synthesis, decision))
    collect = [] if grade.refuted else [_to_collect(len(missed), len(ng), config)]
    asked = config.thresholds
    collect += coverage.to_dos(modes, recall=asked.target_recall, confidence=asked.confidence)
    scale = colour_scale(detector.sets["bank"].patch_scores)
    content = {
        "schema": SCHEMA,
        "decision": decision.digest,
        "product": {name: getattr(product, name) for name in ("part", "line", "camera", "light")},
        "proposed_release": product.proposed_release or grade.may,
        "threshold": threshold,
        "evidence_class": plain(grade),
        "counts": _counts(decision, evidence, config, checked),
        "scores": _scores(detector, evidence, ng),
        "missed": _rows(missed, detector),
        "false_rejects": _rows(false_rejects, detector),
        "thumbnails": _pictures(images, detector, missed, "ng", scale)
        | _pictures(images, detector, false_rejects, "check", scale),
        "map_scale": list(scale),
        "verification": {
            "stated": statement(ws, decision, config),
            "ng": sorted(ng),
            "status": fixed["status"],
        },
        "coverage": modes,
        "review": blind_review.summary(
            ws,
            detector,
            synthesis,
            config,
            threshold=decision.value,
            review_from=threshold["review_from"],
        ),
        "conditions": _conditions(product, collect),
        "challenge": _challenge(detector, decision.value, ng),
        "detector": detector_facts(detector, config),
        "inputs": inputs_of(ws, config, images, synthesis) | {"frozen_sha256": frozen_pictures.digest_of(frozen)},
        "report": report | {"fixed": fixed, "status": fixed["status"]},
    }
    return Release(plain(content), frozen)


def _threshold(decision: Decision, evidence: Evidence, config: RunConfig) -> dict[str, Any]:
    asked = config.thresholds
    band = by_staffing(
        evidence.ok,
        decision.value,
        max_share=asked.review_share,
        confidence=asked.confidence,
        source=evidence.ok_source,
    )
    empty = band.review_from is None or band.review_from == decision.value
    return {
        "value": decision.value,
        "review_from": None if empty else band.review_from,
        "review_why": band.reason if empty else band.promise,
        "rule": decision.rule,
        "title": RULES[decision.rule].title if decision.rule else "set by hand",
        "origin": decision.origin,
        "fixed_at": decision.fixed_at,
        "unit": "feature distance",
    }


def _counts(decision: Decision, evidence: Evidence, config: RunConfig, checked: bool) -> dict[str, Any]:
    """Good parts rejected and real NG caught only once they were checked; synthetic NG are never evidence of escape."""
    real = real_result(evidence, decision.value, confidence=config.thresholds.confidence)
    primary = evidence.primary
    synthetic = None
    if primary in evidence.synthetic:
        synthetic = plain(evidence.caught(primary, decision.value)) | {"method": primary}
    return {
        "ok": plain(real.rejected_ok),
        "synthetic": synthetic,
        "real": plain(real.caught_ng) if checked else None,
    }


def _scores(detector: DetectorResult, evidence: Evidence, ng: set[str]) -> dict[str, Any]:
    judging, source = evidence.judging_ok
    free = detector.sets["ng"]
    return {
        "ok": judging,
        "ok_source": source,
        "reference": evidence.ok,
        "reference_source": evidence.ok_source,
        "synthetic": evidence.synthetic.get(evidence.primary or "", np.empty(0)),
        "synthetic_method": evidence.primary or "",
        "real": [
            {"file": name, "kind": detector.kinds.get(image, ""), "score": float(score)}
            for name, image, score in zip(free.names, free.ids, free.image_scores, strict=True)
            if image in ng
        ],
    }


def _rows(parts: tuple[tuple[str, str, float], ...], detector: DetectorResult) -> list[dict[str, Any]]:
    return [
        {"file": name, "sha256": sha256, "score": score, "kind": detector.kinds.get(sha256, "")}
        for name, sha256, score in parts
    ]


def _challenge(detector: DetectorResult, threshold: float, ng: set[str]) -> list[dict[str, Any]]:
    """Parts to keep at the line, of those that no other role has seen; limits take repeated shots."""
    of_ok, of_ng = detector.sets["check"], detector.sets["ng"]
    if not of_ok.ids:
        return []
    free = [i for i, image in enumerate(of_ng.ids) if image in ng]
    chosen_ok, chosen_ng = challenge.choose(of_ok.image_scores, of_ng.image_scores[free], threshold)
    shown = [("ok", of_ok, i) for i in chosen_ok] + [("ng", of_ng, free[i]) for i in chosen_ng]
    return [
        {
            "file": scored.names[i],
            "sha256": scored.ids[i],
            "label": label,
            "score": float(scored.image_scores[i]),
            "low": None,
            "high": None,
        }
        for label, scored, i in shown
    ]


def _pictures(
    images: tuple[ImageRecord, ...],
    detector: DetectorResult,
    parts: tuple[tuple[str, str, float], ...],
    set_name: str,
    scale: tuple[float, float],
) -> dict[str, dict[str, str]]:
    record_of = {one.sha256: one for one in images}
    shown = [record_of[sha256] for _, sha256, _ in parts[:_MOST_PICTURES] if sha256 in record_of]
    return thumbnails(shown, detector.sets[set_name], scale)


def _conditions(product: Product, collect_next: list[str]) -> dict[str, Any]:
    named = ", ".join(text for text in (product.part, product.line, product.camera, product.light) if text)
    return {
        "valid_for": [
            f"parts like those seen: {named or 'part, line, camera and light were not named'}",
            "the memory bank, weights and settings named in the record; on another bank the number means nothing",
        ],
        "expires": product.expires,
        "verify_again_when": list(VERIFY_AGAIN),
        "collect_next": collect_next,
    }


def _to_collect(missed: int, n: int, config: RunConfig) -> str:
    target, confidence = config.thresholds.target_recall, config.thresholds.confidence
    more = plan(missed, n, rate=1.0 - target, confidence=confidence).more
    if not more:
        return "enough real NG for the target; go on keeping every NG that the line finds"
    return (
        f"{more} more real NG: {n + more} in all prove a recall of {100 * target:g} % at {100 * confidence:g} % "
        "confidence, if none of these is missed"
    )
