"""Reading a detectability ruler: how large a feature shift a threshold sees. Never a way to choose the threshold."""

import numpy as np

from calibration.rules import is_ng


def shift_recall(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Share of shifted images that are NG at this threshold.

    Parameters
    ----------
    scores : ndarray of shape (regions, shifts, n)
        Image scores, feature distance.
    threshold : float

    Returns
    -------
    ndarray of shape (regions, shifts)
    """
    return is_ng(scores.ravel(), threshold).reshape(scores.shape).mean(2)


def smallest_shift_found(
    scores: np.ndarray, shifts: np.ndarray, threshold: float, *, recall: float = 0.9
) -> tuple[float | None, ...]:
    """Per region the smallest tested shift from which on at least ``recall`` is found; None if there is none.

    Examples
    --------
    >>> scores = np.array([[[1.0, 1.0], [1.0, 3.0], [3.0, 3.0]]])       # 1 region, 3 shifts, 2 images
    >>> smallest_shift_found(scores, np.array([0.0, 1.0, 2.0]), 2.0)
    (2.0,)
    >>> smallest_shift_found(scores, np.array([0.0, 1.0, 2.0]), 5.0)
    (None,)
    """
    found = shift_recall(scores, threshold) >= recall
    held = np.logical_and.accumulate(found[:, ::-1], axis=1)[:, ::-1]  # found here and at every larger shift
    return tuple(float(shifts[row.argmax()]) if row.any() else None for row in held)
