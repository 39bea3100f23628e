"""Fonts that print Latin, Japanese and Chinese anywhere, taken from installed packages and chosen by character.

Noto Sans SC comes with zhplot, IPAex Gothic with matplotlib-fontja, DejaVu Sans with matplotlib; none of these is
imported. One han character has a Japanese and a Chinese shape: which one is meant is told by the text around it.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages.services.document.words import REPLACEMENT, shown

# name in PDF, SVG and CSS, what the reader calls it, package, file in it
_FILES = (
    ("RecordNoto", "Noto Sans SC", "zhplot", "fonts/NotoSansSC-Regular.ttf"),
    ("RecordIpa", "IPAex Gothic", "matplotlib_fontja", "fonts/ipaexg.ttf"),
    ("RecordDejaVu", "DejaVu Sans", "matplotlib", "mpl-data/fonts/ttf/DejaVuSans.ttf"),
)
BUILT_IN = "Helvetica"
_LONGEST = 1000  # letters of a text that may be cut; no first page has room for more
_KEPT = frozenset({"GlyphOrder", "head", "hhea", "maxp", "OS/2", "hmtx", "cmap", "loca", "glyf", "name", "post"})
_NO_SHAPE = frozenset("\u200b\u200c\u200d\u2060\ufeff") | {chr(c) for c in range(0xFE00, 0xFE10)}


@dataclass(frozen=True, slots=True)
class Face:
    """A font and what it can print. ``path`` is None for the one that every PDF reader has."""

    name: str
    path: Path | None
    codepoints: frozenset[int]


@functools.cache
def faces() -> tuple[Face, ...]:
    """Fonts at hand, registered with reportlab; Helvetica where there is no other."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    found = []
    for name, _, package, file in _FILES:
        path = _path(package, file)
        if path is not None:
            font = TTFont(name, str(path))
            pdfmetrics.registerFont(font)
            found.append(Face(name, path, frozenset(font.face.charToGlyph)))
    if not found:
        latin = bytes(range(32, 256)).decode("cp1252", errors="ignore")
        found.append(Face(BUILT_IN, None, frozenset(map(ord, latin))))
    return tuple(found)


def missing() -> tuple[str, ...]:
    """Fonts whose package is not installed, as a reader calls them."""
    return tuple(title for _, title, package, file in _FILES if _path(package, file) is None)


def _path(package: str, file: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / file).is_file():
            return path
    return None


def words(text: str) -> list[tuple[bool, str]]:
    """The text cut at its spaces, which stay: (whether its han characters are meant in their Japanese shape, word).

    Kana, and characters that only Japan or only China writes so, decide for their word; a word without them goes with
    the rest of the text.

    Examples
    --------
    >>> words("さくら 山田"), words("太阳能 太陽電池セル")
    ([(True, 'さくら '), (True, '山田')], [(False, '太阳能 '), (True, '太陽電池セル')])
    """
    rest = _is_japanese(text)
    found = []
    for word in re.findall(r"\s*\S+\s*|\s+", text):
        own = _is_japanese(word)
        found.append((rest if own is None else own, word))
    return found


def _is_japanese(text: str) -> bool | None:
    """None where nothing tells."""
    if any("\u3040" <= c <= "\u30ff" for c in text):
        return True
    han = "".join(c for c in text if "\u4e00" <= c <= "\u9fff")
    japan, china = _written_in(han, "shift_jis"), _written_in(han, "gb2312")
    return None if japan == china else japan


def _written_in(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def runs(text: str) -> list[tuple[str, str]]:
    """The text in pieces of one font each: (name of the font, piece); what no font prints is replaced visibly."""
    if text.isascii():
        return [(faces()[0].name, text)] if text else []
    pieces: list[tuple[str, str]] = []
    for japanese, word in words(text):
        for c in word:
            if c in _NO_SHAPE:
                continue
            name, c = _printed(c, japanese)
            if pieces and pieces[-1][0] == name:
                pieces[-1] = (name, pieces[-1][1] + c)
            else:
                pieces.append((name, c))
    return pieces


@functools.cache
def _printed(c: str, japanese: bool) -> tuple[str, str]:
    """The font of one character, and what it prints for it."""
    wish = "RecordIpa" if japanese and unicodedata.east_asian_width(c) in "WFH" else ""
    for face in sorted(faces(), key=lambda face: face.name != wish):  # stable: the others stay in order
        if ord(c) in face.codepoints:
            return face.name, c
    return next(
        (face.name, mark) for mark in (REPLACEMENT, "\u25a1", "?") for face in faces() if ord(mark) in face.codepoints
    )


def width(text: str, size: float) -> float:
    """Of the text on one line, in the unit of ``size``."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return sum(stringWidth(piece, name, size) for name, piece in runs(text))


def cut(text: Any, ems: float) -> str:
    """``shown(text)``, with an ellipsis where it is wider than ``ems`` times the size of its letters."""
    plain = shown(text)
    if ems == math.inf or (len(plain) <= _LONGEST and width(plain, 1) <= ems):
        return plain
    low, high = 0, min(len(plain), _LONGEST)  # widths only grow with the number of letters
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(plain[:middle] + "…", 1) <= ems else (low, middle - 1)
    return plain[:low].rstrip() + "…"


def unprintable(texts: Iterable[str]) -> tuple[str, ...]:
    """Characters in no font at hand, in order of their code."""
    known = frozenset().union(*(face.codepoints for face in faces()))
    return tuple(sorted({c for text in texts for c in text if ord(c) not in known and c not in _NO_SHAPE}))


def is_right_to_left(texts: Iterable[str]) -> bool:
    """Whether there are letters that are written from right to left."""
    return any(unicodedata.bidirectional(c) in ("R", "AL") for text in texts for c in text)


def subsets(texts: Iterable[str]) -> dict[str, bytes]:
    """WOFF files with just what these texts need, by name of the font; the same bytes for the same texts."""
    needed: dict[str, set[str]] = {}
    for text in texts:
        for name, piece in runs(text):
            needed.setdefault(name, set()).update(piece)
    return {
        face.name: _subset(face.path, "".join(sorted(needed[face.name])))
        for face in faces()
        if face.path is not None and face.name in needed
    }


@functools.lru_cache(maxsize=16)
def _subset(path: Path, characters: str) -> bytes:
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    font = TTFont(path, recalcTimestamp=False, lazy=True)
    for table in sorted(set(font.keys()) - _KEPT):  # read by nobody here, and slow to cut
        del font[table]
    font.setGlyphOrder([f"glyph{i}" for i in range(font["maxp"].numGlyphs)])  # else 30,000 names are made up first
    subsetter = Subsetter(Options(hinting=False))
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.flavor = "woff"
    buffer = io.BytesIO()
    font.save(buffer)
    return buffer.getvalue()
