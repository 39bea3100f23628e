"""The pixel model of the product: trained on the memory bank's pictures, tested on calibration's, kept and reused.

Only memory-bank pictures teach: synthetic NG are made on calibration OK pictures, which the model must never have seen,
and check OK pictures stay out of everything. Its file lies in ``models/`` under its digest; a choice of the workspace
names the current one.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis.one_shot.model_facts import LEAST_PICTURES, WINDOW_PX, read_about, trouble_of
from pages.services import jobs, ng_sources, settings
from pages.services.artifacts import digest_of
from pages.services.ledger import ImageRecord, Ledger
from pages.services.pictures import read_at_size
from pages.services.progress import Progress
from pages.services.steps import load_config
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ias_core.synthesis.one_shot.pixel_model import PixelModel
    from ias_core.synthesis.one_shot.training import Snapshot

PIXEL_MODEL = "pixel-model"
MOST_PICTURES = 200  # that teach: about 12,000 crops are all that the longest training looks at
MOST_TESTED = 20
LEAST_S, MOST_S = 10.0, 3600.0
_PREVIEW = "pixel-model-preview.png"


@dataclass(frozen=True, slots=True)
class Current:
    """The model that is kept.

    digest : str
    meta : JSON-ready facts of its training, see ``ias_core.synthesis.one_shot.pixel_model.PixelModel``; and
        "pictures" (digest of those that taught), "side_px", "ok_to_ok" (grey levels; None: not tested), "n_tested"
    fits : bool     whether it was trained on the memory bank's pictures of now, at the size of now
    trouble : str   why it should not be used, empty where nothing speaks against it
    n_to_test : int     calibration OK pictures that a test would use
    """

    digest: str
    meta: dict[str, Any]
    fits: bool
    trouble: str
    n_to_test: int


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are "settings", those of a RunConfig, and "budget_s", "sources" (whether the chosen NG
    teach too) and "flips"; or "settings" and "test_only", to test the model that is kept.

    A cancelled training keeps the weights it has by then, untested, and is told as cancelled all the same.
    """
    config = settings.from_dict(settings.RunConfig, params["settings"])
    if params.get("test_only"):
        kept = current_model(ws, config)
        if kept is None:
            raise IasError("there is no pixel model to test: train one first")
        model = _read(ws, kept.digest)
    else:
        model = train_model(
            ws,
            config,
            budget_s=params["budget_s"],
            with_sources=params["sources"],
            flips=params["flips"],
            progress=progress,
        )
    model = _tested(ws, model, config, progress)
    _keep(ws, model, finished=True)
    return {key: model.meta[key] for key in ("steps", "seconds", "ok_to_ok")} | {"digest": model.digest}


def train_model(
    ws: Workspace,
    config: settings.RunConfig,
    *,
    budget_s: float,
    with_sources: bool,
    flips: bool,
    progress: Progress,
) -> PixelModel:
    """The model after ``budget_s`` seconds of training; on the way it is kept every 15 s, as far as it has come.

    Raises
    ------
    IasError
        Too few or too small good parts, a time out of range, or a picture that changed since it was taken in.
    JobCancelled
        Somebody asked to stop; the weights are kept.
    """
    if not LEAST_S <= budget_s <= MOST_S:
        raise IasError(f"expected a training of {LEAST_S:.0f} to {MOST_S:.0f} s, got {budget_s:g}")
    if reason := why_not(ws, config):
        raise IasError(reason)
    progress("load", 0, 1, "reading good parts")
    from ias_core.devices import choose_device, or_on_cpu
    from ias_core.synthesis.one_shot.training import train

    size = config.detector.input_size
    records = _teaching(ws, config)
    good = np.stack([read_at_size(record, size) for record in records])
    ng = ng_sources.load_sources(ws, config, size) if with_sources else ()
    about = {"pictures": _pictures_digest(ws, size), "side_px": size, "ok_to_ok": None, "n_tested": 0}
    _preview_path(ws).unlink(missing_ok=True)
    cancelled = False

    def watch(now: Snapshot) -> bool:
        nonlocal cancelled
        if now.preview is not None:
            _write_preview(ws, now.preview)
            _keep(ws, _with_facts(now.model, about), finished=False)
        try:
            progress(
                "training",
                int(now.seconds),
                int(budget_s),
                f"step {now.step} of about {now.planned}, loss {now.loss:.3f}, second",
            )
        except jobs.JobCancelled:
            cancelled = True
        return not cancelled

    def on(device: torch.device) -> PixelModel:
        return train(good, ng=ng, seed=config.seed, budget_s=budget_s, device=device, flips=flips, watch=watch)

    model, notice = or_on_cpu(on, choose_device(config.detector.device)[0], doing="training the pixel model")
    model = _with_facts(model, about | ({"notice": notice} if notice else {}))
    _keep(ws, model, finished=False)
    if cancelled:
        raise jobs.JobCancelled
    return model


def why_not(ws: Workspace, config: settings.RunConfig) -> str:
    """Why no model can be trained here, in a sentence; empty where one can."""
    n, size = len(Ledger(ws).records(role="memory_bank")), config.detector.input_size
    if n < LEAST_PICTURES:
        return f"a pixel model needs at least {LEAST_PICTURES} good parts in the memory bank, there are {n}: add some"
    if size < WINDOW_PX:
        return f"a pixel model needs pictures of at least {WINDOW_PX} px, the detector sees {size} px: raise its size"
    return ""


def current_model(ws: Workspace, config: settings.RunConfig) -> Current | None:
    """The model that is kept, without its weights; None where there is none.

    Raises
    ------
    IasError
        Its file is damaged.
    """
    pointer = ws.get_choice(PIXEL_MODEL)
    if pointer is None or not (path := _path(ws, pointer["digest"])).is_file():
        return None
    meta = read_about(path)["meta"]
    fits = meta["pictures"] == _pictures_digest(ws, config.detector.input_size)
    n_to_test = min(MOST_TESTED, len(Ledger(ws).records(role="calibration_ok")))
    return Current(pointer["digest"], meta, fits, _trouble(meta), n_to_test)


def load_model(ws: Workspace, digest: str) -> PixelModel:
    """The kept model of this digest, on the detector's device.

    Raises
    ------
    IasError
        The workspace has none of this digest, it is damaged, it was not tested, or it changes good parts too much.
    """
    model = _read(ws, digest)
    if trouble := _trouble(model.meta):
        raise IasError(trouble)
    return model


def preview(ws: Workspace, *, since: float) -> bytes | None:
    """PNG of the latest preview, if it was written after ``since`` (seconds since the epoch)."""
    path = _preview_path(ws)
    try:
        return path.read_bytes() if path.stat().st_mtime >= since else None
    except FileNotFoundError:
        return None


def _teaching(ws: Workspace, config: settings.RunConfig) -> list[ImageRecord]:
    """Memory-bank pictures, at most 200 at random."""
    records = Ledger(ws).records(role="memory_bank")
    order = np.random.default_rng(config.seed).permutation(len(records))[:MOST_PICTURES]
    return [records[i] for i in order]


def _pictures_digest(ws: Workspace, size: int) -> str:
    return digest_of(sorted(record.sha256 for record in Ledger(ws).records(role="memory_bank")), size)


def _tested(ws: Workspace, model: PixelModel, config: settings.RunConfig, progress: Progress) -> PixelModel:
    """With its OK-to-OK change on at most 20 calibration OK pictures, which it never saw."""
    from ias_core.synthesis.one_shot.ok_to_ok import ok_to_ok_change

    records = Ledger(ws).records(role="calibration_ok")
    order = np.random.default_rng(config.seed).permutation(len(records))[:MOST_TESTED]
    changes = []
    for k, i in enumerate(order):
        progress("test", k, len(order), "redrawing good parts that it never saw")
        picture = read_at_size(records[i], model.meta["side_px"])
        changes.append(ok_to_ok_change(model, picture[None], seed=config.seed + k))
    change = float(np.mean(changes)) if changes else None
    return _with_facts(model, {"ok_to_ok": change, "n_tested": len(changes)})


def _trouble(meta: dict[str, Any]) -> str:
    if meta["ok_to_ok"] is None:
        return (
            "the pixel model has not been tested on good parts that it never saw: test it where it was trained, or use "
            "the instant mode, which needs no model"
        )
    return trouble_of(meta)


def _read(ws: Workspace, digest: str) -> PixelModel:
    from ias_core.devices import choose_device
    from ias_core.synthesis.one_shot.pixel_model import PixelModel

    path = _path(ws, digest)
    if not path.is_file():
        raise IasError(f"the pixel model {digest[:12]} is not kept any more: use the current one, or train again")
    device, _ = choose_device(load_config(ws).detector.device)
    model = PixelModel.load(path, device=device)
    if model.digest != digest:
        raise IasError(f"the pixel model {digest[:12]} was changed in the workspace: train again")
    return model


def _with_facts(model: PixelModel, facts: dict[str, Any]) -> PixelModel:
    return replace(model, meta=model.meta | facts)


def _keep(ws: Workspace, model: PixelModel, *, finished: bool) -> None:
    """Write the model, then make it the current one: nothing half-written is ever current.

    One that is still being trained does not push out a model of the same pictures that took more steps: it may be
    cancelled, or its process ended. The finished model before this one stays, and so does one that the settings name.
    """
    before = ws.get_choice(PIXEL_MODEL)
    if before and not finished and _took_more_steps(ws, before["digest"], model):
        return
    path = _path(ws, model.digest)
    path.parent.mkdir(exist_ok=True)
    model.save(path)
    if before is None:
        ws.set_choice(PIXEL_MODEL, {"digest": model.digest, "finished": finished, "last_finished": None})
        return
    last = before["digest"] if before["finished"] and before["digest"] != model.digest else before["last_finished"]
    ws.set_choice(PIXEL_MODEL, {"digest": model.digest, "finished": finished, "last_finished": last})
    stay = {model.digest, last, load_config(ws).synthesis.one_shot.model}
    for old in {before["digest"], before["last_finished"]} - stay - {None}:
        _path(ws, old).unlink(missing_ok=True)


def _took_more_steps(ws: Workspace, digest: str, model: PixelModel) -> bool:
    path = _path(ws, digest)
    if not path.is_file():
        return False
    meta = read_about(path)["meta"]
    return meta["pictures"] == model.meta["pictures"] and meta["steps"] > model.meta["steps"]


def _path(ws: Workspace, digest: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise IasError(f"expected the digest of a pixel model, 64 hexadecimal digits, got {digest!r}")
    return ws.root / "models" / f"{digest}.safetensors"


def _preview_path(ws: Workspace) -> Path:
    return ws.root / "models" / _PREVIEW


def _write_preview(ws: Workspace, picture: np.ndarray) -> None:
    """Whole or not at all: a page may read it at any moment."""
    from PIL import Image

    path = _preview_path(ws)
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(".part")
    Image.fromarray(picture, "RGB").save(beside, format="PNG")
    with suppress(PermissionError):  # on Windows, while a page reads the one before: the next one comes in 15 s
        os.replace(beside, path)
