"""What each synthesis method's threshold was worth on real parts: ``cli.py study --by method``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibration.method_study import MethodStudy, joined, joined_methods, method_study
from pages.services.made import ONE_SHOT, method_names
from pages.services.one_shot_study import facts_of, one_shots
from pages.services.progress import Progress
from pages.services.settings import RunConfig, to_dict
from pages.services.study_banks import banks_of, number, percent, quantile
from pages.services.study_plot import plot_methods
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace

SCHEMA = "ng0-method-study/1"


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All methods over all banks and splits.

    methods : method -> MethodStudy
    facts : JSON-ready: seeds of the banks, sizes, settings, what methods could not make
    """

    methods: dict[str, MethodStudy]
    facts: dict[str, Any]


def run_method_study(
    out: Path,
    import_pictures: Callable[[Workspace], Any],
    config: RunConfig,
    *,
    banks: int,
    splits: int,
    progress: Progress,
) -> Study:
    """Every image-space method, and all of them mixed in equal shares, judged on splits of real parts.

    The graded method is left out: a share of it is invisible on purpose. The one-shot transplant starts from several
    real NG, each a case of its own; its row is over all of them.

    Parameters
    ----------
    config : RunConfig
        ``synthesis.count`` pictures of each method.
    out, import_pictures, banks, splits
        See ``study_banks.banks_of``.

    Raises
    ------
    IasError
        If there are no real NG, or too few parts to split.
    """
    names = tuple(name for name in method_names() if name != config.synthesis.graded)
    every = replace(config.synthesis, methods=names, primary=names[0], mixture=dict.fromkeys(names, 1.0))
    asked = replace(config, synthesis=every)
    parts, facts = [], []
    for bank in banks_of(out, import_pictures, asked, banks=banks, splits=splits, progress=progress):
        evidence = evidence_of(bank.detector, bank.synthesis)
        shots, left_out = one_shots(bank.ws, bank.detector, bank.config, progress)
        groups = np.array(bank.ng_groups)
        found = method_study(
            bank.ok,
            bank.ok_groups,
            bank.ng,
            bank.ng_groups,
            synthetic=evidence.synthetic
            | {name: np.empty(0) for name in evidence.voiceless}
            | {shot.sha256: shot.scores for shot in shots},
            splits=splits,
            seed=bank.config.seed,
            taught={shot.sha256: groups == shot.group for shot in shots},
        )
        cases = {shot.sha256: found.pop(shot.sha256) for shot in shots}
        if cases:
            found[ONE_SHOT] = joined(ONE_SHOT, list(cases.values()))
        parts.append(found)
        of_cases = {sha256: _figures(case) for sha256, case in cases.items()}
        facts.append(
            bank.facts
            | {
                "failed": bank.synthesis.meta["failed"],
                "one_shot": {"from": facts_of(shots, of_cases), "left_out": left_out},
            }
        )
    return Study(
        joined_methods(parts),
        {
            "banks": facts,
            "splits_per_bank": splits,
            "seed": config.seed,
            "backbone": bank.detector.meta["backbone"],
            "config": to_dict(asked),
        },
    )


def rows_of(study: Study) -> dict[str, dict[str, Any]]:
    """Method -> JSON-ready figures, the method with the least median regret first; without a threshold, last."""

    rows = {name: _figures(row) for name, row in study.methods.items()}
    return dict(
        sorted(rows.items(), key=lambda item: (item[1]["regret_median"] is None, item[1]["regret_median"] or 0))
    )


def _figures(row: MethodStudy) -> dict[str, Any]:
    return {
        "n_synthetic": [int(n) for n in row.n_synthetic],
        "synthetic_auroc": [round(float(area), 4) for area in row.synthetic_auroc if np.isfinite(area)],
        "real_auroc": [round(float(area), 4) for area in row.real_auroc],
        "splits": row.splits,
        "splits_with_threshold": int(row.fpr.size),
        "regret_median": quantile(row.regret, 0.5),
        "regret_p90": quantile(row.regret, 0.9),
        "fpr_median": quantile(row.fpr, 0.5),
        "recall_median": quantile(row.recall, 0.5),
    }


def one_shot_lines(study: Study) -> list[str]:
    """How far the one-shot rows of single NG lie apart, for a terminal; empty without any."""
    cases = [case for bank in study.facts["banks"] for case in bank["one_shot"]["from"]]
    left_out = {name: why for bank in study.facts["banks"] for name, why in bank["one_shot"]["left_out"].items()}
    medians = [case["regret_median"] for case in cases if case["regret_median"] is not None]
    if not cases:
        return []
    none = len(cases) - len(medians)
    low, middle, high = (number(quantile(np.array(medians), q)) for q in (0, 0.5, 1))
    lines = [
        f"{ONE_SHOT}: {len(cases)} cases, each from one real NG (mask proposed by the detector), which then judges",
        f"nothing. Median regret of a case: {low} to {high}, half of them up to {middle}"
        + (f"; {none} give no threshold in any split." if none else "."),
    ]
    if left_out:
        lines.append(f"{len(left_out)} NG drawn could not be used: {'; '.join(sorted(set(left_out.values())))}.")
    return lines


def table(study: Study) -> str:
    """The study for a terminal."""
    head = (
        f"{'method':<24} {'synthetic NG':>12} {'synthetic AUROC':>16} {'real AUROC':>11} {'gives one':>10} "
        f"{'FPR median':>11} {'recall':>7} {'regret median':>14} {'p90':>6}"
    )
    lines = [head, "-" * len(head)]
    for name, row in rows_of(study).items():
        given = row["splits_with_threshold"] / row["splits"]
        lines.append(
            f"{name:<24} {_span(row['n_synthetic'], '.0f'):>12} {_span(row['synthetic_auroc'], '.3f'):>16} "
            f"{_span(row['real_auroc'], '.3f'):>11} {100 * given:>8.1f} % {percent(row['fpr_median']):>11} "
            f"{percent(row['recall_median']):>7} {number(row['regret_median']):>14} {number(row['regret_p90']):>6}"
        )
    n = len(study.facts["banks"])
    failed = {name: why for bank in study.facts["banks"] for name, why in bank["failed"].items()}
    lines += one_shot_lines(study)
    lines += [f"{name}: not made on every bank: {why}" for name, why in failed.items()]
    lines += [
        "",
        f"{n * study.facts['splits_per_bank']} splits, memory banks: {n}; two figures in a column span them. Half of",
        "the good parts outside the bank and a method's synthetic NG set its Youden threshold; the other half and",
        "half of the real NG judge it. Real AUROC is the detector's and the same for every method. Regret: (FPR +",
        "missed) / 2 above that of the best threshold on the same judging parts. Feature-space methods set none: their",
        "scores repeat the shift they were given. One product only: not a ranking of methods.",
    ]
    return "\n".join(lines)


def _span(values: list[float], form: str) -> str:
    if not values:
        return "-"
    low, high = (format(value, form) for value in (min(values), max(values)))
    return low if low == high else f"{low}-{high}"


def write(study: Study, out: Path) -> tuple[Path, Path]:
    """``study_methods.json`` and ``study_methods.png`` in ``out``."""
    path = out / "study_methods.json"
    report = {"schema": SCHEMA, **study.facts, "methods": rows_of(study)}
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    order = [study.methods[name] for name in rows_of(study)]
    return path, plot_methods(order, out / "study_methods.png", backbone=study.facts["backbone"])
