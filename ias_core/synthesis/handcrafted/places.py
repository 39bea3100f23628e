"""Where a recipe writes: boxes that lie whole in the picture, and squares that its border may cut off."""

import numpy as np

from ias_core.synthesis.recipe import Scene, Void


def side_of_square(size_px: float) -> float:
    """Side of the square that has the area of a disc of this diameter, both in px.

    Examples
    --------
    >>> round(side_of_square(11.284), 2)
    10.0
    """
    return float(size_px * np.sqrt(np.pi) / 2)


def corner(scene: Scene, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of the upper left corner of a box that lies whole in the picture.

    Any such corner; with a part mask, the box is centred on a random pixel of the part, and pushed back into the
    picture where it would leave it.

    Raises
    ------
    Void
        The picture is smaller than the box.
    """
    rows, columns = scene.side - height + 1, scene.side - width + 1
    if rows < 1 or columns < 1:
        raise Void(f"{height} x {width} px do not fit into a picture of {scene.side} px a side")
    if scene.foreground is None:
        return int(rng.integers(rows)), int(rng.integers(columns))
    row, column = scene.place(rng)
    return min(max(0, row - height // 2), rows - 1), min(max(0, column - width // 2), columns - 1)


def core_place(scene: Scene, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """A random pixel of the picture's central part, ``share`` of each axis; with a part mask, one of the part."""
    if scene.foreground is not None:
        return scene.place(rng)
    margin = round(scene.side * (1 - share) / 2)
    row, column = rng.integers(margin, scene.side - margin, 2)
    return int(row), int(column)


def square(scene: Scene, row: int, column: int, side: int) -> tuple[slice, slice]:
    """Index of the square around a pixel, cut off at the picture's border."""
    top, left = row - side // 2, column - side // 2
    return np.s_[max(0, top) : top + side, max(0, left) : left + side]
