"""A form for the line, opened in a fresh process and held against the signed verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ias_core.patchcore.line_forms import FORMS, OWN, raw_scores
from ias_core.patchcore.line_threshold import AGREEMENT, AnomalibDecision
from pages.services.line_probes import Probes

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Checked:
    """What a form said of the probe pictures.

    same : of n verdicts those that are the signed ones
    too_close : of the others, those nearer to the threshold than any two computers agree; only where the threshold
        stays the signed one to the last digit
    largest_difference : of the scores, relative; None where no score is on anomalib's scale
    compared : scores it is the largest of
    reason : one sentence why the form is not handed over, "" where it is
    ms_per_picture : one at a time, on this machine; None where it did not run
    """

    form: str
    n: int
    same: int
    too_close: int
    largest_difference: float | None
    compared: int
    reason: str
    ms_per_picture: float | None = None

    @property
    def handed_over(self) -> bool:
        return not self.reason


def refused(form: str, n: int, reason: str) -> Checked:
    """A form that could not be made or opened here."""
    return Checked(form, n, 0, 0, None, 0, reason)


def check(
    form: str, folder: Path, pictures: Path, probes: Probes, decision: AnomalibDecision, signed: float
) -> Checked:
    """Score the probe pictures with a form in a process of its own, and compare.

    Parameters
    ----------
    folder : Path
        Holds the form.
    pictures : Path
        ``.npy`` of (n, 3, s, s) float32, the probe pictures as the line prepares them.
    decision : AnomalibDecision
        What the form was told.
    signed : float
        The signed threshold.
    """
    n, title = len(probes.names), FORMS[form].title
    result = pictures.with_name(f"{form}.json")
    command = [sys.executable, "-X", "utf8", "-m", "ias_core.patchcore.line_forms", form]
    try:
        done = subprocess.run(
            [*command, str(folder), str(pictures), str(result)],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return refused(form, n, f"{title}: no answer for {n} pictures within {_PATIENCE_S} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return refused(form, n, f"{title} does not open in a fresh process here: {last[:300]}")
    told = json.loads(result.read_text(encoding="utf-8"))
    found = compare(form, probes, np.array(told["scores"]), np.array(told["is_ng"]), decision, signed)
    return Checked(form, n, *found, told["ms_per_picture"])


def compare(
    form: str, probes: Probes, scores: np.ndarray, is_ng: np.ndarray, decision: AnomalibDecision, signed: float
) -> tuple[int, int, float | None, int, str]:
    """(same, too close, largest difference, compared, reason) of what a form said, see ``Checked``."""
    title = FORMS[form].title
    if scores.shape != probes.scores.shape or not np.isfinite(scores).all():
        return 0, 0, None, 0, f"{title} gave no finite score for each of the {len(probes.names)} pictures"
    differs = is_ng != probes.is_ng
    # Only our own form keeps the signed threshold itself: the others had theirs moved away from such pictures.
    near = (np.abs(probes.scores - signed) <= AGREEMENT * signed) & (form == OWN)
    raw = raw_scores(form, scores, decision)
    relative = np.abs(raw - probes.scores) / np.maximum(probes.scores, np.finfo(np.float32).tiny)
    known = np.isfinite(relative)
    largest = float(relative[known].max()) if known.any() else None
    reason = ""
    if (differs & ~near).any():
        i = int(np.flatnonzero(differs & ~near)[0])
        was, now = ("NG" if ng else "OK" for ng in (probes.is_ng[i], is_ng[i]))
        reason = f"{title} calls {probes.names[i]} {now}, signed was {was} at {probes.scores[i]:.6g}"
    elif largest is not None and largest > AGREEMENT:
        i = int(np.nanargmax(relative))
        reason = (
            f"{title} scores {probes.names[i]} {raw[i]:.6g}, signed was {probes.scores[i]:.6g}: more than "
            f"{100 * AGREEMENT:g} % apart"
        )
    return int((~differs).sum()), int((differs & near).sum()), largest, int(known.sum()), reason
