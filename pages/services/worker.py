"""The worker process: takes jobs from the table one at a time, runs them, writes how far they are.

Started by ``jobs.ensure_worker``.  Runs outside the script thread, so a page may be reloaded or closed
meanwhile.  A runner may be ended at any moment (the server dies): it writes its files whole or not at all.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from calibration.errors import CalibrationError
from ias_core.errors import IasError
from pages.services import jobs
from pages.services.workspace import Workspace

# Named, not imported: a runner pulls in torch, and the worker should be up before that.
RUNNERS: Mapping[str, str] = {
    "intake": "pages.services.intake_job:run_job",
    "pipeline": "pages.services.pipeline:run_job",
    "detector": "pages.services.detection:run_job",
    "score": "pages.services.detection:score_job",
    "synthesis": "pages.services.synthesis:run_job",
    "seeds": "pages.services.seeds:run_job",
    "opinion": "pages.services.opinion:run_job",
    "pixel-model": "pages.services.pixel_model:run_job",
    "adapter": "pages.services.adapters:run_job",
    "export": "pages.services.line_export:run_job",
    "watch": "pages.services.watch_log:run_job",
}

_POLL_S = 0.25
_REPORT_S = 0.2
_UNEXPECTED = "unexpected error; details in worker.log"


class Progress:
    """What a runner calls as ``progress(stage, done, total, message="")``, as often as it likes.

    Writes a new stage at once and otherwise at most five times a second; with each write it learns whether
    the job was cancelled.  A runner that calls it every 0.8 s or oftener stops within a second.

    Raises
    ------
    JobCancelled
        From the first write after ``jobs.cancel`` on, at every call: catching it once does not revive a job.
    """

    def __init__(self, ws: Workspace, job: jobs.Job) -> None:
        self._ws = ws
        self._job_id = job.id
        self._stage: str | None = None
        self._done = 0
        self._stage_started = time.time()
        self._last_call = self._stage_started
        self._next_write = 0.0  # on the monotonic clock
        self._cancelled = False

    def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
        now = time.time()
        new_stage = stage != self._stage
        if new_stage or done < self._done:  # fewer done: the stage began again, e.g. with half the batch
            # If the first report comes after some steps, they were made since the last call.
            self._stage_started = now if done == 0 else self._last_call
        self._stage, self._done, self._last_call = stage, done, now
        clock = time.monotonic()
        if new_stage or clock >= self._next_write:
            self._next_write = clock + _REPORT_S
            self._cancelled |= jobs.report(
                self._ws,
                self._job_id,
                stage=stage,
                done=int(done),
                total=int(total),
                message=message,
                stage_started=self._stage_started,
            )
        if self._cancelled:
            raise jobs.JobCancelled


def run_next(ws: Workspace, runners: Mapping[str, str] = RUNNERS) -> bool:
    """Run the oldest waiting job to its end, whatever that end is; False if none waits."""
    job = jobs.claim_next(ws)
    if job is None:
        return False
    try:
        jobs.finish(ws, job.id, "done", result=_runner(job.kind, runners)(ws, job.params, Progress(ws, job)))
    except jobs.JobCancelled:
        jobs.finish(ws, job.id, "cancelled")
    except (IasError, CalibrationError) as error:
        jobs.finish(ws, job.id, "failed", error=str(error))
    except Exception:  # a bug: the page says so, the log says which
        with (ws.root / jobs.LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(f"\n{time.strftime('%Y-%m-%d %H:%M:%S')} job {job.id} ({job.kind}) failed\n")
            log.write(traceback.format_exc())
        jobs.finish(ws, job.id, "failed", error=_UNEXPECTED)
    return True


def _runner(kind: str, runners: Mapping[str, str]) -> Any:
    if kind not in runners:
        raise IasError(f"Expected a job of the kind {', '.join(sorted(runners))}, got {kind!r}.")
    module, _, function = runners[kind].partition(":")
    return getattr(importlib.import_module(module), function)


def main(argv: Sequence[str] | None = None, *, runners: Mapping[str, str] = RUNNERS) -> int:
    """Work until standard input ends, that is, until the process that started this one is gone."""
    parser = argparse.ArgumentParser(prog="python -m pages.services.worker", description=__doc__)
    parser.add_argument("--workspace", required=True, metavar="DIR")
    ws = Workspace(parser.parse_args(argv).workspace)
    faulthandler.enable()
    place = jobs.take_place(ws)
    if place is None:
        return 0
    with place:
        _end_with_server()
        while True:
            if not run_next(ws, runners):
                time.sleep(_POLL_S)


def _end_with_server() -> None:
    """End this process as soon as its standard input is closed at the other end."""
    # The pipe moves away from standard input, and nothing takes its place: on Windows, libraries that ask
    # for the type of standard input while they load would wait for our blocked read.
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        while os.read(pipe, 1024):
            pass
        os._exit(0)  # the main thread may be deep inside a computation and cannot be asked

    threading.Thread(target=watch, name="end-with-server", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
