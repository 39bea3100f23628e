"""Batches of standardised patch features, the unit that made-up anomalies are measured in, and seeded randomness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ias_core.errors import FeatureError

# GLASS, CRAS, SimpleNet and SuperSimpleNet add noise of sigma 0.015 to 1,536 numbers: its length is 0.588 there.
NOISE_LENGTH = 0.015 * 1536**0.5
_SCALE_PATCHES = 512
_SCALE_NUMBERS = 1 << 22  # distances at once
_LEAST_SPREAD = 1e-6  # of the largest channel's: below, a channel is constant but for rounding


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """Takes the mean from each channel and divides by its spread, both of the training patches.

    mean, std : (d,) float32   ``std`` is 1 for a channel without spread
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        return (features.float() - self.mean) / self.std


def standard_of(features: torch.Tensor, device: torch.device) -> Standard:
    """Mean and spread of every channel over all patches of (n, gh, gw, d).

    Raises
    ------
    FeatureError
        If no channel varies.
    """
    d = features.shape[-1]
    total, squares = torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
    for image in features:  # one at a time: a float64 copy of all would not fit
        total += image.reshape(-1, d).double().sum(0)
    mean = total / (features.numel() // d)
    for image in features:
        squares += ((image.reshape(-1, d).double() - mean) ** 2).sum(0)
    std = (squares / (features.numel() // d)).sqrt()
    largest = float(std.max())
    if not largest > _LEAST_SPREAD * max(1.0, float(mean.abs().max())):
        raise FeatureError("all patch features are equal: there is nothing to learn; check that the pictures differ")
    std = torch.where(std > _LEAST_SPREAD * largest, std, 1.0)
    return Standard(mean.float().to(device), std.float().to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Patches of b images, k each, at the same grid cells in good part and defect picture.

    rows : (b,) int64            places of the images in the training set
    cells : (b, k) int64         flat grid positions
    features : (b, k, d) float32 standardised
    las_features : (b, k, d) float32 or None
    las_labels : (b, k) float32 or None   1 inside the defect
    """

    rows: torch.Tensor
    cells: torch.Tensor
    features: torch.Tensor
    las_features: torch.Tensor | None
    las_labels: torch.Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Good parts to learn from, and what a network needs to draw on them.

    features : (n, gh, gw, d)   as given, in main memory
    standard : Standard         on the device that trains
    las : features (n, gh, gw, d) and masks (n, gh, gw), or None
    products : n strings, all "" for one product
    epochs : int
    generator : torch.Generator  of the CPU, so that draws do not depend on the device
    tick : tells how far training is; may raise to cancel
    """

    features: torch.Tensor
    standard: Standard
    las: tuple[torch.Tensor, torch.Tensor] | None
    products: tuple[str, ...]
    epochs: int
    generator: torch.Generator
    tick: Callable[[], None]

    @property
    def width(self) -> int:
        """d."""
        return self.features.shape[-1]

    @property
    def device(self) -> torch.device:
        return self.standard.mean.device

    def mean_map(self, product: str = "") -> torch.Tensor:
        """(p, d) mean over the product's images of the standardised features at each grid position."""
        total = torch.zeros(self.features.shape[1:], dtype=torch.float64)
        for image, own in zip(self.features, self.products, strict=True):
            if own == product:
                total += image.double()
        mean = total / self.products.count(product)
        return self.standard(mean.reshape(-1, self.width).float().to(self.device))

    def batches(self, images: int, patches: int) -> Iterator[Batch]:
        """One epoch in a drawn order; ``patches`` of each image's, drawn without repetition; 0: all, in grid order.

        The published codes take all patches of an image. Neighbouring patches are near copies of each other, so a draw
        says nearly as much for a fraction of the time (ours).
        """
        n, gh, gw, d = self.features.shape
        p = gh * gw
        for rows in torch.randperm(n, generator=self.generator).split(images):
            if 0 < patches < p:
                cells = torch.rand(len(rows), p, generator=self.generator).argsort(1)[:, :patches]
            else:
                cells = torch.arange(p).expand(len(rows), p)
            las_features = las_labels = None
            if self.las is not None:
                features, masks = self.las
                las_features = self.standard(_taken(features, rows, cells).to(self.device))
                las_labels = _taken(masks.unsqueeze(-1), rows, cells)[..., 0].float().to(self.device)
            yield Batch(
                rows=rows,
                cells=cells.to(self.device),
                features=self.standard(_taken(self.features, rows, cells).to(self.device)),
                las_features=las_features,
                las_labels=las_labels,
            )


def _taken(maps: torch.Tensor, rows: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """(n, gh, gw, d) at rows (b,) and flat cells (b, k): (b, k, d)."""
    gw = maps.shape[2]
    return maps[rows[:, None], cells // gw, cells % gw]


def patch_scale(data: TrainingSet) -> float:
    """r0: median distance from a patch to the nearest patch of another image, in standardised features.

    The published sizes (noise of length 0.588, shells from 0.5 to 1, ascents of 0.02) are lengths in the feature space
    of one backbone. Here they are taken in units of r0, so that an anomaly of GLASS is a patch moved by half to once
    the distance between patches that good parts have in common. The rule is ours. The median is over 512 patches drawn
    from all images, compared with every patch of the others.

    Raises
    ------
    FeatureError
        If it is 0: good parts that are copies of each other have no such unit.
    """
    n, gh, gw, d = data.features.shape
    p = gh * gw
    drawn = torch.randint(n * p, (min(_SCALE_PATCHES, n * p),), generator=data.generator)
    rows, cells = drawn // p, drawn % p
    queries = data.standard(data.features[rows, cells // gw, cells % gw].to(data.device))
    nearest = torch.full((len(drawn),), torch.inf, device=data.device)
    rows = rows.to(data.device)
    images = max(1, _SCALE_NUMBERS // (len(drawn) * p))
    for a in range(0, n, images):
        data.tick()
        others = data.standard(data.features[a : a + images].to(data.device)).reshape(-1, d)
        distances = torch.cdist(queries, others)
        from_image = torch.arange(len(others), device=data.device) // p + a
        distances.masked_fill_(from_image[None, :] == rows[:, None], torch.inf)
        nearest = torch.minimum(nearest, distances.amin(1))
    scale = float(nearest.median())
    if not scale > _LEAST_SPREAD * d**0.5:
        raise FeatureError("the good parts are copies of each other: add pictures of other parts")
    return scale


def labels(logits: torch.Tensor, n_good: int) -> torch.Tensor:
    """0 for the good patches, which come first, 1 for the anomalies made from them; like ``logits``."""
    return torch.cat([torch.zeros_like(logits[:n_good]), torch.ones_like(logits[n_good:])])


def noise(shape: torch.Size, sigma: float, data: TrainingSet) -> torch.Tensor:
    """Gaussian noise N(0, sigma^2), drawn on the CPU."""
    return (torch.randn(shape, generator=data.generator) * sigma).to(data.device)


def whole_epochs(steps: int, n: int, images: int) -> int:
    """The fewest epochs that make at least ``steps`` gradient steps.

    Examples
    --------
    >>> whole_epochs(600, 294, 8), whole_epochs(600, 12, 8), whole_epochs(1, 1000, 8)
    (17, 300, 1)
    """
    return -(-steps // -(-n // images))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global random numbers of the CPU seeded inside, and put back afterwards: anomalib's parts draw from them."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the GPU's state as well
        yield
