"""The parts of anomalib's GLASS and SuperSimpleNet that run on features at hand, without a backbone.

Where anomalib 2.7.0 departs from the published methods, or is not reproducible, it is wrapped here:

- both discriminators end in a sigmoid whose output has no order left near 0 and 1 (float32): ``logits_of`` stops before
  it;
- the Perlin generator takes CUDA wherever there is one and draws from the global random state: ``region_noise`` stays
  on the CPU, and callers seed and fork that state (``training.seeded``);
- where no pixel of a Perlin field passes the threshold, anomalib stretches the field until some do; the published code
  leaves the mask empty and calls the sample good;
- its Perlin field fails on maps below 32 cells a side: there a field of 32 is resized.

Importing anomalib takes several seconds, so every part is imported when it is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F

from ias_core.torchvision_operators import ensure_torchvision

TRUNCATION = 0.5  # th of the truncated L1 loss
_LEAST_SIDE = 32  # anomalib's Perlin lattice has up to 32 cells a side and fails on a smaller field


@contextmanager
def _importing() -> Iterator[None]:
    ensure_torchvision()
    with warnings.catch_warnings():  # anomalib imports parts of timm and of itself that are on their way out
        warnings.simplefilter("ignore", FutureWarning)
        yield


def adaptor(d: int) -> torch.nn.Module:
    """One linear layer d -> d with bias, Xavier-normal (GLASS, PBAS, CRAS, SimpleNet)."""
    with _importing():
        from anomalib.models.image.glass.components import Projection
    return Projection(d, d, n_layers=1)


def patch_discriminator(d: int, hidden: int) -> torch.nn.Module:
    """d -> hidden, batch norm, leaky ReLU 0.2, hidden -> 1 without bias (GLASS, PBAS, SimpleNet); see ``logits_of``."""
    with _importing():
        from anomalib.models.image.glass.components import Discriminator
    return Discriminator(d, n_layers=2, hidden=hidden)


def logits_of(discriminator: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    """(..., d) to (...): anomalib's ``Discriminator`` up to its sigmoid."""
    flat = discriminator.body(features.reshape(-1, features.shape[-1]))
    return discriminator.tail[0](flat).reshape(features.shape[:-1])


def init_weight(module: torch.nn.Module) -> None:
    """GLASS's start of linear layers and batch norms, for ``Module.apply``."""
    with _importing():
        from anomalib.models.image.glass.components.init_weight import init_weight as theirs
    theirs(module)


def focal_loss(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """GLASS's focal loss (gamma 2, no class weight, smoothing 1e-5) of (n,) probabilities of an anomaly."""
    return _focal_loss()(torch.stack([1 - probabilities, probabilities], 1), labels[:, None])


@cache  # it has no state, and every training step asks for it
def _focal_loss() -> torch.nn.Module:
    with _importing():
        from anomalib.models.image.glass.loss import FocalLoss
    return FocalLoss()


def supersimplenet_heads(d: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Adaptor, and segmentation with detection head; the map is detached before the detection head."""
    with _importing():
        from anomalib.models.image.supersimplenet.torch_model import FeatureAdapter, SegmentationDetectionModule
    return FeatureAdapter(d), SegmentationDetectionModule(d, stop_grad=True)


@cache  # as above
def supersimplenet_loss() -> torch.nn.Module:
    """Truncated L1 and focal loss (gamma 4) of the map, focal loss of the image."""
    with _importing():
        from anomalib.models.image.supersimplenet.loss import SSNLoss
    return SSNLoss(truncation_term=TRUNCATION)


def truncated_l1(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """mean max(0, th + logit) where the label is 0, plus mean max(0, th - logit) where it is 1; th = 0.5."""
    return supersimplenet_loss().trunc_l1_loss(logits, labels)


def region_noise(sigma: float, threshold: float) -> torch.nn.Module:
    """SuperSimpleNet's generator of noise in Perlin regions, for ``draw_regions``."""
    with _importing():
        from anomalib.data.utils.generators import generate_perlin_noise
        from anomalib.models.image.supersimplenet.anomaly_generator import AnomalyGenerator

    class OnCpu(AnomalyGenerator):
        def generate_perlin(self, batches: int, height: int, width: int) -> torch.Tensor:
            masks = []
            for _ in range(batches):
                padded = (max(_LEAST_SIDE, self.next_power_2(side)) for side in (height, width))
                field = generate_perlin_noise(*padded, device=torch.device("cpu"))
                field = F.interpolate(field[None, None], size=(height, width), mode="bilinear")
                mask = (field > self.threshold).int()
                masks.append(mask if float(torch.rand(1)) <= 0.5 else torch.zeros_like(mask))
            return torch.cat(masks)  # (batches, 1, height, width)

    return OnCpu(0.0, sigma, threshold)


def draw_regions(
    generator: torch.nn.Module, n: int, d: int, grid: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise to add to n maps, taken twice each as the published training does; half of the 2n stay clean.

    Draws from the global random state of the CPU: call it inside ``training.seeded``.

    Returns
    -------
    noise : (2n, d, gh, gw) float32   0 outside the regions
    masks : (2n, 1, gh, gw) float32   0 or 1
    labels : (2n,) float32            1 where the mask is not empty
    """
    _, noise, masks, labels = generator(None, torch.zeros(n, d, *grid), torch.zeros(n, 1, *grid), torch.zeros(n))
    return noise, masks, labels
