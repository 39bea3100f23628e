"""How much memory a piece of work took at its highest: of the process, and of a CUDA device where it runs on one."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

_INTERVAL_S = 0.02


class PeakMemory:
    """A context whose ``bytes`` are the highest that was seen in it.

    On a CUDA device it is what torch had allocated there; on the CPU the resident memory of the whole process, looked
    at 50 times a second, with all that lay in it before.

    Examples
    --------
    >>> import numpy as np
    >>> with PeakMemory() as peak:
    ...     before, held = peak.bytes, np.ones(20_000_000)
    >>> peak.bytes - before > 100_000_000
    True
    """

    def __init__(self, device: str = "cpu") -> None:
        self._cuda = device if device.startswith("cuda") else ""
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        if self._cuda:
            sys.modules["torch"].cuda.reset_peak_memory_stats(self._cuda)
            return self
        import psutil

        self._process = psutil.Process()
        self._ended = threading.Event()
        self._look()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cuda:
            self.bytes = sys.modules["torch"].cuda.max_memory_allocated(self._cuda)
            return
        self._ended.set()
        self._watcher.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)
