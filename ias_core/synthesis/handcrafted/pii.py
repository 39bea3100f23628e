"""PII, Poisson image interpolation: FPI's square, mixed by gradients instead of intensities, so that it has no seam.

Tan, Hou, Day, Simpson, Rueckert, Kainz, "Detecting Outliers with Poisson Image Interpolation", MICCAI 2021,
arXiv 2107.02622; values as in the authors' repository jemtan/PII (self_sup_task_poisson.py, poissonBlend.py).
"""

from dataclasses import dataclass, field

import numpy as np

from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.fpi import ForeignPatch
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.poisson import Pixels, solve
from ias_core.synthesis.recipe import Draw, Scene


def interpolate_gradients(first: np.ndarray, second: np.ndarray, mask: np.ndarray, factor: float) -> np.ndarray:
    """The first picture with, for each pair of neighbours in the mask, the stronger of two weighted gradients.

    ``factor`` times the second's, or (1 - ``factor``) times the first's where that is larger in magnitude.

    Parameters
    ----------
    first, second : ndarray of shape (h, w, 3)
        float32, in register; each channel on its own, while the authors' code has only one.
    mask : ndarray of shape (h, w)
        bool; the picture's outermost ring is left out.
    factor : float
        In [0, 1].

    Returns
    -------
    ndarray of shape (h, w, 3)
        Clipped to each channel's smallest and largest value of the first picture.

    Examples
    --------
    >>> a, mask = np.random.default_rng(0).uniform(0, 0.5, (9, 9, 3)), np.ones((9, 9), bool)
    >>> bool(np.allclose(interpolate_gradients(a, a + 0.3, mask, 1.0), a))  # a constant has no gradient
    True
    """

    def guide(p: Pixels, q: Pixels) -> np.ndarray:
        own = (1 - factor) * (first[p].astype(np.float64) - first[q])
        other = factor * (second[p].astype(np.float64) - second[q])
        return np.where(np.abs(own) > np.abs(other), own, other)

    return np.clip(solve(first, mask, guide), first.min((0, 1)), first.max((0, 1)))


@synthesizers.register("pii")
@dataclass(frozen=True, slots=True)
class PII(ForeignPatch):
    """A square with gradients of another OK image, no seam.  Family: hand-crafted, self-contained.  Space: image.

    See ``ForeignPatch``. Other than in FPI the factor cannot be the severity: at 1 it gives the other image's surface
    whole, and between two like images that is no change, while at 0.5 the contrast of both is halved. So it is drawn as
    published, 0.05 to 0.95, and the severity is the opacity of the result; ours, 1 is as published. An even difference
    between the two images vanishes: the mask is where something changed.
    """

    factor_min: float = field(default=0.05, metadata={"min": 0.0, "max": 1.0})
    factor_max: float = field(default=0.95, metadata={"min": 0.0, "max": 1.0})

    name = "pii"

    def __post_init__(self) -> None:
        ForeignPatch.__post_init__(self)
        check_range("factors", self.factor_min, self.factor_max)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        box, settings = self.square(scene, rng)
        factor = float(rng.uniform(self.factor_min, self.factor_max))
        donor, source = scene.donor(rng)
        written = np.zeros(scene.picture.shape[:2], bool)
        written[box] = True
        written[[0, -1]] = written[:, [0, -1]] = False  # they have no rim
        if scene.foreground is not None:
            written &= scene.foreground  # solved up to the part's edge, so that no seam lies there
        published = interpolate_gradients(scene.picture, donor, written, factor)
        picture = scene.picture.copy()
        picture[box] = (1 - severity) * picture[box] + severity * published[box]
        return Draw(picture, written, source, settings | {"factor": factor})
