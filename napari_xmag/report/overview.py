"""Many saved results on one page, each with its map and a link to its report."""

import io
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from napari_xmag.analyze.result import SlideResult
from napari_xmag.files import whole_file
from napari_xmag.report.contact_sheet import SheetRow, contact_sheet, thumbnail
from napari_xmag.review.worklist import suspicion


def write_overview(results: Iterable[tuple[SlideResult, Path, bytes]], path: Path | str) -> None:
    """Write a page of all results, the most suspicious first, those that abstain apart.

    Parameters
    ----------
    results
        Each with the file that its row leads to, and a picture of its map.
    path
        HTML file to write.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    path = Path(path)
    ordered = sorted(results, key=lambda item: -_rank(item[0]))
    rows = [_sheet_row(result, link, picture, path) for result, link, picture in ordered]
    counts = {"slides": len(rows), "abstained": sum(row.kind == "abstained" for row in rows)}
    page = contact_sheet(rows, "Reports", counts)
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")


def _rank(result: SlideResult) -> float:
    suspected = suspicion(result)
    return -1.0 if suspected is None else suspected


def _sheet_row(result: SlideResult, link: Path, picture: bytes, page: Path) -> SheetRow:
    abstained = result.answer is None
    shares = dict(zip(result.classes, result.probabilities, strict=False))
    return SheetRow(
        slide=str(result.slide["path"]),
        answer=result.headline,
        kind="abstained" if abstained else "answered",
        share=None if result.answer is None else shares[result.answer],
        details=(*result.abstained, *(flag.words for flag in result.warnings)),
        area_mm2=result.tissue.get("area_mm2"),
        seconds=result.seconds.get("total"),
        link=_address(link, page),
        thumbnail=thumbnail(io.BytesIO(picture)),
    )


def _address(link: Path, page: Path) -> str:
    link, root = link.absolute(), page.absolute().parent
    return quote(link.relative_to(root).as_posix()) if link.is_relative_to(root) else link.as_uri()
