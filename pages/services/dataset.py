"""Synthetic NG as a data set that other tools read: an MVTec-style tree with masks, and a manifest.

test/<method>/000.png, ground_truth/<method>/000_mask.png, contact/<method>.png, manifest.json
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pages.services.artifacts import SynthesisResult
from pages.services.contact_sheet import caption, sheet
from pages.services.quality import kept

SCHEMA = "ng0-synthetic/1"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, eq=False)
class MethodSet:
    """One method's pictures with everything that is known of each.

    images : n arrays (s, s, 3) float32 in [0, 1]
    masks : n arrays (s, s) bool
    rows : n dicts, JSON-ready: parent, severity, size, texture, drawn values ...
    facts : JSON-ready: seconds, ...
    """

    method: str
    images: Sequence[np.ndarray]
    masks: Sequence[np.ndarray]
    rows: Sequence[dict[str, Any]]
    facts: dict[str, Any]


def of_result(result: SynthesisResult) -> tuple[list[MethodSet], dict[str, Any]]:
    """The kept pictures of the workspace's synthesis, and what opens their manifest; rejected ones are left out."""
    sets = []
    for method, scored in result.sets.items():
        facts = result.meta["methods"][method]
        rows = rows_of(facts)
        counting = np.flatnonzero(kept(facts)).tolist()
        stems = [scored.ids[i] for i in counting]
        sets.append(
            MethodSet(
                method,
                [result.picture(stem) for stem in stems],
                [result.mask(stem) for stem in stems],
                [rows[i] | {"score": float(scored.image_scores[i])} for i in counting],
                {
                    "n_made": len(rows),
                    "seconds": facts.get("seconds"),
                    "peak_memory_bytes": facts.get("peak_memory_bytes"),
                    "made_with": facts.get("made_with", {}),
                },
            )
        )
    return sets, {"seed": result.meta["seed"], "synthesis": result.digest, "primary": result.meta["primary"]}


def rows_of(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """One dict per picture out of the lists that ``made.facts_of`` and the synthesis step keep per method."""
    n = len(facts["severities"])
    lists = {key: value for key, value in facts.items() if isinstance(value, list) and len(value) == n}
    renamed = {
        "severities": "severity",
        "textures": "texture",
        "parents": "parent_sha256",
        "parent_names": "parent",
        "rejected": "rejected_because",
    }
    return [{renamed.get(key, key): value[i] for key, value in lists.items()} for i in range(n)]


def files(sets: Iterable[MethodSet], about: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file of the tree, the manifest last.

    ``about``: JSON-ready facts of the whole set, such as seed and size; they open the manifest.
    """
    methods: dict[str, Any] = {}
    listed: list[dict[str, Any]] = []
    for made in sets:
        width = max(3, len(str(len(made.images) - 1)))
        for i, (image, mask, row) in enumerate(zip(made.images, made.masks, made.rows, strict=True)):
            stem = f"{i:0{width}d}"
            picture, truth = f"test/{made.method}/{stem}.png", f"ground_truth/{made.method}/{stem}_mask.png"
            yield picture, _png(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
            yield truth, _png(mask.astype(np.uint8) * 255)
            listed.append({"file": picture, "mask": truth, "method": made.method, **row})
        methods[made.method] = {"n": len(made.images), **made.facts}
        if len(made.images):
            captions = [caption(row["severity"], row["size_px"], row["snr"]) for row in made.rows]
            buffer = io.BytesIO()
            sheet(f"{made.method}: synthetic NG", made.images, made.masks, captions).save(buffer, "PNG")
            yield f"contact/{made.method}.png", buffer.getvalue()
    manifest = {"schema": SCHEMA, **about, "methods": methods, "images": listed}
    yield MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_tree(out: Path, sets: Iterable[MethodSet], about: dict[str, Any]) -> Path:
    """The tree in a folder; returns the manifest's path."""
    for name, content in files(sets, about):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return out / MANIFEST


def zip_bytes(sets: Iterable[MethodSet], about: dict[str, Any]) -> bytes:
    """The tree as a zip; the same set gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files(sets, about):
            archive.writestr(zipfile.ZipInfo(name), content)  # a ZipInfo carries no time of day
    return buffer.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
