"""Image scores and anomaly maps equal anomalib's PatchcoreModel with the same bank: relative difference <= 1e-4."""

import numpy as np
import pytest
import torch

from ias_core.backbones import load_backbone
from ias_core.features import PatchFeatures
from ias_core.patchcore.anomalib_reference import anomalib_patchcore, anomalib_scores
from ias_core.patchcore.anomaly_maps import anomaly_map
from ias_core.patchcore.scoring import Scorer
from tests.core.small import bank_of, pictures, tiny_backbone

CPU = torch.device("cpu")
SIZE = 96


@pytest.fixture(scope="module", params=["embedded", "tiny"])
def backbone(request, tmp_path_factory):
    return load_backbone() if request.param == "embedded" else tiny_backbone(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("num_neighbors", [1, 9])
@pytest.mark.parametrize("ratio", [1.0, 0.1])
def test_scores_and_maps(backbone, num_neighbors, ratio):
    features, queries = PatchFeatures(backbone, CPU), list(pictures(4, SIZE, seed=1))
    bank = bank_of(features(list(pictures(6, SIZE))), ratio=ratio)
    ours = Scorer(bank, CPU, num_neighbors=num_neighbors)(features(queries))
    maps = np.stack([anomaly_map(patch, SIZE) for patch in ours.patch_scores])
    model = anomalib_patchcore(backbone, bank, num_neighbors=num_neighbors)
    their_scores, their_maps = anomalib_scores(model, backbone, queries)
    np.testing.assert_allclose(ours.image_scores, their_scores, rtol=1e-4)
    np.testing.assert_allclose(maps, their_maps, rtol=1e-4)
    assert their_scores.min() > 0.1  # not an agreement on nothing


@pytest.mark.parametrize(
    ("grid", "size"), [((28, 28), 224), ((12, 12), 96), ((7, 7), 100), ((9, 14), 256), ((3, 3), 32)]
)
def test_maps_of_any_grid(grid, size):
    from anomalib.models.image.patchcore.anomaly_map import AnomalyMapGenerator

    patch = np.random.default_rng(0).uniform(1, 20, grid).astype(np.float32)
    theirs = AnomalyMapGenerator()(torch.tensor(patch)[None, None], torch.Size((size, size)))[0, 0].numpy()
    np.testing.assert_allclose(anomaly_map(patch, size), theirs, rtol=1e-4)


def test_flat_patch_scores_give_a_flat_map():
    np.testing.assert_allclose(anomaly_map(np.full((4, 4), 7.0), 64), 7, rtol=1e-6)


def test_wrong_shape_raises():
    with pytest.raises(ValueError, match="expected patch scores"):
        anomaly_map(np.zeros((1, 4, 4)), 64)
