"""Studies as pictures: a box per rule, or per synthesis method, over all splits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.method_study import MethodStudy
from calibration.rules import RULES
from calibration.study import RECOMMENDED, RuleStudy

_OK, _SYNTHETIC, _REAL, _QUIET = "#0072B2", "#E69F00", "#D81B60", "#4A5361"  # as on the pages


def title_of(rule: str) -> str:
    """What a rule of the study is called."""
    return "Recommended (the policy)" if rule == RECOMMENDED else RULES[rule].title


def plot(rules: dict[str, RuleStudy], path: Path, *, heading: str, bound: float) -> Path:
    """Write a PNG; rules that gave no threshold in any split are named below it.

    Parameters
    ----------
    rules : rule -> RuleStudy
    bound : float
        FPR bound that was asked for, in (0, 1).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in reversed(rules.values()) if row.fpr.size]
    silent = [title_of(rule) for rule, row in rules.items() if not row.fpr.size]
    figure = Figure(figsize=(13, 0.42 * len(rows) + 2.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(heading, fontsize=13)
    left, right = figure.subplots(1, 2, sharey=True)
    for axis, label, values in (
        (left, "good parts rejected (FPR), %", [100 * row.fpr for row in rows]),
        (right, "regret: balanced error above the best threshold, points", [100 * row.regret for row in rows]),
    ):
        boxes = axis.boxplot(
            values,
            orientation="horizontal",
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
        )
        for box, row in zip(boxes["boxes"], rows, strict=True):
            synthetic = row.rule in RULES and RULES[row.rule].origin == "synthetic"
            box.set(facecolor=_SYNTHETIC if synthetic else _OK, alpha=0.55, hatch="///" if synthetic else "")
        for middle in boxes["medians"]:
            middle.set(color="black", linewidth=2)
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.grid(axis="x", alpha=0.3)
    left.set_yticks(range(1, len(rows) + 1), [title_of(row.rule) for row in rows])
    left.axvline(100 * bound, color=_QUIET, linestyle="--")
    left.set_title(f"dashed: bound asked for, {100 * bound:g} %", fontsize=9, color=_QUIET)
    notes = ["Box: middle half of the splits; line: median; whiskers: 5 and 95 %. Blue: set on good parts only.",
             "Orange, hatched: set with synthetic NG."]  # fmt: skip
    if silent:
        notes.append(f"No threshold in any split: {', '.join(silent)}.")
    figure.supxlabel("\n".join([" ".join(notes[:2]), *notes[2:]]), fontsize=9, color=_QUIET, x=0.01, ha="left")
    figure.savefig(path, metadata={"Software": None})
    return path


def plot_methods(rows: Sequence[MethodStudy], path: Path, *, backbone: str) -> Path:
    """Write a PNG: synthetic AUROC beside the real one, and regret of each method's Youden threshold.

    Parameters
    ----------
    rows : sequence of MethodStudy
        The first one is drawn on top.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(reversed(rows))
    figure = Figure(figsize=(13, 0.34 * len(rows) + 2.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    banks, splits = len(rows[0].real_auroc), rows[0].splits
    figure.suptitle(
        f"What each method's synthetic NG were worth: {splits} splits, {banks} memory bank{'s' if banks > 1 else ''}, "
        f"{backbone}",
        fontsize=13,
    )
    left, right = figure.subplots(1, 2, sharey=True)
    real = np.concatenate([row.real_auroc for row in rows])
    left.axvspan(
        real.min(), real.max(), color=_REAL, alpha=0.35, label=f"real NG: {real.min():.3f} to {real.max():.3f}"
    )
    for place, row in enumerate(rows, start=1):
        left.plot(
            row.synthetic_auroc,
            [place] * len(row.synthetic_auroc),
            "D",
            color=_SYNTHETIC,
            markeredgecolor="black",
            markersize=6,
            label="synthetic NG, one mark per bank" if place == 1 else None,
        )
    left.set_xlabel("AUROC against good parts outside the bank")
    left.legend(loc="lower left", fontsize=9)
    boxes = right.boxplot(
        [100 * row.regret for row in rows],
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
    )
    for box in boxes["boxes"]:
        box.set(facecolor=_SYNTHETIC, alpha=0.55, hatch="///")
    for middle in boxes["medians"]:
        middle.set(color="black", linewidth=2)
    left.set_yticks(range(1, len(rows) + 1), [row.method for row in rows])  # after the boxes, which set their own
    right.set_xlabel("regret of the Youden threshold: balanced error above the best one, points")
    right.set_xlim(left=0)
    for axis in (left, right):
        axis.grid(axis="x", alpha=0.3)
    figure.supxlabel(
        "Box: middle half of the splits; line: median; whiskers: 5 and 95 %. One product only: no ranking of methods.",
        fontsize=9,
        color=_QUIET,
        x=0.01,
        ha="left",
    )
    figure.savefig(path, metadata={"Software": None})
    return path
