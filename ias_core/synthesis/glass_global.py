"""GLASS global anomaly synthesis (GAS) beside a PatchCore memory bank: a ruler, not evidence.

GLASS (arXiv 2407.09359, section 3.2) adds Gaussian noise to adapted features, ascends its discriminator's loss and
projects the result into a shell. A memory bank has no discriminator, so the ascent direction is analytic, towards the
nearest bank vector, and the shell lies around the bank (transfer rule ours; see the project's notes on GLASS, mode B).
An anomaly placed at a distance from the bank scores that distance again. Such scores therefore never choose a
threshold; they answer "how large a feature shift would this threshold see?".
"""

from dataclasses import dataclass

import numpy as np
import torch

from ias_core.errors import FeatureError, ShapeError

SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)  # lambda: feature shift in units of R
REGIONS = (1, 4, 16)  # connected cells of the feature grid that shift together
_OWN_SHARE = 0.2  # part of each cell's direction that is its own; the rest is the region's
_STEPS = 20  # T of the paper
_ASCENT = 0.02  # eta T in units of the shift: the paper's ratio
_PROJECT_EVERY = 5
_ROUNDS = 10  # of one projection; 3 were the most ever needed
_TILE_NUMBERS = 1 << 24
_EXAMPLES = tuple(SHIFTS.index(shift) for shift in (1.0, 2.0, 3.0))


@dataclass(frozen=True, slots=True, eq=False)
class FeatureShifts:
    """Image scores of n OK images whose patch features were shifted.

    scores : (regions, shifts, n) float32   feature distance
    shifts : (shifts,) float                lambda, the shift in units of ``scale``
    regions : (regions,) int                number of shifted cells
    scale : float                           R, the median patch score of the untouched images
    example_maps : (k, gh, gw) float32      patch scores of a few shifted images
    example_titles : k strings
    shifted_patches : (p, d) float32        shifted features, for a projection beside OK patches
    shifted_lambda : (p,) float32
    """

    scores: np.ndarray
    shifts: np.ndarray
    regions: np.ndarray
    scale: float
    example_maps: np.ndarray
    example_titles: tuple[str, ...]
    shifted_patches: np.ndarray
    shifted_lambda: np.ndarray


def region(grid: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """A random connected blob of ``cells`` cells, grown one neighbour at a time; indices into the flat grid."""
    gh, gw = grid
    if not 1 <= cells <= gh * gw:
        raise ShapeError(f"expected 1..{gh * gw} cells, got {cells}")
    blob = [(int(rng.integers(gh)), int(rng.integers(gw)))]
    while len(blob) < cells:
        rim = sorted(
            {
                (y + dy, x + dx)
                for y, x in blob
                for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
                if 0 <= y + dy < gh and 0 <= x + dx < gw
            }
            - set(blob)
        )
        blob.append(rim[rng.integers(len(rim))])
    return np.array([y * gw + x for y, x in blob])


def _directions(cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors (cells, d): one shared direction plus an independent part."""
    shared, own = rng.standard_normal(d), rng.standard_normal((cells, d))
    mixed = (1 - _OWN_SHARE) * shared / np.linalg.norm(shared) + _OWN_SHARE * own / np.linalg.norm(own, axis=1)[:, None]
    return mixed / np.linalg.norm(mixed, axis=1)[:, None]


def _nearest(g: torch.Tensor, bank: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance to the nearest bank vector (p,), and that vector (p, d)."""
    squares = (bank * bank).sum(1)
    rows = max(1, _TILE_NUMBERS // len(bank))
    at = torch.cat(  # argmin of |m|^2 - 2gm
        [torch.addmm(squares, g[a : a + rows], bank.T, alpha=-2).argmin(1) for a in range(0, len(g), rows)]
    )
    return torch.linalg.norm(g - bank[at], dim=1), bank[at]


def project_to_shell(g: torch.Tensor, bank: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Truncated projection: on the ray from its nearest bank vector m*, until |g - m*| is in [low, high].

    A ray can lead towards another bank vector, so those features that moved are looked at again.

    g : (p, d); bank : (m, d); low, high : (p,) feature distances.
    """
    g, moved = g.clone(), torch.arange(len(g), device=g.device)
    for _ in range(_ROUNDS):
        distance, m = _nearest(g[moved], bank)
        wanted = distance.clamp(min=low[moved], max=high[moved])
        outside = (distance > 0) & ((wanted - distance).abs() > 1e-5 * distance)  # on m* there is no ray
        moved, m, stretch = moved[outside], m[outside], (wanted / distance)[outside]
        if len(moved) == 0:
            break
        g[moved] = m + (g[moved] - m) * stretch[:, None]
    return g


@torch.inference_mode()
def shifted(f: torch.Tensor, d0: torch.Tensor, e: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """One region of features after noise, ascent towards the bank, and truncated projection.

    Parameters
    ----------
    f : torch.Tensor of shape (c, d)
        Features of the region.
    d0 : torch.Tensor of shape (c,)
        Their own distances to the bank.
    e : torch.Tensor of shape (c, d)
        The shift; every row has the same length rho.
    bank : torch.Tensor of shape (m, d)

    Returns
    -------
    torch.Tensor of shape (c, d)
        Never nearer to the bank than the patch it replaces, nor than rho / 2; never farther than d0 + rho.
    """
    rho = torch.linalg.norm(e, dim=1)
    low, high = torch.maximum(d0, rho / 2), d0 + rho
    g = f + e
    for _ in range(_STEPS // _PROJECT_EVERY):
        distance, m = _nearest(g, bank)
        # The steps between two projections all point at m: they are one step of their summed length.
        length = torch.minimum(_ASCENT * _PROJECT_EVERY / _STEPS * rho, distance)
        g = project_to_shell(g + (length / distance.clamp(min=1e-12))[:, None] * (m - g), bank, low, high)
    return g


@torch.inference_mode()
def feature_shifts(
    features: torch.Tensor, d0: np.ndarray, bank: np.ndarray, *, seed: int, n_examples: int = 4
) -> FeatureShifts:
    """Scores of OK images with one shifted region each, for every region size and shift.

    Common random numbers: place and direction of an image's region are the same for every shift.

    Parameters
    ----------
    features : torch.Tensor of shape (n, gh, gw, d)
        Patch features of OK images outside the bank.
    d0 : ndarray of shape (n, gh, gw)
        Their patch scores.
    bank : ndarray of shape (m, d)
    seed : int

    Raises
    ------
    FeatureError
        If all patch scores are 0: there is no scale to measure in.
    """
    n, gh, gw, d = features.shape
    scale = float(np.median(d0))
    if scale <= 0:
        raise FeatureError("all patch scores are 0: the OK images show no variation, so no shift can be measured in it")
    device, n_shifts = features.device, len(SHIFTS)
    m = torch.tensor(bank, device=device)
    flat, own = features.reshape(n, gh * gw, d), torch.tensor(d0, device=device).reshape(n, -1)
    places: list[list[np.ndarray]] = []  # image -> region -> cells
    units = []
    for child in np.random.SeedSequence(seed).spawn(n):  # an image's regions do not depend on how many images there are
        rng = np.random.default_rng(child)
        places.append([region((gh, gw), cells, rng) for cells in REGIONS])
        units += [_directions(cells, d, rng) for cells in REGIONS]
    image = torch.tensor(np.repeat(np.arange(n), sum(REGIONS)), device=device)  # (c,) of every shifted cell
    cell = torch.tensor(np.concatenate([omega for row in places for omega in row]), device=device)
    unit = torch.tensor(np.concatenate(units), dtype=features.dtype, device=device)  # (c, d)
    f, own_d0 = flat[image, cell], own[image, cell]
    rho = torch.tensor(SHIFTS, dtype=features.dtype, device=device) * scale
    # every shift of every cell in one go, shift by shift: few large products instead of many small ones
    g = shifted(f.repeat(n_shifts, 1), own_d0.repeat(n_shifts), (rho[:, None, None] * unit).reshape(-1, d), m).view(
        n_shifts, -1, d
    )
    new = _nearest(g.reshape(-1, d), m)[0].view(n_shifts, -1)  # (shifts, c)

    scores = np.empty((len(REGIONS), n_shifts, n), np.float32)
    maps, titles, shown, start = [], [], [], 0
    for i, row in enumerate(places):
        for r, omega in enumerate(row):
            cells = slice(start, start + len(omega))
            start = cells.stop
            rest = own[i].clone()
            rest[omega] = -torch.inf
            scores[r, :, i] = torch.maximum(new[:, cells].amax(1), rest.max()).cpu().numpy()
            if r == 1:
                shown.append(cells.start)
            if i < n_examples and r == len(REGIONS) - 1:
                for s in _EXAMPLES:
                    example = own[i].clone()
                    example[omega] = new[s, cells]
                    maps.append(example.view(gh, gw).cpu().numpy())
                    titles.append(f"{len(omega)} cells shifted by {SHIFTS[s]:g} R")
    return FeatureShifts(
        scores=scores,
        shifts=np.array(SHIFTS),
        regions=np.array(REGIONS),
        scale=scale,
        example_maps=np.stack(maps),
        example_titles=tuple(titles),
        shifted_patches=g[1:, shown].reshape(-1, d).cpu().numpy(),
        shifted_lambda=np.repeat(np.float32(SHIFTS[1:]), len(shown)),
    )
