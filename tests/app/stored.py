"""Results as if the detector had scored otherwise: stored anew, so that no cache knows them."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pages.services.artifacts import DetectorResult, SynthesisResult, fresh_folder, load_result, save_result
from pages.services.workspace import Workspace

Change = Callable[[np.ndarray], np.ndarray]


def with_scores(
    ws: Workspace, step: str, changes: Mapping[str, Change], result: DetectorResult | SynthesisResult | None = None
) -> DetectorResult | SynthesisResult:
    """Store a step's result again with other image scores.

    Parameters
    ----------
    ws : Workspace
    step : str
    changes : mapping
        Set -> what becomes of its image scores; patch scores stay.
    result : DetectorResult or SynthesisResult, optional
        To be stored; the current one if not given.
    """
    result = result or load_result(ws, step)
    sets = dict(result.sets)
    for name, change in changes.items():
        scores = np.asarray(change(sets[name].image_scores), np.float32)
        sets[name] = replace(sets[name], image_scores=scores)
    folder = fresh_folder(ws, step)
    for file in result.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    changed = replace(result, sets=sets, folder=folder)
    save_result(ws, step, changed)
    return changed
