"""The memory bank: kept patch features of OK images, each remembering the image it came from."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ias_core.errors import FeatureError
from ias_core.patchcore.coreset import coreset_size, k_center_greedy


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Everything before the features that changes a score; part of the bank's fingerprint."""

    backbone: str
    weights_digest: str
    layers: tuple[str, ...]
    input_size: int


@dataclass(frozen=True, slots=True, eq=False)
class MemoryBank:
    """Patch features of m kept patches, sorted by group so that one group is one slice.

    features : (m, d) float32
    group : (m,) int32            place in ``groups`` of the image (or near-twin group) each patch came from
    groups : tuple of str         group ids
    n_patches : int               how many patches the coreset was chosen from
    preprocessing : Preprocessing
    """

    features: np.ndarray
    group: np.ndarray
    groups: tuple[str, ...]
    n_patches: int
    preprocessing: Preprocessing

    def __post_init__(self) -> None:
        m = len(self.features)
        if self.features.ndim != 2 or m == 0 or self.features.dtype != np.float32:
            raise FeatureError(
                f"expected bank features (m, d) float32, got {self.features.shape} {self.features.dtype}"
            )
        if self.group.shape != (m,) or (np.diff(self.group) < 0).any():
            raise FeatureError("expected one group per bank vector, sorted")
        for array in (self.features, self.group):
            array.setflags(write=False)

    @property
    def bank_id(self) -> str:
        """Fingerprint of features, sources and preprocessing: a threshold is valid for one bank only."""
        sha = hashlib.sha256(json.dumps([asdict(self.preprocessing), self.groups, self.n_patches]).encode())
        sha.update(self.features.tobytes())
        sha.update(self.group.tobytes())
        return sha.hexdigest()

    def slices(self) -> dict[str, slice]:
        """Rows of each group."""
        edges = np.searchsorted(self.group, np.arange(len(self.groups) + 1))
        return {name: slice(int(edges[i]), int(edges[i + 1])) for i, name in enumerate(self.groups)}

    def save(self, path: Path) -> None:
        from safetensors.numpy import save_file

        meta = {
            "groups": json.dumps(self.groups),
            "n_patches": str(self.n_patches),
            "preprocessing": json.dumps(asdict(self.preprocessing)),
        }
        save_file({"features": self.features, "group": self.group}, path, metadata=meta)

    @classmethod
    def load(cls, path: Path) -> "MemoryBank":
        """Raises FeatureError if the file is no memory bank."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                meta = file.metadata()
                preprocessing = json.loads(meta["preprocessing"])
                return cls(
                    features=file.get_tensor("features"),
                    group=file.get_tensor("group"),
                    groups=tuple(json.loads(meta["groups"])),
                    n_patches=int(meta["n_patches"]),
                    preprocessing=Preprocessing(**preprocessing | {"layers": tuple(preprocessing["layers"])}),
                )
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise FeatureError(f"expected a memory bank at {path}, it could not be read: {error}") from error


def build_bank(
    features: Sequence[torch.Tensor],
    groups: Sequence[str],
    *,
    ratio: float,
    preprocessing: Preprocessing,
    generator: torch.Generator,
    device: torch.device | None = None,
    on_pick: Callable[[int], None] | None = None,
) -> MemoryBank:
    """Bank of the k-center-greedy coreset of all patches.

    Parameters
    ----------
    features : n tensors of shape (gh, gw, d)
        Patch features, one tensor per OK image.
    groups : n strings
        Group of each image: itself, or one id for near twins, which must be left out together.
    ratio : float
        Share of patches kept, in (0, 1]; 1 keeps the exact bank.
    device : torch.device, optional
        Where the patches are chosen; default: where the features lie.

    Raises
    ------
    FeatureError
        No image, shapes that differ, or a ratio that keeps nothing.
    """
    if len(features) == 0 or len(features) != len(groups):
        raise FeatureError(f"expected features and groups of at least one image, got {len(features)} and {len(groups)}")
    if len({tuple(f.shape) for f in features}) > 1:
        raise FeatureError("expected equal feature grids; resize all images to one input size first")
    names = tuple(sorted(set(groups)))
    index = {name: i for i, name in enumerate(names)}
    order = sorted(range(len(groups)), key=lambda i: index[groups[i]])  # stable: file order inside a group
    flat = torch.cat([features[i].reshape(-1, features[i].shape[-1]) for i in order])  # (n P, d)
    per_image = features[0].shape[0] * features[0].shape[1]
    source = torch.tensor([index[groups[i]] for i in order], dtype=torch.int32).repeat_interleave(per_image)
    size = coreset_size(len(flat), ratio)
    there = flat if device is None else flat.to(device)
    kept = k_center_greedy(there, size, generator=generator, on_pick=on_pick).sort().values
    return MemoryBank(
        features=flat[kept.to(flat.device)].cpu().numpy(),
        group=source[kept].numpy(),
        groups=names,
        n_patches=len(flat),
        preprocessing=preprocessing,
    )
