"""Kill a process at random moments while it works, and read what it had said by then."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence

from tests.app.server import ROOT

# The program's first part runs once; each run of the second part is a process of its own, forked where work begins.
_PRELUDE = """
import json, os, select, signal, sys, time
delays, arguments, run = json.loads(sys.argv[1]), sys.argv[2:], 0
def work_may_begin():
    global run
    for run, delay in enumerate(delays):
        hear, say = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(say, 1)
            os.close(hear), os.close(say)
            return
        os.close(say)
        said, end = b"", time.monotonic() + delay
        while (left := end - time.monotonic()) > 0 and select.select([hear], [], [], left)[0]:
            if not (some := os.read(hear, 65536)):
                break
            said += some
        os.kill(child, signal.SIGKILL)
        while some := os.read(hear, 65536):
            said += some
        os.close(hear)
        how = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([how, said.decode(errors="replace")]), flush=True)
    os._exit(0)
"""


def killed_at_random(
    program: str, arguments: Sequence[str] = (), *, n: int, seed: int, within_s: float = 0.05
) -> list[list[str]]:
    """Run a program ``n`` times, one after the other, and kill -9 each within ``within_s`` of its start of work.

    Parameters
    ----------
    program : str
        Python source. It imports what it needs, calls ``work_may_begin()``, and then works without an end, printing a
        line, flushed, for each thing it has done. ``run`` is its number, ``arguments`` are those given here. Up to the
        call it runs once for all, so it may open nothing there that two processes cannot share.

    Returns
    -------
    list of lists of str
        Whole lines of each run, without line ends. A line cut off by the kill was never shown and is left out.

    Raises
    ------
    RuntimeError
        If the program fails, or a run ends by itself, which proves nothing.
    """
    rng = random.Random(seed)
    delays = [rng.uniform(0.0, within_s) for _ in range(n)]
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + program, json.dumps(delays), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    alive = [run for run, (how, _) in enumerate(runs) if how != -signal.SIGKILL]
    if done.returncode or len(runs) != n or alive:
        raise RuntimeError(f"expected {n} runs, each killed; {len(runs)} ran, {alive} ended alone: {done.stderr}")
    return [said.split("\n")[:-1] for _, said in runs]
