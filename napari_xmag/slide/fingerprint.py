"""What tells slides apart: their content, never their name."""

import configparser
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_xmag.errors import SlideOpenError
from napari_xmag.files import real_path
from napari_xmag.slide.dicom.header import is_dicom, may_be_dicom
from napari_xmag.slide.dicom.images import numbered_series, plane_by_number
from napari_xmag.slide.dicom.series import DicomSeries
from napari_xmag.slide.segments import DECODE_ERRORS

_WHOLE = 4 * 2**20
"""A slide of so few bytes is hashed whole, in some milliseconds."""

_BLOCKS, _BLOCK = 64, 16 * 2**10
_INDEX_BYTES = 2**20


def slide_fingerprint(path: Path, image: int = 1) -> str:
    """Return a quick hash of a slide that stays when the slide is renamed, moved or copied.

    Small slides are hashed whole. Of larger ones the size is taken and blocks spread evenly from
    the first byte to the last, so that slides of one scanner, of one size and with the same
    header and end are told apart by their pixels. Only uncompressed ones that differ in nothing but
    a small place between the blocks are taken for one. The files that belong to a slide (the folder
    of an MRXS, the pictures of a VMS) count like one long file. Of a DICOM slide its series UID and
    the pixels of its largest file are taken, of a focal plane those of its own files: the same for
    the folder and for each file in it.

    Parameters
    ----------
    path
        The slide's file, or the folder of a DICOM slide.
    image
        Number of the picture in it, from 1.

    Returns
    -------
    32 hexadecimal digits.

    Raises
    ------
    OSError
        When the slide cannot be read.
    """
    digest = hashlib.sha256()
    series = _series(path)
    if image <= len(series):
        own = series[image - 1]
        digest.update(f"series {own.uid}".encode())
        files: Sequence[Path] = own.files[:1]
    elif (plane := _plane(series, image)) is not None:
        own, number, files = plane
        digest.update(f"series {own.uid}plane {number}".encode())
    else:
        files = _files(path)
        if image > 1:  # a picture of a file
            digest.update(f"image {image}".encode())
    for block in _blocks(files):
        digest.update(block)
    return digest.hexdigest()[:32]


def _series(path: Path) -> tuple[DicomSeries, ...]:
    """Return the slides of a DICOM path, numbered as opening it does; none of other paths."""
    if not path.is_dir() and not (may_be_dicom(path) and is_dicom(path)):
        return ()
    from pydicom.errors import InvalidDicomError

    try:
        return numbered_series(path)
    except InvalidDicomError:  # a damaged index: opening it says so
        return ()


def _plane(
    series: Sequence[DicomSeries], image: int
) -> tuple[DicomSeries, int, Sequence[Path]] | None:
    """Return the slide of a focal plane, the plane's number and its files; None without it."""
    try:
        found = plane_by_number(series, image) if series else None
    except (SlideOpenError, *DECODE_ERRORS):
        return None
    if found is None:
        return None
    own, number, level = found
    return own, number, [part.path for part in level.instances]


def _files(path: Path) -> list[Path]:
    """Return the file and its companions, by their names within the slide."""
    path = real_path(path)
    if path.is_dir():
        return sorted(item for item in path.iterdir() if item.is_file())
    return [path, *_companions(path)]


def _companions(path: Path) -> list[Path]:
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
        return (
            sorted(item for item in folder.iterdir() if item.is_file()) if folder.is_dir() else []
        )
    if suffix in (".vms", ".vmu"):
        return sorted({item for item in _named_in(path) if item.is_file()} - {path})
    return []


def _named_in(index: Path) -> Iterator[Path]:
    """Yield the files that Hamamatsu's index of a slide names."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(index.read_bytes()[:_INDEX_BYTES].decode("utf-8", "replace"))
    except configparser.Error:
        return
    for section in parser.values():
        for name in section.values():
            if name and "\0" not in name:
                yield index.parent / Path(name).name


def _blocks(files: Sequence[Path]) -> Iterator[bytes]:
    """Yield the sizes of the files, and all their bytes or blocks spread over them."""
    sizes = [file.stat().st_size for file in files]
    yield repr(sizes).encode()
    whole = sum(sizes) <= _WHOLE
    for file, size in zip(files, sizes, strict=True):
        with file.open("rb") as stream:
            if whole or size <= _BLOCK:
                yield stream.read(_WHOLE)
                continue
            # at least the first and the last block of each file
            count = max(2, round(_BLOCKS * size / sum(sizes)))
            for number in range(count):
                stream.seek((size - _BLOCK) * number // (count - 1))
                yield stream.read(_BLOCK)
