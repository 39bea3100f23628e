"""What is written down about a release for the line: ``threshold.json`` to run it, ``manifest.json`` to check it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ias_core.errors import IasError
from ias_core.patchcore import line_recipe
from ias_core.patchcore.line_forms import FORMS, OWN
from ias_core.patchcore.line_threshold import AGREEMENT, AnomalibDecision, smallest_float32
from pages.services.frozen import file_sha256
from pages.services.line_check import Checked
from pages.services.line_probes import Probes
from pages.services.record_file import RecordFile

SCHEMA = "ng0-line/1"
LINE = "line"  # folder, beside record.json
MANIFEST, THRESHOLD, RECIPE = "manifest.json", "threshold.json", "prepare.py"
_PACKAGES = ("torch", "torchvision", "timm", "anomalib", "numpy", "pillow", "onnx", "onnxruntime", "openvino")
MOVED = (
    f"a known picture lies within {100 * AGREEMENT:g} % of the signed threshold, nearer than two computers agree: the "
    "threshold stands clear of it, so that every form gives the signed verdict"
)
MUST = (
    "Prepare each picture with prepare.py, as it is: another resize gives other scores.",
    "Compute in float32: no float16, bfloat16 or int8 (OpenVINO: INFERENCE_PRECISION_HINT f32).",
    "Take the verdict from pred_label. It comes from the image score; pred_mask is a drawing.",
    "Stop when camera, light, position or part changes. Do not raise the threshold.",
    "Show the challenge parts at each shift, and hand the scores back for the watch.",
)


def threshold_facts(
    record: RecordFile, decision: AnomalibDecision, *, mean: tuple[float, ...], std: tuple[float, ...]
) -> dict[str, Any]:
    """``threshold.json``: the signed threshold, and what anomalib is told so that it decides alike."""
    signed, named = record.content["threshold"], record.content["detector"]
    review = signed["review_from"]
    return {
        "record": record.sha256,
        "rule": "NG from this score on (>=)",
        "threshold": signed["value"],
        "review_from": review,
        "unit": "feature distance",
        "bank_id": named["bank_id"],
        "detector": named,
        "input": {
            "size": named["input_size"],
            "layout": "(n, 3, size, size) float32, RGB in [0, 1], prepared by prepare.py",
            "mean": list(mean),
            "std": list(std),
            "normalised_by": "the model itself",
        },
        "anomalib": asdict(decision)
        | {
            "rule": "NG above this score (>), which is NG from first_ng on (>=) for every float32 score",
            "moved_by": decision.first_ng - signed["value"],
            "moved_why": MOVED if decision.first_ng != smallest_float32(signed["value"]) else "",
            "review_from_normalised": None if review is None else decision.normalised(review),
        },
        "line_must": list(MUST),
    }


def manifest(
    record: RecordFile, line: Path, probes: Probes, checks: Sequence[Checked], decision: AnomalibDecision
) -> dict[str, Any]:
    """``manifest.json``: what is in the folder, by hash, and what each form said of the probe pictures."""
    same = _prepared_alike(probes, int(record.content["detector"]["input_size"]))
    return {
        "schema": SCHEMA,
        "record": record.sha256,
        "bank_id": record.content["detector"]["bank_id"],
        "files": {
            path.name: {"sha256": file_sha256(path), "bytes": path.stat().st_size} for path in sorted(line.iterdir())
        },
        "forms": [
            {
                "form": one.form,
                "title": FORMS[one.form].title,
                "handed_over": one.handed_over,
                "reason": one.reason,
                "files": [name for name in FORMS[one.form].files if (line / name).exists()],
                "probes": one.n,
                "same_verdict": one.same,
                "too_close_to_tell": one.too_close,
                "largest_relative_difference": one.largest_difference,
                "scores_compared": one.compared,
                "threshold": record.content["threshold"]["value"] if one.form == OWN else decision.first_ng,
            }
            for one in checks
        ],
        "probes": [
            {"file": name, "sha256": sha256, "score": float(score), "verdict": "NG" if ng else "OK"}
            for name, sha256, score, ng in zip(probes.names, probes.sha256s, probes.scores, probes.is_ng, strict=True)
        ],
        "probes_gone": list(probes.gone),
        "prepared_alike": {"n": len(same), "same": sum(same)},
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _prepared_alike(probes: Probes, size: int) -> list[bool]:
    """Whether the recipe handed over gives the very pixels that were scored; one with more than 8 bits it refuses."""
    found = []
    for path, picture in zip(probes.paths, probes.pictures, strict=True):
        try:
            found.append(bool(np.array_equal(line_recipe.prepare(path, size)[0], picture.transpose(2, 0, 1))))
        except ValueError:
            found.append(False)
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a release folder; None where nothing was exported to it.

    Raises
    ------
    IasError
        If it is there and is none.
    """
    path = folder / LINE / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["schema"] == SCHEMA:
            return values
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise IasError(f"{path} was changed, or is none that this product writes: export again")


def differences(folder: Path, record: str) -> list[str]:
    """A sentence for everything in ``line`` of a release folder that is not as its manifest says; no manifest, none.

    Parameters
    ----------
    record : str
        The record hash that it must be of.
    """
    try:
        told = read_manifest(folder)
    except IasError as error:
        return [str(error)]
    if told is None:
        return []
    found = [] if told["record"] == record else ["line/manifest.json is of another record"]
    for name, one in told["files"].items():
        sha256 = file_sha256(folder / LINE / name)
        if sha256 is None:
            found.append(f"line/{name} was removed or cannot be read")
        elif sha256 != one["sha256"]:
            found.append(f"line/{name} was changed")
    present = {path.name for path in (folder / LINE).iterdir()} - {MANIFEST}
    return found + [f"line/{name} was added" for name in sorted(present - set(told["files"]))]
