"""Small trained discriminators on patch features: a second opinion beside PatchCore.

Each method makes anomalies out of good parts' features and trains a small network to tell them apart. It was published
as a detector of its own; its scores are logits, in no unit that PatchCore knows, and need a threshold of their own.

DSR (Zavrtanik et al., ECCV 2022) is not among them. It needs a dictionary of image parts that was trained beforehand on
a large set of natural images; it is not embedded here and cannot be made from good parts of one product, and a toy
dictionary would not be DSR.

Importing this package registers every method that lies in it.
"""

from importlib import import_module
from pkgutil import iter_modules

from ias_core.discriminators.base import LocalAnomalies, PatchLogits, Trained, discriminators

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["LocalAnomalies", "PatchLogits", "Trained", "discriminators"]
