"""Opening GeoJSON as QuPath writes it: plain, gzip or zip."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from napari_xmag.errors import TissueError
from napari_xmag.files import parse_json

GEOJSON_SUFFIXES = (".geojson", ".geojson.gz", ".json", ".json.gz", ".zip")
"""Names that QuPath gives to such files, the likeliest first."""

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
# QuPath itself needs a minute for so much, and a few kilobytes can unpack to any size.
_LARGEST = 2**30
# RuntimeError is what zipfile raises for a password, and json for brackets without end.
_READ_ERRORS = (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile)


def read_geojson(path: Path) -> list[Any]:
    """Return the documents in a file: one, or each ``.geojson`` in a zip archive.

    What a file is shows in its first bytes, whatever its name. Numbers may be ``NaN`` or infinite:
    QuPath's measurements are.

    Raises
    ------
    TissueError
        When it cannot be read, is no JSON, or unpacks to more than 1 GiB.
    """
    try:
        return [parse_json(text, finite=False) for text in _texts(path.read_bytes())]
    except _READ_ERRORS as error:
        raise TissueError(
            expected=f"GeoJSON in {path.name}",
            found=f"a file that cannot be read as such ({str(error) or type(error).__name__})",
            hint="In QuPath, choose File > Export objects as GeoJSON.",
            causes=(error,),
        ) from error


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
