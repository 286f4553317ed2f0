"""The libraries that read slides, tried in their order."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.base import Slide
from napari_xmag.slide.dicom.header import is_dicom
from napari_xmag.slide.dicom.instances import DIRECTORY
from napari_xmag.slide.dicom.slide import DicomSlide
from napari_xmag.slide.find import TIFF_SUFFIXES
from napari_xmag.slide.openslide import OpenSlideSlide
from napari_xmag.slide.tiff.slide import TiffSlide

_log = logging.getLogger(__name__)

_Backend = Callable[[Path, int | str | None], object]
_BACKENDS: tuple[tuple[str, _Backend], ...] = (
    ("OpenSlide", OpenSlideSlide),
    ("tifffile", TiffSlide),
)
_DICOM: tuple[tuple[str, _Backend], ...] = (("pydicom", DicomSlide),)


def open_any(path: Path, image: int | str | None = None) -> Slide:
    """Open a file with the first library that reads it, unguarded.

    Raises
    ------
    SlideOpenError
        When none does; ``causes`` holds the reason of each.
    """
    causes: list[BaseException] = []
    for name, backend in _DICOM if opens_as_dicom(path) else _BACKENDS:
        try:
            return cast(Slide, backend(path, image))
        except Exception as error:  # noqa: BLE001
            # Broken XML or colour profiles, sizes beyond all memory: whatever a library raises
            # is kept as a cause, and the next one may do better.
            causes.append(error)
            _log.debug("%s does not open %s: %s", name, path, error)
    raise _refusal(path, causes)


def opens_as_dicom(path: Path) -> bool:
    """Return whether a path is DICOM; a TIFF that is both is read as what its name says."""
    if path.is_dir() or path.name.upper() == DIRECTORY:
        return True
    return path.suffix.lower() not in TIFF_SUFFIXES and is_dicom(path)


def _refusal(path: Path, causes: list[BaseException]) -> SlideOpenError:
    """Return the error for a file that no backend opened, in words for its owner."""
    own = [cause for cause in causes if isinstance(cause, SlideOpenError)]
    if own:
        # tifffile understood the file and knows why it is no slide: that is the answer.
        return SlideOpenError(
            expected=own[0].expected, found=own[0].found, hint=own[0].hint, causes=causes
        )
    return SlideOpenError(
        expected="a whole slide that can be read",
        found=_what_it_is(path),
        hint=_what_to_do(path),
        causes=causes,
    )


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return f"the folder {path.name}, in which no slide can be read"
    if path.stat().st_size == 0:
        return f"{path.name}, an empty file"
    if is_dicom(path):
        return f"{path.name}, a DICOM file that lacks what a whole slide needs"
    return f"{path.name}, a file that neither OpenSlide nor tifffile can read"


def _what_to_do(path: Path) -> str:
    if path.is_dir():
        return "Choose the folder that holds the .dcm files of one slide, or the slide file itself."
    if is_dicom(path):
        return (
            "Export the slide again as DICOM whole-slide images, and keep all its .dcm files "
            "together in one folder."
        )
    return (
        "Check that the file is complete (some formats need the folder beside the file), or "
        "convert it to a tiled pyramidal TIFF."
    )
