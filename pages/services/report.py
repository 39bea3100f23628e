"""``calibration.json``: the whole result of a run as plain numbers. The README documents every key."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from calibration.robustness import RECOMMENDED
from calibration.rules import is_ng, percent, title_of
from calibration.types import Auroc, ThresholdChoice
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.decision import Decision
from pages.services.intake import Intake, current
from pages.services.ledger import ImageRecord, Ledger
from pages.services.plain import plain
from pages.services.quality import quality_row
from pages.services.settings import RunConfig, to_dict
from pages.services.thresholds import Evidence, ThresholdTable, evidence_of, real_result
from pages.services.trust import Judgement, Trust, class_of, judge, real_class
from pages.services.verification import free_ng
from pages.services.workspace import Workspace

SCHEMA = "ng0-calibration/1"
_MOST_NAMED = 10


def _numbers(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]


def _area(area: Auroc) -> dict[str, Any]:
    return {"auroc": area.auroc, "low": area.low, "high": area.high, "n_ok": area.n_ok, "n_ng": area.n_ng}


def choice_row(choice: ThresholdChoice, evidence: Evidence, config: RunConfig) -> dict[str, Any]:
    """One threshold with its promise and, where real parts were kept apart for it, what it did to them.

    Its evidence class is one without real NG: whoever takes a rule because of its real counts lets the real NG choose.
    The recommended row gets its class from elsewhere.
    """
    real = real_result(evidence, choice.value) if choice.value is not None else None
    rejected, caught = (real.rejected_ok, real.caught_ng) if real else (None, None)
    return {
        "rule": choice.rule,
        "title": title_of(choice),
        "value": choice.value,
        "params": choice.params,
        "ok_source": choice.source,
        "promise": choice.promise,
        "reason": choice.reason,
        "notes": list(choice.notes),
        "n_ok": choice.n_ok,
        "n_synthetic": choice.n_ng,
        "expected_fpr": choice.expected_fpr,
        "fpr_upper_95": choice.fpr_upper_95,
        "real_fpr": rejected.estimate if rejected else None,
        "real_fpr_upper_95": rejected.high if rejected else None,
        "n_check_ok": rejected.n if rejected else 0,
        "real_recall": caught.estimate if caught else None,
        "real_recall_lower_95": caught.low if caught else None,
        "n_real_ng": caught.n if caught else 0,
        "evidence_class": class_of(None, evidence, config).key,
    }


def trust_rows(trust: Trust) -> dict[str, Any]:
    """What the recommended threshold is worth, as the keys that ``calibration.json`` adds for it."""
    return {
        "evidence_class": plain(trust.evidence),
        "outliers": {
            "set": trust.apart.set_name,
            "images": [{"file": name, "sha256": sha, "score": score} for name, sha, score in trust.apart.images],
            "thresholds_without": plain(trust.apart.moved),
        },
        "robustness": plain(trust.spreads),
        "pod": plain(trust.pods),
        "transfer": {name: plain(found) for name, found in trust.transfers.items()},
        "review": plain(trust.reviews),
        "collect": {"ok": plain(trust.plan_ok), "ng": plain(trust.plan_ng)},
        "sessions": plain(trust.sessions),
    }


def calibration_report(
    *,
    config: RunConfig,
    data: Intake,
    records: tuple[ImageRecord, ...],
    detector: DetectorResult,
    synthesis: SynthesisResult,
    judgement: Judgement,
) -> dict[str, Any]:
    """JSON-ready result of one run; the same inputs and seed give the same values but for ``seconds``."""
    table: ThresholdTable = judgement.table
    evidence = table.evidence
    roles: dict[str, int] = {}
    for record in records:
        roles[record.role or "none"] = roles.get(record.role or "none", 0) + 1
    ng = detector.sets["ng"]
    recommended = table.recommendation.choice
    seconds = {f"detector: {k}": v for k, v in detector.meta["seconds"].items()}
    seconds |= {f"synthesis: {k}": v for k, v in synthesis.meta["seconds"].items()}
    return {
        "schema": SCHEMA,
        "seed": config.seed,
        "config": to_dict(config),
        "inputs": {
            "n_ok": sum(record.label == "ok" for record in records),
            "n_ng": sum(record.label == "ng" for record in records),
            "roles": roles,
            "sha256": data.dataset_id,
            "rejected": [{"file": r.name, "reason": r.reason} for r in data.rejected],
            "notices": list(data.notices),
        },
        "detector": {
            **{k: v for k, v in detector.meta.items() if k not in ("seconds", "seed")},
            "seconds": seconds,
        },
        "scores": {
            "unit": "feature distance",
            "ok_loo": _numbers(evidence.ok_loo),
            "ok_calibration": _numbers(evidence.ok_held_out),
            "ok_check": _numbers(evidence.ok_check),
            "synthetic": {name: _numbers(scores) for name, scores in evidence.synthetic.items()},
            "ng_real": [
                {"file": name, "kind": detector.kinds.get(image, ""), "score": float(score)}
                for name, image, score in zip(ng.names, ng.ids, ng.image_scores, strict=True)
            ],
        },
        "synthesis": {
            "primary": synthesis.meta["primary"],
            "shift_in_R": {name: facts["shift_in_R"] for name, facts in synthesis.meta["methods"].items()},
            "methods": {name: quality_row(facts) for name, facts in synthesis.meta["methods"].items()},
        },
        "roc": {
            "synthetic": {name: _area(area) for name, (area, _) in table.synthetic_roc.items()},
            "real": _area(table.real_roc[0]) if table.real_roc else None,
        },
        "thresholds": [choice_row(choice, evidence, config) for choice in table.choices],
        "recommended": choice_row(recommended, evidence, config)
        | {
            "reason": table.recommendation.why,
            "advice": list(table.recommendation.advice),
            "evidence_class": judgement.trust.evidence.key,
        },
        "status": "checked" if len(evidence.ng_real) and recommended.value is not None else "provisional",
        **trust_rows(judgement.trust),
    }


def calibration_report_of(
    ws: Workspace,
    config: RunConfig,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    judgement: Judgement | None = None,
) -> dict[str, Any]:
    """The report of these results; real NG that set a threshold or seeded a generator count in no real figure.

    ``judgement``: of these very results, where it is at hand; else it is made here.
    """
    data = current(ws)
    assert data is not None  # there are results, so there are pictures
    return calibration_report(
        config=config,
        data=data,
        records=Ledger(ws).records(),
        detector=detector,
        synthesis=synthesis,
        judgement=judgement or judge(ws, detector, synthesis, config, free_ng(ws)),
    )


def summary(report: dict[str, Any]) -> str:
    """The result in a few lines for a terminal; every count with its denominator."""
    chosen, real = report["recommended"], report["roc"]["real"]
    n_real = len(report["scores"]["ng_real"])
    if report["status"] == "checked":
        lines = ["status: checked, on real NG that had no part in setting the threshold"]
    elif n_real:
        lines = ["status: provisional, there is no threshold that the real NG could check"]
    else:
        lines = ["status: provisional, no real NG was checked: nothing is known about escapes yet"]
    if chosen["value"] is None:
        lines.append(f"recommended threshold: none. {chosen['reason'].removeprefix('No threshold: ')}")
        lines += [f"  what to change: {advice}" for advice in chosen["advice"]]
    else:
        lines += [
            f"recommended threshold: {chosen['value']:.6g} (feature distance; NG from this score on)",
            f"  evidence class: {_class_words(report['evidence_class'])}",
            f"  rule: {chosen['title']}, on {chosen['n_ok']} {chosen['ok_source']} OK scores",
            f"  why: {chosen['reason']}",
            f"  good parts rejected: {percent(chosen['expected_fpr'])} expected; "
            f"95 % confidence: at most {percent(chosen['fpr_upper_95'])}",
        ]
        if chosen["n_check_ok"]:
            k = round(chosen["real_fpr"] * chosen["n_check_ok"])
            lines.append(
                f"  good parts kept apart: {k} of {chosen['n_check_ok']} rejected; "
                f"95 % confidence: at most {percent(chosen['real_fpr_upper_95'])}"
            )
        if chosen["n_real_ng"]:
            k = round(chosen["real_recall"] * chosen["n_real_ng"])
            lines.append(
                f"  real NG: {k} of {chosen['n_real_ng']} caught; "
                f"95 % confidence: at least {percent(chosen['real_recall_lower_95'])}"
            )
            lines += _missed(report["scores"]["ng_real"], chosen["value"])
        lines += _trust_words(report)
    lines += _apart_words(report)
    lines += _quality_words(report["synthesis"]["methods"])
    primary = report["synthesis"]["primary"]
    if primary in report["roc"]["synthetic"]:
        lines.append(f"AUROC on synthetic NG ({primary}): {_area_words(report['roc']['synthetic'][primary])}")
    if real:
        lines.append(f"AUROC on real NG: {_area_words(real)}")
    return "\n".join(lines)


def _class_words(found: dict[str, Any]) -> str:
    return f"{found['key']}, {found['title']}. {found['may']}"


def _trust_words(report: dict[str, Any]) -> list[str]:
    """Ranges, smallest defects found and transfer, a line each; nothing where there is nothing to say."""
    lines = []
    for spread in report["robustness"]:
        if spread["quantity"] == RECOMMENDED:
            lines.append(f"  range over {spread['varied']}: {spread['low']:.6g} to {spread['high']:.6g}")
    for pod in report["pod"]:
        if pod["reason"]:
            lines.append(f"  graded spots by {pod['measure']}: {pod['reason']}")
        elif pod["a90"] is not None:
            sure = f"{pod['a90_95']:.3g}" if pod["a90_95"] is not None else "not reached"
            lines.append(f"  graded spots by {pod['measure']}: 90 % found from {pod['a90']:.3g} on (95 %: {sure})")
    for name, found in report["transfer"].items():
        lines.append(f"  threshold set on {name}: {found['verdict']}. {found['why']}")
    return lines


def _apart_words(report: dict[str, Any]) -> list[str]:
    """One such image can be why there is no threshold, so they are named in any case."""
    images = report["outliers"]["images"]
    if not images:
        return []
    named = ", ".join(f"{one['file']} ({one['score']:.6g})" for one in images[:_MOST_NAMED])
    more = f" and {len(images) - _MOST_NAMED} more" if len(images) > _MOST_NAMED else ""
    return [f"  OK images that stand apart, look at them: {named}{more}"]


def _quality_words(methods: dict[str, Any]) -> list[str]:
    """A line for each method of which quality control rejected something."""
    return [
        f"quality control: {row['n_kept']} of {row['n_made']} {name} count; rejected: "
        + ", ".join(f"{count} {reason}" for reason, count in row["rejected"].items() if count)
        for name, row in methods.items()
        if row["n_kept"] < row["n_made"]
    ]


def _area_words(area: dict[str, Any]) -> str:
    return f"{area['auroc']:.3f} (95 %: {area['low']:.2f} to {area['high']:.2f}; {area['n_ok']} OK, {area['n_ng']} NG)"


def _missed(ng: list[dict[str, Any]], threshold: float) -> list[str]:
    caught = is_ng(np.array([row["score"] for row in ng]), threshold)
    missed = sorted((row["score"], row["file"]) for row, got in zip(ng, caught, strict=True) if not got)
    if not missed:
        return []
    more = f" and {len(missed) - _MOST_NAMED} more" if len(missed) > _MOST_NAMED else ""
    return [f"  missed: {', '.join(f'{file} ({score:.6g})' for score, file in missed[:_MOST_NAMED])}{more}"]


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write JSON that any strict parser reads: no NaN, no infinity."""
    path.write_text(
        json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=False) + "\n",
        encoding="utf-8",
    )


def decision_row(
    ws: Workspace,
    decision: Decision,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    *,
    checked: bool,
) -> dict[str, Any]:
    """The fixed threshold and, if it was checked, what it did to real parts that no other role has seen."""
    row: dict[str, Any] = {
        **asdict(decision),
        "status": "checked" if checked else "provisional",
        "caught": None,
        "rejected": None,
        "real_recall_lower_95": None,
        "real_fpr_upper_95": None,
        "evidence_class": plain(real_class(ws, decision.value, detector, synthesis, config, checked=checked)),
    }
    if not checked:
        return row
    real = real_result(evidence_of(detector, None, free_ng(ws)), decision.value)
    if real.caught_ng is not None:
        row |= {
            "caught": f"{real.caught_ng.k} of {real.caught_ng.n}",
            "real_recall_lower_95": real.caught_ng.low,
        }
    if real.rejected_ok is not None:
        row |= {
            "rejected": f"{real.rejected_ok.k} of {real.rejected_ok.n}",
            "real_fpr_upper_95": real.rejected_ok.high,
        }
    return row
