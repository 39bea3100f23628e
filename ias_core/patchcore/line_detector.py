"""The signed detector as it is handed over: the memory bank, the named weights, and nothing chosen here."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ias_core.backbones import Backbone, load_backbone
from ias_core.devices import BatchRunner, choose_device
from ias_core.errors import BackboneUnavailable, FeatureError
from ias_core.features import PatchFeatures
from ias_core.patchcore.memory_bank import MemoryBank
from ias_core.patchcore.scoring import Scorer

BANK, WEIGHTS = "bank.safetensors", "backbone.safetensors"
BATCH = 16  # as when the scores of the record were made


def signed_bank(detector: Mapping[str, Any], path: Path) -> MemoryBank:
    """The memory bank at ``path``, if it is the one that the record names.

    Parameters
    ----------
    detector : mapping
        ``content["detector"]`` of a record.

    Raises
    ------
    FeatureError
        It is not there, was changed, or belongs to another threshold.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FeatureError(f"expected the memory bank at {path}, it could not be read ({error.strerror})") from error
    if found != detector["bank_file_sha256"]:
        raise FeatureError(
            f"{path} is not the memory bank of this record: its sha256 is {found[:12]}, signed was "
            f"{detector['bank_file_sha256'][:12]}: hand the release over again"
        )
    bank = MemoryBank.load(path)
    if bank.bank_id != detector["bank_id"]:
        raise FeatureError(
            f"the record names the memory bank {detector['bank_id'][:12]}, and {path.name} holds "
            f"{bank.bank_id[:12]}: build, calibrate and sign again"
        )
    return bank


def signed_backbone(detector: Mapping[str, Any], weights: Path | None) -> Backbone:
    """The network that the record names, from a weights file where there is one, else as it was loaded then.

    Raises
    ------
    BackboneUnavailable
        It cannot be had here, or its weights are not those that were signed.
    """
    backbone = load_backbone(detector["backbone"], layers=tuple(detector["layers"]), weights_path=weights)
    if backbone.digest != detector["weights_digest"]:
        raise BackboneUnavailable(
            f"the weights of {detector['backbone']} at hand ({backbone.digest[:12]}) are not those that were signed "
            f"({detector['weights_digest'][:12]}): install the signed ones, or calibrate and sign again"
        )
    return backbone


class LineDetector:
    """Scores pictures as the record's own scores were made.

    Parameters
    ----------
    detector : mapping
        ``content["detector"]`` of a record; decides every setting.
    folder : Path
        ``line`` of the record's folder: the memory bank, and the weights where no package holds them.

    Raises
    ------
    FeatureError, BackboneUnavailable
        Bank or weights are not the signed ones.
    """

    def __init__(self, detector: Mapping[str, Any], folder: Path) -> None:
        self.input_size = int(detector["input_size"])
        bank = signed_bank(detector, folder / BANK)
        weights = folder / WEIGHTS
        device, notice = choose_device()
        self.backbone = signed_backbone(detector, weights if weights.is_file() else None)
        self._features = PatchFeatures(self.backbone, device)
        self._scorer = Scorer(bank, device, num_neighbors=int(detector["num_neighbors"]))
        self._runner = BatchRunner(device, BATCH, self._features.to)

    def __call__(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Image scores (n,) float32 of n pictures (s, s, 3) float32 RGB in [0, 1] at the input size."""
        rows = self._runner(lambda batch, device: list(self._features(batch).to(device)), pictures)
        stacked = (torch.stack(rows[a : a + BATCH]) for a in range(0, len(rows), BATCH))
        return np.concatenate([self._scorer(features).image_scores for features in stacked])
