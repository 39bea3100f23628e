"""A refusal that helps: what to change where no threshold can be recommended, most promising first."""

import math

from scipy.special import ndtri

from calibration.bounds import smallest_fpr
from calibration.types import Auroc, ThresholdChoice

_MOST_IMAGES = 10_000  # beyond, asking for more images is no help

RESOLUTION = (
    "A larger input size: a defect smaller than one patch of the detector (8 px at the input size with the embedded "
    "network) is averaged away."
)
BACKBONE = "Another backbone: WideResNet-50 or a larger one, if you have its weights as a file."
ALIGNMENT = (
    "Aligned parts: same place, angle and light in every picture, so that good parts differ less from each other."
)


def ways_out(refused: ThresholdChoice, synthetic_auroc: Auroc | None) -> tuple[str, ...]:
    """What to change, in the order in which it is likely to help.

    Parameters
    ----------
    refused : ThresholdChoice
        The row that was refused, with its ``n_ok``.
    synthetic_auroc : Auroc or None
        Of OK against synthetic NG.

    Notes
    -----
    Where the AUROC itself is well above 0.5 and only its interval is wide, images are missing; how many follows from
    the width, which shrinks with the root of the smaller class (see ``curves.auroc``). Where the AUROC is near 0.5, no
    number of images helps: the detector does not see the defect.

    Examples
    --------
    >>> import numpy as np
    >>> from calibration.curves import auroc
    >>> from calibration.rank_rules import percentile
    >>> ok, ng = np.arange(8.0), np.arange(3.0, 11.0)
    >>> ways_out(percentile(ok, source="held-out"), auroc(ok, ng))[0]
    'More images: at an AUROC of 0.80 about 11 OK and 11 synthetic NG would show that it is above 0.5 (now 8 and 8).'
    """
    more_ok = (
        f"More OK images: {refused.n_ok} can promise an FPR of at best {100 * smallest_fpr(refused.n_ok):.3g} %."
        if refused.n_ok
        else "OK images: at least 5."
    )
    if refused.n_ok < 2 or synthetic_auroc is None:
        return (more_ok,)
    area = synthetic_auroc
    detector = (RESOLUTION, BACKBONE, ALIGNMENT)
    if area.high < 0.5:
        return ("Check that OK and NG are not swapped.", *detector)
    needed, smaller = _needed(area), min(area.n_ok, area.n_ng)
    if needed is None or needed <= smaller:  # no number helps, or it separates and yet not at this threshold
        return (*detector, more_ok)
    images = (
        f"More images: at an AUROC of {area.auroc:.2f} about {needed} OK and {needed} synthetic NG would show that it "
        f"is above 0.5 (now {area.n_ok} and {area.n_ng})."
    )
    return (images, *detector) if needed <= 2 * smaller else (*detector, images)


def _needed(area: Auroc) -> int | None:
    """Smaller class size from which the Wilson interval of ``curves.auroc`` stays above 0.5; None: out of reach.

    The lower limit exceeds 0.5 when (A - 0.5)^2 > z^2 / (4 n), at whatever A.
    """
    if area.auroc <= 0.5:
        return None
    z = float(ndtri(0.5 + area.confidence / 2.0))
    needed = math.floor(z * z / (4.0 * (area.auroc - 0.5) ** 2)) + 1
    return needed if needed <= _MOST_IMAGES else None
