"""Writing that leaves either the whole file or none."""

import json
import math
import os
import re
import shutil
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pathvalidate import sanitize_filename

from napari_xmag.errors import ExportError, XmagError
from napari_xmag.leftovers import part_of, remove
from napari_xmag.printable import is_harmless
from napari_xmag.replacing import bring_along, can_be_replaced, move_in, take_place

_CHUNK = 2**20
_HALF = re.compile("[\ud800-\udfff]")
_LONGEST_NAME = 200
"""Bytes; systems allow 255, and parts of files have longer names while they are written."""


@contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """Turn what the system says of a path that cannot be written into our error.

    Raises
    ------
    ExportError
        When the block raises OSError.
    """
    try:
        yield
    except XmagError:
        raise
    except OSError as error:
        locked = isinstance(error, PermissionError)
        raise ExportError(
            expected=f"to write {path.name} in {path.parent}",
            found=error.strerror or str(error),
            hint="Choose a folder that you may write to, with enough free space"
            + (", or close the file in other programs." if locked else "."),
            causes=(error,),
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it when the block ends well.

    A link stays a link: the file that it points to is replaced. Who may read and write a file that
    was there stays as it was.

    Raises
    ------
    ExportError
        When the file cannot be written; nothing half-written is left, and what was there stays.
    """
    path = path.resolve() if path.is_symlink() else path
    part = part_of(path)
    try:
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            if path.is_file():
                shutil.copymode(path, part)
            part.replace(path)
    finally:
        with suppress(OSError):  # the reason why nothing could be written was said
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, without: Collection[str] = ()) -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``path`` when the block ends well.

    Files of the same names that were there are replaced, others come along. Whoever looks sees the
    old folder or the new one, also where the process is killed; only where ``path`` cannot be
    exchanged as a whole (a disk begins there, or somebody stands in it) are files replaced one by
    one, and put back if one of them cannot be.

    Parameters
    ----------
    path
        The folder; made when missing.
    without
        Names of files that do not come along.

    Raises
    ------
    ExportError
        When the folder cannot be written; nothing half-written is left, and what was there stays.
    """
    path = path.resolve() if path.is_symlink() else path
    beside = can_be_replaced(path)
    with said_plainly(path), unfinished_folder(path if beside else path / path.name) as part:
        yield part
        names = {*without, *(item.name for item in part.iterdir())}
        if not path.exists():
            take_place(part, path)
        elif beside and any((path / name).exists() for name in names):
            bring_along(path, part, without)
            take_place(part, path)
        else:
            move_in(part, path, without)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside ``path``, which is removed unless the block moves it away.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    part = part_of(path)
    try:
        part.mkdir(parents=True)
        yield part
    finally:
        remove(part)


def safe_name(name: str) -> str:
    """Return a name as a file or folder may have it on every system, never a path.

    Characters that Windows forbids, commands and breaks of lines become ``_``, its reserved names
    (CON, NUL, …) get one, dots and blanks at the ends go, and the length is limited.
    """
    seen = "".join(one if is_harmless(one) else "_" for one in composed(name))
    cleaned = sanitize_filename(seen, "_", platform="universal", max_len=_LONGEST_NAME)
    return cleaned.strip(". ") or "slide"


def relative_path(path: Path, folder: Path) -> str:
    """Return a path as it is seen from a folder, with slashes; a whole one on another drive.

    A table with such paths moves with its slides, and says no more of where they lie than it must.
    """
    try:
        return Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.absolute().as_posix()


def real_path(path: Path) -> Path:
    """Return where a path leads; of links that lead round in a circle, one of them.

    `Path.resolve` raises RuntimeError for these.
    """
    return Path(os.path.realpath(path))


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file or folder: a link and a relative path do, too."""
    return one == other or real_path(one) == real_path(other)


def joined_path(folder: Path, path: str) -> Path:
    """Return the path of what `relative_path` says, without steps up."""
    if ".." not in Path(path).parts:
        return lying_path(folder / path)
    return lying_path(Path(os.path.normpath(folder.resolve() / path)))


def composed(name: str) -> str:
    """Return a name with its accents composed (NFC), as most systems write it; macOS does not."""
    return unicodedata.normalize("NFC", name)


def lying_path(path: Path) -> Path:
    """Return a path as it lies on this disk, whose accents may be written in the other form.

    The path itself where it is there, or where nothing of that name is.
    """
    if os.path.lexists(path) or str(path).isascii():
        return path
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        step = found / part
        found = step if os.path.lexists(step) else _twin(found, part)
        if not found.name:
            return path
    return found


def _twin(folder: Path, name: str) -> Path:
    """Return the item of a folder whose name reads the same; an empty path where there is none."""
    with suppress(OSError):
        for item in folder.iterdir():
            if composed(item.name) == composed(name):
                return item
    return Path()


def json_text(content: Any, *, finite: bool = False, compact: bool = False) -> str:
    """Return JSON as UTF-8 can hold it: halves of characters, as in broken names, are escaped.

    Parameters
    ----------
    finite
        Raise ValueError for numbers that are none, which Java programs write all the same.
    compact
        On one line, without blanks.
    """
    indent, separators = (None, (",", ":")) if compact else (2, None)
    text = json.dumps(
        content, indent=indent, separators=separators, ensure_ascii=False, allow_nan=not finite
    )
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file; numbers that are none become null.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    text = json_text(_plain(content), finite=True) + "\n"
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def file_crc(path: Path) -> int:
    """Return the CRC-32 of a file: damage and mix-ups change it.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    value = 0
    with path.open("rb") as stream:
        while data := stream.read(_CHUNK):
            value = zlib.crc32(data, value)
    return value


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Return what a JSON text holds.

    Parameters
    ----------
    finite
        Refuse ``NaN`` and ``Infinity``, which are no JSON; Java programs write them all the same.

    Raises
    ------
    ValueError
        When it is no JSON, nested beyond all use, or holds a number that is none or infinite where
        those are refused.
    """
    try:
        if not finite:
            return json.loads(text)
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:20]} is not a finite number")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
