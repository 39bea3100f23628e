"""The study as a picture: realised FPR beside the promise, and regret, a box per rule over all splits."""

from pathlib import Path

from calibration.rules import RULES
from calibration.study import RECOMMENDED, RuleStudy

_OK, _SYNTHETIC, _QUIET = "#0072B2", "#E69F00", "#4A5361"  # as on the pages


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
