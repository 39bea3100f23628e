"""Frozen results as JSON-ready values: arrays become lists, what is not finite becomes null."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Dataclasses, arrays, tuples and numbers as dictionaries, lists and plain numbers.

    Examples
    --------
    >>> from calibration.types import RateBound
    >>> plain({"bound": RateBound(1, 4, 0.01, float("inf"), 0.95), "scores": np.array([1.5])})
    {'bound': {'k': 1, 'n': 4, 'low': 0.01, 'high': None, 'confidence': 0.95}, 'scores': [1.5]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
