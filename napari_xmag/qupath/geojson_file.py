"""Opening GeoJSON as QuPath writes it: plain, gzip or zip."""

import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from napari_xmag.errors import TissueError
from napari_xmag.files import parse_json
from napari_xmag.printable import printable

GEOJSON_SUFFIXES = (".geojson", ".geojson.gz", ".json", ".json.gz", ".zip")
"""Names that QuPath gives to such files, the likeliest first."""

_OBJECTS = re.compile(
    r'\s*(?:\{\s*"type"\s*:\s*"FeatureCollection"\s*,\s*"features"\s*:\s*)?\[', re.ASCII
)
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

# of an archive of nothing, too
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
# QuPath itself needs a minute for so much, and a few kilobytes can unpack to any size.
_LARGEST = 2**30
# RuntimeError is what zipfile raises for a password, and json for brackets without end.
_PACK_ERRORS = (
    *(gzip.BadGzipFile, EOFError, RuntimeError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)
_READ_ERRORS = (OSError, ValueError, *_PACK_ERRORS)
_EXPORT = "In QuPath, choose File > Export objects as GeoJSON."
_NAMED = 3


class _UnusableError(ValueError):
    """Why a file is of no use, as is said of it after "which"; and what to do."""

    def __init__(self, words: str, hint: str = _EXPORT) -> None:
        super().__init__(words)
        self.hint = hint


def read_geojson(path: Path) -> Iterator[Any]:
    """Yield the documents in a file, which may be packed: a zip archive holds one ``.geojson``.

    QuPath writes one into an archive. Several are likely those of several slides: what was drawn on
    one would be taken for places of another.

    Of a file as QuPath writes it, each of its objects is a document: a million cells at once would
    take ten times the memory. What a file is shows in its first bytes, whatever its name. Numbers
    may be ``NaN`` or infinite: QuPath's measurements are.

    Raises
    ------
    TissueError
        When it cannot be read, is no JSON, is an archive of several files, or unpacks to more than
        1 GiB.
    """
    try:
        yield from _documents(_text(path.read_bytes()))
    except _READ_ERRORS as error:
        raise TissueError(
            expected="annotations as GeoJSON",
            found=f"{printable(path.name)}, which {_words(error)}",
            hint=error.hint if isinstance(error, _UnusableError) else _EXPORT,
            causes=(error,),
        ) from error


def _words(error: Exception) -> str:
    """Return why a file cannot be read, without what only programmers understand."""
    if isinstance(error, _UnusableError):
        return str(error)
    if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is no text in UTF-8 or UTF-16"
    if isinstance(error, _PACK_ERRORS):
        return f"cannot be unpacked ({str(error) or 'it is cut off'})"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON, or is cut off (line {error.lineno}, column {error.colno})"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    # All that is left: Python makes no number of so many digits.
    return "holds a number of thousands of digits"


def _documents(text: str) -> Iterator[Any]:
    if not text or text.isspace():
        raise _UnusableError("is empty")
    start = _OBJECTS.match(text)
    if start is None:
        yield parse_json(text, finite=False)
        return
    at = _next(text, start.end())
    while not text.startswith("]", at):
        item, at = _DECODER.raw_decode(text, at)
        yield item
        at = _next(text, at)
        if text.startswith(",", at):
            at = _next(text, at + 1)
            if text.startswith("]", at):
                raise json.JSONDecodeError("no object after a comma", text, at)
        elif not text.startswith("]", at):
            raise json.JSONDecodeError("neither a comma nor an end", text, at)
    try:
        # what follows must fit what came before them
        parse_json(f"{start[0]}{text[at:]}", finite=False)
    except json.JSONDecodeError as error:  # which counts its characters from elsewhere
        raise json.JSONDecodeError("what follows does not fit", text, at) from error


def _next(text: str, at: int) -> int:
    """Return where the next character that is no blank stands."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _text(raw: bytes) -> str:
    if raw.startswith(_ZIP):
        return _text(_unzipped(raw))
    if raw.startswith(_GZIP):
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            raw = _limited(stream)
    # the first bytes of JSON tell, with a mark or without
    return raw.decode(json.detect_encoding(raw))


def _unzipped(raw: bytes) -> bytes:
    """Return the one GeoJSON file of an archive."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        with archive, archive.open(_member(archive.namelist())) as stream:
            return _limited(stream)
    except ValueError as error:  # what `zipfile` says of many kinds of damage
        if isinstance(error, _UnusableError):
            raise
        raise zipfile.BadZipFile(str(error)) from error


def _member(names: Sequence[str]) -> str:
    """Return the GeoJSON file of an archive; macOS adds hidden companions that are none."""
    files = (name for name in names if not name.endswith("/"))
    members = [name for name in files if _is_geojson(PurePosixPath(name))]
    if not members:
        raise _UnusableError("is an archive with no .geojson in it")
    if len(members) > 1:
        some = ", ".join(map(printable, sorted(members)[:_NAMED]))
        more = ", …" if len(members) > _NAMED else ""
        raise _UnusableError(
            f"is an archive of {len(members)} GeoJSON files ({some}{more})",
            "Unpack it and name the one file of this slide.",
        )
    return members[0]


def _is_geojson(path: PurePosixPath) -> bool:
    fits = path.name.lower().endswith(GEOJSON_SUFFIXES[:-1])
    return fits and not path.name.startswith(".") and "__MACOSX" not in path.parts


def _limited(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise _UnusableError("unpacks to more than 1 GiB")
    return content
