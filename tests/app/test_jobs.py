"""The job table and the worker: one job at a time, visible from everywhere, no way to lose one in silence.

The runners at the top are what the worker runs here; ``python -m tests.app.test_jobs`` is a worker with them.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from calibration.errors import CalibrationError
from ias_core.errors import ImageRefused
from pages.services import jobs, worker
from pages.services.workspace import Workspace

MODULE = "tests.app.test_jobs"
REPO_ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # for another process on a busy machine; a pass needs a small part of it


# --- runners: they run in the worker process ---------------------------------------------------------------


def add(ws, params, progress):
    progress("adding", 0, 2)
    total = params["a"] + params["b"]
    progress("adding", 2, 2, "nearly there")
    return {"sum": total}


def wait_for_file(ws, params, progress):
    """Runs until the test puts the file there, or until it is cancelled."""
    polls = 0
    while not (ws.root / "go").exists():
        polls += 1
        progress("waiting", polls, 0, "waiting for the test")
        time.sleep(0.01)
    return {"pid": os.getpid()}


def deaf(ws, params, progress):
    """Never reports, as if inside a long computation."""
    time.sleep(600)


def who_am_i(ws, params, progress):
    return {"pid": os.getpid(), "modules": [m for m in ("streamlit", "torch") if m in sys.modules]}


def refuse(ws, params, progress):
    raise ImageRefused("The picture is empty; export it again.")


def no_scores(ws, params, progress):
    raise CalibrationError("Expected at least 2 OK scores, got 1.")


def bug(ws, params, progress):
    return {}["nowhere"]


def no_json(ws, params, progress):
    return {"path": Path("x")}


def stubborn(ws, params, progress):
    """Catches the cancellation once, as a broad ``except`` around a batch would."""
    jobs.cancel(ws, params["id"])
    try:
        progress("first", 1, 2)
    except jobs.JobCancelled:
        progress("second", 1, 2)
    return {}


RUNNERS = {
    f.__name__: f"{MODULE}:{f.__name__}"
    for f in (add, wait_for_file, deaf, who_am_i, refuse, no_scores, bug, no_json, stubborn)
}


# --- helpers -----------------------------------------------------------------------------------------------


@pytest.fixture
def ws(tmp_path) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path / "workspace")
    yield workspace
    jobs.stop_worker(workspace)


@pytest.fixture
def in_place(ws) -> Iterator[Workspace]:
    """This process is the worker."""
    place = jobs.take_place(ws)
    with place:
        yield ws


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def ended(ws: Workspace, job: jobs.Job) -> jobs.Job:
    until(lambda: not jobs.get(ws, job.id).is_active)
    return jobs.get(ws, job.id)


def reached(ws: Workspace, job: jobs.Job, stage: str) -> None:
    until(lambda: jobs.get(ws, job.id).stage == stage)


def running(ws: Workspace, job: jobs.Job) -> None:
    until(lambda: jobs.get(ws, job.id).state == "running")


def worker_pid(ws: Workspace) -> int:
    return jobs._workers[ws.root].pid


# --- the table ---------------------------------------------------------------------------------------------


def test_a_job_is_queued_with_all_its_fields(ws):
    before = time.time()
    job = jobs.submit(ws, "add", {"a": 1, "b": [2, "ü"]})
    assert (job.kind, job.params, job.state) == ("add", {"a": 1, "b": [2, "ü"]}, "queued")
    assert (job.stage, job.done, job.total, job.message, job.error) == ("", 0, 0, "", "")
    assert job.result is job.started is job.stage_started is job.finished is None
    assert before <= job.created <= time.time()
    assert job.is_active
    assert jobs.get(Workspace(ws.root), job.id) == job == jobs.latest(ws, "add")


def test_what_is_not_there_is_none(ws):
    assert jobs.get(ws, 1) is None
    assert jobs.latest(ws, "add") is None
    assert jobs.active(ws) == ()


def test_the_same_job_is_queued_once(ws):
    job = jobs.submit(ws, "add", {"a": 1, "b": 2})
    assert jobs.submit(ws, "add", {"b": 2, "a": 1}) == job
    other = jobs.submit(ws, "add", {"a": 1, "b": 3})
    kind = jobs.submit(ws, "who_am_i", {"a": 1, "b": 2})
    assert jobs.active(ws) == (job, other, kind)
    assert jobs.latest(ws, "add") == other


def test_the_same_job_is_queued_once_from_many_threads(ws):
    with ThreadPoolExecutor(8) as pool:
        ids = {job.id for job in pool.map(lambda _: jobs.submit(ws, "add", {"a": 1}), range(32))}
    assert len(ids) == len(jobs.active(ws)) == 1


def test_params_must_be_json(ws):
    with pytest.raises(TypeError):
        jobs.submit(ws, "add", {"a": Path("x")})
    assert jobs.active(ws) == ()


def test_after_the_end_the_same_job_runs_again(in_place):
    first = jobs.submit(in_place, "add", {"a": 1, "b": 2})
    assert worker.run_next(in_place, RUNNERS)
    assert jobs.submit(in_place, "add", {"a": 1, "b": 2}).id != first.id


def test_a_waiting_job_is_cancelled_at_once(in_place):
    job = jobs.submit(in_place, "add", {"a": 1, "b": 2})
    cancelled = jobs.cancel(in_place, job.id)
    assert cancelled.state == "cancelled" and cancelled.finished is not None
    assert not worker.run_next(in_place, RUNNERS)
    assert jobs.cancel(in_place, job.id) == cancelled


def test_cancelling_an_unknown_job_says_so(ws):
    with pytest.raises(jobs.IasError, match="no job 7"):
        jobs.cancel(ws, 7)


def test_a_job_that_is_being_cancelled_does_not_stand_for_a_new_one(in_place):
    job = jobs.submit(in_place, "add", {"a": 1, "b": 2})
    jobs.claim_next(in_place)
    jobs.cancel(in_place, job.id)
    assert jobs.submit(in_place, "add", {"a": 1, "b": 2}).id != job.id


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 20.0),
        ({"done": 100}, 0.0),
        ({"done": 120}, 0.0),  # more steps than announced
        ({"done": 0}, None),
        ({"total": 0}, None),
        ({"state": "queued"}, None),
        ({"state": "done"}, None),
        ({"stage_started": None}, None),
    ],
)
def test_eta(change, expected):
    job = jobs.Job(1, "add", {}, "running", "features", 20, 100, "", "", None, 0.0, 5.0, 10.0, None)
    assert jobs.eta_s(replace(job, **change), now=15.0) == expected


# --- running one job ---------------------------------------------------------------------------------------


def test_a_job_that_works(in_place):
    job = jobs.submit(in_place, "add", {"a": 1, "b": 2})
    assert worker.run_next(in_place, RUNNERS)
    after = jobs.get(in_place, job.id)
    assert (after.state, after.result, after.error) == ("done", {"sum": 3}, "")
    assert after.stage == "adding"
    assert job.created <= after.started <= after.finished
    assert not worker.run_next(in_place, RUNNERS)


def test_jobs_run_in_the_order_they_came(in_place):
    ids = [jobs.submit(in_place, "add", {"a": a, "b": 0}).id for a in range(3)]
    for job_id in ids:
        worker.run_next(in_place, RUNNERS)
        assert jobs.get(in_place, job_id).state == "done"


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("refuse", "The picture is empty; export it again."),
        ("no_scores", "Expected at least 2 OK scores, got 1."),
        ("unheard_of", "got 'unheard_of'"),
    ],
)
def test_an_expected_error_is_shown_as_its_sentence(in_place, kind, sentence):
    job = jobs.submit(in_place, kind, {})
    worker.run_next(in_place, RUNNERS)
    after = jobs.get(in_place, job.id)
    assert after.state == "failed" and sentence in after.error and after.result is None
    assert not (in_place.root / "worker.log").exists()


@pytest.mark.parametrize(("kind", "cause"), [("bug", "KeyError: 'nowhere'"), ("no_json", "TypeError")])
def test_a_bug_goes_to_the_log_and_the_next_job_runs(in_place, kind, cause):
    job = jobs.submit(in_place, kind, {})
    after = jobs.submit(in_place, "add", {"a": 1, "b": 2})
    worker.run_next(in_place, RUNNERS)
    worker.run_next(in_place, RUNNERS)
    failed = jobs.get(in_place, job.id)
    assert (failed.state, failed.error) == ("failed", "unexpected error; details in worker.log")
    log = (in_place.root / "worker.log").read_text("utf-8")
    assert f"job {job.id} ({kind})" in log and "Traceback" in log and cause in log
    assert jobs.get(in_place, after.id).state == "done"


def test_catching_the_cancellation_does_not_revive_a_job(in_place):
    job = jobs.submit(in_place, "stubborn", {"id": 1})
    worker.run_next(in_place, RUNNERS)
    assert jobs.get(in_place, job.id).state == "cancelled"


def test_every_runner_is_named_by_module_and_function():
    for target in worker.RUNNERS.values():
        module, _, function = target.partition(":")
        assert module.startswith("pages.services.")
        assert callable(getattr(importlib.import_module(module), function))


# --- progress ----------------------------------------------------------------------------------------------


class Clock:
    """Both clocks of the worker, moved by hand."""

    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(worker.time, "time", lambda: self.now)
        monkeypatch.setattr(worker.time, "monotonic", lambda: self.now)


@pytest.fixture
def claimed(in_place) -> jobs.Job:
    jobs.submit(in_place, "add", {})
    return jobs.claim_next(in_place)


def test_progress_writes_five_times_a_second(in_place, claimed, monkeypatch):
    writes = []
    monkeypatch.setattr(worker.jobs, "report", lambda ws, job_id, **row: writes.append(row["done"]) or False)
    clock = Clock(monkeypatch)
    progress = worker.Progress(in_place, claimed)
    for step in range(1001):  # a second, a call every millisecond
        progress("scoring", step, 1001)
        clock.now += 0.001
    assert 5 <= len(writes) <= 6


def test_a_new_stage_is_seen_at_once(in_place, claimed, monkeypatch):
    clock = Clock(monkeypatch)
    progress = worker.Progress(in_place, claimed)
    progress("features", 3, 3)
    clock.now += 0.01
    progress("coreset", 0, 1, "a long step without reports")
    seen = jobs.get(in_place, claimed.id)
    assert (seen.stage, seen.done, seen.total) == ("coreset", 0, 1)
    assert seen.message == "a long step without reports"


def test_cancel_is_raised_within_a_second(in_place, claimed, monkeypatch):
    clock = Clock(monkeypatch)
    progress = worker.Progress(in_place, claimed)
    progress("scoring", 1, 99)
    jobs.cancel(in_place, claimed.id)
    start = clock.now
    with pytest.raises(jobs.JobCancelled):
        for step in range(99):
            clock.now += 0.1
            progress("scoring", step, 99)
    assert clock.now - start < 1.0


def test_the_pace_is_that_of_the_stage(in_place, claimed, monkeypatch):
    clock = Clock(monkeypatch)
    progress = worker.Progress(in_place, claimed)

    def eta() -> float:
        return pytest.approx(jobs.eta_s(jobs.get(in_place, claimed.id), clock.now))

    clock.now += 10
    progress("features", 0, 10)
    clock.now += 2
    progress("features", 2, 10)
    assert eta() == 8.0
    clock.now += 8
    progress("features", 10, 10)
    clock.now += 4
    progress("scoring", 1, 6)  # first report after one step: it took 4 s
    assert eta() == 20.0
    clock.now += 1
    progress("scoring", 0, 6)  # again, with half the batch
    clock.now += 1
    progress("scoring", 3, 6)
    assert eta() == 1.0


# --- the worker process ------------------------------------------------------------------------------------


def test_the_worker_runs_what_is_queued_and_everybody_sees_it(ws):
    held = jobs.submit(ws, "wait_for_file", {})
    waiting = jobs.submit(ws, "add", {"a": 1, "b": 2})
    assert not jobs.worker_alive(ws)
    jobs.ensure_worker(ws, module=MODULE)
    reached(ws, held, "waiting")

    second_tab = Workspace(ws.root)
    assert jobs.worker_alive(second_tab)
    assert [job.state for job in jobs.active(second_tab)] == ["running", "queued"]  # one at a time
    assert jobs.latest(second_tab, "wait_for_file").message == "waiting for the test"

    pid = worker_pid(ws)
    jobs.ensure_worker(ws, module=MODULE)
    assert worker_pid(ws) == pid

    (ws.root / "go").touch()
    assert ended(ws, held).state == "done"
    assert ended(ws, waiting).result == {"sum": 3}


def test_the_worker_starts_light(ws):
    """No streamlit ever, and torch only with the runner that needs it."""
    job = jobs.submit(ws, "who_am_i", {})
    jobs.ensure_worker(ws, module=MODULE)
    result = ended(ws, job).result
    assert result["modules"] == [] and result["pid"] != os.getpid()


def test_the_worker_named_in_the_app_starts(ws):
    jobs.ensure_worker(ws)
    until(lambda: jobs.worker_alive(ws))
    job = jobs.submit(ws, "add", {})  # not one of its kinds
    assert f"Expected a job of the kind {', '.join(sorted(worker.RUNNERS))}" in ended(ws, job).error


def test_a_running_job_is_cancelled_and_the_next_one_runs(ws):
    job = jobs.submit(ws, "wait_for_file", {})
    jobs.ensure_worker(ws, module=MODULE)
    reached(ws, job, "waiting")
    assert jobs.cancel(ws, job.id).is_active  # it stops by itself, at its next report
    after = jobs.submit(ws, "add", {"a": 1, "b": 2})
    assert ended(ws, job).state == "cancelled"
    assert ended(ws, after).state == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("kind", ["wait_for_file", "deaf"])
def test_a_killed_worker_is_seen_at_the_next_look(ws, kind):
    job = jobs.submit(ws, kind, {})
    waiting = jobs.submit(ws, "add", {"a": 1, "b": 2})
    jobs.ensure_worker(ws, module=MODULE)
    running(ws, job)
    pid = worker_pid(ws)
    os.kill(pid, signal.SIGKILL)
    jobs._workers[ws.root].wait()

    seen = jobs.get(ws, job.id)
    assert seen.state == "interrupted" and "start it again" in seen.error and seen.finished is not None
    assert jobs.recover(ws) == 0
    assert [job.id for job in jobs.active(ws)] == [waiting.id]

    jobs.ensure_worker(ws, module=MODULE)
    assert ended(ws, waiting).state == "done"
    assert worker_pid(ws) != pid
    assert jobs.get(ws, job.id) == seen  # not taken up again by itself


def test_recover_counts_the_orphans(ws):
    with jobs.take_place(ws):
        job = jobs.submit(ws, "add", {})
        jobs.claim_next(ws)
        assert jobs.recover(ws) == 0
        assert jobs.get(ws, job.id).state == "running"
    assert jobs.recover(ws) == 1
    assert jobs.get(ws, job.id).state == "interrupted"


def test_a_new_worker_does_not_take_an_orphan_for_its_own(ws):
    with jobs.take_place(ws):
        job = jobs.submit(ws, "add", {})
        jobs.claim_next(ws)
    with jobs.take_place(ws):  # nobody looked in between
        assert jobs.get(ws, job.id).state == "interrupted"


def test_cancelling_an_orphan_shows_it_as_interrupted(ws):
    with jobs.take_place(ws):
        job = jobs.submit(ws, "add", {})
        jobs.claim_next(ws)
    assert jobs.cancel(ws, job.id).state == "interrupted"


def test_the_place_is_taken_once(ws):
    with jobs.take_place(ws):
        assert jobs.worker_alive(ws)
        assert jobs.take_place(ws) is None
    assert not jobs.worker_alive(ws)


def test_never_two_workers(ws):
    command = [sys.executable, "-m", MODULE, "--workspace", str(ws.root)]
    started = [subprocess.Popen(command, cwd=REPO_ROOT, stdin=subprocess.PIPE) for _ in range(4)]
    try:
        until(lambda: sum(process.poll() is None for process in started) == 1)
        assert sorted(str(process.returncode) for process in started) == ["0", "0", "0", "None"]
        assert jobs.worker_alive(ws)
        job = jobs.submit(ws, "who_am_i", {})
        jobs.ensure_worker(ws, module=MODULE)
        assert ws.root not in jobs._workers  # the other one is good enough
        assert ended(ws, job).state == "done"
    finally:
        for process in started:
            process.stdin.close()
            process.wait()


@pytest.mark.parametrize("kind", ["wait_for_file", "deaf"])
def test_the_worker_ends_with_its_server(ws, kind):
    job = jobs.submit(ws, kind, {})
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from pages.services import jobs\n"
            "from pages.services.workspace import Workspace\n"
            f"jobs.ensure_worker(Workspace(sys.argv[1]), module={MODULE!r})\n"
            "time.sleep(600)\n",
            str(ws.root),
        ],
        cwd=REPO_ROOT,
    )
    try:
        running(ws, job)
    finally:
        server.kill()
        server.wait()
    until(lambda: not jobs.worker_alive(ws))
    assert jobs.get(ws, job.id).state == "interrupted"


def test_stopping_a_worker_twice_does_no_harm(ws):
    jobs.ensure_worker(ws, module=MODULE)
    until(lambda: jobs.worker_alive(ws))
    jobs.stop_worker(ws)
    assert not jobs.worker_alive(ws)
    jobs.stop_worker(ws)


def test_the_result_survives_the_worker(ws):
    job = jobs.submit(ws, "add", {"a": 1, "b": 2})
    jobs.ensure_worker(ws, module=MODULE)
    done = ended(ws, job)
    jobs.stop_worker(ws)
    assert jobs.get(ws, job.id) == done
    assert json.loads(json.dumps(done.result)) == {"sum": 3}


if __name__ == "__main__":
    sys.exit(worker.main(runners=RUNNERS))
