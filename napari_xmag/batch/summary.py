"""What became of many slides: ``summary.csv``, ``summary.html`` and ``failed.csv``."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from napari_xmag._about import NOTICE
from napari_xmag.analyze.abstain import NO_ANSWER
from napari_xmag.analyze.result import SlideResult
from napari_xmag.batch.events import SlideDone, SlideFailed
from napari_xmag.batch.failed_table import FailedTable, require_own
from napari_xmag.batch.named import PROJECT, NamedSlide, SlideNames
from napari_xmag.filenames import OVERLAY, RESULT, SUMMARY_PAGE, SUMMARY_TABLE
from napari_xmag.files import whole_file
from napari_xmag.report.contact_sheet import SheetRow, contact_sheet, thumbnail
from napari_xmag.spreadsheets import read_csv, write_csv

Row = Mapping[str, str]

_ABSTAINED = "abstained"
_BEFORE = ("slide", "image", "folder", "fingerprint", "answer", "reasons")
_AFTER = ("tissue_mm2", "flags", "seconds", "model", "model_sha256", "created", "notice")
_PROBABILITY = "probability: "
_SECONDS = 1.0
_RARELY = 20
"""A page is written again after this many times the seconds that writing it took."""


class Summary:
    """The tables of all slides whose results lie in one folder; they grow as the run goes.

    Rows of earlier runs stay while their results are there.

    Parameters
    ----------
    out
        The folder.
    given
        Files and folders that the user named: slides are called relative to them.

    Raises
    ------
    ConfigError
        When a table of that name lies there which is not of this program.
    """

    def __init__(self, out: Path, given: Iterable[Path]) -> None:
        require_own(out / SUMMARY_TABLE, (*_BEFORE, *_AFTER))
        self._out = out
        self._names = SlideNames(given, out)
        self._failed = FailedTable(out)
        self._mine: dict[str, Row] = {}
        self._pictures: dict[str, bytes] = {}
        self._next_table = self._next_page = 0.0

    def done(self, event: SlideDone) -> None:
        """Take in a result."""
        slide, folder = self._names.of(event.slide), event.folder.name
        self._mine[folder] = _row(slide, folder, event.result)
        self._failed.remove(slide)
        self._pictures.pop(folder, None)

    def failed(self, event: SlideFailed) -> None:
        """Take in a failure."""
        self._failed.add(self._names.of(event.slide), event.error)

    def write(self, *, last: bool = False) -> None:
        """Write what is due: the tables at most once a second, the page more seldom.

        Parameters
        ----------
        last
            Write all of it now.

        Raises
        ------
        ExportError
            When it cannot be written.
        """
        now = time.monotonic()
        if not (self._mine or self._failed.changed) or not (last or now >= self._next_table):
            return
        rows, failed = self._rows(), self._failed.write()
        columns = (*_BEFORE, *_probabilities(rows), *_AFTER, PROJECT)
        write_csv(self._out / SUMMARY_TABLE, columns, rows)
        self._next_table = time.monotonic() + _SECONDS
        if last or now >= self._next_page:
            self._write_page(rows, failed)
            took = time.monotonic() - now
            self._next_page = time.monotonic() + max(_SECONDS, _RARELY * took)

    def _rows(self) -> list[Row]:
        """Return the rows of all results that are there, another run's too."""
        on_disk = {row.get("folder", ""): row for row in read_csv(self._out / SUMMARY_TABLE)}
        kept = {
            folder: row
            for folder, row in on_disk.items()
            if folder and folder not in self._mine and (self._out / folder / RESULT).is_file()
        }
        return sorted(
            [*kept.values(), *self._mine.values()],
            key=lambda row: (row["slide"], row["image"].zfill(4), row["folder"]),
        )

    def _write_page(self, rows: Sequence[Row], failed: Sequence[Row]) -> None:
        projects = {row.get(PROJECT, "") for row in (*rows, *failed)} - {""}
        several = len(projects) > 1
        sheet = [self._sheet_row(row, several) for row in rows]
        sheet += [_failed_row(row, several) for row in failed]
        counts = {
            "slides": len(rows),
            _ABSTAINED: sum(row.kind == _ABSTAINED for row in sheet),
            "failed": len(failed),
        }
        with whole_file(self._out / SUMMARY_PAGE) as part:
            page = contact_sheet(sheet, "Analyzed slides", counts)
            # halves of characters, as in broken names of files, are no UTF-8
            part.write_text(page, encoding="utf-8", errors="backslashreplace")

    def _sheet_row(self, row: Row, of_project: bool) -> SheetRow:
        folder = row["folder"]
        if folder not in self._pictures:
            self._pictures[folder] = thumbnail(self._out / folder / OVERLAY)
        abstained = row["answer"] == _ABSTAINED
        return SheetRow(
            slide=NamedSlide.of_row(row).words(of_project=of_project),
            answer=NO_ANSWER if abstained else row["answer"],
            kind=_ABSTAINED if abstained else "answered",
            share=_number(row.get(_PROBABILITY + row["answer"], "")),
            details=tuple(filter(None, row["reasons"].split(" | "))) + _flag_words(row["flags"]),
            area_mm2=_number(row["tissue_mm2"]),
            seconds=_number(row["seconds"]),
            link=quote(folder) + "/",
            thumbnail=self._pictures[folder],
        )


def _row(slide: NamedSlide, folder: str, result: SlideResult) -> Row:
    answer = result.headline if result.answer is not None else _ABSTAINED
    shares = zip(result.classes, result.probabilities, strict=False)
    area = result.tissue.get("area_mm2")
    return {
        "slide": slide.slide,
        "image": slide.image,
        "folder": folder,
        "fingerprint": str(result.slide["fingerprint"]),
        "answer": answer,
        "reasons": " | ".join(result.abstained),
        **{f"{_PROBABILITY}{class_name}": f"{share:.6g}" for class_name, share in shares},
        "tissue_mm2": "" if area is None else f"{area:.6g}",
        "flags": " ".join(str(flag.code) for flag in result.flags),
        "seconds": f"{result.seconds['total']:.3f}",
        "model": str(result.model["name"]),
        "model_sha256": str(result.model["sha256"]),
        "created": result.created,
        "notice": NOTICE,
        PROJECT: slide.project,
    }


def _failed_row(row: Row, of_project: bool) -> SheetRow:
    name = NamedSlide.of_row(row).words(of_project=of_project)
    return SheetRow(name, "Failed", "failed", details=(row["reason"],))


def _flag_words(codes: str) -> tuple[str, ...]:
    return (f"Flags: {', '.join(codes.split()).replace('_', ' ')}",) if codes else ()


def _probabilities(rows: Iterable[Row]) -> list[str]:
    """Return the columns of all classes, in the order in which they come."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(_PROBABILITY))
    return list(names)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
