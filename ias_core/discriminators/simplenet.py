"""SimpleNet: Gaussian noise on good features, and a discriminator that tells them apart.

Liu, Zhou, Xu, Wang, "SimpleNet: A Simple Network for Image Anomaly Detection and Localization", CVPR 2023; repository
DonaldRR/SimpleNet. Adaptor and discriminator are anomalib 2.7.0's (GLASS has the same two), the truncated L1 loss is
its SuperSimpleNet's. The published discriminator is high for *normal*; here the sign is turned, higher = more
anomalous, which turns nothing else: max(0, th - D(u)) is max(0, th + logit(u)).

Ours: the noise has length 0.588 r0 (``training.patch_scale``), the published 0.588 in the unit of these features; steps
of a few patches instead of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from ias_core.discriminators.anomalib_parts import adaptor, logits_of, patch_discriminator, truncated_l1
from ias_core.discriminators.base import FeatureDiscriminator, Network, discriminators
from ias_core.discriminators.training import NOISE_LENGTH, Batch, TrainingSet, labels, noise, patch_scale


@discriminators.register("simplenet")
@dataclass(frozen=True, slots=True)
class SimpleNet(FeatureDiscriminator):
    """Noise of one size on every patch.  Inputs: good parts.

    hidden : width of the discriminator
    """

    hidden: int = field(default=1024, metadata={"min": 8, "max": 4096})

    name = "simplenet"

    def network(self, data: TrainingSet) -> Network:
        return SimpleNetNetwork(self, data)


class SimpleNetNetwork(Network):
    """Adaptor and discriminator with the truncated L1 loss."""

    def __init__(self, config: SimpleNet, data: TrainingSet) -> None:
        super().__init__()
        self.data = data
        self.adaptor = adaptor(data.width)
        self.discriminator = patch_discriminator(data.width, config.hidden)
        self.sigma = NOISE_LENGTH * patch_scale(data) / data.width**0.5

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.AdamW(self.adaptor.parameters(), lr=1e-4),
            torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, weight_decay=1e-5),
        ]

    def loss(self, batch: Batch) -> torch.Tensor:
        u = self.adaptor(batch.features.flatten(0, 1))
        g = u + noise(u.shape, self.sigma, self.data)
        logits = logits_of(self.discriminator, torch.cat([u, g]))
        return truncated_l1(logits, labels(logits, len(u)))

    def patch_logits(self, features: torch.Tensor, products: Sequence[str] | None) -> torch.Tensor:
        return logits_of(self.discriminator, self.adaptor(features))
