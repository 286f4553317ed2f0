"""Tables that spreadsheets open: what a slide is called must never become a formula."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from napari_xmag.files import whole_file

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_QUOTE = "'"


def as_text(cell: str) -> str:
    """Return a cell that every spreadsheet takes as text: with ``'`` before what could be more."""
    return _QUOTE + cell if cell.startswith((*_FORMULA, _QUOTE)) else cell


def meant(cell: str) -> str:
    """Return what `as_text` was given."""
    quoted = cell.startswith(_QUOTE) and cell[1:].startswith((*_FORMULA, _QUOTE))
    return cell[1:] if quoted else cell


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a CSV file, whole or not at all.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    with whole_file(path) as part, _opened(part) as stream:
        table = csv.writer(stream)
        table.writerow(map(as_text, columns))
        table.writerows([as_text(row.get(name, "")) for name in columns] for row in rows)


def _opened(path: Path) -> TextIO:
    # halves of characters, as in broken names of files, are no UTF-8
    return path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace")


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows that `write_csv` wrote; none where there is no such file."""
    names, *rows = _cells(path) or [[]]
    return [dict(zip(names, row, strict=False)) for row in rows if len(row) == len(names)]


def read_columns(path: Path) -> list[str]:
    """Return the columns of a table; none where there is no such file."""
    return next(iter(_cells(path)), [])


def _cells(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return [[meant(cell) for cell in row] for row in csv.reader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
