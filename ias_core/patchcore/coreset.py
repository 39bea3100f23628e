"""k-center-greedy coreset, exact, with lazy updates (Sener and Savarese, arXiv 1708.00489; PatchCore, algorithm 1).

The plain algorithm reads all features once per pick: memory-bound, quadratic. A distance to the nearest centre can
only fall, so the distances known at the last full update are upper bounds. Picks therefore come from a small pool of
the currently farthest points, which is updated exactly at each pick, for as long as the pool's best is at least the
largest bound outside it; then one matrix product brings all points up to date with all new centres at once.
"""

from collections.abc import Callable

import torch

from ias_core.errors import FeatureError

_POOL = 4096  # farthest points followed exactly; their features stay in the processor's cache
_BLOCK = 512  # most picks between two full updates
_TILE_NUMBERS = 1 << 24  # size of one tile of the distance matrix


def coreset_size(n: int, ratio: float) -> int:
    """Number of features kept, int(n ratio) as in anomalib.

    Raises
    ------
    FeatureError
        If the ratio is outside (0, 1] or keeps nothing.
    """
    if not 0 < ratio <= 1:
        raise FeatureError(f"expected a coreset ratio in (0, 1], got {ratio}")
    size = int(n * ratio)
    if size < 1:
        raise FeatureError(f"a coreset ratio of {ratio} keeps none of {n} patches: use at least {1 / n:.2g}")
    return size


@torch.inference_mode()
def k_center_greedy(
    features: torch.Tensor,
    size: int,
    *,
    generator: torch.Generator,
    on_pick: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Indices of a greedy k-center subset: a random start, then always the point farthest from all chosen.

    Parameters
    ----------
    features : torch.Tensor of shape (n, d)
        Floating point, any device. Not changed.
    size : int
        Number of points to choose, 1 <= size <= n.
    generator : torch.Generator
        CPU generator; draws the start.
    on_pick : callable(int), optional
        Told how many are chosen, once per full update; may raise to cancel.

    Returns
    -------
    torch.Tensor of shape (size,)
        int64 on the CPU, in the order of choosing, without duplicates.

    Raises
    ------
    FeatureError
        If ``size`` is outside 1..n or a feature is not finite.
    """
    n = features.shape[0]
    if not 1 <= size <= n:
        raise FeatureError(f"expected a coreset size in 1..{n}, got {size}")
    if not torch.isfinite(features).all():
        raise FeatureError("expected finite features, found NaN or infinity")
    start = int(torch.randint(n, (1,), generator=generator))
    if size == n:
        rest = [index for index in range(n) if index != start]
        return torch.tensor([start, *rest])
    x = features - features.mean(0)  # smaller norms, less cancellation in |x|^2 - 2xy + |y|^2
    squares = (x * x).sum(1)
    chosen = torch.empty(size, dtype=torch.int64, device=x.device)
    chosen[0] = start
    distances = torch.full_like(
        squares, torch.inf
    )  # squared, to the nearest chosen point; upper bounds between updates
    done = fresh = 1
    while True:
        _update(distances, x, squares, chosen[done - fresh : done])
        if on_pick is not None:
            on_pick(done)
        if done == size:
            return chosen.cpu()
        fresh = _pick_from_pool(distances, x, squares, chosen, done)
        done += fresh


def _update(distances: torch.Tensor, x: torch.Tensor, squares: torch.Tensor, centres: torch.Tensor) -> None:
    """Full update with new centres; chosen points get -1, so that duplicates of a centre are not chosen again."""
    c, c_squares = x[centres], squares[centres]
    rows = max(1, _TILE_NUMBERS // len(centres))
    for a in range(0, len(x), rows):
        tile = torch.addmm(c_squares, x[a : a + rows], c.T, alpha=-2)  # (rows, b) = |c|^2 - 2xc
        nearest = tile.amin(1).add_(squares[a : a + rows]).clamp_(min=0)
        torch.minimum(distances[a : a + rows], nearest, out=distances[a : a + rows])
    distances[centres] = -1.0


def _pick_from_pool(
    distances: torch.Tensor, x: torch.Tensor, squares: torch.Tensor, chosen: torch.Tensor, done: int
) -> int:
    """Choose points from the pool while the choice is certain; returns how many."""
    n, size = len(x), len(chosen)
    pool_size = min(_POOL, n)
    values, pool = distances.topk(min(pool_size + 1, n))
    outside = float(values[pool_size]) if n > pool_size else -torch.inf
    pool, pooled = pool[:pool_size], values[:pool_size].clone()
    px, p_squares = x[pool], squares[pool]
    most = min(_BLOCK, size - done)
    picks = []
    best, at = pooled.max(0)
    while True:
        picks.append(at)
        if len(picks) == most:
            break
        c = px[at]
        to_pick = torch.addmv(p_squares, px, c, alpha=-2).add_(p_squares[at]).clamp_(min=0)
        torch.minimum(pooled, to_pick, out=pooled)
        pooled[at] = -1.0
        best, at = pooled.max(0)
        if float(best) < outside:
            break
    chosen[done : done + len(picks)] = pool[torch.stack(picks)]
    return len(picks)


@torch.inference_mode()
def covering_radius(features: torch.Tensor, centres: torch.Tensor) -> float:
    """Largest distance of a point to its nearest centre, max_x min_c |x - c|.

    Parameters
    ----------
    features : torch.Tensor of shape (n, d)
    centres : torch.Tensor of shape (m,)
        Indices into ``features``.
    """
    c = features[centres]
    return max(float(torch.cdist(features[a : a + 2048], c).amin(1).max()) for a in range(0, len(features), 2048))
