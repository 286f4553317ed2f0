"""What became of many slides: ``summary.csv``, ``summary.html`` and ``failed.csv``."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from napari_xmag._about import NOTICE
from napari_xmag.analyze.abstain import NO_ANSWER
from napari_xmag.analyze.result import SlideResult
from napari_xmag.batch.events import SlideDone, SlideFailed, SlideLabel
from napari_xmag.errors import ConfigError
from napari_xmag.filenames import FAILED_TABLE, OVERLAY, RESULT, SUMMARY_PAGE, SUMMARY_TABLE
from napari_xmag.files import relative_path, whole_file
from napari_xmag.report.contact_sheet import SheetRow, contact_sheet, thumbnail
from napari_xmag.spreadsheets import read_csv, read_header, write_csv

Row = Mapping[str, str]

_ABSTAINED = "abstained"
_BEFORE = ("slide", "image", "folder", "fingerprint", "answer", "reasons")
_AFTER = ("tissue_mm2", "flags", "seconds", "model", "model_sha256", "created", "notice")
_FAILED = ("slide", "image", "reason", "when", "notice")
_PROJECT = "project"
"""Of an image of QuPath, in both tables: another project may have one of its name and ID."""

_PROBABILITY = "probability: "
_ID = "ID "
"""How an image of a QuPath project is told from others of its name."""
_SECONDS = 1.0
_RARELY = 20
"""A page is written again after this many times the seconds that writing it took."""


class SlideNames:
    """What slides are called in tables: relative to what the user named, never with a home folder.

    An image of a QuPath project is called by its name there.

    Parameters
    ----------
    given
        Files and folders.
    """

    def __init__(self, given: Iterable[Path]) -> None:
        self._root = _common_root(given)

    def of(self, slide: SlideLabel) -> tuple[str, str]:
        """Return path and picture of a slide; name and ID of an image of a project."""
        if slide.shown:
            return slide.shown, f"{_ID}{slide.key}"
        path = Path(os.path.abspath(slide.path))  # noqa: PTH100 - links are called by their names
        image = "" if slide.image is None else str(slide.image)
        if self._root is None or not path.is_relative_to(self._root) or path == self._root:
            return path.name, image
        return path.relative_to(self._root).as_posix(), image


class FailedTable:
    """``failed.csv``: what has no result, and why; gone when nothing failed.

    Parameters
    ----------
    out
        Its folder.

    Raises
    ------
    ConfigError
        When a table of that name lies there which is not of this program.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / FAILED_TABLE
        require_own(self._path, _FAILED)
        self._mine: dict[tuple[str, str, str], Row | None] = {}

    @property
    def changed(self) -> bool:
        """Whether anything was heard."""
        return bool(self._mine)

    def add(self, slide: str, image: str, project: str, error: Exception) -> None:
        """Take in a failure."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        cells = (slide, image, " ".join(str(error).split()), when, NOTICE)
        row = {**dict(zip(_FAILED, cells, strict=True)), _PROJECT: project}
        self._mine[slide, image, project] = row

    def remove(self, slide: str, image: str, project: str) -> None:
        """Forget a failure: the slide has succeeded."""
        self._mine[slide, image, project] = None

    def write(self) -> list[Row]:
        """Write the table; return its rows, those of earlier runs too."""
        on_disk = {
            (row["slide"], row["image"], row.get(_PROJECT, "")): row for row in read_csv(self._path)
        }
        merged = on_disk | self._mine
        rows = [row for _, row in sorted(merged.items()) if row is not None]
        if rows:
            write_csv(self._path, (*_FAILED, _PROJECT), rows)
        else:
            self._path.unlink(missing_ok=True)
        return rows


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
        self._names = SlideNames(given)
        self._failed = FailedTable(out)
        self._mine: dict[str, Row] = {}
        self._pictures: dict[str, bytes] = {}
        self._next_table = self._next_page = 0.0

    def done(self, event: SlideDone) -> None:
        """Take in a result."""
        name, image = self._names.of(event.slide)
        folder, project = event.folder.name, project_name(event.slide, self._out)
        row = _row(name, image, folder, event.result)
        self._mine[folder] = {**row, _PROJECT: project}
        self._failed.remove(name, image, project)
        self._pictures.pop(folder, None)

    def failed(self, event: SlideFailed) -> None:
        """Take in a failure."""
        project = project_name(event.slide, self._out)
        self._failed.add(*self._names.of(event.slide), project, event.error)

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
        columns = (*_BEFORE, *_probabilities(rows), *_AFTER, _PROJECT)
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
        sheet = [self._sheet_row(row) for row in rows] + [_failed_row(row) for row in failed]
        counts = {
            "slides": len(rows),
            _ABSTAINED: sum(row.kind == _ABSTAINED for row in sheet),
            "failed": len(failed),
        }
        with whole_file(self._out / SUMMARY_PAGE) as part:
            page = contact_sheet(sheet, "Analyzed slides", counts)
            # halves of characters, as in broken names of files, are no UTF-8
            part.write_text(page, encoding="utf-8", errors="backslashreplace")

    def _sheet_row(self, row: Row) -> SheetRow:
        folder = row["folder"]
        if folder not in self._pictures:
            self._pictures[folder] = thumbnail(self._out / folder / OVERLAY)
        abstained = row["answer"] == _ABSTAINED
        return SheetRow(
            slide=_named(row),
            answer=NO_ANSWER if abstained else row["answer"],
            kind=_ABSTAINED if abstained else "answered",
            share=_number(row.get(_PROBABILITY + row["answer"], "")),
            details=tuple(filter(None, row["reasons"].split(" | "))) + _flag_words(row["flags"]),
            area_mm2=_number(row["tissue_mm2"]),
            seconds=_number(row["seconds"]),
            link=quote(folder) + "/",
            thumbnail=self._pictures[folder],
        )


def project_name(slide: SlideLabel, folder: Path) -> str:
    """Return the project of an image of QuPath as seen from a folder; empty for a plain slide."""
    return "" if slide.project is None else relative_path(slide.project, folder)


def require_own(path: Path, columns: Iterable[str]) -> None:
    """Refuse to write over a table that is not of this program.

    Raises
    ------
    ConfigError
        When there is one.
    """
    if path.exists() and not set(columns) <= set(read_header(path)):
        raise ConfigError(
            expected=f"{path.name} in {path.parent} to be a table of this program",
            found="another one, which would be overwritten",
            hint="Move it away, or choose another folder with --out.",
        )


def _row(name: str, image: str, folder: str, result: SlideResult) -> Row:
    answer = result.headline if result.answer is not None else _ABSTAINED
    shares = zip(result.classes, result.probabilities, strict=False)
    area = result.tissue.get("area_mm2")
    return {
        "slide": name,
        "image": image,
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
    }


def _failed_row(row: Row) -> SheetRow:
    return SheetRow(_named(row), "Failed", "failed", details=(row["reason"],))


def _named(row: Row) -> str:
    image = row.get("image", "")
    if image.startswith(_ID):
        return f"{row['slide']} [{image}]"
    return row["slide"] if image in ("", "1") else f"{row['slide']} #{image}"


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


def _common_root(given: Iterable[Path]) -> Path | None:
    """Return the folder below which all of it lies; None where it is no more than the disk."""
    roots = {Path(os.path.abspath(path)) for path in given}  # noqa: PTH100 - as `name_of`
    folders = {root if root.is_dir() else root.parent for root in roots}
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:  # on several disks, or nothing given
        return None
    return None if common == Path(common.anchor) else common
