"""Codebook swap (after DSR): a patch becomes another valid piece of appearance, in the wrong place.

Zavrtanik, Kristan, Skocaj, "DSR: A dual subspace re-projection network for surface anomaly detection", ECCV 2022;
repository VitjanZ/DSR_anomaly_detection. There, codes of a learned dictionary (4,096 x 128) are sorted by distance to
a position's feature; of the floor(4096 lambda) + 1 nearest the 204 nearest (5 %) are dropped and one of the others is
drawn uniformly, lambda ~ U(0.2, 1).

What transfers is this similarity-bound sampling; the dial is lambda, a rank and no distance, so the score is not typed
in. Ours: there is no pre-trained dictionary here, so the codes are patch features of matter that the product does not
have, taken through the same backbone. From the product's own OK images they would test nothing: the bank has no
places, and an OK feature pasted elsewhere scores about 0.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ias_core.errors import FeatureError
from ias_core.patchcore.coreset import k_center_greedy
from ias_core.synthesis.feature_space.base import Cells, FeatureSynthesizer, OkReference, feature_synthesizers
from ias_core.synthesis.feature_space.lookup import distance

DROPPED_SHARE = 0.05
LEAST_CODES = 40  # below, 5 % are fewer than 2 codes
CODES = 1024


def codebook(features: torch.Tensor, seed: int, *, size: int = CODES) -> torch.Tensor:
    """Codes that cover the patch features of foreign images, by k-center-greedy; all patches if there are no more.

    Parameters
    ----------
    features : torch.Tensor of shape (n, gh, gw, d)
        Of images that do not show the product, through the backbone of its bank.
    seed : int
        Draws the first code.

    Returns
    -------
    torch.Tensor of shape (min(size, n gh gw), d)
    """
    flat = features.reshape(-1, features.shape[-1])
    chosen = k_center_greedy(flat, min(size, len(flat)), generator=torch.Generator().manual_seed(seed))
    return flat[chosen.to(flat.device)]


def allowed_ranks(codes: int, limit: float) -> tuple[int, int]:
    """First rank that may be drawn, and the one after the last; rank 0 is the nearest code.

    Raises
    ------
    FeatureError
        Fewer than 40 codes, or a limit outside (0.05, 1]: nothing is left after the nearest 5 % are dropped.

    Examples
    --------
    >>> allowed_ranks(4096, 0.2), allowed_ranks(4096, 1.0)
    ((204, 820), (204, 4095))
    """
    if codes < LEAST_CODES:
        raise FeatureError(f"expected at least {LEAST_CODES} foreign codes, got {codes}: add foreign pictures")
    if not DROPPED_SHARE < limit <= 1:
        raise FeatureError(f"expected a share of the codes in ({DROPPED_SHARE:g}, 1], got {limit:g}")
    return math.floor(DROPPED_SHARE * codes), min(math.floor(codes * limit) + 1, codes - 1)


@feature_synthesizers.register("dsr-codebook")
@dataclass(frozen=True, slots=True)
class DsrCodebook(FeatureSynthesizer):
    """Every patch of a region becomes a foreign code.  Family: data-driven.  Space: feature."""

    name = "dsr-codebook"
    dial = (0.0, 0.2, 0.5, 1.0)
    shown = (0.2, 0.5, 1.0)
    unit = "%"
    quantity = "codes that may be drawn, nearest first, % of all codes"
    meaning = (
        "Each patch becomes a piece of foreign surface out of the most similar ones: up to which share of the codes, "
        "in order of similarity. The nearest 5 % are left out. A rank, not a distance: even the smallest is a jump."
    )
    gradual = False

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random((cells, 1))

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        """See the base.

        Raises
        ------
        FeatureError
            No foreign codes or fewer than 40, a limit of 5 % or less, or codes that are the product itself: their
            median distance to the bank is below that of OK patches. OK images outside the bank lie about at that
            limit, so it finds the bank's own images for certain, and others of the product about every other time.
        """
        codes = reference.foreign
        if codes is None:
            raise FeatureError("a codebook swap needs foreign codes, and the reference has none: give it a codebook")
        low, high = allowed_ranks(len(codes), value)
        typical = float(distance(codes, reference.bank).median())
        if typical < reference.scale:
            raise FeatureError(
                f"half of the foreign codes lie within {typical:.3g} of the memory bank, nearer than OK patches "
                f"({reference.scale:.3g}): they show the product itself; take foreign pictures"
            )
        rank = (low + (cells.drawn[:, 0] * (high - low)).long()).clamp(max=high - 1)
        order = torch.cdist(cells.f, codes).sort(dim=1, stable=True).indices  # (c, q)
        return codes[order.gather(1, rank[:, None])[:, 0]]

    def title(self, value: float) -> str:
        return f"swapped, ranks up to {100 * value:g} %"
