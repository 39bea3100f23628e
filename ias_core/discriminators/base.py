"""What a discriminator takes and gives, the registry of methods, and the training loop they share.

Two things hold for all methods, and both are ours. The last epoch is kept, after a number of steps that was fixed
beforehand: the published codes keep the epoch that scores best on the test set, a number that nobody has without NG.
And sizes of made-up anomalies follow the data (``training.patch_scale``), since the published constants only mean
something for the published backbone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from ias_core.discriminators.training import Batch, Standard, TrainingSet, seeded, standard_of, whole_epochs
from ias_core.errors import FeatureError
from ias_core.registry import Registry

discriminators = Registry("discriminator")

_SCORED_AT_ONCE = 8


@dataclass(frozen=True, slots=True, eq=False)
class LocalAnomalies:
    """Patch features of pictures with a local defect (GLASS: LAS), one for each training picture, in its order.

    features : (n, gh, gw, d) float32
    masks : (n, gh, gw) bool   true where at least one pixel of the defect falls in the cell
    """

    features: torch.Tensor
    masks: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PatchLogits:
    """Scores of n images; higher = more anomalous. Logits: no distance, no probability, of any sign.

    image_scores : (n,) float32
    patch_scores : (n, h, w) float32   the anomaly map before smoothing
    """

    image_scores: np.ndarray
    patch_scores: np.ndarray


class Network(torch.nn.Module):
    """What a method trains; built in a seeded fork of the global random state.

    notes : sentences about the training that the user should read
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def optimizers(self) -> list[torch.optim.Optimizer]:
        raise NotImplementedError

    def new_epoch(self, epoch: int) -> None:
        """Called before each epoch, counted from 0."""

    def loss(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError

    def finish(self, data: TrainingSet) -> None:
        """Called once after the last epoch, in eval mode."""

    def patch_logits(self, features: torch.Tensor, products: Sequence[str] | None) -> torch.Tensor:
        """(b, p, d) standardised features of whole images to (b, p)."""
        raise NotImplementedError

    def logits(self, maps: torch.Tensor, products: Sequence[str] | None) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, gh, gw, d) standardised features to image logits (b,) and patch logits (b, h, w)."""
        b, gh, gw, d = maps.shape
        patches = self.patch_logits(maps.reshape(b, gh * gw, d), products)
        return patches.amax(1), patches.reshape(b, gh, gw)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A discriminator after its last epoch. Calling it scores features.

    method : str
    epochs, steps, n_images : int   what it was trained for, and on how many pictures
    losses : tuple of float         mean training loss of each epoch, in the method's own unit
    seconds : float
    notes : sentences
    """

    method: str
    epochs: int
    steps: int
    n_images: int
    losses: tuple[float, ...]
    seconds: float
    notes: tuple[str, ...]
    network: Network = field(repr=False)
    standard: Standard = field(repr=False)
    grid: tuple[int, int]
    takes_products: bool

    @torch.inference_mode()
    def __call__(self, features: torch.Tensor, *, products: Sequence[str] | None = None) -> PatchLogits:
        """Scores of patch features (n, gh, gw, d); an image's score does not depend on the others.

        Parameters
        ----------
        features : torch.Tensor of shape (n, gh, gw, d)
        products : n strings, optional
            Which product each image shows, for a method that was trained on several; None lets it find out.

        Raises
        ------
        FeatureError
            Another grid or width than in training, features that are not finite, products for a method that knows
            none, or an image that looks like none of the products.
        """
        width = len(self.standard.mean)
        expected = (*self.grid, width)
        if features.ndim != 4 or tuple(features.shape[1:]) != expected or len(features) == 0:
            raise FeatureError(
                f"{self.method}: expected features (n, {', '.join(map(str, expected))}) as in training, got "
                f"{tuple(features.shape)}: the input size or the backbone changed, train it again"
            )
        if not torch.isfinite(features).all():
            raise FeatureError(f"{self.method}: expected finite features, got NaN or infinity")
        check_products(self.method, products, len(features), takes=self.takes_products)
        device = self.standard.mean.device
        images, patches = [], []
        for a in range(0, len(features), _SCORED_AT_ONCE):
            rows = slice(a, a + _SCORED_AT_ONCE)
            maps = self.standard(features[rows].to(device))
            image, patch = self.network.logits(maps, products and products[rows])
            images.append(image.float().cpu().numpy())
            patches.append(patch.float().cpu().numpy())
        return PatchLogits(np.concatenate(images), np.concatenate(patches))


@dataclass(frozen=True, slots=True)
class FeatureDiscriminator:
    """Base of the methods: a subclass defines ``network`` and sets the class variables.

    steps : gradient steps at least; training runs whole epochs until they are reached
    images_per_step : batch of images
    patches_per_image : patches drawn from each image of a batch; 0 takes all

    name : registered name
    takes_las, takes_products : whether the method uses them
    """

    steps: int = field(default=2400, metadata={"min": 1, "max": 100_000})
    images_per_step: int = field(default=8, metadata={"min": 2, "max": 64})
    patches_per_image: int = field(default=64, metadata={"min": 0, "max": 4096})

    name: ClassVar[str]
    takes_las: ClassVar[bool] = False
    takes_products: ClassVar[bool] = False

    def network(self, data: TrainingSet) -> Network:
        """The untrained network; global random numbers are seeded and forked around this call."""
        raise NotImplementedError

    def __call__(
        self,
        features: torch.Tensor,
        *,
        seed: int,
        device: torch.device | None = None,
        on_step: Callable[[int, int], Any] | None = None,
        las: LocalAnomalies | None = None,
        products: Sequence[str] | None = None,
    ) -> Trained:
        """Train on good parts and keep the last epoch.

        Parameters
        ----------
        features : torch.Tensor of shape (n, gh, gw, d)
            Patch features of good parts, left unchanged. Those that later set or judge the threshold must not be
            among them, nor pictures made from them.
        seed : int
            The same seed on the same kind of device gives the same scores. Global random state stays as it was.
        device : torch.device, optional
            Where it trains and scores; None is the CPU.
        on_step : callable(done, total), optional
            Told at every gradient step, and between the steps of a long one; may raise to cancel.
        las : LocalAnomalies, optional
            For methods that take them.
        products : n strings, optional
            For methods that take them; None is one product.

        Raises
        ------
        FeatureError
            Fewer than 2 images, features without variation or not finite, inputs the method does not take, or a
            training that collapsed.
        """
        _check_features(self.name, features)
        if las is not None and not self.takes_las:
            raise FeatureError(f"{self.name} does not learn from pictures with defects: leave them out")
        if las is not None:
            _check_las(las, features)
        check_products(self.name, products, len(features), takes=self.takes_products)
        start = time.perf_counter()
        device = device or torch.device("cpu")
        for_weights, for_draws = (int(state) for state in np.random.SeedSequence(seed).generate_state(2))
        epochs = whole_epochs(self.steps, len(features), self.images_per_step)
        total = epochs * -(-len(features) // self.images_per_step)
        done = 0

        def tick() -> None:
            if on_step is not None:
                on_step(done, total)

        tick()
        data = TrainingSet(
            features=features,
            standard=standard_of(features, device),
            las=None if las is None else (las.features, las.masks),
            products=tuple(products) if products is not None else ("",) * len(features),
            epochs=epochs,
            generator=torch.Generator().manual_seed(for_draws),
            tick=tick,
        )
        with seeded(for_weights):
            network = self.network(data).to(device)
        optimizers = network.optimizers()
        network.train()
        losses = []
        for epoch in range(epochs):
            network.new_epoch(epoch)
            of_epoch = []
            for batch in data.batches(self.images_per_step, self.patches_per_image):
                for optimizer in optimizers:
                    optimizer.zero_grad(set_to_none=True)
                loss = network.loss(batch)
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
                of_epoch.append(float(loss.detach()))
                done += 1
                tick()
            losses.append(float(np.mean(of_epoch)))
        network.eval()
        network.finish(data)
        return Trained(
            method=self.name,
            epochs=epochs,
            steps=total,
            n_images=len(features),
            losses=tuple(losses),
            seconds=time.perf_counter() - start,
            notes=tuple(network.notes),
            network=network,
            standard=data.standard,
            grid=(features.shape[1], features.shape[2]),
            takes_products=self.takes_products,
        )


def check_products(method: str, products: Sequence[str] | None, n: int, *, takes: bool) -> None:
    if products is None:
        return
    if not takes:
        raise FeatureError(f"{method} knows no products: leave them out, and train it for each product alone")
    if len(products) != n or not all(isinstance(product, str) and product for product in products):
        raise FeatureError(f"{method}: expected a product's name for each of the {n} images, got {len(products)} names")


def _check_features(method: str, features: torch.Tensor) -> None:
    if features.ndim != 4 or not features.is_floating_point():
        raise FeatureError(
            f"{method}: expected floating-point features (n, gh, gw, d), got {features.dtype} {tuple(features.shape)}"
        )
    if len(features) < 2:
        raise FeatureError(f"{method}: expected at least 2 good parts to learn from, got {len(features)}: add more")
    if not torch.isfinite(features).all():
        raise FeatureError(f"{method}: expected finite features, got NaN or infinity: check the backbone's weights")


def _check_las(las: LocalAnomalies, features: torch.Tensor) -> None:
    if las.features.shape != features.shape or las.masks.shape != features.shape[:3] or las.masks.dtype != torch.bool:
        raise FeatureError(
            f"expected one defect picture for each training picture, features {tuple(features.shape)} and masks bool "
            f"{tuple(features.shape[:3])}, got {tuple(las.features.shape)} and {las.masks.dtype} "
            f"{tuple(las.masks.shape)}"
        )
    if not torch.isfinite(las.features).all():
        raise FeatureError("expected finite features of the defect pictures, got NaN or infinity")
    if not las.masks.flatten(1).any(1).all():
        raise FeatureError("expected a defect in every defect picture, got an empty mask: make them again")
