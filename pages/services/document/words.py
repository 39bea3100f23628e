"""Texts as a printed record shows them: on one line, numbers with their digits, counts with their bound."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from calibration.rules import percent

REPLACEMENT = "\ufffd"
_LINE_BREAKS = str.maketrans(dict.fromkeys("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def shown(text: Any) -> str:
    """The text on one line; what would hide or turn round other text becomes a visible replacement.

    Examples
    --------
    >>> shown("two\\nlines"), shown("abc\\u202ecba\\x00")
    ('two lines', 'abc\ufffdcba\ufffd')
    """
    plain = unicodedata.normalize("NFC", str(text).translate(_LINE_BREAKS))
    return "".join(REPLACEMENT if c in _TURNING or unicodedata.category(c) in ("Cc", "Cs") else c for c in plain)


def score(value: float | None) -> str:
    """An image score: four decimals where these say something, else four digits; "-" for none.

    Examples
    --------
    >>> score(28.15543556213379), score(0.00123456), score(None)
    ('28.1554', '0.001235', '-')
    """
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) >= 0.1 or value == 0 else f"{value:.4g}"


def number(value: float | None) -> str:
    """Four significant digits, "-" for none.

    Examples
    --------
    >>> number(12.0), number(1.23456), number(None)
    ('12', '1.235', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def rate(value: float | None) -> str:
    """Percent, "-" for none."""
    return "-" if value is None else percent(value)


def of(bound: dict[str, Any]) -> str:
    """k of n."""
    return f"{bound['k']} of {bound['n']}"


def at_most(bound: dict[str, Any]) -> str:
    """The upper limit of a rate with its confidence."""
    return f"{percent(bound['confidence'])} confidence: at most {percent(bound['high'])}"


def at_least(bound: dict[str, Any]) -> str:
    """The lower limit of a rate with its confidence."""
    return f"{percent(bound['confidence'])} confidence: at least {percent(bound['low'])}"


def first(items: Sequence[Any], n: int) -> tuple[tuple[Any, ...], str]:
    """The first ``n`` items, and a note about the rest, "" where there is none.

    Examples
    --------
    >>> first("abc", 3), first("abcde", 3)
    ((('a', 'b', 'c'), ''), (('a', 'b', 'c'), 'and 2 more, from page 2 on'))
    """
    rest = len(items) - n
    return tuple(items[:n]), f"and {rest} more, from page 2 on" if rest > 0 else ""
