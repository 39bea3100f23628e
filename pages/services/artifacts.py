"""What detector and synthesis leave on disk: arrays as .npz, the rest as JSON, one folder each."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pages.services.workspace import Workspace

DETECTOR, SYNTHESIS = "detector", "synthesis"


def digest_of(*values: Any) -> str:
    """sha256 of JSON-ready values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """Scores of one set of images, all in one order.

    names : n strings               file names
    ids : n strings                 sha256 of real images, file names of synthetic ones
    image_scores : (n,) float32     feature distance
    patch_scores : (n, gh, gw) float32
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    image_scores: np.ndarray
    patch_scores: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class DetectorResult:
    """A built detector and the scores of every real image.

    folder : Path              holds bank.safetensors
    digest : str               of the inputs: data set, roles, settings, seed
    sets : "bank" (leave-one-out scores), "calibration", "check", "ng". Of the bank images once more, in the same
        order, and only from two sessions on: "bank_by_session" (leave-one-session-out scores) and "bank_at_random"
        (as many others hidden as a session has)
    kinds : NG sha256 -> kind of defect
    meta : JSON-ready facts: bank_id, bank_size, grid, device, seconds, notices, sessions (name -> bank images) ...
    """

    folder: Path
    digest: str
    sets: dict[str, ScoredSet]
    kinds: dict[str, str]
    meta: dict[str, Any]

    @property
    def bank_path(self) -> Path:
        return self.folder / "bank.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class SynthesisResult:
    """Synthetic NG and their scores.

    sets : method -> scores; ``ids`` are the stems of the files in ``folder``
    shifts : arrays of the feature-space rulers, "method/scores" and so on, see ``pages.services.ruler``
    projection : "ok", "bank", "shifted/method" -> (n, 2) float32, and "explained" -> (2,)
    meta : JSON-ready facts: methods with their parents, severities and textures, R, seconds ...
    """

    folder: Path
    digest: str
    sets: dict[str, ScoredSet]
    shifts: dict[str, np.ndarray]
    projection: dict[str, np.ndarray]
    meta: dict[str, Any]

    def picture(self, stem: str) -> np.ndarray:
        """(s, s, 3) float32 RGB in [0, 1] of one synthetic NG."""
        return np.asarray(Image.open(self.folder / f"{stem}.png"), np.float32) / 255

    def mask(self, stem: str) -> np.ndarray:
        """(s, s) bool, where it differs from its parent."""
        return np.asarray(Image.open(self.folder / f"{stem}_mask.png")).astype(bool)


def fresh_folder(ws: Workspace, step: str) -> Path:
    """A new folder for a step's files: a run never writes where the current result lies."""
    return Path(tempfile.mkdtemp(prefix=f"{step}-", dir=ws.artifacts))


def save_result(ws: Workspace, step: str, result: DetectorResult | SynthesisResult) -> None:
    """Write scores and facts, then make the result the current one of its step: nothing half-written is "
    "ever current."""
    arrays: dict[str, np.ndarray] = {}
    for key, scored in result.sets.items():
        arrays[f"set/{key}/image"], arrays[f"set/{key}/patch"] = scored.image_scores, scored.patch_scores
    facts: dict[str, Any] = {
        "meta": result.meta,
        "sets": {key: {"names": s.names, "ids": s.ids} for key, s in result.sets.items()},
    }
    if isinstance(result, DetectorResult):
        facts["kinds"] = result.kinds
    else:
        arrays |= {f"shifts/{key}": value for key, value in result.shifts.items()}
        arrays |= {f"projection/{key}": value for key, value in result.projection.items()}
    np.savez(result.folder / "scores.npz", **arrays)
    (result.folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    before = ws.get_choice(step)
    ws.set_choice(step, {"digest": result.digest, "folder": result.folder.name})
    # A page may still be drawing the result before this one; older ones, and what a killed run left, can go.
    for folder in ws.artifacts.glob(f"{step}-*"):
        if folder != result.folder and (before is None or folder.name != before["folder"]):
            shutil.rmtree(folder, ignore_errors=True)


def _group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def current_digest(ws: Workspace, step: str) -> str | None:
    """Digest of the inputs of the step's current result, or None where there is none."""
    pointer = ws.get_choice(step)
    return pointer["digest"] if pointer and (ws.artifacts / pointer["folder"]).is_dir() else None


def load_result(ws: Workspace, step: str) -> DetectorResult | SynthesisResult | None:
    """The current result of a step, or None where it never ran."""
    if current_digest(ws, step) is None:
        return None
    pointer = ws.get_choice(step)
    folder = ws.artifacts / pointer["folder"]
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    with np.load(folder / "scores.npz") as file:
        arrays = {key: file[key] for key in file.files}
    sets = {
        key: ScoredSet(tuple(s["names"]), tuple(s["ids"]), arrays[f"set/{key}/image"], arrays[f"set/{key}/patch"])
        for key, s in facts["sets"].items()
    }
    if step == DETECTOR:
        return DetectorResult(folder, pointer["digest"], sets, facts["kinds"], facts["meta"])
    return SynthesisResult(
        folder,
        pointer["digest"],
        sets,
        _group(arrays, "shifts/"),
        _group(arrays, "projection/"),
        facts["meta"],
    )
