"""A real NG for ``cli.py synth``: where its defect is, the good parts it may go on, and the model that redraws it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError, ImageRefused
from ias_core.folders import NG, FoundFile
from ias_core.imaging import read_bytes
from pages.services import intake, ng_masks, ng_sources
from pages.services.detection import build_detector
from pages.services.ledger import Ledger
from pages.services.progress import Progress
from pages.services.settings import OneShotConfig, RunConfig
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.one_shot.pixel_model import PixelModel

MODEL_NAME = "pixel_model.safetensors"
_TESTED = 20  # good parts that show what the model does to surface it never saw
_STRIDE = 32  # the detector's input is a multiple of it


@dataclass(frozen=True, slots=True)
class FromNg:
    """What the command line says of a real NG.

    picture, mask : files; without a mask one is proposed by a detector built on half of the good parts
    options : how its defect is carried over; ``model`` is not looked at
    """

    picture: Path
    mask: Path | None
    options: OneShotConfig


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """``source``; ``canvases``: good parts that defects may go on, None for all; ``mask``: where it came from."""

    source: NgSource
    canvases: frozenset[Path] | None
    mask: str


def start_from(good: Sequence[FoundFile], asked: FromNg, size: int, seed: int, progress: Progress) -> Start:
    """Read the NG as the app would: same checks, same proposal, same refusals.

    Raises
    ------
    IasError
        Unreadable files, another size than the good parts, no mask that can be proposed, or one that marks nothing.
    """
    if not asked.picture.is_file():
        raise IasError(f"expected a picture of a defective part at {asked.picture}, there is no such file")
    with tempfile.TemporaryDirectory() as folder:
        ws = Workspace(folder)
        progress("read", 0, 1, "reading good parts and the NG")
        taken = intake.import_found(ws, [*good, FoundFile(asked.picture, asked.picture.name, NG, kind="ng")])
        record = next((one for one in Ledger(ws).records(label=NG)), None)
        if record is None:
            why = next((one.reason for one in taken.rejected if one.name == asked.picture.name), "it is no picture")
            raise IasError(f"{asked.picture.name} cannot be used: {why}")
        intake.assign_roles(ws, seed=seed)
        config = replace(RunConfig(), seed=seed)
        config = replace(config, detector=replace(config.detector, check_against_anomalib=False))
        if asked.mask is not None:
            try:
                mask = ng_masks.uploaded_mask(record, read_bytes(asked.mask))
            except ImageRefused as refused:
                raise IasError(f"{asked.mask.name}: {refused}") from refused
            kind, canvases = ng_masks.UPLOADED, None
        else:
            side = max(_STRIDE, round(size / _STRIDE) * _STRIDE)
            config = replace(config, detector=replace(config.detector, input_size=side))
            found = ng_masks.proposal_for(build_detector(ws, config, progress), record)
            if found.why_none:
                raise IasError(f"the detector proposes no mask for {record.name}: {found.why_none}; give one: --mask")
            kind, mask = ng_masks.PROPOSED, found.mask
            unseen = [one for role in ("calibration_ok", "check_ok") for one in Ledger(ws).records(role=role)]
            canvases = frozenset(one.path for one in unseen)
        choice = ng_masks.keep_mask(ws, kind, mask)
        config = ng_sources.choose(ws, config, record.sha256, choice, by="cli.py synth", why="named by --ng")
        (source,) = ng_sources.load_sources(ws, config, size)
        return Start(source, canvases, kind)


def pixel_model(
    taught: np.ndarray, others: np.ndarray, out: Path, *, seed: int, minutes: float, progress: Progress
) -> PixelModel:
    """The model kept in ``out`` if it was trained on these pictures with this seed and time, else a new one.

    Raises
    ------
    IasError
        Too few good parts; or it changes the ``others``, which it never saw, too much to be used.
    """
    import torch

    from ias_core.devices import choose_device
    from ias_core.synthesis.one_shot.model_facts import trouble_of
    from ias_core.synthesis.one_shot.ok_to_ok import ok_to_ok_change
    from ias_core.synthesis.one_shot.pixel_model import PixelModel
    from ias_core.synthesis.one_shot.training import train
    from pages.services.artifacts import digest_of

    if not len(others):
        raise IasError(
            "the pixel model learns from half of the good parts and defects go on the others: add good parts"
        )
    asked = digest_of(hashlib.sha256(np.ascontiguousarray(taught)).hexdigest(), list(taught.shape), seed, minutes)
    path, note = out / MODEL_NAME, out / f"{MODEL_NAME}.for"
    if path.is_file() and note.is_file() and note.read_text(encoding="utf-8") == asked:
        return PixelModel.load(path)
    device: torch.device = choose_device()[0]
    budget_s = 60 * minutes

    def watch(now: Any) -> bool:
        progress("training", int(now.seconds), int(budget_s), "training the pixel model")
        return True

    model = train(taught, seed=seed, budget_s=budget_s, device=device, watch=watch)
    change = ok_to_ok_change(model, others[:_TESTED], seed=seed)
    if trouble := trouble_of({"ok_to_ok": change}):
        raise IasError(trouble)
    progress("tested", 1, 1, f"the pixel model changes good parts it never saw by {change:.1f} grey levels")
    model.save(path)
    note.write_text(asked, encoding="utf-8")
    return model
