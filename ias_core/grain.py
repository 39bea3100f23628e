"""Do two pictures that lie on each other show one photograph?  Their grain tells: what two photographs never share.

Equal parts share their edges, and edges are the strong points of the fine detail.  So the weaker half is asked alone,
at two scales.
"""

from __future__ import annotations

import cv2
import numpy as np

from ias_core.registration import Proposal

# Fine detail lies between these Gaussian widths (px of the coarser picture), and is this strong (8-bit levels).
_FLOOR = 0.25
_BANDS = ((1.0, 3.0), (1.5, 4.0))
# How far it must agree in both bands.  JPEG blurs the finer one, and edges seen small fill the coarser one, so neither
# tells alone.  Calibrated on transistor and hazelnut (60 pictures each), as wholes and pieces at every size: copies
# changed in two ways agree by 0.84 and 0.97 at least, different photographs by 0.95 at most in the coarser one.
AGREEMENT_LEAST = (0.82, 0.965)
# As the key points lie them, copies agree by 0.75 at least: below this, in the finer band, no alignment helps.
_AGREEMENT_TO_ALIGN = 0.55
_MIDDLE_PX, _AGREEMENT_IN_MIDDLE = 96, 0.50  # 0 is no answer: there may be no detail in the middle
# Points with detail in both, as a share of the richer picture's and of all.
_OVERLAP_LEAST, _DETAIL_LEAST = 0.60, 0.05
_BLOCKS, _BEST_SHARE = 4, 2 / 3  # blocks along a side
_SIDE_LEAST_PX = 16
_SHOWN_LEAST = 0.5  # of the smaller picture: a piece lies in the whole, but for what was cropped on the other side
# Where one is the whole part at less than half the size of the other, edges fill both bands (solar cells): that is
# left to `ias_core.twins`, which compares wholes in a finer band.
_WHOLE_SCALE_LEAST, _WHOLE = 0.45, 0.85
# Alignment: a band whose local strength (px) is made the same everywhere, so that the grain pulls, and not the edges.
_ALIGNED_BAND, _AROUND_PX, _STRENGTH_LEAST = (1.0, 4.0), 6.0, 0.25
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-4)
_SCALE_MOST = 3.0  # a cropping to half, once more resized to half, and a little
_SHIFT = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # edges at whole numbers -> centres at whole numbers


def same_photograph(a: np.ndarray, b: np.ndarray, proposal: Proposal) -> bool:
    """Whether grey pictures ``a`` and ``b``, (h, w) uint8 each, are pieces of one photograph, laid as proposed."""
    laid = _laid(a, b, proposal)
    if laid is None:
        return False
    piece, whole, warp = laid
    if not _may_agree(piece, whole, warp):
        return False
    at_once = agreement(piece, _moved(whole, warp, piece.shape))
    if _enough(at_once) or at_once[0] < _AGREEMENT_TO_ALIGN:
        return _enough(at_once)
    warp = _aligned(piece, whole, warp)
    return warp is not None and _enough(agreement(piece, _moved(whole, warp, piece.shape)))


def _enough(agreed: tuple[float, float]) -> bool:
    return all(value >= least for value, least in zip(agreed, AGREEMENT_LEAST, strict=True))


def _may_agree(piece: np.ndarray, whole: np.ndarray, warp: np.ndarray) -> bool:
    """A look at the middle alone, where that is a part of it only; unlike pictures are mostly told there."""
    top, left = (max(0, (side - _MIDDLE_PX) // 2) for side in piece.shape)
    if not top and not left:
        return True
    middle = piece[top : top + _MIDDLE_PX, left : left + _MIDDLE_PX]
    shift = np.array([left, top], np.float32)
    there = np.column_stack([warp[:, :2], warp[:, 2] + warp[:, :2] @ shift])
    found = _agreement_in_band(middle, _moved(whole, there, middle.shape), *_BANDS[-1])
    return found == 0 or found >= _AGREEMENT_IN_MIDDLE


def agreement(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """How far the weaker fine detail of two pictures (h, w) float32 that lie on each other agrees in sign.

    Returns
    -------
    float, float
        In the finer band and in the coarser one, each over the two thirds of it, by blocks, that agree best: a
        synthetic NG shares no more than that with the good part it was drawn on.  From -1 to 1: 1 the same, 0 chance.
        0 as well where the detail of one is missing in the other.
    """
    finer, coarser = (_agreement_in_band(a, b, *band) for band in _BANDS)
    return finer, coarser


def _agreement_in_band(a: np.ndarray, b: np.ndarray, fine: float, broad: float) -> float:
    details = [cv2.GaussianBlur(one, (0, 0), fine) - cv2.GaussianBlur(one, (0, 0), broad) for one in (a, b)]
    seen = [np.abs(one) >= _FLOOR for one in details]
    both = seen[0] & seen[1]
    n = np.count_nonzero(both)
    if not n or n < max(_OVERLAP_LEAST * max(map(np.count_nonzero, seen)), _DETAIL_LEAST * both.size):
        return 0.0
    product = details[0] * details[1]
    strength = np.abs(product)
    weak = both & (strength <= np.median(strength[both]))
    agreeing, points = (_sums(np.where(weak, values, 0.0)) for values in (np.sign(product), 1.0))
    best = np.argsort(-agreeing / np.maximum(points, 1), kind="stable")
    taken = best[np.cumsum(points[best]) <= _BEST_SHARE * points.sum()]
    taken = taken if len(taken) else best[:1]  # all of it may lie in one block
    return float(agreeing[taken].sum() / max(points[taken].sum(), 1))


def _sums(values: np.ndarray) -> np.ndarray:
    """(16,) sums over blocks."""
    rows, columns = (np.linspace(0, side, _BLOCKS, endpoint=False).astype(int) for side in values.shape)
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1).ravel()


def _laid(a: np.ndarray, b: np.ndarray, proposal: Proposal) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The piece of ``a`` that ``b`` shows, ``b``, and (2, 3) from a px of the piece to one of ``b``, centres at whole
    numbers; None where they do not fit on each other.  The finer one is made as coarse as the other, and ``a`` turned.
    """
    warp = np.vstack([proposal.warp, [0, 0, 1]])  # from a px of a to a px of b, edges at whole numbers
    scale = float(np.sqrt(abs(np.linalg.det(warp[:2, :2]))))
    if not 1 / _SCALE_MOST <= scale <= _SCALE_MOST:
        return None
    a, b = (one.astype(np.float32) for one in (a[:, ::-1] if proposal.mirrored else a, b))
    a, from_a = _shrunk(a, min(1.0, scale))
    b, from_b = _shrunk(b, min(1.0, 1 / scale))
    quarters = int(np.rint(np.degrees(np.arctan2(warp[1, 0], warp[0, 0])) / 90)) % 4
    a, turned = _turned(a, quarters)
    warp = np.linalg.inv(from_b) @ warp @ from_a @ turned
    left, top, right, bottom = _shown(warp, a.shape, b.shape)
    width, height = right - left, bottom - top
    if min(width, height) < _SIDE_LEAST_PX or width * height < _SHOWN_LEAST * min(a.size, b.size):
        return None
    if min(scale, 1 / scale) < _WHOLE_SCALE_LEAST and width * height >= _WHOLE * max(a.size, b.size):
        return None
    a = np.ascontiguousarray(a[top:bottom, left:right])
    warp = _SHIFT @ warp @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]]) @ np.linalg.inv(_SHIFT)
    return a, b, warp[:2].astype(np.float32)


def _aligned(piece: np.ndarray, whole: np.ndarray, warp: np.ndarray) -> np.ndarray | None:
    """``warp`` made better by ECC: Evangelidis and Psarakis, IEEE TPAMI 30 (2008), 1858-1865."""
    try:
        return cv2.findTransformECC(_even(piece), _even(whole), warp, cv2.MOTION_AFFINE, _STEPS, None, 1)[1]
    except cv2.error:  # how OpenCV says that it does not converge: the two do not belong together
        return None


def _moved(whole: np.ndarray, warp: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(whole, warp, shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)


def _shrunk(picture: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture made smaller, and (3, 3) from its px to those of the one before."""
    height, width = (max(_SIDE_LEAST_PX, round(side * factor)) for side in picture.shape)
    back = np.diag([picture.shape[1] / width, picture.shape[0] / height, 1.0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), back


def _turned(picture: np.ndarray, quarters: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned clockwise, and (3, 3) from its px to those of the one before."""
    back = np.eye(3)
    for _ in range(quarters):
        back = back @ np.array([[0, 1, 0], [-1, 0, picture.shape[0]], [0, 0, 1.0]])
        picture = np.rot90(picture, -1)
    return picture, back


def _shown(warp: np.ndarray, of_a: tuple[int, ...], of_b: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what ``b`` shows of ``a``."""
    height, width = of_b
    x, y, _ = np.linalg.inv(warp) @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    (_, left, right, _), (_, top, bottom, _) = np.sort(x), np.sort(y)
    return (
        max(0, int(np.ceil(left))),
        max(0, int(np.ceil(top))),
        min(of_a[1], int(right)),
        min(of_a[0], int(bottom)),
    )


def _even(picture: np.ndarray) -> np.ndarray:
    fine, broad = (cv2.GaussianBlur(picture, (0, 0), sigma) for sigma in _ALIGNED_BAND)
    band = fine - broad
    return band / (np.sqrt(cv2.GaussianBlur(band * band, (0, 0), _AROUND_PX)) + _STRENGTH_LEAST)
