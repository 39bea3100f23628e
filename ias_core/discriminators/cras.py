"""CRAS: one discriminator for several products, on residuals to the nearest centre of the product.

Chen et al., "Center-aware Residual Anomaly Synthesis for Multi-class Industrial Anomaly Detection", IEEE TII 2025,
arXiv 2505.17551; repository cqylunlun/CRAS, whose code is the specification here (the paper's names of its modules
could not be mapped with certainty). The adaptor is anomalib 2.7.0's.

Ours: without a product's name the product of each image is found for that image alone. The published code takes the
most frequent product of the batch for all its images, which mislabels the others of a mixed batch; there is no such
vote here. An image that looks less like every product than any training image like its own is refused, if there are
several; of n training images of a product, so is about one in n + 1 good parts to come, until its name is given. The
noise has length 0.588 r0 (``training.patch_scale``), and steps take a few patches instead of all.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F

from ias_core.discriminators.anomalib_parts import adaptor, init_weight
from ias_core.discriminators.base import FeatureDiscriminator, Network, discriminators
from ias_core.discriminators.pbas import nearest_by_cosine
from ias_core.discriminators.training import NOISE_LENGTH, Batch, TrainingSet, labels, noise, patch_scale
from ias_core.errors import FeatureError

_LEAST_DISTANCE = 1e-6  # of the mean: a patch on its centre has no ratio


@discriminators.register("cras")
@dataclass(frozen=True, slots=True)
class Cras(FeatureDiscriminator):
    """Noise that is larger for patches near their centre.  Inputs: good parts of one or several products, named.

    guidance : k, how far the noise follows the distance; 0 is SimpleNet's noise
    """

    guidance: float = field(default=0.3, metadata={"min": 0.0, "max": 1.0})

    name = "cras"
    takes_products: ClassVar[bool] = True

    def network(self, data: TrainingSet) -> Network:
        for product in set(data.products):
            if data.products.count(product) < 2:
                raise FeatureError(f"cras: expected at least 2 good parts of each product, {product!r} has 1: add more")
        return CrasNetwork(self, data)


class CrasNetwork(Network):
    """Adaptor, centres of the untrained adaptor for each product and grid position, discriminator of width 2 d."""

    def __init__(self, config: Cras, data: TrainingSet) -> None:
        super().__init__()
        self.config, self.data = config, data
        self.products = tuple(sorted(set(data.products)))
        self.own = torch.tensor([self.products.index(product) for product in data.products])
        self.adaptor = adaptor(data.width).to(data.device)
        self.untrained = deepcopy(self.adaptor).requires_grad_(False)
        self.discriminator = residual_discriminator(data.width)
        self.sigma = NOISE_LENGTH * patch_scale(data) / data.width**0.5
        with torch.no_grad():
            self.centres = torch.stack([self.untrained(data.mean_map(name)) for name in self.products])  # (K, p, d)
        self.least_similar = torch.inf

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.AdamW(self.adaptor.parameters(), lr=1e-4),
            torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, weight_decay=1e-5),
        ]

    def loss(self, batch: Batch) -> torch.Tensor:
        u = self.adaptor(batch.features)  # (b, k, d)
        z = torch.cat([self._nearest(of, int(k)) for of, k in zip(u.detach(), self.own[batch.rows], strict=True)])
        u = u.flatten(0, 1)
        e = noise(u.shape, self.sigma, self.data)
        g = u + guided(e, (u - z).detach(), self.config.guidance)
        logits = self._discriminate(torch.cat([u, g]), torch.cat([z, z]))
        return 2 * F.binary_cross_entropy_with_logits(
            logits, labels(logits, len(u))
        )  # twice: the published is a sum of means

    @torch.no_grad()
    def finish(self, data: TrainingSet) -> None:
        """Similarity of the training image that looks least like its product, each held against the others' centre.

        An image's own share in the centre would make it look nearer than any image to come.
        """
        if len(self.products) == 1:
            return
        for image, k in zip(data.features, self.own.tolist(), strict=True):
            data.tick()
            x = data.standard(image.to(data.device)).flatten(0, 1)
            n = data.products.count(self.products[k])
            of_others = (n * self.centres[k] - self.untrained(x)) / (n - 1)
            similarity = F.cosine_similarity(self.adaptor(x).flatten(), of_others.flatten(), dim=0)
            self.least_similar = min(self.least_similar, float(similarity))

    def patch_logits(self, features: torch.Tensor, products: Sequence[str] | None) -> torch.Tensor:
        u = self.adaptor(features)  # (b, p, d)
        own = self._named(products) if products is not None else self._found(u)
        z = torch.stack([self._nearest(of, k) for of, k in zip(u, own, strict=True)])
        return self._discriminate(u, z)

    def _discriminate(self, u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        flat = torch.cat([u, u - z], -1).reshape(-1, 2 * u.shape[-1])
        return self.discriminator(flat).reshape(u.shape[:-1])

    def _nearest(self, u: torch.Tensor, product: int) -> torch.Tensor:
        return nearest_by_cosine(u, self.centres[product])

    def _similarities(self, u: torch.Tensor) -> torch.Tensor:
        """(b, K) cosine of the whole feature map to each product's."""
        return F.normalize(u.flatten(1), dim=1) @ F.normalize(self.centres.flatten(1), dim=1).T

    def _found(self, u: torch.Tensor) -> list[int]:
        if len(self.products) == 1:
            return [0] * len(u)
        likeness, own = self._similarities(u).max(1)
        for similarity in likeness.tolist():
            if similarity < self.least_similar:
                raise FeatureError(
                    f"cras: an image looks like none of the products {', '.join(self.products)} (similarity "
                    f"{similarity:.3f}, training images at least {self.least_similar:.3f}): say which product it shows"
                )
        return own.tolist()

    def _named(self, products: Sequence[str]) -> list[int]:
        unknown = sorted(set(products) - set(self.products))
        if unknown:
            raise FeatureError(f"cras was trained on {', '.join(map(repr, self.products))}, not on {unknown[0]!r}")
        return [self.products.index(product) for product in products]


def residual_discriminator(d: int) -> torch.nn.Sequential:
    """Patch and residual side by side, 2 d -> d -> d / 2 -> 1; batch norm and leaky ReLU between."""
    half = max(1, d // 2)
    layers = torch.nn.Sequential(
        torch.nn.Linear(2 * d, d),
        torch.nn.BatchNorm1d(d),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Linear(d, half),
        torch.nn.BatchNorm1d(half),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Linear(half, 1, bias=False),
    )
    return layers.apply(init_weight)


def guided(e: torch.Tensor, residual: torch.Tensor, guidance: float) -> torch.Tensor:
    """a e: noise that grows where the patch is near its centre.

    q = |e| / |u - z|, divided by its mean over the batch, and a = 1 + k (q - 1), so that a is 1 on average and at least
    1 - k.

    Examples
    --------
    >>> e = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> guided(e, torch.tensor([[0.0, 1.0], [0.0, 3.0]]), 0.3)         # q = 1 and 1/3: normalised 1.5 and 0.5
    tensor([[1.1500, 0.0000],
            [0.8500, 0.0000]])
    """
    distance = residual.norm(dim=1)
    q = e.norm(dim=1) / (distance + _LEAST_DISTANCE * distance.mean())
    return (1 + guidance * (q / q.mean() - 1))[:, None] * e
