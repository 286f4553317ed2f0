"""What tells slides apart: their content, never their name."""

import configparser
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_xmag.slide.dicom import DIRECTORY, slide_files
from napari_xmag.slide.dicom_header import is_dicom, may_be_dicom
from napari_xmag.slide.dicom_series import DicomSeries, dicom_series

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
    the pixels of its largest file are taken: the same for the folder and for each file in it.

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
    found = _series(path)
    series = found[min(image, len(found)) - 1] if found else None
    if series is not None:
        digest.update(f"series {series.uid}".encode())
    if image > max(1, len(found)):  # a picture of a file, or a focal plane
        digest.update(f"image {image}".encode())
    for block in _blocks(series.files[:1] if series else _files(path)):
        digest.update(block)
    return digest.hexdigest()[:32]


def _series(path: Path) -> tuple[DicomSeries, ...]:
    """Return the slides of a DICOM path, numbered as opening it does; none of other paths."""
    from pydicom.errors import InvalidDicomError

    is_folder = path.is_dir()
    if not is_folder and not (may_be_dicom(path) and is_dicom(path)):
        return ()
    try:
        found = dicom_series(slide_files(path))
    except InvalidDicomError:  # a damaged index: opening it says so
        return ()
    if not is_folder and path.name.upper() != DIRECTORY:
        found = tuple(series for series in found if path in series.files)
    return found


def _files(path: Path) -> list[Path]:
    """Return the file and its companions, by their names within the slide."""
    path = path.resolve()
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
