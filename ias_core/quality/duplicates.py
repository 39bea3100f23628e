"""Near-duplicates among synthetic defects: two pictures of one defect are one piece of evidence.

What matters is the change each makes to its parent: that it lies at the same place, has the same shape and is as
strong. One number holds all three: twice the inner product of the two changes over the sum of their energies, 1 for
equal changes and 0 for masks that do not meet. It is L. Lin's concordance (Biometrics 45 (1989), 255-268) without
the means, which a change from the parent needs no more; the least value for a duplicate is ours.
"""

from collections.abc import Sequence

import numpy as np

# What differs between two changes has then at most a tenth of the energy of both together. Of independent draws on
# one part (4 hazelnuts, 128 px, 40 draws of each of 23 methods, 71,760 pairs) 4 come as close.
LEAST_CONCORDANCE = 0.9


def near_duplicates(
    images: np.ndarray, masks: np.ndarray, parents: np.ndarray, pictures: np.ndarray, groups: Sequence[str]
) -> list[list[int]]:
    """For each synthetic NG the earlier ones that show the same defect on the same part.

    Parameters
    ----------
    images : ndarray of shape (n, s, s, 3)
    masks : ndarray of shape (n, s, s)
        bool; changes outside are no defect.
    parents : ndarray of shape (n,)
        Place of the OK image each was made from.
    pictures : ndarray of shape (m, s, s, 3)
        The OK images.
    groups : m strings
        The same for near twins; only defects on one group are compared. On another part the same defect is another
        test of the detector.

    Returns
    -------
    list of n lists
        Places below the image's own, rising.
    """
    found: list[list[int]] = [[] for _ in images]
    parts: dict[str, list[int]] = {}
    for i, parent in enumerate(parents):
        parts.setdefault(groups[parent], []).append(i)
    for places in parts.values():
        if len(places) > 1:
            changes = [((images[i] - pictures[parents[i]]) * masks[i][..., None]).ravel() for i in places]
            alike = np.tril(concordance(np.stack(changes)) >= LEAST_CONCORDANCE, -1)
            for row, i in enumerate(places):
                found[i] = [places[k] for k in np.flatnonzero(alike[row])]
    return found


def concordance(changes: np.ndarray) -> np.ndarray:
    """How far each two changes are one and the same, from -1 to 1; 0 where neither changes anything.

    Parameters
    ----------
    changes : ndarray of shape (n, p)

    Returns
    -------
    ndarray of shape (n, n)

    Examples
    --------
    >>> changes = np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0], [3.0, 0.0, 0.0]])
    >>> concordance(changes).round(3)  # the second is twice as strong as the first, the third lies elsewhere
    array([[1. , 0.8, 0. ],
           [0.8, 1. , 0. ],
           [0. , 0. , 1. ]])
    """
    product = changes @ changes.T
    energy = np.diag(product)
    both = energy[:, None] + energy
    return np.divide(2 * product, both, out=np.zeros_like(product), where=both > 0)
