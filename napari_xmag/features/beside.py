"""Arrays beside the features of a slide: what was found out about them and is kept with them."""

import logging
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ExportError
from napari_xmag.filenames import ABOUT
from napari_xmag.files import whole_file

_log = logging.getLogger(__name__)

_OF = "of"
_DAMAGED = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""All that numpy and zipfile raise where the bytes of an archive are others than were written."""

Arrays = Mapping[str, NDArray[Any]]


def keep_beside(folder: Path, name: str, of: str, arrays: Arrays) -> bool:
    """Write arrays into the folder of the features that they were made of; True when they are in.

    What cannot be written is not kept: it saves time and nothing else.

    Parameters
    ----------
    of
        All that they were made of; another one, and they are not found.
    """
    if not (folder / ABOUT).is_file():  # another process has removed it
        return False
    named: dict[str, Any] = {_OF: np.array(of), **arrays}
    try:
        with whole_file(folder / name) as part, part.open("wb") as stream:
            np.savez(stream, **named)
    except ExportError as error:
        _log.warning("%s is not kept. %s", name, error)
        return False
    return True


def find_beside(folder: Path, name: str, of: str) -> dict[str, NDArray[Any]] | None:
    """Return what `keep_beside` wrote; None where it is not there, of something else, or damaged.

    Each array has its own checksum.
    """
    path = folder / name
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            if str(content[_OF]) != of:
                return None
            return {key: content[key] for key in content.files if key != _OF}
    except _DAMAGED as error:
        _log.warning("%s is damaged and will be made anew: %s", path, error)
        return None
