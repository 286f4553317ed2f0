"""One table in every form that people keep it in."""

from collections.abc import Callable, Sequence
from pathlib import Path

from openpyxl import Workbook

Rows = Sequence[Sequence[object]]


def _text(separator: str, encoding: str, first: str = "") -> Callable[[Path, Rows], Path]:
    def write(path: Path, rows: Rows) -> Path:
        quoted = ([_quoted(cell, separator) for cell in row] for row in rows)
        text = first + "\r\n".join(separator.join(row) for row in quoted) + "\r\n"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def _quoted(cell: object, separator: str) -> str:
    return f'"{cell}"' if separator in str(cell) else str(cell)


def _excel(path: Path, rows: Rows) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append([None if cell == "" else cell for cell in row])
    path = path.with_suffix(".xlsx")
    book.save(path)
    return path


FORMS: dict[str, Callable[[Path, Rows], Path]] = {
    "comma": _text(",", "utf-8"),
    "mark": _text(",", "utf-8-sig"),
    "semicolon": _text(";", "utf-8"),
    "sep": _text(";", "cp1252", "sep=;\r\n"),
    "tab": _text("\t", "utf-8"),
    "unicode": _text("\t", "utf-16"),
    "excel": _excel,
}
