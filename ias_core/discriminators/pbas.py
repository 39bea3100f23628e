"""PBAS: each good patch pushed straight away from its centre, by a share of the mean distance.

Chen et al., "Progressive Boundary Guided Anomaly Synthesis for Industrial Anomaly Detection", IEEE TCSVT 2024, arXiv
2412.17458; repository cqylunlun/PBAS, whose code is the specification here. Adaptor and discriminator are anomalib
2.7.0's (GLASS has the same two). No noise and no texture: one anomaly for each patch, outward on its own ray, nearer as
the good patches draw together.

The push is relative (k r), so it needs no rescaling. Ours: steps of a few patches instead of all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from ias_core.discriminators.anomalib_parts import adaptor, logits_of, patch_discriminator
from ias_core.discriminators.base import FeatureDiscriminator, Network, discriminators
from ias_core.discriminators.training import Batch, TrainingSet, labels
from ias_core.errors import FeatureError

_MOMENTUM = 0.1
_COLLAPSED = 1e-3  # of the first r
_ROUNDING = 1e-5  # of a patch's length: a patch this near to its centre lies on it
_TICK_EVERY = 256


@discriminators.register("pbas")
@dataclass(frozen=True, slots=True)
class Pbas(FeatureDiscriminator):
    """Radial anomalies.  Inputs: good parts.

    hidden : width of the discriminator
    push : k, in mean distances of good patches to their centres
    """

    hidden: int = field(default=1024, metadata={"min": 8, "max": 4096})
    push: float = field(default=0.25, metadata={"min": 0.0, "max": 2.0})

    name = "pbas"

    def network(self, data: TrainingSet) -> Network:
        return PbasNetwork(self, data)


class PbasNetwork(Network):
    """Adaptor and discriminator with the compactness loss; its centres are those of the untrained adaptor."""

    def __init__(self, config: Pbas, data: TrainingSet) -> None:
        super().__init__()
        self.config = config
        self.adaptor = adaptor(data.width)
        self.discriminator = patch_discriminator(data.width, config.hidden)
        self.adaptor.to(data.device)
        with torch.no_grad():
            means = (
                self.adaptor(batch.features.mean(0)).cpu().numpy()  # linear: adapted mean = mean of adapted
                for batch in data.batches(config.images_per_step, 0)
            )
            self.centres = torch.from_numpy(aligned_centres(means, data.tick)).to(data.device)  # (p, d)
        self.first_radius: float | None = None
        self.n_dropped = 0

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(self.adaptor.parameters(), lr=1e-4, weight_decay=1e-5),
            torch.optim.AdamW(self.discriminator.parameters(), lr=2e-4),
        ]

    def loss(self, batch: Batch) -> torch.Tensor:
        u = self.adaptor(batch.features.flatten(0, 1))
        d = u - nearest_by_cosine(u.detach(), self.centres)
        away = d.detach().norm(dim=1) > _ROUNDING * u.detach().norm(dim=1)
        self.n_dropped += int((~away).sum())
        if not away.any():
            raise FeatureError("pbas: the good parts are copies of each other: add pictures of other parts")
        u, d = u[away], d[away]
        g, radius = pushed(u, d, self.config.push)
        self.check_radius(float(radius.detach()))
        logits = logits_of(self.discriminator, torch.cat([u, g]))
        return radius + 2 * F.binary_cross_entropy_with_logits(
            logits, labels(logits, len(u))
        )  # twice: the published is a sum of means

    def check_radius(self, r: float) -> None:
        """The compactness loss alone is best when all patches are one: then nothing is learned."""
        if self.first_radius is None:
            self.first_radius = r
        if not r > _COLLAPSED * self.first_radius:
            raise FeatureError(
                f"pbas: good patches drew together onto their centres (from {self.first_radius:.3g} to {r:.3g}), so "
                "nothing was learned about them: train on more pictures that differ"
            )

    def finish(self, data: TrainingSet) -> None:
        if self.n_dropped:
            self.notes.append(f"{self.n_dropped} times a patch lay on its centre and was left out")

    def patch_logits(self, features: torch.Tensor, products: Sequence[str] | None) -> torch.Tensor:
        return logits_of(self.discriminator, self.adaptor(features))


def pushed(u: torch.Tensor, d: torch.Tensor, push: float) -> tuple[torch.Tensor, torch.Tensor]:
    """AFS: g = u + k r d / |d| and r, the mean of |d|; the shift carries no gradient, r does.

    Examples
    --------
    >>> u = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    >>> g, r = pushed(u, u, 0.5)                               # centre at 0: distances 5 and 1
    >>> g, float(r)
    (tensor([[3.9000, 5.2000],
            [0.0000, 2.5000]]), 3.0)
    """
    distance = d.norm(dim=1, keepdim=True)
    radius = distance.mean()
    return u + (push * radius * d / distance).detach(), radius


def nearest_by_cosine(u: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """(n, d) and (p, d) to (n, d): for each patch the centre row with the largest cosine, wherever it lies."""
    return centres[(F.normalize(u, dim=1) @ F.normalize(centres, dim=1).T).argmax(1)]


def aligned_centres(means: Iterable[np.ndarray], tick: Callable[[], None] = lambda: None) -> np.ndarray:
    """ABL: centres (p, d) from batch means (p, d), one batch after the other.

    The first batch's mean is the start. Of each later one every row j moves the centre row i that has the largest
    cosine to it: c_i <- 0.9 c_i + 0.1 b_j, and the next row sees the moved one. So the order counts; it is drawn with
    the seed.
    """
    means = iter(means)
    centres = next(means).astype(np.float32, copy=True)
    unit = _unit(centres)
    for mean in means:
        for j, row in enumerate(mean.astype(np.float32, copy=False)):
            i = int((unit @ row).argmax())
            centres[i] = (1 - _MOMENTUM) * centres[i] + _MOMENTUM * row
            unit[i] = _unit(centres[i])
            if j % _TICK_EVERY == 0:
                tick()
    return centres


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
