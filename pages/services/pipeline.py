"""From pictures to thresholds in one go: what the CLI runs, and the one-click path of the pages."""

from typing import Any

from pages.services import settings
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.detection import build_detector
from pages.services.progress import Progress
from pages.services.synthesis import synthesize
from pages.services.workspace import Workspace


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: detector, then synthetic NG; ``params`` are the settings of a RunConfig."""
    detector, synthesis = run_steps(ws, settings.from_dict(settings.RunConfig, params), progress)
    return {"digest": synthesis.digest, "notices": detector.meta["notices"]}


def run_steps(ws: Workspace, config: settings.RunConfig, progress: Progress) -> tuple[DetectorResult, SynthesisResult]:
    """Build the detector and make the synthetic NG; both stay in the workspace."""
    detector = build_detector(ws, config, progress)
    return detector, synthesize(ws, detector, config, progress)
