"""Writing that leaves either the whole file or none."""

import hashlib
import json
import math
import os
import platform
import shutil
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from pathvalidate import sanitize_filename

from napari_xmag.errors import ExportError, XmagError

_CHUNK = 2**20
_PART = ".part-"
_looked_at: set[Path] = set()
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
        raise ExportError(
            expected=f"to write {path.name} in {path.parent}",
            found=error.strerror or str(error),
            hint="Choose a folder that you may write to, with enough free space.",
            causes=(error,),
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it when the block ends well.

    Raises
    ------
    ExportError
        When the file cannot be written; nothing half-written is left, and what was there stays.
    """
    part = _part_of(path)
    try:
        with said_plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            part.replace(path)
    finally:
        with suppress(OSError):  # the reason why nothing could be written was said
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder whose files move into ``path`` together when the block ends well.

    Files of the same names that were there are replaced, others stay.

    Raises
    ------
    ExportError
        When the folder cannot be written; nothing half-written is left.
    """
    part = _part_of(path)
    try:
        with said_plainly(path):
            part.mkdir(parents=True)
            yield part
            _move_all(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return a name as a file or folder may have it on every system, never a path.

    Characters that Windows forbids become ``_``, its reserved names (CON, NUL, …) get one, dots and
    blanks at the ends go, and the length is limited.
    """
    cleaned = sanitize_filename(
        unicodedata.normalize("NFC", name), "_", platform="universal", max_len=_LONGEST_NAME
    )
    return cleaned.strip(". ") or "slide"


def relative_path(path: Path, folder: Path) -> str:
    """Return a path as it is seen from a folder, with slashes; a whole one on another drive.

    A table with such paths moves with its slides, and says no more of where they lie than it must.
    """
    try:
        return Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.absolute().as_posix()


def joined_path(folder: Path, path: str) -> Path:
    """Return the path of what `relative_path` says, without steps up."""
    if ".." not in Path(path).parts:
        return folder / path
    return Path(os.path.normpath(folder.resolve() / path))


def printable(text: str) -> str:
    """Return a text on one line, what cannot be seen or would break it escaped."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file; numbers that are none become null.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
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


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    ValueError
        When it is no JSON, nested beyond all use, or holds a number that is none or infinite.
    """
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:20]} is no finite number")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def _part_of(path: Path) -> Path:
    remove_leftovers(path.parent)
    # The name keeps its suffix: some writers choose the format by it.
    return path.with_name(f"{part_prefix()}{uuid4().hex[:8]}-{path.name}")


def part_prefix() -> str:
    """Return how names of what this process has not finished begin: they tell whose they are."""
    return f"{_PART}{_host()}.{os.getpid()}-"


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine left unfinished when they were killed.

    A folder is looked at once; what cannot be removed stays.
    """
    if folder in _looked_at:
        return
    _looked_at.add(folder)
    with suppress(OSError):
        for item in folder.glob(f"{_PART}{_host()}.*-*"):
            owner = item.name.removeprefix(f"{_PART}{_host()}.").partition("-")[0]
            if owner.isdecimal() and not _is_alive(int(owner)):
                if item.is_dir() and not item.is_symlink():
                    shutil.rmtree(item, ignore_errors=True)
                else:
                    item.unlink(missing_ok=True)


@cache
def _host() -> str:
    """Return what tells this machine from others that write to the same disk, not its name."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return True  # asking would end it: leftovers stay
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _move_all(part: Path, path: Path) -> None:
    try:
        part.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        for file in sorted(part.iterdir()):
            file.replace(path / file.name)
