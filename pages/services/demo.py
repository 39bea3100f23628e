"""The embedded demo: real electroluminescence pictures of solar cells with real defects.

Source: the package elpv-dataset; Buerhop-Lutz et al., 35th EU PVSEC (2018), 1287-1289; Deitsch et al., Solar
Energy 185 (2019), 455-468.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ias_core.errors import IasError
from ias_core.folders import NG, OK, FoundFile
from pages.services.intake import Intake, Progress, import_found
from pages.services.workspace import Workspace

PACKAGE = "elpv-dataset"
LICENSE = (
    "Demo pictures: ELPV dataset, C. Buerhop-Lutz, S. Deitsch, A. Maier, F. Gallwitz, S. Berger, B. Doll, "
    "J. Hauch, C. Camus and C. J. Brabec; CC BY-NC-SA 4.0 (not for commercial use)."
)
_KIND = "mono"
_LABEL_OF_PROBABILITY = {0.0: OK, 1.0: NG}  # the cells between were doubtful to the experts, and are left out


def available() -> bool:
    """Whether the package with the demo pictures is installed."""
    return importlib.util.find_spec("elpv_dataset") is not None


def import_demo(ws: Workspace, *, progress: Progress | None = None) -> Intake:
    """Take the monocrystalline cells: defect probability 0 as OK, 1 as NG; errors as of ``found_files``."""
    return import_found(ws, found_files(), progress=progress)


def found_files() -> list[FoundFile]:
    """The pictures where the package keeps them, OK and NG.

    Raises
    ------
    IasError
        If the package is not installed.
    """
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise IasError(
            f"The demo pictures come with the package {PACKAGE}, which is not installed; "
            f"run `pip install {PACKAGE}`, or load a folder of your own."
        )
    data = Path(spec.origin).parent / "data"
    found = []
    for line in (data / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, cell = line.split()
        label = _LABEL_OF_PROBABILITY.get(float(probability))
        if cell == _KIND and label is not None:
            kind = "good" if label == OK else _KIND
            found.append(FoundFile(data / name, Path(name).name, label, None, kind))
    return found
