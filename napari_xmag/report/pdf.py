"""A report of one slide as a PDF to hand on."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category
from xml.sax.saxutils import escape

from napari_xmag.analyze.bars import Band
from napari_xmag.export.lettering import font_folder
from napari_xmag.files import whole_file
from napari_xmag.formatting import percent
from napari_xmag.report.content import ReportContent, ShownPlace

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable

_INK, _FAINT, _LINE = "#1f2328", "#656d76", "#d8dee4"
_BAR, _OTHER, _TROUGH, _UNSURE = "#2d69b4", "#969ea8", "#e8ebef", "#fadea0"
_AMBER, _RED, _GREEN = "#bf7800", "#b01824", "#1a7f4b"
_KINDS = {"answer": _BAR, "uncertain": _AMBER, "abstained": _RED}
_FONT, _BOLD = "XmagSans", "XmagSans-Bold"

_MARGIN, _HEAD, _FOOT = 42.0, 30.0, 38.0
_PLACES_A_ROW = 4
_COMMENT = 300
"""Characters that have room under a picture."""

_UNKNOWN = "\ufffd"
_UNKNOWN_WORDS = (
    f"{_UNKNOWN} stands for a character that the font of this document lacks, such as a Chinese "
    "one. The HTML report shows it."
)

_PADDING = 6.0  # of a frame of reportlab, on each side
_GAP = 12.0


def write_pdf(content: ReportContent, path: Path | str) -> None:
    """Write the report.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    _register_fonts()
    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_HEAD,
        bottomMargin=_FOOT,
        title=f"{content.slide}: {content.headline}",
        author=content.reviewer,
        subject=content.notice,
        creator=f"napari-xmag {content.version}",
    )

    def decorate(canvas: "Canvas", _: object) -> None:
        _draw_foot(canvas, content, A4[0])

    document.build(_Page(document.width - 2 * _PADDING).story(content), decorate, decorate)
    with whole_file(Path(path)) as part:
        part.write_bytes(stream.getvalue())


def _register_fonts() -> None:
    """Take DejaVu Sans, which matplotlib brings along, as the overlay does."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if _FONT in pdfmetrics.getRegisteredFontNames():
        return
    folder = font_folder()
    pdfmetrics.registerFont(TTFont(_FONT, str(folder / "DejaVuSans.ttf")))
    pdfmetrics.registerFont(TTFont(_BOLD, str(folder / "DejaVuSans-Bold.ttf")))
    pdfmetrics.registerFontFamily(_FONT, _FONT, _BOLD, _FONT, _BOLD)


def _draw_foot(canvas: "Canvas", content: ReportContent, width: float) -> None:
    canvas.saveState()
    canvas.setFont(_FONT, 7.5)
    canvas.setFillColor(_RED)
    canvas.drawString(_MARGIN, 24, content.notice)
    canvas.setFillColor(_FAINT)
    page = f"{content.slide[:60]} · napari-xmag {content.version} · page {canvas.getPageNumber()}"
    canvas.drawRightString(width - _MARGIN, 24, page)
    canvas.restoreState()


class _Page:
    """Turns content into what flows over the pages, ``width`` points wide."""

    def __init__(self, width: float) -> None:
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.pdfbase import pdfmetrics

        self.width = width
        self._known = pdfmetrics.getFont(_FONT).face.charToGlyph
        self._lost = False
        self._body = ParagraphStyle(
            "body", fontName=_FONT, fontSize=9, leading=12.5, textColor=_INK, wordWrap="LTR",
            splitLongWords=True,
        )  # fmt: skip

    def story(self, it: ReportContent) -> "list[Flowable]":
        heading = self._heading(it)
        body = [
            *self._prediction(it),
            *self._warnings(it),
            *self._maps(it),
            *self._places(it),
            *self._tables(it),
        ]
        return [
            *heading,
            *([self._text(_UNKNOWN_WORDS, _FAINT, size=8)] if self._lost else []),
            *body,
        ]

    # parts of the page

    def _heading(self, it: ReportContent) -> "list[Flowable]":
        from reportlab.platypus import Spacer

        by = f"Reviewed by {it.reviewer} · " if it.reviewer else ""
        left = [
            self._text(it.slide, size=15, bold=True),
            self._text(f"{by}Report date: {it.date}", _FAINT),
        ]
        notice = self._boxed([self._text(it.notice, _RED, bold=True, size=8)], frame=_RED)
        top = self._beside([left, [notice]], [0.6, 0.4])
        color = _KINDS[it.kind]
        big = [
            self._text(it.headline, _RED if it.kind == "abstained" else _INK, bold=True, size=16)
        ]
        big += [self._text(f"⚠ {words}") for words in it.reasons]
        return [top, Spacer(1, 8), self._boxed(big, stripe=color), Spacer(1, 4)]

    def _prediction(self, it: ReportContent) -> "list[Flowable]":
        faint = it.kind == "abstained"
        title = "Scores (not a reliable prediction)" if faint else "Prediction"
        width = 0.5 * self.width - _GAP
        left: list[Any] = [self._title(title)]
        for name, share, band in it.bars:
            color = _BAR if name == it.predicted else _OTHER
            left.append(self._ends(name, percent(share), _FAINT if faint else _INK, width))
            left.append(_bar(width, share, color, band))
        if not it.bars:
            left.append(self._text("None.", _FAINT))
        left += [self._text(words, _FAINT, size=8) for words in it.band]
        right = [self._title("About this result"), self._rows(it.facts, width)]
        return [self._beside([left, right], [0.5, 0.5])]

    def _warnings(self, it: ReportContent) -> "list[Flowable]":
        if not it.warnings:
            return []
        return [self._title("Warnings"), *(self._text(f"⚠ {words}") for words in it.warnings)]

    def _maps(self, it: ReportContent) -> "list[Flowable]":
        from reportlab.platypus import KeepTogether

        maps, width = it.maps, (self.width - _GAP) / 2
        scale = min(width / maps.width, 290 / maps.height)
        size = maps.width * scale, maps.height * scale
        left = [_image(maps.tissue, *size), self._text("The slide", _FAINT, size=8)]
        right: list[Any] = [_image(maps.map, *size), self._text(maps.title, size=8, bold=True)]
        if maps.legend:
            right += [
                _image(maps.legend, width, 8),
                self._ends(maps.low, maps.high, _FAINT, width, size=7.5),
                self._text(maps.meaning, _FAINT, size=7.5),
            ]
        return [
            KeepTogether([self._title("Slide and map"), self._beside([left, right], [0.5, 0.5])])
        ]

    def _places(self, it: ReportContent) -> "list[Flowable]":
        from reportlab.platypus import KeepTogether

        width = (self.width - (_PLACES_A_ROW - 1) * _GAP) / _PLACES_A_ROW
        cards = [self._place(place, width) for place in it.places]
        rows: list[Any] = [
            self._beside(
                [*cards[start : start + _PLACES_A_ROW]],
                [1 / _PLACES_A_ROW] * len(cards[start : start + _PLACES_A_ROW]),
            )
            for start in range(0, len(cards), _PLACES_A_ROW)
        ]
        heading = [self._title("Patches to review"), self._text(it.places_words)]
        note = "Each image shows at least 0.4 mm of tissue at 10x; the outline marks the patch."
        if not rows:
            return heading
        first, *others = rows
        rest = [self._text(note, _FAINT, size=7.5), *self._long_comments(it)]
        return [KeepTogether([*heading, first]), *others, *rest]

    def _long_comments(self, it: ReportContent) -> "list[Flowable]":
        """Return whole comments that have no room under their picture."""
        return [
            self._text(f"{place.number} · {place.comment}", size=8)
            for place in it.places
            if len(place.comment) > _COMMENT
        ]

    def _place(self, place: ShownPlace, width: float) -> "list[Flowable]":
        side = width - 2
        shown = _image(place.picture, side, side) if place.picture else None
        parts = [shown or self._text("This part of the file cannot be read.", _FAINT, size=8)]
        parts.append(self._text(f"{place.number} · {place.value}", size=7.5, bold=True))
        parts.append(self._text(place.where, _FAINT, size=7))
        if place.verdict:
            right = place.verdict == "right"
            words, color = ("✓ right", _GREEN) if right else ("✗ wrong", _RED)
            parts.append(self._text(words, color, bold=True, size=8))
        if place.comment:
            whole = len(place.comment) <= _COMMENT
            words = place.comment if whole else f"{place.comment[:_COMMENT]} … (full text below)"
            parts.append(self._text(words, size=8))
        if place.said_by:
            parts.append(self._text(place.said_by, _FAINT, size=7))
        return parts

    def _tables(self, it: ReportContent) -> "list[Flowable]":
        width = 0.5 * self.width - _GAP
        good: list[Any] = [self._title("Model performance")]
        if it.card.figures:
            good.append(self._rows(it.card.figures, width))
            good.append(
                self._text(
                    "From the model card: measured on the model's own test slides.", _FAINT, size=8
                )
            )
        good += [self._text(it.card.note, _FAINT)] if it.card.note else []
        good += [self._text(words) for words in it.card.limits]
        areas = [self._title("Areas"), self._rows(it.areas, width)]
        slide = [self._title("Slide"), self._rows(it.slide_facts, width)]
        model = [self._title("Model"), self._rows(it.model_facts, width)]
        halves = [0.5, 0.5]
        return [self._beside([areas, slide], halves), self._beside([model, good], halves)]

    # building blocks

    def _text(
        self, words: str, color: str = _INK, *, size: float = 9, bold: bool = False
    ) -> "Flowable":
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.platypus import Paragraph

        style = ParagraphStyle(
            "words",
            self._body,
            fontName=_BOLD if bold else _FONT,
            fontSize=size,
            leading=1.35 * size,
            textColor=color,
        )
        return Paragraph(escape(self._in_font(words)).replace("\n", "<br/>"), style)

    def _in_font(self, words: str) -> str:
        """Return words as the font can show them, and note where it cannot show all."""
        blank = {one: " " for one in words if category(one) == "Zs" and one != "\u3000"}
        spaced = "".join(blank.get(one, one) for one in words)
        seen = "".join(one for one in spaced if one.isprintable() or one in "\n\u3000")
        known = "".join(one if ord(one) in self._known or one == "\n" else _UNKNOWN for one in seen)
        self._lost |= known != seen
        return known

    def _title(self, words: str) -> "Flowable":
        from reportlab.platypus import Table

        line = Table([[self._text(words, bold=True, size=11)]], colWidths=["100%"], spaceBefore=12)
        line.setStyle([("LINEBELOW", (0, 0), (-1, -1), 0.6, _LINE), *_padding(0, 3)])
        line.spaceAfter = 5
        return line

    def _rows(self, rows: Iterable[tuple[str, str]], width: float) -> "Flowable":
        from reportlab.platypus import Table

        cells = [[self._text(n, _FAINT, size=8), self._text(w, size=8)] for n, w in rows]
        if not cells:
            return self._text("No information available.", _FAINT, size=8)
        table = Table(cells, colWidths=[0.34 * width, 0.66 * width])
        table.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(0, 1.5)])
        return table

    def _ends(self, left: str, right: str, color: str, width: float, size: float = 9) -> "Flowable":
        from reportlab.platypus import Table

        texts = [self._text(left, color, size=size), self._text(right, color, size=size)]
        texts[1].style.alignment = 2  # to the right
        line = Table([texts], colWidths=[0.5 * width, 0.5 * width])
        line.setStyle(_padding(0, 1))
        return line

    def _beside(self, columns: Sequence[Any], shares: Sequence[float]) -> "Flowable":
        from reportlab.platypus import Table

        table = Table([list(columns)], colWidths=[s * self.width for s in shares], hAlign="LEFT")
        table.setStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                *_padding(0, 0),
                ("RIGHTPADDING", (0, 0), (-2, -1), _GAP),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
            ]
        )
        return table

    def _boxed(self, parts: Sequence[Any], *, frame: str = "", stripe: str = "") -> "Flowable":
        from reportlab.platypus import Table

        table = Table([[list(parts)]], colWidths=["100%"])
        style: list[Any] = _padding(9, 6)
        if frame:
            style += [("BOX", (0, 0), (-1, -1), 1.2, frame), *_padding(7, 4)]
        if stripe:
            style.append(("LINEBEFORE", (0, 0), (0, -1), 4, stripe))
            style.append(("BACKGROUND", (0, 0), (-1, -1), "#f8f9fb"))
        table.setStyle(style)
        return table


def _padding(across: float, down: float) -> list[tuple[Any, ...]]:
    everywhere = (0, 0), (-1, -1)
    return [
        ("LEFTPADDING", *everywhere, across),
        ("RIGHTPADDING", *everywhere, across),
        ("TOPPADDING", *everywhere, down),
        ("BOTTOMPADDING", *everywhere, down),
    ]


def _image(content: bytes, width: float, height: float) -> "Flowable":
    from reportlab.platypus import Image

    return Image(io.BytesIO(content), width, height, hAlign="LEFT")


def _bar(width: float, share: float, color: str, band: Band | None) -> "Flowable":
    """Draw a share, with the threshold and its uncertain band where there is one."""
    from reportlab.graphics.shapes import Drawing, Rect
    from reportlab.lib.colors import HexColor

    drawing = Drawing(width, 15)

    def rectangle(left: float, right: float, fill: str, low: float = 4, height: float = 7) -> None:
        across = max(right - left, 0) * width
        shape = Rect(left * width, low, across, height, strokeWidth=0, strokeColor=None)
        shape.fillColor = HexColor(fill)
        drawing.add(shape)

    rectangle(0, 1, _TROUGH)
    if band is not None:
        rectangle(band.low, band.high, _UNSURE)
    rectangle(0, share, color)
    if band is not None:
        rectangle(band.threshold - 0.003, band.threshold + 0.003, _INK, 1, 13)
    return drawing
