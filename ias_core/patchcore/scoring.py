"""Patch scores and image scores against a memory bank, also with an image's own patches or whole session left out.

The same numbers as anomalib's ``PatchcoreModel`` (relative difference at most 1e-4, tested), from one matrix product
and one minimum per tile, so that leaving each bank image out costs no more than scoring it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ias_core.errors import FeatureError
from ias_core.patchcore.memory_bank import MemoryBank

_TILE_NUMBERS = 1 << 23


@dataclass(frozen=True, slots=True, eq=False)
class PatchScores:
    """Scores of n images, all in one order; unit: feature distance, >= 0, no upper limit, not a probability.

    image_scores : (n,) float32
    patch_scores : (n, gh, gw) float32
    """

    image_scores: np.ndarray
    patch_scores: np.ndarray

    def __post_init__(self) -> None:
        if self.patch_scores.ndim != 3 or self.image_scores.shape != self.patch_scores.shape[:1]:
            raise FeatureError(f"scores do not fit: {self.image_scores.shape} and {self.patch_scores.shape}")

    @classmethod
    def concatenate(cls, parts: Sequence["PatchScores"]) -> "PatchScores":
        return cls(np.concatenate([p.image_scores for p in parts]), np.concatenate([p.patch_scores for p in parts]))


class Scorer:
    """Scores patch features against one bank.

    Parameters
    ----------
    bank : MemoryBank
    device : torch.device
    num_neighbors : int
        1: image score = largest patch score (the leave-one-out argument in thresholds.md needs this).
        b > 1: anomalib's neighbour weighting, score = s* (1 - softmax share of m* among its b nearest bank vectors),
        which lies in [(1 - 1/b) s*, s*).
    """

    def __init__(self, bank: MemoryBank, device: torch.device, *, num_neighbors: int = 1) -> None:
        if num_neighbors < 1:
            raise FeatureError(f"expected at least 1 neighbour, got {num_neighbors}")
        self.bank = bank
        self.num_neighbors = num_neighbors
        self._check_weighting(len(bank.features))
        self._slices = bank.slices()
        self._m = torch.tensor(bank.features, device=device)  # (m, d)
        self._m_squares = (self._m * self._m).sum(1)

    @torch.inference_mode()
    def __call__(
        self, features: torch.Tensor, *, leave_out: Sequence[str | tuple[str, ...]] | None = None
    ) -> PatchScores:
        """Score n images.

        Parameters
        ----------
        features : torch.Tensor of shape (n, gh, gw, d)
        leave_out : n group names, or n tuples of them, optional
            For each image the groups whose bank vectors do not count for it: its own for leave-one-out scores, all
            of its session for leave-one-session-out scores.

        Raises
        ------
        FeatureError
            Wrong feature width, or a group that leaves no bank vector, with neighbour weighting fewer than 2.
        """
        n, gh, gw, d = features.shape
        if d != self._m.shape[1]:
            raise FeatureError(f"expected features of width {self._m.shape[1]} as in the bank, got {d}")
        hidden = [()] * n if leave_out is None else [self._hidden(groups) for groups in leave_out]
        images = max(1, _TILE_NUMBERS // (gh * gw * len(self._m)))
        parts = [
            self._score(features[a : a + images].to(self._m.device), hidden[a : a + images])
            for a in range(0, n, images)
        ]
        patch = torch.cat([p for p, _ in parts]).reshape(n, gh, gw).cpu().numpy()
        return PatchScores(torch.cat([s for _, s in parts]).cpu().numpy(), patch)

    def can_leave_out(self, groups: str | tuple[str, ...]) -> bool:
        """Whether enough bank vectors stay to score against when these groups do not count."""
        return self._left(self._rows(groups)) >= (2 if self.num_neighbors > 1 else 1)

    def _rows(self, groups: str | tuple[str, ...]) -> tuple[slice, ...]:
        """Bank rows of these groups, as few slices as they make; a group of which nothing was kept has none."""
        names = {groups} if isinstance(groups, str) else set(groups)
        merged: list[slice] = []
        kept = (self._slices[name] for name in names & self._slices.keys())
        for rows in sorted(kept, key=lambda rows: (rows.start, rows.stop)):
            if merged and merged[-1].stop == rows.start:
                rows = slice(merged.pop().start, rows.stop)
            merged.append(rows)
        return tuple(merged)

    def _left(self, hidden: tuple[slice, ...]) -> int:
        return len(self._m) - sum(rows.stop - rows.start for rows in hidden)

    def _hidden(self, groups: str | tuple[str, ...]) -> tuple[slice, ...]:
        hidden = self._rows(groups)
        left = self._left(hidden)
        if left == 0:
            names = groups if isinstance(groups, str) else f"{len(set(groups))} groups"
            raise FeatureError(f"leaving out {names} leaves an empty bank: at least 2 OK images are needed")
        self._check_weighting(left)
        return hidden

    def _check_weighting(self, vectors: int) -> None:
        """The weight of a single vector is 0, and so would be every score."""
        if self.num_neighbors > 1 and vectors < 2:
            raise FeatureError("neighbour weighting needs at least 2 bank vectors: keep more patches or switch it off")

    def _score(self, features: torch.Tensor, hidden: Sequence[tuple[slice, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        b, gh, gw, d = features.shape
        q = features.reshape(b, gh * gw, d)
        tile = torch.addmm(self._m_squares, q.reshape(-1, d), self._m.T, alpha=-2)  # |m|^2 - 2qm
        tile = tile.view(b, gh * gw, -1)
        for i, slices in enumerate(hidden):
            for rows in slices:
                tile[i, :, rows] = torch.inf
        patch = tile.amin(2).add_((q * q).sum(2)).clamp_(min=0).sqrt_()
        top = patch.argmax(1)
        score = patch.gather(1, top[:, None])[:, 0]  # s*
        if self.num_neighbors > 1:
            m_star = tile[torch.arange(b), top].argmin(1)  # only for the top patch: an argmin costs more than a minimum
            score = torch.stack([score[i] * self._weight(q[i, top[i]], int(m_star[i]), hidden[i]) for i in range(b)])
        return patch, score

    def _weight(self, q_star: torch.Tensor, m_star: int, hidden: tuple[slice, ...]) -> torch.Tensor:
        to_m_star = torch.linalg.norm(self._m - self._m[m_star], dim=1)
        for rows in hidden:
            to_m_star[rows] = torch.inf
        to_m_star[m_star] = -1.0  # m* is the first of its own neighbours
        neighbours = to_m_star.topk(min(self.num_neighbors, self._left(hidden)), largest=False).indices
        distances = torch.linalg.norm(self._m[neighbours] - q_star, dim=1)
        return 1 - torch.softmax(distances, 0)[0]
