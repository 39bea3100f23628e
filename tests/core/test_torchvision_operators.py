"""``import torchvision`` works afterwards, and nothing is declared where the operators are whole.

Each case is its own process: an operator, once declared, stays. All but the first case put a stand-in for torchvision
in front of the real one, so that they say the same on every machine.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ASK = """
from ias_core.torchvision_operators import ensure_torchvision
declared = ensure_torchvision()
import torch, torchvision
has = {name: hasattr(torch.ops.torchvision, name) for name in ("nms", "qnms")}
assert ensure_torchvision() is declared, "the second call changed its mind"
"""


def run_python(code: str, first_on_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(p) for p in (first_on_path, ROOT) if p is not None)
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def stand_in(tmp_path):
    def write(code: str) -> Path:
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(code, encoding="utf-8")
        return tmp_path

    return write


def test_the_real_torchvision_imports_and_so_does_timm():
    done = run_python(ASK + "import torchvision.transforms.v2, timm\nprint(torchvision.__version__, has)")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "'nms': True" in done.stdout


def test_whole_operators_are_left_alone(stand_in):
    done = run_python(ASK + "print(declared, has)", stand_in(""))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "False {'nms': False, 'qnms': False}"


def test_missing_operators_are_declared_and_the_half_import_is_forgotten(stand_in):
    folder = stand_in(
        "import torch, torchvision.part\n"
        "if not hasattr(torch.ops.torchvision, 'nms'):\n"
        "    raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    (folder / "torchvision" / "part.py").write_text("print('part imported')\n", encoding="utf-8")
    done = run_python(ASK + "print(declared, has, torch.ops.torchvision.nms.default._schema)", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("part imported") == 2
    assert "True {'nms': True, 'qnms': True} torchvision::nms(Tensor dets, Tensor scores, float iou_th" in done.stdout


def test_another_failure_is_not_hidden(stand_in):
    done = run_python(ASK, stand_in("raise RuntimeError('libjpeg is broken')"))
    assert done.returncode != 0
    assert "libjpeg is broken" in done.stderr
