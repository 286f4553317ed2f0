"""One picture that shows which fields were kept and which were left out, and why."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_xmag.export.lettering import cut_to_width, font
from napari_xmag.files import whole_file

Pixels = NDArray[np.uint8]

_THUMB, _GAP, _COLUMNS, _MOST = 144, 6, 8, 24
_TITLE, _HEADING, _LABEL = 20, 16, 14
_WIDTH = _GAP + _COLUMNS * (_THUMB + _GAP)
_INK, _PAPER, _WARNING = (30, 30, 30), (255, 255, 255), (176, 32, 32)


class _Some:
    """A fair sample of fields, however many come (reservoir sampling)."""

    def __init__(self) -> None:
        self.thumbs: list[tuple[Image.Image, str]] = []
        self.seen = 0
        self._draw = np.random.default_rng(0)

    def add(self, pixels: Pixels, reason: str) -> None:
        self.seen += 1
        place = len(self.thumbs) if self.seen <= _MOST else int(self._draw.integers(self.seen))
        if place < _MOST:
            self.thumbs[place : place + 1] = [(_thumb(pixels), reason)]


class ContactSheet:
    """Collects thumbnails while fields are sampled; some of each kind are shown."""

    def __init__(self) -> None:
        self._kept, self._left_out = _Some(), _Some()

    def keep(self, pixels: Pixels) -> None:
        """Take note of a field, uint8 (S, S, 3), that was kept."""
        self._kept.add(pixels, "")

    def leave_out(self, pixels: Pixels, reason: str) -> None:
        """Take note of a field, uint8 (S, S, 3), that was left out."""
        self._left_out.add(pixels, reason)

    def write(self, path: Path, title: str, rejected: Mapping[str, int]) -> None:
        """Draw the sheet as JPEG.

        Parameters
        ----------
        title
            First line.
        rejected
            How many were left out, by reason; also those of which there is nothing to show.

        Raises
        ------
        ExportError
            When it cannot be written.
        """
        number = sum(rejected.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
        sections = [
            (_heading("kept", self._kept.seen, "", self._kept), self._kept.thumbs),
            (_heading("left out", number, reasons, self._left_out), self._left_out.thumbs),
        ]
        sheet = _draw(title, sections)
        with whole_file(path) as part:
            sheet.save(part, "JPEG", quality=88, subsampling=0)


def _thumb(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.resize((_THUMB, _THUMB), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _heading(what: str, number: int, reasons: str, some: _Some) -> str:
    shown = f" ({len(some.thumbs)} shown)" if len(some.thumbs) < number else ""
    return f"{number} {what}{f': {reasons}' if reasons else ''}{shown}"


def _draw(
    title: str, sections: Sequence[tuple[str, Sequence[tuple[Image.Image, str]]]]
) -> Image.Image:
    rows = sum(-(-len(thumbs) // _COLUMNS) for _, thumbs in sections)
    height = 2 * _GAP + _TITLE + len(sections) * (_HEADING + 3 * _GAP) + rows * (_THUMB + _GAP)
    sheet = Image.new("RGB", (_WIDTH, height + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    most = _WIDTH - 2 * _GAP
    pen.text((_GAP, _GAP), cut_to_width(title, _TITLE, most), _INK, font(_TITLE))
    top = 2 * _GAP + _TITLE
    for heading, thumbs in sections:
        words = cut_to_width(heading, _HEADING, most)
        pen.text((_GAP, top + _GAP), words, _INK, font(_HEADING))
        top += _HEADING + 3 * _GAP
        for number, (thumb, reason) in enumerate(thumbs):
            row, column = divmod(number, _COLUMNS)
            place = _GAP + column * (_THUMB + _GAP), top + row * (_THUMB + _GAP)
            sheet.paste(thumb, place)
            _letter(pen, place, reason)
        top += -(-len(thumbs) // _COLUMNS) * (_THUMB + _GAP)
    return sheet


def _letter(pen: ImageDraw.ImageDraw, place: tuple[int, int], reason: str) -> None:
    if not reason:
        return
    left, bottom = place[0], place[1] + _THUMB
    band = (left, bottom - _LABEL - 6, left + _THUMB - 1, bottom - 1)
    pen.rectangle(band, fill=_WARNING)
    pen.text((left + 5, bottom - _LABEL - 5), reason, _PAPER, font(_LABEL))
