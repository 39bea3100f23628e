"""Everything the numbers of a release were made from, by hash: pictures, settings, code, detector, synthetic NG."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ias_core.backbone_menu import EMBEDDED, embedded_weights_path
from pages.services import frozen as frozen_pictures
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.code_version import code_version
from pages.services.intake import current
from pages.services.ledger import ImageRecord
from pages.services.settings import RunConfig, to_dict
from pages.services.workspace import Workspace

_DETECTOR = (
    "backbone",
    "weights_from",
    "weights_digest",
    "layers",
    "input_size",
    "num_neighbors",
    "coreset_ratio",
    "bank_id",
    "bank_size",
)


def inputs_of(
    ws: Workspace, config: RunConfig, images: tuple[ImageRecord, ...], synthesis: SynthesisResult
) -> dict[str, Any]:
    """Everything the numbers were made from, by hash."""
    data, asked = current(ws), to_dict(config)
    assert data is not None  # there are results, so there are pictures
    return {
        "images": image_rows(images),
        "dataset": data.dataset_id,
        "config": asked,
        "config_sha256": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "code": code_version(),
        "synthesis_sha256": _files_sha256(synthesis),
    }


def image_rows(images: tuple[ImageRecord, ...]) -> list[dict[str, str]]:
    return [
        {
            "name": one.name,
            "sha256": one.sha256,
            "label": one.label,
            "role": one.role or "",
            "kind": one.kind,
            "session": one.session,
        }
        for one in images
    ]


def _files_sha256(synthesis: SynthesisResult) -> str:
    """Of the synthetic pictures and masks, in the order of their names."""
    sha = hashlib.sha256()
    for path in sorted(synthesis.folder.glob("*.png")):
        sha.update(f"{path.name} {frozen_pictures.file_sha256(path)}\n".encode())
    return sha.hexdigest()


def detector_facts(detector: DetectorResult, config: RunConfig) -> dict[str, Any]:
    weights = weights_file(config)
    return {key: detector.meta[key] for key in _DETECTOR} | {
        "bank_file_sha256": frozen_pictures.file_sha256(detector.bank_path),
        "weights_file_sha256": frozen_pictures.file_sha256(weights) if weights else None,
    }


def weights_file(config: RunConfig) -> Path | None:
    """File of the backbone's weights; None for those of timm's hub, which keeps its own cache."""
    asked = config.detector
    if asked.weights_path:
        return Path(asked.weights_path)
    return embedded_weights_path() if asked.backbone == EMBEDDED else None
