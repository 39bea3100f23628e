"""SuperSimpleNet: noise in Perlin regions of the feature map, half of the maps clean; a map head and an image head.

Rolih, Fucka, Skocaj, "SuperSimpleNet: Unifying Unsupervised and Supervised Learning for Fast and Reliable Surface
Defect Detection", ICPR 2024; repository blaz-r/SuperSimpleNet. Adaptor, heads, loss and noise generator are anomalib
2.7.0's, wrapped where it departs from them (``anomalib_parts``). As in anomalib's default the image head sees the
features before the adaptor, with the same noise. The image score is the image head's logit; the published score is its
sigmoid, which orders images alike until it saturates. Real NG never join the training here: they would be used up.

Ours: the noise has length 0.588 r0 (``training.patch_scale``). Features at hand lie on the grid of the finest layer;
the published maps are twice as fine, resized before pooling. To resize them now would add no detail and take four times
as long, so ``upscale`` is 1. A step takes a window of each map, as the other methods take a few patches: a batch then
holds many images for the time of few, without which its batch norms see little but the images of the moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from ias_core.discriminators.anomalib_parts import (
    draw_regions,
    region_noise,
    supersimplenet_heads,
    supersimplenet_loss,
)
from ias_core.discriminators.base import FeatureDiscriminator, Network, discriminators
from ias_core.discriminators.training import NOISE_LENGTH, Batch, TrainingSet, patch_scale, seeded

_RATE, _AT = 0.4, (0.8, 0.9)  # the learning rate falls to this share at these shares of the epochs


@discriminators.register("supersimplenet")
@dataclass(frozen=True, slots=True)
class SuperSimpleNet(FeatureDiscriminator):
    """Noise in regions, scores for map and image.  Inputs: good parts.

    window : side of the window that a step takes of each map, as a share of the map's; 1 takes the whole map
    threshold : of the Perlin field; published 0.2 (MVTec AD) and 0.6 (VisA)
    upscale : how much finer the map becomes before the heads; published 2
    """

    patches_per_image: int = field(default=0, metadata={"min": 0, "max": 0})
    window: float = field(default=0.5, metadata={"min": 0.25, "max": 1.0})
    threshold: float = field(default=0.2, metadata={"min": 0.0, "max": 0.9})
    upscale: int = field(default=1, metadata={"min": 1, "max": 2})

    name = "supersimplenet"

    def network(self, data: TrainingSet) -> Network:
        return SuperSimpleNetNetwork(self, data)


class SuperSimpleNetNetwork(Network):
    """Adaptor, map head and image head."""

    def __init__(self, config: SuperSimpleNet, data: TrainingSet) -> None:
        super().__init__()
        self.data = data
        self.config = config
        self.adaptor, self.heads = supersimplenet_heads(data.width)
        self.criterion = supersimplenet_loss()
        self.generator = region_noise(NOISE_LENGTH * patch_scale(data) / data.width**0.5, config.threshold)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        groups = [
            {"params": self.adaptor.parameters(), "lr": 1e-4},
            {"params": self.heads.parameters(), "lr": 2e-4, "weight_decay": 1e-5},
        ]
        optimizer = torch.optim.AdamW(groups)
        milestones = [int(self.data.epochs * share) for share in _AT]
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=_RATE)
        return [optimizer]

    def new_epoch(self, epoch: int) -> None:
        if epoch:
            self.schedule.step()

    def loss(self, batch: Batch) -> torch.Tensor:
        maps = self._windows(self._maps(batch.features.unflatten(1, self.data.features.shape[1:3])))
        n, d, h, w = maps.shape
        with seeded(int(torch.randint(2**31, (1,), generator=self.data.generator))):
            noise, masks, labels = (drawn.to(maps.device) for drawn in draw_regions(self.generator, n, d, (h, w)))
        adapted = self.adaptor(maps)
        anomaly_map, score = self.heads(adapted.repeat(2, 1, 1, 1) + noise, maps.repeat(2, 1, 1, 1) + noise)
        return self.criterion(anomaly_map, score, masks, labels)

    def logits(self, maps: torch.Tensor, products: Sequence[str] | None) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self._maps(maps)
        anomaly_map, score = self.heads(self.adaptor(maps), maps)
        return score, anomaly_map[:, 0]

    def _maps(self, features: torch.Tensor) -> torch.Tensor:
        """(b, gh, gw, d) to (b, d, h, w)."""
        maps = features.permute(0, 3, 1, 2)
        if self.config.upscale == 1:
            return maps.contiguous()
        return F.interpolate(maps, scale_factor=self.config.upscale, mode="bilinear", align_corners=True)

    def _windows(self, maps: torch.Tensor) -> torch.Tensor:
        """(b, d, h, w) to (b, d, h', w'), one drawn window of each."""
        h, w = (max(1, round(self.config.window * side)) for side in maps.shape[2:])
        free = torch.tensor([maps.shape[2] - h + 1, maps.shape[3] - w + 1])
        starts = (torch.rand(len(maps), 2, generator=self.data.generator) * free).long().tolist()
        return torch.stack(
            [map_[:, top : top + h, left : left + w] for map_, (top, left) in zip(maps, starts, strict=True)]
        )
