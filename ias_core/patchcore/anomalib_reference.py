"""The same detector as anomalib's ``PatchcoreModel``: the reference that our scores are held against.

Importing anomalib takes several seconds, so only who compares imports this.
"""

import warnings

import numpy as np
import torch

from ias_core.backbones import Backbone
from ias_core.patchcore.memory_bank import MemoryBank
from ias_core.torchvision_operators import ensure_torchvision


def anomalib_patchcore(backbone: Backbone, bank: MemoryBank, *, num_neighbors: int) -> torch.nn.Module:
    """anomalib's PatchcoreModel with this backbone's weights and this memory bank, in eval mode on the CPU."""
    ensure_torchvision()
    with warnings.catch_warnings():  # anomalib imports parts of timm and of itself that are on their way out
        warnings.simplefilter("ignore", FutureWarning)
        from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(
        layers=backbone.layers, backbone=backbone.name, pre_trained=False, num_neighbors=num_neighbors
    )
    ours = backbone.module.state_dict()
    extractor = model.feature_extractor.feature_extractor
    extractor.load_state_dict({key: ours[key].cpu() for key in extractor.state_dict()})
    model.memory_bank = torch.tensor(bank.features)
    return model.eval()


@torch.inference_mode()
def anomalib_scores(
    model: torch.nn.Module, backbone: Backbone, images: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Raw image scores (n,) and anomaly maps (n, s, s) by anomalib, its post-processor off.

    ``images`` are (s, s, 3) float32 RGB in [0, 1].
    """
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (backbone.mean, backbone.std))
    batch = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) - mean) / std
    prediction = model(batch.contiguous())
    return prediction.pred_score.numpy(), prediction.anomaly_map[:, 0].numpy()
