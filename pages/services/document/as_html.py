"""The record as one HTML file that needs nothing else: fonts, pictures and style are in it; it prints on A4."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from pages.services.document import fonts, picture
from pages.services.document.as_pdf import picture_height
from pages.services.document.details import lettered, sections
from pages.services.document.facts import first_page
from pages.services.document.notes import notes_of, texts_of
from pages.services.evidence_style import STYLES

TEMPLATE = Path(__file__).resolve().parents[3] / "assets" / "record.html.j2"
_SAFE = 12  # points: a browser breaks a line here and there that the PDF does not


def html(content: dict[str, Any], signatures: Sequence[dict[str, Any]], record_sha256: str) -> str:
    """The record as an HTML page; arguments and errors as ``pdf`` has them."""
    page, behind = first_page(content, signatures, record_sha256), sections(content, signatures, record_sha256)
    drawn = picture.svg(content, height=max(picture.LEAST_HEIGHT, picture_height(page) - _SAFE))
    source = TEMPLATE.read_text(encoding="utf-8")
    notes = notes_of(page, behind)
    glyphs = "".join(style.glyph for style in STYLES.values())
    needed = fonts.subsets([*texts_of(page, list(behind), notes), source, drawn, glyphs])
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["t"] = _set
    return environment.from_string(source).render(
        page=page,
        sections=list(lettered(behind)),
        notes=notes,
        picture=Markup(drawn),
        styles=STYLES,
        fonts=[(name, base64.b64encode(data).decode()) for name, data in needed.items()],
    )


def _set(text: str) -> Markup:
    """The text escaped, on its own in direction, its Japanese words marked as such."""
    if text.isascii():
        return escape(text)
    marked = (
        Markup('<span lang="ja">{}</span>').format(word) if japanese else escape(word)
        for japanese, word in fonts.words(text)
    )
    return Markup("<bdi>{}</bdi>").format(Markup("").join(marked))
