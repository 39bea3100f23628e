"""Can a simple classifier tell two samples apart? A classifier two-sample test, with a p-value that is exact.

D. Lopez-Paz and M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017: train on one part, test on another; if
the samples are of one distribution, the test part is guessed. Ours: the area under the ROC instead of the accuracy,
every row tested once (cross-validation over blocks), and the p-value from exchanging the samples within blocks, which
holds for every number of rows; theirs is a normal limit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.checks import checked_rate
from calibration.curves import auroc
from calibration.errors import CalibrationError
from calibration.types import Auroc

Verdict = Literal["separable", "not seen", "cannot tell"]
_FOLDS = 5
_SHRINKAGE = 1.0  # on columns of unit variance: as much as one row; scikit-learn's default as well


@dataclass(frozen=True, slots=True, eq=False)
class TwoSample:
    """Whether the second sample is told from the first.

    area : of the scores by classifiers that did not see their row's block; the interval is approximate
    p : chance of an area as large if the samples are exchangeable within their blocks
    least_p : the smallest p that so few blocks can give
    n_blocks : int
    verdict : "separable": p <= alpha; "cannot tell": ``least_p`` exceeds alpha, so nothing could have been seen
    first, second : (n,)   scores, higher = more like the second sample
    """

    area: Auroc
    p: float
    least_p: float
    n_blocks: int
    verdict: Verdict
    first: np.ndarray
    second: np.ndarray


def two_sample_test(
    first: np.ndarray,
    second: np.ndarray,
    blocks: np.ndarray,
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    draws: int = 999,
) -> TwoSample:
    """Test whether two paired samples are of one distribution.

    Parameters
    ----------
    first, second : ndarray of shape (n, k)
        Descriptors; row i of one belongs to row i of the other.
    blocks : ndarray of shape (n,)
        Rows of one block share pictures. If both samples are of one kind, exchanging them in a whole block must change
        nothing but names; no fold parts a block.
    rng : numpy.random.Generator
        Drives the exchanges; with 999 of them p is no smaller than 0.001.
    alpha : float
        In (0, 1). Chance of "separable" if there is nothing to tell: at most this.

    Returns
    -------
    TwoSample

    Raises
    ------
    CalibrationError
        Samples that are not two finite (n, k) arrays of one shape, a block per row and at least 2 blocks, or no draws.

    Notes
    -----
    The classifier is ridge regression on +-1, which for two samples of one size is Fisher's discriminant with a
    shrunken covariance. Its predictions are linear in the names of the samples, so one solution per fold serves all
    exchanges. Exchanging all blocks at once gives the same area, so b blocks have 2^(b - 1) areas, and 6 is the least
    for alpha = 0.05.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.normal(size=(40, 3))
    >>> found = two_sample_test(first, first + [3, 0, 0], np.arange(40), rng=rng)
    >>> found.verdict, found.p, bool(found.area.auroc > 0.9)
    ('separable', 0.001, True)
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    alpha = checked_rate(alpha, "alpha")
    _check(first, second, blocks, draws)
    names, block = np.unique(np.asarray(blocks), return_inverse=True)
    n, n_blocks = len(first), len(names)
    rows, block = np.concatenate([first, second]), np.concatenate([block, block])  # (2n, k), (2n,)
    exchanged = np.concatenate([np.ones((n_blocks, 1)), rng.choice((-1.0, 1.0), (n_blocks, draws))], axis=1)
    named = np.repeat([-1.0, 1.0], n)[:, None] * exchanged[block]  # (2n, 1 + draws); column 0 as it is
    scores = _out_of_fold(rows, named, block % _FOLDS)
    areas = _areas(scores, named > 0)
    # Areas are multiples of 1 / (2 n^2): equal ones differ by rounding alone.
    p = float((1 + np.count_nonzero(areas[1:] >= areas[0] - 0.25 / n**2)) / (1 + draws))
    least_p = max(1 / (1 + draws), 0.5 ** (n_blocks - 1))
    return TwoSample(
        area=auroc(scores[:n, 0], scores[n:, 0]),
        p=p,
        least_p=least_p,
        n_blocks=n_blocks,
        verdict="cannot tell" if least_p > alpha else "separable" if p <= alpha else "not seen",
        first=scores[:n, 0],
        second=scores[n:, 0],
    )


def _check(first: np.ndarray, second: np.ndarray, blocks: np.ndarray, draws: int) -> None:
    if first.ndim != 2 or first.shape != second.shape or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise CalibrationError(
            f"two-sample test: expected two finite arrays (n, k), row by row, got {first.shape} and {second.shape}"
        )
    if np.shape(blocks) != first.shape[:1] or len(np.unique(blocks)) < 2:
        raise CalibrationError(
            f"two-sample test: expected a block for each of {len(first)} rows and at least 2 blocks, got "
            f"{np.shape(blocks)} with {len(np.unique(blocks))}; add pictures"
        )
    if draws < 1:
        raise CalibrationError(f"draws: expected at least 1, got {draws}")


def _out_of_fold(rows: np.ndarray, named: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Ridge predictions for each row by the rows of the other folds, (2n, 1 + draws)."""
    scores = np.empty_like(named)
    for k in np.unique(fold):
        tested = fold == k
        learnt = rows[~tested]
        mean, spread = learnt.mean(0), learnt.std(0)
        spread[spread == 0] = 1.0  # a column that never varies says nothing
        x = (learnt - mean) / spread
        weights = np.linalg.solve(x.T @ x + _SHRINKAGE * np.eye(x.shape[1]), x.T @ named[~tested])
        scores[tested] = (rows[tested] - mean) / spread @ weights
    return scores


def _areas(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC of each column; half of the rows are positive."""
    from scipy.stats import rankdata

    n = len(scores) // 2
    ranks = rankdata(scores, axis=0)
    return ((ranks * positive).sum(0) - n * (n + 1) / 2) / n**2
