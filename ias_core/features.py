"""Backbone and layers to patch features, in anomalib's recipe (PatchCore, Roth et al., CVPR 2022, section 3.1).

Each layer is averaged over 3x3 neighbourhoods (zeros counted at the border), deeper layers are resized bilinearly to
the finest grid, and channels are concatenated.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ias_core.backbones import Backbone
from ias_core.errors import FeatureError


class PatchFeatures:
    """Callable: a batch of images to patch features, on a device.

    Parameters
    ----------
    backbone : Backbone
    device : torch.device
    """

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        self.backbone = backbone
        self._mean = torch.tensor(backbone.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(backbone.std).view(1, 3, 1, 1)
        self._transformer = len({level["reduction"] for level in backbone.module.feature_info}) == 1
        self.to(device)

    def to(self, device: torch.device) -> None:
        """Move network and constants; channels-last is the faster layout for its convolutions."""
        self.device = device
        self.backbone.module.to(device, memory_format=torch.channels_last)
        self._mean, self._std = self._mean.to(device), self._std.to(device)

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Patch features of equally sized images.

        Parameters
        ----------
        images : n arrays of shape (s, s, 3)
            float32 RGB in [0, 1], already at the input size.

        Returns
        -------
        torch.Tensor of shape (n, gh, gw, d)
            float32, on the device.

        Raises
        ------
        FeatureError
            If a feature is not finite, or the network does not take this size.
        """
        batch = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2)  # (n, 3, s, s)
        batch = ((batch - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        try:
            levels = self.backbone.module.forward_intermediates(
                batch,
                indices=list(self.backbone.indices),
                norm=self._transformer,
                stop_early=True,
                output_fmt="NCHW",
                intermediates_only=True,
            )
        except AssertionError as error:
            raise FeatureError(f"{self.backbone.name} does not take {batch.shape[-1]} px images: {error}") from error
        pooled = [F.avg_pool2d(level, 3, 1, 1) for level in levels]
        grid = pooled[0].shape[-2:]
        aligned = [pooled[0]] + [F.interpolate(level, size=grid, mode="bilinear") for level in pooled[1:]]
        features = torch.cat(aligned, 1).permute(0, 2, 3, 1).contiguous().float()  # (n, gh, gw, d)
        if not torch.isfinite(features).all():
            raise FeatureError(f"{self.backbone.name} gave features that are not finite: check its weights file")
        return features
