"""What each synthesis method's threshold was worth on real parts: ``cli.py study --by method``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibration.method_study import MethodStudy, joined_methods, method_study
from ias_core.errors import IasError
from pages.services.ledger import Ledger
from pages.services.made import method_names
from pages.services.progress import Progress
from pages.services.settings import RunConfig, to_dict
from pages.services.study import LEAST_SPLITS, scored
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

    The graded method is left out: a share of it is invisible on purpose. Scores are kept in ``out``, so that a second
    run with the same pictures and settings makes nothing again.

    Parameters
    ----------
    config : RunConfig
        ``synthesis.count`` pictures of each method; bank i uses seed ``config.seed + i``, modulo 2^32.
    banks, splits : int
        Splits are per bank.

    Raises
    ------
    IasError
        If there are no real NG, or too few parts to split.
    """
    if banks < 1 or splits < LEAST_SPLITS:
        raise IasError(f"study: expected at least 1 bank and {LEAST_SPLITS} splits, got {banks} and {splits}")
    names = tuple(name for name in method_names() if name != config.synthesis.graded)
    every = replace(config.synthesis, methods=names, primary=names[0], mixture=dict.fromkeys(names, 1.0))
    parts, facts = [], []
    for i in range(banks):
        of_bank = replace(config, seed=(config.seed + i) % 2**32, synthesis=every)
        ws = Workspace(out / f"bank-{of_bank.seed}")
        detector, synthesis = scored(ws, import_pictures, of_bank, progress)
        progress("splits", i, banks, f"bank {i + 1} of {banks}: {splits} splits")
        group = {record.sha256: record.group for record in Ledger(ws).records()}
        evidence = evidence_of(detector, synthesis)
        calibration, check, ng = (detector.sets[name] for name in ("calibration", "check", "ng"))
        parts.append(
            method_study(
                np.concatenate([calibration.image_scores, check.image_scores]),
                [group[image] for image in (*calibration.ids, *check.ids)],
                ng.image_scores,
                [group[image] for image in ng.ids],
                synthetic=evidence.synthetic | {name: np.empty(0) for name in evidence.voiceless},
                splits=splits,
                seed=of_bank.seed,
            )
        )
        facts.append(
            {
                "seed": of_bank.seed,
                "bank_id": detector.meta["bank_id"],
                **{f"n_{name}": len(one.ids) for name, one in detector.sets.items()},
                "failed": synthesis.meta["failed"],
            }
        )
    return Study(
        joined_methods(parts),
        {
            "banks": facts,
            "splits_per_bank": splits,
            "seed": config.seed,
            "backbone": detector.meta["backbone"],
            "config": to_dict(replace(config, synthesis=every)),
        },
    )


def rows_of(study: Study) -> dict[str, dict[str, Any]]:
    """Method -> JSON-ready figures, the method with the least median regret first; without a threshold, last."""

    def quantile(values: np.ndarray, q: float) -> float | None:
        return float(np.quantile(values, q)) if values.size else None

    rows = {
        name: {
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
        for name, row in study.methods.items()
    }
    return dict(
        sorted(rows.items(), key=lambda item: (item[1]["regret_median"] is None, item[1]["regret_median"] or 0))
    )


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
            f"{_span(row['real_auroc'], '.3f'):>11} {100 * given:>8.1f} % {_percent(row['fpr_median']):>11} "
            f"{_percent(row['recall_median']):>7} {_number(row['regret_median']):>14} {_number(row['regret_p90']):>6}"
        )
    n = len(study.facts["banks"])
    failed = {name: why for bank in study.facts["banks"] for name, why in bank["failed"].items()}
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


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def write(study: Study, out: Path) -> tuple[Path, Path]:
    """``study_methods.json`` and ``study_methods.png`` in ``out``."""
    path = out / "study_methods.json"
    report = {"schema": SCHEMA, **study.facts, "methods": rows_of(study)}
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    order = [study.methods[name] for name in rows_of(study)]
    return path, plot_methods(order, out / "study_methods.png", backbone=study.facts["backbone"])
