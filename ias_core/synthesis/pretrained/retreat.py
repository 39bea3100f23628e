"""Diffusion weights that outlive a lack of memory: a smaller plan, told in a sentence, instead of a dead session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ias_core.devices import is_out_of_memory
from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.loading import free_memory, release
from ias_core.synthesis.pretrained.plans import Plan, smaller

_Result = TypeVar("_Result")


class BackendRunner:
    """Runs actions on loaded weights; when memory runs out, loads them by the next smaller plan and starts again.

    Parameters
    ----------
    load : callable(Plan) -> Backend
    plan : Plan
        First plan tried; what is learned is kept for later actions.
    """

    def __init__(self, load: Callable[[Plan], Backend], plan: Plan) -> None:
        self.plan = plan
        self.notices: list[str] = []
        self._load = load
        self._backend: Backend | None = None

    @property
    def backend(self) -> Backend:
        """The weights, loaded if they are not; may raise what ``__call__`` catches."""
        if self._backend is None:
            self._backend = self._load(self.plan)
        return self._backend

    def __call__(self, action: Callable[[Backend], _Result]) -> _Result:
        """``action(backend)``; it may run more than once, so it keeps nothing of a try that failed.

        Raises
        ------
        WeightsUnavailable
            Memory runs out under the smallest plan too.
        """
        while True:
            try:
                return action(self.backend)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self._retreat()  # outside of the handler: the error's traceback would keep its tensors alive

    def release(self) -> None:
        """Give the memory back; the next action loads the weights again."""
        if self._backend is None:
            free_memory()
        else:
            release(self._backend)
            self._backend = None

    def _retreat(self) -> None:
        self.release()
        plan = smaller(self.plan)
        if plan is None:
            raise WeightsUnavailable(
                f"memory ran out even on the {self.plan.device.upper()} at {self.plan.side_px} px: close other "
                "programs, or use smaller weights"
            )
        self.plan = plan
        self.notices += plan.why
