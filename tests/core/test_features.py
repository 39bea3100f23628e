"""Patch features equal timm's ``features_only`` network followed by anomalib's recipe."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ias_core.backbones import load_backbone
from ias_core.errors import FeatureError
from ias_core.features import PatchFeatures
from ias_core.patchcore.scoring import Scorer
from tests.core.small import bank_of, pictures, tiny_backbone

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def embedded():
    return load_backbone()


def by_features_only(backbone, images):
    """The slow, obvious second way: timm's own feature network, then pool, resize, concatenate."""
    import timm

    net = timm.create_model(backbone.name, pretrained=False, features_only=True, out_indices=backbone.indices).eval()
    state = backbone.module.state_dict()
    net.load_state_dict({key: state[key] for key in net.state_dict()})
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (backbone.mean, backbone.std))
    with torch.inference_mode():
        levels = net((torch.from_numpy(images).permute(0, 3, 1, 2) - mean) / std)
    pooled = [torch.nn.AvgPool2d(3, 1, 1)(level) for level in levels]
    whole = pooled[0]
    for level in pooled[1:]:
        whole = torch.cat((whole, F.interpolate(level, size=pooled[0].shape[-2:], mode="bilinear")), 1)
    return whole.permute(0, 2, 3, 1)


def test_embedded_equals_features_only(embedded):
    images = pictures(3, 96)
    ours, theirs = PatchFeatures(embedded, CPU)(list(images)), by_features_only(embedded, images)
    assert ours.shape == (3, 12, 12, 152) and ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def test_other_network_equals_features_only(tmp_path):
    backbone, images = tiny_backbone(tmp_path), pictures(2, 64)
    ours, theirs = PatchFeatures(backbone, CPU)(list(images)), by_features_only(backbone, images)
    assert ours.shape == (2, 8, 8, 48 + 192)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.fixture
def without_weights(tmp_path):
    def load(name):
        import timm

        torch.manual_seed(0)
        torch.save(timm.create_model(name, pretrained=False).state_dict(), tmp_path / "weights.pth")
        return load_backbone(name, weights_path=tmp_path / "weights.pth")

    return load


def test_transformer_gives_one_grid(without_weights):
    features = PatchFeatures(without_weights("test_vit"), CPU)
    assert features(list(pictures(2, 160))).shape == (2, 10, 10, 128)


def test_size_a_network_does_not_take_is_refused(without_weights):
    with pytest.raises(FeatureError, match="vit_tiny_patch16_224 does not take 96 px images: .*224"):
        PatchFeatures(without_weights("vit_tiny_patch16_224"), CPU)(list(pictures(1, 96)))


def test_an_image_does_not_depend_on_its_batch(embedded):
    images = list(pictures(5, 64))
    features = PatchFeatures(embedded, CPU)
    alone = torch.cat([features([image]) for image in images])
    torch.testing.assert_close(features(images), alone, rtol=1e-4, atol=1e-3)


def test_images_stay_unchanged(tmp_path):
    images = pictures(2, 64)
    before = images.copy()
    PatchFeatures(tiny_backbone(tmp_path), CPU)(list(images))
    assert np.array_equal(images, before)


def test_features_that_are_not_finite_are_refused(tmp_path):
    backbone = tiny_backbone(tmp_path)
    with torch.no_grad():
        next(backbone.module.parameters()).fill_(torch.nan)
    with pytest.raises(FeatureError, match="not finite: check its weights file"):
        PatchFeatures(backbone, CPU)(list(pictures(1, 64)))


@pytest.mark.parametrize(("row", "column"), [(5, 5), (20, 9), (12, 22)])
def test_a_bright_square_moves_the_largest_patch_score_to_it(embedded, row, column):
    good = pictures(6, 224)
    features = PatchFeatures(embedded, CPU)
    scorer = Scorer(bank_of(features(list(good[:5]))), CPU)
    bad = good[5].copy()
    bad[8 * row : 8 * row + 24, 8 * column : 8 * column + 24] = 1.0  # 3 x 3 cells of the 28 x 28 grid
    before, after = scorer(features([good[5], bad])).patch_scores
    found = np.unravel_index(after.argmax(), after.shape)
    assert after.max() > before.max()
    assert row - 1 <= found[0] <= row + 3 and column - 1 <= found[1] <= column + 3  # 3 x 3 pooling reaches one further
