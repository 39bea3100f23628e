"""Where the arithmetic runs: device choice, and smaller batches when memory runs out."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ias_core.errors import FeatureError

_Result = TypeVar("_Result")
DEVICES = ("auto", "cuda", "mps", "cpu")


def choose_device(wish: str = "auto") -> tuple[torch.device, str]:
    """Best device this machine has, or the one asked for.

    Returns
    -------
    device : torch.device
    notice : str
        Empty, or a sentence when the wish could not be met and the CPU is used instead.

    Raises
    ------
    ValueError
        If ``wish`` is none of ``DEVICES``.
    """
    if wish not in DEVICES:
        raise ValueError(f"expected a device among {', '.join(DEVICES)}, got {wish!r}")
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wish == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if have[name])), ""
    if have[wish]:
        return torch.device(wish), ""
    return torch.device("cpu"), f"This machine has no {wish.upper()} device; the CPU was used instead."


def is_out_of_memory(error: BaseException) -> bool:
    """True for the ways in which torch says that a device has no memory left (CUDA, MPS, CPU)."""
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(words in str(error).lower() for words in ("out of memory", "not enough memory", "can't allocate"))
    )


class BatchRunner:
    """Runs a function over batches on a device; halves the batch on out-of-memory, then falls back to the CPU.

    Parameters
    ----------
    device : torch.device
    batch_size : int
        First size tried; what is learned by halving is kept for later calls.
    on_device_change : callable(torch.device)
        Moves whatever the function holds (the backbone) when the CPU takes over.
    """

    def __init__(self, device: torch.device, batch_size: int, on_device_change: Callable[[torch.device], None]) -> None:
        self.device = device
        self.batch_size = batch_size
        self.notices: list[str] = []
        self._on_device_change = on_device_change

    def __call__(self, function: Callable[[Sequence, torch.device], list], items: Sequence) -> list:
        """``function(batch, device)`` returns one result per item; results come back in the order of ``items``."""
        results: list = []
        while len(results) < len(items):
            batch = items[len(results) : len(results) + self.batch_size]
            try:
                results.extend(function(batch, self.device))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._retreat(error)
        return results

    def _retreat(self, error: BaseException) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch_size > 1:
            self.batch_size //= 2
        elif self.device.type != "cpu":
            self.notices.append(
                f"The {self.device.type.upper()} device ran out of memory on a single image; the CPU took over."
            )
            self.device = torch.device("cpu")
            self._on_device_change(self.device)
        else:
            raise FeatureError("one image does not fit into this machine's memory: use a smaller input size") from error


def or_on_cpu(action: Callable[[torch.device], _Result], device: torch.device, *, doing: str) -> tuple[_Result, str]:
    """``action(device)``, repeated on the CPU if the device runs out of memory.

    Returns
    -------
    result
    notice : str
        Empty, or a sentence that says the CPU took over while ``doing``.
    """
    try:
        return action(device), ""
    except Exception as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
    if device.type == "cuda":
        torch.cuda.empty_cache()
    notice = f"The {device.type.upper()} device ran out of memory while {doing}; the CPU took over."
    return action(torch.device("cpu")), notice
