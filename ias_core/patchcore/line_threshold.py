"""The signed threshold in the arithmetic of the line: anomalib decides with ``>``, in float32 and on normalised scores.

This product: NG where score >= t. anomalib 2.7 (``PostProcessor``): NG where (score - threshold) / (max - min) + 0.5
is greater than 1 - sensitivity, clamped to [0, 1]. Both decide alike for every float32 score when

- ``threshold`` is the largest float32 below t, so that > begins where >= does;
- min = 0 and max is the smallest power of two above ``threshold``. Then the division is exact, and so is every other
  order in which a runtime may fold these steps (score / max + (0.5 - threshold / max), with or without fused
  multiply-add): all terms are multiples of 2^-24 of a size that float32 holds, and the step from ``threshold`` to t,
  at least 2^-24 after the division, is not lost beside 0.5, as it would be for a wider range.
"""

import math
from dataclasses import dataclass

import numpy as np

from ias_core.errors import FeatureError

AGREEMENT = 1e-4  # relative; to this, scores are promised to equal anomalib's, and every form on the line ours
_SMALLEST = float(np.finfo(np.float32).tiny)
_LARGEST = 2.0**126


@dataclass(frozen=True, slots=True)
class AnomalibDecision:
    """What anomalib is told, so that it decides as score >= t.

    threshold : float      float32, feature distance; NG above it
    first_ng : float       the float32 after it: the lowest score that is NG
    low, high : float      anomalib's min and max; ``high`` is a power of two
    sensitivity : float    anomalib's image_sensitivity
    """

    threshold: float
    first_ng: float
    low: float
    high: float
    sensitivity: float = 0.5

    def normalised(self, score: float) -> float:
        """anomalib's score in [0, 1] for a feature distance; NG above 0.5."""
        return min(max((score - self.threshold) / (self.high - self.low) + 0.5, 0.0), 1.0)

    def raw(self, normalised: np.ndarray) -> np.ndarray:
        """Feature distances (n,) float64 of anomalib's scores; NaN where they were clamped to 0 or 1."""
        normalised = np.asarray(normalised, np.float64)
        inside = (normalised > 0) & (normalised < 1)
        return np.where(inside, (normalised - 0.5) * (self.high - self.low) + self.threshold, np.nan)


def anomalib_decision(threshold: float) -> AnomalibDecision:
    """The settings with which anomalib flags exactly the float32 scores that are at least ``threshold``.

    Raises
    ------
    FeatureError
        If the threshold is not a number above 0 that float32 holds.

    Examples
    --------
    >>> anomalib_decision(28.0)
    AnomalibDecision(threshold=27.999998092651367, first_ng=28.0, low=0.0, high=32.0, sensitivity=0.5)
    """
    if not _SMALLEST <= threshold <= _LARGEST:
        raise FeatureError(f"expected a threshold above 0 that float32 holds, got {threshold}: fix another one")
    first_ng = smallest_float32(threshold)
    below = float(np.nextafter(np.float32(first_ng), np.float32(0)))
    _, exponent = math.frexp(below)  # below = m 2^exponent, m in [0.5, 1)
    return AnomalibDecision(below, first_ng, 0.0, math.ldexp(1.0, exponent))


def smallest_float32(threshold: float) -> float:
    """The lowest float32 that is at least ``threshold``: a float32 score is, exactly if it is at least that."""
    nearest = np.float32(threshold)
    return float(nearest if float(nearest) >= threshold else np.nextafter(nearest, np.float32(np.inf)))


def line_threshold(signed: float, scores: np.ndarray) -> float:
    """The signed threshold, kept clear of known scores that another computer's rounding could carry across it.

    A rule such as "just above the third highest good part" leaves one step of float32 between a good part and the
    threshold, and the same picture scored with one thread more or less moves by some. So the threshold stands
    AGREEMENT of itself away from the nearest known scores, or half-way between them where they are closer than that;
    it never moves by more, and not at all where no score is that near.

    Parameters
    ----------
    signed : float
        NG means score >= signed.
    scores : ndarray of shape (n,)
        Scores of known pictures, as they were when the threshold was signed.

    Returns
    -------
    float
        Divides ``scores`` into the same OK and NG.

    Examples
    --------
    >>> line_threshold(10.0, np.array([9.0, 11.0]))
    10.0
    >>> round(line_threshold(10.0, np.array([9.9999999, 11.0])), 6)
    10.001
    """
    scores = np.asarray(scores, np.float64)
    ng = scores >= signed
    below = float(scores[~ng].max(initial=-math.inf))
    above = float(scores[ng].min(initial=math.inf))
    room = AGREEMENT * signed
    if above - below < 2 * room:
        return (below + above) / 2
    return min(max(signed, below + room), above - room)
