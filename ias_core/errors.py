"""The exception family of the core and of the services built on it.

IasError                    base: a page or the CLI shows its one sentence, never a traceback
├── ShapeError              an array has the wrong shape, dtype or range     (also ValueError)
├── ImageRefused            one picture cannot be used; the rest go on       (also ValueError)
├── IntakeRefused           a whole set cannot be used; carries .rejected    (also ValueError)
├── RoleConflict            a picture may not take this role                 (also ValueError)
├── FeatureError            features cannot be computed or do not fit        (also ValueError)
├── SynthesisError          no visible defect could be made                  (also ValueError)
├── BackboneUnavailable     the weights cannot be had on this machine        (also RuntimeError)
└── WeightsUnavailable      diffusion weights are not whole, or do not fit   (also RuntimeError)

A message is one sentence: what was expected, what came, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class IasError(Exception):
    """Anything the user can put right; its text is written for them."""


class ShapeError(IasError, ValueError):
    """An array does not have the shape, dtype or range that was asked for."""


class ImageRefused(IasError, ValueError):
    """One picture cannot be used.  The text is the reason, without the file's name."""


class IntakeRefused(IasError, ValueError):
    """A whole set of pictures cannot be used.

    Attributes
    ----------
    rejected : tuple
        Name and reason of every file that was turned away before the set was refused.
    """

    def __init__(self, message: str, rejected: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.rejected = tuple(rejected)


class RoleConflict(IasError, ValueError):
    """A picture was used in a way that forbids the role it is now asked to take."""


class FeatureError(IasError, ValueError):
    """Patch features cannot be computed, or do not belong to this memory bank."""


class SynthesisError(IasError, ValueError):
    """Every try to make a defect changed nothing that a person could see, or found no place on the part."""


class BackboneUnavailable(IasError, RuntimeError):
    """The backbone's weights are not on this machine and cannot be fetched."""


class WeightsUnavailable(IasError, RuntimeError):
    """Diffusion weights of the user's are not there, not whole, unsafe to open, or too large for this machine."""
