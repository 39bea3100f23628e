"""Errors of the calibration package.

::

    ValueError
    +-- CalibrationError      scores, counts or rates that no threshold or bound can be computed from

"No threshold meets this target" is an answer and not an error: see ``ThresholdChoice.reason``.
"""


class CalibrationError(ValueError):
    """Input from which nothing may be concluded: NaN, empty, wrong shape, a rate over zero parts."""
