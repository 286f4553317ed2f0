"""Opening GeoJSON as QuPath writes it: plain, gzip or zip."""

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from napari_xmag.errors import TissueError
from napari_xmag.files import parse_json

GEOJSON_SUFFIXES = (".geojson", ".geojson.gz", ".json", ".json.gz", ".zip")
"""Names that QuPath gives to such files, the likeliest first."""

_OBJECTS = re.compile(
    r'\s*(?:\{\s*"type"\s*:\s*"FeatureCollection"\s*,\s*"features"\s*:\s*)?\[', re.ASCII
)
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
# QuPath itself needs a minute for so much, and a few kilobytes can unpack to any size.
_LARGEST = 2**30
# RuntimeError is what zipfile raises for a password, and json for brackets without end.
_READ_ERRORS = (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile)


def read_geojson(path: Path) -> Iterator[Any]:
    """Yield the documents in a file: one, or each ``.geojson`` in a zip archive.

    Of a file as QuPath writes it, each of its objects is a document: a million cells at once would
    take ten times the memory. What a file is shows in its first bytes, whatever its name. Numbers
    may be ``NaN`` or infinite: QuPath's measurements are.

    Raises
    ------
    TissueError
        When it cannot be read, is no JSON, or unpacks to more than 1 GiB.
    """
    try:
        for text in _texts(path.read_bytes()):
            yield from _documents(text)
    except _READ_ERRORS as error:
        raise TissueError(
            expected=f"GeoJSON in {path.name}",
            found=f"a file that cannot be read as such ({str(error) or type(error).__name__})",
            hint="In QuPath, choose File > Export objects as GeoJSON.",
            causes=(error,),
        ) from error


def _documents(text: str) -> Iterator[Any]:
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
                raise ValueError("no object after a comma")
        elif not text.startswith("]", at):
            raise ValueError(f"neither a comma nor an end of its objects at character {at}")
    # what follows must fit what came before them
    parse_json(f"{start[0]}{text[at:]}", finite=False)


def _next(text: str, at: int) -> int:
    """Return where the next character that is no blank stands."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _texts(raw: bytes) -> Iterator[str]:
    if raw.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in _members(archive):
                with archive.open(name) as stream:
                    yield from _texts(_limited(stream))
    elif raw.startswith(_GZIP):
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            yield _limited(stream).decode("utf-8-sig")
    else:
        yield raw.decode("utf-8-sig")


def _members(archive: zipfile.ZipFile) -> list[str]:
    """Return the GeoJSON files of an archive; macOS adds hidden companions that are none."""
    names = [PurePosixPath(name) for name in archive.namelist()]
    members = [
        str(name)
        for name in names
        if name.name.lower().endswith(GEOJSON_SUFFIXES[:-1])
        and not name.name.startswith(".")
        and "__MACOSX" not in name.parts
    ]
    if not members:
        raise ValueError("no .geojson in the archive")
    return members


def _limited(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("more than 1 GiB when unpacked")
    return content
