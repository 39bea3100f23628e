"""What a method trained on top of diffusion weights: a few tensors, and what is to be told about the training."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ias_core.errors import SynthesisError

if TYPE_CHECKING:
    import torch

MEASURED = ("seconds", "peak_memory_bytes")  # of ``meta``: true of one run on one machine, so no part of the digest


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """Belongs to one method and to one set of weights.

    method : str                    registered name
    backend : str                   digest of the weights it was trained on
    tensors : dict                  name -> tensor, on the CPU once loaded
    meta : dict                     JSON-ready: steps, seconds, loss (at most 100 points), sources (names), seed,
                                    peak_memory_bytes, and what the method must know to use the tensors
    """

    method: str
    backend: str
    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any]

    @property
    def digest(self) -> str:
        """sha256 over method, weights, tensors, and all that is told but ``MEASURED``."""
        from safetensors.torch import save

        told = {key: value for key, value in self.meta.items() if key not in MEASURED}
        sha = hashlib.sha256(json.dumps([self.method, self.backend, told], sort_keys=True).encode())
        sha.update(save(self._plain()))
        return sha.hexdigest()

    def save(self, path: Path) -> None:
        """Write safetensors with the rest as its metadata: the whole file, or the one that was there before."""
        from safetensors.torch import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        told = {"method": self.method, "backend": self.backend, "meta": json.dumps(self.meta)}
        try:
            save_file(self._plain(), beside, metadata=told)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Adapter:
        """Raises SynthesisError if the file is none that ``save`` wrote."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                told = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls(told["method"], told["backend"], tensors, json.loads(told["meta"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise SynthesisError(
                f"expected a training on your NG at {path}, it could not be read ({error}): train again"
            ) from error

    def check(self, method: str, backend: str) -> None:
        """Refuse to be used by another method, or over other weights.

        Raises
        ------
        SynthesisError
            With which of the two it was made for.
        """
        if self.method != method:
            raise SynthesisError(f"expected a training of {method}, got one of {self.method}: train {method}")
        if self.backend != backend:
            raise SynthesisError(
                f"the training of {method} was made over weights {self.backend[:12]}, loaded are {backend[:12]}: load "
                "the same weights, or train again"
            )

    def _plain(self) -> dict[str, torch.Tensor]:
        """On the CPU, each with memory of its own, as the file format wants them."""
        return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(self.tensors.items())}
