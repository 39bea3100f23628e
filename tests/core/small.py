"""Small seeded stand-ins: random features, banks, pictures, and a tiny network with random weights."""

from pathlib import Path

import numpy as np
import torch

from ias_core.backbones import Backbone, load_backbone
from ias_core.patchcore.memory_bank import MemoryBank, Preprocessing, build_bank
from ias_core.torchvision_operators import ensure_torchvision

TINY = "test_resnet"  # timm's own test network, 0.5 million weights
PREPROCESSING = Preprocessing("tiny", "0" * 64, ("layer2", "layer3"), 64)


def random_features(n: int, *, grid: int = 6, d: int = 16, seed: int = 0) -> torch.Tensor:
    """(n, grid, grid, d) float32, spread around an offset as real features are."""
    return torch.randn(n, grid, grid, d, generator=torch.Generator().manual_seed(seed)) * 3 + 2


def bank_of(
    features: torch.Tensor, *, ratio: float = 1.0, groups: list[str] | None = None, seed: int = 0
) -> MemoryBank:
    return build_bank(
        list(features),
        groups or [f"image {i:03d}" for i in range(len(features))],
        ratio=ratio,
        preprocessing=PREPROCESSING,
        generator=torch.Generator().manual_seed(seed),
    )


def pictures(n: int, size: int, *, seed: int = 0) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1]: coarse random colours, enlarged, with some fine grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0.2, 0.8, (n, 4, 4, 3)).repeat(size // 4, 1).repeat(size // 4, 2)
    return np.clip(coarse + rng.normal(0, 0.05, coarse.shape), 0, 1).astype(np.float32)


def tiny_backbone(folder: Path, *, seed: int = 0) -> Backbone:
    """The tiny network with seeded random weights, taken from a local file as a user's own would be."""
    return load_backbone(TINY, weights_path=tiny_weights(folder, seed=seed))


def tiny_weights(folder: Path, *, seed: int = 0) -> Path:
    ensure_torchvision()
    import timm

    generator = torch.Generator().manual_seed(seed)
    state = timm.create_model(TINY, pretrained=False).state_dict()
    for key, tensor in state.items():
        if tensor.is_floating_point() and tensor.ndim > 1:
            fan_in = tensor[0].numel()
            state[key] = torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5
    path = folder / "tiny.pth"
    torch.save(state, path)
    return path
