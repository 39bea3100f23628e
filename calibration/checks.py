"""Input checks shared by every calibration function: checked first, never repaired."""

import math

import numpy as np

from calibration.errors import CalibrationError

_LARGEST = 1e30  # far beyond any feature distance, and sums, squares and ratios of such scores are still numbers
_LEAST_RATE = 1e-15  # nearer to 0 or 1 a rate and its complement are no longer told apart
_AMOUNTS = (1e-100, 1e100)  # products of two of them are still numbers


def checked_scores(scores: np.ndarray, name: str) -> np.ndarray:
    """Scores as a non-empty, finite, 1-D float array; floats keep their dtype, integers become float64.

    Examples
    --------
    >>> checked_scores([1, 2], "OK scores")
    array([1., 2.])
    >>> checked_scores([1.0, float("nan")], "OK scores")
    Traceback (most recent call last):
    calibration.errors.CalibrationError: OK scores: expected finite numbers, got 1 NaN or infinite of 2; \
score these images again
    """
    array = np.asarray(scores)
    if array.dtype.kind not in "fiu":
        raise CalibrationError(f"{name}: expected real numbers, got dtype {array.dtype}; pass image scores")
    if array.ndim != 1:
        raise CalibrationError(f"{name}: expected a 1-D array, got shape {array.shape}; pass one score per image")
    if array.size == 0:
        raise CalibrationError(f"{name}: expected at least one score, got none; score some images first")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    n_bad = int(array.size - np.isfinite(array).sum())
    if n_bad:
        raise CalibrationError(
            f"{name}: expected finite numbers, got {n_bad} NaN or infinite of {array.size}; score these images again"
        )
    if max(-float(array.min()), float(array.max())) > _LARGEST:
        raise CalibrationError(
            f"{name}: expected numbers up to {_LARGEST:g}, got {array[np.argmax(np.abs(array))]:g}; "
            "a distance this large is an overflow or a placeholder: score these images again"
        )
    return array


def checked_rate(value: float, name: str) -> float:
    """A rate strictly between 0 and 1, and more than rounding away from both, as float.

    Examples
    --------
    >>> checked_rate(0.05, "max_fpr")
    0.05
    >>> checked_rate("0.05", "max_fpr")
    Traceback (most recent call last):
    calibration.errors.CalibrationError: max_fpr: expected a rate between 0 and 1, both excluded, got '0.05'
    """
    rate = _number(value)
    if not _LEAST_RATE <= rate <= 1.0 - _LEAST_RATE:
        raise CalibrationError(f"{name}: expected a rate between 0 and 1, both excluded, got {value!r}")
    return rate


def checked_positive(value: float, name: str) -> float:
    """A number above 0 that still is one after some arithmetic: 1e-100 to 1e100, as float."""
    number = _number(value)
    if not _AMOUNTS[0] <= number <= _AMOUNTS[1]:
        raise CalibrationError(f"{name}: expected a number above 0 and up to {_AMOUNTS[1]:g}, got {value!r}")
    return number


def checked_threshold(value: float) -> float:
    """A threshold as float; an infinite one flags nothing, or everything."""
    try:
        threshold = float(value)
    except (TypeError, ValueError):
        raise CalibrationError(f"threshold: expected a number, got {value!r}") from None
    if math.isnan(threshold):
        raise CalibrationError("threshold: expected a number, got NaN")
    return threshold


def checked_choice(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words."""
    if value not in allowed:
        raise CalibrationError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
    return value


def _number(value: float) -> float:
    """The value as float; NaN where it is no number, as text and truth values are none."""
    if isinstance(value, str | bytes | bool | np.bool_):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
