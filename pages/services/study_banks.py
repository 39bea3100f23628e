"""What the studies of rules and of methods share: memory banks with their scores, and how figures are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ias_core.errors import IasError
from pages.services import intake, pipeline
from pages.services.artifacts import DETECTOR, SYNTHESIS, DetectorResult, SynthesisResult, current_digest, load_result
from pages.services.detection import detector_digest
from pages.services.ledger import Ledger
from pages.services.progress import Progress
from pages.services.settings import RunConfig
from pages.services.synthesis import synthesis_digest
from pages.services.workspace import Workspace

LEAST_SPLITS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """One memory bank, and the parts outside it that a study splits.

    ws : where its pictures, roles and scores are
    config : with the seed of this bank
    ok, ng : (n,)          scores of OK parts outside the bank, and of real NG
    ok_groups, ng_groups : n strings, the same for near twins
    """

    ws: Workspace
    config: RunConfig
    detector: DetectorResult
    synthesis: SynthesisResult
    ok: np.ndarray
    ok_groups: list[str]
    ng: np.ndarray
    ng_groups: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready: seed, fingerprint, sizes of the sets."""
        return {
            "seed": self.config.seed,
            "bank_id": self.detector.meta["bank_id"],
            **{f"n_{name}": len(scored.ids) for name, scored in self.detector.sets.items()},
        }


def banks_of(
    out: Path,
    import_pictures: Callable[[Workspace], Any],
    config: RunConfig,
    *,
    banks: int,
    splits: int,
    progress: Progress,
) -> Iterator[Bank]:
    """Build ``banks`` detectors on different splits of the good parts, one at a time.

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
        If there are no real NG, or fewer than 1 bank or 2 splits are asked for.
    """
    if banks < 1 or splits < LEAST_SPLITS:
        raise IasError(f"study: expected at least 1 bank and {LEAST_SPLITS} splits, got {banks} and {splits}")
    for i in range(banks):
        of_bank = replace(config, seed=(config.seed + i) % 2**32)
        ws = Workspace(out / f"bank-{of_bank.seed}")
        detector, synthesis = scored(ws, import_pictures, of_bank, progress)
        progress("splits", i, banks, f"bank {i + 1} of {banks}: {splits} splits")
        group = {record.sha256: record.group for record in Ledger(ws).records()}
        calibration, check, ng = (detector.sets[name] for name in ("calibration", "check", "ng"))
        yield Bank(
            ws=ws,
            config=of_bank,
            detector=detector,
            synthesis=synthesis,
            ok=np.concatenate([calibration.image_scores, check.image_scores]),
            ok_groups=[group[image] for image in (*calibration.ids, *check.ids)],
            ng=ng.image_scores,
            ng_groups=[group[image] for image in ng.ids],
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


def quantile(values: np.ndarray, q: float) -> float | None:
    """None where there are no values."""
    return float(np.quantile(values, q)) if values.size else None


def percent(rate: float | None) -> str:
    """For a table on a terminal."""
    return "-" if rate is None else f"{100 * rate:.1f} %"


def number(value: float | None) -> str:
    """For a table on a terminal."""
    return "-" if value is None else f"{value:.3f}"
