"""How one defect becomes many: turned, scaled, mirrored and mildly bent, its look and its mask together.

The project's notes on TF-IDG, section 4, B2.3: rotation, scale and flips as there. The bend is ours, and mild: what
lies a third of the defect apart is moved against each other by about a twelfth of that, so that no line tears.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ias_core.errors import SynthesisError
from ias_core.synthesis.shapes import highest

TURNS = ("any", "quarter", "none")
RIM_PX = 2  # how far a defect's look reaches beyond its mask: the mask dilated 5 x 5
DILATION = np.ones((2 * RIM_PX + 1,) * 2, np.uint8)
_BEND = 0.02  # standard deviation of the displacement at a node, of the defect's longer side
_NODES = 4  # along a side


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    """One variation of a defect.

    scale : float             new length / old length
    degrees : float           counterclockwise
    flips : two of bool       upside down, left to right; before the turn
    bend : (4, 4, 2) float    displacement of nodes, down and across, as a share of the longer side; they are
                              spread evenly over a square of that side around the new defect
    """

    scale: float
    degrees: float
    flips: tuple[bool, bool]
    bend: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, *, turn: str, scale: tuple[float, float]) -> Variation:
        """A random one.

        Parameters
        ----------
        turn : str
            "any": by 0 to 360 degrees, and mirrored or not; "quarter": by a multiple of 90 degrees, and mirrored or
            not; "none": neither, for a defect that light or the part's direction gives an orientation.
        scale : two floats
            Range that it is drawn from, evenly.

        Raises
        ------
        SynthesisError
            Unknown ``turn``.
        """
        if turn not in TURNS:
            raise SynthesisError(f"expected a turn of {', '.join(TURNS)}, got {turn!r}: choose one of them")
        factor = rng.uniform(*scale)
        share, flips = rng.uniform(), rng.integers(0, 2, 2)  # drawn for every turn: what follows is the same then
        degrees = {"any": 360 * share, "quarter": 90.0 * int(4 * share), "none": 0.0}[turn]
        upside_down, mirrored = (bool(flip) and turn != "none" for flip in flips)
        return cls(factor, degrees, (upside_down, mirrored), _bend(rng))

    def on(self, residual: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
        """The varied look and mask in their smallest box with a rim, and where its centre came to lie.

        Residual and mask are sampled once, bilinearly (bicubic sampling overshoots: a bright line around a dark
        defect), after a Gaussian of standard deviation (1 / scale - 1) / 2 px where they shrink, as scikit-image's
        ``rescale`` has it. The new mask is the scale^2 x old area pixels that it covers most: half covered would be
        the same for broad defects, and lose lines that come to be thinner than a pixel.

        Parameters
        ----------
        residual : ndarray of shape (h, w, 3)
            float32.
        mask : ndarray of shape (h, w)
            bool, not empty.

        Returns
        -------
        residual : ndarray of shape (h', w', 3)
            0 further than the rim from the mask.
        mask : ndarray of shape (h', w')
            bool.
        moved : two floats
            Rows and columns from the old box's centre to the new one's, in px.
        """
        area = max(1, round(self.scale**2 * np.count_nonzero(mask)))
        layers = np.dstack([residual, mask.astype(np.float32)])
        if self.scale < 1:
            sigma = (1 / self.scale - 1) / 2
            margin = int(np.ceil(4 * sigma))
            layers = np.pad(layers, ((margin, margin), (margin, margin), (0, 0)))
            layers = cv2.GaussianBlur(layers, (0, 0), sigma)
        x, y = self._whence(mask.shape, layers.shape)
        layers = cv2.remap(layers, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        new = highest(layers[..., 3], area)
        rim = cv2.dilate(np.pad(new, RIM_PX).astype(np.uint8), DILATION).astype(bool)
        left, top, width, height = cv2.boundingRect(rim.astype(np.uint8))
        box = np.s_[top : top + height, left : left + width]
        look = np.pad(layers[..., :3], ((RIM_PX, RIM_PX), (RIM_PX, RIM_PX), (0, 0)))[box] * rim[box][..., None]
        moved = (top + (height - rim.shape[0]) / 2, left + (width - rim.shape[1]) / 2)
        return look, np.pad(new, RIM_PX)[box], moved

    def _whence(self, shape: tuple[int, int], padded: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """x and y in the padded layers from which each pixel of the new box is sampled; (h', w') float32."""
        cos, sin = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        height, width = (self.scale * extent for extent in shape)
        longer = max(height, width)
        reach = 2 + int(np.ceil(4 * _BEND * longer))  # 4 standard deviations of the bend; beyond, the rim is cut
        new = [
            int(np.ceil(extent)) + 2 * reach
            for extent in (abs(sin) * width + abs(cos) * height, abs(cos) * width + abs(sin) * height)
        ]
        y, x = (np.arange(extent, dtype=np.float32) - (extent - 1) / 2 for extent in new)
        field = cv2.resize(self.bend.astype(np.float32) * longer, (max(new),) * 2, interpolation=cv2.INTER_CUBIC)
        top, left = (
            (max(new) - extent) // 2 for extent in new
        )  # nodes as far apart down as across, however flat it is
        field = field[top : top + new[0], left : left + new[1]]
        x, y = x[None] + field[..., 1], y[:, None] + field[..., 0]
        upside_down, mirrored = (-1 if flip else 1 for flip in self.flips)
        across = mirrored * (cos * x - sin * y) / self.scale
        down = upside_down * (sin * x + cos * y) / self.scale
        return (
            (across + (padded[1] - 1) / 2).astype(np.float32),
            (down + (padded[0] - 1) / 2).astype(np.float32),
        )


def _bend(rng: np.random.Generator) -> np.ndarray:
    """(4, 4, 2): a random bend, less what would move, turn or scale the whole."""
    bend = rng.normal(0, _BEND, (_NODES**2, 2))
    across, down = np.meshgrid(np.linspace(-1, 1, _NODES), np.linspace(-1, 1, _NODES))
    affine = np.stack([np.ones(_NODES**2), across.ravel(), down.ravel()], 1)
    return (bend - affine @ np.linalg.lstsq(affine, bend, rcond=None)[0]).reshape(_NODES, _NODES, 2)
