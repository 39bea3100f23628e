"""Train a method on the real NG chosen, over the user's diffusion weights, and keep what it learned."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError
from pages.services import jobs, settings
from pages.services.kit import kit_of
from pages.services.ledger import Ledger
from pages.services.made import method_class, method_names
from pages.services.pictures import read_at_size
from pages.services.progress import Progress
from pages.services.steps import load_config, save_config
from pages.services.weights import load_backend
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from ias_core.synthesis.pretrained.adapter import Adapter

STEPS = {  # as published, or as the project's notes on the method have it
    "adabldm": 3000,
    "anogen": 3000,
    "anomalydiffusion": 3000,
    "defectfill": 2000,
    "dualanodiff": 5000,
    "seas": 800,
}
MOST_OK = 60  # good parts that a training sees, the number that SeaS gives its


@dataclass(frozen=True, slots=True)
class Trained:
    """What a method was trained to; ``facts`` are the adapter's own, ``fits``: on the NG that are chosen now."""

    method: str
    digest: str
    facts: dict[str, Any]
    fits: bool


def trainable() -> tuple[str, ...]:
    """Methods over diffusion weights that are trained first, sorted."""
    return tuple(
        name
        for name in method_names(("sources", "model", "backend", "adapter"))
        if "adapter" in method_class(name).needs
    )


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are "config", the settings of a RunConfig, "method" and "steps".

    A cancelled training keeps what it has learned by then, and is told as cancelled all the same.
    """
    config = settings.from_dict(settings.RunConfig, params["config"])
    found, stopped = train(ws, config, params["method"], params["steps"], progress)
    if stopped:
        raise jobs.JobCancelled
    return {"digest": found.digest, "seconds": found.meta.get("seconds")}


def train(
    ws: Workspace, config: settings.RunConfig, method: str, steps: int, progress: Progress
) -> tuple[Adapter, bool]:
    """The adapter, kept and named in the settings; and whether somebody asked to stop.

    Raises
    ------
    IasError
        Weights, sources or good parts that the method cannot be trained with.
    """
    progress("load", 0, 1, "loading the weights")
    sources = kit_of(ws, config, (method,), to_train=True).given(method).get("sources")
    if not sources:
        raise IasError(f"training {method} needs a real NG: choose one")
    if not config.synthesis.pretrained.weights:
        raise IasError(f"training {method} needs diffusion weights: name a folder")
    records = Ledger(ws).records(role="memory_bank")
    if not records:
        raise IasError(f"training {method} needs good parts in the memory bank, and there is none: add good parts")
    order = np.random.default_rng(config.seed).permutation(len(records))[:MOST_OK]
    good = np.stack([read_at_size(records[i], config.detector.input_size) for i in order])
    stopped = False

    def watch(step: int, of: int, loss: float) -> bool:
        nonlocal stopped
        try:
            progress("training", step, of, f"training {method}, loss {loss:.4f}, step")
        except jobs.JobCancelled:
            stopped = True
        return not stopped

    cls, pretrained = method_class(method), config.synthesis.pretrained
    backend = load_backend(config, to_train=True)
    told = {"product": pretrained.product, "defect": pretrained.defect}
    words = {name: word for name, word in told.items() if name in signature(cls.fit).parameters}
    fitted = cls.fit(backend, sources, good, seed=config.seed, steps=steps, watch=watch, **words)
    digest = fitted.digest
    fitted.save(_path(ws, digest))
    now = load_config(ws)  # another page may have changed the rest meanwhile
    pretrained = now.synthesis.pretrained
    named = replace(pretrained, adapters=pretrained.adapters | {method: digest})
    save_config(ws, replace(now, synthesis=replace(now.synthesis, pretrained=named)))
    return fitted, stopped


def load_adapter(ws: Workspace, digest: str) -> Adapter:
    """The adapter of this digest.

    Raises
    ------
    IasError
        If the workspace has none, or another content by that name.
    """
    from ias_core.synthesis.pretrained.adapter import Adapter

    found = Adapter.load(_path(ws, digest))
    if found.digest != digest:
        raise IasError(f"the training {digest[:12]} was changed in the workspace: train again")
    return found


def trained(ws: Workspace, config: settings.RunConfig) -> dict[str, Trained]:
    """What the settings name and the workspace has, by method."""
    from safetensors import SafetensorError, safe_open

    names = {record.sha256: record.name for record in Ledger(ws).records(label="ng")}
    chosen = sorted(names.get(one, one) for one in config.synthesis.sources)
    found = {}
    for method, digest in config.synthesis.pretrained.adapters.items():
        try:
            with safe_open(_path(ws, digest), framework="np") as file:
                facts = json.loads(file.metadata()["meta"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            continue
        found[method] = Trained(method, digest, facts, sorted(facts.get("sources", [])) == chosen)
    return found


def _path(ws: Workspace, digest: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise IasError(f"expected the digest of a training, 64 hexadecimal digits, got {digest!r}")
    return ws.root / "models" / f"{digest}.safetensors"
