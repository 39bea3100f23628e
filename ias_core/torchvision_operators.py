"""Makes ``import torchvision`` work where its compiled operators cannot load.

The package registry holds one Linux build of torchvision, made for CUDA. Beside a CPU-only torch its
library does not load, and the import dies with "operator torchvision::nms does not exist" although nothing
here calls ``nms``. Declaring the two missing schemas lets it, and so timm, anomalib and diffusers, import.
"""

import importlib
import sys

_SCHEMAS = {name: f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms")}
_declared = []  # torch.library.Library objects: a declaration lasts as long as its object


def ensure_torchvision() -> bool:
    """Import torchvision, declaring its two missing operators only if the plain import needs them.

    Returns
    -------
    bool
        True if the operators had to be declared (calling them would still fail), False if torchvision is whole.
    """
    if "torchvision" not in sys.modules:
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
            _forget_half_imported()
            _declare()
            importlib.import_module("torchvision")
    return bool(_declared)


def _forget_half_imported() -> None:
    for name in [m for m in sys.modules if m == "torchvision" or m.startswith("torchvision.")]:
        del sys.modules[name]


def _declare() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS.values():
        library.define(schema)
    _declared.append(library)
