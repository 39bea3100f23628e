"""Kill a process at random moments while it works, and read what it had said by then."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from tests.app.server import ROOT

READY = "ready"


def killed_at_random(
    program: str, arguments: Sequence[str] = (), *, n: int, seed: int, within_s: float = 0.05, ahead: int = 2
) -> list[list[str]]:
    """Run a program ``n`` times, one after the other, and kill -9 each within ``within_s`` of its start of work.

    Parameters
    ----------
    program : str
        Python source. It imports what it needs, calls ``work_may_begin()``, and then works without an end, printing a
        line for each thing it has done. ``run`` is its number, ``arguments`` what is in ``sys.argv[1:]``.
    ahead : int
        Processes that import while another works; none works before the one before it is dead.

    Returns
    -------
    list of lists of str
        Whole lines of each run, without line ends. A line cut off by the kill was never shown and is left out.

    Raises
    ------
    RuntimeError
        If a run ends by itself, which proves nothing.
    """
    rng, waiting, said = random.Random(seed), [], []
    try:
        for run in range(n):
            while len(waiting) < min(ahead, n - run):
                waiting.append(_start(program, [str(run + len(waiting)), *arguments]))
            said.append(_work_and_die(waiting.pop(0), rng.uniform(0.0, within_s)))
    finally:
        for process in waiting:
            process.kill()
            process.communicate()
    return said


_PRELUDE = f"""
import sys
run, arguments = int(sys.argv.pop(1)), sys.argv[1:]
def work_may_begin():
    print({READY!r}, flush=True)
    sys.stdin.readline()
"""


def _start(program: str, arguments: Sequence[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + program, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _work_and_die(process: subprocess.Popen, delay_s: float) -> list[str]:
    if process.stdout.readline().strip() != READY.encode():
        raise RuntimeError(f"the program failed before its work began: {process.communicate()[1].decode()}")
    killer = threading.Timer(delay_s, process.kill)
    process.stdin.write(b"\n")
    process.stdin.flush()
    killer.start()
    out, err = process.communicate()  # reads while it works, so that a full pipe never holds it up
    killer.join()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the program ended by itself: {err.decode()}")
    return [line.decode() for line in out.split(b"\n")[:-1]]
