"""The bank remembers where each vector came from, survives a save, and its fingerprint follows its content."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ias_core.errors import FeatureError
from ias_core.patchcore.memory_bank import MemoryBank, build_bank
from tests.core.small import PREPROCESSING, bank_of, random_features


def test_every_field_survives_a_save(tmp_path):
    bank = bank_of(random_features(4), ratio=0.3, groups=["b", "a", "ü/c", "b"])
    bank.save(tmp_path / "bank.safetensors")
    loaded = MemoryBank.load(tmp_path / "bank.safetensors")
    assert np.array_equal(loaded.features, bank.features) and loaded.features.dtype == np.float32
    assert np.array_equal(loaded.group, bank.group) and loaded.group.dtype == bank.group.dtype
    assert loaded.groups == bank.groups == ("a", "b", "ü/c")
    assert loaded.n_patches == bank.n_patches == 4 * 36
    assert loaded.preprocessing == bank.preprocessing
    assert loaded.bank_id == bank.bank_id


def test_vectors_are_patches_of_the_group_they_name():
    features, groups = random_features(5), ["b", "a", "c", "b", "d"]
    bank = bank_of(features, ratio=0.4, groups=groups)
    assert len(bank.features) == int(5 * 36 * 0.4)
    for name, rows in bank.slices().items():
        own = torch.cat([f.reshape(-1, 16) for f, g in zip(features, groups, strict=True) if g == name]).numpy()
        for vector in bank.features[rows]:
            assert (own == vector).all(1).any()


def test_slices_cover_the_bank_once():
    bank = bank_of(random_features(6), ratio=0.05)
    rows = np.concatenate([np.arange(s.start, s.stop) for s in bank.slices().values()])
    assert np.array_equal(rows, np.arange(len(bank.features)))
    assert set(bank.slices()) == set(bank.groups)  # also a group of which nothing was kept


def test_exact_bank_keeps_every_patch():
    features = random_features(3)
    bank = bank_of(features)
    assert np.array_equal(bank.features, features.reshape(-1, 16).numpy())


def test_same_seed_same_bank():
    features = random_features(4)
    assert bank_of(features, ratio=0.2, seed=5).bank_id == bank_of(features, ratio=0.2, seed=5).bank_id


def changed_by_one_bit(bank: MemoryBank) -> MemoryBank:
    features = bank.features.copy()
    features.view(np.uint32)[0, 0] ^= 1
    return replace(bank, features=features)


@pytest.mark.parametrize(
    "change",
    [
        changed_by_one_bit,
        lambda bank: replace(bank, group=np.sort(np.append(bank.group[1:], bank.group[-1]))),
        lambda bank: replace(bank, groups=("another name", *bank.groups[1:])),
        lambda bank: replace(bank, n_patches=bank.n_patches + 1),
        lambda bank: replace(bank, preprocessing=replace(PREPROCESSING, input_size=96)),
        lambda bank: replace(bank, preprocessing=replace(PREPROCESSING, backbone="other")),
        lambda bank: replace(bank, preprocessing=replace(PREPROCESSING, weights_digest="1" * 64)),
        lambda bank: replace(bank, preprocessing=replace(PREPROCESSING, layers=("layer2",))),
    ],
)
def test_fingerprint_follows_the_content(change):
    bank = bank_of(random_features(3), ratio=0.3)
    assert change(bank).bank_id != bank.bank_id


def test_arrays_cannot_be_changed_afterwards():
    bank = bank_of(random_features(2))
    with pytest.raises(ValueError, match="read-only"):
        bank.features[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        bank.group[0] = 1


@pytest.mark.parametrize(
    ("features", "groups", "sentence"),
    [
        ([], [], "at least one image, got 0 and 0"),
        ([torch.zeros(2, 2, 3)], ["a", "b"], "got 1 and 2"),
        ([torch.zeros(2, 2, 3), torch.zeros(3, 2, 3)], ["a", "b"], "equal feature grids"),
        ([torch.full((2, 2, 3), torch.nan)], ["a"], "finite"),
    ],
)
def test_bad_input_says_what_was_expected(features, groups, sentence):
    with pytest.raises(FeatureError, match=sentence):
        build_bank(features, groups, ratio=0.9, preprocessing=PREPROCESSING, generator=torch.Generator())


@pytest.mark.parametrize("change", [{"group": np.array([1, 0], np.int32)}, {"features": np.zeros((2, 3))}])
def test_fields_that_do_not_fit_are_refused(change):
    fields = {"features": np.zeros((2, 3), np.float32), "group": np.array([0, 1], np.int32)} | change
    with pytest.raises(FeatureError, match="expected"):
        MemoryBank(**fields, groups=("a", "b"), n_patches=2, preprocessing=PREPROCESSING)


def no_bank(path):
    pass


def text(path):
    path.write_text("no bank", encoding="utf-8")


def other_tensors(path):
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, path)


def cut_short(path):
    bank_of(random_features(2)).save(path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("make", [no_bank, text, other_tensors, cut_short])
def test_file_that_is_no_bank_is_named(tmp_path, make):
    path = tmp_path / "bank.safetensors"
    make(path)
    with pytest.raises(FeatureError, match="expected a memory bank at .*bank.safetensors"):
        MemoryBank.load(path)
