"""Many results on one page: a table that sorts itself, with the map of each slide."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_xmag._about import NOTICE, __version__
from napari_xmag.report.templates import templates

_SIDE = 320
"""Pixels of the longer side of a picture."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One slide.

    Attributes
    ----------
    slide
        What it is called.
    answer
        The headline of its result.
    kind
        ``answered``, ``abstained`` or ``failed``.
    share
        Probability of the predicted class; None where there is none.
    details
        Further lines: reasons, flags.
    area_mm2, seconds
        Of the analysis; None where there was none.
    link
        Relative address of its folder; empty for none.
    thumbnail
        JPEG, as of `thumbnail`; empty for none.
    """

    slide: str
    answer: str
    kind: str
    share: float | None = None
    details: tuple[str, ...] = ()
    area_mm2: float | None = None
    seconds: float | None = None
    link: str = ""
    thumbnail: bytes = field(default=b"", repr=False)

    @property
    def picture(self) -> str:
        """The thumbnail as an address that holds it; empty for none."""
        text = base64.b64encode(self.thumbnail).decode()
        return f"data:image/jpeg;base64,{text}" if text else ""


def contact_sheet(rows: Sequence[SheetRow], title: str, counts: Mapping[str, int]) -> str:
    """Return a self-contained HTML page, everything in it escaped.

    Parameters
    ----------
    rows
        In the order in which they are shown first.
    counts
        How many slides there are of each kind, in words.
    """
    page = (
        templates()
        .get_template("contact_sheet.html.jinja")
        .render(rows=rows, title=title, counts=counts, notice=NOTICE, version=__version__)
    )
    return str(page)


def thumbnail(picture_file: Path | io.BytesIO) -> bytes:
    """Return a picture of a result as a small JPEG; nothing where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(picture_file) as picture:
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    small.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=80)
    return stream.getvalue()
