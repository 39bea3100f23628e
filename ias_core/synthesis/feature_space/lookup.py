"""Nearest bank vectors of moved features, and the largest patch score of a region with as few of them as possible."""

import torch

_TILE_NUMBERS = 1 << 24


def nearest(g: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Row of the bank vector nearest to each feature.

    Parameters
    ----------
    g : torch.Tensor of shape (p, d)
    bank : torch.Tensor of shape (m, d)

    Returns
    -------
    torch.Tensor of shape (p,)
        int64.
    """
    squares = (bank * bank).sum(1)
    rows = max(1, _TILE_NUMBERS // len(bank))
    tiles = (torch.addmm(squares, g[a : a + rows], bank.T, alpha=-2) for a in range(0, len(g), rows))
    return torch.cat([tile.argmin(1) for tile in tiles]) if len(g) else g.new_empty(0, dtype=torch.int64)


def distance(g: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Patch scores (p,): distance to the nearest bank vector, without the rounding of |g|^2 - 2gm + |m|^2."""
    return torch.linalg.norm(g - bank[nearest(g, bank)], dim=1)


def largest_scores(
    g: torch.Tensor, m: torch.Tensor, group: torch.Tensor, floor: torch.Tensor, bank: torch.Tensor
) -> torch.Tensor:
    """Largest patch score of each group of features, or its floor where none is larger.

    A patch score is at most the distance to any bank vector that is known. Only features whose bound exceeds what the
    group has already reached are looked up; of large regions that is a small part.

    Parameters
    ----------
    g : torch.Tensor of shape (c, d)
    m : torch.Tensor of shape (c, d)
        A bank vector near each, such as the one it was nearest to before it was moved.
    group : torch.Tensor of shape (c,)
        int64, place in ``floor``.
    floor : torch.Tensor of shape (groups,)
        Largest patch score elsewhere in the image.
    bank : torch.Tensor of shape (n, d)
    """
    bound = torch.linalg.norm(g - m, dim=1)
    leads = bound >= torch.full_like(floor, -torch.inf).scatter_reduce(0, group, bound, "amax")[group]
    best = floor
    for candidates in (leads, ~leads):
        rows = (candidates & (bound > best[group])).nonzero()[:, 0]
        best = best.scatter_reduce(0, group[rows], distance(g[rows], bank), "amax")
    return best
