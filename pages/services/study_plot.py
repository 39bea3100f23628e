"""Studies as pictures: a box per rule, or per synthesis method, over all splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibration.method_study import MethodStudy
from calibration.rules import RULES
from calibration.study import RECOMMENDED, RuleStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    rows = [row for row in reversed(rules.values()) if row.fpr.size]
    silent = [title_of(rule) for rule, row in rules.items() if not row.fpr.size]
    figure, left, right = _figure(heading, height=0.42 * len(rows) + 2.4)
    for axis, label, values in (
        (left, "good parts rejected (FPR), %", [100 * row.fpr for row in rows]),
        (right, "regret: balanced error above the best threshold, points", [100 * row.regret for row in rows]),
    ):
        _boxes(axis, values, [row.rule in RULES and RULES[row.rule].origin == "synthetic" for row in rows])
        axis.set_xlabel(label)
        axis.grid(axis="x", alpha=0.3)
    left.set_yticks(range(1, len(rows) + 1), [title_of(row.rule) for row in rows])
    left.axvline(100 * bound, color=_QUIET, linestyle="--")
    left.set_title(f"dashed: bound asked for, {100 * bound:g} %", fontsize=9, color=_QUIET)
    notes = ["Box: middle half of the splits; line: median; whiskers: 5 and 95 %. Blue: set on good parts only.",
             "Orange, hatched: set with synthetic NG."]  # fmt: skip
    if silent:
        notes.append(f"No threshold in any split: {', '.join(silent)}.")
    return _saved(figure, path, "\n".join([" ".join(notes[:2]), *notes[2:]]))


def plot_methods(rows: Sequence[MethodStudy], path: Path, *, backbone: str) -> Path:
    """Write a PNG: synthetic AUROC beside the real one, and regret of each method's Youden threshold.

    Parameters
    ----------
    rows : sequence of MethodStudy
        The first one is drawn on top.
    """
    rows = list(reversed(rows))
    banks, splits = len(rows[0].real_auroc), rows[0].splits
    heading = (
        f"What each method's synthetic NG were worth: {splits} splits, {banks} memory bank{'s' if banks > 1 else ''}, "
        f"{backbone}"
    )
    figure, left, right = _figure(heading, height=0.34 * len(rows) + 2.4)
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
    _boxes(right, [100 * row.regret for row in rows], [True] * len(rows))
    left.set_yticks(range(1, len(rows) + 1), [row.method for row in rows])  # after the boxes, which set their own
    right.set_xlabel("regret of the Youden threshold: balanced error above the best one, points")
    for axis in (left, right):
        axis.grid(axis="x", alpha=0.3)
    return _saved(
        figure,
        path,
        "Box: middle half of the splits; line: median; whiskers: 5 and 95 %. One product only: no ranking of methods.",
    )


def _figure(heading: str, *, height: float) -> tuple[Figure, Axes, Axes]:
    """Two charts side by side with a common list of names; ``height`` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(heading, fontsize=13)
    return figure, *figure.subplots(1, 2, sharey=True)


def _boxes(axis: Axes, values: Sequence[np.ndarray], synthetic: Sequence[bool]) -> None:
    """A box each, from 0 on; hatched and in the colour of synthetic NG where these had a say."""
    boxes = axis.boxplot(values, orientation="horizontal", whis=(5, 95), showfliers=False, patch_artist=True)
    for box, made in zip(boxes["boxes"], synthetic, strict=True):
        box.set(facecolor=_SYNTHETIC if made else _OK, alpha=0.55, hatch="///" if made else "")
    for middle in boxes["medians"]:
        middle.set(color="black", linewidth=2)
    axis.set_xlim(left=0)


def _saved(figure: Figure, path: Path, note: str) -> Path:
    figure.supxlabel(note, fontsize=9, color=_QUIET, x=0.01, ha="left")
    figure.savefig(path, metadata={"Software": None})
    return path
