"""What each rule was worth on real parts: several memory banks, many splits each, as a table, JSON and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.study import RECOMMENDED, RuleStudy, joined, split_study
from ias_core.errors import IasError
from pages.services.progress import Progress
from pages.services.settings import RunConfig, to_dict
from pages.services.study_banks import Bank, banks_of, number, percent, quantile
from pages.services.study_plot import plot, title_of
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace

SCHEMA = "ng0-study/1"


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

    Parameters
    ----------
    out, import_pictures, config, banks, splits
        See ``study_banks.banks_of``.

    Raises
    ------
    IasError
        If there are no real NG, or too few parts to split.
    """
    parts, facts = [], []
    for bank in banks_of(out, import_pictures, config, banks=banks, splits=splits, progress=progress):
        parts.append(_splits_of(bank, splits))
        facts.append(bank.facts)
    rules = joined(parts)
    return Study(
        rules=rules,
        splits=rules[RECOMMENDED].splits,
        facts={
            "banks": facts,
            "splits_per_bank": splits,
            "seed": config.seed,
            "config": to_dict(config),
            "backbone": bank.detector.meta["backbone"],
            "synthetic": config.synthesis.primary,
        },
    )


def _splits_of(bank: Bank, splits: int) -> dict[str, RuleStudy]:
    evidence, primary = evidence_of(bank.detector, bank.synthesis), bank.config.synthesis.primary
    if primary not in evidence.synthetic:
        raise IasError(
            f"study: {evidence.voiceless[primary]}, and the rules to study need some; switch a filter off, or make "
            "another method the primary one"
        )
    return split_study(
        bank.ok,
        bank.ok_groups,
        bank.ng,
        bank.ng_groups,
        loo=bank.detector.sets["bank"].image_scores,
        synthetic=evidence.synthetic[primary],
        splits=splits,
        seed=bank.config.seed,
        config=bank.config.thresholds,
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
            kept = f"{percent(found['bound_kept'])} ({percent(found['bound_kept_if_exact'])})"
        lines.append(
            f"{title_of(rule):<41} {percent(row.fpr.size / row.splits):>9} {kept:>17} "
            f"{percent(found['limit_kept']):>16} {percent(found['fpr_median']):>11} "
            f"{percent(found['recall_median']):>7} {number(found['regret_median']):>14} "
            f"{number(found['regret_p90']):>6}"
        )
    lines += [
        "",
        f"{study.splits} splits, memory banks: {len(study.facts['banks'])}. Half of the good parts outside the bank",
        "calibrate, the other half and half of the real NG judge. Bound kept: share of splits whose realised FPR stays",
        "within the promised bound; in brackets the share to expect of so few judging parts if the promise is exact.",
        "Regret: (FPR + missed) / 2 above that of the best threshold on the same judging parts. One product only.",
    ]
    return "\n".join(lines)


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
