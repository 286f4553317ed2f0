"""The report of one slide in all its forms."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_xmag.analyze.heatmap import AS_MADE, MapLook
from napari_xmag.analyze.result import SlideResult
from napari_xmag.filenames import REPORT_HTML, REPORT_PDF
from napari_xmag.report.content import ReportContent, report_content
from napari_xmag.report.html import write_html
from napari_xmag.report.pdf import write_pdf
from napari_xmag.review.verdicts import PlaceReview
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask

FORMATS = {"html": (REPORT_HTML, write_html), "pdf": (REPORT_PDF, write_pdf)}
"""Forms of a report, with the file and what writes it."""


def write_report(
    slide: Slide,
    result: SlideResult,
    folder: Path | str,
    reviews: Iterable[PlaceReview] = (),
    *,
    formats: Sequence[str] = tuple(FORMATS),
    look: MapLook = AS_MADE,
    reviewer: str = "",
    mask: TissueMask | None = None,
) -> dict[str, Path]:
    """Write ``report.html`` and ``report.pdf``.

    Parameters
    ----------
    slide
        The slide that was analyzed, still open.
    result
        Its result.
    folder
        Made when missing; reports in it are replaced.
    reviews
        What was said of places of the slide.
    formats
        ``html``, ``pdf`` or both.
    look
        How the map is shown, and for which class the places speak; see `report_content`.
    reviewer
        Name on the report; empty for none.
    mask
        The tissue that was analyzed; see `map_picture`.

    Returns
    -------
    Name of each file and its path.

    Raises
    ------
    TileReadError
        When the slide cannot be read any more.
    ExportError
        When a file cannot be written.
    """
    content = report_content(slide, result, reviews, look=look, reviewer=reviewer, mask=mask)
    return write_content(content, folder, formats)


def write_content(
    content: ReportContent, folder: Path | str, formats: Sequence[str] = tuple(FORMATS)
) -> dict[str, Path]:
    """Write what was gathered for a report; see `write_report`."""
    files = {}
    for kind in formats:
        name, write = FORMATS[kind]
        files[name] = Path(folder) / name
        write(content, files[name])
    return files
