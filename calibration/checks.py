"""Input checks shared by every calibration function: checked first, never repaired."""

import numpy as np

from calibration.errors import CalibrationError


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
    return array


def checked_rate(value: float, name: str) -> float:
    """A rate strictly between 0 and 1, as float."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = float("nan")
    if not 0.0 < rate < 1.0:
        raise CalibrationError(f"{name}: expected a rate between 0 and 1, both excluded, got {value!r}")
    return rate


def checked_positive(value: float, name: str) -> float:
    """A finite number above 0, as float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0.0 < number < float("inf"):
        raise CalibrationError(f"{name}: expected a number above 0, got {value!r}")
    return number


def checked_choice(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words."""
    if value not in allowed:
        raise CalibrationError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
    return value
