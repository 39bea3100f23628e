"""The record as a PDF: one A4 page for the meeting, details behind it; the same content gives the same bytes."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    KeepInFrame,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from pages.services.document import fonts, picture
from pages.services.document.blocks import Banner, Count, FirstPage, Listed, Mistakes, ModeRow, SignatureRow, Thumb
from pages.services.document.details import Section, lettered, sections
from pages.services.document.details import Table as Rows
from pages.services.document.facts import first_page
from pages.services.document.notes import notes_of
from pages.services.evidence_style import STYLES

_SIDE, _TOP, _FOOT = 12 * mm, 9 * mm, 12 * mm
_WIDTH, _HEIGHT = A4[0] - 2 * _SIDE, A4[1] - _TOP - _FOOT
_MOST_PICTURE = 235
_INK, _QUIET, _RULE = HexColor("#1F2933"), HexColor("#5A6572"), HexColor("#C9CED4")
_STOP, _WARN, _PALE = HexColor("#9B1C1C"), HexColor("#7A4B00"), HexColor("#F3F5F7")
_EMPTY = HexColor("#FBE9E7")
_ONE_AT_A_TIME = threading.Lock()  # reportlab's paragraph parser is one object for all threads


def pdf(content: dict[str, Any], signatures: Sequence[dict[str, Any]], record_sha256: str) -> bytes:
    """The record as a PDF file.

    Parameters
    ----------
    content : dict
        In the schema "ng0-release/1".
    signatures : sequence of dict
        Bodies of the signatures under this content, oldest first.
    record_sha256 : str
        The record hash, printed on every page.

    Raises
    ------
    IasError
        A record hash that is no sha256, another schema, a threshold that is no finite number, or a thumbnail that is
        no JPEG.
    """
    page, behind = first_page(content, signatures, record_sha256), sections(content, signatures, record_sha256)
    buffer = io.BytesIO()
    with _ONE_AT_A_TIME:
        fonts.faces()
        document = BaseDocTemplate(
            buffer,
            pagesize=A4,
            invariant=1,
            title=page.title,
            author="; ".join(row.name for row in page.signatures if not row.missing) or "not signed",
            subject=f"record {record_sha256}",
            creator="ng0",
            lang="en",
            initialFontName=fonts.faces()[0].name,
        )
        document.addPageTemplates(
            [
                PageTemplate("one column", [_frame(_SIDE, _WIDTH)]),
                PageTemplate(
                    "two columns", [_frame(_SIDE, _WIDTH / 2 - 2 * mm), _frame(A4[0] / 2 + 2 * mm, _WIDTH / 2 - 2 * mm)]
                ),
            ]
        )
        first = KeepInFrame(_WIDTH, _HEIGHT, _first_page(page, content), mode="shrink")
        story = [first, PageBreak(), *_behind(behind), *_notes(page, behind)]
        document.build(story, canvasmaker=_numbered(page))
    return buffer.getvalue()


def picture_height(page: FirstPage) -> int:
    """Points that the rest of the first page leaves for the picture."""
    with _ONE_AT_A_TIME:
        above, below = _around_picture(page)
        return _room([*above, *below])


def _frame(x: float, width: float) -> Frame:
    return Frame(x, _FOOT, width, _HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)


def _numbered(page: FirstPage) -> type[Canvas]:
    """A canvas that writes the record hash, its state and "page 1 of n" below each page, once n is known."""

    class Numbered(Canvas):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._kept: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, kept in enumerate(self._kept, start=1):
                self.__dict__.update(kept)
                _footer(self, page, number, len(self._kept))
                super().showPage()
            super().save()

    return Numbered


def _footer(canvas: Canvas, page: FirstPage, number: int, pages: int) -> None:
    canvas.setStrokeColor(_RULE)
    canvas.setLineWidth(0.5)
    canvas.line(_SIDE, 9.5 * mm, A4[0] - _SIDE, 9.5 * mm)
    _draw(canvas, f"record {page.sha256}", _SIDE, 6 * mm, 6.5, _QUIET)
    end = f"page {number} of {pages}"
    _draw(canvas, end, A4[0] - _SIDE - canvas.stringWidth(end, fonts.faces()[0].name, 6.5), 6 * mm, 6.5, _QUIET)
    if page.status:
        _draw(canvas, page.status, _SIDE + 98 * mm, 6 * mm, 6.5, _STOP)


def _draw(canvas: Canvas, text: str, x: float, y: float, size: float, colour: Color) -> None:
    canvas.setFillColor(colour)
    for name, piece in fonts.runs(text):
        canvas.setFont(name, size)
        canvas.drawString(x, y, piece)
        x += canvas.stringWidth(piece, name, size)


def _text(text: str, size: float = 8, colour: Color = _INK, *, lead: float = 1.28, key: str = "") -> Paragraph:
    """A paragraph in which each character has a font that can print it, after the symbol of ``key``."""
    marked = _marked(text)
    if key:
        marked = f'<font color="{STYLES[key].colour}">{_marked(STYLES[key].glyph)}</font> {marked}'
    name = fonts.faces()[0].name
    style = ParagraphStyle("", fontName=name, fontSize=size, leading=lead * size, textColor=colour, splitLongWords=1)
    return Paragraph(marked, style)


def _marked(text: str) -> str:
    return "".join(f'<font name="{name}">{escape(piece)}</font>' for name, piece in fonts.runs(text))


def _grid(
    rows: Sequence[Sequence[Any]], widths: Sequence[float], *rules: tuple, pad: float = 1.5, **options: Any
) -> Table:
    """A table without lines but for ``rules``, its cells close together."""
    close = [
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), pad),
        ("BOTTOMPADDING", (0, 0), (-1, -1), pad),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    return Table(
        list(map(list, rows)), colWidths=list(widths), style=TableStyle([*close, *rules]), hAlign="LEFT", **options
    )


def _heading(text: str) -> Paragraph:
    return _text(text, 8.5, _QUIET)


# ---------------------------------------------------------------------------------------------- the first page
def _first_page(page: FirstPage, content: dict[str, Any]) -> list[Flowable]:
    """In the order of the meeting; the picture takes the room that the rest leaves."""
    above, below = _around_picture(page)
    return [*above, picture.drawing(content, height=_room([*above, *below])), *below]


def _room(others: Sequence[Flowable]) -> int:
    left = _HEIGHT - sum(one.wrap(_WIDTH, _HEIGHT)[1] + one.getSpaceAfter() for one in others) - 1
    return int(min(_MOST_PICTURE, max(picture.LEAST_HEIGHT, left)))  # whole points: an SVG has no other view box


def _around_picture(page: FirstPage) -> tuple[list[Flowable], list[Flowable]]:
    """What stands above the picture and what below it."""
    conditions = [flowable for one in page.conditions for flowable in _listed(one)]
    left = 0.53 * _WIDTH
    above = [*(_banner(one) for one in page.banners), _decision(page), Spacer(0, 6), _counts(page.counts), Spacer(0, 6)]
    below = [
        Spacer(0, 4),
        _mistakes(page),
        Spacer(0, 5),
        _grid(
            [[_coverage(page, left - 8), conditions]],
            [left, _WIDTH - left],
            ("LEFTPADDING", (1, 0), (1, 0), 8),
            ("LINEBEFORE", (1, 0), (1, 0), 0.5, _RULE),
        ),
        Spacer(0, 5),
        _signatures(page),
        Spacer(0, 4),
        _text(f"Record hash (sha256): {page.sha256}", 8),
        _text(page.keep_the_hash, 6.5, _QUIET),
    ]
    return above, below


def _banner(banner: Banner) -> Table:
    ink = white if banner.stops else _WARN
    cells = [_text(banner.head, 12 if banner.stops else 9.5, ink), _text(banner.text, 8, ink)]
    look = ("BACKGROUND", (0, 0), (-1, -1), _STOP) if banner.stops else ("BOX", (0, 0), (-1, -1), 1, _WARN)
    return _grid(
        [cells],
        [0.2 * _WIDTH, 0.8 * _WIDTH],
        look,
        ("LEFTPADDING", (0, 0), (0, 0), 6),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        pad=3,
        spaceAfter=3,
    )


def _decision(page: FirstPage) -> Table:
    left = [
        _text(page.part, 15, lead=1.15),
        Spacer(0, 2),
        _text(page.place, 8, _QUIET),
        Spacer(0, 3),
        _text(f"Proposed release: {page.proposed_release}", 9),
        Spacer(0, 2),
        _text(page.class_text, 7.5, _QUIET),
    ]
    right = [
        _text("NG from this score on", 7.5, _QUIET),
        _text(page.threshold, 22, lead=1.15),
        _text(page.threshold_is, 7, _QUIET),
        *([_text(page.review_is, 7, _QUIET)] if page.review_is else []),
        Spacer(0, 3),
        _text(page.class_head, 9.5),
    ]
    return _grid(
        [[left, right]],
        [0.66 * _WIDTH, 0.34 * _WIDTH],
        ("BACKGROUND", (1, 0), (1, 0), _PALE),
        ("LEFTPADDING", (1, 0), (1, 0), 8),
        ("BOTTOMPADDING", (1, 0), (1, 0), 5),
        ("LINEBEFORE", (1, 0), (1, 0), 2, _INK),
    )


def _counts(counts: Sequence[Count]) -> Table:
    cells = [
        [
            _text(one.head, 14, lead=1.15, key=one.key),
            _text(one.label, 8),
            _text(one.bound or " ", 8),
            _text(one.note or " ", 7, _QUIET),
        ]
        for one in counts
    ]
    lines = [("LINEABOVE", (i, 0), (i, 0), 2.2, HexColor(STYLES[one.key].outline)) for i, one in enumerate(counts)]
    return _grid([cells], [_WIDTH / len(counts)] * len(counts), *lines, pad=2)


def _mistakes(page: FirstPage) -> Table:
    half = _WIDTH / 2
    cells = [[_heading(one.title), _thumbs(one, half - 8)] for one in page.mistakes]
    table = _grid([cells], [half, half], ("LINEABOVE", (0, 0), (-1, -1), 0.5, _RULE), pad=2)
    return _grid([[table], [_text(page.map_scale, 6.3, _QUIET)]], [_WIDTH], pad=0)


def _thumbs(mistakes: Mistakes, width: float) -> Flowable:
    if not mistakes.thumbs:
        return _text(mistakes.none, 8)
    cells = [_thumb(one, width / 3) for one in mistakes.thumbs] + [""] * (3 - len(mistakes.thumbs))
    row = _grid([cells], [width / 3] * 3, pad=0)
    return _grid([[row], [_text(mistakes.more, 6.5, _QUIET)]], [width], pad=0) if mistakes.more else row


def _thumb(one: Thumb, width: float) -> list[Flowable]:
    side = (width - 8) / 2
    pair = [_jpeg(data, side) for data in (one.picture, one.map)]
    return [_grid([pair], [side + 1, side + 1], pad=1), _text(f"{one.file}, {one.score}", 6.3, _QUIET)]


def _jpeg(data: str, side: float) -> Flowable:
    return Image(io.BytesIO(base64.b64decode(data)), side, side) if data else _text("no picture kept", 6.3, _QUIET)


def _coverage(page: FirstPage, width: float) -> list[Flowable]:
    heads = [_text(head, 6.5, _QUIET) for head in ("failure mode", "severity", "real NG caught", "synthetic NG")]
    rows = [heads, *(_mode(row) for row in page.coverage)]
    empty = [
        ("BACKGROUND", (0, i), (-1, i), _EMPTY) for i, row in enumerate(page.coverage, 1) if row.evidence == "none"
    ]
    lines = ("LINEBELOW", (0, 0), (-1, -1), 0.3, _RULE)
    table = _grid(rows, [width * share for share in (0.41, 0.11, 0.29, 0.19)], lines, *empty, pad=0.9)
    more = [_text(page.coverage_more, 6.5, _QUIET)] if page.coverage_more else []
    return [_heading(page.coverage_title), *([table] if page.coverage else []), *more]


def _mode(row: ModeRow) -> list[Flowable]:
    return [_text(text, 7.5) for text in (row.mode, row.severity, row.real, row.synthetic)]


def _listed(one: Listed) -> list[Flowable]:
    items = [_text(f"– {item}", 7.5) for item in (*one.items, *([one.more] if one.more else []))]
    return [_heading(one.title), *items, Spacer(0, 2)]


def _signatures(page: FirstPage) -> Table:
    heads = [_text(head, 6.5, _QUIET) for head in ("signed as", "printed name", "identity", "time", "reason")]
    rows = [heads, *(_signature(row) for row in page.signatures)]
    shares = (0.1, 0.2, 0.2, 0.19, 0.31)
    lines = (("LINEABOVE", (0, 0), (-1, 0), 1, _INK), ("LINEBELOW", (0, 0), (-1, -1), 0.3, _RULE))
    if page.signatures_more:
        rows.append([_text(page.signatures_more, 6.5, _QUIET), "", "", "", ""])
        lines += (("SPAN", (0, -1), (-1, -1)),)
    return _grid(rows, [share * _WIDTH for share in shares], *lines, pad=1.2)


def _signature(row: SignatureRow) -> list[Flowable]:
    name = _text(row.name, 8, _WARN if row.missing else _INK)
    return [_text(row.meaning, 8), name, *(_text(one, 7) for one in (row.identity, row.at, row.reason))]


# ---------------------------------------------------------------------------------------------- behind it
def _behind(found: Sequence[Section]) -> Iterator[Flowable]:
    in_columns = False
    for letter, section in lettered(found):
        if section.listing and not section.tables and not section.text and not in_columns:
            in_columns = True
            yield from (NextPageTemplate("two columns"), PageBreak())
        yield CondPageBreak(20 * mm)  # a heading alone at the foot of a page helps nobody
        yield _text(f"{letter} · {section.title}", 10.5)
        yield Spacer(0, 2)
        for text in section.text:
            yield _text(text, 7.5)
        if section.thumbs:
            rows = [section.thumbs[i : i + 6] for i in range(0, len(section.thumbs), 6)]
            cells = [[_thumb(one, _WIDTH / 6) for one in row] + [""] * (6 - len(row)) for row in rows]
            yield _grid(cells, [_WIDTH / 6] * 6, pad=2)
        for table in section.tables:
            yield _rows(table)
        for line in section.listing:
            yield _text(line, 5.2)
        yield Spacer(0, 7)


def _rows(table: Rows) -> Table:
    rows = [[_text(text, 6.5, _QUIET) for text in table.heads]] if table.heads else []
    first = len(rows)
    rows += [[_text(text, 6.8) for text in row] for row in table.rows]
    marks = [("BACKGROUND", (0, first + i), (-1, first + i), _PALE) for i in table.marked]
    lines = ("LINEBELOW", (0, 0), (-1, -1), 0.3, _RULE)
    return _grid(
        rows, [share * _WIDTH for share in table.shares], lines, *marks, pad=1.4, repeatRows=first, splitInRow=1
    )


def _notes(page: FirstPage, behind: Sequence[Section]) -> Iterator[Flowable]:
    for note in notes_of(page, behind):
        yield _text(note, 7.5, _WARN)
