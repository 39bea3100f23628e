"""``python -m tests``: install what app and tests need into this environment, then run every test."""

import os
import subprocess
import sys
from pathlib import Path

from tests.browser import ensure_browser

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    files = [ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt"]
    wanted = [argument for file in files for argument in ("-r", str(file))]
    code = subprocess.call([sys.executable, "-m", "pip", "install", "-q", *wanted])
    if code:
        print("python -m tests: pip could not install the requirements; its message is above", file=sys.stderr)
        return code
    print(f"browser: {ensure_browser()}", flush=True)
    # One file's tests stay in one process: they share what is slow to build. Files keep their order, else the longest
    # test, alone in its file, would start last.
    at_once = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadscope", "--no-loadscope-reorder"]
    # One thread each: as many processes as cores run side by side, and threads that wait for a core only spin.
    alone = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.call([sys.executable, "-m", "pytest", *at_once, *sys.argv[1:]], cwd=ROOT, env=alone)


if __name__ == "__main__":
    sys.exit(main())
