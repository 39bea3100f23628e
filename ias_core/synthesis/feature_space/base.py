"""What all feature-space methods share: regions, one draw for every shift, and scores beside a PatchCore memory bank.

The methods make anomalies by moving OK features. PatchCore's score is the distance of a feature to the bank, so an
anomaly that was put at a distance scores that distance again (the project's notes on GLASS, mode B: score ~
sqrt(d0^2 + rho^2) for random directions). Such scores are a ruler, "how large a feature shift would this threshold
see?", and never choose a threshold. In their papers the methods train discriminators instead.

Features are moved after the 3x3 pooling of the patch features. Nothing in a picture moves one pooled patch alone:
regions of 1 patch are a limit, not a small defect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ias_core.errors import FeatureError, ShapeError
from ias_core.registry import Registry
from ias_core.synthesis.feature_space.lookup import distance, largest_scores, nearest

feature_synthesizers = Registry("feature-space method")

SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)  # lambda: feature shift in units of R
REGIONS = (1, 4, 16)  # connected cells of the feature grid that are moved together
_RADIUS_QUANTILE = 0.75  # of GLASS's hypersphere (repository, main.py)
_CONTROL_SHARE = 0.5  # of the masks that SuperSimpleNet and DSR leave empty
_NEVER_ZERO = 1e-6  # in units of R: added to a distance before it divides


@dataclass(frozen=True, slots=True, eq=False)
class OkReference:
    """What is known of one product's OK features, all on one device.

    bank : (m, d) float32          the memory bank
    scale : float                  R, the median patch score of OK images outside the bank
    centres : (gh gw, d) float32   mean OK feature of each place of the grid
    radius : float                 75 % quantile of the distances of OK features to the centre of their own place
    closeness : float              mean of 1 / patch score
    foreign : (q, d) float32       codes of matter that the product does not have, or None
    """

    bank: torch.Tensor
    scale: float
    centres: torch.Tensor
    radius: float
    closeness: float
    foreign: torch.Tensor | None = None

    @classmethod
    def of(
        cls, features: torch.Tensor, d0: np.ndarray, bank: np.ndarray, *, foreign: torch.Tensor | None = None
    ) -> "OkReference":
        """Measure OK images outside the bank.

        Parameters
        ----------
        features : torch.Tensor of shape (n, gh, gw, d)
            With one image the centres are that image itself, and the radius is 0.
        d0 : ndarray of shape (n, gh, gw)
            Their patch scores.
        bank : ndarray of shape (m, d)
        foreign : torch.Tensor of shape (q, d), optional

        Raises
        ------
        ShapeError
            Features, scores and bank that do not fit each other.
        FeatureError
            All patch scores are 0: there is no scale to measure in. Or foreign codes of another width than the bank,
            as another backbone gives them.
        """
        n, gh, gw, d = features.shape
        if d0.shape != (n, gh, gw) or bank.ndim != 2 or bank.shape[1] != d:
            raise ShapeError(
                f"expected patch scores {(n, gh, gw)} and a bank (m, {d}), got {d0.shape} and {bank.shape}"
            )
        if foreign is not None and (foreign.ndim != 2 or foreign.shape[1] != d):
            raise FeatureError(
                f"expected foreign codes (q, {d}) from the bank's own backbone, got {tuple(foreign.shape)}"
            )
        scale = float(np.median(d0))
        if scale <= 0:
            raise FeatureError(
                "all patch scores are 0: the OK images show no variation, so no shift can be measured in it"
            )
        flat = features.reshape(n, gh * gw, d)
        centres = flat.mean(0)
        to_centre = torch.stack([torch.linalg.norm(image - centres, dim=1) for image in flat])  # (n, gh gw)
        return cls(
            bank=torch.tensor(bank, device=features.device),
            scale=scale,
            centres=centres,
            radius=float(np.quantile(to_centre.cpu().numpy(), _RADIUS_QUANTILE)),
            closeness=float(np.mean(1 / (d0.astype(np.float64) + _NEVER_ZERO * scale))),
            foreign=foreign,
        )

    def never_zero(self, distances: torch.Tensor) -> torch.Tensor:
        """Distances that may divide."""
        return distances + _NEVER_ZERO * self.scale


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """c patches of one product that are moved, of all images and regions in one list.

    f : (c, d)       their features
    d0 : (c,)        their patch scores
    m : (c, d)       the bank vector nearest to each
    place : (c,)     place of each in the flat grid
    drawn : (c, k)   what the method drew for each, whatever the shift
    """

    f: torch.Tensor
    d0: torch.Tensor
    m: torch.Tensor
    place: torch.Tensor
    drawn: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class FeatureShifts:
    """Image scores of n OK images with one moved region each: a ruler, not evidence.

    method : registered name
    scores : (regions, dial, n) float32     feature distance; an image's score is its largest patch score
    dial : (dial,) float                    0 first: untouched
    unit : str                              "R", the median patch score of OK images, or "%" for a share of 1
    quantity, meaning : str                 what the dial counts, in short and in one sentence
    gradual : bool                          whether small dial values are small changes
    regions : names, one per region
    is_ng : (regions, n) bool               False where the region was left empty: a control
    shift_in_R : (dial,) float              median of |g - f| / R over all moved patches
    n_cells, unmoved : int                  patches in all regions, and those that stay at every dial value
    example_maps : (k, gh, gw) float32      patch scores of a few images
    example_titles : k strings
    moved_patches : (p, d) float32          moved features, for a projection beside OK patches
    """

    method: str
    scores: np.ndarray
    dial: np.ndarray
    unit: str
    quantity: str
    meaning: str
    gradual: bool
    regions: tuple[str, ...]
    is_ng: np.ndarray
    shift_in_R: np.ndarray
    n_cells: int
    unmoved: int
    example_maps: np.ndarray
    example_titles: tuple[str, ...]
    moved_patches: np.ndarray


@dataclass(frozen=True, slots=True)
class FeatureSynthesizer:
    """Base of the methods; a subclass sets the class variables and defines ``draw`` and ``shifted``.

    name : registered name
    dial : values that are tried, 0 first; example maps are kept for those in ``shown``
    unit : "R" for shifts in units of R, "%" for a share of 1
    quantity, meaning : what the dial counts, in short and in one sentence
    gradual : whether small dial values are small changes
    region_names : one for each region that ``regions`` gives
    """

    name: ClassVar[str]
    dial: ClassVar[tuple[float, ...]] = SHIFTS
    shown: ClassVar[tuple[float, ...]] = (1.0, 2.0, 3.0)
    unit: ClassVar[str] = "R"
    quantity: ClassVar[str] = "size of the shift"
    meaning: ClassVar[str]
    gradual: ClassVar[bool] = True
    region_names: ClassVar[tuple[str, ...]] = tuple("1 patch" if k == 1 else f"{k} patches" for k in REGIONS)

    def regions(self, grid: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
        """Cells of each region of one image, as places in the flat grid."""
        return [blob(grid, cells, rng) for cells in REGIONS]

    def draw(self, cells: int, d: int, rng: np.random.Generator) -> np.ndarray:
        """Everything random about one region, (cells, k); the same for every dial value."""
        raise NotImplementedError

    def shifted(self, cells: Cells, reference: OkReference, value: float) -> torch.Tensor:
        """Moved features (c, d) at a dial value above 0."""
        raise NotImplementedError

    def title(self, value: float) -> str:
        """What was done at a dial value, for an example's caption."""
        return f"shifted by {value:g} R"

    @torch.inference_mode()
    def __call__(
        self,
        features: torch.Tensor,
        d0: np.ndarray,
        references: OkReference | Sequence[OkReference],
        *,
        seed: int,
        classes: np.ndarray | None = None,
        controls: bool = False,
        n_examples: int = 4,
    ) -> FeatureShifts:
        """Scores of OK images with one moved region each, for every region and dial value.

        Common random numbers: place and direction of a region are the same for every dial value. Image i does not
        depend on how many there are.

        Parameters
        ----------
        features : torch.Tensor of shape (n, gh, gw, d)
            Patch features of OK images outside the bank, left unchanged.
        d0 : ndarray of shape (n, gh, gw)
            Their patch scores, against the bank of their own product.
        references : OkReference, or one per product
        seed : int
        classes : ndarray of shape (n,), optional
            int, the product of each image as a place in ``references``; needed from two products on.
        controls : bool
            Leave half of the regions empty, at random: OK images that match, as SuperSimpleNet and DSR train with.
        n_examples : int
            Images, of each product, whose maps are kept.

        Raises
        ------
        ShapeError
            Arrays that do not fit each other or the reference, or a grid smaller than a region.
        FeatureError
            What the method cannot work with; the text says why.
        """
        products = (references,) if isinstance(references, OkReference) else tuple(references)
        classes = _checked(features, d0, products, classes)
        n = len(features)
        children = np.random.SeedSequence(seed).spawn(
            n
        )  # an image's regions do not depend on how many images there are
        scores = np.empty((len(self.region_names), len(self.dial), n), np.float32)
        is_ng = np.empty((len(self.region_names), n), bool)
        parts = []
        for k in np.unique(classes):
            of_product = np.flatnonzero(classes == k)
            part = self._of_product(
                features[torch.tensor(of_product)],
                d0[of_product],
                products[k],
                [children[i] for i in of_product],
                controls,
                n_examples,
            )
            scores[:, :, of_product], is_ng[:, of_product] = part.scores, part.is_ng
            parts.append(part)
        lengths = np.concatenate([part.lengths for part in parts], 1)  # (dial, c)
        titles = [
            f"{int(moved)} patches {self.title(value)}" if moved > 1 else f"1 patch {self.title(value)}"
            for part in parts
            for moved in part.example_sizes
            for value in self.shown
        ]
        return FeatureShifts(
            method=self.name,
            scores=scores,
            dial=np.array(self.dial),
            unit=self.unit,
            quantity=self.quantity,
            meaning=self.meaning,
            gradual=self.gradual,
            regions=self.region_names,
            is_ng=is_ng,
            shift_in_R=np.median(lengths, 1) if lengths.size else np.zeros(len(self.dial)),
            n_cells=lengths.shape[1],
            unmoved=int((lengths == 0).all(0).sum()),
            example_maps=np.concatenate([part.maps for part in parts]),
            example_titles=tuple(titles),
            moved_patches=np.concatenate([part.patches for part in parts]),
        )

    def _of_product(
        self,
        features: torch.Tensor,
        d0: np.ndarray,
        reference: OkReference,
        children: Sequence[np.random.SeedSequence],
        controls: bool,
        n_examples: int,
    ) -> "_Part":
        """The ruler on images of one product; a group is one region of one image, region after region."""
        n, gh, gw, d = features.shape
        device, n_regions = features.device, len(self.region_names)
        is_ng = np.ones((n, n_regions), bool)
        places: list[np.ndarray] = []  # group -> cells
        draws: list[np.ndarray] = []
        for i, child in enumerate(children):
            rng = np.random.default_rng(child)
            regions = self.regions((gh, gw), rng)
            drawn = [self.draw(len(region), d, rng) for region in regions]
            if controls:  # drawn last: the regions that are not left empty stay what they are without controls
                is_ng[i] = rng.random(n_regions) >= _CONTROL_SHARE
            places += [region[: len(region) * ng] for region, ng in zip(regions, is_ng[i], strict=True)]
            draws += [draw[: len(draw) * ng] for draw, ng in zip(drawn, is_ng[i], strict=True)]
        sizes = np.array([len(region) for region in places])
        group = torch.tensor(np.repeat(np.arange(len(places)), sizes), device=device)  # (c,)
        place = torch.tensor(np.concatenate(places), device=device)
        own = torch.tensor(d0, device=device).reshape(n, -1)
        f = features.reshape(n, gh * gw, d)[group // n_regions, place]
        cells = Cells(
            f=f,
            d0=own[group // n_regions, place],
            m=reference.bank[nearest(f, reference.bank)],
            place=place,
            drawn=torch.tensor(np.concatenate(draws), dtype=features.dtype, device=device),
        )
        rest = own.repeat_interleave(n_regions, 0)  # (groups, gh gw): patch scores outside the region
        rest[group, place] = -torch.inf
        floor = rest.amax(1)

        starts = np.cumsum(sizes) - sizes
        first_cells = [starts[k] for k in range(min(1, n_regions - 1), len(places), n_regions) if sizes[k]]
        examples = [k for k in range(n_regions - 1, n_examples * n_regions, n_regions) if k < len(places) and sizes[k]]
        scores = own.new_empty(len(self.dial), len(places))
        scores[0] = own.amax(1).repeat_interleave(n_regions)
        lengths = own.new_zeros(len(self.dial), len(f))
        maps = np.empty((len(examples), len(self.shown), gh, gw), np.float32)
        patches = []
        for v, value in enumerate(self.dial[1:], start=1):
            g = self.shifted(cells, reference, value)
            scores[v] = largest_scores(g, cells.m, group, floor, reference.bank)
            lengths[v] = torch.linalg.norm(g - f, dim=1) / reference.scale
            patches.append(g[first_cells])
            if value in self.shown:
                for e, k in enumerate(examples):
                    rows = slice(starts[k], starts[k] + sizes[k])
                    patch = own[k // n_regions].clone()
                    patch[place[rows]] = distance(g[rows], reference.bank)
                    maps[e, self.shown.index(value)] = patch.view(gh, gw).cpu().numpy()
        return _Part(
            scores=scores.view(len(self.dial), n, n_regions).permute(2, 0, 1).cpu().numpy(),
            is_ng=is_ng.T,
            lengths=lengths.cpu().numpy(),
            maps=maps.reshape(-1, gh, gw),
            example_sizes=tuple(int(sizes[k]) for k in examples),
            patches=torch.cat(patches).cpu().numpy(),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One product's share of a ruler; ``lengths`` (dial, c) are |g - f| / R, ``patches`` are dial value by value."""

    scores: np.ndarray
    is_ng: np.ndarray
    lengths: np.ndarray
    maps: np.ndarray
    example_sizes: tuple[int, ...]
    patches: np.ndarray


def _checked(
    features: torch.Tensor, d0: np.ndarray, products: Sequence[OkReference], classes: np.ndarray | None
) -> np.ndarray:
    """The product of each image, after a look at all shapes."""
    n, gh, gw, d = features.shape
    if n == 0 or d0.shape != (n, gh, gw):
        raise ShapeError(f"expected features of at least one image and patch scores {(n, gh, gw)}, got {d0.shape}")
    for reference in products:
        if reference.bank.shape[1] != d or len(reference.centres) != gh * gw:
            raise ShapeError(
                f"expected features of the reference's {len(reference.centres)} places and width "
                f"{reference.bank.shape[1]}, got a grid of {gh} x {gw} and width {d}: measure the reference anew for "
                "this image size"
            )
    if classes is None:
        if len(products) != 1:
            raise ShapeError(f"expected the product of each image, as there are {len(products)} products, got none")
        return np.zeros(n, int)
    if classes.shape != (n,) or not np.isin(classes, range(len(products))).all():
        raise ShapeError(f"expected {n} whole numbers in 0..{len(products) - 1} as products, got {classes!r}")
    return classes.astype(int)


def blob(grid: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """A random connected blob of ``cells`` cells, grown one neighbour at a time; places in the flat grid."""
    gh, gw = grid
    if not 1 <= cells <= gh * gw:
        raise ShapeError(f"expected 1..{gh * gw} cells, got {cells}")
    taken = [(int(rng.integers(gh)), int(rng.integers(gw)))]
    while len(taken) < cells:
        rim = sorted(
            {
                (y + dy, x + dx)
                for y, x in taken
                for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
                if 0 <= y + dy < gh and 0 <= x + dx < gw
            }
            - set(taken)
        )
        taken.append(rim[rng.integers(len(rim))])
    return np.array([y * gw + x for y, x in taken])
