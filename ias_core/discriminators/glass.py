"""GLASS: noise on good features, made hard by gradient ascent, and pictures with local defects.

Chen, Luo, Lv, Zhang, "A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly Detection and
Localization", ECCV 2024, arXiv 2407.09359; repository cqylunlun/GLASS, with anomalib 2.7.0's adaptor, discriminator and
focal loss. Under the manifold hypothesis an anomaly lies in a shell around its own patch, under the hypersphere
hypothesis in a shell around the centre of its grid position. GLASS picks one of them by a table or by statistics of the
pictures; here both are registered, and the user picks.

Ours: sizes are in units of r0 (``training.patch_scale``; the published 1 is r0); steps of a few patches instead of all;
the ascent sees the discriminator in eval mode, so that a patch's anomaly does not depend on the other patches and half
made anomalies leave no trace in the batch norm; the gradient passes from an anomaly to its good patch unchanged; the
binary cross entropy is taken from logits, which is the same number without its rounding. The pictures with local
defects (LAS) are made once and not anew in every epoch. Which pictures may be used: those that are trained on. One made
from a calibration or check picture would teach the network that picture, and its threshold would promise too much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F

from ias_core.discriminators.anomalib_parts import adaptor, focal_loss, logits_of, patch_discriminator
from ias_core.discriminators.base import FeatureDiscriminator, Network, discriminators
from ias_core.discriminators.training import NOISE_LENGTH, Batch, TrainingSet, noise, patch_scale
from ias_core.errors import FeatureError

_PROJECT_EVERY = 5


@dataclass(frozen=True, slots=True)
class _Glass(FeatureDiscriminator):
    """What both hypotheses share.

    hidden : width of the discriminator
    steps, patches_per_image : half of the other methods' each, because of the ascents in every step
    ascents : T, steps of gradient ascent
    ascent : eta, length of one, in r0
    quantile : of the distances to the centre, the sphere's radius
    ohem : quantile of squared errors below which a patch of a LAS picture is left out; 0 keeps all
    """

    steps: int = field(default=1200, metadata={"min": 1, "max": 100_000})
    patches_per_image: int = field(default=32, metadata={"min": 0, "max": 4096})
    hidden: int = field(default=1024, metadata={"min": 8, "max": 4096})
    ascents: int = field(default=20, metadata={"min": 0, "max": 100})
    ascent: float = field(default=0.001, metadata={"min": 0.0, "max": 0.1})
    quantile: float = field(default=0.75, metadata={"min": 0.0, "max": 1.0})
    ohem: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})

    takes_las: ClassVar[bool] = True
    sphere: ClassVar[bool]

    def network(self, data: TrainingSet) -> Network:
        return GlassNetwork(self, data, sphere=self.sphere)


@discriminators.register("glass-manifold")
@dataclass(frozen=True, slots=True)
class GlassManifold(_Glass):
    """GLASS, anomalies around their own patch.  Inputs: good parts, and LAS pictures of them if there are any."""

    name = "glass-manifold"
    sphere = False


@discriminators.register("glass-hypersphere")
@dataclass(frozen=True, slots=True)
class GlassHypersphere(_Glass):
    """GLASS, anomalies around the centre of their position.  Inputs: as above; wants parts that lie in one place."""

    name = "glass-hypersphere"
    sphere = True


class GlassNetwork(Network):
    """Adaptor and discriminator with GLASS's loss: BCE of good and of shifted patches, focal loss of LAS patches."""

    def __init__(self, config: _Glass, data: TrainingSet, *, sphere: bool) -> None:
        super().__init__()
        self.config, self.data, self.sphere = config, data, sphere
        self.adaptor = adaptor(data.width)
        self.discriminator = patch_discriminator(data.width, config.hidden)
        self.scale = patch_scale(data)
        self.mean_map = data.mean_map()
        if data.las is None:
            self.notes.append("no pictures with local defects were given: learned from shifted features alone")

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(self.adaptor.parameters(), lr=1e-4, weight_decay=1e-5),
            torch.optim.AdamW(self.discriminator.parameters(), lr=2e-4),
        ]

    def new_epoch(self, epoch: int) -> None:
        """Centre of every grid position; the adaptor is linear, so the mean of adapted features is the adapted mean."""
        with torch.no_grad():
            self.centres = self.adaptor(self.mean_map)  # (p, d)

    def loss(self, batch: Batch) -> torch.Tensor:
        u = self.adaptor(batch.features.flatten(0, 1))  # (b k, d)
        centre = self.centres[batch.cells].flatten(0, 1)
        v = y = None
        if batch.las_features is not None:
            v, y = self.adaptor(batch.las_features.flatten(0, 1)), batch.las_labels.flatten()
        if self.sphere:
            low = self._radius(u, v, y, centre)
            origin, high = centre, 2 * low
        else:
            origin, low, high = u.detach(), 0.5 * self.scale, self.scale
        g = u + (self._anomalies(u.detach(), origin, low, high) - u.detach())
        logits = logits_of(self.discriminator, torch.cat([u, g]))
        loss = _bce(logits[: len(u)], 0.0) + _bce(logits[len(u) :], 1.0)
        if v is None:
            return loss
        if self.sphere:
            inside = (y > 0)[:, None]
            v = torch.where(inside, truncated_projection(v, centre, 2 * low, 4 * low), v)
        p = logits_of(self.discriminator, v).sigmoid()
        hard = hard_examples(p.detach(), y, self.config.ohem)
        return loss + focal_loss(p[hard], y[hard])

    def _anomalies(
        self, u: torch.Tensor, origin: torch.Tensor, low: float | torch.Tensor, high: float | torch.Tensor
    ) -> torch.Tensor:
        """GAS: noise, then the anomaly that looks most normal within its shell."""
        g = u + noise(u.shape, NOISE_LENGTH * self.scale / u.shape[1] ** 0.5, self.data)
        self.discriminator.eval()
        for step in range(1, self.config.ascents + 1):
            g = ascend(lambda x: logits_of(self.discriminator, x), g, self.config.ascent * self.scale)
            if step % _PROJECT_EVERY == 0:
                g = truncated_projection(g, origin, low, high)
            self.data.tick()
        self.discriminator.train()
        return g

    def _radius(
        self, u: torch.Tensor, v: torch.Tensor | None, y: torch.Tensor | None, centre: torch.Tensor
    ) -> torch.Tensor:
        """r: quantile of the distances of this batch's good patches to their centres."""
        with torch.no_grad():
            distances = [(u - centre).norm(dim=1)]
            if v is not None:
                distances.append((v - centre).norm(dim=1)[y == 0])
            radius = torch.quantile(torch.cat(distances), self.config.quantile)
        if not float(radius) > 0:
            raise FeatureError(f"{self.config.name}: good patches all lie on their centres: add pictures that differ")
        return radius

    def patch_logits(self, features: torch.Tensor, products: Sequence[str] | None) -> torch.Tensor:
        return logits_of(self.discriminator, self.adaptor(features))


def ascend(logits: Callable[[torch.Tensor], torch.Tensor], g: torch.Tensor, length: float) -> torch.Tensor:
    """One step of every patch up the loss BCE(D(g), 1): towards what the discriminator takes for normal.

    ``logits`` maps (n, d) to (n,) and must not mix patches, as a discriminator in eval mode does not.
    """
    with torch.enable_grad():
        g = g.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_bce(logits(g), 1.0), g)
    norm = gradient.norm(dim=1, keepdim=True)
    return g.detach() + length * gradient / norm.clamp_min(torch.finfo(norm.dtype).tiny)


def truncated_projection(
    g: torch.Tensor, origin: torch.Tensor, low: float | torch.Tensor, high: float | torch.Tensor
) -> torch.Tensor:
    """Move each g along its ray from ``origin`` into the shell low <= |g - origin| <= high.

    A g that lies on its origin has no ray and stays.

    Examples
    --------
    >>> truncated_projection(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), torch.zeros(2, 2), 1.0, 2.0)
    tensor([[1.2000, 1.6000],
            [0.6000, 0.8000]])
    """
    h = g - origin
    norm = h.norm(dim=-1, keepdim=True)
    return origin + h * (norm.clamp(low, high) / norm.clamp_min(torch.finfo(norm.dtype).tiny))


def hard_examples(probabilities: torch.Tensor, labels: torch.Tensor, quantile: float) -> torch.Tensor:
    """OHEM: (n,) bool, the patches whose squared error is at or above its quantile in the batch.

    Examples
    --------
    >>> hard_examples(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([0.0, 0.0, 0.0]), 0.5)
    tensor([False,  True,  True])
    """
    error = (probabilities - labels) ** 2
    return error >= torch.quantile(error, quantile)


def _bce(logits: torch.Tensor, label: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
