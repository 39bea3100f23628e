"""Feature-space rulers beside the memory bank: how large a feature shift would a threshold see?

Every registered feature-space method is laid once, on the pictures that synthetic NG are made from, and kept with them.
Circular for PatchCore, so nothing here may choose a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError
from pages.services.artifacts import SynthesisResult
from pages.services.detection import FeatureSource

if TYPE_CHECKING:
    import torch

    from ias_core.patchcore.memory_bank import MemoryBank

IMAGES = 24  # of the OK pictures; each is one shifted image per region and dial value
_FOREIGN_PICTURES = 16  # that the codes of foreign matter come from: 12,544 patches at 224 px
_POINTS = 1500
_ARRAYS = ("scores", "dial", "shift_in_R", "example_maps")
_FACTS = ("regions", "unit", "quantity", "meaning", "gradual", "n_cells", "unmoved", "example_titles")


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """What one method says; scores do not depend on a threshold.

    scores : (regions, dial, n) float32     feature distance
    dial : (dial,) float                    0 first: untouched
    shift_in_R : (dial,) float              by how much the features move, in units of R
    regions : names
    unit : str                              "R", or "%" for a share of 1
    quantity, meaning : str                 what the dial counts, in short and in one sentence
    gradual : bool                          whether small dial values are small changes
    n_cells, unmoved : int                  shifted patches, and those that no dial value moved
    example_maps : (k, gh, gw) float32      patch scores; example_titles : k strings
    points : (p, 2) float32                 shifted patches, in the projection of the OK patches
    """

    scores: np.ndarray
    dial: np.ndarray
    shift_in_R: np.ndarray
    regions: tuple[str, ...]
    unit: str
    quantity: str
    meaning: str
    gradual: bool
    n_cells: int
    unmoved: int
    example_maps: np.ndarray
    example_titles: tuple[str, ...]
    points: np.ndarray


def lay_rulers(
    pictures: np.ndarray, features: torch.Tensor, d0: np.ndarray, bank: MemoryBank, source: FeatureSource, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """Every feature-space method on the first ``IMAGES`` pictures; R and centres are measured on all of them.

    Parameters
    ----------
    pictures : ndarray of shape (n, s, s, 3)
        OK pictures outside the bank.
    features : torch.Tensor of shape (n, gh, gw, d)
    d0 : ndarray of shape (n, gh, gw)
        Their patch scores.

    Returns
    -------
    shifts, projection : dict of str to ndarray
        As kept in a ``SynthesisResult``.
    facts : dict
        JSON-ready. A method that cannot be laid here leaves its reason.

    Raises
    ------
    FeatureError
        All patch scores are 0: there is no scale to measure in.
    """
    from sklearn.decomposition import PCA

    from ias_core.synthesis.feature_space.base import OkReference, feature_synthesizers
    from ias_core.synthesis.feature_space.dsr_codebook import codebook

    foreign = codebook(source.of_pictures(_foreign_pictures(pictures, seed)), seed)
    reference = OkReference.of(features, d0, bank.features, foreign=foreign)
    rng = np.random.default_rng(seed)
    patches = features.reshape(-1, features.shape[-1]).cpu().numpy()
    ok = patches[rng.choice(len(patches), min(_POINTS, len(patches)), replace=False)]
    kept = bank.features[rng.choice(len(bank.features), min(_POINTS // 2, len(bank.features)), replace=False)]
    pca = PCA(2, random_state=seed).fit(ok)
    projection = {"ok": pca.transform(ok), "bank": pca.transform(kept), "explained": pca.explained_variance_ratio_}
    shifts: dict[str, np.ndarray] = {}
    methods: dict[str, dict[str, Any]] = {}
    for name in feature_synthesizers:
        try:
            made = feature_synthesizers[name]()(features[:IMAGES], d0[:IMAGES], reference, seed=seed)
        except IasError as error:
            methods[name] = {"reason": str(error)}
            continue
        shifts |= {f"{name}/{key}": getattr(made, key) for key in _ARRAYS}
        projection[f"shifted/{name}"] = pca.transform(made.moved_patches)
        methods[name] = {key: getattr(made, key) for key in _FACTS}
    return shifts, projection, {"scale": reference.scale, "methods": methods}


def _foreign_pictures(pictures: np.ndarray, seed: int) -> list[np.ndarray]:
    """Textures that the product does not show; grey where the product's camera is, or colour alone would tell them."""
    from ias_core.synthesis.base import is_grey
    from ias_core.synthesis.made_textures import MadeTextures

    rng, texture = np.random.default_rng(seed), MadeTextures()
    made = [texture(pictures.shape[1], rng)[0] for _ in range(_FOREIGN_PICTURES)]
    return [picture.mean(2, keepdims=True).repeat(3, 2) for picture in made] if is_grey(pictures) else made


def stored_rulers(result: SynthesisResult) -> tuple[dict[str, Ruler], dict[str, str]]:
    """The rulers kept with synthetic NG, and why others could not be laid; both by method.

    Both are empty for synthetic NG that were made before there were several rulers.
    """
    rulers, reasons = {}, {}
    for name, facts in result.meta.get("ruler", {}).get("methods", {}).items():
        if "reason" in facts:
            reasons[name] = facts["reason"]
            continue
        arrays = {key: result.shifts[f"{name}/{key}"] for key in _ARRAYS}
        rulers[name] = Ruler(
            **arrays,
            **{key: tuple(facts[key]) if isinstance(facts[key], list) else facts[key] for key in _FACTS},
            points=result.projection[f"shifted/{name}"],
        )
    return rulers, reasons
