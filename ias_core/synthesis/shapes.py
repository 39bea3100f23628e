"""Shapes of small single defects, each of an asked area: dot, line, free form, Bezier region, polygon.

Nodes, lengths and thicknesses of dot, line and free form are those of AnoStyler's released shape priors, as the
project's notes on hand-crafted synthesis quote them (H13); the Bezier region is REB's (repository ShuaiLYU/REB,
src/DefectMaker/bezier_mask.py). The asked area, the same for every shape, is ours.

Every shape comes in its smallest box, as a bool mask of round(pi size_px^2 / 4) pixels, at least 1, in one piece, and
an alpha in [0, 1] that is 0 outside the mask.
"""

from collections.abc import Callable

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

_RIM_SHARE = 0.3  # of a dot's radius: how far its soft edge reaches inwards, at least 1 px
_CANONICAL_PX = 512  # outlines are cleaned of loops and holes at this size
_FINER = 8  # how much finer than the picture shapes are drawn, for smooth edges
_SHIFT = 4  # OpenCV's fixed point: coordinates in sixteenths
_FEWER_PARTS = 0.7
_THINNEST_PX = 1.5
_PER_SEGMENT = 20


def area_px(size_px: float) -> int:
    """Number of pixels of a shape of this equivalent diameter, at least 1.

    Examples
    --------
    >>> [area_px(size) for size in (0.3, 2, 10)]
    [1, 3, 79]
    """
    return max(1, round(np.pi * size_px**2 / 4))


def parts(rng: np.random.Generator, *, most: int = 5) -> int:
    """How many shapes make up one defect: m with a probability proportional to exp(-0.7 m), m = 1 to ``most``."""
    weights = np.exp(-_FEWER_PARTS * np.arange(1, most + 1))
    return int(rng.choice(np.arange(1, most + 1), p=weights / weights.sum()))


def dot(size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A round spot with an uneven rim.

    12 to 30 nodes on a circle, each moved along its radius by up to 5 to 35 %, joined, then stretched by 0.6 to 1.4.
    The pixels deepest inside that outline are taken, as many as the asked area has.

    Parameters
    ----------
    size_px : float
        Equivalent diameter.

    Returns
    -------
    mask : ndarray of shape (h, w)
        bool, the smallest box around the spot; round(pi size_px^2 / 4) pixels, at least 1.
    profile : ndarray of shape (h, w)
        Strength: 0 outside the mask, falling towards the rim inside it, root mean square 1 over the mask.
    """
    nodes = int(rng.integers(12, 31))
    unevenness, stretch = rng.uniform(0.05, 0.35), rng.uniform(0.6, 1.4)
    radii = 1 + unevenness * rng.uniform(-1, 1, nodes)
    turn, centre = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5, 2)
    places = 2 * np.pi * np.arange(nodes) / nodes
    mask, depth = _polar(
        size_px, lambda angles: np.interp(angles + turn, places, radii, period=2 * np.pi), stretch, centre
    )
    radius = size_px / 2
    # px from the rim inwards, half a px for the rim itself
    inwards = radius * (1 - depth) + 0.5 if np.count_nonzero(mask) > 1 else np.ones_like(depth)
    profile = np.where(mask, np.clip(inwards / max(1.0, _RIM_SHARE * radius), 0, 1), 0)
    profile /= np.sqrt(np.mean(profile[mask] ** 2))
    return mask, profile


def bump(size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A smooth hill on an oval, stretched as a dot is and bulging by up to 12 % to two and to three sides; ours.

    Returns
    -------
    mask, height : ndarray of shape (h, w)
        bool, and (1 - depth^2)^3: 1 on top, flat there and at the rim, 0 outside. The box has a border of 2 px, so that
        the slopes in it sum to 0 in every direction.
    """
    stretch, turn = rng.uniform(0.6, 1.4), rng.uniform(0, 2 * np.pi)
    amounts, turns = rng.uniform(0, 0.12, 2), rng.uniform(0, 2 * np.pi, 2)
    mask, depth = _polar(
        size_px,
        lambda angles: 1 + sum(a * np.cos(k * angles + t) for k, a, t in zip((2, 3), amounts, turns, strict=True)),
        stretch,
        rng.uniform(-0.5, 0.5, 2),
        turn,
    )
    height = np.where(mask, (1 - np.minimum(depth, 1) ** 2) ** 3, 0)
    return np.pad(mask, 2), np.pad(height, 2)


def _polar(
    size_px: float,
    outline: Callable[[np.ndarray], np.ndarray],
    stretch: float,
    centre: np.ndarray,
    lean: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Mask of a region around a middle, and how deep inside a pixel lies: 0 in the middle, 1 all along the rim.

    Parameters
    ----------
    outline : callable
        Angles to radii, within 0.65 to 1.35, in any unit.
    stretch : float
        Across over down, 0.6 to 1.4.
    lean : float
        Radians by which the stretched region is turned.
    """
    reach = int(np.ceil(2.7 * size_px / 2)) + 1  # outermost 1.35, mean rim 0.65, stretch 1 / sqrt(0.6)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] - centre[:, None, None]
    if lean:
        x, y = np.cos(lean) * x + np.sin(lean) * y, np.cos(lean) * y - np.sin(lean) * x
    x, y = x / np.sqrt(stretch), y * np.sqrt(stretch)
    depth = np.hypot(x, y) / outline(np.arctan2(y, x))
    area = area_px(size_px)
    rim = np.partition(depth, area - 1, axis=None)[area - 1]
    mask = depth <= rim
    box = _box(mask)
    return mask[box], depth[box] / rim


def line_sides(size_px: float, aspect: float) -> tuple[float, float]:
    """Length along the path and mean thickness of a line in px: no thinner than 1.5 px, shorter instead.

    Examples
    --------
    >>> length, thickness = line_sides(16, aspect=20)
    >>> round(length, 1), round(thickness, 2)  # 201 px
    (63.4, 3.17)
    >>> line_sides(2, aspect=20)
    (2.0, 1.5)
    """
    thickness = max(_THINNEST_PX, float(np.sqrt(area_px(size_px) / aspect)))
    return area_px(size_px) / thickness, thickness


def line(
    size_px: float,
    rng: np.random.Generator,
    *,
    aspect: float,
    bend: float,
    jitter: float,
    taper: bool,
    angle: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A thin line along a path that wanders sideways.

    20 to 40 nodes at equal steps; the heading turns evenly by ``bend`` from end to end, and wanders around that by
    Gaussian-smoothed noise.

    Parameters
    ----------
    size_px : float
        Equivalent diameter.
    aspect : float
        Length along the path over mean thickness, see ``line_sides``.
    bend, jitter : float
        Radians; ``jitter`` is the standard deviation of the heading.
    taper : bool
        From 1 px at the ends to the thickest place and back, or the same all along.
    angle : float, optional
        Direction from end to end in radians; None: any.

    Returns
    -------
    mask, alpha, core : ndarray of shape (h, w)
        bool, and float32 in [0, 1]; ``alpha`` is the share of the pixel that the line covers, ``core`` the share that
        its larger part on one side covers, which is all of it but a rim along the other.
    """
    area = area_px(size_px)
    length, thickness = line_sides(size_px, aspect)
    nodes = int(rng.integers(20, 41))
    place = np.linspace(0, 1, nodes)
    wander = gaussian_filter1d(rng.normal(0, 1, nodes), nodes / 12, mode="reflect")
    heading = bend * (place - 0.5) + jitter * (wander - wander.mean()) / max(float(wander.std()), 1e-9)
    steps = np.stack([np.cos(heading), np.sin(heading)], -1)[1:] * (length / (nodes - 1))
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    turn = (rng.uniform(0, 2 * np.pi) if angle is None else angle) - np.arctan2(*(path[-1] - path[0])[::-1])
    thickest, side = rng.uniform(0.3, 0.7), rng.choice((-1, 1))
    cos, sin = np.cos(turn), np.sin(turn)
    path = path @ np.array([[cos, sin], [-sin, cos]])
    path += np.ceil(thickness * 2 + 2) - path.min(0) + rng.uniform(0, 1, 2)
    width, height = np.ceil(path.max(0) + thickness * 2 + 2).astype(int)
    # covered pixels reach half a pixel beyond the line's own edges
    drawn = np.full(nodes, thickness - 0.5)
    if taper:
        swell = np.sin(np.pi * place ** (np.log(0.5) / np.log(thickest)))
        drawn = 1 + swell * (max(1.0, thickness - 0.5) - 1) / swell.mean()
    normal = np.gradient(path, axis=0)[:, ::-1] * (1, -1) * side
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    alpha = _stroke(path, drawn, height, width)
    core = np.minimum(alpha, _stroke(path + normal * (0.2 * drawn)[:, None], 0.6 * drawn, height, width))
    mask = most_covered(alpha, area)
    box = _box(mask)
    return mask[box], np.where(mask, alpha, 0)[box], np.where(mask, core, 0)[box]


def _stroke(path: np.ndarray, thickness: np.ndarray, height: int, width: int) -> np.ndarray:
    """Share of each pixel that is covered; path (n, 2) as x, y in px with pixel centres at whole numbers + 0.5."""
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    points = np.round((path * _FINER - 0.5) * 2**_SHIFT).astype(int).tolist()
    thick = np.maximum(1, np.round((thickness[1:] + thickness[:-1]) / 2 * _FINER)).astype(int).tolist()
    for start, end, px in zip(points, points[1:], thick, strict=False):
        cv2.line(canvas, start, end, 255, px, cv2.LINE_8, _SHIFT)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def free_form(size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A blot: where a random walk of 300 to 18,000 steps was often, blurred with sigma 2 to 12, its largest piece.

    The threshold is a tenth to a fifth of the blurred maximum, and the piece is scaled to the asked area; both ours.
    """
    steps, sigma = int(np.exp(rng.uniform(np.log(300), np.log(18_000)))), rng.uniform(2, 12)
    share = rng.uniform(0.1, 0.2)
    walk = np.cumsum(np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])[rng.integers(0, 4, steps)], 0)
    walk -= walk.min(0)
    extent = int(walk.max())
    shrink = min(1.0, 120 / max(extent, 1))  # long walks are drawn smaller: only the form counts
    margin = int(np.ceil(3 * sigma * shrink)) + 2
    walk = np.round(walk * shrink).astype(int) + margin
    visits = np.zeros(walk.max(0) + margin + 1, np.float32)
    np.add.at(visits, (walk[:, 0], walk[:, 1]), 1)
    smooth = cv2.GaussianBlur(visits, (0, 0), max(1.0, sigma * shrink))
    return fill(_outline_of((smooth > share * smooth.max()).astype(np.uint8)), size_px, rng)


def polygon(size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A splinter: 4 to 8 corners around a middle at uneven angles and 0.5 to 1 of the radius; ours."""
    corners = int(rng.integers(4, 9))
    angles = (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) * 2 * np.pi / corners
    radii = rng.uniform(0.5, 1, corners)
    return fill(np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1), size_px, rng)


def bezier(size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A closed smooth region, see ``bezier_outline``."""
    return fill(bezier_outline(rng), size_px, rng)


def bezier_outline(rng: np.random.Generator) -> np.ndarray:
    """REB's closed region: nodes sorted by their angle, joined by cubic Bezier curves.

    5 or 6 nodes uniform in a square. Around each the control points lie on the line that joins the middles of its two
    edges, moved onto the node, and are then drawn towards it by a factor 0.2, 0.3 or 0.4. With probability 0.5 a
    segment stays straight.

    Returns
    -------
    ndarray of shape (m, 2)
        x, y of the outline without loops; its box is [0, 1] x [0, 1].
    """
    while True:
        count = int(rng.integers(5, 7))
        nodes = rng.uniform(0, 1, (count, 2))
        factor = (0.2, 0.3, 0.4)[rng.integers(3)]
        straight = rng.uniform(size=count) < 0.5
        from_middle = nodes - nodes.mean(0)
        nodes = nodes[np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))]
        points = closed_curve(nodes, factor, straight)
        points = (points - points.min(0)) / np.maximum(np.ptp(points, axis=0), 1e-9)
        drawn = np.zeros((_CANONICAL_PX + 3,) * 2, np.uint8)
        cv2.fillPoly(drawn, [np.round(points * _CANONICAL_PX + 1).astype(np.int32)], 1)
        outline = _outline_of(drawn)
        extent = np.ptp(outline, axis=0)
        if extent.min() > _CANONICAL_PX / 2:  # a loop took the larger part: rare, and not the region that was meant
            return (outline - outline.min(0)) / extent


def closed_curve(nodes: np.ndarray, factor: float, straight: np.ndarray) -> np.ndarray:
    """Points of the closed curve through ``nodes`` (n, 2) in their order, 20 a segment, or 1 where it is straight.

    The segment of a node leads to the next one; ``straight`` is bool (n,).
    """
    after = np.roll(nodes, -1, 0)
    middles = (nodes + after) / 2  # of the edge that leaves each node
    before = np.roll(middles, 1, 0)
    lengths = np.linalg.norm(after - nodes, axis=1)
    share = np.roll(lengths, 1) / np.maximum(np.roll(lengths, 1) + lengths, 1e-9)
    moved = nodes - (before + (middles - before) * share[:, None])
    leaving = (middles + moved) * (1 - factor) + nodes * factor
    arriving = np.roll((before + moved) * (1 - factor) + nodes * factor, -1, 0)
    t = np.linspace(0, 1, _PER_SEGMENT, endpoint=False)[:, None, None]
    curve = (1 - t) ** 3 * nodes + 3 * t * (1 - t) ** 2 * leaving + 3 * t**2 * (1 - t) * arriving + t**3 * after
    return np.concatenate([nodes[i : i + 1] if straight[i] else curve[:, i] for i in range(len(nodes))])


def _outline_of(drawn: np.ndarray) -> np.ndarray:
    """(m, 2) x, y of the outer contour of the largest piece."""
    contours, _ = cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max(contours, key=len)[:, 0].astype(np.float64)


def fill(outline: np.ndarray, size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The inside of an outline without loops, scaled to the asked area, at a random place between the pixels.

    Parameters
    ----------
    outline : ndarray of shape (m, 2)
        x, y, in any unit.

    Returns
    -------
    mask, alpha : ndarray of shape (h, w)
        bool, and float32 in [0, 1]: the share of the pixel that lies inside.
    """
    area = area_px(size_px)
    scale = np.sqrt(area / max(cv2.contourArea(outline.astype(np.float32)), 1e-9))
    points = (outline - outline.min(0)) * scale + 1 + rng.uniform(0, 1, 2)
    width, height = np.ceil(points.max(0) + 2).astype(int)
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    cv2.fillPoly(canvas, [np.round((points * _FINER - 0.5) * 2**_SHIFT).astype(np.int32)], 255, cv2.LINE_8, _SHIFT)
    alpha = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mask = most_covered(alpha, area)
    box = _box(mask)
    return mask[box], np.where(mask, alpha, 0)[box]


def soften(mask: np.ndarray, width_px: float) -> np.ndarray:
    """Alpha that rises smoothly over ``width_px`` from the rim inwards; (h, w) float32, 0 outside the mask."""
    padded = np.pad(mask, 1).astype(np.uint8)
    inwards = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] - 0.5
    t = np.clip(inwards / max(width_px, 1e-9), 0, 1)
    return np.where(mask, t * t * (3 - 2 * t), 0).astype(np.float32)


def most_covered(alpha: np.ndarray, area: int) -> np.ndarray:
    """bool: the ``area`` most covered pixels that hang together; fewer where fewer are covered at all."""
    mask = highest(alpha, area)
    pieces, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if pieces > 2:  # a neck thinner than a pixel: what it cut off is taken elsewhere
        mask = labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
        while missing := area - int(np.count_nonzero(mask)):
            around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~mask
            grown = mask | highest(np.where(around, alpha, 0), missing)
            if np.array_equal(grown, mask):
                break
            mask = grown
    return mask


def highest(values: np.ndarray, count: int) -> np.ndarray:
    """bool: where the ``count`` highest values lie, of equal ones the first; never where the value is 0 or less."""
    mask = np.zeros(values.size, bool)
    mask[np.argsort(-values, axis=None, kind="stable")[:count]] = True
    return mask.reshape(values.shape) & (values > 0)


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
