"""What a form of the record could not show as it is, said at its end: fonts that are missing, characters, direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pages.services.document import fonts
from pages.services.document.blocks import FirstPage
from pages.services.document.details import Section
from pages.services.plain import plain

_MOST_NAMED = 20


def texts_of(*parts: Any) -> Iterator[str]:
    """Every text in these values but pictures."""
    for part in map(plain, parts):
        if isinstance(part, str):
            yield part
        elif isinstance(part, list):
            yield from texts_of(*part)
        elif isinstance(part, dict):
            yield from texts_of(*(value for key, value in part.items() if key not in ("picture", "map")))


def notes_of(page: FirstPage, behind: Sequence[Section]) -> tuple[str, ...]:
    """Sentences; () where everything is shown as the record has it."""
    texts = list(texts_of(page, list(behind)))
    notes = []
    if missing := fonts.missing():
        notes.append(f"Made without {' and '.join(missing)}: these fonts were not installed.")
    if lost := fonts.unprintable(texts):
        named = ", ".join(f"U+{ord(c):04X}" for c in lost[:_MOST_NAMED])
        more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
        notes.append(f"No font at hand prints {named}{more}; record.json holds them.")
    if fonts.is_right_to_left(texts):
        notes.append("Text written from right to left stands letter by letter in the order of record.json.")
    return tuple(notes)
