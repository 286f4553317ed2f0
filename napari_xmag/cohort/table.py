"""Tables as people keep them: CSV in any form that spreadsheets write, and Excel workbooks."""

import codecs
import csv
import io
import locale
import string
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from napari_xmag.errors import CohortError
from napari_xmag.files import whole_file
from napari_xmag.printable import printable
from napari_xmag.spreadsheets import as_text, meant

EXCEL = ".xlsx"

_OTHER_BOOKS = (".xls", ".xlsb", ".ods", ".numbers")
_SEPARATORS = (",", ";", "\t")
# Besides blanks: marks that programs leave at the beginning of files and cells, and nobody sees.
_BLANKS = string.whitespace + "\xa0\ufeff\u200b"

# Whatever a workbook of broken parts makes openpyxl raise; broken XML is a SyntaxError.
_BROKEN = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError, EOFError),
    *(NotImplementedError, RecursionError, zlib.error),
)
# A row for each of a million slides has some hundred bytes.
_MOST_BYTES = 2**27

Line = tuple[int, dict[str, str]]
"""Number of the row, as a spreadsheet counts, and its cells by the name of their column."""


def is_table(path: Path) -> bool:
    """Return whether a name is that of a table, also of a kind that `read_table` refuses."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt", EXCEL, *_OTHER_BOOKS)


def read_table(path: Path, needed: Sequence[str]) -> list[Line]:
    """Read the rows that hold anything, with cells and column names stripped of blanks.

    A CSV table may be separated by commas, semicolons or tabs, and encoded as UTF-8, as UTF-16
    (Excel's "Unicode text") or in the system's code page. Of a workbook the sheet with the needed
    columns is read, else the one that was open when it was saved.

    Parameters
    ----------
    path
        A table; ``.xlsx`` is a workbook, all else is text.
    needed
        Columns that must be there, in lower case; so are the names in the answer.

    Raises
    ------
    CohortError
        When it cannot be read, lacks a needed column or names one twice, or a row has more cells
        than there are columns.
    """
    if path.suffix.lower() in _OTHER_BOOKS:
        raise _unreadable(path, ValueError(f"a table of the kind {path.suffix}"))
    _require_small(path)
    records = _workbook(path, needed) if path.suffix.lower() == EXCEL else _text_records(path)
    numbered = [
        (number, cells)
        for number, row in enumerate(records, 1)
        if any(cells := [_text(value) for value in row])
    ]
    heading, *lines = numbered or [(1, [])]
    names = [name.lower() for name in heading[1]]
    _require_columns(path, names, needed)
    _require_cells(path, len(names), lines)
    return [(number, dict(zip(names, cells, strict=False))) for number, cells in lines]


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as ``.xlsx`` or, under any other name, as CSV that Excel opens as it is.

    Raises
    ------
    ExportError
        When it cannot be written; nothing half-written is left.
    """
    with whole_file(path) as part:
        if path.suffix.lower() == EXCEL:
            _write_workbook(part, columns, rows)
            return
        # the mark at the beginning tells Excel that this is UTF-8
        with part.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows([_written(value) for value in row] for row in rows)


def _write_workbook(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("cohort")
    sheet.freeze_panes = "A2"
    sheet.append(list(columns))
    for row in rows:
        sheet.append([_written(value) for value in row])
    book.save(path)


def _written(value: Any) -> Any:
    # a name of a file may hold what neither UTF-8 nor a workbook can
    return as_text(printable(value, keep="\n\t")) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    # a workbook keeps the patient 12 as 12.0
    whole = isinstance(value, float) and value.is_integer()
    return meant(str(int(value) if whole else value).strip(_BLANKS))


def _require_small(path: Path) -> None:
    try:
        size = path.stat().st_size
        if path.suffix.lower() == EXCEL and is_zipfile(path):
            with ZipFile(path) as archive:
                size = sum(item.file_size for item in archive.infolist())
    except (OSError, ValueError, BadZipFile, NotImplementedError) as error:
        raise _unreadable(path, error) from error
    if size > _MOST_BYTES:
        raise _unreadable(
            path, ValueError(f"{size:,} bytes, more than the limit of {_MOST_BYTES:,}")
        )


def _require_columns(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if not missing and not twice:
        return
    if missing:
        found = f"no {' and no '.join(missing)} among {', '.join(filter(None, names)) or 'none'}"
    else:
        found = f"{', '.join(twice)} twice"
    raise CohortError(
        expected=f"the columns {' and '.join(needed)}, each once, in {path.name}",
        found=found,
        hint="Name the columns in the first row.",
    )


def _require_cells(path: Path, count: int, lines: Sequence[tuple[int, list[str]]]) -> None:
    """Refuse values without a column: those before them are likely to stand in wrong columns."""
    if long := [str(number) for number, cells in lines if any(cells[count:])]:
        raise CohortError(
            expected=f"{count} cells in each row of {path.name}, as in its heading",
            found=f"more in {'row' if len(long) == 1 else 'rows'} {', '.join(long[:10])}",
            hint="Put quotation marks around cells that hold the separator, such as 0,25.",
        )


def _text_records(path: Path) -> list[list[str]]:
    try:
        text = _decode(path.read_bytes()).lstrip("\ufeff")
        first = next((line for line in text.splitlines() if line.strip()), "")
        if first.lower().startswith("sep=") and len(first.strip()) == len("sep=;"):
            # Excel's own first line; it counts as a row that holds nothing
            text = text.replace(first, "", 1)
            return list(csv.reader(io.StringIO(text, newline=""), delimiter=first[4]))
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=_separator(first)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _decode(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return raw.decode("utf-32")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    if b"\0" in raw[:2]:
        # UTF-16 without its mark: one of the first two bytes of Latin letters is zero
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        code_page = locale.getencoding()
        return raw.decode("cp1252" if code_page.lower().startswith("utf") else code_page)


def _separator(heading: str) -> str:
    return max(_SEPARATORS, key=lambda mark: len(next(csv.reader([heading], delimiter=mark), [])))


def _workbook(path: Path, needed: Sequence[str]) -> list[Sequence[Any]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        # openpyxl keeps the file open when it is given a path
        with path.open("rb") as stream:
            book = load_workbook(stream, read_only=True, data_only=True)
            sheets = {
                sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets
            }
            opened = book.active.title if book.active else next(iter(sheets), "")
    except (BadZipFile, InvalidFileException, *_BROKEN) as error:
        raise _unreadable(path, error) from error
    fitting = [rows for rows in sheets.values() if _has(rows, needed)]
    return fitting[0] if fitting else sheets.get(opened, [])


def _has(rows: Sequence[Sequence[Any]], needed: Sequence[str]) -> bool:
    first: Sequence[Any] = next((row for row in rows if any(map(_text, row))), ())
    return set(needed) <= {_text(value).lower() for value in first}


def _unreadable(path: Path, error: Exception) -> CohortError:
    if isinstance(error, FileNotFoundError):
        return CohortError(
            expected=f"a table at {path}",
            found="no such file",
            hint="Check the name and the folder.",
            causes=[error],
        )
    return CohortError(
        expected=f"a readable table at {path}",
        found=str(error) or type(error).__name__,
        hint="Save it as an Excel workbook (.xlsx) without password, or as CSV UTF-8.",
        causes=[error],
    )
