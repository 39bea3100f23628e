"""Where does one picture lie in another?  Cropped, turned by quarters, mirrored, resized: proposed here, decided
elsewhere (`ias_core.twins`).

Key points are ORB's (Rublee, Rabaud, Konolige and Bradski, ICCV 2011, 2564-2571), at five sizes, of a picture whose
contrast is made the same everywhere: else there would be little but the strong edges that all equal parts share.
Pieces of the descriptors are looked up in tables (Indyk and Motwani, STOC 1998, 604-613), so that a search costs
little more than what it finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

_BASE_PX = 160  # longer side of the largest of the five sizes; smaller pictures are enlarged
_STEP = 2**0.25
_SIZES = 5  # the least is half the base: as small as a cropping to half of width and height makes the whole
# Of more pictures than this only some sizes are asked: against all five of the others they meet every ratio still.
_FEW, _SIZES_ASKED = 50, (0, 2, 4)
_POINTS = 250  # at the largest size; with the side fewer, but never below
_POINTS_LEAST = 60
_STRONGEST = 120
_CHOICE, _CELLS = 4, 8  # points to choose from, for one; cells along a side that they are chosen from in turn
_PATCH_PX = 20
# Equal contrast: a band between two Gaussian widths, divided by its local strength (px; grey levels).
_FINE, _BROAD, _AROUND, _STRENGTH_LEAST = 0.8, 3.0, 13, 0.5

_PIECE_BITS, _PIECES = 20, 12  # three to a word of 64 bits
_BUCKET_MOST = 16  # what lies in a fuller one is layout
_BITS_APART = 64  # of 256: unlike places differ in 128 +- 8
_BITS_APART_IN_FIRST = 24  # of the first 64, looked at before the others
_TURN_APART = 20.0  # degrees from a quarter turn
_BIN = 1 / 8  # of the longer side: how far apart two points may put the centre of the picture and agree
_MATCHES_LEAST, _VOTES_LEAST = 4, 0.5
_PROPOSALS = 4  # for each picture, the likeliest
_INLIER_PX = 3.0
_BLOCK = 20_000  # key points looked up at once
_QUARTERS = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """Key points of a picture.

    side : float                px, its longer side
    centre : (2,) float32       x, y in px, edges at whole numbers
    points : (n, 2) float32     likewise
    angles : (n,) float32       degrees
    sizes : (n,) int8           which of the five, ascending; of each the best first
    words : (n, 4) uint64       256 bits each
    """

    side: float
    centre: np.ndarray
    points: np.ndarray
    angles: np.ndarray
    sizes: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Picture ``i`` may be a piece of picture ``j``, or hold it.

    mirrored : whether ``i`` is flipped left to right first
    warp : (2, 3) float64       from a px of ``i``, so flipped, to a px of ``j``; edges at whole numbers
    votes : key points that agree on it
    """

    i: int
    j: int
    mirrored: bool
    warp: np.ndarray
    votes: float


@dataclass(frozen=True, slots=True, eq=False)
class _Votes:
    """What speaks for a pair: points (m, 2) in both that look alike, of which ``n`` agree on where one lies."""

    i: int
    j: int
    mirrored: bool
    n: float
    ours: np.ndarray
    theirs: np.ndarray


def keys_of(grey: np.ndarray) -> Keys:
    """Key points of a picture (h, w) uint8."""
    found, smaller = [], grey.astype(np.float32)
    for k in range(_SIZES):
        factor = _BASE_PX / _STEP**k / max(grey.shape)
        height, width = (max(1, round(side * factor)) for side in grey.shape)
        way = cv2.INTER_CUBIC if width > smaller.shape[1] else cv2.INTER_AREA
        smaller = cv2.resize(smaller, (width, height), interpolation=way)  # from the size before: much faster
        found.append(_at_size(smaller, k))
    scales = [np.array(grey.shape[::-1], np.float32) / size for _, _, _, size in found]
    return Keys(
        side=float(max(grey.shape)),
        centre=np.array(grey.shape[::-1], np.float32) / 2,
        points=np.concatenate([points * scale for (points, *_), scale in zip(found, scales, strict=True)]),
        angles=np.concatenate([angles for _, angles, _, _ in found]),
        sizes=np.repeat(np.arange(_SIZES, dtype=np.int8), [len(points) for points, *_ in found]),
        words=np.concatenate([words for _, _, words, _ in found]),
    )


def _at_size(small: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Points (n, 2), angles (n,) and words (n, 4), the best first, and width and height."""
    band = cv2.GaussianBlur(small, (0, 0), _FINE) - cv2.GaussianBlur(small, (0, 0), _BROAD)
    strength = cv2.sqrt(cv2.blur(cv2.blur(band * band, (_AROUND, _AROUND)), (_AROUND, _AROUND))) + _STRENGTH_LEAST
    even = np.clip(128 + 40 * band / strength, 0, 255).astype(np.uint8)
    wanted = max(_POINTS_LEAST, round(_POINTS / _STEP**k))
    detector = cv2.ORB_create(
        nfeatures=_CHOICE * wanted,
        nlevels=1,
        edgeThreshold=_PATCH_PX // 2,
        patchSize=_PATCH_PX,
        fastThreshold=10,
    )
    found = detector.detect(even)
    if not found:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, 4), np.uint64), small.shape[::-1]
    kept = _spread(cv2.KeyPoint_convert(found), np.array([one.response for one in found]), small.shape)[:wanted]
    found, bits = detector.compute(even, [found[i] for i in kept])
    angles = np.array([one.angle for one in found], np.float32)
    words = np.ascontiguousarray(bits).view(np.uint64)
    return cv2.KeyPoint_convert(found) + np.float32(0.5), angles, words, small.shape[::-1]


def _spread(points: np.ndarray, strengths: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Places of the points, the strongest of every cell of a grid first, then the second of every cell, and so on.

    Else one long scratch would have nearly all of them, and they look alike.
    """
    column, row = np.minimum(points * _CELLS / shape[::-1], _CELLS - 1).astype(int).T
    order = np.lexsort((-strengths, row * _CELLS + column))
    cells = (row * _CELLS + column)[order]
    heads = np.flatnonzero(_heads(cells))
    rank = np.arange(len(cells)) - np.repeat(heads, np.diff(heads, append=len(cells)))
    return order[np.lexsort((-strengths[order], rank))]


class _Flat:
    """Key points of many pictures in one array each."""

    def __init__(self, keys: Sequence[Keys]) -> None:
        self.owner = np.repeat(np.arange(len(keys), dtype=np.int32), [len(one) for one in keys])
        self.points = np.concatenate([one.points for one in keys])
        self.angles = np.concatenate([one.angles for one in keys])
        self.sizes = np.concatenate([one.sizes for one in keys])
        self.words = np.concatenate([one.words for one in keys])
        self.first = np.ascontiguousarray(self.words[:, 0])
        self.sides = np.array([one.side for one in keys], np.float32)
        self.centres = np.array([one.centre for one in keys])

    def pieces(self, number: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """(n,) int64, one piece of each descriptor."""
        word, place = divmod(number, 3)
        shifted = self.words[start:stop, word] >> np.uint64(_PIECE_BITS * place)
        return shifted.astype(np.int64) & ((1 << _PIECE_BITS) - 1)


class _Tables:
    """Which key points have a given piece."""

    def __init__(self, flat: _Flat) -> None:
        self._orders, self._starts, self._counts = [], [], []
        for number in range(_PIECES):
            pieces = flat.pieces(number)
            counts = np.bincount(pieces, minlength=1 << _PIECE_BITS)
            self._orders.append(np.argsort(pieces).astype(np.int32))  # within a bucket any order will do
            self._starts.append(np.cumsum(counts) - counts)
            self._counts.append(np.where(counts <= _BUCKET_MOST, counts, 0))

    def look_up(self, number: int, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places in ``pieces``, and of the key points that have the same."""
        counts = self._counts[number].take(pieces)
        rows = np.repeat(np.arange(len(pieces)), counts)
        before = self._starts[number].take(pieces) - (np.cumsum(counts) - counts)
        return rows, self._orders[number].take(np.arange(len(rows)) + before.take(rows))


def strongest(keys: Keys) -> Keys:
    """Fewer key points, the best at the largest size: enough where both pictures show nearly the same piece."""
    return _some(keys, np.flatnonzero(keys.sizes == 0)[:_STRONGEST])


def _some(keys: Keys, places: np.ndarray) -> Keys:
    parts = {part: getattr(keys, part)[places] for part in ("points", "angles", "sizes", "words")}
    return replace(keys, **parts)


def propose(
    a: Sequence[Keys], b: Sequence[Keys] | None = None, mirrored: Sequence[Keys] | None = None
) -> list[Proposal]:
    """Pairs of one picture of ``a`` and one of ``b`` (or within ``a``, the lower place first) that may be copies.

    ``mirrored``: key points of the mirror images of ``a``, to look for these as well.
    """
    theirs = _Flat(a if b is None else b)
    tables = _Tables(theirs)

    def votes_of(face: Sequence[Keys]) -> list[_Votes]:
        few = len(face) <= _FEW
        ours = _Flat(face if few else [_some(one, np.isin(one.sizes, _SIZES_ASKED)) for one in face])
        edges = np.searchsorted(ours.owner, np.arange(len(face) + 1))
        votes: list[_Votes] = []
        first = 0
        while first < len(face):  # whole pictures: the votes of one are counted together
            last = max(first + 1, int(np.searchsorted(edges, edges[first] + _BLOCK, "right")) - 1)
            matches = _matches(ours, theirs, tables, int(edges[first]), int(edges[last]), within=b is None)
            votes += _elected(ours, theirs, *matches, mirrored=face is mirrored)
            first = last
        return votes

    faces = [a] if mirrored is None else [a, mirrored]
    with ThreadPoolExecutor(len(faces)) as pool:  # NumPy works outside the interpreter's lock
        votes = [one for some in pool.map(votes_of, faces) for one in some]
    return [p for p in map(_proposal, _likeliest(votes)) if p is not None]


def _matches(
    ours: _Flat, theirs: _Flat, tables: _Tables, start: int, stop: int, within: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(m,) each: places of key points in ``ours`` and ``theirs`` that look alike, and the quarter turns between."""
    pairs = []
    for number in range(_PIECES):
        rows, columns = tables.look_up(number, ours.pieces(number, start, stop))
        rows += start
        # The cheapest question first.  `take` is faster than indexing and lets other threads work.
        apart = np.bitwise_count(ours.first.take(rows) ^ theirs.first.take(columns))
        rows, columns = _both(apart <= _BITS_APART_IN_FIRST, rows, columns)
        turn = theirs.angles.take(columns) - ours.angles.take(rows)
        near = np.abs((turn + 45) % 90 - 45) <= _TURN_APART
        if within:
            near &= theirs.owner.take(columns) > ours.owner.take(rows)
        rows, columns = _both(near, rows, columns)
        apart = np.bitwise_count(ours.words.take(rows, axis=0) ^ theirs.words.take(columns, axis=0))
        rows, columns = _both(apart.sum(1, dtype=np.int32) <= _BITS_APART, rows, columns)
        pairs.append(rows * np.int64(len(theirs.owner)) + columns)
    found = np.sort(np.concatenate(pairs))  # sorted by hand: np.unique takes several times as long
    rows, columns = np.divmod(found[_heads(found)], len(theirs.owner))
    turns = np.rint((theirs.angles[columns] - ours.angles[rows]) / 90).astype(np.int64) % 4
    return rows, columns, turns


def _both(kept: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = np.flatnonzero(kept)
    return rows.take(places), columns.take(places)


def _elected(
    ours: _Flat, theirs: _Flat, rows: np.ndarray, columns: np.ndarray, turns: np.ndarray, mirrored: bool
) -> Iterator[_Votes]:
    """Pairs with enough matches that agree on turn, size and place."""
    # What looks like many pictures is layout: a point has one vote, to be shared.
    weight = 1.0 / np.bincount(rows)[rows]
    pair = (ours.owner[rows] * np.int64(len(theirs.sides)) + theirs.owner[columns]) * 4 + turns
    order = np.argsort(pair, kind="stable")
    pair, weight = pair[order], weight[order]
    heads = np.flatnonzero(_heads(pair))
    sizes = np.diff(heads, append=len(pair))
    enough = (sizes >= _MATCHES_LEAST) & (np.add.reduceat(weight, heads) >= _VOTES_LEAST) if len(heads) else sizes > 0
    kept = np.repeat(enough, sizes)
    if not kept.any():
        return
    order, pair, weight = order[kept], pair[kept], weight[kept]
    rows, columns = rows[order], columns[order]
    larger = theirs.sizes[columns].astype(np.int64) - ours.sizes[rows]
    side = theirs.sides[theirs.owner[columns]]
    factor = side / ours.sides[ours.owner[rows]] * _STEP ** larger.astype(np.float32)
    from_centre = (ours.points[rows] - ours.centres[ours.owner[rows]])[:, :, None]
    moved = (_QUARTERS[pair % 4] @ from_centre)[:, :, 0] * factor[:, None]
    centre = (theirs.points[columns] - moved) / (side * _BIN)[:, None] + 64
    most = np.zeros((2, len(rows)))
    for offset in range(8):  # with bins shifted by half as well, no edge parts what belongs together
        x, y = (np.floor(centre[:, axis] + 0.5 * (offset >> axis & 1)).clip(0, 255).astype(np.int64) for axis in (0, 1))
        bins = ((pair * 8 + (larger + 4 + (offset >> 2)) // 2) * 256 + x) * 256 + y
        order = np.argsort(bins, kind="stable")
        group = np.empty(len(bins), np.int64)
        group[order] = np.cumsum(_heads(bins[order])) - 1
        most = np.maximum(most, np.stack([np.bincount(group)[group], np.bincount(group, weight)[group]]))
    heads = np.flatnonzero(_heads(pair))
    size, votes = np.maximum.reduceat(most, heads, axis=1)
    for k in np.flatnonzero((size >= _MATCHES_LEAST) & (votes >= _VOTES_LEAST)):
        i, j = divmod(int(pair[heads[k]]) // 4, len(theirs.sides))
        here = slice(heads[k], heads[k + 1] if k + 1 < len(heads) else None)
        yield _Votes(i, j, mirrored, float(votes[k]), ours.points[rows[here]], theirs.points[columns[here]])


def _heads(values: np.ndarray) -> np.ndarray:
    """Which of sorted values are not the same as the one before."""
    return np.concatenate([np.ones(min(1, len(values)), bool), values[1:] != values[:-1]])


def _likeliest(votes: Sequence[_Votes]) -> list[_Votes]:
    """For each picture of ours those with the most votes; the places decide between equals."""
    kept: list[_Votes] = []
    of: Counter[int] = Counter()
    for one in sorted(votes, key=lambda one: (-one.n, one.i, one.j, one.mirrored)):
        if of[one.i] < _PROPOSALS:
            of[one.i] += 1
            kept.append(one)
    return kept


def _proposal(votes: _Votes) -> Proposal | None:
    warp, inliers = cv2.estimateAffinePartial2D(votes.ours, votes.theirs, ransacReprojThreshold=_INLIER_PX)
    if warp is None or np.count_nonzero(inliers) < _MATCHES_LEAST:
        return None
    return Proposal(votes.i, votes.j, votes.mirrored, warp, votes.n)
