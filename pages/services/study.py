"""What each rule was worth on real parts: several memory banks, many splits each, as a table, JSON and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibration.study import RECOMMENDED, RuleStudy, joined, split_study
from ias_core.errors import IasError
from pages.services import intake, pipeline
from pages.services.artifacts import DETECTOR, SYNTHESIS, DetectorResult, SynthesisResult, current_digest, load_result
from pages.services.detection import detector_digest
from pages.services.ledger import Ledger
from pages.services.progress import Progress
from pages.services.settings import RunConfig, to_dict
from pages.services.study_plot import plot, title_of
from pages.services.synthesis import synthesis_digest
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace

SCHEMA = "ng0-study/1"
LEAST_SPLITS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All banks and splits together.

    rules : rule -> RuleStudy; "recommended" is the policy
    facts : JSON-ready: seeds of the banks, sizes of the sets, backbone, settings
    """

    rules: dict[str, RuleStudy]
    splits: int
    facts: dict[str, Any]


def run_study(
    out: Path,
    import_pictures: Callable[[Workspace], Any],
    config: RunConfig,
    *,
    banks: int,
    splits: int,
    progress: Progress,
) -> Study:
    """Build ``banks`` detectors on different splits of the good parts, and judge every rule on splits of the rest.

    Scores are kept in ``out``: a second run with the same pictures and settings computes no feature again.

    Parameters
    ----------
    out : Path
        Holds one workspace per bank.
    import_pictures : callable
        Takes the pictures into a workspace.
    config : RunConfig
        Bank i uses seed ``config.seed + i``, modulo 2^32, for roles, coreset and synthesis.
    banks, splits : int
        Splits are per bank.

    Raises
    ------
    IasError
        If there are no real NG, or too few parts to split.
    """
    if banks < 1 or splits < LEAST_SPLITS:
        raise IasError(f"study: expected at least 1 bank and {LEAST_SPLITS} splits, got {banks} and {splits}")
    parts, facts = [], []
    for i in range(banks):
        of_bank = replace(config, seed=(config.seed + i) % 2**32)
        ws = Workspace(out / f"bank-{of_bank.seed}")
        detector, synthesis = scored(ws, import_pictures, of_bank, progress)
        progress("splits", i, banks, f"bank {i + 1} of {banks}: {splits} splits")
        parts.append(_splits_of(ws, detector, synthesis, of_bank, splits))
        facts.append(
            {
                "seed": of_bank.seed,
                "bank_id": detector.meta["bank_id"],
                **{f"n_{name}": len(scored.ids) for name, scored in detector.sets.items()},
            }
        )
    rules = joined(parts)
    return Study(
        rules=rules,
        splits=rules[RECOMMENDED].splits,
        facts={
            "banks": facts,
            "splits_per_bank": splits,
            "seed": config.seed,
            "config": to_dict(config),
            "backbone": detector.meta["backbone"],
            "synthetic": config.synthesis.primary,
        },
    )


def scored(
    ws: Workspace, import_pictures: Callable[[Workspace], Any], config: RunConfig, progress: Progress
) -> tuple[DetectorResult, SynthesisResult]:
    """The stored scores of this bank if they fit the pictures and settings of now, else new ones."""
    import_pictures(ws)
    if not Ledger(ws).records(label="ng"):
        raise IasError("study: expected real NG to judge the rules by, got none; add some with --ng")
    intake.assign_roles(ws, seed=config.seed)
    wanted = detector_digest(ws, config)
    if current_digest(ws, DETECTOR) != wanted or current_digest(ws, SYNTHESIS) != synthesis_digest(wanted, config):
        return pipeline.run_steps(ws, config, progress)
    detector, synthesis = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS)
    assert isinstance(detector, DetectorResult) and isinstance(synthesis, SynthesisResult)
    return detector, synthesis


def _splits_of(
    ws: Workspace, detector: DetectorResult, synthesis: SynthesisResult, config: RunConfig, splits: int
) -> dict[str, RuleStudy]:
    group = {record.sha256: record.group for record in Ledger(ws).records()}
    calibration, check, ng = (detector.sets[name] for name in ("calibration", "check", "ng"))
    outside = [*calibration.ids, *check.ids]
    evidence, primary = evidence_of(detector, synthesis), config.synthesis.primary
    if primary not in evidence.synthetic:
        raise IasError(
            f"study: {evidence.voiceless[primary]}, and the rules to study need some; switch a filter off, or make "
            "another method the primary one"
        )
    return split_study(
        np.concatenate([calibration.image_scores, check.image_scores]),
        [group[image] for image in outside],
        ng.image_scores,
        [group[image] for image in ng.ids],
        loo=detector.sets["bank"].image_scores,
        synthetic=evidence.synthetic[primary],
        splits=splits,
        seed=config.seed,
        config=config.thresholds,
    )


def study_report(study: Study) -> dict[str, Any]:
    """``study.json``; the README documents every key."""
    return {
        "schema": SCHEMA,
        "splits": study.splits,
        **study.facts,
        "rules": {rule: _row(row) for rule, row in study.rules.items()},
    }


def _row(row: RuleStudy) -> dict[str, Any]:
    def quantile(values: np.ndarray, q: float) -> float | None:
        return float(np.quantile(values, q)) if values.size else None

    return {
        "title": title_of(row.rule),
        "splits_with_threshold": int(row.fpr.size),
        "bound_kept": row.bound_kept,
        "bound_kept_if_exact": row.bound_kept_expected,
        "limit_kept": row.limit_kept,
        "regret_median": quantile(row.regret, 0.5),
        "regret_p90": quantile(row.regret, 0.9),
        "fpr_median": quantile(row.fpr, 0.5),
        "fpr_p90": quantile(row.fpr, 0.9),
        "recall_median": quantile(row.recall, 0.5),
    }


def table(study: Study) -> str:
    """The study for a terminal; every share with what it is a share of."""
    head = (
        f"{'rule':<41} {'gives one':>9} {'bound kept':>17} {'95 % limit kept':>16} {'FPR median':>11} "
        f"{'recall':>7} {'regret median':>14} {'p90':>6}"
    )
    lines = [head, "-" * len(head)]
    for rule, row in study.rules.items():
        found = _row(row)
        kept = "-"
        if found["bound_kept"] is not None:
            kept = f"{_percent(found['bound_kept'])} ({_percent(found['bound_kept_if_exact'])})"
        lines.append(
            f"{title_of(rule):<41} {_percent(row.fpr.size / row.splits):>9} {kept:>17} "
            f"{_percent(found['limit_kept']):>16} {_percent(found['fpr_median']):>11} "
            f"{_percent(found['recall_median']):>7} {_number(found['regret_median']):>14} "
            f"{_number(found['regret_p90']):>6}"
        )
    lines += [
        "",
        f"{study.splits} splits, memory banks: {len(study.facts['banks'])}. Half of the good parts outside the bank",
        "calibrate, the other half and half of the real NG judge. Bound kept: share of splits whose realised FPR stays",
        "within the promised bound; in brackets the share to expect of so few judging parts if the promise is exact.",
        "Regret: (FPR + missed) / 2 above that of the best threshold on the same judging parts. One product only.",
    ]
    return "\n".join(lines)


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _heading(study: Study) -> str:
    n = len(study.facts["banks"])
    banks = f"{n} memory bank{'s' if n > 1 else ''}"
    return f"What each rule was worth on real parts: {study.splits} splits, {banks}, {study.facts['backbone']}"


def write_study(study: Study, out: Path) -> tuple[Path, Path]:
    """``study.json`` and ``study.png`` in ``out``."""
    path, bound = out / "study.json", study.facts["config"]["thresholds"]["max_fpr"]
    path.write_text(
        json.dumps(study_report(study), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    return path, plot(study.rules, out / "study.png", heading=_heading(study), bound=bound)
